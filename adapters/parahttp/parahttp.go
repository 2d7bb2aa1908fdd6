// Package parahttp guards net/http handlers. Behind [Require], the context of
// each request carries a verified Para user, which a handler gets with
// claims.FromContext(r.Context()).
//
// It fits every router made of http.Handler, such as chi and gorilla/mux.
package parahttp

import (
	"net/http"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user to
// the handler. It responds to every other request as [middleware.Guard.Refuse]
// describes. Put CORS middleware outside of it, because preflight requests have
// no token. Safe for concurrent use by multiple goroutines.
func Require(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous: claims.FromContext reports false for them, and the handler must
// check that. It refuses requests with an invalid token; see
// [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// responds to others as the outer guard does: 401 without a user, 403
// otherwise.
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

// User returns the verified user of a request, and false for an anonymous one.
func User(r *http.Request) (*claims.Claims, bool) { return claims.FromContext(r.Context()) }
