package jwks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// Only the configuration decides where keys come from. Redirects are not
// followed, even if the caller's client follows them.
func TestRedirectsAreNotFollowed(t *testing.T) {
	eager := func(client *http.Client) *http.Client {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		return client
	}
	other := newLab(t)
	other.serves(keyA())
	secure := httptest.NewTLSServer(redirect(307, other.url))
	t.Cleanup(secure.Close)
	for name, l := range map[string]*lab{
		"same host":     newLab(t),
		"other host":    newLab(t),
		"https to http": {url: secure.URL, client: eager(secure.Client())},
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			switch name {
			case "same host":
				to := redirect(code, "/elsewhere")
				l.client = eager(&http.Client{})
				l.does(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/elsewhere" {
						other.ServeHTTP(w, r)
						return
					}
					to(w, r)
				})
			case "other host":
				l.does(redirect(code, other.url+"/.well-known/jwks.json"))
			}
			c := l.cache(t, jwks.Config{})
			_, err := c.Key(t.Context(), "a")
			if !errors.Is(err, jwks.ErrUnavailable) ||
				!strings.Contains(err.Error(), "redirects are not followed") {
				t.Errorf("%s, %d: %v", name, code, err)
			}
			other.fetched(t, 0)
		}
	}
}

// A response of 100 MiB is not read to its end: the fetch ends at 256 KiB. The
// server can write only that and the content of network buffers.
func TestTooLargeBody(t *testing.T) {
	t.Run("over pipes, which buffer nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var written atomic.Int64
			l := bubbleLab(t)
			l.does(endless(&written))
			c := l.cache(t, jwks.Config{})
			refused(t, c, "a", jwks.ErrUnavailable)
			synctest.Wait()
			if n := written.Load(); n < 256<<10 || n > 272<<10 {
				t.Errorf("%d KiB were written", n>>10)
			}
			if st := c.Status(); !strings.Contains(st.LastError, "larger than 256 KiB") {
				t.Error(st.LastError)
			}
			t.Logf("of 100 MiB, %d KiB were taken", written.Load()>>10)
		})
	})
	t.Run("over sockets", func(t *testing.T) {
		var written atomic.Int64
		l := newLab(t)
		l.does(endless(&written))
		c := l.cache(t, jwks.Config{})
		refused(t, c, "a", jwks.ErrUnavailable)
		eventually(t, "disconnected", func() bool { return l.connections() == 0 })
		if n := written.Load(); n > 32<<20 {
			t.Errorf("%d MiB were written", n>>20)
		}
	})
	t.Run("compressed", func(t *testing.T) {
		var small bytes.Buffer
		z := gzip.NewWriter(&small)
		io.WriteString(z, strings.Repeat(" ", 1<<20)+testkit.SetOf(keyA()))
		z.Close()
		l := newLab(t)
		l.does(body(small.String(), "Content-Encoding", "gzip"))
		c := l.cache(t, jwks.Config{})
		_, err := c.Key(t.Context(), "a")
		if !errors.Is(err, jwks.ErrUnavailable) || !strings.Contains(err.Error(), "larger") {
			t.Errorf("%d KiB that are decompressed to a MiB: %v", small.Len()>>10, err)
		}
	})
	t.Run("to the byte", func(t *testing.T) {
		l := newLab(t)
		text := testkit.SetOf(keyA())
		text += strings.Repeat(" ", 256<<10-len(text))
		l.does(body(text + " "))
		refused(t, l.cache(t, jwks.Config{}), "a", jwks.ErrUnavailable)
		l.does(body(text))
		found(t, l.cache(t, jwks.Config{}), "a")
	})
	t.Run("header", func(t *testing.T) {
		l := newLab(t)
		l.does(body(testkit.SetOf(keyA()), "X-Large", strings.Repeat("x", 100<<10)))
		refused(t, l.cache(t, jwks.Config{}), "a", jwks.ErrUnavailable)
	})
}

// A slow sender is cut off. The timeout applies to the whole fetch.
func TestDrippingBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.does(drip(testkit.SetOf(keyA())))
		c := l.cache(t, jwks.Config{FetchTimeout: 2500 * time.Millisecond})
		before := time.Now()
		_, err := c.Key(t.Context(), "a")
		if !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a body at a byte a second: %v", err)
		}
		if took := time.Since(before); took != 2500*time.Millisecond {
			t.Errorf("the fetch took %v", took)
		}
	})
}

// The Content-Type of the body has no effect.
func TestContentTypeIsIgnored(t *testing.T) {
	for _, kind := range []string{"", "text/html", "application/octet-stream",
		"application/jwk-set+json; charset=utf-8"} {
		l := newLab(t)
		l.does(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			io.WriteString(w, testkit.SetOf(keyA()))
		})
		found(t, l.cache(t, jwks.Config{}), "a")
	}
}

func TestRequest(t *testing.T) {
	l := newLab(t)
	var request string
	l.does(func(w http.ResponseWriter, r *http.Request) {
		request = r.Method + " " + r.URL.String()
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		body(testkit.SetOf(keyA()), "ETag", `"1"`, "Last-Modified",
			"Tue, 03 Feb 2026 04:05:06 GMT")(w, r)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	now := newClock()
	c := l.cache(t, jwks.Config{HTTPClient: client}, jwks.WithClock(now.Now))
	found(t, c, "a")
	if request != "GET /.well-known/jwks.json" {
		t.Error(request)
	}
	first := l.sent()
	for _, name := range []string{"Cookie", "Authorization", "If-None-Match", "If-Modified-Since"} {
		if v, ok := first[name]; ok {
			t.Errorf("%s: %q", name, v)
		}
	}
	if first.Get("Accept") != "application/jwk-set+json, application/json" ||
		first.Get("User-Agent") != "parajwt" {
		t.Errorf("%v", first)
	}

	now.Advance(refresh)
	settle(c)
	l.fetched(t, 2)
	second := l.sent()
	if second.Get("If-None-Match") != `"1"` || second.Get("If-Modified-Since") != "" ||
		second.Get("Cookie") != "" {
		t.Errorf("%v", second)
	}
	target, _ := url.Parse(l.url)
	if client.Jar != jar || client.CheckRedirect != nil || len(jar.Cookies(target)) != 0 {
		t.Error("the caller's client was changed")
	}
}

// The default client keeps no idle connection, and uses Go's trusted root
// certificates.
func TestDefaultClient(t *testing.T) {
	l := newLab(t)
	l.does(func(w http.ResponseWriter, r *http.Request) {
		if !r.Close {
			t.Error("the request has no Connection: close")
		}
		body(testkit.SetOf(keyA()))(w, r)
	})
	found(t, l.cache(t, jwks.Config{}), "a")
	eventually(t, "disconnected", func() bool { return l.connections() == 0 })

	secure := httptest.NewUnstartedServer(body(testkit.SetOf(keyA())))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	_, err := (&lab{url: secure.URL}).cache(t, jwks.Config{}).Key(t.Context(), "a")
	if !errors.Is(err, jwks.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of an unknown issuer: %v", err)
	}
	found(t, (&lab{url: secure.URL, client: secure.Client()}).cache(t, jwks.Config{}), "a")
}

// Every response body is closed, also after an error, so that the caller's
// transport leaks no connection.
func TestBodiesAreClosed(t *testing.T) {
	l := newLab(t)
	for name, answer := range map[string]http.HandlerFunc{
		"a set":     body(testkit.SetOf(keyA())),
		"too large": body(strings.Repeat(" ", 1<<20)),
		"500":       status(500),
		"redirect":  redirect(302, "/elsewhere"),
		"cut off":   cutOff(testkit.SetOf(keyA())),
	} {
		l.does(answer)
		var open atomic.Int64
		c := l.cache(t,
			jwks.Config{HTTPClient: &http.Client{Transport: roundTripper(
				func(r *http.Request) (*http.Response, error) {
					res, err := http.DefaultTransport.RoundTrip(r)
					if err == nil {
						open.Add(1)
						res.Body = &countedBody{res.Body, &open}
					}
					return res, err
				})}})
		_ = c.Warm(t.Context())
		c.Close()
		if n := open.Load(); n != 0 {
			t.Errorf("%s: the body was left open", name)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
}

func (b *countedBody) Close() error {
	b.open.Add(-1)
	return b.ReadCloser.Close()
}

// Errors and log lines contain no URL, which may be confidential.
func TestErrorsDoNotQuoteTheURL(t *testing.T) {
	l := newLab(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, test := range map[string]struct {
		base   string
		answer http.HandlerFunc
	}{
		"refused":  {"http://" + closed.Addr().String(), nil},
		"redirect": {l.url, redirect(302, "/canary-redirect")},
		"500":      {l.url, status(500)},
		"cut off":  {l.url, cutOff(testkit.SetOf(keyA()))},
		"HTML":     {l.url, html},
	} {
		l.does(test.answer)
		var log testkit.Log
		c := (&lab{url: test.base + "/canary-path?canary-query"}).cache(t, jwks.Config{},
			jwks.WithLogger(log.Logger()))
		_, err := c.Key(t.Context(), "a")
		if !errors.Is(err, jwks.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		for _, line := range log.With("") {
			if strings.Contains(fmt.Sprint(line), "canary") {
				t.Errorf("%s: logged %v", name, line)
			}
		}
		if st := c.Status(); strings.Contains(st.LastError, "canary") || st.LastError == "" {
			t.Errorf("%s: %q", name, st.LastError)
		}
	}
}

// Go reads the proxy settings from the environment once per process, so this
// test starts another process.
func TestProxyFromEnvironment(t *testing.T) {
	const inside = "PARAJWT_TEST_BEHIND_PROXY"
	if os.Getenv(inside) != "" {
		c := (&lab{url: "https://para.invalid"}).cache(t, jwks.Config{})
		refused(t, c, "a", jwks.ErrUnavailable)
		return
	}
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestProxyFromEnvironment$")
	cmd.Env = append(os.Environ(), inside+"=1", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	select {
	case request := <-asked:
		if request != "CONNECT para.invalid:443" {
			t.Error(request)
		}
	default:
		t.Error("the proxy was not used")
	}
}
