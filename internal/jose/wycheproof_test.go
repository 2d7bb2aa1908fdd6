package jose

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
)

// wycheproofGroup is a group of vectors that share a key. See
// testdata/wycheproof/README.md.
type wycheproofGroup struct {
	Type, Sha, Mgf, MgfSha string
	SLen                   int
	PublicKey              struct {
		Modulus, PublicExponent hexBytes
		Curve                   string
		Uncompressed, PK        hexBytes
	}
	Public, Private json.RawMessage // a JWK or a JWK Set
	Tests           []struct {
		TcID                 int
		Comment, Result, JWS string
		Msg, Sig             hexBytes
	}
}

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

func wycheproof(t *testing.T) (files map[string][]wycheproofGroup) {
	t.Helper()
	f, err := os.Open("testdata/wycheproof/vectors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&files); err != nil {
		t.Fatal(err)
	}
	return files
}

// key returns the group's key as a JWK, and the algorithm of RFC 7518 for its
// signatures. fits reports whether the signatures have exactly that algorithm.
func (g *wycheproofGroup) key(t *testing.T) (key fields, alg string, fits bool) {
	t.Helper()
	bits, fits := strings.CutPrefix(g.Sha, "SHA-")
	switch g.Type {
	case "RsassaPkcs1Verify", "RsassaPssVerify":
		key = rsaJWK(new(big.Int).SetBytes(g.PublicKey.Modulus),
			new(big.Int).SetBytes(g.PublicKey.PublicExponent))
		if g.Type == "RsassaPkcs1Verify" {
			return key, "RS" + bits, fits
		}
		salt := map[string]int{"256": 32, "384": 48, "512": 64}[bits]
		fits = fits && salt > 0 && g.SLen == salt && g.Mgf == "MGF1" && g.MgfSha == g.Sha
		if salt == 0 {
			bits = "256" // no algorithm uses this hash
		}
		return key, "PS" + bits, fits
	case "EcdsaP1363Verify":
		names := map[string]string{"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
		point := g.PublicKey.Uncompressed[1:]
		half := len(point) / 2
		key = fields{"kty": "EC", "kid": "k", "crv": names[g.PublicKey.Curve],
			"x": b64(point[:half]), "y": b64(point[half:])}
		return key, "ES" + bits, fits
	case "EddsaVerify":
		return fields{"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": b64(g.PublicKey.PK)},
			"EdDSA", true
	}
	t.Fatalf("unknown type %q", g.Type)
	return nil, "", false
}

// These are vectors for signatures. PSS vectors whose salt length, hash or mask
// generation function differs from RFC 7518 §3.5 are all refused. This includes
// vectors that are valid under their own parameters.
func TestWycheproofSignatures(t *testing.T) {
	files := wycheproof(t)
	total, otherParameters := 0, 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "json_web") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			accepted, refused := 0, 0
			for _, g := range files[name] {
				jwk, alg, fits := g.key(t)
				keys, skipped, err := ParseSet(set(jwk.String()), []string{alg})
				if err != nil {
					t.Fatal(err)
				}
				key := keys["k"]
				for _, tt := range g.Tests {
					total++
					// Acceptable are PKCS #1 signatures without the NULL in
					// their AlgorithmIdentifier. RFC 8017 §8.2.2 step 4 leaves
					// them out.
					want := fits && tt.Result == "valid"
					if name == "rsa_pss_2048_sha256_mgf1_0" && tt.Comment == "s_len changed to 32" {
						want = true // a group without salt, and this one has PS256's
					}
					if tt.Result == "valid" && !fits {
						otherParameters++
					}
					// Keys that are too weak or have another exponent are
					// skipped.
					got := key != nil && key.Verify(tt.Msg, tt.Sig) == nil
					if got != want {
						t.Errorf("tcId %d %q (%s, salt %d): accepted is %t, want %t; skipped %+v",
							tt.TcID, tt.Comment, g.Sha, g.SLen, got, want, skipped)
					}
					if got {
						accepted++
					} else {
						refused++
					}
				}
			}
			if accepted+refused == 0 {
				t.Error("no vectors")
			}
			t.Logf("%d accepted, %d refused", accepted, refused)
		})
	}
	t.Logf("%d vectors; %d are valid under parameters that no algorithm of RFC 7518 has",
		total, otherParameters)
}

// verifyToken verifies a token in the order in which package middleware does.
func verifyToken(set, token string) error {
	keys, skipped, err := ParseSet(set, Algorithms())
	if err != nil {
		return err
	}
	cut, err := Split(token)
	if err != nil {
		return err
	}
	text, err := AppendDecoded(nil, cut.Header)
	if err != nil {
		return err
	}
	header, err := ParseHeader(string(text))
	if err != nil {
		return err
	}
	signature, err := AppendDecoded(nil, cut.Signature)
	if err != nil {
		return err
	}
	if _, err := AppendDecoded(nil, cut.Payload); err != nil {
		return err
	}
	key := keys[header.KeyID]
	switch {
	case key == nil && len(skipped) > 0:
		return errors.New(skipped[0].Reason)
	case key == nil:
		return errors.New("unknown key")
	case key.Algorithm != header.Algorithm:
		return ErrAlgorithm
	}
	return key.Verify([]byte(cut.SigningInput), signature)
}

// These are vectors for tokens and key sets. Every invalid token is refused.
// Valid tokens that are refused too are counted by reason.
func TestWycheproofTokens(t *testing.T) {
	files := wycheproof(t)
	reasons := make(map[string]int)
	accepted, refused := 0, 0
	for _, name := range []string{"json_web_signature", "json_web_key"} {
		for _, g := range files[name] {
			keys := string(g.Public)
			if keys == "" {
				keys = string(g.Private) // symmetric
			}
			if !strings.Contains(keys, `"keys"`) {
				keys = set(keys)
			}
			for _, tt := range g.Tests {
				err := verifyToken(keys, tt.JWS)
				switch {
				case err == nil && tt.Result != "valid":
					t.Errorf("%s tcId %d %q: accepted", name, tt.TcID, tt.Comment)
				case err == nil:
					accepted++
				case tt.Result != "valid":
					refused++
				default:
					reasons[err.Error()]++
				}
			}
		}
	}
	t.Logf("%d accepted, %d refused, valid but refused: %v", accepted, refused, reasons)
	want := map[string]int{
		"symmetric key": 12,
		// RFC 7520's figures, with a PS256 key for PS384, and with "ES521" for
		// ES512.
		"algorithm":                           2,
		"alg is not one for this type of key": 2,
		"not three parts separated by dots":   6, // an empty payload
		"not unpadded canonical base64url":    2, // with an invalid character
	}
	if !maps.Equal(reasons, want) {
		t.Errorf("valid tokens are refused as %v, want %v", reasons, want)
	}
}
