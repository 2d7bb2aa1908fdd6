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
	// escaped is a string of n characters, one of which is escaped.
	escaped := func(n int) string { return `"\n` + strings.Repeat("x", n-1) + `"` }
	type members struct{ aud, data string } // after the first audience, and after the user ID
	for name, members := range map[string]func(n int) members{
		"a long member": func(n int) members {
			return members{data: `,"note":"` + strings.Repeat("x", n) + `"`}
		},
		"wallets": func(n int) members {
			return members{data: `,"wallets":[` + list(n, `{}`) + `]`}
		},
		"connected wallets": func(n int) members {
			return members{data: `,"connectedWallets":[` + list(n, `{}`) + `]`}
		},
		"both kinds of wallets": func(n int) members {
			return members{data: `,"wallets":[` + list(n, `{}`) + `],"connectedWallets":[` +
				list(n, `{}`) + `]`}
		},
		"wallets with escapes": func(n int) members {
			return members{data: `,"wallets":[` +
				list(n, `{"id":`+escaped(9)+`,"address":`+escaped(9)+`}`) + `]`}
		},
		"short audiences with escapes": func(n int) members {
			return members{aud: strings.Repeat(","+escaped(9), n)}
		},
		"long audiences with escapes": func(n int) members {
			return members{aud: strings.Repeat(","+escaped(129), n)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			const entries = 512
			v := newValidator(t, middleware.Config{
				Environment: jwks.Environment{URL: url}, CacheSize: entries,
				MaxTokenBytes: 64 << 10,
			})
			token := func(i, n int) string {
				m := members(n)
				return key.Sign(key.Header(), fmt.Sprintf(
					`{"sub":"u%03d","aud":[%q%s],"iat":%d,"exp":%d,"data":{"userId":"u%03d"%s}}`,
					i, paratest.APIKeyID, m.aud, noon.Unix(), noon.Unix()+60, i, m.data))
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
