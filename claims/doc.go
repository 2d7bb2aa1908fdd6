// Package claims has the typed content of a verified Para token: who a user is,
// and which wallets are theirs. It also gets the user from a request's context.
//
// A handler behind any adapter gets the user in one line:
//
//	user, ok := claims.FromContext(r.Context())
//
// and can then ask, for example:
//
//	if !user.OwnsAddress(order.Payer) { … }
//
// The fields are those of the token payloads in Para's documentation ("Session
// Management", "Using JWT Authentication"). Para adds authentication types,
// OAuth methods and wallet types over time. [AuthType], [OAuthMethod] and
// [WalletType] are therefore open strings: an unknown value is data, not an
// error. [Claims.Decode] reads members of the payload that have no field.
package claims
