package peers

import (
	"context"
	"net/http"
	"net/url"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// auth0v3 sets up go-jwt-middleware/v3 as in its README: a CachingProvider and
// a validator with custom claims. It requires an issuer.
func auth0v3() Library {
	setUp := func(s Setup) (*validator.Validator, error) {
		issuer, err := url.Parse(fixture.Issuer)
		if err != nil {
			return nil, err
		}
		keySet, err := url.Parse(s.keySetURL())
		if err != nil {
			return nil, err
		}
		provider, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuer),
			jwks.WithCustomJWKSURI(keySet))
		if err != nil {
			return nil, err
		}
		return validator.New(
			validator.WithKeyFunc(provider.KeyFunc),
			validator.WithAlgorithm(validator.SignatureAlgorithm(s.Alg)),
			validator.WithIssuer(fixture.Issuer),
			validator.WithAudience(fixture.APIKeyID),
			validator.WithCustomClaims(func() *Claims { return new(Claims) }),
		)
	}
	return Library{
		Name:    "auth0/go-jwt-middleware v3",
		Modules: []string{"github.com/auth0/go-jwt-middleware/v3", "github.com/lestrrat-go/jwx/v3"},
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
			m, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v))
			if err != nil {
				return nil, err
			}
			return m.CheckJWT(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
				if err != nil {
					http.Error(w, "no claims", http.StatusInternalServerError)
					return
				}
				Answer(w, c.CustomClaims.(*Claims).Data.UserID)
			})), nil
		},
	}
}
