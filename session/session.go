package session

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/strictjson"
)

// Mode is how external wallets take part in a session. It is told from the export, by the rules of Para's SDK
// (ExternalWalletConnectionType), and decides what [Session.IsActive] asks.
type Mode string

// The modes.
const (
	// ModeNone: the user logged in with something else than an external wallet.
	ModeNone Mode = "NONE"
	// ModeAuthenticated: the user logged in to Para with an external wallet. The export's authInfo.auth names an
	// external wallet, and authInfo.externalWallet.withFullParaAuth is true.
	ModeAuthenticated Mode = "AUTHENTICATED"
	// ModeVerification: the user proved to Para to hold the external wallets, and no more. As before, but
	// withVerification is true instead.
	ModeVerification Mode = "VERIFICATION"
	// ModeConnectionOnly: nobody logged in. There are external wallets, none of the above, no embedded wallet
	// and no user ID (or EXTERNAL_WALLET_CONNECTION_ONLY in its place). Para's SDK does not look at the user
	// ID; here, an export that claims one is never believed without asking Para.
	ModeConnectionOnly Mode = "CONNECTION_ONLY"
)

// Session is a session that a user's client exported. It is made by [Client.Import], is safe for concurrent use,
// and keeps the cookies that Para refreshes. Many may live beside one another. It prints, logs and marshals
// as its user ID and mode.
type Session struct{ *state }

// state is behind a pointer, so that a Session that somebody copied or prints shares one lock and shows an address.
type state struct {
	client *Client
	doc    *document
	mode   Mode

	mu     sync.Mutex
	cookie secret
}

func newSession(c *Client, d *document, cookie secret) *Session {
	return &Session{&state{client: c, doc: d, mode: d.mode(), cookie: cookie}}
}

func (d *document) mode() Mode {
	a := d.AuthInfo
	if a != nil && a.ExternalWallet != nil && a.byExternalWallet() {
		switch {
		case a.ExternalWallet.WithFullParaAuth:
			return ModeAuthenticated
		case a.ExternalWallet.WithVerification:
			return ModeVerification
		}
	}
	embedded := slices.ContainsFunc(d.Wallets, func(m member[wallet]) bool { return !m.value.IsExternal })
	if len(d.ExternalWallets) > 0 && !embedded && (d.UserID == "" || d.UserID == connectionOnlyUser) {
		return ModeConnectionOnly
	}
	return ModeNone
}

// byExternalWallet reports whether the user logged in with an external wallet and nothing else.
func (a *authInfo) byExternalWallet() bool {
	for _, m := range a.Auth {
		switch m.name {
		case "email", "phone", "farcasterUsername", "telegramUserId", "xUsername", "discordUsername", "customId":
			if m.value != "" {
				return false
			}
		}
	}
	address, _ := a.Auth.get("externalWalletAddress")
	return address != ""
}

// Mode returns how external wallets take part in the session.
func (s *Session) Mode() Mode { return s.mode }

// UserID returns the user ID in the export, or "" in [ModeConnectionOnly]. It is the client's word until
// [Session.IsActive] has returned true.
func (s *Session) UserID() string {
	if s.mode == ModeConnectionOnly {
		return ""
	}
	return s.doc.UserID
}

// AuthType returns how the user logged in, as the client says. Para's word on it is in a JWT or in
// [Client.VerifyToken]'s answer.
func (s *Session) AuthType() claims.AuthType {
	if s.doc.AuthInfo == nil || s.mode == ModeConnectionOnly {
		return ""
	}
	return claims.AuthType(s.doc.AuthInfo.AuthType)
}

// Identifier returns what the user logged in with, as the client says; see [Session.AuthType].
func (s *Session) Identifier() string {
	if s.doc.AuthInfo == nil || s.mode == ModeConnectionOnly {
		return ""
	}
	return s.doc.AuthInfo.Identifier
}

// Wallets returns the embedded wallets in the export, in its order, in a slice of the caller's own. Although their
// type is that of attested wallets, these are the client's word: before anything depends on one, look for it in a
// JWT's claims, or ask [Client.VerifyWallet].
func (s *Session) Wallets() []claims.Wallet {
	var all []claims.Wallet
	for _, m := range s.doc.Wallets {
		if !m.value.IsExternal {
			all = append(all, m.value.claim())
		}
	}
	return all
}

// CurrentWallets returns those of [Session.Wallets] that the user has chosen for the app, in the order of Para's
// findWalletId: the first is the one that Para's SDK would sign with.
func (s *Session) CurrentWallets() []claims.Wallet {
	var all []claims.Wallet
	seen := map[string]bool{}
	for _, m := range s.doc.CurrentWalletIDs {
		for _, id := range m.value {
			if w, ok := s.doc.Wallets.get(id); ok && !w.IsExternal && !seen[id] {
				seen[id] = true
				all = append(all, w.claim())
			}
		}
	}
	return all
}

func (w wallet) claim() claims.Wallet {
	return claims.Wallet{ID: w.ID, Type: claims.WalletType(w.Type), Address: w.Address, PublicKey: w.PublicKey}
}

// ExternalWallets returns the external wallets in the export, in its order, in a slice of the caller's own. Nobody has
// proved to hold them, but in [ModeVerification] the addresses once [Session.IsActive] has returned true. Types and
// names stay the client's word.
func (s *Session) ExternalWallets() []claims.ConnectedWallet {
	var all []claims.ConnectedWallet
	for _, m := range s.doc.ExternalWallets {
		w := m.value
		all = append(all, claims.ConnectedWallet{ID: w.ID, Type: claims.WalletType(w.Type), Address: w.Address, PublicKey: w.PublicKey, Provider: w.Name})
	}
	return all
}

// SignersDropped reports whether the export held key shares, which Import dropped.
func (s *Session) SignersDropped() bool { return s.doc.dropped }

// touched is what /touch answers, as far as it is used.
type touched struct {
	userID, lookupID, partnerID string
	authenticated               bool
	verified                    []string // addresses
}

// touch asks Para about the session. An error of [ErrSessionExpired] means that it is not active.
func (s *Session) touch(ctx context.Context) (t touched, err error) {
	err = s.ask(ctx, call{
		method: http.MethodPost, path: "/touch?regenerate=false", name: "/touch",
		contentType: "application/x-www-form-urlencoded", safe: true,
		// Whoever is not logged in is answered 200 too, so this is about the key.
		says: map[int]Code{http.StatusUnauthorized: ErrUnauthorizedKey, http.StatusForbidden: ErrUnauthorizedKey},
	}, func(a answer) error {
		t = touched{}
		err := a.read(func(d *strictjson.Decoder, name string) {
			switch name {
			case "userId":
				t.userID = optional(d)
			case "sessionLookupId":
				t.lookupID = optional(d)
			case "partnerId":
				t.partnerID = optional(d)
			case "isAuthenticated":
				t.authenticated = truth(d)
			case "verifiedExternalWalletAddresses":
				if !d.Null() {
					for range d.Array {
						t.verified = append(t.verified, text(d))
					}
				}
			}
		})
		if err != nil {
			return err
		}
		return s.check(a, t)
	})
	return t, err
}

// check decides whether an answer to /touch means that the session is active.
func (s *Session) check(a answer, t touched) error {
	refuse := func(code Code) *Error {
		return &Error{Code: code, Method: a.call.method, Path: a.call.name, Status: http.StatusOK}
	}
	switch {
	case t.partnerID == "":
		// So does Para's SDK tell it.
		e := refuse(ErrUnauthorizedKey)
		e.Hint = "Para knows no app of this API key: is it another environment's?"
		return e
	case t.userID != "" && t.userID != s.doc.UserID:
		return refuse(ErrOtherUser)
	case s.mode == ModeVerification:
		if len(s.doc.ExternalWallets) == 0 {
			return refuse(ErrSessionExpired) // nothing is verified where there is nothing to verify
		}
		for _, m := range s.doc.ExternalWallets {
			// The address is what ExternalWallets returns, and a client may have written another one there.
			if !slices.Contains(t.verified, m.name) || m.value.Address != m.name && !slices.Contains(t.verified, m.value.Address) {
				return refuse(ErrSessionExpired)
			}
		}
	case !t.authenticated:
		return refuse(ErrSessionExpired)
	}
	if t.userID == "" {
		return a.unexpected("it says that a user is logged in, and not which")
	}
	return nil
}

// ask makes a call with the session's cookie, and takes over a refreshed one once read has found the answer good. Where
// Para refuses a cookie that another call has replaced meanwhile, it asks again with the new one.
func (s *Session) ask(ctx context.Context, k call, read func(answer) error) error {
	key := s.client.key.reveal()
	if key == "" {
		return &Error{Code: ErrNoAPIKey, Hint: "set Config.APIKey"}
	}
	for again := true; ; again = false {
		sent := s.currentCookie()
		k.header = map[string]string{apiKeyHeader: key, cookieHeader: sent, versionHeader: paraVersion}
		a, err := s.client.do(ctx, k)
		if err == nil {
			err = read(a)
		}
		if err == nil {
			s.refresh(sent, a.cookie)
			return nil
		}
		if !again || !errors.Is(err, ErrSessionExpired) || s.currentCookie() == sent {
			return err
		}
	}
}

func (s *Session) currentCookie() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookie.reveal()
}

// refresh replaces the cookie that was sent by the one that was answered, unless another call did so before: an answer
// that comes late does not undo what came after it.
func (s *Session) refresh(sent, answered string) {
	if !isCookie(answered) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookie.reveal() == sent {
		s.cookie = hide(answered)
	}
}

// IsActive asks Para whether the session is active: whether somebody is logged in with it, and it is the user whom the
// export names. In [ModeVerification], it is whether every external wallet in the export is verified. In
// [ModeConnectionOnly] it is always true, and no call is made: nobody is logged in, [Session.UserID] is
// empty, and whoever made up the export is let through, so do not take it for a login.
//
// (false, nil) is Para's own answer. Errors: [ErrOtherUser], [ErrUnauthorizedKey], [ErrNoAPIKey],
// [ErrUnavailable], [ErrUnexpectedAnswer]; with none of the last four is anything known about the session. It
// only reads, and is retried. Source: isSessionActive of Para's SDK, by POST /touch.
func (s *Session) IsActive(ctx context.Context) (bool, error) {
	if s.mode == ModeConnectionOnly {
		return true, nil
	}
	_, err := s.touch(ctx)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrSessionExpired):
		return false, nil
	}
	return false, err
}

// KeepAlive extends the session by the session length of the app. Whether it did so the first or the second time makes
// no difference, and so it is retried.
//
// Errors: [ErrSessionExpired] where Para does not extend it, [ErrUnauthorizedKey] where the API key is to blame,
// [ErrNoAPIKey], [ErrUnavailable], [ErrUnexpectedAnswer]. Source: keepSessionAlive of Para's SDK, by
// POST /users/{userId}/session/keep-alive.
func (s *Session) KeepAlive(ctx context.Context) error {
	if err := s.needLogin(); err != nil {
		return err
	}
	return s.orKey(ctx, s.ask(ctx, call{
		method: http.MethodPost, path: "/users/" + s.doc.UserID + "/session/keep-alive", name: "/users/{userId}/session/keep-alive",
		contentType: "application/x-www-form-urlencoded", safe: true,
		says: map[int]Code{http.StatusUnauthorized: ErrSessionExpired, http.StatusForbidden: ErrSessionExpired},
	}, func(answer) error { return nil }))
}

// orKey asks once more where Para has refused: 401 and 403 do not say whether the session is over or the API key is
// wrong, and a wrong key must not log everybody out. /touch tells the two apart.
func (s *Session) orKey(ctx context.Context, err error) error {
	if !errors.Is(err, ErrSessionExpired) {
		return err
	}
	var e *Error
	if _, touched := s.touch(ctx); errors.As(touched, &e) && e.Code == ErrUnauthorizedKey && e.Status == http.StatusOK {
		return touched
	}
	return err
}

// JWTOption changes what [Session.IssueJWT] asks for.
type JWTOption func(*int)

// KeyIndex asks for another of Para's key pairs than the first, whose index is 0 (keyIndex of Para's SDK).
func KeyIndex(i int) JWTOption { return func(index *int) { *index = i } }

// IssueJWT asks Para for a token for the session's user. It goes straight into a Validator, whose claims are Para's
// word on the user. Issuing extends the session. It is not retried, so that no token is issued that nobody holds,
// but where Para says that it did nothing (429).
//
// Errors: [ErrSessionExpired] where the user must log in again, [ErrUnauthorizedKey] where the API key is to blame,
// [ErrNoAPIKey], [ErrUnavailable], [ErrUnexpectedAnswer]; none comes with a token. Source: issueJwt of Para's SDK, by
// POST /auth/jwt.
func (s *Session) IssueJWT(ctx context.Context, opts ...JWTOption) (JWT, error) {
	if err := s.needLogin(); err != nil {
		return JWT{}, err
	}
	index := 0
	for _, opt := range opts {
		opt(&index)
	}
	var jwt JWT
	err := s.ask(ctx, call{
		method: http.MethodPost, path: "/auth/jwt", name: "/auth/jwt",
		contentType: "application/json", body: fmt.Appendf(nil, `{"keyIndex":%d}`, index),
		says: map[int]Code{http.StatusUnauthorized: ErrSessionExpired, http.StatusForbidden: ErrSessionExpired},
	}, func(a answer) error {
		jwt = JWT{}
		err := a.read(func(d *strictjson.Decoder, name string) {
			switch name {
			case "token":
				jwt.Token = text(d)
			case "keyId":
				jwt.KeyID = optional(d)
			}
		})
		if err == nil && strings.Count(jwt.Token, ".") != 2 {
			err = a.unexpected("it has no token")
		}
		return err
	})
	if err != nil {
		return JWT{}, s.orKey(ctx, err)
	}
	return jwt, nil
}

// VerificationToken asks Para for the session's verification token, which [Client.VerifyToken] checks, here or on
// another server. It only reads, and is retried.
//
// Errors: [ErrSessionExpired] where the session is not active, and those of [Session.IsActive]. Source:
// getVerificationToken of Para's SDK, which is sessionLookupId in the answer to POST /touch.
func (s *Session) VerificationToken(ctx context.Context) (Token, error) {
	if err := s.needLogin(); err != nil {
		return "", err
	}
	t, err := s.touch(ctx)
	switch {
	case err != nil:
		return "", err
	case t.lookupID == "":
		return "", &Error{Code: ErrUnexpectedAnswer, Method: http.MethodPost, Path: "/touch", Status: http.StatusOK, Cause: errors.New("it has no sessionLookupId")}
	}
	return Token(t.lookupID), nil
}

// Partner is your app, as Para knows it.
type Partner struct {
	ID                   string
	DisplayName          string
	SupportedWalletTypes []SupportedWalletType
	CosmosPrefix         string
}

// SupportedWalletType is a type of wallet that the app gives to its users.
type SupportedWalletType struct {
	Type     claims.WalletType
	Optional bool
}

// Partner asks Para what the app of the API key is. Errors: those of [Session.VerificationToken]. It only reads, and is
// retried. Source: Para's SDK, which asks GET /partners/{partnerId} after its first POST /touch.
func (s *Session) Partner(ctx context.Context) (Partner, error) {
	if err := s.needLogin(); err != nil {
		return Partner{}, err
	}
	t, err := s.touch(ctx)
	if err != nil {
		return Partner{}, err
	}
	if !isID(t.partnerID) {
		return Partner{}, &Error{Code: ErrUnexpectedAnswer, Method: http.MethodPost, Path: "/touch", Status: http.StatusOK, Cause: errors.New("its partnerId is not an ID")}
	}
	var p Partner
	err = s.ask(ctx, call{
		method: http.MethodGet, path: "/partners/" + t.partnerID, name: "/partners/{partnerId}", safe: true,
		says: map[int]Code{http.StatusUnauthorized: ErrUnauthorizedKey, http.StatusForbidden: ErrUnauthorizedKey},
	}, func(a answer) error {
		p = Partner{}
		err := a.read(func(d *strictjson.Decoder, name string) {
			if name == "partner" {
				p.read(d)
			}
		})
		if err == nil && p.ID != t.partnerID {
			err = a.unexpected("it is about another partner")
		}
		return err
	})
	if err != nil {
		return Partner{}, err
	}
	return p, nil
}

func (p *Partner) read(d *strictjson.Decoder) {
	for name := range d.Object {
		switch name {
		case "id":
			p.ID = text(d)
		case "displayName":
			p.DisplayName = optional(d)
		case "cosmosPrefix":
			p.CosmosPrefix = optional(d)
		case "supportedWalletTypes":
			if d.Null() {
				continue
			}
			for range d.Array {
				var t SupportedWalletType
				for name := range d.Object {
					switch name {
					case "type":
						t.Type = claims.WalletType(text(d))
					case "optional":
						t.Optional = truth(d)
					}
				}
				p.SupportedWalletTypes = append(p.SupportedWalletTypes, t)
			}
		}
	}
}

// needLogin refuses what makes no sense where nobody is logged in, without asking.
func (s *Session) needLogin() error {
	if s.mode == ModeConnectionOnly {
		return &Error{Code: ErrSessionExpired, Hint: "external wallets are connected, and nobody is logged in (CONNECTION_ONLY)"}
	}
	return nil
}

// Export returns the session as importSession of Para's SDK and [Client.Import] take it, with the newest cookie. It holds
// key shares only where Import was told to keep them. It says which environment it is of, which Para's SDK
// ignores. The result is a credential: whoever has it is the user until the session ends. The error is
// always nil, unless a JSON encoder fails.
func (s *Session) Export() (string, error) {
	d := *s.doc
	d.SessionCookie, d.Origin = s.currentCookie(), s.client.self()
	text, err := json.Marshal(d)
	if err != nil {
		return "", &Error{Code: ErrSessionMalformed, Cause: errors.New("it cannot be written as JSON")}
	}
	return base64.StdEncoding.EncodeToString(text), nil
}

// String returns the user ID, the mode and the environment.
func (s *Session) String() string {
	if s == nil || s.state == nil {
		return "no Para session"
	}
	return fmt.Sprintf("Para session of user %q (%s, %s)", s.UserID(), s.mode, s.client.environment.Name)
}

// Format implements fmt.Formatter for every verb.
func (s *Session) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// GoString is String.
func (s *Session) GoString() string { return s.String() }

// LogValue is what log/slog writes.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes String. What may leave the process is for [Session.Export] to write.
func (s *Session) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
