package paratest

import (
	"encoding/json"
	"net/http"
	"slices"
)

// The headers of Para's SDK.
const (
	apiKeyHeader = "X-External-API-Key"
	cookieHeader = "X-Capsule-Sid"
)

// serveSessions adds the endpoints for sessions. The bodies of refusals are
// made up, because Para's SDK does not show them.
func (p *Para) serveSessions(mux *http.ServeMux) {
	mux.HandleFunc("POST /touch", p.serveTouch)
	mux.HandleFunc("GET /partners/{partnerId}", p.servePartner)
	mux.HandleFunc("POST /auth/jwt", p.serveJWT)
	mux.HandleFunc("POST /users/{userId}/session/keep-alive", p.serveKeepAlive)
	mux.HandleFunc("GET /logout", p.serveLogout)
	mux.HandleFunc("POST /sessions/verify", p.serveVerifySession)
	mux.HandleFunc("POST /wallets/verify", p.serveVerifyWallet)
}

// counted counts the requests to each endpoint of mux.
func (p *Para) counted(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		p.mu.Lock()
		p.logins.calls[pattern]++
		p.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(marshal(body))
}

func refuse(w http.ResponseWriter, status int) { refuseWith(w, status, http.StatusText(status)) }

func refuseWith(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

// session returns the session of a request, or nil if it has ended or is
// unknown. It answers with the session's new cookie if there is one.
func (p *Para) session(w http.ResponseWriter, r *http.Request) *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	cookie := cookieKey(r.Header.Get(cookieHeader))
	s := p.logins.byCookie[cookie]
	if s == nil || !s.alive() {
		return nil
	}
	switch cookie {
	case cookieKey(s.next):
		delete(p.logins.byCookie, cookieKey(s.cookie))
		s.cookie, s.next = s.next, ""
	case cookieKey(s.cookie):
		if s.next != "" {
			w.Header().Set(cookieHeader, s.next)
		}
	}
	return s
}

// serveTouch always answers 200. Without a session it answers with a new
// cookie. With a wrong API key, the answer has no partnerId, by which Para's
// SDK recognizes the wrong key.
func (p *Para) serveTouch(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(apiKeyHeader) != p.logins.apiKey {
		answer(w, http.StatusOK, map[string]any{"isAuthenticated": false,
			"supportedWalletTypes": []any{}})
		return
	}
	s := p.session(w, r)
	if s == nil {
		w.Header().Set(cookieHeader, p.newCookie())
	}
	p.mu.Lock()
	body := p.touched(s)
	p.mu.Unlock()
	answer(w, http.StatusOK, body)
}

func (p *Para) servePartner(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get(apiKeyHeader) != p.logins.apiKey:
		refuse(w, http.StatusUnauthorized)
	case r.PathValue("partnerId") != PartnerID:
		refuse(w, http.StatusNotFound)
	default:
		p.session(w, r)
		answer(w, http.StatusOK, p.partner())
	}
}

// loggedIn returns the session of a request that needs a logged-in user, and
// extends it. If there is none, it refuses the request and returns nil.
func (p *Para) loggedIn(w http.ResponseWriter, r *http.Request) *Session {
	s := p.session(w, r)
	if r.Header.Get(apiKeyHeader) != p.logins.apiKey || s == nil {
		refuse(w, http.StatusUnauthorized)
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := r.PathValue("userId"); !s.loggedIn() || id != "" && id != s.user.UserID {
		refuse(w, http.StatusForbidden)
		return nil
	}
	s.expires = p.now().Add(p.cfg.SessionLength)
	return s
}

func (p *Para) serveKeepAlive(w http.ResponseWriter, r *http.Request) {
	if p.loggedIn(w, r) != nil {
		answer(w, http.StatusOK, struct{}{})
	}
}

// serveLogout ends the session of a request, if it has one. Para's SDK calls it
// before it imports a session.
func (p *Para) serveLogout(w http.ResponseWriter, r *http.Request) {
	if s := p.session(w, r); s != nil {
		s.Expire()
	}
	answer(w, http.StatusOK, struct{}{})
}

func (p *Para) serveJWT(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		KeyIndex int `json:"keyIndex"`
	}
	s := p.loggedIn(w, r)
	if s == nil || !read(w, r, &ask) {
		return
	}
	issued, ok := p.issue(s, ask.KeyIndex)
	if !ok {
		refuse(w, http.StatusBadRequest)
		return
	}
	answer(w, http.StatusOK, issued)
}

func (p *Para) serveVerifySession(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		VerificationToken string `json:"verificationToken"`
	}
	if !p.secretly(w, r, &ask) {
		return
	}
	p.mu.Lock()
	sessions := slices.Clone(p.logins.sessions)
	i := slices.IndexFunc(sessions, func(s *Session) bool {
		return s.lookup == ask.VerificationToken && s.loggedIn()
	})
	p.mu.Unlock()
	if i < 0 {
		refuse(w, http.StatusForbidden)
		return
	}
	answer(w, http.StatusOK, sessions[i].identity())
}

// serveVerifyWallet finds the embedded wallets of all users who ever logged in.
func (p *Para) serveVerifyWallet(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Address string `json:"address"`
	}
	if !p.secretly(w, r, &ask) {
		return
	}
	p.mu.Lock()
	sessions := slices.Clone(p.logins.sessions)
	p.mu.Unlock()
	for _, s := range sessions {
		if wallet, ok := s.user.WalletByAddress(ask.Address); ok {
			answer(w, http.StatusOK, map[string]string{"walletId": wallet.ID})
			return
		}
	}
	refuse(w, http.StatusNotFound)
}

// secretly reads a request that needs the secret API key. It refuses other
// requests with the answers in Para's reference for /v1.
func (p *Para) secretly(w http.ResponseWriter, r *http.Request, ask any) bool {
	switch r.Header.Get(apiKeyHeader) {
	case p.logins.secretAPIKey:
	case "":
		refuseWith(w, http.StatusUnauthorized, "secret api key not provided")
		return false
	default:
		refuseWith(w, http.StatusForbidden, "invalid secret api key")
		return false
	}
	return read(w, r, ask)
}

// read decodes a JSON request into ask. It refuses a request that is not JSON
// and returns false.
func read(w http.ResponseWriter, r *http.Request, ask any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(ask)
	ok := err == nil && r.Header.Get("Content-Type") == "application/json"
	if !ok {
		refuse(w, http.StatusBadRequest)
	}
	return ok
}
