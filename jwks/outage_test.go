package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// These tests check the rows of docs/outages.md about an outage, its end and
// StaleLimit, and about who waits for how long, at the start and while Para
// hangs.

// None of these failing responses affects a known key. nil refuses connections.
var outages = map[string]http.HandlerFunc{
	"500": status(500), "503": status(503), "429": status(429), "404": status(404),
	"401": status(401), "204": status(204), "304 unasked": status(304),
	"206": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(206)
		keys(keyC())(w, r)
	},
	"refused":          nil,
	"HTML":             html,
	"{}":               body(`{}`),
	"null":             body(`null`),
	"nothing":          body(``),
	"keys is no array": body(`{"keys":{}}`),
	"keys twice":       body(`{"keys":[],"keys":[` + keyC().JWK() + `]}`),
	"truncated":        body(strings.TrimSuffix(testkit.SetOf(keyC()), "}")),
	"cut off":          cutOff(testkit.SetOf(keyC())),
	"hang":             hang,
	"stall":            stall(testkit.SetOf(keyC())),
	"drip":             drip(testkit.SetOf(keyC())),
	"redirect":         redirect(302, "/elsewhere"),
	"too large":        body(strings.Repeat(" ", 256<<10) + testkit.SetOf(keyC())),
	"101 keys":         body(testkit.Set(slices.Repeat([]string{keyC().JWK()}, 101)...)),
}

// Each kind of outage lasts a day, with timers. Known keys stay usable, Para
// gets few requests, and the first usable response ends the outage.
func TestOutageOfADay(t *testing.T) {
	for name, answer := range outages {
		inBubble(t, name, func(t *testing.T) {
			l, c := bubbleStarted(t, jwks.Config{})
			l.does(answer)
			for start := time.Now(); time.Since(start) < 24*time.Hour; {
				atOnce(t, func() { found(t, c, "a") })
				time.Sleep(17 * time.Second)
			}
			settle(c)
			st := c.Status()
			if st.Fetches-1 > 300 || st.Fetches-1 < 200 {
				t.Errorf("%d fetches in a day", st.Fetches-1)
			}
			if !st.Usable || !st.Stale || st.LastError == "" || st.Failures != int(st.Fetches-1) {
				t.Errorf("status: %+v", st)
			}
			if answer == nil && !strings.Contains(st.LastError, "connection refused") {
				t.Errorf("connections are not refused: %s", st.LastError)
			}
			refused(t, c, "b", jwks.ErrUnavailable)

			l.serves(keyB())
			time.Sleep(refresh + timeout) // the longest backoff and its jitter
			synctest.Wait()
			atOnce(t, func() { found(t, c, "b"); refused(t, c, "a", jwks.ErrUnknownKey) })
			if st := c.Status(); st.Failures != 0 || st.Stale || st.LastError != "" {
				t.Errorf("status once it is over: %+v", st)
			}
		})
	}
}

// The same day passes in a process whose timers do not run, over real sockets.
func TestOutageOfADayWithoutTimers(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	l.does(status(500))
	for range 24 * 60 * 4 {
		now.Advance(15 * time.Second)
		found(t, c, "a")
		settle(c)
	}
	n := l.fetches.Load() - 1
	if n > 300 || n < 200 {
		t.Fatalf("%d fetches in a day", n)
	}
}

// Retries back off exponentially: from a second to five minutes, with jitter. A
// success resets the backoff.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		var failures []time.Time
		fail := func(w http.ResponseWriter, r *http.Request) {
			failures = append(failures, time.Now())
			status(500)(w, r)
		}
		l.does(fail)
		c := l.cache(t, jwks.Config{})
		refused(t, c, "a", jwks.ErrUnavailable)
		jittered := false
		for round := range 2 {
			for len(failures) < 13 {
				wait := time.Until(c.Status().NextFetch)
				ue := unavailable(t, c, "b")
				if ue.RetryAfter != max(wait, time.Second) {
					t.Errorf("RetryAfter: %v with %v to go", ue, wait)
				}
				untilNextFetch(c)
			}
			for i := range failures[1:] {
				gap := failures[i+1].Sub(failures[i])
				least := min(time.Second<<i, 5*time.Minute)
				if most := least + min(least/10, timeout); gap < least || gap > most {
					t.Errorf("round %d: failure %d was followed after %v, want %v to %v", round,
						i+1, gap, least, most)
				}
				jittered = jittered || gap != least
			}
			if round == 0 { // a success, and the next refresh fails
				l.serves(keyA())
				untilNextFetch(c)
				found(t, c, "a")
				failures = nil
				l.does(fail)
				untilNextFetch(c)
			}
		}
		if !jittered {
			t.Error("no jitter: a thousand servers would retry at the same time")
		}
	})
}

// Look-ups do not make retries earlier.
func TestNoFetchBeforeBackoffEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		l.does(status(503))
		time.Sleep(time.Until(c.Status().NextFetch))
		for range 600 {
			synctest.Wait()
			before := l.fetches.Load()
			if c.Status().NextFetch.After(time.Now()) {
				atOnce(t, func() {
					found(t, c, "a")
					refused(t, c, "junk", jwks.ErrUnavailable)
					settle(c)
				})
				l.fetched(t, before)
			}
			time.Sleep(time.Second)
		}
	})
}

// During an outage, an unknown key ID is ErrUnavailable and not ErrUnknownKey,
// because the key may be new.
func TestUnknownKeyWhileParaIsDown(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	l.does(status(503))
	now.Advance(time.Minute)
	refused(t, c, "b", jwks.ErrUnavailable) // the look-up that fetches
	refused(t, c, "b", jwks.ErrUnavailable) // a look-up that does not fetch
	l.fetched(t, 2)
	now.Advance(900 * time.Millisecond)
	if ue := unavailable(t, c, "b"); ue.RetryAfter != time.Second {
		// Retry-After: 0 would cause a retry storm.
		t.Errorf("with less than a second to go: %v", ue)
	}
	found(t, c, "a")
	l.serves(keyA(), keyB())
	now.Advance(2 * time.Second)
	found(t, c, "b")
	l.fetched(t, 3)
}

// Para recovers just after a failed fetch. A key that was withdrawn during the
// outage is refused as soon as after a normal refresh.
func TestWithdrawnKeyAfterAnOutage(t *testing.T) {
	for _, interval := range []time.Duration{time.Minute, refresh, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l, c := bubbleStarted(t, jwks.Config{RefreshInterval: interval})
			l.does(status(500))
			time.Sleep(2*time.Hour + time.Until(c.Status().NextFetch))
			untilNextFetch(c)
			l.serves(keyB())
			time.Sleep(min(interval, refresh) + timeout)
			synctest.Wait()
			atOnce(t, func() { refused(t, c, "a", jwks.ErrUnknownKey) })
		})
	}
}

func TestStaleLimit(t *testing.T) {
	const limit = 72 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		at := time.Now()
		l.does(status(503))
		for time.Since(at) < limit {
			found(t, c, "a")
			time.Sleep(time.Minute)
		}
		refused(t, c, "a", jwks.ErrUnavailable)
		ue := unavailable(t, c, "a")
		if ue.RetryAfter < time.Second || ue.RetryAfter > refresh+timeout || ue.Cause == nil ||
			!strings.Contains(ue.Cause.Error(), "503") {
			t.Errorf("%#v", ue)
		}
		if st := c.Status(); st.Usable || !st.Stale || !st.StaleAt.Equal(at.Add(limit)) {
			t.Errorf("status: %+v", st)
		}
		if _, err := c.Snapshot(); !errors.Is(err, jwks.ErrUnavailable) {
			t.Errorf("a snapshot of stale keys: %v", err)
		}
		if err := c.Warm(t.Context()); !errors.Is(err, jwks.ErrUnavailable) {
			t.Errorf("warm with stale keys: %v", err)
		}

		l.serves(keyA())
		time.Sleep(refresh + timeout)
		synctest.Wait()
		atOnce(t, func() { found(t, c, "a") })
	})
}

// StaleLimit holds to the nanosecond, also during a fetch and while the next
// fetch is scheduled later.
func TestStaleLimitIsExact(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{"fetch under way": hang,
		"backing off": status(500)} {
		t.Run(name, func(t *testing.T) {
			l, now, c := started(t, jwks.Config{StaleLimit: refresh, FetchTimeout: time.Minute})
			l.does(fail)
			now.Advance(refresh - time.Second/2)
			found(t, c, "a")
			if name == "backing off" {
				settle(c)
			}
			now.Advance(time.Second/2 - 1)
			found(t, c, "a")
			now.Advance(1)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Key(ctx, "a"); !errors.Is(err, jwks.ErrUnavailable) {
				t.Fatalf("a stale key: %v", err)
			}
			if st := c.Status(); st.Usable || !st.Stale {
				t.Errorf("status: %+v", st)
			}
			if name == "backing off" {
				now.Advance(time.Minute)
				// A look-up that waits for a failing retry gets no stale key.
				refused(t, c, "a", jwks.ErrUnavailable)
				l.serves(keyA())
				now.Advance(time.Minute)
				found(t, c, "a") // a look-up that waits for a successful retry gets a fresh key
			}
		})
	}
}

// Para is down at the start, and then recovers.
func TestDownAtStart(t *testing.T) {
	for name, answer := range outages {
		wait := time.Duration(0)
		if name == "hang" || name == "stall" || name == "drip" {
			wait = timeout
		}
		inBubble(t, name, func(t *testing.T) {
			for range 20 { // the schedule has jitter
				l := bubbleLab(t)
				l.does(answer)
				c := l.cache(t, jwks.Config{})
				takes(t, wait, func() { refused(t, c, "a", jwks.ErrUnavailable) })
				atOnce(t, func() { // no look-up waits before the next retry
					for range 10 {
						refused(t, c, "a", jwks.ErrUnavailable)
					}
				})
				if n := c.Status().Fetches; n != 1 {
					t.Fatalf("%d fetches at once", n)
				}
				l.serves(keyA())
				time.Sleep(1100 * time.Millisecond)
				synctest.Wait()
				atOnce(t, func() { found(t, c, "a") })
				if n := c.Status().Fetches; n != 2 {
					t.Fatalf("%d fetches", n)
				}
				c.Close()
			}
		})
	}
}

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

// A refresh that hangs delays no look-up of a known key. Look-ups start no
// second fetch during it.
func TestHangingRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		var hanging atomic.Int64
		l.does(func(w http.ResponseWriter, r *http.Request) {
			if n := hanging.Add(1); n > 1 {
				t.Errorf("%d fetches at once", n)
			}
			takes(t, timeout, func() { hang(w, r) })
			hanging.Add(-1)
		})
		for start := time.Now(); time.Since(start) < time.Hour; {
			atOnce(t, func() { found(t, c, "a") })
			time.Sleep(100 * time.Millisecond)
		}
		settle(c) // the last fetch ends, too
		if n := l.fetches.Load(); n < 10 {
			t.Errorf("%d fetches", n)
		}
	})
}

// A look-up of a known key takes no lock, neither normally nor while a refresh
// hangs. The test holds the lock through Config.Now, which Status calls under
// it.
func TestLookUpTakesNoLock(t *testing.T) {
	for _, phase := range []string{"fresh", "fresh by a clock that was set back a bit",
		"refreshing", "refreshing after failures", "refreshing a snapshot"} {
		t.Run(phase, func(t *testing.T) {
			l, now := newLab(t), newClock()
			var block atomic.Bool
			locked, release := make(chan struct{}), make(chan struct{})
			snapshot := fmt.Sprintf(`{"parajwt":{"environment":"lab",`+
				`"url":"%s/.well-known/jwks.json","fetchedAt":%q},%s`, l.url,
				now.Now().Add(-24*time.Hour).Format(time.RFC3339), testkit.SetOf(keyA())[1:])
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute,
				Initial: jwks.FromBytes([]byte(snapshot))},
				jwks.WithClock(func() time.Time {
					if block.CompareAndSwap(true, false) {
						close(locked)
						<-release
					}
					return now.Now()
				}))
			l.does(hang)
			if phase != "refreshing a snapshot" {
				l.serves(keyA())
				settle(c)
				inState(t, c, jwks.StateFresh)
			}
			found(t, c, "a")
			switch phase {
			case "fresh by a clock that was set back a bit":
				now.Advance(-30 * time.Second)
			case "refreshing after failures":
				l.refreshed(now, time.Hour, c, status(500))
				now.Advance(time.Hour)
				fallthrough
			case "refreshing":
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
		calls := []func(context.Context) error{c.Warm,
			func(ctx context.Context) error { _, err := c.Key(ctx, "a"); return err }}
		var wg sync.WaitGroup
		for range 10 { // the first of these look-ups may have started the fetch
			for _, call := range calls {
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
			for _, call := range calls {
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
