package middleware_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// remembering returns a validator, its Para, and their clock.
func remembering(
	t *testing.T, change func(*middleware.Config),
) (*middleware.Validator, *paratest.Para, *testkit.Clock) {
	t.Helper()
	at := newClock()
	para := paratest.New(t, paratest.Config{Now: at.Now})
	cfg := middleware.Config{Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
		Now: at.Now, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	v, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v, para, at
}

func accept(t *testing.T, v *middleware.Validator, token string) *claims.Claims {
	t.Helper()
	c, err := v.Validate(t.Context(), token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return c
}

func refuse(t *testing.T, v *middleware.Validator, token string, code middleware.Code) {
	t.Helper()
	if c, err := v.Validate(t.Context(), token); !errors.Is(err, code) || c != nil {
		t.Fatalf("got %v, %v; want %v", c, err, code)
	}
}

func TestRepeatedTokenIsCached(t *testing.T) {
	v, para, _ := remembering(t, nil)
	token := para.Token(paratest.EmailUser())
	first := accept(t, v, token)
	if !v.Remembers(token) {
		t.Fatal("the token is not cached")
	}
	if again := accept(t, v, strings.Clone(token)); again != first {
		t.Error("a repeated token was verified anew")
	}
	if want := token[strings.LastIndexByte(token, '.')+1:][:32]; first.TokenID != want {
		t.Errorf("TokenID is %q, want %q", first.TokenID, want)
	}
}

func TestNegativeCacheSizeDisablesTheCache(t *testing.T) {
	v, para, _ := remembering(t, func(cfg *middleware.Config) { cfg.CacheSize = -1 })
	token := para.Token(paratest.EmailUser())
	first := accept(t, v, token)
	if again := accept(t, v, token); again == first {
		t.Error("a repeated token was not verified anew")
	}
}

func TestCachedTokenIsRefusedOnceInvalid(t *testing.T) {
	t.Run("it expires", func(t *testing.T) {
		v, para, at := remembering(t, nil)
		token := para.Token(paratest.EmailUser())
		accept(t, v, token)
		at.Advance(30*time.Minute + 29*time.Second)
		accept(t, v, token) // within the leeway
		at.Advance(time.Second)
		refuse(t, v, token, middleware.ErrExpired)
	})
	t.Run("it is older than MaxTokenAge", func(t *testing.T) {
		v, para, at := remembering(t, func(cfg *middleware.Config) {
			cfg.MaxTokenAge = 10 * time.Minute
			cfg.Leeway = -1
		})
		token := para.Token(paratest.EmailUser())
		accept(t, v, token)
		at.Advance(10 * time.Minute)
		accept(t, v, token)
		at.Advance(time.Second)
		refuse(t, v, token, middleware.ErrExpired)
	})
	t.Run("the clock goes back before its iat", func(t *testing.T) {
		v, para, at := remembering(t, nil)
		token := para.Token(paratest.EmailUser())
		accept(t, v, token)
		at.Advance(-31 * time.Second)
		refuse(t, v, token, middleware.ErrNotYetValid)
	})
	t.Run("its key is withdrawn", func(t *testing.T) {
		v, para, at := remembering(t, nil)
		token := para.Token(paratest.EmailUser())
		accept(t, v, token)
		para.Withdraw(para.KeyIDs()[1])
		at.Advance(5*time.Minute + 5*time.Second) // an interval and a fetch's time-out
		refuse(t, v, token, middleware.ErrUnknownKey)
	})
	t.Run("its user is revoked", func(t *testing.T) {
		var out string
		v, para, at := remembering(t, func(cfg *middleware.Config) {
			clock := cfg.Now
			cfg.Revoked = func(_ context.Context, user *claims.Claims, now time.Time) (bool,
				error) {
				if !now.Equal(clock()) {
					t.Errorf("now is %v, want %v", now, clock())
				}
				return user.UserID == out, nil
			}
		})
		at.Advance(time.Second)
		token := para.Token(paratest.EmailUser())
		out = accept(t, v, token).UserID
		refuse(t, v, token, middleware.ErrRevoked)
	})
	t.Run("revocation unknown", func(t *testing.T) {
		var down error
		v, para, _ := remembering(t, func(cfg *middleware.Config) {
			cfg.Revoked = func(context.Context, *claims.Claims, time.Time) (bool, error) {
				return false, down
			}
		})
		token := para.Token(paratest.EmailUser())
		accept(t, v, token)
		down = errors.New("store is down")
		refuse(t, v, token, middleware.ErrRevocationUnknown)
	})
}

func TestForgedTokenGetsNoCachedVerdict(t *testing.T) {
	v, para, _ := remembering(t, nil)
	token := para.Token(paratest.EmailUser())
	accept(t, v, token)
	cut := strings.LastIndexByte(token, '.')
	other := para.Token(paratest.PhoneUser())
	for name, forged := range map[string]string{
		"another payload under the same signature": other[:strings.LastIndexByte(other, '.')] +
			token[cut:],
		"one character of the payload":           flip(token, cut-20),
		"one character of the header":            flip(token, 5),
		"one character of the signature's start": flip(token, cut+3),
		"the signature's end only":               flip(token, len(token)-5),
		"shortened at the front":                 token[1:],
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := v.Validate(t.Context(), forged); err == nil {
				t.Errorf("accepted as %v", c)
			}
		})
	}
	accept(t, v, token)
}

func flip(s string, at int) string {
	other := byte('A')
	if s[at] == other {
		other = 'B'
	}
	return s[:at] + string(other) + s[at+1:]
}

func TestValidatorsDoNotShareTheCache(t *testing.T) {
	at := newClock()
	para := paratest.New(t, paratest.Config{Now: at.Now})
	validator := func(apiKeyID string) *middleware.Validator {
		v, err := middleware.New(middleware.Config{Environment: para.Environment(),
			APIKeyIDs: []string{apiKeyID}, Now: at.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Close() })
		return v
	}
	ours, theirs := validator(para.APIKeyID()), validator("another-app")
	token := para.Token(paratest.EmailUser())
	accept(t, ours, token)
	refuse(t, theirs, token, middleware.ErrAudience)
	accept(t, ours, token)
}

func TestCacheSizes(t *testing.T) {
	for size, want := range map[int]int{0: 8192, 1: 16, 16: 16, 31: 16, 32: 32, 8192: 8192,
		1 << 20: 1 << 20} {
		v, _, _ := remembering(t, func(cfg *middleware.Config) { cfg.CacheSize = size })
		if got := v.CacheCapacity(); got != want {
			t.Errorf("CacheSize %d: capacity is %d, want %d", size, got, want)
		}
	}
}

func TestLargeTokenIsNotCached(t *testing.T) {
	v, para, _ := remembering(t, nil)
	user := paratest.EmailUser()
	many := make([]claims.Wallet, 200) // short in JSON, long in memory
	for name, token := range map[string]string{
		"a long claim": para.Token(user, paratest.WithData("note",
			strings.Repeat("x", middleware.MaxEntryBytes))),
		"very many wallets": para.Token(&claims.Claims{UserID: user.UserID, Wallets: many}),
	} {
		t.Run(name, func(t *testing.T) {
			accept(t, v, token)
			if v.Remembers(token) {
				t.Error("the token is cached")
			}
		})
	}
}

// TestCachedTokenExpiresWhileWaiting checks that the clock is read after the
// wait for the keys.
func TestCachedTokenExpiresWhileWaiting(t *testing.T) {
	clock, fetches := newClock(), 0
	key := testkit.EC(0).Named("es")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fetches++; fetches == 2 {
			clock.Advance(2 * time.Minute)
		}
		io.WriteString(w, testkit.SetOf(key))
	}))
	t.Cleanup(server.Close)
	v := newValidator(t, middleware.Config{Now: clock.Now,
		Environment: jwks.Environment{URL: server.URL},
		Keys:        jwks.Config{FetchTimeout: 10 * time.Second}})
	token := sign(key) // for 30 minutes
	accepts(t, v, token)
	clock.Advance(29 * time.Minute) // the keys are overdue, so the next look-up waits for a fetch
	refuse(t, v, token, middleware.ErrExpired)
	if fetches < 2 {
		t.Errorf("%d fetches", fetches)
	}
}
