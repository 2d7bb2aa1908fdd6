package recipes

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// app returns a server with sessions, mounted as docs/recipes.md shows.
func app(t *testing.T, para *paratest.Para) (*Sessions, http.Handler) {
	validator := para.Validator(t, func(cfg *middleware.Config) {
		cfg.MaxTokenAge = 5 * time.Minute
	})
	sessions := NewSessions(para.Now)
	mux := http.NewServeMux()
	mux.Handle("PUT /session",
		parahttp.Require(validator)(http.HandlerFunc(sessions.Exchange)))
	mux.Handle("DELETE /session", http.HandlerFunc(sessions.LogOut))
	mux.Handle("GET /me", sessions.Require(http.HandlerFunc(me)))
	mux.Handle("GET /cosmos", sessions.Require(
		parahttp.Allow(middleware.WalletOf(claims.WalletCosmos))(http.HandlerFunc(me))))
	return sessions, http.NewCrossOriginProtection().Handler(mux)
}

func TestExchange(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	sessions, server := app(t, para)
	b := &browser{t: t, server: server}
	token := para.Token(paratest.EmailUser())

	b.expect("before login", "GET", "/me", "", 401)
	b.expect("the token does not replace the session", "GET", "/me", token, 401)
	b.expect("login with a forged token", "PUT", "/session",
		para.Token(paratest.EmailUser(), paratest.BadSignature()), 401)
	b.expect("login", "PUT", "/session", token, 204)
	if strings.Contains(b.cookie.Value, ".") || b.cookie.Name != "__Host-session" {
		t.Errorf("cookie %s", b.cookie.Name)
	}
	answers(t, "me", b.send("GET", "/me", "", "same-origin"), 200, paratest.UserID)
	b.expect("a rule", "GET", "/cosmos", "", 403)

	para.Advance(2 * time.Hour) // past the token's exp
	b.expect("after the token expired", "GET", "/me", "", 200)
	para.Advance(10 * time.Hour)
	b.expect("after the session expired", "GET", "/me", "", 401)

	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	stolen := *b
	b.expect("log-out", "DELETE", "/session", "", 204)
	stolen.expect("a copy of the cookie", "GET", "/me", "", 401)

	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	sessions.LogOutUser(paratest.UserID)
	b.expect("after LogOutUser", "GET", "/me", "", 401)
	if n := len(sessions.byHash); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestExchangeRefusesAnOldToken(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	_, server := app(t, para)
	for _, c := range []struct {
		age    time.Duration
		status int
	}{{4 * time.Minute, 204}, {6 * time.Minute, 401}} {
		token := para.Token(paratest.EmailUser(), paratest.Lived(-c.age, time.Hour))
		answers(t, c.age.String(), serve(server, request("PUT", "/session", token)), c.status, "")
	}
}
