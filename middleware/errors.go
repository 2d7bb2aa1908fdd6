package middleware

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Code is the reason for a refusal. It is a machine name, suitable for metric
// labels and JSON. Codes are errors, so that errors.Is distinguishes them:
//
//	if errors.Is(err, middleware.ErrExpired) { … }
//
// string(code) is the machine name. Package fmt prints the words of
// [Code.Error].
type Code string

// The codes of an [Error], with the HTTP status of the response.
const (
	// ErrNoToken means that the request carries no token. 401.
	ErrNoToken Code = "no_token"
	// ErrMalformed means that the request carries something other than one
	// well-formed token. Examples are an Authorization header that is not a
	// Bearer token, a token that is too large, a part that is not canonical
	// base64url, ambiguous JSON, and a token header with crit or without kid.
	// 401.
	ErrMalformed Code = "malformed"
	// ErrAlgorithm means that the token's alg is missing, is not in
	// Config.Algorithms, or is not the algorithm of its key. 401.
	ErrAlgorithm Code = "algorithm"
	// ErrUnknownKey means that the environment's key set has no key with the
	// token's kid. Recheck also returns it if the kid now has another key. 401.
	ErrUnknownKey Code = "unknown_key"
	// ErrSignature means that the signature does not match. 401.
	ErrSignature Code = "signature"
	// ErrAudience means that the token is for another app or has no aud. 401.
	ErrAudience Code = "audience"
	// ErrClaims means that a claim is missing or has another form than Para
	// documents, or that exp is more than MaxTokenLife after iat. 401.
	ErrClaims Code = "claims"
	// ErrExpired means that exp has passed or that the token is older than
	// MaxTokenAge. 401.
	ErrExpired Code = "expired"
	// ErrNotYetValid means that iat or nbf is in the future. 401.
	ErrNotYetValid Code = "not_yet_valid"
	// ErrRevoked means that Config.Revoked returned true. 401.
	ErrRevoked Code = "revoked"
	// ErrForbidden means that a rule refused a verified user. 403.
	ErrForbidden Code = "forbidden"
	// ErrRuleUnavailable means that a rule could not look something up. A rule
	// returns an error that wraps it. 503.
	ErrRuleUnavailable Code = "rule_unavailable"
	// ErrKeysUnavailable means that the token's key could not be looked up: no
	// usable keys are loaded, the key ID is unknown while Para cannot be
	// reached, or the caller's context ended first. 503.
	ErrKeysUnavailable Code = "keys_unavailable"
	// ErrRevocationUnknown means that Config.Revoked returned an error. 503.
	ErrRevocationUnknown Code = "revocation_unknown"
	// ErrSessionExpired means that a verification token is invalid, or that
	// its session has ended. 401.
	ErrSessionExpired Code = "session_expired"
	// ErrSessionUnknown means that a verification token could not be verified
	// with Para's REST API. 503.
	ErrSessionUnknown Code = "session_unknown"
	// ErrMisconfigured means that a guard or rule was set up incorrectly. The
	// guard refuses every request. Recheck returns it for a user that no
	// validator of its environment verified. 500.
	ErrMisconfigured Code = "misconfigured"
)

// Error returns the code in words.
func (c Code) Error() string { return "parajwt: " + c.words() }

// words returns the text of error_description and Error. RFC 6750 §3 allows
// printable ASCII without quotation marks and backslashes.
func (c Code) words() string {
	switch c {
	case ErrNoToken:
		return "no token"
	case ErrMalformed:
		return "malformed token"
	case ErrAlgorithm:
		return "algorithm not allowed"
	case ErrUnknownKey:
		return "unknown key"
	case ErrSignature:
		return "wrong signature"
	case ErrAudience:
		return "token is for another app"
	case ErrClaims:
		return "unacceptable claims"
	case ErrExpired:
		return "token expired"
	case ErrNotYetValid:
		return "token not yet valid"
	case ErrRevoked:
		return "token revoked"
	case ErrForbidden:
		return "not allowed"
	case ErrRuleUnavailable:
		return "rule could not be decided"
	case ErrKeysUnavailable:
		return "keys unavailable"
	case ErrRevocationUnknown:
		return "revocation unknown"
	case ErrSessionExpired:
		return "session expired"
	case ErrSessionUnknown:
		return "session unknown"
	case ErrMisconfigured:
		return "middleware misconfigured"
	}
	return string(c)
}

// Check names the check that refused a request. It is "" if no check did, for
// example because the request has no token or the keys are unavailable.
type Check string

// The checks, in their order. Malformed base64url is CheckForm in the header
// and the signature of a token, and CheckClaims in its payload.
const (
	CheckForm       Check = "form"       // size, parts, base64url, header field of the request
	CheckHeader     Check = "header"     // the token's header
	CheckKey        Check = "key"        // kid, and whether alg is the algorithm of the key
	CheckSignature  Check = "signature"  // the signature
	CheckClaims     Check = "claims"     // the payload, MaxTokenLife
	CheckAudience   Check = "audience"   // aud
	CheckTime       Check = "time"       // iat, nbf, exp, MaxTokenAge
	CheckRevocation Check = "revocation" // Config.Revoked, or Para's response about a session
	CheckRule       Check = "rule"       // the rules of Allow
)

// Error is the error type of every refusal. Of the token it contains at most
// kid, alg, aud, and durations such as its age. The error of a rule is in
// Cause.
type Error struct {
	// Code is one of the constants above. errors.Is matches it.
	Code Code
	// Check names the check that refused, or is "".
	Check Check
	// KeyID is the kid in the token's header, if the header was read. Anyone
	// can have written it unless Signed is true.
	KeyID string
	// Signed reports whether Para signed the token or, for a verification
	// token, accepted it. Do not describe the problem to the client unless it
	// is true, so that a forger learns nothing.
	Signed bool
	// RetryAfter is how long to wait before trying again, if Status is 503. 0
	// means that this is unknown.
	RetryAfter time.Duration
	// Hint suggests what the operator should check. It is for logs only.
	Hint string
	// Cause is the underlying error, or nil. errors.Is and errors.As match it.
	Cause error
}

// Error returns a text for logs. Do not send it to clients; see [Error.Public]
// and [Error.Answer].
func (e *Error) Error() string {
	if e == nil {
		return "parajwt: nil *Error" // a rule returned it as an error that is not nil
	}
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

// Is reports whether target is e.Code.
func (e *Error) Is(target error) bool { return e != nil && target == e.Code }

// Unwrap returns e.Cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Cause
}

// Public returns an error for frameworks that may print errors to the client,
// as gin.ErrorLogger does. Its text is that of the HTTP status, such as
// "Unauthorized". errors.As finds e in it.
func (e *Error) Public() error { return publicError{e} }

type publicError struct{ refusal *Error }

func (e publicError) Error() string        { return http.StatusText(e.refusal.Status()) }
func (e publicError) Unwrap() error        { return e.refusal }
func (e publicError) LogValue() slog.Value { return e.refusal.LogValue() }

// Status returns the HTTP status of the response: 401, 403, 500 or 503.
func (e *Error) Status() int {
	switch e.Code {
	case ErrForbidden:
		return http.StatusForbidden
	case ErrKeysUnavailable, ErrRevocationUnknown, ErrSessionUnknown, ErrRuleUnavailable:
		return http.StatusServiceUnavailable
	case ErrMisconfigured:
		return http.StatusInternalServerError
	}
	return http.StatusUnauthorized
}

// LogValue returns the fields of the error for package log/slog.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", string(e.Code))}
	if e.Check != "" {
		attrs = append(attrs, slog.String("check", string(e.Check)))
	}
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
