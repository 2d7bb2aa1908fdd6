package jwks_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// This file tests the first look-ups of a process.

func TestColdStartStampede(t *testing.T) {
	const callers = 10_000
	l := newLab(t)
	all := make(chan struct{})
	l.does(hangUntil(all, body(testkit.SetOf(keyA()))))
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
	t.Logf("%d concurrent first look-ups: %d fetch, %d failures", callers, l.fetches.Load(),
		failures.Load())
}

func TestFailureAtStart(t *testing.T) {
	for name, begin := range outages {
		if name == "hang" || name == "stall" || name == "drip" {
			continue // they fail after FetchTimeout, which TestHangAtStart checks
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
					atOnce(t, func() { // no look-up waits before the next retry
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
