package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/parajwt/parajwt/jwks"
)

// What a key server answers: a JWK Set (RFC 7517 §5). The key is that of its appendix A.1.
const exampleSet = `{"keys": [{"kid": "2026-01", "kty": "EC", "crv": "P-256", "use": "sig",
	"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
	"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

func ExampleNew() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	defer para.Close()

	// In production: jwks.New(jwks.Prod, jwks.Config{})
	keys, err := jwks.New(jwks.Environment{Name: "mine", URL: para.URL}, jwks.Config{})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	key, err := keys.Key(context.Background(), "2026-01") // the first look-up fetches
	fmt.Println(key.ID(), key.Algorithm(), err)

	_, err = keys.Key(context.Background(), "2025-12")
	fmt.Println(errors.Is(err, jwks.ErrUnknownKey), err)
	// Output:
	// 2026-01 ES256 <nil>
	// true jwks: unknown key ID
}

// Without a network, keys come from a file. os.DirFS opens a folder; here the file is in memory.
func ExampleFromFile() {
	folder := fstest.MapFS{"para-keys.json": {Data: []byte(exampleSet)}}

	keys, err := jwks.New(jwks.Prod, jwks.Config{
		Initial: jwks.FromFile(folder, "para-keys.json"),
		Offline: true,
	})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	key, err := keys.Key(context.Background(), "2026-01")
	fmt.Println(key.ID(), err)
	// Output: 2026-01 <nil>
}

// A snapshot lets the next start do without Para.
func ExampleCache_Snapshot() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	mine := jwks.Environment{Name: "mine", URL: para.URL}
	folder, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	// One run of a program saves what it has …
	keys, err := jwks.New(mine, jwks.Config{})
	if err != nil {
		panic(err)
	}
	if err := keys.Warm(context.Background()); err != nil {
		panic(err)
	}
	snapshot, err := keys.Snapshot()
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "para-keys.json"), snapshot, 0o600); err != nil {
		panic(err)
	}
	keys.Close()

	// … and the next one starts while Para is down. A first start has no file yet; then leave
	// Initial out.
	para.Close()
	keys, err = jwks.New(mine, jwks.Config{Initial: jwks.FromFile(os.DirFS(folder), "para-keys.json")})
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	key, err := keys.Key(context.Background(), "2026-01")
	fmt.Println(key.ID(), err)
	// Output: 2026-01 <nil>
}

func ExampleParseEnvironment() {
	for _, s := range []string{"BETA", "https://keys.example.com", "http://localhost:8080", "production"} {
		env, err := jwks.ParseEnvironment(s) // os.Getenv("PARA_ENVIRONMENT"), say
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(env.Name, env.URL)
	}
	// Output:
	// beta https://api.beta.getpara.com/.well-known/jwks.json
	// keys.example.com https://keys.example.com/.well-known/jwks.json
	// localhost:8080 http://localhost:8080/.well-known/jwks.json
	// jwks: unknown environment "production": use prod, beta, sandbox or the URL of a key set
}

// A health endpoint asks Usable, an alert asks Stale.
func ExampleCache_Status() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	defer para.Close()
	keys, err := jwks.New(jwks.Environment{Name: "mine", URL: para.URL}, jwks.Config{})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	fmt.Println(keys.Status().Usable) // nothing has been fetched yet
	if err := keys.Warm(context.Background()); err != nil {
		panic(err)
	}
	status := keys.Status()
	fmt.Println(status.Usable, status.Stale, status.KeyIDs, status.StaleAt.Sub(status.FetchedAt))
	// Output:
	// false
	// true false [2026-01] 72h0m0s
}
