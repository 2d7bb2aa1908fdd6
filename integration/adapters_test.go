// Package integration_test checks that all adapters behave alike. They accept
// and refuse the same requests, with the same bytes.
package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// adapter describes the adapter of one router. mount guards h with Require or
// Optional, for every method and path.
type adapter struct {
	name  string
	mount func(
		require bool, v *middleware.Validator, opts []middleware.Option, h http.Handler,
	) http.Handler
}

// all lists the adapters. A new adapter is added only here.
var all = []adapter{
	{"parahttp", func(
		require bool, v *middleware.Validator, opts []middleware.Option, h http.Handler,
	) http.Handler {
		if require {
			return parahttp.Require(v, opts...)(h)
		}
		return parahttp.Optional(v, opts...)(h)
	}},
	{"paraecho", func(
		require bool, v *middleware.Validator, opts []middleware.Option, h http.Handler,
	) http.Handler {
		e := echo.New()
		if require {
			e.Use(paraecho.Require(v, opts...))
		} else {
			e.Use(paraecho.Optional(v, opts...))
		}
		e.Any("/*", echo.WrapHandler(h))
		return e
	}},
	{"paraecho5", func(
		require bool, v *middleware.Validator, opts []middleware.Option, h http.Handler,
	) http.Handler {
		e := echo5.New()
		if require {
			e.Use(paraecho5.Require(v, opts...))
		} else {
			e.Use(paraecho5.Optional(v, opts...))
		}
		e.Any("/*", echo5.WrapHandler(h))
		return e
	}},
	{"paragin", func(
		require bool, v *middleware.Validator, opts []middleware.Option, h http.Handler,
	) http.Handler {
		gin.SetMode(gin.TestMode)
		r := gin.New()
		if require {
			r.Use(paragin.Require(v, opts...))
		} else {
			r.Use(paragin.Optional(v, opts...))
		}
		r.Any("/*path", gin.WrapH(h))
		return r
	}},
}

// forAll runs a test under every adapter.
func forAll(t *testing.T, test func(t *testing.T, a adapter)) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) { test(t, a) })
	}
}

// epoch is the time of these tests. Their clocks stand still unless a test sets
// them.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func now() time.Time { return epoch }

// para is shared by tests that do not change it.
var para = sync.OnceValue(func() *paratest.Para {
	p, err := paratest.Start(paratest.Config{Now: now})
	if err != nil {
		panic(err)
	}
	return p
})

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // a guard without a validator uses it
	os.Exit(m.Run())
}

// newValidator returns a validator whose clock returns epoch, unless cfg has
// another clock.
func newValidator(t testing.TB, cfg middleware.Config) *middleware.Validator {
	t.Helper()
	if cfg.APIKeyIDs == nil {
		cfg.APIKeyIDs = []string{paratest.APIKeyID}
	}
	if cfg.Now == nil {
		cfg.Now = now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Keys.FetchTimeout = time.Minute // a slow machine must not look like an outage
	v, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// site is a server on loopback behind an adapter.
type site struct {
	addr  string
	calls atomic.Int64 // of the guarded handler
}

// serve starts a site. A nil handler returns the user.
func serve(
	t *testing.T, a adapter, require bool, v *middleware.Validator, opts []middleware.Option,
	h http.Handler,
) *site {
	t.Helper()
	if h == nil {
		h = http.HandlerFunc(whoami)
	}
	s := new(site)
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		h.ServeHTTP(w, r)
	})
	s.listen(t, a.mount(require, v, opts, counted))
	return s
}

func (s *site) listen(t *testing.T, h http.Handler) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.addr = server.Listener.Addr().String()
}

func whoami(w http.ResponseWriter, r *http.Request) {
	if user, ok := claims.FromContext(r.Context()); ok {
		fmt.Fprintln(w, user.UserID, user.AuthType)
	} else {
		fmt.Fprintln(w, "anonymous")
	}
}

var date = regexp.MustCompile(`(?m)^Date: .*\r\n`)

// ask sends a request with exactly these header lines, some of which net/http's
// client refuses to send. It returns the exact response without the date.
func (s *site) ask(t *testing.T, method string, lines ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "%s /here HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n", method)
	for _, line := range lines {
		w.WriteString(line + "\r\n")
	}
	w.WriteString("\r\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return date.ReplaceAllString(string(answer), "")
}

// get calls ask with a bearer token.
func (s *site) get(t *testing.T, token string) string {
	t.Helper()
	return s.ask(t, "GET", "Authorization: Bearer "+token)
}

// passes fails the test unless the request reaches the handler and the response
// ends with body.
func (s *site) passes(t *testing.T, body string, lines ...string) {
	t.Helper()
	before := s.calls.Load()
	answer := s.ask(t, "GET", lines...)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") ||
		!strings.HasSuffix(answer, "\r\n\r\n"+body+"\n") || s.calls.Load() != before+1 {
		t.Errorf("%.200q:\n got %q\nwant 200 and %q", lines, answer, body)
	}
}

// refuses fails the test unless the response is want and the handler is not
// called.
func (s *site) refuses(t *testing.T, want string, lines ...string) {
	t.Helper()
	before := s.calls.Load()
	if answer := s.ask(t, "GET", lines...); answer != want {
		t.Errorf("%.200q:\n got %q\nwant %q", lines, answer, want)
	}
	if s.calls.Load() != before {
		t.Errorf("%.200q: the handler was called", lines)
	}
}

// The responses to refused requests, byte for byte.
func answer401(challenge string) string {
	const body = `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"
	return "HTTP/1.1 401 Unauthorized\r\n" +
		"Cache-Control: no-store\r\n" +
		"Content-Type: application/problem+json\r\n" +
		"Www-Authenticate: " + challenge + "\r\n" +
		"Content-Length: 59\r\n" +
		"Connection: close\r\n\r\n" + body
}

const (
	answer403 = "HTTP/1.1 403 Forbidden\r\n" +
		"Cache-Control: no-store\r\n" +
		"Content-Type: application/problem+json\r\n" +
		"Www-Authenticate: Bearer error=\"insufficient_scope\"\r\n" +
		"Content-Length: 56\r\n" +
		"Connection: close\r\n\r\n" +
		`{"type":"about:blank","title":"Forbidden","status":403}` + "\n"
	answer500 = "HTTP/1.1 500 Internal Server Error\r\n" +
		"Cache-Control: no-store\r\n" +
		"Content-Type: application/problem+json\r\n" +
		"Content-Length: 68\r\n" +
		"Connection: close\r\n\r\n" +
		`{"type":"about:blank","title":"Internal Server Error","status":500}` + "\n"
	answer503 = "HTTP/1.1 503 Service Unavailable\r\n" +
		"Cache-Control: no-store\r\n" +
		"Content-Type: application/problem+json\r\n" +
		"Retry-After: 2\r\n" + // one second, and jitter
		"Content-Length: 66\r\n" +
		"Connection: close\r\n\r\n" +
		`{"type":"about:blank","title":"Service Unavailable","status":503}` + "\n"
)

var (
	noToken = answer401("Bearer")
	forged  = answer401(`Bearer error="invalid_token"`)
)

// keyless returns a validator that has no keys, because Para is down.
func keyless(t *testing.T) *middleware.Validator {
	t.Helper()
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(down.Close)
	return newValidator(t,
		middleware.Config{Environment: jwks.Environment{Name: "down", URL: down.URL}})
}
