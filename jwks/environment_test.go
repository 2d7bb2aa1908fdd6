package jwks_test

import (
	"strings"
	"testing"

	"github.com/parajwt/parajwt/jwks"
)

func TestParaEnvironments(t *testing.T) {
	for env, want := range map[jwks.Environment][2]string{
		jwks.Prod:    {"prod", "https://api.getpara.com/.well-known/jwks.json"},
		jwks.Beta:    {"beta", "https://api.beta.getpara.com/.well-known/jwks.json"},
		jwks.Sandbox: {"sandbox", "https://api.sandbox.getpara.com/.well-known/jwks.json"},
	} {
		if env.Name != want[0] || env.URL != want[1] {
			t.Errorf("%+v", env)
		}
		for _, name := range []string{want[0], strings.ToUpper(want[0]),
			strings.ToUpper(want[0][:1]) + want[0][1:]} {
			if got, err := jwks.ParseEnvironment(name); got != env || err != nil {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

// ParseEnvironment and New accept and refuse the same URLs.
func TestEnvironmentURL(t *testing.T) {
	for _, test := range []struct{ url, name, want string }{
		{"https://keys.example.com", "keys.example.com",
			"https://keys.example.com/.well-known/jwks.json"},
		{"https://keys.example.com/", "keys.example.com",
			"https://keys.example.com/.well-known/jwks.json"},
		{"HTTPS://keys.example.com:8443/para/keys?v=1#x", "keys.example.com:8443",
			"https://keys.example.com:8443/para/keys?v=1"},
		{"http://localhost:8080", "localhost:8080", "http://localhost:8080/.well-known/jwks.json"},
		{"http://127.0.0.1", "127.0.0.1", "http://127.0.0.1/.well-known/jwks.json"},
		{"http://127.8.9.10:1/keys", "127.8.9.10:1", "http://127.8.9.10:1/keys"},
		{"http://[::1]:8080", "[::1]:8080", "http://[::1]:8080/.well-known/jwks.json"},
	} {
		env, err := jwks.ParseEnvironment(test.url)
		if err != nil || env.Name != test.name || env.URL != test.want {
			t.Errorf("%s: %+v, %v", test.url, env, err)
		}
		c, err := jwks.New(jwks.Environment{Name: "mine", URL: test.url}, jwks.Config{})
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if got := c.Environment(); got.Name != "mine" || got.URL != test.want {
			t.Errorf("%s: %+v", test.url, got)
		}
	}

	for url, reason := range map[string]string{
		"http://api.getpara.com":            "not https",
		"http://keys.example.com/localhost": "not https",
		"http://localhost.example.com":      "not https",
		"http://localhost@example.com":      "user name",
		"http://10.0.0.1":                   "not https",
		"http://192.168.1.1":                "not https",
		"http://0.0.0.0":                    "not https",
		// Some resolvers read this as 127.0.0.1.
		"http://2130706433":                       "not https",
		"http://[fe80::1]":                        "not https",
		"ftp://keys.example.com":                  "neither https nor http",
		"file:///etc/keys.json":                   "no host",
		"https://":                                "no host",
		"https:///keys.json":                      "no host",
		"https://:443/keys.json":                  "no host",
		"https://canary@keys.example.com":         "user name",
		"https://user:canary@keys.example.com":    "user name",
		"https://keys.example.com:canary/":        "malformed",
		"https://keys.example.com/%zzcanary":      "malformed",
		"https://user:canary@keys.example.com\n/": "malformed",
	} {
		for what, err := range map[string]error{
			"ParseEnvironment": func() error { _, err := jwks.ParseEnvironment(url); return err }(),
			"New": func() error {
				env := jwks.Environment{Name: "mine", URL: url}
				_, err := jwks.New(env, jwks.Config{})
				return err
			}(),
		} {
			if err == nil || !strings.Contains(err.Error(), reason) ||
				strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %s: %v", what, url, err)
			}
		}
	}
}

// There is no default environment, and unknown names are refused.
func TestNoEnvironment(t *testing.T) {
	for _, s := range []string{"", " ", "prod ", "production", "live", "dev", "api.getpara.com",
		"localhost:8080", "PROD\n", "https"} {
		if env, err := jwks.ParseEnvironment(s); err == nil || env != (jwks.Environment{}) {
			t.Errorf("%q: %+v, %v", s, env, err)
		} else if !strings.Contains(err.Error(), "use prod, beta, sandbox") {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := jwks.New(jwks.Environment{}, jwks.Config{}); err == nil ||
		!strings.Contains(err.Error(), "there is no default") {
		t.Errorf("the zero Environment: %v", err)
	}
	if _, err := jwks.New(jwks.Environment{Name: "prod"}, jwks.Config{}); err == nil ||
		!strings.Contains(err.Error(), "no host") {
		t.Errorf("a name is not a URL: %v", err)
	}
}

// The URL of the REST API is derived from the URL of the key set and follows
// the same rules.
func TestAPIBase(t *testing.T) {
	for env, want := range map[jwks.Environment]string{
		jwks.Prod: "https://api.getpara.com",
		{
			Name: "mine", URL: "https://keys.example.com:8443/para/keys?v=1",
		}: "https://keys.example.com:8443",
		{URL: "http://[::1]:8080"}: "http://[::1]:8080",
	} {
		if base, err := env.APIBase(); base != want || err != nil {
			t.Errorf("%+v: %q, %v", env, base, err)
		}
	}
	for _, env := range []jwks.Environment{{}, {Name: "prod"}, {URL: "http://api.getpara.com"},
		{URL: "https://user:canary@example.com"}} {
		if base, err := env.APIBase(); base != "" || err == nil ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %q, %v", env, base, err)
		}
	}
}
