package middleware_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestTokenCacheMemory measures the heap with the largest tokens that are
// cached, in the forms that take the most memory for their length. CacheSize
// documents at most 8 KiB for each.
func TestTokenCacheMemory(t *testing.T) {
	key := testkit.EC(0).Named("es")
	url, _ := testkit.Serve(t, testkit.SetOf(key))
	list := func(n int, item string) string {
		return strings.TrimSuffix(strings.Repeat(item+",", n), ",")
	}
	for name, data := range map[string]func(n int) string{
		"a long member": func(n int) string { return `"note":"` + strings.Repeat("x", n) + `"` },
		"wallets": func(n int) string {
			return `"wallets":[` + list(n, `{"id":"a"}`) + `]`
		},
		"connected wallets": func(n int) string {
			return `"connectedWallets":[` + list(n, `{}`) + `]`
		},
		"escapes": func(n int) string {
			return `"wallets":[` + list(n, `{"id":"\u0061bcdefghi","address":"\u0061bcdefghi"}`) +
				`]`
		},
	} {
		t.Run(name, func(t *testing.T) {
			const entries = 512
			v := newValidator(t, middleware.Config{
				Environment: jwks.Environment{URL: url}, CacheSize: entries,
				MaxTokenBytes: 64 << 10,
			})
			token := func(i, n int) string {
				return key.Sign(key.Header(), fmt.Sprintf(
					`{"sub":"u%03d","aud":%q,"iat":%d,"exp":%d,"data":{"userId":"u%03d",%s}}`,
					i, paratest.APIKeyID, noon.Unix(), noon.Unix()+60, i, data(n)))
			}
			cached := func(n int) bool {
				token := token(0, n)
				_, err := v.Validate(t.Context(), token)
				return err == nil && v.Remembers(token)
			}
			largest := 0
			for step := 4096; step > 0; step /= 2 {
				if cached(largest + step) {
					largest += step
				}
			}
			tokens := make([]string, entries)
			for i := range tokens {
				tokens[i] = token(i, largest)
			}
			heap := func() int {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int(m.HeapAlloc)
			}
			before, kept := heap(), 0
			for _, token := range tokens {
				if _, err := v.Validate(t.Context(), token); err != nil {
					t.Fatal(err)
				}
			}
			after := heap()
			for _, token := range tokens {
				if v.Remembers(token) {
					kept++
				}
			}
			if kept < entries/2 {
				t.Fatalf("only %d entries are cached", kept)
			}
			limit := kept*middleware.MaxEntryBytes + 64<<10 // for the rest of the process
			if grown := after - before; grown > limit {
				t.Errorf("%d entries of %d bytes take %d bytes, %d each",
					kept, len(tokens[0]), grown, grown/kept)
			} else {
				t.Logf("%d entries of %d bytes take %d bytes each", kept, len(tokens[0]),
					grown/kept)
			}
			runtime.KeepAlive(tokens)
			runtime.KeepAlive(v)
		})
	}
}
