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
	// Store is the log that several servers share. With nil, the list is in the
	// memory of this process, and a restart loses it. Default nil.
	Store Store
	// MaxStaleness is how old the list may become while the store cannot be
	// read. After that, [List.Revoked] returns [ErrStale]. Default 5 minutes;
	// from 5 seconds to 24 hours, and at least 2 × Poll + Timeout.
	MaxStaleness time.Duration
	// AcceptStale makes [List.Revoked] use a stale list instead of returning
	// [ErrStale]. A list that was never read still returns [ErrNotReady].
	AcceptStale bool
	// Poll is how long one read of the store waits for new entries. Default 1
	// second; from 100 milliseconds to 1 minute.
	Poll time.Duration
	// Timeout bounds each call of the store. A read may take Poll plus Timeout.
	// Timeout also bounds how long RevokeUser and the other changes wait for
	// the store. Default 2 seconds; from 100 milliseconds to 1 minute.
	Timeout time.Duration
	// Resync is how often the whole log is read again, to find entries that the
	// store lost. Default 10 minutes; from 1 second to 24 hours.
	Resync time.Duration
	// Limit is the size of the list, in entries, at which RevokeUser,
	// RevokeToken and BlockUser return [ErrFull] for a new entry. Entries of
	// other servers count, but are always accepted. Default 1,000,000 entries,
	// which need at most 64 MiB.
	Limit int
	// MaxTokenLife is the longest life of a token. Use the value of
	// middleware.Config.MaxTokenLife. A revoked user stays on the list for this
	// long, plus 5 minutes. Default 31 days; from 1 minute to 10 years.
	MaxTokenLife time.Duration
	// Initial is a [List.Snapshot] to start from. With a Store, it is used for
	// at most MaxStaleness, until the store can be read. Its age counts from
	// the last read of the store before the snapshot was taken. With nil, the
	// list starts empty. Default nil.
	Initial []byte
	// Now is the clock. Use the clock of the validator. It must be safe for
	// concurrent use by multiple goroutines. Default time.Now.
	Now func() time.Time
	// Logger logs outages, gaps, malformed entries and clock skew. Default
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

	// leeway is the largest Leeway of a validator. A token may be accepted for
	// that long after its exp.
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
		fail("MaxStaleness is %v: use at least 2 × Poll + Timeout, which is %v",
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

// New returns a List. It does not wait for the store; [List.Warm] does.
// Goroutines read and write the store in the background until [List.Close]. The
// error joins every mistake in cfg (errors.Join), including a damaged Initial.
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
