package recipes

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func TestTenants(t *testing.T) {
	const otherApp = "0b6a4c1e-3d2f-4a59-8c7b-6e5d4c3b2a10"
	para := paratest.New(t, paratest.Config{})
	config := func(id string) middleware.Config {
		return middleware.Config{
			Environment: para.Environment(), APIKeyIDs: []string{id}, Now: para.Now,
		}
	}
	tenants, err := NewTenants(map[string]middleware.Config{
		"Red.example.com":  config(para.APIKeyID()),
		"blue.example.com": config(otherApp),
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		fmt.Fprint(w, TenantFrom(r.Context()), " ", user.UserID)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer tenants.Close()

	red := para.Token(paratest.EmailUser())
	blue := para.Token(paratest.EmailUser(), paratest.ForApp(otherApp))
	for _, c := range []struct {
		name, host, token string
		status            int
		part              string
	}{
		{"red", "red.example.com", red, 200, "red.example.com " + paratest.UserID},
		{"red, with a port", "RED.example.com:8443", red, 200, "red.example.com "},
		{"blue", "blue.example.com", blue, 200, "blue.example.com "},
		{"red's user at blue", "blue.example.com", red, 401, "Unauthorized"},
		{"blue's user at red", "red.example.com", blue, 401, "Unauthorized"},
		{"an unknown host", "green.example.com", red, 421, "unknown host"},
	} {
		r := request("GET", "/", c.token)
		r.Host = c.host
		answers(t, c.name, serve(tenants, r), c.status, c.part)
	}
}

func TestTenantsReportMistakes(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	good := middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
	}
	for name, apps := range map[string]map[string]middleware.Config{
		"no APIKeyIDs": {"red.example.com": {Environment: para.Environment()}},
		"one host twice, in two cases": {
			"red.example.com": good, "RED.example.com": good,
		},
	} {
		if _, err := NewTenants(apps, http.NotFoundHandler()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
