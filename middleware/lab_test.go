package middleware_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// noon is the time at which the tests run.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

var b64 = base64.RawURLEncoding

// newClock returns a clock that shows noon.
func newClock() *testkit.Clock { return testkit.NewClock(noon) }

// shared returns a Para for tests that do not change it. Its clock shows noon.
var shared = sync.OnceValue(func() *paratest.Para {
	p, err := paratest.Start(paratest.Config{Now: newClock().Now})
	if err != nil {
		panic(err)
	}
	return p
})

// newValidator returns a validator with test defaults for the fields that cfg
// leaves at zero.
func newValidator(t testing.TB, cfg middleware.Config) *middleware.Validator {
	t.Helper()
	if cfg.APIKeyIDs == nil {
		cfg.APIKeyIDs = []string{paratest.APIKeyID}
	}
	if cfg.Environment.URL == "" {
		cfg.Environment = shared().Environment()
	}
	if cfg.Now == nil {
		cfg.Now = newClock().Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Keys.FetchTimeout == 0 {
		cfg.Keys.FetchTimeout = time.Minute // so that a busy machine does not look like an outage
	}
	v, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// accepts fails the test unless the token is accepted twice. The second verdict
// may come from the token cache.
func accepts(t *testing.T, v *middleware.Validator, token string) *claims.Claims {
	t.Helper()
	var user *claims.Claims
	for range 2 {
		var err error
		if user, err = v.Validate(t.Context(), token); err != nil || user == nil {
			t.Fatalf("got %v, %v", user, err)
		}
	}
	return user
}

// refuses fails the test unless the token is refused twice with the code want.
func refuses(
	t *testing.T, v *middleware.Validator, token string, want middleware.Code,
) *middleware.Error {
	t.Helper()
	var refusal *middleware.Error
	for range 2 {
		user, err := v.Validate(t.Context(), token)
		if user != nil || !errors.Is(err, want) || !errors.As(err, &refusal) {
			t.Fatalf("got %v, %v; want %v", user, err, want)
		}
	}
	return refusal
}

// sign returns an acceptable token, issued at noon.
func sign(s testkit.Signer) string { return s.Sign(s.Header(), goodPayload) }

// goodPayload is the payload of a token issued at noon.
var goodPayload = fmt.Sprintf(`{"sub":"u1","aud":%q,"iat":%d,"exp":%d,`+
	`"data":{"userId":"u1","authType":"email",`+
	`"wallets":[{"id":"w1","type":"EVM","address":"0xAb"}]}}`,
	paratest.APIKeyID, noon.Unix(), noon.Add(30*time.Minute).Unix())

// twin returns the other valid signature of an ES256 token: (r, n−s) for (r,
// s). Making it needs no key.
func twin(t *testing.T, token string) string {
	t.Helper()
	at := len(token) - 86
	signature, err := b64.DecodeString(token[at:])
	if err != nil || len(signature) != 64 {
		t.Fatalf("not an ES256 token: %v", err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:at] + b64.EncodeToString(signature)
}
