package jwks_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

func TestSeal(t *testing.T) {
	secret := bytes.Repeat([]byte("s"), 32)
	snapshot := snapshotOf(jwks.Beta, keyA(), keyB())
	sealed, err := jwks.Seal(snapshot, secret)
	if err != nil {
		t.Fatal(err)
	}
	env, ids, err := jwks.Sealed(sealed, secret).Inspect()
	if env != "beta" || !slices.Equal(ids, []string{"a", "b"}) || err != nil {
		t.Errorf("%q, %q, %v", env, ids, err)
	}
	c, err := offline(jwks.Beta, jwks.Sealed(sealed, secret))
	if err != nil {
		t.Fatal(err)
	}
	found(t, c, "a")
	if _, err := offline(jwks.Prod, jwks.Sealed(sealed, secret)); err == nil {
		t.Error("a sealed snapshot of BETA starts a cache of PROD")
	}

	other := append(bytes.Clone(secret[:31]), 'x')
	const changed = "was changed, or was sealed with another secret"
	swap := func(from, to string) []byte {
		if !bytes.Contains(sealed, []byte(from)) {
			t.Fatalf("no %q in the sealed snapshot", from)
		}
		return bytes.Replace(sealed, []byte(from), []byte(to), 1)
	}
	mac, _, _ := strings.Cut(strings.TrimPrefix(string(sealed), "parajwt-sealed-v1 "), "\n")
	// Snapshots that an earlier version sealed can still be opened.
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("parajwt-sealed-v1 " + string(snapshot)))
	if want := base64.RawURLEncoding.EncodeToString(h.Sum(nil)); mac != want {
		t.Errorf("the HMAC is %s, want %s", mac, want)
	}
	for _, test := range []struct {
		name   string
		source jwks.Source
		reason string
	}{
		{"another secret", jwks.Sealed(sealed, other), changed},
		{"a longer secret", jwks.Sealed(sealed, append(bytes.Clone(secret), 1)), changed},
		{"a short secret", jwks.Sealed(sealed, secret[:31]), "has 31 bytes: use at least 32"},
		{"no secret", jwks.Sealed(sealed, nil), "has 0 bytes: use at least 32"},
		{"not sealed", jwks.Sealed(snapshot, secret), "is not sealed: use FromBytes"},
		{"nothing", jwks.Sealed(nil, secret), "is not sealed: use FromBytes"},
		{"sealed, but not opened", jwks.FromBytes(sealed), "is sealed: use Sealed"},
		{"another environment", jwks.Sealed(swap(`"beta"`, `"prod"`), secret), changed},
		{"another URL", jwks.Sealed(swap("api.beta.getpara.com", "evil.example"), secret), changed},
		{"another time", jwks.Sealed(swap("2026-02-03", "2026-02-04"), secret), changed},
		{"another key", jwks.Sealed(swap(keyA().JWK(), keyC().Named("a").JWK()+" "), secret),
			changed},
		{"a key less", jwks.Sealed(swap(keyA().JWK()+",", ""), secret), changed},
		{"white space at the end", jwks.Sealed(append(bytes.Clone(sealed), '\n'), secret), changed},
		{"another version", jwks.Sealed(swap("-v1 ", "-v2 "), secret), "is not sealed"},
		{"no HMAC", jwks.Sealed(swap(mac, ""), secret), changed},
		{"half the HMAC", jwks.Sealed(swap(mac, mac[:len(mac)/2]), secret), changed},
		{"another HMAC", jwks.Sealed(swap(mac, strings.Repeat("A", len(mac))), secret), changed},
		{"an HMAC that is padded", jwks.Sealed(swap(mac, mac+"="), secret), changed},
		{"cut off", jwks.Sealed(sealed[:60], secret), changed},
	} {
		c, err := offline(jwks.Beta, test.source)
		if c != nil || err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want %q", test.name, err, test.reason)
		}
		if err != nil && (strings.Contains(err.Error(), mac) ||
			strings.Contains(err.Error(), "sss")) {
			t.Errorf("%s: the error quotes a secret: %v", test.name, err)
		}
	}

	for _, test := range []struct {
		name             string
		snapshot, secret []byte
		reason           string
	}{
		{"a short secret", snapshot, secret[:31], "has 31 bytes"},
		{"a plain key set", []byte(testkit.SetOf(keyA())), secret, "not a snapshot"},
		{"junk", []byte("junk"), secret, "not a key set"},
		{"nothing", nil, secret, "not a key set"},
		{"sealed already", sealed, secret, "is sealed"},
	} {
		if data, err := jwks.Seal(test.snapshot, test.secret); data != nil || err == nil ||
			!strings.Contains(err.Error(), test.reason) {
			t.Errorf("Seal, %s: %v, want %q", test.name, err, test.reason)
		}
	}
}
