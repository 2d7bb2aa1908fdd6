package middleware_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestConfigMistakes checks that New reports each mistake and how to correct
// it. The error does not contain a value that may be a secret.
func TestConfigMistakes(t *testing.T) {
	good := func() middleware.Config {
		return middleware.Config{Environment: jwks.Beta, APIKeyIDs: []string{paratest.APIKeyID}}
	}
	var all middleware.Config // with every mistake of which alone is false
	var messages []string
	for _, test := range []struct {
		name   string
		change func(*middleware.Config)
		want   string
		alone  bool // not in all, which has another mistake in the same field
	}{
		{"no environment", func(c *middleware.Config) { c.Environment = jwks.Environment{} },
			"Environment is not set: use jwks.Prod, jwks.Beta", false},
		{"not https", func(c *middleware.Config) {
			c.Environment = jwks.Environment{Name: "x", URL: "http://example.com"}
		}, "not https",
			true},
		{"no app", func(c *middleware.Config) { c.APIKeyIDs = nil },
			"APIKeyIDs is empty: give the unique ID of your API key", true},
		{"empty list of apps", func(c *middleware.Config) { c.APIKeyIDs = []string{} },
			"APIKeyIDs is empty: give the unique ID of your API key", true},
		{"several mistakes in one list", func(c *middleware.Config) {
			c.APIKeyIDs = []string{"", paratest.APIKeyID, " \t", "canary ", "prod_canary",
				"BETA_canary", "sandbox_canary", "dev_canary",
				"sk_canary", "sk_beta_canary", "pk_canary", "whsec_canary"}
		}, "APIKeyIDs[0] is blank: is the environment variable set?", false},
		{"leeway", func(c *middleware.Config) { c.Leeway = 5*time.Minute + 1 },
			"Leeway is 5m0.000000001s: at most 5m0s; synchronize the clock", false},
		{"age", func(c *middleware.Config) { c.MaxTokenAge = -time.Second },
			"MaxTokenAge is -1s: use a positive duration, or 0", false},
		{"size, too small", func(c *middleware.Config) { c.MaxTokenBytes = 1023 },
			"MaxTokenBytes is 1023: use 1024 to 65536, or 0", true},
		{"size, negative", func(c *middleware.Config) { c.MaxTokenBytes = -1 },
			"MaxTokenBytes is -1: use 1024 to 65536, or 0", true},
		{"size, too large", func(c *middleware.Config) { c.MaxTokenBytes = 65537 },
			"MaxTokenBytes is 65537: use 1024 to 65536, or 0", false},
		{"memory", func(c *middleware.Config) { c.CacheSize = 1<<20 + 1 },
			"CacheSize is 1048577: at most 1048576 tokens, 0 for the default", false},
		{"life", func(c *middleware.Config) { c.MaxTokenLife = -1 },
			"MaxTokenLife is -1ns: use a positive duration, or 0", false},
		{"nil source", func(c *middleware.Config) {
			c.TokenSources = []middleware.TokenSource{nil}
		},
			"TokenSources has a nil source", false},
		{"HMAC", func(c *middleware.Config) { c.Algorithms = []string{"RS256", "HS256"} },
			`"HS256" cannot be allowed: use some of`, false},
		{"none", func(c *middleware.Config) { c.Algorithms = []string{"none"} },
			`"none" cannot be allowed: use some of`, true},
		{"no such algorithm", func(c *middleware.Config) { c.Algorithms = []string{""} },
			`"" cannot be allowed: use some of`, true},
		{"refresh", func(c *middleware.Config) { c.Keys.RefreshInterval = time.Millisecond },
			"RefreshInterval is 1ms: use 1s to 1h0m0s, or 0", false},
		{"stale limit", func(c *middleware.Config) { c.Keys.StaleLimit = 365 * 24 * time.Hour },
			"StaleLimit is 8760h0m0s: use", false},
		{"malformed snapshot", func(c *middleware.Config) {
			c.OtherEnvironments = []jwks.Source{jwks.FromBytes([]byte("canary"))}
		},
			"OtherEnvironments[0]: jwks: not a key set", true},
		{"key set that names no environment", func(c *middleware.Config) {
			c.OtherEnvironments = []jwks.Source{
				jwks.FromBytes([]byte(testkit.SetOf(testkit.EC(0).Named("k"))))}
		},
			"OtherEnvironments[0]: jwks: key set is not a snapshot and names no environment: " +
				"use FromKeySet", false},
		{"empty initial keys", func(c *middleware.Config) {
			c.Keys.Initial = jwks.FromKeySet(jwks.Prod, []byte(`{"keys":[]}`))
		},
			"Initial: key set has no usable key", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := good()
			test.change(&cfg)
			v, err := middleware.New(cfg)
			if v != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, %v; want %q", v, err, test.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the message quotes a possible secret: %v", err)
			}
		})
		if !test.alone {
			test.change(&all)
			messages = append(messages, test.want)
		}
	}

	t.Run("all at once", func(t *testing.T) {
		messages = append(messages, "APIKeyIDs[2] is blank", "APIKeyIDs[3] has white space",
			"APIKeyIDs[4]: this is a publishable API key, not an ID: "+
				"use the API key ID, the UUID that",
			"APIKeyIDs[5]: this", "APIKeyIDs[6]: this", "APIKeyIDs[7]: this is a publ",
			"APIKeyIDs[8]: this is a secret API key", "APIKeyIDs[9]: this is a secret API key",
			"APIKeyIDs[10]: this is a publishable", "APIKeyIDs[11]: this is a webhook secret")
		v, err := middleware.New(all)
		if v != nil || err == nil {
			t.Fatalf("got %v, %v", v, err)
		}
		for _, want := range messages {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in\n%v", want, err)
			}
		}
		if lines := strings.Count(err.Error(), "\n") + 1; lines != len(messages) {
			t.Errorf("%d messages for %d mistakes:\n%v", lines, len(messages), err)
		}
	})
}

// TestConfigLimits checks that values just inside the limits are accepted.
func TestConfigLimits(t *testing.T) {
	for name, change := range map[string]func(*middleware.Config){
		"zero value":       func(*middleware.Config) {},
		"largest leeway":   func(c *middleware.Config) { c.Leeway = 5 * time.Minute },
		"no leeway":        func(c *middleware.Config) { c.Leeway = -1 },
		"smallest token":   func(c *middleware.Config) { c.MaxTokenBytes = 1024 },
		"largest token":    func(c *middleware.Config) { c.MaxTokenBytes = 65536 },
		"one cached token": func(c *middleware.Config) { c.CacheSize = 1 },
		"a million":        func(c *middleware.Config) { c.CacheSize = 1 << 20 },
		"none":             func(c *middleware.Config) { c.CacheSize = -7 },
		"an ID in upper case": func(c *middleware.Config) {
			c.APIKeyIDs = []string{strings.ToUpper(paratest.APIKeyID)}
		},
		"two apps": func(c *middleware.Config) {
			c.APIKeyIDs = append(c.APIKeyIDs, "another")
		},
		"an ID like a prefix": func(c *middleware.Config) {
			c.APIKeyIDs = append(c.APIKeyIDs, "production")
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := middleware.Config{Environment: shared().Environment(),
				APIKeyIDs: []string{paratest.APIKeyID}, Now: newClock().Now}
			change(&cfg)
			v, err := middleware.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			user := paratest.EmailUser()
			if cfg.MaxTokenBytes == 1024 {
				user.Wallets = nil
			}
			accepts(t, v, shared().Token(user))
		})
	}
}

// TestNewWarnsAboutAnIDThatIsNotAUUID checks that New accepts an API key ID of
// an unknown form, and logs its index but not the ID.
func TestNewWarnsAboutAnIDThatIsNotAUUID(t *testing.T) {
	const id = "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"
	for _, test := range []struct {
		ids   []string
		index any // of the warning; nil if there is none
	}{
		{[]string{id}, nil},
		{[]string{strings.ToUpper(id)}, nil},
		{[]string{id, "canary-app"}, 1.0},
		{[]string{"canary" + id}, 0.0},
	} {
		var log testkit.Log
		v, err := middleware.New(middleware.Config{
			Environment: jwks.Beta, APIKeyIDs: test.ids, Logger: log.Logger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
		lines := log.Take()
		switch {
		case test.index == nil && len(lines) > 0:
			t.Errorf("%q: logged %v", test.ids, lines)
		case test.index != nil && (len(lines) != 1 || lines[0]["level"] != "WARN" ||
			lines[0]["index"] != test.index || lines[0]["environment"] != "beta"):
			t.Errorf("%q: logged %v", test.ids, lines)
		}
		testkit.NoLeak(t, fmt.Sprint(lines), "canary")
	}
}
