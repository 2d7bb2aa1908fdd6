package paratest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// moduli returns the RSA keys that a Para publishes.
func moduli(t *testing.T, para *paratest.Para) []string {
	t.Helper()
	res, err := http.Get(para.Environment().URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var set struct{ Keys []struct{ N string } }
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range set.Keys {
		all = append(all, k.N)
	}
	return all
}

func TestParasAtTheSameTimeShareNoKey(t *testing.T) {
	one, other := paratest.New(t, paratest.Config{}), paratest.New(t, paratest.Config{})
	for _, n := range moduli(t, one) {
		if slices.Contains(moduli(t, other), n) {
			t.Error("two Paras have the same key at the same time")
		}
	}
	// The other environment's key is refused under this Para's key ID, too.
	stolen := paratest.WithHeader("kid", one.KeyIDs()[1])
	v := one.Validator(t, patient)
	expect(t, v, other.Token(paratest.EmailUser(), stolen), middleware.ErrSignature)
	expect(t, v, one.Token(paratest.EmailUser(), stolen), nil)
}

func TestAClosedParaLendsItsKeysUnderNewIDs(t *testing.T) {
	old, err := paratest.Start(paratest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	token := old.Token(paratest.EmailUser())
	before, ids := moduli(t, old), old.KeyIDs()
	old.Close()
	old.Close() // a second time has no effect
	reused := false
	for range 20 { // other tests may use the pool
		para := paratest.New(t, paratest.Config{})
		reused = reused || slices.Contains(before, moduli(t, para)[0])
		if slices.Contains(para.KeyIDs(), ids[0]) || slices.Contains(para.KeyIDs(), ids[1]) {
			t.Fatal("a key ID is used again")
		}
		expect(t, para.Validator(t, patient), token, middleware.ErrUnknownKey)
		if reused {
			return
		}
	}
	t.Error("the keys of a closed Para are not reused")
}

func TestAlgorithm(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	rs, es := para.KeyIDs()[0], para.RotateES256()
	para.Withdraw(rs)
	for id, want := range map[string]string{rs: "RS256", es: "ES256", "unknown": ""} {
		if got := para.Algorithm(id); got != want {
			t.Errorf("Algorithm(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestKeyFileKeepsKeysOverARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	start := func() *paratest.Para {
		t.Helper()
		para, err := paratest.Start(paratest.Config{KeyFile: file})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { para.Close() })
		return para
	}
	first := start()
	rs := first.Rotate()
	es := first.RotateES256()
	first.Withdraw(first.KeyIDs()[0])
	token := first.Token(paratest.EmailUser())
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	second := start()
	if got, want := second.KeyIDs(), first.KeyIDs(); !slices.Equal(got, want) || len(got) != 3 {
		t.Errorf("keys %q, want %q", got, want)
	}
	if second.APIKey() != first.APIKey() || second.SecretAPIKey() != first.SecretAPIKey() {
		t.Error("the API keys changed")
	}
	v := second.Validator(t, patient)
	expect(t, v, token, nil)
	expect(t, v, second.Token(paratest.EmailUser(), paratest.SignedBy(rs)), nil)
	expect(t, v, second.Token(paratest.EmailUser(), paratest.SignedBy(es)), nil)

	// No other Para of the process gets a key of the file.
	kept := moduli(t, second)
	second.Close()
	for _, n := range moduli(t, paratest.New(t, paratest.Config{})) {
		if slices.Contains(kept, n) {
			t.Error("a stored key is reused")
		}
	}

	second.Withdraw(second.KeyIDs()...)
	third := start()
	if ids := third.KeyIDs(); len(ids) != 2 || third.APIKey() != first.APIKey() {
		t.Errorf("after all keys were withdrawn: keys %q", ids)
	}
}

func TestKeyFileOfAnotherKindIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.json")
	para, err := paratest.Start(paratest.Config{KeyFile: good})
	if err != nil {
		t.Fatal(err)
	}
	para.Close()
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"a key set":      `{"keys":[{"kty":"RSA"}]}`,
		"another member": strings.Replace(string(data), `{`, `{"extra":1,`, 1),
		"no API key":     strings.Replace(string(data), para.APIKey(), "", 1),
		"a broken key":   strings.Replace(string(data), `"pkcs8":"M`, `"pkcs8":"A`, 1),
		"another alg":    strings.Replace(string(data), `"RS256"`, `"ES256"`, 1),
		"no key ID":      strings.Replace(string(data), para.KeyIDs()[0], "", 1),
	} {
		file := filepath.Join(dir, "bad.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		para, err := paratest.Start(paratest.Config{KeyFile: file})
		if err == nil {
			para.Close()
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), "key file "+file) ||
			strings.Contains(err.Error(), "MII") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != text {
			t.Errorf("%s: the file changed, %v", name, err)
		}
	}
}

func TestKeyFileThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	file := filepath.Join(dir, "keys.json")
	if para, err := paratest.Start(paratest.Config{KeyFile: file}); err == nil {
		para.Close()
		t.Error("Start reports no error")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	para, err := paratest.Start(paratest.Config{KeyFile: file})
	if err != nil {
		t.Fatal(err)
	}
	defer para.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	para.Rotate()
	if err := para.Close(); err == nil {
		t.Error("Close reports no error")
	}
}

// The signing keys are private. Neither the key set nor an error contains them.
func TestKeySetHasNoPrivateMembers(t *testing.T) {
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
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		if strings.Contains(string(body), `"`+member+`":`) {
			t.Errorf("the key set has %q", member)
		}
	}
}
