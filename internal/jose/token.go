package jose

import (
	"errors"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	// maxHeader is the longest header, encoded, that is looked at. Para's is about 120 bytes; the
	// rest is room for a certificate that nobody will use.
	maxHeader = 4096
	maxKeyID  = 256
)

// What is wrong with a token, as far as its outside and its header tell.
var (
	ErrSegments   = errors.New("not three parts between two dots")
	ErrBase64     = errors.New("not unpadded canonical base64url")
	ErrHeaderSize = errors.New("header too large")
	ErrHeader     = errors.New("header") // wrapped with the reason
	ErrAlgorithm  = errors.New("algorithm")
	ErrSignature  = errors.New("signature does not match")
)

// Token is a compact JWS (RFC 7515 §7.1), cut at its dots and still encoded. All four are parts of
// one string.
type Token struct {
	Header, Payload, Signature string
	SigningInput               string // header, dot, payload
}

// Split cuts a token at its two dots. It reads no further than a third one.
func Split(token string) (Token, error) {
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.IndexByte(signature, '.') >= 0 || header == "" || payload == "" || signature == "" {
		return Token{}, ErrSegments
	}
	if len(header) > maxHeader {
		return Token{}, ErrHeaderSize
	}
	return Token{header, payload, signature, token[:len(header)+1+len(payload)]}, nil
}

// TokenID names a token: the beginning of its signature. That much is as good as random, lets nobody in,
// and is the same for all signatures that can be made from this one without the key (an ECDSA
// signature r, s has a twin r, n-s). It is a part of the token's string.
func TokenID(token string) string {
	signature := token[strings.LastIndexByte(token, '.')+1:]
	return signature[:min(len(signature), 32)]
}

// Header is the part of a JOSE header that decides anything (RFC 7515 §4.1).
type Header struct {
	Algorithm string
	KeyID     string
}

// headerNames are those that any JOSE library gives a meaning to.
var headerNames = []string{"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc",
	"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"}

// ParseHeader reads a decoded header. It refuses what would change how the rest is to be read:
// crit in any form, because no extension is understood here (RFC 7515 §4.1.11), b64 (RFC 7797), zip and enc,
// which belong to JWE (RFC 7516 §4.1), cty, which announces a nested token (RFC 7519 §5.2), and a typ that is not
// JWT's (RFC 8725 §3.11). Keys and links to keys in the header (jwk, jku, x5u, x5c) are never looked at.
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
			if typ := d.String(); !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "application/jwt") {
				d.Fail("typ is not JWT")
			}
		case "crit", "b64", "zip", "enc", "cty":
			d.Fail(name + " is not supported")
		case "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256":
			// Registered, well-meant, and no way to a key for us.
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
