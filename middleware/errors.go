package middleware

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Code says why a request was refused. The codes are errors themselves, so that errors.Is tells
// them apart:
//
//	if errors.Is(err, middleware.ErrExpired) { … }
type Code string

// Error returns the code in words.
func (c Code) Error() string { return "parajwt: " + string(c) }

// Why a token, or the request that should carry one, is refused.
const (
	// ErrNoToken: the request carries no token. 401.
	ErrNoToken Code = "no token"
	// ErrMalformed: what is there is not one well-formed token: junk in the Authorization header,
	// a token that is too large, not three parts of canonical base64url, or whose header or payload is not
	// JSON with one meaning; a header with crit and the like, a typ other than JWT, or no kid. 401.
	ErrMalformed Code = "malformed token"
	// ErrAlgorithm: the token's alg is not on the allow-list, or not its key's. 401.
	ErrAlgorithm Code = "algorithm not allowed"
	// ErrUnknownKey: the environment's key set has no key of the token's kid. 401.
	ErrUnknownKey Code = "unknown key"
	// ErrSignature: the signature does not match. 401.
	ErrSignature Code = "wrong signature"
	// ErrExpired: exp has passed, or the token is older than MaxTokenAge. 401.
	ErrExpired Code = "token expired"
	// ErrNotYetValid: iat or nbf lies in the future. 401.
	ErrNotYetValid Code = "token not yet valid"
	// ErrAudience: the token is for another app, or does not say for which. 401.
	ErrAudience Code = "token is for another app"
	// ErrClaims: a claim is missing or not what Para documents. 401.
	ErrClaims Code = "unacceptable claims"
	// ErrRevoked: Config.Revoked says so. 401.
	ErrRevoked Code = "token revoked"
	// ErrForbidden: the user is known, and not allowed here. 403.
	ErrForbidden Code = "not allowed"
	// ErrKeysUnavailable: it cannot be told, because there are no keys to check with, or the
	// caller's context ended before there were. 503.
	ErrKeysUnavailable Code = "keys unavailable"
	// ErrRevocationUnknown: Config.Revoked returned an error, so it cannot be told. 503.
	ErrRevocationUnknown Code = "revocation unknown"
	// ErrSessionExpired: Para says that the verification token's session is over, or it cannot be such a token. 401.
	ErrSessionExpired Code = "session expired"
	// ErrSessionUnknown: Para could not be asked about a verification token. 503.
	ErrSessionUnknown Code = "session unknown"
	// ErrMisconfigured: the middleware itself was put together wrongly, and lets nobody through. 500.
	ErrMisconfigured Code = "middleware misconfigured"
)

// Error is the only type of error that validation returns. It never holds any part of a token but
// the kid.
type Error struct {
	// Code is one of the constants above; errors.Is finds it.
	Code Code
	// KeyID is the kid in the token's header, where it got that far. Unless Signed, anybody may have
	// written it.
	KeyID string
	// Signed is whether Para really signed the token. Only then may an answer speak of it.
	Signed bool
	// RetryAfter is how long to wait before trying again, where Status is 503.
	RetryAfter time.Duration
	// Hint is for the operator: what to look at.
	Hint string
	// Cause is what lies beneath, if anything does; errors.Is and errors.As find it.
	Cause error
}

// Error returns what an operator needs to know. It is for logs, not for clients.
func (e *Error) Error() string {
	s := e.Code.Error()
	if e.KeyID != "" {
		s += " (kid " + strconv.Quote(e.KeyID) + ")"
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Is makes errors.Is find the code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Status returns the HTTP status that answers the error: 401, 403, 500 or 503.
func (e *Error) Status() int {
	switch e.Code {
	case ErrForbidden:
		return http.StatusForbidden
	case ErrKeysUnavailable, ErrRevocationUnknown, ErrSessionUnknown:
		return http.StatusServiceUnavailable
	case ErrMisconfigured:
		return http.StatusInternalServerError
	}
	return http.StatusUnauthorized
}

// LogValue is what log/slog writes of the error.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", string(e.Code))}
	if e.KeyID != "" {
		attrs = append(attrs, slog.String("kid", e.KeyID))
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", e.Cause.Error()))
	}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	return slog.GroupValue(attrs...)
}
