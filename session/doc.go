// Package session verifies logins without a JWT, by calls to Para's REST API.
// It checks verification tokens, wallet addresses, and sessions that a user's
// client exported. It does not sign transactions; docs/signing.md explains why,
// and describes two ways to sign.
//
//	para, err := session.New(session.Config{
//		Environment: jwks.Beta,
//		// for VerifyToken, VerifyWallet and TokenVerifier
//		SecretAPIKey: session.NewSecret(os.Getenv("PARA_SECRET_API_KEY")),
//		// for imported sessions
//		APIKey: os.Getenv("PARA_API_KEY"),
//	})
//
// # What Para attests
//
// Para attests verification tokens and wallet addresses:
//
//	// who logged in, and how
//	identity, err := para.VerifyToken(ctx, token)
//	// the ID of a wallet that a user of your app has
//	walletID, err := para.VerifyWallet(ctx, address)
//
// An exported session is unverified input from the client. Only its cookie
// comes from Para, and the client can change the rest. [Session.IsActive] also
// compares the user ID in the export with Para's response, which Para's SDK
// does not. To verify the email address and the wallets, issue a token and
// validate it. The result is the same *claims.Claims as for a request with a
// JWT:
//
//	s, err := para.Import(exported)
//	jwt, err := s.IssueJWT(ctx)
//	user, err := validator.Validate(ctx, jwt.Token.Reveal())
//
// # Errors
//
// Errors are of type [*Error], except those of a configuration. errors.Is
// matches their [Code]. [ErrSessionExpired] means that the user must log in
// again. [ErrUnavailable] means that the login could not be verified: keep it
// and try again later. An outage, a proxy's page or a refused API key is not
// reported as an expired session if Para's response distinguishes them
// (docs/para-api.md).
//
// # Secrets
//
// No error and no log line contains an API key, a cookie, a token or a key
// share. Secrets are of type [Secret], which prints, logs and marshals as
// "[hidden]". In an unexported field of another struct, package fmt prints an
// address instead.
package session
