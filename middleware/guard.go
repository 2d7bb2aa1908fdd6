package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/userctx"
)

// Option configures a [Guard]. Every adapter accepts the same options. An
// invalid option is a misconfiguration: the guard refuses every request with
// [ErrMisconfigured] and 500.
type Option func(*Guard)

// TokenFrom sets where the guard looks for the token. The first source that
// returns a token or an error decides. The default is Config.TokenSources.
// There is no source for the query string, because URLs end up in logs. No
// source, or a nil source, is a misconfiguration.
func TokenFrom(sources ...TokenSource) Option {
	return func(g *Guard) {
		g.sources = slices.Clone(sources)
		if len(sources) == 0 || slices.ContainsFunc(sources, isNil) {
			g.misuse("TokenFrom needs at least one source and no nil source")
		}
	}
}

func isNil(source TokenSource) bool { return source == nil }

// Allow adds rules, all of which a user must pass. They do not apply to the
// anonymous requests that [Optional] passes. No rules, or a nil rule, is a
// misconfiguration. To add rules to a route behind a guard, use the Allow
// function of the adapter.
func Allow(rules ...Rule) Option {
	return func(g *Guard) {
		g.rules = append(g.rules, rules...)
		if err := checkRules("Allow", rules); err != nil {
			g.wrong = err.(*Error)
		}
	}
}

// OnRefusal replaces the default response to a refused request, which
// [Error.Answer] documents. The guarded handler is not called. answer must be
// safe for concurrent use by multiple goroutines. A nil answer is a
// misconfiguration.
//
// Do not describe the problem to the client unless err.Signed. The text of err
// is for logs.
func OnRefusal(answer func(w http.ResponseWriter, r *http.Request, err *Error)) Option {
	return func(g *Guard) {
		g.onRefusal = answer
		if answer == nil {
			g.misuse("OnRefusal needs a function")
		}
	}
}

// ExpiredIsAnonymous makes [Optional] pass a request as anonymous if the only
// fault of its token is its age (exp or MaxTokenAge). Use it for public pages,
// so that a returning visitor sees them instead of 401. All other checks of the
// token still apply: a revoked token is refused with 401, and an unknown
// revocation with 503. Config.Observe receives the code expired. On [Require]
// it is a misconfiguration.
func ExpiredIsAnonymous() Option {
	return func(g *Guard) {
		g.expiredPasses = true
		if !g.optional {
			g.misuse("ExpiredIsAnonymous needs Optional: Require refuses anonymous requests")
		}
	}
}

// TokenVerifier verifies the verification token of a Para session with Para's
// REST API. Method TokenVerifier of session.Client returns one.
type TokenVerifier interface {
	// VerifyVerificationToken returns Para's response: how the user logged in,
	// without a user ID. Guards copy the claims. An error with a method
	// Refused() bool that returns true means that the token is invalid (401).
	// Any other error means that the token could not be verified (503).
	//
	// It must be safe for concurrent use by multiple goroutines.
	VerifyVerificationToken(ctx context.Context, token string) (*claims.Claims, error)
}

// AcceptVerificationTokensWithoutUserID also accepts a Para verification token
// that from finds in a request without a JWT. Its user has no UserID, no
// wallets and no token times: Para attests AuthType, Identifier and OAuthMethod
// only. Do not use it for a handler that stores data by UserID. Unlike a JWT, a
// verification token needs a call to Para's REST API if v has not cached it.
//
// from must differ from the guard's token sources, because a token that those
// find is verified as a JWT. A nil v or from is a misconfiguration.
func AcceptVerificationTokensWithoutUserID(v TokenVerifier, from TokenSource) Option {
	return func(g *Guard) {
		g.sessions, g.sessionFrom = v, from
		if v == nil || from == nil {
			g.misuse("AcceptVerificationTokensWithoutUserID needs a verifier and a source")
		}
	}
}

// Guard verifies requests with a [Validator] and decides the response to
// refused requests. Most programs call an adapter's Require, Optional and Allow
// and do not use a Guard directly. A Guard is safe for concurrent use by
// multiple goroutines.
type Guard struct {
	validator *Validator
	optional  bool
	authorize bool // checks the rules only, for the user of an outer guard

	sources       []TokenSource
	rules         []Rule
	onRefusal     func(http.ResponseWriter, *http.Request, *Error)
	expiredPasses bool

	sessions    TokenVerifier // nil unless verification tokens are accepted
	sessionFrom TokenSource

	wrong *Error // a misconfiguration, or nil
}

// Require returns a guard that passes only requests with a verified user.
func Require(v *Validator, opts ...Option) *Guard { return newGuard(v, false, opts) }

// Optional returns a guard that also passes requests without a token, as
// anonymous. It refuses a request with an invalid token; see
// [ExpiredIsAnonymous].
func Optional(v *Validator, opts ...Option) *Guard { return newGuard(v, true, opts) }

// Authorize returns a guard that verifies no token. It passes requests whose
// user was verified by an outer guard and passes all rules. A request without a
// user is refused with [ErrNoToken]. No rules, or a nil rule, is a
// misconfiguration.
//
// The OnRefusal, Logger and Observe of the guard that verified the user apply.
// If the request has no user, the defaults apply, also behind [Optional].
func Authorize(rules ...Rule) *Guard {
	g := &Guard{authorize: true, rules: slices.Clone(rules)}
	if err := checkRules("Allow", rules); err != nil {
		g.wrong = err.(*Error)
	}
	return g
}

func newGuard(v *Validator, optional bool, opts []Option) *Guard {
	g := &Guard{optional: optional}
	if v == nil || v.keys == nil {
		g.misuse("the Validator was not made by New: check the error of New")
	} else {
		g.validator, g.sources, g.onRefusal = v, v.cfg.TokenSources, v.cfg.OnRefusal
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

// misuse makes the guard refuse every request with 500. A misconfigured guard
// fails closed, without panicking.
func (g *Guard) misuse(what string) {
	if g.wrong == nil {
		g.wrong = misconfigured(what)
	}
}

// Check verifies a request. It returns either the request to pass on or the
// reason for the refusal. The context of the request to pass on carries the
// user unless the request is anonymous. Check logs a refusal.
//
// A handler's changes to the user reach no other request. Tokens in
// Sec-WebSocket-Protocol are removed from the request to pass on, and the whole
// field if it has more than 64 KiB.
func (g *Guard) Check(r *http.Request) (*http.Request, *Error) {
	ctx := r.Context()
	if g.authorize {
		if err := g.authorizeUser(ctx); err != nil {
			g.settings(ctx).refused(ctx, &outcome{refusal: err})
			return nil, err
		}
		return r, nil
	}
	var o outcome
	g.request(r, &o)
	if o.refusal != nil {
		g.refused(ctx, &o)
		return nil, o.refusal
	}
	r = withoutWebSocketToken(r)
	ctx = r.Context()
	if o.user == nil {
		if _, ok := claims.FromContext(ctx); ok {
			// The user of an outer guard has not passed this guard's rules.
			r = r.WithContext(claims.NewContext(ctx, nil))
		}
		g.validator.observe(ctx, &o)
		return r, nil
	}
	p := &passed{user: userContext{Context: ctx, guard: g}}
	p.user.carry(o.user)
	if len(g.rules) > 0 {
		user := new(claims.Claims)
		o.user.CopyTo(user)
		if o.refusal = apply(&p.user, g.rules, user); o.refusal != nil {
			g.refused(ctx, &o)
			return nil, o.refusal
		}
	}
	g.validator.observe(ctx, &o)
	p.request = *r.WithContext(&p.user)
	return &p.request, nil
}

// passed is the request to pass on, with its user. One struct has the request,
// its context and its claims, so that they cost one allocation.
type passed struct {
	request http.Request
	user    userContext
}

// CheckToken is [Guard.Check] for transports without an [http.Request]. It
// returns either the user or the reason for the refusal, which it logs. Both
// are nil if the guard is [Optional] and the request is anonymous. The user
// belongs to the caller. The empty string means that the request has no token.
//
// The guard's token sources, OnRefusal and
// AcceptVerificationTokensWithoutUserID do not apply. A guard made by
// [Authorize] is a misconfiguration.
func (g *Guard) CheckToken(ctx context.Context, token string) (*claims.Claims, *Error) {
	o := outcome{refusal: g.wrong}
	switch {
	case g.wrong != nil:
	case g.authorize:
		o.refusal = misconfigured("CheckToken needs a guard made by Require or Optional")
	default:
		g.token(ctx, token, &o)
	}
	if o.refusal == nil && o.user != nil {
		user := new(claims.Claims)
		o.user.CopyTo(user)
		if o.refusal = apply(ctx, g.rules, user); o.refusal == nil {
			g.validator.observe(ctx, &o)
			return user, nil
		}
	}
	if o.refusal != nil {
		g.refused(ctx, &o)
		return nil, o.refusal
	}
	g.validator.observe(ctx, &o)
	return nil, nil
}

// outcome is the result of the checks of a request.
type outcome struct {
	user    *claims.Claims // read-only; nil if anonymous
	shared  *claims.Claims // the result of Validate: equal, in other memory if cached
	cached  bool           // the token was in the token cache
	expired *Error         // the age of the token that ExpiredIsAnonymous ignored
	refusal *Error
	silent  bool // no event: the request has no token and needs none
}

// request finds the token of a request, verifies it, and writes the result to
// o.
func (g *Guard) request(r *http.Request, o *outcome) {
	if g.wrong != nil {
		o.refusal = g.wrong
		return
	}
	token, err := firstToken(r, g.sources)
	switch {
	case err != nil:
		o.refusal = &Error{Code: ErrMalformed, Check: CheckForm, Cause: err}
	case token == "" && g.sessions != nil:
		g.session(r, o)
	default:
		g.token(r.Context(), token, o)
	}
}

func firstToken(r *http.Request, sources []TokenSource) (token string, err error) {
	for _, source := range sources {
		if token, err = source(r); err != nil || token != "" {
			return token, err
		}
	}
	return "", nil
}

// token verifies a token. "" means that the request has no token.
func (g *Guard) token(ctx context.Context, token string, o *outcome) {
	if token == "" {
		if o.silent = g.optional; !g.optional {
			o.refusal = &Error{Code: ErrNoToken}
		}
		return
	}
	g.validator.validate(ctx, token, o)
	if g.expiredPasses && o.refusal != nil && o.refusal.Code == ErrExpired {
		expired := o.refusal
		// Revocation is checked after the time, so it was not checked yet.
		if o.refusal = g.validator.revoked(ctx, o.user, g.validator.cfg.Now()); o.refusal == nil {
			o.user, o.expired = nil, expired
		}
	}
}

// session finds and verifies the verification token of a request without a JWT.
func (g *Guard) session(r *http.Request, o *outcome) {
	token, err := g.sessionFrom(r)
	switch {
	case err != nil:
		o.refusal = &Error{Code: ErrMalformed, Check: CheckForm, Cause: err}
		return
	case token == "":
		g.token(r.Context(), "", o)
		return
	}
	user, err := g.sessions.VerifyVerificationToken(r.Context(), token)
	if err == nil && user == nil {
		err = errors.New("the TokenVerifier returned neither a user nor an error")
	}
	if err != nil {
		o.refusal = &Error{Code: ErrSessionUnknown, RetryAfter: time.Second, Cause: err}
		var answer interface{ Refused() bool }
		if errors.As(err, &answer) && answer.Refused() {
			o.refusal = &Error{Code: ErrSessionExpired, Check: CheckRevocation, Cause: err}
		}
		return
	}
	// The verifier's claims may be shared with other requests.
	o.user = new(claims.Claims)
	user.CopyTo(o.user)
	o.refusal = g.validator.revoked(r.Context(), o.user, g.validator.cfg.Now())
}

// authorizeUser applies the rules to the user of an outer guard.
func (g *Guard) authorizeUser(ctx context.Context) *Error {
	if g.wrong != nil {
		return g.wrong
	}
	user, ok := claims.FromContext(ctx)
	if !ok {
		return &Error{Code: ErrNoToken}
	}
	return apply(ctx, g.rules, user)
}

// settings returns the guard whose OnRefusal, Logger and Observe apply: for
// Authorize, that of the guard which let the user in.
func (g *Guard) settings(ctx context.Context) *Guard {
	if g.authorize {
		if outer, ok := ctx.Value(guardKey{}).(*Guard); ok {
			return outer
		}
	}
	return g
}

// refused logs and reports a refusal. Common refusals are at debug level. Those
// that need attention are at a higher level.
func (g *Guard) refused(ctx context.Context, o *outcome) {
	level := slog.LevelWarn
	switch o.refusal.Code {
	case ErrNoToken, ErrExpired, ErrRevoked, ErrSessionExpired:
		level = slog.LevelDebug
	case ErrForbidden:
		level = slog.LevelInfo
	case ErrKeysUnavailable, ErrRevocationUnknown, ErrSessionUnknown, ErrRuleUnavailable,
		ErrMisconfigured:
		level = slog.LevelError
	}
	logger, environment := slog.Default(), ""
	if v := g.validator; v != nil {
		logger, environment = v.cfg.Logger, v.keys.Environment().Name
		v.observe(ctx, o)
	}
	logger.LogAttrs(ctx, level, "parajwt: request refused",
		slog.String("environment", environment), slog.Any("refusal", o.refusal))
}

// userContext is a context with a user and the guard that let the user in.
type userContext struct {
	context.Context
	guard *Guard
	user  userctx.User[claims.Claims, claims.Wallet]
}

// carry sets the user. If the usual slices suffice, the context refers to user,
// which is read-only, and copies its slices, because handlers can write to
// their elements. Otherwise it copies the whole user.
func (c *userContext) carry(user *claims.Claims) {
	u := &c.user
	u.Claims = user
	u.InPlace = len(user.Audience) == len(u.Audience) && len(user.Wallets) <= len(u.Wallets) &&
		user.Wallets != nil && len(user.ConnectedWallets) == 0
	if u.InPlace {
		u.Audience[0] = user.Audience[0]
		copy(u.Wallets[:], user.Wallets)
	} else {
		u.Claims = new(claims.Claims)
		user.CopyTo(u.Claims)
	}
}

type guardKey struct{}

func (c *userContext) Value(key any) any {
	switch key.(type) {
	case userctx.Key:
		return &c.user
	case guardKey:
		return c.guard
	}
	return c.Context.Value(key)
}

// Format writes the name of the type, as the contexts of package context do,
// and no claims.
func (c *userContext) Format(f fmt.State, _ rune) { f.Write([]byte("middleware.userContext")) }
