// Package revocation ends logins before their tokens expire: "log this user out
// everywhere, now".
//
// Para's tokens are valid for up to 30 days, and a server that verifies them
// offline does not see a log-out. A [List] holds the users and tokens to
// refuse. Its method Revoked fits middleware.Config.Revoked:
//
//	list, err := revocation.New(revocation.Config{
//		Store: redisstore.New(do, "myapp:revocations"),
//	})
//	...
//	validator, err := middleware.New(middleware.Config{
//		Revoked: list.Revoked,
//		...
//	})
//	...
//	err = list.RevokeUser(ctx, user.UserID)
//
// Without a Store, the list is in memory and serves one process. With a Store,
// in Redis (package redisstore) or PostgreSQL (package pgstore), every server
// appends its revocations to one log. Every server merges the log into its own
// list in memory. A request reads that list only, so it does not wait for the
// network.
//
// # Outages
//
// While the store answers, a revocation is in force on every server within Poll
// plus Timeout, and usually within milliseconds.
//
// While the store cannot be reached, each server uses its list until
// MaxStaleness. Then it refuses every token with [ErrStale]. A revocation made
// during an outage is in force on the server that made it, and is written when
// the store answers again. A server that starts during an outage refuses every
// token with [ErrNotReady], unless Config.Initial has a snapshot. Alert on
// Status.Stale.
//
// Every server writes back the entries of its list that the store has lost.
//
// # What the store reveals
//
// The store contains hashes of user IDs and token IDs, and times. Anyone who
// can write to the store can log users out, block them and lift blocks. Write
// access does not let anyone in without a valid token. The servers restore
// deleted entries. Anyone who can read the store can count the revocations and
// see their times. A reader can also test whether a known user ID was revoked.
package revocation
