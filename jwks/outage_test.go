package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/parajwt/parajwt/jwks"
)

// Every test here counts fetches at the server. Where minutes pass, they pass on a fake clock: either
// in a synctest bubble, where timers run too, or by Config.Now, where they stand still, as in a
// process that was suspended.

const (
	refresh = 5 * time.Minute // the defaults
	timeout = 5 * time.Second
)

func TestColdStartStampede(t *testing.T) {
	const callers = 10_000
	l := newLab(t)
	all := make(chan struct{})
	l.does(hangUntil(all, body(setOf(keyA()))))
	c := l.cache(t, jwks.Config{FetchTimeout: time.Minute})

	var failures atomic.Int64
	var started, done sync.WaitGroup
	started.Add(callers)
	for range callers {
		done.Go(func() {
			started.Done()
			if _, err := c.Key(t.Context(), "a"); err != nil {
				failures.Add(1)
			}
		})
	}
	started.Wait()
	close(all)
	done.Wait()
	l.fetched(t, 1)
	if n := failures.Load(); n != 0 {
		t.Fatalf("%d of %d failed", n, callers)
	}
	t.Logf("%d concurrent first look-ups: %d fetch, %d failures", callers, l.fetches.Load(), failures.Load())
}

func TestJunkFlood(t *testing.T) {
	const junk = 1_000_000
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	if err := c.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := now.Now()
	for i := range junk {
		now.advance(time.Minute / junk)
		if _, err := c.Key(t.Context(), strconv.Itoa(i)); !errors.Is(err, jwks.ErrUnknownKey) {
			t.Fatalf("junk: %v", err)
		}
		if _, err := c.Key(t.Context(), "a"); err != nil {
			t.Fatalf("a good key among junk: %v", err)
		}
	}
	if n := l.fetches.Load() - 1; n > 3 {
		t.Fatalf("%d fetches", n)
	}
	t.Logf("%d unknown key IDs in %v: %d fetches after the first", junk, now.Now().Sub(start), l.fetches.Load()-1)
}

// An ID that no key can have is worth no fetch, however often it comes.
func TestEmptyKeyID(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	c := l.cache(t, jwks.Config{}, jwks.WithClock(newClock().Now))
	found(t, c, "a")
	for range 10 {
		refused(t, c, "", jwks.ErrUnknownKey)
	}
	l.fetched(t, 1)
}

func TestNewKeyWhenIdle(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	now.advance(time.Minute)
	l.serves(keyA(), keyB())
	found(t, c, "b")
	l.fetched(t, 2)
	found(t, c, "a")
	found(t, c, "b")
	l.fetched(t, 2)
}

func TestNewKeyUnderFlood(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	now.advance(time.Minute)
	refused(t, c, "junk", jwks.ErrUnknownKey) // spends the cooldown at the worst moment
	l.fetched(t, 2)
	l.serves(keyA(), keyB())
	published := now.Now()
	for i := 0; ; i++ {
		if _, err := c.Key(t.Context(), "b"); err == nil {
			break
		}
		refused(t, c, fmt.Sprint("junk", i), jwks.ErrUnknownKey)
		now.advance(100 * time.Millisecond)
	}
	took := now.Now().Sub(published)
	if took != 30*time.Second { // the cooldown, and no more
		t.Fatalf("a new key took %v under a flood", took)
	}
	l.fetched(t, 3)
	t.Logf("a new key under a flood of junk: accepted after %v, 1 fetch for the junk, 1 for the key", took)
}

func TestNewKeyWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var worst time.Duration
		for range 20 { // the schedule has jitter
			l := bubbleLab(t)
			l.serves(keyA())
			c := l.cache(t, jwks.Config{})
			found(t, c, "a")
			published := time.Now()
			l.serves(keyA(), keyB())
			for len(c.Status().KeyIDs) < 2 { // Status fetches nothing
				time.Sleep(time.Second)
			}
			worst = max(worst, time.Since(published))
			l.fetched(t, 2)
			c.Close()
		}
		if worst > refresh {
			t.Fatalf("a new key took %v with no traffic", worst)
		}
		t.Logf("a new key with no traffic: in the set after at most %v, 1 fetch", worst)
	})
}

func TestWithdrawnKey(t *testing.T) {
	slow := func(answer http.HandlerFunc) http.HandlerFunc { return after(4*time.Second, answer) }
	quick := func(answer http.HandlerFunc) http.HandlerFunc { return answer }
	for name, pace := range map[string]func(http.HandlerFunc) http.HandlerFunc{"quick": quick, "slow": slow} {
		for _, every := range []time.Duration{time.Second, time.Minute, 299 * time.Second} {
			t.Run(fmt.Sprint(name, " server, used every ", every), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var worst time.Duration
					for range 20 {
						l := bubbleLab(t)
						l.does(pace(body(setOf(keyA(), keyB()))))
						c := l.cache(t, jwks.Config{})
						found(t, c, "a")
						l.does(pace(body(setOf(keyB()))))
						withdrawn := time.Now()
						for time.Since(withdrawn) < refresh+timeout {
							if _, err := c.Key(t.Context(), "a"); err != nil {
								break
							}
							time.Sleep(min(every, refresh+timeout-time.Since(withdrawn)))
						}
						refused(t, c, "a", jwks.ErrUnknownKey)
						found(t, c, "b")
						worst = max(worst, time.Since(withdrawn))
						c.Close()
					}
					t.Logf("a withdrawn key: refused after at most %v", worst)
				})
			})
		}
	}
}

// A process that was suspended has timers that did not run. What Para did meanwhile counts from the
// first look-up on, for all who come while that is being found out.
func TestWithdrawnKeyInFrozenProcess(t *testing.T) {
	const callers = 100
	l := newLab(t)
	l.serves(keyA(), keyB())
	now := newClock()
	c := l.cache(t, jwks.Config{FetchTimeout: time.Minute}, jwks.WithClock(now.Now))
	found(t, c, "a")

	now.advance(time.Hour)
	all := make(chan struct{})
	l.does(hangUntil(all, body(setOf(keyB()))))
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
	// freezable returns a warm cache whose clock can be moved ahead of its timers.
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
			l.does(after(2*time.Second, body(setOf(keyB()))))
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
			l.does(after(2*time.Second, body(setOf(keyB()))))
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
			for range 600 { // and from then on nobody waits
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
	// The freeze comes in the middle of a refresh: the usual place in a function that is stopped as
	// soon as it has answered. What the fetch brings afterwards is old, or a broken connection.
	for name, answer := range map[string]http.HandlerFunc{
		"an old answer arrives":      body(setOf(keyA(), keyB())),
		"a broken answer arrives":    cutOff(setOf(keyA(), keyB())),
		"no answer will ever arrive": hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, lookUpFirst := range []bool{true, false} {
					l, c, ahead := freezable(t, jwks.Source{})
					l.does(after(time.Second, answer))
					time.Sleep(time.Until(c.Status().NextFetch))
					synctest.Wait()
					l.fetched(t, 2) // under way
					l.serves(keyB())
					ahead.Store(int64(refresh + timeout))
					if !lookUpFirst {
						time.Sleep(timeout)
						synctest.Wait()
					}
					refused(t, c, "a", jwks.ErrUnknownKey)
					found(t, c, "b")
					if st := c.Status(); st.Failures != 0 || st.Fetches > 4 || int64(st.Fetches) != l.fetches.Load() {
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
			l.does(after(slow, body(setOf(keyA()))))
			var ahead atomic.Int64
			c := l.cache(t, jwks.Config{}, jwks.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
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
			c = l.cache(t, jwks.Config{}, jwks.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
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
			c := l.cache(t, jwks.Config{}, jwks.WithClock(func() time.Time { return time.Now().Add(time.Duration(late.Load())) }))
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
				l.does(after(time.Second, body(setOf(keyA()))))
				before := time.Now()
				found(t, c, "a")
				if waited := time.Since(before) > 0; waited != (ahead == promise) {
					t.Errorf("after %v: waited is %v", ahead, waited)
				}
			}
		})
	})
}

// What an answer may be without costing a known key anything.
var outages = map[string]func(*lab){
	"500": func(l *lab) { l.does(status(500)) },
	"503": func(l *lab) { l.does(status(503)) },
	"429": func(l *lab) { l.does(status(429)) },
	"404": func(l *lab) { l.does(status(404)) },
	"401": func(l *lab) { l.does(status(401)) },
	"204": func(l *lab) { l.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }) },
	"206": func(l *lab) {
		l.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); fmt.Fprint(w, setOf(keyC())) })
	},
	"304 unasked":      func(l *lab) { l.does(status(304)) },
	"refused":          (*lab).refuses,
	"HTML":             func(l *lab) { l.does(html) },
	"{}":               func(l *lab) { l.does(body(`{}`)) },
	"null":             func(l *lab) { l.does(body(`null`)) },
	"nothing":          func(l *lab) { l.does(body(``)) },
	"keys is no array": func(l *lab) { l.does(body(`{"keys":{}}`)) },
	"keys twice":       func(l *lab) { l.does(body(`{"keys":[],"keys":[` + keyC().jwk() + `]}`)) },
	"truncated":        func(l *lab) { s := setOf(keyC()); l.does(body(s[:len(s)-1])) },
	"cut off":          func(l *lab) { l.does(cutOff(setOf(keyC()))) },
	"hang":             func(l *lab) { l.does(hang) },
	"stall":            func(l *lab) { l.does(stall(setOf(keyC()))) },
	"drip":             func(l *lab) { l.does(drip(setOf(keyC()))) },
	"redirect":         func(l *lab) { l.does(redirect(302, "/elsewhere")) },
	"too large":        func(l *lab) { l.does(body(strings.Repeat(" ", 256<<10) + setOf(keyC()))) },
	"101 keys":         func(l *lab) { l.does(body(set(strings.Split(strings.Repeat(keyC().jwk()+"\n", 101), "\n")[:101]...))) },
}

// A day of every outage, with timers: nobody whose key is known notices, Para is not run over, and
// the first good answer ends it.
func TestOutageOfADay(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := bubbleLab(t)
				l.serves(keyA())
				c := l.cache(t, jwks.Config{})
				found(t, c, "a")
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
				if !st.Usable || !st.Stale || st.LastError == "" || st.Failures != int(st.Fetches-1) {
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
				t.Logf("24 h of %s: 0 of %d look-ups refused, %d fetches", name, lookups, st.Fetches-1)
			})
		})
	}
}

// The same day with a process whose timers never run, over real sockets.
func TestOutageOfADayWithoutTimers(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	l.does(status(500))
	for range 24 * 60 * 4 {
		now.advance(15 * time.Second)
		found(t, c, "a")
		settle(c)
	}
	n := l.fetches.Load() - 1
	if n > 300 || n < 200 {
		t.Fatalf("%d fetches in a day", n)
	}
	t.Logf("24 h of 500, driven by look-ups alone: 0 of %d refused, %d fetches", 24*60*4, n)
}

// One bad key never loses the good ones.
func TestOneBadKeyAmongGoodOnes(t *testing.T) {
	bad := map[string]string{
		"no object":     `17`,
		"unknown kty":   `{"kid":"x","kty":"LWE","n":"AQAB"}`,
		"no kid":        `{` + keyC().public + `}`,
		"off the curve": `{"kid":"x","kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		"weak":          `{"kid":"x","kty":"RSA","n":"` + b64(make([]byte, 128)) + `","e":"AQAB"}`,
		"symmetric":     `{"kid":"x","kty":"oct","k":"c2VjcmV0"}`,
		"private":       `{"kid":"x",` + keyC().public + `,"d":"AQAB"}`,
		"encryption":    `{"kid":"x","use":"enc",` + keyC().public + `}`,
		"duplicate":     `{"kid":"x","kid":"x",` + keyC().public + `}`,
		"not UTF-8":     "{\"kid\":\"\xff\"," + keyC().public + `}`,
	}
	for name, jwk := range bad {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.does(body(set(jwk, keyA().jwk(), jwk, keyB().jwk())))
			var log logbook
			c := l.cache(t, jwks.Config{}, jwks.WithLogger(log.logger()))
			found(t, c, "a")
			found(t, c, "b")
			l.fetched(t, 1)
			skipped := c.Status().Skipped
			if len(skipped) != 2 || skipped[0].Index != 0 || skipped[1].Index != 2 || skipped[0].Reason == "" {
				t.Errorf("skipped: %+v", skipped)
			}
			lines := log.with("a key of Para's set is not used")
			if len(lines) != 2 || lines[0].attrs["reason"] != skipped[0].Reason || lines[0].attrs["index"] != "0" || lines[0].level != slog.LevelWarn {
				t.Errorf("logged: %+v", lines)
			}
		})
	}
}

// Skipped keys are logged when they change, not with every refresh.
func TestSkippedKeysAreLoggedOnce(t *testing.T) {
	l := newLab(t)
	now := newClock()
	var log logbook
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.logger()))
	const kty = `{"kid":"x","kty":"LWE"}`
	for _, step := range []struct {
		set   string
		lines int
	}{
		{set(keyA().jwk()), 0},
		{set(keyA().jwk(), kty), 1}, // appears while the good keys stay as they are
		{set(keyA().jwk(), kty), 1},
		{set(keyB().jwk(), kty), 1},
		{set(keyB().jwk()), 1},
		{set(keyB().jwk(), kty), 2},
	} {
		l.does(body(step.set))
		now.advance(refresh + time.Minute)
		settle(c)
		if n := len(log.with("is not used")); n != step.lines {
			t.Errorf("after %s: %d lines, want %d", step.set, n, step.lines)
		}
	}
	l.fetched(t, 6)
}

func TestStaleLimit(t *testing.T) {
	const limit = 72 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
		at := time.Now()
		l.does(status(503))
		for time.Since(at) < limit {
			found(t, c, "a")
			time.Sleep(time.Minute)
		}
		refused(t, c, "a", jwks.ErrUnavailable)
		var ue *jwks.UnavailableError
		if _, err := c.Key(t.Context(), "a"); !errors.As(err, &ue) || ue.RetryAfter < time.Second || ue.RetryAfter > 330*time.Second ||
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

// The limit holds to the nanosecond, also where a fetch under way, or the plan for the next one,
// reaches past it.
func TestStaleLimitIsExact(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{"fetch under way": hang, "backing off": status(500)} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.serves(keyA())
			now := newClock()
			c := l.cache(t, jwks.Config{StaleLimit: refresh, FetchTimeout: time.Minute}, jwks.WithClock(now.Now))
			found(t, c, "a")
			l.does(fail)
			now.advance(refresh - time.Second/2)
			found(t, c, "a")
			if name == "backing off" {
				settle(c)
			}
			now.advance(time.Second/2 - 1)
			found(t, c, "a")
			now.advance(1)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Key(ctx, "a"); !errors.Is(err, jwks.ErrUnavailable) {
				t.Fatalf("a stale key: %v", err)
			}
			if st := c.Status(); st.Usable || !st.Stale {
				t.Errorf("status: %+v", st)
			}
			if name == "backing off" {
				now.advance(time.Minute)
				refused(t, c, "a", jwks.ErrUnavailable) // who waits for a try that fails gets no stale key
				l.serves(keyA())
				now.advance(time.Minute)
				found(t, c, "a") // and who waits for one that succeeds gets a fresh one
			}
		})
	}
}

// A look-up of a known key takes no lock, neither when all is well nor while a refresh hangs. The
// test holds the lock by way of Config.Now, which Status calls under it.
func TestLookUpTakesNoLock(t *testing.T) {
	for _, phase := range []string{"fresh", "fresh by a clock that was set back a bit", "refreshing", "refreshing after failures", "refreshing a snapshot"} {
		t.Run(phase, func(t *testing.T) {
			l := newLab(t)
			l.serves(keyA())
			now := newClock()
			var block atomic.Bool
			locked, release := make(chan struct{}), make(chan struct{})
			var first jwks.Source
			if phase == "refreshing a snapshot" {
				l.does(hang)
				first = jwks.FromBytes([]byte(`{"parajwt":{"environment":"lab","url":"` + l.url + `/.well-known/jwks.json","fetchedAt":"` +
					now.Now().Add(-24*time.Hour).Format(time.RFC3339) + `"},` + setOf(keyA())[1:]))
			}
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute, Initial: first}, jwks.WithClock(func() time.Time {
				if block.CompareAndSwap(true, false) {
					close(locked)
					<-release
				}
				return now.Now()
			}))
			found(t, c, "a")
			if phase == "refreshing after failures" {
				l.does(status(500))
				now.advance(time.Hour)
				settle(c)
				now.advance(time.Hour)
			}
			switch {
			case phase == "fresh", phase == "refreshing a snapshot":
			case strings.HasPrefix(phase, "fresh"):
				now.advance(-30 * time.Second)
			default:
				l.does(hang)
				now.advance(refresh)
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

// The refresh hangs. The server holds it until the look-ups are through; had one waited for it, it
// would have ended first.
func TestHangingRefreshOverSockets(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{FetchTimeout: 10 * time.Second}, jwks.WithClock(now.Now))
	found(t, c, "a")

	l.does(status(500)) // so that the clock may run on: no refresh, and no reason to think of a freeze
	now.advance(refresh)
	settle(c)
	entered, gone := make(chan struct{}), make(chan struct{})
	l.does(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		hang(w, r)
		close(gone)
	})
	now.advance(2 * time.Second)
	found(t, c, "a")
	<-entered
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				now.advance(10 * time.Millisecond) // out of the fast path, into the slow one
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

func TestHangingRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
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
		t.Logf("an hour of hanging refreshes: %d look-ups waited 0s, %d fetches ended after %v each", lookups, len(l.ended)-1, timeout)
	})
}

func TestCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(after(4*time.Second, body(setOf(keyA()))))
		c := l.cache(t, jwks.Config{})

		cause := errors.New("the client went away")
		impatient, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		var wg sync.WaitGroup
		for range 10 { // the first of these may be the one whose look-up began the fetch
			wg.Go(func() {
				before := time.Now()
				_, err := c.Key(impatient, "a")
				var ue *jwks.UnavailableError
				if !errors.As(err, &ue) || !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, cause) || ue.RetryAfter < time.Second {
					t.Errorf("impatient: %v", err)
				}
				if waited := time.Since(before); waited != time.Second {
					t.Errorf("impatient: waited %v", waited)
				}
			})
			wg.Go(func() {
				before := time.Now()
				if err := c.Warm(impatient); !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, cause) {
					t.Errorf("impatient: %v", err)
				}
				if waited := time.Since(before); waited != time.Second {
					t.Errorf("impatient: waited %v", waited)
				}
			})
		}
		synctest.Wait()
		for range 10 {
			wg.Go(func() { found(t, c, "a") })
			wg.Go(func() {
				if err := c.Warm(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		l.fetched(t, 1)
	})
}

// A context that has ended already costs a known key nothing.
func TestCancelledContextAndKnownKey(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := c.Key(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		now.advance(time.Minute)
		settle(c)
	}
}

func TestFailureAtStart(t *testing.T) {
	for name, begin := range outages {
		if name == "hang" || name == "stall" || name == "drip" {
			continue // they fail as late as FetchTimeout, which TestHangAtStart counts
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var worst time.Duration
				for range 20 {
					l := bubbleLab(t)
					begin(l)
					c := l.cache(t, jwks.Config{})
					start := time.Now()
					refused(t, c, "a", jwks.ErrUnavailable)
					atOnce(t, func() { // until the next try, nobody waits
						for range 10 {
							refused(t, c, "a", jwks.ErrUnavailable)
						}
					})
					if n := c.Status().Fetches; n != 1 {
						t.Fatalf("%d fetches at once", n)
					}
					l.serves(keyA())
					for {
						if _, err := c.Key(t.Context(), "a"); err == nil {
							break
						}
						time.Sleep(10 * time.Millisecond)
					}
					worst = max(worst, time.Since(start))
					if n := c.Status().Fetches; n != 2 {
						t.Fatalf("%d fetches", n)
					}
					c.Close()
				}
				if worst > 2*time.Second {
					t.Fatalf("serving after %v", worst)
				}
				t.Logf("%s at start, then well: serving after at most %v", name, worst)
			})
		})
	}
}

func TestHangAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(hang)
		c := l.cache(t, jwks.Config{})
		before := time.Now()
		refused(t, c, "a", jwks.ErrUnavailable)
		if waited := time.Since(before); waited != timeout {
			t.Errorf("waited %v", waited)
		}
		l.serves(keyA())
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		atOnce(t, func() { found(t, c, "a") })
	})
}

// Failures back off on a schedule of their own: doubling from a second to five minutes, each a bit
// late at random, and from the beginning again after a success.
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
				if _, err := c.Key(t.Context(), "b"); !errors.As(err, &ue) || ue.RetryAfter != max(wait, time.Second) {
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
					t.Errorf("round %d: failure %d was followed after %v, want %v to %v", round, i+1, gap, least, most)
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

// Look-ups cannot hurry a failing server, whatever they ask for.
// The network goes, a refresh fails, the machine sleeps for two days: the next look-up waits for what Para says by now.
func TestSuspendedAfterAFailure(t *testing.T) {
	for _, answer := range []http.HandlerFunc{after(time.Second, body(setOf(keyB()))), after(time.Second, status(500))} {
		synctest.Test(t, func(t *testing.T) {
			l := bubbleLab(t)
			l.serves(keyA())
			c := l.cache(t, jwks.Config{})
			found(t, c, "a")
			l.does(status(503))
			time.Sleep(time.Until(c.Status().NextFetch))
			synctest.Wait()
			l.does(answer)
			c.SetBack(-48 * time.Hour) // ahead, and no timer has run
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					start := time.Now()
					_, err := c.Key(t.Context(), "a")
					if waited := time.Since(start); waited != time.Second {
						t.Errorf("waited %v", waited)
					}
					if well := c.Status().Failures == 0; well && !errors.Is(err, jwks.ErrUnknownKey) || !well && err != nil {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			l.fetched(t, 3)
		})
	}
}

// Para is well again just after an attempt: a key that it has withdrawn meanwhile is refused as soon as at any other time.
func TestWithdrawnKeyAfterAnOutage(t *testing.T) {
	for _, interval := range []time.Duration{time.Minute, refresh, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := bubbleLab(t)
			l.serves(keyA())
			c := l.cache(t, jwks.Config{RefreshInterval: interval})
			found(t, c, "a")
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

// The clock is set back while Para is down: keys of which nobody knows how old they are last no longer than
// StaleLimit from then on.
func TestStaleLimitWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
		l.does(status(503))
		time.Sleep(time.Hour)
		c.SetBack(1000 * time.Hour)
		time.Sleep(71 * time.Hour)
		found(t, c, "a")
		time.Sleep(time.Hour + refresh + timeout)
		refused(t, c, "a", jwks.ErrUnavailable)
	})
}

// Warm says whether tokens can be verified, also to a caller that does not wait for Para.
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

func TestNoFetchBeforeBackoffEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
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

func TestEnvironmentsNeverMix(t *testing.T) {
	const kid = "1"
	pairs := rsaPairs()
	prod, beta := newLab(t), newLab(t)
	prod.serves(pairs[0].named(kid))
	beta.serves(pairs[1].named(kid))
	prodCache, betaCache := prod.cache(t, jwks.Config{}), beta.cache(t, jwks.Config{})
	var wg sync.WaitGroup
	var across atomic.Int64
	for range 100 {
		wg.Go(func() {
			prodKey, betaKey := found(t, prodCache, kid), found(t, betaCache, kid)
			const input = "header.payload"
			prodSig, betaSig := pairs[0].sign(input), pairs[1].sign(input)
			if prodKey.Verify([]byte(input), prodSig) != nil || betaKey.Verify([]byte(input), betaSig) != nil {
				t.Error("a key does not verify its own signature")
			}
			if prodKey.Verify([]byte(input), betaSig) == nil || betaKey.Verify([]byte(input), prodSig) == nil || prodKey == betaKey {
				across.Add(1)
			}
		})
	}
	wg.Wait()
	if across.Load() != 0 {
		t.Fatal("a signature of one environment was accepted by the other")
	}
	prod.fetched(t, 1)
	beta.fetched(t, 1)
}

// Close leaves nothing behind, whatever the cache was doing.
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
			l.does(func(w http.ResponseWriter, r *http.Request) { close(entered); stall(setOf(keyA()))(w, r) })
			c := l.cache(t, jwks.Config{FetchTimeout: time.Minute})
			go c.Warm(context.Background())
			<-entered
			return c
		},
		"in a TLS handshake that hangs": func(t *testing.T, _ *lab) *jwks.Cache {
			c := (&lab{url: "https://" + silent.Addr().String()}).cache(t, jwks.Config{FetchTimeout: time.Minute})
			go c.Warm(context.Background())
			eventually(t, "connected", func() bool { return silent.connections() == 1 })
			return c
		},
		"after a TLS handshake that hung": func(t *testing.T, _ *lab) *jwks.Cache {
			c := (&lab{url: "https://" + silent.Addr().String()}).cache(t, jwks.Config{FetchTimeout: 10 * time.Millisecond})
			refused(t, c, "a", jwks.ErrUnavailable)
			eventually(t, "disconnected", func() bool { return silent.connections() == 0 }) // even before Close
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
					t.Errorf("%d goroutines though there is nothing to do", n-before)
				}
				l.fetched(t, 0)
			}
			for range 2 {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "without connections", func() bool { return l.connections()+silent.connections() == 0 })
			eventually(t, "without goroutines", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// A timer that is left would hold on to the cache, so a closed one that can be collected left none.
func TestClosedCacheIsCollected(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{"idle": body(setOf(keyA())), "in a hanging fetch": hang} {
		l := newLab(t)
		l.does(answer)
		closed := func() weak.Pointer[jwks.Cache] {
			c, err := jwks.New(jwks.Environment{Name: "lab", URL: l.url}, jwks.Config{FetchTimeout: time.Minute}, jwks.WithLogger(slog.New(slog.DiscardHandler)))
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
		eventually(t, "collected when "+name, func() bool { runtime.GC(); return closed.Value() == nil })
	}
}

// silentServer accepts connections and says nothing.
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

// A closed cache fetches no more, by timer or by look-up; what it has is good until it goes stale.
func TestClosedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{}, jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
		found(t, c, "a")
		c.Close()
		if next := c.Status().NextFetch; !next.IsZero() {
			t.Errorf("a closed cache plans a fetch for %v", next)
		}
		before := readings.Load()
		time.Sleep(time.Hour)
		if n := readings.Load() - before; n != 0 {
			t.Errorf("a closed cache looked at the clock %d times", n)
		}
		for range 71 {
			found(t, c, "a")
			refused(t, c, "b", jwks.ErrUnknownKey)
			time.Sleep(time.Hour)
		}
		var ue *jwks.UnavailableError
		if _, err := c.Key(t.Context(), "a"); !errors.As(err, &ue) || ue.RetryAfter != time.Second || ue.Cause == nil || !strings.Contains(ue.Cause.Error(), "closed") {
			t.Errorf("after StaleLimit: %v", err)
		}
		if err := c.Warm(t.Context()); !errors.Is(err, jwks.ErrUnavailable) {
			t.Errorf("Warm: %v", err)
		}
		l.fetched(t, 1)
	})
}

// Close ends the wait of those who wait for a fetch, and logs no outage.
func TestCloseWhileLookingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(hang)
		var log logbook
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{}, jwks.WithLogger(log.logger()), jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { refused(t, c, "a", jwks.ErrUnavailable) })
		}
		synctest.Wait()
		atOnce(t, func() { c.Close(); wg.Wait() })
		if lines := log.messages(); len(lines) != 0 {
			t.Errorf("logged: %q", lines)
		}
		before := readings.Load()
		time.Sleep(time.Hour)
		if n := readings.Load() - before; n != 0 {
			t.Errorf("a closed cache looked at the clock %d times", n)
		}
		l.fetched(t, 1)
	})
}

// The timer comes while a fetch that a look-up began is under way: that fetch is the refresh.
func TestTimerDuringFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var readings atomic.Int64
		c := l.cache(t, jwks.Config{}, jwks.WithClock(func() time.Time { readings.Add(1); return time.Now() }))
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
			t.Errorf("the clock was looked at %d times", n)
		}
	})
}

// One junk key ID does not delay a real rotation by more than the cooldown, and without the junk
// rotations are found one after the other: a key that was there refunds the cooldown.
func TestCooldown(t *testing.T) {
	const cooldown = 10 * time.Second
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{Cooldown: cooldown}, jwks.WithClock(now.Now))
	found(t, c, "a")

	l.serves(keyA(), keyB())
	found(t, c, "b")
	l.serves(keyA(), keyB(), keyC())
	found(t, c, "c") // at the same instant
	l.fetched(t, 3)

	refused(t, c, "junk", jwks.ErrUnknownKey)
	l.fetched(t, 4)
	d := keyA().named("d")
	l.serves(keyA(), keyB(), keyC(), d)
	now.advance(cooldown - 1)
	refused(t, c, "d", jwks.ErrUnknownKey)
	l.fetched(t, 4)
	now.advance(1)
	found(t, c, "d")
	l.fetched(t, 5)
}

// It is for unknown keys. A key that went stale unnoticed is fetched, whatever was asked before.
func TestCooldownDoesNotKeepKeysStale(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{Cooldown: 10 * time.Minute, StaleLimit: refresh}, jwks.WithClock(now.Now))
	found(t, c, "a")
	refused(t, c, "junk", jwks.ErrUnknownKey)
	now.advance(refresh)
	found(t, c, "a")
	l.fetched(t, 3)
}

// The first look-up of all refunds it too: a rotation right after the start is found.
func TestCooldownAfterStart(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	c := l.cache(t, jwks.Config{}, jwks.WithClock(newClock().Now))
	found(t, c, "a")
	l.serves(keyB())
	found(t, c, "b")
	l.fetched(t, 2)
}

// Unknown key IDs that come while a fetch is under way wait for it, and do not begin another.
func TestUnknownKeyJoinsFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
		time.Sleep(time.Minute)
		l.does(after(time.Second, body(setOf(keyA(), keyB()))))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if i%2 == 0 {
					found(t, c, "b")
				} else {
					refused(t, c, fmt.Sprint("junk", i), jwks.ErrUnknownKey)
				}
			})
		}
		wg.Wait()
		l.fetched(t, 2)
	})
}

// An unknown key that cannot be asked for is not called unknown: it may be new.
func TestUnknownKeyWhileParaIsDown(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	l.does(status(503))
	now.advance(time.Minute)
	refused(t, c, "b", jwks.ErrUnavailable) // the one that finds out
	refused(t, c, "b", jwks.ErrUnavailable) // and one that does not even ask
	l.fetched(t, 2)
	now.advance(900 * time.Millisecond)
	var ue *jwks.UnavailableError
	if _, err := c.Key(t.Context(), "b"); !errors.As(err, &ue) || ue.RetryAfter != time.Second {
		t.Errorf("with less than a second to go: %v", err) // Retry-After: 0 would be a storm
	}
	found(t, c, "a")
	l.serves(keyA(), keyB())
	now.advance(2 * time.Second)
	found(t, c, "b")
	l.fetched(t, 3)
}

func TestEmptySets(t *testing.T) {
	unusable := map[string]string{
		"empty":         `{"keys":[]}`,
		"not usable":    set(`{"kid":"x","kty":"oct","k":"c2VjcmV0"}`),
		"twice one kid": setOf(keyA().named("x"), keyB().named("x")),
	}
	for name, text := range unusable {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			now := newClock()
			var log logbook
			c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.logger()))
			step := func(answer http.HandlerFunc) {
				l.does(answer)
				before := l.fetches.Load()
				now.advance(6 * time.Minute) // anything is due then
				settle(c)
				l.fetched(t, before+1)
			}
			for range 2 { // a good answer begins the count again
				step(body(setOf(keyA())))
				for range 3 {
					step(body(text))
					found(t, c, "a")
					settle(c)
					if st := c.Status(); len(st.KeyIDs) != 1 || len(st.Skipped) != 0 {
						t.Errorf("status is not of the keys at hand: %+v", st)
					}
				}
			}
			step(body(setOf(keyA())))
			step(body(text))
			step(status(503)) // neither a yes nor a no
			step(body(text))
			step(body(text))
			found(t, c, "a")
			settle(c)
			if n := len(log.with("no usable key for several refreshes")); n != 0 {
				t.Error("logged too early")
			}
			step(body(text))
			refused(t, c, "a", jwks.ErrUnavailable)
			if lines := log.with("no usable key for several refreshes"); len(lines) != 1 || lines[0].level != slog.LevelError {
				t.Errorf("logged: %+v", lines)
			}
			if st := c.Status(); st.Usable || len(st.KeyIDs) != 0 || len(st.Skipped) != strings.Count(text, "kid") {
				t.Errorf("status: %+v", st)
			}
			step(body(text))
			if n := len(log.with("no usable key for several refreshes")); n != 1 {
				t.Error("logged again")
			}
			step(body(setOf(keyB())))
			found(t, c, "b")
			refused(t, c, "a", jwks.ErrUnknownKey)
		})
	}
}

// Many empty answers in one minute are one.
func TestEmptySetsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		c := l.cache(t, jwks.Config{})
		found(t, c, "a")
		l.does(body(`{"keys":[]}`))
		for l.fetches.Load() < 2 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		first := time.Now()
		for {
			if _, err := c.Key(t.Context(), "a"); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		refused(t, c, "a", jwks.ErrUnavailable)
		took := time.Since(first)
		if took < 3*time.Minute || took > 6*time.Minute {
			t.Fatalf("an empty set was believed after %v", took)
		}
		t.Logf("an empty set: believed %v after its first fetch, at fetch %d of it", took.Round(time.Second), l.fetches.Load()-1)
	})
}

// A validator of the set before must not turn the end of the keys into "not modified".
func TestEmptySetForgetsETag(t *testing.T) {
	l := newLab(t)
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	good := conditional("ETag", `"good"`, body(setOf(keyA())))
	l.does(good)
	found(t, c, "a")
	l.does(body(`{"keys":[]}`))
	for range 4 {
		now.advance(6 * time.Minute)
		settle(c)
	}
	refused(t, c, "a", jwks.ErrUnavailable)
	l.does(good)
	now.advance(6 * time.Minute)
	found(t, c, "a")
}

func TestColdStartWithEmptySet(t *testing.T) {
	l := newLab(t)
	l.does(body(set(`{"kid":"x","kty":"LWE"}`)))
	now := newClock()
	var log logbook
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.logger()))
	err := c.Warm(t.Context())
	if !errors.Is(err, jwks.ErrUnavailable) || !strings.Contains(err.Error(), "no usable key") {
		t.Fatalf("Warm: %v", err)
	}
	refused(t, c, "x", jwks.ErrUnavailable)
	if st := c.Status(); st.Usable || st.Stale || len(st.Skipped) != 1 || !strings.Contains(st.LastError, "no usable key") {
		t.Errorf("status: %+v", st)
	}
	lines := log.with("no keys: every token is refused")
	if len(log.with("is not used")) != 1 || len(lines) != 1 || lines[0].level != slog.LevelError || lines[0].attrs["keys_until"] != "" {
		t.Errorf("logged: %+v", log.lines)
	}
	l.serves(keyA())
	now.advance(2 * time.Second)
	found(t, c, "a")
}

func TestFreshness(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"nothing said", nil, 5 * time.Minute},
		{"less than a minute", []string{"Cache-Control", "max-age=10"}, time.Minute},
		{"zero", []string{"Cache-Control", "max-age=0"}, time.Minute},
		{"between", []string{"Cache-Control", "public, max-age=120"}, 2 * time.Minute},
		{"longer than ours", []string{"Cache-Control", "max-age=86400"}, 5 * time.Minute},
		{"case and quotes", []string{"Cache-Control", `Public , MAX-AGE="120"`}, 2 * time.Minute},
		{"Age", []string{"Cache-Control", "max-age=200", "Age", "80"}, 2 * time.Minute},
		{"Age beyond max-age", []string{"Cache-Control", "max-age=200", "Age", "900"}, time.Minute},
		{"Age alone", []string{"Age", "900"}, 5 * time.Minute},
		{"Age is not a number", []string{"Cache-Control", "max-age=120", "Age", "old"}, 2 * time.Minute},
		{"no-store", []string{"Cache-Control", "no-store, max-age=200"}, time.Minute},
		{"no-cache", []string{"Cache-Control", "max-age=200, no-cache"}, time.Minute},
		{"two fields", []string{"Cache-Control", "public", "Cache-Control", "max-age=120"}, 2 * time.Minute},
		{"not a number", []string{"Cache-Control", "max-age=soon"}, 5 * time.Minute},
		{"negative", []string{"Cache-Control", "max-age=-1"}, 5 * time.Minute},
		{"beyond any number", []string{"Cache-Control", "max-age=99999999999999999999"}, 5 * time.Minute},
		{"more than a duration holds", []string{"Cache-Control", "max-age=9999999999"}, 5 * time.Minute},
		{"a duration that wraps round to 2 minutes", []string{"Cache-Control", "max-age=36028797018964088"}, 5 * time.Minute},
		{"s-maxage is not for us", []string{"Cache-Control", "s-maxage=60"}, 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			now := newClock()
			var early, late time.Duration
			for range 10 { // jitter
				l.does(body(setOf(keyA()), test.header...))
				c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
				found(t, c, "a")
				wait := c.Status().NextFetch.Sub(now.Now())
				if wait < test.want*8/10 || wait > test.want*9/10 {
					t.Fatalf("next fetch in %v, want %v to %v", wait, test.want*8/10, test.want*9/10)
				}
				early, late = min(cmpOr(early, wait), wait), max(late, wait)
				c.Close()
			}
			if early == late {
				t.Error("no jitter")
			}
		})
	}
}

func cmpOr(d, or time.Duration) time.Duration {
	if d == 0 {
		return or
	}
	return d
}

// A RefreshInterval of less than a minute is the operator's wish, and no header's business.
func TestFreshnessWithShortInterval(t *testing.T) {
	for _, header := range []string{"max-age=10", "max-age=600", "no-store"} {
		l := newLab(t)
		now := newClock()
		l.does(body(setOf(keyA()), "Cache-Control", header))
		c := l.cache(t, jwks.Config{RefreshInterval: 30 * time.Second}, jwks.WithClock(now.Now))
		found(t, c, "a")
		if wait := c.Status().NextFetch.Sub(now.Now()); wait < 24*time.Second || wait > 27*time.Second {
			t.Errorf("%s: next fetch in %v", header, wait)
		}
	}
}

// Not modified: the keys stay, and their time begins anew, for what the new answer says.
func TestNotModified(t *testing.T) {
	for _, field := range []string{"ETag", "Last-Modified"} { // the latter is never asked with
		version := `"v1"`
		t.Run(field, func(t *testing.T) {
			l := newLab(t)
			now := newClock()
			l.does(conditional(field, version, body(setOf(keyA()))))
			c := l.cache(t, jwks.Config{StaleLimit: 6 * time.Minute}, jwks.WithClock(now.Now))
			key := found(t, c, "a")
			for range 10 {
				now.advance(refresh)
				settle(c)
				if found(t, c, "a") != key {
					t.Fatal("the key is another one")
				}
				settle(c)
			}
			l.fetched(t, 11)
			if st := c.Status(); st.Failures != 0 || !st.FetchedAt.Equal(now.Now()) {
				t.Errorf("status: %+v", st)
			}
			l.does(conditional(field, "v2", body(setOf(keyB()))))
			now.advance(refresh)
			settle(c)
			refused(t, c, "a", jwks.ErrUnknownKey)
			found(t, c, "b")
		})
	}
	t.Run("with a max-age of its own", func(t *testing.T) {
		l := newLab(t)
		now := newClock()
		l.does(conditional("ETag", "v1", body(setOf(keyA()))))
		c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
		found(t, c, "a")
		l.does(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			conditional("ETag", "v1", nil)(w, r)
		})
		now.advance(refresh)
		settle(c)
		if wait := c.Status().NextFetch.Sub(now.Now()); wait > time.Minute {
			t.Errorf("next fetch in %v", wait)
		}
	})
}

// A refresh replaces the set. A key that is still there is still the same value, one whose kid was
// given to another key is not, and neither is one that was gone meanwhile.
func TestRefreshReplacesTheSet(t *testing.T) {
	l := newLab(t)
	now := newClock()
	var log logbook
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.logger()))
	next := func(pairs ...pair) {
		l.serves(pairs...)
		now.advance(refresh)
		settle(c)
	}
	next(keyA(), keyB())
	a, b := found(t, c, "a"), found(t, c, "b")
	if a == b {
		t.Fatal("different keys are equal")
	}
	if a.ID() != "a" || a.Algorithm() != "ES256" {
		t.Errorf("key a: %q %q", a.ID(), a.Algorithm())
	}

	next(keyB(), keyA())
	if found(t, c, "a") != a || found(t, c, "b") != b {
		t.Error("keys that stayed are not the same any more")
	}
	if n := len(log.with("key set changed")); n != 1 {
		t.Errorf("%d changes logged, want the first set only", n)
	}

	next(keyB().named("a"), keyB())
	replaced := found(t, c, "a")
	if replaced == a {
		t.Error("another key of the same kid counts as the same")
	}
	const input = "header.payload"
	if replaced.Verify([]byte(input), keyA().sign(input)) == nil || replaced.Verify([]byte(input), keyB().sign(input)) != nil {
		t.Error("the key of before still verifies")
	}
	lines := log.with("key set changed")
	if len(lines) != 2 || lines[1].attrs["kids"] != "[a b]" || lines[1].attrs["replaced"] != "[a]" || lines[1].level != slog.LevelInfo {
		t.Errorf("logged: %+v", lines)
	}

	next(keyB())
	refused(t, c, "a", jwks.ErrUnknownKey)
	if n := len(log.with("key set changed")); n != 3 {
		t.Errorf("%d changes logged, want 3: a key is gone", n)
	}
	next(keyB().named("a"), keyB())
	if found(t, c, "a") == replaced {
		t.Error("a key that was gone meanwhile counts as the same")
	}
	if found(t, c, "b") != b {
		t.Error("a key that stayed is not the same any more")
	}

	pairs := rsaPairs()
	next(pairs[0])
	before := found(t, c, "rsa0")
	l.does(body(set(`{"kid":"rsa0","alg":"RS256",` + pairs[0].public + `}`)))
	now.advance(refresh)
	settle(c)
	if found(t, c, "rsa0") != before {
		t.Error("a key that now names its algorithm, the same, counts as another")
	}
}

// The clock is set back: neither do keys live longer for it, nor do fetches stop.
func TestClockSetBack(t *testing.T) {
	l := newLab(t)
	l.serves(keyA(), keyB())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
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

	now.advance(-30 * time.Second) // as NTP may
	found(t, c, "a")
	refused(t, c, "junk", jwks.ErrUnknownKey) // and this is no way round the cooldown
	begun(2)

	l.serves(keyB())
	now.advance(-24 * time.Hour)
	found(t, c, "a")
	begun(3)
	refused(t, c, "a", jwks.ErrUnknownKey) // it is an unknown key now, and asks
	begun(4)

	now.advance(-24 * time.Hour)
	found(t, c, "b")
	begun(5)
	l.serves(keyA(), keyB())
	found(t, c, "a") // although the last unknown one asked a day ahead of now
	begun(6)

	l.does(status(500))
	now.advance(refresh)
	found(t, c, "a")
	begun(7)
	l.serves(keyA())
	now.advance(-24 * time.Hour)
	found(t, c, "a")
	begun(8)
	if st := c.Status(); st.Failures != 0 || !st.FetchedAt.Equal(now.Now()) {
		t.Errorf("status: %+v", st)
	}

	l.does(body(`{"keys":[]}`))
	for i := range 4 {
		found(t, c, "a")
		now.advance(-24 * time.Hour)
		settle(c)
		begun(uint64(9 + i))
	}
	refused(t, c, "a", jwks.ErrUnavailable) // four empty answers are four
}

// It is set back during a fetch: the keys are not from the future.
func TestClockSetBackDuringFetch(t *testing.T) {
	l := newLab(t)
	now := newClock()
	l.does(func(w http.ResponseWriter, r *http.Request) {
		now.advance(-24 * time.Hour)
		body(setOf(keyA()))(w, r)
	})
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	if err := c.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := c.Status()
	if !st.FetchedAt.Equal(now.Now()) || st.NextFetch.Sub(now.Now()) > refresh || !st.StaleAt.Equal(now.Now().Add(72*time.Hour)) {
		t.Errorf("at %v: %+v", now.Now(), st)
	}
}

// The system's clock is set back by any amount, at any time after a fetch. A key that Para withdrew is refused as soon
// as without that, and fetches are hardly more.
func TestSystemClockSetBack(t *testing.T) {
	for _, after := range []time.Duration{time.Second, time.Minute, 3 * time.Minute, 4 * time.Minute} {
		for _, by := range []time.Duration{time.Second, 30 * time.Second, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute, time.Hour, 1000 * time.Hour} {
			t.Run(fmt.Sprintf("by %v after %v", by, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := bubbleLab(t)
					l.serves(keyA())
					c := l.cache(t, jwks.Config{})
					found(t, c, "a")
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
					if n := l.fetches.Load(); n > 20 { // one in 4 minutes, and some for the unknown key and the clock
						t.Errorf("%d fetches", n)
					}
				})
			})
		}
	}
}

// A timer by the system's clock that finds the cache's own clock elsewhere waits on.
func TestTimerAndOwnClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		now := newClock()
		c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
		found(t, c, "a")
		time.Sleep(time.Hour) // and now does not move
		l.fetched(t, 1)
		now.advance(refresh)
		time.Sleep(refresh)
		l.fetched(t, 2)
		now.advance(-time.Hour) // set back: the timer finds that out too
		time.Sleep(refresh)
		l.fetched(t, 3)
	})
}

// A logger is the user's code: it may be slow, and it may ask the cache how it stands.
func TestLoggerThatAsksTheCache(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	var c *jwks.Cache
	h := handlerFunc(func(slog.Record) {
		if c != nil {
			c.Status()
			_, _ = c.Key(context.Background(), "a")
		}
	})
	c = l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(slog.New(h)))
	found(t, c, "a")
	l.does(status(500))
	now.advance(refresh)
	settle(c)
	found(t, c, "a")
}

func TestLoggerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		h := handlerFunc(func(slog.Record) { time.Sleep(time.Hour) })
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())}, jwks.WithLogger(slog.New(h)))
		found(t, c, "a")
		l.does(status(500))
		for range 600 {
			atOnce(t, func() { found(t, c, "a") })
			time.Sleep(time.Second)
		}
	})
}

type handlerFunc func(slog.Record)

func (f handlerFunc) Enabled(context.Context, slog.Level) bool      { return true }
func (f handlerFunc) Handle(_ context.Context, r slog.Record) error { f(r); return nil }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler            { return f }
func (f handlerFunc) WithGroup(string) slog.Handler                 { return f }

// Everything at once, for the race detector: look-ups, rotations, outages, snapshots, Close.
func TestConcurrentUse(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	found(t, c, "a")
	answers := []http.HandlerFunc{body(setOf(keyA())), body(setOf(keyA(), keyB())), status(500), body(`{}`), cutOff(setOf(keyA()))}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				switch rand.IntN(8) {
				case 0:
					l.does(answers[rand.IntN(len(answers))])
				case 1:
					now.advance(time.Minute)
				case 2:
					c.Status()
				case 3:
					c.Snapshot()
				case 4:
					c.Key(t.Context(), fmt.Sprint(w, i))
				case 5:
					c.Warm(t.Context())
				default:
					if _, err := c.Key(t.Context(), "a"); err != nil {
						t.Errorf("a key that was never withdrawn: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	c.Close()
	if err := c.Warm(t.Context()); err != nil && !errors.Is(err, jwks.ErrUnavailable) {
		t.Error(err)
	}
}
