package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

// exampleSet is the response of a key server: a JWK Set with the EC key of
// RFC 7517, appendix A.1.
const exampleSet = `{"keys": [{"kid": "2026-01", "kty": "EC", "crv": "P-256", "use": "sig",
	"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
	"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

func ExampleNew() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	defer para.Close()

	// A program calls jwks.New(jwks.Prod, jwks.Config{}).
	keys, err := jwks.New(jwks.Environment{Name: "mine", URL: para.URL}, jwks.Config{})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	// The first look-up fetches the key set.
	key, err := keys.Key(context.Background(), "2026-01")
	fmt.Println(key.ID(), key.Algorithm(), err)

	_, err = keys.Key(context.Background(), "2025-12")
	fmt.Println(errors.Is(err, jwks.ErrUnknownKey), err)
	// Output:
	// 2026-01 ES256 <nil>
	// true jwks: unknown key ID
}

// Without a network, the keys come from a trusted file. A program can embed it
// with go:embed.
func ExampleFromKeySet() {
	keys, err := jwks.New(jwks.Prod, jwks.Config{
		Initial: jwks.FromKeySet(jwks.Prod, []byte(exampleSet)),
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

// At the first start, there is no file. The program then starts without
// Initial.
func ExampleFromFile() {
	folder := fstest.MapFS{} // a program uses os.DirFS("/var/lib/app")
	cfg := jwks.Config{Initial: jwks.FromFile(folder, "para-keys.json")}
	keys, err := jwks.New(jwks.Prod, cfg)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println(err)
		cfg.Initial = jwks.Source{}
		keys, err = jwks.New(jwks.Prod, cfg)
	}
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	fmt.Println(keys.Status().State)
	// Output:
	// jwks: Initial: open para-keys.json: file does not exist
	// cold
}

// Warm fetches the keys at the start, so that the first request does not wait.
// An error need not end the program: the cache retries.
func ExampleCache_Warm() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	defer para.Close()
	keys, err := jwks.New(jwks.Environment{Name: "mine", URL: para.URL}, jwks.Config{})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := keys.Warm(ctx); err != nil {
		log.Print(err)
	}
	fmt.Println(keys.Status().KeyIDs)
	// Output: [2026-01]
}

// A snapshot lets the next start succeed while Para is down.
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

	// The first run of a program saves its keys.
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

	// The next run starts while Para is down. Leave Initial unset at the first
	// start, when there is no file.
	para.Close()
	keys, err = jwks.New(mine, jwks.Config{Initial: jwks.FromFile(os.DirFS(folder),
		"para-keys.json")})
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	key, err := keys.Key(context.Background(), "2026-01")
	fmt.Println(key.ID(), err)
	// Output: 2026-01 <nil>
}

func ExampleParseEnvironment() {
	for _, s := range []string{"BETA", "https://keys.example.com", "http://localhost:8080",
		"production"} {
		env, err := jwks.ParseEnvironment(s) // such as os.Getenv("PARA_ENVIRONMENT")
		if err != nil {
			fmt.Println(strings.Replace(err.Error(), ": use", ":\nuse", 1))
			continue
		}
		fmt.Println(env.Name, env.URL)
	}
	// Output:
	// beta https://api.beta.getpara.com/.well-known/jwks.json
	// keys.example.com https://keys.example.com/.well-known/jwks.json
	// localhost:8080 http://localhost:8080/.well-known/jwks.json
	// jwks: unknown environment "production":
	// use prod, beta, sandbox or the URL of a key set
}

// A health endpoint reports Usable. An alert watches Stale.
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

	fmt.Println(keys.Status().State) // nothing was fetched yet
	if err := keys.Warm(context.Background()); err != nil {
		panic(err)
	}
	status := keys.Status()
	fmt.Println(status.State, status.Usable, status.KeyIDs, status.StaleAt.Sub(status.FetchedAt))
	// Output:
	// cold
	// fresh true [2026-01] 72h0m0s
}

// OnChange saves a snapshot whenever the key set changes. Seal it if others can
// write to the place where it is stored.
func ExampleSeal() {
	para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, exampleSet)
	}))
	mine := jwks.Environment{Name: "mine", URL: para.URL}
	secret := []byte("32 random bytes from your secrets") // use random bytes instead
	saved := make(chan []byte, 1)                         // such as a Redis key

	keys, err := jwks.New(mine, jwks.Config{OnChange: func(snapshot []byte) {
		sealed, err := jwks.Seal(snapshot, secret)
		if err != nil {
			panic(err)
		}
		saved <- sealed
	}})
	if err != nil {
		panic(err)
	}
	if err := keys.Warm(context.Background()); err != nil {
		panic(err)
	}
	keys.Close()
	para.Close()

	keys, err = jwks.New(mine, jwks.Config{Initial: jwks.Sealed(<-saved, secret)})
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	key, err := keys.Key(context.Background(), "2026-01")
	fmt.Println(key.ID(), err)

	_, err = jwks.New(mine, jwks.Config{Initial: jwks.Sealed([]byte(exampleSet), secret)})
	fmt.Println(err)
	// Output:
	// 2026-01 <nil>
	// jwks: Initial: snapshot is not sealed: use FromBytes, or seal it first
}
