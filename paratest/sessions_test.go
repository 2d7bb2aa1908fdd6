package paratest_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/paratest"
)

// post sends a request to Para. Headers are pairs of name and value. They
// override the headers that Para's SDK sends.
func post(
	t testing.TB, method, url, body string, headers ...string,
) (int, map[string]any, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s answered %q", method, url, text)
	}
	return res.StatusCode, answer, res.Header
}

func exported(t testing.TB, text string) map[string]any {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var session map[string]any
	if err := json.Unmarshal(raw, &session); err != nil {
		t.Fatal(err)
	}
	return session
}

func cookieOf(t testing.TB, s *paratest.Session) string {
	t.Helper()
	return exported(t, s.Exported())["sessionCookie"].(string)
}

func TestTheSecretKeysEndpoints(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	login := para.Login(paratest.EmailUser())
	ended := para.Login(paratest.PhoneUser())
	ended.Expire()
	token := func(s string) string { return `{"verificationToken":"` + s + `"}` }
	address := func(s string) string { return `{"address":"` + s + `"}` }
	for _, tc := range []struct {
		name, path, key, media, body string
		status                       int
	}{
		{"a token", "/sessions/verify", para.SecretAPIKey(), "application/json",
			token(login.VerificationToken()), 200},
		{"an expired session's", "/sessions/verify", para.SecretAPIKey(), "application/json",
			token(ended.VerificationToken()), 403},
		{"nobody's", "/sessions/verify", para.SecretAPIKey(), "application/json", token("nobody"),
			403},
		{"an empty one", "/sessions/verify", para.SecretAPIKey(), "application/json", token(""),
			403},
		{"the publishable key", "/sessions/verify", para.APIKey(), "application/json",
			token(login.VerificationToken()), 403},
		{"no key", "/sessions/verify", "", "application/json", token(login.VerificationToken()),
			401},
		{"no JSON", "/sessions/verify", para.SecretAPIKey(), "application/json",
			"verificationToken", 400},
		{"a form", "/sessions/verify", para.SecretAPIKey(), "application/x-www-form-urlencoded",
			token(login.VerificationToken()), 400},
		{"a wallet", "/wallets/verify", para.SecretAPIKey(), "application/json",
			address(strings.ToUpper(paratest.EVMAddress)), 200},
		{"another wallet", "/wallets/verify", para.SecretAPIKey(), "application/json",
			address("0x1"), 404},
		{"no wallet", "/wallets/verify", para.SecretAPIKey(), "application/json", address(""), 404},
		{"the publishable key", "/wallets/verify", para.APIKey(), "application/json",
			address(paratest.EVMAddress), 403},
	} {
		status, answer, _ := post(t, "POST", para.URL()+tc.path, tc.body, "X-External-API-Key",
			tc.key, "Content-Type", tc.media)
		if status != tc.status {
			t.Errorf("%s: %s answered %d", tc.path, tc.name, status)
		}
		switch {
		case status == 200 && tc.path == "/sessions/verify":
			if answer["authType"] != "email" || answer["identifier"] != "email@example.com" ||
				answer["oAuthMethod"] != "google" || len(answer) != 3 {
				t.Errorf("%s: the response is %v", tc.name, answer)
			}
		case status == 200:
			if answer["walletId"] != paratest.EmailUser().Wallets[0].ID || len(answer) != 1 {
				t.Errorf("%s: the response is %v", tc.name, answer)
			}
		}
	}
	if n := para.Calls("POST /sessions/verify"); n != 8 {
		t.Errorf("%d calls were counted", n)
	}
	if para.SecretAPIKey() == para.APIKey() || len(para.APIKey()) != len("dev_")+32 ||
		!strings.HasPrefix(para.APIKey(), "dev_") {
		t.Error("Para's SDK would refuse the API keys")
	}
}

func TestASessionsEndpoints(t *testing.T) {
	now := newClock()
	para := paratest.New(t, paratest.Config{Now: now.Now, SessionLength: time.Hour})
	login, other := para.Login(paratest.EmailUser()), para.Login(paratest.PhoneUser())
	keepAlive := "/users/" + paratest.UserID + "/session/keep-alive"
	ask := func(s *paratest.Session, method, path, body string) (int, map[string]any) {
		status, answer, _ := post(t, method, para.URL()+path, body, "X-External-API-Key",
			para.APIKey(), "X-Capsule-Sid", cookieOf(t, s))
		return status, answer
	}
	status, answer := ask(login, "POST", "/touch?regenerate=false", "")
	if status != 200 || answer["isAuthenticated"] != true || answer["userId"] != paratest.UserID ||
		answer["sessionLookupId"] != login.VerificationToken() ||
		answer["partnerId"] != paratest.PartnerID ||
		answer["verifiedExternalWalletAddresses"] != nil {
		t.Errorf("/touch answered %d %v", status, answer)
	}
	if status, answer := ask(login, "GET", "/partners/"+paratest.PartnerID, ""); status != 200 ||
		answer["partner"].(map[string]any)["id"] != paratest.PartnerID {
		t.Errorf("/partners answered %d %v", status, answer)
	}
	if status, _ := ask(login, "GET", "/partners/other", ""); status != 404 {
		t.Errorf("another partner: %d", status)
	}
	for index, want := range []int{200, 200, 400} {
		status, answer := ask(login, "POST", "/auth/jwt",
			`{"keyIndex":`+string(rune('0'+index))+`}`)
		if status != want {
			t.Errorf("/auth/jwt responded with %d to index %d", status, index)
		}
		if ids := para.KeyIDs(); want == 200 && answer["keyId"] != ids[len(ids)-1-index] {
			t.Errorf("index %d is %v of %v", index, answer["keyId"], ids)
		}
	}
	if status, _ := ask(login, "POST", "/auth/jwt", `{"keyIndex":-1}`); status != 400 {
		t.Errorf("a negative index: %d", status)
	}

	// Keep-alive and issuing a token extend a session, and /touch does not.
	now.Advance(59 * time.Minute)
	if status, _ := ask(login, "POST", keepAlive, ""); status != 200 {
		t.Errorf("keep-alive answered %d", status)
	}
	if status, _ := ask(other, "POST", "/touch", ""); status != 200 || !other.Active() {
		t.Error("the other session ended too early")
	}
	now.Advance(time.Minute)
	if other.Active() || !login.Active() {
		t.Errorf("active: the extended one %v, the other %v", login.Active(), other.Active())
	}
	status, answer = ask(other, "POST", "/touch", "")
	if status != 200 || answer["isAuthenticated"] != false || answer["userId"] != nil ||
		answer["sessionLookupId"] == other.VerificationToken() {
		t.Errorf("/touch answered %d %v", status, answer)
	}
	for _, call := range []struct{ path, body string }{{keepAlive, ""}, {"/auth/jwt", `{}`}} {
		if status, _ := ask(other, "POST", call.path, call.body); status != 401 {
			t.Errorf("%s responded with %d to an expired session", call.path, status)
		}
	}
	// Another user's session does not extend this user's.
	status, _ = ask(login, "POST", "/users/somebody-else/session/keep-alive", "")
	if status != 403 {
		t.Errorf("keep-alive responded with %d for another user", status)
	}
	// If the API key is wrong, /touch omits the partner, as Para's SDK expects.
	for _, key := range []string{"", "wrong", para.SecretAPIKey()} {
		headers := []string{"X-External-API-Key", key, "X-Capsule-Sid", cookieOf(t, login)}
		status, answer, _ := post(t, "POST", para.URL()+"/touch", "", headers...)
		if status != 200 || answer["partnerId"] != nil || answer["isAuthenticated"] != false ||
			answer["userId"] != nil {
			t.Errorf("key %.5q: /touch answered %d %v", key, status, answer)
		}
		for _, path := range []string{keepAlive, "/auth/jwt"} {
			if status, _, _ := post(t, "POST", para.URL()+path, "{}", headers...); status != 401 {
				t.Errorf("key %.5q: %s answered %d", key, path, status)
			}
		}
		status, _, _ = post(t, "GET", para.URL()+"/partners/"+paratest.PartnerID, "", headers...)
		if status != 401 {
			t.Errorf("key %.5q: /partners answered %d", key, status)
		}
	}
}

func TestCookies(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	login := para.Login(paratest.EmailUser())
	touch := func(cookie string) (authenticated any, refreshed string) {
		_, answer, header := post(t, "POST", para.URL()+"/touch", "", "X-External-API-Key",
			para.APIKey(), "X-Capsule-Sid", cookie)
		return answer["isAuthenticated"], header.Get("X-Capsule-Sid")
	}
	first := cookieOf(t, login)
	form := regexp.MustCompile(`^capsule\.sid=s%3A` +
		`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[\w%]+; Path=/; ` +
		`Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT; HttpOnly; Secure; SameSite=None$`)
	if !form.MatchString(first) {
		t.Errorf("cookie is %q", first)
	}
	pair, _, _ := strings.Cut(first, ";")
	if ok, _ := touch(pair); ok != true {
		t.Error("a cookie without its attributes is not accepted")
	}
	if ok, refreshed := touch(first); ok != true || refreshed != "" {
		t.Errorf("authenticated %v, refreshed %q", ok, refreshed)
	}
	login.RefreshCookie()
	login.RefreshCookie() // replaces the first new cookie
	_, second := touch(first)
	if second == "" || second == first {
		t.Fatal("not refreshed")
	}
	if ok, _ := touch(first); ok != true { // the client may not have received the new cookie
		t.Error("the old cookie ended before the new one was used")
	}
	if ok, refreshed := touch(second); ok != true || refreshed != "" ||
		cookieOf(t, login) != second {
		t.Errorf("authenticated %v, refreshed %q", ok, refreshed)
	}
	if ok, anonymous := touch(first); ok != false || anonymous == "" || anonymous == second {
		t.Errorf("with the old cookie: authenticated %v", ok)
	}
	if ok, anonymous := touch(""); ok != false || anonymous == "" {
		t.Errorf("without a cookie: authenticated %v", ok)
	}
}

func TestExportsAreAsParasSDKWritesThem(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for kind, user := range paratest.Users() {
		login := para.Login(user)
		with, without := exported(t, login.Exported()), exported(t, login.ExportedWithoutSigners())
		info := with["authInfo"].(map[string]any)
		if with["userId"] != user.UserID || info["authType"] != string(user.AuthType) ||
			info["identifier"] != user.Identifier || len(info["auth"].(map[string]any)) != 1 {
			t.Errorf("%s: %v", kind, with)
		}
		for id, w := range with["wallets"].(map[string]any) {
			share := w.(map[string]any)["signer"]
			if text, _ := share.(string); !strings.HasPrefix(text, "paratest key share ") {
				t.Errorf("%s: key share %v", kind, share)
			}
			wallet := without["wallets"].(map[string]any)[id].(map[string]any)
			if _, there := wallet["signer"]; there {
				t.Errorf("%s: an export without signers contains a key share", kind)
			}
		}
	}
	user := paratest.ExternalWalletUser()
	verified, connected := para.Login(user, paratest.Verification()),
		para.Login(user, paratest.ConnectionOnly())
	if s := exported(t, verified.Exported()); len(s["wallets"].(map[string]any)) != 0 ||
		len(s["externalWallets"].(map[string]any)) != 1 || s["userId"] != user.UserID {
		t.Errorf("verification: %v", s)
	}
	if s := exported(t, connected.Exported()); s["userId"] != nil || s["authInfo"] != nil ||
		len(s["externalWallets"].(map[string]any)) != 1 {
		t.Errorf("connection only: %v", s)
	}
	addresses := func() any {
		_, answer, _ := post(t, "POST", para.URL()+"/touch", "", "X-External-API-Key",
			para.APIKey(), "X-Capsule-Sid", cookieOf(t, verified))
		return answer["verifiedExternalWalletAddresses"]
	}
	jwt := func(s *paratest.Session) int {
		status, _, _ := post(t, "POST", para.URL()+"/auth/jwt", "{}", "X-External-API-Key",
			para.APIKey(), "X-Capsule-Sid", cookieOf(t, s))
		return status
	}
	if got := addresses().([]any); len(got) != 0 || jwt(verified) != 403 || jwt(connected) != 403 {
		t.Errorf("before the wallet is verified: %v", got)
	}
	verified.VerifyExternalWallet(user.Identifier)
	if got := addresses().([]any); !slices.Equal(got, []any{user.Identifier}) ||
		jwt(verified) != 200 {
		t.Errorf("verified addresses are %v", got)
	}
	if user.Wallets == nil || len(paratest.ExternalWalletUser().Wallets) == 0 {
		t.Error("a login changed the caller's user")
	}
}

func TestLogout(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	login := para.Login(paratest.EmailUser())
	logout := func(headers ...string) {
		t.Helper()
		if status, _, _ := post(t, "GET", para.URL()+"/logout", "", headers...); status != 200 {
			t.Errorf("answered %d", status)
		}
	}
	if logout("X-External-API-Key", para.APIKey()); !login.Active() {
		t.Error("a logout without a session ended one")
	}
	logout("X-External-API-Key", para.APIKey(), "X-Capsule-Sid", cookieOf(t, login))
	if login.Active() {
		t.Error("still logged in")
	}
}

func TestManyUsersAtOnce(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			user := paratest.EmailUser()
			user.UserID, user.Identifier = "user-"+string(rune('0'+i)),
				string(rune('0'+i))+"@example.com"
			user.Wallets = []claims.Wallet{{ID: user.UserID + "-wallet", Type: claims.WalletEVM,
				Address: user.UserID + "-address"}}
			login := para.Login(user)
			login.RefreshCookie()
			_, answer, _ := post(t, "POST", para.URL()+"/touch", "", "X-External-API-Key",
				para.APIKey(), "X-Capsule-Sid", cookieOf(t, login))
			if answer["userId"] != user.UserID {
				t.Errorf("%s is %v", user.UserID, answer["userId"])
			}
			_, answer, _ = post(t, "POST", para.URL()+"/sessions/verify",
				`{"verificationToken":"`+login.VerificationToken()+`"}`, "X-External-API-Key",
				para.SecretAPIKey())
			if answer["identifier"] != user.Identifier {
				t.Errorf("%s is %v", user.UserID, answer["identifier"])
			}
			_, answer, _ = post(t, "POST", para.URL()+"/wallets/verify",
				`{"address":"`+user.UserID+`-address"}`, "X-External-API-Key", para.SecretAPIKey())
			if answer["walletId"] != user.UserID+"-wallet" {
				t.Errorf("%s owns %v", user.UserID, answer["walletId"])
			}
			login.Expire()
			if login.Active() {
				t.Errorf("%s is still active", user.UserID)
			}
		})
	}
	wg.Wait()
}

func TestFaultsAreOfAllEndpoints(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Fail(503)
	req, err := http.NewRequestWithContext(t.Context(), "POST", para.URL()+"/touch", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 503 || para.Calls("POST /touch") != 1 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	para.Recover()
	if n := para.Calls("POST /sessions/verify"); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}
