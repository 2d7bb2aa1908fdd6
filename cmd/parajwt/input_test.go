package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/paratest"
)

// wrap breaks a text after every n bytes.
func wrap(text string, n int, with string) string {
	var lines []string
	for len(text) > n {
		lines, text = append(lines, text[:n]), text[n:]
	}
	return strings.Join(append(lines, text), with)
}

func TestTheTokenIsFoundInPastedText(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	para.RotateES256()
	es256 := para.Token(paratest.EmailUser())
	other := strings.Join([]string{
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
		"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
	}, ".")
	curl := "curl 'https://api.example.com/me' \\\n  -H 'accept: */*' \\\n  "
	lines := strings.Count(wrap(token, 76, "\n"), "\n") + 1
	joined := strings.ReplaceAll(
		"the text, joined from N lines", "N", strings.TrimSpace(jsonText(t, lines)),
	)
	for _, test := range []struct{ name, text, from string }{
		{"alone", token, ""},
		{"white space", "\n  " + token + " \n", ""},
		{"scheme", "Bearer " + token, ""},
		{"header", "Authorization: Bearer " + token, "the Authorization header"},
		{"request",
			"GET /me HTTP/1.1\r\nHost: a\r\nauthorization: bearer " + token +
				"\r\nAccept: */*\r\n\r\n",
			"the Authorization header"},
		{"curl", curl + "-H 'Authorization: Bearer " + token + "' \\\n  --compressed",
			"the Authorization header of a curl command"},
		{"curl on Windows", `curl.exe "https://a" -H ^"authorization: Bearer ` + token + `^" ^`,
			"the Authorization header of a curl command"},
		{"curl with a cookie", curl + "-b 'theme=dark; para_jwt=" + token + "; x=y'",
			"the cookie para_jwt of a curl command"},
		{"two tokens in curl",
			curl + "-b 'sb=" + other + "' -H 'Authorization: Bearer " + token + "'",
			"the Authorization header of a curl command"},
		{"two tokens, one of Para", "a=" + other + "; b=" + token, "the cookie b"},
		{"the same twice", token + "\n" + token, ""},
		{"cookie header", "Cookie: a=b; session=" + token, "the cookie session"},
		{"Set-Cookie", "Set-Cookie: session=" + token + "; Path=/; HttpOnly", "the cookie session"},
		{"JSON", `{"token": "` + token + `", "keyId": "k"}`, "the JSON member token"},
		{"JSON in JSON", `{"body": "{\"token\":\"` + token + `\"}"}`, "the JSON member token"},
		{"JSON string", `"` + token + `"`, "the text around it"},
		{"fetch", `fetch("https://a", {"headers": {"authorization": "Bearer ` + token + `"}})`,
			"the Authorization header"},
		{"URL", "https://a/cb?x=1&token=" + token + "#top", "the URL parameter token"},
		{"sentence", "It fails with " + token + ". Why?", "the text around it"},
		{"wrapped", wrap(token, 76, "\n"), joined},
		{"wrapped inside the header", wrap(token, 20, "\r\n"), "the text, joined from "},
		{"wrapped and quoted", "> " + wrap(token, 72, "\n> ") + "\n>\n> thanks",
			"the text around it, joined from "},
		{"wrapped by a chat", wrap(token, 200, " "), ""},
		{"wrapped in a header", "Authorization: Bearer " + wrap(token, 80, "\n  ") + "\nHost: a",
			"the Authorization header, joined from "},
		{"wrapped in JSON", `{"token":"` + wrap(token, 80, "\n") + `"}`,
			"the JSON member token, joined from "},
		{"a word on the next line", token + "\nthanks", ""},
		{"ES256, a word on the next line", es256 + "\nthanks", ""},
		{"ES256, wrapped", wrap(es256, 100, "\n"), "the text, joined from "},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := token
			if strings.HasPrefix(test.name, "ES256") {
				want = es256
			}
			in, err := find(test.text)
			if err != nil || in.token != want || in.Note != "" {
				t.Fatalf("%v, note %q, token is right: %t", err, in.Note, in.token == want)
			}
			if test.from == "" && in.TakenFrom != "" ||
				!strings.HasPrefix(in.TakenFrom, test.from) {
				t.Errorf("taken from %q, want %q", in.TakenFrom, test.from)
			}
			o := call(t, test.text, "inspect")
			o.has(t, exitOK, paratest.UserID)
			o.hides(t, token)
			o.hides(t, other)
			if in.TakenFrom != "" {
				o.has(t, exitOK, "The token was taken from "+in.TakenFrom+".")
			}
			var r reading
			if call(t, test.text, "inspect", "--json").decode(t, &r); r.TakenFrom != in.TakenFrom {
				t.Errorf("JSON: %q", r.TakenFrom)
			}
		})
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Faults of a request are reported, not repaired.
func TestPastedTextKeepsTheFaultsOfTheRequest(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	verify := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	for _, test := range []struct {
		text   string
		status int
		want   string
	}{
		{"curl a -H 'Authorization: Bearer Bearer " + token + "'", exitRefused,
			"adds the word twice"},
		{`Authorization: Bearer "` + token + `"`, exitRefused, "it is in quotes"},
		{"curl a -H 'Authorization: Bearer undefined'", exitRefused, "JavaScript's undefined"},
		{"curl a -H 'Authorization: Bearer " + token[:200] + "'", exitRefused, "it has 2 parts"},
		{"Authorization: " + token, exitOK,
			`Note: a server refuses this request: the header lacks "Bearer "`},
		{"Authorization: Token " + token, exitOK, `the scheme is "Token" and must be Bearer`},
		{`{"jwt":"` + token + `=="}`, exitRefused, "standard base64"},
		{"a=" + token + ".YQ.YQ;", exitRefused, "five parts"},
		{"nothing here", exitRefused, "white space"},
		{token[:60] + "\n\n" + token[60:], exitRefused, ""},
	} {
		o := call(t, test.text, verify...)
		o.has(t, test.status, test.want)
		o.hides(t, token)
	}
	second := para.Token(paratest.PhoneUser())
	o := call(t, token+"\n"+second, verify...)
	o.has(t, exitUsage, "there are 2 different tokens in the text: give one")
	o.hides(t, token)
	o.hides(t, second)
}

func FuzzFind(f *testing.F) {
	f.Add("curl -H 'Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.e30.YQ'")
	f.Add("eyJhbGciOiJFUzI1NiJ9\n.e30.\nYQ")
	f.Add("a=eyJhbGciOiJub25lIn0.e30.; b=ewogICJhbGciOiAieCJ9.e30.YQ")
	f.Add(`{"token":"eyJhbGciOiJub25lIn0.e30."}`)
	f.Add("Bearer Bearer eyJhbGciOiJub25lIn0.e30.…")
	f.Add("Bearer Bearer:eyJhbGciOiJub25lIn0.")
	f.Add("Bearer Beare:eyJhbG\v\v\v\xd0\xe0:eyJhbGciOiJub25lIn0.")
	f.Add("l -H 'Authorization: Bearer \xa1eyJhbGciOiJFiOi1NiJ9.")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := find(text)
		if err != nil {
			return
		}
		// Every character of the token is in the text, in the same order.
		rest := text
		for _, r := range []byte(in.token) {
			at := strings.IndexByte(rest, r)
			if at < 0 {
				t.Fatalf("%q is not in %q", in.token, text)
			}
			rest = rest[at+1:]
		}
		// The result of find is found again, unless it has faults, which find
		// keeps in a header and drops from other text.
		faulty := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\'' }
		if again, err := find(in.token); err == nil && in.TakenFrom != "" && in.Note == "" &&
			!strings.ContainsFunc(in.token, faulty) && again.token != in.token {
			t.Fatalf("%q becomes %q", in.token, again.token)
		}
	})
}
