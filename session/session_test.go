package session_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func TestSessionExpiresUnlessExtended(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	c := newClient(t, para)
	ctx := t.Context()
	for kind, user := range paratest.Users() {
		login := para.Login(user)
		s := importSession(t, c, login.Exported())
		if active, err := s.IsActive(ctx); !active || err != nil {
			t.Fatalf("%s: active %v, %v", kind, active, err)
		}
		token, err := s.VerificationToken(ctx)
		if err != nil || token.Reveal() != login.VerificationToken() {
			t.Errorf("%s: verification token: %v", kind, err)
		}
		if id, err := c.VerifyToken(ctx, token.Reveal()); err != nil ||
			id.Identifier != user.Identifier {
			t.Errorf("%s: %#v, %v", kind, id, err)
		}
		clock.Advance(29 * time.Minute)
		if err := s.KeepAlive(ctx); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		clock.Advance(29 * time.Minute)
		if active, err := s.IsActive(ctx); !active || err != nil {
			t.Errorf("%s: active %v, %v after it was extended", kind, active, err)
		}
		clock.Advance(time.Minute)
		if active, err := s.IsActive(ctx); active || err != nil {
			t.Errorf("%s: active %v, %v after its time", kind, active, err)
		}
		is(t, s.KeepAlive(ctx), session.ErrSessionExpired)
		_, err = s.IssueJWT(ctx)
		is(t, err, session.ErrSessionExpired)
		_, err = s.VerificationToken(ctx)
		is(t, err, session.ErrSessionExpired)
	}
}

func TestIssuedJWTIsValid(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	validator, err := middleware.New(
		middleware.Config{
			Environment: para.Environment(),
			APIKeyIDs:   []string{para.APIKeyID()},
			Now:         clock.Now,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer validator.Close()
	c := newClient(t, para)
	for kind, want := range paratest.Users() {
		s := importSession(t, c, para.Login(want).Exported())
		jwt, err := s.IssueJWT(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		user, err := validator.Validate(t.Context(), jwt.Token.Reveal())
		if err != nil || user.UserID != want.UserID || user.Identifier != want.Identifier ||
			user.KeyID != jwt.KeyID || len(user.Wallets) != len(want.Wallets) {
			t.Errorf("%s: %v, %v", kind, user, err)
		}
	}
}

func TestModeOfAnExport(t *testing.T) {
	const (
		external = `"externalWallets":{"0xE":{"id":"0xE","type":"EVM","address":"0xE",` +
			`"name":"MetaMask","isExternal":true,"signer":""}}`
		byWallet = `"authInfo":{"auth":{"externalWalletAddress":"0xE"},` +
			`"authType":"externalWallet","identifier":"0xE",` +
			`"externalWallet":{"address":"0xE",FLAGS}}`
		byEmail = `"authInfo":{"auth":{"email":"email@example.com"},"authType":"email",` +
			`"identifier":"email@example.com"}`
	)
	cut := func(s, from, to string) string {
		i := strings.Index(s, from)
		return s[i : i+strings.Index(s[i:], to)]
	}
	text := decoded(t, export(t))
	wallets, user := cut(text, `"wallets"`, `,"currentWalletIds"`),
		cut(text, `"userId"`, `,"wallets"`)
	onlyExternal := `"wallets":{"0xE":{"id":"0xE","isExternal":true}}`
	c, _ := fake(t, says(500, ""))
	for _, tc := range []struct {
		name  string
		edits []string
		want  session.Mode
	}{
		{"email", nil, session.ModeNone},
		{"email, and a connected wallet", []string{`"externalWallets":{}`, external},
			session.ModeNone},
		{"full authentication", []string{byEmail,
			strings.Replace(byWallet, "FLAGS", `"withFullParaAuth":true`, 1),
			`"externalWallets":{}`, external}, session.ModeAuthenticated},
		{"both flags", []string{byEmail, strings.Replace(byWallet, "FLAGS",
			`"withFullParaAuth":true,"withVerification":true`, 1), `"externalWallets":{}`,
			external}, session.ModeAuthenticated},
		{"verification", []string{byEmail, strings.Replace(byWallet, "FLAGS",
			`"withVerification":true`, 1), `"externalWallets":{}`, external},
			session.ModeVerification},
		{"an email user with a wallet's flag",
			[]string{byEmail, strings.Replace(byWallet, "FLAGS", `"withVerification":true`, 1),
				`"auth":{`, `"auth":{"email":"e",`}, session.ModeNone},
		{"connected, no user", []string{byEmail + ",", ``, user + ",", ``, wallets, `"wallets":{}`,
			`"externalWallets":{}`, external}, session.ModeConnectionOnly},
		{"connected, only external wallets", []string{byEmail + ",", ``, user + ",", ``, wallets,
			onlyExternal, `"externalWallets":{}`, external}, session.ModeConnectionOnly},
		{"connected, the SDK's ID for no user",
			[]string{user, `"userId":"EXTERNAL_WALLET_CONNECTION_ONLY"`, wallets, `"wallets":{}`,
				`"externalWallets":{}`, external}, session.ModeConnectionOnly},
		// Para's SDK reports this session as active without a call.
		{"connected, and a user ID", []string{wallets, `"wallets":{}`, `"externalWallets":{}`,
			external}, session.ModeNone},
	} {
		s := importSession(t, c, export(t, tc.edits...))
		if s.Mode() != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, s.Mode(), tc.want)
		}
		if s.Mode() == session.ModeConnectionOnly &&
			(s.UserID() != "" || s.AuthType() != "" || s.Identifier() != "") {
			t.Errorf("%s: a user is logged in: %v", tc.name, s)
		}
	}
	// An export without a user and an external wallet is malformed.
	_, err := c.Import(export(t, byEmail+",", ``, user+",", ``, wallets, `"wallets":{}`))
	is(t, err, session.ErrSessionMalformed)
	// An export with embedded wallets needs a user.
	_, err = c.Import(export(t, byEmail+",", ``, user+",", ``, `"externalWallets":{}`, external))
	is(t, err, session.ErrSessionMalformed)
}

func TestExternalWalletModes(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	ctx := t.Context()
	user := paratest.ExternalWalletUser()
	second := "0x1111111111111111111111111111111111111111"
	user.ConnectedWallets = append(user.ConnectedWallets,
		claims.ConnectedWallet{Type: claims.WalletEVM, Address: second})

	login := para.Login(user, paratest.Verification())
	s := importSession(t, c, login.Exported())
	if s.Mode() != session.ModeVerification || len(s.ExternalWallets()) != 2 {
		t.Fatalf("%v with %v", s, s.ExternalWallets())
	}
	for _, step := range []struct {
		verify string
		want   bool
	}{{"", false}, {"0xNOT-IN-THE-SESSION", false}, {user.Identifier, false},
		{strings.ToUpper(second), false}, {second, true}} {
		if step.verify != "" {
			login.VerifyExternalWallet(step.verify)
		}
		if active, err := s.IsActive(ctx); active != step.want || err != nil {
			t.Errorf("with %q: active %v, %v", step.verify, active, err)
		}
	}
	token, err := s.VerificationToken(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := c.VerifyToken(ctx, token.Reveal()); err != nil ||
		id.AuthType != claims.AuthExternalWallet {
		t.Errorf("%#v, %v", id, err)
	}
	login.Expire()
	if active, err := s.IsActive(ctx); active || err != nil {
		t.Errorf("active %v, %v after it ended", active, err)
	}

	// No user is logged in, and no call is made.
	touches := para.Calls("POST /touch")
	s = importSession(t, c, para.Login(user, paratest.ConnectionOnly()).Exported())
	active, err := s.IsActive(ctx)
	if e := is(t, err, session.ErrNotLoggedIn); active || s.UserID() != "" || !e.Refused() {
		t.Errorf("active %v as %q", active, s.UserID())
	}
	is(t, s.KeepAlive(ctx), session.ErrNotLoggedIn)
	_, err = s.IssueJWT(ctx)
	is(t, err, session.ErrNotLoggedIn)
	_, err = s.VerificationToken(ctx)
	is(t, err, session.ErrNotLoggedIn)
	if n := para.Calls("POST /touch") - touches; n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestForgedExternalAddressIsNotVerified checks that a session is not active if
// the client replaced the address of a verified external wallet.
func TestForgedExternalAddressIsNotVerified(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	user := paratest.ExternalWalletUser()
	login := para.Login(user, paratest.Verification())
	login.VerifyExternalWallet(user.Identifier)
	exported := decoded(t, login.Exported())
	forged := strings.ReplaceAll(exported, `"address":"`+user.Identifier+`"`,
		`"address":"0xV1C71M"`)
	if forged == exported {
		t.Fatal("the export is unchanged")
	}
	for text, want := range map[string]bool{exported: true, forged: false} {
		s := importSession(t, c, encode(text))
		if active, err := s.IsActive(t.Context()); active != want || err != nil {
			t.Errorf("with %v: got %t, %v", s.ExternalWallets(), active, err)
		}
	}
}

func TestForgedExportIsRefused(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	mine, victim := paratest.EmailUser(), paratest.EmailUser()
	victim.UserID = "11111111-1111-4111-8111-111111111111"
	raw := decoded(t, para.Login(mine).Exported())
	forged := importSession(t, c, encode(strings.ReplaceAll(raw, mine.UserID, victim.UserID)))
	if forged.UserID() != victim.UserID {
		t.Fatal("the export is unchanged")
	}
	active, err := forged.IsActive(t.Context())
	if e := is(t, err, session.ErrOtherUser); active || !e.Refused() {
		t.Errorf("active %v, %v", active, err)
	}
	is(t, forged.KeepAlive(t.Context()), session.ErrSessionExpired)
	_, err = forged.VerificationToken(t.Context())
	is(t, err, session.ErrOtherUser)

	// Para's SDK makes no call for an export with external wallets only.
	for _, trick := range []string{`"externalWallets":{"0xE":{"id":"0xE","isExternal":true}}`,
		`"externalWallets":{"0xE":{"id":"0xE","isExternal":true,` +
			`"isExternalConnectionOnly":true}}`} {
		s := importSession(t, c, encode(`{"userId":"`+victim.UserID+`","wallets":{},`+
			`"currentWalletIds":{},"sessionCookie":"made-up",`+trick+`}`))
		if active, err := s.IsActive(t.Context()); active || err != nil {
			t.Errorf("active %v, %v", active, err)
		}
	}
	// ModeVerification without external wallets is not active.
	login := para.Login(paratest.ExternalWalletUser(), paratest.Verification())
	text := decoded(t, login.Exported())
	i := strings.Index(text, `"externalWallets":{`)
	j := i + strings.Index(text[i:], "}}")
	s := importSession(t, c, encode(text[:i]+`"externalWallets":{}`+text[j+2:]))
	if active, err := s.IsActive(t.Context()); s.Mode() != session.ModeVerification || active ||
		err != nil {
		t.Errorf("%s: active %v, %v", s.Mode(), active, err)
	}
}

func TestResponsesToTouch(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		active     bool
		want       session.Code // "" means no error
	}{
		{"active", touch(), true, ""},
		{"not", touch(`"isAuthenticated":true`, `"isAuthenticated":false`), false, ""},
		{"not, by null", touch(`"isAuthenticated":true`, `"isAuthenticated":null`), false, ""},
		{"not, by absence", touch(`"isAuthenticated":true,`, ``), false, ""},
		{"no user", `{"partnerId":"p-1"}`, false, ""},
		{"another user", touch(userID, "11111111-1111-4111-8111-111111111111"), false,
			session.ErrOtherUser},
		{"an unknown user", touch(`"userId":"`+userID+`",`, ``), false,
			session.ErrUnexpectedAnswer},
		{"an unknown API key", touch(`"partnerId":"p-1",`, ``), false, session.ErrUnauthorizedKey},
		{"a string for a Boolean", touch(`"isAuthenticated":true`, `"isAuthenticated":"false"`),
			false, session.ErrUnexpectedAnswer},
		{"a page", "<html>", false, session.ErrUnexpectedAnswer},
		{"nothing", "", false, session.ErrUnexpectedAnswer},
	} {
		c, _ := fake(t, says(200, tc.body))
		active, err := importSession(t, c, export(t)).IsActive(t.Context())
		if active != tc.active {
			t.Errorf("%s: active %v", tc.name, active)
		}
		if tc.want == "" && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if tc.want != "" {
			is(t, err, tc.want)
		}
	}
	for _, status := range []int{401, 403} {
		c, _ := fake(t, says(status, `{"message":"origin not authorized"}`))
		active, err := importSession(t, c, export(t)).IsActive(t.Context())
		if is(t, err, session.ErrUnauthorizedKey); active {
			t.Errorf("%d: active", status)
		}
	}
	c, _ := fake(t, says(200, touch(`"sessionLookupId":"lookup-1",`, ``)))
	_, err := importSession(t, c, export(t)).VerificationToken(t.Context())
	is(t, err, session.ErrUnexpectedAnswer)
	for _, body := range []string{`{}`, `{"token":"","keyId":"k"}`, `{"token":"not a token"}`,
		`{"token":null}`, `<html>`} {
		c, _ = fake(t, says(200, body))
		jwt, err := importSession(t, c, export(t)).IssueJWT(t.Context())
		if is(t, err, session.ErrUnexpectedAnswer); jwt.Token.Reveal() != "" {
			t.Errorf("%q: a token was returned", body)
		}
	}
	c, _ = fake(t, says(200, "<html>Sign in to the hotel's network"))
	is(t, importSession(t, c, export(t)).KeepAlive(t.Context()), session.ErrUnexpectedAnswer)
	for _, status := range []int{401, 403} {
		for then, want := range map[string]session.Code{
			touch(): session.ErrSessionExpired, `{}`: session.ErrUnauthorizedKey,
		} {
			c, _ = fake(t, says(status, ""), says(200, then))
			is(t, importSession(t, c, export(t)).KeepAlive(t.Context()), want)
			c, _ = fake(t, says(status, ""), says(200, then))
			_, err := importSession(t, c, export(t)).IssueJWT(t.Context())
			is(t, err, want)
		}
		// A 401 or 403 to /touch is about the API key, because Para answers
		// /touch of anonymous callers with 200.
		c, _ = fake(t, says(status, ""))
		is(t, importSession(t, c, export(t)).KeepAlive(t.Context()), session.ErrUnauthorizedKey)
	}
}

func cookieOf(t testing.TB, s *session.Session) string {
	t.Helper()
	return content(t, exportOf(t, s))["sessionCookie"].(string)
}

func TestRefreshedCookieIsKept(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	login := para.Login(paratest.EmailUser())
	s := importSession(t, c, login.Exported())
	before := cookieOf(t, s)
	login.RefreshCookie()
	if active, err := s.IsActive(t.Context()); !active || err != nil {
		t.Fatal(active, err)
	}
	after := cookieOf(t, s)
	if after == before {
		t.Fatal("the cookie was not refreshed")
	}
	if active, err := s.IsActive(t.Context()); !active || err != nil { // which uses it
		t.Fatal(active, err)
	}
	if active, err := importSession(t, c, login.Exported()).IsActive(t.Context()); !active ||
		err != nil ||
		content(t, login.Exported())["sessionCookie"] != after {
		t.Errorf("active %v, %v", active, err)
	}
}

func TestOnlyCookiesOfGoodResponsesAreKept(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		keeps  bool
	}{
		{"a good answer", says(200, touch(), "X-Capsule-Sid", "fresh"), true},
		{"an anonymous answer", says(200, touch(`"isAuthenticated":true`,
			`"isAuthenticated":false`), "X-Capsule-Sid", "anonymous"), false},
		{"another user", says(200, touch(userID, "other"), "X-Capsule-Sid", "fresh"), false},
		{"no API key", says(200, `{}`, "X-Capsule-Sid", "fresh"), false},
		{"a page", says(200, `<html>`, "X-Capsule-Sid", "fresh"), false},
		{"a refusal", says(403, ``, "X-Capsule-Sid", "fresh"), false},
		{"an empty one", says(200, touch(), "X-Capsule-Sid", ""), false},
		{"a whole line", says(200, touch(), "X-Capsule-Sid", "fresh; Path=/; HttpOnly"), true},
		{"spaces", says(200, touch(), "X-Capsule-Sid", "  "), false},
		{"a control character", says(200, touch(), "X-Capsule-Sid", "fresh\tfresh"), false},
		{"a huge one", says(200, touch(), "X-Capsule-Sid", strings.Repeat("a", 8<<10+1)), false},
	} {
		c, _ := fake(t, tc.answer)
		s := importSession(t, c, export(t))
		s.IsActive(t.Context())
		if got := cookieOf(t, s); strings.HasPrefix(got, "fresh") != tc.keeps ||
			!tc.keeps && got != cookie {
			t.Errorf("%s: cookie is %s", tc.name, got)
		}
	}
}

// TestCookiesOfConcurrentCalls checks two concurrent calls with one cookie. A
// late response does not overwrite a newer cookie. A call that is refused for
// an old cookie is repeated with the new one.
func TestCookiesOfConcurrentCalls(t *testing.T) {
	late := make(chan struct{})
	c, para := fake(t,
		func(r *http.Request) (*http.Response, error) {
			<-late
			return says(200, touch(), "X-Capsule-Sid", "late")(r)
		},
		says(200, `{}`, "X-Capsule-Sid", "second"), says(200, `{}`, "X-Capsule-Sid", "third"))
	s := importSession(t, c, export(t))
	var wg sync.WaitGroup
	wg.Go(func() { s.IsActive(t.Context()) })
	for para.calls() == 0 { // until the first call is in progress
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		if err := s.KeepAlive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(late)
	wg.Wait()
	if got := cookieOf(t, s); got != "third" {
		t.Errorf("cookie is %s", got)
	}

	refuse := make(chan struct{})
	c, para = fake(t,
		func(r *http.Request) (*http.Response, error) {
			<-refuse
			return says(401, ``)(r)
		},
		says(200, touch(), "X-Capsule-Sid", "second"), says(200, `{"token":"a.b.c","keyId":"k"}`))
	s = importSession(t, c, export(t))
	var err error
	wg.Go(func() { _, err = s.IssueJWT(t.Context()) })
	for para.calls() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := s.IsActive(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(refuse)
	wg.Wait()
	if err != nil || para.requests[2].Header.Get("X-Capsule-Sid") != "second" {
		t.Errorf("%v after %d calls", err, para.calls())
	}
	// A refusal of the newest cookie is final.
	c, para = fake(t, says(401, ``), says(200, `{"partnerId":"p-1"}`))
	_, err = importSession(t, c, export(t)).IssueJWT(t.Context())
	is(t, err, session.ErrSessionExpired)
	if got := len(para.requests); got != 2 || para.requests[1].URL.Path != "/touch" {
		t.Errorf("%d calls", got) // the second call, /touch, checks the API key
	}
}

func TestConcurrentSessions(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	var wg sync.WaitGroup
	for i := range 16 {
		user := paratest.EmailUser()
		user.UserID, user.Identifier = "user-"+string(rune('a'+i)),
			"user-"+string(rune('a'+i))+"@example.com"
		login := para.Login(user)
		s := importSession(t, c, login.Exported())
		expired := i%4 == 0
		if expired {
			login.Expire()
		} else if i%4 == 1 {
			login.RefreshCookie()
		}
		for range 4 {
			wg.Go(func() {
				active, err := s.IsActive(t.Context())
				if active == expired || err != nil {
					t.Errorf("%s: active %v, %v", user.UserID, active, err)
				}
				if err := s.KeepAlive(t.Context()); (err != nil) != expired {
					t.Errorf("%s: %v", user.UserID, err)
				}
				token, err := s.VerificationToken(t.Context())
				if (err != nil) != expired {
					t.Errorf("%s: %v", user.UserID, err)
				}
				if id, err := c.VerifyToken(t.Context(), token.Reveal()); !expired &&
					(err != nil || id.Identifier != user.Identifier) {
					t.Errorf("%s: %#v, %v", user.UserID, id, err)
				}
				exportOf(t, s)
				_ = s.Wallets()
			})
		}
	}
	wg.Wait()
}

func TestRefused(t *testing.T) {
	for code, refused := range map[session.Code]bool{
		session.ErrSessionExpired: true, session.ErrOtherUser: true, session.ErrNotAToken: true,
		session.ErrSessionMalformed: true, session.ErrSessionEnvironment: true,
		session.ErrNotLoggedIn: true,
		session.ErrUnavailable: false, session.ErrUnexpectedAnswer: false,
		session.ErrUnauthorizedKey: false, session.ErrNoAPIKey: false,
		session.ErrWalletNotFound: false, session.ErrNotAnAddress: false,
	} {
		e := &session.Error{Code: code}
		if e.Refused() != refused || !strings.HasPrefix(e.Error(), "session: ") ||
			!errors.Is(e, code) {
			t.Errorf("%v: Refused is %v", e, e.Refused())
		}
	}
}
