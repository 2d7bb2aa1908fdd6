package session

import "fmt"

// Secret is a string that is not shown when it is printed. Packages fmt,
// log/slog and encoding/json write "[hidden]", or "[empty]" for the empty
// string. In an unexported field of another struct, package fmt calls no
// methods and prints an address. Two secrets cannot be compared with ==. The
// zero Secret is empty. A Secret is safe for concurrent use by multiple
// goroutines.
type Secret struct {
	printed
	// text is a function, because package fmt prints strings and follows
	// pointers.
	text func() string
}

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{printedAs("[hidden]"), func() string { return s }}
}

// Reveal returns the string.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// JWT is a token that [Session.IssueJWT] returns.
type JWT struct {
	Token Secret // the compact JWS, for a validator or a client
	KeyID string // the kid of the key that signed it
}

// printed is embedded by types that contain secrets. They print, log and
// marshal as its line.
type printed struct{ line func() string }

func printedAs(line string) printed { return printed{func() string { return line }} }

// Format implements [fmt.Formatter] for every verb.
func (p printed) Format(f fmt.State, _ rune) {
	text, _ := p.MarshalText()
	f.Write(text)
}

// MarshalText implements [encoding.TextMarshaler], which encoding/json and
// log/slog use.
func (p printed) MarshalText() ([]byte, error) {
	if p.line == nil {
		return []byte("[empty]"), nil
	}
	return []byte(p.line()), nil
}
