// Package middleware is the router-independent core of parajwt. It verifies
// Para tokens, finds them in requests, applies rules and decides the response
// to a refused request.
//
// A program makes one [Validator] for one Para environment and a list of API
// key IDs:
//
//	validator, err := middleware.New(middleware.Config{
//		Environment: jwks.Beta,
//		APIKeyIDs:   []string{os.Getenv("PARA_API_KEY_ID")},
//	})
//
// The zero value of every other field of [Config] is the secure default. No
// field disables a check. An adapter, such as package parahttp, guards handlers
// with the validator; see its Require, Optional and Allow.
//
// The validator turns a token into a *claims.Claims in the context of the
// request. If it refuses the token, the result is an [*Error], whose [Code] is
// the reason.
//
// # Logging users out
//
// Tokens are verified offline, so a token stays valid until it expires, up to
// 30 days after it was issued. Config.Revoked refuses it earlier. Package
// revocation has a list of revoked users and tokens for it, for one server or
// many. Config.MaxTokenAge bounds the age of all tokens.
//
// # Writing an adapter
//
// Most programs use an existing adapter and can skip this section.
//
// An adapter connects a router to a [Guard]. [Guard.Check] returns the request
// to pass on, whose context has the user, or an [*Error]. [Guard.Refuse] writes
// the response to a refused request. The example of Guard is an adapter for
// net/http.
//
// Some frameworks write error responses themselves. Their adapters first call
// [Guard.Override]. If it reports that there is no OnRefusal, they take status,
// header and body from [Guard.Answer]. Give such a framework [Error.Public] and
// not the [*Error], because it may print the error to the client.
//
// For Allow, use a guard made by [Authorize] in the same way. A transport
// without HTTP requests calls [Guard.CheckToken].
package middleware
