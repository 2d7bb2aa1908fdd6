package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	nethttpmiddleware "github.com/oapi-codegen/nethttp-middleware"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// roles are the rules for the role names in the spec's security requirements.
var roles = map[string]middleware.Rule{
	"evm": middleware.WalletOf(claims.WalletEVM),
}

// OpenAPI returns a handler that guards api according to spec. An operation
// with security needs a user; one without it is public. api is the result of
// oapi-codegen's Handler.
func OpenAPI(validator *middleware.Validator, spec *openapi3.T, api http.Handler) http.Handler {
	guard := middleware.Optional(validator)
	validate := nethttpmiddleware.OapiRequestValidatorWithOptions(spec,
		&nethttpmiddleware.Options{
			Options: openapi3filter.Options{AuthenticationFunc: authenticate},
			ErrorHandlerWithOpts: func(
				_ context.Context, err error, w http.ResponseWriter, r *http.Request,
				opts nethttpmiddleware.ErrorHandlerOpts,
			) {
				var security *openapi3filter.SecurityRequirementsError
				if !errors.As(err, &security) {
					http.Error(w, http.StatusText(opts.StatusCode), opts.StatusCode)
					return
				}
				var refusal *middleware.Error
				if !errors.As(errors.Join(security.Errors...), &refusal) {
					refusal = &middleware.Error{Code: middleware.ErrMisconfigured, Cause: err}
				}
				guard.Refuse(w, r, refusal)
			},
		})
	// AuthenticationFunc cannot add to the context. Optional verifies the token
	// and adds the user; authenticate then decides whether a user is needed.
	return parahttp.Optional(validator)(validate(api))
}

func authenticate(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if in.SecuritySchemeName != "para" {
		return fmt.Errorf("unknown security scheme %q", in.SecuritySchemeName)
	}
	rules := []middleware.Rule{
		func(context.Context, *claims.Claims) error { return nil }, // any user
	}
	for _, name := range in.Scopes {
		rules = append(rules, roles[name]) // nil for an unknown name: 500
	}
	guard := middleware.Authorize(rules...)
	if _, refusal := guard.Check(in.RequestValidationInput.Request); refusal != nil {
		return refusal
	}
	return nil // a nil *middleware.Error in an error is not nil
}
