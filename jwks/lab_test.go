package jwks_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// The lab is a key server that can fail in every way that servers fail, and
// that counts requests. Time is fake. In a synctest bubble, timers run. With
// WithClock they do not, as in a suspended process.

// rows has the tests of each row of the first table of docs/outages.md.
var rows = []struct{ row, tests string }{
	{"Para answers 500", "TestOutageOfADay"},
	{"Para hangs", "TestHangingRefresh"},
	{"One key of Para's set is malformed", "TestOneBadKeyAmongGoodOnes"},
	{"Para is down when your server starts", "TestDownAtStart TestHangAtStart"},
	{"the same, with `Initial`", "TestInitial"},
	{"Para is down for longer than 72 h", "TestStaleLimit"},
	{"Para recovers", "TestOutageOfADay TestUnknownKeyWhileParaIsDown"},
	{"Para adds a key", "TestNewKeyWhenIdle"},
	{"the same, during a flood", "TestNewKeyUnderFlood"},
	{"the same, before anybody uses it", "TestNewKeyWithoutTraffic"},
	{"Para withdraws a key", "TestWithdrawnKey"},
	{"Para publishes another key with the same kid", "TestRefreshReplacesTheSet"},
	{"Para's set is empty", "TestEmptySets"},
	{"A flood of tokens with made-up key IDs", "TestJunkFlood TestUnknownKeyJoinsFetch"},
	{"10,000 first requests at once", "TestColdStartStampede"},
	{"The process was suspended", "TestFrozenProcess TestWithdrawnKeyInFrozenProcess"},
	{"The clock is set back", "TestClockSetBack TestSystemClockSetBack"},
}

const (
	refresh = 5 * time.Minute // the defaults
	timeout = 5 * time.Second
)

// These three keys are for tests that only look them up. They are P-256 keys,
// because their sets are parsed often.
var (
	keyA = func() testkit.Signer { return testkit.EC(0).Named("a") }
	keyB = func() testkit.Signer { return testkit.EC(1).Named("b") }
	keyC = func() testkit.Signer { return testkit.EC(0).Named("c") }
)

// lab is Para's key server.
type lab struct {
	url     string
	client  *http.Client // nil for the cache's default client
	fetches atomic.Int64 // requests received

	mu     sync.Mutex
	answer http.HandlerFunc // nil to refuse connections, in a bubble only
	open   map[net.Conn]bool
	asked  []time.Time   // arrival times of the requests
	header []http.Header // header fields of the requests
	ended  []time.Time   // when each connection broke or each handler returned
}

// newLab starts a server on loopback.
func newLab(t testing.TB) *lab {
	l := &lab{open: make(map[net.Conn]bool)}
	server := httptest.NewUnstartedServer(l)
	server.Config.ConnState = l.connState
	// Some handlers panic to cut off a response.
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// bubbleLab starts a server inside a synctest bubble, where time is fake and
// sockets are pipes. The client and the server are those of net/http.
func bubbleLab(t testing.TB) *lab {
	l := bubble()
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: l, ConnState: l.connState,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	l.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			l.mu.Lock()
			answer := l.answer
			l.mu.Unlock()
			if answer == nil {
				return nil, &net.OpError{Op: "dial", Net: network,
					Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			near, far := net.Pipe()
			select {
			case listener.conns <- far:
				return near, nil
			case <-listener.closed:
				return nil, net.ErrClosed
			}
		},
	}}
	return l
}

// bubble returns a lab with the URL of every bubbleLab.
func bubble() *lab { return &lab{url: "http://127.0.0.1", open: make(map[net.Conn]bool)} }

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.fetches.Add(1)
	l.mu.Lock()
	answer := l.answer
	l.asked, l.header = append(l.asked, time.Now()), append(l.header, r.Header.Clone())
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.ended = append(l.ended, time.Now())
		l.mu.Unlock()
	}()
	answer(w, r)
}

func (l *lab) connState(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateNew:
		l.open[conn] = true
	case http.StateClosed:
		delete(l.open, conn)
	}
}

func (l *lab) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// times returns the arrival times of the requests.
func (l *lab) times() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// sent returns the header of the last request.
func (l *lab) sent() http.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.header[len(l.header)-1]
}

// does sets the handler of later requests. With nil, the server refuses
// connections; use that in a bubble only.
func (l *lab) does(answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

// serves makes the server respond with the key set of these signers.
func (l *lab) serves(pairs ...testkit.Signer) { l.does(keys(pairs...)) }

func (l *lab) env() jwks.Environment { return jwks.Environment{Name: "lab", URL: l.url} }

// keySet returns a plain key set of the lab's environment as a source.
func (l *lab) keySet(pairs ...testkit.Signer) jwks.Source {
	return jwks.FromKeySet(l.env(), []byte(testkit.SetOf(pairs...)))
}

// cache returns a cache of the lab's keys that is closed at the end of the
// test.
func (l *lab) cache(t testing.TB, cfg jwks.Config, opts ...jwks.Option) *jwks.Cache {
	t.Helper()
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = l.client
	}
	opts = append([]jwks.Option{jwks.WithLogger(slog.New(slog.DiscardHandler))}, opts...)
	c, err := jwks.New(l.env(), cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// clocked returns a lab with this answer, a clock, and a cache that has not
// fetched yet. Its timers do not run, as in a suspended process.
func clocked(
	t testing.TB, answer http.HandlerFunc, cfg jwks.Config,
) (*lab, *testkit.Clock, *jwks.Cache) {
	t.Helper()
	l, now := newLab(t), newClock()
	l.does(answer)
	return l, now, l.cache(t, cfg, jwks.WithClock(now.Now))
}

// started is clocked with a cache that has fetched the key "a".
func started(t testing.TB, cfg jwks.Config) (*lab, *testkit.Clock, *jwks.Cache) {
	t.Helper()
	l, now, c := clocked(t, keys(keyA()), cfg)
	found(t, c, "a")
	return l, now, c
}

// bubbleStarted is started with a bubbleLab and the bubble's clock.
func bubbleStarted(t testing.TB, cfg jwks.Config, opts ...jwks.Option) (*lab, *jwks.Cache) {
	t.Helper()
	l := bubbleLab(t)
	l.serves(keyA())
	c := l.cache(t, cfg, opts...)
	found(t, c, "a")
	return l, c
}

// inBubble runs a subtest in a synctest bubble.
func inBubble(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func newClock() *testkit.Clock {
	return testkit.NewClock(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC))
}

// settle waits for the fetch in progress, if there is one.
func settle(c *jwks.Cache) { _ = c.Warm(context.Background()) }

// found fails the test unless the cache has the key.
func found(t testing.TB, c *jwks.Cache, id string) jwks.Key {
	t.Helper()
	key, err := c.Key(t.Context(), id)
	if err != nil {
		t.Fatalf("key %q: %v", id, err)
	}
	return key
}

// refused fails the test unless looking the key up fails with this error.
func refused(t testing.TB, c *jwks.Cache, id string, want error) {
	t.Helper()
	key, err := c.Key(t.Context(), id)
	if !errors.Is(err, want) {
		t.Fatalf("key %q: got %v, want %v", id, err, want)
	}
	if key != (jwks.Key{}) {
		t.Fatalf("key %q: a key came with the error %v", id, err)
	}
}

// fetched fails the test unless the server got this number of requests.
func (l *lab) fetched(t testing.TB, want int64) {
	t.Helper()
	if n := l.fetches.Load(); n != want {
		t.Fatalf("%d fetches, want %d", n, want)
	}
}

// takes fails the test unless do takes exactly this time. Use it in a bubble
// only, where time passes only while every goroutine waits.
func takes(t testing.TB, want time.Duration, do func()) {
	t.Helper()
	before := time.Now()
	do()
	if waited := time.Since(before); waited != want {
		t.Errorf("waited %v, want %v", waited, want)
	}
}

// atOnce fails the test if do takes any time. Use it in a bubble only.
func atOnce(t testing.TB, do func()) {
	t.Helper()
	takes(t, 0, do)
}

// refreshed answers the refresh that is due after d, and waits for its end.
func (l *lab) refreshed(
	now *testkit.Clock, d time.Duration, c *jwks.Cache, answer http.HandlerFunc,
) {
	l.does(answer)
	now.Advance(d)
	settle(c)
}

// untilNextFetch sleeps until the next fetch is due, and lets it run until it
// ends or waits. Use it in a bubble only.
func untilNextFetch(c *jwks.Cache) {
	time.Sleep(time.Until(c.Status().NextFetch))
	synctest.Wait()
}

// unavailable looks up a key and returns the error, which must be an
// UnavailableError.
func unavailable(t testing.TB, ctx context.Context, c *jwks.Cache, id string) *jwks.UnavailableError {
	t.Helper()
	var ue *jwks.UnavailableError
	if _, err := c.Key(ctx, id); !errors.As(err, &ue) || !errors.Is(err, jwks.ErrUnavailable) {
		t.Fatalf("key %q: got %v, want an UnavailableError", id, err)
	}
	return ue
}

// stampede looks up "a" from n goroutines at once. It calls release when all
// have started, and returns how many found the key.
func stampede(t testing.TB, c *jwks.Cache, n int, release func()) int64 {
	t.Helper()
	var got atomic.Int64
	var ready, done sync.WaitGroup
	ready.Add(n)
	for range n {
		done.Go(func() {
			ready.Done()
			if _, err := c.Key(t.Context(), "a"); err == nil {
				got.Add(1)
			}
		})
	}
	ready.Wait()
	release()
	done.Wait()
	return got.Load()
}

// eventually waits until is returns true. The time limit ends a test that has
// failed.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("not %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// messages returns each message of the log once, sorted.
func messages(log *testkit.Log) []string {
	all := make(map[string]bool)
	for _, line := range log.With("") {
		all[line["msg"].(string)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// docs/outages.md has no other rows than those of the table above, and each of
// their tests exists.
func TestEveryRowHasATest(t *testing.T) {
	page, err := os.ReadFile("../docs/outages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| What happens |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")[2:]
	var source []byte
	files, _ := filepath.Glob("*_test.go")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	for i, line := range lines {
		if i >= len(rows) || !strings.HasPrefix(strings.Trim(line, "| *"), rows[i].row) {
			t.Fatalf("row %d has no test: %s", i, line)
		}
		for _, test := range strings.Fields(rows[i].tests) {
			if !strings.Contains(string(source), "\nfunc "+test+"(t *testing.T)") {
				t.Errorf("%s: no test %s", rows[i].row, test)
			}
		}
	}
	if len(lines) != len(rows) {
		t.Errorf("%d rows, and tests for %d", len(lines), len(rows))
	}
}

// TestBubbleLab checks the lab itself: pipes work as a network, and time in a
// bubble is fake.
func TestBubbleLab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(after(time.Hour, body("late")))
		takes(t, time.Hour, func() {
			res, err := l.client.Get(l.url)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if text, err := io.ReadAll(res.Body); string(text) != "late" || err != nil {
				t.Fatal(string(text), err)
			}
		})
		l.does(nil)
		if _, err := l.client.Get(l.url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("not refused: %v", err)
		}
	})
}
