package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384,
	"512": crypto.SHA512}

// sign signs as in RFC 7518 §3 and RFC 8037 §3.1 with the standard library
// alone.
func sign(alg string, private crypto.Signer, input []byte) []byte {
	if key, ok := private.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, input)
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write(input)
	switch alg[:2] {
	case "RS":
		return must(rsa.SignPKCS1v15(rand.Reader, private.(*rsa.PrivateKey), hash, h.Sum(nil)))
	case "PS":
		return must(rsa.SignPSS(rand.Reader, private.(*rsa.PrivateKey), hash, h.Sum(nil),
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	default:
		key := private.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
		must(0, err)
		return raw(key.Curve, r, s)
	}
}

// raw encodes an ECDSA signature as in RFC 7518 §3.4.
func raw(curve elliptic.Curve, r, s *big.Int) []byte {
	size := (curve.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

type signing struct {
	alg     string
	private crypto.Signer
}

func signings() []signing {
	return []signing{
		{"RS256", rsaKey()}, {"RS384", rsaKey()}, {"RS512", rsaKey()},
		{"PS256", rsaKey()}, {"PS384", rsaKey()}, {"PS512", rsaKey()},
		{"ES256", p256Key()}, {"ES384", p384Key()}, {"ES512", p521Key()},
		{"EdDSA", edKey()},
	}
}

func TestVerify(t *testing.T) {
	input := []byte("header.payload")
	refuse := func(t *testing.T, k *Key, what string, input, signature []byte) {
		t.Helper()
		if err := k.Verify(input, signature); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", what, err)
		}
	}
	for _, s := range signings() {
		t.Run(s.alg, func(t *testing.T) {
			k := parseOne(t, realJWK(s.private), s.alg)
			good := sign(s.alg, s.private, input)
			before := string(good)
			for range 2 { // the first result is not retained
				if err := k.Verify(input, good); err != nil {
					t.Fatalf("a good signature: %v", err)
				}
			}

			refuse(t, k, "none", input, nil)
			refuse(t, k, "empty", input, []byte{})
			refuse(t, k, "zero", input, make([]byte, len(good)))
			refuse(t, k, "ones", input, slices.Repeat([]byte{0xff}, len(good)))
			refuse(t, k, "noise", input, random(len(good)))
			refuse(t, k, "truncated at the end", input, good[:len(good)-1])
			refuse(t, k, "truncated at the start", input, good[1:])
			refuse(t, k, "half", input, good[:len(good)/2])
			refuse(t, k, "a zero byte before it", input, append([]byte{0}, good...))
			refuse(t, k, "a zero byte after it", input, append(slices.Clone(good), 0))
			refuse(t, k, "twice", input, append(slices.Clone(good), good...))
			refuse(t, k, "a megabyte", input, make([]byte, 1<<20))
			for _, at := range []int{0, len(good) / 2, len(good) - 1} {
				changed := slices.Clone(good)
				changed[at] ^= 1
				refuse(t, k, fmt.Sprintf("byte %d changed", at), input, changed)
			}
			refuse(t, k, "other input", []byte("header.paylaod"), good)
			refuse(t, k, "longer input", append(slices.Clone(input), 0), good)
			refuse(t, k, "no input", nil, good)
			if string(good) != before || string(input) != "header.payload" {
				t.Error("Verify has changed its arguments")
			}

			// These are another algorithm of the same key, and another key of
			// the same algorithm.
			for _, other := range signings() {
				if other.alg != s.alg {
					refuse(t, k, "signature of "+other.alg, input,
						sign(other.alg, other.private, input))
				}
			}
			var stranger crypto.Signer
			switch private := s.private.(type) {
			case *rsa.PrivateKey:
				stranger = otherRSA()
			case *ecdsa.PrivateKey:
				stranger = must(ecdsa.GenerateKey(private.Curve, rand.Reader))
			default:
				stranger = ed25519.NewKeyFromSeed(random(ed25519.SeedSize))
			}
			refuse(t, k, "signature of another key", input, sign(s.alg, stranger, input))
		})
	}
}

func TestVerifyECDSANumbers(t *testing.T) {
	input := []byte("header.payload")
	zero, one := new(big.Int), big.NewInt(1)
	for _, s := range signings() {
		private, ok := s.private.(*ecdsa.PrivateKey)
		if !ok {
			continue
		}
		t.Run(s.alg, func(t *testing.T) {
			k := parseOne(t, realJWK(private), s.alg)
			good, n := sign(s.alg, private, input), private.Params().N
			r, sv := new(big.Int).SetBytes(good[:len(good)/2]),
				new(big.Int).SetBytes(good[len(good)/2:])
			if err := k.Verify(input, raw(private.Curve, r, sv)); err != nil {
				t.Fatalf("a good signature, taken apart and put together: %v", err)
			}
			plus := func(x, y *big.Int) *big.Int { return new(big.Int).Add(x, y) }
			pairs := []struct {
				name string
				r, s *big.Int
			}{
				{"both 0", zero, zero}, {"r 0", zero, sv}, {"s 0", r, zero},
				{"both n", n, n}, {"r n", n, sv}, {"s n", r, n},
				{"r 0, s 1", zero, one}, {"r 1, s 0", one, zero}, {"both 1", one, one},
				{"r 0, s n", zero, n}, {"r n, s 0", n, zero},
				{"r n+1", plus(n, one), sv}, {"s n+1", r, plus(n, one)},
				{"r p", private.Params().P, sv},
				{"swapped", sv, r},
			}
			if s.alg == "ES512" { // the only curve with enough unused bits
				pairs = append(pairs, []struct {
					name string
					r, s *big.Int
				}{{"r not reduced", plus(r, n), sv}, {"s not reduced", r, plus(sv, n)},
					{"neither reduced", plus(r, n), plus(sv, n)}}...)
			}
			for _, pair := range pairs {
				if err := k.Verify(input, raw(private.Curve, pair.r, pair.s)); !errors.Is(err,
					ErrSignature) {
					t.Errorf("%s: %v, want ErrSignature", pair.name, err)
				}
			}

			hash := hashes[s.alg[2:]].New()
			hash.Write(input)
			der := must(ecdsa.SignASN1(rand.Reader, private, hash.Sum(nil)))
			// A DER text of exactly the right length is not valid as r and s.
			for name, signature := range map[string][]byte{
				"DER":              der,
				"DER of the good":  must(asn1.Marshal(struct{ R, S *big.Int }{r, sv})),
				"DER, cut to size": append(der, make([]byte, len(good))...)[:len(good)],
				"DER of zeros":     must(asn1.Marshal(struct{ R, S *big.Int }{zero, zero})),
				"numbers too wide": append(append([]byte{0}, good[:len(good)/2]...),
					append([]byte{0}, good[len(good)/2:]...)...),
				"numbers too short": slices.Concat(good[1:len(good)/2], good[len(good)/2+1:]),
			} {
				if err := k.Verify(input, signature); !errors.Is(err, ErrSignature) {
					t.Errorf("%s: %v, want ErrSignature", name, err)
				}
			}
		})
	}
}

// An RSA signature is a number below the modulus (RFC 8017 §5.2.2). Adding the
// modulus to it must not make another valid signature.
func TestVerifyRSANotReduced(t *testing.T) {
	private := rsaKey()
	for _, alg := range []string{"RS256", "PS256"} {
		k := parseOne(t, realJWK(private), alg)
		for i := 0; ; i++ {
			input := []byte("header." + strconv.Itoa(i))
			good := sign(alg, private, input)
			sum := new(big.Int).Add(new(big.Int).SetBytes(good), private.N)
			if sum.BitLen() > 8*len(good) {
				continue // too large: try another input, whose signature is smaller
			}
			if err := k.Verify(input, good); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			if err := k.Verify(input, sum.FillBytes(make([]byte, len(good)))); !errors.Is(err,
				ErrSignature) {
				t.Errorf("%s, modulus added: %v, want ErrSignature", alg, err)
			}
			break
		}
	}
}

// The second half of an Ed25519 signature is below the group's order (RFC 8032
// §5.1.7).
func TestVerifyEd25519NotReduced(t *testing.T) {
	k, input := parseOne(t, realJWK(edKey()), "EdDSA"), []byte("header.payload")
	good := sign("EdDSA", edKey(), input)
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.SetBit(order, 252, 1)
	half := slices.Clone(good[32:])
	slices.Reverse(half) // from little-endian
	sum := new(big.Int).Add(new(big.Int).SetBytes(half), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	if err := k.Verify(input, append(slices.Clone(good[:32]), sum...)); !errors.Is(err,
		ErrSignature) {
		t.Errorf("order added: %v, want ErrSignature", err)
	}
}

// An HMAC with public bytes as its secret is not a valid signature of any key
// in a set.
func TestVerifyHMACUnderPublicKey(t *testing.T) {
	input := []byte("header.payload")
	for _, s := range signings() {
		jwk := realJWK(s.private)
		k := parseOne(t, jwk, s.alg)
		der := must(x509.MarshalPKIXPublicKey(s.private.Public()))
		secrets := map[string][]byte{
			"nothing": nil, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
			"DER": der, "JWK": []byte(k.JSON),
		}
		if rk, ok := s.private.(*rsa.PrivateKey); ok {
			secrets["modulus"] = rk.N.Bytes()
			secrets["modulus as text"] = []byte(jwk["n"].(string))
		}
		for name, secret := range secrets {
			for bits, hash := range hashes {
				mac := hmac.New(hash.New, secret)
				mac.Write(input)
				sum := mac.Sum(nil)
				for _, signature := range [][]byte{sum,
					append(slices.Clone(sum), make([]byte, max(0, k.size-len(sum)))...)} {
					if err := k.Verify(input, signature); !errors.Is(err, ErrSignature) {
						t.Errorf("%s key, HS%s under its %s: %v, want ErrSignature", s.alg, bits,
							name, err)
					}
				}
			}
		}
	}
}

// The salt is as long as the digest (RFC 7518 §3.5), although RFC 8017 allows
// any length.
func TestVerifyPSSSaltLength(t *testing.T) {
	input := []byte("header.payload")
	for bits, hash := range hashes {
		k := parseOne(t, realJWK(rsaKey()), "PS"+bits)
		h := hash.New()
		h.Write(input)
		for _, salt := range []int{1, 20, hash.Size() - 1, hash.Size(), hash.Size() + 1,
			rsa.PSSSaltLengthAuto} {
			signature := must(rsa.SignPSS(rand.Reader, rsaKey(), hash, h.Sum(nil),
				&rsa.PSSOptions{SaltLength: salt}))
			if err := k.Verify(input, signature); (err == nil) != (salt == hash.Size()) {
				t.Errorf("PS%s, salt of %d bytes: %v", bits, salt, err)
			}
		}
	}
}

func TestAppendECDSADER(t *testing.T) {
	for _, size := range []int{32, 48, 66} {
		for _, n := range []int{0, 1, 2, size - 2, size - 1, size} {
			for _, first := range []byte{1, 0x7f, 0x80, 0xff} {
				number := make([]byte, size)
				if n > 0 {
					number[size-n] = first
				}
				other := slices.Repeat([]byte{0x80}, size)
				want := must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(number),
					new(big.Int).SetBytes(other)}))
				if got := appendECDSADER(nil, slices.Concat(number, other)); !bytes.Equal(got,
					want) {
					t.Fatalf("%x: got %x, want %x", number, got, want)
				}
			}
		}
	}
}

func TestVerifyConcurrently(t *testing.T) {
	input := []byte("header.payload")
	for _, s := range signings() {
		k, good := parseOne(t, realJWK(s.private), s.alg), sign(s.alg, s.private, input)
		wrong := slices.Clone(good)
		wrong[len(wrong)-1] ^= 1
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 8 {
					if err := k.Verify(input, good); err != nil {
						t.Errorf("%s: %v", s.alg, err)
					}
					if k.Verify(input, wrong) == nil {
						t.Errorf("%s: a wrong signature passes", s.alg)
					}
				}
			})
		}
		group.Wait()
	}
}

// The example of RFC 7638 §3.1, and for each type of key jwx's own thumbprint.
func TestThumbprint(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1" +
		"L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-" +
		"65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr" +
		"dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnq" +
		"DKgw"
	rfc := fields{"kty": "RSA", "kid": "2011-04-29", "alg": "RS256", "n": n, "e": "AQAB"}
	const want = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
	if got := parseOne(t, rfc, "RS256").Thumbprint; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, s := range signings() {
		key := parseOne(t, realJWK(s.private), s.alg)
		thumbprint := must(must(jwk.FromRaw(s.private.Public())).Thumbprint(crypto.SHA256))
		if key.Thumbprint != b64(thumbprint) {
			t.Errorf("%s: got %s, want %s", s.alg, key.Thumbprint, b64(thumbprint))
		}
	}
}
