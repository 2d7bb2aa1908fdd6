package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/parajwt/parajwt/internal/strictjson"
)

// canary occurs in many texts below. No error may contain it.
const canary = "canary"

// skip reads text without requesting its values.
func skip(text string) error {
	d := New(text)
	d.Skip()
	return d.End()
}

// build reads text and requests every value.
func build(text string) (any, error) {
	d := New(text)
	v := value(d)
	return v, d.End()
}

// value returns the next value as json.Unmarshal does with UseNumber.
func value(d *Decoder) any {
	switch d.Peek() {
	case '{':
		object := map[string]any{}
		for name := range d.Object {
			object[name] = value(d)
		}
		return object
	case '[':
		array := []any{}
		for range d.Array {
			array = append(array, value(d))
		}
		return array
	case '"':
		return d.String()
	case '0':
		return json.Number(d.Number())
	case 'n':
		d.Null()
		return nil
	default:
		return d.Raw() == "true"
	}
}

// unmarshal returns the value that encoding/json reads.
func unmarshal(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return v, d.Decode(&v)
}

// accepts checks that a text is read to its end, with the same value as in
// encoding/json.
func accepts(t *testing.T, text string) {
	t.Helper()
	if err := skip(text); err != nil {
		t.Errorf("Skip refuses %.80q: %v", text, err)
	}
	got, err := build(text)
	if err != nil {
		t.Errorf("reading refuses %.80q: %v", text, err)
		return
	}
	if want, err := unmarshal(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%.80q is read as %v; encoding/json has %v, %v", text, got, want, err)
	}
}

// refuses checks that a text is refused for its syntax, and returns the reason.
func refuses(t *testing.T, text string) (reason string) {
	t.Helper()
	_, err := build(text)
	for how, err := range map[string]error{"Skip": skip(text), "reading": err} {
		var e *Error
		switch {
		case !errors.As(err, &e):
			t.Errorf("%s accepts %.80q", how, text)
		case !e.Syntax:
			t.Errorf("%s of %.80q: %v is not marked as a syntax error", how, text, e)
		case e.Offset < 0 || e.Offset > len(text):
			t.Errorf("%s of %.80q: offset %d lies outside", how, text, e.Offset)
		case strings.Contains(e.Error(), canary):
			t.Errorf("%s of %.80q: the error quotes the text: %v", how, text, e)
		default:
			reason = e.Reason
		}
	}
	return reason
}

// many returns an object with n different names.
func many(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote("n"+strconv.Itoa(i)) + ":0")
	}
	return b.String() + "}"
}

// manyAnd returns an object with n names and one additional member.
func manyAnd(n int, member string) string {
	return strings.TrimSuffix(many(n), "}") + "," + member + "}"
}

// nest returns text inside n arrays, n objects, or both in turn.
func nest(kind string, n int, text string) string {
	opening := map[string]string{"arrays": `[[`, "objects": `{{`, "both": `[{`}[kind]
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(opening[i%2:i%2+1], `{`, `{"a":`, 1))
	}
	b.WriteString(text)
	for i := n - 1; i >= 0; i-- {
		b.WriteByte(opening[i%2] + 2) // in ASCII, ] and } are two above [ and {
	}
	return b.String()
}

func TestAmbiguousTextsAreRefused(t *testing.T) {
	// Each refused text has an accepted text that differs only in the fault.
	tests := []struct {
		name     string
		accepted string
		refused  []string
		reason   string
	}{
		{"nothing is no value", `0`, []string{``, ` `, "\t\r\n "}, "unexpected end"},
		{"one value is the whole text", "{}\r\n\t ",
			[]string{`{}{}`, `{} canary`, `{},`, `{}]`, `{}}`, "{}\x00", "{}\v", "{}\u00a0",
				"{}\ufeff"}, "data after the value"},
		{"a scalar ends where it ends", `1`, []string{`1 2`, `01`, `1a`, `1.2.3`, `0x10`, `-0-`},
			"data after the value"},
		{"no byte order mark", `{}`, []string{"\ufeff{}", "\xfe\xff{}", "\xff\xfe{}"},
			"unexpected character"},
		{"no white space but JSON's", " \t\r\n{}",
			[]string{"\v{}", "\f{}", "\u00a0{}", "\u2028{}", "\x00{}", "\x00"},
			"unexpected character"},

		{"no name twice", `{"a":1,"b":1}`, []string{`{"a":1,"a":1}`, `{"a":1,"b":2,"a":null}`,
			`{"":1,"":2}`}, "duplicate name"},
		{"no name twice, however it is spelt", `{"a":1,"\u0062":1}`,
			[]string{`{"a":1,"\u0061":1}`, `{"\u0061":1,"a":1}`, `{"\u0061\u0062":1,"a\u0062":1}`,
				`{"é":1,"\u00e9":1}`, `{"é":1,"\u00E9":1}`, `{"😀":1,"\ud83d\uDE00":1}`,
				`{"\/":1,"/":1}`, `{"\n":1,"\u000a":1}`}, "duplicate name"},
		{"no name twice in an inner object", `{"o":{"a":1,"b":1}}`,
			[]string{`{"o":{"a":1,"a":1}}`, `[[{"a":1,"a":1}]]`, `{"o":[0,{"a":1,"\u0061":1}]}`,
				`{"o":{"p":{"q":{"a":1,"a":1}}}}`}, "duplicate name"},
		{"no outer name again after an inner object", `{"a":{"b":1},"b":2,"c":3}`,
			[]string{`{"a":{"b":1},"b":2,"a":3}`, `{"a":[{"a":1}],"a":2}`}, "duplicate name"},
		{"no name twice among seventy-three", many(73),
			[]string{manyAnd(73, `"n0":1`), manyAnd(73, `"n71":1`), manyAnd(73, `"n72":1`),
				manyAnd(72, `"n0":1`), manyAnd(71, `"n70":1`), manyAnd(73, `"\u006e40":1`)},
			"duplicate name"},
		{"no name twice among hundreds", many(300),
			[]string{manyAnd(300, `"n0":1`), manyAnd(300, `"n72":1`), manyAnd(300, `"n299":1`),
				manyAnd(300, `"n\u0032\u0039\u0039":1`)}, "duplicate name"},
		{"no name twice inside an object of many", manyAnd(90, `"o":{"n0":1,"n50":1}`),
			[]string{manyAnd(90, `"o":{"a":1,"a":1}`), manyAnd(90, `"o":{"a":1,"b":1,"a":1}`),
				manyAnd(90, `"o":{"n0":1},"n50":1`), manyAnd(71, `"o":{"a":1,"b":1,"c":1,"b":1}`)},
			"duplicate name"},
		{"no name twice around an object of many", `{"a":1,"o":` + many(60) + `,"b":1}`,
			[]string{`{"a":1,"o":` + many(60) + `,"a":1}`, `{"o":` + many(60) + `,"o":1}`},
			"duplicate name"},

		{"each level has separate names",
			`{"a":{"a":{"a":1}},"b":{"a":1},"c":[{"a":1},{"a":1}]}`, nil, ""},
		{"names in another case are other names", `{"a":1,"A":1}`, nil, ""},

		{"sixteen arrays", nest("arrays", 16, `0`),
			[]string{nest("arrays", 17, `0`), nest("arrays", 17, ``), nest("arrays", 5000, ``),
				strings.Repeat("[", 1<<20)}, "more than 16 levels"},
		{"sixteen objects", nest("objects", 16, `0`),
			[]string{nest("objects", 17, `0`), nest("objects", 5000, `0`)}, "more than 16 levels"},
		{"sixteen of both", nest("both", 16, `0`),
			[]string{nest("both", 17, `0`), nest("both", 15, `[[0]]`), nest("both", 15, `[0,[0]]`)},
			"more than 16 levels"},
		{"levels count inside one another, not beside", `[` + strings.Repeat(`[{"a":{}}],`, 30) +
			nest("both", 15, `0`) + `]`, nil, ""},

		{"no invalid UTF-8", `"é€😀"`, []string{"\"\xff\"", "\"\xc3\"", "\"canary\xc3(\"",
			"\"\xe2\x82\"", "\"\x80\"", "\"\xf8\x88\x80\x80\x80\""}, "invalid UTF-8"},
		{"no overlong UTF-8", `"/"`, []string{"\"\xc0\xaf\"", "\"\xe0\x80\xaf\"", "\"\xc0\x80\""},
			"invalid UTF-8"},
		{"no surrogates or beyond in UTF-8", "\"\xef\xbf\xbd\"",
			[]string{"\"\xed\xa0\x80\"", "\"\xed\xa0\xbd\xed\xb8\x80\"", "\"\xf4\x90\x80\x80\""},
			"invalid UTF-8"},
		{"no invalid UTF-8 beside an escape", `"\u00e9é"`,
			[]string{"\"\\u00e9\xff\"", "\"\xff\\u00e9\"", "\"\xc3\\u00a9\"", "\"\\n\xa9\""},
			"invalid UTF-8"},
		{"no invalid UTF-8 in a name", `{"é":1}`, []string{"{\"\xff\":1}", "{\"a\\n\xff\":1}"},
			"invalid UTF-8"},

		{"no half of a surrogate pair", `"\ud83d\ude00"`,
			[]string{`"\ud83d"`, `"\ude00"`, `"\ud83dcanary"`, `"\ude00\ud83d"`, `"\ude00\ude00"`,
				`"\ud83d\ud83d"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\u0041"`, `"\ud83d\n"`,
				`"\ud83d\ude00\ude00"`, `"\udbff\ue000"`}, "half of a surrogate pair"},
		{"no half of a surrogate pair in a name", `{"\uD83D\uDE00":1}`,
			[]string{`{"\uD83D":1}`, `{"\udfff":1}`}, "half of a surrogate pair"},
		{"the neighbours of the surrogates are letters",
			`["\ud7ff","\ue000","\udbff\udfff","\ud800\udc00","\ufffd","\uffff"]`, nil, ""},

		{"no control character", `"\u0000\u001f"`,
			[]string{"\"\x00\"", "\"\x1f\"", "\"\n\"", "\"\t\"", "\"canary\x00\"", "\"\\n\x00\"",
				"{\"\x00\":1}"}, "control character in a string"},
		{"DEL is no control character to JSON", "\"\x7f\"", nil, ""},

		{"escapes", `"\"\\\/\b\f\n\r\t\u0041\u00Af\u20ac"`,
			[]string{`"\a"`, `"\v"`, `"\0"`, `"\x41"`, `"\'"`, `"\U0041"`, `"\u004"`, `"\u004g"`,
				`"\u{41}"`, `"\u+041"`, `"\u 041"`, `"\ud83d\uzzzz"`}, "unknown escape"},
		{"strings end", `"\\"`, []string{`"`, `"canary`, `"\"`, `"\`, `"\u`, `"\u004`, `"\ud83d\u`,
			`"\ud83d\u00"`, `"\\\"`}, "unexpected end"},
		{"strings begin with a quotation mark", `["a"]`,
			[]string{`[a]`, `['a']`, "[`a`]", `["a"b"]`, `["a]`}, ""},

		{"numbers",
			`[0,-0,1,10,-1,0.0,-0.10,1e1,1E+1,1e-1,1.5e00,1.0E-05,123456789012345678901234567890]`,
			[]string{`[-]`, `[1.]`, `[-.5]`, `[1e]`, `[1e+]`, `[1.e1]`, `[1.5E-]`, `[--1]`, `[-a]`,
				`[-Infinity]`}, "not a number"},
		{"numbers begin and end as numbers do", `[1]`,
			[]string{`[01]`, `[-01]`, `[+1]`, `[.5]`, `[1_000]`, `[0x1]`, `[1e1.5]`, `[NaN]`,
				`[Infinity]`, `[1,000.]`, `[１]`, `[1a]`}, ""},
		{"words", `[true,false,null]`, []string{`[True]`, `[TRUE]`, `[tru]`, `[truex]`, `[fals]`,
			`[nul]`, `[nil]`, `[undefined]`, `[nullnull]`, `[t]`, `[tRUE]`, `[fALSE]`, `[nULL]`},
			"unexpected character"},
		{"words end", `null`, []string{`nul`, `n`, `tru`, `fals`, `f`}, "unexpected character"},

		{"one comma between elements", `[1,2]`,
			[]string{`[1 2]`, `[1,,2]`, `[,1]`, `[,]`, `[1;2]`, `[1:2]`}, "unexpected character"},
		{"no comma after the last element", `[1, 2 ]`, []string{`[1,]`, `[1 , ]`, "[1,\n]"},
			"comma before a closing bracket"},
		{"no comma after the last member", `{"a":1, "b":2 }`, []string{`{"a":1,}`, `{"a":1 , }`},
			"comma before a closing bracket"},
		{"one comma between members", `{"a":1,"b":2}`,
			[]string{`{"a":1 "b":2}`, `{"a":1;"b":2}`, `{"a":1:"b":2}`}, "unexpected character"},
		{"names are strings", `{"1":1}`, []string{`{1:1}`, `{a:1}`, `{'a':1}`, `{null:1}`, `{,}`,
			`{"a":1,,"b":2}`, `{:1}`, `{[]:1}`, `{/**/"a":1}`}, "no name"},
		{"one colon after a name", `{"a" : 1}`,
			[]string{`{"a" 1}`, `{"a"}`, `{"a",1}`, `{"a"=1}`, `{"a"`, `{"a" `},
			"no colon after a name"},
		{"a value after a colon", `{"a":0}`, []string{`{"a":}`, `{"a":,"b":1}`, `{"a"::0}`},
			"unexpected character"},
		{"brackets match", `[{}]`, []string{`[}`, `{]`, `[{]}`, `[1}`, `{"a":1]`, `]`, `}`, `[]]`,
			`{}}`}, ""},
		{"brackets close", `[]`, []string{`[`, `{`, `[[]`, `[1`, `[1,`, `{"a":1`, `{"a":`,
			`{"a":{}`, `[1, `}, "unexpected end"},
		{"a name after a comma", `{"a":1,"b":2}`, []string{`{"a":1,`, `{"a":1, `}, "no name"},
		{"no comments", `[1]`, []string{`[1/**/]`, "[1//\n]", "[1#\n]", `/**/[1]`, `[1]//`}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			accepts(t, test.accepted)
			for _, text := range test.refused {
				if reason := refuses(t, text); test.reason != "" && reason != test.reason {
					t.Errorf("%.80q is refused with %q, want %q", text, reason, test.reason)
				}
			}
		})
	}
}

func TestRefuseCaseVariant(t *testing.T) {
	names := []string{"sub", "userId", "publicKey", "x5t#S256"}
	read := func(text string) error {
		d := New(text)
		for name := range d.Object {
			d.RefuseCaseVariant(name, names)
		}
		return d.End()
	}
	for _, name := range []string{"su", "subs", "s", "", "user_id", "userid ", " sub", "publicKe",
		"keypublic", "süb", "\u0455ub", "userıd"} {
		if err := read(`{"` + name + `":1}`); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	// encoding/json matches the last four with a known name: ſ folds to s, the
	// Kelvin sign to k.
	for _, name := range []string{"Sub", "SUB", "sUb", "userid", "USERID", "UserId", "PublicKey",
		"x5t#s256", "X5T#S256", `\u0053ub`, "ſub", "uſerId", "public\u212Aey", `public\u212aey`} {
		err := read(`{"` + name + `":"` + canary + `"}`)
		var e *Error
		if !errors.As(err, &e) || !e.Syntax {
			t.Errorf("%q: got %v, want a syntax error", name, err)
		} else if !slices.ContainsFunc(names, func(known string) bool {
			return e.Reason == "name differs from "+known+" only in case"
		}) {
			t.Errorf("%q: got %q, want the known name and not the text", name, e.Reason)
		}
	}
}

func TestRefuseFoldedNames(t *testing.T) {
	folded := func(text string) error {
		d := New(text)
		d.RefuseFoldedNames()
		d.Skip()
		return d.End()
	}
	for _, text := range []string{
		`{"a":1,"b":1,"ab":1}`,
		`{"a":{"A":1},"b":{"A":1}}`,
		`[{"a":1},{"A":1}]`,
		`{"ß":1,"ss":1}`,
		`{"İ":1,"i":1}`, // Unicode pairs them as upper and lower case, encoding/json does not
		`{"ı":1,"I":1}`,
		`{"a_b":1,"ab":1,"a-b":1}`,
		many(60),
	} {
		if err := folded(text); err != nil {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	for _, text := range []string{
		`{"a":1,"A":1}`, `{"aB":1,"Ab":1}`, `{"a":1,"\u0041":1}`,
		`{"o":{"a":1,"A":1}}`, `[{"a":1,"A":1}]`,
		`{"é":1,"É":1}`, `{"s":1,"ſ":1}`, `{"S":1,"ſ":1}`, `{"k":1,"` + "\u212a" + `":1}`,
		`{"σ":1,"ς":1}`, `{"Σ":1,"ς":1}`, `{"µ":1,"μ":1}`, `{"ß":1,"ẞ":1}`, `{"å":1,"` + "\u212b" +
			`":1}`,
		manyAnd(60, `"N0":1`), manyAnd(60, `"N59":1`),
	} {
		accepts(t, text) // not requested
		var e *Error
		if err := folded(text); !errors.As(err, &e) || e.Reason != "duplicate name" {
			t.Errorf("%.60s: got %v, want a duplicate name", text, err)
		}
	}
	if folded(`{"a":1,"a":1}`) == nil {
		t.Error("equal names are accepted")
	}
}

func TestRawAcceptsAmbiguousValues(t *testing.T) {
	// Each value is refused outside Raw. Raw reads it without affecting the
	// values around it.
	for _, raw := range []string{
		`{"a":1,"a":2}`,
		`{"o":[{"a":1,"\u0061":2}]}`,
		manyAnd(60, `"n0":1`),
		"\"\xff\"",
		"{\"\xff\":[\"\xed\xa0\x80\",\"\\n\xff\"]}",
		`"\ud800"`,
		`["\udc00","\ud800\u0041"]`,
		nest("arrays", 17, ``),
		nest("both", 400, `0`),
	} {
		refuses(t, raw)
		d := New(`{"first":1,"keys":[ ` + raw + ` ,"between",` + raw + `],"last":2}`)
		var got []string
		for name := range d.Object {
			if name != "keys" {
				got = append(got, d.Number())
				continue
			}
			for range d.Array {
				got = append(got, d.Raw())
			}
		}
		if err, want := d.End(), []string{"1", raw, `"between"`, raw, "2"}; err != nil ||
			!reflect.DeepEqual(got, want) {
			t.Errorf("%.60q: got %.300q, %v", raw, got, err)
		}
		if err := skip(got[1]); err == nil {
			t.Errorf("%.60q: accepted by another decoder", raw)
		}
	}
}

func TestRawReturnsTheTextOfOneValue(t *testing.T) {
	for _, raw := range []string{`{}`, `[]`, `{ "a" : [ 1 , "]" ] }`, `"\""`, `-1.5e3`, `true`,
		`false`, `null`} {
		d := New(" [ " + raw + " ] ")
		for range d.Array {
			if got := d.Raw(); got != raw {
				t.Errorf("got %q, want %q", got, raw)
			}
		}
		if err := d.End(); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestRawChecksSyntax(t *testing.T) {
	for _, raw := range []string{``, `[1,]`, `{"a":}`, `{"a"}`, `tru`, `01`, `"\x"`, "\"\x00\"",
		`"\ud800\uzzzz"`, `{"a":1`, `"`, "\ufeff1", `'a'`} {
		d := New(`[` + raw + `]`)
		for range d.Array {
			if got := d.Raw(); got != "" && got != "0" {
				t.Errorf("%q: got %q of a value that is none", raw, got)
			}
		}
		if raw == "" { // which makes the array empty
			continue
		}
		var e *Error
		if err := d.End(); !errors.As(err, &e) || !e.Syntax {
			t.Errorf("%q: got %v, want a syntax error", raw, err)
		}
	}
}

func TestRawIsStrictAgainAfterwards(t *testing.T) {
	for _, neighbour := range []string{`{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`,
		nest("arrays", 16, `0`)} {
		for _, raw := range []string{`0`, nest("both", 300, `{"a":1,"a":2}`)} {
			d := New(`[` + raw + `,` + neighbour + `]`)
			first := true
			for range d.Array {
				if first {
					d.Raw()
				}
				first = false
			}
			if err := d.End(); err == nil {
				t.Errorf("accepted %.40q after Raw", neighbour)
			}
		}
	}
}

func TestRawAcceptsAnyDepth(t *testing.T) {
	for _, kind := range []string{"arrays", "objects", "both"} {
		raw := nest(kind, 100_000, `0`)
		d := New(`[{"a":[` + raw + `,{"b":` + raw + `}]},1]`)
		var got []string
		for range d.Array {
			got = append(got, d.Raw())
		}
		if err := d.End(); err != nil || len(got) != 2 ||
			got[0] != `{"a":[`+raw+`,{"b":`+raw+`}]}` || got[1] != "1" {
			t.Errorf("%s: %v", kind, err)
		}
		for _, broken := range []string{raw[:len(raw)-1], raw[:len(raw)-1] + ")", raw + "}",
			strings.Replace(raw, "0", "0,", 1), strings.Replace(raw, "0", "0 0", 1)} {
			d := New(`[` + broken + `]`)
			for range d.Array {
				d.Raw()
			}
			if d.End() == nil {
				t.Errorf("%s: accepted when broken", kind)
			}
		}
	}
}

func TestUnreadValueIsSkipped(t *testing.T) {
	var names []string
	d := New(`{"a":{"x":[1,{}]},"b":["y"],"c":"z","d":-1.5,"e":true,"f":false,"g":null,"h":"read"}`)
	for name := range d.Object {
		names = append(names, name)
		d.Peek() // Peek does not read
		if name == "h" && d.String() != "read" {
			t.Error("h is not read")
		}
	}
	if err := d.End(); err != nil || strings.Join(names, "") != "abcdefgh" {
		t.Errorf("got %v, %v", names, err)
	}

	n := 0
	d = New(`[{"x":1},["y"],"z",-1.5,true,false,null]`)
	for range d.Array {
		n++
	}
	if err := d.End(); err != nil || n != 7 {
		t.Errorf("got %d elements, %v", n, err)
	}
}

func TestSkippedValueIsChecked(t *testing.T) {
	for _, skipped := range []string{`{"x":1,"x":2}`, `[{"x":1,"\u0078":2}]`, "\"\xff\"",
		`"\ud800"`, `01`, `[1,]`, `tru`, nest("arrays", 16, ``)} {
		for _, text := range []string{`{"a":` + skipped + `}`, `[` + skipped + `]`} {
			d := New(text)
			if d.Peek() == '{' {
				for range d.Object {
				}
			} else {
				for range d.Array {
				}
			}
			if err := d.End(); err == nil {
				t.Errorf("accepted %.60q", text)
			}
		}
	}
}

func TestBreakFails(t *testing.T) {
	const object, array = `{"a":1,"b":2}`, `[1,2]`
	first := func(d *Decoder) string {
		for name := range d.Object {
			d.Skip()
			return name
		}
		return ""
	}
	for name, read := range map[string]func() *Decoder{
		"break from Object": func() *Decoder {
			d := New(object)
			for range d.Object {
				d.Skip()
				break
			}
			return d
		},
		"break from Object at its last member": func() *Decoder {
			d := New(object)
			for name := range d.Object {
				d.Skip()
				if name == "b" {
					break
				}
			}
			return d
		},
		"break before a value is read": func() *Decoder {
			d := New(object)
			for range d.Object {
				break
			}
			return d
		},
		"return from Object": func() *Decoder {
			d := New(object)
			first(d)
			return d
		},
		"break from Array": func() *Decoder {
			d := New(array)
			for range d.Array {
				d.Skip()
				break
			}
			return d
		},
		"break from an inner loop": func() *Decoder {
			d := New(`{"a":[1,2],"b":3}`)
			for name := range d.Object {
				if name == "a" {
					for range d.Array {
						break
					}
				}
			}
			return d
		},
		"leaving two loops": func() *Decoder {
			d := New(`[[1],[2]]`)
		outer:
			for range d.Array {
				for range d.Array {
					break outer
				}
			}
			return d
		},
	} {
		var e *Error
		if err := read().End(); !errors.As(err, &e) || e.Reason != "not read to the end" {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

// readers request one type each.
var readers = map[string]func(*Decoder){
	"an object": func(d *Decoder) {
		for range d.Object {
		}
	},
	"an array": func(d *Decoder) {
		for range d.Array {
		}
	},
	"a string": func(d *Decoder) { _ = d.String() },
	"a number": func(d *Decoder) { d.Number() },
}

func TestWrongTypeIsNotASyntaxError(t *testing.T) {
	for what, text := range map[string]string{
		"an object": `{"canary":["canary"]}`,
		"an array":  `["canary",{}]`,
		"a string":  `"canary"`,
		"a number":  `-1.5e3`,
		"true":      `true`,
		"false":     `false`,
		"null":      `null`,
	} {
		for wanted, read := range readers {
			d := New(text)
			read(d)
			err := d.End()
			var e *Error
			switch {
			case wanted == what:
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			case !errors.As(err, &e) || e.Syntax || e.Reason != "not "+wanted:
				t.Errorf("%s for %s: got %v, want %q, not a syntax error", what, wanted, err,
					"not "+wanted)
			case strings.Contains(err.Error(), canary):
				t.Errorf("the error quotes the text: %v", err)
			}
		}
	}
}

func TestSyntaxErrorPrecedesWrongType(t *testing.T) {
	for _, text := range []string{``, ` `, "\x00", `nope`, `tru`, `-`, `1.`, `"`, `"\ud800"`, `[`,
		`{"a":1,"a":2}`, `[1,]`, nest("arrays", 17, ``)} {
		for wanted, read := range readers {
			alone, inside := New(text), New(`[`+text)
			read(alone)
			for range inside.Array {
				read(inside)
			}
			for _, err := range []error{alone.End(), inside.End()} {
				var e *Error
				if !errors.As(err, &e) || !e.Syntax {
					t.Errorf("%.20q for %s: got %v, want a syntax error", text, wanted, err)
				}
			}
		}
	}
}

func TestFirstErrorEndsDecoding(t *testing.T) {
	d := New(`["canary",1,null,{"a":1},[1]]`)
	for range d.Array {
		d.Number() // of a string
		if d.Peek() != 0 || d.String() != "" || d.Number() != "" || d.Null() || d.Raw() != "" {
			t.Error("a value after an error")
		}
		for range d.Object {
			t.Error("a member after an error")
		}
		for range d.Array {
			t.Error("an element after an error")
		}
		d.Skip()
		d.RefuseCaseVariant("SUB", []string{"sub"})
		d.Fail("a later error")
	}
	var e *Error
	if err := d.End(); !errors.As(err, &e) || e.Reason != "not a number" || e.Syntax ||
		d.Err() != err {
		t.Errorf("got %v, want the first error", err)
	}

	for _, text := range []string{`"a\qb"`, `"a\ud800b"`, `"a\u00"`, "\"a\xff\"", "\"\\n\xff\"",
		"\"a\x00b\"", `"ab`, `"a\nb`} {
		if got := New(text).String(); got != "" {
			t.Errorf("%q: got %q of a malformed string", text, got)
		}
	}
	for _, text := range []string{`-`, `1.`, `1e`, `1.5e+`} {
		if got := New(text).Number(); got != "" {
			t.Errorf("%q: got %q of a malformed number", text, got)
		}
	}
}

func TestFail(t *testing.T) {
	d := New(`["canary",2]`)
	n := 0
	for range d.Array {
		n++
		_ = d.String()
		d.Fail("not accepted here")
	}
	var e *Error
	if err := d.End(); !errors.As(err, &e) || e.Reason != "not accepted here" || e.Syntax ||
		e.Offset != 9 || n != 1 {
		t.Errorf("got %#v after %d elements", err, n)
	}
	if got, want := e.Error(), "not accepted here at byte 9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrIsNilWithoutAnError(t *testing.T) {
	d := New(`1`)
	d.Skip()
	if d.Err() != nil || d.End() != nil {
		t.Error("got an error for valid JSON")
	}
}

func TestNullReadsOnlyNull(t *testing.T) {
	d := New(`[null,"null",0,nul]`)
	var got []string
	for range d.Array {
		got = append(got, fmt.Sprint(d.Null(), d.Err() == nil))
	}
	if want := []string{"true true", "false true", "false true",
		"false false"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPeek(t *testing.T) {
	for text, want := range map[string]byte{
		`{}`: '{', ` []`: '[', "\n\"a\"": '"', `true`: 't', `false`: 'f', `null`: 'n',
		`0`: '0', `7`: '0', `9`: '0', `-1`: '0', ``: 0, ` `: 0, `]`: ']', `+1`: '+',
	} {
		if got := New(text).Peek(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestStringsAndNumbers(t *testing.T) {
	for text, want := range map[string]string{
		`""`:                                "",
		`"plain"`:                           "plain",
		`"é€😀"`:                             "é€😀",
		`"\"\\\/\b\f\n\r\t"`:                "\"\\/\b\f\n\r\t",
		`"a\u0000z"`:                        "a\x00z",
		`"\u00e9\u20AC\ud83d\uDE00 \u2028"`: "é€😀 \u2028",
		`"\ud800\udc00\udbff\udfff"`:        "\U00010000\U0010FFFF",
		`"\\u0061"`:                         `\u0061`,
	} {
		d := New(text)
		if got := d.String(); got != want || d.End() != nil {
			t.Errorf("%s: got %q, %v, want %q", text, got, d.Err(), want)
		}
	}
	for _, number := range []string{"0", "-0", "10", "1.50", "1E+05",
		"123456789012345678901234567890", "1e400"} {
		d := New(" " + number + " ")
		if got := d.Number(); got != number || d.End() != nil {
			t.Errorf("got %q, %v, want %q", got, d.Err(), number)
		}
	}
}

func TestOnlyTheDecoderAndEscapedStringsAllocate(t *testing.T) {
	payload := `{"sub":"user","aud":["app"],"exp":2e9,"data":{` +
		`"wallets":[{"id":"1","é":"€"},{"id":"2"}],"more":[true,false,null,-1.5]}}`
	for _, test := range []struct {
		name, text string
		want       float64
	}{
		{"no escapes", payload, 1},
		{"72 names", `{"outer":` + many(71) + `}`, 1},
		{"one escape", `["a\nb"]`, 2},
	} {
		got := testing.AllocsPerRun(100, func() {
			d := New(test.text)
			d.Skip()
			if d.End() != nil {
				t.Error(d.Err())
			}
		})
		if got > test.want {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.want)
		}
	}
}

func TestLimitNames(t *testing.T) {
	for _, limit := range []int{1, 39, 40, 41, 79, 80, 81, 200} {
		for n, want := range map[int]string{limit: "", limit + 1: "too many names"} {
			for _, text := range []string{many(n), `{"x":` + many(n) + `}`,
				`[{"a":1},` + many(n) + `]`} {
				d := New(text)
				d.LimitNames(limit)
				d.Skip()
				err, _ := d.End().(*Error)
				if got := ""; err != nil {
					if got = err.Reason; got != want {
						t.Errorf("%d names with a limit of %d: %s", n, limit, got)
					}
				} else if want != "" {
					t.Errorf("%d names with a limit of %d are accepted", n, limit)
				}
			}
		}
	}
}
