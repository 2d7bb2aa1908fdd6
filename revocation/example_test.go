package revocation_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

// withSum returns a snapshot's text with its checksum.
func withSum(body string) []byte {
	sum := sha256.Sum256([]byte(body))
	return []byte(body + hex.EncodeToString(sum[:]) + "\n")
}

func Example() {
	list, err := revocation.New(revocation.Config{}) // several servers need a Store
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	cfg := middleware.Config{Revoked: list.Revoked} // also set Environment and APIKeyIDs

	ctx := context.Background()
	user := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(-time.Minute)}
	if err := list.RevokeUser(ctx, user.UserID); err != nil {
		log.Print(err)
	}
	fmt.Println(cfg.Revoked(ctx, user, time.Now()))
	// Output: true <nil>
}

// Several servers share a log. Every server has a List with the same Store.
func ExampleNew() {
	store := newStore() // a program calls redisstore.New or pgstore.New
	var servers [2]*revocation.List
	for i := range servers {
		list, err := revocation.New(revocation.Config{Store: store})
		if err != nil {
			log.Fatal(err)
		}
		defer list.Close()
		if err := list.Warm(context.Background()); err != nil {
			log.Fatal(err)
		}
		servers[i] = list
	}

	if err := servers[0].RevokeUser(context.Background(), "d5358219"); err != nil {
		log.Print(err)
	}
	user := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(-time.Minute)}
	revoked := false
	for !revoked {
		time.Sleep(time.Millisecond)
		revoked, _ = servers[1].Revoked(context.Background(), user, time.Now())
	}
	fmt.Println("both servers refuse the user")
	// Output: both servers refuse the user
}

func ExampleList_RevokeToken() {
	list, err := revocation.New(revocation.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	logOut := func(ctx context.Context) error {
		user, _ := claims.FromContext(ctx)
		return list.RevokeToken(ctx, user)
	}
	// Behind a guard, the context carries the user.
	user := &claims.Claims{TokenID: "Vk5yUGhF", ExpiresAt: time.Now().Add(time.Hour)}
	ctx := claims.NewContext(context.Background(), user)
	fmt.Println(logOut(ctx))
	fmt.Println(list.Revoked(ctx, user, time.Now()))

	// Without a user, there is nothing to revoke.
	fmt.Println(logOut(context.Background()))
	// Output:
	// <nil>
	// true <nil>
	// revocation: the claims are nil
}

// RevokeIssuedBefore logs everyone out, for example after an incident.
func ExampleList_RevokeIssuedBefore() {
	list, err := revocation.New(revocation.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	ctx, now := context.Background(), time.Now()
	if err := list.RevokeIssuedBefore(ctx, now); err != nil {
		log.Print(err)
	}
	before := &claims.Claims{UserID: "d5358219", IssuedAt: now.Add(-time.Minute)}
	after := &claims.Claims{UserID: "d5358219", IssuedAt: now.Add(time.Minute)}
	fmt.Println(list.Revoked(ctx, before, now))
	fmt.Println(list.Revoked(ctx, after, now))
	// Output:
	// true <nil>
	// false <nil>
}

// A change that returns ErrNotYetShared is in force on this server. The list
// retries in the background, so the caller does not.
func ExampleList_RevokeUser() {
	down := redisstore.New(func(context.Context, ...any) (any, error) {
		return nil, errors.New("connection refused")
	}, "myapp:revocations")
	list, err := revocation.New(revocation.Config{
		Store:   down,
		Timeout: 100 * time.Millisecond,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()

	ctx := context.Background()
	err = list.RevokeUser(ctx, "d5358219")
	fmt.Println(errors.Is(err, revocation.ErrNotYetShared))
	user := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(-time.Minute)}
	fmt.Println(list.Revoked(ctx, user, time.Now()))
	// Output:
	// true
	// true <nil>
}

func ExampleList_BlockUser() {
	list, err := revocation.New(revocation.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	ctx := context.Background()
	if err := list.BlockUser(ctx, "d5358219"); err != nil {
		log.Print(err)
	}
	tomorrow := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(24 * time.Hour)}
	fmt.Println(list.Revoked(ctx, tomorrow, time.Now()))
	if err := list.UnblockUser(ctx, "d5358219"); err != nil {
		log.Print(err)
	}
	fmt.Println(list.Revoked(ctx, tomorrow, time.Now()))
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleList_Snapshot() {
	list, err := revocation.New(revocation.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := list.BlockUser(context.Background(), "d5358219"); err != nil {
		log.Print(err)
	}
	snapshot, err := list.Snapshot() // keep it in a file
	if err != nil {
		log.Fatal(err)
	}
	restarted, err := revocation.New(revocation.Config{Initial: snapshot})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(restarted)
	// Output: revocation list of 1 entries
}
