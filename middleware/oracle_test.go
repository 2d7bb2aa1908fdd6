package middleware_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parajwt/parajwt/internal/testkit"
)

// The oracle is a second validator. It is slow, simple and uses only the
// standard library. The fuzz targets compare the validator with it.

// oracle has the configuration of the validator that it is compared with.
type oracle struct {
	keys     map[string]crypto.PublicKey // *rsa.PublicKey verifies RS256, *ecdsa.PublicKey ES256
	app      string
	now      time.Time
	leeway   time.Duration
	maxBytes int
}

// said has the claims that compare compares.
type said struct {
	kid, sub, authType string
	aud                []string
	exp, iat           float64
	wallets            [][4]string // id, type, address, publicKey
}

// errBoundary means that a time is so close to a limit that rounding decides
// the verdict.
var errBoundary = errors.New("too close to a limit")

func (o oracle) check(token string) (s said, err error) {
	if len(token) > o.maxBytes {
		return s, errors.New("too large")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return s, errors.New("not three parts")
	}
	if len(parts[0]) > 1024 {
		return s, errors.New("header too large")
	}
	var decoded [3]string
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || len(b) == 0 || base64.RawURLEncoding.EncodeToString(b) != part {
			return s, fmt.Errorf("part %d is not canonical base64url", i)
		}
		decoded[i] = string(b)
	}

	header, err := parseObject(decoded[0])
	if err != nil {
		return s, fmt.Errorf("header: %w", err)
	}
	known := []string{"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc", "jwk", "jku", "x5u",
		"x5c", "x5t", "x5t#S256"}
	if err := header.spelled(known...); err != nil {
		return s, fmt.Errorf("header: %w", err)
	}
	for _, name := range []string{"cty", "crit", "b64", "zip", "enc"} {
		if _, ok := header[name]; ok {
			return s, fmt.Errorf("header: %s", name)
		}
	}
	if typ, ok := header["typ"]; ok {
		text, _ := typ.(string)
		if t := strings.ToLower(text); t != "jwt" && t != "application/jwt" {
			return s, errors.New("typ")
		}
	}
	alg, _ := header["alg"].(string)
	s.kid, _ = header["kid"].(string)
	if s.kid == "" || len(s.kid) > 256 {
		return s, errors.New("kid")
	}

	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature := []byte(decoded[2])
	switch key := o.keys[s.kid].(type) {
	case *rsa.PublicKey:
		if alg != "RS256" || len(signature) != key.Size() ||
			rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
			return s, errors.New("RS256")
		}
	case *ecdsa.PublicKey:
		if alg != "ES256" || len(signature) != 64 ||
			!ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]),
				new(big.Int).SetBytes(signature[32:])) {
			return s, errors.New("ES256")
		}
	default:
		return s, errors.New("no such key")
	}
	return o.payload(s, decoded[1])
}

func (o oracle) payload(s said, text string) (said, error) {
	p, err := parseObject(text)
	if err != nil {
		return s, fmt.Errorf("payload: %w", err)
	}
	if err := p.spelled("sub", "aud", "iat", "exp", "nbf", "data"); err != nil {
		return s, fmt.Errorf("payload: %w", err)
	}
	data, ok := p["data"].(object)
	if !ok {
		return s, errors.New("data")
	}
	texts := []string{"authType", "identifier", "oAuthMethod", "email", "phone", "telegramUserId",
		"farcasterUsername", "externalWalletAddress"}
	if err := data.spelled(append(texts, "userId", "wallets", "connectedWallets",
		"externalWallet")...); err != nil {
		return s, fmt.Errorf("data: %w", err)
	}
	for _, name := range texts {
		if _, isText := data[name].(string); data[name] != nil && !isText {
			return s, errors.New(name)
		}
	}
	s.authType, _ = data["authType"].(string)
	for _, name := range []string{"wallets", "connectedWallets", "externalWallet"} {
		list, isList := data[name].([]any)
		if name == "externalWallet" && data[name] != nil {
			list, isList = []any{data[name]}, true
		}
		if data[name] != nil && !isList {
			return s, errors.New(name)
		}
		for _, wallet := range list {
			w, ok := wallet.(object)
			members := []string{"id", "type", "address", "publicKey", "provider"}
			if !ok || w.spelled(members...) != nil {
				return s, errors.New(name)
			}
			var four [4]string
			for i, member := range members {
				value, there := w[member]
				text, isText := value.(string)
				if there && value != nil && !isText {
					return s, errors.New(name + " " + member)
				}
				if i < len(four) {
					four[i] = text
				}
			}
			if name == "wallets" {
				s.wallets = append(s.wallets, four)
			}
		}
	}

	s.sub, _ = p["sub"].(string)
	if s.sub == "" || data["userId"] != any(s.sub) {
		return s, errors.New("sub")
	}
	switch aud := p["aud"].(type) {
	case string:
		s.aud = []string{aud}
	case []any:
		for _, a := range aud {
			text, ok := a.(string)
			if !ok {
				return s, errors.New("mixed aud")
			}
			s.aud = append(s.aud, text)
		}
	}
	if !slices.Contains(s.aud, o.app) {
		return s, errors.New("aud")
	}

	var nbf float64
	for name, to := range map[string]*float64{"exp": &s.exp, "iat": &s.iat, "nbf": &nbf} {
		value, there := p[name]
		if !there && name == "nbf" {
			continue
		}
		number, ok := value.(json.Number)
		if !ok {
			return s, errors.New(name)
		}
		if *to, err = strconv.ParseFloat(string(number), 64); err != nil ||
			!(*to > 0 && *to < 253402300800) {
			return s, errors.New(name)
		}
	}
	// These are the differences between the time and each limit, in seconds.
	now, leeway := float64(o.now.UnixNano())/1e9, o.leeway.Seconds()
	const maxLife = 31 * 24 * 60 * 60
	for _, late := range []float64{now - s.exp - leeway, s.iat - now - leeway,
		nbf - now - leeway, s.iat - s.exp, s.exp - s.iat - maxLife} {
		switch {
		case late > 1e-4:
			return s, errors.New("time")
		case late > -1e-4 && late != 0:
			return s, errBoundary
		}
	}
	if now == s.exp+leeway {
		return s, errors.New("expired just now")
	}
	return s, nil
}

// object is a JSON object without duplicate names.
type object map[string]any

// spelled refuses a name that equals a known name except for case.
func (o object) spelled(known ...string) error {
	for name := range o {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return fmt.Errorf("a name like %s", k)
			}
		}
	}
	return nil
}

func parseObject(text string) (object, error) {
	switch {
	case !utf8.ValidString(text):
		return nil, errors.New("not UTF-8")
	case !json.Valid([]byte(text)):
		return nil, errors.New("not JSON")
	case loneSurrogate(text):
		return nil, errors.New("half of a surrogate pair")
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	value, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("text after the object")
	}
	o, ok := value.(object)
	if !ok {
		return nil, errors.New("not an object")
	}
	return o, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth++; depth > 16 {
		return nil, errors.New("too deep")
	}
	o, list := object{}, []any{}
	for dec.More() {
		if open == '[' {
			value, err := parseValue(dec, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
			continue
		}
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := parseValue(dec, depth)
		if err != nil {
			return nil, err
		}
		if _, twice := o[name.(string)]; twice {
			return nil, errors.New("a name twice")
		}
		o[name.(string)] = value
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if open == '[' {
		return list, nil
	}
	return o, nil
}

// loneSurrogate reports whether a \u escape is half of a surrogate pair.
// encoding/json replaces it with U+FFFD. In valid JSON, backslashes occur only
// in strings, so the search need not find the strings first.
func loneSurrogate(text string) bool {
	unit := func(at int) int64 {
		if at+6 > len(text) || text[at:at+2] != `\u` {
			return -1
		}
		n, err := strconv.ParseInt(text[at+2:at+6], 16, 32)
		if err != nil {
			return -1
		}
		return n
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch n := unit(i); {
		case n >= 0xDC00 && n < 0xE000:
			return true
		case n >= 0xD800 && n < 0xDC00:
			if low := unit(i + 6); low < 0xDC00 || low >= 0xE000 {
				return true
			}
			i += 11
		case n >= 0:
			i += 5
		default:
			i++ // the escaped character may be a backslash
		}
	}
	return false
}

// fuzzKeys returns keys that are the same in every process, so that a finding
// can be reproduced. The keys are public, and only these tests trust them.
func fuzzKeys() (rs, es testkit.Signer) {
	number := func(hex string) *big.Int {
		n, ok := new(big.Int).SetString(hex, 16)
		if !ok {
			panic("not a number")
		}
		return n
	}
	p := number("edf08002321ecb8eb6e1e9a31b960ba0fe295c8cbf9a7f36e86fd064fb81bf109e33f52d6f773402" +
		"4c4aeb69ca551d17a8b0c5f977bb951cd06aca408892fdf1e67cd02f1f71561c03f23eb99b0d63c1" +
		"0aab11104edc8bafe2a73c816821003c3a3ad224ea7b49f6c4a262247b2629ec176f0f27b9fa7f48" +
		"514058310ca19265")
	q := number("c35dd17d8e4c014fba4c72598141ea21eb075ebf7f16f76fab4e29561894de6a87756c2bb949a287" +
		"9642e8527055fa0a80056342ddcc95868e6f8393e8089ea3aa08e968ed57ee493008c672ef265b17" +
		"07ded991d8b0d4fcf0f83b1233e377d7fb95a199c99817ef0c405784cf20ffc97c90ad4cbf584282" +
		"759bb8a57f0d97fd")
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	private.Precompute()
	if err := private.Validate(); err != nil {
		panic(err)
	}
	scalar := sha256.Sum256([]byte("parajwt fuzz"))
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		panic(err)
	}
	return testkit.Signer{ID: "rs", Private: private}, testkit.Signer{ID: "es", Private: ec}
}
