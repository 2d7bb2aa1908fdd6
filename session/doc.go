// Package session asks Para about logins that are not a JWT: verification
// tokens, wallets, and sessions that a user's client exported. It is the part
// of Para's server SDK that works in Go. It does not sign; docs/signing.md
// explains why and names two ways that do.
//
//	para, err := session.New(session.Config{
//		Environment: jwks.Beta,
//		// for VerifyToken, VerifyWallet and TokenVerifier
//		SecretAPIKey: session.NewSecret(os.Getenv("PARA_SECRET_API_KEY")),
//		// for imported sessions
//		APIKey: os.Getenv("PARA_API_KEY"),
//	})
//
// # Whose word it is
//
// Para checks verification tokens and wallet addresses, and attests the answer:
//
//	identity, err := para.VerifyToken(ctx, token)     // who logged in, and how
//	walletID, err := para.VerifyWallet(ctx, address)  // a user of your app has this wallet
//
// An exported session is the client's word. Only its cookie comes from Para,
// and anybody can write the rest. [Session.IsActive] also compares the user ID
// in the export with Para's answer, which Para's own SDK does not. For the
// email address, the wallets and the rest, issue a token and validate it. The
// result is the same *claims.Claims as for a request with a JWT:
//
//	s, err := para.Import(exported)
//	jwt, err := s.IssueJWT(ctx)
//	user, err := validator.Validate(ctx, jwt.Token.Reveal())
//
// # What a failure means
//
// Errors are [*Error], and errors.Is finds their [Code]. [ErrSessionExpired] is
// Para's answer: the user must log in again. [ErrUnavailable] says nothing
// about the login: keep it and try again later. An outage, a proxy's page and a
// refused API key are never reported as an expired session, as far as Para's
// answers tell them apart (docs/para-api.md).
//
// # Secrets
//
// No error and no log line contains an API key, a cookie, a token or a key
// share. Secrets are of type [Secret], which prints, logs and marshals as
// "[hidden]", also in unexported fields of other structs.
package session
