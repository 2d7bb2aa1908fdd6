package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192 // more would make one signature a denial of service
)

var errExponent = errors.New("RSA exponent is not odd, at least 3 and below 2^31")

// Algorithms returns the names of all signature algorithms that can be allowed (RFC 7518 §3.1,
// RFC 8037 §3.1). The symmetric ones and "none" are not among them.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Key is a public key bound to the one algorithm it verifies with (RFC 8725 §3.1). Immutable, and
// safe for concurrent use.
type Key struct {
	ID        string
	Algorithm string
	Public    crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	JSON      string           // the JWK it was read from
	// Thumbprint is the SHA-256 JWK Thumbprint in base64url (RFC 7638).
	Thumbprint string

	verifier jws.Verifier
	size     int // of a signature, in bytes
}

// Verify checks a signature over input. It keeps neither. Errors: ErrSignature.
func (k *Key) Verify(input, signature []byte) error {
	// jwx checks the length for ECDSA only; for all of them it is known before any arithmetic.
	if len(signature) != k.size || k.verifier.Verify(input, signature, k.Public) != nil {
		return ErrSignature
	}
	return nil
}

// Same reports whether both verify the same signatures.
func (k *Key) Same(other *Key) bool {
	public, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.ID == other.ID && k.Algorithm == other.Algorithm && public.Equal(other.Public)
}

// Skipped is a key of a set that is not used, and why.
type Skipped struct {
	Index  int    // its place in the set, from 0
	KeyID  string // empty where it has none
	Reason string
}

// ParseSet reads a JWK Set (RFC 7517 §5) and keeps the keys that can verify a token with one of the
// allowed algorithms. What else is in the set is skipped one by one, so that one bad key never loses
// a good one. Two usable keys of one ID are both skipped: which of them a token means, nobody can
// tell. An error means that the text is no key set at all; a set with nothing usable is not one.
func ParseSet(text string, allowed []string) (keys map[string]*Key, skipped []Skipped, err error) {
	var raws []string
	found := false
	d := strictjson.New(text)
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
			skipped = append(skipped, Skipped{places[id], id, "another key has the same kid"}, Skipped{i, id, "another key has the same kid"})
			delete(keys, id)
		default:
			keys[id], places[id] = key, i
		}
	}
	return keys, skipped, nil
}

// jwkFields is what decides whether a JWK is usable at all (RFC 7517 §4).
type jwkFields struct {
	kty, kid, use, alg string
	verify, private    bool
}

func readFields(raw string) (f jwkFields, err error) {
	d := strictjson.New(raw)
	d.RefuseFoldedNames() // jwk.ParseKey looks for kty and d in any case
	f.use, f.verify = "sig", true
	for name := range d.Object {
		switch name {
		case "kty":
			f.kty = d.String()
		case "kid":
			f.kid = d.String()
		case "use":
			f.use = d.String()
		case "alg":
			if f.alg = d.String(); f.alg == "" {
				d.Fail("alg is empty")
			}
		case "key_ops":
			f.verify = false
			for range d.Array {
				f.verify = d.String() == "verify" || f.verify
			}
		case "d", "p", "q", "dp", "dq", "qi", "oth":
			f.private = true
		}
	}
	return f, d.End()
}

func parseKey(raw string, allowed []string) (key *Key, id string, err error) {
	f, err := readFields(raw)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("malformed: %w", err)
	case f.kid == "":
		return nil, "", errors.New("no kid")
	case len(f.kid) > maxKeyID:
		return nil, "", errors.New("kid longer than 256 bytes")
	case f.kty == "oct":
		return nil, f.kid, errors.New("symmetric key")
	case f.kty != "RSA" && f.kty != "EC" && f.kty != "OKP":
		return nil, f.kid, errors.New("unknown kty")
	case f.private:
		return nil, f.kid, errors.New("private key in a public set")
	case f.use != "sig":
		return nil, f.kid, errors.New("use is not sig")
	case !f.verify:
		return nil, f.kid, errors.New("key_ops lacks verify")
	}
	parsed, err := jwk.ParseKey(json.RawMessage(raw))
	if err != nil {
		return nil, f.kid, errors.New("malformed key") // the cause may quote the key
	}
	var public any
	if err := parsed.Raw(&public); err != nil {
		return nil, f.kid, errors.New("malformed key")
	}
	// jwx makes an int of the exponent's last 64 bits, so a longer one would become another one.
	if r, ok := parsed.(jwk.RSAPublicKey); ok && new(big.Int).SetBytes(r.E()).BitLen() > 31 {
		return nil, f.kid, errExponent
	}
	thumbprint, err := parsed.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, f.kid, errors.New("malformed key")
	}
	key = &Key{ID: f.kid, Public: public, JSON: raw,
		Thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint)}
	fits, err := key.examine()
	if err != nil {
		return nil, f.kid, err
	}
	// Without an alg of its own, a key gets the first allowed algorithm that fits it.
	at := slices.IndexFunc(allowed, func(alg string) bool {
		return slices.Contains(fits, alg) && (f.alg == "" || f.alg == alg)
	})
	switch {
	case f.alg != "" && !slices.Contains(fits, f.alg):
		return nil, f.kid, errors.New("alg is not one for this type of key")
	case at < 0:
		return nil, f.kid, errors.New("algorithm is not allowed here")
	}
	key.Algorithm = allowed[at]
	if key.verifier, err = jws.NewVerifier(jwa.SignatureAlgorithm(key.Algorithm)); err != nil {
		return nil, f.kid, errors.New("algorithm is not supported")
	}
	return key, f.kid, nil
}

// examine checks the key's numbers and returns the algorithms that it fits.
func (k *Key) examine() (fits []string, err error) {
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		k.size = public.Size()
		switch bits := public.N.BitLen(); {
		case bits < minRSABits:
			return nil, fmt.Errorf("RSA key of less than %d bits", minRSABits)
		case bits > maxRSABits:
			return nil, fmt.Errorf("RSA key of more than %d bits", maxRSABits)
		case public.N.Bit(0) == 0:
			return nil, errors.New("RSA modulus is even")
		case public.E < 3 || public.E%2 == 0:
			return nil, errExponent
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		if _, err := public.ECDH(); err != nil {
			return nil, errors.New("point is not on a supported curve")
		}
		k.size = 2 * ((public.Params().BitSize + 7) / 8)
		switch public.Params().BitSize {
		case 256:
			return []string{"ES256"}, nil
		case 384:
			return []string{"ES384"}, nil
		case 521:
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		if k.size = ed25519.SignatureSize; len(public) == ed25519.PublicKeySize {
			if anybodySigns(public) {
				return nil, errors.New("Ed25519 key of small order")
			}
			return []string{"EdDSA"}, nil
		}
	}
	return nil, errors.New("unsupported key")
}

// anybodySigns finds the 14 Ed25519 keys that need no private one, all zeros among them: their order
// divides 8, so that the neutral element and a zero sign about every eighth message. Of these 16,
// each of the 14 passes one at least.
func anybodySigns(public ed25519.PublicKey) bool {
	neutral := append([]byte{1}, make([]byte, ed25519.SignatureSize-1)...)
	for message := range byte(16) {
		if ed25519.Verify(public, []byte{message}, neutral) {
			return true
		}
	}
	return false
}
