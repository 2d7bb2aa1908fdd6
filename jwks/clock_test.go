package jwks_test

import (
	"context"
	"errors"
	"fmt"
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

// In these tests the clock is set back, or the process is suspended.

// Setting the clock back does not extend the life of keys and does not stop
// refreshes.
func TestClockSetBack(t *testing.T) {
	l, now, c := clocked(t, keys(keyA(), keyB()), jwks.Config{})
	begun := func(want uint64) { // by the look-up before it
		t.Helper()
		if n := c.Status().Fetches; n != want {
			t.Fatalf("%d fetches, want %d", n, want)
		}
		settle(c)
		l.fetched(t, int64(want))
	}
	found(t, c, "a")
	refused(t, c, "junk", jwks.ErrUnknownKey)
	begun(2)

	now.Advance(-30 * time.Second) // NTP makes such corrections
	found(t, c, "a")
	refused(t, c, "junk", jwks.ErrUnknownKey) // this does not bypass the cooldown
	begun(2)

	l.serves(keyB())
	now.Advance(-24 * time.Hour)
	found(t, c, "a")
	begun(3)
	refused(t, c, "a", jwks.ErrUnknownKey) // the ID is unknown now and causes a fetch
	begun(4)

	now.Advance(-24 * time.Hour)
	found(t, c, "b")
	begun(5)
	l.serves(keyA(), keyB())
	found(t, c, "a") // although the clock showed a later day at the last unknown key ID
	begun(6)

	l.does(status(500))
	now.Advance(refresh)
	found(t, c, "a")
	begun(7)
	l.serves(keyA())
	now.Advance(-24 * time.Hour)
	found(t, c, "a")
	begun(8)
	if st := c.Status(); st.Failures != 0 || !st.FetchedAt.Equal(now.Now()) {
		t.Errorf("status: %+v", st)
	}

	l.does(body(`{"keys":[]}`))
	for i := range 4 {
		found(t, c, "a")
		now.Advance(-24 * time.Hour)
		settle(c)
		begun(uint64(9 + i))
	}
	refused(t, c, "a", jwks.ErrUnavailable) // four empty responses count as four
}

// The clock is set back during a fetch. The fetched keys do not get a time in
// the future.
func TestClockSetBackDuringFetch(t *testing.T) {
	l, now, c := clocked(t, nil, jwks.Config{})
	l.does(func(w http.ResponseWriter, r *http.Request) {
		now.Advance(-24 * time.Hour)
		keys(keyA())(w, r)
	})
	found(t, c, "a")
	st := c.Status()
	if !st.FetchedAt.Equal(now.Now()) || st.NextFetch.Sub(now.Now()) > refresh ||
		!st.StaleAt.Equal(now.Now().Add(72*time.Hour)) {
		t.Errorf("at %v: %+v", now.Now(), st)
	}
}

// The system's clock is set back by any amount, at any time after a fetch. A
// withdrawn key is refused as soon as with a correct clock, with few additional
// fetches.
func TestSystemClockSetBack(t *testing.T) {
	for _, after := range []time.Duration{time.Second, time.Minute, 3 * time.Minute,
		4 * time.Minute} {
		for _, by := range []time.Duration{time.Second, 30 * time.Second, 2 * time.Minute,
			3 * time.Minute, 5 * time.Minute, time.Hour, 1000 * time.Hour} {
			inBubble(t, fmt.Sprintf("by %v after %v", by, after), func(t *testing.T) {
				l, c := bubbleStarted(t, jwks.Config{})
				l.serves(keyB())
				withdrawn := time.Now()
				time.Sleep(after)
				c.SetBack(by)
				var err error
				for ; err == nil; _, err = c.Key(t.Context(), "a") {
					if life := time.Since(withdrawn); life > refresh+timeout {
						t.Fatalf("still there after %v", life)
					}
					time.Sleep(time.Second)
				}
				if !errors.Is(err, jwks.ErrUnknownKey) {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				// One fetch every 4 minutes, and some for the unknown key ID
				// and the clock.
				if n := l.fetches.Load(); n > 20 {
					t.Errorf("%d fetches", n)
				}
			})
		}
	}
}

// The clock is set back while Para is down. The age of the keys is then
// unknown, so StaleLimit counts from that moment.
func TestStaleLimitWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		l.does(status(503))
		time.Sleep(time.Hour)
		c.SetBack(1000 * time.Hour)
		time.Sleep(71 * time.Hour)
		found(t, c, "a")
		time.Sleep(time.Hour + refresh + timeout)
		refused(t, c, "a", jwks.ErrUnavailable)
	})
}

// A timer fires by the system's clock. If the cache's clock shows an earlier
// time, the timer waits again.
func TestTimerAndOwnClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		now := newClock()
		c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
		found(t, c, "a")
		time.Sleep(time.Hour) // the clock does not advance from here on
		l.fetched(t, 1)
		now.Advance(refresh)
		time.Sleep(refresh)
		l.fetched(t, 2)
		now.Advance(-time.Hour) // set back, which the timer detects too
		time.Sleep(refresh)
		l.fetched(t, 3)
	})
}

// aheadClock is the bubble's clock and a lead, which a suspended process gains
// without running its timers.
type aheadClock struct{ atomic.Int64 }

func (a *aheadClock) Now() time.Time         { return time.Now().Add(time.Duration(a.Load())) }
func (a *aheadClock) ahead(by time.Duration) { a.Store(int64(by)) }

// The timers of a suspended process do not run. A withdrawn key is refused from
// the first look-up on, and all callers wait for the same fetch.
func TestWithdrawnKeyInFrozenProcess(t *testing.T) {
	const callers = 100
	l, now, c := clocked(t, keys(keyA(), keyB()), jwks.Config{FetchTimeout: time.Minute})
	found(t, c, "a")
	now.Advance(time.Hour)
	all := make(chan struct{})
	l.does(hangUntil(all, keys(keyB())))
	accepted := stampede(t, c, callers, func() {
		eventually(t, "fetching", func() bool { return l.fetches.Load() == 2 })
		for range 1000 { // lets those who would not wait go by
			runtime.Gosched()
		}
		close(all)
	})
	if accepted != 0 {
		t.Fatalf("%d of %d look-ups got a withdrawn key", accepted, callers)
	}
	found(t, c, "b")
}

func TestFrozenProcess(t *testing.T) {
	// freezable returns a cache that has fetched "a" and "b".
	freezable := func(t *testing.T, first jwks.Source) (*lab, *jwks.Cache, *aheadClock) {
		l, clock := bubbleLab(t), new(aheadClock)
		l.serves(keyA(), keyB())
		c := l.cache(t, jwks.Config{Initial: first}, jwks.WithClock(clock.Now))
		found(t, c, "a")
		settle(c)
		return l, c, clock
	}
	// A process is suspended for a time. Then comes the first look-up of "a".
	withoutA := after(2*time.Second, keys(keyB()))
	for _, test := range []struct {
		name   string
		during time.Duration
		answer http.HandlerFunc
		limit  time.Duration // of the caller
		want   error
		wait   time.Duration           // -1 for any
		before func(*lab, *jwks.Cache) // the look-up
	}{
		{"the timer wakes up first", time.Hour, withoutA, time.Hour, jwks.ErrUnknownKey, -1,
			func(l *lab, _ *jwks.Cache) {
				for l.fetches.Load() < 2 {
					time.Sleep(time.Second)
					synctest.Wait()
				}
			}},
		{"an unknown key ID comes first", time.Hour, withoutA, time.Hour, jwks.ErrUnknownKey,
			2 * time.Second, func(_ *lab, c *jwks.Cache) {
				go c.Key(context.Background(), "junk")
				synctest.Wait()
			}},
		{"Para hangs", time.Hour, hang, time.Hour, nil, timeout, nil},
		{"the caller has no time", time.Hour, hang, time.Second, nil, time.Second, nil},
		{"the keys go stale while the caller waits", 72*time.Hour - time.Second, hang, time.Hour,
			jwks.ErrUnavailable, timeout, nil},
		{"shorter than the promise", refresh + timeout - 1, withoutA, time.Hour, nil, 0, nil},
		{"as long as the promise", refresh + timeout, withoutA, time.Hour, jwks.ErrUnknownKey,
			2 * time.Second, nil},
	} {
		inBubble(t, test.name, func(t *testing.T) {
			for _, first := range []jwks.Source{{}, bubble().keySet(keyA())} {
				l, c, clock := freezable(t, first)
				clock.ahead(test.during)
				l.does(test.answer)
				if test.before != nil {
					test.before(l, c)
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.limit)
				defer cancel()
				start := time.Now()
				_, err := c.Key(ctx, "a")
				if waited := time.Since(start); test.wait >= 0 && waited != test.wait {
					t.Errorf("the first look-up waited %v, want %v", waited, test.wait)
				}
				if !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if test.want == jwks.ErrUnknownKey {
					found(t, c, "b")
				}
				for i := 0; i < 600 && test.name == "Para hangs"; i++ {
					atOnce(t, func() { found(t, c, "a") }) // no later look-up waits
					time.Sleep(time.Second)
				}
			}
		})
	}
	// The process is suspended during a refresh. This is usual for serverless
	// functions, which stop as soon as they have responded. The fetch then
	// returns old keys or a broken connection.
	for name, answer := range map[string]http.HandlerFunc{
		"an old answer arrives":      keys(keyA(), keyB()),
		"a broken answer arrives":    cutOff(testkit.SetOf(keyA(), keyB())),
		"no answer will ever arrive": hang,
	} {
		inBubble(t, name, func(t *testing.T) {
			for _, lookUpFirst := range []bool{true, false} {
				l, c, clock := freezable(t, jwks.Source{})
				l.does(after(time.Second, answer))
				untilNextFetch(c)
				l.fetched(t, 2) // in progress
				l.serves(keyB())
				clock.ahead(refresh + timeout)
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
	}
	inBubble(t, "a slow answer is as old as its request", func(t *testing.T) {
		const slow = 4 * time.Second
		l := bubbleLab(t)
		l.does(after(slow, keys(keyA())))
		for _, ahead := range []time.Duration{refresh + timeout - slow - 1,
			refresh + timeout - slow} {
			clock := new(aheadClock)
			c := l.cache(t, jwks.Config{}, jwks.WithClock(clock.Now))
			asked := time.Now()
			found(t, c, "a")
			st := c.Status()
			if !st.FetchedAt.Equal(asked) || !st.StaleAt.Equal(asked.Add(72*time.Hour)) {
				t.Errorf("asked at %v: %+v", asked, st)
			}
			clock.ahead(ahead)
			wait := time.Duration(0)
			if ahead == refresh+timeout-slow {
				wait = slow
			}
			takes(t, wait, func() { found(t, c, "a") })
			settle(c)
		}
		hasty := l.cache(t, jwks.Config{RefreshInterval: 10 * time.Second})
		asked := time.Now()
		found(t, hasty, "a")
		if next := hasty.Status().NextFetch.Sub(asked); next > 9*time.Second {
			t.Errorf("next fetch %v after the last", next)
		}
	})
	inBubble(t, "a busy machine is not suspended", func(t *testing.T) {
		l, late := bubbleLab(t), new(aheadClock)
		l.does(hang)
		c := l.cache(t, jwks.Config{}, jwks.WithClock(late.Now))
		time.AfterFunc(time.Second, func() { late.ahead(time.Second / 2) })
		refused(t, c, "a", jwks.ErrUnavailable)
		l.fetched(t, 1)
	})
}

// The network fails, a refresh fails, and the machine sleeps for two days. The
// next look-up waits for a current key set.
func TestSuspendedAfterAFailure(t *testing.T) {
	for _, answer := range []http.HandlerFunc{after(time.Second, keys(keyB())),
		after(time.Second, status(500))} {
		synctest.Test(t, func(t *testing.T) {
			l, c := bubbleStarted(t, jwks.Config{})
			l.does(status(503))
			untilNextFetch(c)
			l.does(answer)
			c.SetBack(-48 * time.Hour) // the clock is ahead, and no timer has run
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					var err error
					takes(t, time.Second, func() { _, err = c.Key(t.Context(), "a") })
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
