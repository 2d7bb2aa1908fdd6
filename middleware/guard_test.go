package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// Package integration tests the responses of guards over HTTP. This file tests
// logs, errors and the requests that are passed on.

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/here", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// TestRefusalsAreLogged checks that each refusal logs one line with its level
// and reason, and without the token. An accepted request logs nothing.
func TestRefusalsAreLogged(t *testing.T) {
	var log testkit.Log
	var broken error
	v := newValidator(t, middleware.Config{Logger: log.Logger(),
		Revoked: func(_ context.Context, user *claims.Claims, _ time.Time) (bool, error) {
			return user.AuthType == claims.AuthTelegram, broken
		}})
	down := httptest.NewServer(http.NotFoundHandler())
	defer down.Close()
	keyless := newValidator(t, middleware.Config{Environment: jwks.Environment{Name: "down",
		URL: down.URL}, Logger: log.Logger()})
	rule := middleware.Allow(func(_ context.Context, c *claims.Claims) error {
		if c.AuthType == claims.AuthPhone {
			return errors.New("not phones")
		}
		return nil
	})
	sessions := func(answer error) middleware.Option {
		return middleware.AcceptVerificationTokensWithoutUserID(verifier{answer},
			func(*http.Request) (string, error) { return "canary", nil })
	}
	guard, user := middleware.Require(v, rule), paratest.EmailUser()
	token := func(opts ...paratest.TokenOption) string { return shared().Token(user, opts...) }
	for _, test := range []struct {
		guard *middleware.Guard
		token string
		want  middleware.Code
		level string
		cause string
	}{
		{guard, "", middleware.ErrNoToken, "DEBUG", ""},
		{guard, token(paratest.Expired()), middleware.ErrExpired, "DEBUG", ""},
		{guard, shared().Token(paratest.TelegramUser()), middleware.ErrRevoked, "DEBUG", ""},
		{guard, shared().Token(paratest.PhoneUser()), middleware.ErrForbidden, "INFO",
			"not phones"},
		{guard, "junk", middleware.ErrMalformed, "WARN", "three parts"},
		{guard, token(paratest.WithHeader("alg", "none")), middleware.ErrAlgorithm, "WARN",
			`"none" is not on the allow-list`},
		{guard, token(paratest.UnknownKey("x")), middleware.ErrUnknownKey, "WARN", ""},
		{guard, token(paratest.BadSignature()), middleware.ErrSignature, "WARN", ""},
		{guard, token(paratest.Lived(time.Hour, time.Hour)), middleware.ErrNotYetValid, "WARN", ""},
		{guard, token(paratest.ForApp("x")), middleware.ErrAudience, "WARN", ""},
		{guard, token(paratest.With("exp", nil)), middleware.ErrClaims, "WARN", "exp: missing"},
		{middleware.Require(keyless), token(), middleware.ErrKeysUnavailable, "ERROR", "404"},
		{middleware.Require(v, sessions(refusedError{})), "", middleware.ErrSessionExpired, "DEBUG",
			"refused"},
		{middleware.Require(v, sessions(errors.New("no answer"))), "", middleware.ErrSessionUnknown,
			"ERROR", "no answer"},
		{middleware.Require(v, nil), token(), middleware.ErrMisconfigured, "ERROR",
			"an Option is nil"},
	} {
		t.Run(string(test.want), func(t *testing.T) {
			log.Take()
			if r, refusal := test.guard.Check(request(test.token)); r != nil ||
				!errors.Is(refusal, test.want) {
				t.Fatalf("got %v, %v", r, refusal)
			}
			var lines []map[string]any
			for _, line := range log.Take() {
				if line["msg"] == "parajwt: request refused" { // the key cache logs its own events
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				t.Fatalf("%d lines: %v", len(lines), lines)
			}
			refusal, _ := lines[0]["refusal"].(map[string]any)
			cause, _ := refusal["cause"].(string)
			if lines[0]["level"] != test.level || refusal["code"] != string(test.want) ||
				!strings.Contains(cause, test.cause) {
				t.Errorf("logged %v, want %s %q", lines[0], test.level, test.cause)
			}
			if env := lines[0]["environment"]; env != "paratest" && env != "down" {
				t.Errorf("environment %q", env)
			}
			testkit.NoLeak(t, fmt.Sprint(lines[0]), test.token, "canary", "email@example.com")
			documented(t, test.level, test.want)
		})
	}

	t.Run(string(middleware.ErrRevocationUnknown), func(t *testing.T) {
		documented(t, "ERROR", middleware.ErrRevocationUnknown)
		documented(t, "ERROR", middleware.ErrRuleUnavailable)
		broken = errors.New("the store is down")
		defer func() { broken = nil }()
		guard.Check(request(token()))
		lines := log.Take()
		if len(lines) != 1 || lines[0]["level"] != "ERROR" ||
			!strings.Contains(fmt.Sprint(lines[0]["refusal"]), "the store is down") {
			t.Errorf("logged %v", lines)
		}
	})

	if _, refusal := guard.Check(request(token())); refusal != nil {
		t.Fatal(refusal)
	}
	middleware.Optional(v).Check(request(""))
	if lines := log.Take(); len(lines) != 0 {
		t.Errorf("a request that passes is logged: %v", lines)
	}
}

// documented fails the test unless docs/outages.md has a row with the level of
// a code's log line and the status of the response.
func documented(t *testing.T, level string, code middleware.Code) {
	t.Helper()
	page, err := os.ReadFile("../docs/outages.md")
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("(?m)^\\| %s \\|[^|]* `%s`[^|]*\\| %d\\b", level, string(code),
		(&middleware.Error{Code: code}).Status())
	if !regexp.MustCompile(row).Match(page) {
		t.Errorf("docs/outages.md has no row that matches %s", row)
	}
}

// TestDefaultLogger checks that a validator without a Logger, and a guard
// without a validator, log to slog.Default.
func TestDefaultLogger(t *testing.T) {
	var log testkit.Log
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(log.Logger())
	v, err := middleware.New(middleware.Config{Environment: shared().Environment(),
		APIKeyIDs: []string{paratest.APIKeyID}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for environment, guard := range map[string]*middleware.Guard{
		"paratest": middleware.Require(v), "": middleware.Require(nil)} {
		guard.Check(request(""))
		if lines := log.Take(); len(lines) != 1 || lines[0]["environment"] != environment {
			t.Errorf("logged %v", lines)
		}
	}
}

type verifier struct{ answer error }

func (v verifier) VerifyVerificationToken(context.Context, string) (*claims.Claims, error) {
	return nil, v.answer
}

type refusedError struct{}

func (refusedError) Error() string { return "refused" }
func (refusedError) Refused() bool { return true }

// maybe is an error whose Refused method returns false.
type maybe struct{ error }

func (maybe) Refused() bool { return false }

// TestRefusedMeansSessionExpired checks that only an error whose Refused method
// returns true means an expired session. With any other error the session is
// unknown.
func TestRefusedMeansSessionExpired(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	from := func(*http.Request) (string, error) { return "x", nil }
	for _, test := range []struct {
		answer error
		want   middleware.Code
	}{
		{refusedError{}, middleware.ErrSessionExpired},
		{fmt.Errorf("wrapped: %w", refusedError{}), middleware.ErrSessionExpired},
		{maybe{errors.New("no answer")}, middleware.ErrSessionUnknown},
		{errors.New("no answer"), middleware.ErrSessionUnknown},
	} {
		guard := middleware.Require(v,
			middleware.AcceptVerificationTokensWithoutUserID(verifier{test.answer}, from))
		if r, refusal := guard.Check(request("")); r != nil || !errors.Is(refusal, test.want) ||
			refusal.Signed {
			t.Errorf("%v: got %v, want %v", test.answer, refusal, test.want)
		}
	}
}

// TestKeyCacheUsesTheLogger checks that the key cache logs to the validator's
// logger.
func TestKeyCacheUsesTheLogger(t *testing.T) {
	var log testkit.Log
	v := newValidator(t, middleware.Config{Logger: log.Logger()})
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(log.Take()) == 0 {
		t.Error("the key cache logged nothing")
	}
}

// TestUserWithAnErrorIsRefused checks that a request is refused if the
// verifier returns both a user and an error.
func TestUserWithAnErrorIsRefused(t *testing.T) {
	both := both{&claims.Claims{AuthType: claims.AuthEmail}, errors.New("odd")}
	guard := middleware.Require(newValidator(t, middleware.Config{}),
		middleware.AcceptVerificationTokensWithoutUserID(both,
			func(*http.Request) (string, error) { return "x", nil }))
	if r, refusal := guard.Check(request("")); r != nil ||
		!errors.Is(refusal, middleware.ErrSessionUnknown) {
		t.Errorf("got %v, %v", r, refusal)
	}
}

type both struct {
	user *claims.Claims
	err  error
}

func (b both) VerifyVerificationToken(context.Context, string) (*claims.Claims, error) {
	return b.user, b.err
}

// TestCheck checks that Check returns a copy of the request with the user. For
// an anonymous request it returns the request itself.
func TestCheck(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	r := request(shared().Token(paratest.EmailUser()))
	verified, refusal := middleware.Require(v).Check(r)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if user, ok := claims.FromContext(verified.Context()); !ok ||
		user.Email != "email@example.com" || verified == r {
		t.Errorf("got %v, %t", user, ok)
	}
	if _, ok := claims.FromContext(r.Context()); ok {
		t.Error("the request itself was changed")
	}
	r = request("")
	if anonymous, refusal := middleware.Optional(v).Check(r); anonymous != r || refusal != nil {
		t.Errorf("got %v, %v", anonymous, refusal)
	}
}

// TestOptionalInsideAnotherGuard checks that the user of an outer guard is
// anonymous behind an inner guard that found no token. The inner guard's rules
// were not applied to that user.
func TestOptionalInsideAnotherGuard(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	outer, refusal := middleware.Require(v).Check(request(shared().Token(paratest.EmailUser())))
	if refusal != nil {
		t.Fatal(refusal)
	}
	nobody := middleware.Allow(func(_ context.Context, _ *claims.Claims) error {
		return errors.New("nobody")
	})
	inner, refusal := middleware.Optional(v, nobody,
		middleware.TokenFrom(middleware.FromCookie("jwt"))).Check(outer)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if user, ok := claims.FromContext(inner.Context()); ok || user != nil {
		t.Errorf("got %v", user)
	}
	if _, ok := claims.FromContext(outer.Context()); !ok {
		t.Error("the outer request has lost its user")
	}
}

// TestGuardCopiesSlices checks that changing a slice after passing it to a
// guard has no effect on the guard.
func TestGuardCopiesSlices(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	types, chains := []claims.AuthType{claims.AuthPhone}, []claims.WalletType{claims.WalletSui}
	sources := []middleware.TokenSource{middleware.FromHeader("X-Token")}
	rules := []middleware.Rule{func(_ context.Context, _ *claims.Claims) error {
		return errors.New("no")
	}}
	guards := map[string]*middleware.Guard{
		"AuthTypes": middleware.Require(v, middleware.Allow(middleware.AuthTypes(types...))),
		"WalletOf":  middleware.Require(v, middleware.Allow(middleware.WalletOf(chains...))),
		"TokenFrom": middleware.Require(v, middleware.TokenFrom(sources...)),
		"Allow":     middleware.Require(v, middleware.Allow(rules...)),
	}
	types[0], chains[0] = claims.AuthEmail, claims.WalletEVM
	sources[0] = middleware.FromAuthorization()
	rules[0] = func(_ context.Context, _ *claims.Claims) error { return nil }
	for name, guard := range guards {
		if r, refusal := guard.Check(request(shared().Token(paratest.EmailUser()))); r != nil ||
			refusal == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRefuse(t *testing.T) {
	guard := middleware.Require(nil)
	w := httptest.NewRecorder()
	guard.Refuse(w, request(""), &middleware.Error{Code: middleware.ErrExpired, Signed: true,
		KeyID: "kid-canary", Hint: "canary", Cause: errors.New("canary")})
	want := http.Header{
		"Cache-Control":    {"no-store"},
		"Content-Type":     {"application/problem+json"},
		"Www-Authenticate": {`Bearer error="invalid_token", error_description="token expired"`},
	}
	if w.Code != 401 || !reflect.DeepEqual(w.Header(), want) ||
		strings.Contains(w.Body.String(), "canary") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}

	called := false
	guard = middleware.Require(nil, middleware.OnRefusal(func(http.ResponseWriter, *http.Request,
		*middleware.Error) {
		called = true
	}))
	if guard.Refuse(httptest.NewRecorder(), request(""), &middleware.Error{}); !called {
		t.Error("the override was not called")
	}
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2",
		299*time.Second + 1: "300", -time.Hour: "1",
	} {
		for _, code := range []middleware.Code{middleware.ErrKeysUnavailable,
			middleware.ErrRevocationUnknown, middleware.ErrSessionUnknown} {
			_, h, _ := (&middleware.Error{Code: code, RetryAfter: wait}).Answer()
			if got := h.Get("Retry-After"); got != want || h.Get("WWW-Authenticate") != "" {
				t.Errorf("%v: %v becomes %v", code, wait, h)
			}
		}
	}
}

// TestProblemBody checks that the response body is RFC 9457 JSON, and is the
// same for every code with the same status.
func TestProblemBody(t *testing.T) {
	for code, want := range map[middleware.Code]string{
		middleware.ErrExpired:   `{"type":"about:blank","title":"Unauthorized","status":401}`,
		middleware.ErrSignature: `{"type":"about:blank","title":"Unauthorized","status":401}`,
		middleware.ErrForbidden: `{"type":"about:blank","title":"Forbidden","status":403}`,
		middleware.ErrMisconfigured: `{"type":"about:blank",` +
			`"title":"Internal Server Error","status":500}`,
		middleware.ErrKeysUnavailable: `{"type":"about:blank",` +
			`"title":"Service Unavailable","status":503}`,
	} {
		_, _, got := (&middleware.Error{Code: code, Cause: errors.New("canary")}).Answer()
		if string(got) != want+"\n" || !json.Valid(got) {
			t.Errorf("%v: %s", code, got)
		}
	}
}

// TestChallenge checks that a response describes the problem only if Para
// signed the token.
func TestChallenge(t *testing.T) {
	for _, test := range []struct {
		err  middleware.Error
		want string
	}{
		{middleware.Error{Code: middleware.ErrNoToken}, `Bearer`},
		{middleware.Error{Code: middleware.ErrExpired}, `Bearer error="invalid_token"`},
		{middleware.Error{Code: middleware.ErrExpired, Signed: true},
			`Bearer error="invalid_token", error_description="token expired"`},
		{middleware.Error{Code: middleware.ErrForbidden, Signed: true},
			`Bearer error="insufficient_scope"`},
		{middleware.Error{Code: middleware.ErrKeysUnavailable, Signed: true}, ``},
		{middleware.Error{Code: middleware.ErrMisconfigured, Signed: true}, ``},
	} {
		_, header, _ := test.err.Answer()
		if got := header.Get("WWW-Authenticate"); got != test.want {
			t.Errorf("%s, signed %t: got %s", test.err.Code, test.err.Signed, got)
		}
	}
}

func TestErrorString(t *testing.T) {
	for _, test := range []struct {
		err  *middleware.Error
		want string
	}{
		{&middleware.Error{Code: middleware.ErrNoToken}, "parajwt: no token"},
		{&middleware.Error{Code: middleware.ErrUnknownKey, KeyID: "a\nb\"", Hint: "look there"},
			`parajwt: unknown key (kid "a\nb\""); look there`},
		{&middleware.Error{Code: middleware.ErrClaims, KeyID: "k", Cause: errors.New("why"),
			Hint: "look there"}, `parajwt: unacceptable claims (kid "k"): why; look there`},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestLogValue(t *testing.T) {
	err := &middleware.Error{
		Code: middleware.ErrClaims, Check: middleware.CheckClaims, KeyID: "k", Signed: true,
		RetryAfter: time.Second, Hint: "look there", Cause: errors.New("why"),
	}
	for _, test := range []struct {
		err  *middleware.Error
		want string
	}{
		{err, "[code=claims check=claims kid=k cause=why hint=look there]"},
		{&middleware.Error{Code: middleware.ErrNoToken}, "[code=no_token]"},
	} {
		if got := test.err.LogValue().String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// TestPrintedValidatorHasNoUser checks that printing a value that contains a
// validator shows no cached token and no user.
func TestPrintedValidatorHasNoUser(t *testing.T) {
	user := paratest.EmailUser()
	user.UserID = "canary-user"
	token := shared().Token(user)
	v := newValidator(t, middleware.Config{})
	accepts(t, v, token)
	guard := middleware.Require(v)
	r, refusal := guard.Check(request(token))
	if refusal != nil {
		t.Fatal(refusal)
	}
	type holder struct {
		V      *middleware.Validator
		v      *middleware.Validator
		Guards []*middleware.Guard
		Any    any
		Config middleware.Config
	}
	h := holder{v, v, []*middleware.Guard{guard}, v,
		middleware.Config{APIKeyIDs: []string{"x"}, CacheSize: 1}}
	for _, x := range []any{v, guard, h, &h, []any{v, guard}, map[string]*middleware.Validator{
		"v": v}, v.Status()} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := fmt.Sprintf(format, x)
			testkit.NoLeak(t, text, token, "canary", "email@example.com")
			if strings.Contains(text, fmt.Sprintf("%x", "canary")) {
				t.Errorf("%T as %s shows a user", x, format)
			}
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, v); got != "parajwt validator for paratest" {
			t.Errorf("%s: %s", format, got)
		}
	}
	var log testkit.Log
	log.Logger().Info("x", "validator", v, "guard", guard, "holder", h)
	testkit.NoLeak(t, fmt.Sprint(log.Take()), token, "canary", "email@example.com")
	if _, ok := claims.FromContext(r.Context()); !ok {
		t.Error("no user")
	}
}

// TestCheckTokenRefusesWhatCheckRefuses checks that both refuse a token with
// the same code. Validation keeps the user of some of these tokens, for
// ExpiredIsAnonymous.
func TestCheckTokenRefusesWhatCheckRefuses(t *testing.T) {
	para := shared()
	user := paratest.EmailUser()
	revoked := paratest.PhoneUser()
	revoked.UserID = "revoked"
	v := newValidator(t, middleware.Config{MaxTokenAge: time.Hour,
		Revoked: func(_ context.Context, user *claims.Claims, _ time.Time) (bool, error) {
			return user.UserID == "revoked", nil
		}})
	guards := map[string]*middleware.Guard{
		"Require":             middleware.Require(v),
		"Require, with rules": middleware.Require(v, middleware.Allow(yes)),
		"Optional":            middleware.Optional(v, middleware.Allow(yes)),
	}
	for name, test := range map[string]struct {
		token string
		want  error // nil means that the token is accepted
	}{
		"good":    {para.Token(user), nil},
		"expired": {para.Token(user, paratest.Expired()), middleware.ErrExpired},
		"too old": {para.Token(user, paratest.Lived(-2*time.Hour, 4*time.Hour)),
			middleware.ErrExpired},
		"too early": {para.Token(user, paratest.Lived(time.Minute, time.Hour)),
			middleware.ErrNotYetValid},
		"revoked":   {para.Token(revoked), middleware.ErrRevoked},
		"other app": {para.Token(user, paratest.ForApp("another")), middleware.ErrAudience},
		"forged":    {para.Token(user, paratest.BadSignature()), middleware.ErrSignature},
		"junk":      {"junk", middleware.ErrMalformed},
	} {
		for kind, guard := range guards {
			for _, cached := range []bool{false, true} {
				user, byToken := guard.CheckToken(t.Context(), test.token)
				r, byRequest := guard.Check(request(test.token))
				if test.want == nil {
					if byToken != nil || byRequest != nil || user == nil || r == nil {
						t.Errorf("%s, %s, cached %t: got %v, %v", name, kind, cached, byToken,
							byRequest)
					}
					continue
				}
				if user != nil || r != nil || !errors.Is(byToken, test.want) ||
					!errors.Is(byRequest, test.want) {
					t.Errorf("%s, %s, cached %t: CheckToken returns %v, %v, Check %v; want %v",
						name, kind, cached, user, byToken, byRequest, test.want)
				}
			}
		}
	}
}
