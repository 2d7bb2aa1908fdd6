package session

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// secret is a string that package fmt cannot reach, not even in a struct's unexported field, where it asks no
// method: what it finds there is an address.
type secret struct{ text *string }

func hide(s string) secret { return secret{&s} }

func (s secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const hidden = "[hidden]"

// Token is a session verification token. It is a credential: whoever has it is the user until the session
// ends. It prints and marshals as "[hidden]"; string(t) is the token.
type Token string

// Format implements fmt.Formatter for every verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// String returns "[hidden]".
func (t Token) String() string { return hidden }

// GoString returns "[hidden]".
func (t Token) GoString() string { return hidden }

// LogValue is what log/slog writes.
func (t Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is what encoding/json and others write.
func (t Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// JWT is a token that Para issued. It prints, logs and marshals without Token.
type JWT struct {
	Token string // the compact JWS, for a validator or a client
	KeyID string // the kid of the key that signed it
}

// Format implements fmt.Formatter for every verb.
func (j JWT) Format(f fmt.State, _ rune) { io.WriteString(f, j.String()) }

// String names the key and no more.
func (j JWT) String() string { return fmt.Sprintf("Para JWT (kid %q)", j.KeyID) }

// GoString is String.
func (j JWT) GoString() string { return j.String() }

// LogValue is what log/slog writes.
func (j JWT) LogValue() slog.Value { return slog.GroupValue(slog.String("kid", j.KeyID)) }

// MarshalJSON writes the key ID and no more. To hand the token on, write j.Token.
func (j JWT) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]string{"kid": j.KeyID}) }
