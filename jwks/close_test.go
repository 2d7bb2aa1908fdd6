package jwks_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// This file tests Close.

// Close leaves no goroutine, timer or connection in any state of the cache.
func TestCloseLeavesNothing(t *testing.T) {
	silent := newSilentServer(t)
	for name, use := range map[string]func(*testing.T, *lab) *jwks.Cache{
		"never used": func(t *testing.T, l *lab) *jwks.Cache {
			return l.cache(t, jwks.Config{})
		},
		"waiting for the next refresh": func(t *testing.T, l *lab) *jwks.Cache {
			l.serves(keyA())
			c := l.cache(t, jwks.Config{})
			found(t, c, "a")
			return c
		},
		"waiting after a failure": func(t *testing.T, l *lab) *jwks.Cache {
			l.does(status(500))
			c := l.cache(t, jwks.Config{})
			refused(t, c, "a", jwks.ErrUnavailable)
			return c
		},
		"after a body that was too long": func(t *testing.T, l *lab) *jwks.Cache {
			l.does(endless(new(atomic.Int64)))
			c := l.cache(t, jwks.Config{})
			refused(t, c, "a", jwks.ErrUnavailable)
			return c
		},
		"in a hanging fetch": func(t *testing.T, l *lab) *jwks.Cache {
			entered := make(chan struct{})
			l.does(func(w http.ResponseWriter, r *http.Request) { close(entered); hang(w, r) })
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute})
			go c.Warm(context.Background())
			<-entered
			return c
		},
		"in a stalled body": func(t *testing.T, l *lab) *jwks.Cache {
			entered := make(chan struct{})
			l.does(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				stall(testkit.SetOf(keyA()))(w, r)
			})
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute})
			go c.Warm(context.Background())
			<-entered
			return c
		},
		"in a TLS handshake that hangs": func(t *testing.T, _ *lab) *jwks.Cache {
			c := (&lab{url: "https://" + silent.Addr().String()}).cache(t,
				jwks.Config{FetchTimeout: time.Minute})
			go c.Warm(context.Background())
			eventually(t, "connected", func() bool { return silent.connections() == 1 })
			return c
		},
		"after a TLS handshake that hung": func(t *testing.T, _ *lab) *jwks.Cache {
			c := (&lab{url: "https://" + silent.Addr().String()}).cache(t,
				jwks.Config{FetchTimeout: 10 * time.Millisecond})
			refused(t, c, "a", jwks.ErrUnavailable)
			// The connection closes at the timeout, before Close.
			eventually(t, "disconnected", func() bool { return silent.connections() == 0 })
			return c
		},
		"offline": func(t *testing.T, l *lab) *jwks.Cache {
			c := l.cache(t, jwks.Config{Offline: true, Initial: l.keySet(keyA())})
			found(t, c, "a")
			refused(t, c, "junk", jwks.ErrUnknownKey)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			before := runtime.NumGoroutine()
			c := use(t, l)
			if strings.Contains(name, "never") || name == "offline" {
				if n := runtime.NumGoroutine(); n > before {
					t.Errorf("an idle cache has %d goroutines", n-before)
				}
				l.fetched(t, 0)
			}
			for range 2 {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "without connections",
				func() bool { return l.connections()+silent.connections() == 0 })
			eventually(t, "without goroutines",
				func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// A remaining timer would keep the cache reachable. The garbage collector frees
// a closed cache, so no timer remains.
func TestClosedCacheIsCollected(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{"idle": body(testkit.SetOf(keyA())),
		"in a hanging fetch": hang} {
		l := newLab(t)
		l.does(answer)
		closed := func() weak.Pointer[jwks.Cache] {
			c, err := jwks.New(jwks.Environment{Name: "lab", URL: l.url},
				jwks.Config{FetchTimeout: time.Minute},
				jwks.WithLogger(slog.New(slog.DiscardHandler)))
			if err != nil {
				t.Fatal(err)
			}
			warm := make(chan error)
			go func() { warm <- c.Warm(context.Background()) }()
			eventually(t, "asked", func() bool { return l.fetches.Load() == 1 })
			if name == "idle" {
				<-warm
			}
			c.Close()
			if name != "idle" {
				<-warm
			}
			return weak.Make(c)
		}()
		eventually(t, "collected when "+name,
			func() bool { runtime.GC(); return closed.Value() == nil })
	}
}

// silentServer accepts connections and sends nothing.
type silentServer struct {
	net.Listener
	open atomic.Int64
}

func newSilentServer(t *testing.T) *silentServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silentServer{Listener: listener}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.open.Add(1)
			go func() {
				defer s.open.Add(-1)
				defer conn.Close()
				for buf := make([]byte, 4<<10); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s
}

func (s *silentServer) connections() int { return int(s.open.Load()) }

// A closed cache does not fetch, by timer or by look-up. Its keys stay usable
// until StaleLimit.
func TestClosedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{},
			jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
		found(t, c, "a")
		c.Close()
		if next := c.Status().NextFetch; !next.IsZero() {
			t.Errorf("a closed cache has scheduled a fetch for %v", next)
		}
		before := readings.Load()
		time.Sleep(time.Hour)
		if n := readings.Load() - before; n != 0 {
			t.Errorf("a closed cache read the clock %d times", n)
		}
		for range 71 {
			found(t, c, "a")
			refused(t, c, "b", jwks.ErrUnknownKey)
			time.Sleep(time.Hour)
		}
		var ue *jwks.UnavailableError
		if _, err := c.Key(t.Context(), "a"); !errors.As(err, &ue) ||
			ue.RetryAfter != time.Second || ue.Cause == nil ||
			!strings.Contains(ue.Cause.Error(), "closed") {
			t.Errorf("after StaleLimit: %v", err)
		}
		if err := c.Warm(t.Context()); !errors.Is(err, jwks.ErrUnavailable) {
			t.Errorf("Warm: %v", err)
		}
		l.fetched(t, 1)
	})
}

// Close ends the wait for a fetch in progress, and no outage is logged.
func TestCloseWhileLookingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(hang)
		var log testkit.Log
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{}, jwks.WithLogger(log.Logger()),
			jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { refused(t, c, "a", jwks.ErrUnavailable) })
		}
		synctest.Wait()
		atOnce(t, func() { c.Close(); wg.Wait() })
		if lines := messages(&log); len(lines) != 0 {
			t.Errorf("logged: %q", lines)
		}
		before := readings.Load()
		time.Sleep(time.Hour)
		if n := readings.Load() - before; n != 0 {
			t.Errorf("a closed cache read the clock %d times", n)
		}
		l.fetched(t, 1)
	})
}

// The timer fires while a fetch that a look-up started is in progress. That
// fetch counts as the refresh.
func TestTimerDuringFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{},
			jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
		found(t, c, "a")
		time.Sleep(time.Until(c.Status().NextFetch) - time.Second)
		l.does(hang)
		go c.Key(context.Background(), "junk")
		synctest.Wait()
		l.fetched(t, 2)
		before := readings.Load()
		time.Sleep(3 * time.Second)
		l.fetched(t, 2)
		if n := readings.Load() - before; n != 0 {
			t.Errorf("the clock was read %d times", n)
		}
	})
}
