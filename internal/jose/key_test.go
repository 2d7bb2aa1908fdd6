package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// These keys sign in the tests. Each is generated once per process.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		for { // a modulus with room above it: see TestVerifyRSANotReduced
			if key := must(rsa.GenerateKey(rand.Reader, 2048)); key.N.Bytes()[0] < 0xe0 {
				return key
			}
		}
	})
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	})
	p256Key = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	})
	p384Key = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	})
	p521Key = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	})
	edKey = sync.OnceValue(func() ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(random(ed25519.SeedSize))
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// fields is a JWK. It marshals with its names in order.
type fields map[string]any

func (f fields) String() string { return string(must(json.Marshal(f))) }

// with returns a copy with one member set, or removed where the value is nil.
func (f fields) with(name string, value any) fields {
	f = maps.Clone(f)
	if f[name] = value; value == nil {
		delete(f, name)
	}
	return f
}

func rsaJWK(n, e *big.Int) fields {
	return fields{"kty": "RSA", "kid": "k", "n": b64(n.Bytes()), "e": b64(e.Bytes())}
}

func ecJWK(crv string, public *ecdsa.PublicKey) fields {
	point := must(public.Bytes())[1:] // without the 4 of an uncompressed point
	half := len(point) / 2
	return fields{"kty": "EC", "kid": "k", "crv": crv, "x": b64(point[:half]),
		"y": b64(point[half:])}
}

// realJWK returns the public half of a private key as a JWK without alg.
func realJWK(private crypto.Signer) fields {
	switch public := private.Public().(type) {
	case *rsa.PublicKey:
		return rsaJWK(public.N, big.NewInt(int64(public.E)))
	case *ecdsa.PublicKey:
		return ecJWK(public.Params().Name, public)
	case ed25519.PublicKey:
		return fields{"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": b64(public)}
	default:
		panic(fmt.Sprintf("%T", public))
	}
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// parseOne reads a set of one key, which must be kept.
func parseOne(t *testing.T, key fields, allowed ...string) *Key {
	t.Helper()
	keys, skipped, err := ParseSet(set(key.String()), allowed)
	if err != nil || len(skipped) > 0 || len(keys) != 1 {
		t.Fatalf("ParseSet(%s): %d keys, skipped %+v, %v", key, len(keys), skipped, err)
	}
	for id, k := range keys {
		if id != k.ID {
			t.Errorf("the key under %q has the ID %q", id, k.ID)
		}
		return k
	}
	return nil
}

// modulus returns an odd number with this many bits. ParseSet does not need its
// factors.
func modulus(bits int) *big.Int {
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	return n.SetBit(n, bits/2, 1)
}

var e65537 = big.NewInt(65537)

func TestAlgorithms(t *testing.T) {
	want := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
		"ES512", "EdDSA"}
	got := Algorithms()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, alg := range got {
		if strings.HasPrefix(alg, "HS") || strings.EqualFold(alg, "none") {
			t.Errorf("%s can be allowed", alg)
		}
	}
	got[0] = "none"
	if !slices.Equal(Algorithms(), want) {
		t.Error("a caller can change the list")
	}
}

func TestParseSetKeeps(t *testing.T) {
	r, all := rsaJWK(modulus(2048), e65537), Algorithms()
	p256, p384, p521, ed := realJWK(p256Key()), realJWK(p384Key()), realJWK(p521Key()),
		realJWK(edKey())
	long := strings.Repeat("k", 256)
	for _, tt := range []struct {
		name    string
		key     fields
		allowed []string
		alg     string
		size    int // of a signature
	}{
		{"RSA of 2048 bits", r, all, "RS256", 256},
		{"RSA of 2049 bits", rsaJWK(modulus(2049), e65537), all, "RS256", 257},
		{"RSA of 3072 bits", rsaJWK(modulus(3072), e65537), all, "RS256", 384},
		{"RSA of 4096 bits", rsaJWK(modulus(4096), e65537), all, "RS256", 512},
		{"RSA of 8192 bits", rsaJWK(modulus(8192), e65537), all, "RS256", 1024},
		{"exponent 3", rsaJWK(modulus(2048), big.NewInt(3)), all, "RS256", 256},
		{"exponent 2^31-1", rsaJWK(modulus(2048), big.NewInt(1<<31-1)), all, "RS256", 256},
		{"P-256", p256, all, "ES256", 64},
		{"P-384", p384, all, "ES384", 96},
		{"P-521", p521, all, "ES512", 132},
		{"Ed25519", ed, all, "EdDSA", 64},

		{"use sig", r.with("use", "sig"), all, "RS256", 256},
		{"key_ops verify", r.with("key_ops", []string{"verify"}), all, "RS256", 256},
		{"key_ops sign and verify", r.with("key_ops", []string{"sign", "verify"}), all, "RS256",
			256},
		{"key_ops verify and sign", r.with("key_ops", []string{"verify", "sign"}), all, "RS256",
			256},
		{"kid of 256 bytes", r.with("kid", long), all, "RS256", 256},
		{"unknown members", r.with("x", []any{1, fields{"y": nil}}).with("iat", 1), all, "RS256",
			256},
		{"a modulus with a leading zero", r.with("n",
			b64(append([]byte{0}, modulus(2048).Bytes()...))), all, "RS256", 256},
		{"an exponent with a leading zero", r.with("e", "AAEAAQ"), all, "RS256", 256},
		{"certificates, which are not read", r.with("x5u", "https://127.0.0.1:1/").with("x5t",
			"AA").with("x5c", []string{"AAAA"}), all, "RS256", 256},

		{"alg RS256", r.with("alg", "RS256"), all, "RS256", 256},
		{"alg PS512", r.with("alg", "PS512"), all, "PS512", 256},
		{"alg ES256", p256.with("alg", "ES256"), all, "ES256", 64},
		{"alg ES512", p521.with("alg", "ES512"), all, "ES512", 132},
		{"alg EdDSA", ed.with("alg", "EdDSA"), all, "EdDSA", 64},
		{"alg is not the first allowed", r.with("alg", "RS256"),
			[]string{"ES256", "PS256", "RS256"}, "RS256", 256},
		{"no alg: the first allowed that fits", r,
			[]string{"ES256", "EdDSA", "PS384", "RS256", "PS256"}, "PS384", 256},
		{"no alg: the only one that fits", p384, []string{"RS256", "ES256", "ES384"}, "ES384", 96},
		{"what is allowed cannot make it symmetric", r, []string{"HS256", "none", "", "RS384"},
			"RS384", 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := parseOne(t, tt.key, tt.allowed...)
			if k.ID != tt.key["kid"] || k.Algorithm != tt.alg || k.size != tt.size {
				t.Errorf("ID %q, algorithm %s, signatures of %d bytes, want %q, %s, %d", k.ID,
					k.Algorithm, k.size, tt.key["kid"], tt.alg, tt.size)
			}
			if k.JSON != tt.key.String() {
				t.Errorf("JSON = %s, want %s", k.JSON, tt.key)
			}
			if err := recheck(k, tt.allowed); err != nil {
				t.Error(err)
			}
		})
	}
}

// This set has one key of each kind that is skipped, between two usable keys.
func TestParseSetSkips(t *testing.T) {
	r, all := rsaJWK(modulus(2048), e65537), Algorithms()
	p256, p384, p521, ed := realJWK(p256Key()), realJWK(p384Key()), realJWK(p521Key()),
		realJWK(edKey())
	// The generator of secp256k1.
	k1x, _ := new(big.Int).SetString(
		"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 16)
	k1y, _ := new(big.Int).SetString(
		"483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8", 16)
	secp256k1 := p256.with("crv", "secp256k1").with("x", b64(k1x.Bytes())).
		with("y", b64(k1y.Bytes()))
	x, _ := base64.RawURLEncoding.DecodeString(p256["x"].(string))
	x521, _ := base64.RawURLEncoding.DecodeString(p521["x"].(string))
	x521PlusP := new(big.Int).Add(new(big.Int).SetBytes(x521),
		elliptic.P521().Params().P).FillBytes(make([]byte, 66))
	xPlusP := new(big.Int).Add(new(big.Int).SetBytes(x), elliptic.P256().Params().P)
	pow := func(bits uint, plus int64) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		return n.Add(n, big.NewInt(plus))
	}
	even := modulus(2048)
	even.SetBit(even, 0, 0)
	double := func(member string) string {
		return strings.TrimSuffix(r.String(), "}") + "," +
			member + "}"
	}

	const (
		exponent = "RSA exponent is not odd, at least 3 and below 2^31"
		curve    = "point is not on the curve"
		private  = "private key in a public set"
		wrongAlg = "alg is not one for this type of key"
		refused  = "algorithm is not allowed here"
		numbersN = "n or e is missing or not canonical base64url"
		numbersX = "x or y is missing or not canonical base64url"
		wrongCrv = "crv is not supported for this kty"
		length   = "x and y do not have 32 bytes each, as their curve demands"
		anything = ""
	)
	type row struct {
		name, key string
		allowed   []string
		id        string
		reason    string
	}
	tests := []row{
		{"RSA of 2047 bits", rsaJWK(modulus(2047), e65537).String(), all, "k",
			"RSA key of less than 2048 bits"},
		{"RSA of 1024 bits", rsaJWK(modulus(1024), e65537).String(), all, "k",
			"RSA key of less than 2048 bits"},
		{"RSA of 8 bits", rsaJWK(modulus(8), e65537).String(), all, "k",
			"RSA key of less than 2048 bits"},
		{"RSA of 8193 bits", rsaJWK(modulus(8193), e65537).String(), all, "k",
			"RSA key of more than 8192 bits"},
		{"RSA of 16384 bits", rsaJWK(modulus(16384), e65537).String(), all, "k",
			"RSA key of more than 8192 bits"},
		{"RSA of a million bits", rsaJWK(modulus(1_000_000), e65537).String(), all, "k",
			"RSA key of more than 8192 bits"},
		{"modulus zero", r.with("n", "AA").String(), all, "k", "RSA key of less than 2048 bits"},
		{"modulus empty", r.with("n", "").String(), all, "k", "RSA key of less than 2048 bits"},
		{"modulus even", rsaJWK(even, e65537).String(), all, "k", "RSA modulus is even"},
		{"modulus missing", r.with("n", nil).String(), all, "k", numbersN},
		{"modulus a number", r.with("n", 5).String(), all, "k", numbersN},
		{"modulus not base64", r.with("n", "!").String(), all, "k", numbersN},
		{"modulus padded", r.with("n", r["n"].(string)+"=").String(), all, "k", numbersN},
		{"modulus with an LF", r.with("n", r["n"].(string)+"\n").String(), all, "k", numbersN},
		{"modulus with a CR", r.with("n", r["n"].(string)+"\r").String(), all, "k", numbersN},
		{"modulus with an LF inside", r.with("n", "\n"+r["n"].(string)).String(), all, "k",
			numbersN},
		{"modulus with unused bits", r.with("n", r["n"].(string)[:341]+"R").String(), all, "k",
			numbersN},
		{"modulus in the standard alphabet", r.with("n", "+/"+r["n"].(string)[2:]).String(), all,
			"k", numbersN},
		{"exponent padded", r.with("e", "AQAB====").String(), all, "k", numbersN},
		{"exponent with unused bits", r.with("e", "Ax").String(), all, "k", numbersN},
		{"x padded", p256.with("x", p256["x"].(string)+"=").String(), all, "k", numbersX},
		{"x with an LF", p256.with("x", p256["x"].(string)+"\n").String(), all, "k", numbersX},
		{"y with a CR", p256.with("y", "\r"+p256["y"].(string)).String(), all, "k", numbersX},
		{"Ed25519 padded", ed.with("x", ed["x"].(string)+"=").String(), all, "k",
			"x is missing or not canonical base64url"},
		{"Ed25519 without x", ed.with("x", nil).String(), all, "k",
			"x is missing or not canonical base64url"},
		{"exponent missing", r.with("e", nil).String(), all, "k", numbersN},
		{"exponent a number", r.with("e", 65537).String(), all, "k", numbersN},
		{"exponent empty", r.with("e", "").String(), all, "k", exponent},
		{"exponent 0", r.with("e", "AA").String(), all, "k", exponent},
		{"exponent 1", rsaJWK(modulus(2048), big.NewInt(1)).String(), all, "k", exponent},
		{"exponent 2", rsaJWK(modulus(2048), big.NewInt(2)).String(), all, "k", exponent},
		{"exponent 65536", rsaJWK(modulus(2048), big.NewInt(65536)).String(), all, "k", exponent},
		{"exponent 2^31", rsaJWK(modulus(2048), pow(31, 0)).String(), all, "k", exponent},
		{"exponent 2^31+1", rsaJWK(modulus(2048), pow(31, 1)).String(), all, "k", exponent},
		{"exponent 2^32+3", rsaJWK(modulus(2048), pow(32, 3)).String(), all, "k", exponent},
		{"exponent 2^63+1", rsaJWK(modulus(2048), pow(63, 1)).String(), all, "k", exponent},
		// The last 64 bits alone would be a valid exponent.
		{"exponent 2^64+3", rsaJWK(modulus(2048), pow(64, 3)).String(), all, "k", exponent},
		{"exponent 2^64+65537", rsaJWK(modulus(2048), pow(64, 65537)).String(), all, "k", exponent},
		{"exponent 2^2000+65537", rsaJWK(modulus(2048), pow(2000, 65537)).String(), all, "k",
			exponent},

		{"point not on the curve", p256.with("y", p256["x"]).String(), all, "k", curve},
		{"point zero, 32 bytes each", p256.with("x", b64(make([]byte, 32))).with("y",
			b64(make([]byte, 32))).String(), all, "k", curve},
		{"point zero", p256.with("x", "AA").with("y", "AA").String(), all, "k", length},
		{"x with the field's prime added, in 66 bytes", p521.with("x", b64(x521PlusP)).String(),
			all, "k", curve},
		{"x with a leading zero", p256.with("x", b64(append([]byte{0}, x...))).String(), all, "k",
			length},
		{"x not reduced", p256.with("x", b64(xPlusP.Bytes())).String(), all, "k", length},
		{"x cut off", p256.with("x", b64(x[:31])).String(), all, "k", length},
		{"x empty", p256.with("x", "").String(), all, "k", length},
		{"x missing", p256.with("x", nil).String(), all, "k", numbersX},
		{"y missing", p256.with("y", nil).String(), all, "k", numbersX},
		{"x a number", p256.with("x", 1).String(), all, "k", numbersX},
		{"point of P-384 on P-256", p384.with("crv", "P-256").String(), all, "k", length},
		{"point of P-256 on P-384", p256.with("crv", "P-384").String(), all, "k",
			strings.Replace(length, "32", "48", 1)},
		{"secp256k1", secp256k1.String(), all, "k", wrongCrv},
		{"secp256k1 with alg", secp256k1.with("alg", "ES256K").String(), append(all, "ES256K"), "k",
			wrongCrv},
		{"point of secp256k1 on P-256", secp256k1.with("crv", "P-256").String(), all, "k", curve},
		{"P-224", p256.with("crv", "P-224").String(), all, "k", wrongCrv},
		{"no crv", p256.with("crv", nil).String(), all, "k", wrongCrv},
		{"crv a number", p256.with("crv", 256).String(), all, "k", wrongCrv},
		{"Ed25519 as EC", p256.with("crv", "Ed25519").with("x", ed["x"]).with("y", nil).String(),
			all, "k", numbersX},
		{"crv Ed25519 for EC", p256.with("crv", "Ed25519").String(), all, "k", wrongCrv},

		{"Ed25519 of 31 bytes", ed.with("x", b64(random(31))).String(), all, "k",
			"x does not have 32 bytes, as Ed25519 demands"},
		{"Ed25519 of 33 bytes", ed.with("x", b64(random(33))).String(), all, "k",
			"x does not have 32 bytes, as Ed25519 demands"},
		{"Ed25519 of no bytes", ed.with("x", "").String(), all, "k",
			"x does not have 32 bytes, as Ed25519 demands"},
		{"Ed25519 that is not allowed", ed.String(), []string{"RS256", "ES256"}, "k", refused},
		{"Ed448", ed.with("crv", "Ed448").with("x", b64(random(57))).String(), all, "k", wrongCrv},
		{"X25519", ed.with("crv", "X25519").String(), all, "k", wrongCrv},
		{"X25519 with alg", ed.with("crv", "X25519").with("alg", "EdDSA").String(), all, "k",
			wrongCrv},
		{"P-256 as OKP", ed.with("crv", "P-256").String(), all, "k", wrongCrv},

		{"oct", `{"kty":"oct","kid":"k","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko"}`, all, "k",
			"symmetric key"},
		{"oct with alg",
			`{"kty":"oct","kid":"k","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko"}`,
			append(all, "HS256"), "k", "symmetric key"},
		{"oct that says RS256",
			`{"kty":"oct","kid":"k","alg":"RS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko"}`, all,
			"k", "symmetric key"},
		{"RSA that says HS256", r.with("alg", "HS256").String(), append(all, "HS256"), "k",
			wrongAlg},
		{"RSA that says none", r.with("alg", "none").String(), append(all, "none"), "k", wrongAlg},
		{"RSA that says rs256", r.with("alg", "rs256").String(), append(all, "rs256"), "k",
			wrongAlg},
		{"RSA that says ES256", r.with("alg", "ES256").String(), all, "k", wrongAlg},
		{"RSA for encryption", r.with("alg", "RSA-OAEP").String(), all, "k", wrongAlg},
		{"P-256 that says RS256", p256.with("alg", "RS256").String(), all, "k", wrongAlg},
		{"P-256 that says ES384", p256.with("alg", "ES384").String(), all, "k", wrongAlg},
		{"P-384 that says ES256", p384.with("alg", "ES256").String(), all, "k", wrongAlg},
		{"Ed25519 that says ES256", ed.with("alg", "ES256").String(), all, "k", wrongAlg},
		{"alg a number", r.with("alg", 256).String(), all, "", anything},
		{"alg empty", r.with("alg", "").String(), all, "", anything},
		{"alg null", `{"alg":null,` + r.String()[1:], all, "", anything},
		{"RSA that says RS384, RS256 allowed", r.with("alg", "RS384").String(),
			[]string{"RS256", "ES256"}, "k", refused},
		{"RSA, ES256 allowed", r.String(), []string{"ES256"}, "k", refused},
		{"P-384, ES256 allowed", p384.String(), []string{"ES256"}, "k", refused},
		{"RSA, only HS256 and none allowed", r.String(), []string{"HS256", "none"}, "k", refused},
		{"RSA, nothing allowed", r.String(), nil, "k", refused},

		{"use enc", r.with("use", "enc").String(), all, "k", "use is not sig"},
		{"use SIG", r.with("use", "SIG").String(), all, "k", "use is not sig"},
		{"use unknown", r.with("use", "wrap").String(), all, "k", "use is not sig"},
		{"use empty", r.with("use", "").String(), all, "k", "use is not sig"},
		{"use null", `{"use":null,` + r.String()[1:], all, "", anything},
		{"use an array", r.with("use", []string{"sig"}).String(), all, "", anything},
		{"key_ops sign", r.with("key_ops", []string{"sign"}).String(), all, "k",
			"key_ops lacks verify"},
		{"key_ops empty", r.with("key_ops", []string{}).String(), all, "k", "key_ops lacks verify"},
		{"key_ops Verify", r.with("key_ops", []string{"Verify"}).String(), all, "k",
			"key_ops lacks verify"},
		{"key_ops for encryption", r.with("key_ops", []string{"encrypt", "wrapKey"}).String(), all,
			"k", "key_ops lacks verify"},
		{"key_ops a string", r.with("key_ops", "verify").String(), all, "", anything},
		{"key_ops null", `{"key_ops":null,` + r.String()[1:], all, "", anything},
		{"key_ops with a number", r.with("key_ops", []any{"verify", 1}).String(), all, "",
			anything},

		{"no kid", r.with("kid", nil).String(), all, "", "no kid"},
		{"kid empty", r.with("kid", "").String(), all, "", "no kid"},
		{"kid null", `{"kid":null,` + r.with("kid", nil).String()[1:], all, "", anything},
		{"kid a number", r.with("kid", 1).String(), all, "", anything},
		{"kid an array", r.with("kid", []string{"k"}).String(), all, "", anything},
		{"kid of 257 bytes", r.with("kid", strings.Repeat("k", 257)).String(), all, "",
			"kid longer than 256 bytes"},
		{"no kty", r.with("kty", nil).String(), all, "k", "unknown kty"},
		{"kty in another case", r.with("kty", "rsa").String(), all, "k", "unknown kty"},
		{"kty of the future", r.with("kty", "AKP").String(), all, "k", "unknown kty"},
		{"kty a number", r.with("kty", 1).String(), all, "", anything},
		{"kty null", `{"kty":null,` + r.with("kty", nil).String()[1:], all, "", anything},
		{"kty EC with the numbers of RSA", r.with("kty", "EC").String(), all, "k", numbersX},
		{"kty RSA with the numbers of EC", p256.with("kty", "RSA").String(), all, "k", numbersN},

		{"null", `null`, all, "", anything},
		{"a number", `1`, all, "", anything},
		{"true", `true`, all, "", anything},
		{"a string", `"RSA"`, all, "", anything},
		{"an array", `[` + r.String() + `]`, all, "", anything},
		{"a set", set(r.String()), all, "", anything},
		{"an empty object", `{}`, all, "", "no kid"},
		{"duplicate kid", double(`"kid":"k"`), all, "", anything},
		{"duplicate n", double(`"n":"AQAB"`), all, "", anything},
		{"duplicate use", double(`"use":"enc","use":"sig"`), all, "", anything},
		// jwx matches the name kty in any case.
		{"kty and Kty", double(`"Kty":"EC","crv":"P-256","x":"` + p256["x"].(string) + `","y":"` +
			p256["y"].(string) + `"`), all, "", anything},
		{"kty and KTY", double(`"KTY":"oct","k":"AAAA"`), all, "", anything},
		{"kty with the Kelvin sign", double(`"\u212aty":"oct","k":"AAAA"`), all, "", anything},
		{"invalid UTF-8 in kid", `{"kid":"` + "\xc3\x28" + `",` + r.with("kid", nil).String()[1:],
			all, "", anything},
	}
	// A key with a private member is skipped. The value of the member and the
	// type of the key have no effect.
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		for _, key := range []fields{r, p256, ed} {
			tests = append(tests, row{fmt.Sprintf("%s with %s", key["kty"], name),
				key.with(name, "AQAB").String(), all, "k", private})
		}
		tests = append(tests,
			row{name + " null", double(`"` + name + `":null`), all, "k", private},
			row{name + " empty", double(`"` + name + `":""`), all, "k", private})
	}
	for _, point := range smallOrder() {
		tests = append(tests, row{"Ed25519 of small order " + b64([]byte(point)),
			ed.with("x", b64([]byte(point))).String(), all, "k", "Ed25519 key of small order"})
	}
	rk := rsaKey()
	tests = append(tests,
		row{"RSA private", realJWK(rk).with("d", b64(rk.D.Bytes())).with("p",
			b64(rk.Primes[0].Bytes())).with("q", b64(rk.Primes[1].Bytes())).String(), all, "k",
			private},
		row{"EC private", p256.with("d", b64(must(p256Key().Bytes()))).String(), all, "k", private},
		row{"OKP private", ed.with("d", b64(edKey().Seed())).String(), all, "k", private},
	)

	good := []fields{realJWK(rsaKey()).with("kid", "good 1"),
		realJWK(otherRSA()).with("kid", "good 2")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The key is parsed alone, because the row may not allow the
			// algorithms of the usable keys.
			keys, skipped, err := ParseSet(set(tt.key), tt.allowed)
			if err != nil || len(keys) != 0 || len(skipped) != 1 {
				t.Fatalf("%d keys, %d skipped, %v, want one skipped", len(keys), len(skipped), err)
			}
			if s := skipped[0]; s.Index != 0 || s.KeyID != tt.id || s.Reason == "" ||
				tt.reason != anything && s.Reason != tt.reason {
				t.Errorf("skipped = %+v, want ID %q, reason %q", s, tt.id, tt.reason)
			}
			for _, value := range leaks(tt.key) {
				if strings.Contains(skipped[0].Reason, value) {
					t.Errorf("the reason quotes the key: %q", skipped[0].Reason)
				}
			}

			keys, skipped, err = ParseSet(set(good[0].String(), tt.key, good[1].String()),
				append([]string{"RS256"}, tt.allowed...))
			if err != nil || keys["good 1"] == nil || keys["good 2"] == nil {
				t.Fatalf("a bad key lost the good ones: %v, %+v, %v", keys, skipped, err)
			}
			// An algorithm that was not allowed before may be allowed now.
			if tt.reason != refused && (len(keys) != 2 || len(skipped) != 1 ||
				skipped[0].Index != 1) {
				t.Errorf("%d keys, skipped %+v", len(keys), skipped)
			}
		})
	}
}

// smallOrder returns all encodings of points whose order divides 8, including
// those with an unreduced coordinate. Anybody can sign for them.
func smallOrder() (points []string) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		for _, sign := range []byte{0, 0x80} {
			point := must(hex.DecodeString(y))
			point[31] |= sign
			points = append(points, string(point))
		}
	}
	return points
}

// leaks returns the longer strings of a key, which no reason may quote.
func leaks(key string) (values []string) {
	for i, value := range strings.Split(key, `"`) {
		if i%2 == 1 && len(value) > 12 {
			values = append(values, value)
		}
	}
	return values
}

func TestParseSetReasonsQuoteNothing(t *testing.T) {
	const canary = "cAnArY"
	r := rsaJWK(modulus(2048), e65537)
	keys := []string{`"` + canary + `"`, `{"` + canary + `":1,"` + canary + `":2}`, `["` + canary +
		`"]`}
	for _, name := range []string{"kty", "use", "alg", "crv", "n", "e", "x", "y", "d", "k", "x5c",
		"x5t", "key_ops"} {
		for _, value := range []any{canary, canary + "!", []string{canary},
			fields{canary: canary}} {
			for _, key := range []fields{r, realJWK(p256Key()), realJWK(edKey())} {
				keys = append(keys, key.with(name, value).String())
			}
		}
	}
	for _, key := range keys {
		_, skipped, err := ParseSet(set(key), Algorithms())
		if all := fmt.Sprintf("%+v %v", skipped, err); strings.Contains(all, canary) {
			t.Errorf("%s: %s", key, all)
		}
	}
	for _, text := range []string{canary, `"` + canary + `"`, `{"keys":"` + canary + `"}`,
		`{"keys":[` + canary + `]}`, `{"` + canary + `":1}`,
		`{"keys":[]}` + canary, `{"` + canary + `":1,"` + canary + `":1,"keys":[]}`, `{"keys":[{"` +
			canary + `"}]}`} {
		if _, _, err := ParseSet(text, Algorithms()); err == nil ||
			strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestParseSetText(t *testing.T) {
	r := rsaJWK(modulus(2048), e65537)
	many := func(n int) string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = r.with("kid", strconv.Itoa(i)).String()
		}
		return set(keys...)
	}
	for _, tt := range []struct {
		name, text string
		keys       int
	}{
		{"no keys", `{"keys":[]}`, 0},
		{"one key", set(r.String()), 1},
		{"white space", " {\n \"keys\" : [ " + r.String() + "\t]\r\n} ", 1},
		{"other members", `{"a":{"keys":1},"keys":[` + r.String() + `],"b":[null]}`, 1},
		{"keys in an escape", `{"\u006beys":[` + r.String() + `]}`, 1},
		{"100 keys", many(100), 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, skipped, err := ParseSet(tt.text, Algorithms())
			if err != nil || len(skipped) > 0 || len(keys) != tt.keys || keys == nil {
				t.Errorf("%d keys, skipped %+v, %v, want %d keys", len(keys), skipped, err, tt.keys)
			}
		})
	}
	for _, tt := range []struct{ name, text string }{
		{"empty", ``},
		{"HTML", `<!DOCTYPE html><html><body>502 Bad Gateway</body></html>`},
		{"text", `keys`},
		{"null", `null`},
		{"a number", `1`},
		{"a string", `"keys"`},
		{"an array of keys", `[` + r.String() + `]`},
		{"one key, no set", r.String()},
		{"no member keys", `{}`},
		{"keys in another case", `{"Keys":[` + r.String() + `]}`},
		{"keys further in", `{"x":{"keys":[` + r.String() + `]}}`},
		{"keys null", `{"keys":null}`},
		{"keys an object", `{"keys":{"k":` + r.String() + `}}`},
		{"keys a string", `{"keys":"[]"}`},
		{"keys a number", `{"keys":0}`},
		{"keys twice", `{"keys":[` + r.String() + `],"keys":[]}`},
		{"101 keys", many(101)},
		{"101 times null", set(strings.Split(strings.Repeat("null ", 101), " ")[:101]...)},
		{"100,000 times null", set(strings.Split(strings.Repeat("null ", 100_000),
			" ")[:100_000]...)},
		{"trailing brace", set(r.String()) + "}"},
		{"trailing text", set(r.String()) + " x"},
		{"two sets", set(r.String()) + set(r.String())},
		{"byte order mark", "\ufeff" + set(r.String())},
		{"cut off", set(r.String())[:100]},
		{"cut off at the end", strings.TrimSuffix(set(r.String()), "}")},
		{"comma after the last key", `{"keys":[` + r.String() + `,]}`},
		{"no comma", `{"keys":[` + r.String() + r.String() + `]}`},
		{"a key that is not JSON", set(r.String(), `{"kty":RSA}`)},
		{"a key that is cut off", set(r.String(), `{"kty":"RSA"`)},
		{"a control character in a key", set(r.String(), "{\"kid\":\"\n\"}")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if keys, skipped, err := ParseSet(tt.text, Algorithms()); err == nil || keys != nil ||
				skipped != nil {
				t.Errorf("%d keys, skipped %+v, %v, want an error alone", len(keys), skipped, err)
			}
		})
	}
}

// A member that the key does not need may have any JSON value.
func TestParseSetIgnoresUnneededMembers(t *testing.T) {
	r, p256 := rsaJWK(modulus(2048), e65537), realJWK(p256Key())
	add := func(key fields, member string) string {
		return strings.TrimSuffix(key.String(), "}") + "," + member + "}"
	}
	nested := func(levels int) string {
		return strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	for name, key := range map[string]string{
		"x5c a number":               add(r, `"x5c":17`),
		"x5c not base64":             add(r, `"x5c":["!"]`),
		"x5t null":                   add(r, `"x5t":null`),
		"x5t#S256 half a surrogate":  add(r, `"x5t#S256":"\ud800"`),
		"x5u with a name twice":      add(r, `"x5u":{"a":1,"a":2}`),
		"x with invalid UTF-8":       add(r, "\"x\":\"\xff\""),
		"17 levels":                  add(r, `"other":`+nested(17)),
		"100,000 levels":             add(r, `"other":`+nested(100_000)),
		"EC numbers on an RSA key":   add(r, `"crv":5,"x":"!","y":null`),
		"RSA numbers on an EC key":   add(p256, `"n":5,"e":"AQ=="`),
		"names that differ in case":  add(r, `"other":1,"OTHER":2`),
		"crv with an escape":         strings.Replace(p256.String(), `"P-256"`, `"P\u002d256"`, 1),
		"private member further in":  add(r, `"other":{"d":"AQAB"}`),
		"a name near a private name": add(r, `"dd":1`),
	} {
		if keys, skipped, err := ParseSet(set(key), Algorithms()); err != nil || keys["k"] == nil {
			t.Errorf("%s: skipped %+v, %v", name, skipped, err)
		}
	}
	for name, key := range map[string]string{
		"x5t twice":             add(r, `"x5t":1,"x5t":1`),
		"N beside n":            add(r, `"N":"AQAB"`),
		"D, a private member?":  add(r, `"D":"AQAB"`),
		"KTY":                   add(r, `"KTY":"oct"`),
		"Key_Ops":               add(r, `"Key_Ops":[]`),
		"use with a long s":     add(r, `"u\u017fe":"enc"`),
		"n of an RSA key null":  strings.Replace(r.String(), `"n":"`, `"n":null,"n2":"`, 1),
		"y of an EC key absent": p256.with("y", nil).String(),
	} {
		if keys, skipped, err := ParseSet(set(key), Algorithms()); err != nil || len(keys) > 0 ||
			len(skipped) != 1 {
			t.Errorf("%s: %d keys, skipped %+v, %v", name, len(keys), skipped, err)
		}
	}
}

// jwx's registries are global. Another package that registers something there
// changes neither the keys that are read nor the signatures that are valid.
func TestRegistriesOfJWXHaveNoEffect(t *testing.T) {
	input := []byte("header.payload")
	before := make(map[string]*Key)
	for _, s := range signings() {
		before[s.alg] = parseOne(t, realJWK(s.private), s.alg)
	}
	stub := func() (jws.Verifier, error) { return yes{}, nil }
	for _, alg := range Algorithms() {
		jws.RegisterVerifier(jwa.SignatureAlgorithm(alg), jws.VerifierFactoryFn(stub))
		defer jws.UnregisterVerifier(jwa.SignatureAlgorithm(alg))
	}
	for _, name := range []string{"kty", "n", "e", "crv", "x", "y"} {
		jwk.RegisterCustomField(name, "")
		defer jwk.RegisterCustomField(name, nil)
	}
	jwa.RegisterEllipticCurveAlgorithm("P-256K")
	defer jwa.UnregisterEllipticCurveAlgorithm("P-256K")
	jwx.DecoderSettings(jwx.WithUseNumber(true))
	defer jwx.DecoderSettings(jwx.WithUseNumber(false))

	for _, s := range signings() {
		after := parseOne(t, realJWK(s.private), s.alg)
		if !after.Same(before[s.alg]) {
			t.Errorf("%s: another key is read", s.alg)
		}
		good := sign(s.alg, s.private, input)
		for _, key := range []*Key{before[s.alg], after} {
			if err := key.Verify(input, good); err != nil {
				t.Errorf("%s: %v", s.alg, err)
			}
			if key.Verify(input, random(len(good))) == nil {
				t.Errorf("%s: the registered verifier is used", s.alg)
			}
		}
	}
	ec := realJWK(p256Key()).with("crv", "P-256K").String()
	if keys, _, _ := ParseSet(set(ec), Algorithms()); len(keys) > 0 {
		t.Error("the registered curve is used")
	}
}

// yes is a verifier that accepts every signature.
type yes struct{}

func (yes) Algorithm() jwa.SignatureAlgorithm { return "" }
func (yes) Verify(_, _ []byte, _ any) error   { return nil }

// A token cannot identify one of two keys with the same ID.
func TestParseSetOneIDTwice(t *testing.T) {
	a, b := realJWK(rsaKey()), realJWK(otherRSA())
	other, none := b.with("kid", "other").String(), a.with("kid", nil).String()
	weak := rsaJWK(modulus(1024), e65537).String()
	const twice = "another key has the same kid"
	for _, tt := range []struct {
		name    string
		keys    []string
		want    []string // IDs
		skipped []Skipped
	}{
		{"two", []string{a.String(), b.String()}, nil, []Skipped{{0, "k", twice}, {1, "k", twice}}},
		{"two and another", []string{other, a.String(), b.String()}, []string{"other"},
			[]Skipped{{1, "k", twice}, {2, "k", twice}}},
		{"another between two", []string{a.String(), other, b.String()}, []string{"other"},
			[]Skipped{{0, "k", twice}, {2, "k", twice}}},
		{"three", []string{a.String(), b.String(), a.String()}, nil,
			[]Skipped{{0, "k", twice}, {1, "k", twice}, {2, "k", twice}}},
		{"four", []string{a.String(), b.String(), a.String(), b.String()}, nil,
			[]Skipped{{0, "k", twice}, {1, "k", twice}, {2, "k", twice}, {3, "k", twice}}},
		{"the same key twice", []string{a.String(), a.String()}, nil,
			[]Skipped{{0, "k", twice}, {1, "k", twice}}},
		{"one key for two algorithms", []string{a.with("alg", "RS256").String(),
			a.with("alg", "PS256").String()}, nil, []Skipped{{0, "k", twice}, {1, "k", twice}}},
		{"keys of two types", []string{a.String(), realJWK(p256Key()).String()}, nil,
			[]Skipped{{0, "k", twice}, {1, "k", twice}}},
		{"one ID, one written with an escape",
			[]string{a.String(), strings.Replace(b.String(), `"kid":"k"`, `"kid":"\u006b"`, 1)},
			nil, []Skipped{{0, "k", twice}, {1, "k", twice}}},
		{"a weak one first", []string{weak, a.String()}, []string{"k"},
			[]Skipped{{0, "k", "RSA key of less than 2048 bits"}}},
		{"a weak one last", []string{a.String(), weak}, []string{"k"},
			[]Skipped{{1, "k", "RSA key of less than 2048 bits"}}},
		{"IDs that differ in case", []string{a.String(), b.with("kid", "K").String()},
			[]string{"K", "k"}, nil},
		{"two without an ID", []string{none, none, other}, []string{"other"},
			[]Skipped{{0, "", "no kid"}, {1, "", "no kid"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, skipped, err := ParseSet(set(tt.keys...), Algorithms())
			if err != nil || !slices.Equal(skipped, tt.skipped) ||
				!slices.Equal(slices.Sorted(maps.Keys(keys)), tt.want) {
				t.Errorf("keys %v, skipped %+v, %v, want %v, %+v", slices.Sorted(maps.Keys(keys)),
					skipped, err, tt.want, tt.skipped)
			}
		})
	}
}

func TestSame(t *testing.T) {
	r, p, ed := realJWK(rsaKey()), realJWK(p256Key()), realJWK(edKey())
	otherEC := realJWK(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	otherEd := realJWK(ed25519.NewKeyFromSeed(random(ed25519.SeedSize)))
	for _, tt := range []struct {
		name string
		a, b fields
		want bool
	}{
		{"RSA", r, r, true},
		{"EC", p, p, true},
		{"Ed25519", ed, ed, true},
		{"text differs, key does not", r, r.with("use", "sig").with("alg", "RS256"), true},
		{"other RSA modulus", r, realJWK(otherRSA()), false},
		{"other RSA exponent", r, r.with("e", "Aw"), false},
		{"other point", p, otherEC, false},
		{"other Ed25519", ed, otherEd, false},
		{"other algorithm", r, r.with("alg", "PS256"), false},
		{"other ID", r, r.with("kid", "other"), false},
		{"other type", r, p, false},
		{"other curve", p, realJWK(p384Key()), false},
	} {
		a, b := parseOne(t, tt.a, Algorithms()...), parseOne(t, tt.b, Algorithms()...)
		if a.Same(b) != tt.want || b.Same(a) != tt.want {
			t.Errorf("%s: %v and %v, want %v", tt.name, a.Same(b), b.Same(a), tt.want)
		}
		if !a.Same(a) {
			t.Errorf("%s: a key is not the same as itself", tt.name)
		}
	}
	if (&Key{ID: "k", Algorithm: "RS256"}).Same(parseOne(t, r, "RS256")) {
		t.Error("a key without material is the same as one with")
	}
}
