package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/paratest"
)

func TestInspectShowsTheUser(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for name, user := range paratest.Users() {
		t.Run(name, func(t *testing.T) {
			token := para.Token(user)
			o := call(t, token+"\n", "inspect")
			o.hides(t, token)
			want := []string{
				"NOT VERIFIED. Anyone can write",
				"form ok header ok claims ok",
				"alg RS256", "kid " + para.KeyIDs()[1], "typ JWT",
				"userId " + paratest.UserID, "authType " + string(user.AuthType),
				"identifier " + user.Identifier,
				"EVM " + paratest.EVMAddress, "SOLANA " + paratest.SolanaAddress,
				"aud " + paratest.APIKeyID +
					" if this is your app, configure it as APIKeyIDs or PARA_API_KEY_ID",
				" ago", "expires in ", "session length 30m0s",
				"parajwt keys --env beta --save beta.json",
			}
			if user.OAuthMethod != "" {
				want = append(want, "oAuthMethod "+string(user.OAuthMethod))
			}
			if user.ExternalWalletAddress != "" {
				want = append(
					want, "externalWallet "+user.ExternalWalletAddress+", EVM, MetaMask",
					"Connected wallets, ownership NOT proven EVM "+user.ExternalWalletAddress+
						" MetaMask",
				)
			}
			o.has(t, exitOK, want...)

			j := call(t, "", "inspect", "--json", token)
			j.hides(t, token)
			var r reading
			j.decode(t, &r)
			if r.Verified || r.Algorithm != "RS256" || r.User == nil ||
				r.User.UserID != paratest.UserID || r.User.AuthType != user.AuthType ||
				len(r.Wallets) != 2 || len(r.ConnectedWallets) != len(user.ConnectedWallets) ||
				!slices.Equal(r.Audience, []string{paratest.APIKeyID}) ||
				r.Lifetime != 1800 || r.Expired || len(r.Header) == 0 || len(r.Payload) == 0 ||
				len(r.Checks) != 3 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestInspectTakesATokenFromAnywhere(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	for name, o := range map[string]outcome{
		"argument":           call(t, "not this", "inspect", token),
		"flags behind it":    call(t, "", "inspect", token, "--json"),
		"behind --":          call(t, "", "inspect", "--", token),
		"standard input":     call(t, token, "inspect"),
		"minus":              call(t, token+"\n", "inspect", "-"),
		"Windows":            call(t, token+"\r\n", "inspect"),
		"with its scheme":    call(t, "Bearer "+token, "inspect"),
		"with its header":    call(t, "authorization:  bearer "+token+"\n", "inspect"),
		"scheme as argument": call(t, "", "inspect", "Bearer "+token),
	} {
		if o.status != exitOK || !strings.Contains(o.stdout, paratest.UserID) {
			t.Errorf("%s: status %d\n%s%s", name, o.status, o.stdout, o.stderr)
		}
	}
}

func TestNothingBehindTwoDashesIsAFlag(t *testing.T) {
	call(t, "", "inspect", "--", "--json").has(t, exitRefused, "form REFUSED")
}

func TestInspectTellsTheTime(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for _, test := range []struct {
		option  paratest.TokenOption
		want    []string
		expired bool
	}{
		{paratest.Lived(-33*time.Minute-30*time.Second, 30*time.Minute),
			[]string{"issued", "33 minutes ago", "expired 3 minutes ago", "session length 30m0s"},
			true},
		{paratest.Lived(-90*time.Second, 30*24*time.Hour),
			[]string{"expires in 29 days", "session length 720h0m0s"}, false},
		{paratest.Lived(150*time.Second, time.Hour),
			[]string{"in 2 minutes", "this is in the future: is a clock wrong?"}, false},
		{paratest.With("nbf", time.Now().Add(150*time.Minute).Unix()),
			[]string{"not before", "in 2 hours"}, false},
	} {
		token := para.Token(paratest.EmailUser(), test.option)
		call(t, token, "inspect").has(t, exitOK, test.want...)
		var r reading
		call(t, token, "inspect", "--json").decode(t, &r)
		if r.Expired != test.expired {
			t.Errorf("%q: expired is %v", test.want, r.Expired)
		}
	}
}

func TestInspectKnowsWhoseKeyItIs(t *testing.T) {
	beta := paratest.New(t, paratest.Config{})
	prod := paratest.New(t, paratest.Config{})
	dir := t.TempDir()
	betaFile, prodFile, plain := filepath.Join(
		dir, "beta.json",
	), filepath.Join(
		dir, "prod.json",
	), filepath.Join(
		dir, "plain.json",
	)
	call(t, "", "keys", "--env", beta.URL(), "--save", betaFile).has(t, exitOK)
	call(t, "", "keys", "--env", prod.URL(), "--save", prodFile).has(t, exitOK)
	var snapshot map[string]json.RawMessage
	data, err := os.ReadFile(betaFile)
	if err != nil || json.Unmarshal(data, &snapshot) != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(plain, []byte(`{"keys":`+string(snapshot["keys"])+`}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	token := beta.Token(paratest.EmailUser())
	host := func(p *paratest.Para) string { return strings.TrimPrefix(p.URL(), "http://") }

	call(
		t, token, "inspect", "--known", betaFile, "--known", prodFile,
	).has(t, exitOK, "the key is one of "+host(beta))
	call(
		t, token, "inspect", "--known", prodFile,
	).has(t, exitOK, "none of the --known key sets has this key")
	call(
		t, token, "inspect", "--known", plain,
	).has(t, exitUsage, "names no environment")
	var r reading
	call(
		t, token, "inspect", "--known", betaFile, "--known", betaFile, "--known", prodFile,
		"--json",
	).decode(t, &r)
	if !slices.Equal(r.Environments, []string{host(beta)}) {
		t.Errorf("%q", r.Environments)
	}
}

func TestInspectShowsWhatIsWrong(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	b64 := base64.RawURLEncoding.EncodeToString
	good := para.Token(paratest.EmailUser())
	part := strings.Split(good, ".")
	header := func(h string) string { return b64([]byte(h)) + "." + part[1] + "." + part[2] }
	payload := func(p string) string { return part[0] + "." + b64([]byte(p)) + "." + part[2] }
	for _, test := range []struct {
		name, token string
		want        []string
	}{
		{"header without alg", header(`{"kid":"k"}`),
			[]string{"header REFUSED: it has no alg", "kid k", "claims ok"}},
		{"HMAC", header(`{"alg":"HS256","kid":"k"}`),
			[]string{`REFUSED: alg "HS256" is not allowed`, "Did another party issue this token?"}},
		{"none", header(`{"alg":"none","kid":"k"}`),
			[]string{`REFUSED: alg "none" is not allowed`}},
		{"no kid", header(`{"alg":"RS256"}`), []string{"header REFUSED: kid missing or empty"}},
		{"crit", header(`{"alg":"RS256","kid":"k","crit":["exp"],"x5c":[]}`),
			[]string{"crit is not supported",
				"Other header parameters, without a meaning to the library crit [\"exp\"] x5c []",
				"Header, decoded"}},
		{"header is not JSON", header("\x1b[2J"),
			[]string{"header REFUSED", `not JSON, or too long to show: "\x1b[2J"`}},
		{"folded name", payload(`{"sub":"u","AUD":"x","iat":1,"exp":2,"data":{"userId":"u"}}`),
			[]string{"claims REFUSED: ", "Payload, decoded", `"AUD": "x"`}},
		{"somebody else's",
			payload(`{"iss":"https://example.com","aud":["x","y"],"exp":1700000000.5}`),
			[]string{"claims REFUSED: sub: missing or empty", "Did another party issue this token?",
				"aud x aud y", "days ago",
				"Other claims, without a meaning to the library iss https://example.com"}},
		{"users differ",
			payload(`{"sub":"u","aud":"x","iat":1,"exp":2,"data":{"userId":"v","extra":1}}`),
			[]string{"claims REFUSED: sub: is not data.userId",
				"Other members of data, without a meaning to the library extra 1"}},
		{"escape in the payload",
			payload(`{"sub":"u","aud":"\u001b[2J\u009b","iat":1,"exp":2,"data":{"userId":"u"}}` +
				" "), []string{`aud "\x1b[2J\u009b"`}},
		{"many members",
			payload(`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":1,"s":1,"t":1,"u":1}`), []string{"s 1 t 1 u 1"}},
		{"signature with padding", good + "==",
			[]string{"form REFUSED: its signature: not unpadded canonical base64url",
				"standard base64", "header ok", "claims ok"}},
		{"header in plain text", "{}." + part[1] + "." + part[2],
			[]string{"form REFUSED: its header", "header not reached", "claims ok"}},
		{"large", good + strings.Repeat("A", maxToken), []string{"larger than 16384 bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := call(t, test.token, "inspect")
			o.hides(t, good)
			status := exitRefused
			if test.name == "escape in the payload" {
				status = exitOK
			}
			o.has(t, status, test.want...)
			if strings.ContainsAny(o.stdout, "\x1b\u009b") {
				t.Errorf("control characters of a token reach the terminal: %q", o.stdout)
			}
			j := call(t, test.token, "inspect", "--json")
			j.hides(t, good)
			j.decode(t, new(reading))
			if j.status != status {
				t.Errorf("exit status %d", j.status)
			}
		})
	}
}

func TestWhatIsOftenTakenForAToken(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	good := para.Token(paratest.EmailUser())
	session := para.Login(paratest.EmailUser()).Exported()
	for _, test := range []struct{ text, want string }{
		{"undefined", "it is JavaScript's undefined"},
		{"Bearer null", "it is JavaScript's null"},
		{"[object Object]", "it is JavaScript's [object Object]"},
		{`Authorization: Bearer "` + good + `"`, "it is in quotes"},
		{`{"keyId":"k"}`, "issueJwt returns {token, keyId}"},
		{"Bearer Bearer " + good, "the client adds the word twice"},
		{session, "it is an exported session"},
		{"beta_0123456789abcdef0123456789abcdef", "it is a publishable API key"},
		{paratest.APIKeyID, "it is a UUID"},
		{"two words", "white space"},
		{"sk_0123456789abcdef", "replace the key"},
		{good + ".YQ.YQ", "five parts"},
		{good[:strings.LastIndexByte(good, '.')], "it has 2 parts between dots"},
		{"word", "it has 1 part between dots"},
		{strings.ReplaceAll(good, ".", "=."), "standard base64"},
	} {
		o := call(t, test.text, "inspect")
		o.has(t, exitRefused, "form REFUSED: ", test.want)
		o.hides(t, good)
		o.hides(t, session)
		v := call(t, test.text, "verify", "--env", para.URL(), "--api-key-id", "id")
		v.has(t, exitRefused, "form REFUSED: ", test.want)
		v.hides(t, good)
		v.hides(t, session)
	}
	if para.Fetches() > 0 {
		t.Errorf("keys are fetched %d times for input that is not a token", para.Fetches())
	}
	if got := notAToken(good); got != "" {
		t.Errorf("a token: %s", got)
	}
	if got := notAToken(""); got == "" {
		t.Error("empty input is accepted")
	}
}

// The JSON names are those of claims.Claims.
func TestUserIsNamedAsClaimsAre(t *testing.T) {
	for field := range fields(user{}) {
		if !slices.Contains(slices.Collect(fields(claims.Claims{})), field) {
			t.Errorf("claims.Claims has no %q", field)
		}
	}
}
