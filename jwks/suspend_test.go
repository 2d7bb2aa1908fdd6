package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// The process is suspended in these tests.

// The timers of a suspended process do not run. A withdrawn key is refused from
// the first look-up on, and all callers wait for the same fetch.
func TestWithdrawnKeyInFrozenProcess(t *testing.T) {
	const callers = 100
	l := newLab(t)
	l.serves(keyA(), keyB())
	now := newClock()
	c := l.cache(t, jwks.Config{FetchTimeout: time.Minute}, jwks.WithClock(now.Now))
	found(t, c, "a")

	now.Advance(time.Hour)
	all := make(chan struct{})
	l.does(hangUntil(all, body(testkit.SetOf(keyB()))))
	var accepted atomic.Int64
	var started, done sync.WaitGroup
	started.Add(callers)
	for range callers {
		done.Go(func() {
			started.Done()
			if _, err := c.Key(t.Context(), "a"); err == nil {
				accepted.Add(1)
			}
		})
	}
	started.Wait()
	eventually(t, "fetching", func() bool { return l.fetches.Load() == 2 })
	for range 1000 { // lets those who would not wait go by
		runtime.Gosched()
	}
	close(all)
	done.Wait()
	if n := accepted.Load(); n != 0 {
		t.Fatalf("%d of %d look-ups after an hour's freeze got a key that is withdrawn", n, callers)
	}
	found(t, c, "b")
}

func TestFrozenProcess(t *testing.T) {
	// freezable returns a warm cache whose clock can be moved ahead without
	// running its timers.
	freezable := func(t *testing.T, first jwks.Source) (*lab, *jwks.Cache, *atomic.Int64) {
		l := bubbleLab(t)
		l.serves(keyA(), keyB())
		ahead := new(atomic.Int64)
		c := l.cache(t, jwks.Config{
			Initial: first,
		}, jwks.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
		found(t, c, "a")
		settle(c)
		return l, c, ahead
	}
	frozen := func(t *testing.T, first jwks.Source, during time.Duration) (*lab, *jwks.Cache) {
		l, c, ahead := freezable(t, first)
		ahead.Store(int64(during))
		return l, c
	}

	t.Run("the timer wakes up first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, jwks.Source{}, time.Hour)
			l.does(after(2*time.Second, body(testkit.SetOf(keyB()))))
			for l.fetches.Load() < 2 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			refused(t, c, "a", jwks.ErrUnknownKey)
			found(t, c, "b")
		})
	})
	t.Run("an unknown key ID comes first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, jwks.Source{}, time.Hour)
			l.does(after(2*time.Second, body(testkit.SetOf(keyB()))))
			go c.Key(context.Background(), "junk")
			synctest.Wait()
			refused(t, c, "a", jwks.ErrUnknownKey)
		})
	})
	t.Run("Para hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, jwks.Source{}, time.Hour)
			l.does(hang)
			before := time.Now()
			found(t, c, "a")
			if waited := time.Since(before); waited != timeout {
				t.Fatalf("the first look-up waited %v, not one fetch", waited)
			}
			for range 600 { // from then on no look-up waits
				atOnce(t, func() { found(t, c, "a") })
				time.Sleep(time.Second)
			}
			t.Logf("first look-up after a freeze with Para hanging: %v, later ones 0s", timeout)
		})
	})
	t.Run("the caller has no time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, jwks.Source{}, time.Hour)
			l.does(hang)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.Key(ctx, "a"); err != nil {
				t.Fatalf("a key that is not known to be withdrawn: %v", err)
			}
		})
	})
	t.Run("the keys go stale while the caller waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, jwks.Source{}, 72*time.Hour-time.Second)
			l.does(hang)
			refused(t, c, "a", jwks.ErrUnavailable)
		})
	})
	t.Run("with Initial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, c := frozen(t, bubble().keySet(keyA()), time.Hour)
			l.serves(keyB())
			refused(t, c, "a", jwks.ErrUnknownKey)
		})
	})
	// The process is suspended during a refresh. This is usual for serverless
	// functions, which stop as soon as they have responded. The fetch then
	// returns old keys or a broken connection.
	for name, answer := range map[string]http.HandlerFunc{
		"an old answer arrives":      body(testkit.SetOf(keyA(), keyB())),
		"a broken answer arrives":    cutOff(testkit.SetOf(keyA(), keyB())),
		"no answer will ever arrive": hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, lookUpFirst := range []bool{true, false} {
					l, c, ahead := freezable(t, jwks.Source{})
					l.does(after(time.Second, answer))
					time.Sleep(time.Until(c.Status().NextFetch))
					synctest.Wait()
					l.fetched(t, 2) // in progress
					l.serves(keyB())
					ahead.Store(int64(refresh + timeout))
					if !lookUpFirst {
						time.Sleep(timeout)
						synctest.Wait()
					}
					refused(t, c, "a", jwks.ErrUnknownKey)
					found(t, c, "b")
					if st := c.Status(); st.Failures != 0 || st.Fetches > 4 ||
						int64(st.Fetches) != l.fetches.Load() {
						t.Errorf("%d fetches, status: %+v", l.fetches.Load(), st)
					}
				}
			})
		})
	}
	t.Run("a slow answer is as old as its request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const slow = 4 * time.Second
			l := bubbleLab(t)
			l.does(after(slow, body(testkit.SetOf(keyA()))))
			var ahead atomic.Int64
			c := l.cache(t, jwks.Config{},
				jwks.WithClock(func() time.Time {
					return time.Now().Add(time.Duration(ahead.Load()))
				}))
			asked := time.Now()
			found(t, c, "a")
			st := c.Status()
			if !st.FetchedAt.Equal(asked) || !st.StaleAt.Equal(asked.Add(72*time.Hour)) {
				t.Errorf("asked at %v: %+v", asked, st)
			}
			ahead.Store(int64(refresh + timeout - slow - 1))
			atOnce(t, func() { found(t, c, "a") })
			settle(c)

			hasty := l.cache(t, jwks.Config{RefreshInterval: 10 * time.Second})
			asked = time.Now()
			found(t, hasty, "a")
			if next := hasty.Status().NextFetch.Sub(asked); next > 9*time.Second {
				t.Errorf("next fetch %v after the last", next)
			}

			ahead.Store(0)
			c = l.cache(t, jwks.Config{},
				jwks.WithClock(func() time.Time {
					return time.Now().Add(time.Duration(ahead.Load()))
				}))
			found(t, c, "a")
			ahead.Store(int64(refresh + timeout - slow))
			before := time.Now()
			found(t, c, "a")
			if waited := time.Since(before); waited != slow {
				t.Errorf("waited %v", waited)
			}
		})
	})
	t.Run("a busy machine is not suspended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := bubbleLab(t)
			l.does(hang)
			var late atomic.Int64
			c := l.cache(t, jwks.Config{},
				jwks.WithClock(func() time.Time {
					return time.Now().Add(time.Duration(late.Load()))
				}))
			time.AfterFunc(time.Second, func() { late.Store(int64(time.Second / 2)) })
			refused(t, c, "a", jwks.ErrUnavailable)
			l.fetched(t, 1)
		})
	})
	t.Run("the promise to the nanosecond", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const promise = refresh + timeout
			for _, ahead := range []time.Duration{promise - 1, promise} {
				l, c := frozen(t, jwks.Source{}, ahead)
				l.does(after(time.Second, body(testkit.SetOf(keyA()))))
				before := time.Now()
				found(t, c, "a")
				if waited := time.Since(before) > 0; waited != (ahead == promise) {
					t.Errorf("after %v: waited is %v", ahead, waited)
				}
			}
		})
	})
}

// The network fails, a refresh fails, and the machine sleeps for two days. The
// next look-up waits for a current key set.
func TestSuspendedAfterAFailure(t *testing.T) {
	for _, answer := range []http.HandlerFunc{after(time.Second, body(testkit.SetOf(keyB()))),
		after(time.Second, status(500))} {
		synctest.Test(t, func(t *testing.T) {
			l, c := bubbleStarted(t, jwks.Config{})
			l.does(status(503))
			time.Sleep(time.Until(c.Status().NextFetch))
			synctest.Wait()
			l.does(answer)
			c.SetBack(-48 * time.Hour) // the clock is ahead, and no timer has run
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					start := time.Now()
					_, err := c.Key(t.Context(), "a")
					if waited := time.Since(start); waited != time.Second {
						t.Errorf("waited %v", waited)
					}
					if well := c.Status().Failures == 0; well &&
						!errors.Is(err, jwks.ErrUnknownKey) || !well && err != nil {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			l.fetched(t, 3)
		})
	}
}
