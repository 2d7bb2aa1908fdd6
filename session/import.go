package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/parajwt/parajwt/internal/strictjson"
)

// maxExported is the size of the largest export that is looked at, in base64.
const maxExported = 1 << 20

// connectionOnlyUser is what Para's SDK says in place of a user ID where nobody is logged in.
const connectionOnlyUser = "EXTERNAL_WALLET_CONNECTION_ONLY"

// ImportOption changes what [Client.Import] keeps.
type ImportOption func(*keeping)

type keeping struct{ signers bool }

// KeepSignersThisServerCannotUse carries key shares along, so that [Session.Export] gives them back, to a Node
// server that signs. They are part of the user's keys: while the Session lives, they are in this process's memory.
// Nothing here reads them.
func KeepSignersThisServerCannotUse() ImportOption {
	return func(k *keeping) { k.signers = true }
}

// Import reads what exportSession or waitAndExportSession gave a user's client. It makes no call: whether the
// session is any good, [Session.IsActive] asks. What it says is the client's word; see the package's documentation.
//
// Key shares are dropped while reading, unless [KeepSignersThisServerCannotUse] is given: nothing of the Session
// leads to them. [Session.SignersDropped] tells, and so does a log line. They have been in this process's memory all the
// same, which Go does not wipe: better that the client never sends them, with
// exportSession({ excludeSigners: true }).
//
// It accepts base64 in the standard alphabet of at most 1 MiB, of JSON with one meaning; members it does not know
// are accepted, and not kept. Errors: those that match [ErrSessionMalformed], and [ErrSessionEnvironment]. Any
// number of sessions can be imported, and used beside one another. Source: the exports of Para's SDK.
func (c *Client) Import(exported string, opts ...ImportOption) (*Session, error) {
	var k keeping
	for _, opt := range opts {
		opt(&k)
	}
	if len(exported) > maxExported {
		return nil, &Error{Code: ErrSessionTooLarge, Cause: fmt.Errorf("%d bytes, and at most %d are read", len(exported), maxExported)}
	}
	raw, err := decodeBase64(exported)
	if err != nil {
		return nil, &Error{Code: ErrSessionNotBase64, Cause: err}
	}
	d, cookie, err := decode(string(raw), k.signers)
	if err != nil {
		return nil, err
	}
	if from := d.Origin; from != (origin{}) && from != c.self() {
		return nil, &Error{Code: ErrSessionEnvironment,
			Hint: fmt.Sprintf("it is of %.40q, and this client is for %q", from.Environment, c.environment.Name)}
	}
	s := newSession(c, d, cookie)
	if d.dropped {
		c.logger.LogAttrs(context.Background(), slog.LevelInfo,
			"parajwt: an imported session came with key shares, which this server cannot use; they were dropped: let the client export with excludeSigners",
			slog.Any("session", s))
	}
	return s, nil
}

// self is what an export says of where it is from.
func (c *Client) self() origin { return origin{c.environment.Name, c.origin} }

// decodeBase64 is strict: Go's decoder skips line breaks otherwise.
func decodeBase64(s string) ([]byte, error) {
	switch {
	case s == "":
		return nil, errors.New("it is empty")
	case strings.ContainsAny(s, " \t\r\n"):
		return nil, errors.New("it has white space in it")
	case s[0] == '{':
		return nil, errors.New("it is JSON; give it as exportSession returns it")
	case strings.Count(s, ".") == 2:
		return nil, errors.New("it looks like a JWT, which a validator verifies")
	case strings.ContainsAny(s, "-_"):
		return nil, errors.New("it is in the alphabet for URLs; exportSession uses the standard one")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("it breaks off, or has other characters in it")
	}
	return raw, nil
}

// document is what is kept of an export, in the shape that Para's SDK reads, but for the cookie. Lists stand for
// objects, so that their order is kept: Para's SDK takes the first wallet.
type document struct {
	AuthInfo         *authInfo        `json:"authInfo,omitempty"`
	UserID           string           `json:"userId,omitempty"`
	Wallets          object[wallet]   `json:"wallets"`
	CurrentWalletIDs object[[]string] `json:"currentWalletIds"`
	SessionCookie    string           `json:"sessionCookie"` // set only while it is exported
	ExternalWallets  object[wallet]   `json:"externalWallets"`
	// Origin is ours. Para's SDK reads past it.
	Origin origin `json:"parajwt,omitzero"`

	dropped bool // it had key shares
}

type authInfo struct {
	Auth           object[string]  `json:"auth"`
	AuthType       string          `json:"authType,omitempty"`
	Identifier     string          `json:"identifier,omitempty"`
	Username       string          `json:"username,omitempty"`
	DisplayName    string          `json:"displayName,omitempty"`
	PictureURL     string          `json:"pfpUrl,omitempty"`
	ExternalWallet *externalWallet `json:"externalWallet,omitempty"`
}

type externalWallet struct {
	PartnerID        string `json:"partnerId,omitempty"`
	Address          string `json:"address,omitempty"`
	Type             string `json:"type,omitempty"`
	Provider         string `json:"provider,omitempty"`
	ProviderID       string `json:"providerId,omitempty"`
	AddressBech32    string `json:"addressBech32,omitempty"`
	WithFullParaAuth bool   `json:"withFullParaAuth,omitempty"`
	ConnectionOnly   bool   `json:"isConnectionOnly,omitempty"`
	WithVerification bool   `json:"withVerification,omitempty"`
}

type wallet struct {
	ID               string  `json:"id"`
	Type             string  `json:"type,omitempty"`
	Address          string  `json:"address"`
	AddressSecondary string  `json:"addressSecondary,omitempty"`
	Scheme           string  `json:"scheme,omitempty"`
	PublicKey        string  `json:"publicKey"`
	Signer           *string `json:"signer,omitempty"` // behind a pointer: package fmt prints an address
	Name             string  `json:"name,omitempty"`
	UserID           string  `json:"userId,omitempty"`
	PartnerID        string  `json:"partnerId,omitempty"`
	CreatedAt        string  `json:"createdAt,omitempty"`
	LastUsedAt       string  `json:"lastUsedAt,omitempty"`
	IsPregen         bool    `json:"isPregen,omitempty"`
	PregenID         string  `json:"pregenIdentifier,omitempty"`
	PregenIDType     string  `json:"pregenIdentifierType,omitempty"`
	IsExternal       bool    `json:"isExternal,omitempty"`
	WithParaAuth     bool    `json:"isExternalWithParaAuth,omitempty"`
	WithVerification bool    `json:"isExternalWithVerification,omitempty"`
	ConnectionOnly   bool    `json:"isExternalConnectionOnly,omitempty"`
	ProviderID       string  `json:"externalProviderId,omitempty"`
}

// origin is where an export of ours is from.
type origin struct {
	Environment string `json:"environment"`
	URL         string `json:"url"`
}

// object is a JSON object in its order.
type object[T any] []member[T]

type member[T any] struct {
	name  string
	value T
}

// MarshalJSON writes the members in their order, and an empty object for none.
func (o object[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{m.name, m.value} {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b.WriteByte(':')
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o object[T]) get(name string) (value T, ok bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return value, false
}

// importer reads an export. Everything it keeps is a copy: strictjson returns parts of the text, and the text holds
// the key shares.
type importer struct {
	*strictjson.Decoder
	signers bool
	at      string // the member being read, for errors
}

// decode reads the JSON of an export. It returns an [*Error] or nil.
func decode(text string, signers bool) (d *document, cookie secret, err error) {
	r := importer{Decoder: strictjson.New(text), signers: signers}
	d = &document{}
	for name := range r.Object {
		r.at = name
		switch name {
		case "userId":
			d.UserID = r.optional()
		case "sessionCookie":
			cookie = hide(r.optional())
		case "authInfo":
			d.AuthInfo = r.authInfo()
		case "wallets":
			d.Wallets = r.wallets(d)
		case "externalWallets":
			d.ExternalWallets = r.wallets(d)
		case "currentWalletIds":
			d.CurrentWalletIDs = r.currentWalletIDs()
		case "parajwt":
			d.Origin = r.origin()
		}
	}
	if err := r.End(); err != nil {
		var se *strictjson.Error
		if errors.As(err, &se) && !se.Syntax {
			return nil, secret{}, &Error{Code: ErrSessionMalformed, Cause: malformed(r.at, se.Reason)}
		}
		return nil, secret{}, &Error{Code: ErrSessionNotJSON, Cause: err}
	}
	switch {
	case d.UserID == "" && d.mode() != ModeConnectionOnly:
		return nil, secret{}, &Error{Code: ErrSessionNoUser, Cause: errors.New("userId is missing or empty")}
	case d.UserID != "" && !isID(d.UserID):
		return nil, secret{}, &Error{Code: ErrSessionMalformed, Cause: malformed("userId", "not an ID")}
	case cookie.reveal() == "":
		return nil, secret{}, &Error{Code: ErrSessionNoCookie, Cause: errors.New("sessionCookie is missing or empty"),
			Hint: "was it exported before the user logged in?"}
	case !isCookie(cookie.reveal()):
		return nil, secret{}, &Error{Code: ErrSessionMalformed, Cause: malformed("sessionCookie", "not a cookie")}
	}
	return d, cookie, nil
}

// malformed names one of the members that are read. Others are never at fault.
func malformed(name, reason string) error {
	if name == "" {
		name = "the whole"
	}
	return fmt.Errorf("%s: %s", name, reason)
}

// isID reports whether s can stand in a path as it is. Para's IDs are UUIDs.
func isID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return 0 < len(s) && len(s) <= 128
}

// isCookie reports whether s can stand in a header as it is.
func isCookie(s string) bool { return visible(s, 8<<10) }

func (r *importer) text() string     { return text(r.Decoder) }
func (r *importer) optional() string { return optional(r.Decoder) }
func (r *importer) truth() bool      { return truth(r.Decoder) }

// remark reads what is only carried along. A login is not refused for it.
func (r *importer) remark() string {
	if r.Peek() != '"' {
		r.Skip()
		return ""
	}
	return r.text()
}

// authNames are the members of authInfo.auth (Auth of Para's SDK).
var authNames = []string{"email", "phone", "countryCode", "farcasterUsername", "telegramUserId", "externalWalletAddress",
	"xUsername", "discordUsername", "customId", "guestId", "userId"}

func (r *importer) authInfo() *authInfo {
	if r.Null() {
		return nil
	}
	a := &authInfo{}
	for name := range r.Object {
		switch name {
		case "auth":
			for name := range r.Object {
				if slices.Contains(authNames, name) {
					a.Auth = append(a.Auth, member[string]{strings.Clone(name), r.optional()})
				}
			}
		case "authType":
			a.AuthType = r.optional()
		case "identifier":
			a.Identifier = r.optional()
		case "username":
			a.Username = r.remark()
		case "displayName":
			a.DisplayName = r.remark()
		case "pfpUrl":
			a.PictureURL = r.remark()
		case "externalWallet":
			a.ExternalWallet = r.externalWallet()
		}
	}
	return a
}

func (r *importer) externalWallet() *externalWallet {
	if r.Null() {
		return nil
	}
	w := &externalWallet{}
	for name := range r.Object {
		switch name {
		case "partnerId":
			w.PartnerID = r.remark()
		case "address":
			w.Address = r.optional()
		case "type":
			w.Type = r.optional()
		case "provider":
			w.Provider = r.remark()
		case "providerId":
			w.ProviderID = r.remark()
		case "addressBech32":
			w.AddressBech32 = r.remark()
		case "withFullParaAuth":
			w.WithFullParaAuth = r.truth()
		case "isConnectionOnly":
			w.ConnectionOnly = r.truth()
		case "withVerification":
			w.WithVerification = r.truth()
		}
	}
	return w
}

func (r *importer) wallets(d *document) object[wallet] {
	var all object[wallet]
	if r.Null() {
		return nil
	}
	for key := range r.Object {
		w := r.wallet(d)
		if w.ID == "" {
			w.ID = strings.Clone(key)
		}
		if w.ID != key {
			r.Fail("a wallet with two IDs")
		}
		all = append(all, member[wallet]{strings.Clone(key), w})
	}
	return all
}

func (r *importer) wallet(d *document) (w wallet) {
	for name := range r.Object {
		switch name {
		case "id":
			w.ID = r.text()
		case "type":
			w.Type = r.optional()
		case "address":
			w.Address = r.optional()
		case "addressSecondary":
			w.AddressSecondary = r.remark()
		case "scheme":
			w.Scheme = r.optional()
		case "publicKey":
			w.PublicKey = r.optional()
		case "signer":
			r.signer(d, &w)
		case "name":
			w.Name = r.remark()
		case "userId":
			w.UserID = r.optional()
		case "partnerId":
			w.PartnerID = r.remark()
		case "createdAt":
			w.CreatedAt = r.remark()
		case "lastUsedAt":
			w.LastUsedAt = r.remark()
		case "isPregen":
			w.IsPregen = r.truth()
		case "pregenIdentifier":
			w.PregenID = r.remark()
		case "pregenIdentifierType":
			w.PregenIDType = r.remark()
		case "isExternal":
			w.IsExternal = r.truth()
		case "isExternalWithParaAuth":
			w.WithParaAuth = r.truth()
		case "isExternalWithVerification":
			w.WithVerification = r.truth()
		case "isExternalConnectionOnly":
			w.ConnectionOnly = r.truth()
		case "externalProviderId":
			w.ProviderID = r.remark()
		}
	}
	return w
}

// signer reads a key share past, or keeps it where that was asked for. External wallets have an empty one.
func (r *importer) signer(d *document, w *wallet) {
	if r.Null() {
		return
	}
	share := r.String()
	switch {
	case share == "":
	case r.signers:
		kept := strings.Clone(share)
		w.Signer = &kept
	default:
		d.dropped = true
	}
}

func (r *importer) currentWalletIDs() object[[]string] {
	var all object[[]string]
	if r.Null() {
		return nil
	}
	for name := range r.Object {
		ids := []string{}
		if !r.Null() {
			for range r.Array {
				ids = append(ids, r.text())
			}
		}
		all = append(all, member[[]string]{strings.Clone(name), ids})
	}
	return all
}

func (r *importer) origin() (o origin) {
	for name := range r.Object {
		switch name {
		case "environment":
			o.Environment = r.text()
		case "url":
			o.URL = r.text()
		}
	}
	return o
}
