package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestObserve checks that each verdict produces one event, with its code, its
// check and whether the token was cached.
func TestObserve(t *testing.T) {
	var events []middleware.Event
	var out bool
	v := newValidator(t, middleware.Config{
		Observe: func(_ context.Context, e middleware.Event) { events = append(events, e) },
		Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) { return out, nil },
	})
	user := paratest.EmailUser()
	token := func(opts ...paratest.TokenOption) string { return shared().Token(user, opts...) }
	good := token()
	no := middleware.Allow(func(context.Context, *claims.Claims) error { return errors.New("no") })
	from := func(*http.Request) (string, error) { return "x", nil }
	sessions := func(v middleware.TokenVerifier) middleware.Option {
		return middleware.AcceptVerificationTokensWithoutUserID(v, from)
	}
	check := func(g *middleware.Guard, token string) func() {
		return func() { g.Check(request(token)) }
	}
	checkToken := func(g *middleware.Guard, token string) func() {
		return func() { g.CheckToken(t.Context(), token) }
	}
	validate := func(token string) func() { return func() { v.Validate(t.Context(), token) } }
	require, optional := middleware.Require(v), middleware.Optional(v)
	event := func(code middleware.Code, check middleware.Check, cached bool) []middleware.Event {
		return []middleware.Event{{Code: code, Check: check, Cached: cached,
			Environment: "paratest"}}
	}
	for _, test := range []struct {
		name string
		do   func()
		want []middleware.Event
	}{
		{"first sight", validate(good), event("", "", false)},
		{"repeat", validate(good), event("", "", true)},
		{"guard", check(require, good), event("", "", true)},
		{"CheckToken", checkToken(require, good), event("", "", true)},
		{"no token", check(require, ""), event("no_token", "", false)},
		{"no token, CheckToken", checkToken(require, ""), event("no_token", "", false)},
		{"no token, Validate", validate(""), event("no_token", "", false)},
		{"anonymous", check(optional, ""), nil},
		{"anonymous, CheckToken", checkToken(optional, ""), nil},
		{"junk", check(optional, "junk"), event("malformed", "form", false)},
		{"two tokens", check(require, "a b"), event("malformed", "form", false)},
		{"alg none", validate(token(paratest.WithHeader("alg", "none"))),
			event("algorithm", "header", false)},
		{"no kid", validate(token(paratest.WithHeader("kid", nil))),
			event("malformed", "header", false)},
		{"key's alg", validate(token(paratest.WithHeader("alg", "ES256"))),
			event("algorithm", "key", false)},
		{"unknown key", validate(token(paratest.UnknownKey("x"))),
			event("unknown_key", "key", false)},
		{"signature", validate(token(paratest.BadSignature())),
			event("signature", "signature", false)},
		{"payload", validate(token(paratest.With("EXP", 1))), event("malformed", "claims", false)},
		{"claims", validate(token(paratest.With("exp", nil))), event("claims", "claims", false)},
		{"audience", validate(token(paratest.ForApp("x"))), event("audience", "audience", false)},
		{"no aud", validate(token(paratest.With("aud", nil))),
			event("audience", "audience", false)},
		{"expired", validate(token(paratest.Expired())), event("expired", "time", false)},
		{"revoked", func() { out = true; v.Validate(t.Context(), good); out = false },
			event("revoked", "revocation", true)},
		{"rule", check(middleware.Require(v, no), good), event("forbidden", "rule", true)},
		{"expired and anonymous", check(middleware.Optional(v, middleware.ExpiredIsAnonymous()),
			token(paratest.Expired())), event("expired", "time", true)},
		{"expired and anonymous, CheckToken",
			checkToken(middleware.Optional(v, middleware.ExpiredIsAnonymous()),
				token(paratest.Expired())), event("expired", "time", true)},
		{"session", check(middleware.Require(v, sessions(both{&claims.Claims{}, nil})), ""),
			event("", "", false)},
		{"session over", check(middleware.Require(v, sessions(verifier{refusedError{}})), ""),
			event("session_expired", "revocation", false)},
		{"session unknown", check(middleware.Require(v, sessions(verifier{errors.New("x")})), ""),
			event("session_unknown", "", false)},
		{"misconfigured", check(middleware.Require(v, nil), good),
			event("misconfigured", "", false)},
	} {
		events = nil
		test.do()
		if !slices.Equal(events, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, events, test.want)
		}
	}
}
