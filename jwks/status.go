package jwks

import "time"

// Status describes a [Cache], for a health endpoint or a metric. It marshals to
// JSON. Its times are in UTC.
type Status struct {
	Environment string `json:"environment"` // its name
	URL         string `json:"url"`         // of the key set

	State State `json:"state"`
	// Usable reports whether there are keys to verify tokens with. Use it for
	// readiness checks.
	Usable bool `json:"usable"`
	// Stale reports whether the keys are overdue because fetches fail. Use it
	// for alerts: Usable becomes false at StaleAt.
	Stale bool `json:"stale"`

	KeyIDs  []string  `json:"kids"`              // of the usable keys, sorted
	Skipped []Skipped `json:"skipped,omitempty"` // in the order of the set
	// FetchedAt is when the request for the key set was sent. For a plain key
	// set in Config.Initial, it is the time of New. Without Initial, it is zero
	// until the first fetch succeeds.
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
	NextFetch time.Time `json:"nextFetch,omitzero"` // zero if no fetch is scheduled
	// StaleAt is when the keys become unusable if no fetch succeeds. It is zero
	// without keys and if Offline.
	StaleAt time.Time `json:"staleAt,omitzero"`

	Fetches   uint64    `json:"fetches"`             // since New
	Failures  int       `json:"failures"`            // number of failed fetches in a row
	LastError string    `json:"lastError,omitempty"` // empty after a success
	ErrorAt   time.Time `json:"errorAt,omitzero"`    // of the last failure, kept after a success
}

// Skipped is a key of the set that is not used.
type Skipped struct {
	Index  int    `json:"index"`         // its position in the set, from 0
	KeyID  string `json:"kid,omitempty"` // empty if it has no usable ID
	Reason string `json:"reason"`        // never quotes the key
}

// Status returns the status of the cache. It neither waits nor fetches.
func (c *Cache) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.set.Load(), c.now().UnixNano()
	state := s.state(now)
	st := Status{
		Environment: c.env.Name, URL: c.env.URL,
		State: state, Usable: state.usable(),
		Stale:  state == StateStale || state == StateUnavailable && len(s.keys) > 0,
		KeyIDs: sortedIDs(s.keys), FetchedAt: s.fetchedAt,
		Fetches: c.fetches, Failures: s.failures, ErrorAt: c.lastErrAt,
	}
	for _, k := range s.skipped {
		st.Skipped = append(st.Skipped, Skipped(k))
	}
	if c.lastErr != nil {
		st.LastError = c.lastErr.Error()
	}
	if c.timer != nil && !c.closed {
		st.NextFetch = time.Unix(0, c.nextAt).UTC()
	}
	if len(s.keys) > 0 && !s.offline {
		st.StaleAt = time.Unix(0, s.staleAt).UTC()
	}
	return st
}
