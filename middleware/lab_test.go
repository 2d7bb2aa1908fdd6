package middleware_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// noon is the time of a test.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

var b64 = base64.RawURLEncoding

// hand is a clock that is set by hand, so that hours pass at once.
type hand struct{ ns atomic.Int64 }

func newHand() *hand {
	h := new(hand)
	h.set(noon)
	return h
}

func (h *hand) now() time.Time          { return time.Unix(0, h.ns.Load()).UTC() }
func (h *hand) set(t time.Time)         { h.ns.Store(t.UnixNano()) }
func (h *hand) advance(d time.Duration) { h.ns.Add(int64(d)) }

// shared is a Para for the tests that do nothing to it. Its clock stands at noon.
var shared = sync.OnceValue(func() *paratest.Para {
	p, err := paratest.Start(paratest.Config{Now: newHand().now})
	if err != nil {
		panic(err)
	}
	return p
})

// newValidator fills in what a test does not care about.
func newValidator(t testing.TB, cfg middleware.Config) *middleware.Validator {
	t.Helper()
	if cfg.APIKeyIDs == nil {
		cfg.APIKeyIDs = []string{paratest.APIKeyID}
	}
	if cfg.Environment.URL == "" {
		cfg.Environment = shared().Environment()
	}
	if cfg.Now == nil {
		cfg.Now = newHand().now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Keys.FetchTimeout == 0 {
		cfg.Keys.FetchTimeout = time.Minute // a busy machine is no outage
	}
	v, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// accepts demands that a token is good, twice: a verdict must not depend on having been given before.
func accepts(t *testing.T, v *middleware.Validator, token string) *claims.Claims {
	t.Helper()
	var user *claims.Claims
	for range 2 {
		var err error
		if user, err = v.Validate(t.Context(), token); err != nil || user == nil {
			t.Fatalf("got %v, %v", user, err)
		}
	}
	return user
}

// refuses demands that a token is refused for this reason, twice.
func refuses(t *testing.T, v *middleware.Validator, token string, want middleware.Code) *middleware.Error {
	t.Helper()
	var refusal *middleware.Error
	for range 2 {
		user, err := v.Validate(t.Context(), token)
		if user != nil || !errors.Is(err, want) || !errors.As(err, &refusal) {
			t.Fatalf("got %v, %v; want %v", user, err, want)
		}
	}
	return refusal
}

// journal is a log that is kept, down to debug level, in JSON.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines returns what was logged since the last time.
func (j *journal) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for dec := json.NewDecoder(&j.text); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	j.text.Reset()
	return lines
}

// signer is a key of a test's own, with a key ID of its choice.
type signer struct {
	kid     string
	private crypto.Signer
}

func newSigner(t testing.TB, alg, kid string) signer {
	t.Helper()
	var private crypto.Signer
	var err error
	if alg == "ES256" {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, private}
}

func (s signer) alg() string {
	if _, ok := s.private.(*ecdsa.PrivateKey); ok {
		return "ES256"
	}
	return "RS256"
}

func (s signer) jwk() map[string]string {
	m := map[string]string{"kid": s.kid, "alg": s.alg()}
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["e"] = "RSA", "AQAB"
		m["n"] = b64.EncodeToString(public.N.Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		m["kty"], m["crv"] = "EC", "P-256"
		m["x"], m["y"] = b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:])
	}
	return m
}

// keySet writes the public halves.
func keySet(signers ...signer) []byte {
	var keys []map[string]string
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return text
}

// sign signs a header and a payload just as they are.
func (s signer) sign(header, payload string) string {
	return s.signInput(b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload)))
}

func (s signer) signInput(input string) string {
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch private := s.private.(type) {
	case *rsa.PrivateKey:
		var err error
		if signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:]); err != nil {
			panic(err)
		}
	case *ecdsa.PrivateKey:
		r, sum, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			panic(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), sum.FillBytes(make([]byte, 32))...)
	}
	return input + "." + b64.EncodeToString(signature)
}

// token signs a good token at noon.
func (s signer) token() string {
	return s.sign(s.header(), goodPayload)
}

func (s signer) header() string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, s.alg(), s.kid)
}

// goodPayload is that of a user at noon.
var goodPayload = fmt.Sprintf(`{"sub":"u1","aud":%q,"iat":%d,"exp":%d,"data":{"userId":"u1","authType":"email","wallets":[{"id":"w1","type":"EVM","address":"0xAb"}]}}`,
	paratest.APIKeyID, noon.Unix(), noon.Add(30*time.Minute).Unix())

// publish serves a key set, and counts how often it is asked for.
func publish(t testing.TB, set []byte) (url string, fetches *atomic.Int64) {
	t.Helper()
	fetches = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		w.Write(set)
	}))
	t.Cleanup(server.Close)
	return server.URL, fetches
}

// twin is the other signature that everybody can make of an ECDSA one: r, n-s.
func twin(t *testing.T, token string) string {
	t.Helper()
	at := len(token) - 86
	signature, err := b64.DecodeString(token[at:])
	if err != nil || len(signature) != 64 {
		t.Fatalf("no ES256 token: %v", err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:at] + b64.EncodeToString(signature)
}
