package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func TestVerifyNamesTheCheckThatRefuses(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	user := paratest.EmailUser()
	good := para.Token(user)
	payload := `{"sub":"u","aud":"` + para.APIKeyID() +
		`","iat":1,"exp":99999999999,"data":{"userId":"u"}}`
	kid := para.KeyIDs()[1]
	for _, test := range []struct {
		name, token, check, code string
		why                      []string
	}{
		{"large", good + strings.Repeat("A", maxToken), "form", "malformed",
			[]string{"larger than MaxTokenBytes"}},
		{"two parts", "a.b", "form", "malformed", []string{"it has 2 parts between dots"}},
		{"padded header", "YQ==." + strings.SplitN(good, ".", 2)[1], "form", "malformed",
			[]string{"canonical base64url"}},
		{"long header", strings.Repeat("A", 4097) + ".YQ.YQ", "form", "malformed",
			[]string{"header too large"}},
		{"crit", para.Token(user, paratest.WithHeader("crit", []string{"exp"})), "header",
			"malformed", []string{"crit is not supported"}},
		{"no kid", para.Token(user, paratest.WithHeader("kid", nil)), "header", "malformed",
			[]string{"kid missing"}},
		{"no alg", para.Token(user, paratest.WithHeader("alg", nil)), "header", "algorithm",
			[]string{"has no alg"}},
		{"HMAC", para.Token(user, paratest.WithHeader("alg", "HS256")), "header", "algorithm",
			[]string{`alg "HS256" is not on the allow-list`,
				"Did another party issue this token?"}},
		{"not the key's alg", para.Token(user, paratest.WithHeader("alg", "ES256")), "key",
			"algorithm", []string{"not the algorithm of its key"}},
		{"unknown key", para.Token(user, paratest.UnknownKey("nobody's")), "key", "unknown_key",
			[]string{"has no such key", "A restarted emulator has new keys"}},
		{"other environment", para.Token(user, paratest.OtherEnvironment()), "key", "unknown_key",
			nil},
		{"padded signature", good + "=", "form", "malformed", []string{"canonical base64url"}},
		{"bad signature", para.Token(user, paratest.BadSignature()), "signature", "signature",
			[]string{"copy it again"}},
		{"payload is not JSON", para.SignRaw(`{"alg":"RS256","kid":"`+kid+`"}`, payload+"x"),
			"claims", "malformed", []string{"data after the value"}},
		{"no user", para.Token(user, paratest.WithData("userId", nil)), "claims", "claims",
			[]string{"data.userId: missing"}},
		{"no audience", para.Token(user, paratest.With("aud", nil)), "audience", "audience",
			[]string{"aud: missing"}},
		{"other app", para.Token(user, paratest.ForApp("somebody-else")), "audience", "audience",
			[]string{`its aud is ["somebody-else"]`, "if this is your app"}},
		{"expired", para.Token(user, paratest.Expired()), "time", "expired", []string{"issueJwt"}},
		{"early", para.Token(user, paratest.Lived(time.Hour, time.Hour)), "time", "not_yet_valid",
			[]string{"date -u"}},
		{"nbf", para.Token(user, paratest.With("nbf", time.Now().Add(time.Hour).Unix())), "time",
			"not_yet_valid", []string{"its nbf is"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
			at := slices.Index(checkNames[:], middleware.Check(test.check))
			var lines string
			for i, name := range checkNames {
				switch {
				case i < at:
					lines += string(name) + " ok "
				case i == at:
					lines += string(name) + " REFUSED: "
				}
			}
			o := call(t, test.token, args...)
			o.hides(t, test.token)
			o.has(
				t, exitRefused,
				append(test.why, lines, "\nREFUSED: "+words(middleware.Code(test.code)))...)
			if n := strings.Count(o.stdout, "not reached"); n != len(checkNames)-1-at {
				t.Errorf("%d checks are not reached", n)
			}

			j := call(t, test.token, append(args, "--json")...)
			j.hides(t, test.token)
			var r verifyReport
			j.decode(t, &r)
			if j.status != exitRefused || r.Accepted || r.Code != test.code || r.User != nil ||
				r.Checks[at].Verdict != refused ||
				r.Checks[at].Why == "" {
				t.Errorf("status %d, %+v", j.status, r)
			}
		})
	}
}

func TestVerifyAccepts(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for name, user := range paratest.Users() {
		token := para.Token(user)
		args := []string{
			"verify", "--api-key-id", "another", token, "--env", para.URL(), "--api-key-id",
			para.APIKeyID(),
		}
		o := call(t, "", args...)
		o.hides(t, token)
		o.has(
			t, exitOK, "form ok header ok key ok signature ok claims ok audience ok time ok",
			"ACCEPTED: user "+paratest.UserID+", "+string(
				user.AuthType,
			)+", until ", "and the API key IDs another, "+para.APIKeyID(),
		)

		j := call(t, "", append(args, "--json")...)
		j.hides(t, token)
		var r verifyReport
		j.decode(t, &r)
		if j.status != exitOK || !r.Accepted || r.Code != "" ||
			r.User.Identifier != user.Identifier || len(r.Wallets) != 2 ||
			r.KeyID != para.KeyIDs()[1] ||
			r.URL != para.Environment().URL ||
			r.ExpiresAt.Sub(r.IssuedAt) != 30*time.Minute {
			t.Errorf("%s: status %d, %+v", name, j.status, r)
		}
	}
}

// The library decides the size of the largest token.
func TestMaxTokenIsTheLibrarys(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for size, malformed := range map[int]bool{maxToken: false, maxToken + 1: true} {
		token := para.Token(paratest.EmailUser(), paratest.UnknownKey("k"))
		token += strings.Repeat("A", size-len(token))
		o := call(t, token, "verify", "--env", para.URL(), "--api-key-id", "id")
		if strings.Contains(o.stdout, "larger than MaxTokenBytes") != malformed {
			t.Errorf("%d bytes:\n%s", size, o.stdout)
		}
	}
}

func TestVerifyReadsAServersSettings(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	t.Setenv(environmentVariable, para.URL())
	t.Setenv(apiKeyIDVariable, para.APIKeyID())
	token := para.Token(paratest.EmailUser())
	call(t, token, "verify").has(t, exitOK, "ACCEPTED")
	// A flag takes precedence over the variable.
	call(t, token, "verify", "--api-key-id", "another").has(t, exitRefused, "audience REFUSED")
	call(t, "", "keys").has(t, exitOK, para.KeyIDs()[0])
	t.Setenv(apiKeyIDVariable, "another, "+para.APIKeyID())
	call(t, token, "verify").has(t, exitOK, "ACCEPTED")
}

func TestVerifyBendsTimeAsAsked(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	justExpired := para.Token(
		paratest.EmailUser(), paratest.Lived(-time.Hour-2*time.Second, time.Hour),
	)
	old := para.Token(paratest.EmailUser(), paratest.Lived(-2*time.Hour, 24*time.Hour))
	for _, test := range []struct {
		token  string
		flags  []string
		status int
	}{
		{justExpired, nil, exitOK},
		{justExpired, []string{"--leeway", "0"}, exitRefused},
		{justExpired, []string{"--leeway", "5m"}, exitOK},
		{old, nil, exitOK},
		{old, []string{"--max-age", "1h"}, exitRefused},
		{old, []string{"--max-age=3h"}, exitOK},
	} {
		if o := call(t, test.token, append(args, test.flags...)...); o.status != test.status {
			t.Errorf("%q: status %d\n%s%s", test.flags, o.status, o.stdout, o.stderr)
		}
	}
}

func TestVerifyOffline(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	file := filepath.Join(t.TempDir(), "keys.json")
	call(t, "", "keys", "--env", para.URL(), "--save", file).has(t, exitOK)
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID(), "--keys", file}
	para.Down()
	fetches := para.Fetches()
	call(
		t, para.Token(paratest.EmailUser()),
		args...).has(t, exitOK, "ACCEPTED", "Keys: "+file+", fetched ", "withdrew since then")
	call(
		t, para.Token(paratest.EmailUser(), paratest.UnknownKey("k")),
		args...).has(t, exitRefused, "key REFUSED")
	var r verifyReport
	call(t, para.Token(paratest.EmailUser()), append(args, "--json")...).decode(t, &r)
	if r.KeysFetchedAt.IsZero() {
		t.Error("the age of the keys is missing")
	}
	if para.Fetches() != fetches {
		t.Error("the network is used")
	}

	// A key set as served has neither an age nor an environment.
	plain := filepath.Join(t.TempDir(), "plain.json")
	para.Recover()
	writeFile(t, plain, get(t, para.Environment().URL))
	args[len(args)-1] = plain
	call(t, para.Token(paratest.EmailUser()), args...).has(t, exitOK, "ACCEPTED", "of unknown age")

	// A snapshot of another environment is refused.
	args[2], args[len(args)-1] = "beta", file
	call(
		t, para.Token(paratest.EmailUser()),
		args...).has(t, exitUsage, "the snapshot is of environment")
}

func TestVerifyWithoutKeys(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	dir := t.TempDir()
	empty, broken := filepath.Join(dir, "empty.json"), filepath.Join(dir, "broken.json")
	writeFile(t, empty, `{"keys":[]}`)
	writeFile(t, broken, `<html>`)
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	for file, want := range map[string]string{"no-such-file": "no such file",
		empty: "no usable key", broken: "not a key set"} {
		o := call(t, token, append(args, "--keys", file)...)
		o.has(t, exitNoKeys, want)
		o.hides(t, token)
	}

	for _, status := range []int{0, 500, 302} {
		para.Recover()
		if status == 0 {
			para.Down()
		} else {
			para.Fail(status)
		}
		o := call(t, token, args...)
		o.hides(t, token)
		o.has(
			t, exitNoKeys, "form ok header ok key UNKNOWN: keys unavailable",
			"signature not reached", "\nUNKNOWN: keys unavailable",
		)
		var r verifyReport
		j := call(t, token, append(args, "--json")...)
		if j.decode(t, &r); j.status != exitNoKeys || r.Checks[2].Verdict != unknown ||
			r.Code != "keys_unavailable" {
			t.Errorf("status %d, %+v", j.status, r)
		}
	}
}

// For an unknown key at one of Para's environments, the report names the
// others.
func TestUnknownKeyNamesTheOtherEnvironments(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	// This snapshot presents the keys of this Para as those of BETA.
	file := filepath.Join(t.TempDir(), "beta.json")
	_, keys, _ := strings.Cut(get(t, para.Environment().URL), "{")
	writeFile(
		t, file,
		fmt.Sprintf(
			`{"parajwt":{"environment":"beta","url":%q,"fetchedAt":"2026-01-01T00:00:00Z"},%s`,
			jwks.Beta.URL, keys,
		),
	)
	args := []string{"verify", "--env", "beta", "--keys", file, "--api-key-id", para.APIKeyID()}
	call(t, para.Token(paratest.EmailUser()), args...).has(t, exitOK, "ACCEPTED", "days ago")
	o := call(t, para.Token(paratest.EmailUser(), paratest.OtherEnvironment()), args...)
	o.has(
		t, exitRefused, "key REFUSED: unknown key",
		"parajwt verify --env prod --api-key-id ID parajwt verify --env sandbox --api-key-id ID",
	)
	if strings.Contains(o.stdout, "--env beta") {
		t.Errorf("the report names the same environment as another:\n%s", o.stdout)
	}

	// With the other environment's key set, the library names the environment.
	prod := paratest.New(t, paratest.Config{})
	_, keys, _ = strings.Cut(get(t, prod.Environment().URL), "{")
	known := filepath.Join(t.TempDir(), "prod.json")
	writeFile(
		t, known,
		fmt.Sprintf(
			`{"parajwt":{"environment":"prod","url":%q,"fetchedAt":"2026-01-01T00:00:00Z"},%s`,
			jwks.Prod.URL, keys,
		),
	)
	call(t, prod.Token(paratest.EmailUser()), append(args, "--known", known)...).
		has(t, exitRefused,
			`the key is known from Para's environment "prod", and this validator is for "beta"`)
}

// A token of the longest life is accepted, and a longer one is refused.
func TestVerifyRefusesALongLife(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	const most = 31 * 24 * time.Hour
	life := func(d time.Duration) string {
		return para.Token(paratest.EmailUser(), paratest.Lived(0, d))
	}
	call(t, life(most), args...).has(t, exitOK, "ACCEPTED")
	call(t, life(most+time.Second), args...).has(t, exitRefused, "claims REFUSED")
}

// For every error, exactly one check is marked as failed.
func TestEveryErrorHasItsCheck(t *testing.T) {
	for _, test := range []struct {
		code middleware.Code
		from middleware.Check
		want string
	}{
		{middleware.ErrNoToken, "", "form"},
		{middleware.ErrMisconfigured, "", "form"},
		{middleware.ErrMalformed, middleware.CheckHeader, "header"},
		{middleware.ErrKeysUnavailable, "", "key"},
		{middleware.ErrExpired, middleware.CheckTime, "time"},
		{middleware.ErrRevoked, middleware.CheckRevocation, "form"},
	} {
		e := &middleware.Error{Code: test.code, Check: test.from}
		var bad []string
		for _, c := range verdicts(explain(e, "", jwks.Beta)) {
			if c.Verdict == refused || c.Verdict == unknown {
				bad = append(bad, c.Name)
			}
		}
		if !slices.Equal(bad, []string{test.want}) {
			t.Errorf("%v: %q", test.code, bad)
		}
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answering starts a server that always returns the same response.
func answering(t *testing.T, status int, contentType, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", "https://example.com/")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
