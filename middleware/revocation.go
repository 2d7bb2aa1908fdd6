package middleware

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// maxSessionLength is the longest session that Para's developer portal offers, and so the longest
// that a token lives (Para documentation, "Session Duration").
const maxSessionLength = 30 * 24 * time.Hour

// defaultRevocations bounds a Revocations to some 20 MB.
const defaultRevocations = 100_000

// ErrRevocationsFull is returned when a [Revocations] holds as much as it may. Nothing was revoked:
// raise the limit, or log everybody out with [Revocations.RevokeIssuedBefore].
var ErrRevocationsFull = errors.New("parajwt: too many revocations")

// Revocations is a list, in memory, of users and tokens that are not to be accepted although they
// have not expired: "log this user out now". Its method [Revocations.Revoked] is for Config.Revoked:
//
//	var out middleware.Revocations
//	middleware.Config{Revoked: out.Revoked, …}
//	…
//	out.RevokeUser(user.UserID)
//
// It knows nothing of other processes and forgets at a restart. Several servers, or revocations that must
// survive, need a function of your own over a store of your own. The zero value is an empty list, ready for use.
// Safe for concurrent use.
type Revocations struct {
	// Limit is how many users and tokens may be on the list at once. Default 100,000. Set it
	// before the first use.
	Limit int
	// Now is the clock. Default time.Now. Set it before the first use.
	Now func() time.Time

	mu     sync.RWMutex
	users  map[string]time.Time // → tokens issued at or before this are out
	tokens map[string]time.Time // → when the token expires
	before time.Time
	swept  time.Time
}

func (r *Revocations) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// RevokeUser refuses every token of this user whose iat is not after now. From the next second on (iat counts in
// seconds) a new token is good again. It does not end the session at Para: a client that still has one can get
// a new token at once, without logging in. To keep a user out, refuse the user ID in a function of your own.
// Where Para's clock is ahead of this one, a token from just before counts as issued later, by Leeway at
// most. The error is [ErrRevocationsFull].
func (r *Revocations) RevokeUser(userID string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if _, ok := r.users[userID]; !ok && !r.room(now) {
		return ErrRevocationsFull
	}
	if r.users == nil {
		r.users = make(map[string]time.Time)
	}
	if until := r.users[userID]; now.After(until) { // also by a clock that was set back
		r.users[userID] = now
	}
	return nil
}

// RevokeToken refuses the token that these claims came from, and no other. The error is
// [ErrRevocationsFull], or tells that the claims came from no token.
func (r *Revocations) RevokeToken(c *claims.Claims) error {
	if c == nil || c.TokenID == "" {
		return errors.New("parajwt: these claims did not come from a token that could be revoked")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.tokens[c.TokenID]; !ok && !r.room(r.now()) {
		return ErrRevocationsFull
	}
	if r.tokens == nil {
		r.tokens = make(map[string]time.Time)
	}
	r.tokens[c.TokenID] = c.ExpiresAt
	return nil
}

// RevokeIssuedBefore refuses every token, of whatever user, that was issued before t. It never takes
// back an earlier call with a later t.
func (r *Revocations) RevokeIssuedBefore(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.After(r.before) {
		r.before = t
	}
}

// Revoked reports whether a user's token is on the list. Users whose token does not say when it was issued,
// which is those of a verification token, never are. The error is always nil.
func (r *Revocations) Revoked(_ context.Context, c *claims.Claims) (bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c.IssuedAt.IsZero() {
		return false, nil
	}
	if c.IssuedAt.Before(r.before) {
		return true, nil
	}
	if until, ok := r.users[c.UserID]; ok && !c.IssuedAt.After(until) {
		return true, nil
	}
	_, revoked := r.tokens[c.TokenID]
	return revoked && c.TokenID != "", nil
}

// room reports whether one more fits, after forgetting what has become pointless. The caller holds mu.
func (r *Revocations) room(now time.Time) bool {
	limit := r.Limit
	if limit <= 0 {
		limit = defaultRevocations
	}
	full := len(r.users)+len(r.tokens) >= limit
	if full && now.Sub(r.swept) >= time.Second || now.Sub(r.swept) >= time.Hour {
		r.swept = now
		for id, exp := range r.tokens {
			if now.Sub(exp) > maxLeeway {
				delete(r.tokens, id)
			}
		}
		for id, until := range r.users {
			if now.Sub(until) > maxSessionLength+maxLeeway {
				delete(r.users, id)
			}
		}
		full = len(r.users)+len(r.tokens) >= limit
	}
	return !full
}

// String tells how much is on the list, and not who.
func (r *Revocations) String() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return fmt.Sprintf("%d users and %d tokens revoked", len(r.users), len(r.tokens))
}
