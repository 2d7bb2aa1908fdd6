package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/internal/noredirect"
)

// Key is one public key of an environment, bound to one algorithm (RFC 8725
// §3.1). Two Keys are equal (==) as long as the key stays in the set without
// interruption. A Key is safe for concurrent use by multiple goroutines. The
// methods of the zero Key panic.
type Key struct{ key *jose.Key }

// ID returns the key ID (kid).
func (k Key) ID() string { return k.key.ID }

// Algorithm returns the algorithm that the key verifies with, such as RS256.
func (k Key) Algorithm() string { return k.key.Algorithm }

// Thumbprint returns the JWK Thumbprint of the key (RFC 7638). It differs from
// that of another key with the same ID.
func (k Key) Thumbprint() string { return k.key.Thumbprint }

// Verify returns nil if signature is this key's signature of input. Otherwise
// it returns an error without details. It retains neither argument.
func (k Key) Verify(input, signature []byte) error { return k.key.Verify(input, signature) }

// Cache holds the key set of one environment. It fetches the set on the first
// look-up, then refreshes it in the background, and keeps using it while Para
// cannot be reached. It is safe for concurrent use by multiple goroutines.
// Call Close when done.
type Cache struct {
	env         Environment
	cfg         Config
	algorithms  []string
	now         func() time.Time
	systemClock bool // now is time.Now, so the timer and the clock agree
	logger      *slog.Logger
	client      *http.Client
	ownsClient  bool // the client's transport is not the caller's

	set atomic.Pointer[keySet]

	mu            sync.Mutex // guards the fields below
	inflight      *refresh
	timer         *time.Timer
	armedAt       time.Time     // when the timer was set, by the system clock
	armedFor      time.Duration // for how long
	closed        bool
	attemptAt     int64 // when the last fetch began
	nextAt        int64 // when the next fetch is due
	askedAt       int64 // when an unknown key ID last caused a fetch
	emptyAnswers  int   // in a row
	emptyAt       int64 // when the last one was counted
	fetches       uint64
	lastErr       error
	lastErrAt     time.Time
	loggedSkipped []jose.Skipped
	pendingLogs   []logEntry
	notifying     bool // a goroutine calls OnChange
	notifyAgain   bool

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New returns a cache for one environment. It does not use the network. It
// returns an error that joins every mistake (errors.Join) if the configuration
// is invalid.
func New(env Environment, cfg Config, opts ...Option) (*Cache, error) {
	env, envErr := env.normalize()
	cfg, errs := cfg.withDefaults()
	c := &Cache{env: env, cfg: cfg, logger: slog.Default()}
	WithAlgorithms("RS256", "ES256")(c)
	WithClock(nil)(c)
	for _, opt := range opts {
		opt(c)
	}
	errs = append(append(errs, envErr), checkAlgorithms(c.algorithms)...)
	c.client, c.ownsClient = noredirect.Client(cfg.HTTPClient, newTransport())
	first := &keySet{}
	if !cfg.Initial.isZero() {
		var err error
		first, err = c.initial()
		errs = append(errs, err)
	} else if cfg.Offline {
		errs = append(errs, errors.New("jwks: Offline needs Initial: "+
			"without it, there are no keys"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.set.Store(first)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.Lock()
	c.logSkipped(first.skipped)
	c.unlockAndLog()
	return c, nil
}

// initial returns the key set of Config.Initial.
func (c *Cache) initial() (*keySet, error) {
	keys, skipped, from, err := c.cfg.Initial.read(c.algorithms)
	what := "snapshot"
	if c.cfg.Initial.env != nil {
		what = "key set"
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("jwks: Initial: %w", err)
	case len(keys) == 0:
		return nil, fmt.Errorf("jwks: Initial: %w", errNoUsableKey)
	case from.Environment != c.env.Name:
		return nil, fmt.Errorf("jwks: Initial: the %s is of environment %q, not of %q",
			what, from.Environment, c.env.Name)
	case from.URL != c.env.URL:
		return nil, fmt.Errorf("jwks: Initial: the URL of the %s is not that of environment %q",
			what, c.env.Name)
	}
	now := c.now().Round(0).UTC()
	s := &keySet{keys: keys, skipped: skipped, fetchedAt: now, initial: true}
	if !from.FetchedAt.IsZero() && from.FetchedAt.Before(now) {
		s.fetchedAt = from.FetchedAt.UTC()
	}
	if c.cfg.Offline {
		const forever = 1<<63 - 1
		s.offline = true
		s.until, s.overdueAt, s.staleAt = forever, forever, forever
	} else {
		// UnixNano overflows for old dates. Sub saturates.
		fetched := now.UnixNano() - int64(now.Sub(s.fetchedAt))
		s.overdueAt = fetched + int64(c.cfg.RefreshInterval+c.cfg.FetchTimeout)
		s.staleAt = fetched + int64(c.cfg.StaleLimit)
	}
	return s, nil
}

// Environment returns the environment of the keys.
func (c *Cache) Environment() Environment { return c.env }

// Allows reports whether algorithm is one of the allowed signature algorithms.
func (c *Cache) Allows(algorithm string) bool { return slices.Contains(c.algorithms, algorithm) }

// Key returns the key with this ID. If the set is fresh and has the key, this
// takes one atomic load and a map look-up. Otherwise:
//
//   - A known key is returned at once, and a refresh starts if one is due. If
//     the process was suspended past a refresh, Key waits for the refresh, so
//     that keys withdrawn in the meantime are not used. It returns the key if
//     the refresh fails.
//   - An unknown key ID starts a fetch, and Key waits for it. It returns
//     [ErrUnknownKey] if the fetched set does not have the key. Within
//     Config.Cooldown after such a fetch, it returns ErrUnknownKey at once.
//     While fetches fail, it returns an [*UnavailableError], because the key
//     may be new.
//   - Without usable keys, Key waits for the fetch that is due. Between
//     fetches it returns an [*UnavailableError] at once.
//
// ctx bounds how long this caller waits. It does not cancel a fetch. If
// Offline, Key does not wait.
func (c *Cache) Key(ctx context.Context, id string) (Key, error) {
	return c.KeyAt(ctx, id, c.now())
}

// KeyAt is [Cache.Key] for a caller that has just read the cache's clock. now
// is that reading. After a wait, KeyAt reads the clock again.
func (c *Cache) KeyAt(ctx context.Context, id string, now time.Time) (Key, error) {
	if key, ok := c.Fresh(id, now); ok {
		return key, nil
	}
	return c.slowKey(ctx, id, now.UnixNano())
}

// Fresh returns the key with this ID, and true, if looking it up needs neither
// a refresh nor a wait. If it returns false, use [Cache.KeyAt]. now is a
// reading of the cache's clock.
func (c *Cache) Fresh(id string, now time.Time) (Key, bool) {
	s := c.set.Load()
	if key, ok := s.keys[id]; ok {
		if n := now.UnixNano(); s.since <= n && n < s.until {
			return Key{key}, true
		}
	}
	return Key{}, false
}

// slowKey is KeyAt for look-ups that may need a fetch.
func (c *Cache) slowKey(ctx context.Context, id string, now int64) (Key, error) {
	if id == "" {
		return Key{}, ErrUnknownKey // no key has it, so it causes no fetch
	}
	c.mu.Lock()
	s := c.set.Load()
	wait := c.refreshFor(s, id, now)
	c.mu.Unlock()

	var cause error
	if wait != nil {
		select {
		case <-wait.done:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		}
		s, now = c.set.Load(), c.now().UnixNano()
	}
	state := s.state(now)
	key, known := s.keys[id]
	switch {
	case known && state.usable():
		return Key{key}, nil
	case cause != nil:
		return Key{}, &UnavailableError{RetryAfter: time.Second, Cause: cause}
	case state.failing():
		return Key{}, c.unavailable()
	}
	return Key{}, ErrUnknownKey
}

// refreshFor starts the refresh that a look-up needs. It returns the refresh
// that the look-up must wait for, or nil. The caller holds mu.
func (c *Cache) refreshFor(s *keySet, id string, now int64) *refresh {
	state := s.state(now)
	if state == StateOffline {
		return nil
	}
	if _, known := s.keys[id]; known && state.usable() {
		c.startIfDue(now, "")
		if state == StateOverdue || c.inflight != nil && c.inflight.late {
			return c.inflight
		}
		return nil
	}
	if c.inflight == nil && !state.failing() {
		if !elapsed(now, c.askedAt, c.cfg.Cooldown) {
			return nil
		}
		return c.start(now, id)
	}
	c.startIfDue(now, id)
	return c.inflight
}

// unavailable returns the error of a look-up without usable keys.
func (c *Cache) unavailable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Duration(c.nextAt - c.now().UnixNano())
	cause := c.lastErr
	if c.closed {
		cause = errors.New("the cache is closed")
	}
	return &UnavailableError{RetryAfter: max(wait, time.Second), Cause: cause}
}

// Warm fetches the key set if a fetch is due, so that no request has to wait
// for it. It returns nil if usable keys are loaded, including those of
// Config.Initial after a failed fetch: see Status.Failures. Otherwise it
// returns an [*UnavailableError]. The cache retries in the background; Warm
// does not. Calling Warm is optional.
//
// ctx bounds how long Warm waits. It does not cancel the fetch.
func (c *Cache) Warm(ctx context.Context) error {
	c.mu.Lock()
	if !c.cfg.Offline {
		c.startIfDue(c.now().UnixNano(), "")
	}
	wait := c.inflight
	c.mu.Unlock()
	var cause error
	if wait != nil {
		select {
		case <-wait.done:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		}
	}
	switch {
	case c.set.Load().state(c.now().UnixNano()).usable():
		return nil
	case cause != nil:
		return &UnavailableError{RetryAfter: time.Second, Cause: cause}
	}
	return c.unavailable()
}

// Snapshot returns the current key set, for [FromBytes] or [FromFile] at the
// next start. It is a JWK Set of public keys that also names its environment,
// its URL and the time of the fetch. Without usable keys, the error is an
// [*UnavailableError].
func (c *Cache) Snapshot() ([]byte, error) {
	s := c.set.Load()
	if !s.state(c.now().UnixNano()).usable() {
		return nil, c.unavailable()
	}
	return snapshot(s.keys, origin{c.env.Name, c.env.URL, s.fetchedAt})
}

// Close cancels a fetch in progress, waits for a call of Config.OnChange, and
// stops the background refresh. When it returns, the cache has no goroutine,
// timer or connection. Its keys can be used until Config.StaleLimit. Close
// always returns nil. It may be called more than once.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.cancel()
	c.work.Wait()
	return nil
}
