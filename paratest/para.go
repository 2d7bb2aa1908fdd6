package paratest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

// Config says what the embedded Para is like. The zero value serves most tests.
type Config struct {
	// Environment is the name of the environment it plays. Default "paratest".
	Environment string
	// APIKeyID is the app that tokens are for. Default [APIKeyID].
	APIKeyID string
	// Addr is where it listens; loopback only. Default "127.0.0.1:0", a port of the system's choice.
	Addr string
	// SessionLength is how long a session lives from its login or its last extension, and a token that
	// the session issues. Default 30 minutes.
	SessionLength time.Duration
	// Now is the clock of the tokens and sessions. Default time.Now.
	Now func() time.Time
	// Handler answers where Para has nothing. Default: 404.
	Handler http.Handler
}

// APIKeyID is the API key ID of Para's documentation.
const APIKeyID = "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"

// Para is a Para on loopback. Safe for concurrent use.
type Para struct {
	cfg    Config
	server *http.Server
	base   string

	mu        sync.Mutex
	all       []key // ever made here, in order
	published []key
	elsewhere key // another environment's
	delay     time.Duration
	status    int
	down      bool
	fetches   int
	logins    logins
}

type key struct {
	id, alg string
	private crypto.Signer
}

// New starts a Para for a test, which closes it.
func New(tb testing.TB, cfg Config) *Para {
	tb.Helper()
	p, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// Start starts a Para for a program, which is to close it. It has two RSA keys of its own, made anew
// each time.
func Start(cfg Config) (*Para, error) {
	if cfg.Environment == "" {
		cfg.Environment = "paratest"
	}
	if cfg.APIKeyID == "" {
		cfg.APIKeyID = APIKeyID
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.SessionLength == 0 {
		cfg.SessionLength = 30 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Para{cfg: cfg, logins: newLogins()}
	var work sync.WaitGroup
	made := make([]key, 3)
	errs := make([]error, 4)
	for i := range made {
		work.Go(func() { made[i], errs[i] = newKey("RS256") })
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	errs[3] = err
	work.Wait()
	if err == nil && !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		errs[3] = fmt.Errorf("paratest: %s is not a loopback address: whoever reaches it gets tokens", cfg.Addr)
	}
	if err := errors.Join(errs...); err != nil {
		if listener != nil {
			listener.Close()
		}
		return nil, err
	}
	p.elsewhere = made[2]
	p.all, p.published = made[:2:2], slices.Clone(made[:2])

	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", p.serveKeys)
	p.serveSessions(mux)
	if cfg.Handler != nil {
		mux.Handle("/", cfg.Handler)
	}
	p.server = &http.Server{Handler: p.counted(mux, p.faults(mux)), ReadHeaderTimeout: 10 * time.Second}
	p.base = "http://" + listener.Addr().String()
	go p.server.Serve(listener)
	return p, nil
}

func newKey(alg string) (key, error) {
	var private crypto.Signer
	var err error
	if alg == "ES256" {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	return key{id: rand.Text(), alg: alg, private: private}, err
}

// Close stops it.
func (p *Para) Close() error { return p.server.Close() }

// URL returns the base of its API, such as http://127.0.0.1:43210.
func (p *Para) URL() string { return p.base }

// Environment returns the environment to configure a validator with.
func (p *Para) Environment() jwks.Environment {
	return jwks.Environment{Name: p.cfg.Environment, URL: p.base + "/.well-known/jwks.json"}
}

// APIKeyID returns the API key ID that tokens are for, to configure a validator with.
func (p *Para) APIKeyID() string { return p.cfg.APIKeyID }

func (p *Para) now() time.Time { return p.cfg.Now() }

// current is the newest published key. Where all are withdrawn it is the newest of all. The caller
// holds mu.
func (p *Para) current() key {
	if len(p.published) > 0 {
		return p.published[len(p.published)-1]
	}
	return p.all[len(p.all)-1]
}

// KeyIDs returns the IDs of the published keys, the current one last.
func (p *Para) KeyIDs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, k := range p.published {
		ids = append(ids, k.id)
	}
	return ids
}

// Rotate publishes a new RSA key, signs with it from now on, and returns its ID. The keys before it
// stay published.
func (p *Para) Rotate() string { return p.rotate("RS256") }

// RotateES256 is Rotate to an elliptic-curve key.
func (p *Para) RotateES256() string { return p.rotate("ES256") }

func (p *Para) rotate(alg string) string {
	k, err := newKey(alg)
	if err != nil {
		panic("paratest: " + err.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.published = append(p.all, k), append(p.published, k)
	return k.id
}

// Withdraw takes keys off the published set.
func (p *Para) Withdraw(keyIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = slices.DeleteFunc(p.published, func(k key) bool { return slices.Contains(keyIDs, k.id) })
}

// Slow makes every answer wait so long.
func (p *Para) Slow(d time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.delay = d }

// Fail makes every answer this status, with no body to speak of.
func (p *Para) Fail(status int) { p.mu.Lock(); defer p.mu.Unlock(); p.status = status }

// Down makes it drop every connection unanswered.
func (p *Para) Down() { p.mu.Lock(); defer p.mu.Unlock(); p.down = true }

// Recover ends what Slow, Fail and Down began.
func (p *Para) Recover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.status, p.down = 0, 0, false
}

// Fetches returns how often the key set was asked for, failures included.
func (p *Para) Fetches() int { p.mu.Lock(); defer p.mu.Unlock(); return p.fetches }

// faults plays what Slow, Fail and Down ask for.
func (p *Para) faults(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		delay, status, down := p.delay, p.status, p.down
		if r.URL.Path == "/.well-known/jwks.json" {
			p.fetches++
		}
		p.mu.Unlock()
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case down:
			panic(http.ErrAbortHandler)
		case status != 0:
			w.WriteHeader(status)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (p *Para) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	set := map[string]any{"keys": []any{}}
	for _, k := range p.published {
		set["keys"] = append(set["keys"].([]any), jwk(k))
	}
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(set)
}

// jwk writes the public half of a key (RFC 7518 §6).
func jwk(k key) map[string]string {
	number := func(n *big.Int) string { return b64.EncodeToString(n.Bytes()) }
	m := map[string]string{"kid": k.id, "alg": k.alg, "use": "sig"}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", number(public.N), number(big.NewInt(int64(public.E)))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic("paratest: " + err.Error())
		}
		m["kty"], m["crv"] = "EC", "P-256"
		m["x"], m["y"] = b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:])
	}
	return m
}
