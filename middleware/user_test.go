package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// userOf returns the user that a guard puts into a request's context.
func userOf(t *testing.T, g *middleware.Guard, token string) *claims.Claims {
	t.Helper()
	r, refusal := g.Check(request(token))
	if refusal != nil {
		t.Fatal(refusal)
	}
	user, ok := claims.FromContext(r.Context())
	if !ok {
		t.Fatal("the context has no user")
	}
	return user
}

// spoil writes to every part of a user that a handler can reach.
func spoil(user *claims.Claims) {
	later := noon.Add(1000 * time.Hour)
	user.UserID, user.Subject, user.TokenID, user.KeyID = "x", "x", "x", "x"
	user.ExpiresAt, user.IssuedAt, user.NotBefore = later, later, time.Time{}
	user.Environment, user.AuthType = "x", "x"
	for i := range user.Wallets {
		user.Wallets[i].Address = "0xspoiled"
	}
	for i := range user.ConnectedWallets {
		user.ConnectedWallets[i].Address = "0xspoiled"
	}
	for i := range user.Audience {
		user.Audience[i] = "x"
	}
}

// TestRequestsDoNotShareAUser checks that a handler's changes to its user do
// not reach another request, whether or not the token is cached.
func TestRequestsDoNotShareAUser(t *testing.T) {
	wallets := func(n int) []claims.Wallet {
		all := make([]claims.Wallet, n)
		for i := range all {
			all[i] = claims.Wallet{ID: fmt.Sprint(i), Type: claims.WalletEVM,
				Address: fmt.Sprint("0x", i)}
		}
		return all
	}
	for name, change := range map[string]func(*claims.Claims){
		"as documented": func(*claims.Claims) {},
		"no wallet":     func(c *claims.Claims) { c.Wallets = wallets(0) },
		"one wallet":    func(c *claims.Claims) { c.Wallets = wallets(1) },
		"two wallets":   func(c *claims.Claims) { c.Wallets = wallets(2) },
		"three wallets": func(c *claims.Claims) { c.Wallets = wallets(3) },
		"a connected wallet": func(c *claims.Claims) {
			c.ConnectedWallets = []claims.ConnectedWallet{{Type: claims.WalletEVM, Address: "0xc"}}
		},
	} {
		for _, cacheSize := range []int{0, -1} {
			t.Run(fmt.Sprint(name, ", cache ", cacheSize), func(t *testing.T) {
				v := newValidator(t, middleware.Config{CacheSize: cacheSize})
				guard := middleware.Require(v)
				person := paratest.EmailUser()
				change(person)
				token := shared().Token(person)
				var want claims.Claims
				accepts(t, v, token).CopyTo(&want)
				for range 3 {
					user := userOf(t, guard, token)
					if !reflect.DeepEqual(*user, want) {
						t.Fatalf("got %v with %#v, want %#v", user, user.Wallets, want.Wallets)
					}
					spoil(user)
				}
				mine, refusal := guard.CheckToken(t.Context(), token)
				if refusal != nil || !reflect.DeepEqual(*mine, want) {
					t.Fatalf("CheckToken: got %v, %v", mine, refusal)
				}
				spoil(mine)
				if user := accepts(t, v, token); !reflect.DeepEqual(*user, want) {
					t.Error("Validate returns a user that a handler changed")
				}
			})
		}
	}
}

// TestNullWalletsStayNil checks that a copy of a user has nil wallets if the
// token's are null, and an empty slice if the token's are empty.
func TestNullWalletsStayNil(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	for _, wallets := range [][]claims.Wallet{nil, {}} {
		token := shared().Token(paratest.EmailUser(), paratest.WithData("wallets", wallets))
		user := userOf(t, middleware.Require(v), token)
		if !reflect.DeepEqual(user.Wallets, wallets) {
			t.Errorf("got %#v, want %#v", user.Wallets, wallets)
		}
	}
}

// TestUserOfTokenVerifierIsCopied checks that requests get copies of a
// TokenVerifier's user, which it may share between requests.
func TestUserOfTokenVerifierIsCopied(t *testing.T) {
	answer := &claims.Claims{AuthType: claims.AuthEmail, Identifier: "a@example.com",
		Wallets: []claims.Wallet{{Address: "0xa"}}}
	from := func(*http.Request) (string, error) { return "x", nil }
	guard := middleware.Require(newValidator(t, middleware.Config{}),
		middleware.AcceptVerificationTokensWithoutUserID(both{answer, nil}, from))
	user := userOf(t, guard, "")
	if user == answer || user.Identifier != "a@example.com" {
		t.Fatalf("got %p %v", user, user.Identifier)
	}
	spoil(user)
	if answer.UserID != "" || answer.Wallets[0].Address != "0xa" {
		t.Error("a handler changed the verifier's user")
	}
}

// TestChangedUserDoesNotAffectValidation checks that a change of a user does
// not make a token valid. This includes the shared user that Validate returns.
func TestChangedUserDoesNotAffectValidation(t *testing.T) {
	for name, change := range map[string]struct {
		at   time.Duration
		out  bool
		want middleware.Code
	}{
		"it expires":          {31 * time.Minute, false, middleware.ErrExpired},
		"it is revoked":       {0, true, middleware.ErrRevoked},
		"it is not yet valid": {-time.Minute, false, middleware.ErrNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			clock, out := newClock(), false
			v := newValidator(t, middleware.Config{Now: clock.Now,
				Revoked: func(_ context.Context, user *claims.Claims, _ time.Time) (bool, error) {
					return out && user.UserID == paratest.UserID, nil
				}})
			token := shared().Token(paratest.EmailUser())
			user := userOf(t, middleware.Require(v), token)
			sharedUser := accepts(t, v, token)
			for _, c := range []*claims.Claims{user, sharedUser} {
				spoil(c)
			}
			clock.Advance(change.at)
			out = change.out
			refuses(t, v, token, change.want)
			for _, c := range []*claims.Claims{user, sharedUser} {
				if err := v.Recheck(t.Context(), c); err == nil {
					t.Error("Recheck returns nil")
				}
			}
		})
	}
}

// TestPrintedContextHasNoClaims checks that printing a context with a user
// shows no claims.
func TestPrintedContextHasNoClaims(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	token := shared().Token(paratest.EmailUser())
	r, refusal := middleware.Require(v).Check(request(token))
	if refusal != nil {
		t.Fatal(refusal)
	}
	type key struct{}
	ctx := context.WithValue(r.Context(), key{}, "value")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, c := range []context.Context{ctx, r.Context()} {
			if text := fmt.Sprintf(format, c); strings.Contains(text, "example.com") ||
				strings.Contains(text, paratest.UserID) {
				t.Errorf("%s: %s", format, text)
			}
		}
	}
}

// TestMaxTokenLife checks that a token whose exp is too long after its iat is
// refused, although it has not expired.
func TestMaxTokenLife(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		max, life time.Duration
		ok        bool
	}{
		{0, 30 * day, true},
		{0, 31 * day, true},
		{0, 31*day + time.Second, false},
		{0, 90 * day, false},
		{90 * day, 90 * day, true},
		{time.Hour, 30 * time.Minute, true},
		{29 * time.Minute, 30 * time.Minute, false},
	} {
		v := newValidator(t, middleware.Config{MaxTokenLife: test.max})
		token := shared().Token(paratest.EmailUser(), paratest.Lived(0, test.life))
		if test.ok {
			accepts(t, v, token)
		} else if refusal := refuses(t, v, token, middleware.ErrClaims); !refusal.Signed ||
			refusal.Check != middleware.CheckClaims {
			t.Errorf("got %#v", refusal)
		}
	}
}
