package revocation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/revocation"
)

// bubble runs a test with a fake clock, which advances while all goroutines
// wait.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// of returns claims of a token from a minute before the bubble's beginning.
func of(user string) *claims.Claims {
	beginning := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return &claims.Claims{UserID: user, IssuedAt: beginning.Add(-time.Minute)}
}

func check(t *testing.T, l *revocation.List, user string, want bool, wantErr error) {
	t.Helper()
	out, err := l.Revoked(t.Context(), of(user), time.Now())
	if out != want || !errors.Is(err, wantErr) || wantErr == nil && err != nil {
		t.Errorf("user %q: got %v, %v, want %v, %v", user, out, err, want, wantErr)
	}
}

func TestServersShareEveryChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		a, b := newList(t, revocation.Config{Store: s}), newList(t, revocation.Config{Store: s})
		must(t, a.Warm(t.Context()))
		must(t, b.Warm(t.Context()))
		ctx := t.Context()
		must(t, a.RevokeUser(ctx, "u"))
		tok := &claims.Claims{TokenID: "t", ExpiresAt: time.Now().Add(time.Hour)}
		must(t, a.RevokeToken(ctx, tok))
		must(t, a.BlockUser(ctx, "banned"))
		must(t, a.BlockUser(ctx, "pardoned"))
		synctest.Wait()
		must(t, b.UnblockUser(ctx, "pardoned"))
		synctest.Wait()
		for _, l := range []*revocation.List{a, b} {
			check(t, l, "u", true, nil)
			check(t, l, "banned", true, nil)
			check(t, l, "pardoned", false, nil)
			if !revoked(t, l, &claims.Claims{TokenID: "t"}, time.Now()) {
				t.Error("the token is accepted")
			}
			check(t, l, "other", false, nil)
		}
		must(t, b.RevokeIssuedBefore(ctx, time.Now()))
		synctest.Wait()
		check(t, a, "other", true, nil)
		st := a.Status()
		if st.Entries != 5 || st.Pending != 0 || st.Gaps != 0 || !st.Usable || st.Stale {
			t.Errorf("got %+v", st)
		}
		for _, e := range s.entries() {
			if len(e.Subject) != 27 && e.Kind != revocation.KindAll {
				t.Errorf("the store has subject %q", e.Subject)
			}
		}
	})
}

// A list that was never read is not an empty list.
func TestNotReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		s.down(errDown)
		l := newList(t, revocation.Config{Store: s, AcceptStale: true})
		check(t, l, "u", false, revocation.ErrNotReady)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := l.Warm(ctx)
		if !errors.Is(err, revocation.ErrNotReady) || !errors.Is(err, errDown) ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Warm: %v", err)
		}
		st := l.Status()
		if st.Ready || st.Usable || st.Failures == 0 || st.LastError != errDown.Error() {
			t.Errorf("got %+v", st)
		}
		if _, err := l.Snapshot(); !errors.Is(err, revocation.ErrNotReady) {
			t.Errorf("Snapshot: %v", err)
		}
		// A known revocation is reported before the first read.
		if err := l.RevokeUser(t.Context(), "u"); !errors.Is(err, revocation.ErrNotYetShared) ||
			!errors.Is(err, errDown) {
			t.Errorf("RevokeUser: %v", err)
		}
		check(t, l, "u", true, nil)

		s.down(nil)
		must(t, l.Warm(t.Context()))
		check(t, l, "u", true, nil)
		check(t, l, "other", false, nil)
		time.Sleep(5 * time.Second)
		if n := len(s.entries()); n != 1 {
			t.Errorf("the store has %d entries, want 1", n)
		}
		if st := l.Status(); !st.Ready || !st.Usable || st.Failures != 0 || st.Pending != 0 {
			t.Errorf("got %+v", st)
		}
	})
}

func TestStale(t *testing.T) {
	for _, accept := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			s := newStore()
			l := newList(t, revocation.Config{
				Store: s, MaxStaleness: time.Minute, AcceptStale: accept,
			})
			must(t, l.RevokeUser(t.Context(), "u"))
			must(t, l.Warm(t.Context()))
			time.Sleep(time.Hour)
			synctest.Wait()
			if st := l.Status(); st.Stale || st.Staleness > 2*time.Second {
				t.Errorf("while the store answers: %+v", st)
			}
			s.down(errDown)
			time.Sleep(11 * time.Second)
			if st := l.Status(); !st.Stale || !st.Usable {
				t.Errorf("after 11 s: %+v", st)
			}
			time.Sleep(47 * time.Second)
			check(t, l, "other", false, nil)
			time.Sleep(4 * time.Second)
			want := revocation.ErrStale
			if accept {
				want = nil
			}
			check(t, l, "other", false, want)
			check(t, l, "u", true, nil)
			if st := l.Status(); st.Usable != accept || !st.Ready {
				t.Errorf("after MaxStaleness: %+v", st)
			}
			s.down(nil)
			time.Sleep(3 * time.Second)
			check(t, l, "other", false, nil)
		})
	}
}

// After a suspension, Revoked returns ErrStale before the list's goroutines
// have run.
func TestStaleByTheClockOfTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newList(t, revocation.Config{Store: newStore()})
		must(t, l.Warm(t.Context()))
		later := time.Now().Add(5*time.Minute + 3*time.Second)
		if _, err := l.Revoked(t.Context(), of("u"), later); !errors.Is(err, revocation.ErrStale) {
			t.Errorf("got %v", err)
		}
		if _, err := l.Revoked(t.Context(), of("u"), time.Now().Add(4*time.Minute)); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestQueueOfAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		a, b := newList(t, revocation.Config{Store: s}), newList(t, revocation.Config{Store: s})
		must(t, a.Warm(t.Context()))
		must(t, b.Warm(t.Context()))
		s.down(errDown)
		start := time.Now()
		var blocked time.Time
		for n := range 20 {
			id := fmt.Sprint("u", n%10) // each twice
			if err := a.RevokeUser(t.Context(), id); !errors.Is(err, revocation.ErrNotYetShared) {
				t.Fatalf("got %v", err)
			}
			check(t, a, id, true, nil)
		}
		for range 2 {
			_ = a.BlockUser(t.Context(), "x")
			blocked = time.Now()
			_ = a.UnblockUser(t.Context(), "x")
		}
		if took := time.Since(start); took != 24*2*time.Second {
			t.Errorf("24 calls waited %v, want Timeout each", took)
		}
		if st := a.Status(); st.Pending != 11 {
			t.Errorf("%d pending, want 11: one for each user", st.Pending)
		}
		s.down(nil)
		time.Sleep(2 * time.Second)
		for n := range 10 {
			check(t, b, fmt.Sprint("u", n), true, nil)
		}
		check(t, b, "x", false, nil)
		for _, e := range s.entries() {
			if e.Kind == revocation.KindUnblock && !e.At.After(blocked.Add(-time.Second)) {
				t.Errorf("the unblock is of %v", e.At)
			}
		}
		if st := a.Status(); st.Pending != 0 {
			t.Errorf("got %+v", st)
		}
	})
}

// A caller whose context ends does not stop the write to the store.
func TestRevokeWithACancelledContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		s.set(func(s *memStore) { s.appendErr = errDown })
		l := newList(t, revocation.Config{Store: s})
		must(t, l.Warm(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := l.RevokeUser(ctx, "u")
		if !errors.Is(err, revocation.ErrNotYetShared) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		check(t, l, "u", true, nil)
		s.down(nil)
		time.Sleep(2 * time.Second)
		if len(s.entries()) != 1 {
			t.Errorf("the store has %d entries", len(s.entries()))
		}
	})
}

func TestCloseWritesPendingChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		l := newList(t, revocation.Config{Store: s})
		must(t, l.Warm(t.Context()))
		s.down(errDown)
		_ = l.RevokeUser(t.Context(), "u")
		time.AfterFunc(time.Second, func() { s.down(nil) })
		must(t, l.Close())
		if len(s.entries()) != 1 {
			t.Error("Close did not write the pending changes")
		}
		check(t, l, "u", true, nil)
		if err := l.RevokeUser(t.Context(), "late"); !errors.Is(err, revocation.ErrNotYetShared) {
			t.Errorf("RevokeUser after Close: %v", err)
		}
		check(t, l, "late", true, nil)
		check(t, l, "other", false, nil)
		time.Sleep(6 * time.Minute)
		check(t, l, "other", false, revocation.ErrStale)
	})
	bubble(t, func(t *testing.T) {
		s := newStore()
		l := newList(t, revocation.Config{Store: s})
		must(t, l.Warm(t.Context()))
		s.down(errDown)
		_ = l.RevokeUser(t.Context(), "u")
		start := time.Now()
		for range 2 {
			err := l.Close()
			if !errors.Is(err, revocation.ErrNotYetShared) || !errors.Is(err, errDown) {
				t.Errorf("Close with the store down: %v", err)
			}
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// The deadline holds although a client ignores its context. The number of
// hanging calls is bounded.
func TestHangingClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		l := newList(t, revocation.Config{Store: s})
		must(t, l.Warm(t.Context()))
		hang := make(chan struct{})
		s.set(func(s *memStore) { s.hang = hang })
		time.Sleep(5 * time.Second)
		start := time.Now()
		if err := l.RevokeUser(t.Context(), "u"); !errors.Is(err, revocation.ErrNotYetShared) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("RevokeUser took %v, want Timeout", took)
		}
		time.Sleep(10 * time.Minute)
		check(t, l, "u", true, nil)
		check(t, l, "other", false, revocation.ErrStale)
		s.set(func(s *memStore) { s.hang = nil })
		close(hang)
		time.Sleep(5 * time.Second)
		check(t, l, "other", false, nil)
		if st := l.Status(); st.Pending != 0 || len(s.entries()) == 0 {
			t.Errorf("got %+v", st)
		}
	})
}

func TestGapIsWrittenBack(t *testing.T) {
	for name, lose := range map[string]func(*memStore){
		"everything": func(s *memStore) { s.wipe() },
		"a deleted log in which another entry follows at once": func(s *memStore) {
			s.wipe()
			_ = s.Append(context.Background(), []revocation.Entry{{Kind: revocation.KindAll,
				At: time.Unix(1, 0), Expires: time.Now().Add(time.Hour)}})
		},
		"an entry in the middle, silently": func(s *memStore) {
			s.set(func(s *memStore) {
				s.log = append(append([]revocation.Entry(nil), s.log[:2]...), s.log[3:]...)
				s.log = append(s.log, s.log[0])
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore()
				a := newList(t, revocation.Config{Store: s})
				b := newList(t, revocation.Config{Store: s})
				must(t, a.Warm(t.Context()))
				must(t, b.Warm(t.Context()))
				ctx := t.Context()
				must(t, a.RevokeUser(ctx, "u1"))
				must(t, a.RevokeUser(ctx, "u2"))
				must(t, b.BlockUser(ctx, "banned"))
				synctest.Wait()
				must(t, a.UnblockUser(ctx, "pardoned"))
				must(t, a.RevokeToken(ctx, &claims.Claims{TokenID: "t"}))
				must(t, a.RevokeIssuedBefore(ctx, time.Now().Add(-time.Hour)))
				synctest.Wait()
				want := map[string]bool{}
				for _, e := range s.entries() {
					text, _ := e.MarshalText()
					want[string(text)] = true
				}
				lose(s)
				check(t, a, "u1", true, nil)
				time.Sleep(11 * time.Minute)
				// The store has every entry again, with its time.
				for _, e := range s.entries() {
					text, _ := e.MarshalText()
					delete(want, string(text))
				}
				if len(want) > 0 {
					t.Errorf("the store lacks %v", want)
				}
				if n := len(s.entries()); n > 2*8 {
					t.Errorf("the store has %d entries", n)
				}
				if a.Status().Gaps == 0 && b.Status().Gaps == 0 {
					t.Error("no gap was counted")
				}
				c := newList(t, revocation.Config{Store: s})
				must(t, c.Warm(ctx))
				for _, id := range []string{"u1", "u2", "banned"} {
					check(t, c, id, true, nil)
				}
			})
		})
	}
}

// A list that has read no entry has no cursor, which would show that the log
// was deleted. If the new log has an entry, the next Resync finds the loss.
func TestLossWithoutACursorIsWrittenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		l := newList(t, revocation.Config{Store: s, Resync: 10 * time.Minute})
		must(t, l.Warm(t.Context()))
		s.set(func(s *memStore) { s.readErr = errDown })
		must(t, l.RevokeUser(t.Context(), "u"))
		s.wipe()
		must(t, s.Append(t.Context(), []revocation.Entry{{Kind: revocation.KindAll,
			At: time.Unix(1, 0), Expires: time.Now().Add(time.Hour)}}))
		s.down(nil)
		time.Sleep(9 * time.Minute)
		if n := len(s.entries()); n != 1 {
			t.Errorf("the store has %d entries before the Resync, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		other := newList(t, revocation.Config{Store: s})
		must(t, other.Warm(t.Context()))
		check(t, other, "u", true, nil)
	})
}

// Expired entries are not written back and do not count as lost.
func TestExpiredEntriesAreNotWrittenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		l := newList(t, revocation.Config{Store: s, MaxTokenLife: time.Minute})
		must(t, l.Warm(t.Context()))
		must(t, l.RevokeUser(t.Context(), "u"))
		time.Sleep(7 * time.Minute)
		s.wipe()
		time.Sleep(time.Minute)
		if n := len(s.entries()); n != 0 {
			t.Errorf("%d entries were written back", n)
		}
	})
}

func TestClocks(t *testing.T) {
	for name, test := range map[string]struct {
		ahead time.Duration // of the store's clock
		want  time.Duration // the stamp less this server's clock
	}{
		"this clock is a little ahead":  {-20 * time.Second, 0},
		"this clock is far ahead":       {-time.Hour, -time.Hour},
		"this clock is a little behind": {20 * time.Second, 20 * time.Second},
		"this clock is far behind":      {time.Hour, time.Hour},
	} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", before the first read: ", early), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newStore()
					s.ahead = test.ahead
					if early {
						s.down(errDown)
					}
					var log bytes.Buffer
					l := newList(t, revocation.Config{Store: s,
						Logger: slog.New(slog.NewTextHandler(&log, nil))})
					if !early {
						must(t, l.Warm(t.Context()))
					}
					now := time.Now()
					err := l.RevokeUser(t.Context(), "u")
					if early != errors.Is(err, revocation.ErrNotYetShared) {
						t.Fatal(err)
					}
					s.down(nil)
					must(t, l.Warm(t.Context()))
					time.Sleep(3 * time.Second)
					e := s.entries()
					if len(e) != 1 || e[0].At.Sub(now) != test.want {
						t.Errorf("the store has %v, want the time %v", e, now.Add(test.want))
					}
					// The revoking server uses the same time.
					for after, want := range map[time.Duration]bool{0: true, time.Second: false} {
						c := &claims.Claims{UserID: "u", IssuedAt: now.Add(test.want + after)}
						if out := revoked(t, l, c, time.Now()); out != want {
							t.Errorf("a token issued %v after the revocation: %v", after, out)
						}
					}
					if skew := l.Status().ClockSkew; skew != -test.ahead {
						t.Errorf("ClockSkew is %v, want %v", skew, -test.ahead)
					}
					must(t, l.Close())
					far := test.ahead.Abs() > 30*time.Second
					if n := strings.Count(log.String(), "clock"); far && n != 1 || !far && n != 0 {
						t.Errorf("%d warnings about the clock:\n%s", n, &log)
					}
				})
			})
		}
	}
}

// Without the store's clock, revocations get this server's time.
func TestStoreWithoutAClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		s.noClock = true
		l := newList(t, revocation.Config{Store: s})
		must(t, l.Warm(t.Context()))
		must(t, l.RevokeUser(t.Context(), "u"))
		if at := s.entries()[0].At; !at.Equal(time.Now()) || l.Status().ClockSkew != 0 {
			t.Errorf("stamped %v", at)
		}
	})
}

// A clock that is ahead does not remove entries that are valid by the store's
// clock.
func TestClockAheadRemovesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		clock := testkit.NewClock(time.Now())
		l := newList(t, revocation.Config{Store: s, Now: clock.Now, MaxTokenLife: time.Hour})
		must(t, l.Warm(t.Context()))
		must(t, l.RevokeUser(t.Context(), "u"))
		clock.Advance(30 * 24 * time.Hour)
		time.Sleep(20 * time.Minute)
		must(t, l.RevokeUser(t.Context(), "other"))
		clock.Advance(-30 * 24 * time.Hour)
		if !revoked(t, l, of("u"), clock.Now()) {
			t.Error("the revocation is gone")
		}
	})
}

func TestBadEntriesOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		good := newList(t, revocation.Config{Store: s})
		must(t, good.RevokeUser(t.Context(), "u"))
		must(t, good.Close())
		e := s.entries()[0]
		bad := []revocation.Entry{{}}
		for _, change := range []func(*revocation.Entry){
			func(e *revocation.Entry) { e.Kind = 77 },
			func(e *revocation.Entry) { e.Subject = "" },
			func(e *revocation.Entry) { e.Subject += "A" },
			func(e *revocation.Entry) { e.Subject = e.Subject[:26] + "\n" },
			func(e *revocation.Entry) { e.Subject = strings.Repeat("A", 1<<20) },
			func(e *revocation.Entry) { e.At = time.Time{} },
			func(e *revocation.Entry) { e.At = time.Now().Add(25 * time.Hour) },
			func(e *revocation.Entry) { e.Expires = time.Time{} },
			func(e *revocation.Entry) { e.Kind = revocation.KindAll },
		} {
			b := e
			change(&b)
			bad = append(bad, b)
		}
		s.set(func(s *memStore) { s.log = append(bad, e) })
		var log bytes.Buffer
		l := newList(t, revocation.Config{Store: s, Resync: time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		must(t, l.Warm(t.Context()))
		if st := l.Status(); st.Malformed != len(bad) || st.Entries != 1 {
			t.Errorf("got %+v, want %d malformed and 1 entry", st, len(bad))
		}
		check(t, l, "u", true, nil)
		check(t, l, "other", false, nil)
		time.Sleep(10 * time.Second)
		must(t, l.Close())
		if n := strings.Count(log.String(), "malformed"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &log)
		}
	})
}

// Entries of the store are accepted beyond Limit.
func TestLimitDoesNotBoundTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		a := newList(t, revocation.Config{Store: s})
		for n := range 10 {
			must(t, a.RevokeUser(t.Context(), fmt.Sprint("u", n)))
		}
		b := newList(t, revocation.Config{Store: s, Limit: 5})
		must(t, b.Warm(t.Context()))
		for n := range 10 {
			check(t, b, fmt.Sprint("u", n), true, nil)
		}
		if err := b.RevokeUser(t.Context(), "v"); !errors.Is(err, revocation.ErrFull) {
			t.Errorf("got %v", err)
		}
		must(t, b.RevokeIssuedBefore(t.Context(), time.Now()))
	})
}

func TestSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		a := newList(t, revocation.Config{Store: s})
		must(t, a.Warm(t.Context()))
		must(t, a.RevokeUser(t.Context(), "u"))
		must(t, a.BlockUser(t.Context(), "banned"))
		must(t, a.RevokeIssuedBefore(t.Context(), time.Now().Add(-time.Hour)))
		snapshot, err := a.Snapshot()
		must(t, err)
		known := func(l *revocation.List) {
			t.Helper()
			check(t, l, "u", true, nil)
			check(t, l, "banned", true, nil)
			old := &claims.Claims{UserID: "x", IssuedAt: time.Now().Add(-2 * time.Hour)}
			if out, _ := l.Revoked(t.Context(), old, time.Now()); !out {
				t.Error("RevokeIssuedBefore is lost")
			}
		}
		down := newStore()
		down.down(errDown)
		time.Sleep(time.Minute)
		b := newList(t, revocation.Config{Store: down, Initial: snapshot})
		must(t, b.Warm(t.Context()))
		known(b)
		check(t, b, "other", false, nil)
		if st := b.Status(); !st.Ready || !st.Stale || st.Staleness < 59*time.Second {
			t.Errorf("got %+v", st)
		}
		time.Sleep(5 * time.Minute)
		known(b)
		check(t, b, "other", false, revocation.ErrStale)
		// Entries that only the snapshot has are written to the store.
		down.down(nil)
		time.Sleep(15 * time.Second)
		check(t, b, "other", false, nil)
		if n := len(down.entries()); n != 3 {
			t.Errorf("%d entries were written, want 3", n)
		}
		alone := newList(t, revocation.Config{Initial: snapshot})
		known(alone)
		check(t, alone, "other", false, nil)

		for name, damaged := range map[string][]byte{
			"empty":     {},
			"cut off":   snapshot[:len(snapshot)-1],
			"extended":  append(bytes.Clone(snapshot), '\n'),
			"changed":   bytes.Replace(snapshot, []byte("1u."), []byte("1n."), 1),
			"a line":    bytes.Replace(snapshot, []byte("\n1"), []byte("\n"), 1),
			"not a one": []byte(strings.Repeat("x", 200)),
		} {
			if l, err := revocation.New(revocation.Config{Initial: damaged}); err == nil {
				t.Errorf("%s: no error", name)
				l.Close()
			}
		}
	})
}

// The time of a snapshot in the future counts as now, so its age is not
// negative.
func TestSnapshotOfTheFuture(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newList(t, revocation.Config{})
		time.Sleep(time.Hour)
		snapshot, err := a.Snapshot()
		must(t, err)
		s := newStore()
		s.down(errDown)
		start := time.Now()
		now := func() time.Time { return start.Add(-time.Hour).Add(time.Since(start)) }
		l := newList(t, revocation.Config{Store: s, Initial: snapshot, Now: now})
		time.Sleep(5*time.Minute + time.Second)
		if _, err := l.Revoked(t.Context(), of("u"), now()); !errors.Is(err, revocation.ErrStale) {
			t.Errorf("got %v", err)
		}
	})
}

// A store that makes no progress causes an error and no busy loop.
type brokenStore struct{ batch revocation.Batch }

func (brokenStore) Append(context.Context, []revocation.Entry) error { return nil }
func (s brokenStore) Read(
	context.Context, revocation.Cursor, time.Duration,
) (revocation.Batch, error) {
	return s.batch, nil
}

func TestBrokenStore(t *testing.T) {
	for _, b := range []revocation.Batch{{Gap: true}, {}} {
		bubble(t, func(t *testing.T) {
			l := newList(t, revocation.Config{Store: brokenStore{b}})
			time.Sleep(time.Minute)
			if st := l.Status(); st.Ready || st.Failures == 0 || st.Failures > 200 {
				t.Errorf("%+v: got %+v", b, st)
			}
		})
	}
}
