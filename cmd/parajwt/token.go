package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/parajwt/parajwt/middleware"
)

// maxInput is how much of standard input is read for a token. The library looks at less.
const maxInput = 1 << 20

// readToken returns the token of the arguments, or of standard input where there is none or it is "-".
// What stands before it in an Authorization header is taken off as the library does it.
func readToken(args []string, stdin io.Reader, stderr io.Writer) (string, error) {
	switch {
	case len(args) > 1:
		return "", fmt.Errorf("one token at a time, and no other arguments: there are %d (a token with spaces needs quotes)", len(args))
	case len(args) == 1 && args[0] != "-":
		return withoutScheme(args[0]), nil
	}
	var data []byte
	var err error
	if isTerminal(stdin) {
		fmt.Fprintln(stderr, "Paste the token, then press Enter.")
		data, err = bufio.NewReader(io.LimitReader(stdin, maxInput)).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
	} else {
		data, err = io.ReadAll(io.LimitReader(stdin, maxInput))
	}
	if err != nil {
		return "", errors.New("standard input cannot be read")
	}
	// The end of the line is the shell's, not the token's.
	token := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if token == "" {
		return "", errors.New("there is no token: give one as the argument or on standard input")
	}
	return withoutScheme(token), nil
}

func isTerminal(stdin io.Reader) bool {
	f, ok := stdin.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func withoutScheme(text string) string {
	const name = "authorization:"
	if len(text) > len(name) && strings.EqualFold(text[:len(name)], name) {
		text = strings.TrimLeft(text[len(name):], " ")
	}
	r := &http.Request{Header: http.Header{"Authorization": {text}}}
	if token, err := middleware.FromAuthorization()(r); err == nil {
		return token
	}
	return text
}

var (
	uuid   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	apiKey = regexp.MustCompile(`^(prod|beta|sandbox|dev)_[0-9a-zA-Z]+$`)
)

// notAToken recognises what is often taken for a token, and says what it is and what to do. It returns ""
// for what at least looks like a token.
func notAToken(text string) string {
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return "it is empty: does the client send a token before it has one?"
	case trimmed == "undefined" || trimmed == "null" || trimmed == "[object Object]":
		return "it is JavaScript's " + trimmed + ": the client sends a variable that holds no token (is an await missing?)"
	case strings.HasPrefix(trimmed, `"`) || strings.HasPrefix(trimmed, "'"):
		return "it is in quotes: send the text between them (is it JSON.stringify'd?)"
	case strings.HasPrefix(trimmed, "{"):
		return `it is JSON: issueJwt answers {token, keyId}; send the token alone`
	case len(text) > 6 && strings.EqualFold(text[:6], "bearer"):
		return `it begins with "Bearer" after the scheme was taken off: the client adds the word twice`
	case isSession(trimmed):
		return "it is an exported session (exportSession), not a token, and a secret: whoever has it is the user. Send the token of issueJwt instead"
	case apiKey.MatchString(trimmed):
		return "it looks like a Para API key. That is not what a client sends; if the key is the secret one, replace it"
	case uuid.MatchString(trimmed):
		return "it is a UUID: a session's verification token, perhaps, which Para itself must be asked about (POST /sessions/verify), or an API key ID. A token comes from issueJwt"
	case trimmed != text || strings.ContainsAny(text, " \t\r\n"):
		return "there is white space around it or in it: was it cut, or wrapped by a terminal or a mail?"
	case strings.ContainsAny(text, "=+/"):
		return "it holds characters of ordinary base64 (= + /): tokens use the URL alphabet without padding"
	}
	switch dots := strings.Count(text, "."); {
	case dots == 4:
		return "it has five parts: that is an encrypted token (JWE), which Para does not issue"
	case dots != 2:
		return fmt.Sprintf("it has %s between dots, and a token has three: was all of it copied?", count(dots+1, "part"))
	}
	return ""
}

// isSession recognises what Para's exportSession gives: base64 of JSON with a session cookie.
func isSession(text string) bool {
	if len(text) > maxInput || strings.Contains(text, ".") {
		return false
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && strings.HasPrefix(string(data), "{") && strings.Contains(string(data), `"sessionCookie"`)
}
