package session

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Code says what went wrong. The codes are errors themselves, so that errors.Is tells them apart:
//
//	if errors.Is(err, session.ErrSessionExpired) { … }
type Code string

// Error returns the code in words.
func (c Code) Error() string { return "session: " + string(c) }

// What Para answers.
const (
	// ErrSessionExpired: Para says that there is no such login, or no more. The user must log in again.
	ErrSessionExpired Code = "session expired"
	// ErrWalletNotFound: Para says that no user of the app has a wallet with this address.
	ErrWalletNotFound Code = "wallet not found"
	// ErrOtherUser: the session's cookie is good, and another user's than the export says. Somebody has changed
	// the export.
	ErrOtherUser Code = "session is another user's than it says"
	// ErrUnauthorizedKey: Para does not accept the API key. It is wrong, another environment's, or the
	// publishable one in place of the secret one.
	ErrUnauthorizedKey Code = "API key not accepted"
	// ErrUnexpectedAnswer: what answered is not what Para documents, such as a proxy's page.
	ErrUnexpectedAnswer Code = "unexpected answer"
	// ErrUnavailable: Para could not be asked: no answer in time, 429, 5xx, or the caller's context ended.
	// Nothing is known about the login.
	ErrUnavailable Code = "Para is unavailable"
)

// What keeps a call from being made.
const (
	// ErrNoAPIKey: the call needs an API key that Config does not have.
	ErrNoAPIKey Code = "API key not configured"
	// ErrNotAToken: this cannot be a verification token: it is empty, too long, or not all visible ASCII.
	ErrNotAToken Code = "not a verification token"
	// ErrNotAnAddress: this cannot be a wallet's address: it is empty, too long, or not all visible ASCII.
	ErrNotAnAddress Code = "not a wallet address"
)

// What is wrong with an exported session. All of them but ErrSessionEnvironment also match
// ErrSessionMalformed.
const (
	// ErrSessionMalformed: this is not what exportSession gives.
	ErrSessionMalformed Code = "malformed session"
	// ErrSessionTooLarge: it is larger than 1 MiB.
	ErrSessionTooLarge Code = "session too large"
	// ErrSessionNotBase64: it is not base64 in the standard alphabet.
	ErrSessionNotBase64 Code = "session is not base64"
	// ErrSessionNotJSON: what is inside is not JSON with one meaning.
	ErrSessionNotJSON Code = "session is not JSON"
	// ErrSessionNoUser: it does not say whose it is.
	ErrSessionNoUser Code = "session without a user"
	// ErrSessionNoCookie: it has no session cookie, without which Para knows nothing of it.
	ErrSessionNoCookie Code = "session without a cookie"
	// ErrSessionEnvironment: it says that it is another environment's. Only what this package exported says
	// so; of what Para's SDK exported, [Session.IsActive] finds out.
	ErrSessionEnvironment Code = "session of another environment"
)

// Error is the only type of error that this package's calls return. It never holds an API key, a token, a
// cookie, or any of what was sent or answered.
type Error struct {
	Code   Code   // one of the constants above; errors.Is finds it
	Method string // of the request, such as POST; empty where there was none
	Path   string // of the request, with IDs left out: "/users/{userId}/session/keep-alive"
	Status int    // the HTTP status that was answered; 0 where there was no answer
	// RetryAfter is how long Para asks to be left alone; 0 where it does not say.
	RetryAfter time.Duration
	Hint       string // what to look at
	Cause      error  // what lies beneath, if anything does; errors.Is and errors.As find it
}

// Error returns what an operator needs to know. It is for logs, not for clients.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code.Error())
	if e.Method != "" {
		fmt.Fprintf(&b, ": %s %s", e.Method, e.Path)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " answered %d", e.Status)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", to be tried again after %v", e.RetryAfter)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Is makes errors.Is find the code.
func (e *Error) Is(target error) bool {
	if target == ErrSessionMalformed {
		switch e.Code {
		case ErrSessionTooLarge, ErrSessionNotBase64, ErrSessionNotJSON, ErrSessionNoUser, ErrSessionNoCookie:
			return true
		}
	}
	return target == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refused reports whether the login is known not to be good: a request that rests on it is to be answered
// with 401. Where it is false, it cannot be told, and 503 is the answer. Package middleware asks for this.
func (e *Error) Refused() bool {
	switch e.Code {
	case ErrSessionExpired, ErrOtherUser, ErrNotAToken, ErrSessionEnvironment:
		return true
	}
	return e.Is(ErrSessionMalformed)
}

// LogValue is what log/slog writes of the error.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", string(e.Code))}
	if e.Method != "" {
		attrs = append(attrs, slog.String("request", e.Method+" "+e.Path))
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", e.Cause.Error()))
	}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	return slog.GroupValue(attrs...)
}
