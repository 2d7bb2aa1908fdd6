package claims_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/parajwt/parajwt/claims"
)

type anotherKey struct{}

// TestFromContextReturnsTheUserOfNewContext checks that the innermost user
// wins.
func TestFromContextReturnsTheUserOfNewContext(t *testing.T) {
	ctx := claims.NewContext(t.Context(), &claims.Claims{UserID: "user"})
	inner, cancel := context.WithCancel(context.WithValue(ctx, anotherKey{}, "value"))
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"the context":         {ctx, "user"},
		"a derived context":   {inner, "user"},
		"a second NewContext": {claims.NewContext(ctx, &claims.Claims{UserID: "other"}), "other"},
	} {
		if got, ok := claims.FromContext(test.ctx); !ok || got.UserID != test.want {
			t.Errorf("%s: got %v, %v", name, got, ok)
		}
	}
}

// TestCopiesShareNothing checks that a change of a user reaches no other copy:
// not those of FromContext, NewContext and CopyTo.
func TestCopiesShareNothing(t *testing.T) {
	for name, user := range map[string]claims.Claims{
		"nothing": {},
		"one of each": {UserID: "u", Audience: []string{"a"}, Wallets: make([]claims.Wallet, 1),
			ConnectedWallets: make([]claims.ConnectedWallet, 1)},
		"two wallets":   {Audience: []string{"a"}, Wallets: make([]claims.Wallet, 2)},
		"no wallets":    {Audience: []string{"a"}, Wallets: []claims.Wallet{}},
		"three wallets": {Audience: []string{"a"}, Wallets: make([]claims.Wallet, 3)},
		"two audiences": {Audience: []string{"a", "b"}, Wallets: make([]claims.Wallet, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			var original claims.Claims
			user.CopyTo(&original)
			ctx := claims.NewContext(t.Context(), &user)
			for range 3 {
				got, ok := claims.FromContext(ctx)
				if !ok || !reflect.DeepEqual(*got, original) {
					t.Fatalf("got %#v, want %#v", got.Wallets, original.Wallets)
				}
				for _, c := range []*claims.Claims{got, &user} {
					c.UserID = "spoiled"
					c.Audience = spoil(c.Audience, "spoiled")
					c.Wallets = spoil(c.Wallets, claims.Wallet{ID: "spoiled"})
					c.ConnectedWallets = spoil(c.ConnectedWallets, claims.ConnectedWallet{ID: "spoiled"})
				}
			}
		})
	}
}

// spoil overwrites every element of s, and appends one.
func spoil[T any](s []T, with T) []T {
	for i := range s {
		s[i] = with
	}
	return append(s, with)
}

// TestFromContextCopiesToTheStack checks that a handler which reads the user
// causes one allocation, for the slices.
func TestFromContextCopiesToTheStack(t *testing.T) {
	ctx := claims.NewContext(t.Context(), read(t, documented(t, "email_google")))
	owns := false
	n := testing.AllocsPerRun(100, func() {
		user, ok := claims.FromContext(ctx)
		owns = ok && user.UserID != "" && user.OwnsAddress(user.Wallets[1].Address)
	})
	if !owns || n > 1 {
		t.Errorf("%v allocations; owned: %v", n, owns)
	}
}

func TestFromContextWithoutAUser(t *testing.T) {
	user := &claims.Claims{UserID: "user"}
	type Key struct{} // has the name of the real key
	with := func(key, value any) context.Context {
		return context.WithValue(t.Context(), key, value)
	}
	for name, ctx := range map[string]context.Context{
		"nobody":                     t.Context(),
		"a nil user":                 claims.NewContext(t.Context(), nil),
		"a nil user hides an outer":  claims.NewContext(claims.NewContext(t.Context(), user), nil),
		"a string key":               with("user", user),
		"the key's name as a string": with("Key", user),
		"the key printed":            with("userctx.Key{}", user),
		"a key that looks the same":  with(Key{}, user),
		"an empty struct":            with(struct{}{}, user),
		"an empty string":            with("", user),
	} {
		if got, ok := claims.FromContext(ctx); ok || got != nil {
			t.Errorf("%s: got %v, %v, want nobody", name, got, ok)
		}
	}
}
