// Package jose implements the part of JOSE that verifying a Para token needs:
// compact tokens and their headers (RFC 7515), key sets (RFC 7517), and
// signatures with public keys (RFC 7518 §3.3 to §3.5, RFC 8037).
//
// It is the only package that imports github.com/lestrrat-go/jwx/v2. jwx turns
// a JWK into a Go public key, after this package has checked the JWK and
// reduced it to the members of the key itself. The standard library verifies
// the signatures. jwx's verifiers are not used: their registry is global, so
// any package of the process could replace them, and they accept any PSS salt
// length.
package jose
