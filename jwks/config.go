package jwks

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
)

// Config configures a [Cache]. The zero value is valid and fits production.
type Config struct {
	// RefreshInterval is how often the key set is refreshed. It also bounds how
	// long a withdrawn key stays trusted while Para can be reached. A shorter
	// Cache-Control max-age, less Age (RFC 9111 §4.2.1), takes precedence, but
	// not below 1 minute. Default 5 minutes; from 1 second to 1 hour.
	RefreshInterval time.Duration
	// Cooldown is the minimum time between refreshes caused by unknown key IDs.
	// A refresh that finds the key ends the cooldown. Default 30 seconds; from
	// 1 second to 10 minutes.
	Cooldown time.Duration
	// StaleLimit is how long keys are used while Para cannot be reached. After
	// it, every look-up fails with [ErrUnavailable]. Default 72 hours; from
	// RefreshInterval to 30 days.
	StaleLimit time.Duration
	// FetchTimeout bounds a fetch, from the connection to the last byte of the
	// body. Default 5 seconds; from 10 milliseconds to 1 minute.
	FetchTimeout time.Duration
	// Initial is the key set to use until Para responds. StaleLimit counts from
	// the fetch of a snapshot, and from New for a plain key set.
	Initial Source
	// Offline disables fetching. The cache then uses the keys of Initial, which
	// never go stale. Initial is required. A key that Para withdraws stays
	// trusted until you replace Initial.
	Offline bool
	// HTTPClient fetches the key set. Its redirect policy and cookie jar are
	// not used. Its transport must obey the context of a request. Close does
	// not close its idle connections. Default: a client with Go's TLS settings,
	// the proxy of the environment variables, and no idle connections.
	HTTPClient *http.Client
	// OnChange is called with a snapshot after Para's first key set, and after
	// each change of the key set. Use it to save the snapshot for the next
	// start. Calls do not overlap and do not delay look-ups. The next call gets
	// the latest set if the set changes during a call. Close waits for a call
	// in progress, so OnChange must not call Close.
	OnChange func(snapshot []byte)
}

// Option configures a [Cache] beyond its Config. Package middleware sets these
// options from its own Config.
type Option func(*Cache)

// WithAlgorithms sets the signature algorithms whose keys are kept, by their
// names in RFC 7518 §3.1 and RFC 8037 §3.1. A key that names no algorithm gets
// the first of these that fits it. [New] returns an error for "none", symmetric
// and unknown algorithms. Default: RS256 and ES256.
func WithAlgorithms(algs ...string) Option {
	return func(c *Cache) {
		if len(algs) > 0 {
			c.algorithms = slices.Clone(algs)
		}
	}
}

// WithClock sets the clock. It must be safe for concurrent use by multiple
// goroutines. With nil, the cache uses the system clock, and refreshes on time
// even if that clock is set back. With another clock, refreshes follow that
// clock only.
func WithClock(now func() time.Time) Option {
	return func(c *Cache) {
		c.now, c.systemClock = now, now == nil
		if now == nil {
			c.now = time.Now
		}
	}
}

// WithLogger sets the logger for skipped keys, failed fetches and changes of
// the key set. A slow logger delays New, Close and callers that wait for the
// logged fetch. It delays no other look-up. With nil, the cache uses
// slog.Default() as it was at the call of New.
func WithLogger(l *slog.Logger) Option {
	return func(c *Cache) {
		if l != nil {
			c.logger = l
		}
	}
}

// withDefaults returns the complete configuration and every mistake in it.
func (cfg Config) withDefaults() (Config, []error) {
	var errs []error
	duration := func(name string, d *time.Duration, def, low, high time.Duration) {
		if *d == 0 {
			*d = def
		}
		if *d < low || *d > high {
			errs = append(errs,
				fmt.Errorf("jwks: %s is %v: use %v to %v, or 0 for the default of %v",
					name, *d, low, high, def))
		}
	}
	duration("RefreshInterval", &cfg.RefreshInterval, 5*time.Minute, time.Second, time.Hour)
	duration("Cooldown", &cfg.Cooldown, 30*time.Second, time.Second, 10*time.Minute)
	duration("StaleLimit", &cfg.StaleLimit, 72*time.Hour, cfg.RefreshInterval, 30*24*time.Hour)
	duration("FetchTimeout", &cfg.FetchTimeout, 5*time.Second, 10*time.Millisecond, time.Minute)
	return cfg, errs
}

// checkAlgorithms returns an error for each name that is not supported.
func checkAlgorithms(algs []string) (errs []error) {
	for _, alg := range algs {
		if !slices.Contains(jose.Algorithms(), alg) {
			errs = append(errs,
				fmt.Errorf("jwks: algorithm %.20q cannot be allowed: use some of %v",
					alg, jose.Algorithms()))
		}
	}
	return errs
}
