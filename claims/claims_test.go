package claims_test

import (
	"embed"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// testdata has the payloads of Para's documentation ("Session Management") and
// connected_wallets.json. The latter is the first payload with a member that
// later pages document. Those pages show no wallet of another provider, so that
// wallet is invented.
//
//go:embed testdata/*.json
var testdata embed.FS

func documented(t testing.TB, name string) string {
	t.Helper()
	text, err := testdata.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func read(t testing.TB, payload string) *claims.Claims {
	t.Helper()
	c, err := claims.FromVerifiedPayload(payload, claims.Token{})
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return c
}

const (
	evmAddress      = "0x9dd3824f045c77bc369485e8f1dd6b452b6be617"
	evmMixedCase    = "0x9Dd3824F045C77bc369485E8f1dD6B452B6be617"
	solanaAddress   = "EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W"
	externalAddress = "0xaD6b78193b78e23F9aBBB675734f4a2B3559598D"
	evmPublicKey    = "0x0465434f76c8321f386856c44e735fd365a09d42c1da03489184b651c2052ea1c7" +
		"b19c54722ed828458c1d271cc590b0818d8c7df423f71e92683f9e819095a8c6"
)

func TestDocumentedPayloads(t *testing.T) {
	for name, differs := range map[string]func(*claims.Claims){
		"email_google": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.Email = claims.AuthEmail, "email@example.com",
				"email@example.com"
			c.OAuthMethod = claims.OAuthGoogle
		},
		"phone": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.Phone = claims.AuthPhone, "+13105551234", "+13105551234"
		},
		"telegram": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.TelegramUserID = claims.AuthTelegram, "1234567890",
				"1234567890"
		},
		"farcaster": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.FarcasterUsername = claims.AuthFarcaster,
				"FarcasterUsername", "FarcasterUsername"
		},
		"external_wallet": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.ExternalWalletAddress = claims.AuthExternalWallet,
				externalAddress, externalAddress
			c.ExternalWallet = claims.ExternalWallet{Address: externalAddress,
				Type: claims.WalletEVM, Provider: "MetaMask"}
		},
		"connected_wallets": func(c *claims.Claims) {
			c.AuthType, c.Identifier, c.Email = claims.AuthEmail, "email@example.com",
				"email@example.com"
			c.OAuthMethod = claims.OAuthGoogle
			c.ConnectedWallets = []claims.ConnectedWallet{
				{ID: "de4034f1-6b0f-4a98-87a5-e459db4d3a03", Type: claims.WalletEVM,
					Address: evmAddress, PublicKey: evmPublicKey},
				{Type: claims.WalletEVM, Address: externalAddress, Provider: "MetaMask"},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := claims.Claims{
				UserID:    "d5358219-38d3-4650-91a8-e338131d1c5e",
				Subject:   "d5358219-38d3-4650-91a8-e338131d1c5e",
				Audience:  []string{"a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"},
				IssuedAt:  time.Date(2025, 4, 28, 22, 1, 49, 0, time.UTC),
				ExpiresAt: time.Date(2025, 4, 28, 22, 31, 49, 0, time.UTC),
				Wallets: []claims.Wallet{
					{ID: "de4034f1-6b0f-4a98-87a5-e459db4d3a03", Type: claims.WalletEVM,
						Address: evmAddress, PublicKey: evmPublicKey},
					{ID: "d70f64e4-266a-457e-9cea-eeb42341a975", Type: claims.WalletSolana,
						Address: solanaAddress},
				},
			}
			differs(&want)
			got := read(t, documented(t, name))
			for _, field := range reflect.VisibleFields(reflect.TypeFor[claims.Claims]()) {
				if !field.IsExported() {
					continue
				}
				got := reflect.ValueOf(*got).FieldByIndex(field.Index).Interface()
				want := reflect.ValueOf(want).FieldByIndex(field.Index).Interface()
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %#v, want %#v", field.Name, got, want)
				}
			}
		})
	}
}

func TestDocumentedPayloadAllocatesOnce(t *testing.T) {
	payload := strings.Join(strings.Fields(documented(t, "email_google")), "")
	got := testing.AllocsPerRun(100, func() {
		if _, err := claims.FromVerifiedPayload(payload, claims.Token{}); err != nil {
			t.Error(err)
		}
	})
	if got > 1 { // the usual audience and wallets need no allocation
		t.Errorf("%v allocations", got)
	}
}

func TestAppendToSlicesOverwritesNothing(t *testing.T) {
	// Many requests share one user. Two of them may append to the same slice.
	c := read(t, edit(t, `"userId":`, `"wallets":[{"address":"own"}],
		"connectedWallets":[{"address":"1"},{"address":"2"},{"address":"3"}],"userId":`))
	mine, theirs := append(c.Wallets, claims.Wallet{Address: "mine"}),
		append(c.Wallets, claims.Wallet{Address: "theirs"})
	if mine[1].Address != "mine" || theirs[1].Address != "theirs" {
		t.Error("two requests' appended wallets share memory")
	}
	for name, room := range map[string]int{
		"Wallets":          cap(c.Wallets) - len(c.Wallets),
		"ConnectedWallets": cap(c.ConnectedWallets) - len(c.ConnectedWallets),
		"Audience":         cap(c.Audience) - len(c.Audience),
		"long Audience":    cap(read(t, edit(t, `"canary-app"`, `["1","2","3"]`)).Audience) - 3,
		"no Wallets":       cap(read(t, edit(t, `"userId":`, `"wallets":[],"userId":`)).Wallets),
	} {
		if room != 0 {
			t.Errorf("%s has spare capacity for %d elements", name, room)
		}
	}
}

// owner returns a user with wallets of several types, connected wallets and an
// external wallet.
func owner(t testing.TB) *claims.Claims {
	return read(t, edit(t, `"userId":`, `"wallets":[
		{"id":"1","type":"EVM","address":"`+evmAddress+`"},
		{"id":"2","type":"SOLANA","address":"`+solanaAddress+`"},
		{"id":"3","type":"EVM","address":"0xABCDEF"},
		{"id":"4","type":"NEAR","address":"alice.near"},
		{"id":"5","type":"COSMOS","address":""},
		{"id":"6","type":"EVM"}],
		"connectedWallets":[{"id":"7","type":"EVM","address":"0xc0"},
			{"id":"8","type":"SUI","address":"0xc1"}],
		"externalWallet":{"type":"STELLAR","address":"0xe0","provider":"MetaMask"},
		"externalWalletAddress":"0xe0","identifier":"0xe0","userId":`))
}

func TestOwnsAddressAndWalletByAddress(t *testing.T) {
	c := owner(t)
	for _, test := range []struct{ name, address, id string }{
		{"an EVM address as it came", evmAddress, "1"},
		{"an EVM address in mixed case, as a checksum has it", evmMixedCase, "1"},
		{"an EVM address in upper case", strings.ToUpper(evmAddress), "1"},
		{"an EVM address that came in upper case", "0xabcdef", "3"},
		{"a Solana address as it came", solanaAddress, "2"},
		{"a Solana address in lower case", strings.ToLower(solanaAddress), ""},
		{"a Solana address with one letter in another case", "e" + solanaAddress[1:], ""},
		{"an address of an unknown chain as it came", "alice.near", "4"},
		{"an address of an unknown chain in another case", "Alice.near", ""},
		{"a connected EVM wallet", "0xc0", ""},
		{"a connected Sui wallet", "0xc1", ""},
		{"the external wallet", "0xe0", ""},
		{"no address, which two wallets have", "", ""},
		{"part of an address", evmAddress[:41], ""},
		{"an address with a space", evmAddress + " ", ""},
		{"an address without 0x", evmAddress[2:], ""},
		{"a stranger's address", externalAddress, ""},
	} {
		w, ok := c.WalletByAddress(test.address)
		if w.ID != test.id || ok != (test.id != "") {
			t.Errorf("WalletByAddress of %s: got %q, %v, want %q", test.name, w.ID, ok, test.id)
		}
		if !ok && w != (claims.Wallet{}) {
			t.Errorf("WalletByAddress of %s: got %v with false", test.name, w)
		}
		if got := c.OwnsAddress(test.address); got != (test.id != "") {
			t.Errorf("OwnsAddress of %s: got %v", test.name, got)
		}
	}
	if new(claims.Claims).OwnsAddress(evmAddress) {
		t.Error("a user without wallets owns an address")
	}
}

func TestWalletHasAddress(t *testing.T) {
	for _, test := range []struct {
		chain         claims.WalletType
		address, with string
		want          bool
	}{
		{claims.WalletEVM, "0xAb", "0xAb", true},
		{claims.WalletEVM, "0xAb", "0xaB", true},
		{claims.WalletEVM, "0xAb", "0xAc", false},
		{claims.WalletEVM, "", "", false},
		{claims.WalletSolana, "", "", false},
		{claims.WalletSolana, "Ab", "Ab", true},
		{claims.WalletSolana, "Ab", "aB", false},
		{claims.WalletCosmos, "Ab", "aB", false},
		{claims.WalletStellar, "Ab", "aB", false},
		{claims.WalletSui, "0xAb", "0xaB", false},
		{"evm", "0xAb", "0xaB", false},
		{"", "0xAb", "0xaB", false},
		{"NEW", "Ab", "Ab", true},
	} {
		w := claims.Wallet{Type: test.chain, Address: test.address}
		if got := w.HasAddress(test.with); got != test.want {
			t.Errorf("%s %q has %q: got %v, want %v", test.chain, test.address, test.with, got,
				test.want)
		}
	}
}

func TestWalletsOfAndHasWalletOf(t *testing.T) {
	c := owner(t)
	for chain, want := range map[claims.WalletType][]string{
		claims.WalletEVM:     {"1", "3"},
		claims.WalletSolana:  {"2"},
		claims.WalletCosmos:  nil, // without an address
		"NEAR":               {"4"},
		claims.WalletSui:     nil, // connected only
		claims.WalletStellar: nil, // external only
		"evm":                nil,
		"":                   nil,
	} {
		var got []string
		for _, w := range c.WalletsOf(chain) {
			got = append(got, w.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("WalletsOf(%q): got %v, want %v", chain, got, want)
		}
		if got := c.HasWalletOf(chain); got != (want != nil) {
			t.Errorf("HasWalletOf(%q): got %v", chain, got)
		}
		if want == nil && c.WalletsOf(chain) != nil {
			t.Errorf("WalletsOf(%q) is not nil", chain)
		}
	}
}

func TestHasWalletOfSeveralTypes(t *testing.T) {
	c := owner(t)
	if !c.HasWalletOf(claims.WalletSui, claims.WalletSolana) {
		t.Error("the second type is ignored")
	}
	if c.HasWalletOf(claims.WalletSui, claims.WalletStellar) {
		t.Error("connected or external wallets count")
	}
	if c.HasWalletOf() {
		t.Error("true without types")
	}
}

func TestWalletsOfReturnsACopy(t *testing.T) {
	c := owner(t)
	c.WalletsOf(claims.WalletEVM)[0].Address = "0xchanged"
	if !c.OwnsAddress(evmAddress) || c.OwnsAddress("0xchanged") {
		t.Error("changing the copy changes the user")
	}
}

func TestDecodeParsesTheVerifiedPayload(t *testing.T) {
	c := read(t,
		edit(t, `"userId":`, `"role":"admin","wallets":[{"address":"0xa","chainId":1}],"userId":`))
	c.UserID = "changed" // Decode parses what Para signed
	var own struct {
		Issued json.Number `json:"iat"`
		Data   struct {
			Role    string
			UserID  string
			Wallets []struct{ ChainID int }
		}
	}
	if err := c.Decode(&own); err != nil {
		t.Fatal(err)
	}
	if own.Issued != "1000" || own.Data.Role != "admin" || own.Data.UserID != "canary-user" ||
		len(own.Data.Wallets) != 1 || own.Data.Wallets[0].ChainID != 1 {
		t.Errorf("got %+v", own)
	}
	var all map[string]any
	if err := c.Decode(&all); err != nil || all["sub"] != "canary-user" || len(all) != 6 {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestDecodeWithoutPayload(t *testing.T) {
	var v any
	for name, c := range map[string]*claims.Claims{
		"made by hand": {UserID: "u", Subject: "u"},
		"zero":         {},
	} {
		if err := c.Decode(&v); err != claims.ErrNoPayload || v != nil {
			t.Errorf("%s: got %v and %v, want ErrNoPayload", name, v, err)
		}
	}
}

func TestDecodeRefusesNamesThatDifferOnlyInCase(t *testing.T) {
	// json.Unmarshal matches both names with the same field. Each accepted text
	// has both names in different objects, or has names that encoding/json
	// distinguishes.
	for _, test := range []struct{ accepted, refused string }{
		{`"role":"x","rule":"y"`, `"role":"x","Role":"canary"`},
		{`"role":"x","o":{"Role":1}`, `"o":{"role":1,"ROLE":2}`},
		{`"a":[{"role":1},{"Role":2}]`, `"a":[{"role":1,"rolE":2}]`},
		{`"role":1,"\u0072ule":2`, `"role":1,"\u0052ole":2`},
		{`"s":1,"ß":2`, `"s":1,"ſ":2`},
		{`"k":1,"κ":2`, `"k":1,"` + "\u212a" + `":2`},
		{`"σ":1,"s":2`, `"σ":1,"ς":2`},
		{`"i":1,"İ":2`, `"i":1,"I":2`},
	} {
		c := read(t, edit(t, `"userId":`, test.accepted+`,"userId":`))
		var v any
		if err := c.Decode(&v); err != nil || v == nil {
			t.Errorf("%s: got %v", test.accepted, err)
		}

		c = read(t, edit(t, `"userId":`, test.refused+`,"userId":`))
		v = nil
		err := c.Decode(&v)
		var e *claims.Error
		if !errors.As(err, &e) || v != nil {
			t.Errorf("%s: got %v, %v, want it refused", test.refused, v, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes the payload: %v", err)
		}
	}
}

func TestDecodeReturnsTheErrorsOfUnmarshal(t *testing.T) {
	c := read(t, documented(t, "phone"))
	var wrong struct{ Data struct{ UserID int } }
	var te *json.UnmarshalTypeError
	if err := c.Decode(&wrong); !errors.As(err, &te) {
		t.Errorf("got %v", err)
	}
	var ie *json.InvalidUnmarshalError
	if err := c.Decode(nil); !errors.As(err, &ie) {
		t.Errorf("got %v", err)
	}
}

func TestCopyToCopiesTheSlices(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3} {
		wallets := strings.TrimSuffix(strings.Repeat(`{"address":"0xa"},`, n), ",")
		original := read(t, edit(t, `"userId":`,
			`"wallets":[`+wallets+`],"connectedWallets":[`+wallets+`],"userId":`))
		var dst claims.Claims
		original.CopyTo(&dst)
		if !reflect.DeepEqual(original.Wallets, dst.Wallets) ||
			!reflect.DeepEqual(original.Audience, dst.Audience) ||
			!reflect.DeepEqual(original.ConnectedWallets, dst.ConnectedWallets) {
			t.Fatalf("%d wallets: %#v became %#v", n, original.Wallets, dst.Wallets)
		}
		if cap(dst.Wallets) != n || cap(dst.Audience) != 1 || cap(dst.ConnectedWallets) != n {
			t.Errorf("%d wallets: spare capacity in the copy", n)
		}
		dst.Audience[0] = "changed"
		for i := range n {
			dst.Wallets[i].Address, dst.ConnectedWallets[i].Address = "changed", "changed"
		}
		for i := range n {
			if original.Wallets[i].Address != "0xa" ||
				original.ConnectedWallets[i].Address != "0xa" {
				t.Errorf("%d wallets: a change of the copy reached the original", n)
			}
		}
		if original.Audience[0] == "changed" {
			t.Errorf("%d wallets: a change of the copy's audience reached the original", n)
		}
	}
}

func TestVerifiedReturnsWhatParaSigned(t *testing.T) {
	from := claims.Token{ID: "t", KeyID: "k", KeyThumbprint: "p", Environment: "beta"}
	user, err := claims.FromVerifiedPayload(minimal, from)
	if err != nil {
		t.Fatal(err)
	}
	if user.TokenID != "t" || user.KeyID != "k" || user.Environment != "beta" {
		t.Errorf("got %q, %q, %q", user.TokenID, user.KeyID, user.Environment)
	}
	exp := user.ExpiresAt
	user.UserID, user.TokenID, user.KeyID, user.ExpiresAt = "x", "x", "x", exp.Add(time.Hour)
	var other claims.Claims
	user.CopyTo(&other)
	for _, c := range []*claims.Claims{user, &other} {
		got, token, err := c.Verified()
		if err != nil || got.UserID != "canary-user" || got.TokenID != "t" || got.KeyID != "k" ||
			!got.ExpiresAt.Equal(exp) || token != from {
			t.Errorf("got %v, %v, %v", got, token, err)
		}
	}
	for _, c := range []*claims.Claims{nil, {}, {UserID: "made by hand"}} {
		if got, _, err := c.Verified(); got != nil || !errors.Is(err, claims.ErrNoPayload) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}
