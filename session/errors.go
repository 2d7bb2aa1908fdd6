package session

import (
	"fmt"
	"time"
)

// Code is the reason for a failure. Codes are errors, so that errors.Is
// distinguishes them:
//
//	if errors.Is(err, session.ErrSessionExpired) { … }
type Code string

// Error returns the code in words, with the prefix "session: ".
func (c Code) Error() string { return "session: " + string(c) }

// The codes of calls to Para.
const (
	// ErrSessionExpired means that the login is unknown to Para or has ended.
	// The user must log in again.
	ErrSessionExpired Code = "session expired"
	// ErrWalletNotFound means that no user of the app has a wallet with this
	// address.
	ErrWalletNotFound Code = "wallet not found"
	// ErrOtherUser means that the session's cookie belongs to another user than
	// the one that the export names. Somebody changed the export.
	ErrOtherUser Code = "session belongs to another user"
	// ErrUnauthorizedKey means that Para refused the API key: it is wrong or
	// rotated, or this server's IP address is not on its allow-list. Whether
	// the login is valid is unknown.
	ErrUnauthorizedKey Code = "API key not accepted"
	// ErrUnexpectedAnswer means that Para documents no such response, for
	// example the page of a proxy. Whether the login is valid is unknown.
	ErrUnexpectedAnswer Code = "unexpected answer"
	// ErrUnavailable means that there was no response in time, or one with the
	// status 408, 429 or 5xx. It also means that too many calls were in
	// progress, or that the caller's context ended. Whether the login is valid
	// is unknown.
	ErrUnavailable Code = "Para is unavailable"
)

// The codes of errors without a call.
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
	// ErrSessionEnvironment means that the export names another environment.
	// Only the exports of [Session.Export] name one. For an export of Para's
	// SDK from another environment, [Session.IsActive] returns false.
	ErrSessionEnvironment Code = "session of another environment"
)

// Error is the type of every error of this package, except those of [New] and
// [Client.TokenVerifier]. It never contains an API key, a token, a cookie, or
// the body of a request or response.
type Error struct {
	Code   Code   // a constant of this package; errors.Is matches it
	Method string // of the request, such as POST; "" without a request
	Path   string // of the request, without IDs: "/users/{userId}/session/keep-alive"
	Status int    // the HTTP status of the response; 0 without a response
	// RetryAfter is how long to wait before trying again: the Retry-After of
	// Para's response, at most 24 hours, or 1 second if too many calls were in
	// progress. 0 means that this is unknown.
	RetryAfter time.Duration
	Hint       string // suggests what the operator should check
	Cause      error  // the underlying error, or nil; errors.Is and errors.As match it
}

// Error returns a text for logs. Do not send it to clients.
func (e *Error) Error() string {
	text := e.Code.Error()
	if e.Method != "" {
		text += ": " + e.Method + " " + e.Path
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" answered %d", e.Status)
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(", retry after %v", e.RetryAfter)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Is reports whether target is e.Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns e.Cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refused reports whether the login is invalid. Respond with 401 if it returns
// true. Otherwise the login could not be verified: respond with 503. Package
// middleware calls Refused. Do not use it for an error of
// [Client.VerifyWallet], which is not about a login.
func (e *Error) Refused() bool {
	switch e.Code {
	case ErrSessionExpired, ErrOtherUser, ErrNotAToken, ErrNotLoggedIn,
		ErrSessionMalformed, ErrSessionEnvironment:
		return true
	}
	return false
}
