package revocation_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
)

// withSum returns a snapshot's text with its checksum.
func withSum(body string) []byte {
	sum := sha256.Sum256([]byte(body))
	return []byte(body + hex.EncodeToString(sum[:]) + "\n")
}

func Example() {
	list, err := revocation.New(revocation.Config{}) // one server; Store is for more
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	cfg := middleware.Config{Revoked: list.Revoked} // and Environment, APIKeyIDs, …

	ctx := context.Background()
	user := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(-time.Minute)}
	if err := list.RevokeUser(ctx, user.UserID); err != nil {
		log.Print(err)
	}
	fmt.Println(cfg.Revoked(ctx, user, time.Now()))
	// Output: true <nil>
}

// Several servers share a log. Every server has a list over the same store.
func ExampleNew() {
	store := newStore() // redisstore.New(do, "myapp:revocations"), or one of pgstore.New
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
	for {
		if out, _ := servers[1].Revoked(context.Background(), user, time.Now()); out {
			break
		}
		time.Sleep(time.Millisecond)
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
	fmt.Println(logOut(context.Background()))
	// Output: revocation: the claims are nil
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
