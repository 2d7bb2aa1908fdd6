// Package jose is the little of JOSE that verifying a Para token takes: cutting a compact JWS, its
// header, keys, signatures.
//
// It is the only package that imports github.com/lestrrat-go/jwx/v2, and it uses two things of it: jwk.ParseKey,
// for one key at a time, and the verifier of one algorithm, on the original bytes with the raw public
// key. Everything above them in jwx (jwt.Parse, jws.Verify, jwk.Cache, jwk.Fetch) is left alone: those
// calls accept a signed token whose header says alg none, ignore an unknown crit and do not ask for
// exp. No type of jwx leaves this package, so moving to v3 changes no other.
package jose
