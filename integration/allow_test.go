package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// allowing mounts h behind Optional and Allow, under each router. Without a
// validator, there is no guard in front of Allow.
var allowing = map[string]func(*middleware.Validator, []middleware.Rule, http.Handler) http.Handler{
	"parahttp": func(
		v *middleware.Validator, rules []middleware.Rule, h http.Handler,
	) http.Handler {
		h = parahttp.Allow(rules...)(h)
		if v == nil {
			return h
		}
		return parahttp.Optional(v)(h)
	},
	"paraecho": func(
		v *middleware.Validator, rules []middleware.Rule, h http.Handler,
	) http.Handler {
		e := echo.New()
		if v != nil {
			e.Use(paraecho.Optional(v))
		}
		e.GET("/*", echo.WrapHandler(h), paraecho.Allow(rules...))
		return e
	},
	"paraecho5": func(
		v *middleware.Validator, rules []middleware.Rule, h http.Handler,
	) http.Handler {
		e := echo5.New()
		if v != nil {
			e.Use(paraecho5.Optional(v))
		}
		e.GET("/*", echo5.WrapHandler(h), paraecho5.Allow(rules...))
		return e
	},
	"paragin": func(
		v *middleware.Validator, rules []middleware.Rule, h http.Handler,
	) http.Handler {
		gin.SetMode(gin.TestMode)
		r := gin.New()
		if v != nil {
			r.Use(paragin.Optional(v))
		}
		r.GET("/*path", paragin.Allow(rules...), gin.WrapH(h))
		return r
	},
}

// TestAllowBehindAGuard checks that every adapter authorizes the user whom the
// outer guard has verified, with the same responses.
func TestAllowBehindAGuard(t *testing.T) {
	v := paraValidator(t)
	token := para().Token(paratest.EmailUser())
	rule := func(err error) middleware.Rule {
		return func(context.Context, *claims.Claims) error { return err }
	}
	unavailable := rule(fmt.Errorf("%w: canary", middleware.ErrRuleUnavailable))
	const problem = `{"type":"about:blank","title":%q,"status":%d}`
	for name, mount := range allowing {
		for _, test := range []struct {
			name      string
			validator *middleware.Validator
			rules     []middleware.Rule
			token     string
			status    int
			header    string
			value     string
		}{
			{"allowed", v, []middleware.Rule{middleware.AuthTypes(claims.AuthEmail)}, token, 200,
				"", ""},
			{"refused", v, []middleware.Rule{rule(errors.New("canary"))}, token, 403,
				"WWW-Authenticate", `Bearer error="insufficient_scope"`},
			{"unavailable", v, []middleware.Rule{unavailable}, token, 503, "Retry-After", "1"},
			{"anonymous", v, []middleware.Rule{rule(nil)}, "", 401, "WWW-Authenticate", "Bearer"},
			{"no guard", nil, []middleware.Rule{rule(nil)}, token, 401, "WWW-Authenticate",
				"Bearer"},
			{"no rules", v, nil, token, 500, "", ""},
			{"nil rule", v, []middleware.Rule{nil}, token, 500, "", ""},
			{"any of none", v, []middleware.Rule{middleware.Any()}, token, 500, "", ""},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				called := false
				h := mount(test.validator, test.rules, http.HandlerFunc(
					func(http.ResponseWriter, *http.Request) { called = true }))
				r, w := httptest.NewRequest("GET", "/here", nil), httptest.NewRecorder()
				if test.token != "" {
					r.Header.Set("Authorization", "Bearer "+test.token)
				}
				h.ServeHTTP(w, r)
				body := fmt.Sprintf(problem, http.StatusText(test.status), test.status)
				if test.status == 200 {
					body = ""
				}
				if w.Code != test.status || called != (test.status == 200) ||
					strings.TrimSpace(w.Body.String()) != body ||
					test.header != "" && w.Header().Get(test.header) != test.value {
					t.Errorf("%d %v %s, called: %t", w.Code, w.Header(), w.Body, called)
				}
			})
		}
	}
}

// TestFrameworksPrintNothing checks that error printers of the frameworks
// reveal only the status to a forger.
func TestFrameworksPrintNothing(t *testing.T) {
	v := paraValidator(t)
	forged := para().Token(paratest.EmailUser(), paratest.UnknownKey("canary"))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+forged)

	gin.SetMode(gin.TestMode)
	g := gin.New()
	g.Use(gin.ErrorLogger(), paragin.Require(v))
	e := echo.New()
	e.Use(paraecho.Require(v))
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		c.String(http.StatusUnauthorized, err.Error())
	}
	debug := echo.New()
	debug.Debug = true
	debug.Use(paraecho.Require(v))
	for name, h := range map[string]http.Handler{"gin.ErrorLogger": g, "he.Error()": e,
		"echo.Debug": debug} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		text := w.Body.String()
		if w.Code != 401 || !strings.Contains(text, "Unauthorized") {
			t.Errorf("%s: %d %s", name, w.Code, text)
		}
		for _, secret := range []string{"canary", "kid", "unknown", "key"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q is in %s", name, secret, text)
			}
		}
	}
}
