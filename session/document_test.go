package session

import (
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/parajwt/parajwt/internal/strictjson"
	"github.com/parajwt/parajwt/jwks"
)

// TestSessionDoesNotRetainTheExport checks that a Session keeps no substring of
// the export. A substring would keep the whole text in memory, including key
// shares.
func TestSessionDoesNotRetainTheExport(t *testing.T) {
	// fill writes an object in which every member of the table has a value.
	var fill func(fields []field) string
	fill = func(fields []field) string {
		var members []string
		for _, f := range fields {
			value := map[kind]string{
				text: `"value of ` + f.name + `"`, secret: `"value of ` + f.name + `"`,
				note: `"value of ` + f.name + `"`, flag: "true", object: "{}",
				lists: `{"EVM":["a wallet"]}`,
			}[f.kind]
			switch {
			case f.name == "userId":
				value = `"user-1"`
			case f.name == "id":
				continue
			case f.kind == byID:
				value = `{"a wallet of ` + f.name + `":` + fill(f.fields) + `}`
			case f.kind == object:
				value = fill(f.fields)
			}
			members = append(members, `"`+f.name+`":`+value)
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	document := fill(exportFields())
	from := uintptr(unsafe.Pointer(unsafe.StringData(document)))
	for _, keep := range []bool{false, true} {
		r := &reader{Decoder: strictjson.New(document), keepSigners: keep}
		doc, err := r.readExport()
		if err != nil {
			t.Fatal(err)
		}
		looked := 0
		check := func(path, s string) {
			if s == "" {
				return
			}
			looked++
			at := uintptr(unsafe.Pointer(unsafe.StringData(s)))
			if from <= at && at < from+uintptr(len(document)) {
				t.Errorf("%s is a substring of the text", path)
			}
			if s == "value of signer" && !keep {
				t.Errorf("%s is a key share", path)
			}
		}
		var walk func(path string, n node)
		walk = func(path string, n node) {
			path += "." + n.name
			check(path, n.text)
			check(path, n.secret.Reveal())
			if n.name != "" && !slices.ContainsFunc(exportFields(), func(f field) bool {
				return f.name == n.name
			}) && strings.Contains(n.name, " ") {
				check(path+"'s name", n.name)
			}
			for _, child := range n.children {
				walk(path, child)
			}
		}
		walk("", doc)
		if looked < 70 {
			t.Errorf("only %d strings were checked", looked)
		}
		if r.dropped == keep {
			t.Errorf("dropped is %v", r.dropped)
		}
	}
}

const (
	// realCookie has the form of cookies in exports of live clients.
	realCookie = `capsule.sid=s%3A3f2c8a54-91bb-4d0e-a7c6-5e0f1d2b3c4d.` +
		`Zk9yZXhhbXBsZU9ubHlOb3RBUmVhbFNpZ25hdHVyZTEy%2Bq8; Path=/; ` +
		`Expires=Sat, 30 Aug 2025 13:54:30 GMT; HttpOnly; Secure; SameSite=None`
	cutCookie = `capsule.sid=s%3A3f2c8a54-91bb-4d0e-a7c6-5e0f1d2b3c4d.Zk9yZXhhbXBsZU9ubHk`
)

// FuzzImport imports arbitrary text. Import does not panic. If it accepts the
// text, Export returns an equal session, without key shares.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		`{"authInfo":{"auth":{"email":"e"},"authType":"email","identifier":"e"},"userId":"u",` +
			`"wallets":{"w":{"id":"w","type":"EVM","address":"0x1",` +
			`"scheme":"DKLS","publicKey":"","signer":"SHARE","createdAt":1745877709}},` +
			`"currentWalletIds":{"EVM":["w"]},` +
			`"sessionCookie":"` + realCookie + `","externalWallets":{}}`,
		`{"authInfo":{"auth":{"externalWalletAddress":"0xE"},"externalWallet":` +
			`{"withVerification":true}},"userId":"u","wallets":{},"currentWalletIds":{},` +
			`"sessionCookie":"` + cutCookie + `","externalWallets":` +
			`{"0xE":{"id":"0xE","isExternal":true,"signer":""}}}`,
		// Exports of v1 SDKs.
		`{"email":"email@example.com","userId":"u","wallets":{"w":{"id":"w","type":"EVM",` +
			`"address":null}},"currentWalletIds":{},"sessionCookie":"` + realCookie + `"}`,
		`{"phone":"3105551234","countryCode":"1","userId":"u","wallets":{},` +
			`"currentWalletIds":{},"sessionCookie":"` + realCookie + `"}`,
		`{"phone":"+13105551234","countryCode":"+1","userId":"u","sessionCookie":"c d"}`,
		// No user is logged in.
		`{"wallets":{},"currentWalletIds":{},"externalWallets":{"0xE":` +
			`{"isExternalConnectionOnly":true}}}`,
		`{"userId":"EXTERNAL_WALLET_CONNECTION_ONLY","sessionCookie":"c",` +
			`"externalWallets":{"0xE":{}}}`,
		`{"userId":"u","sessionCookie":"c",` +
			`"parajwt":{"environment":"beta","url":"https://api.beta.getpara.com"}}`,
		`{"userId":"u","sessionCookie":"\u0063","wallets":` +
			`{"\u0077":{"signer":"\u0053HARE","name":null,"isPregen":null}}}`,
		`{"userId":"u","userId":"v","sessionCookie":"c"}`, `{}`, `[]`, `null`,
		`{"a":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}`, "\xff",
	} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(seed)), false)
		f.Add(seed, true)
	}
	c, err := New(Config{Environment: jwks.Beta, APIKey: "k",
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, exported string, encode bool) {
		if encode {
			exported = base64.StdEncoding.EncodeToString([]byte(exported))
		}
		s, err := c.Import(exported)
		if err != nil {
			e, ok := err.(*Error)
			if !ok || s != nil || !e.Refused() {
				t.Fatalf("%v (%T) with %v", err, err, s)
			}
			return
		}
		cookie, _ := s.now()
		connected := s.mode == ModeConnectionOnly
		if !isCookie(cookie) && !(connected && cookie == "") || !connected && !isID(s.UserID()) {
			t.Fatalf("%v has a cookie or user ID that must not be sent", s)
		}
		if connected && s.UserID() != "" {
			t.Fatal("a session in ModeConnectionOnly has a user ID")
		}
		_, _, _ = s.Wallets(), s.CurrentWallets(), s.ExternalWallets()
		once := s.Export()
		raw, _ := base64.StdEncoding.DecodeString(once)
		again, err := c.Import(once)
		if err != nil {
			t.Fatalf("an export is refused: %v\n%s", err, raw)
		}
		if again.SignersDropped() {
			t.Fatalf("a key share is kept: %s", raw)
		}
		if twice := again.Export(); twice != once || again.mode != s.mode {
			t.Fatalf("an export of an export differs:\n%s", raw)
		}
	})
}
