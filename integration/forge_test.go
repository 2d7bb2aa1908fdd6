package integration_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

var b64 = base64.RawURLEncoding

// forge makes the tokens of the catalogue. It holds Para's private keys, and
// the keys and the server of an attacker.
type forge struct {
	rsa, mallory *rsa.PrivateKey
	ec           *ecdsa.PrivateKey
	ed           ed25519.PrivateKey
	secret       []byte // of the symmetric keys in the set
	longID       string // the longest valid key ID

	set     string // Para's key set
	env     jwks.Environment
	fetches atomic.Int64 // of the key set
	dialled atomic.Int64 // requests to the attacker's server
	evil    string       // its URL

	// The parts of good. Tokens of the catalogue differ in one of them.
	header, payload, data object
	good                  string // a valid token
}

func newForge(t testing.TB) *forge {
	f := &forge{secret: make([]byte, 32), longID: strings.Repeat("k", 256)}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	f.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	f.mallory, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	f.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, f.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	rand.Read(f.secret)

	f.set = `{"keys":[` + strings.Join([]string{
		rsaJWK(&f.rsa.PublicKey, "rsa", "RS256"),
		rsaJWK(&f.rsa.PublicKey, "no-alg", ""),
		rsaJWK(&f.rsa.PublicKey, "pss", "PS256"), // its algorithm is not allowed
		rsaJWK(&f.rsa.PublicKey, f.longID, "RS256"),
		rsaJWK(&f.rsa.PublicKey, f.longID+"k", "RS256"),
		f.ecJWK("ec"),
		`{"kty":"OKP","crv":"Ed25519","kid":"ed","alg":"EdDSA","x":"` +
			b64.EncodeToString(f.ed.Public().(ed25519.PublicKey)) + `"}`,
		`{"kty":"oct","kid":"oct","k":"` + b64.EncodeToString(f.secret) + `"}`,
		`{"kty":"oct","kid":"oct-hs256","alg":"HS256","k":"` + b64.EncodeToString(f.secret) + `"}`,
		`{"kty":"oct","kid":"oct-rs256","alg":"RS256","use":"sig","k":"` +
			b64.EncodeToString(f.secret) + `"}`,
	}, ",") + `]}`
	serve := func(hits *atomic.Int64, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			hits.Add(1)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	f.env = jwks.Environment{Name: "prod", URL: serve(&f.fetches, f.set)}
	f.evil = serve(&f.dialled, `{"keys":[`+rsaJWK(&f.mallory.PublicKey, "mallory", "RS256")+`]}`)

	f.header = object{{"alg", `"RS256"`}, {"kid", `"rsa"`}, {"typ", `"JWT"`}}
	f.data = object{
		{"userId", `"` + paratest.UserID + `"`},
		{"wallets",
			`[{"id":"de4034f1","type":"EVM","address":"` + paratest.EVMAddress +
				`","publicKey":"0x04"}]`},
		{"authType", `"email"`},
		{"identifier", `"` + canary + `"`},
		{"email", `"` + canary + `"`},
	}
	f.payload = object{
		{"sub", `"` + paratest.UserID + `"`},
		{"aud", `"` + paratest.APIKeyID + `"`},
		{"iat", at(0)},
		{"exp", at(30 * time.Minute)},
		{"data", f.data.String()},
	}
	f.good = f.sign(f.header.String(), f.payload.String())
	return f
}

// canary is in every payload, and must be in no error, log line or response.
const canary = "canary-7d1f@example.com"

// at returns the NumericDate of epoch plus d.
func at(d time.Duration) string { return fmt.Sprint(epoch.Add(d).Unix()) }

// object is a JSON object as names and raw values, so that it can be invalid in
// every way.
type object [][2]string

func (o object) String() string {
	var members []string
	for _, m := range o {
		members = append(members, `"`+m[0]+`":`+m[1])
	}
	return "{" + strings.Join(members, ",") + "}"
}

// with replaces the member of that name, or adds it. An empty value removes it.
func (o object) with(name, raw string) object {
	var with object
	found := false
	for _, m := range o {
		if m[0] != name {
			with = append(with, m)
		} else if found = true; raw != "" {
			with = append(with, [2]string{name, raw})
		}
	}
	if !found && raw != "" {
		with = append(with, [2]string{name, raw})
	}
	return with
}

// plus adds a member, also if the name exists already.
func (o object) plus(name, raw string) object {
	return append(o[:len(o):len(o)], [2]string{name, raw})
}

// The next three return tokens that Para's RSA key signed.

// head returns a token with one header parameter set, or removed if raw is
// empty.
func (f *forge) head(name, raw string) string {
	return f.sign(f.header.with(name, raw).String(), f.payload.String())
}

// claim returns a token with one claim set, or removed if raw is empty.
func (f *forge) claim(name, raw string) string {
	return f.sign(f.header.String(), f.payload.with(name, raw).String())
}

// inData returns a token with one claim in data set, or removed if raw is
// empty.
func (f *forge) inData(name, raw string) string {
	return f.claim("data", f.data.with(name, raw).String())
}

func (f *forge) sign(header, payload string) string {
	return sign(f.rsa, enc(header), enc(payload))
}

func (f *forge) signES256(header, payload string) string {
	r, s := f.ecSign(enc(header) + "." + enc(payload))
	return enc(header) + "." + enc(payload) + "." + rawSignature(r, s)
}

func (f *forge) ecSign(input string) (r, s *big.Int) {
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, f.ec, digest[:])
	if err != nil {
		panic(err)
	}
	return r, s
}

// rawSignature returns r and s as 32 bytes each (RFC 7518 §3.4).
func rawSignature(r, s *big.Int) string {
	var b [64]byte
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return enc(string(b[:]))
}

func enc(s string) string { return b64.EncodeToString([]byte(s)) }

// sign signs two segments without changing them.
func sign(key *rsa.PrivateKey, header, payload string) string {
	input := header + "." + payload
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + enc(string(signature))
}

func signPSS(key *rsa.PrivateKey, header, payload string) string {
	input := enc(header) + "." + enc(payload)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:],
		&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		panic(err)
	}
	return input + "." + enc(string(signature))
}

func signHMAC(newHash func() hash.Hash, secret []byte, header, payload string) string {
	input := enc(header) + "." + enc(payload)
	mac := hmac.New(newHash, secret)
	mac.Write([]byte(input))
	return input + "." + enc(string(mac.Sum(nil)))
}

var hmacs = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384,
	"HS512": sha512.New}

// parts splits a token at its dots.
func parts(token string) (header, payload, signature string) {
	s := strings.Split(token, ".")
	return s[0], s[1], s[2]
}

// withSignature replaces the signature of a token.
func withSignature(token, signature string) string {
	return token[:strings.LastIndexByte(token, '.')+1] + signature
}

func rsaJWK(key *rsa.PublicKey, kid, alg string) string {
	m := map[string]string{"kty": "RSA", "kid": kid, "n": enc(string(key.N.Bytes())), "e": "AQAB"}
	if alg != "" {
		m["alg"] = alg
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (f *forge) ecJWK(kid string) string {
	point, err := f.ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return `{"kty":"EC","crv":"P-256","kid":"` + kid + `","alg":"ES256","x":"` +
		enc(string(point[1:33])) + `","y":"` + enc(string(point[33:])) + `"}`
}

// publicForms returns encodings of Para's public key that a verifier may take
// for an HMAC secret.
func (f *forge) publicForms() map[string][]byte {
	spki, err := x509.MarshalPKIXPublicKey(&f.rsa.PublicKey)
	if err != nil {
		panic(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&f.rsa.PublicKey)
	spkiPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	pkcs1PEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
	return map[string][]byte{
		"PEM":                    spkiPEM,
		"PEM, trimmed":           []byte(strings.TrimSpace(string(spkiPEM))),
		"PEM with CRLF":          []byte(strings.ReplaceAll(string(spkiPEM), "\n", "\r\n")),
		"PKCS #1 PEM":            pkcs1PEM,
		"DER":                    spki,
		"PKCS #1 DER":            pkcs1,
		"modulus":                f.rsa.N.Bytes(),
		"modulus in base64url":   []byte(enc(string(f.rsa.N.Bytes()))),
		"modulus in decimal":     []byte(f.rsa.N.String()),
		"JWK":                    []byte(rsaJWK(&f.rsa.PublicKey, "rsa", "RS256")),
		"key set":                []byte(f.set),
		"key ID":                 []byte("rsa"),
		"empty":                  nil,
		"one zero byte":          {0},
		"secret of the oct keys": f.secret,
	}
}

// validator returns a new validator for the forge's Para. With a negative
// cacheSize it caches no token.
func (f *forge) validator(t testing.TB, cacheSize int, log *testkit.Log) *middleware.Validator {
	return newValidator(t,
		middleware.Config{Environment: f.env, CacheSize: cacheSize, Logger: log.Logger()})
}

// last returns the signature of a token.
func last(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }

// dec decodes a segment that is valid base64url.
func dec(segment string) string {
	b, err := b64.DecodeString(segment)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func quote(s string) string { return `"` + s + `"` }

// flip flips a bit in the middle of a part of a token.
func flip(token string, part int) string {
	s := strings.Split(token, ".")
	b := []byte(dec(s[part]))
	b[len(b)/2] ^= 1
	s[part] = enc(string(b))
	return strings.Join(s, ".")
}

// swap returns the second token with one part of the first.
func swap(part int, from, to string) string {
	s := strings.Split(to, ".")
	s[part] = strings.Split(from, ".")[part]
	return strings.Join(s, ".")
}

// lastBit sets an unused bit of a segment's last letter. Lenient decoders
// return the same bytes for it.
func lastBit(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(segment)%4 == 0 {
		panic("this segment has no unused bits")
	}
	at := len(segment) - 1
	return segment[:at] + string(alphabet[strings.IndexByte(alphabet, segment[at])+1])
}

// plusModulus adds the modulus to a valid signature. The result has the same
// length and is equal modulo n.
func plusModulus(f *forge) attack {
	for n := 0; ; n++ {
		good := f.claim("n", fmt.Sprint(n))
		sum := new(big.Int).SetBytes([]byte(dec(last(good))))
		if sum.Add(sum, f.rsa.N).BitLen() <= 2048 {
			return attack{"the modulus added: equal modulo n",
				withSignature(good, enc(string(sum.Bytes()))), wrong, good}
		}
	}
}

func rs512(f *forge, header, payload string) string {
	input := enc(header) + "." + enc(payload)
	digest := sha512.Sum512([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, f.rsa, crypto.SHA512, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + enc(string(signature))
}
