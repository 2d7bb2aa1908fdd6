//go:build chromium

// These tests run the page in a real browser. On Debian:
//
//	apt-get install chromium chromium-driver
//	go test -tags chromium ./cmd/parajwt
//
// To look at the page, add -screenshots DIR.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

var quiet = slog.New(slog.DiscardHandler)

var screenshots = flag.String("screenshots", "", "a directory to save screenshots of the page in")

// guarded returns a server with the settings that the page shows.
func guarded(t *testing.T, settings string) *httptest.Server {
	t.Helper()
	environment, id, _ := strings.Cut(settings, " ")
	env, err := jwks.ParseEnvironment(strings.TrimPrefix(environment, "PARA_ENVIRONMENT="))
	if err != nil {
		t.Fatal(err)
	}
	v, err := middleware.New(middleware.Config{
		Environment: env, APIKeyIDs: []string{strings.TrimPrefix(id, "PARA_API_KEY_ID=")},
		Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	server := httptest.NewServer(
		parahttp.Require(v)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _ := claims.FromContext(r.Context())
			fmt.Fprint(w, user.AuthType)
		})),
	)
	t.Cleanup(server.Close)
	return server
}

// visit opens the page and waits for its first token.
func (b *browser) visit(url string) {
	b.t.Helper()
	b.open(url)
	b.until(
		`!document.getElementById("made").hidden &&
			document.getElementById("keys").children.length > 0`,
	)
}

// until waits for a condition of the page.
func (b *browser) until(condition string) {
	b.t.Helper()
	b.eval(`return new Promise((resolve) => {
		const look = () => { if (`+condition+`) resolve(); else setTimeout(look, 10); };
		look();
	});`, nil)
}

// making calls do, which makes a token, and waits until the page shows it.
func (b *browser) making(do func()) {
	b.t.Helper()
	b.eval(`window.made = new Promise((resolve) => new MutationObserver((_, observer) => {
		observer.disconnect();
		resolve();
	}).observe(document.getElementById("status"), { childList: true }));`, nil)
	do()
	b.eval(`return window.made;`, nil)
}

func TestPageHandsOutTokens(t *testing.T) {
	url := serving(t)
	b := newBrowser(t)
	b.visit(url)
	server := guarded(t, b.text("#settings"))

	ask := func(token string) (status int, challenge string) {
		req, err := http.NewRequest("GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Header.Get("WWW-Authenticate")
	}
	seen := make(map[string]bool)
	make := func(user, kind, alg string) {
		t.Helper()
		b.click(`input[name=user][value="` + user + `"]`)
		b.click(`input[name=kind][value="` + kind + `"]`)
		b.click(`input[name=alg][value="` + alg + `"]`)
		b.making(func() { b.click("#make") })
		token := b.text("#token")
		if seen[token] {
			t.Errorf("%s, %s: the token did not change", user, kind)
		}
		seen[token] = true
		status, challenge := ask(token)
		want := http.StatusUnauthorized
		if kind == "good" || kind == "short" {
			want = http.StatusOK
		}
		if status != want {
			t.Errorf("%s, %s: the server responds with %d %s", user, kind, status, challenge)
		}
		if said := b.text("#answer-status"); said != fmt.Sprint(status) {
			t.Errorf(
				"%s, %s: the page shows %s, the server responds with %d", user, kind, said, status,
			)
		}
		if said := b.text("#answer-challenge"); challenge == "" && said != "" ||
			challenge != "" && said != "WWW-Authenticate: "+challenge {
			t.Errorf(
				"%s, %s: the page shows %q, the server responds with %q", user, kind, said,
				challenge,
			)
		}
		shown := "curl -i 'http://localhost:8000/me' -H 'Authorization: Bearer " + token + "'"
		if curl := b.text("#curl"); curl != shown {
			t.Errorf("%s, %s: %s", user, kind, curl)
		}
		if payload := b.text("#payload"); !strings.Contains(payload, `"sub": "d5358219`) {
			t.Errorf("%s, %s: %s", user, kind, payload)
		}
		if header := b.text("#header"); !strings.Contains(header, `"alg": "`+alg+`"`) {
			t.Errorf("%s, %s: %s", user, kind, header)
		}
	}
	if status, _ := ask(b.text("#token")); status != http.StatusOK {
		t.Errorf("the server responds with %d to the page's first token", status)
	}
	for _, p := range people() {
		make(p.Name, "good", "RS256")
	}
	for _, k := range kinds()[1:] {
		make("Email", k.ID, "RS256")
	}
	make("Email", "good", "ES256")

	// The address is quoted for a shell.
	b.write("#address", "http://localhost:8000/o'clock")
	if curl := b.text("#curl"); !strings.HasPrefix(
		curl,
		`curl -i 'http://localhost:8000/o'\''clock' -H `,
	) {
		t.Error(curl)
	}
	if said := b.complaints(); len(said) > 0 {
		t.Errorf("the console has %q", said)
	}
}

func TestPageControlsPara(t *testing.T) {
	url := serving(t)
	b := newBrowser(t)
	b.visit(url)
	server := guarded(t, b.text("#settings"))
	status := func() int {
		t.Helper()
		req, err := http.NewRequest("GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+b.text("#token"))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	count := func(n int) string {
		return fmt.Sprintf(`document.getElementById("keys").children.length === %d`, n)
	}
	b.until(count(4))
	if got := status(); got != http.StatusOK {
		t.Errorf("before a rotation: %d", got)
	}
	b.click("button[data-action=rotate]")
	b.until(count(6))
	b.making(func() { b.click("#make") })
	if kid := b.text("#keys li:last-child .kid"); !strings.Contains(b.text("#header"), kid) {
		t.Errorf("the token is not signed with the new key %s: %s", kid, b.text("#header"))
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("after a rotation: %d", got)
	}
	b.click("button[data-action=withdraw]")
	b.until(count(2))

	b.click("#down")
	b.until(`document.getElementById("down").getAttribute("aria-pressed") === "true"`)
	if got := status(); got != http.StatusOK {
		t.Errorf("a running server, while Para is down: %d", got)
	}
	fresh := guarded(t, b.text("#settings"))
	server = fresh
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("a new server, while Para is down: %d", got)
	}
	b.making(func() { b.click("#make") }) // the page stays available
	b.click("#down")
	b.until(`document.getElementById("down").getAttribute("aria-pressed") === "false"`)
	server = guarded(t, b.text("#settings"))
	if got := status(); got != http.StatusOK {
		t.Errorf("after Para recovered: %d", got)
	}
	if said := b.complaints(); len(said) > 0 {
		t.Errorf("the console has %q", said)
	}
}

func TestPageCopies(t *testing.T) {
	url := serving(t)
	b := newBrowser(t)
	b.devtools(
		"Browser.grantPermissions",
		map[string]any{"permissions": []string{"clipboardReadWrite", "clipboardSanitizedWrite"}},
	)
	b.visit(url)
	b.eval(`for (const details of document.querySelectorAll("details")) details.open = true;`, nil)
	for _, what := range []string{
		"settings", "api-key", "secret-api-key", "token", "curl", "verification-token",
		"exported-session",
	} {
		b.making(func() { b.click("button[data-copy=" + what + "]") })
		var copied string
		b.eval(`return navigator.clipboard.readText();`, &copied)
		if shown := b.text("#" + what); copied != shown || copied == "" {
			t.Errorf("%s: copied %q, shown %q", what, copied, shown)
		}
	}
}

func TestPageWorksFromTheKeyboard(t *testing.T) {
	url := serving(t)
	b := newBrowser(t)
	b.visit(url)
	var focus string
	reach := func(want string) {
		t.Helper()
		for range 30 {
			b.keys(tab)
			if b.eval(`return document.activeElement.id || document.activeElement.name || "";`,
				&focus); focus == want {
				return
			}
		}
		t.Fatalf("Tab never reaches %s", want)
	}
	reach("user")
	b.keys(down) // Phone
	reach("kind")
	b.keys(down)
	b.keys(down) // Expired
	reach("alg")
	b.keys(down) // ES256
	reach("make")
	b.making(func() { b.keys(enter) })
	if payload := b.text("#payload"); !strings.Contains(payload, `"authType": "phone"`) ||
		b.text("#answer-status") != "401" {
		t.Errorf("%s %s", b.text("#answer-status"), payload)
	}
	if b.eval(`return document.activeElement.id;`, &focus); focus != "make" {
		t.Errorf("the focus is on %q", focus)
	}
	reach("address")
}

func TestPageSaysWhenParaHasGone(t *testing.T) {
	url, stop := servingUntil(t)
	b := newBrowser(t)
	b.visit(url)
	stop()
	b.making(func() { b.click("#make") })
	if said := b.text("#status"); said != "No response. Is parajwt serve still running?" {
		t.Error(said)
	}
}

func TestPageFitsEveryScreen(t *testing.T) {
	url := serving(t)
	b := newBrowser(t)
	defer func() { b.t = t }()
	for _, screen := range []struct {
		name, scheme  string
		width, height int
		phone         bool
	}{
		{"desktop light", "light", 1280, 900, false},
		{"desktop dark", "dark", 1280, 900, false},
		{"tablet light", "light", 820, 1180, true},
		{"phone light", "light", 360, 740, true},
		{"phone dark", "dark", 360, 740, true},
	} {
		t.Run(screen.name, func(t *testing.T) {
			b.t = t
			b.emulate(screen.scheme, screen.width, screen.height, screen.phone)
			b.visit(url)
			b.screenshot(screen.name + " first")
			b.click(`input[name=kind][value="expired"]`)
			b.making(func() { b.click("#make") })
			b.eval(
				`for (const details of document.querySelectorAll("details")) details.open = true;`,
				nil,
			)
			b.screenshot(screen.name)

			var wide int
			b.eval(`const root = document.documentElement;
				return root.scrollWidth - root.clientWidth;`, &wide)
			if wide > 0 {
				t.Errorf("the page is %d pixels too wide", wide)
			}
			var faint []string
			if b.eval(faintText, &faint); len(faint) > 0 {
				t.Errorf("too little contrast:\n%s", strings.Join(faint, "\n"))
			}
			for _, e := range b.all("input, button, pre[tabindex]") {
				if label := b.label(e); label == "" {
					t.Errorf("an element has no label")
				}
			}
		})
	}
}

// faintText returns texts with less contrast than WCAG 2.2 requires (§1.4.3,
// level AA, 4.5:1).
const faintText = `
	const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
	const luminance = ([r, g, b]) => {
		const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
		return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
	};
	const ground = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const colour = channels(getComputedStyle(e).backgroundColor);
			if (colour.length === 3 || colour[3] === 1) return colour;
		}
		return [255, 255, 255];
	};
	const faint = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
		if (!text || !element.checkVisibility()) continue;
		const a = luminance(channels(getComputedStyle(element).color));
		const b = luminance(ground(element));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) faint.push(contrast.toFixed(2) + " " + text.slice(0, 40));
	}
	return faint;`
