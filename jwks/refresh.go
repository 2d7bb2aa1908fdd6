package jwks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	minFresh   = time.Minute
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
	// maxEmptyAnswers is how many answers in a row, at least minFresh apart,
	// may have no usable key while the cached keys stay in use.
	maxEmptyAnswers = 3
	// clockSlack is how far the clock may step back without any effect.
	clockSlack = int64(time.Minute)
)

// refresh is a fetch in progress. Any number of callers may wait for it.
type refresh struct {
	done  chan struct{}
	keyID string // the unknown key ID that caused it, if any
	late  bool   // it started more than clockSlack late: the process was suspended
}

// startIfDue starts the scheduled fetch if it is due and none is in progress.
// id is the unknown key ID that causes it, if any. The caller holds mu.
func (c *Cache) startIfDue(now int64, id string) {
	if c.inflight == nil && (now >= c.nextAt || now-c.attemptAt <= -clockSlack) {
		c.start(now, id)
	}
}

// start starts a fetch and returns it, or nil if the cache is closed. The
// caller holds mu, and no fetch is in progress.
func (c *Cache) start(now int64, id string) *refresh {
	if c.closed {
		return nil
	}
	late := c.systemClock && c.nextAt > 0 && now-c.nextAt > clockSlack
	r := &refresh{done: make(chan struct{}), keyID: id, late: late}
	c.inflight = r
	c.attemptAt = now
	c.fetches++
	if id != "" {
		c.askedAt = now
	}
	s := *c.set.Load()
	s.until = s.lockFreeUntil(now, late)
	c.set.Store(&s)
	c.work.Go(func() { c.run(r, now, &s) })
	return r
}

// lockFreeUntil returns until when a known key is returned without a lock while
// a fetch is in progress: until look-ups must wait for the fetch.
func (s *keySet) lockFreeUntil(now int64, late bool) int64 {
	switch {
	case late:
		return now
	case s.failures == 0 && !s.initial:
		return min(s.staleAt, s.overdueAt)
	}
	return s.staleAt
}

// run fetches the key set and completes the refresh.
func (c *Cache) run(r *refresh, began int64, s *keySet) {
	a, err := c.get(s.etag)
	c.mu.Lock()
	// If this took a second longer than a fetch can take, the process was
	// suspended during the fetch. An answer is then old, and an error is not
	// Para's.
	if now := c.now().UnixNano(); now-began > int64(c.cfg.FetchTimeout+time.Second) {
		began = now
		c.fetches++
		c.mu.Unlock()
		a, err = c.get(s.etag)
		c.mu.Lock()
	}
	c.finish(r, began, a, err)
	c.unlockAndLog()
	close(r.done)
}

// get fetches the key set once, within FetchTimeout.
func (c *Cache) get(etag string) (answer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.FetchTimeout)
	defer cancel()
	if c.ownsClient {
		defer c.client.CloseIdleConnections() // else a dial may outlive its request
	}
	return get(ctx, c.client, c.env.URL, etag, c.algorithms)
}

// elapsed reports whether d has passed since then. It returns true also if the
// clock was set back by more than clockSlack, because the time that has passed
// is then unknown.
func elapsed(now, then int64, d time.Duration) bool {
	since := now - then
	return since >= int64(d) || since < -clockSlack
}

// finish stores the result of a fetch and schedules the next one. The age of
// the result counts from the beginning of the fetch. The caller holds mu.
func (c *Cache) finish(r *refresh, began int64, a answer, err error) {
	at := c.now().Round(0).UTC()
	now := at.UnixNano()
	c.inflight = nil
	s := *c.set.Load()
	if errors.Is(err, errNoUsableKey) {
		c.countEmpty(&s, a, now)
	}
	if err != nil {
		c.failed(&s, err, at)
	} else {
		c.succeeded(&s, r, min(began, now), a) // now is less if the clock was set back
	}
	s.until = min(c.nextAt, s.staleAt)
	c.set.Store(&s)
	c.arm(now)
}

// countEmpty counts an answer without a usable key. After too many in a row it
// removes the cached keys.
func (c *Cache) countEmpty(s *keySet, a answer, now int64) {
	if elapsed(now, c.emptyAt, minFresh) {
		c.emptyAnswers++
		c.emptyAt = now
	}
	c.logSkipped(a.skipped)
	if c.emptyAnswers > maxEmptyAnswers && len(s.keys) > 0 {
		c.log(slog.LevelError,
			"parajwt: Para's key set has had no usable key for several refreshes: "+
				"no token is accepted any more")
		s.keys = nil
	}
	if len(s.keys) == 0 {
		s.skipped = a.skipped
	}
}

// failed records a failed fetch and schedules a retry.
func (c *Cache) failed(s *keySet, err error, at time.Time) {
	now := at.UnixNano()
	s.failures++
	s.etag = "" // a server that fails conditional requests gets an unconditional one
	c.lastErr, c.lastErrAt = err, at
	backoff := min(maxBackoff, c.cfg.RefreshInterval)
	if n := s.failures - 1; n < 9 {
		backoff = min(minBackoff<<n, backoff)
	}
	// Jitter spreads the retries of many servers. It lengthens the wait by at
	// most FetchTimeout. A key that is withdrawn during an outage is therefore
	// removed within RefreshInterval plus FetchTimeout after the outage ends.
	jitter := min(backoff/10, c.cfg.FetchTimeout)
	c.nextAt = now + int64(backoff) + rand.Int64N(int64(jitter)+1)
	if s.fetchedAt.After(at) {
		// The clock was set back. The age of the keys is unknown and counts
		// from now.
		s.fetchedAt = at
		s.since = min(s.since, now-clockSlack)
		s.overdueAt = min(s.overdueAt, now+int64(c.cfg.RefreshInterval+c.cfg.FetchTimeout))
		s.staleAt = min(s.staleAt, now+int64(c.cfg.StaleLimit))
	}
	c.logFailure(err, s, at)
}

// succeeded stores an answer and schedules the next refresh.
func (c *Cache) succeeded(s *keySet, r *refresh, began int64, a answer) {
	if s.failures > 0 {
		c.log(slog.LevelInfo, "parajwt: key set is reachable again", "failures", s.failures)
	}
	first := s.initial || s.fetchedAt.IsZero()
	s.failures, c.emptyAnswers, c.lastErr = 0, 0, nil
	changed := !a.notModified && c.replace(s, a)
	fresh := c.cfg.RefreshInterval
	if a.fresh >= 0 {
		fresh = min(max(a.fresh, minFresh), fresh)
	}
	s.initial = false
	s.fetchedAt = time.Unix(0, began).UTC()
	s.since = began - clockSlack
	s.overdueAt = began + int64(fresh+c.cfg.FetchTimeout)
	s.staleAt = began + int64(c.cfg.StaleLimit)
	// The refresh starts after 80 to 90 % of the interval, so that it ends
	// within it.
	c.nextAt = began + int64(fresh)*8/10 + rand.Int64N(int64(fresh)/10+1)
	if _, found := s.keys[r.keyID]; found {
		c.askedAt = 0 // a new key does not use up the cooldown
	}
	if first || changed {
		c.notify()
	}
}

// replace replaces the keys by those of an answer, and reports whether they
// changed. An unchanged key keeps its identity, so that cached verdicts stay
// valid.
func (c *Cache) replace(s *keySet, a answer) (changed bool) {
	var replaced []string
	same := 0
	for id, key := range a.keys {
		switch old := s.keys[id]; {
		case old == nil:
		case old.Same(key):
			a.keys[id] = old
			same++
		default:
			replaced = append(replaced, id)
		}
	}
	changed = same != len(s.keys) || same != len(a.keys)
	if changed {
		slices.Sort(replaced)
		c.log(slog.LevelInfo, "parajwt: key set changed",
			"kids", sortedIDs(a.keys), "before", sortedIDs(s.keys), "replaced", replaced)
	}
	c.logSkipped(a.skipped)
	s.keys, s.skipped, s.etag = a.keys, a.skipped, a.etag
	return changed
}

// notify starts the calls of OnChange, or has them repeated. The caller holds
// mu.
func (c *Cache) notify() {
	switch {
	case c.cfg.OnChange == nil || c.closed:
	case c.notifying:
		c.notifyAgain = true
	default:
		c.notifying = true
		c.work.Go(c.callOnChange)
	}
}

// callOnChange calls OnChange. It repeats the call if the set changed during
// it.
func (c *Cache) callOnChange() {
	for again := true; again; {
		// The caller of notify stores the set before it unlocks mu.
		c.mu.Lock()
		c.notifyAgain = false
		s := c.set.Load()
		c.mu.Unlock()
		data, err := snapshot(s.keys, origin{c.env.Name, c.env.URL, s.fetchedAt})
		if err == nil && len(s.keys) > 0 {
			c.cfg.OnChange(data)
		}
		c.mu.Lock()
		again = c.notifyAgain && !c.closed
		c.notifying = again
		c.mu.Unlock()
	}
}

// arm sets the timer for the next fetch. The caller holds mu.
func (c *Cache) arm(now int64) {
	if c.closed {
		return
	}
	wait := time.Duration(c.nextAt - now)
	c.armedAt, c.armedFor = time.Now(), wait
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.onTimer)
	} else {
		c.timer.Reset(wait)
	}
}

// onTimer starts the scheduled fetch. With the system clock, time.Since
// measures the time since the timer was set, even if the clock was set back.
// With another clock the timer may fire early, and is then set again.
func (c *Cache) onTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inflight != nil {
		return // finish sets the timer
	}
	now := c.now().UnixNano()
	if c.systemClock && time.Since(c.armedAt) >= c.armedFor {
		c.start(now, "")
		return
	}
	c.startIfDue(now, "")
	if c.inflight == nil {
		c.arm(now)
	}
}
