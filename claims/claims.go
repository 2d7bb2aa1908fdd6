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

// AuthType is how a user proved to Para who they are. The list grows with Para: a value that has
// no constant here is kept as it came.
type AuthType string

// The authentication types of Para's documentation, then those that only its SDK lists.
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

// OAuthMethod is the provider of a social login; empty when there was none. Unknown values, custom
// providers among them, are kept as they came.
type OAuthMethod string

// The OAuth methods of Para's documentation, then those that only its SDK lists.
const (
	OAuthGoogle   OAuthMethod = "google"
	OAuthX        OAuthMethod = "x"
	OAuthDiscord  OAuthMethod = "discord"
	OAuthFacebook OAuthMethod = "facebook"
	OAuthApple    OAuthMethod = "apple"

	OAuthTelegram  OAuthMethod = "telegram"
	OAuthFarcaster OAuthMethod = "farcaster"
)

// WalletType is the family of chains a wallet lives on. Unknown values are kept as they came.
type WalletType string

// The wallet types that Para's documentation and SDK name.
const (
	WalletEVM     WalletType = "EVM"
	WalletSolana  WalletType = "SOLANA"
	WalletCosmos  WalletType = "COSMOS"
	WalletStellar WalletType = "STELLAR"
	WalletSui     WalletType = "SUI"
)

// Wallet is an embedded wallet that Para attests to be the user's.
type Wallet struct {
	ID        string     `json:"id"`
	Type      WalletType `json:"type"`
	Address   string     `json:"address"`
	PublicKey string     `json:"publicKey"` // empty for SOLANA
}

// HasAddress reports whether address names this wallet. EVM addresses are compared without regard
// to case, because they arrive checksummed (EIP-55) or in lower case; the addresses of every other
// chain are case-sensitive. An empty address names no wallet.
func (w Wallet) HasAddress(address string) bool {
	if address == "" {
		return false
	}
	return w.Address == address || w.Type == WalletEVM && strings.EqualFold(w.Address, address)
}

// ConnectedWallet is a wallet that was connected in the user's session. Para does not attest that
// the user owns it, which is why it has a type of its own: nothing that asks for a [Wallet] takes it.
type ConnectedWallet struct {
	ID        string     `json:"id,omitempty"`
	Type      WalletType `json:"type"`
	Address   string     `json:"address"`
	PublicKey string     `json:"publicKey,omitempty"`
	Provider  string     `json:"provider,omitempty"`
}

// ExternalWallet is the wallet a user logged in with, where AuthType is [AuthExternalWallet].
type ExternalWallet struct {
	Address  string     `json:"address"`
	Type     WalletType `json:"type"`
	Provider string     `json:"provider"` // such as "MetaMask"
}

// Claims is a verified Para user: what one token says, typed.
//
// One value is shared by every request that carries the same token, and between goroutines. Treat
// it as read-only, the elements of its slices included. What its methods return is the caller's own.
//
// Claims prints and logs as the user ID and little else, alone or behind a pointer. Three things show it in full:
// JSON (json.Marshal, and slog's JSONHandler for a struct or slice that holds it), a field by its name, and a Claims
// by value in an unexported field of a struct of your own, so keep a *Claims there.
type Claims struct {
	UserID      string      `json:"userId"`
	AuthType    AuthType    `json:"authType"`
	OAuthMethod OAuthMethod `json:"oAuthMethod,omitempty"`
	Identifier  string      `json:"identifier"` // what the user logged in with: the email, phone number, …

	// At most one of these is set, as AuthType says.
	Email                 string         `json:"email,omitempty"`
	Phone                 string         `json:"phone,omitempty"`
	TelegramUserID        string         `json:"telegramUserId,omitempty"`
	FarcasterUsername     string         `json:"farcasterUsername,omitempty"`
	ExternalWalletAddress string         `json:"externalWalletAddress,omitempty"`
	ExternalWallet        ExternalWallet `json:"externalWallet,omitzero"`

	Wallets          []Wallet          `json:"wallets"`                    // attested by Para as the user's
	ConnectedWallets []ConnectedWallet `json:"connectedWallets,omitempty"` // not proven to be the user's

	Subject     string    `json:"sub"` // always equal to UserID
	Audience    []string  `json:"aud"` // API key IDs; one of them is yours
	KeyID       string    `json:"kid"` // of the key that signed the token
	Environment string    `json:"environment"`
	TokenID     string    `json:"tokenId,omitempty"` // names the token without being it: for audit logs and revocation
	IssuedAt    time.Time `json:"iat"`
	ExpiresAt   time.Time `json:"exp"`
	NotBefore   time.Time `json:"nbf,omitzero"` // zero when the token has none

	payload string
	// A place for the usual one audience and two wallets, so that they cost no allocation.
	audience [1]string
	wallets  [2]Wallet
}

// ErrNoPayload is returned by [Claims.Decode] for claims that did not come from a token, such as
// those a test builds by hand.
var ErrNoPayload = errors.New("claims: these claims have no token payload to decode")

// WalletByAddress returns the user's wallet with this address, compared as [Wallet.HasAddress]
// does. ConnectedWallets and ExternalWallet do not count.
func (c *Claims) WalletByAddress(address string) (Wallet, bool) {
	for _, w := range c.Wallets {
		if w.HasAddress(address) {
			return w, true
		}
	}
	return Wallet{}, false
}

// OwnsAddress reports whether Para attests that the user owns the wallet with this address.
// ConnectedWallets and ExternalWallet are not proven to be owned and never count.
func (c *Claims) OwnsAddress(address string) bool {
	_, ok := c.WalletByAddress(address)
	return ok
}

// WalletsOf returns the user's wallets of one type, in the token's order, in a slice of the
// caller's own; nil when there are none. ConnectedWallets and ExternalWallet do not count.
func (c *Claims) WalletsOf(t WalletType) []Wallet {
	var of []Wallet
	for _, w := range c.Wallets {
		if w.Type == t {
			of = append(of, w)
		}
	}
	return of
}

// HasWalletOf reports whether the user has a wallet of one of these types.
func (c *Claims) HasWalletOf(types ...WalletType) bool {
	return slices.ContainsFunc(c.Wallets, func(w Wallet) bool { return slices.Contains(types, w.Type) })
}

// Decode reads the token's verified payload into v as [json.Unmarshal] does, for claims that this
// package does not type. The payload's shape is
//
//	{"sub": …, "aud": …, "iat": …, "exp": …, "data": {"userId": …, "wallets": […], …}}
//
// A payload with names that differ only in case is refused here, because json.Unmarshal would take
// either for the same field. Errors: [ErrNoPayload], [*Error], and those of json.Unmarshal.
func (c *Claims) Decode(v any) error {
	if c.payload == "" {
		return ErrNoPayload
	}
	d := strictjson.New(c.payload)
	d.RefuseFoldedNames()
	d.Skip()
	if err := d.End(); err != nil {
		return &Error{Reason: err.Error()}
	}
	return json.Unmarshal([]byte(c.payload), v)
}

// String returns the user ID, the authentication type and the environment: enough for a log line,
// and no personal data.
func (c Claims) String() string {
	return "para user " + c.UserID + " (" + string(c.AuthType) + ", " + c.Environment + ")"
}

// Format prints String for every verb, %+v, %#v and %d included.
func (c Claims) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// GoString is String.
func (c Claims) GoString() string { return c.String() }

// LogValue is what log/slog writes of a user: who, how and from where, and no personal data.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("userId", c.UserID),
		slog.String("authType", string(c.AuthType)),
		slog.String("environment", c.Environment),
		slog.String("kid", c.KeyID),
	)
}
