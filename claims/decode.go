package claims

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/parajwt/parajwt/internal/strictjson"
)

// Error reports why a payload is not that of a Para user. It never quotes the
// payload.
type Error struct {
	// Claim is the refused claim, such as "exp" or "data.wallets[0].address".
	// It is "" if the JSON is malformed or ambiguous.
	Claim  string
	Reason string
}

func (e *Error) Error() string {
	if e.Claim == "" {
		return "claims: payload: " + e.Reason
	}
	return "claims: " + e.Claim + ": " + e.Reason
}

// endOfTime is the first second of the year 10000, which RFC 3339 cannot write.
const endOfTime = 253402300800

// The names that this package reads. A payload with a name that differs from
// one of them only in case is refused, because some parsers match it with the
// same field.
var (
	payloadNames = []string{"sub", "aud", "iat", "exp", "nbf", "data"}
	dataNames    = []string{"userId", "wallets", "connectedWallets", "authType", "identifier",
		"oAuthMethod", "email", "phone", "telegramUserId", "farcasterUsername",
		"externalWalletAddress", "externalWallet"}
	walletNames = []string{"id", "type", "address", "publicKey", "provider"}
)

// FromVerifiedPayload parses the payload of a Para token whose signature has
// been verified. It checks no signature, time or audience. To verify a token,
// use the Validator of package middleware instead.
//
// It checks that:
//
//   - the payload is one JSON object of valid UTF-8 (RFC 8725 §3.7), with at
//     most 16 levels;
//   - no name occurs twice in an object (RFC 7519 §4), and no name differs from
//     a known one only in case;
//   - each known claim has its type (RFC 7519 §4.1 and Para's "Session
//     Management");
//   - sub, data.userId and aud are present, and sub equals data.userId;
//   - exp, iat and nbf are after the start of 1970 and before the year 10000
//     (RFC 7519 §2);
//   - exp and iat are present, and iat is not after exp.
//
// null counts as absent for optional members of data and for members of
// wallets. Unknown members are accepted; [Claims.Decode] parses them.
//
// The error is an [*Error]. FromVerifiedPayload is safe for concurrent use by
// multiple goroutines.
func FromVerifiedPayload(payload string, from Token) (*Claims, error) {
	p := &parsed{
		Claims: Claims{TokenID: from.ID, KeyID: from.KeyID, Environment: from.Environment},
		origin: origin{payload, from},
	}
	c := &p.Claims
	c.origin = &p.origin
	r := reader{Decoder: strictjson.New(payload)}
	r.payload(p)
	if err := r.End(); err != nil {
		e := &Error{Reason: err.Error()}
		if se, ok := err.(*strictjson.Error); ok && !se.Syntax {
			e.Claim, e.Reason = r.at.String(), se.Reason
		}
		return nil, e
	}
	switch {
	case c.Subject == "":
		return nil, &Error{"sub", "missing or empty"}
	case c.UserID == "":
		return nil, &Error{"data.userId", "missing or empty"}
	case c.UserID != c.Subject:
		return nil, &Error{"sub", "is not data.userId"}
	case len(c.Audience) == 0:
		return nil, &Error{"aud", "missing or empty"}
	case c.ExpiresAt.IsZero():
		return nil, &Error{"exp", "missing"}
	case c.IssuedAt.IsZero():
		return nil, &Error{"iat", "missing"}
	case c.IssuedAt.After(c.ExpiresAt):
		return nil, &Error{"iat", "after exp"}
	}
	// Without spare capacity, two handlers that append to the same slice do not
	// overwrite each other's elements.
	c.Audience = slices.Clip(c.Audience)
	c.Wallets = slices.Clip(c.Wallets)
	c.ConnectedWallets = slices.Clip(c.ConnectedWallets)
	return c, nil
}

// parsed is Claims with their origin and room for their slices, in one
// allocation.
type parsed struct {
	Claims
	origin origin
	room   room
}

// reader is a decoder that records the claim that it reads, for errors.
type reader struct {
	*strictjson.Decoder
	at place
}

// place is the claim that is being read.
type place struct {
	inData bool
	claim  string // the member of the payload, or of data
	index  int    // the wallet's place in its array
	member string // the member of the wallet; "" outside of one
}

func (p place) String() string {
	scope, index, member := "", "", ""
	if p.inData {
		scope = "data."
	}
	if p.member != "" {
		if p.claim != "externalWallet" {
			index = "[" + strconv.Itoa(p.index) + "]"
		}
		member = "." + p.member
	}
	return scope + p.claim + index + member
}

func (r *reader) payload(p *parsed) {
	c := &p.Claims
	for name := range r.Object {
		r.at.claim = name
		switch name {
		case "sub":
			c.Subject = r.String()
		case "aud":
			r.audience(p)
		case "exp":
			c.ExpiresAt = r.time()
		case "iat":
			c.IssuedAt = r.time()
		case "nbf":
			c.NotBefore = r.time()
		case "data":
			r.data(p)
		default:
			r.RefuseCaseVariant(name, payloadNames)
		}
	}
}

// audience parses a string or an array of strings (RFC 7519 §4.1.3).
func (r *reader) audience(p *parsed) {
	c := &p.Claims
	c.Audience = p.room.audience[:0]
	if r.Peek() != '[' {
		c.Audience = append(c.Audience, r.String())
		return
	}
	for range r.Array {
		c.Audience = append(c.Audience, r.String())
	}
}

func (r *reader) data(p *parsed) {
	c := &p.Claims
	if r.Peek() != '{' {
		r.Skip()
		r.Fail("not an object")
		return
	}
	r.at.inData = true
	for name := range r.Object {
		r.at.claim = name
		switch name {
		case "userId":
			c.UserID = r.String()
		case "authType":
			c.AuthType = AuthType(r.optional())
		case "oAuthMethod":
			c.OAuthMethod = OAuthMethod(r.optional())
		case "identifier":
			c.Identifier = r.optional()
		case "email":
			c.Email = r.optional()
		case "phone":
			c.Phone = r.optional()
		case "telegramUserId":
			c.TelegramUserID = r.optional()
		case "farcasterUsername":
			c.FarcasterUsername = r.optional()
		case "externalWalletAddress":
			c.ExternalWalletAddress = r.optional()
		case "externalWallet":
			if !r.Null() {
				w := r.wallet()
				c.ExternalWallet = ExternalWallet{Address: w.Address, Type: w.Type,
					Provider: w.Provider}
			}
		case "wallets":
			if !r.Null() {
				c.Wallets = p.room.wallets[:0]
				for range r.Array {
					r.at.index = len(c.Wallets)
					w := r.wallet()
					c.Wallets = append(c.Wallets, Wallet{w.ID, w.Type, w.Address, w.PublicKey})
				}
			}
		case "connectedWallets":
			if !r.Null() {
				for range r.Array {
					r.at.index = len(c.ConnectedWallets)
					c.ConnectedWallets = append(c.ConnectedWallets, r.wallet())
				}
			}
		default:
			r.RefuseCaseVariant(name, dataNames)
		}
	}
	if r.Err() == nil {
		r.at.inData = false
	}
}

// wallet parses a wallet of any of the three kinds. ConnectedWallet has the
// fields of all three. Every member may be absent or null, because most are
// optional in Para's types. An unusable wallet thus does not lock its user out.
func (r *reader) wallet() (w ConnectedWallet) {
	for name := range r.Object {
		r.at.member = name
		switch name {
		case "id":
			w.ID = r.optional()
		case "type":
			w.Type = WalletType(r.optional())
		case "address":
			w.Address = r.optional()
		case "publicKey":
			w.PublicKey = r.optional()
		case "provider":
			w.Provider = r.optional()
		default:
			r.RefuseCaseVariant(name, walletNames)
		}
	}
	if r.Err() == nil {
		r.at.member = ""
	}
	return w
}

// optional parses a string, or null as "".
func (r *reader) optional() string {
	if r.Null() {
		return ""
	}
	return r.String()
}

// time parses a NumericDate (RFC 7519 §2): seconds since 1970, with an optional
// fraction. The result is never the zero Time, which means an absent claim.
func (r *reader) time() time.Time {
	text := r.Number()
	if r.Err() != nil {
		return time.Time{}
	}
	if sec, err := strconv.ParseInt(text, 10, 64); err == nil && 0 < sec && sec < endOfTime {
		return time.Unix(sec, 0).UTC()
	}
	sec, err := strconv.ParseFloat(text, 64)
	if err != nil || !(0 < sec && sec < endOfTime) {
		r.Fail("out of range")
		return time.Time{}
	}
	whole, fraction := math.Modf(sec)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}
