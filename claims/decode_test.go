package claims_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
)

// minimal has only the required claims, and canaries that must not appear in
// errors.
const minimal = `{"sub":"canary-user","aud":"canary-app","iat":1000,"exp":2000,` +
	`"canary-claim":"canary","data":{"canary-member":["canary"],"userId":"canary-user"}}`

// edit returns minimal with one part replaced.
func edit(t testing.TB, old, new string) string {
	t.Helper()
	if strings.Count(minimal, old) != 1 {
		t.Fatalf("%s does not occur exactly once in the payload", old)
	}
	return strings.Replace(minimal, old, new, 1)
}

func TestMinimalPayload(t *testing.T) {
	c := read(t, minimal)
	if c.UserID != "canary-user" || c.Subject != "canary-user" || len(c.Audience) != 1 ||
		c.Audience[0] != "canary-app" ||
		!c.IssuedAt.Equal(time.Unix(1000, 0)) || !c.ExpiresAt.Equal(time.Unix(2000, 0)) ||
		!c.NotBefore.IsZero() ||
		c.AuthType != "" || c.Wallets != nil || c.ConnectedWallets != nil {
		t.Errorf("got %#v", *c)
	}
}

// verdict lists texts for one place of minimal, and whether each is accepted.
type verdict struct {
	name     string
	claim    string // the claim that the error names; "" if the JSON is ambiguous or malformed
	old      string
	accepted []string
	refused  []string
}

// In each row, the accepted and the refused payloads differ in that place only.
var verdicts = []verdict{
	{"exp is required", "exp", `"exp":2000,`, []string{`"exp":2000,`},
		[]string{``, `"expires":2000,`}},
	{"exp is a number in range", "exp", `2000`,
		[]string{`1000`, `2000.5`, `2e3`, `2.0E+3`, `253402300799`, `253402300799.5`, `1745879509`},
		[]string{`null`, `"2000"`, `"canary"`, `true`, `false`, `[2000]`, `[]`, `{}`,
			`{"canary":1}`, `0`, `-0`, `0.0`, `0e9`, `-1`, `-2000`, `-0.5`, `1e-400`,
			`253402300800`, `253402300800.0`, `2.534023008e11`, `1e12`, `1e400`, `-1e400`,
			`9223372036854775807`, `9223372036854775808`, `98765432109876543210`}},

	{"iat is required", "iat", `"iat":1000,`, []string{`"iat":1000,`},
		[]string{``, `"issuedAt":1000,`}},
	{"iat is a number in range", "iat", `1000`,
		[]string{`1`, `0.5`, `1e-9`, `1000.25`, `1e3`},
		[]string{`null`, `"1000"`, `"canary"`, `true`, `[1000]`, `{}`, `0`, `-0.0`, `-1`, `1e-400`,
			`253402300800`, `1e400`}},
	{"iat is not after exp", "iat", `1000`,
		[]string{`2000`, `1999.999`, `2000.0`},
		[]string{`2000.001`, `2001`, `2e9`, `253402300799`}},

	{"nbf is optional, and a number in range", "nbf", `"canary-claim":"canary"`,
		[]string{`"x":1`, `"nbf":1500`, `"nbf":1500.5`, `"nbf":9000`, `"nbf":1`},
		[]string{`"nbf":null`, `"nbf":"1500"`, `"nbf":true`, `"nbf":[]`, `"nbf":{}`, `"nbf":0`,
			`"nbf":-1`, `"nbf":1e12`, `"nbf":1e400`}},

	{"aud is required", "aud", `"aud":"canary-app",`, []string{`"aud":"canary-app",`},
		[]string{``, `"audience":"canary-app",`}},
	{"aud is a string or an array of strings", "aud", `"canary-app"`,
		[]string{`"other"`, `["canary-app"]`, `["a","canary-app","c"]`},
		[]string{`null`, `true`, `0`, `{}`, `{"canary":"canary-app"}`, `[]`, `[null]`, `[1]`,
			`["canary-app",1]`, `[1,"canary-app"]`, `["canary-app",null]`,
			`["canary-app",["canary-app"]]`, `[["canary-app"]]`, `["canary-app",{}]`,
			`["canary-app",true]`}},

	{"sub is required", "sub", `"sub":"canary-user",`, []string{`"sub":"canary-user",`},
		[]string{``, `"subject":"canary-user",`}},
	{"sub is a string and data.userId", "sub", `"sub":"canary-user"`,
		[]string{`"sub":"canary-user"`, `"sub":"canary\u002duser"`},
		[]string{`"sub":""`, `"sub":null`, `"sub":1`, `"sub":["canary-user"]`, `"sub":{}`,
			`"sub":true`, `"sub":"canary"`, `"sub":"Canary-user"`, `"sub":"canary-user "`,
			`"sub":"canary-user\u0000"`}},
	{"data.userId is required", "data.userId", `,"userId":"canary-user"`,
		[]string{`,"userId":"canary-user"`}, []string{``, `,"user":"canary-user"`}},
	{"data.userId is a string", "data.userId", `"userId":"canary-user"`,
		[]string{`"userId":"canary-user"`, `"userId":"\u0063anary-user"`},
		[]string{`"userId":""`, `"userId":null`, `"userId":1`, `"userId":["canary-user"]`,
			`"userId":{"canary":1}`, `"userId":false`}},

	{"data is required", "data.userId", `"data":`, []string{`"data":`}, []string{`"info":`}},
	{"data is an object", "data", `{"canary-member":["canary"],"userId":"canary-user"}`,
		[]string{`{"userId":"canary-user"}`},
		[]string{`null`, `[]`, `[{"userId":"canary-user"}]`, `"canary"`,
			`"{\"userId\":\"canary-user\"}"`, `1`, `true`}},

	wallets("wallets"), wallets("connectedWallets"),
	{"data.externalWallet is absent, null or an object", "data.externalWallet", `"userId":`,
		[]string{`"userId":`, `"externalWallet":null,"userId":`, `"externalWallet":{},"userId":`,
			`"externalWallet":{"address":"a","type":"b","provider":"c","more":1},"userId":`},
		[]string{`"externalWallet":"canary","userId":`, `"externalWallet":[],"userId":`,
			`"externalWallet":1,"userId":`}},
	optional("authType"), optional("oAuthMethod"), optional("identifier"), optional("email"),
	optional("phone"),
	optional("telegramUserId"), optional("farcasterUsername"), optional("externalWalletAddress"),

	{"unknown members", "", `"canary-claim":"canary"`,
		[]string{`"x":null`, `"x":{"y":[1,{"z":"\u0061"}]}`, `"iss":1`, `"jti":[]`, `"":0`,
			`"userId":"other"`, `"wallets":1`, `"dаta":1`},
		[]string{`"x":1,"x":2`, `"x":{"y":1,"y":2}`, `"x":[{"y":{"z":1,"\u007a":2}}]`,
			"\"x\":\"\xff\"", `"x":"\ud800"`, `"x":01`, `"x":[1,]`, `"x":`, `"x"`, `x:1`}},
	{"unknown members of data", "", `["canary"]`,
		[]string{`1`, `{"sub":1,"exp":"no number"}`, `{"a":{"A":1},"b":{"userId":2}}`},
		[]string{`{"a":1,"a":2}`, `[{"a":1,"a":2}]`, "\"\xff\"", "\"\x00\"", `"\udc00"`, `tru`,
			``}},

	{"claims are spelt exactly", "", `"canary-claim":"canary"`,
		[]string{`"nbf":1`, `"expires":1`, `"user":1`, `"USERID":1`, `"Wallets":1`},
		[]string{`"Sub":1`, `"SUB":1`, `"ſub":1`, `"\u0053ub":1`, `"Aud":1`, `"AUD":1`, `"Iat":1`,
			`"IAT":1`, `"Exp":1`, `"eXp":1`, `"Nbf":1`, `"NBF":1`, `"Data":1`, `"DATA":1`}},
	{"members of data are spelt exactly", "", `"canary-member"`,
		[]string{`"user_id"`, `"walletz"`, `"Sub"`, `"EXP"`},
		[]string{`"userid"`, `"UserId"`, `"USERID"`, `"uſerId"`, `"Wallets"`, `"walletſ"`,
			`"connectedwallets"`, `"ConnectedWallets"`, `"authtype"`, `"AuthType"`, `"Identifier"`,
			`"oauthMethod"`, `"OAuthMethod"`, `"Email"`, `"EMAIL"`, `"Phone"`, `"telegramUserID"`,
			`"FarcasterUsername"`, `"externalwalletaddress"`, `"ExternalWallet"`,
			`"externalWaLlet"`}},
	{"no claim twice", "", `"canary-claim":"canary"`,
		[]string{`"x":1`},
		[]string{`"sub":"canary-user"`, `"aud":"canary-app"`, `"iat":1000`, `"exp":2000`,
			`"\u0065xp":2000`, `"canary":1,"data":{}`, `"nbf":1,"nbf":1`}},
	{"no member of data twice", "", `"userId":"canary-user"`,
		[]string{`"userId":"canary-user"`},
		[]string{`"userId":"canary-user","userId":"canary-user"`,
			`"userId":"canary-user","\u0075serId":"canary-user"`,
			`"wallets":[],"userId":"canary-user","wallets":[]`,
			`"canary-member":1,"userId":"canary-user"`,
			`"wallets":[{"address":"a","address":"a"}],"userId":"canary-user"`,
			`"connectedWallets":[{"id":"a","i\u0064":"a"}],"userId":"canary-user"`,
			`"externalWallet":{"type":"a","type":"a"},"userId":"canary-user"`}},

	{"at most sixteen levels", "", `"canary"]`,
		[]string{strings.Repeat(`[`, 13) + strings.Repeat(`]`, 13) + `]`},
		[]string{strings.Repeat(`[`, 14) + strings.Repeat(`]`, 14) + `]`,
			strings.Repeat(`[`, 10_000)}},
	{"one object and nothing else", "", `"canary-user"}}`,
		[]string{"\"canary-user\"}}", "\"canary-user\"}}\n "},
		[]string{`"canary-user"}}}`, `"canary-user"}},`, `"canary-user"}}{}`,
			`"canary-user"}} canary`, "\"canary-user\"}}\x00", "\"canary-user\"}}\ufeff",
			`"canary-user"}`, `"canary-user"},}`, `"canary-user",}}`, `"canary-user"`, `"canary`}},
	{"nothing before it", "", `{"sub"`, []string{` {"sub"`, "\t\r\n{\"sub\""},
		[]string{"\ufeff{\"sub\"", "\x00{\"sub\"", `[{"sub"`, `"sub"`, `{{"sub"`, `canary{"sub"`}},
}

// wallets returns the verdicts on an array of wallets.
func wallets(name string) verdict {
	v := verdict{"data." + name + " is absent, null or an array of objects", "data." + name,
		`"userId":`, []string{`"userId":`}, nil}
	for _, list := range []string{`null`, `[]`, `[{}]`,
		`[{"id":"a","type":"b","address":"c","publicKey":"d","provider":"e"}]`,
		`[{"type":"NEW"},{"more":{"x":[1]}},{"index":1}]`, `[{"i\u0064":"a"}]`} {
		v.accepted = append(v.accepted, `"`+name+`":`+list+`,"userId":`)
	}
	for _, list := range []string{`{}`, `{"0":{}}`, `"canary"`, `1`, `true`, `[null]`, `["canary"]`,
		`[1]`, `[[]]`, `[[{}]]`, `[{},null]`, `[{},"canary"]`} {
		v.refused = append(v.refused, `"`+name+`":`+list+`,"userId":`)
	}
	return v
}

// optional returns the verdicts on an optional string of data.
func optional(name string) verdict {
	v := verdict{"data." + name + " is absent, null or a string", "data." + name, `"userId":`,
		[]string{`"userId":`}, nil}
	for _, value := range []string{`null`, `""`, `"x"`, `"something new"`, `"é\u00e9"`} {
		v.accepted = append(v.accepted, `"`+name+`":`+value+`,"userId":`)
	}
	for _, value := range []string{`1`, `true`, `false`, `[]`, `["canary"]`, `{}`,
		`{"canary":null}`} {
		v.refused = append(v.refused, `"`+name+`":`+value+`,"userId":`)
	}
	return v
}

func TestFromVerifiedPayload(t *testing.T) {
	for _, v := range verdicts {
		t.Run(v.name, func(t *testing.T) {
			for _, text := range v.accepted {
				if c, err := claims.FromVerifiedPayload(edit(t, v.old, text),
					claims.Token{}); err != nil || c == nil {
					t.Errorf("%.80q: got %v, %v, want it accepted", text, c, err)
				}
			}
			for _, text := range v.refused {
				refused(t, edit(t, v.old, text), v.claim)
			}
		})
	}
}

// refused fails the test unless the payload is refused with an error that names
// the claim and does not quote the payload.
func refused(t *testing.T, payload, claim string) {
	t.Helper()
	c, err := claims.FromVerifiedPayload(payload, claims.Token{})
	var e *claims.Error
	switch {
	case c != nil:
		t.Errorf("%.300q: got claims, and %v", payload, err)
	case !errors.As(err, &e):
		t.Errorf("%.300q: got %T %v, want an *Error", payload, err, err)
	case e.Claim != claim:
		t.Errorf("%.300q: got %q, want an error that names %q", payload, err, claim)
	case e.Reason == "" || !strings.Contains(err.Error(), e.Reason) ||
		!strings.Contains(err.Error(), claim):
		t.Errorf("%.300q: %q does not contain the claim and the reason", payload, err)
	case strings.Contains(strings.ToLower(err.Error()), "canary") ||
		strings.Contains(err.Error(), "98765"):
		t.Errorf("the error quotes the payload: %v", err)
	}
}

func TestPayloadIsAnObject(t *testing.T) {
	for _, payload := range []string{``, ` `, `nope`, "\xff", "\x00"} {
		refused(t, payload, "")
	}
	for _, payload := range []string{`null`, `[]`, `"canary"`, `1`, `true`, `[` + minimal + `]`} {
		refused(t, payload, "")
	}
	refused(t, `{}`, "sub")
}

func TestWalletMembersAreStringsOrNull(t *testing.T) {
	for claim, in := range map[string]string{
		"data.wallets[1]":          `"wallets":[{"id":"a"},{%},{"id":"c"}],`,
		"data.connectedWallets[0]": `"connectedWallets":[{%}],`,
		"data.externalWallet":      `"externalWallet":{%},`,
	} {
		with := func(member, value string) string {
			in := strings.Replace(in, `%`, `"`+member+`":`+value, 1)
			return edit(t, `"userId":`, in+`"userId":`)
		}
		for _, member := range []string{"id", "type", "address", "publicKey", "provider"} {
			for _, value := range []string{`""`, `"canary"`, `null`} {
				read(t, with(member, value))
			}
			for _, value := range []string{`1`, `true`, `["canary"]`, `{"canary":""}`} {
				refused(t, with(member, value), claim+"."+member)
			}
		}
		read(t, with("index", `1`)) // an unknown member may have any type
	}
}

func TestUnusableWalletIsNotOwned(t *testing.T) {
	c := read(t, edit(t, `"userId":`, `"wallets":[
		{"id":"new","type":"EVM","address":null,"publicKey":null},
		{"id":null,"type":null,"address":"0xAB","publicKey":null}],"userId":`))
	if len(c.Wallets) != 2 || c.Wallets[0].ID != "new" {
		t.Fatalf("got %#v", c.Wallets)
	}
	for _, address := range []string{"", "null", "0xab"} {
		if c.OwnsAddress(address) {
			t.Errorf("owns %q", address)
		}
	}
	if !c.OwnsAddress("0xAB") { // of an unknown chain, so compared exactly
		t.Error("does not own the wallet without a type")
	}
	if c.HasWalletOf(claims.WalletEVM) || c.WalletsOf(claims.WalletEVM) != nil {
		t.Error("a wallet without an address counts as an EVM wallet")
	}
}

func TestErrorOfMalformedJSONNamesNoClaim(t *testing.T) {
	// The error reports malformed JSON and names no claim.
	for _, in := range [][2]string{
		{`"sub":"canary-user"`, `"sub":%`}, {`"canary-app"`, `%`}, {`"canary-app"`, `["a",%]`},
		{`1000`, `%`}, {`2000`, `%`},
		{`"canary-claim":"canary"`, `"nbf":%`},
		{`{"canary-member":["canary"],"userId":"canary-user"}`, `%`},
		{`"userId":"canary-user"`, `"userId":%`},
		{`"userId":`, `"email":%,"userId":`}, {`"userId":`, `"wallets":%,"userId":`},
		{`"userId":`, `"wallets":[%],"userId":`},
		{`"userId":`, `"wallets":[{"id":%}],"userId":`},
		{`"userId":`, `"connectedWallets":%,"userId":`},
		{`"userId":`, `"externalWallet":%,"userId":`},
	} {
		for _, text := range []string{`nope`, `tru`, `-`, `1.`, `'canary'`, `[,]`,
			`{"canary":1,"canary":2}`, `{"canary"}`, "\"\xff\"", `"\ud800"`} {
			refused(t, edit(t, in[0], strings.Replace(in[1], `%`, text, 1)), "")
		}
	}
}

func TestWalletMembersInAnotherCaseAreRefused(t *testing.T) {
	for _, in := range []string{`"wallets":[{%:"canary"}],`,
		`"wallets":[{},{"id":"a",%:"canary"}],`, `"connectedWallets":[{%:"canary"}],`,
		`"externalWallet":{%:"canary"},`} {
		for _, name := range []string{`"ID"`, `"Id"`, `"i\u0044"`, `"Type"`, `"Address"`,
			`"ADDRESS"`, `"addresſ"`, `"publickey"`, `"PublicKey"`, `"public` + "\u212a" + `ey"`,
			`"Provider"`} {
			refused(t, edit(t, `"userId":`, strings.Replace(in, `%`, name, 1)+`"userId":`), "")
		}
		for _, name := range []string{`"ids"`, `"chain"`, `"addr"`, `"public_key"`} {
			read(t, edit(t, `"userId":`, strings.Replace(in, `%`, name, 1)+`"userId":`))
		}
	}
}

func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	c := read(t, `{"data":{"wallets":[{"address":"a","id":"i"}],"userId":"u"},
		"exp":2000,"iat":1000,"aud":"a","sub":"u"}`)
	if c.UserID != "u" || len(c.Wallets) != 1 {
		t.Errorf("got %#v", *c)
	}
	// The error names the claim of the right object, whatever the order of the
	// objects.
	refused(t, `{"data":{"wallets":[],"userId":"u"},"exp":null,"iat":1000,"aud":"a","sub":"u"}`,
		"exp")
	refused(t, `{"sub":"u","data":{"exp":null,"userId":1}}`, "data.userId")
	refused(t, `{"data":{"sub":0,"userId":"u"},"sub":0}`, "sub")
}

func TestUnknownValuesAreKept(t *testing.T) {
	c := read(t, edit(t, `"userId":`, `"authType":"passkey",
		"oAuthMethod":"CUSTOM:https://idp.example","wallets":[{"type":"NEAR"}],
		"connectedWallets":[{"type":"evm"}],
		"externalWallet":{"type":"X","provider":"Y"},"userId":`))
	if c.AuthType != "passkey" || c.OAuthMethod != "CUSTOM:https://idp.example" ||
		c.Wallets[0].Type != "NEAR" ||
		c.ConnectedWallets[0].Type != "evm" || c.ExternalWallet.Type != "X" ||
		c.ExternalWallet.Provider != "Y" || c.ExternalWallet.Address != "" {
		t.Errorf("got %#v, %#v, %v, %v, %v", c.AuthType, c.OAuthMethod, c.Wallets,
			c.ConnectedWallets, c.ExternalWallet)
	}
}

func TestEveryAudienceIsKept(t *testing.T) {
	c := read(t, edit(t, `"canary-app"`, `["a","b","a",""]`))
	if got := strings.Join(c.Audience, "|"); got != "a|b|a|" {
		t.Errorf("got %q", got)
	}
}

func TestMoreThanTwoWalletsAreKept(t *testing.T) {
	c := read(t, edit(t, `"userId":`,
		`"wallets":[{"id":"1"},{"id":"2"},{"id":"3"},{"id":"4"},{"id":"5"}],"userId":`))
	var got string
	for _, w := range c.Wallets {
		got += w.ID
	}
	if got != "12345" {
		t.Errorf("got %q", got)
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		`1745879509`:     time.Date(2025, 4, 28, 22, 31, 49, 0, time.UTC),
		`1745879509.5`:   time.Date(2025, 4, 28, 22, 31, 49, 500_000_000, time.UTC),
		`1.745879509e9`:  time.Date(2025, 4, 28, 22, 31, 49, 0, time.UTC),
		`1745879509.25`:  time.Date(2025, 4, 28, 22, 31, 49, 250_000_000, time.UTC),
		`253402300799`:   time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		`2e3`:            time.Unix(2000, 0),
		`1000.000976562`: time.Unix(1000, 976_562),
	} {
		got := read(t, edit(t, `2000`, text)).ExpiresAt
		// A float64 represents a present-day time within 250 nanoseconds.
		if diff := got.Sub(want).Abs(); diff > 250*time.Nanosecond || got.Location() != time.UTC {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	c := read(t, edit(t, `"canary-claim":"canary"`, `"nbf":1500.5`))
	if !c.NotBefore.Equal(time.Unix(1500, 500_000_000)) || !c.IssuedAt.Equal(time.Unix(1000, 0)) ||
		!c.ExpiresAt.Equal(time.Unix(2000, 0)) {
		t.Errorf("got nbf %v, iat %v, exp %v", c.NotBefore, c.IssuedAt, c.ExpiresAt)
	}
}

func TestTinyTimesCountAsPresent(t *testing.T) {
	// A tiny positive number rounds to 1970. It still counts as present.
	c := read(t, edit(t, `"iat":1000,"exp":2000`, `"nbf":1e-300,"iat":1e-300,"exp":1e-300`))
	if c.IssuedAt.IsZero() || c.ExpiresAt.IsZero() || c.NotBefore.IsZero() {
		t.Errorf("got iat %v, exp %v, nbf %v", c.IssuedAt, c.ExpiresAt, c.NotBefore)
	}
}
