package jwks

import (
	"errors"
	"time"
)

// Errors of [Cache.Key] and [Cache.Warm].
var (
	// ErrUnknownKey means that the key set has no key with this ID.
	ErrUnknownKey = errors.New("jwks: unknown key ID")
	// ErrUnavailable means that the key could not be looked up: no key set was
	// ever fetched, or it is stale, or the caller's context ended first. It is
	// wrapped by an [*UnavailableError].
	ErrUnavailable = errors.New("jwks: keys are unavailable")
)

// UnavailableError wraps [ErrUnavailable].
type UnavailableError struct {
	RetryAfter time.Duration // until the next fetch, as far as known; at least 1 second
	Cause      error         // why the last fetch failed, or the caller's context ended; may be nil
}

func (e *UnavailableError) Error() string {
	if e.Cause == nil {
		return ErrUnavailable.Error()
	}
	return ErrUnavailable.Error() + ": " + e.Cause.Error()
}

// Unwrap returns ErrUnavailable and the cause, for errors.Is and errors.As.
func (e *UnavailableError) Unwrap() []error { return []error{ErrUnavailable, e.Cause} }
