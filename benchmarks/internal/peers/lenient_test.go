package peers

import (
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

const (
	golangjwt = "golang-jwt v5 + keyfunc v3"
	gojose    = "go-jose v4"
	gooidc    = "go-oidc v3 RemoteKeySet"
	auth0V2   = "auth0/go-jwt-middleware v2"
	jwxV2     = "jwx/v2 jwt.Parse + jwk.Cache"
	clerkV2   = "clerk-sdk-go v2"
	auth0V3   = "auth0/go-jwt-middleware v3"
)

var everyPeer = []string{golangjwt, gojose, gooidc, auth0V2, jwxV2, clerkV2, auth0V3}

// lenient lists tokens that Para would never issue, and the libraries that
// accept them. All but the forged one are signed with Para's key. The table of
// docs/migrate.md has a row with this name for each that a library accepts.
var lenient = []struct {
	name     string
	part     int // 0: change is applied to the header, 1: to the payload, 2: to the token
	change   func(string) string
	accepted []string
}{
	{"a forged signature", 2, func(token string) string {
		return token[:strings.LastIndexByte(token, '.')+1] + strings.Repeat("A", 342)
	}, nil},
	{"aud of another app", 1, replace(fixture.APIKeyID, "another app"), nil},
	{"exp in the past", 1, replace(`"exp":`, `"exp":1000,"was":`), nil},

	{"`alg: none` in the header", 0, replace(`"RS256"`, `"none"`), []string{jwxV2, auth0V3}},
	{"an unknown `crit`", 0, replace(`{`, `{"crit":["https://example.com/x"],`),
		[]string{golangjwt, jwxV2, auth0V3}},
	{"no `kid`", 0, replace(`"kid"`, `"was"`), []string{golangjwt, gooidc}},
	{"the `typ` of another kind of token", 0, replace(`"JWT"`, `"secevent+jwt"`), everyPeer},

	{"no `exp`", 1, replace(`"exp":`, `"was":`),
		[]string{gojose, auth0V2, jwxV2, clerkV2, auth0V3}},
	{"`exp` in 100 years", 1, replace(`"exp":`, `"exp":4900000000,"was":`), everyPeer},
	{"no `iat`", 1, replace(`"iat":`, `"was":`), everyPeer},
	{"`iat` tomorrow", 1, replace(`"iat":`, fmt.Sprintf(`"iat":%d,"was":`,
		time.Now().Add(20*time.Hour).Unix())), []string{golangjwt, gooidc}},
	{"a `sub` that is not `data.userId`", 1, replace(`"sub":"`, `"sub":"x`), everyPeer},
	{"two `sub`", 1, replace(`"sub":`, `"sub":"somebody else","sub":`),
		[]string{golangjwt, gooidc, jwxV2, auth0V3}},
	{"`EXP` after an `exp` in the past", 1,
		replace(`"exp":`, `"exp":1000,"EXP":4900000000,"was":`),
		[]string{golangjwt, gooidc, clerkV2}},
	{"bytes after the payload's JSON", 1, func(s string) string { return s + "{}" },
		[]string{jwxV2}},

	{"a line break in the signature", 2, func(token string) string {
		return token[:len(token)-8] + "\n" + token[len(token)-8:]
	}, everyPeer},
}

func replace(old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("no " + old)
		}
		return strings.Replace(s, old, new, 1)
	}
}

func TestWhatLibrariesAccept(t *testing.T) {
	f, err := fixture.New()
	if err != nil {
		t.Fatal(err)
	}
	base, stop, err := f.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	b64 := base64.RawURLEncoding

	for _, library := range All() {
		t.Run(library.Name, func(t *testing.T) {
			verify, err := library.New(t.Context(), Setup{BaseURL: base, Alg: fixture.RS256})
			if err != nil {
				t.Fatal(err)
			}
			good := f.Token(fixture.Spec{
				Alg: fixture.RS256, UserID: fixture.UserID(1), Issuer: library.Issuer})
			if _, err := verify(t.Context(), good); err != nil {
				t.Fatalf("a good token: %v", err)
			}
			for _, c := range lenient {
				token := good
				if parts := strings.Split(good, "."); c.part < 2 {
					text, err := b64.DecodeString(parts[c.part])
					if err != nil {
						t.Fatal(err)
					}
					parts[c.part] = b64.EncodeToString([]byte(c.change(string(text))))
					input := parts[0] + "." + parts[1]
					token = input + "." +
						fixture.EncodedSignature(f.Key(fixture.RS256).Private, input)
				} else {
					token = c.change(good)
				}
				_, err := verify(t.Context(), token)
				if want := slices.Contains(c.accepted, library.Name); (err == nil) != want {
					t.Errorf("%s: accepted %v, want %v (%v)", c.name, err == nil, want, err)
				}
			}
		})
	}
}

// TestMigratePage checks that the table of docs/migrate.md has the verdicts
// that TestWhatLibrariesAccept measures, and no others.
func TestMigratePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	columns := []string{golangjwt, jwxV2, gooidc, auth0V2, auth0V3, ""} // the last is parajwt
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) == 1+len(columns) && strings.Contains(line, "refused") {
			rows[cells[0]] = cells[1:]
		}
	}
	for _, c := range lenient {
		row := rows[c.name]
		delete(rows, c.name)
		if (row == nil) != (c.accepted == nil) {
			t.Errorf("%s: the row is %q", c.name, row)
		}
		for i, cell := range row {
			want := "refused"
			if slices.Contains(c.accepted, columns[i]) {
				want = "**accepted**"
			}
			if strings.TrimRight(cell, "¹") != want {
				t.Errorf("%s: column %d is %s, want %s", c.name, i+1, cell, want)
			}
		}
	}
	for name := range rows {
		t.Errorf("no test measures the row %q", name)
	}
}
