package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
)

// Config tunes a [Cache]. The zero value is right for production.
type Config struct {
	// RefreshInterval is how old the key set may become before it is fetched again, where Para's
	// answer does not ask for less, and so how long a key that Para withdrew can still verify.
	// Default 5 minutes; from 1 second to 1 hour. Cache-Control: max-age, less Age, is honoured
	// between 1 minute and this.
	RefreshInterval time.Duration
	// Cooldown is how long an unknown key ID that was not found keeps the next one from asking
	// again. Default 30 seconds; from 1 second to 10 minutes.
	Cooldown time.Duration
	// StaleLimit is how long keys are used when Para cannot be reached. After it, every token is
	// refused with [ErrUnavailable]. Default 72 hours; from RefreshInterval to 30 days.
	StaleLimit time.Duration
	// FetchTimeout ends a fetch, connection and body included. Default 5 seconds; from 10
	// milliseconds to 1 minute.
	FetchTimeout time.Duration
	// Algorithms are the signature algorithms whose keys are kept. Default RS256 and ES256. A key
	// that names no algorithm gets the first of these that fits it.
	Algorithms []string
	// Initial is a key set to start from, until Para answers. With a snapshot, StaleLimit counts
	// from when it was fetched.
	Initial Source
	// Offline keeps the cache from ever fetching: Initial is all there is, and does not go stale.
	// A key that Para withdraws is then trusted until you replace Initial.
	Offline bool
	// HTTPClient is what fetches. Its redirects and cookies are switched off. Its transport stays
	// yours: it must end with its request's context, or callers wait as long as it does, and you close what it keeps
	// open. Default: a client with Go's
	// TLS settings and the proxy of the environment, which keeps nothing open.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now. With a clock of your own, refreshing goes by it alone; by default,
	// a system clock that is set back keeps no key alive. It must be safe for concurrent use.
	Now func() time.Time
	// Logger gets skipped keys, failed fetches and changes of the set. It is called after a fetch and holds up
	// those who wait for that fetch, and nobody else. Default slog.Default().
	Logger *slog.Logger
}

const (
	minFresh   = time.Minute
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
	// emptySets is how many answers in a row, at least minFresh apart, may hold no usable key
	// before they are believed.
	emptySets = 3
	// clockSlack is how far back the clock may step without anything being done about it.
	clockSlack = int64(time.Minute)
)

// Errors of [Cache.Key] and [Cache.Warm].
var (
	// ErrUnknownKey means that the key set, as current as it can be had, has no such key.
	ErrUnknownKey = errors.New("jwks: unknown key ID")
	// ErrUnavailable means that it cannot be told: there is no key set, or none that is fresh
	// enough, or the caller's context ended first. It is wrapped in an [*UnavailableError].
	ErrUnavailable = errors.New("jwks: keys are unavailable")
)

// UnavailableError is [ErrUnavailable] with what is known about it.
type UnavailableError struct {
	RetryAfter time.Duration // until the next fetch, as far as it is planned; at least a second
	Cause      error         // why the last fetch failed, or the caller's context ended
}

func (e *UnavailableError) Error() string {
	if e.Cause == nil {
		return ErrUnavailable.Error()
	}
	return ErrUnavailable.Error() + ": " + e.Cause.Error()
}

// Unwrap makes errors.Is find ErrUnavailable and the cause.
func (e *UnavailableError) Unwrap() []error { return []error{ErrUnavailable, e.Cause} }

// Key is one public key of an environment, bound to one algorithm (RFC 8725 §3.1). Two Keys are equal
// (==) as long as the key has been in the set without a break. Safe for concurrent use.
type Key struct{ key *jose.Key }

// ID returns the key ID (kid).
func (k Key) ID() string { return k.key.ID }

// Algorithm returns the only algorithm the key verifies with, such as RS256.
func (k Key) Algorithm() string { return k.key.Algorithm }

// Thumbprint returns the JWK Thumbprint of the key (RFC 7638), which tells it
// from another key with the same ID.
func (k Key) Thumbprint() string { return k.key.Thumbprint }

// Verify returns nil if the signature is this key's over the bytes that were signed, and else an error that
// says no more than that it is not. It keeps neither. The zero Key has nothing to verify with, and panics.
func (k Key) Verify(input, signature []byte) error { return k.key.Verify(input, signature) }

// Cache holds the key set of one environment. It fetches the set when a key is first asked for,
// keeps it fresh in the background from then on, and goes on with what it has when Para cannot be
// reached. Safe for concurrent use. Close it.
type Cache struct {
	env    Environment
	cfg    Config
	client *http.Client
	owned  bool // the client's transport is the cache's own
	timed  bool // the timer and the clock are both the system's

	// What a look-up needs, replaced as a whole and never changed.
	set atomic.Pointer[keySet]

	mu        sync.Mutex // guards the rest
	flight    *flight    // the fetch under way
	timer     *time.Timer
	armedAt   time.Time     // when the timer was set, by the system's clock,
	armedFor  time.Duration // and for how long
	closed    bool
	attemptAt int64 // when the last fetch began
	nextAt    int64 // when the next one is due
	askedAt   int64 // when an unknown key ID last caused one
	failures  int   // in a row
	empties   int   // answers without a usable key, in a row
	emptyAt   int64
	fetches   uint64
	lastErr   error
	lastErrAt time.Time
	told      []jose.Skipped // the skipped keys that were logged last
	lines     []line         // to be logged once mu is free

	ctx    context.Context // of the cache, not of any caller
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// keySet is one state of the key set. Times are wall-clock nanoseconds, because a suspended machine
// stops the monotonic clock and not the age of its keys.
type keySet struct {
	keys      map[string]*jose.Key
	skipped   []jose.Skipped
	etag      string
	fetchedAt time.Time // when Para was asked, not when it had answered (RFC 9111 §4.2.3)
	initial   bool      // from Config.Initial: Para has not answered yet
	// A look-up between since and until needs nothing but the map.
	since, until int64
	overdueAt    int64 // from when on the keys are older than promised
	staleAt      int64 // from when on the keys are not used
}

func (s *keySet) usable(now int64) bool { return len(s.keys) > 0 && now < s.staleAt }

// flight is one fetch. Any number of callers may wait for it.
type flight struct {
	done  chan struct{}
	keyID string // the unknown key ID it was begun for, if any
	late  bool   // the timer should have begun it long ago: the process was suspended
}

// line is a line for the log.
type line struct {
	level slog.Level
	msg   string
	args  []any
}

// New returns a cache for one environment. It reports every mistake of the configuration at once
// (errors.Join), and does not touch the network.
func New(env Environment, cfg Config) (*Cache, error) {
	env, err := env.normalize()
	errs := []error{err}
	timed := cfg.Now == nil
	cfg, more := cfg.withDefaults()
	errs = append(errs, more...)

	c := &Cache{env: env, cfg: cfg, timed: timed}
	c.client, c.owned = newClient(cfg.HTTPClient)
	first := &keySet{}
	if !cfg.Initial.isZero() {
		first, err = c.initial()
		errs = append(errs, err)
	} else if cfg.Offline {
		errs = append(errs, errors.New("jwks: Offline without Initial: there would be no keys"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.set.Store(first)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.Lock()
	c.tellSkipped(first.skipped)
	c.unlockAndLog()
	return c, nil
}

func (cfg Config) withDefaults() (Config, []error) {
	var errs []error
	duration := func(name string, d *time.Duration, def, low, high time.Duration) {
		if *d == 0 {
			*d = def
		}
		if *d < low || *d > high {
			errs = append(errs, fmt.Errorf("jwks: %s is %v: use %v to %v, or 0 for the default of %v", name, *d, low, high, def))
		}
	}
	duration("RefreshInterval", &cfg.RefreshInterval, 5*time.Minute, time.Second, time.Hour)
	duration("Cooldown", &cfg.Cooldown, 30*time.Second, time.Second, 10*time.Minute)
	duration("StaleLimit", &cfg.StaleLimit, 72*time.Hour, cfg.RefreshInterval, 30*24*time.Hour)
	duration("FetchTimeout", &cfg.FetchTimeout, 5*time.Second, 10*time.Millisecond, time.Minute)

	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{"RS256", "ES256"}
	}
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	for _, alg := range cfg.Algorithms {
		if !slices.Contains(jose.Algorithms(), alg) {
			errs = append(errs, fmt.Errorf("jwks: Algorithms: %.20q cannot be allowed: use some of %v", alg, jose.Algorithms()))
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return cfg, errs
}

// initial turns Config.Initial into the first state. Online, a refresh of it is due at once.
func (c *Cache) initial() (*keySet, error) {
	keys, skipped, from, err := c.cfg.Initial.read(c.cfg.Algorithms)
	switch {
	case err != nil:
		return nil, fmt.Errorf("jwks: Initial: %w", err)
	case len(keys) == 0:
		return nil, fmt.Errorf("jwks: Initial: %w", errNoUsableKey)
	case from.Environment != "" && from.Environment != c.env.Name:
		return nil, fmt.Errorf("jwks: Initial: the snapshot is of environment %q, not of %q", from.Environment, c.env.Name)
	case from.Environment != "" && from.URL != c.env.URL:
		return nil, fmt.Errorf("jwks: Initial: the snapshot is of another URL than environment %q has", c.env.Name)
	}
	now := c.cfg.Now().Round(0).UTC()
	s := &keySet{keys: keys, skipped: skipped, fetchedAt: now, initial: true}
	if !from.FetchedAt.IsZero() && from.FetchedAt.Before(now) {
		s.fetchedAt = from.FetchedAt.UTC()
	}
	if c.cfg.Offline {
		const forever = 1<<63 - 1
		s.until, s.overdueAt, s.staleAt = forever, forever, forever
	} else {
		// By way of the age, which saturates where nanoseconds since 1970 would wrap round.
		fetched := now.UnixNano() - int64(now.Sub(s.fetchedAt))
		s.overdueAt = fetched + int64(c.cfg.RefreshInterval+c.cfg.FetchTimeout)
		s.staleAt = fetched + int64(c.cfg.StaleLimit)
	}
	return s, nil
}

// Environment returns the environment whose keys these are.
func (c *Cache) Environment() Environment { return c.env }

// Key returns the key with this ID. As long as the set is fresh and has the key, that is one atomic
// load and a look-up in a map. Otherwise:
//
//   - A known key whose set is due for a refresh is returned at once, and the refresh begins. The
//     exception is a process that was suspended for so long that its keys are older than promised:
//     there the first refresh is waited for, and the key is returned if it fails.
//   - An unknown key ID causes a fetch, which is waited for, unless one did within Cooldown and
//     brought nothing: then it is [ErrUnknownKey] at once. While fetches fail it is an
//     [*UnavailableError]: the key may be new.
//   - With no usable set, the fetch is waited for, unless one just failed: then it is an
//     [*UnavailableError] at once, which says when the next one is due.
//
// ctx bounds how long this caller waits; it never ends a fetch, which others may be waiting for.
func (c *Cache) Key(ctx context.Context, id string) (Key, error) {
	return c.KeyAt(ctx, id, c.cfg.Now())
}

// KeyAt is Key for a caller that has just read the cache's clock itself.
func (c *Cache) KeyAt(ctx context.Context, id string, now time.Time) (Key, error) {
	if key, ok := c.Fresh(id, now); ok {
		return key, nil
	}
	return c.key(ctx, id, now.UnixNano())
}

// Fresh returns the key with this ID if the key set is fresh, so that looking it
// up needs no refresh and does not wait. It is the first thing that a hot path
// asks; the next is [Cache.KeyAt].
func (c *Cache) Fresh(id string, now time.Time) (Key, bool) {
	s := c.set.Load()
	if key, ok := s.keys[id]; ok {
		if n := now.UnixNano(); s.since <= n && n < s.until {
			return Key{key}, true
		}
	}
	return Key{}, false
}

// key is KeyAt where a fetch may be needed.
func (c *Cache) key(ctx context.Context, id string, now int64) (Key, error) {
	if id == "" {
		return Key{}, ErrUnknownKey // no set has it, so it is worth no fetch
	}
	c.mu.Lock()
	s := c.set.Load()
	key, known := s.keys[id]
	usable := s.usable(now)
	var wait *flight
	switch {
	case c.cfg.Offline:
		// What is not there will not come.
	case known && usable:
		c.beginIfDue(now, "")
		if c.suspended(s, now) {
			wait = c.flight
		}
	case usable && c.flight == nil && c.failures == 0:
		if passed(now, c.askedAt, c.cfg.Cooldown) {
			wait = c.begin(now, id)
		}
	default:
		if wait = c.beginIfDue(now, id); wait == nil {
			wait = c.flight
		}
	}
	failures := c.failures
	c.mu.Unlock()

	if wait == nil {
		switch {
		case known && usable:
			return Key{key}, nil
		case usable && failures == 0:
			return Key{}, ErrUnknownKey
		}
		return Key{}, c.unavailable()
	}
	select {
	case <-wait.done:
	case <-ctx.Done():
		if known && usable {
			return Key{key}, nil
		}
		return Key{}, &UnavailableError{RetryAfter: time.Second, Cause: context.Cause(ctx)}
	}

	s, now = c.set.Load(), c.cfg.Now().UnixNano()
	if !s.usable(now) {
		return Key{}, c.unavailable()
	}
	if key, ok := s.keys[id]; ok {
		return Key{key}, nil
	}
	c.mu.Lock()
	failures = c.failures
	c.mu.Unlock()
	if failures > 0 {
		return Key{}, c.unavailable() // the key may be new, and Para cannot be asked
	}
	return Key{}, ErrUnknownKey
}

func (c *Cache) unavailable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Duration(c.nextAt - c.cfg.Now().UnixNano())
	cause := c.lastErr
	if c.closed {
		cause = errors.New("the cache is closed")
	}
	return &UnavailableError{RetryAfter: max(wait, time.Second), Cause: cause}
}

// Warm makes the fetch that is due, so that no request has to wait for it: when there are no keys yet, or only
// those of Config.Initial. It returns nil if there are usable keys afterwards, be it that the fetch failed
// and they are those of Initial (Status.Failures tells), or an [*UnavailableError]. It does not retry;
// the cache does, from then on. Call it at start, or leave it out.
func (c *Cache) Warm(ctx context.Context) error {
	c.mu.Lock()
	var wait *flight
	if !c.cfg.Offline {
		if wait = c.beginIfDue(c.cfg.Now().UnixNano(), ""); wait == nil {
			wait = c.flight
		}
	}
	c.mu.Unlock()
	if wait != nil {
		select {
		case <-wait.done:
		case <-ctx.Done():
			if !c.set.Load().usable(c.cfg.Now().UnixNano()) {
				return &UnavailableError{RetryAfter: time.Second, Cause: context.Cause(ctx)}
			}
		}
	}
	if !c.set.Load().usable(c.cfg.Now().UnixNano()) {
		return c.unavailable()
	}
	return nil
}

// beginIfDue begins the fetch that the schedule asks for, unless one is under way. It returns nil
// where none was begun. The caller holds mu.
func (c *Cache) beginIfDue(now int64, id string) *flight {
	if c.flight != nil || now < c.nextAt && now-c.attemptAt > -clockSlack {
		return nil
	}
	return c.begin(now, id)
}

// begin begins a fetch; id is the unknown key ID that asks for it, if one does. The caller holds mu
// and has seen that none is under way.
func (c *Cache) begin(now int64, id string) *flight {
	if c.closed {
		return nil
	}
	s := *c.set.Load()
	f := &flight{done: make(chan struct{}), keyID: id, late: c.timed && c.nextAt > 0 && now-c.nextAt > clockSlack}
	c.flight = f
	c.attemptAt = now
	c.fetches++
	if id != "" {
		c.askedAt = now
	}
	// Meanwhile look-ups need not come here again, unless they would have to wait.
	s.until = s.staleAt
	switch {
	case f.late:
		s.until = now
	case c.failures == 0 && !s.initial:
		s.until = min(s.until, s.overdueAt)
	}
	c.set.Store(&s)

	c.work.Add(1)
	go func() {
		defer c.work.Done()
		began := now
		a, err := c.get(&s)
		c.mu.Lock()
		// A second more than a fetch can take, for a busy machine.
		if now := c.cfg.Now().UnixNano(); now-began > int64(c.cfg.FetchTimeout+time.Second) {
			// The process was suspended in the middle of it: an answer is old, and an error not Para's.
			began = now
			c.fetches++
			c.mu.Unlock()
			a, err = c.get(&s)
			c.mu.Lock()
		}
		c.finish(f, began, a, err)
		c.unlockAndLog()
		close(f.done)
	}()
	return f
}

// get fetches once, within FetchTimeout.
func (c *Cache) get(s *keySet) (answer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.FetchTimeout)
	defer cancel()
	if c.owned {
		defer c.client.CloseIdleConnections() // a dial under way outlives its request otherwise
	}
	return get(ctx, c.client, c.env.URL, s.etag, c.cfg.Algorithms)
}

// passed reports whether it has been so long since then, or the clock was set back, so that nobody
// can tell.
func passed(now, then int64, d time.Duration) bool {
	elapsed := now - then
	return elapsed >= int64(d) || elapsed < -clockSlack
}

// suspended reports whether the keys are older than promised although no fetch has failed, or the fetch under way
// is late although one has, neither of which can be while timers run. Then it is waited for, so as not to let in
// whom Para has locked out meanwhile. The caller holds mu.
func (c *Cache) suspended(s *keySet, now int64) bool {
	return now >= s.overdueAt && c.failures == 0 && !s.initial || c.flight != nil && c.flight.late
}

// finish takes over what a fetch brought and plans the next one. What it brought is as old as its
// beginning. The caller holds mu.
func (c *Cache) finish(f *flight, began int64, a answer, err error) {
	at := c.cfg.Now().Round(0).UTC()
	now := at.UnixNano()
	c.flight = nil
	s := *c.set.Load()

	if errors.Is(err, errNoUsableKey) {
		if passed(now, c.emptyAt, minFresh) {
			c.empties++
			c.emptyAt = now
		}
		c.tellSkipped(a.skipped)
		if c.empties > emptySets && len(s.keys) > 0 {
			c.tell(slog.LevelError, "parajwt: Para's key set has had no usable key for several refreshes: no token is accepted any more")
			s.keys, s.etag = nil, ""
		}
		if len(s.keys) == 0 {
			s.skipped = a.skipped
		}
	}

	if err != nil {
		c.failures++
		c.lastErr, c.lastErrAt = err, at
		backoff := min(maxBackoff, c.cfg.RefreshInterval)
		if n := c.failures - 1; n < 9 {
			backoff = min(minBackoff<<n, backoff)
		}
		// Jitter only ever lengthens: a thousand servers spread out, none asks more often. After an outage, too, a
		// withdrawn key is gone within RefreshInterval and FetchTimeout.
		jitter := min(backoff/10, c.cfg.FetchTimeout)
		c.nextAt = now + int64(backoff) + rand.Int64N(int64(jitter)+1)
		if s.fetchedAt.After(at) { // the clock was set back, so nobody knows how old the keys are: they age from now
			s.fetchedAt = at
			s.since = min(s.since, now-clockSlack)
			s.overdueAt = min(s.overdueAt, now+int64(c.cfg.RefreshInterval+c.cfg.FetchTimeout))
			s.staleAt = min(s.staleAt, now+int64(c.cfg.StaleLimit))
		}
		c.tellFailure(err, &s, at)
	} else {
		if c.failures > 0 {
			c.tell(slog.LevelInfo, "parajwt: key set is reachable again", "failures", c.failures)
		}
		c.failures, c.empties, c.lastErr = 0, 0, nil
		if !a.notModified {
			c.replace(&s, a)
		}
		fresh := c.cfg.RefreshInterval
		if a.fresh >= 0 {
			fresh = min(max(a.fresh, minFresh), fresh)
		}
		began = min(began, now) // where the clock was set back meanwhile
		s.initial = false
		s.fetchedAt = time.Unix(0, began).UTC()
		s.since = began - clockSlack
		s.overdueAt = began + int64(fresh+c.cfg.FetchTimeout)
		s.staleAt = began + int64(c.cfg.StaleLimit)
		// Ahead of need: at 80 to 90 % of the time, so that the fetch itself fits into the rest.
		c.nextAt = began + int64(fresh)*8/10 + rand.Int64N(int64(fresh)/10+1)
		if _, found := s.keys[f.keyID]; found {
			c.askedAt = 0 // a key that was really new does not use up the cooldown
		}
	}
	s.until = min(c.nextAt, s.staleAt)
	c.set.Store(&s)
	c.arm(now)
}

// replace puts the keys that were fetched in the place of those before. A key that is still the
// same stays the same value, so that what it verified stays verified.
func (c *Cache) replace(s *keySet, a answer) {
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
	if same != len(s.keys) || same != len(a.keys) {
		slices.Sort(replaced)
		c.tell(slog.LevelInfo, "parajwt: key set changed", "kids", sortedIDs(a.keys), "before", sortedIDs(s.keys), "replaced", replaced)
	}
	c.tellSkipped(a.skipped)
	s.keys, s.skipped, s.etag = a.keys, a.skipped, a.etag
}

// tell keeps a line for the log, until unlockAndLog. The caller holds mu.
func (c *Cache) tell(level slog.Level, msg string, args ...any) {
	c.lines = append(c.lines, line{level, msg, append([]any{"environment", c.env.Name}, args...)})
}

// unlockAndLog unlocks mu and logs what there is to tell. A logger may be slow, and it may ask the
// cache for its Status: neither must hold up a look-up.
func (c *Cache) unlockAndLog() {
	lines := c.lines
	c.lines = nil
	c.mu.Unlock()
	for _, l := range lines {
		c.cfg.Logger.Log(context.Background(), l.level, l.msg, l.args...)
	}
}

// tellSkipped logs which keys are not used, unless it just did.
func (c *Cache) tellSkipped(skipped []jose.Skipped) {
	if slices.Equal(skipped, c.told) {
		return
	}
	c.told = skipped
	for _, k := range skipped {
		c.tell(slog.LevelWarn, "parajwt: a key of Para's set is not used", "index", k.Index, "kid", k.KeyID, "reason", k.Reason)
	}
}

func (c *Cache) tellFailure(err error, s *keySet, at time.Time) {
	if c.closed {
		return
	}
	args := []any{"error", err.Error(), "failures", c.failures, "retry_in", time.Duration(c.nextAt - at.UnixNano()).Round(time.Millisecond)}
	if s.usable(at.UnixNano()) {
		c.tell(slog.LevelWarn, "parajwt: key set could not be refreshed; going on with the keys at hand",
			append(args, "keys_until", time.Unix(0, s.staleAt).UTC())...)
	} else {
		c.tell(slog.LevelError, "parajwt: no keys: every token is refused until the key set can be fetched", args...)
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
		c.timer = time.AfterFunc(wait, c.tick)
	} else {
		c.timer.Reset(wait)
	}
}

// tick is the timer's. By the system's clock, a fetch is due when the time has passed that the timer was set
// for, which time.Since knows even if the clock was set back meanwhile. A clock of the caller's own is believed
// instead; with it the timer may come early.
func (c *Cache) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return // finish sets the timer
	}
	now := c.cfg.Now().UnixNano()
	if c.timed && time.Since(c.armedAt) >= c.armedFor {
		c.begin(now, "")
	} else if c.beginIfDue(now, "") == nil {
		c.arm(now)
	}
}

// Snapshot returns the current key set, to be saved and given to the next start as Config.Initial.
// It is a JWK Set that also says where and when it was fetched, of public keys only. Where there is no
// usable set, the error is an [*UnavailableError].
func (c *Cache) Snapshot() ([]byte, error) {
	s := c.set.Load()
	if !s.usable(c.cfg.Now().UnixNano()) {
		return nil, c.unavailable()
	}
	return snapshot(s.keys, origin{c.env.Name, c.env.URL, s.fetchedAt})
}

// Close ends a fetch under way and stops the refreshing. When it returns, no goroutine, timer or
// connection of the cache is left. Keys at hand still verify until they go stale. It always returns
// nil, and may be called again.
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

// Allows reports whether any key of the cache may verify with this algorithm.
func (c *Cache) Allows(algorithm string) bool { return slices.Contains(c.cfg.Algorithms, algorithm) }
