package peers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// goJOSE sets up go-jose as in its examples: ParseSigned with the allowed
// algorithms, Claims with the key set, Validate. It has no remote key set, so
// it gets one that is fetched once, without cost. All claims are decoded in one
// call instead of two.
func goJOSE() Library {
	type claims struct {
		jwt.Claims
		Data Data `json:"data"`
	}
	return Library{
		Name:    "go-jose v4",
		Modules: []string{"github.com/go-jose/go-jose/v4"},
		New: func(ctx context.Context, s Setup) (Verify, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.keySetURL(), nil)
			if err != nil {
				return nil, err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return nil, err
			}
			defer response.Body.Close()
			keys := new(jose.JSONWebKeySet)
			if err := json.NewDecoder(response.Body).Decode(keys); err != nil {
				return nil, err
			}
			algorithms := []jose.SignatureAlgorithm{jose.RS256, jose.ES256}
			audience := jwt.Audience{fixture.APIKeyID}
			return func(_ context.Context, token string) (User, error) {
				t, err := jwt.ParseSigned(token, algorithms)
				if err != nil {
					return User{}, err
				}
				var c claims
				if err := t.Claims(keys, &c); err != nil {
					return User{}, err
				}
				if err := c.Validate(jwt.Expected{AnyAudience: audience,
					Time: time.Now()}); err != nil {
					return User{}, err
				}
				return c.Data.user(), nil
			}, nil
		},
	}
}
