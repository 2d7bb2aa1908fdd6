// Package paragin guards Gin handlers. Behind [Require], each request carries a
// verified Para user, which a handler gets with [User] or with
// claims.FromContext(c.Request.Context()).
package paragin

import (
	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user. It
// aborts every other request and responds as [middleware.Guard.Refuse]
// describes. It adds the reason to c.Errors: an error with a public text.
// errors.As finds the [*middleware.Error] in it. Require is safe for concurrent
// use by multiple goroutines.
func Require(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous: [User] returns false for them. It refuses requests with an invalid
// token; see [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// responds to others as the outer guard does: 401 without a user, 403
// otherwise.
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

// User returns the verified user of a request, or false if the request is
// anonymous. It ignores values stored in gin.Context by name.
func User(c *gin.Context) (*claims.Claims, bool) { return claims.FromContext(c.Request.Context()) }
