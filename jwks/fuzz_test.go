package jwks_test

import (
	"slices"
	"testing"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// FuzzSource calls New with arbitrary bytes as Initial. New does not panic. An
// accepted source has a usable key, and its snapshot is accepted again.
func FuzzSource(f *testing.F) {
	online, err := offline(jwks.Beta, jwks.FromKeySet(jwks.Beta,
		[]byte(testkit.SetOf(keyA(), keyB()))))
	if err != nil {
		f.Fatal(err)
	}
	saved, err := online.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	for _, text := range []string{
		"", "{}", "null", "[]", "\xef\xbb\xbf{}", `{"keys":[]}`, `{"keys":null}`,
		testkit.SetOf(keyA()), testkit.SetOf(keyA(), keyA()), testkit.SetOf(keyA(), keyB()),
		testkit.SetOf(testkit.RSA(0)),
		testkit.Set(`{"kid":"x","kty":"oct","k":"c2VjcmV0"}`, keyA().JWK()),
		testkit.Set(`{"kid":"x","kty":"OKP","crv":"Ed25519",` +
			`"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		`{"parajwt":{"environment":"beta","url":"` + jwks.Beta.URL +
			`","fetchedAt":"1066-10-14T09:00:00Z"},` + testkit.SetOf(keyA())[1:],
		`{"parajwt":null,` + testkit.SetOf(keyA())[1:],
		`{"parajwt":[],"parajwt":{},"keys":[]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		source, plain := jwks.FromBytes(data), jwks.FromKeySet(jwks.Beta, data)
		environment, ids, inspectErr := source.Inspect()
		c, err := offline(jwks.Beta, source)
		fromSet, setErr := offline(jwks.Beta, plain)
		if err == nil && setErr == nil {
			t.Fatal("accepted as a snapshot and as a plain key set")
		}
		if err != nil {
			if c != nil {
				t.Fatal("a cache came with the error", err)
			}
			if setErr != nil {
				return
			}
			c = fromSet
			environment, ids, inspectErr = plain.Inspect()
		}
		st := c.Status()
		switch {
		case len(st.KeyIDs) == 0 || !st.Usable:
			t.Fatalf("accepted without a key: %+v", st)
		case inspectErr != nil || environment != "beta":
			t.Fatalf("accepted, although Inspect returns %q, %v", environment, inspectErr)
		}
		for _, id := range st.KeyIDs {
			key := found(t, c, id)
			if key.ID() != id || !c.Allows(key.Algorithm()) || !slices.Contains(ids, id) {
				t.Fatalf("key %q of %q: %q, %q", id, ids, key.ID(), key.Algorithm())
			}
			if key.Verify(nil, nil) == nil || key.Verify([]byte("x"), make([]byte, 64)) == nil {
				t.Fatalf("key %q verifies nothing at all", id)
			}
		}
		saved, err := c.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again, err := offline(jwks.Beta, jwks.FromBytes(saved))
		if err != nil {
			t.Fatalf("%v\n%s", err, saved)
		}
		if got := again.Status(); !slices.Equal(got.KeyIDs, st.KeyIDs) ||
			!got.FetchedAt.Equal(st.FetchedAt) || len(got.Skipped) != 0 {
			t.Fatalf("saved %+v\ntook back %+v", st, got)
		}
	})
}
