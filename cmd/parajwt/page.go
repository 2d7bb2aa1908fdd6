package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/index.html"))

// contentPolicy permits resources of this server only, and nothing inline. A
// mistake in the page cannot load or send anything elsewhere.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// person is a kind of user, named as in Para's documentation.
type person struct {
	Name  string
	About string
	new   func() *claims.Claims
}

func people() []person {
	return []person{
		{"Email", "signed in with Google", paratest.EmailUser},
		{"Phone", "a phone number", paratest.PhoneUser},
		{"Telegram", "a Telegram account", paratest.TelegramUser},
		{"Farcaster", "a Farcaster name", paratest.FarcasterUser},
		{"External Wallet", "MetaMask", paratest.ExternalWalletUser},
	}
}

// kind is a kind of token, good or bad.
type kind struct {
	ID, Name, About string
	options         []paratest.TokenOption
}

func kinds() []kind {
	only := func(o paratest.TokenOption) []paratest.TokenOption { return []paratest.TokenOption{o} }
	return []kind{
		{"good", "Good", "valid for 30 minutes", nil},
		{"short", "Short life", "valid for one minute", only(paratest.Lived(0, time.Minute))},
		{
			"long", "Long life", "valid for 60 days, which is too long",
			only(paratest.Lived(0, 60*24*time.Hour)),
		},
		{"expired", "Expired", "an hour ago", only(paratest.Expired())},
		{
			"not-yet-valid", "Not yet valid", "issued an hour from now",
			only(paratest.Lived(time.Hour, 30*time.Minute)),
		},
		{
			"other-app", "Another app’s", "its aud is not yours",
			only(paratest.ForApp("00000000-0000-4000-8000-000000000000")),
		},
		{
			"other-environment", "Another environment’s", "such as BETA’s",
			only(paratest.OtherEnvironment()),
		},
		{
			"unknown-key", "Unknown key", "never published",
			only(paratest.UnknownKey("never-published")),
		},
		{"bad-signature", "Bad signature", "one character changed", only(paratest.BadSignature())},
	}
}

// order is a request for a token.
type order struct {
	User      string `json:"user"`
	Kind      string `json:"kind"`
	Algorithm string `json:"alg,omitempty"`
}

// issued is a token, the response of a server to it, and a session of its user.
type issued struct {
	order
	Token             string          `json:"token"`
	Header            json.RawMessage `json:"header"`
	Payload           json.RawMessage `json:"payload"`
	Answer            answer          `json:"answer"`
	VerificationToken string          `json:"verificationToken"`
	ExportedSession   string          `json:"exportedSession"`
}

type answer struct {
	Status    int    `json:"status"`
	Challenge string `json:"challenge,omitempty"` // WWW-Authenticate
	Code      string `json:"code,omitempty"`      // of the library's error
}

// state is the state of the emulator.
type state struct {
	Down bool       `json:"down"`
	Keys []keyState `json:"keys"` // the last one of an algorithm signs
}

type keyState struct {
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
}

// pageAPI serves the requests of the page. It is safe for concurrent use by
// multiple goroutines.
type pageAPI struct {
	para      *paratest.Para
	validator *middleware.Validator

	mu     sync.Mutex
	down   bool
	logins map[string]*paratest.Session // by person
}

// newPage returns the handler of the page and its API.
func newPage(
	para *paratest.Para, validator *middleware.Validator, remote bool, origins []string,
) http.Handler {
	var html bytes.Buffer
	err := pageTemplate.Execute(&html, map[string]any{
		"URL": para.URL(), "APIKeyID": para.APIKeyID(),
		"APIKey": para.APIKey(), "SecretAPIKey": para.SecretAPIKey(),
		"People": people(), "Kinds": kinds(),
	})
	if err != nil {
		panic(err) // the template and its data are fixed
	}
	assets, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	asset := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, name) }
	}
	api := &pageAPI{para: para, validator: validator, logins: make(map[string]*paratest.Session)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html.Bytes())
	})
	mux.HandleFunc("GET /parajwt/style.css", asset("style.css"))
	mux.HandleFunc("GET /parajwt/page.js", asset("page.js"))
	mux.HandleFunc("GET /parajwt/icon.svg", asset("icon.svg"))
	mux.HandleFunc("POST /parajwt/token", api.serveToken)
	mux.HandleFunc("GET /parajwt/para", api.serveState)
	mux.HandleFunc("POST /parajwt/para", api.serveAction)

	sameOrigin := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := sameOrigin.AddTrustedOrigin(origin); err != nil {
			panic(err) // paratest.Start checked it
		}
	}
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sendError(
			w, http.StatusForbidden,
			"requests from other sites are refused; see parajwt serve --cors",
		)
	}))
	return onlyLocal(sameOrigin.Handler(mux), remote)
}

// onlyLocal refuses requests whose Host is a name of the public DNS. Such a
// name can be made to resolve to loopback, which makes another site's page
// count as the same origin (DNS rebinding).
func onlyLocal(next http.Handler, remote bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !isLocal(r.Host, remote) {
			sendError(
				w, http.StatusMisdirectedRequest,
				"use localhost or 127.0.0.1 as the host of the URL",
			)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a Host header names loopback. With remote, it also
// accepts IP addresses and names that the public DNS does not have.
func isLocal(hostPort string, remote bool) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	private := host != "" && !strings.Contains(host, ".") ||
		strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal") // RFC 6762, ICANN
	return remote && (ip != nil || private)
}

func (a *pageAPI) serveToken(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := receive(w, r, &o, `{"user": "Email", "kind": "good"}`); err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	out, err := a.issue(r, o)
	if err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	send(w, http.StatusOK, out)
}

func (a *pageAPI) issue(r *http.Request, o order) (*issued, error) {
	var who *claims.Claims
	for _, p := range people() {
		if p.Name == o.User {
			who = p.new()
		}
	}
	if who == nil {
		return nil, fmt.Errorf("unknown user %.40q", o.User)
	}
	if o.Algorithm == "" {
		o.Algorithm = "RS256"
	}
	keyID := ""
	for _, k := range a.state().Keys {
		if k.Algorithm == o.Algorithm {
			keyID = k.KeyID
		}
	}
	if keyID == "" {
		return nil, fmt.Errorf("unknown alg %.40q: use RS256 or ES256", o.Algorithm)
	}
	for _, k := range kinds() {
		if k.ID != o.Kind {
			continue
		}
		options := append([]paratest.TokenOption{paratest.SignedBy(keyID)}, k.options...)
		out := &issued{
			order: o, Token: a.para.Token(who, options...), Answer: answer{Status: http.StatusOK},
		}
		parts, err := jose.Split(out.Token)
		if err != nil {
			return nil, err
		}
		out.Header = json.RawMessage(decoded(parts.Header))
		out.Payload = json.RawMessage(decoded(parts.Payload))
		_, err = a.validator.Validate(r.Context(), out.Token)
		var refusal *middleware.Error
		if errors.As(err, &refusal) {
			status, h, _ := refusal.Answer()
			out.Answer = answer{status, h.Get("WWW-Authenticate"), string(refusal.Code)}
		}
		login := a.login(o.User, who)
		out.VerificationToken, out.ExportedSession = login.VerificationToken(), login.Exported()
		return out, nil
	}
	return nil, fmt.Errorf("unknown kind %.40q", o.Kind)
}

// login returns the active session of a person. It logs the person in again if
// the session ended.
func (a *pageAPI) login(name string, who *claims.Claims) *paratest.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.logins[name]; s != nil && s.Active() {
		return s
	}
	s := a.para.Login(who)
	a.logins[name] = s
	return s
}

func (a *pageAPI) state() state {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := state{Down: a.down}
	for _, id := range a.para.KeyIDs() {
		s.Keys = append(s.Keys, keyState{id, a.para.Algorithm(id)})
	}
	return s
}

func (a *pageAPI) serveState(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, a.state())
}

func (a *pageAPI) serveAction(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Action string `json:"action"`
	}
	if err := receive(w, r, &ask, `{"action": "rotate"}`); err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	switch ask.Action {
	case "rotate":
		a.para.RotateES256()
		a.para.Rotate()
	case "withdraw":
		a.withdraw()
	case "down", "recover":
		a.setDown(ask.Action == "down")
	default:
		sendError(w, http.StatusBadRequest, "unknown action: use rotate, withdraw, down or recover")
		return
	}
	send(w, http.StatusOK, a.state())
}

// withdraw withdraws all keys but the newest one of each algorithm.
func (a *pageAPI) withdraw() {
	newest := make(map[string]string)
	keys := a.state().Keys
	for _, k := range keys {
		newest[k.Algorithm] = k.KeyID
	}
	for _, k := range keys {
		if newest[k.Algorithm] != k.KeyID {
			a.para.Withdraw(k.KeyID)
		}
	}
}

func (a *pageAPI) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
	if down {
		a.para.Down()
	} else {
		a.para.Recover()
	}
}

// receive decodes a JSON request. It requires the media type of JSON, which a
// page of another site cannot send without a preflight request.
func receive(w http.ResponseWriter, r *http.Request, into any, example string) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return errors.New("send JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("send " + example)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("send one JSON object, without data after it")
	}
	return nil
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client is gone
}

func sendError(w http.ResponseWriter, status int, text string) {
	send(w, status, map[string]string{"error": text})
}
