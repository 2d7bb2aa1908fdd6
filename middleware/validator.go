package middleware

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/jwks"
)

// Validator turns tokens into Para users. It is made by [New], is safe for concurrent use, and is
// meant to be shared by all of a program's handlers. Close it at the end.
type Validator struct {
	cfg     Config
	keys    *jwks.Cache
	ownNow  bool              // the key cache has a clock of its own
	foreign map[string]string // key ID → the other environment it is known to be of
	scratch sync.Pool         // of *[]byte
	cache   *tokenCache       // nil when switched off
}

// New returns a validator for one environment of Para and a list of API key IDs. It reports every
// mistake of the configuration at once (errors.Join) and fetches nothing: the first token does, or
// [Validator.Warm].
func New(cfg Config) (*Validator, error) {
	clock := cfg.Now // nil for the system's
	cfg, errs := cfg.withDefaults()
	foreign, err := cfg.otherEnvironments()
	errs = append(errs, err)
	v := &Validator{cfg: cfg, foreign: foreign, ownNow: cfg.Keys.Now != nil, cache: newTokenCache(cfg.CacheSize)}
	if !v.ownNow {
		cfg.Keys.Now = clock
	}
	v.keys, err = jwks.New(cfg.Environment, cfg.Keys)
	if err := errors.Join(append(errs, err)...); err != nil {
		if v.keys != nil {
			v.keys.Close()
		}
		return nil, err
	}
	v.scratch.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	return v, nil
}

// Validate verifies a token and returns its user, or a [*Error], never both. The user is shared with
// every other caller that validates the same token: treat it as read-only.
//
// It does what RFC 8725 asks, in this order, so that a token costs no cryptography unless its header
// is right and its key is known: size, three parts of canonical base64url, header (strict JSON, alg on the
// allow-list, no crit and the like), key by kid, alg being that key's, signature; then payload (strict JSON,
// every claim of its type), aud; then exp, iat, nbf, MaxTokenAge, Revoked.
//
// A token that was verified before, and whose key is still Para's, is compared as a whole and looked up instead
// (Config.CacheSize); what changes with time is checked each time.
//
// It calls Para only when keys are missing, and waits for that no longer than ctx. The header may have 4 KiB, encoded.
//
// Codes: ErrNoToken, ErrMalformed, ErrAlgorithm, ErrUnknownKey, ErrSignature, ErrAudience, ErrClaims, ErrExpired,
// ErrNotYetValid, ErrRevoked; and ErrKeysUnavailable and ErrRevocationUnknown, which say nothing about the token.
func (v *Validator) Validate(ctx context.Context, token string) (*claims.Claims, error) {
	c, err := v.validate(ctx, token)
	if err != nil {
		return nil, err // never a nil *Error in an error
	}
	return c, nil
}

func (v *Validator) validate(ctx context.Context, token string) (*claims.Claims, *Error) {
	switch {
	case token == "":
		return nil, &Error{Code: ErrNoToken}
	case len(token) > v.cfg.MaxTokenBytes:
		return nil, &Error{Code: ErrMalformed, Cause: errTooLarge}
	}
	now := v.cfg.Now()
	c := v.recall(ctx, token, now)
	if c == nil {
		var err *Error
		if c, err = v.verify(ctx, token, now); err != nil {
			return nil, err
		}
		now = v.cfg.Now() // it may have waited for keys
	}
	if err := v.inTime(c, now); err != nil {
		return nil, err
	}
	if v.cfg.Revoked != nil {
		if err := v.revoked(ctx, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// recall returns the user of a token that was verified before with a key that is still in the set.
// In every other case it is as if the token were new.
func (v *Validator) recall(ctx context.Context, token string, now time.Time) *claims.Claims {
	e := v.cache.get(token)
	if e == nil {
		return nil
	}
	if key, err := v.key(ctx, e.key.ID(), now); err != nil || key != e.key {
		return nil
	}
	return e.claims
}

func (v *Validator) revoked(ctx context.Context, c *claims.Claims) *Error {
	switch revoked, err := v.cfg.Revoked(ctx, c); {
	case err != nil:
		return &Error{Code: ErrRevocationUnknown, KeyID: c.KeyID, Signed: true, RetryAfter: time.Second, Cause: err}
	case revoked:
		return &Error{Code: ErrRevoked, KeyID: c.KeyID, Signed: true}
	}
	return nil
}

var (
	errTooLarge = errors.New("token is larger than MaxTokenBytes")
	errKeyAlg   = errors.New("alg is not the algorithm of its key")
)

// verify checks all that does not change with time.
func (v *Validator) verify(ctx context.Context, token string, now time.Time) (*claims.Claims, *Error) {
	t, err := jose.Split(token)
	if err != nil {
		return nil, &Error{Code: ErrMalformed, Cause: err}
	}
	scratch := v.scratch.Get().(*[]byte)
	defer v.scratch.Put(scratch)

	buf, err := jose.AppendDecoded((*scratch)[:0], t.Header)
	if err != nil {
		return nil, &Error{Code: ErrMalformed, Cause: err}
	}
	header, err := jose.ParseHeader(string(buf))
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, &Error{Code: ErrAlgorithm, Hint: "the token's header has no alg"}
	case err != nil:
		return nil, &Error{Code: ErrMalformed, Cause: err}
	}
	if !v.keys.Allows(header.Algorithm) {
		return nil, &Error{Code: ErrAlgorithm, KeyID: header.KeyID, Cause: fmt.Errorf("alg %.16q is not on the allow-list", header.Algorithm)}
	}
	key, refusal := v.key(ctx, header.KeyID, now)
	if refusal != nil {
		return nil, refusal
	}
	if header.Algorithm != key.Algorithm() {
		return nil, &Error{Code: ErrAlgorithm, KeyID: header.KeyID, Cause: errKeyAlg}
	}

	// The bytes that were signed are those that arrived, not a re-encoding of them.
	buf = append(buf[:0], t.SigningInput...)
	signed := len(buf)
	if buf, err = jose.AppendDecoded(buf, t.Signature); err != nil {
		return nil, &Error{Code: ErrMalformed, KeyID: header.KeyID, Cause: err}
	}
	*scratch = buf
	if err := key.Verify(buf[:signed], buf[signed:]); err != nil {
		return nil, &Error{Code: ErrSignature, KeyID: header.KeyID}
	}

	if buf, err = jose.AppendDecoded(buf[:0], t.Payload); err != nil {
		return nil, &Error{Code: ErrMalformed, KeyID: header.KeyID, Signed: true, Cause: err}
	}
	c, err := claims.FromVerifiedPayload(string(buf))
	if err != nil {
		code := ErrClaims
		var ce *claims.Error
		if errors.As(err, &ce) {
			switch ce.Claim {
			case "":
				code = ErrMalformed
			case "aud":
				code = ErrAudience
			}
		}
		return nil, &Error{Code: code, KeyID: header.KeyID, Signed: true, Cause: err}
	}
	if !v.forUs(c.Audience) {
		return nil, &Error{Code: ErrAudience, KeyID: header.KeyID, Signed: true,
			Hint: fmt.Sprintf("its aud is %.100q, which is none of APIKeyIDs", c.Audience)}
	}
	c.KeyID = key.ID()
	c.Environment = v.keys.Environment().Name
	c.TokenID = jose.TokenID(token)
	v.cache.put(token, c, key, now)
	return c, nil
}

// key finds the token's key, and turns the cache's errors into ours.
func (v *Validator) key(ctx context.Context, id string, now time.Time) (jwks.Key, *Error) {
	if v.ownNow {
		now = v.cfg.Keys.Now()
	}
	key, err := v.keys.KeyAt(ctx, id, now)
	if err == nil {
		return key, nil
	}
	if errors.Is(err, jwks.ErrUnknownKey) {
		return key, &Error{Code: ErrUnknownKey, KeyID: id, Hint: v.whose(id)}
	}
	return key, unavailable(id, err)
}

func unavailable(id string, err error) *Error {
	e := &Error{Code: ErrKeysUnavailable, KeyID: id, RetryAfter: time.Second, Cause: err}
	var ue *jwks.UnavailableError
	if errors.As(err, &ue) {
		e.RetryAfter = ue.RetryAfter
	}
	return e
}

// whose tells an operator where a token with an unknown key may come from.
func (v *Validator) whose(id string) string {
	here := v.keys.Environment().Name
	if other := v.foreign[id]; other != "" && other != here {
		return fmt.Sprintf("the key is known from Para's environment %q, and this validator is for %q: does the client use another environment than the server?", other, here)
	}
	return fmt.Sprintf("the key set of %q has no such key: does the client use another Para environment, or does somebody guess?", here)
}

func (v *Validator) forUs(audience []string) bool {
	for _, aud := range audience {
		for _, id := range v.cfg.APIKeyIDs {
			if aud == id {
				return true
			}
		}
	}
	return false
}

// inTime checks what can change from one use of a token to the next (RFC 7519 §4.1.4 to §4.1.6).
func (v *Validator) inTime(c *claims.Claims, now time.Time) *Error {
	leeway := v.cfg.Leeway
	refuse := func(code Code, hint string) *Error {
		return &Error{Code: code, KeyID: c.KeyID, Signed: true, Hint: hint}
	}
	switch {
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return refuse(ErrExpired, "it expired "+now.Sub(c.ExpiresAt).Round(time.Second).String()+" ago")
	case c.IssuedAt.After(now.Add(leeway)):
		return refuse(ErrNotYetValid, "its iat lies "+c.IssuedAt.Sub(now).Round(time.Second).String()+" ahead: are the clocks right?")
	case c.NotBefore.After(now.Add(leeway)):
		return refuse(ErrNotYetValid, "its nbf lies "+c.NotBefore.Sub(now).Round(time.Second).String()+" ahead")
	case v.cfg.MaxTokenAge > 0 && now.Sub(c.IssuedAt)-leeway > v.cfg.MaxTokenAge:
		return refuse(ErrExpired, "it is older than MaxTokenAge")
	}
	return nil
}

// Warm fetches Para's keys now, so that the first request does not wait for them. It returns nil if there are
// keys to verify with afterwards, be it those of Keys.Initial while Para cannot be reached, or an [*Error] with
// [ErrKeysUnavailable]. A program need not end for it: fetching goes on by itself.
func (v *Validator) Warm(ctx context.Context) error {
	if err := v.keys.Warm(ctx); err != nil {
		return unavailable("", err)
	}
	return nil
}

// Keys returns the cache of Para's keys, for a [jwks.Cache.Snapshot].
func (v *Validator) Keys() *jwks.Cache { return v.keys }

// Status returns how Para's keys stand, for health endpoints and metrics. It never waits.
func (v *Validator) Status() jwks.Status { return v.keys.Status() }

// Close ends the refreshing of keys. It always returns nil, and may be called again.
func (v *Validator) Close() error { return v.keys.Close() }

// String names the validator and nothing that it holds.
func (v *Validator) String() string {
	return "parajwt validator for " + v.keys.Environment().Name
}

// GoString is String, so that %#v shows nothing that the validator holds either.
func (v *Validator) GoString() string { return v.String() }
