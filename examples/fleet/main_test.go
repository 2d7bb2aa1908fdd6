package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func TestRunShowsWhenEachServerRefuses(t *testing.T) {
	const beforeOutage = `The user logs in on A, and sends the token to both
    A: 200   B: 200
The user logs out on B, which answers 204 after TIME
    B refuses after TIME, A after TIME
The user logs in again
    A: 200   B: 200
`
	const outage = `Redis goes down
    A: 200   B: 200
The user logs out on B, which answers 202 after TIME: not shared yet
    A: 200   B: 401
Redis is back
    A refuses after TIME
`
	const coldStart = `Para goes down. Server C starts with the keys that A and B saved
    C: %d for the old token, 200 for a new one
`
	times := regexp.MustCompile(`\d[0-9.]*(s|ms|µs)`)
	for name, test := range map[string]struct{ url, want string }{
		"embedded Redis": {"", beforeOutage + outage + fmt.Sprintf(coldStart, 401)},
		"REDIS_URL": {"redis://" + miniredis.RunT(t).Addr() + "/0",
			beforeOutage + fmt.Sprintf(coldStart, 200)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := run(t.Context(), &out, test.url); err != nil {
				t.Fatal(err)
			}
			if got := times.ReplaceAllString(out.String(), "TIME"); got != test.want {
				t.Errorf("got\n%s", out.String())
			}
		})
	}
}

func TestMain(m *testing.M) {
	logging.Disable()
	m.Run()
}

var secret = []byte("0123456789abcdef0123456789abcdef")

func start(t *testing.T, para *paratest.Para, addr string) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // for the start alone
	defer cancel()
	s, err := newServer(ctx, config(para), client(addr), "test", secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func config(para *paratest.Para) middleware.Config {
	return middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler),
	}
}

func client(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
}

func request(s *server, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w
}

func TestColdStart(t *testing.T) {
	for name, test := range map[string]struct {
		change func(snapshot string) string // the content of Redis
		want   int
	}{
		"with the saved keys": {func(s string) string { return s }, http.StatusOK},
		"with changed keys": {func(s string) string {
			return strings.Replace(s, `"n":"`, `"n":"A`, 1)
		}, http.StatusServiceUnavailable},
		"with keys that are not sealed": {func(s string) string {
			_, snapshot, _ := strings.Cut(s, "\n")
			return snapshot
		}, http.StatusServiceUnavailable},
		"without saved keys": {nil, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			para := paratest.New(t, paratest.Config{})
			store := miniredis.RunT(t)
			first := start(t, para, store.Addr())
			if err := saved(t.Context(), first.rdb, "test"); err != nil {
				t.Fatal(err)
			}
			snapshot, err := store.Get("test:keys")
			if err != nil {
				t.Fatal(err)
			}
			if store.Del("test:keys"); test.change != nil {
				store.Set("test:keys", test.change(snapshot))
			}

			para.Down()
			second := start(t, para, store.Addr())
			token := para.Token(paratest.EmailUser())
			if got := request(second, "/me", token).Code; got != test.want {
				t.Errorf("answered %d, want %d", got, test.want)
			}
			if got := request(second, "/readyz", "").Code; got != test.want {
				t.Errorf("readyz answered %d, want %d", got, test.want)
			}
			if got := request(first, "/me", token).Code; got != http.StatusOK {
				t.Errorf("the server that has the keys answered %d", got)
			}
		})
	}
	t.Run("with a short secret", func(t *testing.T) {
		para := paratest.New(t, paratest.Config{})
		for n, ok := range map[int]bool{31: false, 32: true} {
			rdb := client(miniredis.RunT(t).Addr())
			keys := savedKeys{rdb, "keys", make([]byte, n), slog.New(slog.DiscardHandler)}
			v, err := keys.newValidator(t.Context(), config(para))
			if (err == nil) != ok {
				t.Errorf("%d bytes: %v", n, err)
			}
			if v != nil {
				v.Close()
			}
			rdb.Close()
		}
	})
}

// TestKeepSaved checks that a deleted snapshot is saved again.
func TestKeepSaved(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	store := miniredis.RunT(t)
	rdb := client(store.Addr())
	defer rdb.Close()
	keys := savedKeys{rdb, "test:keys", secret, slog.New(slog.DiscardHandler)}
	v, err := keys.newValidator(t.Context(), config(para))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { keys.keepSaved(ctx, v.Keys(), time.Millisecond) })
	defer work.Wait()
	defer cancel()
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := saved(t.Context(), rdb, "test"); err != nil {
			t.Fatal(err)
		}
		store.Del("test:keys")
	}
}

// TestPage checks that the Go blocks of docs/fleet.md are parts of this
// program.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	var code string
	for _, name := range []string{"server.go", "keys.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(text)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 4 {
		t.Errorf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code, block[1]) {
			t.Errorf("not in the program:\n%s", block[1])
		}
	}
}

func TestReadiness(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	up := start(t, para, miniredis.RunT(t).Addr())
	w := request(up, "/readyz", "")
	var body struct {
		Keys        jwks.Status
		Revocations struct{ Ready, Usable bool }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusOK || !body.Keys.Usable || !body.Revocations.Ready {
		t.Errorf("got %d, %s", w.Code, w.Body)
	}

	// Nothing listens at this address.
	unused := miniredis.RunT(t)
	addr := unused.Addr()
	unused.Close()
	w = request(start(t, para, addr), "/readyz", "")
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusServiceUnavailable || !body.Keys.Usable || body.Revocations.Usable {
		t.Errorf("without Redis: got %d, %s", w.Code, w.Body)
	}
}
