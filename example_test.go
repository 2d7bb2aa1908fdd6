package parajwt_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// A complete server. PARA_API_KEY_ID is the UUID that Para's developer portal
// shows with the API key.
func Example() {
	os.Setenv("PARA_API_KEY_ID", "a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f") // for this example

	validator, err := middleware.New(middleware.Config{
		Environment: jwks.Beta,
		APIKeyIDs:   []string{os.Getenv("PARA_API_KEY_ID")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(validator)(http.HandlerFunc(me)))

	// A program calls http.ListenAndServe("localhost:8000", mux) instead.
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer
}

func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	fmt.Fprintln(w, user.UserID, user.AuthType, user.OAuthMethod, len(user.Wallets))
}
