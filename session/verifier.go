package session

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// TokenVerifierConfig configures a [TokenVerifier]. The zero value is valid and
// fits production.
type TokenVerifierConfig struct {
	// TTL is how long an accepted token is accepted without another call to
	// Para. It counts from the start of the call. It also bounds how long the
	// token of an ended session is accepted. Default 30 seconds; from 1 second
	// to 5 minutes. With a negative value, no accepted token is cached.
	TTL time.Duration
	// Grace is how much longer than TTL an accepted token is accepted while
	// Para cannot verify it, so that users stay logged in during an outage. A
	// refused API key counts as an outage. Default 0; at most 1 hour. It must
	// be 0 if TTL is negative.
	Grace time.Duration
	// Entries is the maximum number of accepted tokens to cache, and also of
	// refused ones. Default 10,000; from 1 to 1,000,000.
	Entries int
}

// refusedFor is how long a refused token is refused without another call to
// Para.
const refusedFor = 5 * time.Second

// TokenVerifier verifies the verification tokens of Para sessions for package
// middleware. It caches Para's verdicts, so that not every request of a client
// needs a call to Para. The cache has the SHA-256 hashes of tokens, not the
// tokens. [Client.TokenVerifier] returns one. A TokenVerifier is safe for
// concurrent use by multiple goroutines.
type TokenVerifier struct {
	printed
	client     *Client
	ttl, grace time.Duration

	mu      sync.Mutex // guards the rest
	good    answers
	refused answers
	flights map[digest]*flight
}

type digest [sha256.Size]byte

// flight is one call to Para, for all requests that wait for it. It is
// cancelled if no request waits.
type flight struct {
	done    chan struct{}
	waiting int // guarded by TokenVerifier.mu
	cancel  context.CancelFunc
	answer  *entry // set before done is closed
}

// TokenVerifier returns a verifier of verification tokens, for
// middleware.AcceptVerificationTokensWithoutUserID. It makes no call. The error
// joins every mistake in the configuration (errors.Join). It matches
// [ErrNoAPIKey] if the Client has no SecretAPIKey.
func (c *Client) TokenVerifier(cfg TokenVerifierConfig) (*TokenVerifier, error) {
	var errs mistakes
	if c.cfg.SecretAPIKey.Reveal() == "" {
		errs = append(errs, &Error{Code: ErrNoAPIKey, Hint: "set Config.SecretAPIKey"})
	}
	cfg.TTL = cmp.Or(cfg.TTL, 30*time.Second)
	if cfg.TTL > 0 && cfg.TTL < time.Second || cfg.TTL > 5*time.Minute {
		errs.add("TTL is %v: use 1s to 5m, 0 for the default of 30s, or a negative value for none",
			cfg.TTL)
	}
	if cfg.Grace < 0 || cfg.Grace > time.Hour || cfg.Grace > 0 && cfg.TTL < 0 {
		errs.add("Grace is %v: use 0 to 1h, and 0 with a negative TTL", cfg.Grace)
	}
	cfg.Entries = cmp.Or(cfg.Entries, 10_000)
	if cfg.Entries < 1 || cfg.Entries > 1_000_000 {
		errs.add("Entries is %d: use 1 to 1000000, or 0 for the default of 10000", cfg.Entries)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	ttl := max(cfg.TTL, 0)
	return &TokenVerifier{
		printed: printedAs("Para verification tokens of " + c.cfg.Environment.Name),
		client:  c, ttl: ttl, grace: cfg.Grace,
		// Accepted tokens are kept for one more TTL, because calls for them
		// have a separate gate: a flood of other tokens does not block them.
		good:    newAnswers(cfg.Entries, 2*ttl+cfg.Grace),
		refused: newAnswers(cfg.Entries, refusedFor),
		flights: map[digest]*flight{},
	}, nil
}

// VerifyVerificationToken returns either the user of a token or an [*Error].
// The claims have AuthType, Identifier, OAuthMethod, the field of AuthType
// (such as Email), and Environment. They have no UserID and no wallets. Callers
// with the same token may get the same *claims.Claims: treat it as read-only.
//
// Concurrent calls with the same token share one call to Para. ctx limits how
// long this caller waits. A refused token is cached for 5 seconds.
//
// The codes of the error, and the limits, are those of [Client.VerifyToken].
// Another 8 calls at a time are reserved for tokens that Para accepted
// recently. [Error.Refused] distinguishes an invalid token (401) from one that
// could not be verified (503).
func (v *TokenVerifier) VerifyVerificationToken(ctx context.Context, token string) (
	*claims.Claims, error) {
	if v == nil { // the program ignored the error of Client.TokenVerifier
		return nil, &Error{Code: ErrNoAPIKey, Hint: "the TokenVerifier is nil"}
	}
	if !visible(token, 1<<10) {
		return nil, &Error{Code: ErrNotAToken}
	}
	key := digest(sha256.Sum256([]byte(token)))
	v.mu.Lock()
	now := v.client.cfg.Now()
	if e := cmp.Or(v.good.find(key, now, v.ttl), v.refused.find(key, now, refusedFor)); e != nil {
		v.mu.Unlock()
		return e.user, e.err
	}
	f := v.flights[key]
	if f == nil || f.waiting == 0 { // 0 means that the call was cancelled
		// The call continues after the request that started it, for other
		// requests that wait.
		call, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		v.flights[key] = f
		g := v.client.strangers
		if v.good.find(key, now, v.good.life) != nil {
			g = v.client.known
		}
		go v.fly(call, f, key, token, g)
	}
	f.waiting++
	v.mu.Unlock()

	select {
	case <-f.done:
		return f.answer.user, f.answer.err
	case <-ctx.Done():
	}
	v.mu.Lock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
	}
	v.mu.Unlock()
	return nil, &Error{Code: ErrUnavailable, Cause: context.Cause(ctx)}
}

// fly verifies a token with Para and publishes the answer to the requests that
// wait.
func (v *TokenVerifier) fly(ctx context.Context, f *flight, key digest, token string, g *gate) {
	defer f.cancel()
	// Round drops the monotonic clock, which stops while a machine is
	// suspended.
	asked := v.client.cfg.Now().Round(0)
	id, err := v.client.verifyToken(ctx, token, g)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flights[key] == f {
		delete(v.flights, key)
	}
	now := v.client.cfg.Now().Round(0)
	var refusal *Error
	errors.As(err, &refusal)
	last := v.good.find(key, now, v.ttl+v.grace)
	f.answer = &entry{token: key, at: asked, err: err}
	switch {
	case err == nil:
		f.answer.user = v.user(id)
		v.refused.drop(key)
		v.good.put(f.answer, now)
	case refusal.Refused():
		v.good.drop(key)
		v.refused.put(f.answer, now)
	case last != nil && ctx.Err() == nil:
		f.answer = last
		level := slog.LevelWarn
		if refusal.Code == ErrUnauthorizedKey {
			level = slog.LevelError
		}
		v.client.cfg.Logger.LogAttrs(ctx, level,
			"parajwt: verification token could not be verified; using Para's last answer",
			slog.String("environment", v.client.cfg.Environment.Name), slog.Any("error", err))
	}
	close(f.done)
}

// user returns an identity as claims.
func (v *TokenVerifier) user(id Identity) *claims.Claims {
	c := &claims.Claims{
		AuthType: id.AuthType, Identifier: id.Identifier, OAuthMethod: id.OAuthMethod,
		Environment: v.client.cfg.Environment.Name,
	}
	into := map[claims.AuthType]*string{
		claims.AuthEmail:          &c.Email,
		claims.AuthPhone:          &c.Phone,
		claims.AuthTelegram:       &c.TelegramUserID,
		claims.AuthFarcaster:      &c.FarcasterUsername,
		claims.AuthExternalWallet: &c.ExternalWalletAddress,
	}[id.AuthType]
	if into != nil {
		*into = id.Identifier
	}
	return c
}

// answers is a cache of Para's answers, bounded by number and age. Callers hold
// TokenVerifier.mu.
type answers struct {
	limit  int
	life   time.Duration
	known  map[digest]*list.Element
	oldest *list.List // of *entry, the oldest answer first
}

// entry is Para's answer about a token: a user or an error.
type entry struct {
	token digest
	at    time.Time // when the call to Para started
	user  *claims.Claims
	err   error
}

func newAnswers(limit int, life time.Duration) answers {
	return answers{limit: limit, life: life, known: map[digest]*list.Element{}, oldest: list.New()}
}

// find returns an answer that is younger than age, or nil. An answer from the
// future is not used, because the clock was set back after it.
func (a *answers) find(token digest, now time.Time, age time.Duration) *entry {
	if e := a.known[token]; e != nil {
		found := e.Value.(*entry)
		if since := now.Sub(found.at); 0 <= since && since < age {
			return found
		}
	}
	return nil
}

// put adds an answer, and drops those that are too old or too many.
func (a *answers) put(e *entry, now time.Time) {
	a.drop(e.token)
	a.known[e.token] = a.oldest.PushBack(e)
	for a.oldest.Len() > 0 {
		first := a.oldest.Front().Value.(*entry)
		if a.oldest.Len() <= a.limit && now.Sub(first.at) < a.life {
			return
		}
		a.drop(first.token)
	}
}

func (a *answers) drop(token digest) {
	if e := a.known[token]; e != nil {
		a.oldest.Remove(e)
		delete(a.known, token)
	}
}
