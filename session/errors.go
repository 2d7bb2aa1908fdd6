package session

import (
	"fmt"
	"time"
)

// Code says what went wrong. Codes are errors, for errors.Is:
//
//	if errors.Is(err, session.ErrSessionExpired) { … }
type Code string

// Error returns the code in words.
func (c Code) Error() string { return "session: " + string(c) }

// Para's answers.
const (
	// ErrSessionExpired means that Para knows no such login, or that it has
	// ended. The user must log in again.
	ErrSessionExpired Code = "session expired"
	// ErrWalletNotFound means that no user of the app has a wallet with this
	// address.
	ErrWalletNotFound Code = "wallet not found"
	// ErrOtherUser means that the session's cookie belongs to another user than
	// the export names. Somebody changed the export.
	ErrOtherUser Code = "session is another user's than it says"
	// ErrUnauthorizedKey means that Para refused the API key: it is wrong or
	// rotated, or this server's IP address is not on its allow-list. It says
	// nothing about the login.
	ErrUnauthorizedKey Code = "API key not accepted"
	// ErrUnexpectedAnswer means that the answer is not one that Para documents,
	// such as the page of a proxy.
	ErrUnexpectedAnswer Code = "unexpected answer"
	// ErrUnavailable means that Para could not be asked: there was no answer in
	// time, 429 or 5xx, too many calls were under way, or the caller's context
	// ended. It says nothing about the login.
	ErrUnavailable Code = "Para is unavailable"
)

// Errors without a call.
const (
	// ErrNoAPIKey means that Config lacks the API key that the call needs.
	ErrNoAPIKey Code = "API key not configured"
	// ErrNotAToken means that the verification token is empty, longer than 1
	// KiB, or not visible ASCII.
	ErrNotAToken Code = "not a verification token"
	// ErrNotAnAddress means that the wallet address is empty, longer than 256
	// bytes, or not visible ASCII.
	ErrNotAnAddress Code = "not a wallet address"
	// ErrNotLoggedIn means that the session is in [ModeConnectionOnly]:
	// external wallets are connected, and no user is logged in.
	ErrNotLoggedIn Code = "no user is logged in"
	// ErrSessionMalformed means that the text is not an exported session.
	ErrSessionMalformed Code = "malformed session"
	// ErrSessionEnvironment means that the session names another environment.
	// Only [Session.Export] names one. [Session.IsActive] finds out about
	// sessions that Para's SDK exported.
	ErrSessionEnvironment Code = "session of another environment"
)

// Error is the type of every error that this package's calls return. It never
// contains an API key, a token, a cookie, or text that was sent or answered.
type Error struct {
	Code   Code   // a constant of this package; errors.Is finds it
	Method string // of the request, such as POST; empty if there was none
	Path   string // of the request, without IDs: "/users/{userId}/session/keep-alive"
	Status int    // the HTTP status of the answer; 0 if there was none
	// RetryAfter is how long Para asks callers to wait; 0 if it does not say.
	RetryAfter time.Duration
	Hint       string // what an operator should check
	Cause      error  // the underlying error, or nil; errors.Is and errors.As find it
}

// Error describes the failure for operators. Do not send it to clients.
func (e *Error) Error() string {
	text := e.Code.Error()
	if e.Method != "" {
		text += ": " + e.Method + " " + e.Path
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" answered %d", e.Status)
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(", to be tried again after %v", e.RetryAfter)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refused reports whether the login is known to be bad, so that 401 is the
// right response. If it is false, the login could not be verified: respond with
// 503. Package middleware calls it.
func (e *Error) Refused() bool {
	switch e.Code {
	case ErrSessionExpired, ErrOtherUser, ErrNotAToken, ErrNotLoggedIn,
		ErrSessionMalformed, ErrSessionEnvironment:
		return true
	}
	return false
}
