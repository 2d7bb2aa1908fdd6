package session

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// TokensConfig tunes [Client.VerificationTokens]. The zero value is right for production.
type TokensConfig struct {
	// TTL is how long Para's yes to a token is used without asking again, and so how long a session that
	// ended can still be let in. Default 30 seconds; from 1 second to 5 minutes; negative: not at all. A no is
	// never kept.
	TTL time.Duration
	// Grace is how much longer than TTL a yes is used while Para gives no usable answer, a refused API key
	// included, so that users stay logged in through an outage. Default none; at most 1 hour.
	Grace time.Duration
	// Entries is how many tokens are kept at most. Default 10000; from 1 to 1000000.
	Entries int
}

// VerificationTokens verifies tokens for package middleware, and remembers Para's answers for a short while, so that a
// chatty client is not a call to Para each time. Tokens are not kept, only their SHA-256. It is made by
// [Client.VerificationTokens] and is safe for concurrent use.
type VerificationTokens struct {
	client  *Client
	ttl     time.Duration // 0: none
	grace   time.Duration
	entries int

	mu      sync.Mutex // guards the rest
	known   map[digest]*list.Element
	oldest  list.List // of *known, the oldest answer first
	flights map[digest]*flight
}

type digest [sha256.Size]byte

// known is a token that Para said yes to.
type known struct {
	token digest
	user  *claims.Claims
	at    time.Time
}

// flight is one call to Para. Any number of requests may wait for it; when none does any more, it ends.
type flight struct {
	done    chan struct{}
	waiting int // guarded by VerificationTokens.mu
	cancel  context.CancelFunc
	user    *claims.Claims
	err     error
}

// VerificationTokens returns a verifier of session verification tokens. It reports every mistake of the configuration
// at once (errors.Join), such as a Client without SecretAPIKey, and does not touch the network.
func (c *Client) VerificationTokens(cfg TokensConfig) (*VerificationTokens, error) {
	var errs []error
	if c.secretKey.reveal() == "" {
		errs = append(errs, &Error{Code: ErrNoAPIKey, Hint: "set Config.SecretAPIKey"})
	}
	if cfg.TTL == 0 {
		cfg.TTL = 30 * time.Second
	}
	if cfg.TTL > 0 && cfg.TTL < time.Second || cfg.TTL > 5*time.Minute {
		errs = append(errs, fmt.Errorf("session: TTL is %v: use 1s to 5m, 0 for the default of 30s, or a negative one for none", cfg.TTL))
	}
	if cfg.Grace < 0 || cfg.Grace > time.Hour || cfg.Grace > 0 && cfg.TTL < 0 {
		errs = append(errs, fmt.Errorf("session: Grace is %v: use up to 1h, and none without a TTL", cfg.Grace))
	}
	if cfg.Entries == 0 {
		cfg.Entries = 10_000
	}
	if cfg.Entries < 1 || cfg.Entries > 1_000_000 {
		errs = append(errs, fmt.Errorf("session: Entries is %d: use 1 to 1000000, or 0 for the default of 10000", cfg.Entries))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &VerificationTokens{
		client: c, ttl: max(cfg.TTL, 0), grace: cfg.Grace, entries: cfg.Entries,
		known: map[digest]*list.Element{}, flights: map[digest]*flight{},
	}, nil
}

// VerifyVerificationToken returns the user of a token, or an [*Error], never both. The claims hold what Para says, and
// nothing else: AuthType, Identifier, OAuthMethod, the field that AuthType names (such as Email), and
// Environment. There is no UserID, and there are no wallets. They are shared with every other caller that brings the same
// token: treat them as read-only.
//
// Equal calls at the same time are one call to Para, and ctx bounds only how long this caller waits. The error's Refused
// tells whether the token is known not to be good (401), or it could not be told (503). Errors are those of
// [Client.VerifyToken].
func (v *VerificationTokens) VerifyVerificationToken(ctx context.Context, token string) (*claims.Claims, error) {
	if v == nil { // whose VerificationTokens returned an error that nobody looked at
		return nil, &Error{Code: ErrNoAPIKey, Hint: "the VerificationTokens is nil"}
	}
	if !visible(token, 1<<10) {
		return nil, &Error{Code: ErrNotAToken}
	}
	key := digest(sha256.Sum256([]byte(token)))
	v.mu.Lock()
	if k := v.find(key, v.ttl); k != nil {
		v.mu.Unlock()
		return k.user, nil
	}
	f := v.flights[key]
	if f == nil {
		// The call outlives the request that began it, for the others that wait for it.
		call, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		v.flights[key] = f
		go v.fly(call, f, key, token)
	}
	f.waiting++
	v.mu.Unlock()

	select {
	case <-f.done:
		return f.user, f.err
	case <-ctx.Done():
	}
	v.mu.Lock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if v.flights[key] == f {
			delete(v.flights, key)
		}
	}
	v.mu.Unlock()
	return nil, &Error{Code: ErrUnavailable, Cause: context.Cause(ctx)}
}

// fly asks Para, and tells everybody who waits.
func (v *VerificationTokens) fly(ctx context.Context, f *flight, key digest, token string) {
	defer f.cancel()
	asked := v.client.now().Round(0) // a suspended machine stops the monotonic clock, and no session
	id, err := v.client.VerifyToken(ctx, token)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flights[key] == f {
		delete(v.flights, key)
	}
	var no *Error
	refused := errors.As(err, &no) && no.Refused()
	last := v.find(key, v.ttl+v.grace)
	switch {
	case err == nil:
		f.user = v.user(id)
		v.keep(key, f.user, asked)
	case !refused && last != nil && ctx.Err() == nil:
		f.user = last.user
		v.client.logger.LogAttrs(ctx, slog.LevelWarn, "parajwt: Para cannot be asked about a verification token; going on with its last answer",
			slog.String("environment", v.client.environment.Name), slog.Any("error", err))
	default:
		f.err = err
		if refused {
			v.forget(v.known[key])
		}
	}
	close(f.done)
}

// find returns an answer that is not older than that. The caller holds mu.
func (v *VerificationTokens) find(key digest, age time.Duration) *known {
	e := v.known[key]
	if e == nil {
		return nil
	}
	k := e.Value.(*known)
	// An answer from the future is of before the clock was set back.
	if since := v.client.now().Sub(k.at); since < 0 || since >= age {
		return nil
	}
	return k
}

// keep takes an answer in, and drops what is too old, which is all of it without a TTL, or too many. The caller holds
// mu.
func (v *VerificationTokens) keep(key digest, user *claims.Claims, asked time.Time) {
	v.forget(v.known[key])
	now := v.client.now().Round(0)
	v.known[key] = v.oldest.PushBack(&known{token: key, user: user, at: asked})
	for e := v.oldest.Front(); e != nil && (v.oldest.Len() > v.entries || now.Sub(e.Value.(*known).at) >= v.ttl+v.grace); e = v.oldest.Front() {
		v.forget(e)
	}
}

// forget drops an answer, if there is one. The caller holds mu.
func (v *VerificationTokens) forget(e *list.Element) {
	if e != nil {
		v.oldest.Remove(e)
		delete(v.known, e.Value.(*known).token)
	}
}

// user is what Para's answer says, as claims.
func (v *VerificationTokens) user(id Identity) *claims.Claims {
	c := &claims.Claims{
		AuthType: id.AuthType, Identifier: id.Identifier, OAuthMethod: id.OAuthMethod,
		Environment: v.client.environment.Name,
	}
	switch id.AuthType {
	case claims.AuthEmail:
		c.Email = id.Identifier
	case claims.AuthPhone:
		c.Phone = id.Identifier
	case claims.AuthTelegram:
		c.TelegramUserID = id.Identifier
	case claims.AuthFarcaster:
		c.FarcasterUsername = id.Identifier
	case claims.AuthExternalWallet:
		c.ExternalWalletAddress = id.Identifier
	}
	return c
}

// String names the environment.
func (v *VerificationTokens) String() string {
	return "Para verification tokens of " + v.client.environment.Name
}

// Format implements fmt.Formatter for every verb.
func (v *VerificationTokens) Format(f fmt.State, _ rune) { io.WriteString(f, v.String()) }

// GoString is String.
func (v *VerificationTokens) GoString() string { return v.String() }

// LogValue is what log/slog writes.
func (v *VerificationTokens) LogValue() slog.Value { return slog.StringValue(v.String()) }
