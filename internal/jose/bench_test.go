package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkVerify compares Key.Verify with the standard library's functions.
func BenchmarkVerify(b *testing.B) {
	input := []byte(strings.Repeat("x", 1000))
	digest := sha256.Sum256(input)
	rs := sign("RS256", rsaKey(), input)
	es := sign("ES256", p256Key(), input)
	r, s := new(big.Int).SetBytes(es[:32]), new(big.Int).SetBytes(es[32:])
	for _, alg := range []string{"RS256", "ES256"} {
		private := map[string]crypto.Signer{"RS256": rsaKey(), "ES256": p256Key()}[alg]
		keys, _, _ := ParseSet(set(realJWK(private).String()), []string{alg})
		signature := map[string][]byte{"RS256": rs, "ES256": es}[alg]
		b.Run(alg+"/raw", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				switch public := keys["k"].Public.(type) {
				case *rsa.PublicKey:
					if rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], rs) != nil {
						b.Fatal("refused")
					}
				case *ecdsa.PublicKey:
					if !ecdsa.Verify(public, digest[:], r, s) {
						b.Fatal("refused")
					}
				}
			}
		})
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if keys["k"].Verify(input, signature) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}

// worstHeaders returns headers of the maximum size that take the longest to
// parse, each for another reason.
func worstHeaders() map[string]string {
	size := maxHeader * 3 / 4
	fill := func(prefix, suffix string, item func(i int) string) string {
		text := prefix + item(0)
		for i := 1; len(text)+1+len(item(i))+len(suffix) <= size; i++ {
			text += "," + item(i)
		}
		return text + suffix
	}
	// name returns short names that are all different.
	name := func(i int) string {
		const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" +
			"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
		if i < len(letters) {
			return letters[i : i+1]
		}
		return letters[i%len(letters):i%len(letters)+1] + letters[i/len(letters):i/len(letters)+1]
	}
	member := func(prefix, suffix string) func(int) string {
		return func(i int) string { return `"` + prefix + name(i) + suffix + `":0` }
	}
	same := func(text string) func(int) string { return func(int) string { return text } }
	open15, close15 := strings.Repeat(`{"a":`, 15), strings.Repeat("}", 15)
	return map[string]string{
		"a usual header":             `{"alg":"RS256","kid":"k","typ":"JWT"}`,
		"many names":                 fill("{", "}", member("", "")),
		"many names, 15 levels down": fill(open15+"{", "}"+close15, member("", "")),
		"many names with escapes":    fill("{", "}", member(`\n`, "")),
		"names like x5t#S256":        fill("{", "}", member("x5t#S2", "6")),
		"names like kid":             fill("{", "}", member("k", "d")),
		"names with the Kelvin sign": fill("{", "}", member("\u212a", "d")),
		"many strings with escapes":  fill(`{"a":[`, "]}", same(`"\n"`)),
		"many strings":               fill(`{"a":[`, "]}", same(`""`)),
		"many numbers":               fill(`{"a":[`, "]}", same("0")),
		"many objects":               fill(`{"a":[`, "]}", same(`{"":0}`)),
		"many deep arrays": fill(`{"a":[`, "]}",
			same(strings.Repeat("[", 14)+strings.Repeat("]", 14))),
		"many deep objects": fill(`{"a":[`, "]}",
			same(strings.Repeat(`{"":`, 13)+"{}"+strings.Repeat("}", 13))),
		"a long string of escapes":     `{"a":"` + strings.Repeat(`\n`, size/2-5) + `"}`,
		"a long string of code points": `{"a":"` + strings.Repeat(`\u00e9`, size/6-2) + `"}`,
		"a long string beyond ASCII":   `{"a":"` + strings.Repeat("é", size/2-5) + `"}`,
		"white space":                  strings.Repeat(" ", size),
	}
}

// The goal is at most 10 µs for each of these.
func BenchmarkParseHeader(b *testing.B) {
	for name, text := range worstHeaders() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseHeader(text)
			}
		})
	}
}

func TestParseHeaderAllocatesAtMost4KiB(t *testing.T) {
	const runs = 100
	for name, text := range worstHeaders() {
		if len(text) > maxHeader*3/4 {
			t.Errorf("%s: %d bytes are more than a header can have", name, len(text))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			_, _ = ParseHeader(text)
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 4<<10 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}
