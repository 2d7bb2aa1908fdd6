package paratest

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Validator returns a validator for the tokens of this Para. It uses the clock
// of this Para and logs to the test's output. It is closed when the test ends.
// The options change its configuration before it is created. An invalid
// configuration fails the test.
func (p *Para) Validator(
	tb testing.TB, opts ...func(*middleware.Config),
) *middleware.Validator {
	tb.Helper()
	cfg := middleware.Config{
		Environment: p.Environment(),
		APIKeyIDs:   []string{p.APIKeyID()},
		Now:         p.Now,
		Logger:      slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	v, err := middleware.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { v.Close() })
	return v
}

// WithUser returns a copy of r whose context carries a verified user, as behind
// a guard. Use it to test a handler without its guard. Require and Optional of
// an adapter ignore this user and verify the request's token. Allow uses this
// user. Use [claims.NewContext] for a context without a request.
func WithUser(r *http.Request, u *claims.Claims) *http.Request {
	return r.WithContext(claims.NewContext(r.Context(), u))
}
