// Package revocation ends logins before their tokens expire: "log this user out
// everywhere, now".
//
// Para's tokens are valid for up to 30 days, and a server that verifies them
// offline does not see a log-out. A [List] holds the users and tokens to
// refuse. Its method Revoked is for middleware.Config.Revoked:
//
//	list, err := revocation.New(revocation.Config{Store: redisstore.New(do, "parajwt")})
//	...
//	validator, err := middleware.New(middleware.Config{Revoked: list.Revoked, ...})
//	...
//	err = list.RevokeUser(ctx, user.UserID)
//
// Without a Store the list is in memory, for one process. With a Store, in
// Redis (package redisstore) or PostgreSQL (package pgstore), every server
// appends its revocations to one log and folds the log into a local list. A
// request looks at the local list only, so it does not wait for the network.
//
// # Outages
//
// While the store answers, a revocation is in force everywhere within Poll plus
// Timeout, and usually within milliseconds. While it does not, each server goes
// on with the list that it has for MaxStaleness, and then refuses every token
// with [ErrStale]. Revocations of that time are in force on the server that
// made them, and are written when the store is back. A server that starts while
// the store is unreachable refuses every token with [ErrNotReady], unless
// Config.Initial has a snapshot. Alert on Status.Stale.
//
// If the store loses entries, every server writes back what it has.
//
// # What the store reveals
//
// The store contains hashes of user IDs and token IDs, and times. Whoever can
// write to it can log users out and block them. It has nothing that lets
// anybody in without a valid token, but it can lift blocks. Deleted entries are
// restored by the servers. Whoever can read it sees how many users were logged
// out and when, and can test whether a known user ID is among them.
package revocation
