package jwks

import (
	"errors"
	"time"
)

// Errors of [Cache.Key], [Cache.KeyAt], [Cache.Warm] and [Cache.Snapshot].
var (
	// ErrUnknownKey means that the key set has no key with this ID.
	ErrUnknownKey = errors.New("jwks: unknown key ID")
	// ErrUnavailable means that the key could not be looked up: there are no
	// keys, they are older than Config.StaleLimit, the key ID is unknown while
	// fetches fail, or the caller's context ended first. It is wrapped by an
	// [*UnavailableError].
	ErrUnavailable = errors.New("jwks: keys are unavailable")
)

// UnavailableError is the error of a look-up that could not be completed. It
// wraps [ErrUnavailable].
type UnavailableError struct {
	// RetryAfter is the time until the next fetch, at least 1 second. It is 1
	// second if that time is unknown.
	RetryAfter time.Duration
	// Cause is the error of the last fetch. If the caller's context ended
	// first, it is the cause of that context. If the cache is closed, it
	// reports that. It may be nil.
	Cause error
}

// Error returns the text of ErrUnavailable and of the cause.
func (e *UnavailableError) Error() string {
	if e.Cause == nil {
		return ErrUnavailable.Error()
	}
	return ErrUnavailable.Error() + ": " + e.Cause.Error()
}

// Unwrap returns ErrUnavailable and the cause. errors.Is and errors.As use it.
func (e *UnavailableError) Unwrap() []error { return []error{ErrUnavailable, e.Cause} }
