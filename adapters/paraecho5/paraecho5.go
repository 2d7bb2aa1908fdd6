// Package paraecho5 guards Echo v5 handlers. Behind [Require], the context of
// each request carries a verified Para user. A handler gets the user with
// [User] or with claims.FromContext(c.Request().Context()).
//
// A misconfigured guard, such as one with a nil Validator or an Allow without
// rules, refuses every request with 500 and logs the reason.
//
// The middleware is safe for concurrent use by multiple goroutines.
package paraecho5

import (
	"encoding/json"
	"log/slog"

	"github.com/labstack/echo/v5"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Require returns middleware that passes requests with a verified Para user.
// For every other request, it sets the header fields of the response and
// returns an error to Echo's error handler. Echo's default handler responds as
// [middleware.Guard.Refuse] describes. The text of the error is public.
// [echo.StatusCode] returns its status, and errors.As finds the
// [*middleware.Error] in it.
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
		return func(c *echo.Context) error {
			verified, err := g.Check(c.Request())
			switch {
			case err == nil:
				c.SetRequest(verified)
				return next(c)
			case g.Override(c.Response(), c.Request(), err):
				return nil
			}
			status, header, body := g.Answer(err)
			contentType := header.Get(echo.HeaderContentType)
			header.Del(echo.HeaderContentType)
			response := c.Response().Header()
			for name, values := range header {
				response[name] = values
			}
			setType := func() {
				// c.JSON sets this type before it marshals. A logger that
				// marshals the error leaves the type unchanged.
				if response.Get(echo.HeaderContentType) == echo.MIMEApplicationJSON {
					response.Set(echo.HeaderContentType, contentType)
				}
			}
			return &refusal{err.Public(), status, body, setType}
		}
	}
}

// refusal is the error that Echo's error handler gets. It is not an
// [echo.HTTPError], because that type prints the error that it wraps.
type refusal struct {
	public  error
	status  int
	body    json.RawMessage
	setType func()
}

// Error returns the text of the status, such as "Unauthorized".
func (e *refusal) Error() string { return e.public.Error() }

// Unwrap returns an error with the same text. errors.As finds the
// [*middleware.Error] in it.
func (e *refusal) Unwrap() error { return e.public }

// StatusCode implements [echo.HTTPStatusCoder].
func (e *refusal) StatusCode() int { return e.status }

// MarshalJSON returns the body of the response. Echo calls it before it writes
// the header, so it can also set the Content-Type. A custom error handler sets
// its own Content-Type.
func (e *refusal) MarshalJSON() ([]byte, error) {
	e.setType()
	return e.body, nil
}

// LogValue returns the fields of the [*middleware.Error].
func (e *refusal) LogValue() slog.Value { return slog.AnyValue(e.public) }

// User returns the verified user of a request, or nil and false if the request
// is anonymous or no guard verified it. It is short for [claims.FromContext].
// It ignores values that were stored with echo.Context.Set.
func User(c *echo.Context) (*claims.Claims, bool) {
	return claims.FromContext(c.Request().Context())
}
