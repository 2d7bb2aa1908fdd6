package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config configures a [List]. The zero value is a list in memory, for one
// process.
type Config struct {
	// Store is the log that several servers share. Default nil: the list lives
	// in this process only, and is lost at a restart.
	Store Store
	// MaxStaleness is how old the list may become while the store cannot be
	// read. After it, [List.Revoked] returns [ErrStale]. Default 5 minutes;
	// from 5 seconds to 24 hours, and at least twice Poll plus Timeout.
	MaxStaleness time.Duration
	// AcceptStale continues with a stale list instead of returning [ErrStale].
	// A list that was never read still returns [ErrNotReady].
	AcceptStale bool
	// Poll is how long one read of the store waits for something new. Default 1
	// second; from 100 milliseconds to 1 minute.
	Poll time.Duration
	// Timeout ends a call of the store, in addition to Poll when it reads. It
	// also bounds how long RevokeUser and the other changes wait for the store.
	// Default 2 seconds; from 100 milliseconds to 1 minute.
	Timeout time.Duration
	// Resync is how often the whole log is read again, which finds entries that
	// the store lost silently. Default 10 minutes; from 1 second to 24 hours.
	Resync time.Duration
	// Limit is how many entries may be added with this List. Entries of other
	// servers are always accepted. Default 1,000,000, which need at most 64
	// MiB.
	Limit int
	// MaxTokenLife is the longest life of a token, as in middleware.Config: how
	// long a revoked user stays on the list. Default 31 days.
	MaxTokenLife time.Duration
	// Initial is a [List.Snapshot] to start from. With a Store, it is used
	// until the store can be read, for MaxStaleness at most. Its age is the
	// time since its list last read the store. Default nil: start empty.
	Initial []byte
	// Now is the clock, which must be the one of the validator. It must be safe
	// for concurrent use by multiple goroutines. Default time.Now.
	Now func() time.Time
	// Logger receives outages, gaps, malformed entries and clock skew. Default
	// slog.Default().
	Logger *slog.Logger
}

const (
	defaultStaleness = 5 * time.Minute
	defaultPoll      = time.Second
	defaultTimeout   = 2 * time.Second
	defaultResync    = 10 * time.Minute
	defaultLimit     = 1_000_000
	defaultTokenLife = 31 * 24 * time.Hour

	// leeway is the largest Leeway of a validator: a token may be accepted that
	// long after its exp.
	leeway = 5 * time.Minute
)

// checked returns cfg with its defaults, and every mistake in it.
func (cfg Config) checked() (Config, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("revocation: "+format, args...))
	}
	within := func(name string, d *time.Duration, def, least, most time.Duration) {
		if *d == 0 {
			*d = def
		}
		if *d < least || *d > most {
			fail("%s is %v: use %v to %v, or 0 for %v", name, *d, least, most, def)
		}
	}
	const day = 24 * time.Hour
	within("MaxStaleness", &cfg.MaxStaleness, defaultStaleness, 5*time.Second, day)
	within("Poll", &cfg.Poll, defaultPoll, 100*time.Millisecond, time.Minute)
	within("Timeout", &cfg.Timeout, defaultTimeout, 100*time.Millisecond, time.Minute)
	within("Resync", &cfg.Resync, defaultResync, time.Second, day)
	within("MaxTokenLife", &cfg.MaxTokenLife, defaultTokenLife, time.Minute, 10*365*day)
	if least := 2*cfg.Poll + cfg.Timeout; cfg.MaxStaleness < least && len(errs) == 0 {
		fail("MaxStaleness is %v: use at least twice Poll plus Timeout, which is %v",
			cfg.MaxStaleness, least)
	}
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	if cfg.Limit < 0 {
		fail("Limit is %d: use a positive number, or 0 for %d", cfg.Limit, defaultLimit)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return cfg, errors.Join(errs...)
}

// New returns a List. It does not wait for the store: see [List.Warm]. It
// starts to read it in the background, and [List.Close] stops that. The error
// reports every mistake in cfg, and a damaged Initial.
func New(cfg Config) (*List, error) {
	cfg, err := cfg.checked()
	l := &List{cfg: cfg, epoch: 1}
	if cfg.Store == nil {
		l.fresh.Store(&freshness{always: true})
	}
	if cfg.Initial != nil {
		if initialErr := l.restore(cfg.Initial); initialErr != nil {
			err = errors.Join(err, initialErr)
		}
		l.cfg.Initial = nil
	}
	if err != nil {
		return nil, err
	}
	if cfg.Store != nil {
		l.ready = make(chan struct{})
		l.answered = make(chan struct{})
		l.closing = make(chan struct{})
		l.acked = make(chan struct{})
		l.wake = make(chan struct{}, 1)
		l.reading, l.stopReading = context.WithCancel(context.Background())
		l.writing, l.stopWriting = context.WithCancel(context.Background())
		l.loops.Go(l.read)
		l.loops.Go(l.write)
	}
	return l, nil
}
