package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/parajwt/parajwt/claims"
)

// Mode is how a session uses external wallets, by the rules of Para's SDK
// (externalWalletConnectionType). It is derived from the export, which the
// client can change. It selects what [Session.IsActive] verifies.
type Mode string

// The modes.
const (
	// ModeNone means that the user did not log in with an external wallet.
	ModeNone Mode = "NONE"
	// ModeAuthenticated means that the user logged in to Para with an external
	// wallet. The export's authInfo.auth names the wallet, and
	// authInfo.externalWallet.withFullParaAuth is true.
	ModeAuthenticated Mode = "AUTHENTICATED"
	// ModeVerification means that the user proved to Para that they own the
	// external wallets. The export's authInfo.auth names a wallet, and
	// authInfo.externalWallet.withVerification is true.
	ModeVerification Mode = "VERIFICATION"
	// ModeConnectionOnly means that external wallets are connected and no user
	// is logged in. The export has external wallets and no embedded wallets.
	// Its user ID is empty or EXTERNAL_WALLET_CONNECTION_ONLY. Para's SDK
	// ignores any other user ID here. This package verifies an export that has
	// one.
	ModeConnectionOnly Mode = "CONNECTION_ONLY"
)

// connectionOnlyUser is the user ID in exports of Para's SDK if no user is
// logged in.
const connectionOnlyUser = "EXTERNAL_WALLET_CONNECTION_ONLY"

// ClaimedWallet is a wallet in an export. It is unverified input from the
// client. Before a decision depends on it, find it in the claims of a JWT or
// call [Client.VerifyWallet].
type ClaimedWallet struct {
	ID        string            `json:"id"`
	Type      claims.WalletType `json:"type"`
	Address   string            `json:"address"` // "" until the wallet's keys exist
	PublicKey string            `json:"publicKey"`
	// Name is the name that the user gave the wallet, or the provider of an
	// external wallet, such as MetaMask.
	Name     string `json:"name,omitempty"`
	External bool   `json:"external"`
}

// Session is a session that a user's client exported. [Client.Import] returns
// one. It uses the newest cookie that Para sent. It prints, logs and marshals
// as its user ID, mode and environment. A Session is safe for concurrent use by
// multiple goroutines.
type Session struct {
	printed
	*state
}

// state is behind a pointer, so that copies of a Session share it. Its data is
// behind a second pointer, because package fmt follows one for some verbs.
type state struct{ *data }

type data struct {
	client    *Client
	doc       node
	wallets   map[string]node // embedded and external wallets, by ID
	external  node            // externalWallets
	externals map[string]bool // IDs of the external wallets
	mode      Mode
	dropped   bool

	mu      sync.Mutex // guards the rest
	cookie  Secret
	current node // currentWalletIds
}

func newSession(c *Client, doc node, dropped bool) *Session {
	s := &Session{state: &state{&data{
		client: c, doc: doc, external: doc.get("externalWallets"), mode: modeOf(doc),
		dropped: dropped, wallets: map[string]node{}, externals: map[string]bool{},
		cookie: doc.get("sessionCookie").secret, current: doc.get("currentWalletIds"),
	}}}
	for _, w := range doc.get("wallets").children {
		s.wallets[w.name] = w
	}
	for _, w := range s.external.children {
		s.wallets[w.name], s.externals[w.name] = w, true
	}
	s.printed = printedAs(fmt.Sprintf("Para session of user %q (%s, %s)",
		s.UserID(), s.mode, c.cfg.Environment.Name))
	return s
}

func modeOf(doc node) Mode {
	if info := doc.get("authInfo"); byExternalWallet(info.get("auth")) {
		switch how := info.get("externalWallet"); {
		case how.is("withFullParaAuth"):
			return ModeAuthenticated
		case how.is("withVerification"):
			return ModeVerification
		}
	}
	user, external := doc.get("userId").text, doc.get("externalWallets").children
	embedded := slices.ContainsFunc(doc.get("wallets").children, isEmbedded)
	if len(external) > 0 && !embedded && (user == "" || user == connectionOnlyUser) {
		return ModeConnectionOnly
	}
	return ModeNone
}

func isEmbedded(w node) bool { return !w.is("isExternal") }

// byExternalWallet reports whether authInfo.auth names an external wallet and
// no other login.
func byExternalWallet(auth node) bool {
	has := func(name string) bool { return auth.get(name).text != "" }
	return has("externalWalletAddress") && !slices.ContainsFunc([]string{"email", "phone",
		"farcasterUsername", "telegramUserId", "xUsername", "discordUsername", "customId"}, has)
}

// Mode returns how the session uses external wallets.
func (s *Session) Mode() Mode { return s.mode }

// UserID returns the user ID in the export, or "" in [ModeConnectionOnly]. It
// is unverified until [Session.IsActive] returns true.
func (s *Session) UserID() string { return s.userText("userId") }

// AuthType returns how the user logged in, as the export states it. It is
// unverified. For a verified value, use [Session.IssueJWT] or
// [Client.VerifyToken].
func (s *Session) AuthType() claims.AuthType {
	return claims.AuthType(s.userText("authInfo", "authType"))
}

// Identifier returns the identifier in the export, such as an email address. It
// is unverified; see [Session.AuthType].
func (s *Session) Identifier() string { return s.userText("authInfo", "identifier") }

// userText returns a text of the export about the user, or "" if no user is
// logged in.
func (s *Session) userText(names ...string) string {
	if s.mode == ModeConnectionOnly {
		return ""
	}
	return s.doc.get(names...).text
}

// Wallets returns the embedded wallets in the export, in its order. They are
// unverified. The slice belongs to the caller.
func (s *Session) Wallets() []ClaimedWallet {
	return s.claimed(s.doc.get("wallets").children, isEmbedded)
}

// ExternalWallets returns the external wallets in the export, in its order. The
// slice belongs to the caller. In [ModeVerification], the user owns the
// addresses if [Session.IsActive] returns true. Types and names are unverified.
func (s *Session) ExternalWallets() []ClaimedWallet {
	return s.claimed(s.external.children, s.usable)
}

// claimed returns the wallets for which keep returns true, each once.
func (s *Session) claimed(wallets []node, keep func(node) bool) (all []ClaimedWallet) {
	seen := map[string]bool{}
	for _, w := range wallets {
		if !seen[w.name] && keep(w) {
			seen[w.name] = true
			all = append(all, ClaimedWallet{
				ID: w.name, Type: claims.WalletType(w.get("type").text),
				Address: w.get("address").text, PublicKey: w.get("publicKey").text,
				Name: w.get("name").text, External: s.externals[w.name] || !isEmbedded(w),
			})
		}
	}
	return all
}

// CurrentWallets returns the wallets that the user chose for the app. They are
// unverified. Their order is that of findWalletId in Para's SDK, which signs
// with the first wallet.
//
// The wallets are the usable ones in currentWalletIds: those of the export, or
// of Para's latest response to POST /touch. If there are none, the wallets are
// all usable wallets of the export. A wallet is usable if it belongs to the
// user, is an unclaimed pregenerated wallet, or is external. The slice belongs
// to the caller.
func (s *Session) CurrentWallets() []ClaimedWallet {
	_, current := s.now()
	var listed []node
	for _, list := range current.children {
		for _, id := range list.children {
			if w, ok := s.wallets[id.text]; ok {
				listed = append(listed, w)
			}
		}
	}
	if all := s.claimed(listed, s.usable); all != nil {
		return all
	}
	return s.claimed(s.doc.get("wallets").children, s.usable)
}

// usable reports whether Para's SDK would use the wallet, as its isWalletUsable
// does.
func (s *Session) usable(w node) bool {
	if s.externals[w.name] {
		return true
	}
	owner, pregen := w.get("userId").text, w.get("pregenIdentifier").text
	kind := w.get("pregenIdentifierType").text
	owned := (owner == "" || owner == s.UserID()) && pregen == "" && kind == ""
	return owned || w.is("isPregen") && pregen != "" && kind != ""
}

// SignersDropped reports whether Import dropped key shares of the export.
func (s *Session) SignersDropped() bool { return s.dropped }

// touch verifies the session with Para. The error is [ErrSessionExpired] if the
// session is not active.
func (s *Session) touch(ctx context.Context) (answer, error) {
	return s.ask(ctx, call{
		path: "/touch?regenerate=false", name: "/touch",
		fields: slices.Concat(of(text, "userId sessionLookupId partnerId"),
			of(flag, "isAuthenticated"), of(texts, "verifiedExternalWalletAddresses"),
			of(hint, "currentWalletIds")), // decides nothing, so it may have any form
		check: s.check,
	})
}

// check returns nil if a response to /touch means that the session is active.
func (s *Session) check(a answer) *Error {
	userID, active := a.doc.get("userId").text, a.doc.is("isAuthenticated")
	if s.mode == ModeVerification {
		verified := map[string]bool{"": true}
		for _, address := range a.doc.get("verifiedExternalWalletAddresses").children {
			verified[address.text] = true
		}
		active = len(s.external.children) > 0
		for _, w := range s.external.children {
			// ExternalWallets returns the address, so it is checked too. It may
			// differ from the ID.
			active = active && w.name != "" && verified[w.name] && verified[w.get("address").text]
		}
	}
	switch {
	case a.doc.get("partnerId").text == "": // Para's SDK recognizes a wrong API key by this
		return a.fail(ErrUnauthorizedKey, nil)
	case userID != "" && userID != s.UserID():
		return a.fail(ErrOtherUser, nil)
	case !active:
		return a.fail(ErrSessionExpired, nil)
	case userID == "":
		return a.fail(ErrUnexpectedAnswer,
			errors.New("a user is logged in, but userId is missing"))
	}
	return nil
}

// ask makes a call with the session's cookie, and adopts the cookie and current
// wallets of a good response. If Para refuses a cookie that another call has
// replaced in the meantime, ask calls again with the new cookie.
func (s *Session) ask(ctx context.Context, k call) (answer, error) {
	if s.mode == ModeConnectionOnly {
		return answer{}, &Error{Code: ErrNotLoggedIn, Hint: "the session only connects external " +
			"wallets (CONNECTION_ONLY): let the user log in"}
	}
	if k.key = s.client.cfg.APIKey; k.key == "" {
		return answer{}, &Error{Code: ErrNoAPIKey, Hint: "set Config.APIKey"}
	}
	for again := true; ; again = false {
		sent, _ := s.now()
		k.cookie = sent
		a, err := s.client.do(ctx, k)
		if err == nil {
			s.adopt(a, sent)
			return a, nil
		}
		if newest, _ := s.now(); !again || !errors.Is(err, ErrSessionExpired) || newest == sent {
			return a, err
		}
	}
}

// now returns the newest cookie and current wallet IDs.
func (s *Session) now() (cookie string, current node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookie.Reveal(), s.current
}

// adopt keeps the current wallets in a response. It keeps the cookie unless
// another call has replaced the one that was sent, so that a late response does
// not overwrite a newer cookie.
func (s *Session) adopt(a answer, sent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isCookie(a.cookie) && s.cookie.Reveal() == sent {
		s.cookie = NewSecret(a.cookie)
	}
	if current := a.doc.get("currentWalletIds"); current.form != 0 {
		s.current = current
	}
}

// IsActive reports whether Para considers the session active, and its user is
// the one that the export names. In [ModeVerification], the session is active
// if Para has verified every external wallet in the export. It needs
// Config.APIKey.
//
// The result (false, nil) means that the session is not active. The error has
// the code [ErrOtherUser] or [ErrNotLoggedIn] if the session is invalid. It has
// [ErrUnauthorizedKey], [ErrNoAPIKey], [ErrUnavailable] or
// [ErrUnexpectedAnswer] if the session could not be verified. In
// [ModeConnectionOnly], IsActive returns ErrNotLoggedIn without a call. Para's
// SDK returns true there.
//
// A call that fails with ErrUnavailable is repeated up to twice. Source:
// isSessionActive of Para's SDK, POST /touch.
func (s *Session) IsActive(ctx context.Context) (bool, error) {
	_, err := s.touch(ctx)
	if errors.Is(err, ErrSessionExpired) {
		return false, nil
	}
	return err == nil, err
}

// KeepAlive extends the session by the app's session length. It needs
// Config.APIKey.
//
// The error has the code [ErrSessionExpired], [ErrNotLoggedIn],
// [ErrUnauthorizedKey], [ErrNoAPIKey], [ErrUnavailable] or
// [ErrUnexpectedAnswer]. A call that fails with ErrUnavailable is repeated up
// to twice. Source: keepSessionAlive of Para's SDK,
// POST /users/{userId}/session/keep-alive.
func (s *Session) KeepAlive(ctx context.Context) error {
	_, err := s.askAsUser(ctx, call{
		path: "/users/" + s.UserID() + "/session/keep-alive",
		name: "/users/{userId}/session/keep-alive",
	})
	return err
}

// IssueJWT returns a new token of the session's user. A Validator turns it into
// claims, which Para attests. Issuing a token extends the session. It needs
// Config.APIKey.
//
// The error has the code [ErrSessionExpired], [ErrNotLoggedIn],
// [ErrUnauthorizedKey], [ErrNoAPIKey], [ErrUnavailable] or
// [ErrUnexpectedAnswer]. A call that fails with ErrUnavailable is repeated only
// after 429, so that Para does not issue two tokens. Source: issueJwt of Para's
// SDK, POST /auth/jwt.
func (s *Session) IssueJWT(ctx context.Context) (JWT, error) {
	a, err := s.askAsUser(ctx, call{
		path: "/auth/jwt", body: []byte(`{"keyIndex":0}`), single: true,
		fields: of(text, "token keyId"),
		check: func(a answer) *Error {
			if strings.Count(a.doc.get("token").text, ".") != 2 {
				return a.fail(ErrUnexpectedAnswer, errors.New("it has no token"))
			}
			return nil
		},
	})
	return JWT{NewSecret(a.doc.get("token").text), a.doc.get("keyId").text}, err
}

// askAsUser makes a call that needs a logged-in user. A 401 or 403 may mean
// that the session has ended or that the API key is wrong. A wrong key must not
// log users out, so askAsUser then calls /touch, whose response distinguishes
// them.
func (s *Session) askAsUser(ctx context.Context, k call) (answer, error) {
	k.codes = map[int]Code{
		http.StatusUnauthorized: ErrSessionExpired, http.StatusForbidden: ErrSessionExpired,
	}
	a, err := s.ask(ctx, k)
	if errors.Is(err, ErrSessionExpired) {
		if _, touched := s.touch(ctx); errors.Is(touched, ErrUnauthorizedKey) {
			return answer{}, touched
		}
	}
	return a, err
}

// VerificationToken returns the session's verification token, which
// [Client.VerifyToken] verifies on this or another server.
//
// The error has the code [ErrSessionExpired] if the session is not active, or a
// code of [Session.IsActive]. A call that fails with ErrUnavailable is repeated
// up to twice. Source: getVerificationToken of Para's SDK, sessionLookupId in
// the response to POST /touch.
func (s *Session) VerificationToken(ctx context.Context) (Secret, error) {
	a, err := s.touch(ctx)
	token := a.doc.get("sessionLookupId").text
	if err == nil && token == "" {
		err = a.fail(ErrUnexpectedAnswer, errors.New("it has no sessionLookupId"))
	}
	return NewSecret(token), err
}

// Export returns the session in the form that importSession of Para's SDK and
// [Client.Import] accept, with the newest cookie and current wallets. The text
// contains key shares only if Import kept them. Its member "parajwt", which
// Para's SDK ignores, names the environment.
//
// The text is a credential. Whoever has it can act as the user until the
// session ends.
func (s *Session) Export() string {
	cookie, current := s.now()
	doc := s.doc
	for _, name := range []string{"wallets", "externalWallets"} { // Para's SDK requires both
		doc.put(node{name: name, form: '{', children: doc.get(name).children})
	}
	doc.put(node{name: "currentWalletIds", form: '{', children: current.children})
	if cookie != "" {
		doc.put(str("sessionCookie", cookie))
	}
	doc.put(node{name: "parajwt", form: '{', children: []node{
		str("environment", s.client.cfg.Environment.Name), str("url", s.client.origin),
	}})
	var b bytes.Buffer
	doc.write(&b, json.NewEncoder(&b))
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
