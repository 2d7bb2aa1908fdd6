package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	long := strings.Repeat("h", 1024)
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"three parts", "h.p.s", nil},
		{"three long parts", strings.Repeat("h", 100) + "." + strings.Repeat("p", 100) + "." +
			strings.Repeat("s", 100), nil},
		{"empty", "", ErrSegments},
		{"no dot", "hps", ErrSegments},
		{"one dot", "h.ps", ErrSegments},
		{"three dots", "h.p.s.x", ErrSegments},
		{"dot at the end", "h.p.s.", ErrSegments},
		{"dot at the start", ".h.p.s", ErrSegments},
		{"five parts of a JWE", "h.k.i.c.t", ErrSegments},
		{"only dots", "..", ErrSegments},
		{"no header", ".p.s", ErrSegments},
		{"no payload, as in a detached JWS", "h..s", ErrSegments},
		{"no signature, as with alg none", "h.p.", ErrSegments},
		{"JSON serialization", `{"protected":"h","payload":"p","signature":"s"}`, ErrSegments},
		{"header at the limit", long + ".p.s", nil},
		{"header over the limit", long + "h.p.s", ErrHeaderSize},
		{"only the header is limited", "h." + long + "p." + long + "s", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Split(tt.token)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err != nil {
				if got != (Token{}) {
					t.Errorf("a token came with the error: %+v", got)
				}
				return
			}
			parts := strings.Split(tt.token, ".")
			want := Token{parts[0], parts[1], parts[2], parts[0] + "." + parts[1]}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// Splitting takes constant space for any input. A dot costs no allocation.
func TestSplitAllocatesNothing(t *testing.T) {
	const million = 1_000_000
	for name, token := range map[string]string{
		"a token":                    "h.p.s",
		"a million dots":             strings.Repeat(".", million),
		"a million parts":            strings.Repeat("a.", million/2),
		"dots after three parts":     "h.p.s" + strings.Repeat(".", million),
		"a million bytes, no dot":    strings.Repeat("a", million),
		"a million bytes of header":  strings.Repeat("a", million) + ".p.s",
		"a million bytes of payload": "h." + strings.Repeat("a", million) + ".s",
	} {
		if n := testing.AllocsPerRun(10, func() { _, _ = Split(token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestAppendDecoded(t *testing.T) {
	for _, tt := range []struct{ name, segment, want string }{
		{"nothing", "", ""},
		{"one byte", "YQ", "a"},
		{"two bytes", "YWI", "ab"},
		{"three bytes", "YWJj", "abc"},
		{"many bytes", "YWJjZGVmZ2g", "abcdefgh"},
		{"the URL alphabet", "--__", "\xfb\xef\xff"},
		{"zero bytes", "AAAA", "\x00\x00\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendDecoded(nil, tt.segment)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, segment string }{
		{"padding of two", "YQ=="},
		{"padding of one", "YWI="},
		{"half the padding", "YQ="},
		{"padding that is not needed", "YWJj="},
		{"padding in the middle", "YQ==YQ"},
		{"only padding", "="},
		{"standard alphabet, plus", "++__"},
		{"standard alphabet, slash", "--//"},
		{"LF at the end", "YWJj\n"},
		{"LF at the start", "\nYWJj"},
		{"LF in the middle", "YW\nJj"},
		{"CR at the end", "YWJj\r"},
		{"CR at the start", "\rYWJj"},
		{"CR in the middle", "YW\rJj"},
		{"CRLF", "YW\r\nJj"},
		{"only LF", "\n"},
		{"only CR", "\r"},
		{"four unused bits, one set", "YR"},
		{"four unused bits, all set", "Yf"},
		{"two unused bits, one set", "YWJ"},
		{"two unused bits, all set", "YWL"},
		{"one character over", "YWJjY"},
		{"one character", "Y"},
		{"space at the end", "YWJj "},
		{"space at the start", " YWJj"},
		{"tab", "YW\tJj"},
		{"NUL at the end", "YWJj\x00"},
		{"NUL in the middle", "YW\x00Jj"},
		{"a dot", "YW.Jj"},
		{"percent encoding", "YQ%3D%3D"},
		{"not ASCII", "YWJé"},
		{"a letter of full width", "YWJａ"},
		{"not UTF-8", "YWJ\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := append(make([]byte, 0, 64), "before"...)
			got, err := AppendDecoded(dst, tt.segment)
			if !errors.Is(err, ErrBase64) {
				t.Errorf("got %q, %v, want ErrBase64", got, err)
			}
			if string(got) != "before" {
				t.Errorf("the prefix has become %q", got)
			}
		})
	}
}

// For segments of up to 20 characters, every byte at every position gets the
// verdict of the standard library. The only difference is that the standard
// library accepts line breaks.
func TestAppendDecodedEveryByteEverywhere(t *testing.T) {
	const text = "AQ-_zZ09aBcDeFgHiJkL"
	for length := range len(text) + 1 {
		for place := range length {
			for c := range 256 {
				segment := text[:place] + string([]byte{byte(c)}) + text[place+1:length]
				want, err := base64.RawURLEncoding.Strict().DecodeString(segment)
				refuse := err != nil || c == '\r' || c == '\n'
				got, err := AppendDecoded(nil, segment)
				if (err != nil) != refuse || err == nil && !bytes.Equal(got, want) {
					t.Fatalf("%q: got %q, %v; want %q, refused %t", segment, got, err, want, refuse)
				}
			}
		}
	}
}

func TestAppendDecodedAppends(t *testing.T) {
	want := []byte("prefix.abcdefgh")
	for _, spare := range []int{0, 1, 7, 8, 100} {
		dst := append(make([]byte, 0, len("prefix.")+spare), "prefix."...)
		got, err := AppendDecoded(dst, "YWJjZGVmZ2g")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of room: got %q, %v, want %q", spare, got, err, want)
		}
		if string(dst) != "prefix." {
			t.Errorf("%d bytes of room: the prefix has become %q", spare, dst)
		}
		if shares := &got[0] == &dst[0]; shares != (spare >= 8) {
			t.Errorf("%d bytes of room: the array of dst is used: %v", spare, shares)
		}
	}
}

func TestAppendDecodedAllocates(t *testing.T) {
	segment := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("abc"), 1000))
	dst := append(make([]byte, 0, 4096), "prefix"...)
	for name, tt := range map[string]struct {
		segment string
		dst     []byte
		want    float64
	}{
		"room":                    {segment, dst, 0},
		"no room":                 {segment, nil, 1},
		"a line break at the end": {segment + "\n", dst, 0},
	} {
		if n := testing.AllocsPerRun(10, func() {
			_,
				_ = AppendDecoded(tt.dst, tt.segment)
		}); n != tt.want {
			t.Errorf("%s: %v allocations, want %v", name, n, tt.want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	ok := Header{Algorithm: "RS256", KeyID: "k"}
	kid256 := strings.Repeat("k", 256)
	nest := func(levels int) string { // the header itself is the first level
		return `{"alg":"RS256","kid":"k","x":` + strings.Repeat("[", levels-1) +
			strings.Repeat("]", levels-1) + `}`
	}
	type row struct {
		name, text string
		want       Header // zero: refused
	}
	tests := []row{
		{"alg and kid", `{"alg":"RS256","kid":"k"}`, ok},
		{"white space", " {\r\n\t\"alg\" : \"RS256\" ,\n \"kid\":\"k\" } \n", ok},
		{"escapes", `{"\u0061lg":"RS\u003256","kid":"\u006b"}`, ok},
		{"another algorithm", `{"kid":"k","alg":"ES256"}`, Header{"ES256", "k"}},
		{"an algorithm that the allow-list will refuse", `{"kid":"k","alg":"none"}`,
			Header{"none", "k"}},
		{"kid that is not ASCII", `{"alg":"RS256","kid":"clé"}`, Header{"RS256", "clé"}},
		{"kid in another case is another kid", `{"alg":"RS256","kid":"K"}`, Header{"RS256", "K"}},

		{"alg missing", `{"kid":"k"}`, Header{}},
		{"alg empty", `{"alg":"","kid":"k"}`, Header{}},
		{"alg null", `{"alg":null,"kid":"k"}`, Header{}},
		{"alg a number", `{"alg":256,"kid":"k"}`, Header{}},
		{"alg true", `{"alg":true,"kid":"k"}`, Header{}},
		{"alg an array", `{"alg":["RS256"],"kid":"k"}`, Header{}},
		{"alg an object", `{"alg":{"RS256":1},"kid":"k"}`, Header{}},

		{"kid missing", `{"alg":"RS256"}`, Header{}},
		{"kid empty", `{"alg":"RS256","kid":""}`, Header{}},
		{"kid null", `{"alg":"RS256","kid":null}`, Header{}},
		{"kid a number", `{"alg":"RS256","kid":1}`, Header{}},
		{"kid an array", `{"alg":"RS256","kid":["k"]}`, Header{}},
		{"kid an object", `{"alg":"RS256","kid":{}}`, Header{}},
		{"kid of 256 bytes", `{"alg":"RS256","kid":"` + kid256 + `"}`, Header{"RS256", kid256}},
		{"kid of 257 bytes", `{"alg":"RS256","kid":"` + kid256 + `k"}`, Header{}},
		{"kid of 256 bytes when escapes are read", `{"alg":"RS256","kid":"\u006b` + kid256[1:] +
			`"}`, Header{"RS256", kid256}},
		{"kid of 129 characters in 258 bytes", `{"alg":"RS256","kid":"` + strings.Repeat("é", 129) +
			`"}`, Header{}},

		{"typ JWT", `{"alg":"RS256","kid":"k","typ":"JWT"}`, ok},
		{"typ jwt", `{"alg":"RS256","kid":"k","typ":"jwt"}`, ok},
		{"typ JwT", `{"alg":"RS256","kid":"k","typ":"JwT"}`, ok},
		{"typ application/jwt", `{"alg":"RS256","kid":"k","typ":"application/jwt"}`, ok},
		{"typ Application/JWT", `{"alg":"RS256","kid":"k","typ":"Application/JWT"}`, ok},
		{"typ with an escaped slash", `{"alg":"RS256","kid":"k","typ":"application\/jwt"}`, ok},
		{"typ at+jwt", `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, Header{}},
		{"typ application/at+jwt", `{"alg":"RS256","kid":"k","typ":"application/at+jwt"}`,
			Header{}},
		{"typ JOSE", `{"alg":"RS256","kid":"k","typ":"JOSE"}`, Header{}},
		{"typ empty", `{"alg":"RS256","kid":"k","typ":""}`, Header{}},
		{"typ with a space", `{"alg":"RS256","kid":"k","typ":"JWT "}`, Header{}},
		{"typ null", `{"alg":"RS256","kid":"k","typ":null}`, Header{}},
		{"typ a number", `{"alg":"RS256","kid":"k","typ":1}`, Header{}},
		{"typ an array", `{"alg":"RS256","kid":"k","typ":["JWT"]}`, Header{}},

		{"unknown members", `{"alg":"RS256","kid":"k","ver":1,"org":{"a":[1,null,true]},"":""}`,
			ok},
		{"names near known ones",
			`{"alg":"RS256","kid":"k","algo":1,"ki":1,"kids":1,"type":1,"critical":1,"jwks":1}`,
			ok},
		{"known names further in",
			`{"alg":"RS256","kid":"k","x":{"alg":"none","crit":[],"CRIT":[],"kid":1}}`, ok},

		{"duplicate alg", `{"alg":"RS256","kid":"k","alg":"RS256"}`, Header{}},
		{"duplicate alg, one escaped", `{"alg":"none","kid":"k","\u0061lg":"RS256"}`, Header{}},
		{"duplicate kid", `{"alg":"RS256","kid":"k","kid":"k"}`, Header{}},
		{"duplicate unknown name", `{"alg":"RS256","kid":"k","x":1,"x":1}`, Header{}},
		{"duplicate further in", `{"alg":"RS256","kid":"k","x":[{"y":1,"y":1}]}`, Header{}},
		{"one name at two levels", `{"alg":"RS256","kid":"k","x":[{"x":1},{"x":1}]}`, ok},
		{"duplicate in a jwk that nobody reads", `{"alg":"RS256","kid":"k","jwk":{"n":1,"n":2}}`,
			Header{}},

		{"trailing brace", `{"alg":"RS256","kid":"k"}}`, Header{}},
		{"trailing object", `{"alg":"RS256","kid":"k"}{}`, Header{}},
		{"trailing NUL", `{"alg":"RS256","kid":"k"}` + "\x00", Header{}},
		{"byte order mark", "\ufeff" + `{"alg":"RS256","kid":"k"}`, Header{}},
		{"UTF-16", "{\x00\"\x00a\x00", Header{}},
		{"16 levels", nest(16), ok},
		{"17 levels", nest(17), Header{}},
		{"invalid UTF-8 in kid", `{"alg":"RS256","kid":"` + "\xff" + `"}`, Header{}},
		{"invalid UTF-8 in alg", `{"alg":"RS256` + "\xc0\x80" + `","kid":"k"}`, Header{}},
		{"invalid UTF-8 in an unknown member", `{"alg":"RS256","kid":"k","x":"` + "\xed\xa0\x80" +
			`"}`, Header{}},
		{"invalid UTF-8 in a name", `{"alg":"RS256","kid":"k","` + "\xff" + `":1}`, Header{}},
		{"half of a surrogate pair", `{"alg":"RS256","kid":"\ud800"}`, Header{}},
		{"a surrogate pair", `{"alg":"RS256","kid":"\ud83d\ude00"}`, Header{"RS256", "😀"}},

		{"empty", ``, Header{}},
		{"empty object", `{}`, Header{}},
		{"null", `null`, Header{}},
		{"a string", `"RS256"`, Header{}},
		{"a number", `1`, Header{}},
		{"an array", `[{"alg":"RS256","kid":"k"}]`, Header{}},
		{"cut off", `{"alg":"RS256","kid":"k"`, Header{}},
		{"comma at the end", `{"alg":"RS256","kid":"k",}`, Header{}},
		{"single quotes", `{'alg':'RS256','kid':'k'}`, Header{}},
		{"a comment", `{"alg":"RS256","kid":"k"/**/}`, Header{}},
	}

	// Members that change how the token is read are refused with any value.
	// Their names are refused in any case, because other readers may ignore
	// case.
	values := []string{`[]`, `null`, `["exp"]`, `["b64"]`, `""`, `"JWT"`, `"DEF"`, `true`, `false`,
		`0`, `{}`}
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		for _, value := range values {
			tests = append(tests, row{name + " " + value, `{"alg":"RS256","kid":"k","` + name +
				`":` + value + `}`, Header{}})
		}
		tests = append(tests, row{name + " first", `{"` + name + `":[],"alg":"RS256","kid":"k"}`,
			Header{}})
	}
	// Keys in the header, and links to keys, are ignored.
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"} {
		for _, value := range append(values, `"https://attacker.example/keys"`,
			`{"kty":"oct","kid":"k","k":"AA"}`) {
			tests = append(tests, row{name + " " + value, `{"alg":"RS256","kid":"k","` + name +
				`":` + value + `}`, ok})
		}
	}
	for _, name := range []string{
		"Alg", "ALG", "aLG", "Kid", "KID", "\u212aid", `\u212aid`, "Typ", "TYP", "Crit", "CRIT",
		"cRIT", "crIt",
		"B64", "Zip", "ZIP", "Enc", "ENC", "Cty", "CTY", "Jwk", "JWK", "j\u212a\u0075", "JKU",
		"X5U", "X5C", "X5T", "x5t#s256", "X5T#S256", "x5t#\u017f256",
	} {
		tests = append(tests,
			row{name + " alone", `{"alg":"RS256","kid":"k","` + name + `":"RS256"}`, Header{}},
			row{name + " first", `{"` + name + `":1,"alg":"RS256","kid":"k"}`, Header{}})
	}

	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseHeader(tt.text)
			if tt.want != (Header{}) {
				if err != nil || got != tt.want {
					t.Fatalf("got %+v, %v, want %+v", got, err, tt.want)
				}
				return
			}
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if !errors.Is(err, ErrHeader) && !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%v is neither ErrHeader nor ErrAlgorithm", err)
			}
		})
	}
}

// A header without alg and a header whose only fault is its kid have different
// errors.
func TestParseHeaderErrors(t *testing.T) {
	for _, tt := range []struct {
		text, message string
		is            error
		alg           string
	}{
		{`{"kid":"k"}`, "algorithm", ErrAlgorithm, ""},
		{`{"alg":"","kid":"k"}`, "algorithm", ErrAlgorithm, ""},
		{`{}`, "algorithm", ErrAlgorithm, ""},
		{`{"alg":1,"kid":"k"}`, "header: not a string at byte 8", ErrHeader, ""},
		{`{"alg":"RS256"}`, "header: kid missing or empty", ErrHeader, "RS256"},
		{`{"alg":"RS256","kid":""}`, "header: kid missing or empty", ErrHeader, "RS256"},
		{`{"alg":"RS256","kid":"k","crit":[]}`, "header: crit is not supported at byte 32",
			ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","b64":false}`, "header: b64 is not supported at byte 31",
			ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","zip":"DEF"}`, "header: zip is not supported at byte 31",
			ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","enc":"A128GCM"}`, "header: enc is not supported at byte 31",
			ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","cty":"JWT"}`, "header: cty is not supported at byte 31",
			ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","Crit":[]}`,
			"header: name differs from crit only in case at byte 32", ErrHeader, ""},
		{`{"alg":"RS256","kid":"k","typ":"x"}`, "header: typ is not JWT at byte 34", ErrHeader, ""},
	} {
		got, err := ParseHeader(tt.text)
		if !errors.Is(err, tt.is) || err.Error() != tt.message ||
			got != (Header{Algorithm: tt.alg}) {
			t.Errorf("%s: got %+v, %v, want %q", tt.text, got, err, tt.message)
		}
	}
}

// An attacker writes the header, so no error quotes it.
func TestParseHeaderErrorsQuoteNothing(t *testing.T) {
	const canary = "cAnArY"
	for _, text := range []string{
		canary,
		`"` + canary + `"`,
		`{"` + canary + `":1,"` + canary + `":1}`,
		`{"` + canary + `":"\` + canary + `"}`,
		`{"alg":"` + canary + `"}`,
		`{"alg":"RS256","kid":"` + strings.Repeat(canary, 50) + `"}`,
		`{"alg":"RS256","kid":"k","typ":"` + canary + `"}`,
		`{"alg":"RS256","kid":"k","crit":["` + canary + `"]}`,
		`{"alg":"RS256","kid":"k"}` + canary,
	} {
		if _, err := ParseHeader(text); err == nil {
			t.Errorf("%s: accepted", text)
		} else if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, canary) {
			t.Errorf("%s: the error quotes it: %s", text, all)
		}
	}
}

// The strings of a header are substrings of its text.
func TestParseHeaderAllocatesNothing(t *testing.T) {
	text := `{"alg":"RS256","typ":"JWT","kid":"k","x5t":"a","x":[1,{"y":2}]}`
	if n := testing.AllocsPerRun(10, func() { _, _ = ParseHeader(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
