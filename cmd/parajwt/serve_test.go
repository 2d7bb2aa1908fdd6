package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// serving runs the command until the end of the test.
func serving(t *testing.T, args ...string) (url string) {
	url, _ = servingUntil(t, args...)
	return url
}

// servingUntil runs the command until stop is called or the test ends.
func servingUntil(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	report, stop := started(t, append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	if report.Page != report.URL+"/" || report.KeySet != report.URL+"/.well-known/jwks.json" ||
		report.APIKeyID == "" {
		t.Errorf("%+v", report)
	}
	return report.URL, stop
}

// post requests a token. Header fields are pairs of name and value.
func post(t *testing.T, url, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("POST", url+"/parajwt/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			req.Host = fields[i+1]
		}
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestServeIssuesTokens(t *testing.T) {
	const id = "11111111-2222-4333-8444-555555555555"
	url := serving(t, "--api-key-id", id)
	codes := map[string]middleware.Code{
		"long": middleware.ErrClaims, "expired": middleware.ErrExpired,
		"other-app": middleware.ErrAudience, "other-environment": middleware.ErrUnknownKey,
		"unknown-key": middleware.ErrUnknownKey, "bad-signature": middleware.ErrSignature,
		"not-yet-valid": middleware.ErrNotYetValid,
	}
	if len(kinds()) != len(codes)+2 {
		t.Errorf("%d kinds", len(kinds()))
	}
	for _, p := range people() {
		for _, k := range kinds() {
			res, body := post(t, url, `{"user": "`+p.Name+`", "kind": "`+k.ID+`"}`)
			var got struct {
				order
				Token  string
				Header struct{ Kid string }
				// The test decodes only sub; the library decodes the rest.
				Payload struct{ Sub string }
				Answer  answer
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil ||
				res.StatusCode != http.StatusOK {
				t.Fatalf("%d %v %s", res.StatusCode, err, body)
			}
			if got.User != p.Name || got.Kind != k.ID || got.Header.Kid == "" ||
				got.Payload.Sub != paratest.UserID {
				t.Errorf("%+v", got)
			}
			// The verdict that serve shows is that of the verify command.
			var r verifyReport
			call(t, got.Token, "verify", "--env", url, "--api-key-id", id, "--json").decode(t, &r)
			if r.Accepted != (k.ID == "good" || k.ID == "short") || r.Code != string(codes[k.ID]) ||
				got.Answer.Code != r.Code {
				t.Errorf(
					"%s, %s: the page shows %q, the verdict is %q", p.Name, k.ID, got.Answer.Code,
					r.Code,
				)
			}
			status := map[bool]int{true: 200, false: 401}[r.Accepted]
			if got.Answer.Status != status ||
				(got.Answer.Challenge == "") != r.Accepted {
				t.Errorf("%s, %s: %+v", p.Name, k.ID, got.Answer)
			}
			if r.Accepted && r.User.AuthType != p.new().AuthType {
				t.Errorf("%s logs in by %s", p.Name, r.User.AuthType)
			}
		}
	}
}

func TestPeopleAreThoseOfTheDocumentation(t *testing.T) {
	var names []string
	for _, p := range people() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	if want := slices.Sorted(maps.Keys(paratest.Users())); !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestServeRefuses(t *testing.T) {
	url := serving(t)
	const good = `{"user": "Email", "kind": "good"}`
	host := strings.TrimPrefix(url, "http://")
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, body string
		fields     []string
		status     int
	}{
		{"from the page itself", good, []string{"Origin", url, "Sec-Fetch-Site", "same-origin"},
			200},
		{"from no page", good, nil, 200},
		{"an old browser on the page", good, []string{"Origin", url}, 200},
		{"another name of loopback", good, []string{"Host", "localhost:" + port}, 200},
		{"IPv6", good, []string{"Host", "[::1]:" + port}, 200},
		{"IPv6 without a port", good, []string{"Host", "[::1]"}, 200},
		{"with a charset", good, []string{"Content-Type", "application/json; charset=utf-8"}, 200},

		{"from another site", good,
			[]string{"Origin", "https://example.com", "Sec-Fetch-Site", "cross-site"}, 403},
		{"from another site's subdomain", good, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"an old browser on another site", good, []string{"Origin", "https://example.com"}, 403},
		{"from another port", good, []string{"Origin", "http://127.0.0.1:1"}, 403},
		{"rebound name", good,
			[]string{"Host", "example.com:" + port, "Origin", "http://example.com:" + port,
				"Sec-Fetch-Site", "same-origin"}, 421},
		{"rebound name without a port", good, []string{"Host", "example.com"}, 421},
		{"an address that is not loopback", good, []string{"Host", "192.0.2.1:" + port}, 421},
		{"a form's type", good, []string{"Content-Type", "text/plain"}, 400},
		{"no type", good, []string{"Content-Type", ""}, 400},
		{"no JSON", "user=Email", nil, 400},
		{"an unknown member", `{"user": "Email", "kind": "good", "aud": "x"}`, nil, 400},
		{"two objects", good + good, nil, 400},
		{"no user", `{"kind": "good"}`, nil, 400},
		{"nobody known", `{"user": "Root", "kind": "good"}`, nil, 400},
		{"no kind", `{"user": "Email"}`, nil, 400},
		{"too large", good + strings.Repeat(" ", 2000), nil, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			res, body := post(t, url, test.body, test.fields...)
			if res.StatusCode != test.status {
				t.Errorf("%d, want %d: %s", res.StatusCode, test.status, body)
			}
			var said struct{ Error, Token string }
			if err := json.Unmarshal([]byte(body), &said); err != nil ||
				(said.Error != "") != (test.status != 200) ||
				(said.Token != "") != (test.status == 200) {
				t.Errorf("%v: %s", err, body)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("other sites may read the response")
			}
		})
	}
}

func TestServeHasAPageOfItsOwn(t *testing.T) {
	url := serving(t)
	for path, want := range map[string]struct{ contentType, text string }{
		"/": {"text/html; charset=utf-8",
			"PARA_ENVIRONMENT=" + url + " PARA_API_KEY_ID=" + paratest.APIKeyID},
		"/parajwt/style.css":     {"text/css; charset=utf-8", "prefers-color-scheme: dark"},
		"/parajwt/page.js":       {"text/javascript; charset=utf-8", "/parajwt/token"},
		"/parajwt/icon.svg":      {"image/svg+xml", "<svg"},
		"/.well-known/jwks.json": {"application/json", `"keys"`},
	} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 ||
			res.Header.Get("Content-Type") != want.contentType ||
			!strings.Contains(string(body), want.text) {
			t.Errorf(
				"%s: %d %s %v\n%s", path, res.StatusCode, res.Header.Get("Content-Type"), err, body,
			)
		}
		if strings.HasPrefix(path, "/.well-known") {
			continue
		}
		for field, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self';",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store",
		} {
			if got := res.Header.Get(field); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, field, got)
			}
		}
		if strings.Contains(res.Header.Get("Content-Security-Policy"), "unsafe") {
			t.Error("the policy is too permissive")
		}
		// The page loads nothing from other hosts.
		for _, other := range []string{"https://", "//cdn", "@import"} {
			if strings.Contains(string(body), other) {
				t.Errorf("%s mentions %s", path, other)
			}
		}
	}
	for path, status := range map[string]int{"/nothing": 404, "/parajwt/token": 405,
		"/parajwt/index.html": 404} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, status)
		}
	}
}

func TestServeListensOnLoopbackOnly(t *testing.T) {
	call(t, "", "serve", "--addr", "0.0.0.0:0").has(t, exitRefused, "not a loopback address")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	call(
		t, "", "serve", "--addr", taken.Addr().String(),
	).has(t, exitRefused, "address already in use",
		"parajwt serve --addr 127.0.0.1:0")
}

func TestServeSaysWhatToDo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the program ends after its last line
	var out strings.Builder
	status := run(
		ctx, []string{"serve", "--addr", "127.0.0.1:0"}, strings.NewReader(""), &out, &out,
	)
	o := outcome{status: status, stdout: out.String()}
	o.has(
		t, exitOK,
		"page http://127.0.0.1:",
		"API key dev_", "secret API key sk_dev_",
		"PARA_ENVIRONMENT=http://127.0.0.1:",
		"PARA_API_KEY_ID="+paratest.APIKeyID, "/parajwt/token", "has stopped",
	)
}

// started runs the command and returns its report.
func started(t *testing.T, args ...string) (report serveReport, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		args := append([]string{"serve", "--json"}, args...)
		ended <- run(ctx, args, strings.NewReader(""), w, io.Discard)
		w.Close()
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if status := <-ended; status != exitOK {
			t.Errorf("serve ended with status %d", status)
		}
	})
	t.Cleanup(stop)
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	return report, stop
}

// token returns a token with a session from the server.
func token(t *testing.T, url, body string) issued {
	t.Helper()
	res, text := post(t, url, body)
	var out issued
	if err := json.Unmarshal([]byte(text), &out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v %s", res.StatusCode, err, text)
	}
	return out
}

// ask posts JSON to one of Para's endpoints. Header fields are pairs of name
// and value.
func ask(t *testing.T, url, body string, fields ...string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

func TestServeHasSessions(t *testing.T) {
	r, _ := started(t, "--addr", "127.0.0.1:0")
	out := token(t, r.URL, `{"user": "Phone", "kind": "good"}`)
	again := token(t, r.URL, `{"user": "Phone", "kind": "expired"}`)
	if again.VerificationToken != out.VerificationToken {
		t.Error("the user has a second session")
	}
	other := token(t, r.URL, `{"user": "Email", "kind": "good"}`)
	if other.VerificationToken == out.VerificationToken {
		t.Error("two users share a session")
	}

	verification := `{"verificationToken": "` + out.VerificationToken + `"}`
	status, who := ask(
		t, r.URL+"/sessions/verify", verification, "x-external-api-key", r.SecretAPIKey,
	)
	if status != http.StatusOK || who["authType"] != "phone" ||
		who["identifier"] != "+13105551234" {
		t.Errorf("/sessions/verify: %d %v", status, who)
	}
	status, _ = ask(t, r.URL+"/sessions/verify", verification, "x-external-api-key", r.APIKey)
	if status == http.StatusOK {
		t.Error("/sessions/verify takes the publishable API key")
	}

	exported, err := base64.StdEncoding.DecodeString(out.ExportedSession)
	var session struct{ UserID, SessionCookie string }
	if err != nil || json.Unmarshal(exported, &session) != nil ||
		session.UserID != paratest.UserID {
		t.Fatalf("%v %s", err, exported)
	}
	status, touched := ask(
		t, r.URL+"/touch", "", "x-external-api-key", r.APIKey, "x-capsule-sid",
		session.SessionCookie,
	)
	if status != http.StatusOK || touched["isAuthenticated"] != true ||
		touched["userId"] != paratest.UserID {
		t.Errorf("/touch: %d %v", status, touched)
	}
}

func TestServeKeepsItsKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "para.json")
	first, stop := started(t, "--addr", "127.0.0.1:0", "--keys", file)
	rs := token(t, first.URL, `{"user": "Email", "kind": "good"}`).Token
	es := token(t, first.URL, `{"user": "Email", "kind": "good", "alg": "ES256"}`).Token
	stop()
	second, _ := started(t, "--addr", "127.0.0.1:0", "--keys", file)
	if second.APIKey != first.APIKey || second.SecretAPIKey != first.SecretAPIKey {
		t.Error("the API keys changed")
	}
	other, _ := started(t, "--addr", "127.0.0.1:0")
	for _, tok := range []string{rs, es} {
		call(
			t, tok, "verify", "--env", second.URL, "--api-key-id", second.APIKeyID,
		).has(t, exitOK, "ACCEPTED")
		call(
			t, tok, "verify", "--env", other.URL, "--api-key-id", other.APIKeyID,
		).has(t, exitRefused, "key REFUSED")
	}

	writeFile(t, file, "{}")
	call(
		t, "", "serve", "--addr", "127.0.0.1:0", "--keys", file,
	).has(t, exitRefused, "key file "+file, "name another file")
}

func TestServeRotatesAndFails(t *testing.T) {
	r, _ := started(t, "--addr", "127.0.0.1:0")
	act := func(action string) state {
		t.Helper()
		body := `{"action": "` + action + `"}`
		res, err := http.Post(r.Page+"parajwt/para", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var s state
		if err := json.NewDecoder(res.Body).Decode(&s); err != nil ||
			res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v", action, res.StatusCode, err)
		}
		return s
	}
	const order = `{"user": "Email", "kind": "good", "alg": "ES256"}`
	old := token(t, r.URL, order)
	s := act("rotate")
	if len(s.Keys) != 6 || s.Keys[5].Algorithm != "RS256" || s.Keys[4].Algorithm != "ES256" {
		t.Errorf("%+v", s)
	}
	fresh := token(t, r.URL, order)
	if !strings.Contains(string(fresh.Header), s.Keys[4].KeyID) ||
		fresh.Answer.Status != http.StatusOK {
		t.Errorf("%s %+v", fresh.Header, fresh.Answer)
	}
	if s = act("withdraw"); len(s.Keys) != 2 {
		t.Errorf("%+v", s)
	}
	verify := func(tok string) outcome {
		return call(t, tok, "verify", "--env", r.URL, "--api-key-id", r.APIKeyID)
	}
	verify(old.Token).has(t, exitRefused, "key REFUSED")
	verify(fresh.Token).has(t, exitOK, "ACCEPTED")
	if s = act("down"); !s.Down {
		t.Errorf("%+v", s)
	}
	verify(fresh.Token).has(t, exitNoKeys, "key UNKNOWN")
	if out := token(t, r.URL, order); out.Answer.Status != http.StatusOK {
		t.Errorf("a running server, while Para is down: %+v", out.Answer)
	}
	if s = act("recover"); s.Down {
		t.Errorf("%+v", s)
	}
	verify(fresh.Token).has(t, exitOK, "ACCEPTED")

	for body, status := range map[string]int{
		`{"action": "explode"}`: 400, `{}`: 400, `{"action": "down", "for": 1}`: 400, `down`: 400,
	} {
		res, err := http.Post(r.Page+"parajwt/para", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", body, res.StatusCode, status)
		}
	}
	req, err := http.NewRequest(
		"POST", r.Page+"parajwt/para",
		strings.NewReader(`{"action": "down"}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "https://example.com")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("another site: %d", res.StatusCode)
	}
}

func TestServeAllowsRemoteClientsOnlyIfAsked(t *testing.T) {
	const good = `{"user": "Email", "kind": "good"}`
	local, _ := started(t, "--addr", "127.0.0.1:0")
	remote, _ := started(t, "--allow-remote", "--addr", ":0")
	for host, status := range map[string]int{
		"192.0.2.1:8080": 200, "para:8080": 200, "host.docker.internal:8080": 200, "mac.local": 200,
		"example.com:8080": 421, "local.example.com": 421,
	} {
		if res, body := post(t, remote.URL, good, "Host", host); res.StatusCode != status {
			t.Errorf("remote, %s: %d, want %d: %s", host, res.StatusCode, status, body)
		}
		res, _ := post(t, local.URL, good, "Host", host)
		if res.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("local, %s: %d", host, res.StatusCode)
		}
	}
	call(
		t, "", "serve", "--allow-remote", "--addr", "192.0.2.1:0",
	).has(t, exitRefused, "parajwt serve: ")
}

func TestServeAllowsOrigins(t *testing.T) {
	const app, good = "http://localhost:5173", `{"user": "Email", "kind": "good"}`
	r, _ := started(t, "--addr", "127.0.0.1:0", "--cors", app)
	res, _ := post(t, r.URL, good, "Origin", app, "Sec-Fetch-Site", "cross-site")
	if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != 200 || got != app {
		t.Errorf("%d, allowed origin %q", res.StatusCode, got)
	}
	res, _ = post(t, r.URL, good, "Origin", "http://localhost:5174", "Sec-Fetch-Site", "cross-site")
	if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != 403 || got != "" {
		t.Errorf("another origin: %d, allowed origin %q", res.StatusCode, got)
	}
	call(
		t, "", "serve", "--addr", "127.0.0.1:0", "--cors", "*",
	).has(t, exitRefused, `"*" is not an origin`)
}

func TestServeWarnsOfAnIDThatIsNoUUID(t *testing.T) {
	for id, warns := range map[string]bool{"my-app": true,
		strings.ToUpper(paratest.APIKeyID): false} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs strings.Builder
		status := run(
			ctx, []string{"serve", "--addr", "127.0.0.1:0", "--api-key-id", id}, nil, &out, &errs,
		)
		warned := strings.Contains(errs.String(), "warning: --api-key-id is not a UUID")
		if status != exitOK ||
			warned != warns {
			t.Errorf("%s: status %d, %s", id, status, errs.String())
		}
		if !strings.Contains(out.String(), strings.ToLower(id)) {
			t.Errorf("%s: %s", id, out.String())
		}
	}
}
