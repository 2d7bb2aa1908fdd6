package paratest_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/paratest"
)

var b64 = base64.RawURLEncoding

// documented lists the differences between the payloads in Para's documentation
// ("Session Management", Using JWT Authentication).
var documented = map[string]string{
	"Email": `"email": "email@example.com",
		"authType": "email",
		"identifier": "email@example.com",
		"oAuthMethod": "google"`,
	"Phone": `"phone": "+13105551234",
		"authType": "phone",
		"identifier": "+13105551234"`,
	"Telegram": `"telegramUserId": "1234567890",
		"authType": "telegram",
		"identifier": "1234567890"`,
	"Farcaster": `"farcasterUsername": "FarcasterUsername",
		"authType": "farcaster",
		"identifier": "FarcasterUsername"`,
	"External Wallet": `"externalWalletAddress": "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D",
		"authType": "externalWallet",
		"identifier": "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D",
		"externalWallet": {
			"address": "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D",
			"type": "EVM",
			"provider": "MetaMask"
		}`,
}

const documentedFrame = `{
	"data": {
		"userId": "d5358219-38d3-4650-91a8-e338131d1c5e",
		"wallets": [
			{
				"id": "de4034f1-6b0f-4a98-87a5-e459db4d3a03",
				"type": "EVM",
				"address": "0x9dd3824f045c77bc369485e8f1dd6b452b6be617",
				"publicKey": "0x0465434f76c8321f386856c44e735fd365a09d42c1da03489184b651c2052ea1c7b19c54722ed828458c1d271cc590b0818d8c7df423f71e92683f9e819095a8c6"
			},
			{
				"id": "d70f64e4-266a-457e-9cea-eeb42341a975",
				"type": "SOLANA",
				"address": "EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W",
				"publicKey": ""
			}
		],
		DATA
	},
	"iat": 1745877709,
	"exp": 1745879509,
	"aud": "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f",
	"sub": "d5358219-38d3-4650-91a8-e338131d1c5e"
}`

// The tokens equal those of Para's documentation, member for member.
func TestDocumentedTokens(t *testing.T) {
	para := paratest.New(
		t,
		paratest.Config{Now: func() time.Time { return time.Unix(1745877709, 0) }},
	)
	users := paratest.Users()
	if len(users) != len(documented) {
		t.Errorf("%d users, %d documented", len(users), len(documented))
	}
	for name, data := range documented {
		if users[name] == nil {
			t.Errorf("%s: no such user", name)
			continue
		}
		var want, got map[string]any
		document := strings.Replace(documentedFrame, "DATA", data, 1)
		if err := json.Unmarshal([]byte(document), &want); err != nil {
			t.Fatal(err)
		}
		if name == "External Wallet" { // later pages of the documentation add connected wallets
			want["data"].(map[string]any)["connectedWallets"] = []any{map[string]any{
				"type": "EVM", "address": "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D",
				"provider": "MetaMask",
			}}
		}
		parts := strings.Split(para.Token(users[name]), ".")
		payload, err := b64.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}

		var header map[string]string
		raw, _ := b64.DecodeString(parts[0])
		if err := json.Unmarshal(raw, &header); err != nil {
			t.Fatal(err)
		}
		wantHeader := map[string]string{"alg": "RS256", "typ": "JWT", "kid": para.KeyIDs()[1]}
		if !reflect.DeepEqual(header, wantHeader) {
			t.Errorf("%s: header %v, want %v", name, header, wantHeader)
		}
	}
}
