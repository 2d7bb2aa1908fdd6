package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// members reads an object with encoding/json. It refuses what encoding/json
// accepts and this package does not: duplicate names, more than 16 levels, and
// invalid UTF-8.
func members(text string) (map[string]any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("trailing data")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return object, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	delim, ok := token.(json.Delim)
	if err != nil || !ok {
		return token, err
	}
	if depth++; depth > 16 {
		return nil, errors.New("too deep")
	}
	object, array := map[string]any{}, []any{}
	for d.More() {
		name := ""
		if delim == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			if name = token.(string); object[name] != nil {
				return nil, errors.New("a name twice")
			}
		}
		v, err := value(d, depth)
		if err != nil {
			return nil, err
		}
		if v == nil {
			v = json.RawMessage("null") // a nil value still counts as a name that was seen
		}
		object[name], array = v, append(array, v)
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if delim == '[' {
		return array, nil
	}
	return object, nil
}

// slowHeader returns the verdict of ParseHeader. It is implemented
// independently.
func slowHeader(text string) (Header, error) {
	m, err := members(text)
	if err != nil {
		return Header{}, err
	}
	for name := range m {
		for _, known := range []string{"crit", "b64", "zip", "enc", "cty"} {
			if strings.EqualFold(name, known) {
				return Header{}, fmt.Errorf("%s is not supported", name)
			}
		}
		for _, known := range []string{"alg", "kid", "typ", "jwk", "jku", "x5u", "x5c", "x5t",
			"x5t#S256"} {
			if name != known && strings.EqualFold(name, known) {
				return Header{}, fmt.Errorf("%q is not %q", name, known)
			}
		}
	}
	alg, _ := m["alg"].(string)
	kid, _ := m["kid"].(string)
	typ, isText := m["typ"].(string)
	switch {
	case alg == "" || kid == "":
		return Header{}, errors.New("no alg or no kid")
	case len(kid) > 256:
		return Header{}, errors.New("kid too long")
	case m["typ"] != nil && (!isText || strings.ToLower(typ) != "jwt" &&
		strings.ToLower(typ) != "application/jwt"):
		return Header{}, errors.New("typ")
	}
	return Header{alg, kid}, nil
}

func FuzzParseHeader(f *testing.F) {
	for _, v := range vectors(f) {
		if t, err := Split(v.Token); err == nil {
			header, _ := AppendDecoded(nil, t.Header)
			f.Add(string(header))
		}
	}
	for _, text := range []string{
		`{"alg":"RS256","kid":"k","typ":"JWT"}`,
		`{"alg":"RS256","kid":"k","typ":"application\/jwt","x5t#S256":"AA"}`,
		"{ \"alg\" : \"ES256\",\r\n\t\"kid\":\"\\u00e9\\ud83d\\ude00\" }",
		`{"alg":"RS256","kid":"k","crit":["exp"],"exp":1}`,
		`{"alg":"RS256","Kid":"k","x":[1,2.5e-3,true,false,null,{"a":{"b":[[]]}}]}`,
		`{"alg":"none"}`, `{"\u212aid":1}`, `[]`, `null`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseHeader(text)
		want, slow := slowHeader(text)
		switch {
		case err == nil && slow != nil:
			t.Fatalf("%q is accepted as %+v: %v", text, got, slow)
		case err == nil && got != want:
			t.Fatalf("%q is %+v, want %+v", text, got, want)
		case err != nil && !errors.Is(err, ErrHeader) && !errors.Is(err, ErrAlgorithm):
			t.Fatalf("%q: an error that wraps no sentinel: %v", text, err)
		}
		// encoding/json decodes half of a surrogate pair as U+FFFD. ParseHeader
		// refuses it.
		if err != nil && slow == nil && !strings.Contains(fmt.Sprint(members(text)), "\ufffd") {
			t.Fatalf("%q is refused without a reason: %v", text, err)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Token)
	}
	for _, token := range []string{"a.b.c", "YQ.YWI.YWJj", "YQ==.YWI=.YWJj", "YR.YWJ.--__",
		"YQ.Y\nWI.YWJj", "..", "YQ..YQ", "YQ.YQ.YQ.YQ.YQ", strings.Repeat(".", 100)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		parts := strings.Split(token, ".")
		whole := len(parts) == 3 && !slices.Contains(parts, "")
		got, err := Split(token)
		switch {
		case err == nil && !whole:
			t.Fatalf("%q is cut to %+v", token, got)
		case err == nil && (got != Token{parts[0], parts[1], parts[2], parts[0] + "." + parts[1]}):
			t.Fatalf("%q is cut to %+v", token, got)
		case errors.Is(err, ErrHeaderSize) && len(parts[0]) <= 1024:
			t.Fatalf("a header of %d bytes is too large", len(parts[0]))
		case errors.Is(err, ErrSegments) && whole:
			t.Fatalf("%q is not cut", token)
		}
		for _, part := range parts {
			const before = "before"
			decoded, err := AppendDecoded([]byte(before), part)
			if !bytes.HasPrefix(decoded, []byte(before)) {
				t.Fatalf("%q overwrites the prefix: %q", part, decoded)
			}
			decoded = decoded[len(before):]
			if err != nil {
				if !errors.Is(err, ErrBase64) || len(decoded) > 0 {
					t.Fatalf("%q: %q with %v", part, decoded, err)
				}
				// The decoder of package base64 accepts the same texts, apart
				// from line breaks and unused bits.
				if plain, err := base64.RawURLEncoding.DecodeString(part); err == nil &&
					b64(plain) == part {
					t.Fatalf("%q is refused without a reason", part)
				}
				continue
			}
			if b64(decoded) != part {
				t.Fatalf("%q and %q are two texts for %q", part, b64(decoded), decoded)
			}
		}
	})
}

// number64 decodes a number of a JWK, which has one canonical encoding.
func number64(m map[string]any, name string) ([]byte, error) {
	text, ok := m[name].(string)
	if !ok {
		return nil, fmt.Errorf("%s is not a string", name)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != text {
		return nil, fmt.Errorf("%s is not canonical base64url", name)
	}
	return decoded, nil
}

// jwkMembersOf decodes a JWK with encoding/json. It refuses a name that occurs
// twice, and decodes the strings and arrays only.
func jwkMembersOf(text string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	m := make(map[string]any)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		name := token.(string)
		if _, ok := m[name]; ok {
			return nil, fmt.Errorf("%q twice", name)
		}
		var text string
		var list []any
		switch {
		case json.Unmarshal(raw, &text) == nil:
			m[name] = text
		case json.Unmarshal(raw, &list) == nil:
			m[name] = list
		default:
			m[name] = raw
		}
	}
	return m, nil
}

// recheck decides from the JWK whether a key may be used. It uses only the
// standard library and follows RFC 7517 and RFC 7518.
func recheck(k *Key, allowed []string) error {
	m, err := jwkMembersOf(k.JSON)
	if err != nil {
		return err
	}
	for name := range m {
		if name != "kty" && strings.EqualFold(name, "kty") {
			return fmt.Errorf("two readers may see two types: %q", name)
		}
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, ok := m[name]; ok {
			return fmt.Errorf("private: it has %q", name)
		}
	}
	if ops, ok := m["key_ops"]; ok {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			return fmt.Errorf("key_ops = %v", ops)
		}
	}
	alg, hasAlg := m["alg"].(string)
	switch {
	case m["kid"] != k.ID || k.ID == "" || len(k.ID) > 256:
		return fmt.Errorf("kid = %v, ID = %q", m["kid"], k.ID)
	case m["use"] != nil && m["use"] != "sig":
		return fmt.Errorf("use = %v", m["use"])
	case m["alg"] != nil && !hasAlg:
		return fmt.Errorf("alg = %v", m["alg"])
	case !slices.Contains(allowed, k.Algorithm):
		return fmt.Errorf("%s is not allowed", k.Algorithm)
	}

	var fits []string
	switch m["kty"] {
	case "RSA":
		n, errN := number64(m, "n")
		e, errE := number64(m, "e")
		N, E := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
		public, ok := k.Public.(*rsa.PublicKey)
		if !ok || errN != nil || errE != nil || public.N.Cmp(N) != 0 ||
			big.NewInt(int64(public.E)).Cmp(E) != 0 {
			return fmt.Errorf("%#v is not the key of %s", k.Public, k.JSON)
		}
		if N.BitLen() < 2048 || N.BitLen() > 8192 || N.Bit(0) == 0 || E.Bit(0) == 0 ||
			E.Cmp(big.NewInt(3)) < 0 || E.BitLen() > 31 {
			return fmt.Errorf("RSA of %d bits with exponent %v", N.BitLen(), E)
		}
		fits = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case "EC":
		x, errX := number64(m, "x")
		y, errY := number64(m, "y")
		public, ok := k.Public.(*ecdsa.PublicKey)
		if !ok || errX != nil || errY != nil || public.Params().Name != m["crv"] {
			return fmt.Errorf("%#v is not the key of %s", k.Public, k.JSON)
		}
		X, Y, p := new(big.Int).SetBytes(x), new(big.Int).SetBytes(y), public.Params()
		size := (p.BitSize + 7) / 8
		if len(x) != size || len(y) != size {
			return fmt.Errorf("coordinates of %d and %d bytes", len(x), len(y))
		}
		if X.Cmp(p.P) >= 0 || Y.Cmp(p.P) >= 0 {
			return errors.New("a coordinate is not reduced")
		}
		point, err := public.Bytes()
		if err != nil || !bytes.Equal(point, append([]byte{4}, raw(public.Curve, X, Y)...)) ||
			len(point) != 1+2*size {
			return fmt.Errorf("%#v is not the key of %s", k.Public, k.JSON)
		}
		// y² = x³ - 3x + b
		right := new(big.Int).Exp(X, big.NewInt(3), p.P)
		right.Sub(right, new(big.Int).Mul(X, big.NewInt(3))).Add(right, p.B).Mod(right, p.P)
		if new(big.Int).Exp(Y, big.NewInt(2), p.P).Cmp(right) != 0 {
			return errors.New("the point is not on its curve")
		}
		fits = map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"},
			"P-521": {"ES512"}}[p.Name]
	case "OKP":
		x, errX := number64(m, "x")
		public, ok := k.Public.(ed25519.PublicKey)
		if !ok || errX != nil || m["crv"] != "Ed25519" || len(x) != 32 || !bytes.Equal(x, public) {
			return fmt.Errorf("%#v is not the key of %s", k.Public, k.JSON)
		}
		fits = []string{"EdDSA"}
	}
	if hasAlg {
		allowed = []string{alg}
	}
	for _, first := range allowed {
		if slices.Contains(fits, first) {
			if first != k.Algorithm {
				return fmt.Errorf("bound to %s, not to %s", k.Algorithm, first)
			}
			return nil
		}
	}
	return fmt.Errorf("%s is not for %v", k.Algorithm, m["kty"])
}

func FuzzParseSet(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(string(v.JWKS))
	}
	r, p256, ed := realJWK(rsaKey()), realJWK(p256Key()), realJWK(edKey())
	f.Add(set(r.String(), p256.with("kid", "e").String(), ed.with("kid", "o").String()))
	f.Add(set(r.with("alg", "RS256").with("use", "sig").with("key_ops",
		[]string{"verify"}).String(), r.String()))
	f.Add(set(p256.with("d", "AQAB").String(), realJWK(p384Key()).String(),
		realJWK(p521Key()).with("alg", "ES512").with("kid", "5").String()))
	f.Add(set(`null`, `1`, `{"kty":"oct","kid":"k","k":"AA"}`, `{"kid":1,"kid":2}`, `[[[]]]`))
	f.Add(set(rsaJWK(modulus(2048), new(big.Int).SetBit(big.NewInt(3), 64, 1)).String()))
	f.Add(set(strings.TrimSuffix(r.String(), "}") + `,"Kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`))
	f.Add(`{"keys":[]}`)
	f.Add(`{"keys":null}`)
	f.Add(`<html>`)
	allowed := []string{"ES256", "PS256", "RS256", "EdDSA", "ES512", "HS256", "none"}
	f.Fuzz(func(t *testing.T, text string) {
		keys, skipped, err := ParseSet(text, allowed)
		if err != nil {
			if keys != nil || skipped != nil {
				t.Fatalf("%d keys and %d skipped with %v", len(keys), len(skipped), err)
			}
			return
		}
		var whole struct{ Keys []json.RawMessage }
		if err := json.Unmarshal([]byte(text), &whole); err != nil {
			t.Fatalf("not JSON, but a key set: %v", err)
		}
		var places []int
		for _, s := range skipped {
			places = append(places, s.Index)
			if s.Reason == "" || s.Index < 0 || s.Index >= len(whole.Keys) {
				t.Fatalf("skipped %+v of %d", s, len(whole.Keys))
			}
			for _, value := range leaks(string(whole.Keys[s.Index])) {
				if strings.Contains(s.Reason, value) {
					t.Fatalf("the reason quotes the key: %q", s.Reason)
				}
			}
		}
		slices.Sort(places)
		if distinct := len(slices.Compact(places)); distinct != len(skipped) ||
			distinct+len(keys) != len(whole.Keys) || len(whole.Keys) > 100 {
			t.Fatalf("%d keys and %d skipped of %d", len(keys), len(skipped), len(whole.Keys))
		}
		for id, k := range keys {
			if id != k.ID {
				t.Fatalf("the key under %q has the ID %q", id, k.ID)
			}
			if err := recheck(k, allowed); err != nil {
				t.Fatalf("a key that must not be used: %v", err)
			}
			if !slices.ContainsFunc(whole.Keys,
				func(raw json.RawMessage) bool { return string(raw) == k.JSON }) {
				t.Fatalf("%s is not in the set", k.JSON)
			}
			if err := k.Verify([]byte("a.b"), make([]byte, k.size)); err == nil {
				t.Fatal("a signature of zeros passes")
			}
			again, _, err := ParseSet(set(k.JSON), allowed)
			if err != nil || again[id] == nil || !again[id].Same(k) ||
				!reflect.DeepEqual(again[id].Public, k.Public) {
				t.Fatalf("read twice, %s is two keys: %v", k.JSON, err)
			}
		}
	})
}

// FuzzKeyNumbers compares the verdict on a JWK's numbers, and the key that is
// read, with an independent decoding by math/big.
func FuzzKeyNumbers(f *testing.F) {
	r, p256, p384, p521 := realJWK(rsaKey()), realJWK(p256Key()), realJWK(p384Key()),
		realJWK(p521Key())
	add := func(kty string, crv, a, b any) { f.Add(kty, crv.(string), a.(string), b.(string)) }
	for _, key := range []fields{r, r.with("e", "Aw"), r.with("e", "AAEAAQ"),
		r.with("e", "AQAAAAE"),
		rsaJWK(modulus(2047), e65537), rsaJWK(modulus(8193), e65537)} {
		add("RSA", "", key["n"], key["e"])
	}
	for _, key := range []fields{p256, p384, p521} {
		add("EC", key["crv"], key["x"], key["y"])
		add("EC", key["crv"], key["y"], key["x"])
		add("EC", key["crv"], key["x"].(string)+"=", key["y"])
		add("EC", key["crv"], "A"+key["x"].(string)[1:], key["y"])
	}
	add("OKP", "Ed25519", realJWK(edKey())["x"], "")
	add("OKP", "Ed25519", strings.Repeat("A", 43), "")
	f.Fuzz(func(t *testing.T, kty, crv, a, b string) {
		if !utf8.ValidString(kty + crv + a + b) {
			return // encoding/json would replace invalid bytes
		}
		key := fields{"kty": kty, "kid": "k", "crv": crv, "x": a, "y": b}
		if kty == "RSA" {
			key = fields{"kty": kty, "kid": "k", "n": a, "e": b}
		}
		keys, skipped, err := ParseSet(set(key.String()), Algorithms())
		if err != nil || len(keys)+len(skipped) != 1 {
			t.Fatalf("%d keys, %d skipped, %v", len(keys), len(skipped), err)
		}
		good, err := goodNumbers(kty, crv, a, b)
		if (keys["k"] != nil) != good {
			t.Fatalf("%s: kept is %t, want %t (%v); skipped %+v", key, keys["k"] != nil, good, err,
				skipped)
		}
		if good {
			if err := recheck(keys["k"], Algorithms()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// goodNumbers reports whether these numbers make a key that is accepted.
func goodNumbers(kty, crv, a, b string) (bool, error) {
	m := map[string]any{"a": a, "b": b}
	first, err := number64(m, "a")
	if err != nil {
		return false, err
	}
	second, err := number64(m, "b")
	if err != nil && kty != "OKP" {
		return false, err
	}
	x, y := new(big.Int).SetBytes(first), new(big.Int).SetBytes(second)
	switch kty {
	case "RSA":
		return x.BitLen() >= 2048 && x.BitLen() <= 8192 && x.Bit(0) == 1 &&
			y.BitLen() <= 31 && y.Bit(0) == 1 && y.Cmp(big.NewInt(1)) > 0 && !isROCA(x), nil
	case "EC":
		curve := map[string]elliptic.Curve{
			"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[crv]
		if curve == nil {
			return false, nil
		}
		p := curve.Params()
		size := (p.BitSize + 7) / 8
		right := new(big.Int).Exp(x, big.NewInt(3), nil)
		right.Sub(right, new(big.Int).Mul(x, big.NewInt(3))).Add(right, p.B).Mod(right, p.P)
		return len(first) == size && len(second) == size && x.Cmp(p.P) < 0 && y.Cmp(p.P) < 0 &&
			new(big.Int).Exp(y, big.NewInt(2), p.P).Cmp(right) == 0, nil
	case "OKP":
		return crv == "Ed25519" && len(first) == 32 &&
			!slices.Contains(smallOrder(), string(first)), nil
	}
	return false, nil
}
