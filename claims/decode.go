package claims

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/parajwt/parajwt/internal/strictjson"
)

// Error tells why a payload is not a Para user's. It never quotes the payload.
type Error struct {
	Claim  string // the claim that is wrong, such as "exp" or "data.wallets"; empty when the JSON itself is
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

// The names this package reads. A payload in which one stands in another case is refused: some
// reader would take it for the real one.
var (
	payloadNames = []string{"sub", "aud", "iat", "exp", "nbf", "data"}
	dataNames    = []string{"userId", "wallets", "connectedWallets", "authType", "identifier", "oAuthMethod",
		"email", "phone", "telegramUserId", "farcasterUsername", "externalWalletAddress", "externalWallet"}
	walletNames = []string{"id", "type", "address", "publicKey", "provider"}
)

// FromVerifiedPayload reads the payload of a Para token **whose signature has been verified**. It
// checks what can be checked without a clock and without knowing the application: that the JSON has
// one meaning (RFC 8725 §3.7 and more: exact names, no duplicates, valid UTF-8, at most 16 levels,
// nothing trailing), that every claim has its type, that sub and data.userId are equal, and that
// exp and iat are there, in range and in order (RFC 7519 §4.1). It checks neither signature, nor
// time, nor audience: for a request, use the Validator of package middleware, which does.
//
// What it does not know is accepted and stays readable through [Claims.Decode]. The error is always
// a [*Error]. Safe for concurrent use.
func FromVerifiedPayload(payload string) (*Claims, error) {
	c := &Claims{payload: payload}
	r := reader{Decoder: strictjson.New(payload)}
	r.payload(c)
	if err := r.End(); err != nil {
		e := &Error{Reason: err.Error()}
		if se, ok := err.(*strictjson.Error); ok && !se.Syntax {
			e.Claim, e.Reason = r.scope+r.claim, se.Reason
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
	// Without room to grow, so that two requests which append to the slices they share do not write
	// into one another's.
	c.Audience = slices.Clip(c.Audience)
	c.Wallets = slices.Clip(c.Wallets)
	c.ConnectedWallets = slices.Clip(c.ConnectedWallets)
	return c, nil
}

// reader is a decoder that remembers which claim it is reading, for the error.
type reader struct {
	*strictjson.Decoder
	scope string // "data." while inside data
	claim string
}

func (r *reader) payload(c *Claims) {
	for name := range r.Object {
		r.claim = name
		switch name {
		case "sub":
			c.Subject = r.String()
		case "aud":
			r.audience(c)
		case "exp":
			c.ExpiresAt = r.time()
		case "iat":
			c.IssuedAt = r.time()
		case "nbf":
			c.NotBefore = r.time()
		case "data":
			r.data(c)
		default:
			r.Unlike(name, payloadNames)
		}
	}
}

// audience reads a string or an array of strings (RFC 7519 §4.1.3).
func (r *reader) audience(c *Claims) {
	c.Audience = c.audience[:0]
	if r.Peek() != '[' {
		c.Audience = append(c.Audience, r.String())
		return
	}
	for range r.Array {
		c.Audience = append(c.Audience, r.String())
	}
}

func (r *reader) data(c *Claims) {
	if r.Peek() != '{' {
		r.Skip()
		r.Fail("not an object")
		return
	}
	r.scope = "data."
	for name := range r.Object {
		r.claim = name
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
				c.ExternalWallet = ExternalWallet{Address: w.Address, Type: w.Type, Provider: w.Provider}
			}
		case "wallets":
			if !r.Null() {
				c.Wallets = c.wallets[:0]
				for range r.Array {
					w := r.wallet()
					c.Wallets = append(c.Wallets, Wallet{w.ID, w.Type, w.Address, w.PublicKey})
				}
			}
		case "connectedWallets":
			if !r.Null() {
				for range r.Array {
					c.ConnectedWallets = append(c.ConnectedWallets, r.wallet())
				}
			}
		default:
			r.Unlike(name, dataNames)
		}
	}
	if r.Err() == nil {
		r.scope = ""
	}
}

// wallet reads any of Para's three kinds of wallet; ConnectedWallet has the fields of them all.
func (r *reader) wallet() (w ConnectedWallet) {
	for name := range r.Object {
		switch name {
		case "id":
			w.ID = r.String()
		case "type":
			w.Type = WalletType(r.String())
		case "address":
			w.Address = r.String()
		case "publicKey":
			w.PublicKey = r.String()
		case "provider":
			w.Provider = r.String()
		default:
			r.Unlike(name, walletNames)
		}
	}
	return w
}

// optional reads a string that may be null, as JavaScript writes what is not there.
func (r *reader) optional() string {
	if r.Null() {
		return ""
	}
	return r.String()
}

// time reads a NumericDate (RFC 7519 §2): seconds since 1970, fractions allowed. The result is
// never the zero Time, which stands for a claim that is not there.
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
