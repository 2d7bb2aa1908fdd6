// Package userctx holds the context key of the verified user and its value.
// Packages claims and middleware share them. Other modules cannot import them,
// and store a user only with claims.NewContext.
package userctx

// Key is the context key. Its value is a *User[claims.Claims, claims.Wallet].
type Key struct{}

// User is a user and the request's own memory for the usual slices of a user:
// one audience and up to two wallets. C is claims.Claims and W is
// claims.Wallet, which this package cannot import.
type User[C, W any] struct {
	Claims   *C // read-only
	InPlace  bool
	Audience [1]string
	Wallets  [2]W
}
