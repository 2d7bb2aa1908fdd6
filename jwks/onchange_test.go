package jwks_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// OnChange is called after the first answer and after each change.
func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		var got []string
		c := l.cache(t, jwks.Config{
			Initial: l.keySet(keyA()),
			OnChange: func(snapshot []byte) {
				environment, ids, err := jwks.FromBytes(snapshot).Inspect()
				if environment != "lab" || err != nil {
					t.Errorf("%q, %v", environment, err)
				}
				got = append(got, strings.Join(ids, "+"))
			},
		})
		var want []string
		for _, step := range []struct {
			answer http.HandlerFunc
			call   string
		}{
			{status(500), ""},
			{body(testkit.SetOf(keyA())), "a"}, // the keys of Initial, then the first response
			{body(testkit.SetOf(keyA())), ""},
			{conditional("ETag", `"1"`, body(testkit.SetOf(keyA(), keyB()))), "a+b"},
			{conditional("ETag", `"1"`, nil), ""}, // not modified
			{body(testkit.SetOf(keyB(), keyA())), ""},
			{status(500), ""},
			{body(testkit.SetOf(keyA(), keyB())), ""}, // a recovery is not a change
			{body(testkit.SetOf(keyB().Named("a"), keyB())), "a+b"},
			{body(testkit.SetOf(keyB())), "b"},
			{body(`{"keys":[]}`), ""},
		} {
			l.does(step.answer)
			time.Sleep(refresh)
			settle(c)
			synctest.Wait()
			if step.call != "" {
				want = append(want, step.call)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("calls %q, want %q", got, want)
			}
		}
		time.Sleep(time.Hour) // the empty set takes effect
		c.Close()
		if !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
	})
}

// A slow OnChange does not delay look-ups, refreshes, Warm or Status. Calls do
// not overlap, and the last call gets the latest set.
func TestOnChangeThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var running, calls atomic.Int64
		var last atomic.Value
		c := l.cache(t, jwks.Config{OnChange: func(snapshot []byte) {
			if running.Add(1) > 1 {
				t.Error("two calls at a time")
			}
			time.Sleep(time.Hour)
			_, ids, _ := jwks.FromBytes(snapshot).Inspect()
			last.Store(strings.Join(ids, "+"))
			calls.Add(1)
			running.Add(-1)
		}})
		atOnce(t, func() {
			found(t, c, "a")
			if err := c.Warm(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for i := range 5 { // each set is a change
			l.serves(keyA(), keyB().Named(string(rune('p'+i))))
			time.Sleep(refresh)
			synctest.Wait()
			atOnce(t, func() { found(t, c, string(rune('p'+i))); c.Status() })
		}
		time.Sleep(3 * time.Hour)
		if n := calls.Load(); n != 2 || last.Load() != "a+t" {
			t.Errorf("%d calls, the last with %v", n, last.Load())
		}
	})
}

// Close waits for a call in progress, and no call starts afterwards.
func TestOnChangeAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		var calls atomic.Int64
		c := l.cache(t, jwks.Config{OnChange: func([]byte) {
			time.Sleep(10 * time.Minute)
			calls.Add(1)
		}})
		found(t, c, "a")
		l.serves(keyB())
		time.Sleep(refresh) // a second change, during the call
		synctest.Wait()
		before := time.Now()
		c.Close()
		if waited := time.Since(before); waited != 5*time.Minute {
			t.Errorf("Close waited %v", waited)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
		time.Sleep(time.Hour)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls after Close", n-1)
		}
	})
}

// An offline cache does not call OnChange.
func TestOnChangeOffline(t *testing.T) {
	l := newLab(t)
	c := l.cache(t, jwks.Config{
		Offline: true, Initial: l.keySet(keyA()),
		OnChange: func([]byte) { t.Error("called") },
	})
	found(t, c, "a")
	settle(c)
	c.Close()
}
