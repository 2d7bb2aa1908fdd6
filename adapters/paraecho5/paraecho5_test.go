package paraecho5_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// Package integration tests the behaviour that all adapters share. These tests
// are for what is specific to Echo v5.

func setUp(t *testing.T) (*paratest.Para, *middleware.Validator) {
	t.Helper()
	para := paratest.New(t, paratest.Config{})
	return para, para.Validator(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.DiscardHandler)
	})
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func whoami(c *echo.Context) error {
	user, ok := paraecho5.User(c)
	same, okToo := claims.FromContext(c.Request().Context())
	if !reflect.DeepEqual(user, same) || ok != okToo {
		return errors.New("User and claims.FromContext differ")
	}
	if !ok {
		return c.String(http.StatusOK, "anonymous")
	}
	return c.String(http.StatusOK, string(user.AuthType))
}

func TestUser(t *testing.T) {
	para, v := setUp(t)
	e := echo.New()
	e.GET("/open", whoami)
	e.GET("/optional", whoami, paraecho5.Optional(v))
	e.GET("/required", whoami, paraecho5.Require(v))
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct{ path, token, want string }{
		{"/open", token, "anonymous"}, // no guard verified the token
		{"/optional", "", "anonymous"},
		{"/optional", token, "email"},
		{"/required", token, "email"},
	} {
		w := get(e, test.path, test.token)
		if w.Code != http.StatusOK || w.Body.String() != test.want {
			t.Errorf("%s: %d %q, want %q", test.path, w.Code, w.Body, test.want)
		}
	}
}

// A refusal reaches Echo's error handler. A custom one may respond in its own
// format, and the response has the header fields of the refusal.
func TestErrorHandler(t *testing.T) {
	para, v := setUp(t)
	var got []error
	e := echo.New()
	e.Use(paraecho5.Require(v, middleware.Allow(middleware.AuthTypes(claims.AuthEmail))))
	called := false
	e.GET("/*", func(*echo.Context) error { called = true; return nil })
	byDefault := echo.DefaultHTTPErrorHandler(false)
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		got = append(got, err)
		// A logger that marshals the error must not change the response.
		slog.New(slog.NewJSONHandler(new(bytes.Buffer), nil)).Info("", "error", err)
		if _, err := err.(interface{ MarshalJSON() ([]byte, error) }).MarshalJSON(); err != nil {
			t.Error(err)
		}
		switch c.Param("*") {
		case "json":
			c.JSON(http.StatusTeapot, map[string]string{"error": "mine"})
		case "html":
			c.HTML(http.StatusTeapot, "<p>mine</p>")
		case "nothing":
			c.NoContent(http.StatusTeapot)
		case "wrapped":
			byDefault(c, fmt.Errorf("wrapped: %w", err))
		default:
			byDefault(c, err)
		}
	}
	expired := para.Token(paratest.EmailUser(), paratest.Expired())
	for _, test := range []struct {
		path, token, contentType, body string
		code                           middleware.Code
		status, sent                   int
	}{
		{"/json", "", "application/json", `{"error":"mine"}`, middleware.ErrNoToken, 401, 418},
		{"/html", "junk", "text/html; charset=UTF-8", `<p>mine</p>`,
			middleware.ErrMalformed, 401, 418},
		{"/nothing", expired, "", "", middleware.ErrExpired, 401, 418},
		{"/wrapped", expired, "application/problem+json",
			`{"type":"about:blank","title":"Unauthorized","status":401}`,
			middleware.ErrExpired, 401, 401},
		{"/default", para.Token(paratest.PhoneUser()), "application/problem+json",
			`{"type":"about:blank","title":"Forbidden","status":403}`,
			middleware.ErrForbidden, 403, 403},
	} {
		got = nil
		w := get(e, test.path, test.token)
		if len(got) != 1 || called {
			t.Fatalf("%s: the error handler was called %d times, the handler: %t",
				test.path, len(got), called)
		}
		var refusal *middleware.Error
		if !errors.As(got[0], &refusal) || !errors.Is(got[0], test.code) {
			t.Errorf("%s: got %v, want %v", test.path, refusal, test.code)
		}
		if status := echo.StatusCode(got[0]); status != test.status {
			t.Errorf("%s: the status is %d, want %d", test.path, status, test.status)
		}
		text := http.StatusText(test.status)
		if got[0].Error() != text || errors.Unwrap(got[0]).Error() != text {
			t.Errorf("%s: an error handler may print %q", test.path, got[0])
		}
		h := w.Header()
		if w.Code != test.sent || h.Get("Content-Type") != test.contentType ||
			strings.TrimSpace(w.Body.String()) != test.body ||
			h.Get("WWW-Authenticate") == "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: answered %d %v %q", test.path, w.Code, h, w.Body)
		}
		printed := fmt.Sprintf("%v %+v %#v", got[0], got[0], got[0])
		if test.token != "" && strings.Contains(printed, test.token) {
			t.Errorf("%s: the error contains the token", test.path)
		}
	}
}

// The default handler may expose errors. The cause of a refusal stays private.
func TestExposedErrors(t *testing.T) {
	para, v := setUp(t)
	e := echo.New()
	e.HTTPErrorHandler = echo.DefaultHTTPErrorHandler(true)
	secret := func(context.Context, *claims.Claims) error { return errors.New("canary") }
	e.GET("/", whoami, paraecho5.Require(v, middleware.Allow(secret)))
	w := get(e, "/", para.Token(paratest.EmailUser()))
	const want = `{"type":"about:blank","title":"Forbidden","status":403}` + "\n"
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("%d %q, want %q", w.Code, w.Body, want)
	}
}

// A structured log has the code and the cause, not only the public text.
func TestLogged(t *testing.T) {
	_, v := setUp(t)
	var seen error
	e := echo.New()
	e.Use(echomiddleware.RequestLoggerWithConfig(echomiddleware.RequestLoggerConfig{
		LogValuesFunc: func(_ *echo.Context, values echomiddleware.RequestLoggerValues) error {
			seen = values.Error
			return nil
		},
	}), paraecho5.Require(v))
	e.GET("/", whoami)
	get(e, "/", "junk")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "error", seen)
	if !strings.Contains(log.String(), `"error":{"code":"malformed","check":"form","cause":`) {
		t.Errorf("logged as %s", &log)
	}
}

// Outer middleware that drops the error cannot make the handler run.
func TestOuterMiddleware(t *testing.T) {
	_, v := setUp(t)
	var seen error
	called := false
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { seen = next(c); return nil }
	}, paraecho5.Require(v))
	e.GET("/", func(*echo.Context) error { called = true; return nil })
	get(e, "/", "")
	if !errors.Is(seen, middleware.ErrNoToken) || called {
		t.Errorf("outer middleware got %v, handler called: %t", seen, called)
	}
}

func TestOnRefusalBypassesTheErrorHandler(t *testing.T) {
	_, v := setUp(t)
	e := echo.New()
	e.HTTPErrorHandler = func(_ *echo.Context, err error) {
		t.Errorf("Echo's error handler got %v", err)
	}
	e.Use(paraecho5.Require(v, middleware.OnRefusal(
		func(w http.ResponseWriter, _ *http.Request, err *middleware.Error) {
			http.Error(w, "go away", err.Status())
		})))
	e.GET("/", func(*echo.Context) error { t.Error("the handler was called"); return nil })
	w := get(e, "/", "")
	if w.Code != http.StatusUnauthorized || w.Body.String() != "go away\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// No value stored in echo.Context by name is taken for a user.
func TestPlantedValues(t *testing.T) {
	_, v := setUp(t)
	e := echo.New()
	plant := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			for _, name := range []string{
				"user", "para", "claims", "parauser", "token", "contextKey", "{}", "",
			} {
				c.Set(name, paratest.EmailUser())
			}
			return next(c)
		}
	}
	e.GET("/optional", whoami, plant, paraecho5.Optional(v))
	e.GET("/required", whoami, plant, paraecho5.Require(v))
	if w := get(e, "/optional", ""); w.Body.String() != "anonymous" {
		t.Errorf("optional: %d %q", w.Code, w.Body)
	}
	if w := get(e, "/required", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("required: %d %q", w.Code, w.Body)
	}
}

func TestGroups(t *testing.T) {
	para, v := setUp(t)
	e := echo.New()
	api := e.Group("/api", paraecho5.Optional(v))
	api.GET("/:id", func(c *echo.Context) error {
		user, ok := paraecho5.User(c)
		return c.String(http.StatusOK, fmt.Sprint(c.Param("id"), " ", ok && user.Email != ""))
	})
	phones := middleware.AuthTypes(claims.AuthPhone)
	admin := api.Group("/admin", paraecho5.Require(v, middleware.Allow(phones)))
	admin.GET("/:id", func(c *echo.Context) error {
		return c.String(http.StatusOK, "admin "+c.Param("id"))
	})
	api.GET("/phones/:id", whoami, paraecho5.Allow(phones))
	e.GET("/unguarded", whoami, paraecho5.Allow(phones))
	api.GET("/misconfigured/:id", whoami, paraecho5.Allow())

	email, phone := para.Token(paratest.EmailUser()), para.Token(paratest.PhoneUser())
	for _, test := range []struct {
		path, token string
		status      int
		body        string
	}{
		{"/api/7", "", 200, "7 false"},
		{"/api/7", email, 200, "7 true"},
		{"/api/7", "junk", 401, ""},
		{"/api/admin/7", "", 401, ""},
		{"/api/admin/7", email, 403, ""},
		{"/api/admin/7", phone, 200, "admin 7"},
		{"/api/phones/7", "", 401, ""},
		{"/api/phones/7", email, 403, ""},
		{"/api/phones/7", phone, 200, "phone"},
		{"/unguarded", phone, 401, ""}, // no guard let the user in
		{"/api/misconfigured/7", phone, 500, ""},
		{"/elsewhere", "", 404, ""},
	} {
		w := get(e, test.path, test.token)
		if w.Code != test.status || test.body != "" && w.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d %q",
				test.path, w.Code, w.Body, test.status, test.body)
		}
	}
}
