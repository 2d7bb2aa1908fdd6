package parahttp_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func ExampleRequire() {
	// paratest emulates Para on loopback. A program sets Environment to
	// jwks.Beta or jwks.Prod, and APIKeyIDs to the unique ID of its API key.
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

	me := func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context()) // always there behind Require
		fmt.Fprintln(w, user.UserID, user.AuthType, user.OAuthMethod, len(user.Wallets))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(validator)(http.HandlerFunc(me)))

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 d5358219-38d3-4650-91a8-e338131d1c5e email google 2
	// 401 Bearer
}

func ExampleOptional() {
	// paratest emulates Para on loopback. See the example of Require.
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

	hello := func(w http.ResponseWriter, r *http.Request) {
		if user, ok := parahttp.User(r); ok {
			fmt.Fprintln(w, "Hello", user.Identifier)
		} else {
			fmt.Fprintln(w, "Hello stranger")
		}
	}
	handler := parahttp.Optional(validator)(http.HandlerFunc(hello))

	ask := func(authorization string) {
		r := httptest.NewRequest("GET", "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	ask("Bearer " + para.Token(paratest.EmailUser()))
	ask("")
	ask("Bearer " + para.Token(paratest.EmailUser(), paratest.Expired()))
	// Output:
	// 200 Hello email@example.com
	// 200 Hello stranger
	// 401 {"type":"about:blank","title":"Unauthorized","status":401}
}
