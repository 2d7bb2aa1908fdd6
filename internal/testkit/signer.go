package testkit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
)

// Signer is a signing key with a key ID. It is safe for concurrent use by
// multiple goroutines.
type Signer struct {
	ID      string // the key ID, such as "rsa0"
	Private crypto.Signer
}

// Each kind has two keys: one that Para publishes, and one that it does not, or
// that it publishes later.
const perKind = 2

// Keys are made once per process, because an RSA key takes about 100 ms.
var (
	rsaKeys = sync.OnceValue(func() (keys [perKind]*rsa.PrivateKey) {
		for i := range keys {
			keys[i] = must(rsa.GenerateKey(rand.Reader, 2048))
		}
		return keys
	})
	ecKeys = sync.OnceValue(func() (keys [perKind]*ecdsa.PrivateKey) {
		for i := range keys {
			keys[i] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		}
		return keys
	})
)

// RSA returns key i of the process, 0 or 1, an RSA key of 2048 bits.
func RSA(i int) Signer { return Signer{fmt.Sprint("rsa", i), rsaKeys()[i]} }

// EC returns key i of the process, 0 or 1, an EC key on P-256.
func EC(i int) Signer { return Signer{fmt.Sprint("ec", i), ecKeys()[i]} }

// Named returns the same key with another key ID.
func (s Signer) Named(id string) Signer {
	s.ID = id
	return s
}

// Alg returns the algorithm of the key: RS256 or ES256.
func (s Signer) Alg() string {
	if _, ok := s.Private.(*ecdsa.PrivateKey); ok {
		return "ES256"
	}
	return "RS256"
}

// JWK returns the public key as a JSON Web Key (RFC 7517) with an algorithm.
func (s Signer) JWK() string {
	return fmt.Sprintf(`{"kid":%q,"use":"sig","alg":%q,%s}`, s.ID, s.Alg(), s.Members())
}

// Members returns the members of the JWK that describe the key itself, such as
// "kty" and "n".
func (s Signer) Members() string {
	switch public := s.Private.Public().(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`"kty":"RSA","n":%q,"e":"AQAB"`, B64(public.N.Bytes()))
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:] // without the 4 of an uncompressed point
		return fmt.Sprintf(`"kty":"EC","crv":"P-256","x":%q,"y":%q`,
			B64(point[:32]), B64(point[32:]))
	}
	panic(fmt.Sprintf("testkit: key of type %T", s.Private))
}

// Header returns the header of a token that the key signs.
func (s Signer) Header() string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, s.Alg(), s.ID)
}

// Sign returns a token with this header and payload. It does not check them.
func (s Signer) Sign(header, payload string) string {
	return s.SignInput(B64([]byte(header)) + "." + B64([]byte(payload)))
}

// SignInput returns the token that consists of input and its signature.
func (s Signer) SignInput(input string) string {
	return input + "." + B64(s.Signature(input))
}

// Signature returns the signature of input as in RFC 7518 §3.3 or §3.4.
func (s Signer) Signature(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	switch private := s.Private.(type) {
	case *rsa.PrivateKey:
		return must(rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:]))
	case *ecdsa.PrivateKey:
		r, sum, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			panic(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		sum.FillBytes(signature[32:])
		return signature
	}
	panic(fmt.Sprintf("testkit: key of type %T", s.Private))
}

// Set returns the key set (RFC 7517 §5) of these JWKs.
func Set(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// SetOf returns the key set of these signers.
func SetOf(signers ...Signer) string {
	var jwks []string
	for _, s := range signers {
		jwks = append(jwks, s.JWK())
	}
	return Set(jwks...)
}

// B64 returns b in base64url without padding, as in RFC 7515 §2.
func B64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
