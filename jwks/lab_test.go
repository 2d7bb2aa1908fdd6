package jwks_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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

// The lab is a key server that can fail in every way that servers fail (see
// answers_test.go), and that counts requests. Time is fake. In a synctest
// bubble, timers run. With WithClock they do not, as in a suspended process.

// rows has the tests of each row of the first table of docs/outages.md.
var rows = []struct {
	row   string // its beginning
	tests tests
}{
	{"Para answers 500", tests{TestOutageOfADay}},
	{"Para hangs", tests{TestHangingRefresh}},
	{"One key of Para's set is malformed", tests{TestOneBadKeyAmongGoodOnes}},
	{"Para is down when your server starts", tests{TestDownAtStart}},
	{"the same, with a snapshot in `Initial`", tests{TestInitial}},
	{"Para is down for longer than 72 h", tests{TestStaleLimit}},
	{"Para recovers", tests{TestOutageOfADay, TestUnknownKeyWhileParaIsDown}},
	{"Para adds a key", tests{TestNewKeyWhenIdle}},
	{"the same, during a flood", tests{TestNewKeyUnderFlood}},
	{"the same, before anybody uses it", tests{TestNewKeyWithoutTraffic}},
	{"Para withdraws a key", tests{TestWithdrawnKey}},
	{"Para publishes another key with the same kid", tests{TestRefreshReplacesTheSet}},
	{"Para's set is empty", tests{TestEmptySets}},
	{"A flood of tokens with made-up key IDs", tests{TestJunkFlood, TestUnknownKeyJoinsFetch}},
	{"10,000 first requests at once", tests{TestColdStartStampede}},
	{"The process was suspended", tests{TestFrozenProcess, TestWithdrawnKeyInFrozenProcess}},
	{"The clock is set back", tests{TestClockSetBack, TestSystemClockSetBack}},
}

type tests = []func(*testing.T)

// docs/outages.md has no other rows than these.
func TestEveryRowHasATest(t *testing.T) {
	lines := strings.Split(section(t, "| What happens |", "\n\n"), "\n")[2:]
	if len(lines) != len(rows) {
		t.Fatalf("%d rows, and tests for %d", len(lines), len(rows))
	}
	for i, line := range lines {
		if !strings.HasPrefix(strings.Trim(line, "| *"), rows[i].row) || len(rows[i].tests) == 0 {
			t.Errorf("row %d has no test: %s", i, line)
		}
	}
}

// section returns the part of docs/outages.md between two texts.
func section(t *testing.T, from, to string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/outages.md")
	_, text, begins := strings.Cut(string(page), from)
	text, _, ends := strings.Cut(text, to)
	if err != nil || !begins || !ends {
		t.Fatalf("no section from %q to %q: %v", from, to, err)
	}
	return text
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
	open    atomic.Int64 // connections

	mu     sync.Mutex
	answer http.HandlerFunc // nil to refuse connections, in a bubble only
	header http.Header      // of the last request
}

// newLab starts a server on loopback.
func newLab(t testing.TB) *lab {
	l := &lab{}
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
	ctx, cancel := context.WithCancel(context.Background())
	listener := pipeListener{make(chan net.Conn), ctx, cancel}
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
			case <-listener.Done():
				return nil, net.ErrClosed
			}
		},
	}}
	return l
}

// bubble returns a lab with the URL of every bubbleLab.
func bubble() *lab { return &lab{url: "http://127.0.0.1"} }

type pipeListener struct {
	conns chan net.Conn
	context.Context
	close context.CancelFunc
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.Done():
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error { l.close(); return nil }

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.fetches.Add(1)
	l.mu.Lock()
	answer := l.answer
	l.header = r.Header.Clone()
	l.mu.Unlock()
	answer(w, r)
}

func (l *lab) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		l.open.Add(1)
	case http.StateClosed:
		l.open.Add(-1)
	}
}

func (l *lab) connections() int { return int(l.open.Load()) }

// sent returns the header of the last request.
func (l *lab) sent() http.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.header
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
func atOnce(t testing.TB, do func()) { t.Helper(); takes(t, 0, do) }

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
func unavailable(t testing.TB, c *jwks.Cache, id string) *jwks.UnavailableError {
	t.Helper()
	var ue *jwks.UnavailableError
	if _, err := c.Key(t.Context(), id); !errors.As(err, &ue) ||
		!errors.Is(err, jwks.ErrUnavailable) {
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
			t.Fatalf("not %s", what)
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
