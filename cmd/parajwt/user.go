package main

import "github.com/parajwt/parajwt/claims"

// user is the part of the claims that says who it is, with the names that claims.Claims has in JSON.
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
		UserID: c.UserID, AuthType: c.AuthType, OAuthMethod: c.OAuthMethod, Identifier: c.Identifier, Email: c.Email,
		Phone: c.Phone, TelegramUserID: c.TelegramUserID, FarcasterUsername: c.FarcasterUsername,
		ExternalWalletAddress: c.ExternalWalletAddress,
	}
	if c.ExternalWallet != (claims.ExternalWallet{}) {
		u.ExternalWallet = &c.ExternalWallet
	}
	return u
}
