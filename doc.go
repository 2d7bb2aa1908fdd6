// Package parajwt is the overview of a library that verifies Para users in Go.
// It has no code; start with one of the adapters.
//
// Para (https://getpara.com) gives people embedded crypto wallets behind a
// normal login. A client gets a JWT from Para and sends it to your server. This
// library verifies the token offline and in microseconds, and puts a typed user
// into the context of the request: who is calling, and which wallets are
// theirs.
//
//   - [github.com/parajwt/parajwt/middleware] has the Validator and its Config.
//   - [github.com/parajwt/parajwt/adapters/parahttp] guards net/http handlers
//     and every router made of them. Echo, Gin and gRPC have adapters in modules
//     of the same repository.
//   - [github.com/parajwt/parajwt/claims] has the user that a handler gets.
//   - [github.com/parajwt/parajwt/jwks] caches Para's signing keys.
//   - [github.com/parajwt/parajwt/revocation] logs users out before their token
//     expires, on one server or on many.
//   - [github.com/parajwt/parajwt/session] calls Para's REST API: verification
//     tokens, wallet ownership, imported sessions.
//   - [github.com/parajwt/parajwt/paratest] is an emulator of Para for tests.
package parajwt
