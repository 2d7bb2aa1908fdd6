// Package paraecho guards Echo v4 handlers: behind [Require], a request carries a verified Para user
// in its context. A handler asks for it with [User], or with claims.FromContext(c.Request().Context()).
package paraecho

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require lets only requests with a verified Para user through. For everything else it returns an
// [*echo.HTTPError] to Echo's error handler, whose Internal is the [*middleware.Error]; the headers are
// set already. Echo's own handler answers it as [middleware.Guard.Refuse] would. With OnRefusal,
// the answer is written here instead. Safe for concurrent use.
func Require(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional lets requests without a token through as well, as anonymous. A token that is not good is
// refused all the same.
func Optional(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Optional(v, opts...))
}

func guard(g *middleware.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			verified, refusal := g.Check(c.Request())
			switch {
			case refusal == nil:
				c.SetRequest(verified)
				return next(c)
			case g.Overridden():
				g.Refuse(c.Response(), c.Request(), refusal)
				return nil
			}
			header := c.Response().Header()
			middleware.WriteHeader(header, refusal)
			return &echo.HTTPError{Code: refusal.Status(), Message: problem{refusal, header}, Internal: refusal}
		}
	}
}

// problem is the body of a refusal. Echo marshals it before it writes the header, which is when the
// media type is known: an error handler that answers in a way of its own sets its own.
type problem struct {
	refusal *middleware.Error
	header  http.Header
}

func (p problem) MarshalJSON() ([]byte, error) {
	p.header.Set(echo.HeaderContentType, middleware.ProblemType)
	return middleware.Problem(p.refusal), nil
}

// String is for logs that print the HTTPError's message.
func (p problem) String() string { return http.StatusText(p.refusal.Status()) }

// User returns the verified user of a request, and false for an anonymous one. What is stored in
// echo.Context under a name never counts.
func User(c echo.Context) (*claims.Claims, bool) { return claims.FromContext(c.Request().Context()) }
