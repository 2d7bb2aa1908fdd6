package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/session"
)

// printed returns a value in all forms in which a program may print it.
func printed(v any) string {
	var b bytes.Buffer
	for _, verb := range strings.Split("v +v #v s q x X d t T c U e", " ") {
		fmt.Fprintf(&b, "%"+verb+"\n", v)
	}
	fmt.Fprintln(&b, v, []any{v}, map[string]any{"k": v}, struct{ V any }{v})
	fmt.Fprintf(&b, "%+v %#v\n", []any{v}, struct{ V any }{v})
	text, err := json.Marshal(v)
	fmt.Fprintln(&b, string(text), err)
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("x", "v", v, slog.Group("g", "v", v))
	}
	return b.String()
}

func TestPrintedValuesHaveNoSecrets(t *testing.T) {
	secret := session.NewSecret("secret-canary")
	cfg := session.Config{Environment: jwks.Beta, SecretAPIKey: secret, APIKey: "beta_public"}
	c, _ := fake(t, says(200, touch("lookup-1", "lookup-canary"), "X-Capsule-Sid",
		"refreshed-canary"))
	s := importSession(t, c, export(t, "email@example.com", "canary@example.com"),
		session.KeepSignersThisServerCannotUse())
	token, err := s.VerificationToken(t.Context())
	if err != nil || token.Reveal() != "lookup-canary" || cookieOf(t, s) != "refreshed-canary" {
		t.Fatal("the session does not have the canaries")
	}
	jwt := session.JWT{Token: session.NewSecret("canary.canary.canary"), KeyID: "kid-1"}
	tokens := newTokens(t, c, session.TokenVerifierConfig{})

	for name, v := range map[string]any{
		"Secret": secret, "*Secret": &secret, "Config": cfg, "*Config": &cfg,
		"Client": *c, "*Client": c, "Session": *s, "*Session": s, "token": token,
		"JWT": jwt, "*JWT": &jwt, "*TokenVerifier": tokens,
		"exported fields": struct {
			Config  session.Config
			Client  *session.Client
			Session *session.Session
			Token   session.Secret
			JWT     session.JWT
			Map     map[string]session.Secret
		}{cfg, c, s, token, jwt, map[string]session.Secret{"k": secret}},
		"unexported fields": struct {
			config  session.Config
			client  *session.Client
			session *session.Session
			copied  session.Session
			whole   session.Client
			token   session.Secret
			jwt     session.JWT
			pointer *session.JWT
			list    []session.Secret
			tokens  *session.TokenVerifier
		}{cfg, c, s, *s, *c, token, jwt, &jwt, []session.Secret{secret}, tokens},
	} {
		text := printed(v)
		for _, verb := range []string{"p", "w"} { // fmt calls no method for these
			text += fmt.Sprintf("%"+verb, v)
		}
		if found := testkit.Leaks(text, "canary"); found != nil {
			t.Errorf("%s: %q is in\n%s", name, found, text)
		}
	}
	// JSON contains the Identifier. Logs do not.
	id := session.Identity{AuthType: "email", Identifier: "canary@example.com"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, id); testkit.Leaks(text, "canary") != nil {
			t.Errorf("Identity with %s: %s", verb, text)
		}
	}
	line := "Para session of user \"" + userID + "\" (NONE, beta)"
	for got, want := range map[string]string{
		fmt.Sprint(s):                       line,
		fmt.Sprintf("%#v", *s):              line,
		fmt.Sprintf("%d", c):                "Para session client for beta",
		fmt.Sprint(tokens):                  "Para verification tokens of beta",
		fmt.Sprintf("%s", jwt):              "{[hidden] kid-1}",
		fmt.Sprintf("%x", token):            "[hidden]",
		fmt.Sprint(session.NewSecret("")):   "[empty]",
		fmt.Sprint(id):                      "Para identity (email)",
		fmt.Sprint((*session.Session)(nil)): "<nil>",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	text, err := json.Marshal(map[string]any{"s": s, "t": token, "j": jwt, "e": session.Secret{}})
	if want := `{"e":"[empty]","j":{"Token":"[hidden]","KeyID":"kid-1"},` +
		`"s":"Para session of user \"` + userID + `\" (NONE, beta)","t":"[hidden]"}`; err != nil ||
		string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	var log testkit.Log
	log.Logger().Info("x", "t", token, "j", jwt)
	logged := log.Take()[0]
	hidden := map[string]any{"Token": "[hidden]", "KeyID": "kid-1"}
	if logged["t"] != "[hidden]" || !reflect.DeepEqual(logged["j"], hidden) {
		t.Error(logged)
	}
}

// TestErrorsAndLogsHaveNoSecrets checks that no error and no log line contains
// a secret, even if the response echoes the request in every place.
func TestErrorsAndLogsHaveNoSecrets(t *testing.T) {
	echo := func(status int, media string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			all := fmt.Sprint(r.Header, " lookup-canary")
			return says(
				status,
				all,
				"Content-Type",
				media,
				"Location",
				"https://example.com/?"+all,
				"X-Capsule-Sid",
				"canary canary",
				"Retry-After",
				"canary",
				"Set-Cookie",
				all,
			)(
				r,
			)
		}
	}
	answers := map[string]func(*http.Request) (*http.Response, error){
		"200 JSON with a canary for each name": says(
			200,
			`{"canary":1,"userId":{"canary":"canary"},"token":["canary"],`+
				`"walletId":{},"authType":[]}`,
		),
		"200 broken JSON": says(200, `{"canary`),
		"a reset":         breaks,
		"a truncated body": func(r *http.Request) (*http.Response, error) {
			res, err := says(200, "")(r)
			res.Body = io.NopCloser(io.MultiReader(strings.NewReader("canary"), &broken{}))
			return res, err
		},
	}
	answers["200 of a type that is the key"] = func(r *http.Request) (*http.Response, error) {
		return says(200, "ok", "Content-Type", r.Header.Get("X-External-API-Key"))(r)
	}
	answers["an error that quotes the key"] = func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed answer %q", r.Header.Get("X-External-API-Key"))
	}
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 429, 500} {
		answers[fmt.Sprint(status)] = echo(status, "text/plain")
		answers[fmt.Sprint(status, " HTML")] = says(status, "<html>canary", "Content-Type",
			"text/html; canary=canary")
	}
	for name, answer := range answers {
		synctest.Test(t, func(t *testing.T) {
			var log testkit.Log
			c, err := session.New(session.Config{
				Environment: jwks.Beta, SecretAPIKey: session.NewSecret("beta_secret-canary"),
				APIKey: "beta_public-key",
				HTTPClient: &http.Client{
					Transport: &fakePara{
						answers: []func(*http.Request) (*http.Response, error){answer},
					},
				}, Logger: log.Logger(),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			s := importSession(t, c, export(t, userID, "user-1"))
			var errs []error
			note := func(err error) { errs = append(errs, err) }
			_, err = c.VerifyToken(ctx, "vt-canary")
			note(err)
			_, err = c.VerifyToken(ctx, "vt canary")
			note(err)
			_, err = c.VerifyWallet(ctx, "0xcanary")
			note(err)
			_, err = newTokens(t, c, session.TokenVerifierConfig{}).VerifyVerificationToken(ctx,
				"vt-canary")
			note(err)
			_, err = s.IsActive(ctx)
			note(err)
			note(s.KeepAlive(ctx))
			_, err = s.IssueJWT(ctx)
			note(err)
			_, err = s.VerificationToken(ctx)
			note(err)
			for _, bad := range []string{"canary", encode(`{"canary"`),
				encode(`{"userId":"canary","sessionCookie":"canary canary"}`),
				export(t, `"SOLANA"`, `{"canary":1}`)} {
				_, err = c.Import(bad)
				note(err)
			}
			text := fmt.Sprint(log.Take())
			for _, err := range errs {
				text += printed(err)
				for ; err != nil; err = errors.Unwrap(err) {
					text += printed(err)
				}
			}
			if found := testkit.Leaks(text, "canary"); found != nil {
				t.Errorf("%s: %q is in\n%s", name, found, text)
			}
		})
	}
}

// TestMalformedHTTPShowsNoKey checks that an error does not contain an API key
// that a malformed response echoes. Package net/http quotes such responses.
func TestMalformedHTTPShowsNoKey(t *testing.T) {
	for name, answer := range map[string]string{
		"status":   "HTTP/1.1 %s\r\n\r\n",
		"header":   "HTTP/1.1 200 OK\r\nX-Echo %s\r\n\r\n",
		"redirect": "HTTP/1.1 302 Found\r\nLocation: http://[%s\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":  "%s\r\n\r\n",
		"length":   "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each is tried three times
			server := httptest.NewServer(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					fmt.Fprintf(conn, answer, r.Header.Get("X-External-API-Key"))
				}),
			)
			defer server.Close()
			var log testkit.Log
			c, err := session.New(
				session.Config{
					Environment:  jwks.Beta,
					BaseURL:      server.URL,
					SecretAPIKey: session.NewSecret("beta_secret-canary"),
					Logger:       log.Logger(),
				},
			)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.VerifyToken(t.Context(), "vt")
			if err == nil {
				t.Fatal("no error")
			}
			text := fmt.Sprint(log.Take())
			for ; err != nil; err = errors.Unwrap(err) {
				text += printed(err)
			}
			if found := testkit.Leaks(text, "canary"); found != nil {
				t.Errorf("%q is in\n%s", found, text)
			}
		})
	}
}
