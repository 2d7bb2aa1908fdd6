package jwks_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// started returns a lab with the key "a", a clock, and a cache that has fetched
// the key.
func started(
	t testing.TB, cfg jwks.Config, opts ...jwks.Option,
) (*lab, *testkit.Clock, *jwks.Cache) {
	t.Helper()
	l, now := newLab(t), newClock()
	l.serves(keyA())
	c := l.cache(t, cfg, append([]jwks.Option{jwks.WithClock(now.Now)}, opts...)...)
	found(t, c, "a")
	return l, now, c
}

// bubbleStarted is started with a bubbleLab and the bubble's clock.
func bubbleStarted(t testing.TB, cfg jwks.Config, opts ...jwks.Option) (*lab, *jwks.Cache) {
	t.Helper()
	l := bubbleLab(t)
	l.serves(keyA())
	c := l.cache(t, cfg, opts...)
	found(t, c, "a")
	return l, c
}

func newClock() *testkit.Clock {
	return testkit.NewClock(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC))
}

// settle waits for the fetch in progress, if there is one.
func settle(c *jwks.Cache) { _ = c.Warm(context.Background()) }

// found fails the test unless the cache has the key.
func found(t testing.TB, c *jwks.Cache, id string) jwks.Key {
	t.Helper()
	key, err := c.Key(t.Context(), id)
	if err != nil {
		t.Fatalf("key %q: %v", id, err)
	}
	return key
}

// refused fails the test unless looking the key up fails with this error.
func refused(t testing.TB, c *jwks.Cache, id string, want error) {
	t.Helper()
	key, err := c.Key(t.Context(), id)
	if !errors.Is(err, want) {
		t.Fatalf("key %q: got %v, want %v", id, err, want)
	}
	if key != (jwks.Key{}) {
		t.Fatalf("key %q: a key came with the error %v", id, err)
	}
}

// fetched fails the test unless the server got this number of requests.
func (l *lab) fetched(t testing.TB, want int64) {
	t.Helper()
	if n := l.fetches.Load(); n != want {
		t.Fatalf("%d fetches, want %d", n, want)
	}
}

// atOnce fails the test if do takes any time. Use it in a bubble only, where
// time passes only while every goroutine waits.
func atOnce(t testing.TB, do func()) {
	t.Helper()
	before := time.Now()
	do()
	if waited := time.Since(before); waited != 0 {
		t.Fatalf("waited %v", waited)
	}
}

// eventually waits until is returns true. The time limit ends a test that has
// failed.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("not %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// messages returns each message of the log once, sorted.
func messages(log *testkit.Log) []string {
	all := make(map[string]bool)
	for _, line := range log.With("") {
		all[line["msg"].(string)] = true
	}
	return slices.Sorted(maps.Keys(all))
}
