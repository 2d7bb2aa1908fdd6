package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	// maxExported is the size of the largest export that is read, in base64.
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
// returns them to a Node server that signs. Key shares are part of the user's
// keys. They stay in this process's memory as long as the Session, and nothing
// in Go reads them.
func KeepSignersThisServerCannotUse() ImportOption {
	return func(r *reader) { r.keepSigners = true }
}

// Import parses the text that exportSession or waitAndExportSession returned to
// a user's client. It makes no call: [Session.IsActive] asks Para about the
// session. What the text says is the client's word; see the package
// documentation.
//
// Import drops key shares while it parses, unless the option
// [KeepSignersThisServerCannotUse] is given. [Session.SignersDropped] and a log
// line report that. They were in this process's memory, which Go does not wipe:
// clients should export with exportSession({ excludeSigners: true }).
//
// The text is base64 in the standard alphabet, at most 1 MiB, of JSON without
// duplicate names. It has at most 1,000 wallets, 1,000 current wallet IDs, and
// 2,000 members in an object. Unknown members are dropped. Exports of v1 SDKs
// are accepted, too. Errors: [ErrSessionMalformed] and [ErrSessionEnvironment].
// Any number of sessions can be imported. Source: importSession of Para's SDK.
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
			"it is of %.40q, and this client is for %q", env, c.cfg.Environment.Name)}
	}
	s := newSession(c, doc, r.dropped)
	if r.dropped {
		c.cfg.Logger.Info("parajwt: dropped the key shares of a session: "+
			"let the client export with excludeSigners", "session", s)
	}
	return s, nil
}

// decodeBase64 is strict: Go's decoder skips line breaks otherwise.
func decodeBase64(s string) (string, error) {
	switch {
	case len(s) > maxExported:
		return "", fmt.Errorf("it is larger than %d bytes", maxExported)
	case s == "":
		return "", errors.New("it is empty")
	case strings.ContainsAny(s, " \t\r\n"):
		return "", errors.New("it has white space in it")
	case s[0] == '{':
		return "", errors.New("it is JSON; give it as exportSession returns it")
	case strings.Count(s, ".") == 2:
		return "", errors.New("it looks like a JWT, which a validator verifies")
	case strings.ContainsAny(s, "-_"):
		return "", errors.New("it is in the alphabet for URLs; exportSession uses the standard one")
	}
	text, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return "", errors.New("it is not base64: it breaks off, or has other characters in it")
	}
	return string(text), nil
}

// deriveAuth returns authInfo as importSession derives it from the members in
// which v1 SDKs name the user. It is absent if there are none.
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

// internationalPhone returns a phone number in the form +13105551234, or "" if
// that takes more knowledge of national numbers than is here: Para's SDK knows
// in which countries a leading 0 belongs to the number.
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
		return "" // E.164
	}
	return "+" + digits
}

// isID reports whether s can be a path segment. Para's IDs are UUIDs.
func isID(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s != "" && len(s) <= 128 && strings.Trim(s, alphabet) == ""
}

// isCookie reports whether s can be sent as the session cookie. Para's is a
// whole Set-Cookie line, attributes and spaces included.
func isCookie(s string) bool { return printable(s, maxCookie) && strings.Trim(s, " ") != "" }
