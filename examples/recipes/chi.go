package recipes

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// Chi returns a router with a readiness probe, a route for users, and a route
// for users with an EVM wallet.
func Chi(validator *middleware.Validator) http.Handler {
	r := chi.NewRouter()
	r.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		// Usable is false until Para's keys were fetched: see validator.Warm.
		if !validator.Status().Usable {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	r.Group(func(r chi.Router) {
		r.Use(parahttp.Require(validator))
		r.Get("/me", func(w http.ResponseWriter, r *http.Request) {
			user, _ := claims.FromContext(r.Context())
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(user)
		})

		// Allow verifies no token. It uses the user that Require verified.
		evm := parahttp.Allow(middleware.WalletOf(claims.WalletEVM))
		r.With(evm).Post("/orders", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
		})
	})
	return r
}
