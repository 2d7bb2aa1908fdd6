// Package parahttp guards net/http handlers: behind [Require], a request carries a verified Para user
// in its context, and a handler asks for it with claims.FromContext(r.Context()).
//
// It fits every router made of http.Handler, chi and gorilla/mux among them.
package parahttp

import (
	"net/http"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require lets only requests with a verified Para user through to the handler. Everything else is
// answered as [middleware.Guard.Refuse] says. Safe for concurrent use.
func Require(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Require(v, opts...))
}

// Optional lets requests without a token through as well, as anonymous. A token that is not good is
// refused all the same.
func Optional(v *middleware.Validator, opts ...middleware.Option) func(http.Handler) http.Handler {
	return guard(middleware.Optional(v, opts...))
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

// User returns the verified user of a request, and false for an anonymous one. It is
// claims.FromContext(r.Context()).
func User(r *http.Request) (*claims.Claims, bool) { return claims.FromContext(r.Context()) }
