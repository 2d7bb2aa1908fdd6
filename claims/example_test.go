package claims_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/parajwt/parajwt/claims"
)

// payload is the payload of a verified token, as a Validator passes it.
const payload = `{
	"sub": "d5358219-38d3-4650-91a8-e338131d1c5e",
	"aud": "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f",
	"iat": 1745877709,
	"exp": 1745879509,
	"data": {
		"userId": "d5358219-38d3-4650-91a8-e338131d1c5e",
		"authType": "email",
		"oAuthMethod": "google",
		"identifier": "email@example.com",
		"email": "email@example.com",
		"wallets": [
			{"id": "de4034f1", "type": "EVM",
				"address": "0x9dd3824f045c77bc369485e8f1dd6b452b6be617", "publicKey": "0x0465"},
			{"id": "d70f64e4", "type": "SOLANA",
				"address": "EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W", "publicKey": ""}
		],
		"connectedWallets": [
			{"type": "EVM", "address": "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D"}
		],
		"plan": "pro"
	}
}`

// A handler behind any adapter gets the user from the context of its request.
func ExampleFromContext() {
	me := func(w http.ResponseWriter, r *http.Request) {
		user, ok := claims.FromContext(r.Context())
		if !ok { // only behind Optional, for a request without a token
			fmt.Fprintln(w, "hello, stranger")
			return
		}
		fmt.Fprintln(w, user.UserID, user.AuthType, user.OAuthMethod, len(user.Wallets))
	}

	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	for _, signedIn := range []bool{true, false} {
		r := httptest.NewRequest("GET", "/me", nil)
		if signedIn {
			r = r.WithContext(claims.NewContext(r.Context(), user)) // as an adapter does
		}
		w := httptest.NewRecorder()
		me(w, r)
		fmt.Print(w.Body)
	}
	// Output:
	// d5358219-38d3-4650-91a8-e338131d1c5e email google 2
	// hello, stranger
}

// A test of a handler stores a user in the context, and needs no token.
func ExampleNewContext() {
	admin := func(w http.ResponseWriter, r *http.Request) {
		user, ok := claims.FromContext(r.Context())
		if !ok || user.Email != "boss@example.com" {
			http.Error(w, "not you", http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, "welcome")
	}

	r := httptest.NewRequest("GET", "/admin", nil)
	r = r.WithContext(claims.NewContext(r.Context(),
		&claims.Claims{UserID: "1", Email: "boss@example.com"}))
	w := httptest.NewRecorder()
	admin(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 welcome
}

func ExampleClaims_OwnsAddress() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	// EVM addresses are compared without regard to case, Solana addresses
	// exactly.
	fmt.Println(user.OwnsAddress("0x9Dd3824F045C77bc369485E8f1dD6B452B6be617"))
	fmt.Println(user.OwnsAddress("EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W"))
	fmt.Println(user.OwnsAddress("eep7dbbu5yvgf7pr9w17catpjcquxy8k8r3dfbg53a3w"))
	// ConnectedWallets do not count, because Para does not attest them.
	fmt.Println(user.OwnsAddress("0xaD6b78193b78e23F9aBBB675734f4a2B3559598D"))
	// Output:
	// true
	// true
	// false
	// false
}

func ExampleClaims_HasWalletOf() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.HasWalletOf(claims.WalletEVM, claims.WalletCosmos))
	fmt.Println(user.HasWalletOf(claims.WalletCosmos))
	// Output:
	// true
	// false
}

// A program that keeps a user after the request keeps a copy.
func ExampleClaims_CopyTo() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	kept := new(claims.Claims)
	user.CopyTo(kept)

	user.Wallets[0].Address = "changed"
	fmt.Println(kept.Wallets[0].Address)
	// Output: 0x9dd3824f045c77bc369485e8f1dd6b452b6be617
}

// Verified ignores changes of the user.
func ExampleClaims_Verified() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{KeyID: "key-1"})
	if err != nil {
		log.Fatal(err)
	}
	user.Email = "changed@example.com"
	signed, token, err := user.Verified()
	fmt.Println(signed.Email, token.KeyID, err)

	_, _, err = new(claims.Claims).Verified()
	fmt.Println(errors.Is(err, claims.ErrNoPayload))
	// Output:
	// email@example.com key-1 <nil>
	// true
}

// The error names the refused claim.
func ExampleFromVerifiedPayload() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.AuthType, user.ExpiresAt)

	_, err = claims.FromVerifiedPayload(`{"sub": "1", "aud": [], "data": {"userId": "1"}}`,
		claims.Token{})
	var e *claims.Error
	if errors.As(err, &e) {
		fmt.Println(e.Claim, e.Reason)
	}
	// Output:
	// email 2025-04-28 22:31:49 +0000 UTC
	// aud missing or empty
}

func ExampleClaims_WalletByAddress() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	if wallet, ok := user.WalletByAddress("0x9DD3824F045C77BC369485E8F1DD6B452B6BE617"); ok {
		fmt.Println(wallet.ID, wallet.Type, wallet.Address)
	}
	// Output: de4034f1 EVM 0x9dd3824f045c77bc369485e8f1dd6b452b6be617
}

func ExampleClaims_WalletsOf() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	for _, wallet := range user.WalletsOf(claims.WalletSolana) {
		fmt.Println(wallet.Address)
	}
	fmt.Println(len(user.WalletsOf(claims.WalletCosmos)))
	// Output:
	// EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W
	// 0
}

// Decode parses members that have no field in Claims.
func ExampleClaims_Decode() {
	user, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		log.Fatal(err)
	}
	var more struct {
		Data struct {
			Plan string `json:"plan"`
		} `json:"data"`
	}
	if err := user.Decode(&more); err != nil {
		log.Fatal(err)
	}
	fmt.Println(more.Data.Plan)
	// Output: pro
}
