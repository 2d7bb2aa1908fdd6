package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestNewFetchesNothing checks that New does not fetch keys, so that a program
// starts while Para is down.
func TestNewFetchesNothing(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	newValidator(t, middleware.Config{Environment: para.Environment(), Now: time.Now})
	if n := para.Fetches(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// TestConfigIsCopied checks that changing the caller's slices after New has no
// effect.
func TestConfigIsCopied(t *testing.T) {
	ids, algorithms := []string{"x", paratest.APIKeyID}, []string{"ES256", "RS256"}
	v := newValidator(t, middleware.Config{APIKeyIDs: ids, Algorithms: algorithms})
	ids[1], algorithms[1] = "y", "PS256"
	accepts(t, v, shared().Token(paratest.EmailUser()))
	refuses(t, v, shared().Token(paratest.EmailUser(), paratest.ForApp("y")),
		middleware.ErrAudience)
}

func TestAlgorithms(t *testing.T) {
	rs, es := testkit.RSA(0).Named("rs"), testkit.EC(0).Named("es")
	url, _ := testkit.Serve(t, testkit.SetOf(rs, es))
	for _, test := range []struct {
		allowed []string
		rs, es  bool
	}{
		{nil, true, true},
		{[]string{"RS256"}, true, false},
		{[]string{"ES256"}, false, true},
		{[]string{"PS256", "RS256"}, true, false},
	} {
		v := newValidator(t, middleware.Config{Environment: jwks.Environment{URL: url},
			Algorithms: test.allowed})
		for _, s := range []struct {
			key     testkit.Signer
			allowed bool
		}{{rs, test.rs}, {es, test.es}} {
			if s.allowed {
				accepts(t, v, sign(s.key))
			} else {
				refuses(t, v, sign(s.key), middleware.ErrAlgorithm)
			}
		}
	}
}

// TestTimeLimits checks the limits of exp, iat, nbf and MaxTokenAge to the
// nanosecond.
func TestTimeLimits(t *testing.T) {
	const life, early = 30 * time.Minute, 10 * time.Minute
	token := shared().Token(paratest.EmailUser())
	later := shared().Token(paratest.EmailUser(), paratest.With("nbf", noon.Add(early).Unix()))
	for _, test := range []struct {
		name   string
		cfg    middleware.Config
		leeway time.Duration
		age    time.Duration // the token is refused when it is older
	}{
		{"default", middleware.Config{}, 30 * time.Second, life},
		{"none", middleware.Config{Leeway: -1}, 0, life},
		{"much", middleware.Config{Leeway: 5 * time.Minute}, 5 * time.Minute, life},
		{"old tokens", middleware.Config{MaxTokenAge: 20 * time.Minute}, 30 * time.Second,
			20*time.Minute + 1},
		{"old tokens, no leeway", middleware.Config{MaxTokenAge: 20 * time.Minute,
			Leeway: -time.Hour}, 0, 20*time.Minute + 1},
		{"older than they live", middleware.Config{MaxTokenAge: time.Hour}, 30 * time.Second, life},
	} {
		for _, cacheSize := range []int{0, -1} {
			t.Run(fmt.Sprint(test.name, ", cache ", cacheSize), func(t *testing.T) {
				clock := newClock()
				test.cfg.Now, test.cfg.CacheSize = clock.Now, cacheSize
				v := newValidator(t, test.cfg)
				end := test.age + test.leeway
				for _, at := range []struct {
					from  time.Duration
					token string
					want  error
				}{
					{0, token, nil},
					{end - 1, token, nil},
					{end, token, middleware.ErrExpired},
					{-test.leeway, token, nil},
					{-test.leeway - 1, token, middleware.ErrNotYetValid},
					{early - test.leeway, later, nil},
					{early - test.leeway - 1, later, middleware.ErrNotYetValid},
					{end, later, middleware.ErrExpired},
					{48 * time.Hour, token, middleware.ErrExpired},
					{0, token, nil}, // a verdict depends on the time of its request only
				} {
					clock.Set(noon.Add(at.from))
					for range 2 {
						user, err := v.Validate(t.Context(), at.token)
						if !errors.Is(err, at.want) || (user == nil) != (err != nil) {
							t.Errorf("%v after iat: %v, %v; want %v", at.from, user, err, at.want)
						}
					}
				}
			})
		}
	}
}

// TestMaxTokenBytes checks that a token of exactly this size is accepted.
func TestMaxTokenBytes(t *testing.T) {
	token := shared().Token(paratest.EmailUser())
	accepts(t, newValidator(t, middleware.Config{MaxTokenBytes: len(token)}), token)
	refuses(t, newValidator(t, middleware.Config{MaxTokenBytes: len(token) - 1}), token,
		middleware.ErrMalformed)
}

// TestTimesThatInt64CannotHold checks times after 2262, whose nanoseconds since
// 1970 exceed an int64. An iat that wraps around to now is still in the future.
func TestTimesThatInt64CannotHold(t *testing.T) {
	const wrap = 1 << 64 / 1_000_000_000 // seconds
	const life = 240 * 365 * 24 * time.Hour
	v := newValidator(t, middleware.Config{MaxTokenLife: life})
	token := func(iat, exp int64) string {
		return shared().Token(paratest.EmailUser(), paratest.With("iat", iat),
			paratest.With("exp", exp))
	}
	now := noon.Unix()
	accepts(t, v, token(now, now+int64(life.Seconds())))
	refuses(t, v, token(now+wrap, now+wrap+1800), middleware.ErrNotYetValid)
}

// TestKeysUseTheClock checks that the tokens and the keys use the same clock.
func TestKeysUseTheClock(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: newClock().Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment()})
	accepts(t, v, para.Token(paratest.EmailUser()))
	if at := v.Status().FetchedAt; !at.Equal(noon) {
		t.Errorf("keys were fetched at %v, by the tokens' clock at %v", at, noon)
	}
}

// TestOtherEnvironments checks that the log names the environment of a token
// with an unknown key. The token is still refused.
func TestOtherEnvironments(t *testing.T) {
	prod := paratest.New(t, paratest.Config{Environment: "prod", Now: newClock().Now})
	beta := paratest.New(t, paratest.Config{Environment: "beta", Now: newClock().Now})
	snapshot := func(para *paratest.Para) jwks.Source {
		v := newValidator(t, middleware.Config{Environment: para.Environment()})
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, err := v.Keys().Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		return jwks.FromBytes(text)
	}
	both := []jwks.Source{snapshot(prod), snapshot(beta)}
	asked := beta.Fetches()
	user := paratest.EmailUser()

	var log testkit.Log
	v := newValidator(t, middleware.Config{Environment: prod.Environment(), OtherEnvironments: both,
		Logger: log.Logger()})
	accepts(t, v, prod.Token(user))
	for _, test := range []struct{ name, token, want string }{
		{"of beta", beta.Token(user),
			`the key is known from Para's environment "beta", and this validator is for "prod"`},
		{"of beta's older key", beta.Token(user, paratest.SignedBy(beta.KeyIDs()[0])),
			`the key is known from Para's environment "beta"`},
		{"of no environment", prod.Token(user, paratest.UnknownKey("nobody")),
			`the key set of "prod" has no such key`},
		{"of an environment that is not in OtherEnvironments",
			prod.Token(user, paratest.OtherEnvironment()),
			`the key set of "prod" has no such key`},
	} {
		t.Run(test.name, func(t *testing.T) {
			refusal := refuses(t, v, test.token, middleware.ErrUnknownKey)
			if !strings.Contains(refusal.Hint, test.want) ||
				!strings.Contains(refusal.Error(), test.want) || refusal.Signed {
				t.Errorf("got %v", refusal)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+test.token)
			log.Take()
			middleware.Require(v).Check(r)
			lines := log.Take()
			if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0]["refusal"]), test.want) {
				t.Errorf("logged %v", lines)
			}
		})
	}
	t.Run("its own key, withdrawn", func(t *testing.T) {
		old := prod.KeyIDs()[0]
		prod.Withdraw(old)
		clock := newClock()
		v := newValidator(t, middleware.Config{Environment: prod.Environment(),
			OtherEnvironments: both, Now: clock.Now})
		if refusal := refuses(t, v, prod.Token(user, paratest.SignedBy(old)),
			middleware.ErrUnknownKey); !strings.Contains(refusal.Hint,
			`of "prod" has no such key`) {
			t.Errorf("got %v", refusal)
		}
	})
	if n := beta.Fetches() - asked; n != 0 {
		t.Errorf("%d fetches from beta", n)
	}
}

// TestEnvironmentsAreSeparate checks that two environments in one process stay
// separate, although their keys have the same ID. They validate concurrently.
func TestEnvironmentsAreSeparate(t *testing.T) {
	for _, signer := range []func(i int) testkit.Signer{testkit.RSA, testkit.EC} {
		t.Run(signer(0).Alg(), func(t *testing.T) {
			keys := map[string]testkit.Signer{
				"prod": signer(0).Named("one"), "beta": signer(1).Named("one"),
			}
			validators, tokens := map[string]*middleware.Validator{}, map[string]string{}
			client := &http.Client{} // shared by both
			for name, key := range keys {
				url, _ := testkit.Serve(t, testkit.SetOf(key))
				validators[name] = newValidator(t, middleware.Config{
					Environment: jwks.Environment{Name: name, URL: url},
					Keys:        jwks.Config{HTTPClient: client},
				})
				tokens[name] = sign(key)
			}
			var work sync.WaitGroup
			for range 4 {
				work.Go(func() {
					for range 25 {
						for at, v := range validators {
							for of, token := range tokens {
								user, err := v.Validate(t.Context(), token)
								if at == of && (err != nil || user.Environment != at) ||
									at != of && !errors.Is(err, middleware.ErrSignature) {
									t.Errorf("a token of %s at %s: %v, %v", of, at, user, err)
								}
							}
						}
					}
				})
			}
			work.Wait()
		})
	}
}

func TestWarmStatusClose(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Environment: "beta", Now: clock.Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now})
	token := para.Token(paratest.EmailUser())
	if st := v.Status(); st.Usable || st.Environment != "beta" || st.Fetches != 0 {
		t.Errorf("before the first fetch: %+v", st)
	}

	para.Fail(http.StatusServiceUnavailable)
	err := v.Warm(t.Context())
	var refusal *middleware.Error
	if !errors.Is(err, middleware.ErrKeysUnavailable) || !errors.Is(err, jwks.ErrUnavailable) ||
		!errors.As(err, &refusal) {
		t.Errorf("Warm with Para failing: %v", err)
	}
	if st := v.Status(); st.Usable || st.Failures != 1 || !strings.Contains(st.LastError, "503") {
		t.Errorf("after a failure: %+v", st)
	}
	refusal = refuses(t, v, token, middleware.ErrKeysUnavailable)
	if refusal.RetryAfter < time.Second || refusal.RetryAfter > 2*time.Second ||
		!errors.Is(refusal, jwks.ErrUnavailable) {
		t.Errorf("refused with RetryAfter %v: %v", refusal.RetryAfter, refusal)
	}
	for range 5 { // the backoff grows
		clock.Set(v.Status().NextFetch)
		v.Warm(t.Context())
	}
	refusal = refuses(t, v, token, middleware.ErrKeysUnavailable)
	if want := v.Status().NextFetch.Sub(clock.Now()); want < 3*time.Second ||
		refusal.RetryAfter != want {
		t.Errorf("refused with RetryAfter %v, want %v", refusal.RetryAfter, want)
	}

	para.Recover()
	clock.Set(v.Status().NextFetch)
	if err := v.Warm(t.Context()); err != nil {
		t.Errorf("Warm after Para recovered: %v", err)
	}
	st := v.Status()
	slices.Sort(st.KeyIDs)
	want := para.KeyIDs()
	slices.Sort(want)
	if !st.Usable || st.Stale || !slices.Equal(st.KeyIDs, want) || st.Fetches != 7 {
		t.Errorf("after a fetch: %+v", st)
	}
	before := para.Fetches()
	if err := v.Warm(t.Context()); err != nil || para.Fetches() != before {
		t.Errorf("Warm when warm: %v, %d more fetches", err, para.Fetches()-before)
	}
	accepts(t, v, token)

	for range 2 {
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	accepts(t, v, token) // requests in progress are still answered
	refuses(t, v, para.Token(paratest.EmailUser(), paratest.BadSignature()),
		middleware.ErrSignature)

	cold := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now})
	cold.Close()
	refuses(t, cold, token, middleware.ErrKeysUnavailable)
	if err := cold.Warm(t.Context()); !errors.Is(err, middleware.ErrKeysUnavailable) {
		t.Errorf("Warm after Close: %v", err)
	}
	if para.Fetches() != before {
		t.Errorf("%d fetches after Close", para.Fetches()-before)
	}
}

// TestKeyRotation checks that a new key is accepted at first sight, and that a
// withdrawn key is refused within the documented time. Cached tokens of a
// withdrawn key are refused too.
func TestKeyRotation(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now})
	user := paratest.EmailUser()
	long := paratest.Lived(0, 24*time.Hour)
	old := map[string]string{}
	for _, id := range para.KeyIDs() {
		old[id] = para.Token(user, long, paratest.SignedBy(id))
		accepts(t, v, old[id])
	}

	// Time passes, so that the keys are fresh and only the new key ID causes a
	// fetch.
	clock.Advance(time.Minute)
	rotated := para.RotateES256()
	fresh := para.Token(user, long)
	if got := accepts(t, v, fresh).KeyID; got != rotated {
		t.Errorf("verified with %q, want %q", got, rotated)
	}
	if n := para.Fetches(); n != 2 {
		t.Errorf("%d fetches, want one at the start and one for the new key", n)
	}

	withdrawn := para.KeyIDs()[0]
	para.Withdraw(withdrawn)
	clock.Advance(4 * time.Minute)
	accepts(t, v, old[withdrawn]) // the next refresh is not due yet
	clock.Advance(time.Minute + time.Minute + time.Second)
	refuses(t, v, old[withdrawn], middleware.ErrUnknownKey)
	accepts(t, v, old[para.KeyIDs()[0]])
	accepts(t, v, fresh)
	if ids := v.Status().KeyIDs; slices.Contains(ids, withdrawn) || len(ids) != 2 {
		t.Errorf("keys %q", ids)
	}
}

// TestReplacedKeyWithTheSameID checks that a replaced key invalidates its
// tokens, including cached ones.
func TestReplacedKeyWithTheSameID(t *testing.T) {
	clock := newClock()
	before, after := testkit.EC(0).Named("one"), testkit.EC(1).Named("one")
	var current atomic.Pointer[testkit.Signer]
	current.Store(&before)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, testkit.SetOf(*current.Load()))
	}))
	defer server.Close()
	v := newValidator(t, middleware.Config{Environment: jwks.Environment{URL: server.URL},
		Now: clock.Now})
	old, fresh := sign(before), sign(after)
	accepts(t, v, old)
	refuses(t, v, fresh, middleware.ErrSignature)
	current.Store(&after)
	clock.Advance(6 * time.Minute)
	refuses(t, v, old, middleware.ErrSignature)
	accepts(t, v, fresh)
	refuses(t, v, old, middleware.ErrSignature)
}

// TestTokenID checks that every user has a TokenID, whether the token is cached
// or not.
func TestTokenID(t *testing.T) {
	token := shared().Token(paratest.EmailUser())
	want := token[strings.LastIndexByte(token, '.')+1:][:32]
	for _, cacheSize := range []int{0, -1} {
		v := newValidator(t, middleware.Config{CacheSize: cacheSize})
		if got := accepts(t, v, token).TokenID; got != want {
			t.Errorf("CacheSize %d: %q, want %q", cacheSize, got, want)
		}
	}
}

// TestOutage checks that known keys verify tokens during an outage. Unknown
// keys and stale keys make keys unavailable.
func TestOutage(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now})
	user, long := paratest.EmailUser(), paratest.Lived(0, 30*24*time.Hour)
	token := para.Token(user, long)
	accepts(t, v, token)
	para.Down()
	for range 24 {
		clock.Advance(time.Hour)
		accepts(t, v, token)
		accepts(t, v, para.Token(user, long)) // another token, which is not cached
	}
	refuses(t, v, para.Token(user, paratest.BadSignature()), middleware.ErrSignature)
	// The key may be new, so the token's validity is unknown.
	refuses(t, v, para.Token(user, paratest.UnknownKey("new")), middleware.ErrKeysUnavailable)
	clock.Advance(49 * time.Hour)
	refuses(t, v, token, middleware.ErrKeysUnavailable)
	if v.Status().Usable {
		t.Error("keys that are 73 hours old are usable")
	}
}

// TestWaitEndsWithTheContext checks that a caller waits for keys only until its
// context ends, without cancelling the fetch for other callers.
func TestWaitEndsWithTheContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	target, err := url.Parse(shared().URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived) // a second fetch panics
		<-release
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	v := newValidator(t, middleware.Config{Environment: jwks.Environment{URL: server.URL}})
	token := shared().Token(paratest.EmailUser())

	ctx, cancel := context.WithCancelCause(t.Context())
	impatient, patient := make(chan error), make(chan error)
	go func() { _, err := v.Validate(ctx, token); impatient <- err }()
	<-arrived
	go func() { _, err := v.Validate(t.Context(), token); patient <- err }()

	gone := errors.New("the client is gone")
	cancel(gone)
	err = <-impatient
	var refusal *middleware.Error
	if !errors.Is(err, middleware.ErrKeysUnavailable) || !errors.Is(err, gone) ||
		!errors.As(err, &refusal) || refusal.RetryAfter <= 0 {
		t.Errorf("caller whose context ended while it waited: %v", err)
	}
	if _, err := v.Validate(ctx, token); !errors.Is(err, middleware.ErrKeysUnavailable) {
		t.Errorf("caller whose context had ended before: %v", err)
	}
	if err := v.Warm(ctx); !errors.Is(err, middleware.ErrKeysUnavailable) || !errors.Is(err, gone) {
		t.Errorf("Warm with a context that had ended: %v", err)
	}
	close(release)
	if err := <-patient; err != nil {
		t.Errorf("caller that waited: %v", err)
	}
	if _, err := v.Validate(ctx, token); err != nil {
		t.Errorf("a cached key was not used because the context had ended: %v", err)
	}
}

// TestCloseStopsGoroutines checks that a closed validator leaves no goroutine.
func TestCloseStopsGoroutines(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: newClock().Now})
	token := para.Token(paratest.EmailUser())
	before := runtime.NumGoroutine()
	for range 20 {
		v := newValidator(t, middleware.Config{Environment: para.Environment()})
		if n := runtime.NumGoroutine(); n > before {
			t.Fatalf("New started %d goroutines", n-before)
		}
		accepts(t, v, token)
		refuses(t, v, para.Token(paratest.EmailUser(), paratest.UnknownKey("x")),
			middleware.ErrUnknownKey)
		v.Close()
		for start := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
			}
		}
	}
}

// TestTokenExpiresWhileWaiting checks that a token which expires while its
// caller waits for keys is refused as expired.
func TestTokenExpiresWhileWaiting(t *testing.T) {
	s := testkit.EC(0).Named("k")
	clock := newClock()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		clock.Advance(31 * time.Minute)
		io.WriteString(w, testkit.SetOf(s))
	}))
	defer server.Close()
	v := newValidator(t, middleware.Config{Environment: jwks.Environment{Name: "slow",
		URL: server.URL}, Now: clock.Now})
	refuses(t, v, sign(s), middleware.ErrExpired)
}

// TestLargestMaxTokenAge checks that the largest duration does not overflow.
func TestLargestMaxTokenAge(t *testing.T) {
	accepts(t, newValidator(t, middleware.Config{MaxTokenAge: 1<<63 - 1}),
		shared().Token(paratest.EmailUser()))
}

func TestFetchTimeout(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: newClock().Now})
	para.Slow(time.Hour)
	token := para.Token(paratest.EmailUser())
	clock := newClock()
	v := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now,
		Keys: jwks.Config{FetchTimeout: 20 * time.Millisecond}})
	refusal := refuses(t, v, token, middleware.ErrKeysUnavailable)
	if !errors.Is(refusal, context.DeadlineExceeded) {
		t.Errorf("got %v", refusal)
	}
	if n := v.Status().Fetches; n != 1 {
		t.Errorf("%d fetches: the second caller did not get the first one's answer", n)
	}
}

// TestConcurrentFirstRequestsFetchOnce checks that ten thousand concurrent
// callers cause one fetch when no keys are loaded yet.
func TestConcurrentFirstRequestsFetchOnce(t *testing.T) {
	para := paratest.New(t, paratest.Config{Now: newClock().Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment()})
	const callers = 10_000
	tokens := make([]string, 50)
	for i := range tokens {
		u := paratest.EmailUser()
		u.UserID = fmt.Sprint("u", i)
		tokens[i] = para.Token(u)
	}
	start := make(chan struct{})
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() {
			<-start
			user, err := v.Validate(t.Context(), tokens[i%len(tokens)])
			if err != nil || user.UserID != fmt.Sprint("u", i%len(tokens)) {
				t.Errorf("got %v, %v", user, err)
			}
		})
	}
	close(start)
	work.Wait()
	if n := para.Fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestFloodsCauseFewFetches checks that a million bad signatures cause no
// fetch, and that a million unknown key IDs in a minute cause at most three.
func TestFloodsCauseFewFetches(t *testing.T) {
	clock := newClock()
	para := paratest.New(t, paratest.Config{Now: clock.Now})
	v := newValidator(t, middleware.Config{Environment: para.Environment(), Now: clock.Now})
	good := para.Token(paratest.EmailUser())
	accepts(t, v, good)

	cut := strings.LastIndexByte(good, '.') + 1
	signature, err := b64.DecodeString(good[cut:])
	if err != nil {
		t.Fatal(err)
	}
	const million = 1_000_000 / few
	var work sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for core := range cores {
		work.Go(func() {
			for i := core; i < million; i += cores {
				junk := slices.Clone(signature)
				junk[100], junk[101], junk[102] = junk[100]+1, byte(i), byte(i>>8)
				switch {
				case i%100 == 0: // refused by the signature check only
				case i%100 < 10:
					junk[0] = 0xff // larger than the modulus
				default:
					junk = append(junk, 0) // one byte too long
				}
				if _, err := v.Validate(t.Context(),
					good[:cut]+b64.EncodeToString(junk)); !errors.Is(err, middleware.ErrSignature) {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	if n := para.Fetches(); n != 1 {
		t.Errorf("%d fetches for bad signatures under a known kid", n-1)
	}

	for i := range million {
		clock.Advance(time.Minute / million)
		header := b64.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"junk%d"}`, i))
		if _, err := v.Validate(t.Context(), header+good[strings.IndexByte(good,
			'.'):]); !errors.Is(err, middleware.ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	if n := para.Fetches() - 1; n < 1 || n > 3 {
		t.Errorf("%d fetches for unknown kids", n)
	}
	accepts(t, v, good)
}

// TestCauseOfARefusal checks that errors.As finds the cause of a refusal.
func TestCauseOfARefusal(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	refusal := refuses(t, v, shared().Token(paratest.EmailUser(),
		paratest.WithData("wallets", "x")), middleware.ErrClaims)
	var cause *claims.Error
	if !errors.As(refusal, &cause) || cause.Claim != "data.wallets" {
		t.Errorf("got %v", refusal)
	}
	refusal = refuses(t, v, shared().Token(paratest.EmailUser(), paratest.ForApp("theirs")),
		middleware.ErrAudience)
	if !strings.Contains(refusal.Hint, `"theirs"`) || !strings.Contains(refusal.Hint, "APIKeyIDs") {
		t.Errorf("got %v", refusal)
	}
}

// TestCodesAreDistinct checks that errors.Is distinguishes the codes, also
// when wrapped, and that each code has its status.
func TestCodesAreDistinct(t *testing.T) {
	codes := map[middleware.Code]int{
		middleware.ErrNoToken: 401, middleware.ErrMalformed: 401, middleware.ErrAlgorithm: 401,
		middleware.ErrUnknownKey: 401,
		middleware.ErrSignature:  401, middleware.ErrExpired: 401, middleware.ErrNotYetValid: 401,
		middleware.ErrAudience: 401,
		middleware.ErrClaims:   401, middleware.ErrRevoked: 401, middleware.ErrSessionExpired: 401,
		middleware.ErrForbidden: 403, middleware.ErrRuleUnavailable: 503,
		middleware.ErrKeysUnavailable: 503, middleware.ErrRevocationUnknown: 503,
		middleware.ErrSessionUnknown: 503,
		middleware.ErrMisconfigured:  500,
	}
	for code, status := range codes {
		cause := errors.New("beneath")
		var err error = fmt.Errorf("around: %w", &middleware.Error{Code: code, Cause: cause})
		for other := range codes {
			if errors.Is(err, other) != (other == code) {
				t.Errorf("errors.Is(%v, %v) is wrong", err, other)
			}
		}
		if !errors.Is(err, cause) {
			t.Errorf("%v: the cause is not found", code)
		}
		if got := (&middleware.Error{Code: code}).Status(); got != status {
			t.Errorf("%v: status %d, want %d", code, got, status)
		}
		if !strings.HasPrefix(code.Error(), "parajwt: ") {
			t.Errorf("%q lacks the prefix", code.Error())
		}
	}
}

// TestBothECDSASignaturesHaveOneTokenID checks that both signatures of an ES256
// token have the same TokenID, so that revoking one revokes both.
func TestBothECDSASignaturesHaveOneTokenID(t *testing.T) {
	key := testkit.EC(0).Named("es")
	url, _ := testkit.Serve(t, testkit.SetOf(key))
	out := map[string]bool{}
	v := newValidator(t, middleware.Config{Environment: jwks.Environment{URL: url},
		Revoked: func(_ context.Context, user *claims.Claims, _ time.Time) (bool, error) {
			return out[user.TokenID], nil
		}})
	token := sign(key)
	user := accepts(t, v, token)
	if other := accepts(t, v, twin(t, token)); other.TokenID != user.TokenID ||
		other.UserID != user.UserID {
		t.Errorf("the other signature has TokenID %q and user %q", other.TokenID, other.UserID)
	}
	out[user.TokenID] = true
	refuses(t, v, token, middleware.ErrRevoked)
	refuses(t, v, twin(t, token), middleware.ErrRevoked)
	accepts(t, v, sign(key))
}

// TestRevokedIsCalledLast checks that Revoked is called only for tokens that
// pass every other check, and on every request.
func TestRevokedIsCalledLast(t *testing.T) {
	type key struct{}
	asked := 0
	v := newValidator(t, middleware.Config{Revoked: func(ctx context.Context, user *claims.Claims,
		_ time.Time) (bool, error) {
		if asked++; user == nil || user.UserID != paratest.UserID || ctx.Value(key{}) != "kept" {
			t.Errorf("called with %v", user)
		}
		return false, nil
	}})
	ctx := context.WithValue(t.Context(), key{}, "kept")
	for _, opt := range []paratest.TokenOption{
		paratest.BadSignature(), paratest.Expired(), paratest.ForApp("x"), paratest.With("sub", 1),
		paratest.UnknownKey("x"),
	} {
		v.Validate(ctx, shared().Token(paratest.EmailUser(), opt))
	}
	if asked != 0 {
		t.Errorf("called %d times for invalid tokens", asked)
	}
	token := shared().Token(paratest.EmailUser())
	for range 3 {
		if _, err := v.Validate(ctx, token); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("called %d times for three requests", asked)
	}
}
