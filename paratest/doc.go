// Package paratest emulates Para on loopback, for tests and development.
//
// It serves a key set over HTTP and issues signed tokens for every kind of user
// in Para's documentation. A [TokenOption] makes a token expired, forged or
// otherwise invalid. Keys can be rotated and withdrawn. The server can be slow,
// failing or down.
//
//	para := paratest.New(t, paratest.Config{})
//	validator := para.Validator(t)
//
//	good := para.Token(paratest.EmailUser())
//	late := para.Token(paratest.EmailUser(), paratest.Expired())
//	para.Advance(time.Hour) // moves the clock of para and validator
//
// It also keeps sessions and implements the endpoints that Para's Node client
// and package session call.
//
//	login := para.Login(paratest.EmailUser())
//	login.Exported()          // for session.Client.Import
//	login.VerificationToken() // for session.Client.VerifyToken
//	login.Expire()
//
// A test of a handler without its guard needs no Para: [WithUser] adds a user
// to a request.
//
// Para signs tokens for any user that the program names. Do not use it in
// production.
package paratest
