// Package parahttp guards net/http handlers. Behind [Require], the context of
// each request carries a verified Para user. A handler gets the user with
// claims.FromContext(r.Context()).
//
// The middleware fits every router that uses http.Handler, such as chi and
// gorilla/mux. It is safe for concurrent use by multiple goroutines.
//
// A misconfigured guard, such as one with a nil Validator or an Allow without
// rules, refuses every request with 500 and logs the reason.
package parahttp

import (
	"net/http"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user to
// the handler. It responds to every other request as [middleware.Guard.Refuse]
// describes. Put CORS middleware outside of it, because preflight requests have
// no token (Fetch Standard, "CORS-preflight fetch").
func Require(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous. claims.FromContext returns false for them, and the handler must
// check that. Optional refuses requests with an invalid token; see
// [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// refuses other requests as [middleware.Authorize] does: with 401 if there is
// no user, 403 if a rule refuses the user, and 503 if a rule returns an error
// that matches [middleware.ErrRuleUnavailable].
func Allow(rules ...middleware.Rule) func(http.Handler) http.Handler {
	return guard(middleware.Authorize(rules...))
}

func guard(g *middleware.Guard) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			verified, refusal := g.Check(r)
			if refusal != nil {
				g.Refuse(w, r, refusal)
				return
			}
			next.ServeHTTP(w, verified)
		})
	}
}

// User returns the verified user of a request, or nil and false if the request
// is anonymous or no guard verified it. It is short for [claims.FromContext].
func User(r *http.Request) (*claims.Claims, bool) { return claims.FromContext(r.Context()) }
