// Package parajwt is the overview of a library that verifies Para users in Go.
// It has no code. Start with the example below and package parahttp.
//
// Para (https://getpara.com) is a login service with embedded crypto wallets. A
// client gets a JWT from Para and sends it to your server. This library
// verifies the token offline in microseconds. It puts a typed user with the ID,
// the login and the wallets into the context of the request.
//
//   - [github.com/parajwt/parajwt/middleware] has the Validator and its Config.
//   - [github.com/parajwt/parajwt/adapters/parahttp] guards net/http handlers
//     and every router made of http.Handler. Echo, Gin and gRPC have adapters
//     in other modules of the repository.
//   - [github.com/parajwt/parajwt/adapters/forwardauth] verifies requests for a
//     reverse proxy, such as nginx or Caddy.
//   - [github.com/parajwt/parajwt/claims] has the user that a handler gets.
//   - [github.com/parajwt/parajwt/jwks] caches Para's signing keys.
//   - [github.com/parajwt/parajwt/revocation] logs users out before their token
//     expires, on one server or on many.
//   - [github.com/parajwt/parajwt/session] calls Para's REST API. It checks
//     verification tokens, wallet addresses and exported sessions.
//   - [github.com/parajwt/parajwt/paratest] is an emulator of Para for tests.
package parajwt
