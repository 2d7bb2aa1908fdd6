package peers

import (
	"context"
	"net/http"
	"net/url"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// Validate implements the interface for custom claims of both Auth0 versions.
func (c *Claims) Validate(context.Context) error { return nil }

// auth0v2 sets up go-jwt-middleware/v2 as in its README and its JWKS example: a
// CachingProvider and a validator with custom claims. It requires an issuer.
func auth0v2() Library {
	setUp := func(s Setup) (*validator.Validator, error) {
		issuer, err := url.Parse(fixture.Issuer)
		if err != nil {
			return nil, err
		}
		keySet, err := url.Parse(s.keySetURL())
		if err != nil {
			return nil, err
		}
		provider := jwks.NewCachingProvider(issuer, 5*time.Minute, jwks.WithCustomJWKSURI(keySet))
		return validator.New(provider.KeyFunc, validator.SignatureAlgorithm(s.Alg), fixture.Issuer,
			[]string{fixture.APIKeyID},
			validator.WithCustomClaims(func() validator.CustomClaims { return new(Claims) }))
	}
	return Library{
		Name:    "auth0/go-jwt-middleware v2",
		Modules: []string{"github.com/auth0/go-jwt-middleware/v2"},
		Issuer:  fixture.Issuer,
		New: func(_ context.Context, s Setup) (Verify, error) {
			v, err := setUp(s)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, token string) (User, error) {
				c, err := v.ValidateToken(ctx, token)
				if err != nil {
					return User{}, err
				}
				return c.(*validator.ValidatedClaims).CustomClaims.(*Claims).Data.user(), nil
			}, nil
		},
		Handler: func(_ context.Context, s Setup) (http.Handler, error) {
			v, err := setUp(s)
			if err != nil {
				return nil, err
			}
			answer := func(w http.ResponseWriter, r *http.Request) {
				c, _ := r.Context().Value(jwtmiddleware.ContextKey{}).(*validator.ValidatedClaims)
				Answer(w, c.CustomClaims.(*Claims).Data.UserID)
			}
			return jwtmiddleware.New(v.ValidateToken).CheckJWT(http.HandlerFunc(answer)), nil
		},
	}
}
