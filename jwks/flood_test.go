package jwks_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

// This file tests floods of tokens with unknown key IDs.

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
	t.Logf("%d unknown key IDs in a minute: %d fetches after the first", junk,
		l.fetches.Load()-1)
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
// once.
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

// The first look-up of all ends the cooldown too, so a rotation right after the
// start is found.
func TestCooldownAfterStart(t *testing.T) {
	l, _, c := started(t, jwks.Config{})
	l.serves(keyB())
	found(t, c, "b")
	l.fetched(t, 2)
}
