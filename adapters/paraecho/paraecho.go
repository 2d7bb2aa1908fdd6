// Package paraecho guards Echo v4 handlers. Behind [Require], each request
// carries a verified Para user, which a handler gets with [User] or with
// claims.FromContext(c.Request().Context()).
package paraecho

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user.
// For every other request it returns an [*echo.HTTPError] to Echo's error
// handler, after setting the header fields of the response. Echo's default
// handler responds as [middleware.Guard.Refuse] describes. The text of the
// error is public; errors.As finds the [*middleware.Error] in it. OnRefusal
// writes the response before Require returns the error. Require is safe for
// concurrent use by multiple goroutines.
func Require(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous: [User] returns false for them. It refuses requests with an invalid
// token; see [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// responds to others as the outer guard does: 401 without a user, 403
// otherwise.
func Allow(rules ...middleware.Rule) echo.MiddlewareFunc {
	return guard(middleware.Authorize(rules...))
}

func guard(g *middleware.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			verified, refusal := g.Check(c.Request())
			switch {
			case refusal == nil:
				c.SetRequest(verified)
				return next(c)
			case g.Override(c.Response(), c.Request(), refusal):
				return nil
			}
			status, header, body := g.Answer(refusal)
			contentType := header.Get(echo.HeaderContentType)
			header.Del(echo.HeaderContentType)
			for name, values := range header {
				c.Response().Header()[name] = values
			}
			message := problem{status, c.Response().Header(), contentType, body}
			return &echo.HTTPError{Code: status, Message: message, Internal: refusal.Public()}
		}
	}
}

// problem is the body of a refusal. Echo marshals it before it writes the
// header, so MarshalJSON can set the Content-Type. A custom error handler sets
// its own Content-Type.
type problem struct {
	status      int
	header      http.Header
	contentType string
	body        json.RawMessage
}

func (p problem) MarshalJSON() ([]byte, error) {
	p.header.Set(echo.HeaderContentType, p.contentType)
	return p.body, nil
}

// String returns the text of the status, for logs that print the error.
func (p problem) String() string { return http.StatusText(p.status) }

// User returns the verified user of a request, or false if the request is
// anonymous. It ignores values stored in echo.Context by name.
func User(c echo.Context) (*claims.Claims, bool) {
	return claims.FromContext(c.Request().Context())
}
