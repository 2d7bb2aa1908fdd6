package peers

import (
	"context"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// golangJWT sets up golang-jwt with keyfunc as in the README of keyfunc:
// NewDefaultCtx, then ParseWithClaims with the Keyfunc. It fetches the key set
// in New and then once an hour.
func golangJWT() Library {
	type claims struct {
		jwt.RegisteredClaims
		Claims
	}
	return Library{
		Name: "golang-jwt v5 + keyfunc v3",
		Modules: []string{"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3",
			"github.com/MicahParks/jwkset"},
		New: func(ctx context.Context, s Setup) (Verify, error) {
			keys, err := keyfunc.NewDefaultCtx(ctx, []string{s.keySetURL()})
			if err != nil {
				return nil, err
			}
			parser := jwt.NewParser(jwt.WithValidMethods([]string{fixture.RS256, fixture.ES256}),
				jwt.WithAudience(fixture.APIKeyID), jwt.WithExpirationRequired())
			return func(_ context.Context, token string) (User, error) {
				var c claims
				if _, err := parser.ParseWithClaims(token, &c, keys.Keyfunc); err != nil {
					return User{}, err
				}
				return c.Data.user(), nil
			}, nil
		},
	}
}
