package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func TestNewReportsEveryMistakeWithoutQuotingKeys(t *testing.T) {
	_, err := session.New(session.Config{
		SecretAPIKey: session.NewSecret("beta_canary canary"), APIKey: "canary\n",
		BaseURL: "http://para.example.com", Timeout: time.Hour,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Environment is not set", "SecretAPIKey has white space",
		"APIKey has white space", "BaseURL", "not https", "Timeout is 1h0m0s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not contain %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("error quotes a key: %v", err)
	}
}

func TestNewChecksKeysAndEnvironment(t *testing.T) {
	loopback := jwks.Environment{Name: "local", URL: "http://localhost:8080"}
	named := jwks.Environment{Name: "BETA", URL: "https://para.example.com/keys.json"}
	custom := jwks.Environment{Name: "mirror", URL: "https://para.example.com/keys.json"}
	const secret, key = "11111111111111111111111111111111", "22222222222222222222222222222222"
	for _, tc := range []struct {
		name string
		cfg  session.Config
		want string // part of the error; "" means no error
	}{
		{"both keys without a prefix", session.Config{Environment: jwks.Prod,
			SecretAPIKey: session.NewSecret(secret), APIKey: key}, ""},
		{"the secret key alone", session.Config{Environment: jwks.Prod,
			SecretAPIKey: session.NewSecret("prod_" + secret)}, ""},
		{"the publishable key alone", session.Config{Environment: jwks.Beta, APIKey: "BETA_" + key},
			""},
		{"no key", session.Config{Environment: jwks.Beta}, "neither SecretAPIKey nor APIKey"},
		{"one key twice", session.Config{Environment: jwks.Beta,
			SecretAPIKey: session.NewSecret(key), APIKey: key}, "are the same"},
		{"a beta key at prod", session.Config{Environment: jwks.Prod, APIKey: "beta_" + key},
			"APIKey is a key of beta, and Environment is prod"},
		{"a prod secret at beta", session.Config{Environment: jwks.Beta,
			SecretAPIKey: session.NewSecret("prod_" + key)},
			"SecretAPIKey is a key of prod, and Environment is beta"},
		{"a dev key at sandbox", session.Config{Environment: jwks.Sandbox, APIKey: "dev_" + key},
			"APIKey is a key of dev"},
		{"a dev key on loopback", session.Config{Environment: loopback, APIKey: "dev_" + key}, ""},
		{"a dev key on a loopback that is named beta",
			session.Config{Environment: jwks.Environment{Name: "beta", URL: "http://[::1]:8080"},
				APIKey: "dev_" + key}, ""},
		{"a beta key on loopback", session.Config{Environment: loopback, APIKey: "beta_" + key},
			""},
		{"a prod key at an environment named beta", session.Config{Environment: named,
			APIKey: "prod_" + key}, "Environment is beta"},
		{"any key in an unknown environment",
			session.Config{Environment: custom, APIKey: "prod_" + key}, ""},
		{"a secret key without an environment", session.Config{Environment: jwks.Prod,
			SecretAPIKey: session.NewSecret("sk_" + secret)}, ""},
		{"a publishable key pk_", session.Config{Environment: jwks.Prod, APIKey: "pk_" + key}, ""},
		{"a secret key as the publishable one",
			session.Config{Environment: jwks.Prod, APIKey: "sk_" + key},
			"APIKey is a secret API key: set the publishable API key"},
		{"a beta secret key as the publishable one",
			session.Config{Environment: jwks.Beta, APIKey: "sk_beta_" + key},
			"APIKey is a secret API key"},
		{"a publishable key as the secret one",
			session.Config{Environment: jwks.Prod, SecretAPIKey: session.NewSecret("pk_" + key)},
			"SecretAPIKey is a publishable API key: set the secret API key"},
		{"a webhook secret", session.Config{Environment: jwks.Prod,
			SecretAPIKey: session.NewSecret("whsec_" + key)}, "SecretAPIKey is a webhook secret"},
		{"a webhook secret as the publishable key",
			session.Config{Environment: jwks.Prod, APIKey: "whsec_" + key},
			"APIKey is a webhook secret"},
		{"a beta secret key", session.Config{Environment: jwks.Beta,
			SecretAPIKey: session.NewSecret("sk_beta_" + key)}, ""},
		{"a beta secret key at prod", session.Config{Environment: jwks.Prod,
			SecretAPIKey: session.NewSecret("sk_beta_" + key)},
			"SecretAPIKey is a key of beta, and Environment is prod"},
		{"a proxy on loopback", session.Config{Environment: jwks.Prod, APIKey: "prod_" + key,
			BaseURL: "http://127.0.0.1:9/para/"}, ""},
		{"a beta key at prod behind a proxy",
			session.Config{Environment: jwks.Prod, APIKey: "beta_" + key,
				BaseURL: "http://127.0.0.1:9/para/"}, "Environment is prod"},
		{"a proxy with a query", session.Config{Environment: jwks.Prod, APIKey: key,
			BaseURL: "https://proxy.example.com/?to=para"}, "BaseURL"},
		{"a proxy with a password", session.Config{Environment: jwks.Prod, APIKey: key,
			BaseURL: "https://u:p@proxy.example.com"}, "BaseURL"},
		{"an environment that is not https", session.Config{Environment: jwks.Environment{Name: "x",
			URL: "http://api.getpara.com"}, APIKey: key}, "not https"},
		{"the shortest timeout", session.Config{Environment: jwks.Prod, APIKey: key,
			Timeout: 100 * time.Millisecond}, ""},
		{"too short a timeout", session.Config{Environment: jwks.Prod, APIKey: key,
			Timeout: time.Millisecond}, "Timeout"},
		{"a negative timeout", session.Config{Environment: jwks.Prod, APIKey: key, Timeout: -1},
			"Timeout"},
	} {
		c, err := session.New(tc.cfg)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: refused: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: error is %v, want one with %q", tc.name, err, tc.want)
		case (c == nil) != (err != nil):
			t.Errorf("%s: client %v with error %v", tc.name, c, err)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("%s: error quotes the key", tc.name)
		}
	}
}

func TestEnvironmentWithoutNameUsesTheHost(t *testing.T) {
	c, err := session.New(
		session.Config{Environment: jwks.Environment{URL: "https://para.example.com"}, APIKey: "k"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c); got != "Para session client for para.example.com" {
		t.Errorf("got %q", got)
	}
}

func TestVerifyTokenOfEveryKindOfUser(t *testing.T) {
	para := shared()
	c := newClient(t, para)
	for kind, user := range paratest.Users() {
		id, err := c.VerifyToken(t.Context(), para.Login(user).VerificationToken())
		want := session.Identity{
			AuthType:    user.AuthType,
			Identifier:  user.Identifier,
			OAuthMethod: user.OAuthMethod,
		}
		if err != nil || id != want {
			t.Errorf("%s: %#v, %v", kind, id, err)
		}
	}
}

func TestVerifyTokenOfEndedSessions(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	c := newClient(t, para)
	ended, old, good := para.Login(paratest.EmailUser()), para.Login(paratest.PhoneUser()),
		para.Login(paratest.TelegramUser())

	ended.Expire()
	_, err := c.VerifyToken(t.Context(), ended.VerificationToken())
	if e := is(t, err, session.ErrSessionExpired); e.Status != http.StatusForbidden ||
		e.Method != "POST" ||
		e.Path != "/sessions/verify" ||
		!e.Refused() {
		t.Errorf("error is %+v", *e)
	}
	if _, err := c.VerifyToken(t.Context(), old.VerificationToken()); err != nil {
		t.Errorf("a session that has not ended: %v", err)
	}
	clock.Advance(29 * time.Minute)
	if err := importSession(t, c, good.Exported()).KeepAlive(t.Context()); err != nil {
		t.Errorf("KeepAlive: %v", err)
	}
	clock.Advance(time.Minute)
	_, err = c.VerifyToken(t.Context(), old.VerificationToken())
	is(t, err, session.ErrSessionExpired)
	if _, err := c.VerifyToken(t.Context(), good.VerificationToken()); err != nil {
		t.Errorf("a session that was extended: %v", err)
	}
	_, err = c.VerifyToken(t.Context(), "nobody-ever-had-this")
	is(t, err, session.ErrSessionExpired)
}

func TestMalformedTokensAndAddressesAreNotSent(t *testing.T) {
	c, para := fake(t, says(200, `{}`))
	for _, bad := range []string{
		"", " ", "a b", "a\r\nX-Evil: 1", "é", strings.Repeat("a", 1025),
	} {
		id, err := c.VerifyToken(t.Context(), bad)
		if e := is(t, err, session.ErrNotAToken); !e.Refused() || id != (session.Identity{}) {
			t.Errorf("%q: %v", bad, e)
		}
		_, err = c.VerifyWallet(t.Context(), bad)
		is(t, err, session.ErrNotAnAddress)
	}
	if n := para.calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestVerifyWallet(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	c := newClient(t, para)
	user := paratest.EmailUser()
	_, err := c.VerifyWallet(t.Context(), paratest.EVMAddress)
	if e := is(t, err, session.ErrWalletNotFound); e.Status != http.StatusNotFound || e.Refused() {
		t.Errorf("error is %+v", *e)
	}
	para.Login(user)
	for _, w := range user.Wallets {
		if id, err := c.VerifyWallet(t.Context(), w.Address); err != nil || id != w.ID {
			t.Errorf("%s: %q, %v", w.Type, id, err)
		}
	}
	_, err = c.VerifyWallet(t.Context(), strings.ToLower(paratest.SolanaAddress))
	if !errors.Is(err, session.ErrWalletNotFound) {
		t.Errorf("a Solana address in another case: %v", err)
	}
}

func TestMissingKeyFailsWithoutACall(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	login := para.Login(paratest.EmailUser())
	noSecret := newClient(t, para,
		func(cfg *session.Config) { cfg.SecretAPIKey = session.Secret{} })
	noPublic := newClient(t, para, func(cfg *session.Config) { cfg.APIKey = "" })

	_, err := noSecret.VerifyToken(t.Context(), login.VerificationToken())
	is(t, err, session.ErrNoAPIKey)
	_, err = noSecret.VerifyWallet(t.Context(), paratest.EVMAddress)
	is(t, err, session.ErrNoAPIKey)
	_, err = noSecret.TokenVerifier(session.TokenVerifierConfig{})
	is(t, err, session.ErrNoAPIKey)

	s := importSession(t, noPublic, login.Exported())
	_, err = s.IsActive(t.Context())
	is(t, err, session.ErrNoAPIKey)
	is(t, s.KeepAlive(t.Context()), session.ErrNoAPIKey)
	_, err = s.IssueJWT(t.Context())
	is(t, err, session.ErrNoAPIKey)
	_, err = s.VerificationToken(t.Context())
	is(t, err, session.ErrNoAPIKey)
	if e := is(t, err, session.ErrNoAPIKey); e.Refused() {
		t.Error("a missing key refuses the login")
	}
	for _, endpoint := range []string{"POST /touch", "POST /sessions/verify",
		"POST /wallets/verify", "POST /auth/jwt"} {
		if n := para.Calls(endpoint); n != 0 {
			t.Errorf("%s was called %d times", endpoint, n)
		}
	}
}

func TestWrongKeyIsNotReportedAsExpiredSession(t *testing.T) {
	para := shared()
	login := para.Login(paratest.EmailUser())
	// The publishable key is used as the secret key, and an unknown key as the
	// publishable key.
	c := newClient(t, para, func(cfg *session.Config) {
		cfg.SecretAPIKey = session.NewSecret(cfg.APIKey)
		cfg.APIKey = "dev_" + strings.Repeat("0", 32)
	})

	_, err := c.VerifyToken(t.Context(), login.VerificationToken())
	if e := is(t, err, session.ErrUnauthorizedKey); e.Status != http.StatusForbidden ||
		e.Refused() ||
		e.Hint == "" {
		t.Errorf("error is %+v", *e)
	}
	_, err = c.VerifyWallet(t.Context(), paratest.EVMAddress)
	is(t, err, session.ErrUnauthorizedKey)
	s := importSession(t, c, login.Exported())
	active, err := s.IsActive(t.Context())
	if e := is(t, err, session.ErrUnauthorizedKey); active || e.Hint == "" {
		t.Errorf("active %v, error %+v", active, *e)
	}
	_, err = s.VerificationToken(t.Context())
	is(t, err, session.ErrUnauthorizedKey)
	is(t, s.KeepAlive(t.Context()), session.ErrUnauthorizedKey)
	jwt, err := s.IssueJWT(t.Context())
	if is(t, err, session.ErrUnauthorizedKey); jwt.Token.Reveal() != "" {
		t.Error("a token was returned")
	}
	// A refusal of the login itself is still reported.
	for _, then := range []func(*http.Request) (*http.Response, error){says(200, `<html>`),
		says(200, touch())} {
		c, _ := fake(t, says(403, ``), then)
		is(t, importSession(t, c, export(t)).KeepAlive(t.Context()), session.ErrSessionExpired)
	}
}

// TestRequestOfEachCall compares the method, URL, header and body of each call
// with those of Para's documentation and SDK.
func TestRequestOfEachCall(t *testing.T) {
	c, para := fake(t, says(200, `{"authType":"email","identifier":"a@b.c"}`),
		says(200, `{"walletId":"w"}`), says(200, touch()), says(200, ``),
		says(200, `{"token":"a.b.c","keyId":"k"}`))
	s := importSession(t, c, export(t))
	ctx := t.Context()
	if _, err := c.VerifyToken(ctx, "vt"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.VerifyWallet(ctx, `0x"1`); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.IsActive(ctx); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := s.KeepAlive(ctx); err != nil {
		t.Fatal(err)
	}
	if jwt, err := s.IssueJWT(ctx); err != nil || jwt.Token.Reveal() != "a.b.c" ||
		jwt.KeyID != "k" {
		t.Fatal(jwt, err)
	}
	secret := http.Header{
		"X-External-Api-Key": {"beta_secret-canary"},
		"Content-Type":       {"application/json"},
	}
	form := http.Header{
		"X-External-Api-Key": {"beta_public-key"},
		"X-Capsule-Sid":      {cookie},
		"X-Para-Version":     {"2.18.0"},
		"Content-Type":       {"application/x-www-form-urlencoded"},
	}
	asJSON := form.Clone()
	asJSON.Set("Content-Type", "application/json")
	want := []struct {
		method, url, body string
		header            http.Header
	}{
		{"POST", "/sessions/verify", `{"verificationToken":"vt"}`, secret},
		{"POST", "/wallets/verify", `{"address":"0x\"1"}`, secret},
		{"POST", "/touch?regenerate=false", "", form},
		{"POST", "/users/" + userID + "/session/keep-alive", "", form},
		{"POST", "/auth/jwt", `{"keyIndex":0}`, asJSON},
	}
	if len(para.requests) != len(want) {
		t.Fatalf("%d requests, want %d", len(para.requests), len(want))
	}
	for i, w := range want {
		r := para.requests[i]
		header := r.Header.Clone()
		for _, usual := range []string{"Accept", "User-Agent"} {
			header.Del(usual)
		}
		if r.Method != w.method || r.URL.String() != "https://api.beta.getpara.com"+w.url ||
			para.bodies[i] != w.body ||
			!reflect.DeepEqual(header, w.header) {
			t.Errorf("request %d is %s %s %q %v", i, r.Method, r.URL, para.bodies[i], header)
		}
	}
}

func TestBaseURLKeepsItsPath(t *testing.T) {
	f := &fakePara{answers: []func(*http.Request) (*http.Response, error){says(404, `{}`)}}
	c, err := session.New(session.Config{
		Environment: jwks.Prod, SecretAPIKey: session.NewSecret("k"),
		BaseURL: "https://proxy.example.com/to%2Fpara/", HTTPClient: &http.Client{Transport: f},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.VerifyWallet(t.Context(), "0x1")
	is(t, err, session.ErrWalletNotFound)
	const want = "https://proxy.example.com/to%2Fpara/wallets/verify"
	if got := f.requests[0].URL.String(); got != want {
		t.Errorf("called %s", got)
	}
}

func TestUnexpectedBodies(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `"email"`, `{}`, `{"authType":"email"}`, `{"identifier":"a@b.c"}`,
		`{"authType":"","identifier":"a"}`,
		`{"authType":"email","identifier":null}`, `{"authType":1,"identifier":"a"}`,
		`{"authType":"email","identifier":"a","oAuthMethod":{}}`,
		`{"authType":"email","identifier":"a"} {}`,
		`{"authType":"email","identifier":"a","identifier":"b"}`,
		`{"authType":"email","identif`,
		"\xef\xbb\xbf{}", "OK", "<html><body>Welcome to the hotel</body></html>",
		" \r\n<!DOCTYPE html>",
	} {
		c, para := fake(t, says(200, body, "Content-Type", "text/html"))
		id, err := c.VerifyToken(t.Context(), "vt")
		e := is(t, err, session.ErrUnexpectedAnswer)
		if e.Status != 200 || e.Refused() || id != (session.Identity{}) || e.Cause == nil {
			t.Errorf("%q: %v with %#v", body, e, id)
		}
		if strings.Contains(err.Error(), "hotel") {
			t.Errorf("error quotes the answer: %v", err)
		}
		if n := para.calls(); n != 1 {
			t.Errorf("%q: %d calls, want no repetition", body, n)
		}
	}
	// Unknown values and members are accepted.
	c, _ := fake(t, says(200,
		`{"authType":"starship","identifier":"a","oAuthMethod":null,"new":{"x":[1]}}`))
	if id, err := c.VerifyToken(t.Context(), "vt"); err != nil ||
		id.AuthType != claims.AuthType("starship") ||
		id.OAuthMethod != "" {
		t.Errorf("%#v, %v", id, err)
	}
	c, _ = fake(t, says(200, `{"walletId":""}`))
	_, err := c.VerifyWallet(t.Context(), "0x1")
	is(t, err, session.ErrUnexpectedAnswer)
}

func TestUndocumentedStatuses(t *testing.T) {
	page := "<!DOCTYPE html><title>Blocked</title>"
	for _, tc := range []struct {
		status int
		body   string
		want   session.Code
	}{
		{201, `{"authType":"email","identifier":"a"}`, session.ErrUnexpectedAnswer},
		{204, ``, session.ErrUnexpectedAnswer},
		{301, ``, session.ErrUnexpectedAnswer},
		{400, `{}`, session.ErrUnexpectedAnswer},
		{401, `{}`, session.ErrUnauthorizedKey},
		{401, page, session.ErrUnexpectedAnswer},
		{403, ``, session.ErrSessionExpired},
		{403, `Session expired`, session.ErrSessionExpired},
		{403, `{"message":"session is no longer valid"}`, session.ErrSessionExpired},
		{403, `{"message":"invalid secret api key"}`, session.ErrUnauthorizedKey},
		{403, `{"message":"Invalid API-Key"}`, session.ErrUnauthorizedKey},
		{403, `{"message":"IP is not on the allow-list"}`, session.ErrUnauthorizedKey},
		{403, `{"reason":"invalid secret api key"}`, session.ErrSessionExpired},
		{403, `{"message":{"api key":1}}`, session.ErrSessionExpired},
		{400, `{"message":"invalid secret api key"}`, session.ErrUnexpectedAnswer},
		{403, page, session.ErrUnexpectedAnswer}, // the page of a firewall
		{404, `{}`, session.ErrUnexpectedAnswer},
		{408, ``, session.ErrUnavailable},
		{418, ``, session.ErrUnexpectedAnswer},
		{500, page, session.ErrUnavailable},
		{503, `{}`, session.ErrUnavailable},
	} {
		synctest.Test(t, func(t *testing.T) { // for the waits between attempts
			c, _ := fake(t, says(tc.status, tc.body))
			_, err := c.VerifyToken(t.Context(), "vt")
			if e := is(t, err, tc.want); e.Status != tc.status {
				t.Errorf("%d: status is %d", tc.status, e.Status)
			}
		})
	}
	c, _ := fake(t, says(404, page))
	_, err := c.VerifyWallet(t.Context(), "0x1")
	is(t, err, session.ErrUnexpectedAnswer)
}
