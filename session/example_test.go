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

// para returns an emulator of Para and a client of it. A program sets
// Environment to jwks.Beta or jwks.Prod, and its own API keys.
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
		Environment: jwks.Beta,
		// for VerifyToken, VerifyWallet and TokenVerifier
		SecretAPIKey: session.NewSecret("beta_0123456789abcdef"),
		// for imported sessions
		APIKey: "beta_fedcba9876543210",
	})
	fmt.Println(client, err)
	// Output: Para session client for beta <nil>
}

// A client without a JWT sends a verification token, the result of
// getVerificationToken of Para's web SDK.
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

// VerifyWallet verifies that an address belongs to an embedded wallet of one of
// the app's users.
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

// A server checks and extends a session that a client exported.
func ExampleClient_Import() {
	para, client := para()
	defer para.Close()
	ctx := context.Background()
	exported := para.Login(paratest.EmailUser()).Exported() // from the request

	s, err := client.Import(exported)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s)
	fmt.Println(s.SignersDropped())
	fmt.Println(s.IsActive(ctx))
	fmt.Println(s.KeepAlive(ctx))
	// Output:
	// Para session of user "d5358219-38d3-4650-91a8-e338131d1c5e" (NONE, paratest)
	// true
	// true <nil>
	// <nil>
}

// A TokenVerifier caches accepted tokens for 30 seconds. Pass it to
// middleware.AcceptVerificationTokensWithoutUserID.
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

// A Secret is not shown when it is printed.
func ExampleNewSecret() {
	secret := session.NewSecret("sk_0123456789abcdef")
	fmt.Println(secret)
	fmt.Printf("%+v\n", session.Config{SecretAPIKey: secret}.SecretAPIKey)
	fmt.Println(len(secret.Reveal()))
	// Output:
	// [hidden]
	// [hidden]
	// 19
}

// IsActive distinguishes an ended session from an outage.
func ExampleSession_IsActive() {
	para, client := para()
	defer para.Close()
	ctx := context.Background()
	login := para.Login(paratest.EmailUser())
	s, err := client.Import(login.Exported())
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(s.IsActive(ctx))
	login.Expire()
	fmt.Println(s.IsActive(ctx))

	para.Fail(500)
	_, err = s.IsActive(ctx)
	fmt.Println(errors.Is(err, session.ErrUnavailable)) // respond with 503
	// Output:
	// true <nil>
	// false <nil>
	// true
}

// The claims of an issued token have the user and the wallets as Para attests
// them.
func ExampleSession_IssueJWT() {
	para, client := para()
	defer para.Close()
	ctx := context.Background()
	s, err := client.Import(para.Login(paratest.EmailUser()).Exported())
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

	jwt, err := s.IssueJWT(ctx)
	if err != nil {
		log.Fatal(err)
	}
	user, err := validator.Validate(ctx, jwt.Token.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Email, len(user.Wallets))
	// Output: email@example.com 2
}

// A server stores a session, and imports it again later. The text is a
// credential, and has no key shares.
func ExampleSession_Export() {
	para, client := para()
	defer para.Close()
	s, err := client.Import(para.Login(paratest.EmailUser()).Exported())
	if err != nil {
		log.Fatal(err)
	}
	stored := s.Export()

	again, err := client.Import(stored)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.UserID() == s.UserID(), s.SignersDropped(), again.SignersDropped())
	// Output: true true false
}

// Refused selects the status of the response.
func ExampleError_Refused() {
	para, client := para()
	defer para.Close()

	_, err := client.VerifyToken(context.Background(), "unknown")
	var e *session.Error
	if errors.As(err, &e) {
		fmt.Println(e.Refused()) // 401
	}
	para.Fail(503)
	_, err = client.VerifyToken(context.Background(), "unknown")
	if errors.As(err, &e) {
		fmt.Println(e.Refused()) // 503
	}
	// Output:
	// true
	// false
}
