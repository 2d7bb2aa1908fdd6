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

// Mode is how external wallets take part in a session, by the rules of Para's
// SDK (externalWalletConnectionType). It is derived from the export and decides
// what [Session.IsActive] asks.
type Mode string

// The modes.
const (
	// ModeNone means that the user logged in with something else than an
	// external wallet.
	ModeNone Mode = "NONE"
	// ModeAuthenticated means that the user logged in to Para with an external
	// wallet: the export's authInfo.auth names one, and
	// authInfo.externalWallet.withFullParaAuth is true.
	ModeAuthenticated Mode = "AUTHENTICATED"
	// ModeVerification means that the user proved to Para that they own the
	// external wallets. It is like ModeAuthenticated with withVerification
	// instead.
	ModeVerification Mode = "VERIFICATION"
	// ModeConnectionOnly means that external wallets are connected and no user
	// is logged in: the export has external wallets, no embedded ones, and no
	// user ID (or EXTERNAL_WALLET_CONNECTION_ONLY in its place). Para's SDK
	// ignores the user ID here; this package asks Para about every export that
	// has one.
	ModeConnectionOnly Mode = "CONNECTION_ONLY"
)

// connectionOnlyUser is the user ID of Para's SDK if no user is logged in.
const connectionOnlyUser = "EXTERNAL_WALLET_CONNECTION_ONLY"

// ClaimedWallet is a wallet that a client says its user has. Para has not
// attested it: look for it in a JWT's claims, or ask [Client.VerifyWallet],
// before anything depends on it.
type ClaimedWallet struct {
	ID        string            `json:"id"`
	Type      claims.WalletType `json:"type"`
	Address   string            `json:"address"` // empty until the wallet's keys exist
	PublicKey string            `json:"publicKey"`
	// Name is the name that the user gave the wallet, or the provider of an
	// external wallet, such as MetaMask.
	Name     string `json:"name,omitempty"`
	External bool   `json:"external"`
}

// Session is a session that a user's client exported. It is made by
// [Client.Import], is safe for concurrent use by multiple goroutines, and
// adopts the cookies that Para refreshes. It prints, logs and marshals as its
// user ID and mode.
type Session struct {
	printed
	*state
}

// state is behind a pointer, so that copies of a Session share it, and its data
// behind another one, because fmt follows one for some verbs.
type state struct{ *data }

type data struct {
	client    *Client
	doc       node
	wallets   map[string]node // embedded and external ones, by ID
	external  node            // externalWallets
	externals map[string]bool // their IDs
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

// byExternalWallet reports whether the user logged in with an external wallet
// and nothing else.
func byExternalWallet(auth node) bool {
	has := func(name string) bool { return auth.get(name).text != "" }
	return has("externalWalletAddress") && !slices.ContainsFunc([]string{"email", "phone",
		"farcasterUsername", "telegramUserId", "xUsername", "discordUsername", "customId"}, has)
}

// Mode returns how external wallets take part in the session.
func (s *Session) Mode() Mode { return s.mode }

// UserID returns the user ID in the export, or "" in [ModeConnectionOnly]. It
// is the client's word until [Session.IsActive] returns true.
func (s *Session) UserID() string { return s.says("userId") }

// AuthType returns how the user logged in, by the client's word. A JWT and
// [Client.VerifyToken] contain Para's.
func (s *Session) AuthType() claims.AuthType {
	return claims.AuthType(s.says("authInfo", "authType"))
}

// Identifier returns what the user logged in with, such as an email address, by
// the client's word; see [Session.AuthType].
func (s *Session) Identifier() string { return s.says("authInfo", "identifier") }

// says returns what the export says about the user, if one is logged in.
func (s *Session) says(names ...string) string {
	if s.mode == ModeConnectionOnly {
		return ""
	}
	return s.doc.get(names...).text
}

// Wallets returns the embedded wallets in the export, in its order. The slice
// is the caller's.
func (s *Session) Wallets() []ClaimedWallet {
	return s.claimed(s.doc.get("wallets").children, isEmbedded)
}

// ExternalWallets returns the external wallets in the export, in its order. The
// slice is the caller's. In [ModeVerification], the user owns their addresses
// once [Session.IsActive] has returned true. Types and names are the client's
// word.
func (s *Session) ExternalWallets() []ClaimedWallet {
	return s.claimed(s.external.children, s.usable)
}

// claimed returns the wallets that keep reports, each once.
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

// CurrentWallets returns the wallets that the user chose for the app: those
// that findWalletId of Para's SDK takes, in its order, so that the first is the
// one that the SDK signs with. They are the usable wallets of the export's
// currentWalletIds, or of Para's latest answer to a call of this Session. If
// there are none, they are all usable wallets of the export. A wallet is usable
// if it is the user's, an unclaimed pregenerated one, or external.
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

// usable reports whether Para's SDK would use the wallet (isWalletUsable).
func (s *Session) usable(w node) bool {
	if s.externals[w.name] {
		return true
	}
	owner, pregen := w.get("userId").text, w.get("pregenIdentifier").text
	kind := w.get("pregenIdentifierType").text
	owned := (owner == "" || owner == s.UserID()) && pregen == "" && kind == ""
	return owned || w.is("isPregen") && pregen != "" && kind != ""
}

// SignersDropped reports whether the export had key shares, which Import
// dropped.
func (s *Session) SignersDropped() bool { return s.dropped }

// touch asks Para about the session. [ErrSessionExpired] means that it is not
// active.
func (s *Session) touch(ctx context.Context) (answer, error) {
	return s.ask(ctx, call{
		path: "/touch?regenerate=false", name: "/touch",
		fields: slices.Concat(of(text, "userId sessionLookupId partnerId"),
			of(flag, "isAuthenticated"), of(texts, "verifiedExternalWalletAddresses"),
			// No decision rests on it.
			of(hint, "currentWalletIds")),
		check: s.check,
	})
}

// check returns nil if an answer to /touch means that the session is active.
func (s *Session) check(a answer) *Error {
	userID, active := a.doc.get("userId").text, a.doc.is("isAuthenticated")
	if s.mode == ModeVerification {
		verified := map[string]bool{"": true}
		for _, address := range a.doc.get("verifiedExternalWalletAddresses").children {
			verified[address.text] = true
		}
		active = len(s.external.children) > 0
		for _, w := range s.external.children {
			// ExternalWallets returns the address, which may differ from the
			// ID.
			active = active && w.name != "" && verified[w.name] && verified[w.get("address").text]
		}
	}
	switch {
	case a.doc.get("partnerId").text == "": // Para's SDK recognises a wrong API key by this.
		return a.fail(ErrUnauthorizedKey, nil)
	case userID != "" && userID != s.UserID():
		return a.fail(ErrOtherUser, nil)
	case !active:
		return a.fail(ErrSessionExpired, nil)
	case userID == "":
		return a.fail(ErrUnexpectedAnswer,
			errors.New("it says that a user is logged in, and not which"))
	}
	return nil
}

// ask makes a call with the session's cookie, and adopts what a good answer
// refreshes. If Para refuses a cookie that another call has replaced in the
// meantime, it asks again with the new one.
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

// adopt keeps the current wallets in an answer, and its cookie unless another
// call has replaced the one that was sent: a late answer does not undo a newer
// one.
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

// IsActive asks Para whether the session is active: whether the user whom the
// export names is logged in with it, and in [ModeVerification] whether Para
// verified every external wallet in the export. In [ModeConnectionOnly] it
// returns false and [ErrNotLoggedIn] without a call, where Para's SDK returns
// true.
//
// (false, nil) is Para's answer. Errors: [ErrOtherUser], [ErrNotLoggedIn],
// [ErrUnauthorizedKey], [ErrNoAPIKey], [ErrUnavailable] and
// [ErrUnexpectedAnswer]. The last four say nothing about the session. A failed
// call is repeated. Source: isSessionActive of Para's SDK, POST /touch.
func (s *Session) IsActive(ctx context.Context) (bool, error) {
	_, err := s.touch(ctx)
	if errors.Is(err, ErrSessionExpired) {
		return false, nil
	}
	return err == nil, err
}

// KeepAlive extends the session by the app's session length.
//
// Errors: [ErrSessionExpired], [ErrNotLoggedIn], [ErrUnauthorizedKey],
// [ErrNoAPIKey], [ErrUnavailable] and [ErrUnexpectedAnswer]. A failed call is
// repeated. Source: keepSessionAlive of Para's SDK,
// POST /users/{userId}/session/keep-alive.
func (s *Session) KeepAlive(ctx context.Context) error {
	_, err := s.askAsUser(ctx, call{
		path: "/users/" + s.UserID() + "/session/keep-alive",
		name: "/users/{userId}/session/keep-alive",
	})
	return err
}

// IssueJWT asks Para for a token of the session's user. A Validator turns it
// into claims, which Para attests. Issuing extends the session.
//
// Errors: [ErrSessionExpired], [ErrNotLoggedIn], [ErrUnauthorizedKey],
// [ErrNoAPIKey], [ErrUnavailable] and [ErrUnexpectedAnswer]. A failed call is
// repeated only after 429, so that no token is issued that nobody has. Source:
// issueJwt of Para's SDK, POST /auth/jwt.
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

// askAsUser posts a call that needs a logged-in user. A 401 or 403 does not say
// whether the session has ended or the API key is wrong, and a wrong key must
// not log everybody out: /touch tells them apart.
func (s *Session) askAsUser(ctx context.Context, k call) (answer, error) {
	k.says = map[int]Code{
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

// VerificationToken asks Para for the session's verification token, which
// [Client.VerifyToken] checks, here or on another server.
//
// Errors: [ErrSessionExpired] if the session is not active, and those of
// [Session.IsActive]. A failed call is repeated. Source: getVerificationToken
// of Para's SDK, sessionLookupId in the answer to POST /touch.
func (s *Session) VerificationToken(ctx context.Context) (Secret, error) {
	a, err := s.touch(ctx)
	token := a.doc.get("sessionLookupId").text
	if err == nil && token == "" {
		err = a.fail(ErrUnexpectedAnswer, errors.New("it has no sessionLookupId"))
	}
	return NewSecret(token), err
}

// Export returns the session in the form that importSession of Para's SDK and
// [Client.Import] accept, with the newest cookie and current wallets. It has
// key shares only if Import kept them. A member "parajwt", which Para's SDK
// ignores, names the environment. The text is a credential: whoever has it is
// the user until the session ends.
func (s *Session) Export() string {
	cookie, current := s.now()
	doc := s.doc
	for _, name := range []string{"wallets", "externalWallets"} { // Para's SDK needs both
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
