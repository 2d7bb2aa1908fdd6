package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/parajwt/parajwt/internal/parakey"
	"github.com/parajwt/parajwt/middleware"
)

// maxInput is the number of bytes of standard input that are read for a token.
const maxInput = 1 << 20

// input is a token, and where it was in the text that contained it.
type input struct {
	token     string
	TakenFrom string `json:"takenFrom,omitempty"`
	Note      string `json:"note,omitempty"`
}

// print adds where the token was found, if it was not alone.
func (in input) print(s *sheet) {
	if in.TakenFrom != "" {
		s.WriteString("The token was taken from " + printable(in.TakenFrom) + ".\n")
	}
	if in.Note != "" {
		s.WriteString("Note: " + printable(in.Note) + ".\n")
	}
}

// readToken returns the token in the argument, or in standard input if there is
// no argument or it is "-".
func readToken(args []string, std streams) (input, error) {
	switch {
	case len(args) > 1:
		return input{}, fmt.Errorf(
			"give one token and no other arguments (there are %d): put text with spaces in quotes",
			len(args),
		)
	case len(args) == 1 && args[0] != "-":
		return find(args[0])
	}
	var data []byte
	var err error
	if isTerminal(std.in) {
		std.err.print("Paste the token, then press Enter on an empty line.\n")
		data, err = readParagraph(std.in)
	} else {
		data, err = io.ReadAll(io.LimitReader(std.in, maxInput))
	}
	if err != nil {
		return input{}, errors.New("standard input cannot be read")
	}
	// The shell adds the line end.
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return input{}, errors.New(
			"there is no token: give it as the argument or on standard input",
		)
	}
	return find(text)
}

// readParagraph reads lines up to the first empty one.
func readParagraph(r io.Reader) (text []byte, err error) {
	lines := bufio.NewReader(io.LimitReader(r, maxInput))
	for {
		line, err := lines.ReadBytes('\n')
		text = append(text, line...)
		if errors.Is(err, io.EOF) ||
			err == nil && strings.TrimSpace(string(line)) == "" && len(text) > len(line) {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// found is a token inside a text.
type found struct {
	token      string
	start, end int
}

// joseLike matches the possible beginning of a token. A JSON object begins with
// "ey" or "ew" in base64url.
var joseLike = regexp.MustCompile(`(?:^|[^\w.+/-])(e[wy][\w-]{6,}=*(?:\.[\w+/=-]*)*)`)

// find returns the token in a text that people paste: a token, a header, a curl
// command, a cookie, JSON, or a token that is wrapped over several lines. It
// returns the text itself if there is no token in it. It is an error if there
// are several different tokens.
func find(text string) (input, error) {
	if !strings.ContainsAny(text, " \t\r\n") && isObject(strings.SplitN(text, ".", 2)[0]) {
		return input{token: text}, nil
	}
	var all []found
	for at := 0; ; {
		m := joseLike.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		f := joined(text, at+m[2], at+m[3])
		at = f.end
		if strings.Contains(f.token, ".") && isObject(f.token[:strings.IndexByte(f.token, '.')]) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return input{token: credentials(text)}, nil
	}
	f, err := choose(text, all)
	if err != nil {
		return input{}, err
	}
	in := input{token: f.token, TakenFrom: place(text, f)}
	scheme := schemeBefore(text[:f.start])
	switch {
	case scheme == nil || len(scheme) == 1 && strings.EqualFold(scheme[0], "bearer"):
	case len(scheme) == 0:
		in.Note = `a server refuses this request: the header lacks "Bearer " before the token`
	case strings.EqualFold(scheme[0], "bearer"):
		// The validator gets what a server would get.
		value := text[:f.start]
		if m := authValue.FindStringSubmatch(value); m != nil {
			value = m[1]
		}
		value = strings.TrimLeftFunc(value, unicode.IsSpace)[len("bearer"):]
		in.token = strings.TrimLeftFunc(value, unicode.IsSpace) + f.token
	default:
		in.Note = fmt.Sprintf(
			"a server refuses this request: the scheme is %.20q and must be Bearer", scheme[0],
		)
	}
	if quote := bearerQuote.FindStringSubmatch(text[:f.start]); quote != nil {
		in.token = quote[1] + f.token + quote[1]
	}
	return in, nil
}

// credentials returns the credentials of an Authorization header, or the whole
// text.
func credentials(text string) string {
	if m := bearerValue.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	r := &http.Request{Header: http.Header{"Authorization": {text}}}
	if token, err := middleware.FromAuthorization()(r); err == nil {
		return token
	}
	return text
}

var (
	bearerValue = regexp.MustCompile(`(?i)authorization["']?\s*[:=,]\s*["']?bearer +([^"'\r\n]+)`)
	bearerQuote = regexp.MustCompile(`(?i)authorization: *bearer +\\?(["'])$`)
	authValue   = regexp.MustCompile(`(?i)authorization\^?["']?\s*[:=,]\s*\^?["']?([^"'\r\n]*)$`)
	cookieValue = regexp.MustCompile(`([\w.-]+)=$`)
	queryValue  = regexp.MustCompile(`[?&#]([\w.-]+)=$`)
	jsonValue   = regexp.MustCompile(`"([\w.-]+)\\?"\s*:\s*\\?"(?i:bearer +)?$`)
	curlCommand = regexp.MustCompile(`(?m)^\s*(\$ *)?curl(\.exe)?\s`)
)

// schemeBefore returns the words between "Authorization:" and the token, or nil
// if the token is not in such a header.
func schemeBefore(before string) []string {
	if m := authValue.FindStringSubmatch(before); m != nil {
		return append([]string{}, strings.Fields(m[1])...)
	}
	if words := strings.Fields(before); len(words) > 0 && strings.EqualFold(words[0], "bearer") &&
		!strings.ContainsAny(before, "\"'\n") {
		return words
	}
	return nil
}

// place describes where the token is in the text. It returns "" if the text is
// the token, with or without its scheme.
func place(text string, f found) string {
	before, where := text[:f.start], ""
	switch {
	case strings.TrimSpace(before) == "":
	case schemeBefore(before) != nil || bearerQuote.MatchString(before):
		if authValue.MatchString(before) || bearerQuote.MatchString(before) {
			where = "the Authorization header"
		}
	case queryValue.MatchString(before):
		where = "the URL parameter " + queryValue.FindStringSubmatch(before)[1]
	case cookieValue.MatchString(before):
		where = "the cookie " + cookieValue.FindStringSubmatch(before)[1]
	case jsonValue.MatchString(before):
		where = "the JSON member " + jsonValue.FindStringSubmatch(before)[1]
	default:
		where = "the text around it"
	}
	if where != "" && curlCommand.MatchString(text) {
		where += " of a curl command"
	}
	if lines := strings.Count(strings.TrimSpace(text[f.start:f.end]), "\n"); lines > 0 {
		if where == "" {
			where = "the text"
		}
		where += fmt.Sprintf(", joined from %d lines", lines+1)
	}
	return where
}

// choose returns the token that matters: the only one, the only one in an
// Authorization header, or the only one that has Para's claims.
func choose(text string, all []found) (found, error) {
	distinct := slices.Clone(all)
	slices.SortStableFunc(
		distinct,
		func(a, b found) int { return strings.Compare(a.token, b.token) },
	)
	distinct = slices.CompactFunc(distinct, func(a, b found) bool { return a.token == b.token })
	for _, fits := range []func(found) bool{
		func(found) bool { return true },
		func(f found) bool { return authValue.MatchString(text[:f.start]) },
		func(f found) bool {
			var p struct{ Data struct{ UserID string } }
			parts := strings.Split(f.token, ".")
			return json.Unmarshal([]byte(decoded(parts[1])), &p) == nil && p.Data.UserID != ""
		},
	} {
		some := slices.DeleteFunc(slices.Clone(distinct), func(f found) bool { return !fits(f) })
		if len(some) == 1 {
			return some[0], nil
		}
	}
	return found{}, fmt.Errorf("there are %d different tokens in the text: give one", len(distinct))
}

// continuation matches a break inside a wrapped token, and the text after it.
var continuation = regexp.MustCompile(`^[ \t]*\\?(?:\r?\n|[ \t])[ \t>|]*([\w.=-]+)`)

// joined returns the token at text[start:end] with the lines that belong to it.
func joined(text string, start, end int) found {
	alone := strings.TrimSuffix(text[start:end], "…")
	if strings.Count(alone, ".") == 3 && strings.HasSuffix(alone, ".") {
		alone = alone[:len(alone)-1] // the end of a sentence
	}
	whole, newlines := found{alone, start, end}, true
	for !isComplete(whole.token) {
		m := continuation.FindStringSubmatchIndex(text[whole.end:])
		if m == nil {
			break
		}
		next := whole.end + m[1]
		if next < len(text) && !strings.ContainsRune("\"'`,;)}]^\\ \t\r\n", rune(text[next])) {
			break
		}
		newlines = newlines && strings.Contains(text[whole.end:whole.end+m[2]], "\n")
		whole.token += text[whole.end+m[2] : whole.end+m[3]]
		whole.end = next
	}
	if isComplete(whole.token) || newlines && strings.Count(alone, ".") < 2 {
		return whole
	}
	return found{alone, start, end}
}

// isComplete reports whether a token has three parts and a signature of the
// size that its algorithm has (RFC 7518 §3.1). RSA keys have 1024 to 4096 bits.
func isComplete(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg string }
	if json.Unmarshal([]byte(decoded(parts[0])), &header) != nil {
		return false
	}
	var sizes []int
	switch header.Alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		sizes = []int{128, 256, 384, 512}
	case "ES256", "EdDSA", "HS512":
		sizes = []int{64}
	case "ES384":
		sizes = []int{96}
	case "ES512":
		sizes = []int{132}
	case "HS256":
		sizes = []int{32}
	case "HS384":
		sizes = []int{48}
	}
	return slices.ContainsFunc(sizes, func(n int) bool {
		return base64.RawURLEncoding.EncodedLen(n) == len(strings.TrimRight(parts[2], "="))
	})
}

// isObject reports whether a part of a token is base64 of a JSON object.
func isObject(part string) bool {
	text := decoded(part)
	return strings.HasPrefix(strings.TrimSpace(text), "{") && json.Valid([]byte(text))
}

// decoded decodes base64 of any alphabet. It returns the bytes before an error.
func decoded(segment string) string {
	segment = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(segment)
	text, _ := base64.RawURLEncoding.DecodeString(segment)
	return string(text)
}

// notAToken recognizes values that are often sent in place of a token. It
// returns their kind and what to do, or "" if the text has the form of a token.
func notAToken(text string) string {
	trimmed := strings.TrimSpace(text)
	switch kind := parakey.KindOf(trimmed); {
	case trimmed == "":
		return "it is empty: does the client send a token before it has one?"
	case trimmed == "undefined" || trimmed == "null" || trimmed == "[object Object]":
		return "it is JavaScript's " + trimmed + ": " +
			"the client sends a variable that holds no token (is an await missing?)"
	case strings.HasPrefix(trimmed, `"`) || strings.HasPrefix(trimmed, "'"):
		return "it is in quotes: send it without them (does the client use JSON.stringify?)"
	case strings.HasPrefix(trimmed, "{"):
		return "it is JSON: issueJwt returns {token, keyId}; send the token alone"
	case len(text) > 6 && strings.EqualFold(text[:6], "bearer"):
		return `it begins with "Bearer" after the scheme: the client adds the word twice`
	case isSession(trimmed):
		return "it is an exported session (exportSession), a secret that lets its holder " +
			"act as the user. Send the token of issueJwt instead"
	case kind == parakey.ID:
		return "it is a UUID: an API key ID, or a verification token, which only Para can check " +
			"(POST /sessions/verify). A token comes from issueJwt"
	case kind == parakey.Public:
		return "it is a publishable API key: send the token of issueJwt instead"
	case kind != parakey.Unknown:
		return "it is a " + kind.String() + ": send the token of issueJwt instead, " +
			"and replace the key, because it reached a client"
	case trimmed != text || strings.ContainsAny(text, " \t\r\n"):
		return "there is white space around it or in it: " +
			"was it cut, or wrapped by a terminal or a mail program?"
	case strings.ContainsAny(text, "=+/"):
		return "it has characters of standard base64 (= + /): tokens use base64url without padding"
	}
	switch dots := strings.Count(text, "."); {
	case dots == 4:
		return "it has five parts: this is an encrypted token (JWE), which Para does not issue"
	case dots != 2:
		return fmt.Sprintf(
			"it has %s between dots, and a token has three: was all of it copied?",
			count(dots+1, "part"),
		)
	}
	return ""
}

// isSession reports whether a text is the result of Para's exportSession:
// base64 of JSON with a session cookie.
func isSession(text string) bool {
	if len(text) > maxInput || strings.Contains(text, ".") {
		return false
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && strings.HasPrefix(string(data), "{") &&
		strings.Contains(string(data), `"sessionCookie"`)
}
