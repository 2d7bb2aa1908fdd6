package claims

import (
	"context"

	"github.com/parajwt/parajwt/internal/userctx"
)

// carried is the value of userctx.Key.
type carried = userctx.User[Claims, Wallet]

// NewContext returns a context that carries a copy of user, or no user if user
// is nil. Handlers do not need it: the adapters put the user into the context
// of each request. It is for adapters to other transports and for tests.
func NewContext(ctx context.Context, user *Claims) context.Context {
	var c *carried
	if user != nil {
		c = &carried{Claims: new(Claims)}
		user.CopyTo(c.Claims)
	}
	return context.WithValue(ctx, userctx.Key{}, c)
}

// FromContext returns the verified user of a request. It reports false if the
// request is anonymous, which [middleware.Optional] allows, or if no adapter
// guards the handler. The user is then nil.
//
// The user is a copy, as the comment of [Claims] describes. It costs no
// allocation if the handler only reads it.
//
// The context key is not exported. Nothing that a client sends or that another
// package stores in the context is taken for a user.
//
// [middleware.Optional]:
// https://pkg.go.dev/github.com/parajwt/parajwt/middleware#Optional
func FromContext(ctx context.Context) (*Claims, bool) {
	user := new(Claims)
	if !copyFrom(ctx, user) {
		return nil, false
	}
	return user, true
}

// copyFrom copies the user of ctx to dst. It is separate so that the compiler
// inlines FromContext. The copy is then on the stack of a handler that does not
// pass it on.
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
