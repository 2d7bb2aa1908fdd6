// Package middleware is the core of parajwt: it verifies Para tokens, finds them in requests, decides who
// is allowed, and says what a refusal looks like. It knows no router; packages parahttp, paraecho and paragin
// under adapters/ carry requests to it.
//
// A [Validator] is made once, for one Para environment and a list of API key IDs:
//
//	validator, err := middleware.New(middleware.Config{
//		Environment: jwks.Beta,
//		APIKeyIDs:   []string{os.Getenv("PARA_API_KEY_ID")},
//	})
//
// The zero value of everything else in [Config] is the safe one, and no setting switches a check off.
// Data goes one way: a request's token through [Validator.Validate] to a *claims.Claims in its context,
// or to an [*Error], whose [Code] says why.
package middleware
