package jwks_test

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
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
	const stale = 10 * time.Minute
	start := func(t *testing.T, cfg jwks.Config) (*lab, *testkit.Clock, *jwks.Cache) {
		l, now := newLab(t), newClock()
		l.serves(keyA())
		cfg.StaleLimit = stale
		if cfg.Offline {
			cfg.Initial = l.keySet(keyA())
		}
		return l, now, l.cache(t, cfg, jwks.WithClock(now.Now))
	}
	t.Run("cold, fresh, fresh", func(t *testing.T) {
		_, now, c := start(t, jwks.Config{})
		inState(t, c, jwks.StateCold)
		now.Advance(time.Hour)
		inState(t, c, jwks.StateCold)
		settle(c)
		inState(t, c, jwks.StateFresh)
		now.Advance(refresh)
		settle(c)
		inState(t, c, jwks.StateFresh)
	})
	t.Run("cold, unavailable, fresh", func(t *testing.T) {
		l, now, c := start(t, jwks.Config{})
		l.does(status(500))
		settle(c)
		inState(t, c, jwks.StateUnavailable)
		l.serves(keyA())
		now.Advance(2 * time.Second)
		settle(c)
		inState(t, c, jwks.StateFresh)
	})
	t.Run("fresh, retrying, stale, unavailable, fresh", func(t *testing.T) {
		l, now, c := start(t, jwks.Config{})
		settle(c)
		l.does(status(500))
		now.Advance(refresh + timeout - 1)
		settle(c)
		inState(t, c, jwks.StateRetrying)
		now.Advance(1)
		inState(t, c, jwks.StateStale)
		now.Advance(stale - refresh - timeout - 1)
		inState(t, c, jwks.StateStale)
		now.Advance(1)
		inState(t, c, jwks.StateUnavailable)
		l.serves(keyA())
		settle(c)
		inState(t, c, jwks.StateFresh)
	})
	t.Run("retrying, fresh", func(t *testing.T) {
		l, now, c := start(t, jwks.Config{})
		settle(c)
		l.does(status(500))
		now.Advance(refresh)
		settle(c)
		inState(t, c, jwks.StateRetrying)
		l.serves(keyA())
		now.Advance(2 * time.Second)
		settle(c)
		inState(t, c, jwks.StateFresh)
	})
	t.Run("fresh, overdue, fresh; fresh, overdue, stale, fresh", func(t *testing.T) {
		l, now, c := start(t, jwks.Config{})
		settle(c)
		now.Advance(refresh + timeout - 1)
		inState(t, c, jwks.StateFresh)
		now.Advance(1)
		inState(t, c, jwks.StateOverdue)
		found(t, c, "a")
		inState(t, c, jwks.StateFresh)
		now.Advance(refresh + timeout)
		l.does(status(500))
		found(t, c, "a")
		inState(t, c, jwks.StateStale)
		l.serves(keyA())
		now.Advance(2 * time.Second)
		settle(c)
		inState(t, c, jwks.StateFresh)
	})
	t.Run("overdue, unavailable", func(t *testing.T) {
		_, now, c := start(t, jwks.Config{})
		settle(c)
		now.Advance(stale)
		inState(t, c, jwks.StateUnavailable)
	})
	t.Run("initial, fresh; initial, retrying, stale", func(t *testing.T) {
		for _, answer := range []http.HandlerFunc{body(testkit.SetOf(keyA())), status(500)} {
			l, now := newLab(t), newClock()
			l.does(answer)
			c := l.cache(t, jwks.Config{Initial: l.keySet(keyA()), StaleLimit: stale},
				jwks.WithClock(now.Now))
			inState(t, c, jwks.StateInitial)
			settle(c)
			if c.Status().Failures == 0 {
				inState(t, c, jwks.StateFresh)
				continue
			}
			inState(t, c, jwks.StateRetrying)
			now.Advance(refresh + timeout)
			inState(t, c, jwks.StateStale)
		}
	})
	t.Run("an old snapshot: initial, stale; unavailable", func(t *testing.T) {
		l, now, first := start(t, jwks.Config{})
		settle(first)
		snapshot, err := first.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		cfg := jwks.Config{Initial: jwks.FromBytes(snapshot), StaleLimit: stale}
		now.Advance(refresh + timeout)
		l.does(status(500))
		c := l.cache(t, cfg, jwks.WithClock(now.Now))
		inState(t, c, jwks.StateInitial)
		settle(c)
		inState(t, c, jwks.StateStale)
		now.Advance(stale - refresh - timeout)
		inState(t, l.cache(t, cfg, jwks.WithClock(now.Now)), jwks.StateUnavailable)
	})
	t.Run("initial, unavailable", func(t *testing.T) {
		l, now := newLab(t), newClock()
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA()), StaleLimit: stale},
			jwks.WithClock(now.Now))
		now.Advance(stale - 1)
		inState(t, c, jwks.StateInitial) // nothing was promised yet
		now.Advance(1)
		inState(t, c, jwks.StateUnavailable)
	})
	t.Run("retrying, unavailable", func(t *testing.T) { // a fourth response without keys
		l, now, c := start(t, jwks.Config{})
		settle(c)
		l.does(body(`{"keys":[]}`))
		for _, wait := range []time.Duration{5 * time.Minute, 90 * time.Second, 90 * time.Second,
			90 * time.Second} {
			now.Advance(wait)
			settle(c)
		}
		inState(t, c, jwks.StateUnavailable)
		if n := len(c.Status().KeyIDs); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})
	t.Run("offline", func(t *testing.T) {
		_, now, c := start(t, jwks.Config{Offline: true})
		inState(t, c, jwks.StateOffline)
		now.Advance(100 * stale)
		inState(t, c, jwks.StateOffline)
	})
}

// docs/outages.md has a row and a node of the diagram for each state.
func TestEveryStateIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/outages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, diagram, _ := strings.Cut(string(page), "```mermaid")
	diagram, _, _ = strings.Cut(diagram, "```")
	var nodes []string
	for _, node := range regexp.MustCompile(`(?m)--> (\w+):`).FindAllStringSubmatch(diagram, -1) {
		nodes = append(nodes, node[1])
	}
	for _, state := range states {
		if !strings.Contains(string(page), "\n| `"+string(state)+"`") {
			t.Errorf("no row for the state %s", state)
		}
		if !slices.Contains(nodes, string(state)) {
			t.Errorf("no node for the state %s", state)
		}
	}
	for _, node := range nodes {
		if !slices.Contains(states, jwks.State(node)) {
			t.Errorf("the diagram has a state that the code lacks: %s", node)
		}
	}
}

// The clock is read after every wait. A key that becomes unusable during the
// wait is not returned.
func TestClockIsReadAfterTheWait(t *testing.T) {
	for name, give := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"the fetch ends the wait": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ctx, func() {}
		},
		"the context ends the wait": func(ctx context.Context) (context.Context,
			context.CancelFunc) {
			return context.WithTimeout(ctx, 3*time.Second)
		},
	} {
		for _, left := range []time.Duration{2 * time.Second, 10 * time.Second} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, c := bubbleStarted(t, jwks.Config{StaleLimit: time.Hour})
					l.does(hang)
					c.SetBack(left - time.Hour) // suspended: this much is left
					ctx, cancel := give(t.Context())
					defer cancel()
					_, err := c.Key(ctx, "a")
					if usable := left > timeout; (err == nil) != usable {
						t.Errorf("%v before the limit: %v", left, err)
					}
				})
			})
		}
	}
}
