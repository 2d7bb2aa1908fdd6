package claims

import (
	"context"

	"github.com/parajwt/parajwt/internal/userctx"
)

// NewContext returns a context that carries user. Handlers do not need it: the
// adapters put the user into the context of each request. It is for adapters
// to other transports and for tests.
func NewContext(ctx context.Context, user *Claims) context.Context {
	return context.WithValue(ctx, userctx.Key{}, user)
}

// FromContext returns the verified user of a request. It reports false if the
// request is anonymous, which [middleware.Optional] allows, or if no adapter
// guards the handler.
//
// The context key is not exported. Nothing that a client sends or that another
// package stores in the context is taken for a user.
//
// [middleware.Optional]:
// https://pkg.go.dev/github.com/parajwt/parajwt/middleware#Optional
func FromContext(ctx context.Context) (*Claims, bool) {
	user, ok := ctx.Value(userctx.Key{}).(*Claims)
	return user, ok && user != nil
}
