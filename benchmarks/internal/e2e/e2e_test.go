package e2e

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/peers"
)

func TestMain(m *testing.M) {
	ServeIfAsked()
	os.Exit(m.Run())
}

// TestServers checks that every server answers each token with the right user,
// and refuses every other request.
func TestServers(t *testing.T) {
	f, err := fixture.New()
	if err != nil {
		t.Fatal(err)
	}
	base, stop, err := f.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	users := make([]string, 20)
	for i := range users {
		users[i] = fixture.UserID(i)
	}
	for _, lib := range Servers() {
		t.Run(lib.Name, func(t *testing.T) {
			server, err := Start(lib, peers.Setup{BaseURL: base, Alg: fixture.RS256})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			load := Load{Tokens: f.Tokens(fixture.RS256, lib.Issuer, len(users)), Connections: 4,
				Duration: 50 * time.Millisecond}
			if lib.Name != Bare {
				load.Users = users
			}
			rate, err := load.Run(server)
			if err != nil {
				t.Fatal(err)
			}
			if rate.PerSecond < 20 {
				t.Errorf("got %+v", rate)
			}
			if lib.Name == Bare {
				return
			}
			response, err := http.Get("http://" + server.Addr + "/me")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode/100 != 4 {
				t.Errorf("no token: got %s", response.Status)
			}
			load.Tokens[3] += "x"
			if rate, err := load.Run(server); err == nil {
				t.Errorf("bad token: got %+v", rate)
			}
		})
	}
}
