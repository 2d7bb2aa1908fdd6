package jwks

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
)

// logEntry is a line for the log.
type logEntry struct {
	level slog.Level
	msg   string
	args  []any
}

// log queues a line until unlockAndLog. The caller holds mu.
func (c *Cache) log(level slog.Level, msg string, args ...any) {
	args = append([]any{"environment", c.env.Name}, args...)
	c.pendingLogs = append(c.pendingLogs, logEntry{level, msg, args})
}

// unlockAndLog unlocks mu and writes the queued lines. Handlers run without the
// lock: they may be slow, and they may call methods of the cache.
func (c *Cache) unlockAndLog() {
	entries := c.pendingLogs
	c.pendingLogs = nil
	c.mu.Unlock()
	for _, e := range entries {
		c.logger.Log(context.Background(), e.level, e.msg, e.args...)
	}
}

// logSkipped logs the skipped keys if they differ from those logged last.
func (c *Cache) logSkipped(skipped []jose.Skipped) {
	if slices.Equal(skipped, c.loggedSkipped) {
		return
	}
	c.loggedSkipped = skipped
	for _, k := range skipped {
		c.log(slog.LevelWarn, "parajwt: a key of Para's set is not used",
			"index", k.Index, "kid", k.KeyID, "reason", k.Reason)
	}
}

// logFailure logs a failed fetch.
func (c *Cache) logFailure(err error, s *keySet, at time.Time) {
	if c.closed {
		return
	}
	retry := time.Duration(c.nextAt - at.UnixNano()).Round(time.Millisecond)
	args := []any{"error", err.Error(), "failures", s.failures, "retry_in", retry}
	if s.state(at.UnixNano()).usable() {
		c.log(slog.LevelWarn, "parajwt: key set could not be refreshed; using the cached keys",
			append(args, "keys_until", time.Unix(0, s.staleAt).UTC())...)
	} else {
		c.log(slog.LevelError,
			"parajwt: no keys: every token is refused until the key set can be fetched", args...)
	}
}
