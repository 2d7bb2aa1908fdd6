package recipes

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Huma returns an API whose operations need a user, except for those with the
// security requirement {}, which OpenAPI defines as optional.
func Huma(validator *middleware.Validator, mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("Shop", "1.0.0")
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"para": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	config.Security = []map[string][]string{{"para": {}}} // for all operations
	api := humago.New(mux, config)
	api.UseMiddleware(requireHuma(validator))

	type meOutput struct {
		Body struct {
			UserID  string `json:"userId"`
			Wallets int    `json:"wallets"`
		}
	}
	huma.Get(api, "/me", func(ctx context.Context, _ *struct{}) (*meOutput, error) {
		user, _ := claims.FromContext(ctx)
		out := new(meOutput)
		out.Body.UserID, out.Body.Wallets = user.UserID, len(user.Wallets)
		return out, nil
	})

	public := func(op *huma.Operation) { op.Security = []map[string][]string{{}} }
	huma.Get(api, "/prices", func(context.Context, *struct{}) (*struct{}, error) {
		return nil, nil
	}, public)
	return api
}

func requireHuma(validator *middleware.Validator) func(huma.Context, func(huma.Context)) {
	required, optional := middleware.Require(validator), middleware.Optional(validator)
	return func(ctx huma.Context, next func(huma.Context)) {
		guard := required
		for _, requirement := range ctx.Operation().Security {
			if len(requirement) == 0 {
				guard = optional
			}
		}
		r, w := humago.Unwrap(ctx)
		r = r.WithContext(ctx.Context()) // with the values of earlier middleware
		verified, refusal := guard.Check(r)
		if refusal != nil {
			guard.Refuse(w, r, refusal)
			return
		}
		next(huma.WithContext(ctx, verified.Context()))
	}
}
