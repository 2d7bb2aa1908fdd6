package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/internal/strictjson"
)

// AuthType is how a user logged in to Para. Para adds values over time. A value
// without a constant is kept unchanged.
type AuthType string

// Authentication types. Para documents the first five ("Session Management").
// The others occur in its SDK only.
const (
	AuthEmail          AuthType = "email"
	AuthPhone          AuthType = "phone"
	AuthFarcaster      AuthType = "farcaster"
	AuthTelegram       AuthType = "telegram"
	AuthExternalWallet AuthType = "externalWallet"

	AuthPhoneLegacy AuthType = "phoneLegacy"
	AuthUserID      AuthType = "userId"
	AuthDiscord     AuthType = "discord"
	AuthX           AuthType = "x"
	AuthCustomID    AuthType = "customId"
	AuthGuestID     AuthType = "guestId"
)

// OAuthMethod is the provider of a social login, or "" for any other login. A
// value without a constant, such as a custom provider, is kept unchanged.
type OAuthMethod string

// OAuth methods. Para documents the first five ("Session Management"). The
// others occur in its SDK only.
const (
	OAuthGoogle   OAuthMethod = "google"
	OAuthX        OAuthMethod = "x"
	OAuthDiscord  OAuthMethod = "discord"
	OAuthFacebook OAuthMethod = "facebook"
	OAuthApple    OAuthMethod = "apple"

	OAuthTelegram  OAuthMethod = "telegram"
	OAuthFarcaster OAuthMethod = "farcaster"
)

// WalletType is the family of chains that a wallet is for. A value without a
// constant is kept unchanged.
type WalletType string

// Wallet types in Para's documentation and SDK.
const (
	WalletEVM     WalletType = "EVM"
	WalletSolana  WalletType = "SOLANA"
	WalletCosmos  WalletType = "COSMOS"
	WalletStellar WalletType = "STELLAR"
	WalletSui     WalletType = "SUI"
)

// Wallet is an embedded wallet that Para attests as the user's.
type Wallet struct {
	ID        string     `json:"id"`
	Type      WalletType `json:"type"`
	Address   string     `json:"address"`   // "" until the wallet's keys exist
	PublicKey string     `json:"publicKey"` // "" for SOLANA
}

// HasAddress reports whether address is this wallet's. EVM addresses are
// compared without regard to case, because Para sends them checksummed (EIP-55)
// or in lower case. Addresses of every other wallet type are compared exactly.
// An empty address matches no wallet.
func (w Wallet) HasAddress(address string) bool {
	if address == "" {
		return false
	}
	return w.Address == address || w.Type == WalletEVM && strings.EqualFold(w.Address, address)
}

// ConnectedWallet is a wallet that was connected during the user's session.
// Para does not attest that the user owns it. Its type differs from [Wallet],
// so that the compiler rejects it where ownership counts.
type ConnectedWallet struct {
	ID        string     `json:"id,omitempty"`
	Type      WalletType `json:"type"`
	Address   string     `json:"address"`
	PublicKey string     `json:"publicKey,omitempty"`
	Provider  string     `json:"provider,omitempty"`
}

// ExternalWallet is the wallet that the user logged in with, if AuthType is
// [AuthExternalWallet].
type ExternalWallet struct {
	Address  string     `json:"address"`
	Type     WalletType `json:"type"`
	Provider string     `json:"provider"` // such as "MetaMask"
}

// Claims is a verified Para user: the content of one token, typed.
//
// [FromContext] returns a copy. Copies for the same request share the elements
// of their slices. A change affects neither another request nor whether the
// token is accepted. The slices may keep the request in memory. To keep a user
// after the request, use [Claims.CopyTo].
//
// The methods are safe for concurrent use by multiple goroutines if no
// goroutine changes the Claims.
//
// Printing or logging Claims, or a pointer to them, shows the user ID and no
// personal data. Three things still show personal data: JSON encoding, a field
// printed by name, and a Claims value in an unexported struct field. Package
// fmt prints the latter without calling its methods. Store a *Claims there.
type Claims struct {
	UserID      string      `json:"userId"`
	AuthType    AuthType    `json:"authType"`
	OAuthMethod OAuthMethod `json:"oAuthMethod,omitempty"`
	Identifier  string      `json:"identifier"` // such as the email address or phone number

	// Para sets the field of AuthType only. With AuthExternalWallet, it sets
	// ExternalWalletAddress and ExternalWallet.
	Email                 string         `json:"email,omitempty"`
	Phone                 string         `json:"phone,omitempty"`
	TelegramUserID        string         `json:"telegramUserId,omitempty"`
	FarcasterUsername     string         `json:"farcasterUsername,omitempty"`
	ExternalWalletAddress string         `json:"externalWalletAddress,omitempty"`
	ExternalWallet        ExternalWallet `json:"externalWallet,omitzero"`

	// Wallets are embedded wallets. Para attests that the user owns them.
	Wallets []Wallet `json:"wallets"`
	// ConnectedWallets are wallets whose owner is not verified.
	ConnectedWallets []ConnectedWallet `json:"connectedWallets,omitempty"`

	Subject     string   `json:"sub"` // equal to UserID
	Audience    []string `json:"aud"` // API key IDs, one of which is yours
	KeyID       string   `json:"kid"` // ID of the key that signed the token
	Environment string   `json:"environment"`
	// TokenID identifies the token in audit logs and revocations: the first 32
	// characters of its signature. It is not a credential.
	TokenID   string    `json:"tokenId,omitempty"`
	IssuedAt  time.Time `json:"iat"`
	ExpiresAt time.Time `json:"exp"`
	NotBefore time.Time `json:"nbf,omitzero"` // zero if the token has no nbf

	origin *origin // nil if the Claims came from no token
}

// Token identifies the token that Claims came from. The zero Token is valid. It
// suits tests, and tools that inspect tokens.
type Token struct {
	ID            string // see [Claims.TokenID]
	KeyID         string // see [Claims.KeyID]
	KeyThumbprint string // JWK Thumbprint (RFC 7638) of the key that verified the signature
	Environment   string // see [Claims.Environment]
}

// origin is where Claims came from. It is immutable, and shared by all copies.
type origin struct {
	payload string // as Para signed it
	token   Token
}

// ErrNoPayload is the error of [Claims.Decode] and [Claims.Verified] for Claims
// that did not come from a token, such as those of a test or of a verification
// token.
var ErrNoPayload = errors.New("claims: these claims have no token payload")

// room holds the usual one audience and two wallets in one allocation.
type room struct {
	audience [1]string
	wallets  [2]Wallet
}

// CopyTo makes dst a copy of c. A later change of either does not affect the
// other.
func (c *Claims) CopyTo(dst *Claims) {
	*dst = *c
	if n := len(c.Wallets); len(c.Audience) == 1 && 0 < n && n <= 2 {
		r := new(room)
		r.audience[0] = c.Audience[0]
		copy(r.wallets[:], c.Wallets)
		// Without spare capacity, append does not write into the room.
		dst.Audience, dst.Wallets = r.audience[:], r.wallets[:n:n]
	} else {
		dst.Audience = slices.Clip(slices.Clone(c.Audience))
		dst.Wallets = slices.Clip(slices.Clone(c.Wallets))
	}
	if c.ConnectedWallets != nil {
		dst.ConnectedWallets = slices.Clip(slices.Clone(c.ConnectedWallets))
	}
}

// Verified returns the Claims as Para signed them, without later changes of c,
// and the token that they came from. It parses the payload again, which costs
// about a microsecond. The error is [ErrNoPayload] if c is nil or did not come
// from a token.
func (c *Claims) Verified() (*Claims, Token, error) {
	if c == nil || c.origin == nil {
		return nil, Token{}, ErrNoPayload
	}
	verified, err := FromVerifiedPayload(c.origin.payload, c.origin.token)
	return verified, c.origin.token, err
}

// WalletByAddress returns the user's wallet with this address, compared as by
// [Wallet.HasAddress], and reports whether there is one. ConnectedWallets and
// ExternalWallet do not count.
func (c *Claims) WalletByAddress(address string) (Wallet, bool) {
	for _, w := range c.Wallets {
		if w.HasAddress(address) {
			return w, true
		}
	}
	return Wallet{}, false
}

// OwnsAddress reports whether Para attests that the user owns the wallet with
// this address. ConnectedWallets and ExternalWallet do not count.
func (c *Claims) OwnsAddress(address string) bool {
	_, ok := c.WalletByAddress(address)
	return ok
}

// WalletsOf returns the user's wallets of type t that have an address, in the
// order of the token, or nil. The slice belongs to the caller. ConnectedWallets
// and ExternalWallet do not count.
func (c *Claims) WalletsOf(t WalletType) []Wallet {
	var of []Wallet
	for _, w := range c.Wallets {
		if w.Type == t && w.Address != "" {
			of = append(of, w)
		}
	}
	return of
}

// HasWalletOf reports whether the user has a wallet of at least one of these
// types that has an address. ConnectedWallets and ExternalWallet do not count.
func (c *Claims) HasWalletOf(types ...WalletType) bool {
	return slices.ContainsFunc(c.Wallets, func(w Wallet) bool {
		return w.Address != "" && slices.Contains(types, w.Type)
	})
}

// Decode parses the token's verified payload into v as [json.Unmarshal] does.
// Use it for members that have no field in Claims. The payload has the form
//
//	{
//		"sub": …, "aud": …, "iat": …, "exp": …,
//		"data": {"userId": …, "wallets": […], …}
//	}
//
// Decode refuses a payload with names that differ only in case, because
// json.Unmarshal matches both with the same field. The error is then an
// [*Error]. It is [ErrNoPayload] if c did not come from a token. Any other
// error is that of json.Unmarshal.
func (c *Claims) Decode(v any) error {
	if c.origin == nil {
		return ErrNoPayload
	}
	d := strictjson.New(c.origin.payload)
	d.RefuseFoldedNames()
	d.Skip()
	if err := d.End(); err != nil {
		return &Error{Reason: err.Error()}
	}
	return json.Unmarshal([]byte(c.origin.payload), v)
}

// String returns the user ID, the authentication type and the environment. It
// contains no personal data.
func (c Claims) String() string {
	return "para user " + c.UserID + " (" + string(c.AuthType) + ", " + c.Environment + ")"
}

// Format writes the result of String for every verb, including %+v and %#v.
func (c Claims) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue returns the user ID, authentication type, environment and key ID for
// package log/slog. It contains no personal data.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("userId", c.UserID),
		slog.String("authType", string(c.AuthType)),
		slog.String("environment", c.Environment),
		slog.String("kid", c.KeyID),
	)
}
