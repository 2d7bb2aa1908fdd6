package paratest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// PartnerID is the app's ID in the responses to /touch and /partners. It is not
// the API key ID.
const PartnerID = "7f0c1f6e-2f5b-4a52-9d0c-3f8a1d6b0c11"

// logins holds the API keys and the sessions. Para.mu guards it.
type logins struct {
	apiKey, secretAPIKey string
	sessions             []*Session
	byCookie             map[string]*Session // by cookieKey
	calls                map[string]int
}

func newLogins() logins {
	return logins{
		apiKey: "dev_" + randomHex(), secretAPIKey: "sk_dev_" + randomHex(),
		byCookie: map[string]*Session{}, calls: map[string]int{},
	}
}

func randomHex() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// APIKey returns the publishable API key of the app, for session.Config.APIKey.
// Its prefix is dev_, which selects the environment DEV in Para's SDK. It is
// new at each start, unless Config.KeyFile has one.
func (p *Para) APIKey() string { return p.logins.apiKey }

// SecretAPIKey returns the secret API key of the app (sk_dev_…), for
// /sessions/verify and /wallets/verify.
func (p *Para) SecretAPIKey() string { return p.logins.secretAPIKey }

// Calls returns the number of requests to an endpoint, including failed ones.
// The endpoint is a pattern of [http.ServeMux]: "POST /touch", "GET
// /partners/{partnerId}", "POST /auth/jwt", "POST
// /users/{userId}/session/keep-alive", "GET /logout", "POST /sessions/verify",
// "POST /wallets/verify" or "GET /.well-known/jwks.json".
func (p *Para) Calls(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logins.calls[endpoint]
}

// mode is how an external wallet takes part in a login (Para's SDK,
// ExternalWalletConnectionType).
type mode int

const (
	authenticated mode = iota
	verification
	connectionOnly
)

// Session is a user's login. Create it with [Para.Login]. A user can have any
// number of sessions. A Session is safe for concurrent use by multiple
// goroutines.
type Session struct {
	para    *Para
	user    claims.Claims
	mode    mode
	id      string
	lookup  string            // the verification token
	signers map[string]string // by wallet ID

	// Para.mu guards the rest.
	cookie   string
	next     string // sent to the client to replace cookie, and not used yet
	expires  time.Time
	verified []string
}

// LoginOption changes a login. Without options, the user is logged in and has
// embedded wallets.
type LoginOption func(*Session)

// Verification makes a login that only verifies external wallets. It has no
// embedded wallets. Its verified addresses are those that were passed to
// [Session.VerifyExternalWallet].
func Verification() LoginOption {
	return func(s *Session) { s.mode, s.user.Wallets = verification, nil }
}

// ConnectionOnly makes a session that connects external wallets without logging
// the user in.
func ConnectionOnly() LoginOption {
	return func(s *Session) { s.mode, s.user.Wallets = connectionOnly, nil }
}

// Login logs a user in. The session ends after Config.SessionLength. A request
// for a token or to keep the session alive extends it. Login copies the user.
func (p *Para) Login(user *claims.Claims, opts ...LoginOption) *Session {
	s := &Session{
		para: p, user: *user, id: rand.Text(), lookup: rand.Text(), cookie: p.newCookie(),
		expires: p.now().Add(p.cfg.SessionLength), signers: map[string]string{},
	}
	for _, opt := range opts {
		opt(s)
	}
	s.user.Wallets = slices.Clone(s.user.Wallets)
	for _, w := range s.user.Wallets {
		s.signers[w.ID] = "paratest key share " + rand.Text()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logins.sessions = append(p.logins.sessions, s)
	p.logins.byCookie[cookieKey(s.cookie)] = s
	return s
}

// newCookie returns a session cookie in the form of Para's: a whole Set-Cookie
// line.
func (p *Para) newCookie() string {
	signature := make([]byte, 32)
	rand.Read(signature) // never fails
	value := "s:" + newUUID() + "." + base64.RawStdEncoding.EncodeToString(signature)
	return "capsule.sid=" + url.QueryEscape(value) + "; Path=/; Expires=" +
		p.now().Add(p.cfg.SessionLength).UTC().Format(http.TimeFormat) +
		"; HttpOnly; Secure; SameSite=None"
}

func newUUID() string {
	id := randomHex()
	return id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-a" + id[17:20] + "-" + id[20:]
}

// cookieKey returns the name and value of a cookie, without its attributes:
// some clients send only these.
func cookieKey(cookie string) string {
	pair, _, _ := strings.Cut(cookie, ";")
	return pair
}

// Expire ends the session now.
func (s *Session) Expire() {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	s.expires = time.Time{}
}

// Active reports whether the session has not ended.
func (s *Session) Active() bool {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	return s.alive()
}

// alive is Active for callers that hold Para.mu.
func (s *Session) alive() bool { return s.para.now().Before(s.expires) }

// loggedIn reports whether the session has not ended and a user is logged in.
// The caller holds Para.mu.
func (s *Session) loggedIn() bool {
	return s.alive() && (s.mode == authenticated || s.mode == verification && len(s.verified) > 0)
}

// VerificationToken returns the verification token of the session, as the
// client SDK's getVerificationToken does.
func (s *Session) VerificationToken() string { return s.lookup }

// VerifyExternalWallet marks the external wallet with this address as verified.
// It has an effect on a login with [Verification] only.
func (s *Session) VerifyExternalWallet(address string) {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	s.verified = append(s.verified, address)
}

// RefreshCookie makes Para send a new cookie with its responses to this
// session. The old cookie stays valid until the new one is used.
func (s *Session) RefreshCookie() {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	delete(s.para.logins.byCookie, cookieKey(s.next))
	s.next = s.para.newCookie()
	s.para.logins.byCookie[cookieKey(s.next)] = s
}

// Exported returns the session in the form of the client SDK's exportSession,
// for session.Client.Import or importSession in Node. Its key shares are
// fictitious.
func (s *Session) Exported() string { return s.export(true) }

// ExportedWithoutSigners returns the result of
// exportSession({ excludeSigners: true }).
func (s *Session) ExportedWithoutSigners() string { return s.export(false) }

// export returns the base64 text that @getpara/server-sdk 2.18.0 exports.
func (s *Session) export(signers bool) string {
	s.para.mu.Lock()
	cookie := s.cookie
	s.para.mu.Unlock()

	wallets, current := map[string]any{}, map[claims.WalletType][]string{}
	for _, w := range s.user.Wallets {
		wallet := map[string]any{
			"id": w.ID, "type": w.Type, "address": w.Address, "publicKey": w.PublicKey,
			"scheme": scheme(w.Type),
			"userId": s.user.UserID, "partnerId": PartnerID, "isPregen": false, "name": nil,
		}
		if signers {
			wallet["signer"] = s.signers[w.ID]
		}
		wallets[w.ID] = wallet
		current[w.Type] = append(current[w.Type], w.ID)
	}
	external := map[string]any{}
	for _, w := range s.externalWallets() {
		external[w.Address] = map[string]any{
			"id": w.Address, "partnerId": PartnerID, "address": w.Address, "type": w.Type,
			"name":       w.Provider,
			"isExternal": true, "isExternalWithParaAuth": s.mode == authenticated &&
				w.Address == s.user.ExternalWalletAddress,
			"externalProviderId": w.Provider, "signer": "",
			"isExternalConnectionOnly":   s.mode == connectionOnly,
			"isExternalWithVerification": s.mode == verification,
		}
	}
	session := map[string]any{
		"wallets": wallets, "currentWalletIds": current, "sessionCookie": cookie,
		"externalWallets": external,
	}
	if s.mode != connectionOnly {
		session["userId"], session["authInfo"] = s.user.UserID, s.authInfo()
	}
	return base64.StdEncoding.EncodeToString(marshal(session))
}

// externalWallets returns the connected wallets and the one that the user
// logged in with, each once.
func (s *Session) externalWallets() []claims.ConnectedWallet {
	all, w := slices.Clone(s.user.ConnectedWallets), s.user.ExternalWallet
	same := func(c claims.ConnectedWallet) bool { return c.Address == w.Address }
	if w.Address != "" && !slices.ContainsFunc(all, same) {
		all = append(all, claims.ConnectedWallet{Type: w.Type, Address: w.Address,
			Provider: w.Provider})
	}
	return all
}

func scheme(t claims.WalletType) string {
	switch t {
	case claims.WalletEVM, claims.WalletCosmos:
		return "DKLS"
	}
	return "ED25519"
}

func (s *Session) authInfo() map[string]any {
	u := &s.user
	auth := map[string]string{
		"email": u.Email, "phone": u.Phone, "telegramUserId": u.TelegramUserID,
		"farcasterUsername": u.FarcasterUsername, "externalWalletAddress": u.ExternalWalletAddress,
	}
	maps.DeleteFunc(auth, func(_, v string) bool { return v == "" })
	info := map[string]any{"auth": auth, "authType": u.AuthType, "identifier": u.Identifier}
	if w := u.ExternalWallet; w != (claims.ExternalWallet{}) {
		info["externalWallet"] = map[string]any{
			"partnerId": PartnerID, "address": w.Address, "type": w.Type, "provider": w.Provider,
			"providerId":       w.Provider,
			"withFullParaAuth": s.mode == authenticated, "withVerification": s.mode == verification,
		}
	}
	return info
}

// touched returns the answer to /touch. s is nil if there is no session.
func (p *Para) touched(s *Session) map[string]any {
	answer := map[string]any{
		"sessionId": rand.Text(), "sessionLookupId": rand.Text(), "partnerId": PartnerID,
		"isAuthenticated":      false,
		"supportedWalletTypes": supportedWalletTypes(), "cosmosPrefix": "cosmos",
	}
	if s == nil {
		return answer
	}
	answer["sessionId"], answer["sessionLookupId"] = s.id, s.lookup
	if s.mode == connectionOnly {
		return answer
	}
	current := map[claims.WalletType][]string{}
	for _, w := range s.user.Wallets {
		current[w.Type] = append(current[w.Type], w.ID)
	}
	answer["userId"], answer["currentWalletIds"] = s.user.UserID, current
	answer["isAuthenticated"] = s.mode == authenticated
	if s.mode == verification {
		answer["verifiedExternalWalletAddresses"] = append([]string{}, s.verified...)
	}
	return answer
}

func supportedWalletTypes() []map[string]any {
	return []map[string]any{
		{"type": claims.WalletEVM, "optional": false},
		{"type": claims.WalletSolana, "optional": false},
	}
}

// partner returns the answer to /partners.
func (p *Para) partner() map[string]any {
	return map[string]any{"partner": map[string]any{
		"id": PartnerID, "displayName": "paratest", "supportedWalletTypes": supportedWalletTypes(),
		"cosmosPrefix": "cosmos",
	}}
}

// issue returns the answer to /auth/jwt. Index 0 is the current key, 1 the one
// before it. It reports whether there is such a key.
func (p *Para) issue(s *Session, index int) (map[string]string, bool) {
	p.mu.Lock()
	n := len(p.published) - 1 - index
	if index < 0 || n < 0 {
		p.mu.Unlock()
		return nil, false
	}
	id := p.published[n].id
	p.mu.Unlock()
	return map[string]string{"token": p.Token(&s.user, SignedBy(id), Lived(0, p.cfg.SessionLength)),
		"keyId": id}, true
}

// identity returns the answer to /sessions/verify.
func (s *Session) identity() json.RawMessage {
	identity := map[string]any{"authType": s.user.AuthType, "identifier": s.user.Identifier}
	if s.user.OAuthMethod != "" {
		identity["oAuthMethod"] = s.user.OAuthMethod
	}
	return marshal(identity)
}
