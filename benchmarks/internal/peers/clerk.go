package peers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	clerksdk "github.com/clerk/clerk-sdk-go/v2"
	clerkhttp "github.com/clerk/clerk-sdk-go/v2/http"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"github.com/clerk/clerk-sdk-go/v2/jwt"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// clerk sets up clerk-sdk-go/v2 as in its documentation of manual verification:
// Decode for the kid, the key from the caller's store, Verify. Over HTTP it
// uses RequireHeaderAuthorization, which does the same. An empty ProxyURL makes
// it accept tokens without iss. It does not check aud, so this adapter does.
func clerk() Library {
	client := func(s Setup) *jwks.Client {
		config := &clerksdk.ClientConfig{}
		config.URL, config.Key = clerksdk.String(s.BaseURL), clerksdk.String("sk_test_benchmark")
		return jwks.NewClient(config)
	}
	newClaims := func(context.Context) any { return new(Claims) }
	noIssuer := ""
	return Library{
		Name:    "clerk-sdk-go v2",
		Modules: []string{"github.com/clerk/clerk-sdk-go/v2"},
		New: func(ctx context.Context, s Setup) (Verify, error) {
			client := client(s)
			var keys sync.Map // of *clerksdk.JSONWebKey
			return func(ctx context.Context, token string) (User, error) {
				unsafe, err := jwt.Decode(ctx, &jwt.DecodeParams{Token: token})
				if err != nil {
					return User{}, err
				}
				key, ok := keys.Load(unsafe.KeyID)
				if !ok {
					key, err = jwt.GetJSONWebKey(ctx,
						&jwt.GetJSONWebKeyParams{KeyID: unsafe.KeyID, JWKSClient: client})
					if err != nil {
						return User{}, err
					}
					keys.Store(unsafe.KeyID, key)
				}
				c, err := jwt.Verify(ctx, &jwt.VerifyParams{
					Token: token, JWK: key.(*clerksdk.JSONWebKey),
					CustomClaimsConstructor: newClaims, ProxyURL: &noIssuer,
				})
				if err != nil {
					return User{}, err
				}
				if !slices.Contains(c.Audience, fixture.APIKeyID) {
					return User{}, errors.New("other audience")
				}
				return c.Custom.(*Claims).Data.user(), nil
			}, nil
		},
		Handler: func(_ context.Context, s Setup) (http.Handler, error) {
			require := clerkhttp.RequireHeaderAuthorization(
				clerkhttp.JWKSClient(client(s)), clerkhttp.CustomClaimsConstructor(newClaims),
				clerkhttp.ProxyURL(noIssuer))
			return require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _ := clerksdk.SessionClaimsFromContext(r.Context())
				if !slices.Contains(c.Audience, fixture.APIKeyID) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				Answer(w, c.Custom.(*Claims).Data.UserID)
			})), nil
		},
	}
}
