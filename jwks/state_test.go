package jwks_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

var states = []jwks.State{
	jwks.StateCold, jwks.StateInitial, jwks.StateFresh, jwks.StateRetrying, jwks.StateStale,
	jwks.StateOverdue, jwks.StateUnavailable, jwks.StateOffline,
}

// inState fails the test unless the cache is in this state, and Status agrees
// with the look-ups.
func inState(t *testing.T, c *jwks.Cache, want jwks.State) {
	t.Helper()
	st := c.Status()
	if st.State != want {
		t.Fatalf("state %q, want %q", st.State, want)
	}
	if usable := want != jwks.StateCold && want != jwks.StateUnavailable; st.Usable != usable {
		t.Errorf("%s: usable is %t", want, st.Usable)
	}
	stale := want == jwks.StateStale || want == jwks.StateUnavailable && len(st.KeyIDs) > 0
	if st.Stale != stale {
		t.Errorf("%s: stale is %t", want, st.Stale)
	}
}

// This test covers every arrow of the diagram in docs/outages.md.
func TestStates(t *testing.T) {
	const stale, promise = 10 * time.Minute, refresh + timeout
	good, bad, empty := keys(keyA()), status(500), body(`{"keys":[]}`)
	const cold, initial, offline = 0, 1, 2
	type step struct {
		wait   time.Duration
		answer http.HandlerFunc // of the fetch that is due; nil for no fetch
		want   jwks.State
	}
	for name, test := range map[string]struct {
		start int // cold, or with Initial, or with Initial and Offline
		steps []step
	}{
		"cold, fresh, fresh": {cold, []step{{0, nil, jwks.StateCold},
			{time.Hour, nil, jwks.StateCold}, {0, good, jwks.StateFresh},
			{refresh, good, jwks.StateFresh}}},
		"cold, unavailable, fresh": {cold, []step{{0, bad, jwks.StateUnavailable},
			{2 * time.Second, good, jwks.StateFresh}}},
		"fresh, retrying, stale, unavailable, fresh": {cold, []step{{0, good, jwks.StateFresh},
			{promise - 1, bad, jwks.StateRetrying}, {1, nil, jwks.StateStale},
			{stale - promise - 1, nil, jwks.StateStale}, {1, nil, jwks.StateUnavailable},
			{0, good, jwks.StateFresh}}},
		"retrying, fresh": {cold, []step{{0, good, jwks.StateFresh},
			{refresh, bad, jwks.StateRetrying}, {2 * time.Second, good, jwks.StateFresh}}},
		"fresh, overdue, fresh": {cold, []step{{0, good, jwks.StateFresh},
			{promise - 1, nil, jwks.StateFresh}, {1, nil, jwks.StateOverdue},
			{0, good, jwks.StateFresh}}},
		"fresh, overdue, stale, fresh": {cold, []step{{0, good, jwks.StateFresh},
			{promise, bad, jwks.StateStale}, {2 * time.Second, good, jwks.StateFresh}}},
		"overdue, unavailable": {cold, []step{{0, good, jwks.StateFresh},
			{stale, nil, jwks.StateUnavailable}}},
		"initial, fresh": {initial, []step{{0, nil, jwks.StateInitial},
			{0, good, jwks.StateFresh}}},
		"initial, retrying, stale": {initial, []step{{0, nil, jwks.StateInitial},
			{0, bad, jwks.StateRetrying}, {promise, nil, jwks.StateStale}}},
		"initial, unavailable": {initial, []step{ // the keys of Initial are not overdue
			{stale - 1, nil, jwks.StateInitial}, {1, nil, jwks.StateUnavailable}}},
		"retrying, unavailable": {cold, []step{{0, good, jwks.StateFresh},
			{refresh, empty, jwks.StateRetrying}, {90 * time.Second, empty, jwks.StateStale},
			{90 * time.Second, empty, jwks.StateStale},
			{90 * time.Second, empty, jwks.StateUnavailable}}},
		"offline": {offline, []step{{0, nil, jwks.StateOffline},
			{100 * stale, nil, jwks.StateOffline}}},
	} {
		t.Run(name, func(t *testing.T) {
			l, now := newLab(t), newClock()
			cfg := jwks.Config{StaleLimit: stale, Offline: test.start == offline}
			if test.start != cold {
				cfg.Initial = l.keySet(keyA())
			}
			c := l.cache(t, cfg, jwks.WithClock(now.Now))
			for _, step := range test.steps {
				now.Advance(step.wait)
				if step.answer != nil {
					l.does(step.answer)
					if c.Status().State == jwks.StateOverdue {
						found(t, c, "a") // the look-up waits for the fetch
					}
					settle(c)
				}
				inState(t, c, step.want)
			}
			if n := len(c.Status().KeyIDs); (n == 0) != (name == "retrying, unavailable") {
				t.Errorf("%d keys remain", n)
			}
		})
	}
}

// A snapshot counts from the fetch that it comes from.
func TestStatesOfAnOldSnapshot(t *testing.T) {
	const stale, promise = 10 * time.Minute, refresh + timeout
	l, now := newLab(t), newClock()
	l.serves(keyA())
	first := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	settle(first)
	snapshot, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	cfg := jwks.Config{Initial: jwks.FromBytes(snapshot), StaleLimit: stale}
	now.Advance(promise)
	l.does(status(500))
	c := l.cache(t, cfg, jwks.WithClock(now.Now))
	inState(t, c, jwks.StateInitial)
	settle(c)
	inState(t, c, jwks.StateStale)
	now.Advance(stale - promise)
	inState(t, l.cache(t, cfg, jwks.WithClock(now.Now)), jwks.StateUnavailable)
}

// docs/outages.md has a row and a node of the diagram for each state.
func TestEveryStateIsDocumented(t *testing.T) {
	diagram := section(t, "```mermaid", "```")
	var nodes []jwks.State
	for _, node := range regexp.MustCompile(`(?m)--> (\w+):`).FindAllStringSubmatch(diagram, -1) {
		nodes = append(nodes, jwks.State(node[1]))
	}
	slices.Sort(nodes)
	if nodes = slices.Compact(nodes); !slices.Equal(nodes, slices.Sorted(slices.Values(states))) {
		t.Errorf("nodes %q, states %q", nodes, states)
	}
	table := section(t, "| State |", "\n\n")
	for _, state := range states {
		if !strings.Contains(table, "\n| `"+string(state)+"`") {
			t.Errorf("no row for the state %s", state)
		}
	}
}

// The clock is read after every wait. A key that becomes unusable during the
// wait is not returned. The fetch ends the wait, or the context after 3 s.
func TestClockIsReadAfterTheWait(t *testing.T) {
	for _, patience := range []time.Duration{time.Hour, 3 * time.Second} {
		for _, left := range []time.Duration{2 * time.Second, 10 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				l, c := bubbleStarted(t, jwks.Config{StaleLimit: time.Hour})
				l.does(hang)
				c.SetBack(left - time.Hour) // suspended: this much is left
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := c.Key(ctx, "a")
				if usable := left > timeout; (err == nil) != usable {
					t.Errorf("%v before the limit, with %v to wait: %v", left, patience, err)
				}
			})
		}
	}
}
