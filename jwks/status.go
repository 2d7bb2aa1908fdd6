package jwks

import "time"

// Status is how a [Cache] stands, for a health endpoint or a metric. It marshals to JSON.
type Status struct {
	Environment string `json:"environment"`
	URL         string `json:"url"`

	// Usable is whether tokens can be verified at all. It is what a readiness check asks.
	Usable bool `json:"usable"`
	// Stale is whether the keys are older than they should be because they could not be
	// refreshed. It is what an alert asks: at StaleAt, Usable becomes false.
	Stale bool `json:"stale"`

	KeyIDs    []string  `json:"kids"`
	Skipped   []Skipped `json:"skipped,omitempty"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"` // zero: never
	NextFetch time.Time `json:"nextFetch,omitzero"` // zero: none is planned
	StaleAt   time.Time `json:"staleAt,omitzero"`   // zero: never, or no keys

	Fetches   uint64    `json:"fetches"`  // begun since New
	Failures  int       `json:"failures"` // in a row
	LastError string    `json:"lastError,omitempty"`
	ErrorAt   time.Time `json:"errorAt,omitzero"` // of the last failure, also once it is over
}

// Skipped is a key of the set that is not used.
type Skipped struct {
	Index  int    `json:"index"` // its place in the set, from 0
	KeyID  string `json:"kid,omitempty"`
	Reason string `json:"reason"`
}

// Status returns how the cache stands. It never waits and never fetches.
func (c *Cache) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.set.Load(), c.cfg.Now().UnixNano()
	st := Status{
		Environment: c.env.Name, URL: c.env.URL,
		Usable: s.usable(now), Stale: len(s.keys) > 0 && c.failures > 0 && now >= s.overdueAt || len(s.keys) > 0 && now >= s.staleAt,
		KeyIDs: sortedIDs(s.keys), FetchedAt: s.fetchedAt,
		Fetches: c.fetches, Failures: c.failures, ErrorAt: c.lastErrAt,
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
	if len(s.keys) > 0 && !c.cfg.Offline {
		st.StaleAt = time.Unix(0, s.staleAt).UTC()
	}
	return st
}
