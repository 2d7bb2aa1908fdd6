// Package claims says who a Para user is: the typed content of a verified Para token, and the
// accessors that carry it through a request's context.
//
// A handler behind any of the adapters asks for the user in one line:
//
//	user, ok := claims.FromContext(r.Context())
//
// and then for what it really wants to know:
//
//	if !user.OwnsAddress(order.Payer) { … }
//
// The fields are those of the token payloads in Para's documentation ("Session Management", Using
// JWT Authentication). Para's lists of authentication types, OAuth methods and wallet types grow;
// [AuthType], [OAuthMethod] and [WalletType] are open strings, and a value that is unknown here is
// data, never an error. What a token says beyond the typed fields is one [Claims.Decode] away.
package claims
