package main

import (
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

// reading is the content of a token. The checks are those of the library. The
// rest is decoded leniently, because refused tokens are inspected, too.
type reading struct {
	Verified bool `json:"verified"` // always false
	input
	Checks []check `json:"checks"`

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

	OtherHeader members `json:"otherHeader,omitempty"`
	OtherClaims members `json:"otherClaims,omitempty"`
	OtherData   members `json:"otherData,omitempty"`

	Header  json.RawMessage `json:"header,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`

	headerText, payloadText string
	known                   []string
}

// user is the part of the claims that identifies the user. Its JSON names are
// those of claims.Claims.
type user struct {
	UserID                string                 `json:"userId"`
	AuthType              claims.AuthType        `json:"authType"`
	OAuthMethod           claims.OAuthMethod     `json:"oAuthMethod,omitempty"`
	Identifier            string                 `json:"identifier"`
	Email                 string                 `json:"email,omitempty"`
	Phone                 string                 `json:"phone,omitempty"`
	TelegramUserID        string                 `json:"telegramUserId,omitempty"`
	FarcasterUsername     string                 `json:"farcasterUsername,omitempty"`
	ExternalWalletAddress string                 `json:"externalWalletAddress,omitempty"`
	ExternalWallet        *claims.ExternalWallet `json:"externalWallet,omitempty"`
}

func userOf(c *claims.Claims) *user {
	u := &user{
		UserID: c.UserID, AuthType: c.AuthType, OAuthMethod: c.OAuthMethod,
		Identifier: c.Identifier, Email: c.Email, Phone: c.Phone,
		TelegramUserID: c.TelegramUserID, FarcasterUsername: c.FarcasterUsername,
		ExternalWalletAddress: c.ExternalWalletAddress,
	}
	if c.ExternalWallet != (claims.ExternalWallet{}) {
		u.ExternalWallet = &c.ExternalWallet
	}
	return u
}

// members are the members of a JSON object.
type members map[string]any

func (m members) names() []string { return slices.Sorted(maps.Keys(m)) }

// without returns the members with other names, or nil if there are none.
func (m members) without(names ...string) members {
	rest := maps.Clone(m)
	maps.DeleteFunc(rest, func(name string, _ any) bool { return slices.Contains(names, name) })
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// maxToken is the default of middleware.Config.MaxTokenBytes.
const maxToken = 16 << 10

// read reads a token without verifying it.
func read(in input, now time.Time) *reading {
	r := &reading{input: in}
	form := func(why string) check { return check{"form", refused, why, notAToken(in.token)} }
	if len(in.token) > maxToken {
		r.Checks = []check{
			form(fmt.Sprintf("it is larger than %d bytes (MaxTokenBytes)", maxToken)),
		}
		return r
	}
	parts, err := jose.Split(in.token)
	if err != nil {
		r.Checks = []check{form(err.Error())}
		return r
	}
	r.Checks = append(r.Checks, check{Name: "form", Verdict: ok})
	for _, part := range []struct{ name, text string }{
		{"header", parts.Header}, {"payload", parts.Payload}, {"signature", parts.Signature},
	} {
		if _, err := jose.AppendDecoded(nil, part.text); err != nil && r.Checks[0].Verdict == ok {
			r.Checks[0] = form("its " + part.name + ": " + err.Error())
		}
	}
	r.headerText, r.payloadText = decoded(parts.Header), decoded(parts.Payload)
	r.readHeader()
	r.readPayload(now)
	if r.Checks[0].Verdict == refused {
		// A part that cannot be decoded gets no verdict.
		for i, text := range []string{r.headerText, r.payloadText} {
			if !json.Valid([]byte(text)) {
				r.Checks[1+i] = check{Name: r.Checks[1+i].Name, Verdict: notReached}
			}
		}
	}
	return r
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
			"Para signs with RS256 or ES256. Did another party issue this token?")
	default:
		r.Checks = append(r.Checks, check{Name: "header", Verdict: ok})
	}

	m := object(r.headerText, &r.Header)
	r.Algorithm, r.KeyID, r.Type = text(m["alg"]), text(m["kid"]), text(m["typ"])
	r.OtherHeader = m.without("alg", "kid", "typ")
}

// allows reports whether the library allows an algorithm by default.
func allows(alg string) bool {
	cache, err := jwks.New(jwks.Prod, jwks.Config{}) // fetches only on demand
	if err != nil {
		return false
	}
	defer cache.Close()
	return cache.Allows(alg)
}

func (r *reading) readPayload(now time.Time) {
	m := object(r.payloadText, &r.Payload)
	c, err := claims.FromVerifiedPayload(r.payloadText, claims.Token{})
	if err != nil {
		do := ""
		if _, has := m["data"]; m != nil && !has {
			do = "A Para token has the claim data. Did another party issue this token?"
		}
		r.refuse("claims", strings.TrimPrefix(err.Error(), "claims: "), do)
	} else {
		r.Checks = append(r.Checks, check{Name: "claims", Verdict: ok})
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
	r.OtherClaims = m.without("sub", "aud", "iat", "exp", "nbf", "data")
	data, _ := m["data"].(map[string]any)
	r.OtherData = members(data).without("userId", "wallets", "connectedWallets", "authType",
		"identifier", "oAuthMethod", "email", "phone", "telegramUserId", "farcasterUsername",
		"externalWalletAddress", "externalWallet")
}

func (r *reading) refuse(name, why, do string) {
	r.Checks = append(r.Checks, check{name, refused, why, do})
}

// object decodes a JSON object leniently and keeps its text in raw. It returns
// nil if the text is not a JSON object.
func object(text string, raw *json.RawMessage) (m members) {
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

// date returns the time of a NumericDate (RFC 7519 §2), or the zero Time.
func date(v any) time.Time {
	n, _ := v.(json.Number)
	seconds, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || !(0 < seconds && seconds < 253402300800) { // the year 10000
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}
