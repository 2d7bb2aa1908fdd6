package peers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// jwxv2 sets up jwx/v2 as in its documentation: a jwk.Cache behind a CachedSet,
// and jwt.Parse with that set, the audience and a typed data claim.
func jwxv2() Library {
	setUp := func(ctx context.Context, s Setup) (Verify, error) {
		cache := jwk.NewCache(ctx)
		if err := cache.Register(s.keySetURL()); err != nil {
			return nil, err
		}
		if _, err := cache.Refresh(ctx, s.keySetURL()); err != nil {
			return nil, err
		}
		options := []jwt.ParseOption{
			jwt.WithKeySet(jwk.NewCachedSet(cache, s.keySetURL())),
			jwt.WithAudience(fixture.APIKeyID),
			jwt.WithTypedClaim("data", Data{}),
		}
		return func(_ context.Context, token string) (User, error) {
			t, err := jwt.Parse([]byte(token), options...)
			if err != nil {
				return User{}, err
			}
			claim, _ := t.Get("data")
			d, ok := claim.(Data)
			if !ok {
				return User{}, errors.New("no data claim")
			}
			return d.user(), nil
		}, nil
	}
	return Library{
		Name:    "jwx/v2 jwt.Parse + jwk.Cache",
		Modules: []string{"github.com/lestrrat-go/jwx/v2"},
		New:     setUp,
		Handler: func(ctx context.Context, s Setup) (http.Handler, error) {
			verify, err := setUp(ctx, s)
			if err != nil {
				return nil, err
			}
			return byHand(verify, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				u, _ := r.Context().Value(userKey{}).(User)
				Answer(w, u.ID)
			})), nil
		},
	}
}

type userKey struct{}

// byHand is a minimal middleware for a library that has none.
func byHand(verify Verify, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		u, err := verify(r.Context(), token)
		if err != nil {
			http.Error(w, "bad token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
	})
}
