package jwks_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// This file tests key sets with unusable keys.

// An unusable key does not affect the usable keys of its set.
func TestOneBadKeyAmongGoodOnes(t *testing.T) {
	bad := map[string]string{
		"no object":   `17`,
		"unknown kty": `{"kid":"x","kty":"LWE","n":"AQAB"}`,
		"no kid":      `{` + keyC().Members() + `}`,
		"off the curve": `{"kid":"x","kty":"EC","crv":"P-256","x":"` +
			testkit.B64(make([]byte, 32)) +
			`","y":"` + testkit.B64(make([]byte, 32)) + `"}`,
		"weak": `{"kid":"x","kty":"RSA","n":"` + testkit.B64(make([]byte, 128)) +
			`","e":"AQAB"}`,
		"symmetric":  `{"kid":"x","kty":"oct","k":"c2VjcmV0"}`,
		"private":    `{"kid":"x",` + keyC().Members() + `,"d":"AQAB"}`,
		"encryption": `{"kid":"x","use":"enc",` + keyC().Members() + `}`,
		"duplicate":  `{"kid":"x","kid":"x",` + keyC().Members() + `}`,
		"not UTF-8":  "{\"kid\":\"\xff\"," + keyC().Members() + `}`,
	}
	for name, jwk := range bad {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.does(body(testkit.Set(jwk, keyA().JWK(), jwk, keyB().JWK())))
			var log testkit.Log
			c := l.cache(t, jwks.Config{}, jwks.WithLogger(log.Logger()))
			found(t, c, "a")
			found(t, c, "b")
			l.fetched(t, 1)
			skipped := c.Status().Skipped
			if len(skipped) != 2 || skipped[0].Index != 0 || skipped[1].Index != 2 ||
				skipped[0].Reason == "" {
				t.Errorf("skipped: %+v", skipped)
			}
			lines := log.With("a key of Para's set is not used")
			if len(lines) != 2 || lines[0]["reason"] != skipped[0].Reason ||
				lines[0]["index"] != 0.0 || lines[0]["level"] != "WARN" {
				t.Errorf("logged: %+v", lines)
			}
		})
	}
}

// Skipped keys are logged when they change, not at every refresh.
func TestSkippedKeysAreLoggedOnce(t *testing.T) {
	l := newLab(t)
	now := newClock()
	var log testkit.Log
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.Logger()))
	const kty = `{"kid":"x","kty":"LWE"}`
	for _, step := range []struct {
		set   string
		lines int
	}{
		{testkit.Set(keyA().JWK()), 0},
		{testkit.Set(keyA().JWK(), kty), 1}, // appears while the usable keys stay the same
		{testkit.Set(keyA().JWK(), kty), 1},
		{testkit.Set(keyB().JWK(), kty), 1},
		{testkit.Set(keyB().JWK()), 1},
		{testkit.Set(keyB().JWK(), kty), 2},
	} {
		l.does(body(step.set))
		now.Advance(refresh + time.Minute)
		settle(c)
		if n := len(log.With("is not used")); n != step.lines {
			t.Errorf("after %s: %d lines, want %d", step.set, n, step.lines)
		}
	}
	l.fetched(t, 6)
}

func TestEmptySets(t *testing.T) {
	unusable := map[string]string{
		"empty":         `{"keys":[]}`,
		"not usable":    testkit.Set(`{"kid":"x","kty":"oct","k":"c2VjcmV0"}`),
		"twice one kid": testkit.SetOf(keyA().Named("x"), keyB().Named("x")),
	}
	for name, text := range unusable {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			now := newClock()
			var log testkit.Log
			c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.Logger()))
			step := func(answer http.HandlerFunc) {
				l.does(answer)
				before := l.fetches.Load()
				now.Advance(6 * time.Minute) // every refresh is due by then
				settle(c)
				l.fetched(t, before+1)
			}
			for range 2 { // a usable response resets the count
				step(body(testkit.SetOf(keyA())))
				for range 3 {
					step(body(text))
					found(t, c, "a")
					settle(c)
					if st := c.Status(); len(st.KeyIDs) != 1 || len(st.Skipped) != 0 {
						t.Errorf("status does not describe the cached keys: %+v", st)
					}
				}
			}
			step(body(testkit.SetOf(keyA())))
			step(body(text))
			step(status(503)) // an error counts neither way
			step(body(text))
			step(body(text))
			found(t, c, "a")
			settle(c)
			if n := len(log.With("no usable key for several refreshes")); n != 0 {
				t.Error("logged too early")
			}
			step(body(text))
			refused(t, c, "a", jwks.ErrUnavailable)
			if lines := log.With("no usable key for several refreshes"); len(lines) != 1 ||
				lines[0]["level"] != "ERROR" {
				t.Errorf("logged: %+v", lines)
			}
			if st := c.Status(); st.Usable || len(st.KeyIDs) != 0 ||
				len(st.Skipped) != strings.Count(text, `"kid"`) {
				t.Errorf("status: %+v", st)
			}
			step(body(text))
			if n := len(log.With("no usable key for several refreshes")); n != 1 {
				t.Error("logged again")
			}
			step(body(testkit.SetOf(keyB())))
			found(t, c, "b")
			refused(t, c, "a", jwks.ErrUnknownKey)
		})
	}
}

// Several empty responses within one minute count as one.
func TestEmptySetsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := bubbleStarted(t, jwks.Config{})
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
			t.Fatalf("an empty set took effect after %v", took)
		}
		t.Logf("an empty set took effect %v after its first fetch, at fetch %d of it",
			took.Round(time.Second), l.fetches.Load()-1)
	})
}

// After an empty key set, the request is unconditional. Otherwise the validator
// of the earlier set would produce 304 Not Modified.
func TestEmptySetForgetsETag(t *testing.T) {
	l := newLab(t)
	now := newClock()
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	good := conditional("ETag", `"good"`, body(testkit.SetOf(keyA())))
	l.does(good)
	found(t, c, "a")
	l.does(body(`{"keys":[]}`))
	for range 4 {
		now.Advance(6 * time.Minute)
		settle(c)
	}
	refused(t, c, "a", jwks.ErrUnavailable)
	l.does(good)
	now.Advance(6 * time.Minute)
	found(t, c, "a")
}

func TestColdStartWithEmptySet(t *testing.T) {
	l := newLab(t)
	l.does(body(testkit.Set(`{"kid":"x","kty":"LWE"}`)))
	now := newClock()
	var log testkit.Log
	c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(log.Logger()))
	err := c.Warm(t.Context())
	if !errors.Is(err, jwks.ErrUnavailable) || !strings.Contains(err.Error(), "no usable key") {
		t.Fatalf("Warm: %v", err)
	}
	refused(t, c, "x", jwks.ErrUnavailable)
	if st := c.Status(); st.Usable || st.Stale || len(st.Skipped) != 1 ||
		!strings.Contains(st.LastError, "no usable key") {
		t.Errorf("status: %+v", st)
	}
	lines := log.With("no keys: every token is refused")
	if len(log.With("is not used")) != 1 || len(lines) != 1 || lines[0]["level"] != "ERROR" ||
		lines[0]["keys_until"] != nil {
		t.Errorf("logged: %+v", log.With(""))
	}
	l.serves(keyA())
	now.Advance(2 * time.Second)
	found(t, c, "a")
}
