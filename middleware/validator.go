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

// Validator verifies tokens for one Para environment. [New] returns one. A
// program makes one Validator, shares it among its handlers and closes it at
// the end. A Validator is safe for concurrent use by multiple goroutines.
type Validator struct {
	cfg     Config
	keys    *jwks.Cache
	foreign map[string]string // key ID → name of the other environment that has it
	scratch sync.Pool         // of *[]byte
	cache   *tokenCache       // nil if disabled
}

// New returns a validator for one Para environment and a list of API key IDs.
// The error joins every mistake in cfg (errors.Join). New makes no request. The
// first token or [Validator.Warm] fetches Para's keys.
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

// Validate verifies a token, without the prefix Bearer. It returns the user or
// an [*Error]. Every caller that validates the same token may get the same
// *claims.Claims: treat it as read-only. Behind an adapter, each request has a
// copy.
//
// The checks follow RFC 8725. Their order is:
//
//   - the size, and three parts;
//   - the header: canonical base64url, strict JSON, alg in Config.Algorithms,
//     no crit;
//   - the key by kid, and the algorithm of that key;
//   - the signature;
//   - the payload: canonical base64url, strict JSON, the type of every claim,
//     MaxTokenLife;
//   - aud;
//   - iat, nbf, exp and MaxTokenAge;
//   - Config.Revoked.
//
// The first check that fails decides. A token with an invalid header or an
// unknown key costs no cryptography.
//
// A token in the token cache (Config.CacheSize) skips the checks up to aud if
// its key is still in the key set. The cache compares the whole token. Times
// and revocation are checked each time.
//
// Validate waits for a fetch of Para's keys only if the key is missing or
// stale, or if the process was suspended past a refresh. It waits at most until
// ctx ends.
//
// The error has the code [ErrNoToken] if token is "". Otherwise it has
// [ErrMalformed], [ErrAlgorithm], [ErrUnknownKey], [ErrSignature],
// [ErrAudience], [ErrClaims], [ErrExpired], [ErrNotYetValid] or [ErrRevoked].
// [ErrKeysUnavailable] and [ErrRevocationUnknown] mean that the token could not
// be verified.
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

// validate verifies a token that is not "" and writes the result to o. It also
// sets the user of an expired token, because ExpiredIsAnonymous then checks
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

// revoked returns the refusal of a revoked user, or nil.
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

// verify makes the checks that do not depend on the time, and writes the user
// or the refusal to o. The time that it returns is now, or later if it waited
// for the keys.
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

// key returns the key with this ID, or the refusal for the key cache's error.
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

// whose returns a hint about the environment of a token with an unknown key.
func (v *Validator) whose(id string) string {
	here := v.keys.Environment().Name
	if other := v.foreign[id]; other != "" && other != here {
		return fmt.Sprintf("the key is known from Para's environment %q, and this validator"+
			" is for %q: does the client use another environment than the server?", other, here)
	}
	return fmt.Sprintf("the key set of %q has no such key: does the client use another"+
		" Para environment, or is the token forged?", here)
}

// notForUs returns the refusal of a token for another app, or nil (RFC 7519
// §4.1.3).
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

// validity returns the period in which a user's token is valid (RFC 7519 §4.1.4
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

// unixNano returns t.UnixNano, or the largest integer for a time after 2262,
// which UnixNano cannot represent.
func unixNano(t time.Time) int64 {
	if t.Unix() >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// untimely returns the refusal of a token that is not valid now.
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

// Recheck checks a verified user again: whether the key is still in the key
// set, aud, iat, nbf, exp, MaxTokenAge and revocation. It is for connections
// that outlive a request, such as WebSockets and streams. Call it about once a
// minute, and close the connection if it returns an error.
//
// Recheck uses the claims that Para signed, and ignores later changes of user.
// It waits for a fetch of Para's keys in the cases in which Validate does. The
// error is an [*Error] with a code of [Validator.Validate]. The code is
// [ErrMisconfigured] if user is nil, was made by hand, comes from a
// verification token, or was verified in another environment.
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

// Warm fetches Para's keys if a fetch is due, so that the first request does
// not wait for them. It waits at most until ctx ends. It returns nil if usable
// keys are loaded, including those of Keys.Initial. Otherwise it returns an
// [*Error] with [ErrKeysUnavailable]. The program need not exit after an error,
// because fetching continues in the background.
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

// Close stops the background key refresh. Afterwards, the loaded keys verify
// tokens until Keys.StaleLimit. Close always returns nil. Further calls have no
// effect.
func (v *Validator) Close() error { return v.keys.Close() }

// String names the environment. It shows no configuration.
func (v *Validator) String() string {
	return "parajwt validator for " + v.keys.Environment().Name
}

// GoString returns the result of String, so that %#v shows no configuration.
func (v *Validator) GoString() string { return v.String() }
