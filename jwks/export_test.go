package jwks

import "time"

// SetBack simulates that the system's clock was set back by d. The clock of a
// synctest bubble cannot be set back. SetBack therefore moves every time that
// the cache has stored ahead.
func (c *Cache) SetBack(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ns := int64(d)
	c.attemptAt, c.nextAt, c.askedAt, c.emptyAt = c.attemptAt+ns, c.nextAt+ns, c.askedAt+ns,
		c.emptyAt+ns
	s := *c.set.Load()
	s.fetchedAt = s.fetchedAt.Add(d)
	s.since, s.until, s.overdueAt, s.staleAt = s.since+ns, s.until+ns, s.overdueAt+ns, s.staleAt+ns
	c.set.Store(&s)
}
