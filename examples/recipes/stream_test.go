package recipes

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// rechecked returns a validator and a channel that receives each time the
// validator checked a user, and so for each Recheck. Tests wait for it, not for
// a time.
func rechecked(t *testing.T, para *paratest.Para) (*middleware.Validator, <-chan struct{}) {
	checks := make(chan struct{}, 1)
	return para.Validator(t, func(cfg *middleware.Config) {
		cfg.Revoked = func(context.Context, *claims.Claims, time.Time) (bool, error) {
			select {
			case checks <- struct{}{}:
			default:
			}
			return false, nil
		}
	}), checks
}

// deadline returns a context that ends a test which would wait forever.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func await(t *testing.T, ctx context.Context, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatalf("%s: %v", what, ctx.Err())
	}
}

func TestWebSocket(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator, checks := rechecked(t, para)
	server := httptest.NewServer(WebSocket(validator, time.Millisecond))
	defer server.Close()
	ctx := deadline(t)

	dial := func(protocols ...string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(ctx, server.URL, &websocket.DialOptions{Subprotocols: protocols})
	}
	for name, protocols := range map[string][]string{
		"no token": {"echo.v1"},
		"expired token": {"para.jwt",
			para.Token(paratest.EmailUser(), paratest.Expired()), "echo.v1"},
	} {
		if _, res, err := dial(protocols...); err == nil || res.StatusCode != 401 {
			t.Errorf("%s: %v", name, err)
		}
	}

	conn, res, err := dial("para.jwt", para.Token(paratest.EmailUser()), "echo.v1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if got := res.Header.Get("Sec-WebSocket-Protocol"); got != "echo.v1" {
		t.Errorf("the server selected %q", got)
	}
	for range 3 {
		await(t, ctx, "a check of a valid user", checks)
		if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, message, err := conn.Read(ctx); err != nil || string(message) != "hello" {
			t.Fatalf("%q, %v", message, err)
		}
	}

	para.Advance(time.Hour)
	_, _, err = conn.Read(ctx)
	if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
		t.Errorf("after the token expired: %v", err)
	}
}

func TestWebSocketAsksToTryAgainIfTheKeysAreStale(t *testing.T) {
	para := paratest.New(t, paratest.Config{SessionLength: 30 * 24 * time.Hour})
	validator := para.Validator(t)
	server := httptest.NewServer(WebSocket(validator, time.Millisecond))
	defer server.Close()
	token := para.Token(paratest.EmailUser(), paratest.Lived(0, 30*24*time.Hour))
	ctx := deadline(t)
	conn, _, err := websocket.Dial(ctx, server.URL,
		&websocket.DialOptions{Subprotocols: []string{"para.jwt", token}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()

	para.Down()
	para.Advance(73 * time.Hour) // Keys.StaleLimit is 72 hours
	_, _, err = conn.Read(ctx)
	if got := websocket.CloseStatus(err); got != websocket.StatusTryAgainLater {
		t.Errorf("with stale keys: %v", err)
	}
}

func TestEvents(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	validator, checks := rechecked(t, para)
	ctx := deadline(t)
	events, ended := make(chan any), make(chan struct{})
	server := httptest.NewServer(Events(validator, time.Millisecond,
		func(ctx context.Context, userID string) <-chan any {
			if userID != paratest.UserID {
				t.Errorf("events of user %q", userID)
			}
			context.AfterFunc(ctx, func() { close(ended) })
			return events
		}))
	defer server.Close()

	get := func(cookie string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-para", Value: cookie})
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	answers(t, "no token", get(""), 401, "Unauthorized")

	res := get(para.Token(paratest.EmailUser()))
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%s, %s", res.Status, got)
	}
	lines := bufio.NewScanner(res.Body)
	event := func() string {
		var text strings.Builder
		for lines.Scan() && lines.Text() != "" {
			text.WriteString(lines.Text() + "\n")
		}
		return text.String()
	}
	for range 3 {
		await(t, ctx, "a check of a valid user", checks)
		events <- "two\nlines"
		if got := event(); got != "event: message\ndata: \"two\\nlines\"\n" {
			t.Fatalf("event %q", got)
		}
	}
	para.Advance(time.Hour)
	if got := event(); got != "event: closed\ndata: \"expired\"\n" {
		t.Errorf("after the token expired: %q", got)
	}
	if lines.Scan() {
		t.Errorf("the stream continues with %q", lines.Text())
	}
	await(t, ctx, "the end of the subscription", ended)
}
