package recipes

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

const spec = `
openapi: 3.1.0
info: {title: Shop, version: 1.0.0}
paths:
  /prices:
    get:
      parameters: [{name: page, in: query, schema: {type: integer}}]
      responses: {"200": {description: OK}}
  /me:
    get:
      security: [{para: []}]
      responses: {"200": {description: OK}}
  /orders:
    get:
      security: [{para: [evm]}]
      responses: {"200": {description: OK}}
  /mistake:
    get:
      security: [{para: [typo]}]
      responses: {"200": {description: OK}}
components:
  securitySchemes:
    para: {type: http, scheme: bearer, bearerFormat: JWT}
`

func TestOpenAPI(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator := para.Validator(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.DiscardHandler)
	})
	doc, err := openapi3.NewLoader().LoadFromData([]byte(spec))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// oapi-codegen's Handler(server) is a mux with the spec's paths, as this
	// one.
	mux := http.NewServeMux()
	for _, path := range []string{"/prices", "/me", "/orders", "/mistake"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if user, ok := claims.FromContext(r.Context()); ok {
				w.Write([]byte(user.UserID))
			}
		})
	}
	api := OpenAPI(validator, doc, mux)
	good := para.Token(paratest.EmailUser())
	noWallets := paratest.EmailUser()
	noWallets.Wallets = nil
	expired := para.Token(paratest.EmailUser(), paratest.Expired())

	for _, c := range []struct {
		name, path, token string
		status            int
		part, challenge   string
	}{
		{"a public operation", "/prices", "", 200, "", ""},
		{"a public operation, with a token", "/prices", good, 200, paratest.UserID, ""},
		{"a public operation, with a bad token", "/prices", expired, 401, "Unauthorized",
			`Bearer error="invalid_token", error_description="token expired"`},
		{"a user", "/me", good, 200, paratest.UserID, ""},
		{"no token", "/me", "", 401, "Unauthorized", "Bearer"},
		{"a role", "/orders", good, 200, paratest.UserID, ""},
		{"no role", "/orders", para.Token(noWallets), 403, "Forbidden",
			`Bearer error="insufficient_scope"`},
		{"an unknown role", "/mistake", good, 500, "Internal Server Error", ""},
		{"a request that breaks the spec", "/prices?page=one", "", 400, "Bad Request", ""},
		{"a path that is not in the spec", "/other", good, 404, "Not Found", ""},
	} {
		res := serve(api, request("GET", c.path, c.token))
		if got := res.Header.Get("Www-Authenticate"); got != c.challenge {
			t.Errorf("%s: WWW-Authenticate %q", c.name, got)
		}
		answers(t, c.name, res, c.status, c.part)
	}
}
