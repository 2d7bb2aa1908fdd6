package jwks_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
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
	answer http.HandlerFunc
	refuse bool // refuse connections; in a bubble only
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
			refuse := l.refuse
			l.mu.Unlock()
			if refuse {
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
	l.asked = append(l.asked, time.Now())
	l.header = append(l.header, r.Header.Clone())
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

// does sets the handler of later requests.
func (l *lab) does(answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer, l.refuse = answer, false
}

// refuses makes the server refuse connections. Use it in a bubble only.
func (l *lab) refuses() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = true
}

// serves makes the server respond with the key set of these signers.
func (l *lab) serves(pairs ...testkit.Signer) { l.does(body(testkit.SetOf(pairs...))) }

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

// TestBubbleLab checks the lab itself: pipes work as a network, and time in a
// bubble is fake.
func TestBubbleLab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(after(time.Hour, body("late")))
		before := time.Now()
		res, err := l.client.Get(l.url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if text, err := io.ReadAll(res.Body); string(text) != "late" || err != nil {
			t.Fatal(string(text), err)
		}
		if waited := time.Since(before); waited != time.Hour {
			t.Fatalf("an hour took %v", waited)
		}
		l.refuses()
		if _, err := l.client.Get(l.url); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("not refused: %v", err)
		}
	})
}
