package jwks_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// The tests of this file set the clock back.

// Setting the clock back does not extend the life of keys and does not stop
// refreshes.
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
	l := newLab(t)
	now := newClock()
	l.does(func(w http.ResponseWriter, r *http.Request) {
		now.Advance(-24 * time.Hour)
		body(testkit.SetOf(keyA()))(w, r)
	})
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	if err := c.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
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
			t.Run(fmt.Sprintf("by %v after %v", by, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
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
					// One fetch every 4 minutes, and some for the unknown key
					// ID and the clock.
					if n := l.fetches.Load(); n > 20 {
						t.Errorf("%d fetches", n)
					}
				})
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
