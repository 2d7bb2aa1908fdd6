package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
)

// Config says whose tokens are accepted. Environment and APIKeyIDs are required; the zero value of
// everything else is the safe one.
type Config struct {
	// Environment is the one your app lives in: jwks.Prod, jwks.Beta, … There is no default, and no
	// falling back from one to another.
	Environment jwks.Environment
	// APIKeyIDs are the unique IDs (UUIDs) of your API keys in Para's developer portal. A token is
	// accepted if its aud is one of them, exactly. They are not the API keys themselves.
	APIKeyIDs []string

	// Keys tunes the cache of Para's keys.
	Keys jwks.Config
	// Algorithms are the signature algorithms to accept. Default RS256 and ES256. A key verifies with
	// its own algorithm only.
	Algorithms []string
	// Leeway is how far Para's clock and this one may be apart. Default 30 seconds; a negative value
	// means none; over 5 minutes is an error.
	Leeway time.Duration
	// MaxTokenAge refuses tokens that were issued longer ago, although they have not expired. Para's
	// live up to 30 days, as your app's session length says. Default: exp alone decides.
	MaxTokenAge time.Duration
	// MaxTokenBytes is the size of the largest token that is looked at. Default 16 KiB; from 1 KiB to
	// 64 KiB.
	MaxTokenBytes int
	// CacheSize is how many verified tokens are remembered, so that a repeat costs a look-up and no
	// signature. Each takes at most 8 KiB (a token of Para's documentation, 3.3 KiB), so the default
	// of 8192 never takes more than 64 MiB. It counts in steps of 16. A negative value switches it off; at
	// most 1,048,576.
	CacheSize int
	// Revoked is asked on every request, of a remembered token too, whether its user is to be
	// refused all the same. A [Revocations] serves a single process. An error means that it cannot be
	// told, and refuses with [ErrRevocationUnknown]. It is called by many goroutines at once, and for users of
	// verification tokens, too, who have no UserID, TokenID or IssuedAt. Default: nobody is.
	Revoked func(ctx context.Context, user *claims.Claims) (bool, error)
	// Now is the clock. It serves the key cache too, unless Keys.Now is set. It must be safe for concurrent use.
	// Default time.Now.
	Now func() time.Time
	// Logger is told of refusals by the adapters, and by the key cache, unless Keys.Logger is set, of
	// what happens to the keys. No token is ever logged. Default slog.Default().
	Logger *slog.Logger
	// OtherEnvironments are snapshots (jwks.Cache.Snapshot) of the key sets of environments that are not
	// this one. They verify nothing. They tell the log where a token with an unknown key comes
	// from, without asking anybody.
	OtherEnvironments []jwks.Source
}

const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 5 * time.Minute
	defaultMaxToken = 16 << 10
	defaultCache    = 8192
	maxCache        = 1 << 20
)

// withDefaults checks everything and fills in what was left out.
func (cfg Config) withDefaults() (Config, []error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("parajwt: "+format, args...))
	}

	if len(cfg.APIKeyIDs) == 0 {
		fail("APIKeyIDs is empty: give the unique ID of your API key, as Para's developer portal shows it; without it tokens of every Para app would be accepted")
	}
	cfg.APIKeyIDs = slices.Clone(cfg.APIKeyIDs)
	for i, id := range cfg.APIKeyIDs {
		switch {
		case strings.TrimSpace(id) == "":
			fail("APIKeyIDs[%d] is blank: is the environment variable set?", i)
		case strings.TrimSpace(id) != id:
			fail("APIKeyIDs[%d] has white space around it", i)
		case looksLikeAPIKey(id):
			fail("APIKeyIDs[%d] looks like an API key; give its unique ID (a UUID), which the developer portal shows beside it", i)
		}
	}

	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	if cfg.Leeway > maxLeeway {
		fail("Leeway is %v: at most %v; set the clock right instead", cfg.Leeway, maxLeeway)
	}
	cfg.Leeway = max(cfg.Leeway, 0)
	if cfg.MaxTokenAge < 0 {
		fail("MaxTokenAge is %v: use a positive duration, or 0 for no limit but exp", cfg.MaxTokenAge)
	}
	if cfg.MaxTokenBytes == 0 {
		cfg.MaxTokenBytes = defaultMaxToken
	}
	if cfg.MaxTokenBytes < 1<<10 || cfg.MaxTokenBytes > 64<<10 {
		fail("MaxTokenBytes is %d: use 1024 to 65536, or 0 for the default of %d", cfg.MaxTokenBytes, defaultMaxToken)
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCache
	}
	if cfg.CacheSize > maxCache {
		fail("CacheSize is %d: at most %d tokens, 0 for the default of %d, negative for none", cfg.CacheSize, maxCache, defaultCache)
		cfg.CacheSize = maxCache
	}

	if len(cfg.Algorithms) > 0 && len(cfg.Keys.Algorithms) > 0 && !slices.Equal(cfg.Algorithms, cfg.Keys.Algorithms) {
		fail("Algorithms and Keys.Algorithms differ: set one of them")
	}
	if len(cfg.Keys.Algorithms) == 0 {
		cfg.Keys.Algorithms = cfg.Algorithms
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Keys.Logger == nil {
		cfg.Keys.Logger = cfg.Logger
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, errs
}

// looksLikeAPIKey recognises the prefixes that API keys carry (Para's SDK).
func looksLikeAPIKey(id string) bool {
	for _, prefix := range []string{"prod_", "beta_", "sandbox_", "dev_"} {
		if strings.HasPrefix(strings.ToLower(id), prefix) {
			return true
		}
	}
	return false
}

// otherEnvironments reads which key IDs are known to be another environment's.
func (cfg Config) otherEnvironments() (map[string]string, error) {
	var errs []error
	of := make(map[string]string)
	for i, source := range cfg.OtherEnvironments {
		name, ids, err := source.Inspect()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("parajwt: OtherEnvironments[%d]: %w", i, err))
		case name == "":
			errs = append(errs, fmt.Errorf("parajwt: OtherEnvironments[%d] does not say which environment it is of: give a snapshot, not a plain key set", i))
		}
		for _, id := range ids {
			of[id] = name
		}
	}
	return of, errors.Join(errs...)
}
