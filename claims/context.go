package claims

import (
	"context"

	"github.com/parajwt/parajwt/internal/userctx"
)

// NewContext returns a context that carries a copy of user, or no user if user
// is nil. Handlers do not need it: the adapters put the user into the context
// of each request. It is for adapters to other transports and for tests.
func NewContext(ctx context.Context, user *Claims) context.Context {
	if user != nil {
		mine := new(Claims)
		user.CopyTo(mine)
		user = mine
	}
	return context.WithValue(ctx, userctx.Key{}, user)
}

// FromContext returns the verified user of a request. It reports false if the
// request is anonymous, which [middleware.Optional] allows, or if no adapter
// guards the handler. The user is then nil.
//
// Each call returns a copy that belongs to the caller. Two calls, also from two
// goroutines, share nothing that either could change. The copy takes some 100
// ns and one allocation, or two if the compiler cannot keep it on the caller's
// stack.
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
	user, _ := ctx.Value(userctx.Key{}).(*Claims)
	if user == nil {
		return false
	}
	user.CopyTo(dst)
	return true
}
