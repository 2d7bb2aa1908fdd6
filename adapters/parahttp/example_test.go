package parahttp_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
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
		user, _ := claims.FromContext(r.Context()) // never false behind Require
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

func ExampleUser() {
	me := func(w http.ResponseWriter, r *http.Request) {
		user, ok := parahttp.User(r)
		if !ok {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "Hello", user.Identifier)
	}

	// In a test, WithUser replaces the guard.
	anonymous := httptest.NewRequest("GET", "/me", nil)
	for _, r := range []*http.Request{
		paratest.WithUser(anonymous, paratest.EmailUser()), anonymous,
	} {
		w := httptest.NewRecorder()
		me(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 Hello email@example.com
	// 401 log in first
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

// CORS middleware belongs outside the guard. A preflight request (OPTIONS) has
// no Authorization header, so a guard outside of CORS refuses it with 401. The
// browser then does not send the real request, and scripts cannot read any
// refusal, because it has no Access-Control-Allow-Origin header.
func ExampleRequire_incorrectCORSInside() {
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

	// A program uses a CORS library, such as github.com/jub0bs/cors.
	cors := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
			if r.Method == http.MethodOptions {
				w.Header().Set("Access-Control-Allow-Headers", "authorization")
				w.WriteHeader(http.StatusNoContent)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	guard := parahttp.Require(validator)

	preflight := func(name string, h http.Handler) {
		r := httptest.NewRequest(http.MethodOptions, "/api", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%s: %d %q\n", name, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	preflight("incorrect", guard(cors(api)))
	preflight("correct", cors(guard(api)))
	// Output:
	// incorrect: 401 ""
	// correct: 204 "https://app.example.com"
}

// A handler behind Optional must check ok. Without a token, the user is nil,
// and the first use of a field panics.
func ExampleOptional_incorrectWithoutOK() {
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

	incorrect := func(w http.ResponseWriter, r *http.Request) {
		user, _ := parahttp.User(r) // incorrect: ignores ok
		fmt.Fprintln(w, "Hello", user.Identifier)
	}
	correct := func(w http.ResponseWriter, r *http.Request) {
		user, ok := parahttp.User(r)
		if !ok {
			fmt.Fprintln(w, "Hello stranger")
			return
		}
		fmt.Fprintln(w, "Hello", user.Identifier)
	}

	visit := func(name string, handler http.HandlerFunc) {
		w := httptest.NewRecorder()
		defer func() {
			if recover() != nil { // a net/http server closes the connection
				fmt.Println(name + ": panic")
				return
			}
			fmt.Print(name, ": ", w.Body)
		}()
		parahttp.Optional(validator)(handler).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}
	visit("incorrect", incorrect)
	visit("correct", correct)
	// Output:
	// incorrect: panic
	// correct: Hello stranger
}

// Require guards all routes. Allow additionally requires a wallet on one route.
func ExampleAllow() {
	// paratest emulates Para on loopback. See the example of Require.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	sign := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "signed") }
	solana := parahttp.Allow(middleware.WalletOf(claims.WalletSolana))
	api := http.NewServeMux()
	api.Handle("POST /api/sign", solana(http.HandlerFunc(sign)))
	guarded := parahttp.Require(validator)(api)

	withoutWallet := paratest.EmailUser()
	withoutWallet.Wallets = nil
	for _, user := range []*claims.Claims{paratest.EmailUser(), withoutWallet} {
		r := httptest.NewRequest("POST", "/api/sign", nil)
		r.Header.Set("Authorization", "Bearer "+para.Token(user))
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		fmt.Println(w.Code, http.StatusText(w.Code))
	}
	// Output:
	// 200 OK
	// 403 Forbidden
}
