package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// Option says something about one place that is guarded. The same options serve every adapter.
type Option func(*Guard)

// TokenFrom says where the token is: in the first of these places that has one. Default:
// [FromAuthorization]. There is no source for the query string, where tokens end up in logs.
func TokenFrom(sources ...TokenSource) Option {
	return func(g *Guard) {
		g.sources = slices.Clone(sources)
		if len(sources) == 0 || slices.ContainsFunc(sources, func(s TokenSource) bool { return s == nil }) {
			g.misuse("TokenFrom needs at least one source, and none of them nil")
		}
	}
}

// Rule decides whether a verified user is allowed here. The error says why not, to the log; the
// client sees 403. It is called by many goroutines at once, with claims that are shared: it only reads them.
type Rule func(*claims.Claims) error

// Allow adds rules, all of which a user must pass. Behind Optional, they apply to those who come with a
// token.
func Allow(rules ...Rule) Option {
	return func(g *Guard) {
		g.rules = append(g.rules, rules...)
		if len(rules) == 0 || slices.ContainsFunc(rules, func(r Rule) bool { return r == nil }) {
			g.misuse("Allow needs at least one rule, and none of them nil")
		}
	}
}

// AuthTypes allows users who logged in in one of these ways.
func AuthTypes(types ...claims.AuthType) Rule {
	types = slices.Clone(types)
	return func(c *claims.Claims) error {
		if !slices.Contains(types, c.AuthType) {
			return fmt.Errorf("authType is %q, not one of %q", c.AuthType, types)
		}
		return nil
	}
}

// WalletOf allows users who own an embedded wallet of one of these types. Connected and external
// wallets do not count.
func WalletOf(types ...claims.WalletType) Rule {
	types = slices.Clone(types)
	return func(c *claims.Claims) error {
		if !c.HasWalletOf(types...) {
			return fmt.Errorf("user has no wallet of type %q", types)
		}
		return nil
	}
}

// OnRefusal answers every refusal instead of the default, which is the status of [Error.Status], the headers
// of RFC 6750 §3 and a body of RFC 9457. The handler that was guarded is not called, whatever
// this does. What err says is for logs; [Error.Signed] says whether the client may be told of it. It is called by
// many goroutines at once.
func OnRefusal(answer func(w http.ResponseWriter, r *http.Request, err *Error)) Option {
	return func(g *Guard) {
		g.answer = answer
		if answer == nil {
			g.misuse("OnRefusal needs a function")
		}
	}
}

// VerificationTokenVerifier asks Para whether a session verification token is good, and for whom. The
// claims hold only what Para says to that: how the user logged in, and no user ID. An error with a method
// Refused() bool that returns true means that it is not good; any other, that it cannot be told.
// Package session has one. It must be safe for concurrent use.
type VerificationTokenVerifier interface {
	VerifyVerificationToken(ctx context.Context, token string) (*claims.Claims, error)
}

// AcceptVerificationTokensWithoutUserID also lets requests pass that carry no JWT but a Para verification token,
// in this place. Their users have no UserID, no wallets and no token times: Para attests only AuthType,
// Identifier and OAuthMethod. A handler that keys anything by UserID must not be behind this. Unlike a JWT,
// such a token is checked by asking Para. The place is another one than the JWT's: what is in that is taken for a JWT.
func AcceptVerificationTokensWithoutUserID(v VerificationTokenVerifier, from TokenSource) Option {
	return func(g *Guard) {
		g.sessions, g.sessionFrom = v, from
		if v == nil || from == nil {
			g.misuse("AcceptVerificationTokensWithoutUserID needs a verifier and a source")
		}
	}
}

// Guard is what all adapters share: it carries a request to the [Validator], and says what the answer is
// when it is refused. It is safe for concurrent use. Handlers are guarded by an adapter's Require and
// Optional; a Guard of one's own is for writing another adapter.
type Guard struct {
	validator *Validator
	optional  bool
	sources   []TokenSource
	rules     []Rule
	answer    func(http.ResponseWriter, *http.Request, *Error)

	sessions    VerificationTokenVerifier // nil unless asked for
	sessionFrom TokenSource

	wrong *Error // how it was put together wrongly, if it was
}

// Require returns a guard that lets only verified users pass.
func Require(v *Validator, opts ...Option) *Guard { return newGuard(v, false, opts) }

// Optional returns a guard that also lets requests without a token pass, as anonymous. A token that
// is there and not good is refused all the same.
func Optional(v *Validator, opts ...Option) *Guard { return newGuard(v, true, opts) }

func newGuard(v *Validator, optional bool, opts []Option) *Guard {
	g := &Guard{validator: v, optional: optional, sources: []TokenSource{fromAuthorization}}
	if v == nil || v.keys == nil {
		g.validator = nil
		g.misuse("the Validator was not made by New: did that return an error?")
	}
	for _, opt := range opts {
		if opt == nil {
			g.misuse("an Option is nil")
			continue
		}
		opt(g)
	}
	return g
}

// misuse makes the guard refuse everybody: a mistake in a program must not open a door, and it shows
// in the first request rather than in a panic.
func (g *Guard) misuse(what string) {
	if g.wrong == nil {
		g.wrong = &Error{Code: ErrMisconfigured, Cause: errors.New(what)}
	}
}

// Check verifies a request. It returns the request to pass on, with the user in its context where
// there is one, or why it is refused, which it has logged.
func (g *Guard) Check(r *http.Request) (*http.Request, *Error) {
	c, err := g.user(r)
	if err != nil {
		g.log(r.Context(), err)
		return nil, err
	}
	if c == nil {
		if _, ok := claims.FromContext(r.Context()); !ok {
			return r, nil
		}
		// A user whom another guard let in, and who was not asked for here: the rules of this one were not applied.
	}
	return r.WithContext(claims.NewContext(r.Context(), c)), nil
}

// user returns nil for an anonymous request that may pass.
func (g *Guard) user(r *http.Request) (c *claims.Claims, refusal *Error) {
	if g.wrong != nil {
		return nil, g.wrong
	}
	token, err := firstToken(r, g.sources)
	switch {
	case err != nil:
		return nil, &Error{Code: ErrMalformed, Cause: err}
	case token != "":
		c, refusal = g.validator.validate(r.Context(), token)
	case g.sessions != nil:
		c, refusal = g.sessionUser(r)
	}
	switch {
	case refusal != nil:
		return nil, refusal
	case c == nil && g.optional:
		return nil, nil
	case c == nil:
		return nil, &Error{Code: ErrNoToken}
	}
	for _, rule := range g.rules {
		if err := rule(c); err != nil {
			return nil, &Error{Code: ErrForbidden, KeyID: c.KeyID, Signed: true, Cause: err}
		}
	}
	return c, nil
}

func firstToken(r *http.Request, sources []TokenSource) (token string, err error) {
	for _, source := range sources {
		if token, err = source(r); err != nil || token != "" {
			return token, err
		}
	}
	return "", nil
}

// sessionUser asks about a verification token. It returns nil for a request without one.
func (g *Guard) sessionUser(r *http.Request) (*claims.Claims, *Error) {
	token, err := g.sessionFrom(r)
	if err != nil {
		return nil, &Error{Code: ErrMalformed, Cause: err}
	}
	if token == "" {
		return nil, nil
	}
	c, err := g.sessions.VerifyVerificationToken(r.Context(), token)
	if err == nil && c == nil {
		err = errors.New("the VerificationTokenVerifier returned neither a user nor an error")
	}
	if err != nil {
		var answer interface{ Refused() bool }
		if errors.As(err, &answer) && answer.Refused() {
			return nil, &Error{Code: ErrSessionExpired, Cause: err}
		}
		return nil, &Error{Code: ErrSessionUnknown, RetryAfter: time.Second, Cause: err}
	}
	if v := g.validator; v.cfg.Revoked != nil {
		return c, v.revoked(r.Context(), c)
	}
	return c, nil
}

// log tells the operator. What happens all day is at debug level; what needs looking at, above.
func (g *Guard) log(ctx context.Context, err *Error) {
	level := slog.LevelWarn
	switch err.Code {
	case ErrNoToken, ErrExpired, ErrRevoked, ErrSessionExpired:
		level = slog.LevelDebug
	case ErrForbidden:
		level = slog.LevelInfo
	case ErrKeysUnavailable, ErrRevocationUnknown, ErrSessionUnknown, ErrMisconfigured:
		level = slog.LevelError
	}
	logger, environment := slog.Default(), ""
	if g.validator != nil {
		logger, environment = g.validator.cfg.Logger, g.validator.keys.Environment().Name
	}
	logger.LogAttrs(ctx, level, "parajwt: request refused", slog.String("environment", environment), slog.Any("refusal", err))
}

// Refuse answers a refused request: as OnRefusal says, or with the default.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, err *Error) {
	if g.answer != nil {
		g.answer(w, r, err)
		return
	}
	WriteHeader(w.Header(), err)
	w.Header().Set("Content-Type", ProblemType)
	w.WriteHeader(err.Status())
	w.Write(Problem(err)) // the client may be gone; there is nobody else to tell
}

// Overridden reports whether OnRefusal was given, for adapters whose framework answers errors itself.
func (g *Guard) Overridden() bool { return g.answer != nil }

// ProblemType is the media type of a refusal's body (RFC 9457 §3).
const ProblemType = "application/problem+json"

// Problem returns the body that answers a refusal: its status, and no cause.
func Problem(err *Error) []byte {
	status := err.Status()
	return []byte(`{"type":"about:blank","title":"` + http.StatusText(status) + `","status":` + strconv.Itoa(status) + "}\n")
}

// WriteHeader sets the header fields that answer a refusal: WWW-Authenticate (RFC 6750 §3), Retry-After, and
// Cache-Control: no-store. Only of a token that Para signed is anything said; whoever tries to forge
// one learns nothing.
func WriteHeader(h http.Header, err *Error) {
	h.Set("Cache-Control", "no-store")
	switch err.Status() {
	case http.StatusUnauthorized:
		challenge := "Bearer"
		if err.Code != ErrNoToken {
			challenge = `Bearer error="invalid_token"`
			if err.Signed {
				challenge += `, error_description="` + string(err.Code) + `"`
			}
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusForbidden:
		h.Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(err.RetryAfter, time.Second).Seconds()))))
	}
}
