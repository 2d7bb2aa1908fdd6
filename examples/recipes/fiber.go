package recipes

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Fiber returns an app with a route for users.
func Fiber(validator *middleware.Validator) *fiber.App {
	app := fiber.New()
	app.Get("/me", RequireFiber(validator), func(c fiber.Ctx) error {
		user, _ := claims.FromContext(c.Context())
		return c.JSON(user)
	})
	return app
}

// RequireFiber returns Fiber middleware that passes requests with a verified
// user. It does not call OnRefusal, which needs an http.ResponseWriter.
func RequireFiber(validator *middleware.Validator, opts ...middleware.Option) fiber.Handler {
	guard := middleware.Require(validator, opts...)
	return func(c fiber.Ctx) error {
		verified, refusal := guard.Check(headersOf(c))
		if refusal != nil {
			status, header, body := guard.Answer(refusal)
			for name := range header {
				c.Set(name, header.Get(name))
			}
			return c.Status(status).Send(body)
		}
		c.SetContext(verified.Context())
		return c.Next()
	}
}

// headersOf returns the part of a request that token sources read. It copies,
// because Fiber reuses its memory for the next request. It keeps repeated
// header fields, which adaptor.ConvertRequest drops: two tokens must be
// refused.
func headersOf(c fiber.Ctx) *http.Request {
	r := &http.Request{
		Method: strings.Clone(c.Method()),
		URL:    &url.URL{Path: strings.Clone(c.Path())},
		Header: make(http.Header),
	}
	for name, value := range c.Request().Header.All() {
		r.Header.Add(string(name), string(value))
	}
	return r.WithContext(c.Context())
}
