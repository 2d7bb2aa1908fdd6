// Package paragin guards Gin handlers: behind [Require], a request carries a verified Para user in
// its context. A handler asks for it with [User], or with claims.FromContext(c.Request.Context()).
package paragin

import (
	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require lets only requests with a verified Para user through. Everything else is aborted and
// answered as [middleware.Guard.Refuse] says; the reason, a [*middleware.Error], is added to c.Errors.
// Safe for concurrent use.
func Require(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional lets requests without a token through as well, as anonymous. A token that is not good is
// refused all the same.
func Optional(v *middleware.Validator, opts ...middleware.Option) gin.HandlerFunc {
	return guard(middleware.Optional(v, opts...))
}

func guard(g *middleware.Guard) gin.HandlerFunc {
	return func(c *gin.Context) {
		verified, refusal := g.Check(c.Request)
		if refusal != nil {
			c.Error(refusal)
			c.Abort()
			g.Refuse(c.Writer, c.Request, refusal)
			return
		}
		c.Request = verified
		c.Next()
	}
}

// User returns the verified user of a request, and false for an anonymous one. What is stored in
// gin.Context under a name never counts.
func User(c *gin.Context) (*claims.Claims, bool) { return claims.FromContext(c.Request.Context()) }
