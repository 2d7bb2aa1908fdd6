package recipes

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/paratest"
)

// request returns a request with a bearer token, unless it is "".
func request(method, target, token string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// serve returns the response of h to r.
func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// answers checks the status and a part of the body.
func answers(t *testing.T, what string, res *http.Response, status int, part string) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status || !strings.Contains(string(body), part) {
		t.Errorf("%s: %d %s, want %d with %q", what, res.StatusCode, body, status, part)
	}
}

func TestChi(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator := para.Validator(t)
	router := Chi(validator)
	good := para.Token(paratest.EmailUser())
	noWallets := paratest.EmailUser()
	noWallets.Wallets = nil

	answers(t, "before the keys were fetched", serve(router, request("GET", "/readyz", "")),
		503, "")
	if err := validator.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		part                      string
	}{
		{"a user", "GET", "/me", good, 200, paratest.UserID},
		{"no token", "GET", "/me", "", 401, "Unauthorized"},
		{"another app's token", "GET", "/me",
			para.Token(paratest.EmailUser(), paratest.ForApp("other")), 401, "Unauthorized"},
		{"a user with an EVM wallet", "POST", "/orders", good, 201, ""},
		{"a user without wallets", "POST", "/orders", para.Token(noWallets), 403, "Forbidden"},
		{"an order without a token", "POST", "/orders", "", 401, "Unauthorized"},
		{"ready", "GET", "/readyz", "", 200, ""},
	} {
		answers(t, c.name, serve(router, request(c.method, c.path, c.token)), c.status, c.part)
	}
}
