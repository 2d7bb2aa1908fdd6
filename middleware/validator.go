package middleware

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/jwks"
)

// Validator verifies tokens for one Para environment. [New] makes it. A program
// makes one, shares it among its handlers and closes it at the end. Safe for
// concurrent use by multiple goroutines.
type Validator struct {
	cfg     Config
	keys    *jwks.Cache
	foreign map[string]string // key ID → the other environment that is known to use it
	scratch sync.Pool         // of *[]byte
	cache   *tokenCache       // nil if disabled
}

// New returns a validator for one Para environment and a list of API key IDs.
// It reports every mistake in cfg at once (errors.Join). It fetches nothing:
// the first token does, or [Validator.Warm].
func New(cfg Config) (*Validator, error) {
	clock := cfg.Now // nil for the system's
	cfg, errs := cfg.withDefaults()
	foreign, err := cfg.otherEnvironments()
	errs = append(errs, err)
	v := &Validator{cfg: cfg, foreign: foreign, cache: newTokenCache(cfg.CacheSize)}
	v.keys, err = jwks.New(cfg.Environment, cfg.Keys, jwks.WithAlgorithms(cfg.Algorithms...),
		jwks.WithClock(clock), jwks.WithLogger(cfg.Logger))
	if err := errors.Join(append(errs, err)...); err != nil {
		if v.keys != nil {
			v.keys.Close()
		}
		return nil, err
	}
	v.scratch.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	cfg.warnAboutAPIKeyIDs(v.keys.Environment().Name)
	return v, nil
}

// Validate verifies a token. It returns the user, or an [*Error]. The user is
// shared with every caller that validates the same token: treat it as
// read-only, or use an adapter, behind which each request has a copy.
//
// The checks follow RFC 8725. The signature is checked only if the header is
// valid and the key is known, so that other tokens cost no cryptography. In
// order: size, three parts of canonical base64url, header (strict JSON, alg on
// the allow-list, no crit), key by kid, alg of that key, signature, payload
// (strict JSON, every claim of its type, MaxTokenLife), aud, iat, nbf, exp,
// MaxTokenAge, Revoked.
//
// If the token was verified before, and its key is still in the key set, the
// token cache answers (Config.CacheSize). It compares the whole token. Times
// and revocation are checked each time.
//
// Validate fetches keys from Para only if a key is missing. It waits for the
// fetch until ctx ends.
//
// The codes are [ErrNoToken], [ErrMalformed], [ErrAlgorithm], [ErrUnknownKey],
// [ErrSignature], [ErrAudience], [ErrClaims], [ErrExpired], [ErrNotYetValid]
// and [ErrRevoked]; and [ErrKeysUnavailable] and [ErrRevocationUnknown], which
// mean that the token could not be verified.
func (v *Validator) Validate(ctx context.Context, token string) (*claims.Claims, error) {
	var o outcome
	if token == "" {
		o.refusal = &Error{Code: ErrNoToken}
	} else {
		v.validate(ctx, token, &o)
	}
	v.observe(ctx, &o)
	if o.refusal != nil {
		return nil, o.refusal
	}
	return o.shared, nil
}

// validate verifies a token that is not "" and writes the result to o. It sets
// the user of an expired token too, because ExpiredIsAnonymous then checks
// revocation.
func (v *Validator) validate(ctx context.Context, token string, o *outcome) {
	if len(token) > v.cfg.MaxTokenBytes {
		o.refusal = &Error{Code: ErrMalformed, Check: CheckForm, Cause: errTooLarge}
		return
	}
	now := v.cfg.Now()
	var valid period
	if e, later := v.recall(ctx, token, now); e != nil {
		o.user, o.shared, o.cached = e.user, e.shared, true
		now, valid = later, e.valid
	} else if now = v.verify(ctx, token, later, o); o.refusal == nil {
		valid = v.validity(o.user)
	} else {
		return
	}
	if !valid.contains(now) {
		o.refusal = v.untimely(o.user, now)
	} else {
		o.refusal = v.revoked(ctx, o.user, now)
	}
}

// recall returns the entry of a cached token if its key is still in the set.
// Otherwise it returns nil, and the caller verifies the token anew. The time is
// now, or later if it waited for the keys.
func (v *Validator) recall(
	ctx context.Context, token string, now time.Time,
) (*verified, time.Time) {
	e := v.cache.get(token)
	if e == nil {
		return nil, now
	}
	key, now, err := v.key(ctx, e.key.ID(), now)
	if err != nil || key != e.key {
		return nil, now
	}
	return e, now
}

// revoked returns why a user is revoked, or nil.
func (v *Validator) revoked(ctx context.Context, user *claims.Claims, now time.Time) *Error {
	if v.cfg.Revoked == nil {
		return nil
	}
	switch revoked, err := v.cfg.Revoked(ctx, user, now); {
	case err != nil:
		return &Error{Code: ErrRevocationUnknown, Check: CheckRevocation, KeyID: user.KeyID,
			Signed: true, RetryAfter: time.Second, Cause: err}
	case revoked:
		return &Error{Code: ErrRevoked, Check: CheckRevocation, KeyID: user.KeyID, Signed: true}
	}
	return nil
}

var (
	errTooLarge = errors.New("token is larger than MaxTokenBytes")
	errKeyAlg   = errors.New("alg is not the algorithm of its key")
)

// verify checks all that does not change with time, and writes the user or the
// refusal to o. The time that it returns is now, or later if it waited for the
// keys.
func (v *Validator) verify(
	ctx context.Context, token string, now time.Time, o *outcome,
) time.Time {
	var header jose.Header
	refuse := func(code Code, check Check, cause error) time.Time {
		o.refusal = &Error{Code: code, Check: check, KeyID: header.KeyID,
			Signed: check == CheckClaims, Cause: cause}
		return now
	}
	t, err := jose.Split(token)
	if err != nil {
		return refuse(ErrMalformed, CheckForm, err)
	}
	scratch := v.scratch.Get().(*[]byte)
	defer v.scratch.Put(scratch)

	buf, err := jose.AppendDecoded((*scratch)[:0], t.Header)
	if err != nil {
		return refuse(ErrMalformed, CheckForm, err)
	}
	header, err = jose.ParseHeader(string(buf))
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		refuse(ErrAlgorithm, CheckHeader, nil)
		o.refusal.Hint = "the token's header has no alg"
		return now
	case err != nil:
		header = jose.Header{}
		return refuse(ErrMalformed, CheckHeader, err)
	case !v.keys.Allows(header.Algorithm):
		return refuse(ErrAlgorithm, CheckHeader,
			fmt.Errorf("alg %.16q is not on the allow-list", header.Algorithm))
	}
	key, now, refusal := v.key(ctx, header.KeyID, now)
	if refusal != nil {
		o.refusal = refusal
		return now
	}
	if header.Algorithm != key.Algorithm() {
		return refuse(ErrAlgorithm, CheckKey, errKeyAlg)
	}

	// The bytes verified are those that arrived, not a re-encoding of them
	// (RFC 7515 §5.2).
	buf = append(buf[:0], t.SigningInput...)
	signed := len(buf)
	if buf, err = jose.AppendDecoded(buf, t.Signature); err != nil {
		return refuse(ErrMalformed, CheckForm, err)
	}
	*scratch = buf
	if err := key.Verify(buf[:signed], buf[signed:]); err != nil {
		return refuse(ErrSignature, CheckSignature, nil)
	}

	// From here on, Para signed the token.
	if buf, err = jose.AppendDecoded(buf[:0], t.Payload); err != nil {
		return refuse(ErrMalformed, CheckClaims, err)
	}
	size := len(buf)
	text := string(append(buf, jose.TokenID(token)...)) // one allocation for both
	user, err := claims.FromVerifiedPayload(text[:size], claims.Token{
		ID: text[size:], KeyID: key.ID(), KeyThumbprint: key.Thumbprint(),
		Environment: v.keys.Environment().Name,
	})
	if err != nil {
		var ce *claims.Error
		code, check := ErrClaims, CheckClaims
		if errors.As(err, &ce) {
			switch ce.Claim {
			case "":
				code = ErrMalformed
			case "aud":
				code, check = ErrAudience, CheckAudience
			}
		}
		refuse(code, check, err)
		o.refusal.Signed = true
		return now
	}
	if life := user.ExpiresAt.Sub(user.IssuedAt); life > v.cfg.MaxTokenLife {
		refuse(ErrClaims, CheckClaims, nil)
		o.refusal.Hint = fmt.Sprintf("exp is %v after iat, and MaxTokenLife is %v",
			life, v.cfg.MaxTokenLife)
		return now
	}
	if o.refusal = v.notForUs(user); o.refusal != nil {
		return now
	}
	o.user, o.shared = user, user
	if e := v.cache.put(token, user, key, v.validity(user), now); e != nil {
		o.shared = e.shared
	}
	return now
}

// key returns the key with this ID, and turns the key cache's errors into ours.
// The time that it returns is now, or later if it waited for a fetch.
func (v *Validator) key(
	ctx context.Context, id string, now time.Time,
) (jwks.Key, time.Time, *Error) {
	if key, ok := v.keys.Fresh(id, now); ok {
		return key, now, nil
	}
	key, err := v.keys.KeyAt(ctx, id, now)
	now = v.cfg.Now()
	switch {
	case err == nil:
		return key, now, nil
	case errors.Is(err, jwks.ErrUnknownKey):
		return key, now, &Error{Code: ErrUnknownKey, Check: CheckKey, KeyID: id, Hint: v.whose(id)}
	}
	return key, now, unavailable(id, err)
}

func unavailable(id string, err error) *Error {
	e := &Error{Code: ErrKeysUnavailable, KeyID: id, RetryAfter: time.Second, Cause: err}
	var ue *jwks.UnavailableError
	if errors.As(err, &ue) {
		e.RetryAfter = ue.RetryAfter
	}
	return e
}

// whose returns a hint about the origin of a token with an unknown key.
func (v *Validator) whose(id string) string {
	here := v.keys.Environment().Name
	if other := v.foreign[id]; other != "" && other != here {
		return fmt.Sprintf("the key is known from Para's environment %q, and this validator"+
			" is for %q: does the client use another environment than the server?", other, here)
	}
	return fmt.Sprintf("the key set of %q has no such key: does the client use another"+
		" Para environment, or is the token forged?", here)
}

// notForUs returns why a token is for another app, or nil (RFC 7519 §4.1.3).
func (v *Validator) notForUs(user *claims.Claims) *Error {
	for _, aud := range user.Audience {
		for _, id := range v.cfg.APIKeyIDs {
			if aud == id {
				return nil
			}
		}
	}
	return &Error{Code: ErrAudience, Check: CheckAudience, KeyID: user.KeyID, Signed: true,
		Hint: fmt.Sprintf("its aud is %.100q, which is not in APIKeyIDs", user.Audience)}
}

// period is a time span, in nanoseconds since 1970. The end is exclusive.
type period struct{ from, until int64 }

func (p period) contains(now time.Time) bool {
	t := now.UnixNano()
	return p.from <= t && t < p.until
}

// validity returns the time in which a user's token is valid (RFC 7519 §4.1.4
// to §4.1.6, MaxTokenAge).
func (v *Validator) validity(user *claims.Claims) period {
	from, until := user.IssuedAt, user.ExpiresAt
	if user.NotBefore.After(from) {
		from = user.NotBefore
	}
	if age := v.cfg.MaxTokenAge; age > 0 {
		// A token of exactly this age is still valid.
		if end := user.IssuedAt.Add(age).Add(1); end.Before(until) {
			until = end
		}
	}
	leeway := v.cfg.Leeway
	return period{unixNano(from.Add(-leeway)), unixNano(until.Add(leeway))}
}

// unixNano returns t.UnixNano, or the largest integer for a later time, which
// is one after 2262.
func unixNano(t time.Time) int64 {
	if t.Unix() >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// untimely returns why a token is not valid now.
func (v *Validator) untimely(user *claims.Claims, now time.Time) *Error {
	refuse := func(code Code, hint string) *Error {
		return &Error{Code: code, Check: CheckTime, KeyID: user.KeyID, Signed: true, Hint: hint}
	}
	switch leeway := v.cfg.Leeway; {
	case user.IssuedAt.After(now.Add(leeway)):
		return refuse(ErrNotYetValid, "its iat is "+
			user.IssuedAt.Sub(now).Round(time.Second).String()+" in the future: check the clocks")
	case user.NotBefore.After(now.Add(leeway)):
		return refuse(ErrNotYetValid, "its nbf is "+
			user.NotBefore.Sub(now).Round(time.Second).String()+" in the future")
	case now.Before(user.ExpiresAt.Add(leeway)):
		return refuse(ErrExpired, "it is older than MaxTokenAge")
	}
	return refuse(ErrExpired, "it expired "+
		now.Sub(user.ExpiresAt).Round(time.Second).String()+" ago")
}

// Recheck checks again what changes with time: exp, MaxTokenAge, whether the
// key is still in the key set, and revocation. It is for connections that
// outlive a request, such as WebSockets and streams: call it every minute or
// so, and close the connection if it returns an error.
//
// It uses the claims that Para signed, and ignores later changes of user. The
// error is an [*Error] with a code of [Validator.Validate], or with
// [ErrMisconfigured] if user does not come from a token that a validator of
// this environment verified: nil, made by hand, or from a verification token.
func (v *Validator) Recheck(ctx context.Context, user *claims.Claims) error {
	verified, token, err := user.Verified()
	if err != nil || token.KeyID == "" || token.Environment != v.keys.Environment().Name {
		return misconfigured("Recheck needs a user whose token a validator of this" +
			" environment verified")
	}
	key, now, refusal := v.key(ctx, token.KeyID, v.cfg.Now())
	switch {
	case refusal != nil:
	case key.Thumbprint() != token.KeyThumbprint:
		refusal = &Error{Code: ErrUnknownKey, Check: CheckKey, KeyID: token.KeyID,
			Hint: "the key ID now belongs to another key"}
	default:
		if refusal = v.notForUs(verified); refusal != nil {
			break
		}
		if !v.validity(verified).contains(now) {
			refusal = v.untimely(verified, now)
		} else {
			refusal = v.revoked(ctx, verified, now)
		}
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// Warm fetches Para's keys now, so that the first request does not wait for
// them. It returns nil if usable keys are loaded, including those of
// Keys.Initial, and otherwise an [*Error] with [ErrKeysUnavailable]. After an
// error, fetching continues in the background: the program need not exit.
func (v *Validator) Warm(ctx context.Context) error {
	if err := v.keys.Warm(ctx); err != nil {
		return unavailable("", err)
	}
	return nil
}

// Keys returns the cache of Para's keys, for [jwks.Cache.Snapshot].
func (v *Validator) Keys() *jwks.Cache { return v.keys }

// Status returns the state of Para's keys, for health endpoints and metrics. It
// never waits.
func (v *Validator) Status() jwks.Status { return v.keys.Status() }

// Close stops the background key refresh. It always returns nil. Further calls
// have no effect.
func (v *Validator) Close() error { return v.keys.Close() }

// String names the environment. It shows no configuration.
func (v *Validator) String() string {
	return "parajwt validator for " + v.keys.Environment().Name
}

// GoString returns the result of String, so that %#v shows no configuration.
func (v *Validator) GoString() string { return v.String() }
