package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/parajwt/parajwt/internal/strictjson"
)

// FuzzSkip compares this package with encoding/json. A text that is accepted
// here has the same value there. A text that is accepted there and refused here
// is ambiguous by the slow check below.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{
		`{"alg":"RS256","kid":"k","typ":"JWT"}`,
		`{"sub":"u","aud":["a","b"],"iat":1745877709,"exp":1.745879509e9,"data":{"userId":"u",` +
			`"wallets":[{"id":"1","type":"EVM","publicKey":""}],"x":null}}`,
		`{"a":1,"\u0061":2}`, `{"a":1,"A":2}`, `{"σ":1,"ς":2}`, `{"a":{"b":1},"b":2,"a":3}`,
		`["\ud83d\ude00","\ud83d","\ude00\ud83d","\ud83d\ud83d\ude00","\ufffd"]`, `"\\ud800"`,
		"[\"\xff\",\"\xed\xa0\x80\",\"\\n\xc3\"]", "\ufeff{}", "{\"\x00\":\"\x7f\"}",
		`"\"\\\/\b\f\n\r\t\u0041"`,
		`[0,-0,1.5e-3,1E+9,true,false,null,{},[]]`, `[01]`, `[1.]`, `[-]`, `[1e]`, `[1,]`,
		`{"a":1,}`, `{} {}`, ` `, ``,
		nest("both", 16, `0`), nest("both", 17, `0`), nest("arrays", 513, ``),
		many(73), manyAnd(73, `"n72":1`), manyAnd(73, `"N0":1`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		skipped := skip(text)
		built, err := build(text)
		if fmt.Sprint(skipped) != fmt.Sprint(err) {
			t.Fatalf("Skip returns %v, reading %v", skipped, err)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || !e.Syntax || e.Offset < 0 ||
			e.Offset > len(text)) {
			t.Fatalf("a reader that calls Peek gets %#v", err)
		}

		fault := "no JSON"
		if json.Valid([]byte(text)) {
			fault = ambiguity(text)
		}
		if (err == nil) != (fault == "") {
			t.Fatalf("got %v, want %q", err, fault)
		}
		if err == nil {
			if want, err := unmarshal(text); err != nil || !reflect.DeepEqual(built, want) {
				t.Fatalf("got %v, encoding/json has %v, %v", built, want, err)
			}
			checkFolded(t, text, built)
		}
		checkRaw(t, text)
	})
}

// checkFolded compares RefuseFoldedNames with strings.EqualFold.
func checkFolded(t *testing.T, text string, built any) {
	d := New(text)
	d.RefuseFoldedNames()
	d.Skip()
	if refused := d.End() != nil; refused != hasFoldedNames(built) {
		t.Fatalf("names that are equal but for their case: got %v", d.End())
	}
}

func hasFoldedNames(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, hasFoldedNames)
	case map[string]any:
		for a, member := range v {
			for b := range v {
				if a != b && strings.EqualFold(a, b) {
					return true
				}
			}
			if hasFoldedNames(member) {
				return true
			}
		}
	}
	return false
}

// checkRaw compares Raw with json.Valid, which accepts 10,000 levels.
func checkRaw(t *testing.T, text string) {
	d := New(text)
	raw := d.Raw()
	if depth(text) > 10_000 {
		return
	}
	want := json.Valid([]byte(text))
	if err := d.End(); (err == nil) != want {
		t.Fatalf("Raw: got %v, want accepted: %v", err, want)
	} else if err == nil && raw != strings.Trim(text, " \t\r\n") {
		t.Fatalf("Raw: got %q", raw)
	}
}

var (
	surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
	pair      = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
)

// ambiguity returns why valid JSON has more than one meaning, or "".
func ambiguity(text string) string {
	// After removing escaped backslashes, every remaining \u is an escape.
	// After removing surrogate pairs, every remaining surrogate is unpaired.
	escapes := strings.ReplaceAll(text, `\\`, `..`)
	switch {
	case !utf8.ValidString(text):
		return "invalid UTF-8"
	case surrogate.MatchString(pair.ReplaceAllString(escapes, ``)):
		return "half of a surrogate pair"
	case depth(text) > 16:
		return "too deep"
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if hasDuplicates(d) {
		return "duplicate name"
	}
	return ""
}

// depth counts brackets outside strings in valid JSON.
func depth(text string) (deepest int) {
	level, quoted := 0, false
	for _, c := range strings.ReplaceAll(strings.ReplaceAll(text, `\\`, ``), `\"`, ``) {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			level++
			deepest = max(deepest, level)
		case c == ']' || c == '}':
			level--
		}
	}
	return deepest
}

// hasDuplicates reads one value.
func hasDuplicates(d *json.Decoder) (found bool) {
	token, err := d.Token()
	if err != nil {
		return false
	}
	switch token {
	case json.Delim('['):
		for d.More() {
			found = hasDuplicates(d) || found
		}
		_, _ = d.Token()
	case json.Delim('{'):
		names := map[any]bool{}
		for d.More() {
			name, _ := d.Token()
			found = found || names[name]
			names[name] = true
			found = hasDuplicates(d) || found
		}
		_, _ = d.Token()
	}
	return found
}
