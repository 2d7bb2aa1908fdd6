package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func TestRecheck(t *testing.T) {
	type lab struct {
		para  *paratest.Para
		clock *testkit.Clock
		out   error // nil: not revoked; errOut: revoked
	}
	errOut := errors.New("revoked")
	for _, test := range []struct {
		name   string
		change func(*lab)
		want   error
	}{
		{"nothing changes", func(*lab) {}, nil},
		{"just before it expires", func(l *lab) {
			l.clock.Advance(30*time.Minute +
				29*time.Second)
		}, nil},
		{"it expires", func(l *lab) { l.clock.Advance(30*time.Minute + 30*time.Second) },
			middleware.ErrExpired},
		{"it is revoked", func(l *lab) { l.out = errOut }, middleware.ErrRevoked},
		{"revocation is unknown", func(l *lab) { l.out = errors.New("down") },
			middleware.ErrRevocationUnknown},
		{"its key is withdrawn", func(l *lab) {
			l.para.Withdraw(l.para.KeyIDs()...)
			l.para.Rotate()
			l.clock.Advance(6 * time.Minute)
		}, middleware.ErrUnknownKey},
		{"another key is rotated in", func(l *lab) {
			l.para.Rotate()
			l.clock.Advance(6 * time.Minute)
		}, nil},
		{"Para is down", func(l *lab) { l.para.Down(); l.clock.Advance(20 * time.Minute) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &lab{clock: newClock()}
			l.para = paratest.New(t, paratest.Config{Now: l.clock.Now})
			events := 0
			v := newValidator(t, middleware.Config{Environment: l.para.Environment(),
				Now:     l.clock.Now,
				Observe: func(context.Context, middleware.Event) { events++ },
				Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) {
					if l.out == errOut {
						return true, nil
					}
					return false, l.out
				}})
			user := userOf(t, middleware.Require(v), l.para.Token(paratest.EmailUser()))
			before := events
			test.change(l)
			err := v.Recheck(t.Context(), user)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			var refusal *middleware.Error
			if err != nil && !errors.As(err, &refusal) {
				t.Errorf("got %T", err)
			}
			if events != before {
				t.Error("Recheck reports an event")
			}
		})
	}
}

// TestRecheckNeedsAUserOfThisValidator checks that any other user is a
// misconfiguration.
func TestRecheckNeedsAUserOfThisValidator(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	token := shared().Token(paratest.EmailUser())
	user := userOf(t, middleware.Require(v), token)
	if err := v.Recheck(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	byHand := *user
	rebuilt := &claims.Claims{UserID: user.UserID, KeyID: user.KeyID, TokenID: user.TokenID,
		Environment: user.Environment, ExpiresAt: user.ExpiresAt, IssuedAt: user.IssuedAt}
	payload, err := claims.FromVerifiedPayload(goodPayload, claims.Token{})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newValidator(t, middleware.Config{
		Environment: jwks.Environment{Name: "elsewhere", URL: shared().Environment().URL}})
	for name, test := range map[string]struct {
		v    *middleware.Validator
		user *claims.Claims
		want error
	}{
		"a copy of the struct":      {v, &byHand, nil},
		"nil":                       {v, nil, middleware.ErrMisconfigured},
		"made by hand":              {v, rebuilt, middleware.ErrMisconfigured},
		"empty":                     {v, new(claims.Claims), middleware.ErrMisconfigured},
		"a payload without a token": {v, payload, middleware.ErrMisconfigured},
		"another environment's":     {elsewhere, user, middleware.ErrMisconfigured},
		"another app's validator": {newValidator(t,
			middleware.Config{APIKeyIDs: []string{"other"}}),
			user, middleware.ErrAudience},
	} {
		if err := test.v.Recheck(t.Context(), test.user); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// TestRecheckAfterKeyIsReplaced checks that Recheck refuses a user whose key
// was replaced by another key with the same ID.
func TestRecheckAfterKeyIsReplaced(t *testing.T) {
	clock := newClock()
	before, after := testkit.EC(0).Named("one"), testkit.EC(1).Named("one")
	var current atomic.Pointer[testkit.Signer]
	current.Store(&before)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, testkit.SetOf(*current.Load()))
	}))
	defer server.Close()
	v := newValidator(t, middleware.Config{Environment: jwks.Environment{URL: server.URL},
		Now: clock.Now})
	user := accepts(t, v, sign(before))
	if err := v.Recheck(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	current.Store(&after)
	clock.Advance(6 * time.Minute)
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Recheck(t.Context(), user); !errors.Is(err, middleware.ErrUnknownKey) {
		t.Errorf("got %v", err)
	}
}

// TestRecheckUsesTheClaimsThatParaSigned checks that changes of a user neither
// prolong its token, nor undo a revocation, nor get a valid user refused.
func TestRecheckUsesTheClaimsThatParaSigned(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*claims.Claims)
		later  time.Duration
		want   middleware.Code // "" means that Recheck returns nil
	}{
		{"unchanged", func(*claims.Claims) {}, 0, ""},
		{"an earlier exp",
			func(u *claims.Claims) { u.ExpiresAt = noon.Add(-time.Hour) }, 0, ""},
		{"a later iat", func(u *claims.Claims) { u.IssuedAt = noon.Add(time.Hour) }, 0, ""},
		{"another aud", func(u *claims.Claims) { u.Audience = []string{"x"} }, 0, ""},
		{"another key", func(u *claims.Claims) { u.KeyID = "x" }, 0, ""},
		{"another environment", func(u *claims.Claims) { u.Environment = "x" }, 0, ""},
		{"a later exp", func(u *claims.Claims) { u.ExpiresAt = noon.Add(24 * time.Hour) },
			time.Hour, middleware.ErrExpired},
		{"another user", func(u *claims.Claims) { u.UserID, u.Subject = "x", "x" },
			2 * time.Minute, middleware.ErrRevoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newClock()
			v := newValidator(t, middleware.Config{Now: clock.Now,
				Revoked: func(_ context.Context, u *claims.Claims, now time.Time) (bool, error) {
					return u.UserID == paratest.UserID && !now.Before(noon.Add(time.Minute)), nil
				}})
			token := shared().Token(paratest.EmailUser())
			for _, user := range []*claims.Claims{
				userOf(t, middleware.Require(v), token), accepts(t, v, token),
			} {
				test.change(user)
				clock.Set(noon.Add(test.later))
				err := v.Recheck(t.Context(), user)
				clock.Set(noon)
				var refusal *middleware.Error
				if test.want == "" && err != nil ||
					test.want != "" && (!errors.As(err, &refusal) || refusal.Code != test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			}
		})
	}
}
