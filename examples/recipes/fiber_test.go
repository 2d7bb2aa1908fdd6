package recipes

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func fiberTest(t *testing.T, app *fiber.App, r *http.Request) *http.Response {
	t.Helper()
	res, err := app.Test(r, fiber.TestConfig{Timeout: 0})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestFiber(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	app := Fiber(para.Validator(t))
	good := para.Token(paratest.EmailUser())
	twice := request("GET", "/me", good)
	twice.Header.Add("Authorization", "Bearer "+good)
	expired := request("GET", "/me", para.Token(paratest.EmailUser(), paratest.Expired()))

	answers(t, "a user", fiberTest(t, app, request("GET", "/me", good)), 200, paratest.UserID)
	answers(t, "no token", fiberTest(t, app, request("GET", "/me", "")), 401, "Unauthorized")
	answers(t, "two tokens", fiberTest(t, app, twice), 401, "Unauthorized")
	res := fiberTest(t, app, expired)
	if got, want := res.Header.Get("Www-Authenticate"),
		`Bearer error="invalid_token", error_description="token expired"`; got != want {
		t.Errorf("WWW-Authenticate %q, want %q", got, want)
	}
	answers(t, "an expired token", res, 401, "Unauthorized")
}

func TestFiberTwoCookies(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	app := fiber.New()
	app.Get("/me", RequireFiber(para.Validator(t),
		middleware.TokenFrom(middleware.FromCookie("para"))), func(c fiber.Ctx) error {
		return c.SendString("in")
	})
	good := para.Token(paratest.EmailUser())
	for count, status := range map[int]int{0: 401, 1: 200, 2: 401} {
		r := request("GET", "/me", "")
		for range count {
			r.AddCookie(&http.Cookie{Name: "para", Value: good})
		}
		answers(t, fmt.Sprint(count, " cookies"), fiberTest(t, app, r), status, "")
	}
}

// The table of docs/recipes.md has the same results.
func TestFiberContexts(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator := para.Validator(t)
	found := func(c fiber.Ctx) error {
		_, inContext := claims.FromContext(c.Context())
		_, inRequestCtx := claims.FromContext(c.RequestCtx())
		_, inCtx := claims.FromContext(c)
		return c.SendString(fmt.Sprint(inContext, inRequestCtx, inCtx))
	}
	app := fiber.New()
	app.Get("/recipe", RequireFiber(validator), found)
	app.Get("/adaptor", adaptor.HTTPMiddleware(parahttp.Require(validator)), found)

	token := para.Token(paratest.EmailUser())
	answers(t, "the recipe", fiberTest(t, app, request("GET", "/recipe", token)),
		200, "true false false")
	answers(t, "the adaptor", fiberTest(t, app, request("GET", "/adaptor", token)),
		200, "false false false")

	twice := request("GET", "/adaptor", para.Token(paratest.EmailUser(), paratest.Expired()))
	twice.Header.Add("Authorization", "Bearer "+token)
	answers(t, "the adaptor drops all but the last of two tokens", fiberTest(t, app, twice),
		200, "false false false")
}
