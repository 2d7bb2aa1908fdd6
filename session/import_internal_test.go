package session

import (
	"encoding/base64"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/parajwt/parajwt/jwks"
)

// strictjson gives out parts of the text it reads. Whatever of them a Session kept would keep all of the text in
// memory, key shares included.
func TestASessionKeepsNoPartOfTheText(t *testing.T) {
	filled := func(names ...string) string {
		var b strings.Builder
		for _, name := range names {
			b.WriteString(`"` + name + `":"value of ` + name + `",`)
		}
		return b.String()
	}
	text := `{"authInfo":{"auth":{` + strings.TrimSuffix(filled(authNames...), ",") + `},` +
		filled("authType", "identifier", "username", "displayName", "pfpUrl") +
		`"externalWallet":{` + filled("partnerId", "address", "type", "provider", "providerId", "addressBech32") + `"withVerification":true}},` +
		`"userId":"user-1","wallets":{"w-1":{"id":"w-1",` +
		filled("type", "address", "addressSecondary", "scheme", "publicKey", "signer", "name", "userId", "partnerId", "createdAt", "lastUsedAt",
			"pregenIdentifier", "pregenIdentifierType", "externalProviderId") + `"isPregen":true}},` +
		`"externalWallets":{"0xE":{}},"currentWalletIds":{"EVM":["w-1"]},"sessionCookie":"cookie","parajwt":{"environment":"e","url":"u"}}`
	from := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	for _, signers := range []bool{false, true} {
		d, cookie, err := decode(text, signers)
		if err != nil {
			t.Fatal(err)
		}
		strings := 0
		var walk func(path string, v reflect.Value)
		walk = func(path string, v reflect.Value) {
			switch v.Kind() {
			case reflect.Pointer:
				if !v.IsNil() {
					walk(path, v.Elem())
				}
			case reflect.Struct:
				for i := range v.NumField() {
					walk(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
			case reflect.Slice:
				for i := range v.Len() {
					walk(path, v.Index(i))
				}
			case reflect.String:
				s := v.String()
				if s == "" {
					break
				}
				strings++
				if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); from <= at && at < from+uintptr(len(text)) {
					t.Errorf("%s is a part of the text", path)
				}
				if s == "value of signer" && !signers {
					t.Errorf("%s is a key share", path)
				}
			case reflect.Bool:
			default:
				t.Fatalf("%s is a %s: does it hold strings?", path, v.Kind())
			}
		}
		walk("document", reflect.ValueOf(d))
		walk("cookie", reflect.ValueOf(cookie))
		if strings < 50 {
			t.Errorf("only %d strings were looked at", strings)
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		`{"authInfo":{"auth":{"email":"e"},"authType":"email","identifier":"e"},"userId":"u","wallets":{"w":{"id":"w","type":"EVM","address":"0x1","scheme":"DKLS","publicKey":"","signer":"SHARE"}},"currentWalletIds":{"EVM":["w"]},"sessionCookie":"c","externalWallets":{}}`,
		`{"authInfo":{"auth":{"externalWalletAddress":"0xE"},"externalWallet":{"withVerification":true}},"userId":"u","wallets":{},"currentWalletIds":{},"sessionCookie":"c","externalWallets":{"0xE":{"id":"0xE","isExternal":true,"signer":""}}}`,
		`{"wallets":{},"currentWalletIds":{},"sessionCookie":"c","externalWallets":{"0xE":{"isExternalConnectionOnly":true}}}`,
		`{"userId":"EXTERNAL_WALLET_CONNECTION_ONLY","sessionCookie":"c","externalWallets":{"0xE":{}}}`,
		`{"userId":"u","sessionCookie":"c","parajwt":{"environment":"beta","url":"https://api.beta.getpara.com"}}`,
		`{"userId":"u","sessionCookie":"\u0063","wallets":{"\u0077":{"signer":"\u0053HARE","name":null,"isPregen":null}}}`,
		`{"userId":"u","userId":"v","sessionCookie":"c"}`, `{}`, `[]`, `null`, `{"a":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}`, "\xff",
	} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(seed)), false)
		f.Add(seed, true)
	}
	c, err := New(Config{Environment: jwks.Beta, APIKey: "k", Logger: slog.New(slog.DiscardHandler)})
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
		if !isCookie(s.currentCookie()) || s.mode != ModeConnectionOnly && !isID(s.UserID()) {
			t.Fatalf("%v is not fit to be sent", s)
		}
		if s.mode == ModeConnectionOnly && s.UserID() != "" {
			t.Fatal("somebody is logged in without Para being asked")
		}
		_, _, _, _ = s.Wallets(), s.CurrentWallets(), s.ExternalWallets(), s.String()
		once, err := s.Export()
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := base64.StdEncoding.DecodeString(once)
		if strings.Contains(string(raw), `"signer"`) {
			t.Fatalf("a key share is kept: %s", raw)
		}
		again, err := c.Import(once)
		if err != nil {
			t.Fatalf("an export is refused: %v\n%s", err, raw)
		}
		if twice, _ := again.Export(); twice != once || again.mode != s.mode {
			t.Fatalf("an export of an export differs:\n%s", raw)
		}
	})
}
