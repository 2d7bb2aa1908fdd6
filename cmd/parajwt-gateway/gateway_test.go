package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/adapters/forwardauth"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
)

// outcome is a result of run.
type outcome struct {
	status         int
	stdout, stderr string
}

func runNow(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // with valid settings, it starts and stops
	status := run(ctx, args, func(name string) string { return env[name] }, &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

var quiet = slog.New(slog.DiscardHandler)

// newTestGateway returns a gateway for para.
func newTestGateway(
	t *testing.T, para *paratest.Para, logger *slog.Logger, flags ...string,
) *gateway {
	t.Helper()
	args := []string{"--env", para.URL(), "--api-key-id", para.APIKeyID()}
	s, err := parse(append(args, flags...),
		func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGateway(s, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.close() })
	return g
}

func ask(h http.Handler, method, target, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path, r.RequestURI = target, target // NewRequest refuses "*" and "//"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPaths(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	g := newTestGateway(t, para, quiet)
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct {
		method, path string
		anonymous    int
	}{
		{"GET", "/auth", 401},
		{"POST", "/auth", 401},
		{"OPTIONS", "/auth", 401},
		{"BREW", "/auth/", 401},
		{"GET", "/auth/me", 401},
		{"GET", "/auth/../healthz", 401},
		{"GET", "/auth//a/./b/../c", 401},
		{"GET", "/authority", 404},
		{"GET", "/Auth", 404},
		{"GET", "/", 404},
		{"GET", "//auth", 404},
		{"GET", "/healthz/", 404},
		{"OPTIONS", "*", 404},
	} {
		w := ask(g, test.method, test.path, "")
		if w.Code != test.anonymous {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, w.Code, test.anonymous)
		}
		want := test.anonymous
		if want == 401 {
			want = 200
		}
		w = ask(g, test.method, test.path, token)
		if w.Code != want || want == 200 && w.Header().Get("X-Para-User-Id") != paratest.UserID {
			t.Errorf("%s %s with a token: %d %v", test.method, test.path, w.Code, w.Header())
		}
	}
}

func TestHealth(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Down()
	for _, test := range []struct {
		name   string
		flags  []string
		warm   bool
		status int
		body   string
	}{
		{"no keys", nil, false, 503, "{\"usable\":false}\n"},
		{"keys", nil, true, 200, "{\"usable\":true}\n"},
		{"keys, and no Redis", []string{"--redis", "redis://127.0.0.1:1"}, true, 503,
			"{\"usable\":false}\n"},
	} {
		g := newTestGateway(t, para, quiet, test.flags...)
		if test.warm {
			para.Recover()
			if err := g.validator.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w := ask(g, "GET", "/healthz", "")
		if w.Code != test.status || w.Body.String() != test.body {
			t.Errorf("%s: %d %s, want %d %s", test.name, w.Code, w.Body, test.status, test.body)
		}
		// /auth agrees with /healthz.
		want := 503
		if test.status == 200 {
			want = 200
		}
		if w := ask(g, "GET", "/auth", para.Token(paratest.EmailUser())); w.Code != want {
			t.Errorf("%s: /auth is %d, want %d", test.name, w.Code, want)
		}
	}
}

func TestOptional(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	g := newTestGateway(t, para, quiet, "--optional")
	w := ask(g, "GET", "/auth", "")
	if w.Code != 200 {
		t.Fatalf("%d", w.Code)
	}
	for _, name := range forwardauth.Fields() {
		if w.Header().Get(name) != "-" {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	if w := ask(g, "GET", "/auth", "junk"); w.Code != 401 {
		t.Errorf("junk: %d", w.Code)
	}
}

func TestOneLogLinePerRefusal(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var log testkit.Log
	g := newTestGateway(t, para, log.Logger())
	good := para.Token(paratest.EmailUser())
	ask(g, "GET", "/auth", good)
	log.Take() // drop the lines about the key fetch
	expired := para.Token(paratest.EmailUser(), paratest.Expired())
	for _, test := range []struct{ token, connection, code string }{
		{"", "", "no_token"},
		{"junk", "", "malformed"},
		{expired, "", "expired"},
		{para.Token(paratest.EmailUser(), paratest.BadSignature()), "", "signature"},
		{good, "X-Para-User-Id", "malformed"},
	} {
		r := httptest.NewRequest("GET", "/auth", nil)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		if test.connection != "" {
			r.Header.Set("Connection", test.connection)
		}
		g.ServeHTTP(httptest.NewRecorder(), r)
		lines := log.Take()
		if len(lines) != 1 || lines[0]["msg"] != "parajwt: request refused" {
			t.Fatalf("%s: got %v, want one line", test.code, lines)
		}
		if refusal, _ := lines[0]["refusal"].(map[string]any); refusal["code"] != test.code {
			t.Errorf("%s: got %v", test.code, lines[0])
		}
		testkit.NoLeak(t, fmt.Sprint(lines[0]), test.token)
	}
	if ask(g, "GET", "/auth", good); log.Take() != nil {
		t.Error("a request that was not refused is logged")
	}
}

// TestServe checks that the gateway starts while Para is down, on TCP and on a
// unix socket, and ends with status 0.
func TestServe(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			para := paratest.New(t, paratest.Config{})
			para.Down()
			listen := "127.0.0.1:0"
			if network == "unix" {
				listen = "unix:" + abandonedSocket(t)
			}
			env := map[string]string{"PARA_ENVIRONMENT": para.URL(),
				"PARA_API_KEY_ID": para.APIKeyID(), "PARA_LISTEN": listen}
			ctx, stop := context.WithCancel(t.Context())
			reader, stderr := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				status := run(ctx, nil, func(name string) string { return env[name] }, io.Discard,
					stderr)
				stderr.Close()
				ended <- status
			}()
			addresses := make(chan string, 1)
			go func() {
				for lines := bufio.NewScanner(reader); lines.Scan(); {
					var line struct{ Address string }
					if json.Unmarshal(lines.Bytes(), &line); line.Address != "" {
						addresses <- line.Address
					}
				}
			}()
			address := <-addresses
			client := &http.Client{Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, address)
				},
			}}
			get := func(path string) (int, string) {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://gateway"+path, nil)
				r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				return resp.StatusCode, string(body)
			}
			if status, body := get("/auth"); status != 503 {
				t.Errorf("while Para is down: %d %s", status, body)
			}
			if status, body := get("/healthz"); status != 503 {
				t.Errorf("while Para is down: %d %s", status, body)
			}
			para.Recover()
			for deadline := time.Now().Add(20 * time.Second); ; {
				if status, _ := get("/auth"); status == 200 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("it did not recover")
				}
			}
			if status, body := get("/healthz"); status != 200 {
				t.Errorf("%d %s", status, body)
			}
			// A second gateway does not replace the socket of a running one.
			if network == "unix" {
				other := runNow(t, env)
				if other.status != exitFailed || !strings.Contains(other.stderr, "in use") {
					t.Errorf("a second gateway: %+v", other)
				}
			}
			client.CloseIdleConnections()
			stop()
			if status := <-ended; status != exitOK {
				t.Errorf("status %d", status)
			}
			if network == "unix" {
				if _, err := os.Stat(address); err == nil {
					t.Error("the socket file remains")
				}
			}
		})
	}
}

// abandonedSocket returns the path of a socket that a killed process left.
func abandonedSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "parajwt") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	return path
}

func TestListenKeepsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listen(t.Context(), "unix:"+path); err == nil {
		l.Close()
		t.Error("a file was replaced by a socket")
	}
	if data, err := os.ReadFile(path); string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestSettings(t *testing.T) {
	const id = paratest.APIKeyID
	const offline = "http://127.0.0.1:1"
	right := []string{"--env", offline, "--api-key-id", id, "--listen", "127.0.0.1:0"}
	for _, test := range []struct {
		name   string
		env    map[string]string
		args   []string
		status int
		says   []string // on standard error
	}{
		{"nothing", nil, nil, 2, []string{"--env or PARA_ENVIRONMENT",
			"--api-key-id or PARA_API_KEY_ID"}},
		{"flags", nil, right, 0, nil},
		{"variables", map[string]string{"PARA_ENVIRONMENT": offline, "PARA_API_KEY_ID": id,
			"PARA_LISTEN": "127.0.0.1:0", "PARA_OPTIONAL": "true"}, nil, 0, nil},
		{"flags before variables", map[string]string{"PARA_ENVIRONMENT": "nonsense",
			"PARA_LISTEN": "nonsense"}, right, 0, nil},
		{"two IDs", nil, []string{"--env", offline, "--api-key-id", id + ", " + id,
			"--listen", "127.0.0.1:0"}, 0, nil},
		{"unknown environment", nil, []string{"--env", "bata", "--api-key-id", id}, 2,
			[]string{`unknown environment "bata": use prod, beta`}},
		{"a secret key", nil, []string{"--env", "beta", "--api-key-id", "sk_beta_canary1234567890"},
			2, []string{"APIKeyIDs[0]"}},
		{"unknown flag", nil, append(right, "--port=8090"), 2, []string{"-port"}},
		{"an argument", nil, append(right, "canary"), 2, []string{"no arguments"}},
		{"listen without port", nil, append(right, "--listen", "127.0.0.1"), 2,
			[]string{"--listen: give HOST:PORT or unix:/path"}},
		{"unix without path", nil, append(right, "--listen", "unix:"), 2, []string{"--listen"}},
		{"optional", map[string]string{"PARA_OPTIONAL": "perhaps"}, right, 2,
			[]string{"PARA_OPTIONAL: use true or false"}},
		{"redis", nil, append(right, "--redis", "redis://:canary@127.0.0.1:1/0", "--redis-key",
			"app"), 0, nil},
		{"not a Redis URL", nil, append(right, "--redis", "redis://:canary@%zz"), 2,
			[]string{"--redis: give redis://"}},
		{"PARA_REDIS", map[string]string{"PARA_REDIS": "http://:canary@127.0.0.1"}, right, 2,
			[]string{"--redis: give redis://"}},
		{"empty redis", nil, append(right, "--redis", ""), 2, []string{"--redis is empty"}},
		{"key without redis", nil, append(right, "--redis-key", "app"), 2,
			[]string{"--redis-key requires --redis"}},
		{"unknown proxy", nil, []string{"--print-config", "apache"}, 2,
			[]string{"nginx, caddy, haproxy, haproxy-lua, traefik, envoy, ingress-nginx"}},
	} {
		got := runNow(t, test.env, test.args...)
		if got.status != test.status {
			t.Errorf("%s: status %d, want %d: %s", test.name, got.status, test.status, got.stderr)
		}
		for _, want := range test.says {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%s: %q does not contain %q", test.name, got.stderr, want)
			}
		}
		if strings.Contains(got.stderr, "canary") {
			t.Errorf("%s: a secret is in %q", test.name, got.stderr)
		}
	}
	if got := runNow(t, nil, "--help"); got.status != 0 || got.stdout != help {
		t.Errorf("--help: %+v", got)
	}
	// The address is taken.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := append(right, "--listen", listener.Addr().String())
	if got := runNow(t, nil, taken...); got.status != 1 {
		t.Errorf("a taken address: %+v", got)
	}
}

// TestHelp checks that the help names every flag and its variable.
func TestHelp(t *testing.T) {
	for name, variable := range variables() {
		// The variable is in parentheses, before the next flag.
		_, after, found := strings.Cut(help, "\n  --"+name+" ")
		about, _, _ := strings.Cut(after, "\n  --")
		found = found && strings.Contains(about, "("+variable+")")
		if !found {
			t.Errorf("--%s and %s are not in the help", name, variable)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	for _, proxy := range proxies() {
		got := runNow(t, nil, "--print-config", proxy[0])
		if got.status != 0 || got.stderr != "" {
			t.Fatalf("%s: %+v", proxy[0], got)
		}
		addresses := []string{"127.0.0.1:8088", "127.0.0.1:8090", "127.0.0.1:8000"}
		if proxy[0] == "haproxy-lua" {
			addresses = addresses[1:2]
		}
		for _, address := range addresses {
			if !strings.Contains(got.stdout, address) {
				t.Errorf("%s does not have %s", proxy[0], address)
			}
		}
		tested := map[string]bool{
			"nginx": true, "caddy": true, "haproxy": true, "haproxy-lua": true,
		}
		if strings.Contains(got.stdout, "NOT RUN") == tested[proxy[0]] {
			t.Errorf("%s: wrong mark of what was run", proxy[0])
		}
		if proxy[0] == "haproxy" {
			continue // the fields are in the Lua file
		}
		for _, field := range forwardauth.Fields() {
			if !strings.Contains(strings.ToLower(got.stdout), strings.ToLower(field)) {
				t.Errorf("%s does not have %s", proxy[0], field)
			}
		}
	}
	files, err := configs.ReadDir("config")
	if err != nil || len(files) != len(proxies()) {
		t.Errorf("%v, %v", files, err)
	}
	for _, proxy := range proxies() {
		if !strings.Contains(help, proxy[0]) {
			t.Errorf("%s is not in the help", proxy[0])
		}
	}
}
