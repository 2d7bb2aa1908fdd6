package middleware_test

import (
	"crypto"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// fuzzed returns a validator with a fixed key set, and an oracle with the same
// keys.
func fuzzed(f *testing.F) (v *middleware.Validator, o oracle, rs, es testkit.Signer) {
	rs, es = fuzzKeys()
	v = newValidator(f, middleware.Config{
		Environment: jwks.Prod,
		Keys: jwks.Config{Initial: jwks.FromKeySet(jwks.Prod, []byte(testkit.SetOf(rs, es))),
			Offline: true},
	})
	o = oracle{
		keys: map[string]crypto.PublicKey{rs.ID: rs.Private.Public(), es.ID: es.Private.Public()},
		app:  paratest.APIKeyID, now: noon, leeway: 30 * time.Second, maxBytes: 16 << 10,
	}
	return v, o, rs, es
}

// judge validates a token and compares the verdict with the oracle's.
func judge(t testing.TB, v *middleware.Validator, o oracle, token string) (accepted bool) {
	want, why := o.check(token)
	for range 2 { // the second verdict may come from the token cache
		user, err := v.Validate(t.Context(), token)
		switch {
		case (err == nil) == (user == nil):
			t.Fatalf("%q: an error and a user, or neither: %v, %v", token, user, err)
		case errors.Is(why, errBoundary):
			return err == nil
		case err == nil && why != nil:
			t.Fatalf("%q: accepted, but the oracle refuses it: %v", token, why)
		case err != nil && why == nil:
			t.Fatalf("%q: refused, but the oracle accepts it: %v", token, err)
		case err != nil:
			var refusal *middleware.Error
			if !errors.As(err, &refusal) || refusal.Status() != http.StatusUnauthorized {
				t.Fatalf("%q: refused with %#v", token, err)
			}
			continue
		}
		compare(t, user, want)
		accepted = true
	}
	return accepted
}

// compare compares the validator's user with the oracle's.
func compare(t testing.TB, user *claims.Claims, want said) {
	seconds := func(at time.Time) float64 {
		return float64(at.Unix()) +
			float64(at.Nanosecond())/1e9
	}
	var wallets [][4]string
	for _, w := range user.Wallets {
		wallets = append(wallets, [4]string{w.ID, string(w.Type), w.Address, w.PublicKey})
	}
	if user.KeyID != want.kid || user.UserID != want.sub || user.Subject != want.sub ||
		string(user.AuthType) != want.authType ||
		!slices.Equal(user.Audience, want.aud) || !slices.Equal(wallets, want.wallets) ||
		math.Abs(seconds(user.ExpiresAt)-want.exp) > 1e-4 ||
		math.Abs(seconds(user.IssuedAt)-want.iat) > 1e-4 || user.Environment != "prod" {
		t.Fatalf("got %#v of kid %q, aud %q, times %v %v, wallets %q; want %+v", user, user.KeyID,
			user.Audience, user.IssuedAt, user.ExpiresAt, wallets, want)
	}
}

// FuzzValidate validates arbitrary bytes. Validate does not panic, returns
// either a user or an error, and accepts the tokens that the oracle accepts.
func FuzzValidate(f *testing.F) {
	v, o, rs, es := fuzzed(f)
	good := sign(rs)
	header, payload, signature := strings.SplitN(good, ".", 3)[0], strings.SplitN(good, ".", 3)[1],
		strings.SplitN(good, ".", 3)[2]
	for _, token := range []string{
		good, sign(es), "", ".", "..", "...", "a.b.c", "eyJ.eyJ.eyJ", strings.Repeat(".", 1000),
		strings.Repeat("A", 20<<10),
		header + "." + payload + ".", header + ".." + signature, "." + payload + "." + signature,
		header + "." + payload + "." + signature + "=", header + "=." + payload + "." + signature,
		good + "\n", " " + good, good + "\x00",
		strings.ReplaceAll(good, "-", "+"), strings.ToUpper(good), good + "." + good,
		good[:len(good)-1], good + "A",
		header + "." + payload + "." + strings.Repeat("A", 342),
		header + "." + strings.SplitN(sign(es), ".", 2)[1],
		b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".AA",
		b64.EncodeToString([]byte(`{"alg":"HS256","kid":"rs"}`)) + "." + payload + "." + signature,
		b64.EncodeToString([]byte(`{"alg":"ES256","kid":"es"}`)) + "." + payload + "." +
			strings.Repeat("A", 86),
		b64.EncodeToString([]byte(`{"alg":"RS256","kid":"rs","crit":["x"]}`)) + "." + payload +
			"." + signature,
		b64.EncodeToString([]byte(`{"alg":"RS256","kid":"\ud800"}`)) + "." + payload + "." +
			signature,
		`{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature +
			`"}`,
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) { judge(t, v, o, token) })
}

// FuzzSignedPayload signs arbitrary headers and payloads correctly, so that the
// checks after the signature run.
func FuzzSignedPayload(f *testing.F) {
	v, o, rs, es := fuzzed(f)
	if !judge(f, v, o, sign(rs)) || !judge(f, v, o, sign(es)) {
		f.Fatal("a valid token is refused")
	}
	noonAt := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	replace := func(old, new string) string { return strings.Replace(goodPayload, old, new, 1) }
	for _, header := range []string{es.Header(), rs.Header(), `{"kid":"es","alg":"ES256"}`} {
		f.Add(header, goodPayload)
	}
	for _, header := range []string{
		`{}`, `[]`, `null`, ``, `{"alg":"ES256"}`, `{"kid":"es"}`, `{"alg":"ES256","kid":"rs"}`,
		`{"alg":"none","kid":"es"}`,
		`{"alg":"ES256","kid":"es","alg":"none"}`, `{"alg":"ES256","kid":"es","Alg":"none"}`,
		`{"alg":"ES256","kid":"es","crit":[]}`,
		`{"alg":"ES256","kid":"es","typ":"jwt","jwk":{"kty":"EC"},"x5c":["x"],` +
			`"jku":"https://example.com"}`,
		`{"alg":"ES256","kid":"es","b64":true}`, `{"alg":"ES256","kid":"es","\u212aid":"rs"}`,
		` {"alg" : "\u0045S256", "kid":"es"} `,
		`{"alg":"ES256","kid":"es","x":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}`, "\ufeff" + es.Header(),
		es.Header() + "x", `{"alg":"ES256","kid":"es","typ":"at+jwt"}`,
	} {
		f.Add(header, goodPayload)
	}
	for _, payload := range []string{
		`{}`, `[]`, ``, `null`, `"x"`, goodPayload + " ", goodPayload + "x",
		goodPayload + goodPayload, "\ufeff" + goodPayload,
		replace(`"sub":"u1"`, `"sub":""`), replace(`"sub":"u1"`, `"sub":"u2"`),
		replace(`"sub":"u1"`, `"sub":1`), replace(`"sub":"u1"`, `"sub":"\u0075\u0031"`),
		replace(`"sub":"u1"`, `"sub":"u1","sub":"u1"`),
		replace(`"sub":"u1"`, `"sub":"u1","SUB":"u1"`),
		replace(`"sub":"u1"`, `"sub":"u1","\u017fub":"u1"`),
		replace(`"aud":`, `"aud":["x",1],"x":`), replace(`"aud":`, `"x":[],"aud":`),
		replace(`"`+paratest.APIKeyID+`"`, `["a","`+paratest.APIKeyID+`"]`),
		replace(`"`+paratest.APIKeyID+`"`, `["`+paratest.APIKeyID+`",null]`),
		replace(`"`+paratest.APIKeyID+`"`, `[]`),
		replace(fmt.Sprint(noonAt(30*time.Minute)), fmt.Sprint(noonAt(-time.Hour))),
		replace(fmt.Sprint(noonAt(30*time.Minute)), `"`+fmt.Sprint(noonAt(time.Hour))+`"`),
		replace(fmt.Sprint(noonAt(30*time.Minute)), fmt.Sprint(noonAt(time.Hour))+".5"),
		replace(fmt.Sprint(noonAt(30*time.Minute)), "1.8e9"),
		replace(fmt.Sprint(noonAt(30*time.Minute)), "253402300799"),
		replace(fmt.Sprint(noonAt(30*time.Minute)), "253402300800"),
		replace(fmt.Sprint(noonAt(30*time.Minute)), "1e400"),
		replace(fmt.Sprint(noonAt(30*time.Minute)), "-0"),
		replace(fmt.Sprint(noonAt(0)), fmt.Sprint(noonAt(time.Minute))),
		replace(fmt.Sprint(noonAt(0)), "0"),
		replace(`"data":`, fmt.Sprintf(`"nbf":%d,"data":`, noonAt(time.Hour))),
		replace(`"data":`, `"nbf":null,"data":`), replace(`"data":`, `"nbf":1,"data":`),
		replace(`"userId":"u1"`, `"userId":"u1","userid":"u2"`),
		replace(`"userId":"u1"`, `"userId":null`), replace(`"data":{`, `"data":null,"date":{`),
		replace(`"authType":"email"`, `"authType":null`),
		replace(`"authType":"email"`, `"authType":"\ud83d\ude00"`),
		replace(`"authType":"email"`, `"authType":"\ud83d"`),
		replace(`"authType":"email"`, "\"authType\":\"\xff\""),
		replace(`"authType":"email"`, `"authType":1`),
		replace(`"wallets":[`, `"wallets":[null,`),
		replace(`"wallets":[`, `"wallets":[{},{"x":{"y":[1,{}]}},`),
		replace(`"wallets":[`, `"connectedWallets":[{"provider":"x"}],"wallets":[`),
		replace(`"wallets":[`, `"externalWallet":{"address":"x","type":"EVM"},"wallets":[`),
		replace(`"wallets":[`, `"externalWallet":null,"wallets":[`),
		replace(`"wallets":[`, `"Wallets":[],"wallets":[`),
		replace(`"address":"0xAb"`, `"address":1`),
		replace(`"address":"0xAb"`, `"address":"0xAb","Address":"0xCd"`),
		replace(`"address":"0xAb"`, `"address":"0xAb","address":"0xCd"`),
		replace(`{"sub"`, `{"x":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]],"sub"`),
		replace(`{"sub"`, `{"x":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],"sub"`),
		replace(`{"sub"`, `{"x":{"a":{"b":1,"b":2}},"sub"`),
	} {
		f.Add(es.Header(), payload)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		key := es
		if strings.Contains(header, "RS256") {
			key = rs
		}
		judge(t, v, o, key.Sign(header, payload))
	})
}

// FuzzAuthorization parses arbitrary values of the Authorization header. A
// value other than a scheme, spaces and one token is refused. No value counts
// as a request without a token.
func FuzzAuthorization(f *testing.F) {
	v, o, rs, _ := fuzzed(f)
	good := sign(rs)
	for _, value := range []string{
		"", " ", "Bearer", "Bearer ", "bearer x", "BEARER  x", "Bearer\tx", "Bearer x y",
		"Bearer x,y", "Bearer x\t", " Bearer x", "Bearerx", "Basic eA==", "Digest " + good,
		"Bearer " + good, "bEaReR     " + good, "Bearer " + good + " ",
		"Bearer " + good + ", Bearer " + good, good, "Bearer\u00a0" + good, "Bearer \x00",
		"Bearer \xff",
		"Bearer " + good + "\r\n", "\u212aearer x", "Bearer null", "Bearer:" + good,
	} {
		f.Add(value)
	}
	obvious := regexp.MustCompile(`\A[Bb][Ee][Aa][Rr][Ee][Rr] +([^ ]+)\z`)
	source := middleware.FromAuthorization()
	require, optional := middleware.Require(v), middleware.Optional(v)
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{value}
		token, err := source(r)
		match := obvious.FindStringSubmatch(value)
		switch {
		case match == nil && (err == nil || token != ""):
			t.Fatalf("%q: got %q, %v, want an error", value, token, err)
		case match != nil && (err != nil || token != match[1]):
			t.Fatalf("%q: got %q, %v", value, token, err)
		}

		_, why := o.check(token)
		for _, guard := range []*middleware.Guard{require, optional} {
			passed, refusal := guard.Check(r)
			switch {
			case (passed == nil) == (refusal == nil):
				t.Fatalf("%q: %v, %v", value, passed, refusal)
			case refusal != nil && refusal.Status() != http.StatusUnauthorized:
				t.Fatalf("%q: %d", value, refusal.Status())
			case (refusal == nil) != (match != nil && why == nil):
				t.Fatalf("%q: got %v, but the oracle returns %v", value, refusal, why)
			case passed != nil:
				if _, ok := claims.FromContext(passed.Context()); !ok {
					t.Fatalf("%q: passed without a user", value)
				}
			}
		}

		// Two header fields are refused, whatever their values.
		r.Header["Authorization"] = []string{value, value}
		if token, err := source(r); err == nil || token != "" {
			t.Fatalf("two times %q: %q, %v", value, token, err)
		}
	})
}

// FuzzSignedToken mutates the header, payload, base64 and signature of
// correctly signed tokens. The edits in signed are made before signing, so that
// malformed base64 has a correct signature. The edits in sent are made after
// signing.
func FuzzSignedToken(f *testing.F) {
	v, o, rs, es := fuzzed(f)
	for _, seed := range []struct{ signed, sent string }{
		{"", ""},
		{"\x00\x00=", ""},  // padding
		{"\x00\x10\n", ""}, // a line break
		{"\x00\x20+", ""},  // the standard alphabet
		{"\x00\x30.", ""},  // a fourth part
		{"", "\x01\x00A"},  // another payload
		{"", "\xff\xffA"},  // another signature
		{"", "\xff\xffA\xff\xfeA"},
		{"\xff\xff\x42", "\x00\x01C"},
	} {
		for _, header := range []string{es.Header(), rs.Header()} {
			f.Add(header, goodPayload, []byte(seed.signed), []byte(seed.sent))
		}
	}
	f.Fuzz(func(t *testing.T, header, payload string, signed, sent []byte) {
		key := es
		if strings.Contains(header, "RS256") {
			key = rs
		}
		input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
		judge(t, v, o, edited(key.SignInput(edited(input, signed)), sent))
	})
}

// edited replaces characters of s: each edit is a position, in two bytes and
// modulo the length, and the byte to put there.
func edited(s string, edits []byte) string {
	b := []byte(s)
	for ; len(edits) >= 3 && len(b) > 0; edits = edits[3:] {
		b[(int(edits[0])<<8|int(edits[1]))%len(b)] = edits[2]
	}
	return string(b)
}

// FuzzWebSocketProtocol checks that FromWebSocketProtocol finds a token in one
// form only, and that no token is left for the handler. It compares both with a
// slice of all items.
func FuzzWebSocketProtocol(f *testing.F) {
	for _, lines := range [][2]string{
		{"", ""}, {"para.jwt", "t"}, {"para.jwt, t", "chat.v1"}, {"para.jwt,t,chat.v1,chat.v2", ""},
		{"para.jwt", ""}, {"chat.v1, para.jwt", "t"}, {"para.jwt, t", "para.jwt, u"},
		{"para.jwt, PARA.JWT", "t"}, {",para.jwt,,", ", t,"}, {"\tpara.jwt \t,\tt", ","},
		{"para.jwt t", "para.jwts"}, {"chat.v1", "chat.v2"}, {"para.jwt, t u", "\x00, \xff"},
	} {
		f.Add(lines[0], lines[1])
	}
	v := newValidator(f, middleware.Config{})
	source := middleware.FromWebSocketProtocol()
	outer := middleware.Optional(v)
	f.Fuzz(func(t *testing.T, first, second string) {
		var items, kept []string
		offers, afterOffer := 0, false
		for item := range strings.SplitSeq(first+","+second, ",") {
			item = strings.Trim(item, " \t")
			items = append(items, item)
			offer := strings.EqualFold(item, "para.jwt")
			if offer {
				offers++
			}
			if item == "" {
				continue
			}
			if offer || !afterOffer {
				kept = append(kept, item)
			}
			afterOffer = offer
		}
		r := request("")
		r.Header["Sec-Websocket-Protocol"] = []string{first, second}
		token, err := source(r)
		size := len(first) + len(second)
		switch good := offers == 1 && items[0] == "para.jwt" && items[1] != ""; {
		case size > 64<<10:
			if err == nil {
				t.Error("a long field is accepted")
			}
		case offers == 0:
			if token != "" || err != nil {
				t.Errorf("without an offer: got %q, %v", token, err)
			}
		case good != (err == nil) || good && token != items[1]:
			t.Errorf("got %q, %v from %q", token, err, items)
		}

		passed, refusal := outer.Check(r)
		if refusal != nil {
			t.Fatal(refusal)
		}
		got, want := passed.Header["Sec-Websocket-Protocol"], []string{first, second}
		switch {
		case size > 64<<10:
			if got != nil {
				t.Error("a long field is kept")
			}
			return
		case offers > 0:
			want = []string{strings.Join(kept, ", ")}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the handler sees %q, want %q", got, want)
		}
		again, innerErr := source(passed)
		if again != token || (innerErr == nil) != (err == nil) {
			t.Errorf("an inner guard finds %q, %v, the outer one %q, %v",
				again, innerErr, token, err)
		}
		passed, _ = outer.Check(passed)
		if got := passed.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, want) {
			t.Errorf("the second guard changes %q to %q", want, got)
		}
	})
}
