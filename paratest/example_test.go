package paratest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

// In a test, New starts a Para, and Validator returns a validator for its
// tokens. Both end with the test.
func ExamplePara_Validator() {
	_ = func(t *testing.T) {
		para := paratest.New(t, paratest.Config{})
		validator := para.Validator(t)

		token := para.Token(paratest.EmailUser())
		if _, err := validator.Validate(t.Context(), token); err != nil {
			t.Error(err)
		}
		para.Advance(time.Hour)
		_, err := validator.Validate(t.Context(), token)
		if !errors.Is(err, middleware.ErrExpired) {
			t.Errorf("an expired token: %v", err)
		}
	}
}

// Start is for programs, such as a demonstration or a development server.
func ExampleStart() {
	para, err := paratest.Start(paratest.Config{Environment: "dev"})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()

	res, err := http.Get(para.Environment().URL)
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
	fmt.Println(para.Environment().Name, res.StatusCode, len(para.KeyIDs()))
	// Output: dev 200 2
}

// A token is for any user. Options make it invalid.
func ExamplePara_Token() {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	user := paratest.EmailUser()
	user.UserID = "0fb8c2a1-1111-4222-8333-444455556666"
	for _, token := range []string{
		para.Token(user),
		para.Token(user, paratest.Lived(-time.Hour, 10*time.Minute)),
		para.Token(user, paratest.ForApp("another app")),
		para.Token(user, paratest.WithData("wallets", "none")),
		para.Token(user, paratest.BadSignature()),
	} {
		user, err := validator.Validate(context.Background(), token)
		var refusal *middleware.Error
		if errors.As(err, &refusal) {
			fmt.Println("refused:", string(refusal.Code))
		} else {
			fmt.Println("welcome", user.UserID)
		}
	}
	// Output:
	// welcome 0fb8c2a1-1111-4222-8333-444455556666
	// refused: expired
	// refused: audience
	// refused: claims
	// refused: signature
}

// Login makes a session that package session and Para's Node client can use.
func ExamplePara_Login() {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	client, err := session.New(session.Config{
		Environment:  para.Environment(),
		SecretAPIKey: session.NewSecret(para.SecretAPIKey()),
	})
	if err != nil {
		log.Fatal(err)
	}

	login := para.Login(paratest.EmailUser())
	who, err := client.VerifyToken(context.Background(), login.VerificationToken())
	fmt.Println(who.Identifier, err)

	login.Expire()
	_, err = client.VerifyToken(context.Background(), login.VerificationToken())
	fmt.Println(errors.Is(err, session.ErrSessionExpired))
	// Output:
	// email@example.com <nil>
	// true
}

// A test of a handler without its guard needs neither a Para nor a token.
func ExampleWithUser() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		fmt.Fprint(w, "Hello ", user.Identifier)
	}

	r := paratest.WithUser(httptest.NewRequest("GET", "/", nil), paratest.PhoneUser())
	w := httptest.NewRecorder()
	handler(w, r)
	fmt.Println(w.Body)
	// Output: Hello +13105551234
}
