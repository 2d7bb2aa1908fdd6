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
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// clock is set by hand, so that minutes pass at once.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// newValidator returns a validator for para, which shares its clock.
func newValidator(t *testing.T, para *paratest.Para, now func() time.Time, keys jwks.Config) *middleware.Validator {
	t.Helper()
	keys.FetchTimeout = time.Minute // a busy machine is no outage
	v, err := middleware.New(middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()}, Now: now, Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// expect validates a token twice, because a verdict must not depend on having been given before.
func expect(t *testing.T, v *middleware.Validator, token string, want error) {
	t.Helper()
	for range 2 {
		c, err := v.Validate(t.Context(), token)
		if !errors.Is(err, want) || (err == nil) != (c != nil) {
			t.Fatalf("got %v, %v; want %v", c, err, want)
		}
	}
}

func TestTokenOptions(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			clock := newClock()
			para := paratest.New(t, paratest.Config{Now: clock.Now})
			if alg == "ES256" {
				para.RotateES256()
			}
			v := newValidator(t, para, clock.Now, jwks.Config{})
			for _, test := range []struct {
				name string
				opts []paratest.TokenOption
				want error
			}{
				{"none", nil, nil},
				{"Expired", []paratest.TokenOption{paratest.Expired()}, middleware.ErrExpired},
				{"Lived, all in the past", []paratest.TokenOption{paratest.Lived(-10*time.Minute, 5*time.Minute)}, middleware.ErrExpired},
				{"Lived, all in the future", []paratest.TokenOption{paratest.Lived(10*time.Minute, 5*time.Minute)}, middleware.ErrNotYetValid},
				{"Lived, now", []paratest.TokenOption{paratest.Lived(-time.Minute, 2*time.Minute)}, nil},
				{"ForApp", []paratest.TokenOption{paratest.ForApp("another")}, middleware.ErrAudience},
				{"ForApp, this one", []paratest.TokenOption{paratest.ForApp(paratest.APIKeyID)}, nil},
				{"OtherEnvironment", []paratest.TokenOption{paratest.OtherEnvironment()}, middleware.ErrUnknownKey},
				{"OtherEnvironmentSameKeyID", []paratest.TokenOption{paratest.OtherEnvironmentSameKeyID()}, middleware.ErrSignature},
				{"UnknownKey", []paratest.TokenOption{paratest.UnknownKey("nobody")}, middleware.ErrUnknownKey},
				{"BadSignature", []paratest.TokenOption{paratest.BadSignature()}, middleware.ErrSignature},
				{"SignedBy an older key", []paratest.TokenOption{paratest.SignedBy(para.KeyIDs()[0])}, nil},
				{"SignedBy nobody is signed by the current key", []paratest.TokenOption{paratest.SignedBy("nobody")}, nil},
				{"With, removed", []paratest.TokenOption{paratest.With("exp", nil)}, middleware.ErrClaims},
				{"With, of another type", []paratest.TokenOption{paratest.With("exp", "tomorrow")}, middleware.ErrClaims},
				{"With, beside the known ones", []paratest.TokenOption{paratest.With("plan", "gold")}, nil},
				{"WithData, removed", []paratest.TokenOption{paratest.WithData("userId", nil)}, middleware.ErrClaims},
				{"WithData, beside the known ones", []paratest.TokenOption{paratest.WithData("plan", "gold")}, nil},
				{"WithHeader, removed", []paratest.TokenOption{paratest.WithHeader("kid", nil)}, middleware.ErrMalformed},
				{"WithHeader, of another meaning", []paratest.TokenOption{paratest.WithHeader("crit", []string{"exp"})}, middleware.ErrMalformed},
				{"WithHeader, beside the known ones", []paratest.TokenOption{paratest.WithHeader("plan", "gold")}, nil},
				{"two, each for itself", []paratest.TokenOption{paratest.With("plan", "gold"), paratest.Expired()}, middleware.ErrExpired},
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
	v := newValidator(t, para, nil, jwks.Config{})
	c, err := v.Validate(t.Context(), para.Token(paratest.EmailUser(), paratest.With("plan", "gold"), paratest.WithData("seats", 7)))
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
	v := newValidator(t, para, nil, jwks.Config{})
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
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	v := newValidator(t, para, clock.Now, jwks.Config{})
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
	expect(t, v, para.Token(paratest.EmailUser(), long), nil) // with the new key, known at first sight
	expect(t, v, old, nil)

	para.Withdraw(before...)
	if got := para.KeyIDs(); !slices.Equal(got, []string{id}) {
		t.Errorf("after Withdraw: keys %q, want %q", got, id)
	}
	clock.Advance(6 * time.Minute)
	expect(t, v, old, middleware.ErrUnknownKey)
	expect(t, v, para.Token(paratest.EmailUser(), long), nil)
	// SignedBy still signs with a withdrawn key.
	expect(t, v, para.Token(paratest.EmailUser(), paratest.SignedBy(before[0])), middleware.ErrUnknownKey)
}

// TestWithdrawAll: with no key published there is nothing to verify with, and tokens are still to be
// had for tests of that.
func TestWithdrawAll(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Withdraw(para.KeyIDs()...)
	if ids := para.KeyIDs(); len(ids) != 0 {
		t.Fatalf("keys %q are left", ids)
	}
	v := newValidator(t, para, nil, jwks.Config{})
	expect(t, v, para.Token(paratest.EmailUser()), middleware.ErrKeysUnavailable)
}

func TestFaults(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
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
	const patient, impatient = time.Minute, 20 * time.Millisecond

	para.Slow(time.Hour)
	if status, err := fetch(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Slow: status %d, error %v", status, err)
	}
	para.Slow(time.Millisecond) // a slow answer is an answer
	if status, err := fetch(patient); status != http.StatusOK {
		t.Errorf("Slow, and waited for: status %d, error %v", status, err)
	}
	para.Fail(http.StatusBadGateway)
	if status, err := fetch(patient); status != http.StatusBadGateway {
		t.Errorf("Fail: status %d, error %v", status, err)
	}
	para.Recover()
	if status, err := fetch(patient); status != http.StatusOK {
		t.Errorf("Recover: status %d, error %v", status, err)
	}
	para.Down()
	if status, err := fetch(patient); err == nil {
		t.Errorf("Down: status %d", status)
	}

	// The same, as a validator sees it.
	v := newValidator(t, para, clock.Now, jwks.Config{})
	token := para.Token(paratest.EmailUser())
	expect(t, v, token, middleware.ErrKeysUnavailable)
	para.Recover()
	clock.Advance(2 * time.Second) // its backoff
	expect(t, v, token, nil)
}

func TestFetches(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	if n := para.Fetches(); n != 0 {
		t.Errorf("%d fetches before any", n)
	}
	for i, path := range []string{"/.well-known/jwks.json", "/elsewhere", "/.well-known/jwks.json"} {
		if i == 2 {
			para.Fail(http.StatusServiceUnavailable) // counts as well
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
				t.Errorf("key %s shows its %s", k["kid"], private)
			}
		}
	}
	if !slices.Equal(ids, para.KeyIDs()) {
		t.Errorf("keys %q, want %q", ids, para.KeyIDs())
	}
	_, usable, err := jwks.FromBytes(body).Inspect()
	if err != nil || len(usable) != 3 {
		t.Errorf("usable keys %q, %v", usable, err)
	}
}

func TestDefaults(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	env := para.Environment()
	if env.Name != "paratest" || !strings.HasPrefix(env.URL, "http://127.0.0.1:") || !strings.HasPrefix(env.URL, para.URL()+"/") {
		t.Errorf("environment %+v at %s", env, para.URL())
	}
	if para.APIKeyID() != paratest.APIKeyID {
		t.Errorf("API key ID %q", para.APIKeyID())
	}

	para = paratest.New(t, paratest.Config{Environment: "beta", APIKeyID: "mine", Addr: "localhost:0"})
	if name := para.Environment().Name; name != "beta" {
		t.Errorf("environment %q", name)
	}
	v := newValidator(t, para, nil, jwks.Config{})
	c, err := v.Validate(t.Context(), para.Token(paratest.EmailUser()))
	if err != nil || c.Environment != "beta" || !slices.Equal(c.Audience, []string{"mine"}) {
		t.Errorf("%v, %v", c, err)
	}
}

// TestLoopbackOnly: whoever reaches a Para of this package gets tokens for any user.
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
		t.Error("it still answers")
	}
}

// failing is a testing.TB that remembers.
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
	t.Run("a test of its own", func(t *testing.T) {
		url = paratest.New(t, paratest.Config{}).URL()
	})
	if res, err := http.Get(url); err == nil {
		res.Body.Close()
		t.Error("it outlives its test")
	}
}

func TestWithUser(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	user := paratest.PhoneUser()
	got, ok := claims.FromContext(paratest.WithUser(r, user).Context())
	if !ok || got != user {
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
		if again := paratest.Users()[name]; reflect.DeepEqual(u, again) || again.UserID != paratest.UserID {
			t.Errorf("%s: a change shows in the next one", name)
		}
	}
}
