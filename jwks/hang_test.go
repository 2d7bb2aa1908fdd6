package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// These tests check who waits, and for how long, at the start and while Para
// hangs.

func TestColdStartStampede(t *testing.T) {
	const callers = 10_000
	l := newLab(t)
	all := make(chan struct{})
	l.does(hangUntil(all, keys(keyA())))
	c := l.cache(t, jwks.Config{FetchTimeout: time.Minute})
	if n := stampede(t, c, callers, func() { close(all) }); n != callers {
		t.Errorf("%d of %d look-ups failed", callers-n, callers)
	}
	l.fetched(t, 1)
}

func TestHangAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(hang)
		c := l.cache(t, jwks.Config{})
		takes(t, timeout, func() { refused(t, c, "a", jwks.ErrUnavailable) })
		l.serves(keyA())
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		atOnce(t, func() { found(t, c, "a") })
	})
}

// Warm reports whether keys are loaded, also if its context ends before Para
// responds.
func TestWarmWithInitialAndAHangingPara(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(hang)
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Warm(ctx); err != nil {
			t.Error(err)
		}
		found(t, c, "a")
	})
}

func TestHangingRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		l.does(hang)
		start, lookups := time.Now(), 0
		for time.Since(start) < time.Hour {
			atOnce(t, func() { found(t, c, "a") })
			lookups++
			time.Sleep(100 * time.Millisecond)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := 1; i < len(l.ended); i++ {
			if took := l.ended[i].Sub(l.asked[i]); took != timeout {
				t.Errorf("fetch %d ended after %v", i, took)
			}
		}
		t.Logf("an hour of hanging refreshes: %d look-ups waited 0s, %d fetches ended after %v "+
			"each", lookups, len(l.ended)-1, timeout)
	})
}

// The refresh hangs. The server holds it until the look-ups are done. A look-up
// that waited for the refresh would not end before it.
func TestHangingRefreshOverSockets(t *testing.T) {
	l, now, c := started(t, jwks.Config{FetchTimeout: 10 * time.Second})

	// The clock advances without a refresh, and without a gap that looks like a
	// suspended process.
	l.does(status(500))
	now.Advance(refresh)
	settle(c)
	entered, gone := make(chan struct{}), make(chan struct{})
	l.does(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		hang(w, r)
		close(gone)
	})
	now.Advance(2 * time.Second)
	found(t, c, "a")
	<-entered
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				now.Advance(10 * time.Millisecond) // leave the fast path for the slow one
				if _, err := c.Key(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-gone:
		t.Fatal("look-ups of a cached key took as long as the hanging refresh")
	default:
	}
	l.fetched(t, 3)
	c.Close()
	<-gone
}

// A look-up of a known key takes no lock, neither normally nor while a refresh
// hangs. The test holds the lock through Config.Now, which Status calls under
// it.
func TestLookUpTakesNoLock(t *testing.T) {
	for _, phase := range []string{"fresh", "fresh by a clock that was set back a bit",
		"refreshing", "refreshing after failures", "refreshing a snapshot"} {
		t.Run(phase, func(t *testing.T) {
			l := newLab(t)
			l.serves(keyA())
			now := newClock()
			var block atomic.Bool
			locked, release := make(chan struct{}), make(chan struct{})
			var first jwks.Source
			if phase == "refreshing a snapshot" {
				l.does(hang)
				first = jwks.FromBytes([]byte(`{"parajwt":{"environment":"lab","url":"` + l.url +
					`/.well-known/jwks.json","fetchedAt":"` +
					now.Now().Add(-24*time.Hour).Format(time.RFC3339) + `"},` +
					testkit.SetOf(keyA())[1:]))
			}
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute, Initial: first},
				jwks.WithClock(func() time.Time {
					if block.CompareAndSwap(true, false) {
						close(locked)
						<-release
					}
					return now.Now()
				}))
			found(t, c, "a")
			if phase == "refreshing after failures" {
				l.does(status(500))
				now.Advance(time.Hour)
				settle(c)
				now.Advance(time.Hour)
			}
			switch {
			case phase == "fresh", phase == "refreshing a snapshot":
			case strings.HasPrefix(phase, "fresh"):
				now.Advance(-30 * time.Second)
			default:
				l.does(hang)
				now.Advance(refresh)
				found(t, c, "a")
			}
			block.Store(true)
			go c.Status()
			<-locked
			var done atomic.Bool
			go func() {
				if _, err := c.KeyAt(context.Background(), "a", now.Now()); err != nil {
					t.Error(err)
				}
				done.Store(true)
			}()
			eventually(t, "done without the lock", done.Load)
			close(release)
			c.Close()
		})
	}
}

// A caller's context bounds only its own wait.
func TestCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(after(4*time.Second, keys(keyA())))
		c := l.cache(t, jwks.Config{})

		cause := errors.New("the client went away")
		impatient, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		lookUp := func(ctx context.Context) error { _, err := c.Key(ctx, "a"); return err }
		var wg sync.WaitGroup
		for range 10 { // the first of these look-ups may have started the fetch
			for _, call := range []func(context.Context) error{lookUp, c.Warm} {
				wg.Go(func() {
					takes(t, time.Second, func() {
						err := call(impatient)
						var ue *jwks.UnavailableError
						if !errors.As(err, &ue) || !errors.Is(err, jwks.ErrUnavailable) ||
							!errors.Is(err, cause) || ue.RetryAfter < time.Second {
							t.Errorf("impatient: %v", err)
						}
					})
				})
			}
		}
		synctest.Wait()
		for range 10 {
			for _, call := range []func(context.Context) error{lookUp, c.Warm} {
				wg.Go(func() {
					if err := call(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		l.fetched(t, 1)
	})
}

// A look-up of a known key succeeds although its context has ended.
func TestCancelledContextAndKnownKey(t *testing.T) {
	_, now, c := started(t, jwks.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := c.Key(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		now.Advance(time.Minute)
		settle(c)
	}
}
