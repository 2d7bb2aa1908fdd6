//go:build !race

package integration_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paraecho5"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/paragrpc"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestAllocations limits the allocations of the hot paths. Allocations are
// exact, unlike times. The race detector makes sync.Pool drop items on purpose,
// so this test runs only without it.
func TestAllocations(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator := func(cacheSize int) *middleware.Validator {
		v, err := middleware.New(middleware.Config{Environment: para.Environment(),
			APIKeyIDs: []string{para.APIKeyID()}, CacheSize: cacheSize,
			Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Close() })
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		return v
	}
	user := paratest.EmailUser()
	rs256 := para.Token(user)
	para.RotateES256()
	es256 := para.Token(user)
	first, repeat := validator(-1), validator(0)

	for _, test := range []struct {
		name  string
		v     *middleware.Validator
		token string
		good  bool
		most  float64
	}{
		{"first sight, RS256", first, rs256, true, 15},
		{"first sight, ES256", first, es256, true, 27},
		{"repeat, RS256", repeat, rs256, true, 0},
		{"repeat, ES256", repeat, es256, true, 0},
		{"unknown key", repeat, para.Token(user, paratest.UnknownKey("nobody's")), false, 5},
		{"alg none", repeat, para.Token(user, paratest.WithHeader("alg", "none")), false, 6},
		{"garbage", repeat, strings.Repeat("x", 1000), false, 2},
		{"too large", repeat, strings.Repeat("x", 1<<20), false, 2},
		{"a million dots", repeat, strings.Repeat(".", 1<<20), false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := testing.AllocsPerRun(200, func() {
				if _, err := test.v.Validate(t.Context(), test.token); (err == nil) != test.good {
					t.Fatal(err)
				}
			})
			if got > test.most {
				t.Errorf("%v allocations, at most %v", got, test.most)
			}
		})
	}

	// Each handler looks up the user. A handler without a guard finds none.
	found := 0
	look := func(r *http.Request) {
		if user, ok := claims.FromContext(r.Context()); ok && len(user.Wallets) > 0 {
			found++
		}
	}
	ok := func(_ http.ResponseWriter, r *http.Request) { look(r) }
	netHTTP := func(v *middleware.Validator) http.Handler {
		if v == nil {
			return http.HandlerFunc(ok)
		}
		return parahttp.Require(v)(http.HandlerFunc(ok))
	}
	withEcho := func(v *middleware.Validator) http.Handler {
		e := echo.New()
		if v != nil {
			e.Use(paraecho.Require(v))
		}
		e.GET("/", func(c echo.Context) error { look(c.Request()); return nil })
		return e
	}
	withEcho5 := func(v *middleware.Validator) http.Handler {
		e := echo5.New()
		if v != nil {
			e.Use(paraecho5.Require(v))
		}
		e.GET("/", func(c *echo5.Context) error { look(c.Request()); return nil })
		return e
	}
	withGin := func(v *middleware.Validator) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		if v != nil {
			r.Use(paragin.Require(v))
		}
		r.GET("/", func(c *gin.Context) { look(c.Request) })
		return r
	}
	for name, test := range map[string]struct {
		handler func(*middleware.Validator) http.Handler
		most    float64
	}{
		"net/http": {netHTTP, 1},
		"Echo":     {withEcho, 2},
		"Echo v5":  {withEcho5, 1},
		"Gin":      {withGin, 1},
	} {
		t.Run("above the validator, "+name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+rs256)
			measure := func(h http.Handler) float64 {
				return testing.AllocsPerRun(200, func() { h.ServeHTTP(nowhere{}, r) })
			}
			found = 0
			got := measure(test.handler(repeat)) - measure(test.handler(nil))
			if found != 201 { // AllocsPerRun calls once more, first
				t.Errorf("%d handlers found a user", found)
			}
			if got > test.most {
				t.Errorf("%v allocations, at most %v", got, test.most)
			}
		})
	}
}

// TestAllocationsGRPC limits what the interceptor allocates. Most of it is the
// copy of the metadata.
func TestAllocationsGRPC(t *testing.T) {
	v := paraValidator(t)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(
		":authority", "localhost:8000", "content-type", "application/grpc",
		"user-agent", "grpc-go/1.84.0",
		"authorization", "Bearer "+para().Token(paratest.EmailUser())))
	interceptor := paragrpc.UnaryServerInterceptor(v)
	info := &grpc.UnaryServerInfo{FullMethod: "/me.Me/Get"}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	const most = 13
	got := testing.AllocsPerRun(200, func() {
		if _, err := interceptor(ctx, nil, info, handler); err != nil {
			t.Fatal(err)
		}
	})
	if got > most {
		t.Errorf("%v allocations, at most %d", got, most)
	}
}

// nowhere is a ResponseWriter that discards the response.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
