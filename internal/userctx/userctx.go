// Package userctx holds the context key of the verified user. Packages claims
// and middleware share it, and no other module can import it: no other package
// can store a value that claims.FromContext takes for a verified user.
package userctx

// Key is the key. Its value is a *claims.Claims.
type Key struct{}
