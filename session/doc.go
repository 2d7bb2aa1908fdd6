// Package session asks Para about logins that are not a JWT: verification tokens, wallets, and sessions
// that a user's client exported. It is the part of Para's server SDK that a Go service can have; signing
// is not in it (docs/signing.md says why, and what to use instead).
//
//	para, err := session.New(session.Config{
//		Environment:  jwks.Beta,
//		SecretAPIKey: os.Getenv("PARA_SECRET_API_KEY"), // for VerifyToken and VerifyWallet
//		APIKey:       os.Getenv("PARA_API_KEY"),        // for imported sessions
//	})
//
// # Who says so
//
// A verification token and a wallet's address are checked by Para, and the answer is Para's word:
//
//	identity, err := para.VerifyToken(ctx, token)     // who logged in, and how
//	walletID, err := para.VerifyWallet(ctx, address)  // one of your app's users has this wallet
//
// An exported session is what a client says. Its cookie is Para's, all else in it could have been
// written by anybody. [Session.IsActive] therefore also holds Para's answer against the user ID in the
// export, which Para's own SDK does not. For the rest, such as the email address and the wallets, ask for
// a token and validate it, which gives the same *claims.Claims as a request with a JWT:
//
//	s, err := para.Import(exported)
//	jwt, err := s.IssueJWT(ctx)
//	user, err := validator.Validate(ctx, jwt.Token)
//
// # What a failure means
//
// Errors are [*Error], whose [Code] errors.Is finds. [ErrSessionExpired] is Para's own answer: log in again.
// [ErrUnavailable] means that Para could not be asked, which says nothing about the login: keep it, and
// try later. An outage or a proxy's page is never reported as an expired session, and neither is a wrong API key,
// as far as Para tells the two apart (docs/para-api.md).
//
// # What is never printed
//
// API keys, cookies, tokens and key shares are in no error and no log line, and Config, Client, Session, JWT
// and Token print, log and marshal without them. Two things are beyond the reach of that, because package fmt
// asks no method there: a Config, a JWT or a Token in an unexported field of a struct of your own, and the verbs
// %p and %w. A Client or Session shows nothing even then.
package session
