package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// These tests check the rows of docs/outages.md about an outage, its end and
// StaleLimit.

// None of these failing responses affects a known key.
var outages = map[string]func(*lab){
	"500": func(l *lab) { l.does(status(500)) },
	"503": func(l *lab) { l.does(status(503)) },
	"429": func(l *lab) { l.does(status(429)) },
	"404": func(l *lab) { l.does(status(404)) },
	"401": func(l *lab) { l.does(status(401)) },
	"204": func(l *lab) {
		l.does(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
		})
	},
	"206": func(l *lab) {
		l.does(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(206)
			fmt.Fprint(w,
				testkit.SetOf(keyC()))
		})
	},
	"304 unasked":      func(l *lab) { l.does(status(304)) },
	"refused":          (*lab).refuses,
	"HTML":             func(l *lab) { l.does(html) },
	"{}":               func(l *lab) { l.does(body(`{}`)) },
	"null":             func(l *lab) { l.does(body(`null`)) },
	"nothing":          func(l *lab) { l.does(body(``)) },
	"keys is no array": func(l *lab) { l.does(body(`{"keys":{}}`)) },
	"keys twice":       func(l *lab) { l.does(body(`{"keys":[],"keys":[` + keyC().JWK() + `]}`)) },
	"truncated":        func(l *lab) { s := testkit.SetOf(keyC()); l.does(body(s[:len(s)-1])) },
	"cut off":          func(l *lab) { l.does(cutOff(testkit.SetOf(keyC()))) },
	"hang":             func(l *lab) { l.does(hang) },
	"stall":            func(l *lab) { l.does(stall(testkit.SetOf(keyC()))) },
	"drip":             func(l *lab) { l.does(drip(testkit.SetOf(keyC()))) },
	"redirect":         func(l *lab) { l.does(redirect(302, "/elsewhere")) },
	"too large": func(l *lab) {
		l.does(body(strings.Repeat(" ", 256<<10) + testkit.SetOf(keyC())))
	},
	"101 keys": func(l *lab) {
		l.does(body(testkit.Set(strings.Split(strings.Repeat(keyC().JWK()+"\n", 101),
			"\n")[:101]...)))
	},
}

// Each kind of outage lasts a day, with timers. Known keys stay usable, Para
// gets few requests, and the first usable response ends the outage.
func TestOutageOfADay(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, c := bubbleStarted(t, jwks.Config{})
				begin(l)
				start, lookups := time.Now(), 0
				for time.Since(start) < 24*time.Hour {
					atOnce(t, func() { found(t, c, "a") })
					lookups++
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
				time.Sleep(330 * time.Second) // the longest backoff and its jitter
				synctest.Wait()
				atOnce(t, func() { found(t, c, "b"); refused(t, c, "a", jwks.ErrUnknownKey) })
				if st := c.Status(); st.Failures != 0 || st.Stale || st.LastError != "" {
					t.Errorf("status once it is over: %+v", st)
				}
				t.Logf("24 h of %s: 0 of %d look-ups refused, %d fetches", name, lookups,
					st.Fetches-1)
			})
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
		var gaps []time.Duration
		jittered := false
		for round := range 2 {
			from := len(l.times()) - 1
			for len(l.times())-from < 13 {
				wait := time.Until(c.Status().NextFetch)
				var ue *jwks.UnavailableError
				if _, err := c.Key(t.Context(), "b"); !errors.As(err, &ue) ||
					ue.RetryAfter != max(wait, time.Second) {
					t.Errorf("RetryAfter: %v with %v to go", err, wait)
				}
				time.Sleep(wait)
				synctest.Wait()
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
				gaps = append(gaps, gap.Round(time.Millisecond))
			}
			if round == 0 { // a success, and the next refresh fails
				l.serves(keyA())
				time.Sleep(time.Until(c.Status().NextFetch))
				synctest.Wait()
				found(t, c, "a")
				l.does(status(500))
				time.Sleep(time.Until(c.Status().NextFetch))
				synctest.Wait()
			}
		}
		if !jittered {
			t.Error("no jitter: a thousand servers would come back as one")
		}
		t.Logf("backoff: %v", gaps)
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
			if due := !c.Status().NextFetch.After(time.Now()); !due {
				atOnce(t, func() {
					found(t, c, "a")
					refused(t, c, "junk", jwks.ErrUnavailable)
					_ = c.Warm(t.Context())
				})
				if l.fetches.Load() != before {
					t.Fatal("a look-up made a fetch that was not due")
				}
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
	var ue *jwks.UnavailableError
	if _, err := c.Key(t.Context(), "b"); !errors.As(err, &ue) || ue.RetryAfter != time.Second {
		// Retry-After: 0 would cause a retry storm.
		t.Errorf("with less than a second to go: %v", err)
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
			time.Sleep(time.Until(c.Status().NextFetch))
			synctest.Wait()
			l.serves(keyB())
			well := time.Now()
			time.Sleep(min(interval, refresh) + timeout)
			synctest.Wait()
			refused(t, c, "a", jwks.ErrUnknownKey)
			if n := time.Since(well); n > min(interval, refresh)+timeout {
				t.Errorf("RefreshInterval %v: %v", interval, n)
			}
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
		var ue *jwks.UnavailableError
		if _, err := c.Key(t.Context(), "a"); !errors.As(err, &ue) || ue.RetryAfter < time.Second ||
			ue.RetryAfter > 330*time.Second ||
			ue.Cause == nil || !strings.Contains(ue.Cause.Error(), "503") {
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
		back := time.Now()
		for {
			if _, err := c.Key(t.Context(), "a"); err == nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(back); took > 330*time.Second {
			t.Errorf("recovery took %v", took)
		}
		t.Logf("stale after exactly %v; serving again %v after Para was", limit, time.Since(back))
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
