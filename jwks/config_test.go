package jwks_test

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// New reports every mistake at once.
func TestEveryMistakeAtOnce(t *testing.T) {
	c, err := jwks.New(jwks.Environment{Name: "mine", URL: "http://keys.example.com"}, jwks.Config{
		RefreshInterval: 2 * time.Hour,
		Cooldown:        time.Millisecond,
		StaleLimit:      31 * 24 * time.Hour,
		FetchTimeout:    time.Hour,
		Initial:         jwks.FromBytes([]byte("junk")),
	}, jwks.WithAlgorithms([]string{"RS256", "HS256", "none"}...))
	if c != nil || err == nil {
		t.Fatalf("got %v, %v", c, err)
	}
	for _, part := range []string{"not https", "RefreshInterval is 2h", "Cooldown is 1ms",
		"StaleLimit is 744h", "FetchTimeout is 1h", `"HS256"`, `"none"`, "Initial"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s", part)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 8 {
		t.Errorf("%d mistakes, want 8:\n%v", n, err)
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name      string
		low, high time.Duration
		set       func(*jwks.Config, time.Duration)
	}{
		{"RefreshInterval", time.Second, time.Hour,
			func(c *jwks.Config, d time.Duration) { c.RefreshInterval = d }},
		{"Cooldown", time.Second, 10 * time.Minute,
			func(c *jwks.Config, d time.Duration) { c.Cooldown = d }},
		{"StaleLimit", 5 * time.Minute, 30 * 24 * time.Hour,
			func(c *jwks.Config, d time.Duration) { c.StaleLimit = d }},
		{"FetchTimeout", 10 * time.Millisecond, time.Minute,
			func(c *jwks.Config, d time.Duration) { c.FetchTimeout = d }},
	} {
		for d, valid := range map[time.Duration]bool{0: true, test.low: true, test.high: true,
			test.low - 1: false, test.high + 1: false, -1: false} {
			var cfg jwks.Config
			test.set(&cfg, d)
			c, err := jwks.New(jwks.Prod, cfg)
			if valid != (err == nil) {
				t.Errorf("%s of %v: %v", test.name, d, err)
			}
			if err != nil && (c != nil || !strings.Contains(err.Error(), test.name)) {
				t.Errorf("%s of %v: %v, %v", test.name, d, c, err)
			}
			if c != nil {
				c.Close()
			}
		}
	}
}

// New does not use the network and starts no goroutine, also for Para's own
// environments.
func TestNewDoesNothing(t *testing.T) {
	idle := runtime.NumGoroutine()
	offNetwork := &http.Client{Transport: noNetwork{t}}
	for _, env := range []jwks.Environment{jwks.Prod, jwks.Beta, jwks.Sandbox} {
		for _, cfg := range []jwks.Config{
			{HTTPClient: offNetwork},
			{HTTPClient: offNetwork, Initial: jwks.FromKeySet(env, []byte(testkit.SetOf(keyA())))},
		} {
			c, err := jwks.New(env, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if c.Environment() != env {
				t.Errorf("environment: %+v", c.Environment())
			}
			if st := c.Status(); st.Fetches != 0 || !st.NextFetch.IsZero() {
				t.Errorf("status: %+v", st)
			}
		}
	}
	if n := runtime.NumGoroutine(); n > idle {
		t.Errorf("%d goroutines were started", n-idle)
	}
}

type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	n.t.Error("the network was used")
	return nil, errors.New("no network")
}

// Changing the caller's Config after New has no effect.
func TestConfigIsCopied(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	algorithms, data := []string{"ES256"}, []byte(testkit.SetOf(keyB()))
	c := l.cache(t, jwks.Config{Initial: jwks.FromKeySet(l.env(), data)},
		jwks.WithAlgorithms(algorithms...))
	initial := jwks.FromKeySet(l.env(), data)
	algorithms[0] = "RS256"
	clear(data)
	if !c.Allows("ES256") || c.Allows("RS256") {
		t.Error("a change of the caller's slice changed the algorithms")
	}
	if err := c.Warm(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := initial.Inspect(); err != nil {
		t.Error(err)
	}
}

func TestAlgorithms(t *testing.T) {
	named := `{"kid":"named","alg":"RS512",` + testkit.RSA(0).Members() + `}`
	wrong := `{"kid":"wrong","alg":"ES256",` + testkit.RSA(0).Members() + `}`
	open := `{"kid":"rsa0",` + testkit.RSA(0).Members() + `}` // for any RSA algorithm
	text := testkit.Set(named, wrong, open, keyA().JWK())
	for _, test := range []struct {
		algorithms []string
		want       map[string]string
	}{
		{nil, map[string]string{"rsa0": "RS256", "a": "ES256"}},
		{[]string{"ES256"}, map[string]string{"a": "ES256"}},
		{[]string{"RS512", "RS256"}, map[string]string{"rsa0": "RS512", "named": "RS512"}},
		{[]string{"RS256", "RS512"}, map[string]string{"rsa0": "RS256", "named": "RS512"}},
		{[]string{"PS256"}, map[string]string{"rsa0": "PS256"}},
	} {
		l := newLab(t)
		l.does(body(text))
		c := l.cache(t, jwks.Config{}, jwks.WithAlgorithms(test.algorithms...))
		for _, id := range []string{"rsa0", "named", "wrong", "a"} {
			key, err := c.Key(t.Context(), id)
			want, there := test.want[id]
			if there != (err == nil) || there && key.Algorithm() != want {
				t.Errorf("%v: %s: %v", test.algorithms, id, err)
			}
		}
		for _, alg := range []string{"RS256", "ES256", "PS256", "RS512", "none", "HS256", ""} {
			allowed := test.algorithms
			if allowed == nil {
				allowed = []string{"RS256", "ES256"}
			}
			if c.Allows(alg) != slices.Contains(allowed, alg) {
				t.Errorf("%v: Allows(%q) is %v", test.algorithms, alg, c.Allows(alg))
			}
		}
	}
}

// A key verifies the signatures that were made with it, and no others.
func TestVerify(t *testing.T) {
	const input = "header.payload"
	signers := []testkit.Signer{testkit.RSA(0), testkit.RSA(1), testkit.EC(0), testkit.EC(1)}
	l := newLab(t)
	l.serves(signers...)
	c := l.cache(t, jwks.Config{})
	for _, holder := range signers {
		key := found(t, c, holder.ID)
		for _, signer := range signers {
			if err := key.Verify([]byte(input),
				signer.Signature(input)); (err == nil) != (signer.ID == holder.ID) {
				t.Errorf("%s's signature under the key %s: %v", signer.ID, holder.ID, err)
			}
		}
		if key.Verify([]byte(input+"x"), holder.Signature(input)) == nil {
			t.Errorf("%s verifies a text that was not signed", holder.ID)
		}
	}
}

// KeyAt uses the caller's time and does not read the clock.
func TestKeyAt(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	readings := 0
	c := l.cache(t, jwks.Config{},
		jwks.WithClock(func() time.Time { readings++; return now.Now() }))
	found(t, c, "a")
	before := readings
	for range 10 {
		if _, err := c.KeyAt(t.Context(), "a", now.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if readings != before {
		t.Errorf("%d readings of the clock", readings-before)
	}
	if n := testing.AllocsPerRun(100, func() { c.KeyAt(t.Context(), "a", now.Now()) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	now.Advance(refresh)
	if _, err := c.KeyAt(t.Context(), "a", now.Now()); err != nil {
		t.Error(err)
	}
	settle(c)
	l.fetched(t, 2)
}

// Initial keys are used without waiting, until Para responds.
func TestInitial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(after(time.Second, body(testkit.SetOf(keyB()))))
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())})
		atOnce(t, func() { found(t, c, "a") })
		time.Sleep(time.Second)
		synctest.Wait()
		refused(t, c, "a", jwks.ErrUnknownKey)
		found(t, c, "b")
	})
	t.Run("even where they are old", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := bubbleLab(t)
			l.serves(keyA())
			first := l.cache(t, jwks.Config{})
			found(t, first, "a")
			snapshot, err := first.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			l.does(after(time.Second, body(testkit.SetOf(keyB()))))
			c := l.cache(t, jwks.Config{Initial: jwks.FromBytes(snapshot)})
			atOnce(t, func() { found(t, c, "a"); found(t, c, "a") })
			time.Sleep(time.Second)
			synctest.Wait()
			refused(t, c, "a", jwks.ErrUnknownKey)
		})
	})
	t.Run("what is not used is logged", func(t *testing.T) {
		var log testkit.Log
		l := newLab(t)
		text := []byte(testkit.Set(`{"kid":"x","kty":"LWE"}`, keyA().JWK()))
		l.cache(t, jwks.Config{Initial: jwks.FromKeySet(l.env(), text)},
			jwks.WithLogger(log.Logger()))
		if lines := log.With("is not used"); len(lines) != 1 || lines[0]["kid"] != "x" {
			t.Errorf("logged: %+v", log.With(""))
		}
	})
	t.Run("Warm waits for Para", func(t *testing.T) {
		l := newLab(t)
		l.serves(keyB())
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())})
		if err := c.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "a", jwks.ErrUnknownKey)
	})
	t.Run("Para is down", func(t *testing.T) {
		l := newLab(t)
		l.does(status(500))
		now := newClock()
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())}, jwks.WithClock(now.Now))
		if err := c.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			age           time.Duration
			usable, stale bool
		}{
			{0, true, false},
			{refresh + timeout - 1, true, false},
			{refresh + timeout, true, true},
			{72*time.Hour - 1, true, true},
			{72 * time.Hour, false, true},
		} {
			at := newClock()
			at.Advance(step.age)
			now.Set(at.Now())
			settle(c)
			if st := c.Status(); st.Usable != step.usable || st.Stale != step.stale {
				t.Errorf("at %v: %+v", step.age, st)
			}
		}
		refused(t, c, "a", jwks.ErrUnavailable)
	})
}

// An offline cache does not use the network, and its keys do not become stale.
func TestOffline(t *testing.T) {
	now := newClock()
	c, err := jwks.New(jwks.Prod, jwks.Config{
		Offline:    true,
		Initial:    jwks.FromKeySet(jwks.Prod, []byte(testkit.SetOf(keyA()))),
		HTTPClient: &http.Client{Transport: noNetwork{t}},
	}, jwks.WithClock(now.Now))
	if err != nil {
		t.Fatal(err)
	}
	key := found(t, c, "a")
	for range 10 {
		now.Advance(365 * 24 * time.Hour)
		if found(t, c, "a") != key {
			t.Error("another key")
		}
		refused(t, c, "b", jwks.ErrUnknownKey)
		if err := c.Warm(t.Context()); err != nil {
			t.Error(err)
		}
	}
	now.Set(time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)) // a board without a battery-backed clock
	found(t, c, "a")
	st := c.Status()
	if !st.Usable || st.Stale || !st.StaleAt.IsZero() || !st.NextFetch.IsZero() || st.Fetches != 0 {
		t.Errorf("status: %+v", st)
	}
	c.Close()
	found(t, c, "a")

	if c, err := jwks.New(jwks.Prod, jwks.Config{Offline: true}); err == nil || c != nil ||
		!strings.Contains(err.Error(), "Offline needs Initial") {
		t.Errorf("Offline without keys: %v", err)
	}
}

func TestUnavailableError(t *testing.T) {
	cause := errors.New("cause")
	var err error = &jwks.UnavailableError{RetryAfter: time.Second, Cause: cause}
	if !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, cause) ||
		errors.Is(err, jwks.ErrUnknownKey) || err.Error() != "jwks: keys are unavailable: cause" {
		t.Errorf("%v", err)
	}
	err = &jwks.UnavailableError{}
	if !errors.Is(err, jwks.ErrUnavailable) || errors.Is(err, cause) ||
		err.Error() != "jwks: keys are unavailable" {
		t.Errorf("%v", err)
	}
}
