package recipes

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Comparison runs parajwt next to the middleware that it will replace. The old
// middleware decides. Each request for which the verdicts differ is logged.
type Comparison struct {
	// Old is the current middleware.
	Old func(http.Handler) http.Handler
	// OldUserID returns the user ID that Old left in the context.
	OldUserID func(ctx context.Context) string
	// Guard is middleware.Require(validator), with the options of the route.
	Guard *middleware.Guard
	// Logger receives the differences. No token is logged.
	Logger *slog.Logger
}

type comparedKey struct{}

// Middleware returns the middleware to use in the place of Old.
func (c Comparison) Middleware(next http.Handler) http.Handler {
	inner := c.Old(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if report, ok := r.Context().Value(comparedKey{}).(func(bool, string)); ok {
			report(true, c.OldUserID(r.Context()))
		}
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		userID := ""
		verified, refusal := c.Guard.Check(r)
		if refusal == nil {
			if user, ok := claims.FromContext(verified.Context()); ok {
				userID = user.UserID
			}
		}
		reported := false
		report := func(accepted bool, oldID string) {
			reported = true
			c.compare(r, accepted, oldID, userID, refusal)
		}
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), comparedKey{}, report)))
		if !reported {
			report(false, "")
		}
	})
}

// compare logs a difference.
func (c Comparison) compare(
	r *http.Request, accepted bool, oldID, newID string, refusal *middleware.Error,
) {
	var what string
	switch {
	case refusal != nil && refusal.Status() >= 500:
		what = "parajwt could not decide"
	case accepted && refusal != nil:
		what = "parajwt refuses what the old check accepts"
	case !accepted && refusal == nil:
		what = "parajwt accepts what the old check refuses"
	case accepted && oldID != newID:
		what = "the user IDs differ"
	default:
		return
	}
	attrs := []any{"path", r.URL.Path, "oldUser", oldID, "newUser", newID}
	if refusal != nil {
		attrs = append(attrs, "refusal", refusal)
	}
	c.Logger.WarnContext(r.Context(), "login comparison: "+what, attrs...)
}
