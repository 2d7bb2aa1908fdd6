// Package storetest implements a conformance test suite for implementations of
// [revocation.Store].
package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/revocation"
)

// Run tests an implementation of [revocation.Store]. Each call of open returns
// a store with a new, empty log. A test may open several stores, and uses them
// at the same time, so each needs a key or table that no other store uses. open
// may call Cleanup of its t to remove the log.
//
// The clock of the store's server must differ from this machine's by less than
// a minute. Run takes some seconds, because it waits for reads.
func Run(t *testing.T, open func(t *testing.T) revocation.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func(*testing.T) revocation.Store)
	}{
		{"an empty log", emptyLog},
		{"entries are returned as they were appended", roundTrip},
		{"reading again returns the same entries", rereading},
		{"many entries", manyEntries},
		{"nothing to append", appendNothing},
		{"a malformed entry is not appended", malformed},
		{"an append ends the wait of a read", wakesReader},
		{"a read waits no longer than it should", waitsNoLonger},
		{"a cancelled context ends a read", cancelled},
		{"a cursor of a deleted log is a gap", otherLog},
		{"two writers and a reader", twoWriters},
		{"the store's clock", clock},
		{"expired entries", expired},
		{"lifted blocks", liftedBlocks},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// subject returns a valid Subject that differs for each n.
func subject(n int) string {
	return fmt.Sprintf("%026d", n) + "A"
}

func user(n int) revocation.Entry {
	now := time.Now()
	return revocation.Entry{Kind: revocation.KindUser, Subject: subject(n),
		At: now, Expires: now.Add(time.Hour)}
}

// stored returns an entry with the precision that a store keeps.
func stored(e revocation.Entry) string {
	text, err := e.MarshalText()
	if err != nil {
		return "malformed"
	}
	return string(text)
}

func add(t *testing.T, s revocation.Store, entries ...revocation.Entry) {
	t.Helper()
	if err := s.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// rest reads from a cursor to the end of the log.
func rest(t *testing.T, s revocation.Store, after revocation.Cursor) (
	entries []string, end revocation.Cursor) {
	t.Helper()
	for range 1000 {
		b, err := s.Read(t.Context(), after, 0)
		if err != nil {
			t.Fatal(err)
		}
		if b.Gap {
			t.Fatalf("a gap after %q", after)
		}
		for _, e := range b.Entries {
			entries = append(entries, stored(e))
		}
		if !b.End && b.Next == after {
			t.Fatal("Read returned neither entries nor the end")
		}
		if after = b.Next; b.End {
			return entries, after
		}
	}
	t.Fatal("1,000 reads did not reach the end of the log")
	return nil, ""
}

func equal(t *testing.T, what string, got []string, want ...revocation.Entry) {
	t.Helper()
	texts := make([]string, len(want))
	for i, e := range want {
		texts[i] = stored(e)
	}
	if strings.Join(got, " ") != strings.Join(texts, " ") {
		t.Errorf("%s: got %d entries %.300q, want %d %.300q",
			what, len(got), got, len(texts), texts)
	}
}

func emptyLog(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	b, err := s.Read(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Entries) != 0 || !b.End || b.Gap || b.Next != "" {
		t.Errorf("got %+v, want the end with cursor \"\"", b)
	}
}

func roundTrip(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	at := time.Now()
	entries := []revocation.Entry{
		{Kind: revocation.KindUser, Subject: subject(1), At: at, Expires: at.Add(744 * time.Hour)},
		{Kind: revocation.KindToken, Subject: subject(2), At: at, Expires: at.Add(time.Hour)},
		{Kind: revocation.KindAll, At: at.Add(-time.Hour), Expires: at.Add(time.Hour)},
		{Kind: revocation.KindBlock, Subject: subject(3), At: at},
		{Kind: revocation.KindUnblock, Subject: subject(4), At: at, Expires: at.Add(time.Hour)},
		{Kind: revocation.KindUser, Subject: "_-_" + subject(5)[3:],
			At: time.UnixMilli(1), Expires: time.Unix(1<<32-1, 0)},
	}
	add(t, s, entries...)
	got, _ := rest(t, s, "")
	equal(t, "in one call", got, entries...)
	s = open(t)
	for _, e := range entries {
		add(t, s, e)
	}
	got, _ = rest(t, s, "")
	equal(t, "one by one", got, entries...)
}

func rereading(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	add(t, s, user(1), user(2))
	first, middle := rest(t, s, "")
	add(t, s, user(3))
	for range 2 {
		got, _ := rest(t, s, middle)
		if len(got) != 1 {
			t.Errorf("after the first two: got %d entries, want 1", len(got))
		}
		all, end := rest(t, s, "")
		if len(all) != 3 || all[0] != first[0] || all[1] != first[1] {
			t.Errorf("from the beginning: got %d entries, want the first two and one more",
				len(all))
		}
		if got, again := rest(t, s, end); len(got) != 0 || again != end {
			t.Errorf("at the end: got %d entries and cursor %q, want 0 and %q",
				len(got), again, end)
		}
	}
}

func manyEntries(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	entries := make([]revocation.Entry, 12_345)
	for i := range entries {
		entries[i] = user(i)
	}
	entries[777] = revocation.Entry{
		Kind: revocation.KindBlock, Subject: subject(777), At: time.Now(),
	}
	for i := 0; i < len(entries); i += 1000 {
		add(t, s, entries[i:min(i+1000, len(entries))]...)
	}
	got, _ := rest(t, s, "")
	equal(t, "all", got, entries...)
	s = open(t)
	add(t, s, entries...)
	got, _ = rest(t, s, "")
	equal(t, "appended in one call", got, entries...)
}

func appendNothing(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	add(t, s)
	got, _ := rest(t, s, "")
	equal(t, "after an append of nothing", got)
}

func malformed(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	good := user(1)
	for name, change := range map[string]func(*revocation.Entry){
		"no kind":       func(e *revocation.Entry) { e.Kind = 0 },
		"unknown kind":  func(e *revocation.Entry) { e.Kind = 99 },
		"no subject":    func(e *revocation.Entry) { e.Subject = "" },
		"long subject":  func(e *revocation.Entry) { e.Subject = strings.Repeat("A", 1000) },
		"no time":       func(e *revocation.Entry) { e.At = time.Time{} },
		"never expires": func(e *revocation.Entry) { e.Expires = time.Time{} },
	} {
		bad := good
		change(&bad)
		if err := s.Append(t.Context(), []revocation.Entry{bad}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	add(t, s, good)
	got, _ := rest(t, s, "")
	equal(t, "after the malformed entries", got, good)
}

func wakesReader(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	cursor := revocation.Cursor("")
	for n := range 3 { // the first time the log is empty
		read := make(chan error, 1)
		go func() {
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
				b, err := s.Read(t.Context(), cursor, 10*time.Second)
				if err != nil {
					read <- err
					return
				}
				if len(b.Entries) > 0 {
					cursor = b.Next
					read <- nil
					return
				}
			}
			read <- fmt.Errorf("a read of a log with a new entry returned no entry")
		}()
		time.Sleep(20 * time.Millisecond) // so that the read waits; harmless if it does not
		add(t, s, user(n))
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
}

func waitsNoLonger(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	for _, entries := range [][]revocation.Entry{nil, {user(1)}} {
		add(t, s, entries...)
		_, end := rest(t, s, "")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for _, wait := range []time.Duration{0, time.Nanosecond, 50 * time.Millisecond,
			1500 * time.Millisecond} {
			b, err := s.Read(ctx, end, wait)
			if err != nil || len(b.Entries) > 0 || !b.End || b.Gap {
				t.Errorf("waiting %v: got %+v, %v", wait, b, err)
			}
		}
		cancel()
	}
}

func cancelled(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	add(t, s, user(1))
	_, end := rest(t, s, "")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Read(ctx, end, time.Second)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the read did not end")
	}
	got, _ := rest(t, s, "")
	if len(got) != 1 {
		t.Errorf("got %d entries afterwards, want 1", len(got))
	}
}

func otherLog(t *testing.T, open func(*testing.T) revocation.Store) {
	old := open(t)
	add(t, old, user(1), user(2), user(3))
	_, cursor := rest(t, old, "")
	isGap := func(what string, s revocation.Store, cursor revocation.Cursor) {
		t.Helper()
		b, err := s.Read(t.Context(), cursor, 0)
		if err != nil || !b.Gap || len(b.Entries) > 0 || b.Next != "" {
			t.Errorf("%s: got %+v, %v, want a gap", what, b, err)
		}
	}
	s := open(t)
	isGap("in an empty log", s, cursor)
	add(t, s, user(1))
	isGap("in a shorter log", s, cursor)
	add(t, s, user(2), user(3))
	isGap("in a log of the same length", s, cursor)
	for n := range 5 {
		add(t, s, user(n))
	}
	isGap("in a longer log", s, cursor)
	isGap("a malformed cursor", s, "no cursor")
	if got, _ := rest(t, old, cursor); len(got) != 0 {
		t.Errorf("in its own log: got %d entries", len(got))
	}
}

// twoWriters checks that a reader that follows the log gets every entry once,
// in the order of its writer. The order of the log must be the order in which
// entries become visible.
func twoWriters(t *testing.T, open func(*testing.T) revocation.Store) {
	const writers, each = 4, 100
	s := open(t)
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for n := range each {
				if err := s.Append(t.Context(), []revocation.Entry{user(w*each + n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[int]int{}
	cursor := revocation.Cursor("")
	for total := 0; total < writers*each; {
		b, err := s.Read(t.Context(), cursor, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if b.Gap || b.End && len(b.Entries) == 0 && t.Failed() {
			t.Fatalf("got %+v", b)
		}
		for _, e := range b.Entries {
			var n int
			fmt.Sscanf(e.Subject[:26], "%d", &n)
			if want := n/each*each + next[n/each]; n != want {
				t.Fatalf("got entry %d, want %d", n, want)
			}
			next[n/each]++
			total++
		}
		cursor = b.Next
	}
	work.Wait()
}

func clock(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	for range 2 {
		b, err := s.Read(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if skew := time.Since(b.Time).Abs(); !b.Time.IsZero() && skew > time.Minute {
			t.Errorf("the store's clock is %v off", skew)
		}
		add(t, s, user(1))
	}
}

// expired checks that deleting expired entries deletes no other entry, and
// causes no gap for a reader at the end of the log.
func expired(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	old := user(1)
	old.At, old.Expires = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	kept, alsoKept := user(2), old
	alsoKept.Kind, alsoKept.Expires = revocation.KindBlock, time.Time{}
	add(t, s, old, kept)
	add(t, s, old)
	add(t, s, alsoKept, old)
	_, end := rest(t, s, "")
	for range 3 {
		got, _ := rest(t, s, "")
		var left []string
		for _, e := range got {
			if e != stored(old) {
				left = append(left, e)
			}
		}
		equal(t, "besides expired ones", left, kept, alsoKept)
		if got, _ := rest(t, s, end); len(got) != 0 {
			t.Errorf("at the end: got %d entries", len(got))
		}
	}
}

// liftedBlocks checks that an unblock is never deleted before its block, and
// that a block in force is never deleted.
func liftedBlocks(t *testing.T, open func(*testing.T) revocation.Store) {
	s := open(t)
	now := time.Now()
	entry := func(n int, kind revocation.Kind, ago time.Duration) revocation.Entry {
		e := revocation.Entry{Kind: kind, Subject: subject(n), At: now.Add(-ago)}
		if kind == revocation.KindUnblock {
			e.Expires = e.At.Add(time.Hour)
		}
		return e
	}
	const block, unblock = revocation.KindBlock, revocation.KindUnblock
	add(t, s,
		entry(1, block, 9*time.Hour), entry(1, unblock, 8*time.Hour), // lifted
		entry(2, block, 8*time.Hour), entry(2, unblock, 9*time.Hour), // set again
		entry(3, block, 9*time.Hour), entry(3, unblock, 9*time.Hour), // the block counts
		entry(4, block, 9*time.Hour),
		user(5))
	for range 4 {
		blocked := map[string]time.Time{}
		lifted := map[string]time.Time{}
		cursor := revocation.Cursor("")
		for end := false; !end; {
			b, err := s.Read(t.Context(), cursor, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Entries {
				switch e.Kind {
				case block:
					blocked[e.Subject] = e.At
				case unblock:
					lifted[e.Subject] = e.At
				}
			}
			cursor, end = b.Next, b.End
		}
		for n := 1; n <= 4; n++ {
			at, is := blocked[subject(n)]
			if is = is && !at.Before(lifted[subject(n)]); is != (n > 1) {
				t.Errorf("user %d: blocked is %v, want %v", n, is, n > 1)
			}
		}
	}
}
