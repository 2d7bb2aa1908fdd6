package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

var _ middleware.TokenVerifier = (*session.TokenVerifier)(nil)

func newTokens(t testing.TB, c *session.Client,
	cfg session.TokenVerifierConfig) *session.TokenVerifier {
	t.Helper()
	v, err := c.TokenVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestClaimsOfVerificationTokens(t *testing.T) {
	para := shared()
	v := newTokens(t, newClient(t, para), session.TokenVerifierConfig{})
	for kind, user := range paratest.Users() {
		got, err := v.VerifyVerificationToken(t.Context(), para.Login(user).VerificationToken())
		if err != nil {
			t.Fatal(err)
		}
		want := &claims.Claims{
			AuthType: user.AuthType, Identifier: user.Identifier, OAuthMethod: user.OAuthMethod,
			Environment: "paratest",
			Email:       user.Email, Phone: user.Phone, TelegramUserID: user.TelegramUserID,
			FarcasterUsername:     user.FarcasterUsername,
			ExternalWalletAddress: user.ExternalWalletAddress,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v", kind, got)
		}
	}
	c, _ := fake(t, says(200, `{"authType":"starship","identifier":"a"}`))
	got, err := newTokens(t, c, session.TokenVerifierConfig{}).VerifyVerificationToken(t.Context(),
		"vt")
	if want := (&claims.Claims{AuthType: "starship", Identifier: "a",
		Environment: "beta"}); err != nil ||
		!reflect.DeepEqual(got, want) {
		t.Errorf("%#v, %v", got, err)
	}
}

func TestAcceptedTokensAreCachedForTTL(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{SessionLength: time.Hour, Now: clock.Now})
	c := newClient(t, para, func(cfg *session.Config) { cfg.Now = clock.Now })
	v := newTokens(t, c, session.TokenVerifierConfig{})
	login := para.Login(paratest.EmailUser())
	ask := func(wantCalls int) (*claims.Claims, error) {
		t.Helper()
		user, err := v.VerifyVerificationToken(t.Context(), login.VerificationToken())
		if n := para.Calls("POST /sessions/verify"); n != wantCalls {
			t.Fatalf("%d calls, want %d", n, wantCalls)
		}
		if (user == nil) == (err == nil) {
			t.Fatalf("%v with %v", user, err)
		}
		return user, err
	}
	first, _ := ask(1)
	for range 100 {
		if again, _ := ask(1); again != first {
			t.Fatal("another user")
		}
	}
	clock.Advance(30*time.Second - 1)
	ask(1)
	clock.Advance(1)
	ask(2) // use does not extend the TTL
	clock.Advance(-time.Minute)
	ask(3) // an answer from the future is not used

	login.Expire()
	ask(3) // accepted until the TTL ends
	clock.Advance(30 * time.Second)
	for n := 4; n < 7; n++ { // a refusal is cached for 5 seconds
		for range 3 {
			_, err := ask(n)
			is(t, err, session.ErrSessionExpired)
		}
		clock.Advance(5*time.Second - 1)
		ask(n)
		clock.Advance(1)
	}
}

func TestNegativeTTLDisablesTheCache(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	v := newTokens(t, newClient(t, para), session.TokenVerifierConfig{TTL: -1})
	login := para.Login(paratest.EmailUser())
	for n := 1; n < 4; n++ {
		if _, err := v.VerifyVerificationToken(t.Context(),
			login.VerificationToken()); err != nil ||
			para.Calls("POST /sessions/verify") != n {
			t.Errorf("%v after %d calls", err, para.Calls("POST /sessions/verify"))
		}
	}
}

func TestEntriesAreBounded(t *testing.T) {
	c, para := fake(t, says(200, verified))
	v := newTokens(t, c, session.TokenVerifierConfig{Entries: 2})
	for _, step := range []struct {
		token string
		calls int
	}{{"a", 1}, {"b", 2}, {"a", 2}, {"b", 2}, {"c", 3}, {"c", 3}, {"b", 3}, {"a", 4}, {"c", 4},
		{"b", 5}} {
		if _, err := v.VerifyVerificationToken(t.Context(), step.token); err != nil ||
			para.calls() != step.calls {
			t.Fatalf("%s: %v after %d calls, want %d", step.token, err, para.calls(), step.calls)
		}
	}
}

func TestCacheComparesWholeTokens(t *testing.T) {
	c, para := fake(t, says(200, verified))
	v := newTokens(t, c, session.TokenVerifierConfig{})
	long := strings.Repeat("a", 1024)
	for i, token := range []string{"a", "A", "aa", long, long[1:], long[:1023] + "b"} {
		if _, err := v.VerifyVerificationToken(t.Context(), token); err != nil ||
			para.calls() != i+1 {
			t.Errorf("token %d: %v after %d calls", i, err, para.calls())
		}
	}
	for _, bad := range []string{"", " a", long + "a"} {
		_, err := v.VerifyVerificationToken(t.Context(), bad)
		is(t, err, session.ErrNotAToken)
	}
}

func TestConcurrentCallsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
				return says(200, verified)(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		v := newTokens(t, c, session.TokenVerifierConfig{})
		gone, goAway := context.WithCancelCause(t.Context())
		reason := errors.New("the browser has gone")
		var wg sync.WaitGroup
		wg.Go(func() { // the first caller leaves, and the others get the answer
			_, err := v.VerifyVerificationToken(gone, "vt")
			if is(t, err, session.ErrUnavailable); !errors.Is(err, reason) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				if _, err := v.VerifyVerificationToken(t.Context(), "vt"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		goAway(reason)
		wg.Wait()
		if n := para.calls(); n != 1 {
			t.Errorf("%d calls", n)
		}

		// The call is cancelled if no caller waits. The next caller starts a
		// new call.
		c, para = fake(t, hangs, says(200, verified))
		v = newTokens(t, c, session.TokenVerifierConfig{})
		gone, goAway = context.WithCancelCause(t.Context())
		began := time.Now()
		wg.Go(func() { v.VerifyVerificationToken(gone, "vt") })
		wg.Go(func() { v.VerifyVerificationToken(gone, "vt") })
		synctest.Wait()
		goAway(reason)
		synctest.Wait()
		wg.Wait()
		if err := para.requests[0].Context().Err(); err == nil || time.Since(began) != 0 {
			t.Error("the call continues although no caller waits")
		}
		if _, err := v.VerifyVerificationToken(t.Context(), "vt"); err != nil || para.calls() != 2 {
			t.Errorf("%v after %d calls", err, para.calls())
		}
	})
}

func TestGraceDuringAnOutage(t *testing.T) {
	for name, outage := range map[string]func(*http.Request) (*http.Response,
		error){"503": says(503, ""), "a page": says(200, "<html>"), "a hang": hangs} {
		synctest.Test(t, func(t *testing.T) {
			para := says(200, verified)
			f := &fakePara{answers: []func(*http.Request) (*http.Response, error){
				func(r *http.Request) (*http.Response, error) { return para(r) },
			}}
			var log testkit.Log
			c, err := session.New(
				session.Config{
					Environment:  jwks.Beta,
					SecretAPIKey: session.NewSecret("k"),
					HTTPClient:   &http.Client{Transport: f},
					Logger:       log.Logger(),
					Timeout:      time.Second,
				},
			)
			if err != nil {
				t.Fatal(err)
			}
			v := newTokens(t, c, session.TokenVerifierConfig{TTL: time.Minute, Grace: time.Hour})
			without := newTokens(t, c, session.TokenVerifierConfig{TTL: time.Minute})
			ask := func(v *session.TokenVerifier, token string) error {
				_, err := v.VerifyVerificationToken(t.Context(), token)
				return err
			}
			unknown := func(err error) {
				t.Helper()
				var e *session.Error
				if !errors.As(err, &e) || e.Refused() {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, token := range []string{"good", "ended"} {
				if err := errors.Join(ask(v, token), ask(without, token)); err != nil {
					t.Fatal(err)
				}
			}
			learned := time.Now()
			time.Sleep(time.Minute)
			para = outage
			if err := ask(v, "good"); err != nil || log.With("last answer") == nil {
				t.Errorf("%s: %v; log is %v", name, err, log.Take())
			}
			unknown(ask(without, "good"))
			unknown(ask(v, "never-seen-before"))
			time.Sleep(time.Until(learned.Add(time.Hour)))
			if err := ask(v, "good"); err != nil {
				t.Errorf("%s: %v", name, err)
			}

			// A refusal ends the grace.
			para = says(403, "")
			is(t, ask(v, "ended"), session.ErrSessionExpired)
			para = outage
			time.Sleep(5 * time.Second)
			unknown(ask(v, "ended"))

			time.Sleep(time.Until(learned.Add(time.Hour + time.Minute)))
			unknown(ask(v, "good"))
		})
	}
}

func TestTokenVerifierConfig(t *testing.T) {
	c, _ := fake(t, says(200, verified))
	for _, bad := range []session.TokenVerifierConfig{
		{TTL: time.Millisecond}, {TTL: 5*time.Minute + 1}, {Grace: -1}, {Grace: time.Hour + 1},
		{TTL: -1, Grace: time.Minute},
		{Entries: -1}, {Entries: 1_000_001},
	} {
		if v, err := c.TokenVerifier(bad); err == nil || v != nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	noSecret, err := session.New(session.Config{Environment: jwks.Beta, APIKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = noSecret.TokenVerifier(session.TokenVerifierConfig{TTL: 1, Grace: -1, Entries: -1})
	for _, want := range []string{"SecretAPIKey", "TTL", "Grace", "Entries"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not contain %s: %v", want, err)
		}
	}
	newTokens(t, c, session.TokenVerifierConfig{TTL: time.Second, Grace: time.Hour, Entries: 1})
}

// TestTokenVerifierBehindAGuard checks that a token that Para refuses is
// refused with 401, and that any other failure is 503.
func TestTokenVerifierBehindAGuard(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	quiet := slog.New(slog.DiscardHandler)
	validator, err := middleware.New(
		middleware.Config{
			Environment: para.Environment(),
			APIKeyIDs:   []string{para.APIKeyID()},
			Logger:      quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer validator.Close()
	c := newClient(t, para)
	guard := parahttp.Require(validator, middleware.AcceptVerificationTokensWithoutUserID(
		newTokens(t, c, session.TokenVerifierConfig{TTL: -1}),
		middleware.FromHeader("X-Para-Verification-Token")))
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		w.Header().Set("User", user.Email+" "+user.UserID)
	}))
	login := para.Login(paratest.EmailUser())
	ask := func(token string) *http.Response {
		r, _ := http.NewRequest("GET", "/", nil)
		if token != "" {
			r.Header.Set("X-Para-Verification-Token", token)
		}
		return serve(handler, r)
	}
	if res := ask(login.VerificationToken()); res.StatusCode != 200 ||
		res.Header.Get("User") != "email@example.com " {
		t.Errorf("a good token: %d %v", res.StatusCode, res.Header)
	}
	if res := ask(""); res.StatusCode != 401 {
		t.Errorf("no token: %d", res.StatusCode)
	}
	if res := ask("junk"); res.StatusCode != 401 {
		t.Errorf("junk: %d", res.StatusCode)
	}
	if res := ask(strings.Repeat("a", 2000)); res.StatusCode != 401 {
		t.Errorf("too long: %d", res.StatusCode)
	}
	para.Fail(500)
	if res := ask(login.VerificationToken()); res.StatusCode != 503 {
		t.Errorf("in an outage: %d", res.StatusCode)
	}
	para.Recover()
	login.Expire()
	if res := ask(login.VerificationToken()); res.StatusCode != 401 {
		t.Errorf("an expired session: %d", res.StatusCode)
	}
}

// TestRotatedSecretKeyLogsNobodyOut checks the response of a guard, and its log
// line, if Para refuses the server's API key or IP address.
func TestRotatedSecretKeyLogsNobodyOut(t *testing.T) {
	for _, tc := range []struct {
		answer int
		body   string
		status int
		level  string
		code   string
	}{
		{403, `{"message":"invalid secret api key"}`, 503, "ERROR", "session_unknown"},
		{401, `{"message":"secret api key not provided"}`, 503, "ERROR", "session_unknown"},
		{401, `{"message":"Unauthorized"}`, 503, "ERROR", "session_unknown"},
		{403, `{"message":"Forbidden"}`, 401, "DEBUG", "session_expired"},
	} {
		var log testkit.Log
		validator, err := middleware.New(middleware.Config{
			Environment: jwks.Beta, APIKeyIDs: []string{paratest.APIKeyID}, Logger: log.Logger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer validator.Close()
		c, _ := fake(t, says(tc.answer, tc.body))
		guard := parahttp.Require(validator, middleware.AcceptVerificationTokensWithoutUserID(
			newTokens(t, c, session.TokenVerifierConfig{}), middleware.FromHeader("X-Token")))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Token", "vt-canary")
		res := serve(guard(http.NotFoundHandler()), r)
		lines := log.Take()
		text := fmt.Sprint(lines)
		retry := res.Header.Get("Retry-After") != ""
		if res.StatusCode != tc.status || retry != (tc.status == 503) ||
			len(lines) != 1 || lines[0]["level"] != tc.level || !strings.Contains(text, tc.code) {
			t.Errorf("%d %s: %d, %s", tc.answer, tc.body, res.StatusCode, text)
		}
		hint := strings.Contains(text, "wrong or was rotated, or this server's IP address")
		if hint != (tc.status == 503) {
			t.Errorf("%d %s: logged %s", tc.answer, tc.body, text)
		}
		if found := testkit.Leaks(text, "canary"); found != nil {
			t.Errorf("%q is in %s", found, text)
		}
	}
}

// TestNilTokenVerifierRefuses checks the verifier of a program that ignored the
// error of Client.TokenVerifier.
func TestNilTokenVerifierRefuses(t *testing.T) {
	var v *session.TokenVerifier
	user, err := v.VerifyVerificationToken(t.Context(), "vt")
	if is(t, err, session.ErrNoAPIKey); user != nil {
		t.Errorf("got %v", user)
	}
}

// TestTTLCountsFromTheStartOfTheCall checks a call that takes 4 seconds, with a
// TTL of 5 seconds.
func TestTTLCountsFromTheStartOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, func(r *http.Request) (*http.Response, error) {
			time.Sleep(4 * time.Second)
			return says(200, `{"authType":"email","identifier":"a@example.com"}`)(r)
		}, says(403, `{}`))
		v := newTokens(t, c, session.TokenVerifierConfig{TTL: 5 * time.Second})
		if _, err := v.VerifyVerificationToken(t.Context(), "vt"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(900 * time.Millisecond)
		if _, err := v.VerifyVerificationToken(t.Context(), "vt"); err != nil || para.calls() != 1 {
			t.Fatalf("after 4.9 s: %v, %d calls", err, para.calls())
		}
		time.Sleep(100 * time.Millisecond)
		_, err := v.VerifyVerificationToken(t.Context(), "vt")
		is(t, err, session.ErrSessionExpired)
	})
}
