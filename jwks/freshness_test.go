package jwks_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// This file tests Cache-Control, Age and ETag.

func TestFreshness(t *testing.T) {
	for _, test := range []struct {
		name, control, age string // control has a field of the header in each line
		want               time.Duration
	}{
		{"nothing said", "", "", 5 * time.Minute},
		{"less than a minute", "max-age=10", "", time.Minute},
		{"zero", "max-age=0", "", time.Minute},
		{"between", "public, max-age=120", "", 2 * time.Minute},
		{"longer than ours", "max-age=86400", "", 5 * time.Minute},
		{"case and quotes", `Public , MAX-AGE="120"`, "", 2 * time.Minute},
		{"Age", "max-age=200", "80", 2 * time.Minute},
		{"Age beyond max-age", "max-age=200", "900", time.Minute},
		{"Age alone", "", "900", 5 * time.Minute},
		{"Age is not a number", "max-age=120", "old", 2 * time.Minute},
		{"no-store", "no-store, max-age=200", "", time.Minute},
		{"no-cache", "max-age=200, no-cache", "", time.Minute},
		{"two fields", "public\nmax-age=120", "", 2 * time.Minute},
		{"not a number", "max-age=soon", "", 5 * time.Minute},
		{"negative", "max-age=-1", "", 5 * time.Minute},
		{"beyond any number", "max-age=99999999999999999999", "", 5 * time.Minute},
		{"more than a duration holds", "max-age=9999999999", "", 5 * time.Minute},
		{"wraps round to 2 minutes", "max-age=36028797018964088", "", 5 * time.Minute},
		{"s-maxage is not for us", "s-maxage=60", "", 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, now := newLab(t), newClock()
			l.does(func(w http.ResponseWriter, r *http.Request) {
				if test.control != "" {
					w.Header()["Cache-Control"] = strings.Split(test.control, "\n")
				}
				if test.age != "" {
					w.Header().Set("Age", test.age)
				}
				keys(keyA())(w, r)
			})
			var early, late time.Duration
			for range 10 { // jitter
				c := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
				found(t, c, "a")
				wait := c.Status().NextFetch.Sub(now.Now())
				if wait < test.want*8/10 || wait > test.want*9/10 {
					t.Fatalf("next fetch in %v, want %v to %v", wait, test.want*8/10,
						test.want*9/10)
				}
				early, late = min(cmp.Or(early, wait), wait), max(late, wait)
				c.Close()
			}
			if early == late {
				t.Error("no jitter")
			}
		})
	}
}

// A RefreshInterval of less than a minute is used as configured. Response
// headers do not change it.
func TestFreshnessWithShortInterval(t *testing.T) {
	for _, header := range []string{"max-age=10", "max-age=600", "no-store"} {
		_, now, c := clocked(t, body(testkit.SetOf(keyA()), "Cache-Control", header),
			jwks.Config{RefreshInterval: 30 * time.Second})
		found(t, c, "a")
		if wait := c.Status().NextFetch.Sub(now.Now()); wait < 24*time.Second ||
			wait > 27*time.Second {
			t.Errorf("%s: next fetch in %v", header, wait)
		}
	}
}

// After 304 Not Modified the keys stay. Their freshness restarts with the
// directives of that response.
func TestNotModified(t *testing.T) {
	for _, field := range []string{"ETag", "Last-Modified"} { // Last-Modified is not used
		t.Run(field, func(t *testing.T) {
			unchanged := conditional(field, `"v1"`, keys(keyA()))
			l, now, c := clocked(t, unchanged, jwks.Config{StaleLimit: 6 * time.Minute})
			key := found(t, c, "a")
			for range 10 {
				l.refreshed(now, refresh, c, unchanged)
				if found(t, c, "a") != key {
					t.Fatal("the key has another identity")
				}
				settle(c)
			}
			l.fetched(t, 11)
			if st := c.Status(); st.Failures != 0 || !st.FetchedAt.Equal(now.Now()) {
				t.Errorf("status: %+v", st)
			}
			l.refreshed(now, refresh, c, conditional(field, `"v2"`, keys(keyB())))
			refused(t, c, "a", jwks.ErrUnknownKey)
			found(t, c, "b")
		})
	}
	t.Run("with another max-age", func(t *testing.T) {
		unchanged := conditional("ETag", `"v1"`, keys(keyA()))
		l, now, c := clocked(t, unchanged, jwks.Config{})
		found(t, c, "a")
		l.refreshed(now, refresh, c, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			unchanged(w, r)
		})
		st := c.Status()
		if l.sent().Get("If-None-Match") == "" || st.Failures != 0 ||
			st.NextFetch.Sub(now.Now()) > time.Minute {
			t.Errorf("status: %+v", st)
		}
	})
}

// An ETag that is malformed (RFC 9110 §8.8.3) or too long is not sent back.
func TestETag(t *testing.T) {
	for _, test := range []struct {
		name, etag string
		kept       bool
	}{
		{"strong", `"v1"`, true},
		{"weak", `W/"v1"`, true},
		{"empty", `""`, true},
		{"every character", `"!#$%&'()*+,-./09:;<=>?@AZ[\]^_{|}~` + "`\x80\xff\"", true},
		{"1 KiB", `"` + strings.Repeat("x", 1022) + `"`, true},
		{"1 KiB and a byte", `"` + strings.Repeat("x", 1023) + `"`, false},
		{"100 KiB", `"` + strings.Repeat("x", 50<<10) + `"`, false},
		{"none", "", false},
		{"not quoted", "v1", false},
		{"one quotation mark", `"`, false},
		{"not closed", `"v1`, false},
		{"a quotation mark inside", `"v"1"`, false},
		{"two", `"v1", "v2"`, false},
		{"a space", `"v 1"`, false},
		{"a tab", "\"v\t1\"", false},
		{"w in lower case", `w/"v1"`, false},
		{"any", "*", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := body(testkit.SetOf(keyA()), "ETag", test.etag)
			l, now, c := clocked(t, answer, jwks.Config{})
			found(t, c, "a")
			l.refreshed(now, refresh, c, answer)
			l.fetched(t, 2)
			want := ""
			if test.kept {
				want = test.etag
			}
			if got := l.sent().Get("If-None-Match"); got != want {
				t.Errorf("sent %.50q, want %.50q", got, want)
			}
			found(t, c, "a")
		})
	}
}

// If a server refuses a conditional request, the next request is unconditional.
func TestETagAfterAFailure(t *testing.T) {
	good := body(testkit.SetOf(keyA()), "ETag", `"v1"`)
	l, now, c := clocked(t, good, jwks.Config{})
	key := found(t, c, "a")
	l.refreshed(now, refresh, c, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			status(400)(w, r)
			return
		}
		good(w, r)
	})
	if st := c.Status(); l.sent().Get("If-None-Match") == "" || st.Failures != 1 {
		t.Fatalf("the conditional request did not fail: %+v", st)
	}
	now.Advance(2 * time.Second)
	settle(c)
	if st := c.Status(); l.sent().Get("If-None-Match") != "" || st.State != jwks.StateFresh {
		t.Errorf("the next request: %+v", st)
	}
	l.fetched(t, 3)
	if found(t, c, "a") != key {
		t.Error("the key has another identity")
	}
}
