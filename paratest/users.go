package paratest

import "github.com/parajwt/parajwt/claims"

// The user and the wallet addresses in the examples of Para's documentation.
const (
	UserID        = "d5358219-38d3-4650-91a8-e338131d1c5e"
	EVMAddress    = "0x9dd3824f045c77bc369485e8f1dd6b452b6be617"
	SolanaAddress = "EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W"
)

func user(how claims.AuthType, identifier string) *claims.Claims {
	return &claims.Claims{
		UserID: UserID, Subject: UserID, AuthType: how, Identifier: identifier,
		Wallets: []claims.Wallet{
			{
				ID: "de4034f1-6b0f-4a98-87a5-e459db4d3a03", Type: claims.WalletEVM,
				Address: EVMAddress,
				PublicKey: "0x0465434f76c8321f386856c44e735fd365a09d42c1da03489184b651c2052ea1c7" +
					"b19c54722ed828458c1d271cc590b0818d8c7df423f71e92683f9e819095a8c6",
			},
			{
				ID:      "d70f64e4-266a-457e-9cea-eeb42341a975",
				Type:    claims.WalletSolana,
				Address: SolanaAddress,
			},
		},
	}
}

// EmailUser returns a user who logged in with Google. Like the similar
// functions, it returns a new value, which the caller may change.
func EmailUser() *claims.Claims {
	u := user(claims.AuthEmail, "email@example.com")
	u.Email, u.OAuthMethod = u.Identifier, claims.OAuthGoogle
	return u
}

// PhoneUser returns a user who logged in with a phone number.
func PhoneUser() *claims.Claims {
	u := user(claims.AuthPhone, "+13105551234")
	u.Phone = u.Identifier
	return u
}

// TelegramUser returns a user who logged in with Telegram.
func TelegramUser() *claims.Claims {
	u := user(claims.AuthTelegram, "1234567890")
	u.TelegramUserID = u.Identifier
	return u
}

// FarcasterUser returns a user who logged in with Farcaster.
func FarcasterUser() *claims.Claims {
	u := user(claims.AuthFarcaster, "FarcasterUsername")
	u.FarcasterUsername = u.Identifier
	return u
}

// ExternalWalletUser returns a user who logged in with MetaMask. The external
// wallet is also one of the connected wallets.
func ExternalWalletUser() *claims.Claims {
	u := user(claims.AuthExternalWallet, "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D")
	u.ExternalWalletAddress = u.Identifier
	u.ExternalWallet = claims.ExternalWallet{
		Address: u.Identifier, Type: claims.WalletEVM, Provider: "MetaMask",
	}
	u.ConnectedWallets = []claims.ConnectedWallet{
		{Type: claims.WalletEVM, Address: u.Identifier, Provider: "MetaMask"},
	}
	return u
}

// Users returns one user of each kind in Para's documentation. The keys of the
// map are the names that the documentation uses.
func Users() map[string]*claims.Claims {
	return map[string]*claims.Claims{
		"Email": EmailUser(), "Phone": PhoneUser(), "Telegram": TelegramUser(),
		"Farcaster": FarcasterUser(), "External Wallet": ExternalWalletUser(),
	}
}
