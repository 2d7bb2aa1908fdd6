//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

// Para's SDK uses this address for its environment DEV.
const (
	addr = "localhost:8080"
	base = "http://" + addr
)

// sdk is the npm package to run instead of @getpara/server-sdk 2.18.0.
var sdk = os.Getenv("PARA_SDK")

var quiet = slog.New(slog.DiscardHandler)

// lab is the emulator of Para on localhost:8080. It records the requests.
type lab struct {
	*paratest.Para

	mu   sync.Mutex
	seen []request
}

// request is a recorded request.
type request struct {
	method, url, body string
	header            http.Header
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Para: paratest.New(t, paratest.Config{Environment: "dev"})}
	to, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("Para's SDK uses only %s for DEV: %v", addr, err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// If Para closes the connection, the proxy does so, too.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := &http.Server{
		ErrorLog: proxy.ErrorLog,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			l.mu.Lock()
			l.seen = append(
				l.seen,
				request{r.Method, r.URL.String(), string(body), r.Header.Clone()},
			)
			l.mu.Unlock()
			proxy.ServeHTTP(w, r)
		}),
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return l
}

// take returns the requests since the last call of take.
func (l *lab) take() []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// environment is DEV for Go.
var environment = jwks.Environment{Name: "dev", URL: base}

func (l *lab) client(t *testing.T) *session.Client {
	t.Helper()
	c, err := session.New(
		session.Config{
			Environment:  environment,
			SecretAPIKey: session.NewSecret(l.SecretAPIKey()),
			APIKey:       l.APIKey(),
			Logger:       quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func importSession(
	t *testing.T,
	c *session.Client,
	exported string,
	opts ...session.ImportOption,
) *session.Session {
	t.Helper()
	s, err := c.Import(exported, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// result is the result of one call of Para's SDK.
type result struct {
	Value  json.RawMessage `json:"value"`
	Error  string          `json:"error"`
	Status int             `json:"status"`
}

// results are those of one session, by name of the call.
type results map[string]result

// get returns the value of a call.
func get[T any](t *testing.T, r results, call string) (value T) {
	t.Helper()
	if r[call].Error != "" {
		t.Fatalf("Para's SDK: %s: %s (status %d)", call, r[call].Error, r[call].Status)
	}
	if len(r[call].Value) > 0 {
		if err := json.Unmarshal(r[call].Value, &value); err != nil {
			t.Fatalf("Para's SDK: %s: %v", call, err)
		}
	}
	return value
}

// node runs all calls of Para's SDK on exported sessions, concurrently in one
// process.
func node(t *testing.T, apiKey string, sessions map[string]string) map[string]results {
	t.Helper()
	input, err := json.Marshal(map[string]any{"apiKey": apiKey, "sessions": sessions})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "client.mjs")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node client.mjs: %v (e2e/run installs what it needs)\n%s", err, errs.String())
	}
	var played struct {
		Sessions map[string]results `json:"sessions"`
		Fetched  []string           `json:"fetched"`
	}
	if err := json.Unmarshal(out, &played); err != nil {
		t.Fatalf("node client.mjs: %v", err)
	}
	for _, url := range played.Fetched {
		if !strings.HasPrefix(url, "http://localhost:3003/") {
			t.Errorf("Para's SDK fetched %s", url)
		}
	}
	return played.Sessions
}

// node1 is node for one session.
func node1(t *testing.T, apiKey, exported string) results {
	t.Helper()
	return node(t, apiKey, map[string]string{"it": exported})["it"]
}

const tokenHeader = "X-Para-Verification-Token"

// routers starts a server of each router behind Require. It returns their URLs
// by name of the router.
func (l *lab) routers(t *testing.T) map[string]string {
	t.Helper()
	validator, err := middleware.New(
		middleware.Config{
			Environment: environment,
			APIKeyIDs:   []string{l.APIKeyID()},
			Logger:      quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { validator.Close() })
	tokens, err := l.client(t).TokenVerifier(session.TokenVerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	sessions := middleware.AcceptVerificationTokensWithoutUserID(
		tokens,
		middleware.FromHeader(tokenHeader),
	)

	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(validator, sessions)(http.HandlerFunc(me)))
	e := echo.New()
	e.Use(paraecho.Require(validator, sessions))
	e.GET("/me", echo.WrapHandler(http.HandlerFunc(me)))
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.Use(paragin.Require(validator, sessions))
	g.GET("/me", gin.WrapF(me))

	urls := map[string]string{}
	for name, handler := range map[string]http.Handler{"net/http": mux, "Echo": e, "Gin": g} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		urls[name] = server.URL + "/me"
	}
	return urls
}

func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	json.NewEncoder(w).Encode(user)
}

// ask sends a header to a router, and returns the status and the user.
func ask(t *testing.T, url, header, value string) (int, claims.Claims) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header, value)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var user claims.Claims
	if err := json.NewDecoder(res.Body).Decode(&user); err != nil &&
		res.StatusCode == http.StatusOK {
		t.Fatal(err)
	}
	return res.StatusCode, user
}

// decoded returns the JSON in an exported session.
func decoded(t *testing.T, exported string) (session map[string]any) {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(exported)
	if err == nil {
		err = json.Unmarshal(text, &session)
	}
	if err != nil {
		t.Fatal(err)
	}
	return session
}
