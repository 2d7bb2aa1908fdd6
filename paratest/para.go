package paratest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

// Config configures a [Para]. The zero value is valid and serves most tests.
type Config struct {
	// Environment is the name of the emulated environment. Default "paratest".
	Environment string
	// APIKeyID is the aud of the issued tokens. Default [APIKeyID].
	APIKeyID string
	// Addr is the TCP address to listen on. Its host must be a loopback
	// address, unless AllowRemote. Default "127.0.0.1:0", which selects a free
	// port.
	Addr string
	// AllowRemote permits an Addr without a host, such as ":8080" or
	// "0.0.0.0:8080", which accepts connections from other machines. If Handler
	// issues tokens, as in the command "parajwt serve", every client that
	// connects can get one for any user. It is meant for containers.
	AllowRemote bool
	// AllowedOrigins are the web origins that may call this server from a
	// browser, such as "http://localhost:5173" (CORS). By default, no origin
	// may.
	AllowedOrigins []string
	// KeyFile is the name of a file that stores the published signing keys and
	// the API keys, so that they stay the same after a restart. Start creates
	// the file with mode 0600. Rotate, RotateES256 and Withdraw update it.
	// Sessions are not stored. Default: new keys at each start.
	KeyFile string
	// SessionLength is the life of a session, counted from its login or its
	// last extension. It is also the life of a token that POST /auth/jwt
	// issues. It does not apply to [Para.Token]. Default 30 minutes.
	SessionLength time.Duration
	// Now is the clock of tokens and sessions. [Para.Advance] adds to it. It
	// must be safe for concurrent use by multiple goroutines. Default time.Now.
	Now func() time.Time
	// Handler serves the paths that Para does not have. Slow, Fail and Down do
	// not affect it. By default, these paths respond with 404.
	Handler http.Handler
}

// APIKeyID is the API key ID in the examples of Para's documentation.
const APIKeyID = "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"

// Para is an emulator of Para that listens on loopback. Create it with [New] or
// [Start]. It is safe for concurrent use by multiple goroutines.
type Para struct {
	cfg       Config
	server    *http.Server
	base      string
	advanced  atomic.Int64 // nanoseconds, see Advance
	elsewhere func() key   // returns a key of another environment
	release   func()       // returns the borrowed keys to the pool

	mu        sync.Mutex
	all       []key // every key of this Para, in order
	published []key
	borrowed  []key // from pool
	saveErr   error // of KeyFile
	delay     time.Duration
	status    int
	down      bool
	fetches   int
	logins    logins
}

// New starts a Para for a test and closes it when the test ends. It fails the
// test if Start returns an error.
func New(tb testing.TB, cfg Config) *Para {
	tb.Helper()
	p, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// Start starts a Para. Call Close when done. It publishes two RSA keys with new
// key IDs, unless Config.KeyFile has keys.
//
// Start returns an error if Config.Addr, AllowedOrigins or KeyFile is invalid
// or cannot be used. Generating an RSA key takes about 0.1 seconds, so Start
// reuses the keys of closed Paras of the same process under new IDs.
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
	cfg.AllowedOrigins = slices.Clone(cfg.AllowedOrigins)
	for _, origin := range cfg.AllowedOrigins {
		if !isOrigin(origin) {
			return nil, fmt.Errorf("paratest: %.60q is not an origin: "+
				"use a scheme, a host and a port, such as http://localhost:5173", origin)
		}
	}
	p := &Para{cfg: cfg, logins: newLogins()}
	listener, err := p.listen()
	if err != nil {
		return nil, err
	}
	p.elsewhere = sync.OnceValue(func() key { return p.mustBorrow() })
	p.release = sync.OnceFunc(p.returnKeys)
	if err := p.firstKeys(); err != nil {
		listener.Close()
		p.release()
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", p.serveKeys)
	p.serveSessions(mux)
	if cfg.Handler != nil {
		mux.Handle("/", cfg.Handler)
	}
	handler := p.cors(p.counted(mux, p.faults(mux)))
	p.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go p.server.Serve(listener)
	return p, nil
}

// listen opens the listener and sets the base URL.
func (p *Para) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", p.cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("paratest: %w", err)
	}
	addr := listener.Addr().(*net.TCPAddr)
	switch {
	case addr.IP.IsLoopback():
		p.base = "http://" + addr.String()
	case addr.IP.IsUnspecified() && p.cfg.AllowRemote:
		// Package jwks accepts http URLs of loopback hosts only.
		p.base = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(addr.Port))
	default:
		listener.Close()
		if p.cfg.AllowRemote {
			return nil, fmt.Errorf("paratest: %s has a host that is not a loopback address: "+
				"leave out the host, as in :8080", p.cfg.Addr)
		}
		return nil, fmt.Errorf("paratest: %s is not a loopback address, so other machines "+
			"could get tokens for any user: use 127.0.0.1, or allow remote clients", p.cfg.Addr)
	}
	return listener, nil
}

// Close stops the server and closes its connections. It returns an error if
// Config.KeyFile could not be written. It may be called more than once.
func (p *Para) Close() error {
	err := p.server.Close()
	p.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.saveErr)
}

// URL returns the base URL of the API, such as http://127.0.0.1:43210.
func (p *Para) URL() string { return p.base }

// Environment returns the environment to configure a validator with.
func (p *Para) Environment() jwks.Environment {
	return jwks.Environment{Name: p.cfg.Environment, URL: p.base + "/.well-known/jwks.json"}
}

// APIKeyID returns the API key ID to configure a validator with. It is the aud
// of the issued tokens.
func (p *Para) APIKeyID() string { return p.cfg.APIKeyID }

// Now returns the time of tokens and sessions: Config.Now plus the time added
// by Advance. Use it as the clock of a validator that [Para.Validator] did not
// make.
func (p *Para) Now() time.Time { return p.now() }

func (p *Para) now() time.Time { return p.cfg.Now().Add(time.Duration(p.advanced.Load())) }

// Advance moves the clock forward by d, and back if d is negative. It moves the
// clock of this Para, of its validators (see [Para.Validator]), and of
// everything else that uses [Para.Now].
func (p *Para) Advance(d time.Duration) { p.advanced.Add(int64(d)) }

// Slow delays every response by d, until [Para.Recover].
func (p *Para) Slow(d time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.delay = d }

// Fail makes the server respond to every request with this status and an empty
// body, until [Para.Recover].
func (p *Para) Fail(status int) { p.mu.Lock(); defer p.mu.Unlock(); p.status = status }

// Down makes the server close every connection without a response, until
// [Para.Recover].
func (p *Para) Down() { p.mu.Lock(); defer p.mu.Unlock(); p.down = true }

// Recover ends the effects of Slow, Fail and Down.
func (p *Para) Recover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.status, p.down = 0, 0, false
}

// Fetches returns the number of requests for the key set, including those that
// failed.
func (p *Para) Fetches() int { p.mu.Lock(); defer p.mu.Unlock(); return p.fetches }

// faults applies Slow, Fail and Down to all requests except those for
// Config.Handler.
func (p *Para) faults(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "/" {
			mux.ServeHTTP(w, r)
			return
		}
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
			mux.ServeHTTP(w, r)
		}
	})
}

// cors lets the pages of Config.AllowedOrigins call every endpoint (Fetch
// Standard, "CORS protocol").
func (p *Para) cors(next http.Handler) http.Handler {
	if len(p.cfg.AllowedOrigins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		h.Add("Vary", "Origin")
		if !slices.Contains(p.cfg.AllowedOrigins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", cookieHeader)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
				h.Set("Access-Control-Allow-Headers", headers)
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOrigin reports whether s is a serialized origin (RFC 6454 §6.2) of http or
// https.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		s == u.Scheme+"://"+u.Host
}
