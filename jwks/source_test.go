package jwks_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// offline returns an offline cache with the keys of a source.
func offline(env jwks.Environment, source jwks.Source) (*jwks.Cache, error) {
	return jwks.New(env, jwks.Config{Offline: true, Initial: source})
}

// snapshotOf returns a snapshot of these keys.
func snapshotOf(env jwks.Environment, pairs ...testkit.Signer) []byte {
	return []byte(`{"parajwt":{"environment":"` + env.Name + `","url":"` + env.URL +
		`","fetchedAt":"2026-02-03T04:05:06Z"},` + testkit.SetOf(pairs...)[1:])
}

func TestSources(t *testing.T) {
	files := fstest.MapFS{
		"keys.json": {Data: snapshotOf(jwks.Prod, keyA(), keyB())},
		"plain":     {Data: []byte(testkit.SetOf(keyA()))},
		"empty":     {},
		"junk":      {Data: []byte("junk")},
		"no-keys":   {Data: snapshotOf(jwks.Prod)},
		"huge": {Data: []byte(string(snapshotOf(jwks.Prod, keyA())) +
			strings.Repeat(" ", 1<<20))},
		"dir/x.json": {Data: snapshotOf(jwks.Prod, keyA())},
		"origin":     {Data: []byte(`{"parajwt":17,` + testkit.SetOf(keyA())[1:])},
		"nameless": {Data: []byte(`{"parajwt":{"fetchedAt":"2026-02-03T04:05:06Z"},` +
			testkit.SetOf(keyA())[1:])},
		"bad-date": {Data: []byte(`{"parajwt":{"environment":"prod","fetchedAt":"yesterday"},` +
			testkit.SetOf(keyA())[1:])},
	}
	for name, reason := range map[string]string{
		"keys.json": "",
		"missing":   "not exist",
		"dir":       "dir",
		"empty":     "not a key set",
		"junk":      "not a key set",
		"no-keys":   "no usable key",
		"plain":     "names no environment: use FromKeySet",
		"huge":      "larger than 256 KiB",
		"origin":    "does not name its environment",
		"nameless":  "does not name its environment",
		"bad-date":  "does not name its environment, its URL or a time",
	} {
		sources := map[string]jwks.Source{"FromFile": jwks.FromFile(files, name)}
		if file, ok := files[name]; ok {
			sources["FromBytes"] = jwks.FromBytes(file.Data)
		}
		for how, source := range sources {
			c, err := offline(jwks.Prod, source)
			switch {
			case reason == "":
				if err != nil {
					t.Errorf("%s %s: %v", how, name, err)
					continue
				}
				found(t, c, "a")
				if environment, ids, err := source.Inspect(); environment != "prod" ||
					!slices.Equal(ids, []string{"a", "b"}) || err != nil {
					t.Errorf("%s %s: Inspect: %q %q %v", how, name, environment, ids, err)
				}
			case c != nil || err == nil || !strings.Contains(err.Error(), reason):
				t.Errorf("%s %s: %v", how, name, err)
			}
			// New refuses a set without usable keys. Inspect accepts it.
			if _, ids, err := source.Inspect(); reason != "" && name != "no-keys" &&
				(err == nil || ids != nil) {
				t.Errorf("%s %s: Inspect: %q", how, name, ids)
			}
		}
	}
	if _, err := offline(jwks.Prod, jwks.FromFile(files, "missing")); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// An empty file is an error. It does not count as an absent source.
func TestNoBytesAreAMistake(t *testing.T) {
	for _, data := range [][]byte{nil, {}} {
		for _, source := range []jwks.Source{jwks.FromBytes(data),
			jwks.FromKeySet(jwks.Prod, data)} {
			if c, err := jwks.New(jwks.Prod, jwks.Config{Initial: source}); err == nil {
				c.Close()
				t.Errorf("%#v is accepted", data)
			}
		}
	}
}

// A plain key set names no environment, so the caller names it. Keys of BETA
// are refused by a cache for PROD.
func TestFromKeySet(t *testing.T) {
	plain, snapshot := []byte(testkit.SetOf(keyA())), snapshotOf(jwks.Beta, keyA())
	elsewhere := jwks.Environment{Name: "beta", URL: jwks.Prod.URL}
	for _, test := range []struct {
		name   string
		source jwks.Source
		reason string
	}{
		{"a plain set of BETA", jwks.FromKeySet(jwks.Beta, plain), ""},
		{"without the path of the URL", jwks.FromKeySet(jwks.Environment{Name: "beta",
			URL: "https://api.beta.getpara.com"}, plain), ""},
		{"a plain set of PROD", jwks.FromKeySet(jwks.Prod, plain),
			`of environment "prod", not of "beta"`},
		{"of another URL", jwks.FromKeySet(elsewhere, plain), `URL of the key set is not that of`},
		{"of no environment", jwks.FromKeySet(jwks.Environment{}, plain), "Environment is not set"},
		{"of an invalid environment", jwks.FromKeySet(jwks.Environment{URL: "http://a.example"},
			plain), "not https"},
		{"a snapshot", jwks.FromKeySet(jwks.Beta, snapshot),
			"is a snapshot: use FromBytes or FromFile"},
		{"a plain set as a snapshot", jwks.FromBytes(plain),
			"not a snapshot and names no environment: use FromKeySet"},
		{"a snapshot as a snapshot", jwks.FromBytes(snapshot), ""},
		{"junk", jwks.FromKeySet(jwks.Beta, []byte("junk")), "not a key set"},
		{"no usable key", jwks.FromKeySet(jwks.Beta, []byte(`{"keys":[]}`)), "no usable key"},
	} {
		c, err := offline(jwks.Beta, test.source)
		switch {
		case test.reason == "" && err == nil:
			found(t, c, "a")
		case test.reason == "" || err == nil || !strings.Contains(err.Error(), test.reason):
			t.Errorf("%s: %v, want %q", test.name, err, test.reason)
		}
	}
}

func TestFileIsReadAtOnceAndClosed(t *testing.T) {
	file := &countingFile{Reader: strings.NewReader(strings.Repeat(" ", 1<<20))}
	_ = jwks.FromFile(oneFile{file}, "x")
	if !file.closed {
		t.Error("not closed")
	}
	if left := file.Len(); left < 700<<10 {
		t.Errorf("only %d KiB of a MiB are left", left>>10)
	}
	broken := jwks.FromFile(oneFile{&countingFile{Reader: strings.NewReader("x"),
		err: errors.New("disk on fire")}}, "x")
	if _, err := offline(jwks.Prod, broken); err == nil ||
		!strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

type oneFile struct{ file fs.File }

func (o oneFile) Open(string) (fs.File, error) { return o.file, nil }

type countingFile struct {
	*strings.Reader
	err    error
	closed bool
}

func (f *countingFile) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Reader.Read(p)
}
func (f *countingFile) Stat() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
func (f *countingFile) Close() error               { f.closed = true; return nil }

func TestSnapshot(t *testing.T) {
	l := newLab(t)
	private := `{"kid":"private",` + keyC().Members() + `,"d":"` +
		testkit.B64([]byte("canary-private")) + `"}`
	symmetric := `{"kid":"symmetric","kty":"oct","k":"` + testkit.B64([]byte("canary-symmetric")) +
		`"}`
	named := `{"kid":"named", "alg":"RS256",` + testkit.RSA(1).Members() + `,"x5t":"<&>"}`
	l.does(body(testkit.Set(private, testkit.RSA(0).JWK(), symmetric, named, keyA().JWK())))
	now := newClock()
	first := l.cache(t, jwks.Config{}, jwks.WithClock(now.Now))
	if _, err := first.Snapshot(); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("a snapshot of nothing: %v", err)
	}
	if err := first.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	fetchedAt := now.Now()
	data, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}

	for _, canary := range []string{`"d"`, `"k"`, "private", "symmetric",
		testkit.B64([]byte("canary-private")), testkit.B64([]byte("canary-symmetric"))} {
		if strings.Contains(string(data), canary) {
			t.Errorf("%s is in the snapshot", canary)
		}
	}
	if !strings.Contains(string(data), named) {
		t.Error("a key is not as Para wrote it")
	}
	var asJWKS struct {
		Keys []struct{ Kid string }
	}
	if err := json.Unmarshal(data, &asJWKS); err != nil || len(asJWKS.Keys) != 3 {
		t.Errorf("as a plain JWK Set: %v, %+v", err, asJWKS)
	}
	environment, ids, err := jwks.FromBytes(data).Inspect()
	if environment != "lab" || !slices.Equal(ids, []string{"a", "named", "rsa0"}) || err != nil {
		t.Errorf("Inspect: %q %q %v", environment, ids, err)
	}

	// The next start has no network.
	l.does(status(503))
	now.Advance(time.Hour)
	second := l.cache(t, jwks.Config{Initial: jwks.FromFile(fstest.MapFS{"keys.json": {Data: data}},
		"keys.json")}, jwks.WithClock(now.Now))
	const input = "header.payload"
	for _, p := range []testkit.Signer{testkit.RSA(0), testkit.RSA(1).Named("named"), keyA()} {
		if err := found(t, second, p.ID).Verify([]byte(input), p.Signature(input)); err != nil {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
	st := second.Status()
	if !st.FetchedAt.Equal(fetchedAt) || !st.StaleAt.Equal(fetchedAt.Add(72*time.Hour)) {
		t.Errorf("status: %+v", st)
	}
	again, err := second.Snapshot()
	if err != nil || string(again) != string(data) {
		t.Errorf("a snapshot of a snapshot differs (%v):\n%s\n%s", err, data, again)
	}

	// The age of a snapshot counts towards StaleLimit.
	settle(second)
	now.Set(fetchedAt.Add(72*time.Hour - 1))
	found(t, second, "a")
	settle(second)
	now.Set(fetchedAt.Add(72 * time.Hour))
	refused(t, second, "a", jwks.ErrUnavailable)
}

func TestSnapshotAge(t *testing.T) {
	now := newClock()
	fetchedAt := func(fetchedAt string) jwks.Source {
		return jwks.FromBytes([]byte(`{"parajwt":{"environment":"lab",` +
			`"url":"http://127.0.0.1:1/.well-known/jwks.json",` +
			`"fetchedAt":"` + fetchedAt + `"},` + testkit.SetOf(keyA())[1:]))
	}
	for _, test := range []struct {
		name, fetchedAt string
		usable          bool
		want            time.Time
	}{
		{"fresh", now.Now().Format(time.RFC3339Nano), true, now.Now()},
		{"old", now.Now().Add(-71 * time.Hour).In(time.FixedZone("",
			2*3600)).Format(time.RFC3339Nano), true, now.Now().Add(-71 * time.Hour)},
		{"stale", now.Now().Add(-72 * time.Hour).Format(time.RFC3339Nano), false,
			now.Now().Add(-72 * time.Hour)},
		{"older than nanoseconds can express", "1066-10-14T09:00:00Z", false,
			time.Date(1066, 10, 14, 9, 0, 0, 0, time.UTC)},
		// gains no time
		{"from the future", now.Now().Add(24 * time.Hour).Format(time.RFC3339Nano), true,
			now.Now()},
		{"undated", "0001-01-01T00:00:00Z", true, now.Now()},
	} {
		c := (&lab{url: "http://127.0.0.1:1"}).cache(t,
			jwks.Config{Initial: fetchedAt(test.fetchedAt)}, jwks.WithClock(now.Now))
		if st := c.Status(); st.Usable != test.usable || st.Stale == test.usable ||
			!st.FetchedAt.Equal(test.want) || st.FetchedAt.Location() != time.UTC {
			t.Errorf("%s: %+v", test.name, st)
		}
	}
}

// A snapshot is refused by a cache for another environment or URL. Its key IDs
// have no effect.
func TestSnapshotOfAnotherEnvironment(t *testing.T) {
	prod, err := offline(jwks.Prod, jwks.FromKeySet(jwks.Prod, []byte(testkit.SetOf(keyA()))))
	if err != nil {
		t.Fatal(err)
	}
	data, err := prod.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env    jwks.Environment
		reason string
	}{
		{jwks.Prod, ""},
		{jwks.Beta, `of environment "prod", not of "beta"`},
		{jwks.Environment{Name: "prod", URL: jwks.Beta.URL}, "URL of the snapshot is not that of"},
		{jwks.Environment{Name: "beta", URL: jwks.Prod.URL},
			`of environment "prod", not of "beta"`},
	} {
		for _, isOffline := range []bool{true, false} {
			c, err := jwks.New(test.env, jwks.Config{Offline: isOffline,
				Initial: jwks.FromBytes(data)})
			if test.reason == "" && err != nil || test.reason != "" &&
				(c != nil || err == nil || !strings.Contains(err.Error(), test.reason)) {
				t.Errorf("for %+v: %v", test.env, err)
			}
		}
	}
}

// A snapshot of the largest key set that is accepted can be read again.
func TestLargestSnapshot(t *testing.T) {
	pad := func(n int) string {
		return `{"kid":"a","x5c":["` + strings.Repeat("<", n) + `"],` + keyA().Members() + `}`
	}
	odd := strings.TrimSuffix(keyB().JWK(), "}") + `,"other":[` + strings.Repeat("0,", 70<<10) +
		`0]}`
	text := testkit.Set(pad(256<<10-len(testkit.Set(pad(0), odd))), odd)
	if len(text) != 256<<10 {
		t.Fatalf("%d bytes", len(text))
	}
	l := newLab(t)
	l.does(body(text))
	c := l.cache(t, jwks.Config{})
	found(t, c, "a")
	data, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if _, ids, err := jwks.FromBytes(data).Inspect(); err != nil || len(ids) != 2 {
		t.Errorf("%d KiB of keys became a snapshot of %d KiB: %v", len(text)>>10, len(data)>>10,
			err)
	}
}
