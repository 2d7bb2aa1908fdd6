package session

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

type canned string

func (a canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(string(a))),
		Request:    r,
	}, nil
}

// TestOldEntriesAreDropped checks that the cache drops entries that are no
// longer used, because they are personal data.
func TestOldEntriesAreDropped(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c, err := New(Config{
		Environment: jwks.Beta, SecretAPIKey: NewSecret("k"), Now: func() time.Time { return now },
		HTTPClient: &http.Client{Transport: canned(`{"authType":"email","identifier":"a@b.c"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := func(v *TokenVerifier, tokens ...string) int {
		for _, token := range tokens {
			if _, err := v.VerifyVerificationToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		if len(v.good.known) != v.good.oldest.Len() || len(v.flights) != 0 {
			t.Errorf("%d entries, %d in order of age, %d calls in progress",
				len(v.good.known), v.good.oldest.Len(), len(v.flights))
		}
		return len(v.good.known)
	}
	v, err := c.TokenVerifier(TokenVerifierConfig{TTL: time.Minute, Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if n := kept(v, "canary-a", "canary-b", "canary-a"); n != 2 {
		t.Errorf("%d are kept", n)
	}
	now = now.Add(time.Minute)
	if n := kept(v, "canary-b", "canary-c"); n != 3 {
		t.Errorf("%d are kept through the grace", n)
	}
	now = now.Add(2 * time.Minute)
	if n := kept(v, "canary-d"); n != 3 { // canary-a was dropped
		t.Errorf("%d are kept after it", n)
	}
	if text := fmt.Sprint(v.good, v.refused); strings.Contains(text, "canary") {
		t.Errorf("a token is kept: %s", text)
	}
	if v, err = c.TokenVerifier(TokenVerifierConfig{TTL: -1}); err != nil {
		t.Fatal(err)
	}
	if n := kept(v, "canary-a"); n != 0 {
		t.Errorf("%d are kept without a TTL", n)
	}
}
