package peers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// keys makes one fixture for all runs of a test (-count), because clerk-sdk-go
// caches keys by their ID in a package variable.
var keys = sync.OnceValues(fixture.New)

// TestLibrariesDoTheWork checks that every library refuses bad tokens and
// decodes all claims. A library that does less would seem faster.
func TestLibrariesDoTheWork(t *testing.T) {
	f, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	base, stop, err := f.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	stranger, err := fixture.New()
	if err != nil {
		t.Fatal(err)
	}

	for _, lib := range append(All(), Ours(true)) {
		for _, alg := range []string{fixture.RS256, fixture.ES256} {
			t.Run(lib.Name+"/"+alg, func(t *testing.T) {
				ctx := t.Context()
				s := Setup{BaseURL: base, Alg: alg}
				verify, err := lib.New(ctx, s)
				if err != nil {
					t.Fatal(err)
				}
				var guarded http.Handler
				if lib.Handler != nil {
					if guarded, err = lib.Handler(ctx, s); err != nil {
						t.Fatal(err)
					}
				}

				for n := range 3 {
					id := fixture.UserID(n)
					token := f.Token(fixture.Spec{Alg: alg, UserID: id, Issuer: lib.Issuer})
					for range 2 { // the second time it may be cached
						want := User{ID: id, AuthType: "email", LastAddress: fixture.SolanaAddress,
							Wallets: 2}
						if got, err := verify(ctx, token); err != nil || got != want {
							t.Fatalf("good token: got %+v, %v, want %+v", got, err, want)
						}
						if guarded != nil {
							status, body := get(ctx, guarded, token)
							if status != http.StatusOK || body != id {
								t.Fatalf("good token over HTTP: got %d %q", status, body)
							}
						}
					}
				}

				for name, token := range bad(f, stranger, alg, lib.Issuer) {
					for range 2 {
						if got, err := verify(ctx, token); err == nil || got != (User{}) {
							t.Errorf("%s: got %+v, %v", name, got, err)
						}
						if guarded != nil {
							status, body := get(ctx, guarded, token)
							if status/100 != 4 || strings.Contains(body, fixture.UserID(0)) {
								t.Errorf("%s over HTTP: got %d %q", name, status, body)
							}
						}
					}
				}
			})
		}
	}
}

// bad returns the tokens that every library must refuse.
func bad(f, stranger *fixture.Fixture, alg, issuer string) map[string]string {
	spec := fixture.Spec{Alg: alg, UserID: fixture.UserID(0), Issuer: issuer}
	good := f.Token(spec)
	cut := strings.LastIndexByte(good, '.')
	with := func(change func(*fixture.Spec)) string {
		s := spec
		change(&s)
		return f.Token(s)
	}
	flipped := byte('A')
	if good[cut+20] == 'A' {
		flipped = 'B'
	}
	return map[string]string{
		"bad signature":       good[:cut+20] + string(flipped) + good[cut+21:],
		"another's signature": with(func(s *fixture.Spec) { s.Signer = stranger.Key(alg).Private }),
		"changed payload": f.Input(fixture.Spec{Alg: alg, UserID: fixture.UserID(7),
			Issuer: issuer}) + good[cut:],
		"no signature": good[:cut+1],
		"expired": with(func(s *fixture.Spec) {
			s.Issued, s.Life = -2*time.Hour, time.Hour
		}),
		"other audience": with(func(s *fixture.Spec) { s.Audience = fixture.OtherApp }),
		"unknown key":    with(func(s *fixture.Spec) { s.KeyID = "nobody-has-such-a-key-id" }),
		"not a token":    "not-a-token",
	}
}

func get(ctx context.Context, h http.Handler, token string) (status int, body string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
