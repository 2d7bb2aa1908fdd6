package revocation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/revocation"
)

const exampleEntry = "1u.dW4nJ3VzZXJz9Pb4-vz-AQIDBAU.mjw3k5c0.tfkd9s"

func TestEntryText(t *testing.T) {
	replaced := func(old, by string) string {
		return strings.Replace(exampleEntry, old, by, 1)
	}
	for name, test := range map[string]struct{ good, bad string }{
		"version":              {exampleEntry, "2" + exampleEntry[1:]},
		"kind":                 {exampleEntry, "1x" + exampleEntry[2:]},
		"kind ?":               {exampleEntry, "1?" + exampleEntry[2:]},
		"capital kind":         {exampleEntry, "1U" + exampleEntry[2:]},
		"separator":            {exampleEntry, "1u" + exampleEntry[3:]},
		"subject too short":    {exampleEntry, strings.Replace(exampleEntry, "dW4n", "dW4", 1)},
		"subject too long":     {exampleEntry, strings.Replace(exampleEntry, "dW4n", "dW4nn", 1)},
		"subject with padding": {exampleEntry, strings.Replace(exampleEntry, "BAU.", "BA=.", 1)},
		"subject with bits":    {exampleEntry, strings.Replace(exampleEntry, "BAU.", "BAV.", 1)},
		"subject with newline": {exampleEntry, strings.Replace(exampleEntry, "BAU.", "BA\n.", 1)},
		"standard base64":      {exampleEntry, strings.Replace(exampleEntry, "4-v", "4+v", 1)},
		"no time":              {exampleEntry, replaced("mjw3k5c0", "")},
		"time 0":               {exampleEntry, replaced("mjw3k5c0", "0")},
		"negative time":        {exampleEntry, replaced("mjw3k5c0", "-mjw3k5c0")},
		"leading zero":         {exampleEntry, replaced("mjw3k5c0", "0mjw3k5c0")},
		"plus":                 {exampleEntry, replaced("mjw3k5c0", "+mjw3k5c0")},
		"capitals":             {exampleEntry, strings.ToUpper(exampleEntry)},
		"time out of range":    {exampleEntry, replaced("mjw3k5c0", "zzzzzzzzzz")},
		"expiry out of range":  {exampleEntry, replaced("tfkd9s", "zzzzzzz")},
		"a user that never expires": {
			"1b" + replaced("tfkd9s", "0")[2:], replaced("tfkd9s", "0")},
		"all with a subject":   {"1a..mjw3k5c0.tfkd9s", "1a" + exampleEntry[2:]},
		"user without subject": {exampleEntry, "1u..mjw3k5c0.tfkd9s"},
		"a fourth part":        {exampleEntry, exampleEntry + ".0"},
		"space":                {exampleEntry, exampleEntry + " "},
		"empty":                {exampleEntry, ""},
		"oversized":            {exampleEntry, "1u." + strings.Repeat("A", 1<<20)},
	} {
		var e revocation.Entry
		if err := e.UnmarshalText([]byte(test.good)); err != nil {
			t.Errorf("%s: %q: %v", name, test.good, err)
		}
		kept := e
		err := e.UnmarshalText([]byte(test.bad))
		if err == nil || strings.Contains(err.Error(), "AAA") {
			t.Errorf("%s: %.80q: got %v, want an error without the text", name, test.bad, err)
		}
		if e != kept {
			t.Errorf("%s: an error changed the entry", name)
		}
	}
	kinds := []string{}
	for k := revocation.Kind(0); k <= 6; k++ {
		kinds = append(kinds, k.String())
	}
	want := []string{"unknown kind 0", "user", "token", "all", "block", "unblock", "unknown kind 6"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the kinds are %q, want %q", kinds, want)
	}
}

// The Subject of an ID never changes, because servers of different versions
// share a log.
func TestSubjectsAreStable(t *testing.T) {
	s := newStore()
	l := newList(t, revocation.Config{Store: s})
	var got []string
	for _, id := range []string{"a", "abcd", "abcdefgh", "d5358219-38d3-4650-91a8-e338131d1c5e",
		strings.Repeat("long ", 100)} {
		must(t, l.RevokeUser(t.Context(), id))
		got = append(got, s.entries()[len(got)].Subject)
	}
	want := []string{"9AckX8qXgRLKG73K-sIxs5oj3E0", "tmrn94jUJm_U5jONE7hF_PKJV50",
		"lRjf25xWzFGzdMO6GJIQ1bbUv1c", "Qn9vXPAAbbaycob7A5oe82-ora4", "JRpdELVdJPhMwMXBmcAMkOI44do"}
	if !slices.Equal(got, want) {
		t.Errorf("the subjects are %q, want %q", got, want)
	}
}

// FuzzEntry checks that an entry has one text form.
func FuzzEntry(f *testing.F) {
	for _, seed := range []string{exampleEntry, "1a..mjw3k5c0.tfkd9s", "1b" + exampleEntry[2:],
		"1n" + exampleEntry[2:], "1t" + exampleEntry[2:],
		"1b.AAAAAAAAAAAAAAAAAAAAAAAAAAA.1.0", "", "1u..."} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var e revocation.Entry
		if e.UnmarshalText(text) != nil {
			return
		}
		again, err := e.MarshalText()
		if err != nil || string(again) != string(text) {
			t.Errorf("%q became %q, %v", text, again, err)
		}
		var back revocation.Entry
		if err := back.UnmarshalText(again); err != nil || !back.At.Equal(e.At) ||
			!back.Expires.Equal(e.Expires) || back.Kind != e.Kind || back.Subject != e.Subject {
			t.Errorf("%+v became %+v, %v", e, back, err)
		}
	})
}

// FuzzSnapshot checks that a snapshot is restored completely, or not at all.
// The checksum is not secret, so the input gets a correct one.
func FuzzSnapshot(f *testing.F) {
	l, err := revocation.New(revocation.Config{})
	if err != nil {
		f.Fatal(err)
	}
	must(f, l.RevokeUser(f.Context(), "u"))
	must(f, l.BlockUser(f.Context(), "u"))
	must(f, l.UnblockUser(f.Context(), "v"))
	must(f, l.RevokeIssuedBefore(f.Context(), time.Now()))
	snapshot, err := l.Snapshot()
	must(f, err)
	body := string(snapshot[:len(snapshot)-65])
	f.Add(body)
	f.Add(body + body)
	f.Add(strings.Replace(body, "\n", "", 1))
	f.Add("parajwt revocations 1 1\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, body string) {
		l, err := revocation.New(revocation.Config{Initial: withSum(body), Now: newClock().Now})
		if err != nil {
			return
		}
		if max := strings.Count(body, "\n") - 1; l.Status().Entries > max {
			t.Errorf("%d entries of %d lines", l.Status().Entries, max)
		}
		again, err := l.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		l2, err := revocation.New(revocation.Config{Initial: again, Now: newClock().Now})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := l.Status().Entries, l2.Status().Entries; b > a {
			t.Errorf("%d entries became %d", a, b)
		}
	})
}
