// Package testkit has the fixtures that the tests of several packages share:
// signing keys, a key set server, a clock, a log and a search for leaked
// secrets. Only tests import it.
package testkit

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Clock is a clock that moves only when a test moves it. It is safe for
// concurrent use by multiple goroutines.
type Clock struct{ ns atomic.Int64 }

// NewClock returns a clock that shows at.
func NewClock(at time.Time) *Clock {
	c := new(Clock)
	c.Set(at)
	return c
}

// Now returns the time that the clock shows, in UTC.
func (c *Clock) Now() time.Time { return time.Unix(0, c.ns.Load()).UTC() }

// Set sets the clock.
func (c *Clock) Set(at time.Time) { c.ns.Store(at.UnixNano()) }

// Advance moves the clock forward by d, or back if d is negative.
func (c *Clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// Log records log lines of every level. Its zero value is ready to use. It is
// safe for concurrent use by multiple goroutines.
type Log struct {
	mu    sync.Mutex
	lines []Line
}

// Line is a log line as [slog.JSONHandler] writes it: "time", "level", "msg"
// and one member for each attribute or group.
type Line map[string]any

// Logger returns a logger that writes to l.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write records one line. A slog.Handler makes one call for each line.
func (l *Log) Write(text []byte) (int, error) {
	var line Line
	if err := json.Unmarshal(text, &line); err != nil {
		panic(fmt.Sprintf("testkit: log line %q: %v", text, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return len(text), nil
}

// Take returns the lines since the last call of Take and forgets them.
func (l *Log) Take() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// With returns the lines whose message contains part. It forgets nothing.
func (l *Log) With(part string) (lines []Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if msg, _ := line["msg"].(string); strings.Contains(msg, part) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Serve starts a server on loopback that answers every request with body. It
// counts the requests, and stops at the end of the test.
func Serve(t testing.TB, body string) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// FreeAddr returns a loopback address on which a program can listen. Its port
// is outside the range for outgoing connections. One of those could otherwise
// get the port before the program does, or connect to itself while the program
// is not running.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if listener, err := net.Listen("tcp", addr); err == nil {
			listener.Close()
			return addr
		}
	}
	t.Fatal("no free port from 20000 to 29999")
	return ""
}

// Leaks returns the forms of the secrets that text contains: the secret itself,
// in hex, in base64, or as the bytes that %v and % x print. It ignores case.
func Leaks(text string, secrets ...string) (found []string) {
	text = strings.ToLower(text)
	for _, secret := range secrets {
		b := []byte(secret)
		for _, form := range []string{
			secret,
			hex.EncodeToString(b),
			base64.RawStdEncoding.EncodeToString(b),
			base64.RawURLEncoding.EncodeToString(b),
			fmt.Sprintf("% x", b),
			strings.Trim(fmt.Sprint(b), "[]"),
		} {
			if strings.Contains(text, strings.ToLower(form)) {
				found = append(found, form)
			}
		}
	}
	return found
}

// NoLeak fails the test if text contains 16 consecutive bytes of the token, or
// one of the secrets in a form that [Leaks] finds.
func NoLeak(t testing.TB, text, token string, secrets ...string) {
	t.Helper()
	for i := range max(0, len(text)-15) {
		if strings.Contains(token, text[i:i+16]) {
			t.Fatalf("%q of the token is in %q", text[i:i+16], text)
		}
	}
	if found := Leaks(text, secrets...); found != nil {
		t.Fatalf("%q in %q", found, text)
	}
}
