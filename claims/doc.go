// Package claims has the typed content of a verified Para token: the user and
// the user's wallets. [FromContext] returns the user of a request.
//
// A handler behind any adapter gets the user and checks the ownership of a
// wallet in two lines:
//
//	user, ok := claims.FromContext(r.Context())
//	if !ok || !user.OwnsAddress(order.Payer) { … }
//
// The fields are those of the token payloads in Para's documentation ("Session
// Management", "Using JWT Authentication"). Para adds authentication types,
// OAuth methods and wallet types over time. [AuthType], [OAuthMethod] and
// [WalletType] are therefore strings, and an unknown value is not an error.
// [Claims.Decode] parses members of the payload that have no field.
package claims
