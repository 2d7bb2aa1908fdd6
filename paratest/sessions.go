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

// PartnerID is the ID of the app at the embedded Para, as /touch and /partners tell it. It is not the
// API key ID.
const PartnerID = "7f0c1f6e-2f5b-4a52-9d0c-3f8a1d6b0c11"

// logins is what Para knows of sessions. Para.mu guards it.
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

// APIKey returns the publishable API key of the app, which goes with imported sessions. It is made anew
// each time, in the form that Para's SDK takes for the environment DEV.
func (p *Para) APIKey() string { return p.logins.apiKey }

// SecretAPIKey returns the secret API key of the app (sk_dev_…), for
// /sessions/verify and /wallets/verify.
func (p *Para) SecretAPIKey() string { return p.logins.secretAPIKey }

// Calls returns how often an endpoint was asked for, failures included. It is named as [http.ServeMux]
// does: "POST /touch", "GET /partners/{partnerId}", "POST /auth/jwt",
// "POST /users/{userId}/session/keep-alive", "GET /logout", "POST /sessions/verify",
// "POST /wallets/verify", "GET /.well-known/jwks.json".
func (p *Para) Calls(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logins.calls[endpoint]
}

// mode is how an external wallet takes part in a login (Para's SDK, ExternalWalletConnectionType).
type mode int

const (
	authenticated mode = iota
	verification
	connectionOnly
)

// Session is a user's login at the embedded Para. Any number of sessions, of one user or of many, live
// beside one another. Safe for concurrent use.
type Session struct {
	para    *Para
	user    claims.Claims
	mode    mode
	id      string
	lookup  string            // the verification token
	signers map[string]string // by wallet ID

	// Para.mu guards the rest.
	cookie   string
	next     string // handed out in place of cookie, and not used yet
	expires  time.Time
	verified []string
}

// LoginOption makes a login differ from the usual one.
type LoginOption func(*Session)

// Verification makes it a login in which external wallets are verified, and nothing else is: there are no
// embedded wallets, and the session is active for those addresses of which [Session.VerifyExternalWallet]
// has told.
func Verification() LoginOption {
	return func(s *Session) { s.mode, s.user.Wallets = verification, nil }
}

// ConnectionOnly makes it no login at all: external wallets are connected, and Para knows of no user.
func ConnectionOnly() LoginOption {
	return func(s *Session) { s.mode, s.user.Wallets = connectionOnly, nil }
}

// Login logs a user in, for Config.SessionLength from now.
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

// cookieKey returns the name and value of a cookie, without its attributes: some
// clients send only these.
func cookieKey(cookie string) string {
	pair, _, _ := strings.Cut(cookie, ";")
	return pair
}

// Expire ends the session now, as Para would when its time is up.
func (s *Session) Expire() {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	s.expires = time.Time{}
}

// Active reports whether the session is alive.
func (s *Session) Active() bool {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	return s.alive()
}

// alive is Active for who holds mu.
func (s *Session) alive() bool { return s.para.now().Before(s.expires) }

// loggedIn reports whether the session is alive and Para knows who the user is. The caller holds mu.
func (s *Session) loggedIn() bool {
	return s.alive() && (s.mode == authenticated || s.mode == verification && len(s.verified) > 0)
}

// VerificationToken returns what getVerificationToken gives the user's client.
func (s *Session) VerificationToken() string { return s.lookup }

// VerifyExternalWallet tells Para that the user has proved to hold this external wallet.
func (s *Session) VerifyExternalWallet(address string) {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	s.verified = append(s.verified, address)
}

// RefreshCookie makes Para's next answer to this session carry a new cookie. The one before it is good until the
// new one has been used.
func (s *Session) RefreshCookie() {
	s.para.mu.Lock()
	defer s.para.mu.Unlock()
	delete(s.para.logins.byCookie, cookieKey(s.next))
	s.next = s.para.newCookie()
	s.para.logins.byCookie[cookieKey(s.next)] = s
}

// Exported returns what exportSession gives the user's client, key shares included. They are made up.
func (s *Session) Exported() string { return s.export(true) }

// ExportedWithoutSigners returns what exportSession({ excludeSigners: true }) gives.
func (s *Session) ExportedWithoutSigners() string { return s.export(false) }

// export writes the JSON of Para's SDK, as @getpara/server-sdk 2.18.0 does.
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

// externalWallets are the wallet the user logged in with and those that are connected besides, each once.
func (s *Session) externalWallets() []claims.ConnectedWallet {
	all := slices.Clone(s.user.ConnectedWallets)
	if w := s.user.ExternalWallet; w.Address != "" &&
		!slices.ContainsFunc(all, func(c claims.ConnectedWallet) bool { return c.Address == w.Address }) {
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

// touched is Para's answer to /touch. Nobody is logged in where s is nil.
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

// partner is the app, as /partners tells of it.
func (p *Para) partner() map[string]any {
	return map[string]any{"partner": map[string]any{
		"id": PartnerID, "displayName": "paratest", "supportedWalletTypes": supportedWalletTypes(),
		"cosmosPrefix": "cosmos",
	}}
}

// issue is what /auth/jwt answers. Index 0 is the current key; the others count back from it.
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

// identity is what /sessions/verify answers.
func (s *Session) identity() json.RawMessage {
	identity := map[string]any{"authType": s.user.AuthType, "identifier": s.user.Identifier}
	if s.user.OAuthMethod != "" {
		identity["oAuthMethod"] = s.user.OAuthMethod
	}
	return marshal(identity)
}
