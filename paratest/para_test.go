package paratest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func newClock() *testkit.Clock { return testkit.NewClock(fixed()) }

// fixed is a clock that only Para.Advance moves.
func fixed() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// patient sets a long timeout, so that fetches succeed on a slow machine.
func patient(cfg *middleware.Config) { cfg.Keys.FetchTimeout = time.Minute }

// expect validates a token twice, because the second verdict may come from the
// token cache.
func expect(t *testing.T, v *middleware.Validator, token string, want error) {
	t.Helper()
	for range 2 {
		c, err := v.Validate(t.Context(), token)
		if !errors.Is(err, want) || (err == nil) != (c != nil) {
			t.Fatalf("got %v, %v; want %v", c, err, want)
		}
	}
}

// options shortens the rows of a table.
func options(opts ...paratest.TokenOption) []paratest.TokenOption { return opts }

func TestTokenOptions(t *testing.T) {
	past := paratest.Lived(-10*time.Minute, 5*time.Minute)
	future := paratest.Lived(10*time.Minute, 5*time.Minute)
	elsewhere := paratest.OtherEnvironmentSameKeyID()
	critical := paratest.WithHeader("crit", []string{"exp"})
	gold := paratest.With("plan", "gold")
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			para := paratest.New(t, paratest.Config{Now: fixed})
			if alg == "ES256" {
				para.RotateES256()
			}
			v := para.Validator(t, patient)
			for _, test := range []struct {
				name string
				opts []paratest.TokenOption
				want error
			}{
				{"none", nil, nil},
				{"Expired", options(paratest.Expired()), middleware.ErrExpired},
				{"Lived, all in the past", options(past), middleware.ErrExpired},
				{"Lived, all in the future", options(future), middleware.ErrNotYetValid},
				{"Lived, now", options(paratest.Lived(-time.Minute, 2*time.Minute)), nil},
				{"ForApp", options(paratest.ForApp("another")), middleware.ErrAudience},
				{"ForApp, this one", options(paratest.ForApp(paratest.APIKeyID)), nil},
				{"OtherEnvironment", options(paratest.OtherEnvironment()),
					middleware.ErrUnknownKey},
				{"OtherEnvironmentSameKeyID", options(elsewhere), middleware.ErrSignature},
				{"UnknownKey", options(paratest.UnknownKey("nobody")), middleware.ErrUnknownKey},
				{"BadSignature", options(paratest.BadSignature()), middleware.ErrSignature},
				{"SignedBy an older key", options(paratest.SignedBy(para.KeyIDs()[0])), nil},
				{"SignedBy, unknown", options(paratest.SignedBy("nobody")), nil},
				{"With, removed", options(paratest.With("exp", nil)), middleware.ErrClaims},
				{"With, of another type", options(paratest.With("exp", "tomorrow")),
					middleware.ErrClaims},
				{"With, an additional claim", options(paratest.With("plan", "gold")), nil},
				{"WithData, removed", options(paratest.WithData("userId", nil)),
					middleware.ErrClaims},
				{"WithData, an additional member", options(paratest.WithData("plan", "gold")), nil},
				{"WithHeader, removed", options(paratest.WithHeader("kid", nil)),
					middleware.ErrMalformed},
				{"WithHeader, a critical parameter", options(critical), middleware.ErrMalformed},
				{"WithHeader, an additional parameter",
					options(paratest.WithHeader("plan", "gold")), nil},
				{"two independent options", options(gold, paratest.Expired()),
					middleware.ErrExpired},
			} {
				t.Run(test.name, func(t *testing.T) {
					expect(t, v, para.Token(paratest.EmailUser(), test.opts...), test.want)
				})
			}
		})
	}
}

func TestWithReachesDecode(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t, patient)
	plan, seats := paratest.With("plan", "gold"), paratest.WithData("seats", 7)
	c, err := v.Validate(t.Context(), para.Token(paratest.EmailUser(), plan, seats))
	if err != nil {
		t.Fatal(err)
	}
	var more struct {
		Plan string `json:"plan"`
		Data struct {
			Seats int `json:"seats"`
		} `json:"data"`
	}
	if err := c.Decode(&more); err != nil || more.Plan != "gold" || more.Data.Seats != 7 {
		t.Errorf("got %+v, %v", more, err)
	}
}

func TestSignRaw(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t, patient)
	header := `{"alg":"RS256","kid":"` + para.KeyIDs()[1] + `"}`
	expect(t, v, para.SignRaw(header, "not JSON"), middleware.ErrMalformed)
	token := para.Token(paratest.EmailUser())
	payload, err := b64.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, para.SignRaw(header, string(payload)), nil)
}

func TestRotateAndWithdraw(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: fixed})
	v := para.Validator(t, patient)
	before := para.KeyIDs()
	if len(before) != 2 {
		t.Fatalf("%d keys at the start, not 2", len(before))
	}
	long := paratest.Lived(0, time.Hour)
	old := para.Token(paratest.EmailUser(), long)
	expect(t, v, old, nil)

	id := para.Rotate()
	if got := para.KeyIDs(); !slices.Equal(got, append(before, id)) {
		t.Errorf("after Rotate: keys %q, want %q and then %q", got, before, id)
	}
	expect(
		t,
		v,
		para.Token(paratest.EmailUser(), long),
		nil,
	) // with the new key, which the validator fetches
	expect(t, v, old, nil)

	para.Withdraw(before...)
	if got := para.KeyIDs(); !slices.Equal(got, []string{id}) {
		t.Errorf("after Withdraw: keys %q, want %q", got, id)
	}
	para.Advance(6 * time.Minute)
	expect(t, v, old, middleware.ErrUnknownKey)
	expect(t, v, para.Token(paratest.EmailUser(), long), nil)
	// SignedBy still signs with a withdrawn key.
	old = para.Token(paratest.EmailUser(), paratest.SignedBy(before[0]))
	expect(t, v, old, middleware.ErrUnknownKey)
}

// If no key is published, no token can be verified. Tokens are still issued.
func TestWithdrawAll(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Withdraw(para.KeyIDs()...)
	if ids := para.KeyIDs(); len(ids) != 0 {
		t.Fatalf("keys %q remain", ids)
	}
	v := para.Validator(t, patient)
	expect(t, v, para.Token(paratest.EmailUser()), middleware.ErrKeysUnavailable)
}

func TestFaults(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: fixed})
	fetch := func(timeout time.Duration) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, para.Environment().URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	const long, short = time.Minute, 20 * time.Millisecond

	para.Slow(time.Hour)
	if status, err := fetch(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Slow: status %d, error %v", status, err)
	}
	para.Slow(time.Millisecond)
	if status, err := fetch(long); status != http.StatusOK {
		t.Errorf("Slow, with a long timeout: status %d, error %v", status, err)
	}
	para.Fail(http.StatusBadGateway)
	if status, err := fetch(long); status != http.StatusBadGateway {
		t.Errorf("Fail: status %d, error %v", status, err)
	}
	para.Recover()
	if status, err := fetch(long); status != http.StatusOK {
		t.Errorf("Recover: status %d, error %v", status, err)
	}
	para.Down()
	if status, err := fetch(long); err == nil {
		t.Errorf("Down: status %d", status)
	}

	// A validator observes the same.
	v := para.Validator(t, patient)
	token := para.Token(paratest.EmailUser())
	expect(t, v, token, middleware.ErrKeysUnavailable)
	para.Recover()
	para.Advance(2 * time.Second) // past the backoff
	expect(t, v, token, nil)
}

func TestFetches(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	if n := para.Fetches(); n != 0 {
		t.Errorf("%d fetches before any", n)
	}
	for i, path := range []string{"/.well-known/jwks.json", "/elsewhere",
		"/.well-known/jwks.json"} {
		if i == 2 {
			para.Fail(http.StatusServiceUnavailable) // failed requests count, too
		}
		res, err := http.Get(para.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if n := para.Fetches(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestKeySet(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.RotateES256()
	res, err := http.Get(para.Environment().URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k["kid"])
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if k[private] != "" {
				t.Errorf("the key set contains the %[2]s of key %[1]s", k["kid"], private)
			}
		}
	}
	if !slices.Equal(ids, para.KeyIDs()) {
		t.Errorf("keys %q, want %q", ids, para.KeyIDs())
	}
	_, usable, err := jwks.FromKeySet(para.Environment(), body).Inspect()
	if err != nil || len(usable) != 3 {
		t.Errorf("usable keys %q, %v", usable, err)
	}
}

func TestDefaults(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	env := para.Environment()
	if env.Name != "paratest" || !strings.HasPrefix(env.URL, "http://127.0.0.1:") ||
		!strings.HasPrefix(env.URL, para.URL()+"/") {
		t.Errorf("environment %+v at %s", env, para.URL())
	}
	if para.APIKeyID() != paratest.APIKeyID {
		t.Errorf("API key ID %q", para.APIKeyID())
	}

	para = paratest.New(
		t,
		paratest.Config{Environment: "beta", APIKeyID: "mine", Addr: "localhost:0"},
	)
	if name := para.Environment().Name; name != "beta" {
		t.Errorf("environment %q", name)
	}
	v := para.Validator(t, patient)
	c, err := v.Validate(t.Context(), para.Token(paratest.EmailUser()))
	if err != nil || c.Environment != "beta" || !slices.Equal(c.Audience, []string{"mine"}) {
		t.Errorf("%v, %v", c, err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		para, err := paratest.Start(paratest.Config{Addr: addr})
		if para != nil || err == nil {
			para.Close()
			t.Errorf("it listens on %s", addr)
		}
	}
	if _, err := paratest.Start(paratest.Config{Addr: "127.0.0.1:none"}); err == nil {
		t.Error("it listens on no port")
	}
}

func TestAllowRemote(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "127.0.0.1:0"} {
		para := paratest.New(t, paratest.Config{Addr: addr, AllowRemote: true})
		if !strings.HasPrefix(para.URL(), "http://127.0.0.1:") {
			t.Errorf("%s: URL %s", addr, para.URL())
		}
		expect(t, para.Validator(t, patient), para.Token(paratest.EmailUser()), nil)
	}
}

func TestAllowedOrigins(t *testing.T) {
	const app = "http://localhost:5173"
	para := paratest.New(t, paratest.Config{AllowedOrigins: []string{app}})
	do := func(method, origin, preflight string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, para.URL()+"/touch", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		if preflight != "" {
			req.Header.Set("Access-Control-Request-Method", "POST")
			req.Header.Set("Access-Control-Request-Headers", preflight)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	res := do("OPTIONS", app, "x-capsule-sid,x-external-api-key")
	if h := res.Header; res.StatusCode != http.StatusNoContent ||
		h.Get("Access-Control-Allow-Origin") != app ||
		h.Get("Access-Control-Allow-Headers") != "x-capsule-sid,x-external-api-key" ||
		h.Get("Access-Control-Allow-Methods") != "GET, POST" {
		t.Errorf("preflight: %d %v", res.StatusCode, h)
	}
	res = do("POST", app, "")
	if h := res.Header; res.StatusCode != http.StatusOK || h.Get("Vary") != "Origin" ||
		h.Get("Access-Control-Allow-Origin") != app ||
		!strings.EqualFold(h.Get("Access-Control-Expose-Headers"), "x-capsule-sid") {
		t.Errorf("request: %d %v", res.StatusCode, h)
	}
	for _, method := range []string{"POST", "OPTIONS"} {
		res = do(method, "http://localhost:5174", "x-capsule-sid")
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s of another origin: %q", method, got)
		}
	}

	for _, origin := range []string{
		"*", "null", "", "localhost:5173", app + "/", "ftp://x", "http://",
	} {
		cfg := paratest.Config{AllowedOrigins: []string{origin}}
		if para, err := paratest.Start(cfg); err == nil {
			para.Close()
			t.Errorf("origin %q is accepted", origin)
		}
	}
}

// A development page stays available while Para is down.
func TestFaultsSpareTheHandler(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "page")
	})
	para := paratest.New(t, paratest.Config{Handler: page})
	para.Down()
	res, err := http.Get(para.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "page" {
		t.Errorf("%q, %v", body, err)
	}
	if res, err := http.Get(para.Environment().URL); err == nil {
		res.Body.Close()
		t.Error("the key set is served")
	}
}

func TestClose(t *testing.T) {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := para.Close(); err != nil {
		t.Error(err)
	}
	if res, err := http.Get(para.Environment().URL); err == nil {
		res.Body.Close()
		t.Error("a closed Para still responds")
	}
}

// failing is a testing.TB that records its failure.
type failing struct {
	testing.TB
	failed   bool
	cleanups int
}

func (f *failing) Helper()        {}
func (f *failing) Fatal(...any)   { f.failed = true; runtime.Goexit() }
func (f *failing) Cleanup(func()) { f.cleanups++ }

func TestNewFailsTheTest(t *testing.T) {
	f := new(failing)
	done := make(chan struct{})
	go func() {
		defer close(done)
		paratest.New(f, paratest.Config{Addr: "0.0.0.0:0"})
	}()
	<-done
	if !f.failed || f.cleanups != 0 {
		t.Errorf("failed %t, cleanups %d", f.failed, f.cleanups)
	}
}

func TestNewClosesAfterTheTest(t *testing.T) {
	var url string
	t.Run("inner", func(t *testing.T) {
		url = paratest.New(t, paratest.Config{}).URL()
	})
	if res, err := http.Get(url); err == nil {
		res.Body.Close()
		t.Error("the Para still responds after its test")
	}
}

func TestWithUser(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	user := paratest.PhoneUser()
	got, ok := claims.FromContext(paratest.WithUser(r, user).Context())
	if !ok || !reflect.DeepEqual(got, user) {
		t.Errorf("got %v, %t", got, ok)
	}
	if _, ok := claims.FromContext(r.Context()); ok {
		t.Error("the request itself was changed")
	}
}

func TestUsersAreNewValues(t *testing.T) {
	for name, u := range paratest.Users() {
		u.Wallets[0].Address = "changed"
		u.UserID = "changed"
		again := paratest.Users()[name]
		if reflect.DeepEqual(u, again) || again.UserID != paratest.UserID {
			t.Errorf("%s: a change affects the next user", name)
		}
	}
}

func TestValidator(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: fixed})
	v := para.Validator(t, patient)
	token := para.Token(paratest.EmailUser())
	expect(t, v, token, nil)
	para.Advance(30*time.Minute + 29*time.Second) // within the leeway
	expect(t, v, token, nil)
	para.Advance(time.Second)
	expect(t, v, token, middleware.ErrExpired)
	para.Advance(-time.Minute)
	expect(t, v, token, nil)
	if want := fixed().Add(29*time.Minute + 30*time.Second); !para.Now().Equal(want) {
		t.Errorf("Now is %v, want %v", para.Now(), want)
	}

	strict := para.Validator(t, patient, func(cfg *middleware.Config) {
		cfg.MaxTokenAge = 10 * time.Minute
	})
	expect(t, strict, token, middleware.ErrExpired)
	expect(t, strict, para.Token(paratest.EmailUser()), nil)
}

func TestValidatorEndsWithItsTest(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var v *middleware.Validator
	t.Run("inner", func(t *testing.T) { v = para.Validator(t) })
	if _, err := v.Validate(t.Context(), para.Token(paratest.EmailUser())); err == nil {
		t.Error("a closed validator fetched the key set")
	}
}

func TestValidatorFailsTheTest(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		para.Validator(f, func(cfg *middleware.Config) { cfg.APIKeyIDs = nil })
	}()
	<-done
	if !f.failed || f.cleanups != 0 {
		t.Errorf("failed %t, cleanups %d", f.failed, f.cleanups)
	}
}

// BenchmarkStart measures a Start that reuses keys. The first ones of a process
// generate them.
func BenchmarkStart(b *testing.B) {
	paratest.New(b, paratest.Config{}).Close()
	for b.Loop() {
		para, err := paratest.Start(paratest.Config{})
		if err != nil {
			b.Fatal(err)
		}
		para.Close()
	}
}
