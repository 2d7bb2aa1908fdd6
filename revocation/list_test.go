package revocation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/revocation"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newClock() *testkit.Clock { return testkit.NewClock(noon) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newList(t testing.TB, cfg revocation.Config) *revocation.List {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	l, err := revocation.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// issued returns claims of a token that expires an hour after at.
func issued(user, token string, at time.Time) *claims.Claims {
	return &claims.Claims{UserID: user, TokenID: token, IssuedAt: at, ExpiresAt: at.Add(time.Hour)}
}

func revoked(t testing.TB, l *revocation.List, c *claims.Claims, now time.Time) bool {
	t.Helper()
	out, err := l.Revoked(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRevoked(t *testing.T) {
	undated := &claims.Claims{UserID: "a", AuthType: claims.AuthEmail}
	verified := &claims.Claims{Email: "a", Identifier: "a"} // of a verification token
	tests := map[string]struct {
		revoke func(testing.TB, *revocation.List)
		out    []*claims.Claims
		in     []*claims.Claims
	}{
		"nothing": {
			revoke: func(testing.TB, *revocation.List) {},
			in:     []*claims.Claims{issued("a", "1", noon), undated, verified, {}},
		},
		"a user": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.RevokeUser(t.Context(), "a"))
			},
			out: []*claims.Claims{issued("a", "1", noon.Add(-time.Hour)),
				issued("a", "2", noon)},
			in: []*claims.Claims{issued("a", "3", noon.Add(time.Second)),
				issued("b", "4", noon.Add(-time.Hour)), issued("A", "5", noon), undated, verified},
		},
		"a token": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.RevokeToken(t.Context(), issued("a", "1", noon)))
			},
			out: []*claims.Claims{issued("a", "1", noon), {TokenID: "1"}},
			in: []*claims.Claims{issued("a", "2", noon), issued("a", "", noon),
				issued("1", "", noon)},
		},
		"everything before": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.RevokeIssuedBefore(t.Context(), noon))
				must(t, l.RevokeIssuedBefore(t.Context(), noon.Add(-time.Hour))) // no effect
			},
			out: []*claims.Claims{issued("a", "1", noon.Add(-time.Second)),
				issued("b", "2", noon.Add(-time.Hour))},
			in: []*claims.Claims{issued("a", "3", noon), undated, verified},
		},
		"a block": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.BlockUser(t.Context(), "a"))
			},
			out: []*claims.Claims{issued("a", "1", noon), issued("a", "2", noon.AddDate(1, 0, 0)),
				undated},
			in: []*claims.Claims{issued("b", "1", noon), issued("", "a", noon), verified},
		},
		"a block that was lifted": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.BlockUser(t.Context(), "a"))
				must(t, l.UnblockUser(t.Context(), "a"))
			},
			in: []*claims.Claims{issued("a", "1", noon), undated, verified},
		},
		"a block, lifted and set again": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.BlockUser(t.Context(), "a"))
				must(t, l.UnblockUser(t.Context(), "a"))
				must(t, l.BlockUser(t.Context(), "a"))
			},
			out: []*claims.Claims{issued("a", "1", noon), undated},
			in:  []*claims.Claims{verified},
		},
		"a revoked user, whose block was lifted": {
			revoke: func(t testing.TB, l *revocation.List) {
				must(t, l.RevokeUser(t.Context(), "a"))
				must(t, l.BlockUser(t.Context(), "a"))
				must(t, l.UnblockUser(t.Context(), "a"))
			},
			out: []*claims.Claims{issued("a", "1", noon)},
			in:  []*claims.Claims{issued("a", "1", noon.Add(time.Second))},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newList(t, revocation.Config{Now: newClock().Now})
			test.revoke(t, l)
			for _, c := range test.out {
				if !revoked(t, l, c, noon) {
					t.Errorf("token %q of user %q is accepted", c.TokenID, c.UserID)
				}
			}
			for _, c := range test.in {
				if revoked(t, l, c, noon) {
					t.Errorf("token %q of user %q is refused", c.TokenID, c.UserID)
				}
			}
		})
	}
}

func TestChangesNeedASubject(t *testing.T) {
	l := newList(t, revocation.Config{Now: newClock().Now})
	ctx := t.Context()
	for name, test := range map[string]struct{ bad, good error }{
		"RevokeUser":  {l.RevokeUser(ctx, ""), l.RevokeUser(ctx, "a")},
		"BlockUser":   {l.BlockUser(ctx, ""), l.BlockUser(ctx, "a")},
		"UnblockUser": {l.UnblockUser(ctx, ""), l.UnblockUser(ctx, "a")},
		"RevokeToken, nil claims": {
			l.RevokeToken(ctx, nil), l.RevokeToken(ctx, &claims.Claims{TokenID: "t"})},
		"RevokeToken, no TokenID": {
			l.RevokeToken(ctx, &claims.Claims{UserID: "a"}), nil},
		"RevokeIssuedBefore, the zero time": {
			l.RevokeIssuedBefore(ctx, time.Time{}), l.RevokeIssuedBefore(ctx, noon)},
		"RevokeIssuedBefore, in the future": {
			l.RevokeIssuedBefore(ctx, noon.Add(time.Hour+1)),
			l.RevokeIssuedBefore(ctx, noon.Add(time.Hour))},
	} {
		if test.bad == nil {
			t.Errorf("%s: no error", name)
		}
		if test.good != nil {
			t.Errorf("%s of a subject: %v", name, test.good)
		}
	}
	if _, err := l.Revoked(ctx, nil, noon); err == nil {
		t.Error("Revoked accepts nil claims")
	}
}

func TestLimit(t *testing.T) {
	clock := newClock()
	l := newList(t, revocation.Config{Limit: 10, Now: clock.Now})
	ctx := t.Context()
	for i := range 5 {
		must(t, l.RevokeUser(ctx, fmt.Sprint("u", i)))
		must(t, l.RevokeToken(ctx, issued("x", fmt.Sprint("t", i), noon)))
	}
	for name, err := range map[string]error{
		"user":  l.RevokeUser(ctx, "one more"),
		"token": l.RevokeToken(ctx, issued("x", "one more", noon)),
		"block": l.BlockUser(ctx, "one more"),
	} {
		if !errors.Is(err, revocation.ErrFull) {
			t.Errorf("one more %s: %v", name, err)
		}
	}
	if revoked(t, l, issued("one more", "one more", noon), noon) {
		t.Error("the token is revoked despite ErrFull")
	}
	must(t, l.RevokeUser(ctx, "u1")) // on the list already
	must(t, l.RevokeToken(ctx, issued("x", "t1", noon)))
	must(t, l.RevokeIssuedBefore(ctx, noon.Add(-24*time.Hour)))
	must(t, l.UnblockUser(ctx, "one more"))

	// A revocation is kept while a token that it affects could be accepted.
	clock.Advance(2 * time.Hour)
	must(t, l.RevokeUser(ctx, "in a token's place"))
	clock.Advance(31*24*time.Hour - 2*time.Hour)
	if !revoked(t, l, issued("u0", "", noon), clock.Now()) {
		t.Error("a user was removed while a token of theirs could be valid")
	}
	clock.Advance(24 * time.Hour)
	for i := range 8 {
		must(t, l.RevokeUser(ctx, fmt.Sprint("later", i)))
	}
}

// The default Limit is 1,000,000 entries, which need at most 64 MiB.
func TestDefaultLimit(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	l := newList(t, revocation.Config{Now: newClock().Now})
	for i := range 1_000_000 {
		must(t, l.RevokeUser(t.Context(), strconv.Itoa(i)))
	}
	if err := l.RevokeUser(t.Context(), "one more"); !errors.Is(err, revocation.ErrFull) {
		t.Errorf("got %v", err)
	}
	for i := 0; i < 1_000_000; i += 10 {
		if !revoked(t, l, &claims.Claims{UserID: strconv.Itoa(i), IssuedAt: noon}, noon) {
			t.Fatalf("user %d is accepted", i)
		}
	}
	if used := heap() - before; used > 64<<20 {
		t.Errorf("the list uses %d bytes", used)
	}
	runtime.KeepAlive(l)
}

// Readers find every entry while writers add others and the tables grow.
func TestConcurrentUse(t *testing.T) {
	l := newList(t, revocation.Config{Store: newStore()})
	must(t, l.Warm(t.Context()))
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for n := range 500 {
				id := fmt.Sprint(w, " ", n)
				c := &claims.Claims{UserID: id, TokenID: id, IssuedAt: time.Now()}
				var err error
				switch n % 3 {
				case 0:
					err = l.RevokeUser(t.Context(), id)
				case 1:
					err = l.RevokeToken(t.Context(), c)
				case 2:
					err = l.BlockUser(t.Context(), id)
				}
				if err != nil {
					t.Error(err)
				}
				for back := range 10 {
					id := fmt.Sprint(w, " ", max(n-back, 0))
					issuedAt := c.IssuedAt.Add(-time.Hour)
					c := &claims.Claims{UserID: id, TokenID: id, IssuedAt: issuedAt}
					if out, err := l.Revoked(t.Context(), c, time.Now()); !out || err != nil {
						t.Errorf("%s: got %v, %v", id, out, err)
					}
				}
				if n%100 == 0 {
					_ = l.Status()
					if _, err := l.Snapshot(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	if st := l.Status(); st.Entries != 2000 || st.Pending != 0 {
		t.Errorf("got %+v", st)
	}
}

// An entry is kept, to the second, while a validator may accept a token that it
// affects: for the life of the token plus the largest Leeway.
func TestEntriesExpireInTime(t *testing.T) {
	const leeway = 5 * time.Minute
	long := &claims.Claims{TokenID: "long", IssuedAt: noon, ExpiresAt: noon.AddDate(0, 0, 90)}
	for name, test := range map[string]struct {
		revoke func(*revocation.List) error
		whose  *claims.Claims
		needed time.Duration
	}{
		"token": {
			func(l *revocation.List) error {
				return l.RevokeToken(t.Context(), issued("x", "t", noon))
			}, issued("x", "t", noon), time.Hour + leeway},
		"token of 90 days": {
			func(l *revocation.List) error { return l.RevokeToken(t.Context(), long) },
			long, 90*24*time.Hour + leeway},
		"token without exp": {
			func(l *revocation.List) error {
				return l.RevokeToken(t.Context(), &claims.Claims{TokenID: "t"})
			}, &claims.Claims{TokenID: "t"}, 31*24*time.Hour + leeway},
		"user": {
			func(l *revocation.List) error { return l.RevokeUser(t.Context(), "u") },
			issued("u", "", noon), 31*24*time.Hour + leeway},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			l := newList(t, revocation.Config{Limit: 1, Now: clock.Now})
			must(t, test.revoke(l))
			clock.Advance(test.needed)
			if err := l.RevokeUser(t.Context(), "next"); !errors.Is(err, revocation.ErrFull) {
				t.Errorf("got %v before the entry expired, want ErrFull", err)
			}
			if !revoked(t, l, test.whose, clock.Now()) {
				t.Error("removed too early")
			}
			clock.Advance(time.Second)
			if err := l.RevokeUser(t.Context(), "next"); err != nil {
				t.Errorf("got %v after the entry expired", err)
			}
			if revoked(t, l, test.whose, clock.Now()) {
				t.Error("not removed")
			}
		})
	}
}

func TestBlockNeverExpires(t *testing.T) {
	clock := newClock()
	l := newList(t, revocation.Config{Limit: 1, Now: clock.Now})
	must(t, l.BlockUser(t.Context(), "a"))
	clock.Advance(10 * 365 * 24 * time.Hour)
	if err := l.RevokeUser(t.Context(), "b"); !errors.Is(err, revocation.ErrFull) {
		t.Errorf("a block was removed: %v", err)
	}
	if !revoked(t, l, issued("a", "", clock.Now()), clock.Now()) {
		t.Error("a block expired")
	}
}

// A second revocation by a clock that was set back does not weaken the first.
func TestRevokeUserAgainWithAnEarlierClock(t *testing.T) {
	clock := newClock()
	l := newList(t, revocation.Config{Now: clock.Now})
	for _, step := range []time.Duration{time.Minute, -time.Hour} {
		clock.Advance(step)
		must(t, l.RevokeUser(t.Context(), "u"))
		if !revoked(t, l, issued("u", "", noon), clock.Now()) {
			t.Errorf("after %v: accepted", step)
		}
	}
	must(t, l.BlockUser(t.Context(), "u"))
	clock.Advance(-time.Hour)
	must(t, l.UnblockUser(t.Context(), "u"))
	if revoked(t, l, issued("u", "", noon.Add(time.Hour)), clock.Now()) {
		t.Error("UnblockUser by an earlier clock has no effect")
	}
}

func TestNothingPrintsAUser(t *testing.T) {
	l := newList(t, revocation.Config{Now: newClock().Now})
	must(t, l.RevokeUser(t.Context(), "canary"))
	must(t, l.RevokeToken(t.Context(), issued("x", "canary", noon)))
	snapshot, err := l.Snapshot()
	must(t, err)
	status, err := json.Marshal(l.Status())
	must(t, err)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", l, l, l, l), string(snapshot),
		string(status)} {
		if strings.Contains(s, "canary") || s == "" {
			t.Errorf("prints %q", s)
		}
	}
	if got, want := l.String(), "revocation list of 2 entries"; got != want {
		t.Errorf("String returns %q, want %q", got, want)
	}
}

func TestWithoutAStore(t *testing.T) {
	l := newList(t, revocation.Config{Now: newClock().Now})
	if st := l.Status(); !st.Ready || !st.Usable || st.Stale || st.Staleness != 0 {
		t.Errorf("status of a new list: %+v", st)
	}
	must(t, l.Warm(t.Context()))
	must(t, l.RevokeUser(t.Context(), "a"))
	must(t, l.Close())
	must(t, l.Close())
	if !revoked(t, l, issued("a", "", noon), noon.AddDate(1, 0, 0)) {
		t.Error("accepted after Close")
	}
	if revoked(t, l, issued("b", "", noon), noon.AddDate(1, 0, 0)) {
		t.Error("a list without a store became stale")
	}
	must(t, l.RevokeUser(t.Context(), "b"))
}

func TestRevokedDoesNotAllocate(t *testing.T) {
	l := newList(t, revocation.Config{Now: newClock().Now})
	for i := range 1000 {
		must(t, l.RevokeUser(t.Context(), strconv.Itoa(i)))
	}
	const uuid = "d5358219-38d3-4650-91a8-e338131d1c5e"
	must(t, l.RevokeUser(t.Context(), uuid))
	for name, c := range map[string]*claims.Claims{
		"accepted": issued("99f4b4e5-1d5c-4b5b-8c0f-0a3d6f7c8f11", "0123456789abcdef", noon),
		"refused":  issued(uuid, "0123456789abcdef", noon),
	} {
		if n := testing.AllocsPerRun(100, func() { l.Revoked(t.Context(), c, noon) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := revocation.New(revocation.Config{MaxStaleness: time.Second, Poll: time.Hour,
		Timeout: -1, Resync: time.Millisecond, Limit: -1, MaxTokenLife: time.Second,
		Initial: []byte("junk")})
	for _, name := range []string{"MaxStaleness", "Poll", "Timeout", "Resync", "Limit",
		"MaxTokenLife", "Initial"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	for name, test := range map[string]struct{ bad, good revocation.Config }{
		"MaxStaleness low": {
			revocation.Config{MaxStaleness: 5*time.Second - 1},
			revocation.Config{MaxStaleness: 5 * time.Second}},
		"MaxStaleness high": {
			revocation.Config{MaxStaleness: 24*time.Hour + 1},
			revocation.Config{MaxStaleness: 24 * time.Hour}},
		"MaxStaleness for Poll": {
			revocation.Config{Poll: 4 * time.Second, MaxStaleness: 10*time.Second - 1},
			revocation.Config{Poll: 4 * time.Second, MaxStaleness: 10 * time.Second}},
		"Poll low": {
			revocation.Config{Poll: 100*time.Millisecond - 1},
			revocation.Config{Poll: 100 * time.Millisecond}},
		"Poll high": {
			revocation.Config{Poll: time.Minute + 1},
			revocation.Config{Poll: time.Minute}},
		"Timeout low": {
			revocation.Config{Timeout: 100*time.Millisecond - 1},
			revocation.Config{Timeout: 100 * time.Millisecond}},
		"Timeout high": {
			revocation.Config{Timeout: time.Minute + 1},
			revocation.Config{Timeout: time.Minute}},
		"Resync low": {
			revocation.Config{Resync: time.Second - 1},
			revocation.Config{Resync: time.Second}},
		"Resync high": {
			revocation.Config{Resync: 24*time.Hour + 1},
			revocation.Config{Resync: 24 * time.Hour}},
		"Limit": {revocation.Config{Limit: -1}, revocation.Config{Limit: 1}},
	} {
		if _, err := revocation.New(test.bad); err == nil {
			t.Errorf("%s: no error", name)
		}
		if l, err := revocation.New(test.good); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			l.Close()
		}
	}
}
