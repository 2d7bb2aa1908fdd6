package paraecho_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// Package integration tests the behaviour that all adapters share. These tests
// are for what is specific to Echo.

func setUp(t *testing.T) (*paratest.Para, *middleware.Validator) {
	t.Helper()
	para := paratest.New(t, paratest.Config{})
	v, err := middleware.New(middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return para, v
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

func whoami(c echo.Context) error {
	user, ok := paraecho.User(c)
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
	e.GET("/optional", whoami, paraecho.Optional(v))
	e.GET("/required", whoami, paraecho.Require(v))
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct{ path, token, want string }{
		{"/open", token, "anonymous"}, // no guard verified the token
		{"/optional", "", "anonymous"},
		{"/optional", token, "email"},
		{"/required", token, "email"},
	} {
		if w := get(e, test.path, test.token); w.Code != http.StatusOK ||
			w.Body.String() != test.want {
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
	e.Use(paraecho.Require(v, middleware.Allow(middleware.AuthTypes(claims.AuthEmail))))
	called := false
	e.GET("/*", func(echo.Context) error { called = true; return nil })
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		got = append(got, err)
		switch c.Path() {
		case "/*":
			switch c.Param("*") {
			case "json":
				c.JSON(http.StatusTeapot, map[string]string{"error": "mine"})
			case "html":
				c.HTML(http.StatusTeapot, "<p>mine</p>")
			case "nothing":
				c.NoContent(http.StatusTeapot)
			default:
				e.DefaultHTTPErrorHandler(err, c)
			}
		}
	}
	for _, test := range []struct {
		path, token, contentType, body string
		code                           middleware.Code
		status                         int
	}{
		{"/json", "", "application/json", `{"error":"mine"}`, middleware.ErrNoToken, 401},
		{"/html", "junk", "text/html; charset=UTF-8", `<p>mine</p>`, middleware.ErrMalformed, 401},
		{"/nothing", para.Token(paratest.EmailUser(), paratest.Expired()), "", "",
			middleware.ErrExpired, 401},
		{"/default", para.Token(paratest.PhoneUser()), "application/problem+json",
			`{"type":"about:blank","title":"Forbidden","status":403}`, middleware.ErrForbidden,
			403},
	} {
		got = nil
		w := get(e, test.path, test.token)
		if len(got) != 1 || called {
			t.Fatalf("%s: the error handler was called %d times, the handler: %t", test.path,
				len(got), called)
		}
		var he *echo.HTTPError
		if !errors.As(got[0], &he) || he.Code != test.status {
			t.Fatalf("%s: got %#v", test.path, got[0])
		}
		var refusal *middleware.Error
		if !errors.As(he.Internal, &refusal) || refusal.Code != test.code ||
			!errors.Is(got[0], test.code) {
			t.Errorf("%s: got %v, want %v", test.path, he.Internal, test.code)
		}
		if text := http.StatusText(test.status); he.Internal.Error() != text ||
			!strings.HasSuffix(he.Error(), "message="+text+", internal="+text) {
			t.Errorf("%s: an error handler may print %q", test.path, he.Error())
		}
		if h := w.Header(); h.Get("Content-Type") != test.contentType ||
			strings.TrimSpace(w.Body.String()) != test.body ||
			h.Get("WWW-Authenticate") == "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: answered %v %q", test.path, h, w.Body)
		}
		if test.token != "" &&
			strings.Contains(fmt.Sprintf("%v %+v %#v", got[0], got[0], he.Message), test.token) {
			t.Errorf("%s: the error contains the token", test.path)
		}
		if text := fmt.Sprint(he.Message); text != http.StatusText(test.status) {
			t.Errorf("%s: the message prints as %q", test.path, text)
		}
	}
}

// Echo's debug mode and its ?pretty indent the body and add nothing to it.
func TestDebug(t *testing.T) {
	para, v := setUp(t)
	e := echo.New()
	e.Debug = true
	e.Use(paraecho.Require(v))
	e.GET("/", whoami)
	for _, path := range []string{"/", "/?pretty"} {
		w := get(e, path, para.Token(paratest.EmailUser(), paratest.ForApp("another")))
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if len(body) != 3 || body["status"] != 401.0 ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", path, w.Header(), w.Body)
		}
	}
}

// Outer middleware sees the refusal. It cannot make the handler run by dropping
// the error.
func TestOuterMiddleware(t *testing.T) {
	_, v := setUp(t)
	var seen error
	called := false
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error { seen = next(c); return nil }
	}, paraecho.Require(v))
	e.GET("/", func(echo.Context) error { called = true; return nil })
	get(e, "/", "")
	if !errors.Is(seen, middleware.ErrNoToken) || called {
		t.Errorf("outer middleware got %v, handler called: %t", seen, called)
	}
}

func TestOnRefusalKeepsEchoOut(t *testing.T) {
	_, v := setUp(t)
	e := echo.New()
	e.HTTPErrorHandler = func(err error, _ echo.Context) {
		t.Errorf("Echo's error handler got %v", err)
	}
	e.Use(paraecho.Require(v,
		middleware.OnRefusal(func(w http.ResponseWriter, _ *http.Request, err *middleware.Error) {
			http.Error(w, "go away", err.Status())
		})))
	e.GET("/", func(echo.Context) error { t.Error("the handler was called"); return nil })
	if w := get(e, "/", ""); w.Code != http.StatusUnauthorized || w.Body.String() != "go away\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// No value stored in echo.Context by name is taken for a user.
func TestPlanted(t *testing.T) {
	_, v := setUp(t)
	e := echo.New()
	plant := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			for _, name := range []string{"user", "para", "claims", "parauser", "token",
				"contextKey", "{}", ""} {
				c.Set(name, paratest.EmailUser())
			}
			return next(c)
		}
	}
	e.GET("/optional", whoami, plant, paraecho.Optional(v))
	e.GET("/required", whoami, plant, paraecho.Require(v))
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
	api := e.Group("/api", paraecho.Optional(v))
	api.GET("/:id", func(c echo.Context) error {
		user, ok := paraecho.User(c)
		return c.String(http.StatusOK, fmt.Sprint(c.Param("id"), " ", ok && user.Email != ""))
	})
	admin := api.Group("/admin",
		paraecho.Require(v, middleware.Allow(middleware.AuthTypes(claims.AuthPhone))))
	admin.GET("/:id",
		func(c echo.Context) error { return c.String(http.StatusOK, "admin "+c.Param("id")) })

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
		{"/api/admin/none/such", "", 401, ""}, // the response does not reveal which routes exist
		{"/elsewhere", "", 404, ""},
	} {
		if w := get(e, test.path, test.token); w.Code != test.status ||
			test.body != "" && w.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.path, w.Code, w.Body, test.status, test.body)
		}
	}
}
