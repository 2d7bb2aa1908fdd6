// Package peers holds one adapter for each library, set up as documented for
// that library. All adapters do the same work: they check signature, exp and
// aud, and decode the claims into types.
package peers

import (
	"context"
	"net/http"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// Setup is the configuration that every library receives.
type Setup struct {
	BaseURL string // of the loopback server of the key set
	Alg     string // of the tokens, for libraries that require an algorithm
}

func (s Setup) keySetURL() string { return s.BaseURL + fixture.WellKnown }

// Verify verifies a token and returns its user.
type Verify func(ctx context.Context, token string) (User, error)

// User is the part of the claims that tests compare. It is copied from the
// library's typed claims, so the tests fail for an adapter that does not decode
// them.
type User struct {
	ID, AuthType, LastAddress string
	Wallets                   int
}

// Library is one library, or one way to use it.
type Library struct {
	Name    string   // in tables
	Modules []string // the report lists their versions
	Ours    bool
	// Issuer is the iss of the tokens, for libraries that require one.
	Issuer string
	// New sets up the library and fetches the key set. Its goroutines end with
	// ctx.
	New func(ctx context.Context, s Setup) (Verify, error)
	// Handler guards a handler that answers with [Answer]. It is nil if the
	// library is not measured over HTTP.
	Handler func(ctx context.Context, s Setup) (http.Handler, error)
}

// All returns the libraries, parajwt first.
func All() []Library {
	return []Library{Ours(false), golangJWT(), goJOSE(), goOIDC(), auth0v2(), jwxv2(), clerk(),
		auth0v3()}
}

// Answer writes the user's ID. Every measured handler answers with it.
func Answer(w http.ResponseWriter, userID string) { w.Write([]byte(userID)) }

// Claims is the payload of a Para token, for libraries that decode into the
// caller's type.
type Claims struct {
	Data Data `json:"data"`
}

// Data is the data claim of a Para token.
type Data struct {
	UserID                string         `json:"userId"`
	Wallets               []Wallet       `json:"wallets"`
	ConnectedWallets      []Wallet       `json:"connectedWallets"`
	AuthType              string         `json:"authType"`
	Identifier            string         `json:"identifier"`
	OAuthMethod           string         `json:"oAuthMethod"`
	Email                 string         `json:"email"`
	Phone                 string         `json:"phone"`
	TelegramUserID        string         `json:"telegramUserId"`
	FarcasterUsername     string         `json:"farcasterUsername"`
	ExternalWalletAddress string         `json:"externalWalletAddress"`
	ExternalWallet        ExternalWallet `json:"externalWallet"`
}

// Wallet is a wallet of a Para token.
type Wallet struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Address   string `json:"address"`
	PublicKey string `json:"publicKey"`
}

// ExternalWallet is the wallet that a user logged in with.
type ExternalWallet struct {
	Address  string `json:"address"`
	Type     string `json:"type"`
	Provider string `json:"provider"`
}

func (d *Data) user() User {
	u := User{ID: d.UserID, AuthType: d.AuthType, Wallets: len(d.Wallets)}
	if u.Wallets > 0 {
		u.LastAddress = d.Wallets[u.Wallets-1].Address
	}
	return u
}
