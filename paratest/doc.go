// Package paratest is a Para on loopback, for tests and demonstrations: it serves a key set over
// real HTTP, issues real signed tokens for every kind of user in Para's documentation, and for every way in
// which a token can be wrong that an app would want to test; it rotates and withdraws keys, and can be
// slow, fail or be down.
//
//	para := paratest.New(t, paratest.Config{})
//	validator, err := middleware.New(middleware.Config{
//		Environment: para.Environment(),
//		APIKeyIDs:   []string{para.APIKeyID()},
//	})
//	…
//	good := para.Token(paratest.EmailUser())
//	late := para.Token(paratest.EmailUser(), paratest.Expired())
//
// It keeps sessions as well, and answers the endpoints that a server uses with them, as Para's own Node
// client expects: a login gives an exported session and a verification token, and can be ended.
//
//	login := para.Login(paratest.EmailUser())
//	login.Exported()          // for session.Client.Import, or importSession in Node
//	login.VerificationToken() // for session.Client.VerifyToken
//	login.Expire()
//
// A handler's own test needs none of that: [WithUser] puts a user straight into a request.
//
// It signs for anybody who asks and listens on loopback only. It is no part of a production program.
package paratest
