package middleware_test

import (
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// wycheproofGroup is a group of vectors that share a JWK or a JWK Set. See
// internal/jose/testdata/wycheproof/README.md.
type wycheproofGroup struct {
	Public, Private json.RawMessage
	Tests           []struct {
		TcID                 int
		Comment, Result, JWS string
	}
}

// wycheproofTokens returns the vectors for tokens and key sets.
func wycheproofTokens(t *testing.T) (groups []wycheproofGroup) {
	t.Helper()
	f, err := os.Open("../internal/jose/testdata/wycheproof/vectors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var files struct {
		JWS []wycheproofGroup `json:"json_web_signature"`
		JWK []wycheproofGroup `json:"json_web_key"`
	}
	if err := json.NewDecoder(z).Decode(&files); err != nil {
		t.Fatal(err)
	}
	return append(files.JWS, files.JWK...)
}

// vectorKey is a key of a vector. D is "" if it is public or symmetric.
type vectorKey struct{ Crv, N, E, D, P, Q string }

// signingKey returns the first key of the group's private JWK or JWK Set.
func (g *wycheproofGroup) signingKey(t *testing.T) vectorKey {
	t.Helper()
	var private struct {
		vectorKey
		Keys []vectorKey
	}
	if err := json.Unmarshal(g.Private, &private); err != nil {
		t.Fatal(err)
	}
	return append(private.Keys, private.vectorKey)[0]
}

// sign returns the signature of input with an asymmetric algorithm.
func (k vectorKey) sign(t *testing.T, alg, input string) []byte {
	t.Helper()
	number := func(text string) *big.Int {
		b, err := b64.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384,
		"512": crypto.SHA512}[alg[2:]]
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	if k.Crv != "" {
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(),
			"P-521": elliptic.P521()}[k.Crv]
		size := (curve.Params().BitSize + 7) / 8
		key, err := ecdsa.ParseRawPrivateKey(curve, number(k.D).FillBytes(make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())},
		D:         number(k.D), Primes: []*big.Int{number(k.P), number(k.Q)},
	}
	if key.E == 1 {
		return make([]byte, key.Size()) // crypto/rsa does not sign with this key
	}
	key.Precompute()
	var signature []byte
	var err error
	if alg[0] == 'P' {
		signature, err = rsa.SignPSS(rand.Reader, key, hash, digest,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	} else {
		signature, err = rsa.SignPKCS1v15(nil, key, hash, digest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

const (
	matches   = "signature matches"
	different = "signature does not match"
)

// verdict returns the reason why a token is refused, or "accepted". The payload
// of a vector is not that of a Para user. The verdict about a correct signature
// is therefore matches, a refusal by the check of the payload.
func verdict(t *testing.T, v *middleware.Validator, token string) string {
	t.Helper()
	user, err := v.Validate(t.Context(), token)
	var r *middleware.Error
	switch {
	case err == nil && user != nil:
		return "accepted"
	case user != nil || !errors.As(err, &r):
		t.Fatalf("got %v, %v", user, err)
	case r.Signed && r.Code == middleware.ErrMalformed && r.Check == middleware.CheckClaims:
		return matches
	case r.Signed:
		t.Fatalf("signed, but refused by %q: %v", r.Check, err)
	case r.Check == middleware.CheckSignature:
		return different
	case r.Cause != nil:
		return r.Cause.Error()
	}
	for _, key := range v.Status().Skipped {
		if key.KeyID == r.KeyID && r.Check == middleware.CheckKey {
			return key.Reason
		}
	}
	return string(r.Code)
}

// TestWycheproof validates the vectors for tokens and key sets. The key set has
// the vector's keys unchanged, because all of them have a kid. It also has a
// control key, because a key set without a usable key is refused. A token of
// the control key shows that the validator accepts tokens.
//
// A vector that is refused for its payload does not test its header and key.
// Each asymmetric vector is therefore signed again with the group's private
// key, with the same header and Para's claims. The result is accepted if the
// vector came as far as its signature. It is refused for the same reason if the
// vector's header or key was refused.
func TestWycheproof(t *testing.T) {
	valid, invalid, resigned := make(map[string]int), make(map[string]int), make(map[string]int)
	control := testkit.EC(0).Named("control")
	for _, g := range wycheproofTokens(t) {
		keys := string(g.Public)
		if keys == "" {
			keys = string(g.Private) // symmetric
		}
		if _, list, ok := strings.Cut(keys, `"keys":[`); ok {
			keys = strings.TrimSuffix(list, "]}")
		}
		v := newValidator(t, middleware.Config{
			Environment: jwks.Beta, Algorithms: jose.Algorithms(),
			Keys: jwks.Config{Offline: true,
				Initial: jwks.FromKeySet(jwks.Beta, []byte(testkit.Set(keys, control.JWK())))},
		})
		accepts(t, v, sign(control))
		private := g.signingKey(t)
		for _, tt := range g.Tests {
			got := verdict(t, v, tt.JWS)
			if tt.Result == "valid" {
				valid[got]++
			} else {
				invalid[got]++
			}
			if got == "accepted" || got == matches && tt.Result != "valid" {
				t.Errorf("tcId %d %q (%s): %s", tt.TcID, tt.Comment, tt.Result, got)
			}

			encoded, _, _ := strings.Cut(tt.JWS, ".")
			text, _ := b64.DecodeString(encoded)
			var header struct{ Alg string }
			err := json.Unmarshal(text, &header)
			if err != nil || private.D == "" || !slices.Contains(jose.Algorithms(), header.Alg) {
				continue
			}
			input := encoded + "." + b64.EncodeToString([]byte(goodPayload))
			token := input + "." + b64.EncodeToString(private.sign(t, header.Alg, input))
			again := verdict(t, v, token)
			resigned[again]++
			want := got
			switch got {
			case matches, different:
				want = "accepted"
			case jose.ErrSegments.Error(), jose.ErrBase64.Error():
				continue // the re-signed token has another form
			}
			if again != want {
				t.Errorf("tcId %d %q, signed again: %s, want %s", tt.TcID, tt.Comment, again, want)
			}
		}
	}

	// The reasons why a token is refused before its signature is checked. HMAC
	// is never on the allow-list. The same keys and headers are refused however
	// the token is signed.
	badKeyOrHeader := map[string]int{
		"alg is not one for this type of key":                         2,
		"alg is not the algorithm of its key":                         5,
		"key_ops lacks verify":                                        2,
		"n or e is missing or not canonical base64url":                1,
		"point is not on the curve":                                   1,
		"RSA modulus has the fingerprint of ROCA: it can be factored": 1,
		"unknown_key":    2,
		"use is not sig": 4,
		"x and y do not have 48 bytes each, as their curve demands": 1,
	}
	with := func(more map[string]int) map[string]int {
		all := maps.Clone(badKeyOrHeader)
		for reason, n := range more {
			all[reason] += n
		}
		return all
	}
	for _, test := range []struct {
		name      string
		got, want map[string]int
	}{
		{"valid", valid, map[string]int{
			matches:                                27,
			`alg "HS256" is not on the allow-list`: 11,
			`alg "HS384" is not on the allow-list`: 1,
			`alg "HS512" is not on the allow-list`: 1,
			jose.ErrSegments.Error():               6, // an empty payload
			jose.ErrBase64.Error():                 1, // with an invalid character
			// RFC 7520's figures, with a PS256 key for PS384, and with "ES521"
			// for ES512.
			"alg is not the algorithm of its key": 2,
			"alg is not one for this type of key": 2,
		}},
		{"invalid", invalid, with(map[string]int{
			different:                              291,
			`alg "HS256" is not on the allow-list`: 23,
			`alg "HS384" is not on the allow-list`: 2,
			`alg "HS512" is not on the allow-list`: 2,
			jose.ErrSegments.Error():               34,
			jose.ErrBase64.Error():                 2,
			"no_token":                             3,
		})},
		// The valid vectors of RFC 7520 are refused here too. The last two have
		// an empty payload, so that only a re-signed token comes as far as
		// their key.
		{"signed again", resigned, with(map[string]int{
			"accepted":                                           332,
			"alg is not the algorithm of its key":                2,
			"alg is not one for this type of key":                2,
			"RSA key of less than 2048 bits":                     1,
			"RSA exponent is not odd, at least 3 and below 2^31": 1,
		})},
	} {
		t.Logf("%s: %v", test.name, test.got)
		if !maps.Equal(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}
