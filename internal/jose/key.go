package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192 // bounds the cost of one signature check
)

var (
	errExponent = errors.New("RSA exponent is not odd, at least 3 and below 2^31")
	errCurve    = errors.New("crv is not supported for this kty")
)

// Algorithms returns the names of all supported signature algorithms (RFC 7518
// §3.1, RFC 8037 §3.1). They exclude "none" and the symmetric ones.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
		"EdDSA"}
}

// Key is a public key bound to one algorithm (RFC 8725 §3.1). It is immutable
// and safe for concurrent use by multiple goroutines.
type Key struct {
	ID        string
	Algorithm string
	Public    crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	JSON      string           // the JWK, unchanged from the set
	// Thumbprint is the SHA-256 JWK Thumbprint in base64url (RFC 7638).
	Thumbprint string

	size int // of a signature, in bytes
}

// Same reports whether both keys have the same ID and algorithm, and verify
// the same signatures.
func (k *Key) Same(other *Key) bool {
	public, ok := k.Public.(publicKey)
	return ok && k.ID == other.ID && k.Algorithm == other.Algorithm && public.Equal(other.Public)
}

// publicKey is the method that all public keys of the standard library have.
type publicKey interface {
	Equal(crypto.PublicKey) bool
}

// Skipped describes a key of a set that is not used.
type Skipped struct {
	Index  int    // its position in the set, from 0
	KeyID  string // empty if it has no usable ID
	Reason string // never quotes the key
}

// ParseSet parses a JWK Set (RFC 7517 §5). It returns the keys that can verify
// tokens with one of the allowed algorithms, by key ID. It skips every other
// key, so that a bad key does not affect the good ones. Usable keys that share
// a key ID are all skipped, because a token cannot identify one of them. It
// returns an error if set is not a key set, or has more than 100 keys. A set
// without usable keys is not an error.
func ParseSet(set string, allowed []string) (keys map[string]*Key, skipped []Skipped, err error) {
	var raws []string
	found := false
	d := strictjson.New(set)
	for name := range d.Object {
		if name == "keys" {
			found = true
			for range d.Array {
				if raws = append(raws, d.Raw()); len(raws) > maxKeys {
					d.Fail(fmt.Sprintf("more than %d keys", maxKeys))
				}
			}
		}
	}
	if err := d.End(); err != nil {
		return nil, nil, fmt.Errorf("not a key set: %w", err)
	}
	if !found {
		return nil, nil, errors.New(`not a key set: no member "keys"`)
	}

	keys = make(map[string]*Key)
	places := make(map[string]int)
	twice := make(map[string]bool)
	for i, raw := range raws {
		key, id, err := parseKey(raw, allowed)
		switch {
		case err != nil:
			skipped = append(skipped, Skipped{i, id, err.Error()})
		case twice[id]:
			skipped = append(skipped, Skipped{i, id, "another key has the same kid"})
		case keys[id] != nil:
			twice[id] = true
			skipped = append(skipped,
				Skipped{places[id], id, "another key has the same kid"},
				Skipped{i, id, "another key has the same kid"})
			delete(keys, id)
		default:
			keys[id], places[id] = key, i
		}
	}
	return keys, skipped, nil
}

// jwkMembers are the members of a JWK that decide whether and how it is used
// (RFC 7517 §4). The numbers are JSON texts, because kty decides which of them
// the key needs.
type jwkMembers struct {
	kty, kid, use, alg string
	verify             bool // key_ops permits it
	private            bool
	n, e, crv, x, y    string
}

var jwkNames = []string{"kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y",
	"d", "p", "q", "dp", "dq", "qi", "oth"}

// parseMembers reads the members of a JWK. It ignores the values of members
// that are not needed, such as x5c, as long as they are JSON.
func parseMembers(raw string) (m jwkMembers, err error) {
	d := strictjson.New(raw)
	m.use, m.verify = "sig", true
	for name := range d.Object {
		switch name {
		case "kty":
			m.kty = d.String()
		case "kid":
			m.kid = d.String()
		case "use":
			m.use = d.String()
		case "alg":
			if m.alg = d.String(); m.alg == "" {
				d.Fail("alg is empty")
			}
		case "key_ops":
			m.verify = false
			for range d.Array {
				m.verify = d.String() == "verify" || m.verify
			}
		case "n":
			m.n = d.Raw()
		case "e":
			m.e = d.Raw()
		case "crv":
			m.crv = d.Raw()
		case "x":
			m.x = d.Raw()
		case "y":
			m.y = d.Raw()
		case "d", "p", "q", "dp", "dq", "qi", "oth":
			m.private = true
			d.Raw()
		default:
			d.RefuseCaseVariant(name, jwkNames)
			d.Raw()
		}
	}
	return m, d.End()
}

// parseKey parses one key of a set. It returns the key ID, if there is one,
// also with an error.
func parseKey(raw string, allowed []string) (key *Key, id string, err error) {
	m, err := parseMembers(raw)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("malformed: %w", err)
	case m.kid == "":
		return nil, "", errors.New("no kid")
	case len(m.kid) > maxKeyID:
		return nil, "", errors.New("kid longer than 256 bytes")
	case m.kty == "oct":
		return nil, m.kid, errors.New("symmetric key")
	case m.private:
		return nil, m.kid, errors.New("private key in a public set")
	case m.use != "sig":
		return nil, m.kid, errors.New("use is not sig")
	case !m.verify:
		return nil, m.kid, errors.New("key_ops lacks verify")
	}
	key = &Key{ID: m.kid, JSON: raw}
	var fits []string
	switch m.kty {
	case "RSA":
		fits, err = key.parseRSA(m)
	case "EC":
		fits, err = key.parseEC(m)
	case "OKP":
		fits, err = key.parseOKP(m)
	default:
		err = errors.New("unknown kty")
	}
	if err != nil {
		return nil, m.kid, err
	}
	// A key without alg gets the first allowed algorithm that fits it.
	at := slices.IndexFunc(allowed, func(alg string) bool {
		return slices.Contains(fits, alg) && (m.alg == "" || m.alg == alg)
	})
	switch {
	case m.alg != "" && !slices.Contains(fits, m.alg):
		return nil, m.kid, errors.New("alg is not one for this type of key")
	case at < 0:
		return nil, m.kid, errors.New("algorithm is not allowed here")
	}
	key.Algorithm = allowed[at]
	return key, m.kid, nil
}

// parseRSA sets the public key (RFC 7518 §6.3.1). It returns the algorithms
// that fit it.
func (k *Key) parseRSA(m jwkMembers) ([]string, error) {
	n, errN := number(m.n)
	e, errE := number(m.e)
	if err := errors.Join(errN, errE); err != nil {
		return nil, errors.New("n or e is missing or not canonical base64url")
	}
	// RFC 7518 §2 forbids leading zeros, but some servers write them.
	n, e = trimZeros(n), trimZeros(e)
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSABits:
		return nil, fmt.Errorf("RSA key of less than %d bits", minRSABits)
	case bits > maxRSABits:
		return nil, fmt.Errorf("RSA key of more than %d bits", maxRSABits)
	case modulus.Bit(0) == 0:
		return nil, errors.New("RSA modulus is even")
	case exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0:
		return nil, errExponent
	case isROCA(modulus):
		return nil, errors.New("RSA modulus has the fingerprint of ROCA: it can be factored")
	}
	k.size = len(n)
	public := &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
		k.setPublic(public, `{"e":"%s","kty":"RSA","n":"%s"}`, encode(e), encode(n))
}

// isROCA reports whether a modulus was made by the broken generator of
// CVE-2017-15361: its primes, and so the modulus itself, are powers of 65537
// modulo every small prime. This also holds for one in 2^28 sound moduli.
func isROCA(modulus *big.Int) bool {
	var remainder big.Int
	for p := int64(3); p <= 167; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		want, power := remainder.Mod(modulus, big.NewInt(p)).Int64(), int64(1)
		for power != want {
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}

// parseEC sets the public key (RFC 7518 §6.2.1). It returns the algorithm that
// fits it.
func (k *Key) parseEC(m jwkMembers) ([]string, error) {
	x, errX := number(m.x)
	y, errY := number(m.y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, errors.New("x or y is missing or not canonical base64url")
	}
	var curve elliptic.Curve
	var alg string
	crv, _ := text(m.crv)
	switch crv {
	case "P-256":
		curve, alg = elliptic.P256(), "ES256"
	case "P-384":
		curve, alg = elliptic.P384(), "ES384"
	case "P-521":
		curve, alg = elliptic.P521(), "ES512"
	default:
		return nil, errCurve
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size { // RFC 7518 §6.2.1.2
		return nil, fmt.Errorf("x and y do not have %d bytes each, as their curve demands", size)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("point is not on the curve")
	}
	k.size = 2 * size
	return []string{alg},
		k.setPublic(public, `{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, crv, encode(x), encode(y))
}

// parseOKP sets the public key (RFC 8037 §2). It returns the algorithm that
// fits it.
func (k *Key) parseOKP(m jwkMembers) ([]string, error) {
	x, err := number(m.x)
	crv, _ := text(m.crv)
	switch {
	case err != nil:
		return nil, errors.New("x is missing or not canonical base64url")
	case crv != "Ed25519":
		return nil, errCurve
	case len(x) != ed25519.PublicKeySize:
		return nil, errors.New("x does not have 32 bytes, as Ed25519 demands")
	case isSmallOrder(x):
		return nil, errors.New("Ed25519 key of small order")
	}
	k.size = ed25519.SignatureSize
	return []string{"EdDSA"},
		k.setPublic(ed25519.PublicKey(x), `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, encode(x))
}

// setPublic parses the reduced JWK with jwx and sets Public to the result. It
// fails if the result is not the key that this package read: jwx can be
// reconfigured by any package of the process. The format has the members in the
// order of RFC 7638 §3, so the thumbprint is the hash of the reduced JWK.
func (k *Key) setPublic(want publicKey, format string, members ...any) error {
	reduced := fmt.Appendf(nil, format, members...)
	parsed, err := jwk.ParseKey(reduced)
	if err != nil {
		return errors.New("malformed key") // the cause may quote the key
	}
	var public any
	if err := parsed.Raw(&public); err != nil || !want.Equal(public) {
		return errors.New("malformed key")
	}
	thumbprint := sha256.Sum256(reduced)
	k.Public, k.Thumbprint = public, encode(thumbprint[:])
	return nil
}

// number decodes a number of a JWK from its JSON text, a string in canonical
// base64url (RFC 7515 §2).
func number(raw string) ([]byte, error) {
	encoded, err := text(raw)
	if err != nil {
		return nil, err
	}
	return AppendDecoded(nil, encoded)
}

// text parses a JSON string.
func text(raw string) (string, error) {
	d := strictjson.New(raw)
	s := d.String()
	return s, d.End()
}

func encode(number []byte) string { return base64.RawURLEncoding.EncodeToString(number) }

// isSmallOrder reports whether public is one of the 14 encodings of points
// whose order divides 8. Anyone can make valid signatures for these keys. The
// signature of the neutral element and zero is valid for about every eighth
// message, and each of these keys accepts it for at least one of these 16.
func isSmallOrder(public ed25519.PublicKey) bool {
	neutral := append([]byte{1}, make([]byte, ed25519.SignatureSize-1)...)
	for message := range byte(16) {
		if ed25519.Verify(public, []byte{message}, neutral) {
			return true
		}
	}
	return false
}
