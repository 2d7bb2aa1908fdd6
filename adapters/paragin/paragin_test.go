package paragin_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// Package integration tests the behaviour that all adapters share. These tests
// are for what is specific to Gin.

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

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

func whoami(c *gin.Context) {
	user, ok := paragin.User(c)
	same, okToo := claims.FromContext(c.Request.Context())
	switch {
	case !reflect.DeepEqual(user, same) || ok != okToo:
		c.String(http.StatusInternalServerError, "User and claims.FromContext differ")
	case ok:
		c.String(http.StatusOK, string(user.AuthType))
	default:
		c.String(http.StatusOK, "anonymous")
	}
}

func TestUser(t *testing.T) {
	para, v := setUp(t)
	r := gin.New()
	r.GET("/open", whoami)
	r.GET("/optional", paragin.Optional(v), whoami)
	r.GET("/required", paragin.Require(v), whoami)
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct{ path, token, want string }{
		{"/open", token, "anonymous"}, // no guard verified the token
		{"/optional", "", "anonymous"},
		{"/optional", token, "email"},
		{"/required", token, "email"},
	} {
		if w := get(r, test.path, test.token); w.Code != http.StatusOK ||
			w.Body.String() != test.want {
			t.Errorf("%s: %d %q, want %q", test.path, w.Code, w.Body, test.want)
		}
	}
}

// A refusal aborts the chain. Outer middleware finds the reason in c.Errors.
func TestErrors(t *testing.T) {
	para, v := setUp(t)
	for _, opts := range [][]middleware.Option{
		nil,
		{middleware.OnRefusal(func(w http.ResponseWriter, _ *http.Request, err *middleware.Error) {
			w.WriteHeader(err.Status())
		})},
	} {
		var errs []*gin.Error
		var aborted bool
		var status int
		r := gin.New()
		r.Use(func(c *gin.Context) {
			before := c.Request
			c.Next()
			if c.IsAborted() && c.Request != before {
				t.Error("the request of outer middleware changed after a refusal")
			}
			errs, aborted, status = c.Errors, c.IsAborted(), c.Writer.Status()
		})
		allow := middleware.Allow(middleware.AuthTypes(claims.AuthEmail))
		r.Use(paragin.Require(v, append(opts, allow)...))
		called := 0
		r.Use(func(*gin.Context) { called++ })
		r.GET("/", func(*gin.Context) { called++ })
		for _, test := range []struct {
			token  string
			code   middleware.Code
			status int
		}{
			{"", middleware.ErrNoToken, 401},
			{"junk", middleware.ErrMalformed, 401},
			{para.Token(paratest.EmailUser(), paratest.Expired()), middleware.ErrExpired, 401},
			{para.Token(paratest.PhoneUser()), middleware.ErrForbidden, 403},
		} {
			w := get(r, "/", test.token)
			if len(errs) != 1 || !errors.Is(errs[0], test.code) || !aborted ||
				status != test.status || w.Code != test.status {
				t.Errorf("errors %v, aborted %t, status %d; want %v and %d", errs, aborted, status,
					test.code, test.status)
				continue
			}
			var refusal *middleware.Error
			if !errors.As(errs[0], &refusal) || refusal.Code != test.code {
				t.Errorf("%T wraps no *middleware.Error of %v", errs[0].Err, test.code)
			}
			if called != 0 {
				t.Errorf("%v: a later handler was called", test.code)
			}
			if test.token != "" &&
				strings.Contains(fmt.Sprintf("%v %+v %#v", errs[0], errs[0], errs[0].JSON()),
					test.token) {
				t.Errorf("%v: the error contains the token", test.code)
			}
		}
		get(r, "/", para.Token(paratest.EmailUser()))
		if len(errs) != 0 || aborted || called != 2 {
			t.Errorf("a good token: errors %v, aborted %t, %d calls", errs, aborted, called)
		}
	}
}

// No value stored in gin.Context by name is taken for a user.
func TestPlanted(t *testing.T) {
	_, v := setUp(t)
	for _, fallback := range []bool{false, true} {
		r := gin.New()
		r.ContextWithFallback = fallback
		r.Use(func(c *gin.Context) {
			for _, name := range []string{"user", "para", "claims", "parauser", "token",
				"contextKey", "{}", "", gin.ContextKey} {
				c.Set(name, paratest.EmailUser())
			}
			c.Set("sub", paratest.UserID)
		})
		r.GET("/optional", paragin.Optional(v), whoami)
		r.GET("/required", paragin.Require(v), whoami)
		if w := get(r, "/optional", ""); w.Body.String() != "anonymous" {
			t.Errorf("optional: %d %q", w.Code, w.Body)
		}
		if w := get(r, "/required", ""); w.Code != http.StatusUnauthorized {
			t.Errorf("required: %d %q", w.Code, w.Body)
		}
	}
}

// If an engine has ContextWithFallback, the gin.Context carries the user, too.
func TestContextWithFallback(t *testing.T) {
	para, v := setUp(t)
	r := gin.New()
	r.ContextWithFallback = true
	r.GET("/", paragin.Require(v), func(c *gin.Context) {
		user, _ := paragin.User(c)
		if same, ok := claims.FromContext(c); !ok || !reflect.DeepEqual(same, user) {
			t.Errorf("got %v, %t", same, ok)
		}
	})
	if w := get(r, "/", para.Token(paratest.EmailUser())); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

func TestGroups(t *testing.T) {
	para, v := setUp(t)
	r := gin.New()
	api := r.Group("/api", paragin.Optional(v))
	api.GET("/items/:id", func(c *gin.Context) {
		user, ok := paragin.User(c)
		c.String(http.StatusOK, fmt.Sprint(c.Param("id"), " ", ok && user.Email != ""))
	})
	admin := api.Group("/admin",
		paragin.Require(v, middleware.Allow(middleware.AuthTypes(claims.AuthPhone))))
	admin.GET("/:id", func(c *gin.Context) { c.String(http.StatusOK, "admin "+c.Param("id")) })

	email, phone := para.Token(paratest.EmailUser()), para.Token(paratest.PhoneUser())
	for _, test := range []struct {
		path, token string
		status      int
		body        string
	}{
		{"/api/items/7", "", 200, "7 false"},
		{"/api/items/7", email, 200, "7 true"},
		{"/api/items/7", "junk", 401, ""},
		{"/api/admin/7", "", 401, ""},
		{"/api/admin/7", email, 403, ""},
		{"/api/admin/7", phone, 200, "admin 7"},
		{"/elsewhere", "", 404, ""},
	} {
		if w := get(r, test.path, test.token); w.Code != test.status ||
			test.body != "" && w.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.path, w.Code, w.Body, test.status, test.body)
		}
	}
}

// A guard on the engine also applies to unknown routes.
func TestUnknownRoutes(t *testing.T) {
	para, v := setUp(t)
	r := gin.New()
	r.Use(paragin.Require(v))
	if w := get(r, "/none", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := get(r, "/none", para.Token(paratest.EmailUser())); w.Code != http.StatusNotFound {
		t.Errorf("with a token: %d", w.Code)
	}
}
