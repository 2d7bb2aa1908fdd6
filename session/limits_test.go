package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/session"
)

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// full repeats the members until the export has nearly 1 MiB in base64.
func full(t testing.TB, before string, member func(i int) string, after string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(before)
	for i := 0; ; i++ {
		m := member(i)
		if b.Len()+len(m)+len(after) > 1<<20/4*3-3 {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m)
	}
	return encode(b.String() + after)
}

// names returns n members with short names.
func names(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"%x":0`, i)
	}
	return strings.Join(all, ",")
}

// list joins n members or elements.
func list(n int, member func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = member(i)
	}
	return strings.Join(all, ",")
}

// worstExports returns exports of up to 1 MiB, each of which makes another part
// of the import expensive.
func worstExports(t testing.TB) map[string]string {
	const rest = `,"userId":"` + userID + `","sessionCookie":"c"}`
	same := func(s string) func(int) string { return func(int) string { return s } }
	text := func(format string, args ...int) func(int) string {
		return func(i int) string {
			all := []any{i}
			for _, a := range args {
				all = append(all, a-i)
			}
			return fmt.Sprintf(format, all...)
		}
	}
	wallets := func(member func(int) string) string {
		return `{"wallets":{` + list(1000,
			member) + `}`
	}
	ids := `,"currentWalletIds":{"EVM":[` + list(1000, func(i int) string {
		return fmt.Sprintf(`"w%04d"`, 999-i)
	}) + `]}`
	// unknown fills an unknown member with elements.
	unknown := func(element string) string { return full(t, `{"x":[`, same(element), `]`+rest) }
	escaped := func(format string) string {
		return full(t, `{"x":[`, same(`{`+list(2000, text(format))+`}`), `]`+rest)
	}
	all := map[string]string{
		"wallets and IDs": encode(wallets(func(i int) string {
			name := strings.Repeat("x", 680)
			return fmt.Sprintf(`"w%04d":{"type":"EVM","address":"0x","name":%q}`, i, name)
		}) + ids + rest),
		"wallets with all members": encode(wallets(func(i int) string {
			return fmt.Sprintf(`"w%04d":{"id":"w%04d","type":"EVM","address":"0x","scheme":"D",`+
				`"publicKey":"0x","userId":"u","signer":"s","isPregen":true,"isExternal":false,`+
				`"isExternalWithParaAuth":false,"isExternalWithVerification":false,`+
				`"isExternalConnectionOnly":false,"name":"n",`+
				`"addressSecondary":"a","partnerId":"p","createdAt":"c","lastUsedAt":"l",`+
				`"pregenIdentifier":"i","pregenIdentifierType":"t","externalProviderId":"e"}`, i, i)
		}) + rest),
		"minimal wallets, and unknown objects": full(t,
			wallets(text(`"w%04d":{}`))+ids+`,"x":[`, same(`{"a":0}`), `]`+rest),
		"wallets of unknown members": encode(wallets(func(i int) string {
			return fmt.Sprintf(`"w%04d":{%s}`, i, names(100))
		}) + ids + rest),
		"escaped wallets and IDs": encode(wallets(text(`"\u0077%04d":{"name":"`+
			strings.Repeat(`\u0001`, 100)+`"}`)) + strings.ReplaceAll(ids, "w", `\u0077`) + rest),
		"control characters": full(t, `{"wallets":{"w":{"name":"`, same(`\u0001\u0001`),
			`"}}`+rest),
		"one long escape": full(t, `{"x":"\n`, same("0123456789"), `"`+rest),
		"one long string": full(t, `{"x":"`, same("0123456789"), `"`+rest),
		"beyond ASCII":    full(t, `{"x":"`, same("äöüß日本"), `"`+rest),
		"escaped strings": unknown(`"\n"`),
		"escaped names":   escaped(`"\n%x":0`),
		"escaped units":   escaped(`"\u00e4%x":0`),
		"nested arrays":   unknown(strings.Repeat("[", 14) + strings.Repeat("]", 14)),
		"nested objects":  unknown(strings.Repeat(`{"a":`, 13) + "{}" + strings.Repeat("}", 13)),
		"numbers":         unknown("0"),
		"empty strings":   unknown(`""`),
		"white space":     unknown(strings.Repeat(" ", 1000) + "0"),
		"unknown objects of 145 members after one of 2,000": full(t, `{"y":{`+names(2000)+`},"x":[`,
			same(`{`+names(145)+`}`), `]`+rest),
		"objects in an object of 40 members": full(t, `{`+names(40)+`,"x":[`, same(`{"a":0}`),
			`]`+rest),
		"objects in an object of 1,000 members": full(t, `{`+names(1000)+`,"x":[`,
			same(`{"a":0,"b":0}`), `]`+rest),
	}
	for _, n := range []int{1, 8, 9, 41, 73, 144, 145, 200, 300, 600, 2000} {
		all[fmt.Sprintf("unknown objects of %d members", n)] = unknown(`{` + names(n) + `}`)
	}
	for _, n := range []int{40, 74, 145, 200, 300, 600} {
		all[fmt.Sprintf("nested objects of %d members", n)] = unknown(
			strings.Repeat(`{`+names(n)+`,"x":`, 13) + "0" + strings.Repeat("}", 13))
	}
	for name, exported := range all {
		if len(exported) > 1<<20 || len(exported) < 300<<10 {
			t.Fatalf("%s: %d bytes", name, len(exported))
		}
	}
	return all
}

// read imports an export and calls every accessor.
func read(t testing.TB, c *session.Client, exported string) *session.Session {
	s := importSession(t, c, exported)
	_, _, _ = s.Wallets(), s.CurrentWallets(), s.ExternalWallets()
	_, _, _, _ = s.UserID(), s.AuthType(), s.Identifier(), s.Mode()
	return s
}

// TestWorstExportsAllocateLittle checks the memory that the most expensive
// exports of 1 MiB allocate.
func TestWorstExportsAllocateLittle(t *testing.T) {
	for name, exported := range worstExports(t) {
		c, _ := fake(t, says(500, ""))
		var s *session.Session
		part := allocated(func() { s = read(t, c, exported) })
		whole := part + allocated(func() { exportOf(t, s) })
		t.Logf("%s: %d KiB, with Export %d KiB", name, part>>10, whole>>10)
		if part > 8<<20 || whole > 24<<20 {
			t.Errorf("%s: %d bytes, with Export %d", name, part, whole)
		}
	}
}

// TestWorstRefusedExportsAllocateLittle checks the memory that refused exports
// of 1 MiB allocate.
func TestWorstRefusedExportsAllocateLittle(t *testing.T) {
	const rest = `,"userId":"` + userID + `","sessionCookie":"c"}`
	same := func(s string) func(int) string { return func(int) string { return s } }
	id := func(format string) func(int) string {
		return func(i int) string { return fmt.Sprintf(format, i) }
	}
	for name, exported := range map[string]string{
		"IDs":         full(t, `{"currentWalletIds":{"EVM":[`, same(`""`), `]}`+rest),
		"escaped IDs": full(t, `{"currentWalletIds":{"EVM":[`, same(`"\n"`), `]}`+rest),
		"lists":       full(t, `{"currentWalletIds":{`, id(`"%x":[]`), `}`+rest),
		"wallets":     full(t, `{"wallets":{`, id(`"%x":{}`), `}`+rest),
		"names":       full(t, `{"x":{`, id(`"%x":0`), `}`+rest),
		"levels":      full(t, `{"x":`+strings.Repeat("[", 1000), same("["), rest),
	} {
		c, _ := fake(t, says(500, ""))
		var err error
		bytes := allocated(func() { _, err = c.Import(exported) })
		is(t, err, session.ErrSessionMalformed)
		if bytes > 8<<20 {
			t.Errorf("%s: %d bytes", name, bytes)
		}
	}
}

func TestWalletsAndIDsAreBounded(t *testing.T) {
	for n, good := range map[int]bool{2000: true, 2001: false} {
		c, _ := fake(t, says(500, ""))
		_, err := c.Import(encode(`{"userId":"u","sessionCookie":"c","x":{` + names(n) + `}}`))
		if (err == nil) != good {
			t.Errorf("%d unknown members: %v", n, err)
		}
	}
	many := func(n int, member string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(member, i)
		}
		return strings.Join(all, ",")
	}
	for _, tc := range []struct {
		name, text string
		n          int
	}{
		{"embedded wallets", `"wallets":{%s}`, 0},
		{"external wallets", `"externalWallets":{%s}`, 0},
		{"both", `"wallets":{"w":{}},"externalWallets":{%s}`, 1},
	} {
		for _, over := range []int{0, 1} {
			text := fmt.Sprintf(tc.text, many(1000-tc.n+over, `"w%d":{}`))
			c, _ := fake(t, says(500, ""))
			_, err := c.Import(encode(`{"userId":"u","sessionCookie":"c",` + text + `}`))
			if over == 0 && err != nil {
				t.Errorf("1,000 %s: %v", tc.name, err)
			}
			if over == 1 &&
				!strings.Contains(is(t, err, session.ErrSessionMalformed).Error(),
					"more than 1000 wallets") {
				t.Errorf("1,001 %s: %v", tc.name, err)
			}
		}
	}
	for _, text := range []string{`{"EVM":[%s]}`, `{"EVM":["w"],"SOLANA":[%s]}`} {
		for n, good := range map[int]bool{999: true, 1001: false} {
			c, _ := fake(t, says(500, ""))
			_, err := c.Import(encode(`{"userId":"u","sessionCookie":"c","currentWalletIds":` +
				fmt.Sprintf(text, many(n, `"w%d"`)) + `}`))
			if (err == nil) != good {
				t.Errorf("%d in %s: %v", n, text, err)
			}
		}
	}
	for n, good := range map[int]bool{1000: true, 1001: false} {
		c, _ := fake(t, says(500, ""))
		_, err := c.Import(encode(`{"userId":"u","sessionCookie":"c","currentWalletIds":{` +
			many(n, `"T%d":[]`) + `}}`))
		if (err == nil) != good {
			t.Errorf("%d types: %v", n, err)
		}
	}
}

// slow responds to verification tokens after a second, and to other calls at
// once.
func slow(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/sessions/verify" {
		return says(200, touch())(r)
	}
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if r.ContentLength == int64(len(`{"verificationToken":"good"}`)) {
		return says(200, verified)(r)
	}
	return says(403, ``)(r)
}

// TestFloodOfJunkTokensBlocksNoOtherCall checks that a flood of junk tokens
// makes at most 24 calls at a time, and blocks neither accepted tokens nor
// imported sessions.
func TestFloodOfJunkTokensBlocksNoOtherCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, slow)
		v := newTokens(t, c, session.TokenVerifierConfig{TTL: 2 * time.Second})
		if _, err := v.VerifyVerificationToken(t.Context(), "good"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // past the TTL
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused, unavailable := 0, 0
		before := para.calls()
		for i := range 2000 {
			wg.Go(func() {
				_, err := v.VerifyVerificationToken(t.Context(), fmt.Sprintf("junk-%d", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, session.ErrSessionExpired):
					refused++
				case errors.Is(err, session.ErrUnavailable):
					unavailable++
				default:
					t.Errorf("junk: %v", err)
				}
			})
		}
		synctest.Wait()
		if n := para.calls() - before; n != 24 {
			t.Errorf("%d calls in progress", n)
		}
		mu.Lock()
		if unavailable != 2000-1024 {
			t.Errorf("%d failed at once", unavailable)
		}
		mu.Unlock()

		// An accepted token of another user, and calls for imported sessions.
		began := time.Now()
		s := importSession(t, c, export(t))
		if active, err := s.IsActive(t.Context()); !active || err != nil || time.Since(began) != 0 {
			t.Errorf("active %v, %v after %v", active, err, time.Since(began))
		}
		if err := s.KeepAlive(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		_, err := v.VerifyVerificationToken(t.Context(), "good")
		if err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		wg.Wait()
		if refused < 200 || refused+unavailable != 2000 {
			t.Errorf("%d refused, %d unavailable", refused, unavailable)
		}
		// One call for each refusal, and further calls that timed out.
		if n := para.calls(); n > 24*14 {
			t.Errorf("%d calls", n)
		}
		// After the flood, new tokens are verified.
		if _, err := c.VerifyToken(t.Context(), "good"); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedTokensAreCachedForFiveSeconds checks that a refused token makes no
// second call within 5 seconds.
func TestRefusedTokensAreCachedForFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, says(403, ``))
		v := newTokens(t, c, session.TokenVerifierConfig{TTL: -1, Entries: 2})
		ask := func(token string, calls int) {
			t.Helper()
			_, err := v.VerifyVerificationToken(t.Context(), token)
			if is(t, err, session.ErrSessionExpired); para.calls() != calls {
				t.Errorf("%s: %d calls, want %d", token, para.calls(), calls)
			}
		}
		for range 100 {
			ask("a", 1)
		}
		time.Sleep(5*time.Second - 1)
		ask("a", 1)
		time.Sleep(time.Nanosecond)
		ask("a", 2)
		ask("b", 3)
		ask("a", 3)
		ask("c", 4) // the cache has two entries
		ask("b", 4)
		ask("a", 5)
	})
}

// TestOutageIsNotCachedAsRefusal checks that a failed call is not cached.
func TestOutageIsNotCachedAsRefusal(t *testing.T) {
	c, _ := fake(t, says(503, ``), says(403, `{"message":"invalid secret api key"}`),
		says(200, verified))
	v := newTokens(t, c, session.TokenVerifierConfig{})
	_, err := v.VerifyVerificationToken(t.Context(), "vt")
	is(t, err, session.ErrUnavailable)
	_, err = v.VerifyVerificationToken(t.Context(), "vt")
	is(t, err, session.ErrUnauthorizedKey)
	if _, err = v.VerifyVerificationToken(t.Context(), "vt"); err != nil {
		t.Error(err)
	}
}
