package jose

import (
	"errors"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	// maxHeader is the maximum size of an encoded header. Para's has 120 bytes.
	// It bounds the work that an unsigned header can cause.
	maxHeader = 1024
	maxKeyID  = 256
)

// Errors of a token's form, header and signature.
var (
	ErrSegments   = errors.New("not three parts separated by dots")
	ErrBase64     = errors.New("not unpadded canonical base64url")
	ErrHeaderSize = errors.New("header too large")
	ErrHeader     = errors.New("header") // wrapped by an error with the reason
	ErrAlgorithm  = errors.New("algorithm")
	ErrSignature  = errors.New("signature does not match")
)

// Token is a compact JWS (RFC 7515 §7.1), split at its dots and still encoded.
// Its fields are substrings of one string.
type Token struct {
	Header, Payload, Signature string
	SigningInput               string // header, dot, payload
}

// Split splits a token at its two dots. It returns ErrSegments if there are not
// three non-empty parts, and ErrHeaderSize if the header exceeds 1 KiB.
func Split(token string) (Token, error) {
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.IndexByte(signature, '.') >= 0 || header == "" || payload == "" ||
		signature == "" {
		return Token{}, ErrSegments
	}
	if len(header) > maxHeader {
		return Token{}, ErrHeaderSize
	}
	return Token{header, payload, signature, token[:len(header)+1+len(payload)]}, nil
}

// TokenID returns an identifier of a token: the first 32 characters of its
// signature. The prefix is unpredictable, is not a credential, and is
// unaffected by ECDSA malleability (r, s) → (r, n−s). It is a substring of
// token.
func TokenID(token string) string {
	signature := token[strings.LastIndexByte(token, '.')+1:]
	return signature[:min(len(signature), 32)]
}

// Header holds the members of a JOSE header that select the key and the
// algorithm (RFC 7515 §4.1).
type Header struct {
	Algorithm string
	KeyID     string
}

// headerNames are the names that ParseHeader reads, refuses or ignores by name.
var headerNames = []string{"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc",
	"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"}

// ParseHeader parses a decoded header. It refuses members that change the
// meaning of the token: crit in any form, because no extension is supported
// (RFC 7515 §4.1.11), b64 (RFC 7797), zip and enc, which belong to JWE (RFC
// 7516 §4.1), cty, which declares a nested token (RFC 7519 §5.2), and a typ
// other than JWT's (RFC 8725 §3.11). It ignores keys and links to keys (jwk,
// jku, x5u, x5c).
//
// The error is ErrAlgorithm if alg is missing or empty. Every other error wraps
// ErrHeader. If only kid is missing or empty, the algorithm is returned with
// the error.
func ParseHeader(text string) (Header, error) {
	var h Header
	d := strictjson.New(text)
	for name := range d.Object {
		switch name {
		case "alg":
			h.Algorithm = d.String()
		case "kid":
			if h.KeyID = d.String(); len(h.KeyID) > maxKeyID {
				d.Fail("kid longer than 256 bytes")
			}
		case "typ":
			if typ := d.String(); !strings.EqualFold(typ, "JWT") &&
				!strings.EqualFold(typ, "application/jwt") {
				d.Fail("typ is not JWT")
			}
		case "crit", "b64", "zip", "enc", "cty":
			d.Fail(name + " is not supported")
		case "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256":
			// Ignored: keys come from the key set only.
		default:
			d.RefuseCaseVariant(name, headerNames)
		}
	}
	if err := d.End(); err != nil {
		return Header{}, headerError{err.Error()}
	}
	if h.Algorithm == "" {
		return Header{}, ErrAlgorithm
	}
	if h.KeyID == "" {
		return h, headerError{"kid missing or empty"}
	}
	return h, nil
}

type headerError struct{ reason string }

func (e headerError) Error() string { return "header: " + e.reason }
func (e headerError) Unwrap() error { return ErrHeader }
