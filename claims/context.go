package claims

import (
	"context"

	"github.com/parajwt/parajwt/internal/userctx"
)

// carried is the value of userctx.Key.
type carried = userctx.User[Claims, Wallet]

// NewContext returns a context that carries a copy of user, or no user if user
// is nil. Handlers do not need it, because the adapters put the user into the
// context of each request. Use it in adapters to other transports and in tests.
func NewContext(ctx context.Context, user *Claims) context.Context {
	var c *carried
	if user != nil {
		c = &carried{Claims: new(Claims)}
		user.CopyTo(c.Claims)
	}
	return context.WithValue(ctx, userctx.Key{}, c)
}

// FromContext returns the verified user of a request. It returns nil and false
// if the request is anonymous, or if no adapter guards the handler. Optional of
// package [github.com/parajwt/parajwt/middleware] passes anonymous requests.
//
// The user is a copy; see [Claims]. The copy is allocated only if it escapes
// from the handler.
//
// Only [NewContext] and the guards of package middleware store a user in a
// context: the key is not exported.
func FromContext(ctx context.Context) (*Claims, bool) {
	user := new(Claims)
	if !copyFrom(ctx, user) {
		return nil, false
	}
	return user, true
}

// copyFrom copies the user of ctx to dst, and reports whether there is one. It
// is separate so that the compiler inlines FromContext. The copy then stays on
// the stack of the handler unless it escapes.
func copyFrom(ctx context.Context, dst *Claims) bool {
	c, _ := ctx.Value(userctx.Key{}).(*carried)
	if c == nil {
		return false
	}
	*dst = *c.Claims
	if c.InPlace {
		n := len(dst.Wallets)
		dst.Audience, dst.Wallets = c.Audience[:], c.Wallets[:n:n]
	}
	return true
}
