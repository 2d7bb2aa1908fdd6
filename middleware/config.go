package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/parakey"
	"github.com/parajwt/parajwt/jwks"
)

// Config configures a [Validator]. Environment and APIKeyIDs are required. The
// zero value of every other field is the secure default.
type Config struct {
	// Environment is the Para environment of the app: jwks.Prod, jwks.Beta or
	// another. There is no default, and no fallback to another environment.
	Environment jwks.Environment
	// APIKeyIDs are the unique IDs (UUIDs) of the app's API keys in Para's
	// developer portal. They are not the API keys. A token is accepted only if
	// its aud contains one of them (RFC 7519 §4.1.3).
	APIKeyIDs []string

	// Keys configures the cache of Para's keys.
	Keys jwks.Config
	// Algorithms are the accepted signature algorithms, by their names in RFC
	// 7518 §3.1 and RFC 8037 §3.1. A key verifies with one algorithm only.
	// Default RS256 and ES256.
	Algorithms []string
	// Leeway is the allowed clock skew between Para and this server. Default 30
	// seconds, at most 5 minutes. A negative value allows no skew.
	Leeway time.Duration
	// MaxTokenAge refuses tokens whose iat is longer ago than this plus Leeway.
	// Default 0, which sets no limit other than exp.
	MaxTokenAge time.Duration
	// MaxTokenLife refuses tokens whose exp is more than this after their iat.
	// It bounds how long a revocation must be kept. Para's sessions last up to
	// 30 days. Default 31 days.
	MaxTokenLife time.Duration
	// MaxTokenBytes is the size of the largest accepted token. Default 16 KiB;
	// from 1 KiB to 64 KiB.
	MaxTokenBytes int
	// CacheSize is the number of verified tokens in the token cache. A repeated
	// token needs no signature check. CacheSize is rounded down to a multiple
	// of 16, and is at least 16. Default 8192; at most 1,048,576. A negative
	// value disables the cache.
	//
	// An entry takes at most 8 KiB, so the default takes at most 64 MiB. A
	// token whose entry would take more is verified each time. These are the
	// tokens of more than about 2.4 KiB.
	CacheSize int
	// Revoked reports whether to refuse a user whose token is otherwise valid.
	// It is called last, on every request, also if the token is cached. It is
	// also called by Recheck, and for expired tokens behind ExpiredIsAnonymous.
	// now is the time by Config.Now. Method Revoked of revocation.List fits. An
	// error refuses the request with [ErrRevocationUnknown].
	//
	// user is read-only. Users of verification tokens have no UserID, TokenID
	// or IssuedAt. Revoked must be safe for concurrent use by multiple
	// goroutines. Default: no user is revoked.
	Revoked func(ctx context.Context, user *claims.Claims, now time.Time) (bool, error)
	// Observe receives one event for each call of Validate, Guard.Check and
	// Guard.CheckToken. There is no event for Recheck, for a request without a
	// token behind Optional, and for a request that an adapter's Allow passes.
	// Observe runs before the handler. It must be safe for concurrent use by
	// multiple goroutines.
	Observe func(ctx context.Context, e Event)

	// TokenSources are where guards look for the token. The first source that
	// returns a token or an error decides. Option TokenFrom replaces them for
	// one guard. Default FromAuthorization.
	TokenSources []TokenSource
	// OnRefusal replaces the default response to refused requests. Option
	// OnRefusal documents it, and replaces it for one guard.
	OnRefusal func(w http.ResponseWriter, r *http.Request, err *Error)

	// Now is the clock of the validator and of the key cache. It must be safe
	// for concurrent use by multiple goroutines. Default time.Now.
	Now func() time.Time
	// Logger receives the requests that guards refuse, and the events of the
	// key cache. No token is logged. Default slog.Default().
	Logger *slog.Logger
	// OtherEnvironments are snapshots of the key sets of other environments,
	// from jwks.Cache.Snapshot. They verify no token. If one has the key of a
	// refused token, the log names its environment.
	OtherEnvironments []jwks.Source
}

const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 5 * time.Minute
	defaultLife     = 31 * 24 * time.Hour
	defaultMaxToken = 16 << 10
	defaultCache    = 8192
	maxCache        = 1 << 20
)

// withDefaults returns cfg with its defaults, and every mistake in it.
func (cfg Config) withDefaults() (Config, []error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("parajwt: "+format, args...))
	}

	if len(cfg.APIKeyIDs) == 0 {
		fail("APIKeyIDs is empty: give the unique ID of your API key, as Para's developer portal" +
			" shows it; without it, tokens of every Para app would be accepted")
	}
	cfg.APIKeyIDs = slices.Clone(cfg.APIKeyIDs)
	for i, id := range cfg.APIKeyIDs {
		switch err := parakey.CheckID(id); {
		case strings.TrimSpace(id) == "":
			fail("APIKeyIDs[%d] is blank: is the environment variable set?", i)
		case strings.TrimSpace(id) != id:
			fail("APIKeyIDs[%d] has white space around it", i)
		case err != nil:
			fail("APIKeyIDs[%d]: %w", i, err)
		}
		cfg.APIKeyIDs[i] = parakey.NormalizeID(id)
	}

	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	if cfg.Leeway > maxLeeway {
		fail("Leeway is %v: at most %v; synchronize the clock instead", cfg.Leeway, maxLeeway)
	}
	cfg.Leeway = max(cfg.Leeway, 0)
	if cfg.MaxTokenAge < 0 {
		fail("MaxTokenAge is %v: use a positive duration, or 0 for no limit other than exp",
			cfg.MaxTokenAge)
	}
	if cfg.MaxTokenLife == 0 {
		cfg.MaxTokenLife = defaultLife
	}
	if cfg.MaxTokenLife < 0 {
		fail("MaxTokenLife is %v: use a positive duration, or 0 for the default of %v",
			cfg.MaxTokenLife, defaultLife)
	}
	if cfg.MaxTokenBytes == 0 {
		cfg.MaxTokenBytes = defaultMaxToken
	}
	if cfg.MaxTokenBytes < 1<<10 || cfg.MaxTokenBytes > 64<<10 {
		fail("MaxTokenBytes is %d: use 1024 to 65536, or 0 for the default of %d",
			cfg.MaxTokenBytes, defaultMaxToken)
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCache
	}
	if cfg.CacheSize > maxCache {
		fail("CacheSize is %d: at most %d tokens, 0 for the default of %d, negative for none",
			cfg.CacheSize, maxCache, defaultCache)
		cfg.CacheSize = maxCache
	}
	if slices.ContainsFunc(cfg.TokenSources, isNil) {
		fail("TokenSources has a nil source")
	}
	cfg.TokenSources = slices.Clone(cfg.TokenSources)
	if len(cfg.TokenSources) == 0 {
		cfg.TokenSources = []TokenSource{fromAuthorization}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, errs
}

// warnAboutAPIKeyIDs logs the IDs that are not UUIDs, the form of every known
// ID.
func (cfg Config) warnAboutAPIKeyIDs(environment string) {
	for i, id := range cfg.APIKeyIDs {
		if !parakey.IsID(id) {
			cfg.Logger.Warn("parajwt: an API key ID is not a UUID: check it if tokens are refused"+
				" with code audience",
				"environment", environment, "index", i)
		}
	}
}

// otherEnvironments returns the names of the other environments by key ID.
func (cfg Config) otherEnvironments() (map[string]string, error) {
	var errs []error
	of := make(map[string]string)
	for i, source := range cfg.OtherEnvironments {
		name, ids, err := source.Inspect()
		if err != nil {
			errs = append(errs, fmt.Errorf("parajwt: OtherEnvironments[%d]: %w", i, err))
		}
		for _, id := range ids {
			of[id] = name
		}
	}
	return of, errors.Join(errs...)
}
