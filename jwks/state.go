package jwks

import (
	"time"

	"github.com/parajwt/parajwt/internal/jose"
)

// State is the state of a [Cache]. docs/outages.md describes what a look-up
// does in each state, and what causes each change of state.
//
// Keys are overdue when they are older than the refresh interval plus
// Config.FetchTimeout. The refresh interval is Config.RefreshInterval, or a
// shorter Cache-Control max-age.
type State string

const (
	// StateCold means that nothing was fetched yet. The first call of Key,
	// KeyAt or Warm fetches.
	StateCold State = "cold"
	// StateInitial means that the keys of Config.Initial are used. The first
	// call of Key, KeyAt or Warm fetches.
	StateInitial State = "initial"
	// StateFresh means that the last fetch succeeded.
	StateFresh State = "fresh"
	// StateRetrying means that the last fetch failed. The keys are used and are
	// not overdue.
	StateRetrying State = "retrying"
	// StateStale means that the keys are overdue because fetches fail. They are
	// used until Config.StaleLimit.
	StateStale State = "stale"
	// StateOverdue means that the keys are overdue although no fetch failed.
	// The process was suspended past a refresh, or the cache is closed.
	StateOverdue State = "overdue"
	// StateUnavailable means that there are no keys because fetches fail, or
	// that the keys are older than Config.StaleLimit.
	StateUnavailable State = "unavailable"
	// StateOffline means that the keys of Config.Initial are used and nothing
	// is fetched.
	StateOffline State = "offline"
)

// usable reports whether keys can be used in this state.
func (s State) usable() bool { return s != StateCold && s != StateUnavailable }

// failing reports whether fetches fail in this state, or no keys are usable. An
// unknown key ID may then belong to a new key.
func (s State) failing() bool {
	return s == StateRetrying || s == StateStale || !s.usable()
}

// keySet is an immutable version of the key set. Times are nanoseconds of the
// wall clock: the monotonic clock stops while a machine is suspended, but its
// keys age.
type keySet struct {
	keys      map[string]*jose.Key
	skipped   []jose.Skipped
	etag      string
	fetchedAt time.Time // when the request was sent (RFC 9111 §4.2.3)
	initial   bool      // from Config.Initial; Para has not answered yet
	offline   bool
	failures  int // fetches that failed in a row

	// A known key is returned without a lock from the time since until before
	// the time until.
	since, until int64
	overdueAt    int64 // when the keys become overdue
	staleAt      int64 // when the keys become unusable
}

// state returns the state at a time.
func (s *keySet) state(now int64) State {
	switch {
	case s.offline:
		return StateOffline
	case len(s.keys) == 0 && s.fetchedAt.IsZero() && s.failures == 0:
		return StateCold
	case len(s.keys) == 0 || now >= s.staleAt:
		return StateUnavailable
	case s.failures > 0 && now >= s.overdueAt:
		return StateStale
	case s.failures > 0:
		return StateRetrying
	case s.initial:
		return StateInitial
	case now >= s.overdueAt:
		return StateOverdue
	}
	return StateFresh
}
