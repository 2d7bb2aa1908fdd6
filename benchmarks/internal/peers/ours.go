package peers

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// Ours returns parajwt, with its default cache of verified tokens or without a
// cache. The other libraries have no such cache. They are compared with parajwt
// without a cache, which verifies every token again.
func Ours(cache bool) Library {
	size, name := -1, "parajwt, every token new"
	if cache {
		size, name = 0, "parajwt, repeat tokens"
	}
	return Library{
		Name: name, Ours: true,
		Modules: []string{"github.com/parajwt/parajwt"},
		New: func(ctx context.Context, s Setup) (Verify, error) {
			v, err := Validator(ctx, s, size)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, token string) (User, error) {
				c, err := v.Validate(ctx, token)
				if err != nil {
					return User{}, err
				}
				u := User{ID: c.UserID, AuthType: string(c.AuthType), Wallets: len(c.Wallets)}
				if u.Wallets > 0 {
					u.LastAddress = c.Wallets[u.Wallets-1].Address
				}
				return u, nil
			}, nil
		},
		Handler: func(ctx context.Context, s Setup) (http.Handler, error) {
			v, err := Validator(ctx, s, size)
			if err != nil {
				return nil, err
			}
			answer := func(w http.ResponseWriter, r *http.Request) {
				user, _ := claims.FromContext(r.Context())
				Answer(w, user.UserID)
			}
			return parahttp.Require(v)(http.HandlerFunc(answer)), nil
		},
	}
}

// Validator returns a validator with the key set fetched. It is closed when ctx
// ends.
func Validator(ctx context.Context, s Setup, cacheSize int) (*middleware.Validator, error) {
	v, err := middleware.New(middleware.Config{
		Environment: jwks.Environment{Name: "benchmark", URL: s.keySetURL()},
		APIKeyIDs:   []string{fixture.APIKeyID},
		CacheSize:   cacheSize,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { v.Close() })
	return v, v.Warm(ctx)
}
