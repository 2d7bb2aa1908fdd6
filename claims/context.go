package claims

import "context"

type contextKey struct{}

// NewContext returns a context that carries the user. The adapters call it once a token has been
// verified; a handler's test may call it to act as a user.
func NewContext(ctx context.Context, c *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the verified user of a request, from its context. It reports false where no
// adapter has put one there: behind Optional, for a request without a token. The key is unexported,
// so nothing that a client sends or another package stores can look like a user.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, ok := ctx.Value(contextKey{}).(*Claims)
	return c, ok && c != nil
}
