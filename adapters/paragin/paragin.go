// Package paragin guards Gin handlers. Behind [Require], the context of each
// request carries a verified Para user. A handler gets the user with [User] or
// with claims.FromContext(c.Request.Context()).
//
// A misconfigured guard, such as one with a nil Validator or an Allow without
// rules, refuses every request with 500 and logs the reason.
//
// The middleware is safe for concurrent use by multiple goroutines.
package paragin

import (
	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user. It
// aborts every other request and responds as [middleware.Guard.Refuse]
// describes. It adds an error to c.Errors. The text of the error is public.
// errors.As finds the [*middleware.Error] in it.
//
// Put CORS middleware before Require, because preflight requests have no token.
func Require(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous. [User] returns false for them, and the handler must check that.
// Optional refuses requests with an invalid token; see
// [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// refuses other requests as [middleware.Authorize] does: with 401 if there is
// no user, 403 if a rule refuses the user, and 503 if a rule returns an error
// that matches [middleware.ErrRuleUnavailable].
func Allow(rules ...middleware.Rule) gin.HandlerFunc {
	return guard(middleware.Authorize(rules...))
}

func guard(g *middleware.Guard) gin.HandlerFunc {
	return func(c *gin.Context) {
		verified, refusal := g.Check(c.Request)
		if refusal != nil {
			c.Error(refusal.Public()) // gin.ErrorLogger writes it to the client
			c.Abort()
			g.Refuse(c.Writer, c.Request, refusal)
			return
		}
		c.Request = verified
		c.Next()
	}
}

// User returns the verified user of a request, or nil and false if the request
// is anonymous or no guard verified it. It is short for [claims.FromContext].
// It ignores values that were stored with gin.Context.Set.
func User(c *gin.Context) (*claims.Claims, bool) { return claims.FromContext(c.Request.Context()) }
