// Package paraecho guards Echo v4 handlers. Behind [Require], the context of
// each request carries a verified Para user. A handler gets the user with
// [User] or with claims.FromContext(c.Request().Context()).
//
// A misconfigured guard, such as one with a nil Validator or an Allow without
// rules, refuses every request with 500 and logs the reason.
//
// The middleware is safe for concurrent use by multiple goroutines.
package paraecho

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user.
// For every other request, it sets the header fields of the response and
// returns an [*echo.HTTPError] to Echo's error handler. Echo's default handler
// responds as [middleware.Guard.Refuse] describes. The text of the error is
// public. errors.As finds the [*middleware.Error] in it.
//
// If there is an OnRefusal, it writes the response, and the middleware returns
// nil to Echo.
//
// Put CORS middleware outside of Require, because preflight requests have no
// token.
func Require(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Require(v, opts...))
}

// Optional returns middleware that also passes requests without a token, as
// anonymous. [User] returns false for them, and the handler must check that.
// Optional refuses requests with an invalid token; see
// [middleware.ExpiredIsAnonymous].
func Optional(v *middleware.Validator, opts ...middleware.Option) echo.MiddlewareFunc {
	return guard(middleware.Optional(v, opts...))
}

// Allow returns middleware for a route behind Require or Optional. It passes
// requests whose user passes all rules, without verifying the token again. It
// refuses other requests as [middleware.Authorize] does: with 401 if there is
// no user, 403 if a rule refuses the user, and 503 if a rule returns an error
// that matches [middleware.ErrRuleUnavailable].
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

// User returns the verified user of a request, or nil and false if the request
// is anonymous or no guard verified it. It is short for [claims.FromContext].
// It ignores values that were stored with echo.Context.Set.
func User(c echo.Context) (*claims.Claims, bool) {
	return claims.FromContext(c.Request().Context())
}
