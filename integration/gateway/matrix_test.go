//go:build servers

package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/adapters/forwardauth"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

// answer is a response to a client. application is zero if the application was
// not reached.
type answer struct {
	status      int
	header      http.Header
	body        string
	application struct {
		Method, Path, Identifier string
		Body                     int
		Fields                   map[string]string
	}
}

// user returns the user that the application got, or "" if it was not reached.
func (a answer) user() string { return a.application.Fields["HTTP_X_PARA_USER_ID"] }

// request is one request to a proxy. The names of header fields are sent
// unchanged.
type request struct {
	method, path string
	token        string
	header       map[string][]string
	body         []byte
}

func send(t *testing.T, addr string, req request) answer {
	t.Helper()
	if req.method == "" {
		req.method = http.MethodGet
	}
	if req.path == "" {
		req.path = "/me"
	}
	r, err := http.NewRequestWithContext(t.Context(), req.method, "http://"+addr+req.path,
		bytes.NewReader(req.body))
	if err != nil {
		t.Fatal(err)
	}
	if req.token != "" {
		r.Header.Set("Authorization", "Bearer "+req.token)
	}
	for name, values := range req.header {
		r.Header[name] = append(r.Header[name], values...)
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: req.header["Connection"] == nil,
			ExpectContinueTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if resp.Header.Get("X-Application") != "" {
		if err := json.Unmarshal(body, &a.application); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return a
}

func forAll(t *testing.T, test func(t *testing.T, p proxy)) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// startAll starts a gateway, an application and a proxy.
func startAll(t *testing.T, p proxy, para *paratest.Para, flags ...string) (
	addr string, stopGateway func(),
) {
	t.Helper()
	gateway, _, stopGateway := startGateway(t, para, flags...)
	addr, _ = startProxy(t, p, gateway, startApplication(t), asPrinted)
	return addr, stopGateway
}

// forged returns every field in every spelling that CGI reads as that field.
func forged() map[string][]string {
	header := make(map[string][]string)
	for _, name := range forwardauth.Fields() {
		words := strings.Split(name, "-")
		for separators := range 1 << (len(words) - 1) {
			spelling := words[0]
			for i, word := range words[1:] {
				spelling += string("-_"[separators>>i&1]) + word
			}
			header[spelling] = []string{"forged", "forged"}
		}
	}
	return header
}

func TestMatrix(t *testing.T) {
	forAll(t, func(t *testing.T, p proxy) {
		para := paratest.New(t, paratest.Config{})
		addr, stopGateway := startAll(t, p, para)
		email := paratest.EmailUser()
		good := para.Token(email)

		t.Run("a good token", func(t *testing.T) {
			a := send(t, addr, request{token: good, path: "/me/../a%20b?q=1"})
			want := map[string]string{
				"HTTP_X_PARA_USER_ID": paratest.UserID, "HTTP_X_PARA_AUTH_TYPE": "email",
				"HTTP_X_PARA_IDENTIFIER": "email%40example.com",
				"HTTP_X_PARA_WALLETS": "EVM:" + paratest.EVMAddress + ",SOLANA:" +
					paratest.SolanaAddress,
				"HTTP_AUTHORIZATION": "Bearer " + good,
			}
			for name, value := range want {
				if a.application.Fields[name] != value {
					t.Errorf("%s: %q, want %q", name, a.application.Fields[name], value)
				}
			}
			if a.status != 200 || a.application.Identifier != email.Identifier ||
				len(a.application.Fields["HTTP_X_PARA_TOKEN_ID"]) < 22 ||
				len(a.application.Fields["HTTP_X_PARA_EXPIRES"]) != 10 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("POST of 100 kB", func(t *testing.T) {
			a := send(t, addr, request{token: good, method: "POST", body: make([]byte, 100_000)})
			if a.status != 200 || a.application.Body != 100_000 || a.application.Method != "POST" ||
				a.user() != paratest.UserID {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("POST of 100 kB without a token", func(t *testing.T) {
			// The client waits for the response before it sends the body.
			// Without Expect, it may fail to write to a proxy that has already
			// closed the connection (RFC 9112 §9.6).
			a := send(t, addr, request{method: "POST", body: make([]byte, 100_000),
				header: map[string][]string{"Expect": {"100-continue"}}})
			refused(t, a, 401, "Bearer")
		})
		t.Run("POST of 1 kB without a token", func(t *testing.T) {
			// The client sends the body together with the header.
			a := send(t, addr, request{method: "POST", body: make([]byte, 1000)})
			refused(t, a, 401, "Bearer")
		})
		t.Run("forged fields", func(t *testing.T) {
			a := send(t, addr, request{token: good, header: forged()})
			if a.status != 200 || a.user() != paratest.UserID ||
				strings.Contains(a.body, "forged") {
				t.Errorf("%d %s", a.status, a.body)
			}
			refused(t, send(t, addr, request{header: forged()}), 401, "Bearer")
		})
		t.Run("forged fields one by one", func(t *testing.T) {
			for name := range forged() {
				for _, name := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
					a := send(t, addr, request{token: good,
						header: map[string][]string{name: {"forged"}}})
					if a.status != 200 || a.user() != paratest.UserID ||
						strings.Contains(a.body, "forged") {
						t.Errorf("%s: %d %s", name, a.status, a.body)
					}
				}
			}
		})
		t.Run("refused tokens", func(t *testing.T) {
			expired := para.Token(email, paratest.Expired())
			refused(t, send(t, addr, request{}), 401, "Bearer")
			refused(t, send(t, addr, request{token: "junk"}), 401, `Bearer error="invalid_token"`)
			refused(t, send(t, addr, request{token: expired}), 401,
				`Bearer error="invalid_token", error_description="token expired"`)
			refused(t, send(t, addr, request{token: para.Token(email, paratest.BadSignature())}),
				401, `Bearer error="invalid_token"`)
		})
		t.Run("two Authorization fields", func(t *testing.T) {
			for _, second := range []string{"Bearer " + good, "Basic eDp5", ""} {
				a := send(t, addr, request{token: good,
					header: map[string][]string{"Authorization": {second}}})
				if a.user() != "" || a.status != 401 && a.status != 400 {
					t.Errorf("%.10q: %d %s", second, a.status, a.body)
				}
			}
		})
		t.Run("a token of 12 KiB", func(t *testing.T) {
			padding := strings.Repeat("x", 12<<10*3/4)
			long := para.Token(email, paratest.WithData("padding", padding))
			if len(long) < 12<<10 {
				t.Fatalf("%d bytes", len(long))
			}
			if a := send(t, addr, request{token: long}); a.status != 200 ||
				a.user() != paratest.UserID {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("fields of 3 KiB", func(t *testing.T) {
			rich := paratest.EmailUser()
			rich.UserID, rich.Identifier = strings.Repeat("u", 512), strings.Repeat("i", 512)
			rich.Wallets = nil
			for range 100 {
				rich.Wallets = append(rich.Wallets,
					claims.Wallet{Type: "EVM", Address: paratest.EVMAddress})
			}
			a := send(t, addr, request{token: para.Token(rich)})
			if a.status != 200 || a.user() != rich.UserID ||
				len(a.application.Fields["HTTP_X_PARA_WALLETS"]) < 1500 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("a 403 with its challenge", func(t *testing.T) {
			long := paratest.EmailUser()
			long.UserID = strings.Repeat("u", 513)
			refused(t, send(t, addr, request{token: para.Token(long)}), 403,
				`Bearer error="insufficient_scope"`)
		})
		t.Run("Connection names a field", func(t *testing.T) {
			for _, value := range []string{"X-Para-User-Id", "keep-alive, x-para-wallets"} {
				a := send(t, addr, request{token: good,
					header: map[string][]string{"Connection": {value}}})
				if a.status != 400 || a.user() != "" {
					t.Errorf("%q: %d %s", value, a.status, a.body)
				}
			}
			a := send(t, addr, request{token: good,
				header: map[string][]string{"Connection": {"keep-alive"}}})
			if a.status != 200 || a.user() != paratest.UserID {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("other parts of a request have no effect", func(t *testing.T) {
			a := send(t, addr, request{
				method: "OPTIONS", path: "/public",
				header: map[string][]string{
					"X-Forwarded-Uri": {"/auth"}, "X-Forwarded-Method": {"OPTIONS"},
					"X-Original-Url": {"/healthz"},
				},
			})
			refused(t, a, 401, "Bearer")
		})
		t.Run("the gateway has stopped", func(t *testing.T) {
			stopGateway()
			a := send(t, addr, request{token: good, header: forged()})
			if a.user() != "" || a.status != 503 && a.status != 502 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if a.status == 503 && a.header.Get("Retry-After") != "1" {
				t.Errorf("%v", a.header)
			}
		})
	})
}

// refused fails the test unless the response is the adapters' refusal.
func refused(t *testing.T, a answer, status int, challenge string) {
	t.Helper()
	if a.status != status || a.user() != "" || a.header.Get("X-Application") != "" {
		t.Errorf("%d %s, want %d", a.status, a.body, status)
	}
	if got := a.header["Www-Authenticate"]; len(got) != 1 || got[0] != challenge {
		t.Errorf("%d: challenges %q, want %q", status, got, challenge)
	}
	var problem struct{ Status int }
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != status ||
		a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%v %q, want a problem of status %d", a.header, a.body, status)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d may be cached: %v", status, a.header)
	}
}

func TestKeysUnavailable(t *testing.T) {
	forAll(t, func(t *testing.T, p proxy) {
		para := paratest.New(t, paratest.Config{})
		para.Down()
		addr, _ := startAll(t, p, para)
		a := send(t, addr, request{token: para.Token(paratest.EmailUser())})
		if a.status != 503 || a.user() != "" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s, want 503 with Retry-After", a.status, a.header, a.body)
		}
		// It started while Para was down, and needs no restart.
		para.Recover()
		eventually(t, func() bool {
			a = send(t, addr, request{token: para.Token(paratest.EmailUser())})
			return a.status == 200
		})
		if a.user() != paratest.UserID {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func TestOptional(t *testing.T) {
	forAll(t, func(t *testing.T, p proxy) {
		para := paratest.New(t, paratest.Config{})
		addr, _ := startAll(t, p, para, "--optional")
		a := send(t, addr, request{header: forged()})
		if a.status != 200 || strings.Contains(a.body, "forged") {
			t.Errorf("%d %s", a.status, a.body)
		}
		for _, field := range []string{"USER_ID", "AUTH_TYPE", "IDENTIFIER", "WALLETS", "TOKEN_ID",
			"EXPIRES"} {
			if got := a.application.Fields["HTTP_X_PARA_"+field]; got != "-" {
				t.Errorf("%s: %q without a token", field, got)
			}
		}
		a = send(t, addr, request{token: para.Token(paratest.EmailUser())})
		if a.status != 200 || a.user() != paratest.UserID {
			t.Errorf("%d %s", a.status, a.body)
		}
		refused(t, send(t, addr, request{token: "junk"}), 401, `Bearer error="invalid_token"`)
	})
}

// TestRevoked checks that a user whom another server revoked in Redis is
// refused.
func TestRevoked(t *testing.T) {
	url := startRedis(t)
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	list, err := revocation.New(revocation.Config{
		Store: redisstore.New(func(ctx context.Context, args ...any) (any, error) {
			return client.Do(ctx, args...).Result()
		}, "app:revocations"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })

	forAll(t, func(t *testing.T, p proxy) {
		para := paratest.New(t, paratest.Config{})
		addr, _ := startAll(t, p, para, "--redis", url, "--redis-key", "app:revocations")
		revoked, other := paratest.EmailUser(), paratest.EmailUser()
		revoked.UserID, other.UserID = "revoked behind "+p.name, "another user"
		token := para.Token(revoked)
		eventually(t, func() bool { return send(t, addr, request{token: token}).status == 200 })
		if err := list.RevokeUser(t.Context(), revoked.UserID); err != nil {
			t.Fatal(err)
		}
		var a answer
		eventually(t, func() bool {
			a = send(t, addr, request{token: token})
			return a.status != 200
		})
		refused(t, a, 401, `Bearer error="invalid_token", error_description="token revoked"`)
		if a := send(t, addr, request{token: para.Token(other)}); a.status != 200 {
			t.Errorf("another user: %d %s", a.status, a.body)
		}
	})
}

// TestStrangerOnGatewayPort checks that another server on the gateway's port,
// which responds with 200 to every request, admits no request: the application
// refuses a request without X-Para-User-Id.
func TestStrangerOnGatewayPort(t *testing.T) {
	forAll(t, func(t *testing.T, p proxy) {
		para := paratest.New(t, paratest.Config{})
		stranger := httptest.NewServer(http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "welcome") }))
		t.Cleanup(stranger.Close)
		addr, _ := startProxy(t, p, stranger.Listener.Addr().String(), startApplication(t),
			asPrinted)
		a := send(t, addr, request{token: para.Token(paratest.EmailUser()), header: forged()})
		if a.user() != "" || a.status != 403 && a.status != 503 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestLuaFails checks that the configuration refuses a request if the Lua
// action fails. HAProxy itself continues with such a request.
func TestLuaFails(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	gateway, _, _ := startGateway(t, para)
	application := startApplication(t)
	for _, p := range proxies {
		if p.name != "haproxy" {
			continue
		}
		addr, _ := startProxy(t, p, gateway, application, func(config string) string {
			return strings.Replace(config, "local authorization", "error('broken') local x", 1)
		})
		a := send(t, addr, request{token: para.Token(paratest.EmailUser()), header: forged()})
		if a.status != 503 || a.header.Get("X-Application") != "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// startRedis starts a Redis without persistence, and returns its URL.
func startRedis(t *testing.T) (url string) {
	t.Helper()
	addr := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal(err)
	}
	start(t, t.TempDir(), io.Discard, "redis-server", "--port", port, "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no")
	return "redis://" + addr
}

// eventually waits until another process has caused a condition.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("the condition did not become true")
		}
	}
}
