package session_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

// para stands in for Para in the examples. In your program: jwks.Beta or
// jwks.Prod, and your keys.
func para() (*paratest.Para, *session.Client) {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	client, err := session.New(session.Config{
		Environment:  para.Environment(),
		SecretAPIKey: session.NewSecret(para.SecretAPIKey()),
		APIKey:       para.APIKey(),
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return para, client
}

func ExampleNew() {
	client, err := session.New(session.Config{
		Environment:  jwks.Beta,
		SecretAPIKey: session.NewSecret("beta_0123456789abcdef"),
		// from the program's secrets; for VerifyToken and VerifyWallet
		APIKey: "beta_fedcba9876543210", // for imported sessions
	})
	fmt.Println(client, err)
	// Output: Para session client for beta <nil>
}

// A client without a JWT sends a verification token:
// para.getVerificationToken() of Para's web SDK.
func ExampleClient_VerifyToken() {
	para, client := para()
	defer para.Close()
	login := para.Login(paratest.EmailUser())

	who, err := client.VerifyToken(context.Background(), login.VerificationToken())
	fmt.Println(who.AuthType, who.Identifier, who.OAuthMethod, err)

	login.Expire()
	_, err = client.VerifyToken(context.Background(), login.VerificationToken())
	fmt.Println(errors.Is(err, session.ErrSessionExpired))

	para.Fail(503)
	_, err = client.VerifyToken(context.Background(), login.VerificationToken())
	fmt.Println(errors.Is(err, session.ErrUnavailable))
	// Output:
	// email email@example.com google <nil>
	// true
	// true
}

// Is an address that a client names an embedded wallet of one of the app's
// users?
func ExampleClient_VerifyWallet() {
	para, client := para()
	defer para.Close()
	para.Login(paratest.EmailUser())

	id, err := client.VerifyWallet(context.Background(), paratest.EVMAddress)
	fmt.Println(id, err)

	_, err = client.VerifyWallet(context.Background(), "0x0000000000000000000000000000000000000000")
	fmt.Println(errors.Is(err, session.ErrWalletNotFound))
	// Output:
	// de4034f1-6b0f-4a98-87a5-e459db4d3a03 <nil>
	// true
}

// A session that a client exported, checked and extended here. Who the user is,
// and which wallets are theirs, is Para's word once a token is issued and
// validated.
func ExampleClient_Import() {
	para, client := para()
	defer para.Close()
	ctx := context.Background()
	exported := para.Login(paratest.EmailUser()).Exported() // from the request

	s, err := client.Import(exported)
	if errors.Is(err, session.ErrSessionMalformed) {
		log.Fatal(err) // 400
	}
	active, err := s.IsActive(ctx)
	fmt.Println(active, err)
	fmt.Println(s.SignersDropped())
	fmt.Println(s)

	if err := s.KeepAlive(ctx); err != nil {
		log.Fatal(err)
	}
	jwt, err := s.IssueJWT(ctx)
	if err != nil {
		log.Fatal(err)
	}
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	user, err := validator.Validate(ctx, jwt.Token.Reveal())
	fmt.Println(user.Email, len(user.Wallets), err)
	// Output:
	// true <nil>
	// true
	// Para session of user "d5358219-38d3-4650-91a8-e338131d1c5e" (NONE, paratest)
	// email@example.com 2 <nil>
}

// Verification tokens for the middleware, with Para's answers remembered for 30
// seconds. Give tokens to middleware.AcceptVerificationTokensWithoutUserID.
func ExampleClient_TokenVerifier() {
	para, client := para()
	defer para.Close()
	login := para.Login(paratest.EmailUser())

	tokens, err := client.TokenVerifier(session.TokenVerifierConfig{})
	if err != nil {
		log.Fatal(err)
	}
	for range 1000 {
		user, err := tokens.VerifyVerificationToken(context.Background(), login.VerificationToken())
		if err != nil || user.Email != "email@example.com" || user.UserID != "" {
			log.Fatal(user, err)
		}
	}
	fmt.Println(para.Calls("POST /sessions/verify"), "call to Para")
	// Output: 1 call to Para
}
