package peers

import (
	"context"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// goOIDC sets up go-oidc's verifier over a RemoteKeySet, as documented for
// providers without discovery. It fetches the key set with the first token.
// SkipIssuerCheck is set because Para's tokens have no iss.
func goOIDC() Library {
	return Library{
		Name:    "go-oidc v3 RemoteKeySet",
		Modules: []string{"github.com/coreos/go-oidc/v3"},
		New: func(ctx context.Context, s Setup) (Verify, error) {
			verifier := oidc.NewVerifier("", oidc.NewRemoteKeySet(ctx, s.keySetURL()), &oidc.Config{
				ClientID:             fixture.APIKeyID,
				SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
				SkipIssuerCheck:      true,
			})
			return func(ctx context.Context, token string) (User, error) {
				t, err := verifier.Verify(ctx, token)
				if err != nil {
					return User{}, err
				}
				var c Claims
				if err := t.Claims(&c); err != nil {
					return User{}, err
				}
				return c.Data.user(), nil
			}, nil
		},
	}
}
