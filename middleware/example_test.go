package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func ExampleNew() {
	validator, err := middleware.New(middleware.Config{
		Environment: jwks.Beta,
		APIKeyIDs:   []string{"a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"}, // from the developer portal
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	fmt.Println(validator)
	// Output: parajwt validator for beta
}

// New reports every mistake at once, with what to do.
func ExampleNew_mistakes() {
	_, err := middleware.New(middleware.Config{
		APIKeyIDs: []string{"beta_0123456789abcdef0123456789abcdef"},
		Leeway:    time.Hour,
	})
	fmt.Println(err)
	// Output:
	// parajwt: APIKeyIDs[0]: this is a publishable API key, not an ID: use the API key ID, the UUID that Para's developer portal shows with the key
	// parajwt: Leeway is 1h0m0s: at most 5m0s; synchronize the clock instead
	// jwks: Environment is not set: use jwks.Prod, jwks.Beta or another one; there is no default
}

// Validate needs no HTTP request. It suits queue consumers and gRPC
// interceptors.
func ExampleValidator_Validate() {
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

	for _, token := range []string{
		para.Token(paratest.EmailUser()),
		para.Token(paratest.EmailUser(), paratest.Expired()),
		para.Token(paratest.EmailUser(), paratest.BadSignature()),
	} {
		user, err := validator.Validate(context.Background(), token)
		switch {
		case errors.Is(err, middleware.ErrExpired):
			fmt.Println("please log in again")
		case err != nil:
			fmt.Println("access denied")
		default:
			fmt.Println("hello", user.Email,
				user.OwnsAddress("0x9DD3824f045c77bc369485e8f1dd6b452b6be617"))
		}
	}
	// Output:
	// hello email@example.com true
	// please log in again
	// access denied
}

// ask sends a request to a handler behind a guard with these options, and
// prints the status of the response.
func ask(what string, change func(*http.Request), opts ...middleware.Option) {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return noon },
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	empty := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	handler := parahttp.Require(validator, opts...)(empty)
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	change(r)
	handler.ServeHTTP(w, r)
	fmt.Println(what, w.Code)
}

func bearer(user *claims.Claims) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+shared().Token(user)) }
}

// The first source that finds a token decides.
func ExampleTokenFrom() {
	option := middleware.TokenFrom(middleware.FromAuthorization(), middleware.FromCookie("para"))

	ask("header:", bearer(paratest.EmailUser()), option)
	ask("cookie:", func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "para", Value: shared().Token(paratest.EmailUser())})
	}, option)
	ask("junk in the header, and a good cookie:", func(r *http.Request) {
		r.Header.Set("Authorization", "junk")
		r.AddCookie(&http.Cookie{Name: "para", Value: shared().Token(paratest.EmailUser())})
	}, option)
	// Output:
	// header: 200
	// cookie: 200
	// junk in the header, and a good cookie: 401
}

func ExampleFromCookie() {
	// Browsers send cookies with requests that other sites cause. Put
	// http.CrossOriginProtection in front of the guard.
	option := middleware.TokenFrom(middleware.FromCookie("__Host-para"))

	ask("cookie:", func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "__Host-para", Value: shared().Token(paratest.EmailUser())})
	}, option)
	ask("header:", bearer(paratest.EmailUser()), option)
	// Output:
	// cookie: 200
	// header: 401
}

// A rule is a function of the user. Its error is logged, and the client gets
// 403.
func ExampleAllow() {
	blocked := map[string]bool{"1234567890": true}
	option := middleware.Allow(func(_ context.Context, user *claims.Claims) error {
		if blocked[user.Identifier] {
			return errors.New("is blocked")
		}
		return nil
	})

	ask("email@example.com:", bearer(paratest.EmailUser()), option)
	ask("1234567890:", bearer(paratest.TelegramUser()), option)
	// Output:
	// email@example.com: 200
	// 1234567890: 403
}

func ExampleAuthTypes() {
	option := middleware.Allow(middleware.AuthTypes(claims.AuthEmail, claims.AuthPhone))

	ask("email:", bearer(paratest.EmailUser()), option)
	ask("farcaster:", bearer(paratest.FarcasterUser()), option)
	// Output:
	// email: 200
	// farcaster: 403
}

func ExampleWalletOf() {
	solana := middleware.Allow(middleware.WalletOf(claims.WalletSolana))
	cosmos := middleware.Allow(middleware.WalletOf(claims.WalletCosmos))

	ask("Solana:", bearer(paratest.EmailUser()), solana)
	ask("Cosmos:", bearer(paratest.EmailUser()), cosmos)
	// Output:
	// Solana: 200
	// Cosmos: 403
}

// One function responds to every refused request, with every router.
func ExampleOnRefusal() {
	option := middleware.OnRefusal(func(w http.ResponseWriter, r *http.Request,
		err *middleware.Error) {
		if errors.Is(err, middleware.ErrExpired) || errors.Is(err, middleware.ErrNoToken) {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		status, header, _ := err.Answer() // as in RFC 6750
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
	})

	ask("no token:", func(*http.Request) {}, option)
	ask("junk:", func(r *http.Request) { r.Header.Set("Authorization", "Bearer junk") }, option)
	// Output:
	// no token: 303
	// junk: 401
}

// An adapter for another router calls the methods of a Guard.
func ExampleGuard() {
	// Check verifies a request. Refuse writes the response to a refused
	// request.
	adapt := func(guard *middleware.Guard, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			verified, refusal := guard.Check(r)
			if refusal != nil {
				guard.Refuse(w, r, refusal)
				return
			}
			next(w, verified)
		}
	}

	validator, err := middleware.New(middleware.Config{Environment: jwks.Prod,
		APIKeyIDs: []string{"a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"}})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	handler := adapt(middleware.Require(validator), func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		fmt.Fprintln(w, user.UserID)
	})

	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 401 {"type":"about:blank","title":"Unauthorized","status":401}
}

// This route accepts a JWT. If the request has none, it accepts a verification
// token in another header.
func ExampleAcceptVerificationTokensWithoutUserID() {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{Environment: para.Environment(),
		APIKeyIDs: []string{para.APIKeyID()}})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	client, err := session.New(session.Config{Environment: para.Environment(),
		SecretAPIKey: session.NewSecret(para.SecretAPIKey())})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := client.TokenVerifier(session.TokenVerifierConfig{})
	if err != nil {
		log.Fatal(err)
	}

	h := parahttp.Require(validator, middleware.AcceptVerificationTokensWithoutUserID(tokens,
		middleware.FromHeader("X-Para-Verification-Token")))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _ := claims.FromContext(r.Context())
			fmt.Printf("%s %s, user ID %q\n", user.AuthType, user.Identifier, user.UserID)
		}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Para-Verification-Token", para.Login(paratest.EmailUser()).VerificationToken())
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output: email email@example.com, user ID ""
}

// Any tries the rules in order. One rule that allows the user is enough.
func ExampleAny() {
	option := middleware.Allow(middleware.Any(
		middleware.AuthTypes(claims.AuthTelegram),
		middleware.WalletOf(claims.WalletSolana),
	))

	ask("Telegram:", bearer(paratest.TelegramUser()), option)
	ask("email, with a Solana wallet:", bearer(paratest.EmailUser()), option)
	// Output:
	// Telegram: 200
	// email, with a Solana wallet: 200
}

// A rule may query a database. If the database is down, the client gets 503 and
// tries again later.
func ExampleRule() {
	database := errors.New("connection refused")
	paid := func(ctx context.Context, user *claims.Claims) error {
		return fmt.Errorf("%w: %w", middleware.ErrRuleUnavailable, database)
	}

	ask("database down:", bearer(paratest.EmailUser()), middleware.Allow(paid))
	// Output: database down: 503
}

// In a browser: new WebSocket(url, ["para.jwt", token, "chat.v1"]).
func ExampleFromWebSocketProtocol() {
	option := middleware.TokenFrom(middleware.FromWebSocketProtocol())

	ask("with a token:", func(r *http.Request) {
		token := shared().Token(paratest.EmailUser())
		r.Header.Set("Sec-WebSocket-Protocol", "para.jwt, "+token+", chat.v1")
	}, option)
	ask("without:", func(r *http.Request) {
		r.Header.Set("Sec-WebSocket-Protocol", "chat.v1")
	}, option)
	// Output:
	// with a token: 200
	// without: 401
}

// This page is public. A visitor whose token has expired sees it as an
// anonymous visitor does.
func ExampleExpiredIsAnonymous() {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return noon },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	page := parahttp.Optional(validator, middleware.ExpiredIsAnonymous())(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if user, ok := claims.FromContext(r.Context()); ok {
				fmt.Println("hello", user.Email)
				return
			}
			fmt.Println("hello, stranger")
		}))

	for _, opts := range [][]paratest.TokenOption{nil, {paratest.Expired()}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+shared().Token(paratest.EmailUser(), opts...))
		page.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// hello email@example.com
	// hello, stranger
}

// A connection that outlives its request checks the user again every minute or
// so.
func ExampleValidator_Recheck() {
	now := noon
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return now },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	ctx := context.Background()
	user, err := validator.Validate(ctx, shared().Token(paratest.EmailUser()))
	if err != nil {
		log.Fatal(err)
	}

	for range 3 { // in a program: on each tick of a time.Ticker
		now = now.Add(15 * time.Minute)
		if err := validator.Recheck(ctx, user); err != nil {
			fmt.Println("closing the connection:", errors.Is(err, middleware.ErrExpired))
			break
		}
		fmt.Println("still valid")
	}
	// Output:
	// still valid
	// still valid
	// closing the connection: true
}

// Observe counts verdicts. Module observe/paraotel exports them to
// OpenTelemetry.
func ExampleEvent() {
	counts := map[middleware.Code]int{} // in a program: a metric that is safe for concurrent use
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return noon },
		Observe:     func(_ context.Context, e middleware.Event) { counts[e.Code]++ },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	ctx := context.Background()
	validator.Validate(ctx, shared().Token(paratest.EmailUser()))
	validator.Validate(ctx, shared().Token(paratest.EmailUser(), paratest.Expired()))
	validator.Validate(ctx, "junk")
	fmt.Println("accepted:", counts[""])
	fmt.Println("expired:", counts[middleware.ErrExpired])
	fmt.Println("malformed:", counts[middleware.ErrMalformed])
	// Output:
	// accepted: 1
	// expired: 1
	// malformed: 1
}

// A transport without HTTP requests passes the token as a string.
func ExampleGuard_CheckToken() {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return noon },
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	guard := middleware.Require(validator,
		middleware.Allow(middleware.AuthTypes(claims.AuthEmail)))

	for _, token := range []string{
		shared().Token(paratest.EmailUser()), shared().Token(paratest.PhoneUser()), "",
	} {
		user, refusal := guard.CheckToken(context.Background(), token)
		if refusal != nil {
			fmt.Println(string(refusal.Code), refusal.Status())
			continue
		}
		fmt.Println("hello", user.Email)
	}
	// Output:
	// hello email@example.com
	// forbidden 403
	// no_token 401
}

// A guard made by Authorize adds rules to a route behind another guard. Most
// programs call the Allow function of their adapter instead.
func ExampleAuthorize() {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Now:         func() time.Time { return noon },
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()
	outer := middleware.Require(validator)
	inner := middleware.Authorize(middleware.WalletOf(claims.WalletCosmos))

	r := httptest.NewRequest("GET", "/", nil)
	bearer(paratest.EmailUser())(r)
	verified, refusal := outer.Check(r)
	if refusal != nil {
		log.Fatal(refusal)
	}
	_, refusal = inner.Check(verified)
	fmt.Println(string(refusal.Code))
	// Output: forbidden
}

func ExampleFromHeader() {
	option := middleware.TokenFrom(middleware.FromHeader("X-Para-Token"))

	ask("one token:", func(r *http.Request) {
		r.Header.Set("X-Para-Token", shared().Token(paratest.EmailUser()))
	}, option)
	ask("two tokens:", func(r *http.Request) {
		r.Header.Add("X-Para-Token", shared().Token(paratest.EmailUser()))
		r.Header.Add("X-Para-Token", shared().Token(paratest.EmailUser()))
	}, option)
	// Output:
	// one token: 200
	// two tokens: 401
}

// A server fetches the keys before its first request, and starts even if Para
// is down.
func ExampleValidator_Warm() {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{shared().APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := validator.Warm(ctx); err != nil {
		log.Print(err) // fetching continues in the background
	}
	fmt.Println("ready:", validator.Status().Usable)
	// Output: ready: true
}

// The text of an error is for logs. Public returns an error whose text may be
// sent to the client.
func ExampleError() {
	validator, err := middleware.New(middleware.Config{
		Environment: shared().Environment(),
		APIKeyIDs:   []string{"another-app"},
		Now:         func() time.Time { return noon },
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	_, err = validator.Validate(context.Background(), shared().Token(paratest.EmailUser()))
	var refusal *middleware.Error
	if errors.As(err, &refusal) {
		fmt.Println(string(refusal.Code), refusal.Check, refusal.Signed)
		fmt.Println(refusal.Hint)
		fmt.Println(refusal.Public())
	}
	// Output:
	// audience audience true
	// its aud is ["a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"], which is not in APIKeyIDs
	// Unauthorized
}
