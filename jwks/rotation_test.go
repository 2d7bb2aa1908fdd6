package jwks_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// In these tests Para adds, replaces and withdraws keys, and tokens have
// unknown key IDs.

func TestNewKeyWhenIdle(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	now.Advance(time.Minute)
	l.serves(keyA(), keyB())
	found(t, c, "b")
	l.fetched(t, 2)
	found(t, c, "a")
	found(t, c, "b")
	l.fetched(t, 2)
}

func TestNewKeyUnderFlood(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	now.Advance(time.Minute)
	refused(t, c, "junk", jwks.ErrUnknownKey) // uses up the cooldown at the worst moment
	l.fetched(t, 2)
	l.serves(keyA(), keyB())
	published := now.Now()
	for i := 0; ; i++ {
		if _, err := c.Key(t.Context(), "b"); err == nil {
			break
		}
		refused(t, c, fmt.Sprint("junk", i), jwks.ErrUnknownKey)
		now.Advance(100 * time.Millisecond)
	}
	took := now.Now().Sub(published)
	if took != 30*time.Second { // the cooldown, and nothing else
		t.Fatalf("a new key took %v under a flood", took)
	}
	l.fetched(t, 3)
}

func TestNewKeyWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // the schedule has jitter
			l, c := bubbleStarted(t, jwks.Config{})
			l.serves(keyA(), keyB())
			time.Sleep(refresh * 9 / 10)
			synctest.Wait()
			if n := len(c.Status().KeyIDs); n != 2 { // Status causes no fetch
				t.Fatalf("%d keys", n)
			}
			l.fetched(t, 2)
			c.Close()
		}
	})
}

func TestWithdrawnKey(t *testing.T) {
	for _, pace := range []time.Duration{0, 4 * time.Second} {
		for _, every := range []time.Duration{time.Second, time.Minute, 299 * time.Second} {
			name := fmt.Sprintf("answer after %v, used every %v", pace, every)
			inBubble(t, name, func(t *testing.T) {
				for range 20 { // the schedule has jitter
					l := bubbleLab(t)
					l.does(after(pace, keys(keyA(), keyB())))
					c := l.cache(t, jwks.Config{})
					found(t, c, "a")
					l.does(after(pace, keys(keyB())))
					withdrawn := time.Now()
					for time.Since(withdrawn) < refresh+timeout {
						if _, err := c.Key(t.Context(), "a"); err != nil {
							break
						}
						time.Sleep(min(every, refresh+timeout-time.Since(withdrawn)))
					}
					refused(t, c, "a", jwks.ErrUnknownKey)
					found(t, c, "b")
					c.Close()
				}
			})
		}
	}
}

// A refresh replaces the set. A key that stays in the set keeps its identity. A
// key whose kid now belongs to another key does not, and neither does a key
// that was withdrawn and published again.
func TestRefreshReplacesTheSet(t *testing.T) {
	l := newLab(t)
	now := newClock()
	var log testkit.Log
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.Logger()))
	next := func(pairs ...testkit.Signer) { l.refreshed(now, refresh, c, keys(pairs...)) }
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
		t.Error("keys that stayed have another identity")
	}
	if n := len(log.With("key set changed")); n != 1 {
		t.Errorf("%d changes logged, want the first set only", n)
	}

	next(keyB().Named("a"), keyB())
	replaced := found(t, c, "a")
	if replaced == a {
		t.Error("another key with the same kid has the same identity")
	}
	const input = "header.payload"
	if replaced.Verify([]byte(input), keyA().Signature(input)) == nil ||
		replaced.Verify([]byte(input), keyB().Signature(input)) != nil {
		t.Error("the replaced key still verifies")
	}
	lines := log.With("key set changed")
	if len(lines) != 2 || fmt.Sprint(lines[1]["kids"]) != "[a b]" ||
		fmt.Sprint(lines[1]["replaced"]) != "[a]" || lines[1]["level"] != "INFO" {
		t.Errorf("logged: %+v", lines)
	}

	next(keyB())
	refused(t, c, "a", jwks.ErrUnknownKey)
	if n := len(log.With("key set changed")); n != 3 {
		t.Errorf("%d changes logged, want 3: a key was withdrawn", n)
	}
	next(keyB().Named("a"), keyB())
	if found(t, c, "a") == replaced {
		t.Error("a key that was withdrawn and published again has the same identity")
	}
	if found(t, c, "b") != b {
		t.Error("a key that stayed has another identity")
	}

	next(testkit.RSA(0))
	before := found(t, c, "rsa0")
	l.refreshed(now, refresh, c,
		body(testkit.Set(`{"kid":"rsa0","alg":"RS256",`+testkit.RSA(0).Members()+`}`)))
	if found(t, c, "rsa0") != before {
		t.Error("a key whose JWK now names its algorithm has another identity")
	}
}

func TestEnvironmentsNeverMix(t *testing.T) {
	const kid, input = "1", "header.payload"
	prod, beta := newLab(t), newLab(t)
	prodPair, betaPair := testkit.RSA(0).Named(kid), testkit.RSA(1).Named(kid)
	prod.serves(prodPair)
	beta.serves(betaPair)
	prodSignature, betaSignature := prodPair.Signature(input), betaPair.Signature(input)
	prodCache, betaCache := prod.cache(t, jwks.Config{}), beta.cache(t, jwks.Config{})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			prodKey, betaKey := found(t, prodCache, kid), found(t, betaCache, kid)
			if prodKey.Verify([]byte(input), prodSignature) != nil ||
				betaKey.Verify([]byte(input), betaSignature) != nil {
				t.Error("a key does not verify its own signature")
			}
			if prodKey.Verify([]byte(input), betaSignature) == nil ||
				betaKey.Verify([]byte(input), prodSignature) == nil || prodKey == betaKey {
				t.Error("a signature of one environment was accepted by the other")
			}
		})
	}
	wg.Wait()
	prod.fetched(t, 1)
	beta.fetched(t, 1)
}

func TestJunkFlood(t *testing.T) {
	const junk = 1_000_000
	l, now, c := started(t, jwks.Config{})
	for i := range junk {
		now.Advance(time.Minute / junk)
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
}

// A malformed key ID causes no fetch, however often it occurs.
func TestEmptyKeyID(t *testing.T) {
	l, _, c := started(t, jwks.Config{})
	for range 10 {
		refused(t, c, "", jwks.ErrUnknownKey)
	}
	l.fetched(t, 1)
}

// Look-ups of unknown key IDs share a fetch in progress and start no second
// one.
func TestUnknownKeyJoinsFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
		time.Sleep(time.Minute)
		l.does(after(time.Second, keys(keyA(), keyB())))
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

// One unknown key ID delays a real rotation by at most the cooldown. A fetch
// that finds the key ends the cooldown, so consecutive rotations are found at
// once. So does the first fetch of the cache.
func TestCooldown(t *testing.T) {
	const cooldown = 10 * time.Second
	l, now, c := started(t, jwks.Config{Cooldown: cooldown})

	l.serves(keyA(), keyB())
	found(t, c, "b")
	l.serves(keyA(), keyB(), keyC())
	found(t, c, "c") // at the same instant
	l.fetched(t, 3)

	refused(t, c, "junk", jwks.ErrUnknownKey)
	l.fetched(t, 4)
	d := keyA().Named("d")
	l.serves(keyA(), keyB(), keyC(), d)
	now.Advance(cooldown - 1)
	refused(t, c, "d", jwks.ErrUnknownKey)
	l.fetched(t, 4)
	now.Advance(1)
	found(t, c, "d")
	l.fetched(t, 5)
}

// The cooldown is for unknown key IDs only. A stale key is fetched during the
// cooldown.
func TestCooldownDoesNotKeepKeysStale(t *testing.T) {
	l, now, c := started(t, jwks.Config{Cooldown: 10 * time.Minute, StaleLimit: refresh})
	refused(t, c, "junk", jwks.ErrUnknownKey)
	now.Advance(refresh)
	found(t, c, "a")
	l.fetched(t, 3)
}
