package session_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func TestImportKeepsUserAndWallets(t *testing.T) {
	c, _ := fake(t, says(500, ""))
	s := importSession(t, c, export(t))
	if s.UserID() != userID || s.AuthType() != claims.AuthEmail ||
		s.Identifier() != "email@example.com" ||
		s.Mode() != session.ModeNone {
		t.Errorf("%s %s %s %s", s.UserID(), s.AuthType(), s.Identifier(), s.Mode())
	}
	sol := session.ClaimedWallet{ID: "w-sol", Type: claims.WalletSolana, Address: "So1"}
	evm := session.ClaimedWallet{
		ID:        "w-evm",
		Type:      claims.WalletEVM,
		Address:   "0xAb",
		PublicKey: "0x04",
	}
	if got := s.Wallets(); !slices.Equal(got, []session.ClaimedWallet{sol, evm}) {
		t.Errorf("wallets are %v", got)
	}
	if got := s.ExternalWallets(); got != nil {
		t.Errorf("external wallets are %v", got)
	}
	s.Wallets()[0].Address = "changed"
	if s.Wallets()[0] != sol {
		t.Error("a change of the slice of Wallets reaches the session")
	}
}

func TestImportWithoutAuthInfo(t *testing.T) {
	c, _ := fake(t, says(200, touch()))
	for _, exported := range []string{
		encode(`{"authInfo":null,"userId":"` + userID +
			`","wallets":null,"currentWalletIds":null,` +
			`"externalWallets":null,"sessionCookie":"c"}`),
		encode(`{"userId":"` + userID + `","sessionCookie":"c"}`),
	} {
		s := importSession(t, c, exported)
		if s.AuthType() != "" || s.Identifier() != "" || s.Wallets() != nil ||
			s.CurrentWallets() != nil || s.Mode() != session.ModeNone {
			t.Errorf("%v", s)
		}
		if active, err := s.IsActive(t.Context()); !active || err != nil {
			t.Errorf("active %v, %v", active, err)
		}
	}
}

// TestImportOfV1Exports checks that Import derives authInfo from the members of
// v1 exports, as importSession of Para's SDK does.
func TestImportOfV1Exports(t *testing.T) {
	c, _ := fake(t, says(500, ""))
	for _, tc := range []struct {
		members    string
		authType   claims.AuthType
		identifier string
	}{
		{`"email":"email@example.com"`, "email", "email@example.com"},
		{`"email":"","phone":"3105551234","countryCode":"1"`, "phone", "+13105551234"},
		{`"phone":"(310) 555-1234","countryCode":"+1"`, "phone", "+13105551234"},
		{`"phone":"3105551234","countryCode":1`, "phone", "+13105551234"},
		{`"phone":3105551234,"countryCode":"1"`, "phone", "+13105551234"},
		{`"phone":"+13105551234","countryCode":"+1"`, "phone", "+13105551234"},
		{`"phone":"+13105551234"`, "phone", "+13105551234"},
		{`"phone":"13105551234","countryCode":null`, "phone", "+13105551234"},
		{`"farcasterUsername":"f"`, "farcaster", "f"},
		{`"telegramUserId":"1234567890"`, "telegram", "1234567890"},
		{`"externalWalletAddress":"0xE"`, "externalWallet", "0xE"},
		// These numbers need a library of national numbers, which only the SDK
		// has.
		{`"phone":"07911123456","countryCode":"44"`, "", ""},
		{`"phone":"1","countryCode":"1"`, "", ""},
		{`"phone":{},"countryCode":[]`, "", ""},
		// authInfo wins.
		{`"email":"old@example.com","authInfo":{"auth":{"phone":"+1"},"authType":"phone",` +
			`"identifier":"+1"}`, "phone", "+1"},
	} {
		s := importSession(t, c, encode(`{`+tc.members+`,"userId":"`+userID+
			`","wallets":{},"currentWalletIds":{},"sessionCookie":"`+cookie+`"}`))
		if s.AuthType() != tc.authType || s.Identifier() != tc.identifier {
			t.Errorf("%s: %s %q", tc.members, s.AuthType(), s.Identifier())
		}
		back := importSession(t, c, exportOf(t, s))
		if back.AuthType() != tc.authType || back.Identifier() != tc.identifier {
			t.Errorf("%s: exported as %s %q", tc.members, back.AuthType(), back.Identifier())
		}
		auth, _ := content(t, exportOf(t, s))["authInfo"].(map[string]any)
		if tc.authType != "" &&
			(auth["identifier"] != tc.identifier || len(auth["auth"].(map[string]any)) != 1) {
			t.Errorf("%s: authInfo is %v", tc.members, auth)
		}
	}
	// The export keeps the members from which the SDK derives the number.
	s := importSession(t, c, encode(`{"phone":"07911123456","countryCode":"44","userId":"u",`+
		`"currentWalletIds":{},"sessionCookie":"c"}`))
	back := content(t, exportOf(t, s))
	if back["phone"] != "07911123456" || back["countryCode"] != "44" || back["authInfo"] != nil {
		t.Errorf("exported as %v", back)
	}
}

func TestCookiesAreKeptUnchanged(t *testing.T) {
	cut, _, _ := strings.Cut(cookie, ";")
	for _, good := range []string{cookie, cut, "c", " a b ", strings.Repeat("a", 8<<10)} {
		c, para := fake(t, says(200, touch()))
		s := importSession(t, c, export(t, cookie, good))
		if _, err := s.IsActive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sent := para.requests[0].Header["X-Capsule-Sid"]; !slices.Equal(sent, []string{good}) {
			t.Errorf("sent %q", sent)
		}
		if got := cookieOf(t, s); got != good {
			t.Errorf("exported %q", got)
		}
	}
	// A whole refreshed line is adopted, sent and exported.
	fresh := strings.Replace(cookie, "canary0", "canary1", 1)
	c, para := fake(t, says(200, touch(), "X-Capsule-Sid", fresh))
	s := importSession(t, c, export(t))
	for range 2 {
		if _, err := s.IsActive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if sent := para.requests[1].Header.Get("X-Capsule-Sid"); sent != fresh ||
		cookieOf(t, s) != fresh {
		t.Errorf("sent %q, exported %q", sent, cookieOf(t, s))
	}
}

func TestConnectionOnlyExportNeedsNoCookie(t *testing.T) {
	c, para := fake(t, says(500, ""))
	const connected = `"wallets":{},"currentWalletIds":{},"externalWallets":{"0xE":{}}`
	s := importSession(t, c, encode(`{`+connected+`}`))
	active, err := s.IsActive(t.Context())
	if is(t, err, session.ErrNotLoggedIn); active || s.Mode() != session.ModeConnectionOnly {
		t.Errorf("active %v, %s", active, s.Mode())
	}
	if back := content(t, exportOf(t, s)); back["sessionCookie"] != nil || para.calls() != 0 {
		t.Errorf("exported as %v after %d calls", back, para.calls())
	}
	// A cookie and an anonymous user ID change nothing.
	for _, more := range []string{`"sessionCookie":"made-up"`,
		`"sessionCookie":"made-up","userId":"EXTERNAL_WALLET_CONNECTION_ONLY"`} {
		active, err := importSession(t, c, encode(`{`+more+`,`+connected+`}`)).IsActive(t.Context())
		if is(t, err, session.ErrNotLoggedIn); active || para.calls() != 0 {
			t.Errorf("%s: active %v after %d calls", more, active, para.calls())
		}
	}
	// Other exports need a cookie.
	_, err = c.Import(encode(`{"userId":"u",` + connected + `}`))
	is(t, err, session.ErrSessionMalformed)
	_, err = c.Import(encode(`{"sessionCookie":"a\nb",` + connected + `}`))
	is(t, err, session.ErrSessionMalformed)
}

// TestCurrentWallets checks that CurrentWallets returns the wallets of
// findWalletId in Para's SDK, in its order.
func TestCurrentWallets(t *testing.T) {
	const all = `{"SOLANA":["w-sol"],"EVM":["w-evm"]}`
	for _, tc := range []struct {
		name  string
		edits []string
		want  string
	}{
		{"as listed", nil, "w-sol w-evm"},
		{"in the order of the list", []string{all, `{"EVM":["w-evm"],"SOLANA":["w-sol"]}`},
			"w-evm w-sol"},
		{"each once", []string{all, `{"EVM":["w-evm","w-evm"],"COSMOS":["w-evm"]}`}, "w-evm"},
		{"known ones", []string{all, `{"EVM":["w-gone","w-evm"],"SOLANA":null}`}, "w-evm"},
		{"an empty list", []string{all, `{}`}, "w-sol w-evm"},
		{"an empty type", []string{all, `{"EVM":[]}`}, "w-sol w-evm"},
		{"unknown ones only", []string{all, `{"EVM":["w-gone"]}`}, "w-sol w-evm"},
		{"a null among them", []string{all, `{"EVM":[null,"w-evm"]}`}, "w-evm"},
		{"no list", []string{all, `null`}, "w-sol w-evm"},
		{"another user's wallet", []string{`"userId":"` + userID + `"},"w-evm"`,
			`"userId":"u"},"w-evm"`}, "w-evm"},
		{"a wallet without a user", []string{`,"userId":"` + userID + `"},"w-evm"`, `},"w-evm"`},
			"w-sol w-evm"},
		{"a wallet without an address", []string{`"address":"So1"`, `"address":null`},
			"w-sol w-evm"},
		{"a claimed pregenerated wallet", []string{`"type":"SOLANA"`,
			`"pregenIdentifier":"e","type":"SOLANA"`}, "w-evm"},
		{"an unclaimed one", []string{`"type":"SOLANA"`,
			`"isPregen":true,"pregenIdentifier":"e","pregenIdentifierType":"EMAIL",` +
				`"type":"SOLANA"`}, "w-sol w-evm"},
		{"an external wallet", []string{all, `{"EVM":["0xE"]}`, `"externalWallets":{}`,
			`"externalWallets":{"0xE":{}}`}, "0xE"},
	} {
		c, _ := fake(t, says(500, ""))
		ids := []string{}
		for _, w := range importSession(t, c, export(t, tc.edits...)).CurrentWallets() {
			ids = append(ids, w.ID)
		}
		if got := strings.Join(ids, " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestTouchUpdatesTheCurrentWallets checks that CurrentWallets and Export use
// the latest response to /touch.
func TestTouchUpdatesTheCurrentWallets(t *testing.T) {
	const ids = `"currentWalletIds":{"EVM":["w-evm"]}`
	for _, tc := range []struct{ answer, want string }{
		{ids, "w-evm"},
		{`"currentWalletIds":{"SOLANA":["w-gone"],"EVM":["w-evm"]}`, "w-evm"},
		{`"currentWalletIds":{}`, "w-sol"},
		{`"currentWalletIds":null`, "w-sol"},
		{`"x":1`, "w-sol"},
		// A malformed member is ignored.
		{`"currentWalletIds":["w-evm"]`, "w-sol"},
		{`"currentWalletIds":{"EVM":[1]}`, "w-sol"},
		{`"currentWalletIds":{"EVM":["w-evm"],"EVM":["w-evm"]}`, "w-sol"},
		// The answer is about another login.
		{ids + `,"isAuthenticated":false,"x":{"isAuthenticated":true}`, "w-sol"},
	} {
		text := touch(ids, tc.answer)
		if strings.Contains(tc.answer, "isAuthenticated") {
			text = strings.Replace(text, `"isAuthenticated":true,`, ``, 1)
		}
		c, _ := fake(t, says(200, text))
		s := importSession(t, c, export(t))
		if _, err := s.IsActive(t.Context()); err != nil {
			t.Fatal(err)
		}
		current := s.CurrentWallets()
		if current[0].ID != tc.want {
			t.Errorf("%s: %v", tc.answer, current)
		}
		back := importSession(t, c, exportOf(t, s)).CurrentWallets()
		if !slices.Equal(back, current) {
			t.Errorf("%s: exported as %v", tc.answer, back)
		}
	}
}

func TestImportOfEveryKindOfUser(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	for kind, user := range paratest.Users() {
		login := para.Login(user)
		for _, exported := range []string{login.Exported(), login.ExportedWithoutSigners()} {
			s := importSession(t, c, exported)
			if s.UserID() != user.UserID || s.AuthType() != user.AuthType ||
				s.Identifier() != user.Identifier ||
				len(s.Wallets()) != len(user.Wallets) ||
				len(s.CurrentWallets()) != 2 {
				t.Errorf("%s: %v", kind, s)
			}
			if want := exported == login.Exported(); s.SignersDropped() != want {
				t.Errorf("%s: SignersDropped is not %v", kind, want)
			}
		}
	}
}

func TestMalformedExportsAreRefused(t *testing.T) {
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	deep := strings.Repeat("[", 17) + strings.Repeat("]", 17)
	for _, tc := range []struct {
		name, exported string
		want           session.Code
		hint           string
	}{
		{"nothing", "", session.ErrSessionMalformed, "empty"},
		{"no base64", "hello, world", session.ErrSessionMalformed, "white space"},
		{"other characters", "aGVsbG8$", session.ErrSessionMalformed, "other characters"},
		{"broken off", export(t)[:101], session.ErrSessionMalformed, "truncated"},
		{"without its padding", strings.TrimRight(b64(`{"a":1}`), "="), session.ErrSessionMalformed,
			"truncated"},
		{"bits that are not used", "e30=e31=", session.ErrSessionMalformed, "truncated"},
		{"unused bits that are set", "e31=", session.ErrSessionMalformed, "truncated"},
		{"a line break", export(t)[:76] + "\n" + export(t)[76:], session.ErrSessionMalformed,
			"white space"},
		{"the alphabet for URLs", "eyJ-_w==", session.ErrSessionMalformed, "standard"},
		{"JSON itself", `{"userId":"u"}`, session.ErrSessionMalformed, "exportSession"},
		{"a JWT", "eyJh.eyJz.c2ln", session.ErrSessionMalformed, "JWT"},
		{"no JSON", b64("hello"), session.ErrSessionMalformed, "unexpected character"},
		{"broken off JSON", b64(`{"userId":"u"`), session.ErrSessionMalformed, "unexpected end"},
		{"two values", b64(`{}{}`), session.ErrSessionMalformed, "after"},
		{"a duplicate name", export(t, `"sessionCookie"`, `"userId":"victim","sessionCookie"`),
			session.ErrSessionMalformed, "duplicate"},
		{"a byte order mark", b64("\xef\xbb\xbf{}"), session.ErrSessionMalformed, ""},
		{"invalid UTF-8", export(t, "email@example.com", "\xff"), session.ErrSessionMalformed,
			"UTF-8"},
		{"too deep", export(t, `"authInfo"`, `"x":`+deep+`,"authInfo"`),
			session.ErrSessionMalformed, "levels"},
		{"not an object", b64(`[]`), session.ErrSessionMalformed, "the whole: not an object"},
		{"null", b64(`null`), session.ErrSessionMalformed, "the whole"},
		{"no user", export(t, `"userId":"`+userID+`","wallets"`, `"wallets"`),
			session.ErrSessionMalformed, "userId"},
		{"an empty user", export(t, `"userId":"`+userID+`","wallets"`, `"userId":"","wallets"`),
			session.ErrSessionMalformed, "userId"},
		{"a null user", export(t, `"userId":"`+userID+`","wallets"`, `"userId":null,"wallets"`),
			session.ErrSessionMalformed, "userId"},
		{"a user that is a number", export(t, `"userId":"`+userID+`","wallets"`,
			`"userId":1,"wallets"`), session.ErrSessionMalformed, "userId: not a string"},
		{"a user that is a path", export(t, `"userId":"`+userID+`","wallets"`,
			`"userId":"../victim","wallets"`), session.ErrSessionMalformed, "userId"},
		{"a user that is a query", export(t, `"userId":"`+userID+`","wallets"`,
			`"userId":"u?x=1","wallets"`), session.ErrSessionMalformed, "userId"},
		{"no cookie", export(t, `"sessionCookie":"`+cookie+`",`, ``), session.ErrSessionMalformed,
			"sessionCookie"},
		{"an empty cookie", export(t, cookie, ``), session.ErrSessionMalformed, "sessionCookie"},
		{"a null cookie", export(t, `"`+cookie+`"`, `null`), session.ErrSessionMalformed,
			"sessionCookie"},
		{"a cookie that is two headers", export(t, cookie, `canary\r\nX-Evil: 1`),
			session.ErrSessionMalformed, "sessionCookie"},
		{"a cookie of spaces", export(t, cookie, ` `), session.ErrSessionMalformed,
			"sessionCookie"},
		{"a cookie that is too long", export(t, cookie, strings.Repeat("a", 8<<10+1)),
			session.ErrSessionMalformed, "sessionCookie"},
		{"a cookie that is an object", export(t, `"`+cookie+`"`, `{}`), session.ErrSessionMalformed,
			"sessionCookie"},
		{"wallets in a list", export(t, `{"w-sol":{"id":"w-sol"`, `[{"w-sol":{"id":"w-sol"`,
			`}},"currentWalletIds"`, `}}],"currentWalletIds"`), session.ErrSessionMalformed,
			"wallets"},
		{"a wallet that is a string", export(t, `"wallets":{`, `"wallets":{"w":"w",`),
			session.ErrSessionMalformed, "wallets"},
		{"a wallet with two IDs", export(t, `{"id":"w-evm"`, `{"id":"w-other"`),
			session.ErrSessionMalformed, "two IDs"},
		{"a wallet without a name, and with an ID", export(t, `"w-evm":{`, `"":{`),
			session.ErrSessionMalformed, "wallets: a wallet with two IDs"},
		{"a key share that is an object", export(t, `"canary-share-1"`,
			`{"share":"canary-share-1"}`), session.ErrSessionMalformed, "wallets"},
		{"current wallets in a list", export(t, `{"SOLANA":["w-sol"],"EVM":["w-evm"]}`,
			`["w-sol"]`), session.ErrSessionMalformed, "currentWalletIds"},
		{"an authInfo that is a string", export(t,
			`"authInfo":{"auth":{"email":"email@example.com"},"authType":"email",`+
				`"identifier":"email@example.com"}`, `"authInfo":"email"`),
			session.ErrSessionMalformed, "authInfo"},
		{"a mode that is a word", export(t, `"authType":"email"`,
			`"externalWallet":{"withVerification":"no"}`), session.ErrSessionMalformed,
			"authInfo: not true or false"},
	} {
		c, _ := fake(t, says(500, ""))
		s, err := c.Import(tc.exported)
		e := is(t, err, tc.want)
		if s != nil || !errors.Is(err, session.ErrSessionMalformed) || !e.Refused() ||
			e.Status != 0 {
			t.Errorf("%s: %v with %v", tc.name, s, err)
		}
		if !strings.Contains(err.Error(), tc.hint) {
			t.Errorf("%s: error does not contain %q: %v", tc.name, tc.hint, err)
		}
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "victim") {
			t.Errorf("%s: error quotes the session: %v", tc.name, err)
		}
	}
}

func TestExportSizeIsBounded(t *testing.T) {
	c, _ := fake(t, says(500, ""))
	fill := func(bytes int) string { // an export of so many bytes, in base64
		missing := bytes/4*3 - base64.StdEncoding.DecodedLen(len(export(t, `"userId"`,
			`"x":"","userId"`))) + 2
		for pad := missing; pad > missing-4; pad-- {
			if e := export(t, `"userId"`, `"x":"`+strings.Repeat("a",
				pad)+`","userId"`); len(e) == bytes {
				return e
			}
		}
		t.Fatal("no export has this size")
		return ""
	}
	importSession(t, c, fill(1<<20))
	for _, tooLarge := range []string{fill(1<<20 + 4), strings.Repeat("A", 10<<20)} {
		// Import allocates only the error. 100 runs average out the
		// allocations of other goroutines.
		n := testing.AllocsPerRun(100, func() {
			_, err := c.Import(tooLarge)
			is(t, err, session.ErrSessionMalformed)
		})
		if n > 20 {
			t.Errorf("%d bytes: %v allocations", len(tooLarge), n)
		}
	}
}

func TestUnknownMembersAreDropped(t *testing.T) {
	c, _ := fake(t, says(500, ""))
	s := importSession(t, c, export(t,
		`"userId"`,
		`"enclaveJwt":"canary-secret","loginEncryptionKeyPair":`+
			`{"privateKey":"canary-secret"},"userId"`,
		`"type":"SOLANA"`,
		`"type":"SOLANA","backupKey":"canary-secret","partner":{"id":"p",`+
			`"wallets":[{"signer":"canary-secret"}]}`,
		`{"email":`,
		`{"code":"canary-secret","email":`,
		`"authType":"email"`,
		`"authType":"email","session":"canary-secret"`,
	))
	text := decoded(t, exportOf(t, s))
	for _, secret := range []string{"canary-secret", "canary-share", "signer"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is kept: %s", secret, text)
		}
	}
	// Members that only describe a wallet may have any type.
	importSession(t, c, export(t, `"type":"SOLANA"`,
		`"type":"SOLANA","createdAt":1745877709,"name":{},"lastUsedAt":null,`+
			`"pregenIdentifier":[1]`))
}

func exportOf(t testing.TB, s *session.Session) string {
	t.Helper()
	return s.Export()
}

func decoded(t testing.TB, exported string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(exported)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestKeySharesAreDroppedByDefault(t *testing.T) {
	var log testkit.Log
	para := shared()
	c := newClient(t, para, func(cfg *session.Config) { cfg.Logger = log.Logger() })

	dropped := importSession(t, c, export(t))
	if text := fmt.Sprint(log.Take()); !dropped.SignersDropped() ||
		!strings.Contains(text, "key shares") || testkit.Leaks(text, "canary") != nil {
		t.Errorf("dropped is %v, log is %s", dropped.SignersDropped(), text)
	}
	if text := decoded(t, exportOf(t, dropped)); strings.Contains(text, "canary-share") ||
		strings.Contains(text, "signer") {
		t.Errorf("the export has key shares: %s", text)
	}

	kept := importSession(t, c, export(t), session.KeepSignersThisServerCannotUse())
	if lines := log.Take(); kept.SignersDropped() || lines != nil {
		t.Errorf("dropped is %v, log is %v", kept.SignersDropped(), lines)
	}
	back := content(t, exportOf(t, kept))["wallets"].(map[string]any)
	for id, share := range map[string]string{"w-sol": "canary-share-1", "w-evm": "canary-share-2"} {
		if got := back[id].(map[string]any)["signer"]; got != share {
			t.Errorf("%s has %v", id, got)
		}
	}

	// The key share of an external wallet is empty, so nothing is dropped.
	none := importSession(t, c, export(t, `"canary-share-1"`, `""`, `"canary-share-2"`, `null`))
	if none.SignersDropped() || log.Take() != nil {
		t.Error("something was dropped")
	}
}

func TestExportEqualsImport(t *testing.T) {
	c, _ := fake(t, says(500, ""))
	original := export(t)
	back := exportOf(t, importSession(t, c, original, session.KeepSignersThisServerCannotUse()))
	want, got := content(t, original), content(t, back)
	if ours := got["parajwt"]; !reflect.DeepEqual(
		ours,
		map[string]any{"environment": "beta", "url": "https://api.beta.getpara.com"},
	) {
		t.Errorf("origin is %v", ours)
	}
	delete(got, "parajwt")
	if !maps.EqualFunc(got, want, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	// The order matters, because Para's SDK signs with the first wallet.
	if text := decoded(t, back); strings.Index(text, `"SOLANA":[`) > strings.Index(text,
		`"EVM":[`) ||
		strings.Index(text, `"w-sol":{`) > strings.Index(text, `"w-evm":{`) {
		t.Errorf("the order is lost: %s", text)
	}
	again := exportOf(t, importSession(t, c, back, session.KeepSignersThisServerCannotUse()))
	if again != back {
		t.Error("an export of an export differs")
	}

	para := shared()
	c = newClient(t, para)
	for kind, user := range paratest.Users() {
		for mode, opts := range map[string][]paratest.LoginOption{"": nil,
			" verified": {paratest.Verification()}, " connected": {paratest.ConnectionOnly()}} {
			if mode != "" && kind != "External Wallet" {
				continue
			}
			s := importSession(t, c, para.Login(user, opts...).Exported(),
				session.KeepSignersThisServerCannotUse())
			once := exportOf(t, s)
			s2 := importSession(t, c, once, session.KeepSignersThisServerCannotUse())
			if exportOf(t, s2) != once || s2.Mode() != s.Mode() || s2.UserID() != s.UserID() {
				t.Errorf("%s%s: the second export differs", kind, mode)
			}
		}
	}
}

func TestSessionOfAnotherEnvironment(t *testing.T) {
	client := func(env jwks.Environment) *session.Client {
		c, err := session.New(session.Config{Environment: env, APIKey: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ofBeta := exportOf(t, importSession(t, client(jwks.Beta),
		export(t, "canary-share-1", "", "canary-share-2", "")))
	for _, env := range []jwks.Environment{jwks.Prod, jwks.Sandbox,
		{Name: "beta", URL: "https://api.example.com"}, {Name: "prod", URL: jwks.Beta.URL}} {
		_, err := client(env).Import(ofBeta)
		if e := is(t, err, session.ErrSessionEnvironment); !strings.Contains(e.Hint, `"beta"`) ||
			errors.Is(err, session.ErrSessionMalformed) ||
			!e.Refused() {
			t.Errorf("%s: %v", env.Name, err)
		}
	}
	importSession(t, client(jwks.Beta), ofBeta)

	// An export of Para's SDK names no environment, so Para refuses the
	// session.
	here, there := shared(), paratest.New(t, paratest.Config{})
	s := importSession(t, newClient(t, here), there.Login(paratest.EmailUser()).Exported())
	if active, err := s.IsActive(t.Context()); active || err != nil {
		t.Errorf("active %v, %v", active, err)
	}
}
