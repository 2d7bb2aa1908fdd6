package parahttp_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// Package integration tests what all adapters have in common. These tests cover
// what is specific to net/http.

func setUp(t *testing.T) (*paratest.Para, *middleware.Validator) {
	t.Helper()
	para := paratest.New(t, paratest.Config{})
	v, err := middleware.New(middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return para, v
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestUser(t *testing.T) {
	para, v := setUp(t)
	whoami := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := parahttp.User(r)
		if same, okToo := claims.FromContext(r.Context()); ok != okToo ||
			!reflect.DeepEqual(user, same) {
			t.Errorf("User returns %v, %t; claims.FromContext %v, %t", user, ok, same, okToo)
		}
		fmt.Fprint(w, ok)
	})
	mux := http.NewServeMux()
	mux.Handle("/open", whoami)
	mux.Handle("/optional", parahttp.Optional(v)(whoami))
	mux.Handle("/required", parahttp.Require(v)(whoami))
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct{ path, token, want string }{
		{"/open", token, "false"}, // no guard has verified the token
		{"/optional", "", "false"},
		{"/optional", token, "true"},
		{"/required", token, "true"},
	} {
		if w := get(mux, test.path, test.token); w.Code != http.StatusOK ||
			w.Body.String() != test.want {
			t.Errorf("%s: %d %q, want %q", test.path, w.Code, w.Body, test.want)
		}
	}
}

// TestMux checks that PathValue and Pattern work behind a guard, and that the
// handler gets the server's own ResponseWriter.
func TestMux(t *testing.T) {
	para, v := setUp(t)
	var got http.ResponseWriter
	mux := http.NewServeMux()
	item := func(w http.ResponseWriter, r *http.Request) {
		got = w
		fmt.Fprint(w, r.PathValue("id"), " ", r.Pattern)
	}
	mux.Handle("GET /items/{id}", parahttp.Require(v)(http.HandlerFunc(item)))
	w := get(mux, "/items/7", para.Token(paratest.EmailUser()))
	if w.Body.String() != "7 GET /items/{id}" || got != http.ResponseWriter(w) {
		t.Errorf("%q, %T", w.Body, got)
	}
}

// TestGroups checks a guarded mux within a mux.
func TestGroups(t *testing.T) {
	para, v := setUp(t)
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path)
	})
	admin := http.NewServeMux()
	admin.Handle("GET /admin/{id}", ok)
	api := http.NewServeMux()
	api.Handle("GET /items/{id}", ok)
	api.Handle("/admin/",
		parahttp.Require(v, middleware.Allow(middleware.AuthTypes(claims.AuthPhone)))(admin))
	root := http.NewServeMux()
	root.Handle("/api/", http.StripPrefix("/api", parahttp.Optional(v)(api)))

	email, phone := para.Token(paratest.EmailUser()), para.Token(paratest.PhoneUser())
	for _, test := range []struct {
		path, token string
		status      int
	}{
		{"/api/items/7", "", 200},
		{"/api/items/7", email, 200},
		{"/api/items/7", "junk", 401},
		{"/api/admin/7", "", 401},
		{"/api/admin/7", email, 403},
		{"/api/admin/7", phone, 200},
		// An anonymous client does not learn which routes exist.
		{"/api/admin/none/such", "", 401},
		{"/elsewhere", "", 404},
	} {
		if w := get(root, test.path, test.token); w.Code != test.status {
			t.Errorf("%s: %d, want %d", test.path, w.Code, test.status)
		}
	}
}
