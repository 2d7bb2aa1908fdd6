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
func full(t *testing.T, before string, member func(i int) string, after string) string {
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

// names returns so many members with short names.
func names(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"%x":0`, i)
	}
	return strings.Join(all, ",")
}

// Whoever sends an export of 1 MiB must not cost a server more than this.
func TestTheWorstExportsAreCheap(t *testing.T) {
	const rest = `,"userId":"` + userID + `","sessionCookie":"c"}`
	// bulk fills a member of 1,000 to the size of the export.
	bulk := func(size int) string { return strings.Repeat("x", size) }
	thousand := func(member func(i int) string) string {
		all := make([]string, 1000)
		for i := range all {
			all[i] = member(i)
		}
		return strings.Join(all, ",")
	}
	for name, exported := range map[string]string{
		"wallets and IDs": encode(`{"wallets":{` + thousand(func(i int) string {
			return fmt.Sprintf(`"w%04d":{"type":"EVM","address":"0x","name":%q}`, i, bulk(680))
		}) + `},"currentWalletIds":{"EVM":[` + thousand(func(i int) string {
			return fmt.Sprintf(`"w%04d"`, 999-i)
		}) + `]}` + rest),
		"wallets with all members": encode(`{"wallets":{` + thousand(func(i int) string {
			return fmt.Sprintf(`"w%04d":{"id":"w%04d","type":"EVM","address":"0x","scheme":"D",`+
				`"publicKey":"0x","userId":"u","signer":"s","isPregen":true,"isExternal":false,`+
				`"isExternalWithParaAuth":false,"isExternalWithVerification":false,`+
				`"isExternalConnectionOnly":false,"name":"n","addressSecondary":"a","partnerId":"p",`+
				`"createdAt":"c","lastUsedAt":"l","pregenIdentifier":"i","pregenIdentifierType":"t",`+
				`"externalProviderId":"e"}`, i, i)
		}) + `}` + rest),
		"control characters": full(t, `{"wallets":{"w":{"name":"`, func(int) string { return `\u0001\u0001` }, `"}}`+rest),
		"one long escape":    full(t, `{"x":"\n`, func(int) string { return "0123456789" }, `"`+rest),
		"unknown members": full(t, `{"x":[`, func(i int) string {
			return `{` + names(2000) + `}`
		}, `]`+rest),
		"unknown objects": full(t, `{"x":[`, func(i int) string { return `{"a":0}` }, `]`+rest),
		"objects of 41 members": full(t, `{"x":[`, func(int) string {
			var b strings.Builder
			for i := range 41 {
				fmt.Fprintf(&b, `,"%c%c":0`, 'a'+i%26, 'a'+i/26)
			}
			return `{` + b.String()[1:] + `}`
		}, `]`+rest),
		"objects in an object of 40 members": full(t, `{`+func() string {
			var b strings.Builder
			for i := range 40 {
				fmt.Fprintf(&b, `"%c%c":0,`, 'a'+i%26, 'a'+i/26)
			}
			return b.String()
		}()+`"x":[`, func(int) string { return `{"a":0}` }, `]`+rest),
	} {
		if len(exported) > 1<<20 || len(exported) < 300<<10 {
			t.Fatalf("%s: %d bytes", name, len(exported))
		}
		c, _ := fake(t, says(500, ""))
		var s *session.Session
		read := allocated(func() {
			s = importSession(t, c, exported)
			_, _, _ = s.Wallets(), s.CurrentWallets(), s.ExternalWallets()
			_, _, _, _ = s.UserID(), s.AuthType(), s.Identifier(), s.Mode()
		})
		whole := read + allocated(func() { exportOf(t, s) })
		t.Logf("%s: %d KiB, with Export %d KiB", name, read>>10, whole>>10)
		if read > 8<<20 || whole > 24<<20 {
			t.Errorf("%s: %d bytes, with Export %d", name, read, whole)
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
				!strings.Contains(
					is(t, err, session.ErrSessionMalformed).Error(),
					"more than 1000 wallets",
				) {
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

// slow answers verification tokens after a second, and everything else at once.
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

// A flood of junk tokens leaves Para, other users and imported sessions alone.
func TestAFloodOfJunkTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, slow)
		v := newTokens(t, c, session.TokenVerifierConfig{TTL: 2 * time.Second})
		if _, err := v.VerifyVerificationToken(t.Context(), "good"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // it must be asked again
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
			t.Errorf("%d calls under way", n)
		}
		mu.Lock()
		if unavailable != 2000-1024 {
			t.Errorf("%d were turned away at once", unavailable)
		}
		mu.Unlock()

		// Another user's good token, and every call for imported sessions.
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
		// One call for each refusal, and more for those that ran out of time.
		if n := para.calls(); n > 24*14 {
			t.Errorf("%d calls", n)
		}
		// It is over.
		if _, err := c.VerifyToken(t.Context(), "good"); err != nil {
			t.Error(err)
		}
	})
}

// The same junk again costs no call.
func TestRefusedTokensAreRememberedForAWhile(t *testing.T) {
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
		ask("c", 4) // and the table is bounded
		ask("b", 4)
		ask("a", 5)
	})
}

// No answer is not a refusal, and is not remembered.
func TestAnOutageIsNotRememberedAsARefusal(t *testing.T) {
	c, _ := fake(
		t,
		says(503, ``),
		says(403, `{"message":"invalid secret api key"}`),
		says(200, verified),
	)
	v := newTokens(t, c, session.TokenVerifierConfig{})
	_, err := v.VerifyVerificationToken(t.Context(), "vt")
	is(t, err, session.ErrUnavailable)
	_, err = v.VerifyVerificationToken(t.Context(), "vt")
	is(t, err, session.ErrUnauthorizedKey)
	if _, err = v.VerifyVerificationToken(t.Context(), "vt"); err != nil {
		t.Error(err)
	}
}
