package session_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

func newClock() *testkit.Clock {
	return testkit.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
}

// shared returns a Para for tests that do not set its clock or count its calls.
// It is shared because making its keys is slow.
var shared = sync.OnceValue(func() *paratest.Para {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		panic(err)
	}
	return para
})

// newClient returns a client of para, with both API keys.
func newClient(t testing.TB, para *paratest.Para, change ...func(*session.Config)) *session.Client {
	t.Helper()
	cfg := session.Config{
		Environment: para.Environment(), SecretAPIKey: session.NewSecret(para.SecretAPIKey()),
		APIKey: para.APIKey(),
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func importSession(t testing.TB, c *session.Client, exported string,
	opts ...session.ImportOption) *session.Session {
	t.Helper()
	s, err := c.Import(exported, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakePara is a transport that returns prepared responses. Each request gets
// the next response. The last one repeats.
type fakePara struct {
	mu       sync.Mutex
	answers  []func(*http.Request) (*http.Response, error)
	requests []*http.Request
	bodies   []string
	at       []time.Time
}

func (f *fakePara) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil { // like http.Transport, which sends nothing
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	f.mu.Lock()
	f.requests, f.bodies, f.at = append(f.requests, r), append(f.bodies, string(body)),
		append(f.at, time.Now())
	next := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	f.mu.Unlock()
	return next(r)
}

func (f *fakePara) calls() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.requests) }

// says returns a response with this status, body and pairs of header fields.
func says(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		res := &http.Response{
			StatusCode: status,
			Header:     http.Header{},
			Body:       io.NopCloser(strings.NewReader(body)),
			Request:    r,
		}
		for i := 0; i < len(header); i += 2 {
			res.Header.Set(header[i], header[i+1])
		}
		return res, nil
	}
}

// hangs returns when the request is cancelled, with its error.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func breaks(*http.Request) (*http.Response, error) {
	return nil, syscall.ECONNRESET
}

// fake returns a client of Para's beta environment with prepared responses.
func fake(t testing.TB, answers ...func(*http.Request) (*http.Response, error)) (
	*session.Client, *fakePara) {
	t.Helper()
	f := &fakePara{answers: answers}
	c, err := session.New(session.Config{
		Environment: jwks.Beta, SecretAPIKey: session.NewSecret("beta_secret-canary"),
		APIKey:     "beta_public-key",
		HTTPClient: &http.Client{Transport: f}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

const userID = paratest.UserID

// cookie has the form of Para's cookie: a whole Set-Cookie line.
const cookie = "capsule.sid=s%3A00000000-0000-4000-8000-00000canary0.cookie; Path=/; " +
	"Expires=Sat, 30 Aug 2025 13:54:30 GMT; HttpOnly; Secure; SameSite=None"

// export returns an exported session in the form of Para's SDK. edits are pairs
// of a text and its replacement.
func export(t testing.TB, edits ...string) string {
	t.Helper()
	text := `{"authInfo":{"auth":{"email":"email@example.com"},"authType":"email",` +
		`"identifier":"email@example.com"},` +
		`"userId":"` + userID + `","wallets":{` +
		`"w-sol":{"id":"w-sol","type":"SOLANA","address":"So1","publicKey":"","scheme":"ED25519",` +
		`"signer":"canary-share-1","userId":"` + userID + `"},` +
		`"w-evm":{"id":"w-evm","type":"EVM","address":"0xAb","publicKey":"0x04","scheme":"DKLS",` +
		`"signer":"canary-share-2","userId":"` + userID + `"}},` +
		`"currentWalletIds":{"SOLANA":["w-sol"],"EVM":["w-evm"]},"sessionCookie":"` + cookie +
		`","externalWallets":{}}`
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("nothing to edit: %s", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// content decodes an export.
func content(t testing.TB, exported string) map[string]any {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(exported)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// touch returns a response to /touch. edits are pairs of a text and its
// replacement.
func touch(edits ...string) string {
	text := `{"userId":"` + userID + `","sessionId":"sid","sessionLookupId":"lookup-1",` +
		`"partnerId":"p-1","isAuthenticated":true,` +
		`"currentWalletIds":{"EVM":["w-evm"]},` +
		`"supportedWalletTypes":[{"type":"EVM","optional":false}],"cosmosPrefix":"cosmos"}`
	for i := 0; i < len(edits); i += 2 {
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}

// is fails the test unless err is an *Error with this code.
func is(t testing.TB, err error, want session.Code) *session.Error {
	t.Helper()
	var e *session.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want an *Error of %q", err, err, want)
	}
	if e.Code != want || !errors.Is(err, want) {
		t.Fatalf("error is %v, want %q", err, want)
	}
	return e
}

func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
