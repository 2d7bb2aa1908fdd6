package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	// maxExported is the size of the largest accepted export, in base64.
	maxExported = 1 << 20
	// maxWallets is the maximum number of wallets in an export, embedded and
	// external ones together, and of IDs in its currentWalletIds.
	maxWallets = 1000
	// maxNames is the maximum number of members of an object of an export.
	maxNames = 2 * maxWallets
	// maxCookie is the size of the longest session cookie.
	maxCookie = 8 << 10
)

// ImportOption changes what [Client.Import] keeps.
type ImportOption func(*reader)

// KeepSignersThisServerCannotUse keeps key shares, so that [Session.Export]
// returns them for a Node.js server that signs. Key shares are parts of the
// user's private keys. They stay in this process's memory as long as the
// Session does. This package does not use them.
func KeepSignersThisServerCannotUse() ImportOption {
	return func(r *reader) { r.keepSigners = true }
}

// Import parses the text that exportSession or waitAndExportSession of Para's
// SDK returned to a user's client. It makes no call, and the text is unverified
// input from the client. [Session.IsActive] verifies the session.
//
// Import drops key shares while it parses, unless the option
// [KeepSignersThisServerCannotUse] is given. [Session.SignersDropped] and a log
// line report dropped key shares. They were in this process's memory, which Go
// does not wipe. Clients should therefore export with
// exportSession({ excludeSigners: true }).
//
// The text has at most 1 MiB of base64 in the standard alphabet (RFC 4648 §4).
// It encodes a JSON object without duplicate names. The object has at most
// 1,000 wallets, 1,000 current wallet IDs, and 2,000 members in an object.
// Unknown members are dropped. Exports of v1 SDKs are accepted too.
//
// The error has the code [ErrSessionMalformed] or [ErrSessionEnvironment]. The
// number of imported sessions is not limited. Source: importSession of Para's
// SDK.
func (c *Client) Import(exported string, opts ...ImportOption) (*Session, error) {
	malformed := func(cause error) error { return &Error{Code: ErrSessionMalformed, Cause: cause} }
	raw, err := decodeBase64(exported)
	if err != nil {
		return nil, malformed(err)
	}
	r := reader{Decoder: strictjson.New(raw)}
	r.LimitNames(maxNames)
	for _, opt := range opts {
		opt(&r)
	}
	doc, err := r.readExport()
	if err != nil {
		return nil, malformed(err)
	}
	from := doc.get("parajwt")
	env, url := from.get("environment").text, from.get("url").text
	if from.form != 0 && (env != c.cfg.Environment.Name || url != c.origin) {
		return nil, &Error{Code: ErrSessionEnvironment, Hint: fmt.Sprintf(
			"it is from %.40q, and this client is for %q", env, c.cfg.Environment.Name)}
	}
	s := newSession(c, doc, r.dropped)
	if r.dropped {
		c.cfg.Logger.Info("parajwt: dropped the key shares of a session: "+
			"let the client export with excludeSigners", "session", s)
	}
	return s, nil
}

// decodeBase64 decodes an export. It refuses line breaks, which Go's decoder
// skips, and names likely mistakes.
func decodeBase64(s string) (string, error) {
	switch {
	case len(s) > maxExported:
		return "", fmt.Errorf("it is larger than %d bytes", maxExported)
	case s == "":
		return "", errors.New("it is empty")
	case strings.ContainsAny(s, " \t\r\n"):
		return "", errors.New("it contains white space")
	case s[0] == '{':
		return "", errors.New("it is decoded JSON: import it as exportSession returns it")
	case strings.Count(s, ".") == 2:
		return "", errors.New("it looks like a JWT: verify it with a Validator")
	case strings.ContainsAny(s, "-_"):
		return "", errors.New("it is base64url: exportSession uses the standard base64 alphabet")
	}
	text, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return "", errors.New("it is not base64: it is truncated, or contains other characters")
	}
	return string(text), nil
}

// deriveAuth returns authInfo as importSession of Para's SDK derives it from
// the members in which v1 SDKs name the user. The node is absent if none of
// them is present.
func deriveAuth(doc node) node {
	for _, m := range [][2]string{
		{"email", "email"}, {"phone", "phone"}, {"farcasterUsername", "farcaster"},
		{"telegramUserId", "telegram"}, {"externalWalletAddress", "externalWallet"},
	} {
		user := doc.get(m[0]).text
		if user == "" {
			continue
		}
		if m[0] == "phone" {
			user = internationalPhone(user, doc.get("countryCode").text)
		}
		if user == "" {
			break
		}
		return node{name: "authInfo", form: '{', children: []node{
			{name: "auth", form: '{', children: []node{str(m[0], user)}},
			str("authType", m[1]), str("identifier", user),
		}}
	}
	return node{}
}

// internationalPhone returns a phone number in the form +13105551234 (E.164).
// It returns "" for a number with a leading 0, because only Para's SDK has the
// list of countries in which the 0 is part of the number.
func internationalPhone(phone, countryCode string) string {
	digits := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, phone)
	if code := strings.TrimPrefix(countryCode, "+"); code != "" && phone[0] != '+' {
		digits = code + digits
		if strings.HasPrefix(digits, code+"0") {
			return ""
		}
	}
	if len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return "" // E.164 allows up to 15 digits
	}
	return "+" + digits
}

// isID reports whether s can be sent as a path segment. Para's IDs are UUIDs.
func isID(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s != "" && len(s) <= 128 && strings.Trim(s, alphabet) == ""
}

// isCookie reports whether s can be sent as the session cookie. Para's cookie
// is a whole Set-Cookie line, with attributes and spaces.
func isCookie(s string) bool { return printable(s, maxCookie) && strings.Trim(s, " ") != "" }
