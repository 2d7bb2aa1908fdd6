package forwardauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/parajwt/parajwt/adapters/forwardauth"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// The command parajwt-gateway serves this handler. Use the handler in a program
// to add rules or another token source.
func ExampleRequire() {
	// Start an emulator of Para. In a program, use jwks.Beta and the ID of your
	// API key.
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	mux := http.NewServeMux()
	mux.Handle("/auth", forwardauth.Require(validator))

	r := httptest.NewRequest("GET", "/auth", nil)
	r.Header.Set("Authorization", "Bearer "+para.Token(paratest.EmailUser()))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("X-Para-User-Id"), w.Header().Get("X-Para-Identifier"))
	for wallet := range strings.SplitSeq(w.Header().Get("X-Para-Wallets"), ",") {
		fmt.Println(wallet)
	}

	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/auth", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 d5358219-38d3-4650-91a8-e338131d1c5e email%40example.com
	// EVM:0x9dd3824f045c77bc369485e8f1dd6b452b6be617
	// SOLANA:EEp7DbBu5yvgf7Pr9W17cATPjCqUxY8K8R3dFbg53a3W
	// 401 Bearer
}

func ExampleOptional() {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer para.Close()
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer validator.Close()

	w := httptest.NewRecorder()
	forwardauth.Optional(validator).ServeHTTP(w, httptest.NewRequest("GET", "/auth", nil))
	for _, name := range forwardauth.Fields() {
		fmt.Println(name+":", w.Header().Get(name))
	}
	// Output:
	// X-Para-User-Id: -
	// X-Para-Auth-Type: -
	// X-Para-Identifier: -
	// X-Para-Wallets: -
	// X-Para-Token-Id: -
	// X-Para-Expires: -
}
