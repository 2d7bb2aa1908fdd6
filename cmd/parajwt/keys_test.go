package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/paratest"
)

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestKeysShowsTheSet(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.RotateES256()
	ids := para.KeyIDs()
	call(t, "", "keys", "--env", para.URL()).has(t, exitOK,
		para.URL()+"/.well-known/jwks.json answered 200, application/json, Cache-Control: -, ",
		ids[0]+" RSA 2048 bits RS256 sig RS256", ids[1]+" RSA 2048 bits RS256 sig RS256",
		ids[2]+" EC P-256 ES256 sig ES256",
		"alg is served on all of the keys, use on all.")
	var r keysReport
	call(t, "", "keys", "--json", "--env", para.URL()).decode(t, &r)
	if !r.Usable || r.Status != 200 || r.Bytes == 0 || len(r.Keys) != 3 || r.ServesAlg != "all" ||
		r.ServesUse != "all" ||
		r.Keys[2] != (servedKey{Index: 2, KeyID: ids[2], Type: "EC", Curve: "P-256",
			Algorithm: "ES256", Use: "sig", UsedAs: "ES256"}) {
		t.Errorf("%+v", r)
	}
	if n := para.Fetches(); n != 2 {
		t.Errorf("%d fetches, want one for each run", n)
	}
}

// The report shows keys as served, and why the library skips them.
func TestKeysShowsOddKeys(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(get(t, para.Environment().URL)), &set); err != nil {
		t.Fatal(err)
	}
	with := func(members ...any) string {
		key := map[string]any{"kty": "RSA", "n": set.Keys[0]["n"], "e": set.Keys[0]["e"]}
		for i := 0; i < len(members); i += 2 {
			key[members[i].(string)] = members[i+1]
		}
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const secret = "c2VjcmV0LWtleS1tYXRlcmlhbA"
	url := answering(t, 200, "application/jwk-set+json", `{"keys":[`+strings.Join([]string{
		with("kid", "bare"),
		with("kid", "for encryption", "use", "enc"),
		with("kid", "private", "d", secret),
		with("kid", "symmetric", "kty", "oct", "k", secret),
		with("kid", "weak", "n", "AQAB"),
		with("kid", "odd alg", "alg", 7),
		with(
			"kid", "EdDSA", "kty", "OKP", "crv", "Ed25519", "x",
			"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		),
		with("kid", "twin"), with("kid", "twin"),
		with("kid", "\x1b[2J", "use", "\u009b"),
		with(),
		`null`, `"text"`,
	}, ",")+`]}`)
	o := call(t, "", "keys", "--env", url)
	o.has(
		t, exitOK,
		"answered 200, application/jwk-set+json",
		"bare RSA 2048 bits - - RS256",
		"for encryption RSA 2048 bits - enc nothing; skipped: use is not sig",
		"private RSA 2048 bits - - nothing; skipped: private key",
		"symmetric oct - - - nothing; skipped: symmetric key",
		"weak RSA 17 bits - - nothing; skipped: RSA key of less than 2048 bits",
		"odd alg RSA 2048 bits 7 - nothing; skipped: ",
		"EdDSA OKP Ed25519 - - nothing; skipped: algorithm is not allowed here",
		"twin RSA 2048 bits - - nothing; skipped: another key has the same kid",
		`"\x1b[2J" RSA 2048 bits - "\u009b" nothing; skipped: `,
		"- RSA 2048 bits - - nothing; skipped: no kid",
		"- - - - - nothing; skipped: malformed",
		"alg is served on some of the keys, use on some. "+
			"A key without alg gets the first allowed algorithm that fits it.",
	)
	j := call(t, "", "keys", "--env", url, "--json")
	for _, out := range []string{o.stdout, j.stdout} {
		if strings.Contains(out, secret) || strings.ContainsAny(out, "\x1b\u009b") {
			t.Errorf("key material or control characters in\n%s", out)
		}
	}
	var r keysReport
	if j.decode(t, &r); len(r.Keys) != 13 || r.Keys[0].UsedAs != "RS256" ||
		r.Keys[0].Skipped != "" ||
		r.Keys[12].Skipped == "" {
		t.Errorf("%+v", r)
	}
}

func TestKeysWithoutAny(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		want []string
	}{
		"HTML": {answering(t, 200, "text/html", "<html>log in to the network</html>"),
			[]string{"answered 200, text/html", "NO KEYS: not a key set"}},
		"500": {answering(t, 500, "text/plain", "oops"),
			[]string{"answered 500, text/plain", "NO KEYS: key set's server answered 500"}},
		"redirect": {answering(t, 302, "text/html", ""),
			[]string{"answered 302", "redirects are not followed"}},
		"empty": {answering(t, 200, "application/json", `{"keys":[]}`),
			[]string{"NO KEYS: key set has no usable key"}},
		"no key that is usable": {answering(t, 200, "application/json",
			`{"keys":[{"kty":"oct","kid":"k","k":"AA"}]}`),
			[]string{"k oct - - - nothing; skipped: symmetric key",
				"alg is served on none of the keys, use on none.", "NO KEYS"}},
		"refused as a whole": {answering(t, 200, "application/json",
			`{"keys":[{"kty":"oct","kid":"k"}],"keys":[{"kty":"oct","kid":"k"}]}`),
			[]string{"the set as a whole is refused", "NO KEYS: not a key set"}},
		"no server": {"http://127.0.0.1:1", []string{"NO KEYS: key set cannot be fetched"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.json")
			o := call(t, "", "keys", "--env", test.url, "--save", file)
			o.has(t, exitNoKeys, test.want...)
			if _, err := os.Stat(file); err == nil {
				t.Error("a file is written")
			}
			var r keysReport
			j := call(t, "", "keys", "--env", test.url, "--json")
			if j.decode(t, &r); j.status != exitNoKeys || r.Usable || r.Error == "" ||
				r.Keys == nil {
				t.Errorf("status %d, %+v", j.status, r)
			}
		})
	}
}

func TestKeysSaves(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	writeFile(t, file, "what was there before")
	call(t, "", "keys", "--env", para.URL(), "--save", file).has(t, exitOK, "Saved to "+file+".")
	name, ids, err := jwks.FromFile(os.DirFS(dir), "keys.json").Inspect()
	if err != nil || name != strings.TrimPrefix(para.URL(), "http://") || len(ids) != 2 {
		t.Errorf("%q %q %v", name, ids, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("other files remain: %v", entries)
	}

	// If the file cannot be written, the keys are shown and no file remains.
	for _, to := range []string{filepath.Join(dir, "no-such-directory", "keys.json"), dir} {
		o := call(t, "", "keys", "--env", para.URL(), "--save", to)
		o.has(t, exitRefused, "parajwt keys: --save: ", para.KeyIDs()[0])
		if strings.Contains(o.stdout, "Saved") {
			t.Error(o.stdout)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".parajwt-*")); len(left) > 0 {
		t.Errorf("files remain: %q", left)
	}
	var r keysReport
	call(t, "", "keys", "--env", para.URL(), "--save", file, "--json").decode(t, &r)
	if r.Saved != file {
		t.Errorf("%+v", r)
	}
}
