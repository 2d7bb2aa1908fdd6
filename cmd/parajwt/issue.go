package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// person is a kind of user, by what Para's documentation calls it.
type person struct {
	Name  string
	About string
	new   func() *claims.Claims
}

var people = []person{
	{"Email", "signed in with Google", paratest.EmailUser},
	{"Phone", "a phone number", paratest.PhoneUser},
	{"Telegram", "a Telegram account", paratest.TelegramUser},
	{"Farcaster", "a Farcaster name", paratest.FarcasterUser},
	{"External Wallet", "MetaMask", paratest.ExternalWalletUser},
}

// kind is a way in which a token may be wrong.
type kind struct {
	ID, Name, About string
	options         []paratest.TokenOption
}

var kinds = []kind{
	{"good", "Good", "valid for 30 minutes", nil},
	{"expired", "Expired", "ran out an hour ago", []paratest.TokenOption{paratest.Expired()}},
	{"other-app", "Another app’s", "its aud is not yours", []paratest.TokenOption{paratest.ForApp("00000000-0000-4000-8000-000000000000")}},
	{"other-environment", "Another environment’s", "BETA’s, say", []paratest.TokenOption{paratest.OtherEnvironment()}},
	{"unknown-key", "Unknown key", "a kid nobody published", []paratest.TokenOption{paratest.UnknownKey("nobody-published-this")}},
	{"bad-signature", "Bad signature", "one character changed", []paratest.TokenOption{paratest.BadSignature()}},
	{"not-yet-valid", "Not yet valid", "issued an hour from now", []paratest.TokenOption{paratest.Lived(time.Hour, 30*time.Minute)}},
}

// order asks for a token.
type order struct {
	User string `json:"user"`
	Kind string `json:"kind"`
}

// issued is a token, and what a server says to it.
type issued struct {
	order
	Token   string          `json:"token"`
	Header  json.RawMessage `json:"header"`
	Payload json.RawMessage `json:"payload"`
	Answer  answer          `json:"answer"`
}

type answer struct {
	Status    int    `json:"status"`
	Challenge string `json:"challenge,omitempty"` // WWW-Authenticate
	Code      string `json:"code,omitempty"`      // of the library's error
}

// issuer hands out tokens.
type issuer struct {
	para      *paratest.Para
	validator *middleware.Validator
}

func (i issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err != nil {
		tellError(w, http.StatusBadRequest, err.Error())
		return
	}
	out, err := i.issue(r, o)
	if err != nil {
		tellError(w, http.StatusBadRequest, err.Error())
		return
	}
	tellJSON(w, http.StatusOK, out)
}

// readOrder takes JSON only, which no page of another site can send without being asked first.
func readOrder(w http.ResponseWriter, r *http.Request) (o order, err error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return o, errors.New("send JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, errors.New(`send {"user": "Email", "kind": "good"}`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, errors.New("send one JSON object and nothing behind it")
	}
	return o, nil
}

func (i issuer) issue(r *http.Request, o order) (*issued, error) {
	var who *claims.Claims
	for _, p := range people {
		if p.Name == o.User {
			who = p.new()
		}
	}
	if who == nil {
		return nil, fmt.Errorf("there is no user %.40q", o.User)
	}
	for _, k := range kinds {
		if k.ID != o.Kind {
			continue
		}
		out := &issued{order: o, Token: i.para.Token(who, k.options...), Answer: answer{Status: http.StatusOK}}
		parts, err := jose.Split(out.Token)
		if err != nil {
			return nil, err
		}
		out.Header, out.Payload = json.RawMessage(decoded(parts.Header)), json.RawMessage(decoded(parts.Payload))
		_, err = i.validator.Validate(r.Context(), out.Token)
		var refusal *middleware.Error
		if errors.As(err, &refusal) {
			status, h, _ := refusal.Answer()
			out.Answer = answer{status, h.Get("WWW-Authenticate"), string(refusal.Code)}
		}
		return out, nil
	}
	return nil, fmt.Errorf("there is no kind of token %.40q", o.Kind)
}

func tellJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the client may be gone; there is nobody else to tell
}

func tellError(w http.ResponseWriter, status int, text string) {
	tellJSON(w, status, map[string]string{"error": text})
}
