package session

import "fmt"

// Secret is a string that hides itself. Package fmt, log/slog and
// encoding/json print "[hidden]", or "[empty]" for the empty string. In an
// unexported field, where fmt calls no methods, they print an address. Two
// secrets cannot be compared with ==. The zero Secret is empty.
type Secret struct {
	printed
	// A function, because fmt and debug printers follow strings and pointers.
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

// JWT is a token that Para issued.
type JWT struct {
	Token Secret // the compact JWS, for a validator or a client
	KeyID string // the kid of the key that signed it
}

// printed makes the type that embeds it print, log and marshal as one line
// without secrets.
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
