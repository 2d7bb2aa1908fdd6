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

var usersToCopy = map[string]claims.Claims{
	"nothing": {},
	"one of each": {UserID: "u", Audience: []string{"a"}, Wallets: make([]claims.Wallet, 1),
		ConnectedWallets: make([]claims.ConnectedWallet, 1)},
	"two wallets":   {Audience: []string{"a"}, Wallets: make([]claims.Wallet, 2)},
	"no wallets":    {Audience: []string{"a"}, Wallets: []claims.Wallet{}},
	"three wallets": {Audience: []string{"a"}, Wallets: make([]claims.Wallet, 3)},
	"two audiences": {Audience: []string{"a", "b"}, Wallets: make([]claims.Wallet, 1)},
}

// TestCopyToAndNewContextCopyTheUser checks that a change of a user does not
// change the copies of CopyTo and NewContext.
func TestCopyToAndNewContextCopyTheUser(t *testing.T) {
	for name, user := range usersToCopy {
		t.Run(name, func(t *testing.T) {
			var first, second claims.Claims
			user.CopyTo(&first)
			ctx := claims.NewContext(t.Context(), &first)
			first.CopyTo(&second)
			spoil(&first)
			if !reflect.DeepEqual(second, user) {
				t.Errorf("CopyTo: got %#v, want %#v", second.Wallets, user.Wallets)
			}
			if got, ok := claims.FromContext(ctx); !ok || !reflect.DeepEqual(*got, user) {
				t.Errorf("NewContext: got %#v, want %#v", got.Wallets, user.Wallets)
			}
		})
	}
}

// TestFromContextReturnsACopy checks that a change of a field, and an append to
// a slice, do not affect the result of a later call.
func TestFromContextReturnsACopy(t *testing.T) {
	for name, user := range usersToCopy {
		t.Run(name, func(t *testing.T) {
			ctx := claims.NewContext(t.Context(), &user)
			got, _ := claims.FromContext(ctx)
			got.UserID = "spoiled"
			got.Audience = append(got.Audience, "spoiled")
			got.Wallets = append(got.Wallets, claims.Wallet{ID: "spoiled"})
			if got, ok := claims.FromContext(ctx); !ok || !reflect.DeepEqual(*got, user) {
				t.Errorf("got %#v, want %#v", got.Wallets, user.Wallets)
			}
		})
	}
}

// spoil changes every slice of a user, and a field.
func spoil(c *claims.Claims) {
	c.UserID = "spoiled"
	c.Audience = overwrite(c.Audience, "spoiled")
	c.Wallets = overwrite(c.Wallets, claims.Wallet{ID: "spoiled"})
	c.ConnectedWallets = overwrite(c.ConnectedWallets, claims.ConnectedWallet{ID: "spoiled"})
}

// overwrite replaces every element of s, and appends one.
func overwrite[T any](s []T, with T) []T {
	for i := range s {
		s[i] = with
	}
	return append(s, with)
}

// TestFromContextAllocatesNothing checks that the copy is not allocated if it
// does not escape from the handler.
func TestFromContextAllocatesNothing(t *testing.T) {
	ctx := claims.NewContext(t.Context(), read(t, documented(t, "email_google")))
	owns := false
	n := testing.AllocsPerRun(100, func() {
		user, ok := claims.FromContext(ctx)
		owns = ok && user.UserID != "" && user.OwnsAddress(user.Wallets[1].Address)
	})
	if !owns || n > 0 {
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
		"no user":                    t.Context(),
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
			t.Errorf("%s: got %v, %v, want no user", name, got, ok)
		}
	}
}
