package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/jwks"
)

// reading is what a token says, believed or not. The checks are the library's own; what is shown beside
// them is read leniently, because a token that is refused is the one that somebody looks at.
type reading struct {
	Verified bool    `json:"verified"` // never
	Checks   []check `json:"checks"`

	Algorithm string `json:"alg,omitempty"`
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"typ,omitempty"`

	User             *user                    `json:"user,omitempty"`
	Wallets          []claims.Wallet          `json:"wallets,omitempty"`
	ConnectedWallets []claims.ConnectedWallet `json:"connectedWallets,omitempty"`

	Audience  []string  `json:"audience,omitempty"`
	IssuedAt  time.Time `json:"issuedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	Lifetime  float64   `json:"lifetimeSeconds,omitempty"`
	Expired   bool      `json:"expired"`

	Environments []string `json:"environments,omitempty"`

	Header  json.RawMessage `json:"header,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`

	headerText, payloadText string
	others                  []others
	known                   []string
}

// others are members without a meaning to the library.
type others struct{ where, names string }

// maxToken is the default of middleware.Config.MaxTokenBytes.
const maxToken = 16 << 10

// read reads a token without verifying it.
func read(token string, now time.Time) *reading {
	r := &reading{}
	if len(token) > maxToken {
		r.Checks = []check{form(token, fmt.Sprintf("it is larger than %d bytes (MaxTokenBytes)", maxToken))}
		return r
	}
	parts, err := jose.Split(token)
	if err != nil {
		r.Checks = []check{form(token, err.Error())}
		return r
	}
	r.Checks = append(r.Checks, check{Name: "form", Verdict: ok})
	for _, part := range []struct{ name, text string }{{"header", parts.Header}, {"payload", parts.Payload}, {"signature", parts.Signature}} {
		if _, err := jose.AppendDecoded(nil, part.text); err != nil && r.Checks[0].Verdict == ok {
			r.Checks[0] = form(token, "its "+part.name+": "+err.Error())
		}
	}
	r.headerText, r.payloadText = decoded(parts.Header), decoded(parts.Payload)
	r.readHeader()
	r.readPayload(now)
	if r.Checks[0].Verdict == refused {
		// What cannot be decoded has no meaning to be wrong about.
		for i, text := range []string{r.headerText, r.payloadText} {
			if !json.Valid([]byte(text)) {
				r.Checks[1+i] = check{Name: r.Checks[1+i].Name, Verdict: notReached}
			}
		}
	}
	return r
}

// decoded decodes what it can.
func decoded(segment string) string {
	segment = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(segment)
	text, _ := base64.RawURLEncoding.DecodeString(segment)
	return string(text)
}

func (r *reading) readHeader() {
	header, err := jose.ParseHeader(r.headerText)
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		r.refuse("header", "it has no alg", "")
	case err != nil:
		r.refuse("header", strings.TrimPrefix(err.Error(), "header: "), "")
	case !allows(header.Algorithm):
		r.refuse("header", fmt.Sprintf("alg %.16q is not allowed by default", header.Algorithm),
			"Para signs with RS256 (or ES256). Was this token issued by somebody else?")
	default:
		r.Checks = append(r.Checks, check{Name: "header", Verdict: ok})
	}

	m := members(r.headerText, &r.Header)
	r.Algorithm, r.KeyID, r.Type = text(m["alg"]), text(m["kid"]), text(m["typ"])
	r.remember("header", m, "alg", "kid", "typ")
}

// allows asks a key cache with default settings, which fetches nothing until it is asked for a key.
func allows(alg string) bool {
	cache, err := jwks.New(jwks.Prod, jwks.Config{})
	if err != nil {
		return false
	}
	defer cache.Close()
	return cache.Allows(alg)
}

func (r *reading) readPayload(now time.Time) {
	m := members(r.payloadText, &r.Payload)
	c, err := claims.FromVerifiedPayload(r.payloadText, claims.Token{})
	if err != nil {
		do := ""
		if _, has := m["data"]; m != nil && !has {
			do = "A Para token has a member data; was this one issued by somebody else?"
		}
		r.refuse("payload", strings.TrimPrefix(err.Error(), "claims: "), do)
	} else {
		r.Checks = append(r.Checks, check{Name: "payload", Verdict: ok})
		r.User, r.Wallets, r.ConnectedWallets = userOf(c), c.Wallets, c.ConnectedWallets
	}

	switch aud := m["aud"].(type) {
	case string:
		r.Audience = []string{aud}
	case []any:
		for _, a := range aud {
			if s, isText := a.(string); isText {
				r.Audience = append(r.Audience, s)
			}
		}
	}
	r.IssuedAt, r.ExpiresAt, r.NotBefore = date(m["iat"]), date(m["exp"]), date(m["nbf"])
	if !r.ExpiresAt.IsZero() {
		r.Expired = !now.Before(r.ExpiresAt)
		if !r.IssuedAt.IsZero() {
			r.Lifetime = r.ExpiresAt.Sub(r.IssuedAt).Seconds()
		}
	}
	r.remember("payload", m, "sub", "aud", "iat", "exp", "nbf", "data")
	data, _ := m["data"].(map[string]any)
	r.remember("payload's data", data, "userId", "wallets", "connectedWallets", "authType", "identifier", "oAuthMethod",
		"email", "phone", "telegramUserId", "farcasterUsername", "externalWalletAddress", "externalWallet")
}

func (r *reading) refuse(name, why, do string) {
	r.Checks = append(r.Checks, check{name, refused, why, do})
}

// remember notes the names that have no line of their own.
func (r *reading) remember(where string, m map[string]any, shown ...string) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(shown, name) {
			names = append(names, printable(name))
		}
	}
	if len(names) > 20 {
		names = append(names[:20], "…")
	}
	if len(names) > 0 {
		r.others = append(r.others, others{where, strings.Join(names, ", ")})
	}
}

// members reads an object as any reader would, and keeps it as it stands. It returns nil for what is not one.
func members(text string, raw *json.RawMessage) (m map[string]any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if !json.Valid([]byte(text)) || d.Decode(&m) != nil {
		return nil
	}
	*raw = json.RawMessage(text)
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// date reads a NumericDate (RFC 7519 §2), or returns the zero Time.
func date(v any) time.Time {
	n, _ := v.(json.Number)
	seconds, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || !(0 < seconds && seconds < 253402300800) { // the year 10000
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}
