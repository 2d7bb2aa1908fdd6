package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// These tests check the rows of docs/outages.md about an outage, its end and
// StaleLimit.

// longestRetry is the longest backoff and its jitter.
const longestRetry = 5*time.Minute + 5*time.Second

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
			start, lookups := time.Now(), 0
			for ; time.Since(start) < 24*time.Hour; lookups++ {
				atOnce(t, func() { found(t, c, "a") })
				time.Sleep(17 * time.Second)
			}
			settle(c)
			st := c.Status()
			if st.Fetches-1 > 300 || st.Fetches-1 < 200 {
				t.Errorf("%d fetches in a day", st.Fetches-1)
			}
			if !st.Usable || !st.Stale || st.LastError == "" ||
				st.Failures != int(st.Fetches-1) {
				t.Errorf("status: %+v", st)
			}
			refused(t, c, "b", jwks.ErrUnavailable)

			l.serves(keyB())
			time.Sleep(longestRetry)
			synctest.Wait()
			atOnce(t, func() { found(t, c, "b"); refused(t, c, "a", jwks.ErrUnknownKey) })
			if st := c.Status(); st.Failures != 0 || st.Stale || st.LastError != "" {
				t.Errorf("status once it is over: %+v", st)
			}
			t.Logf("24 h of %s: 0 of %d look-ups refused, %d fetches", name, lookups,
				st.Fetches-1)
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
	t.Logf("24 h of 500, driven by look-ups alone: 0 of %d refused, %d fetches", 24*60*4, n)
}

// Retries back off exponentially: from a second to five minutes, with jitter. A
// success resets the backoff.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(status(500))
		c := l.cache(t, jwks.Config{})
		refused(t, c, "a", jwks.ErrUnavailable)
		jittered := false
		for round := range 2 {
			from := len(l.times()) - 1
			for len(l.times())-from < 13 {
				wait := time.Until(c.Status().NextFetch)
				ue := unavailable(t, t.Context(), c, "b")
				if ue.RetryAfter != max(wait, time.Second) {
					t.Errorf("RetryAfter: %v with %v to go", ue, wait)
				}
				untilNextFetch(c)
			}
			times := l.times()[from:]
			for i := range times[1:] {
				gap := times[i+1].Sub(times[i])
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
				l.does(status(500))
				untilNextFetch(c)
			}
		}
		if !jittered {
			t.Error("no jitter: a thousand servers would come back as one")
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
	if ue := unavailable(t, t.Context(), c, "b"); ue.RetryAfter != time.Second {
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
		ue := unavailable(t, t.Context(), c, "a")
		if ue.RetryAfter < time.Second || ue.RetryAfter > longestRetry || ue.Cause == nil ||
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
		time.Sleep(longestRetry)
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
			unavailable(t, ctx, c, "a")
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

// Para is down at the start, and then well.
func TestDownAtStart(t *testing.T) {
	for name, answer := range outages {
		if name == "hang" || name == "stall" || name == "drip" {
			continue // they fail after FetchTimeout, which TestHangAtStart checks
		}
		inBubble(t, name, func(t *testing.T) {
			for range 20 { // the schedule has jitter
				l := bubbleLab(t)
				l.does(answer)
				c := l.cache(t, jwks.Config{})
				refused(t, c, "a", jwks.ErrUnavailable)
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
