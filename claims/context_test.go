package claims_test

import (
	"context"
	"testing"

	"github.com/parajwt/parajwt/claims"
)

type anotherKey struct{}

func TestFromContextReturnsTheUserThatNewContextStored(t *testing.T) {
	user, other := &claims.Claims{UserID: "user"}, &claims.Claims{UserID: "other"}
	ctx := claims.NewContext(t.Context(), user)
	if got, ok := claims.FromContext(ctx); got != user || !ok {
		t.Errorf("got %v, %v", got, ok)
	}
	inner, cancel := context.WithCancel(context.WithValue(ctx, anotherKey{}, "value"))
	cancel()
	if got, ok := claims.FromContext(inner); got != user || !ok {
		t.Errorf("below: got %v, %v", got, ok)
	}
	if got, ok := claims.FromContext(claims.NewContext(ctx, other)); got != other || !ok {
		t.Errorf("the inner user does not win: got %v, %v", got, ok)
	}
	if got, ok := claims.FromContext(ctx); got != user || !ok {
		t.Errorf("the outer context changed: got %v, %v", got, ok)
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
