package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/middleware"
)

// TestCatalogue checks that every attack is refused with the right code, and
// that its sibling is accepted. No error or log line may contain part of a
// token. Each token is sent several times, before and after its sibling,
// because a verdict must not depend on earlier requests.
func TestCatalogue(t *testing.T) {
	f := newForge(t)
	total := 0
	for _, c := range catalogue(f) {
		total += len(c.attacks)
		t.Run(c.name, func(t *testing.T) {
			t.Run("validator", func(t *testing.T) { attackValidator(t, f, c) })
			for _, a := range all {
				t.Run(a.name, func(t *testing.T) { attackAdapter(t, f, c, a) })
			}
			t.Run("paragrpc", func(t *testing.T) { attackGRPC(t, f, c) })
		})
	}
	if n := f.dialled.Load(); n != 0 {
		t.Errorf("the attacker's server got %d requests", n)
	}
	t.Logf("%d attacks", total)
}

func (a attack) sibling(f *forge) string {
	if a.good == "" {
		return f.good
	}
	return a.good
}

func attackValidator(t *testing.T, f *forge, c class) {
	var log testkit.Log
	for _, cacheSize := range []int{0, -1} {
		before := f.fetches.Load()
		v := f.validator(t, cacheSize, &log)
		for _, a := range c.attacks {
			good := a.sibling(f)
			refused(t, v, c, a, a.bad)
			refused(t, v, c, a, a.bad)
			accepted(t, v, a, good)
			accepted(t, v, a, good)
			refused(t, v, c, a, a.bad)
			accepted(t, v, a, good)

			// This checks the order of the checks. A token with a bad header is
			// refused with any signature, so no cryptography is done. The
			// payload is not read unless the signature is valid.
			junk := withSignature(a.bad, strings.Repeat("A", len(last(a.bad))/4*4))
			switch c.stage {
			case header:
				refused(t, v, c, a, junk)
			case payload:
				refused(t, v, class{stage: signature},
					attack{name: a.name + ", and a wrong signature", want: wrong}, junk)
			}
		}
		// One fetch is at the start, and one is for the first unknown kid,
		// because the clock stands still.
		if n := f.fetches.Load() - before; n > 2 {
			t.Errorf("%d fetches of the key set", n)
		}
	}
	testkit.NoLeak(t, fmt.Sprint(log.Take()), f.good, "canary")
}

func accepted(t *testing.T, v *middleware.Validator, a attack, token string) {
	t.Helper()
	if user, err := v.Validate(t.Context(), token); err != nil || user == nil {
		t.Errorf("%s: its sibling is refused: %v", a.name, err)
	}
}

func refused(t *testing.T, v *middleware.Validator, c class, a attack, token string) {
	t.Helper()
	user, err := v.Validate(t.Context(), token)
	switch {
	case err == nil:
		t.Errorf("%s: accepted", a.name)
		return
	case user != nil:
		t.Errorf("%s: an error and a user", a.name)
	case !errors.Is(err, a.want):
		t.Errorf("%s: refused as %v, want %v", a.name, err, a.want)
	}
	var e *middleware.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: a %T", a.name, err)
	}
	if e.Signed != (c.stage == payload) {
		t.Errorf("%s: Signed is %t", a.name, e.Signed)
	}
	inJSON, _ := json.Marshal(e)
	for _, text := range []string{
		err.Error(), fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err),
		fmt.Sprintf("%v %+v %#v", *e, *e, *e),
		fmt.Sprintf("%#v", e.Cause), string(inJSON), e.Hint, e.LogValue().String(),
		http.StatusText(e.Status()),
	} {
		testkit.NoLeak(t, a.name+": "+text, token, "canary")
	}
}

// refusals returns the codes of the refusals that are logged in lines.
func refusals(lines []testkit.Line) (codes []string) {
	for _, line := range lines {
		if line["msg"] == "parajwt: request refused" {
			refusal, _ := line["refusal"].(map[string]any)
			codes = append(codes, fmt.Sprint(refusal["code"]))
		}
	}
	return codes
}

func attackAdapter(t *testing.T, f *forge, c class, a adapter) {
	var log testkit.Log
	v := f.validator(t, 0, &log)
	s := new(site)
	guarded := a.mount(true, v, nil,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.calls.Add(1)
			whoami(w, r)
		}))
	s.listen(t, guarded)

	for _, attack := range c.attacks {
		want := forged
		// A token with one of these is refused for the header.
		if c.stage == payload && !strings.ContainsAny(attack.bad, " \t,") {
			want = answer401(`Bearer error="invalid_token", error_description="` +
				strings.TrimPrefix(attack.want.Error(), "parajwt: ") + `"`)
		}
		refuse := func() {
			t.Helper()
			before := s.calls.Load()
			switch {
			case strings.HasPrefix(attack.bad, " "):
				return // several spaces before the token are valid in a header
			case sendable(attack.bad):
				answer := s.get(t, attack.bad)
				if answer != want {
					t.Errorf("%s:\n got %q\nwant %q", attack.name, answer, want)
				}
				testkit.NoLeak(t, attack.name+": "+answer, attack.bad, "canary")
			default:
				// net/http's server refuses the header itself, or ends the line
				// there.
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/here", nil)
				r.Header["Authorization"] = []string{"Bearer " + attack.bad}
				guarded.ServeHTTP(w, r)
				if _, body, _ := strings.Cut(want, "\r\n\r\n"); w.Code != http.StatusUnauthorized ||
					w.Body.String() != body {
					t.Errorf("%s: %d %q", attack.name, w.Code, w.Body)
				}
			}
			if s.calls.Load() != before {
				t.Errorf("%s: the handler was called", attack.name)
			}
			lines := log.Take()
			if got := refusals(lines); !slices.Equal(got, []string{string(attack.want)}) {
				t.Errorf("%s: logged as %q", attack.name, lines)
			}
			testkit.NoLeak(t, attack.name+": "+fmt.Sprint(lines), attack.bad, "canary")
		}
		refuse()
		s.lets(t, attack.name, attack.sibling(f))
		refuse()
	}
}

// lets fails the test unless a request with the token reaches the handler.
func (s *site) lets(t *testing.T, name, token string) {
	t.Helper()
	before := s.calls.Load()
	if answer := s.get(t, token); !strings.HasPrefix(answer, "HTTP/1.1 200 ") ||
		s.calls.Load() != before+1 {
		t.Errorf("%s: the response to its sibling is %q", name, answer)
	}
}

// sendable reports whether a header can carry the token without a change.
func sendable(token string) bool {
	for _, b := range []byte(token) {
		if b < ' ' || b == 0x7f {
			return false
		}
	}
	return strings.TrimRight(token, " ") == token
}

// TestTooLarge checks that a token that is too large, or that has a million
// dots, is refused without a copy of it.
func TestTooLarge(t *testing.T) {
	f := newForge(t)
	v := f.validator(t, 0, new(testkit.Log))
	good := f.good
	if _, err := v.Validate(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"1 MiB of letters":                strings.Repeat("A", 1<<20),
		"a million dots":                  strings.Repeat(".", 1_000_000),
		"1 MiB of dots":                   strings.Repeat(".", 1<<20),
		"16 KiB of dots":                  strings.Repeat(".", 16<<10),
		"16 KiB of letters":               strings.Repeat("A", 16<<10),
		"16 KiB of letters and two dots":  strings.Repeat("A", 16<<10-4) + ".A.A",
		"a good token and a million dots": good + strings.Repeat(".", 1_000_000),
		"a good token, padded to 1 MiB":   good + strings.Repeat("A", 1<<20-len(good)),
		"a good header and 1 MiB": good[:strings.IndexByte(good, '.')] +
			strings.Repeat(".A", 1<<19-512),
		"1 MiB of zero bytes":                  strings.Repeat("\x00", 1<<20),
		"1 MiB of white space":                 strings.Repeat(" ", 1<<20),
		"one byte too large, correctly signed": sized(f, 16<<10+1),
	} {
		const runs = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := v.Validate(t.Context(), token); !errors.Is(err, middleware.ErrMalformed) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		runtime.ReadMemStats(&after)
		if bytes := (after.TotalAlloc - before.TotalAlloc) / runs; bytes > 4<<10 {
			t.Errorf("%s: %d bytes allocated for each", name, bytes)
		}
	}
}
