package recipes

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/revocation"
)

// browser sends requests of the site's pages with the cookie that it was given.
type browser struct {
	t      *testing.T
	server http.Handler
	cookie *http.Cookie
}

func (b *browser) send(method, path, token, site string) *http.Response {
	r := request(method, path, token)
	r.Header.Set("Sec-Fetch-Site", site)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	res := serve(b.server, r)
	for _, cookie := range res.Cookies() {
		b.cookie = cookie
		if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode ||
			cookie.Path != "/" || cookie.Domain != "" {
			b.t.Errorf("cookie %s: attributes missing", cookie.Raw)
		}
		if cookie.Value == "" {
			if cookie.Expires.After(time.Unix(1, 0)) {
				b.t.Errorf("the deleted cookie expires at %v", cookie.Expires)
			}
			b.cookie = nil
		}
	}
	return res
}

func (b *browser) expect(what, method, path, token string, status int) {
	b.t.Helper()
	answers(b.t, what, b.send(method, path, token, "same-origin"), status, "")
}

func newBrowser(t *testing.T) (*paratest.Para, *browser) {
	para := paratest.New(t, paratest.Config{})
	list, err := revocation.New(revocation.Config{Now: para.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })
	validator := para.Validator(t, func(cfg *middleware.Config) { cfg.Revoked = list.Revoked })
	return para, &browser{t: t, server: Cookie(validator, list)}
}

func TestCookieLogin(t *testing.T) {
	para, b := newBrowser(t)
	b.expect("before login", "GET", "/me", "", 401)
	b.expect("login without a token", "PUT", "/session", "", 401)
	b.expect("login with a forged token", "PUT", "/session",
		para.Token(paratest.EmailUser(), paratest.BadSignature()), 401)
	if b.cookie != nil {
		t.Fatal("a refused login set a cookie")
	}
	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	b.expect("after login", "GET", "/me", "", 200)
	if got := b.cookie.Expires.Sub(para.Now()).Round(time.Minute); got != 30*time.Minute {
		t.Errorf("the cookie lives for %v, want the token's 30 minutes", got)
	}
}

func TestCookieRenewal(t *testing.T) {
	para, b := newBrowser(t)
	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	para.Advance(20 * time.Minute)
	b.expect("renewal", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	para.Advance(20 * time.Minute)
	b.expect("the first token has expired", "GET", "/me", "", 200)
	para.Advance(20 * time.Minute)
	b.expect("the second token has expired", "GET", "/me", "", 401)
}

func TestCookieLogOut(t *testing.T) {
	for _, c := range []struct {
		path      string
		elsewhere int // status for the user's other browser
	}{
		{"/session", 200},
		{"/sessions", 401},
	} {
		para, here := newBrowser(t)
		other := &browser{t: t, server: here.server}
		here.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
		other.expect("login elsewhere", "PUT", "/session",
			para.Token(paratest.EmailUser(), paratest.With("jti", "2")), 204)
		stolen := *here
		here.expect(c.path, "DELETE", c.path, "", 204)
		if here.cookie != nil {
			t.Errorf("%s: the browser still has the cookie", c.path)
		}
		stolen.expect(c.path+": a copy of the cookie", "GET", "/me", "", 401)
		other.expect(c.path+": the other browser", "GET", "/me", "", c.elsewhere)
	}
}

func TestCookieLogOutDeletesAnExpiredCookie(t *testing.T) {
	para, b := newBrowser(t)
	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	para.Advance(time.Hour)
	b.expect("log-out", "DELETE", "/session", "", 204)
	if b.cookie != nil {
		t.Error("the browser still has the cookie")
	}
}

func TestCookieLogOutKeepsTheCookieIfKeysAreUnavailable(t *testing.T) {
	para, b := newBrowser(t)
	b.cookie = &http.Cookie{Name: tokenCookie, Value: para.Token(paratest.EmailUser())}
	para.Down()
	b.expect("log-out", "DELETE", "/session", "", 503)
	if b.cookie == nil {
		t.Error("the cookie was deleted, and its token is still valid")
	}
}

func TestCookieRefusesOtherSites(t *testing.T) {
	para, b := newBrowser(t)
	b.expect("login", "PUT", "/session", para.Token(paratest.EmailUser()), 204)
	answers(t, "log-out by another site",
		b.send("DELETE", "/session", "", "cross-site"), 403, "")
	b.expect("afterwards", "GET", "/me", "", 200)
}

func TestCookieTooLarge(t *testing.T) {
	para, b := newBrowser(t)
	user := paratest.EmailUser()
	for range 30 {
		user.Wallets = append(user.Wallets, claims.Wallet{
			Type: claims.WalletEVM, Address: paratest.EVMAddress, ID: strings.Repeat("x", 36)})
	}
	b.expect("a token with 32 wallets", "PUT", "/session", para.Token(user), 413)
	if b.cookie != nil {
		t.Error("a cookie was set that browsers drop")
	}
}
