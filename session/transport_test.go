package session_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/session"
)

// These tests use the fake clock of a synctest bubble.

const verified = `{"authType":"email","identifier":"a@b.c"}`

func TestFailedCallsAreRepeated(t *testing.T) {
	for name, bad := range map[string]func(*http.Request) (*http.Response, error){
		"a 500": says(500, "boom"), "a 502 page": says(502, "<html>"), "a 503": says(503, ""),
		"a 429":   says(429, ""),
		"a reset": breaks, "a hang": hangs, "a truncated response": breaksOff,
	} {
		synctest.Test(t, func(t *testing.T) {
			overloaded := name == "a 503" || name == "a 429"
			c, para := fake(t, bad, says(200, verified))
			_, err := c.VerifyToken(t.Context(), "vt")
			switch {
			case overloaded: // junk must not multiply while Para is overloaded
				if is(t, err, session.ErrUnavailable); para.calls() != 1 {
					t.Errorf("%s: %d calls", name, para.calls())
				}
			case err != nil || para.calls() != 2:
				t.Errorf("%s: %v after %d calls", name, err, para.calls())
			}
			c, para = fake(t, bad, bad, says(200, `{"walletId":"w"}`))
			_, err = c.VerifyWallet(t.Context(), "0x1")
			switch {
			case overloaded:
				if is(t, err, session.ErrUnavailable); para.calls() != 1 {
					t.Errorf("%s: %d calls", name, para.calls())
				}
			case name == "a hang": // two attempts use up the timeout
			case err != nil || para.calls() != 3:
				t.Errorf("%s twice: %v after %d calls", name, err, para.calls())
			}
			c, _ = fake(t, bad, says(200, touch()))
			if ok, err := importSession(t, c, export(t)).IsActive(t.Context()); !ok || err != nil {
				t.Errorf("%s: active %v, %v", name, ok, err)
			}
			c, _ = fake(t, bad, says(200, "{}"))
			if err := importSession(t, c, export(t)).KeepAlive(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// breaksOff returns a response with a truncated body.
func breaksOff(r *http.Request) (*http.Response, error) {
	res, err := says(200, "")(r)
	res.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"authType":`), &broken{}))
	return res, err
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOutageIsReportedAsUnavailable(t *testing.T) {
	for name, bad := range map[string]func(*http.Request) (*http.Response, error){
		"500 for a minute": says(500, `{"message":"session expired"}`), "nothing at all": hangs,
		"no connection": breaks,
		"429":           says(429, "slow down", "Retry-After", "60"),
	} {
		synctest.Test(t, func(t *testing.T) {
			c, para := fake(t, bad)
			began := time.Now()
			_, err := c.VerifyToken(t.Context(), "vt")
			e := is(t, err, session.ErrUnavailable)
			if e.Refused() || errors.Is(err, session.ErrSessionExpired) {
				t.Errorf("%s: %v refuses the login", name, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			if n := para.calls(); n > 3 {
				t.Errorf("%s: %d calls", name, n)
			}
			s := importSession(t, c, export(t))
			active, err := s.IsActive(t.Context())
			if is(t, err, session.ErrUnavailable); active {
				t.Errorf("%s: active", name)
			}
			is(t, s.KeepAlive(t.Context()), session.ErrUnavailable)
			jwt, err := s.IssueJWT(t.Context())
			if is(t, err, session.ErrUnavailable); jwt.Token.Reveal() != "" {
				t.Errorf("%s: a token was returned", name)
			}
			_, err = s.VerificationToken(t.Context())
			is(t, err, session.ErrUnavailable)
		})
	}
}

// TestErrorsNameTheRequestWithoutItsURL checks that an error has the path of
// the request without the user ID, and without the URL of a proxy.
func TestErrorsNameTheRequestWithoutItsURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := fake(t, breaks)
		err := importSession(t, c, export(t)).KeepAlive(t.Context())
		if got := err.Error(); got != "session: Para is unavailable: "+
			"POST /users/{userId}/session/keep-alive: connection reset by peer" {
			t.Errorf("got %q", got)
		}
		c, _ = fake(t, says(503, "", "Retry-After", "30"))
		_, err = c.VerifyToken(t.Context(), "vt")
		if got := err.Error(); got != "session: Para is unavailable: "+
			"POST /sessions/verify answered 503, retry after 30s" {
			t.Errorf("got %q", got)
		}
	})
}

func TestThreeAttemptsWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, says(500, ""))
		_, err := c.VerifyToken(t.Context(), "vt")
		if e := is(t, err, session.ErrUnavailable); e.Status != 500 || e.RetryAfter != 0 {
			t.Errorf("error is %+v", *e)
		}
		if len(para.at) != 3 {
			t.Fatalf("%d attempts", len(para.at))
		}
		for i, low := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond} {
			if wait := para.at[i+1].Sub(para.at[i]); wait < low || wait >= low*3/2 {
				t.Errorf("wait %d is %v", i, wait)
			}
		}
	})
}

func TestIssueJWTIsRepeatedOnlyAfter429(t *testing.T) {
	for name, bad := range map[string]func(*http.Request) (*http.Response,
		error){"a 500": says(500, ""), "a reset": breaks, "a hang": hangs} {
		synctest.Test(t, func(t *testing.T) {
			c, para := fake(t, bad)
			_, err := importSession(t, c, export(t)).IssueJWT(t.Context())
			if is(t, err, session.ErrUnavailable); para.calls() != 1 {
				t.Errorf("%s: %d calls", name, para.calls())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, para := fake(t, says(429, ""), says(200, `{"token":"a.b.c","keyId":"k"}`))
		if _, err := importSession(t, c, export(t)).IssueJWT(t.Context()); err != nil ||
			para.calls() != 2 {
			t.Errorf("after a 429, which did nothing: %v after %d calls", err, para.calls())
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		for _, tc := range []struct {
			header string
			told   time.Duration // Error.RetryAfter of the last attempt
			waits  time.Duration // before the second attempt; 0 for the backoff
			calls  int
		}{
			{"3", 3 * time.Second, 3 * time.Second, 3},
			{" 3 ", 3 * time.Second, 3 * time.Second, 3},
			{"60", time.Minute, 0, 1},
			{"9", 9 * time.Second, 9 * time.Second, 2},
			{"0", 0, 0, 3},
			{now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second, 0, 1},
			{now.Add(-time.Hour).Format(http.TimeFormat), 0, 0, 3},
			{"-5", 0, 0, 3},
			{"soon", 0, 0, 3},
			{"99999999999999999999", 0, 0, 3},
			{strconv.Itoa(1 << 30), 24 * time.Hour, 0, 1},
		} {
			for _, status := range []int{429, 503} {
				synctest.Wait()
				f := &fakePara{
					answers: []func(*http.Request) (*http.Response, error){
						says(status, "", "Retry-After", tc.header),
					},
				}
				c, err := session.New(session.Config{
					Environment: jwks.Beta, APIKey: "k", HTTPClient: &http.Client{Transport: f},
					Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = importSession(t, c, export(t)).IsActive(t.Context())
				e := is(t, err, session.ErrUnavailable)
				if e.RetryAfter != tc.told || e.Status != status || f.calls() != tc.calls {
					t.Errorf("%d %q: RetryAfter is %v after %d calls", status, tc.header,
						e.RetryAfter, f.calls())
				}
				if tc.waits > 0 && len(f.at) > 1 && f.at[1].Sub(f.at[0]) < tc.waits {
					t.Errorf("%d %q: asked again after %v", status, tc.header, f.at[1].Sub(f.at[0]))
				}
			}
		}
	})
}

func TestCallsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the caller has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		c, para := fake(t, hangs)
		began := time.Now()
		_, err := c.VerifyToken(ctx, "vt")
		if is(t, err, session.ErrUnavailable); !errors.Is(err, reason) ||
			time.Since(began) != time.Second ||
			para.calls() != 1 {
			t.Errorf("%v after %v and %d calls", err, time.Since(began), para.calls())
		}

		// While it waits for the next attempt.
		ctx, cancel = context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		c, para = fake(t, says(503, "", "Retry-After", "4"))
		began = time.Now()
		_, err = importSession(t, c, export(t)).IsActive(ctx)
		if e := is(t, err, session.ErrUnavailable); !errors.Is(err, reason) || e.Status != 503 ||
			time.Since(began) != time.Second ||
			para.calls() != 1 {
			t.Errorf("%v after %v and %d calls", err, time.Since(began), para.calls())
		}

		// A call with a deadline before the next attempt fails at once.
		ctx, done := context.WithTimeout(t.Context(), 3*time.Second)
		defer done()
		began = time.Now()
		_, err = importSession(t, c, export(t)).IsActive(ctx)
		if is(t, err, session.ErrUnavailable); time.Since(began) != 0 {
			t.Errorf("gave up after %v", time.Since(began))
		}

		ended, cancel2 := context.WithCancel(t.Context())
		cancel2()
		_, err = c.VerifyToken(ended, "vt")
		if is(t, err, session.ErrUnavailable); !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is not the context's: %v", err)
		}
	})
}

func TestTimeoutEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePara{answers: []func(*http.Request) (*http.Response, error){hangs}}
		c, err := session.New(session.Config{
			Environment: jwks.Beta, SecretAPIKey: session.NewSecret("k"), APIKey: "p",
			Timeout: 2 * time.Second, HTTPClient: &http.Client{Transport: f},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = c.VerifyToken(t.Context(), "vt")
		is(t, err, session.ErrUnavailable)
		if took := time.Since(began); took > 2*time.Second ||
			!errors.Is(err, context.DeadlineExceeded) ||
			f.calls() != 2 {
			t.Errorf("%v after %v and %d calls", err, took, f.calls())
		}
		began = time.Now()
		_, err = importSession(t, c, export(t)).IssueJWT(t.Context())
		if is(t, err, session.ErrUnavailable); time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestRedirectsAreRefused checks that redirects are not followed, because
// package net/http would send the API key to the other host.
func TestRedirectsAreRefused(t *testing.T) {
	stolen := 0
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen++
		io.WriteString(w, verified)
	}))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		para := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", thief.URL)
			w.WriteHeader(status)
		}))
		followed := false
		c, err := session.New(session.Config{
			Environment: jwks.Environment{
				Name: "test",
				URL:  para.URL,
			}, SecretAPIKey: session.NewSecret("k"), APIKey: "p",
			Logger: slog.New(slog.DiscardHandler),
			HTTPClient: &http.Client{
				CheckRedirect: func(*http.Request,
					[]*http.Request) error {
					followed = true
					return nil
				},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.VerifyToken(t.Context(), "vt")
		if e := is(t, err, session.ErrUnexpectedAnswer); e.Status != status || followed ||
			!strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("%d: %v", status, err)
		}
		_, err = importSession(t, c, export(t)).IsActive(t.Context())
		is(t, err, session.ErrUnexpectedAnswer)
		para.Close()
	}
	if stolen > 0 {
		t.Errorf("%d redirects were followed", stolen)
	}
}

func TestResponseSizeIsBounded(t *testing.T) {
	fits := verified + strings.Repeat(" ", 64<<10-len(verified))
	c, _ := fake(t, says(200, fits))
	if _, err := c.VerifyToken(t.Context(), "vt"); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	c, _ = fake(t, says(200, fits+" "))
	_, err := c.VerifyToken(t.Context(), "vt")
	is(t, err, session.ErrUnexpectedAnswer)

	// An endless response is not read to its end.
	endless := &endless{}
	c, _ = fake(t, func(r *http.Request) (*http.Response, error) {
		res, err := says(200, "")(r)
		res.Body = io.NopCloser(endless)
		return res, err
	})
	_, err = c.VerifyToken(t.Context(), "vt")
	if is(t, err, session.ErrUnexpectedAnswer); endless.read > 256<<10 {
		t.Errorf("%d bytes were read", endless.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

// TestHTTPClientIsNotChanged checks that Config.HTTPClient is not changed, and
// that its cookie jar is not used.
func TestHTTPClientIsNotChanged(t *testing.T) {
	jar := &countingJar{}
	f := &fakePara{
		answers: []func(*http.Request) (*http.Response, error){
			says(200, verified, "Set-Cookie", "sid=1"),
		},
	}
	own := &http.Client{Transport: f, Jar: jar}
	c, err := session.New(
		session.Config{
			Environment:  jwks.Beta,
			SecretAPIKey: session.NewSecret("k"),
			HTTPClient:   own,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.VerifyToken(t.Context(), "vt"); err != nil {
		t.Fatal(err)
	}
	if own.CheckRedirect != nil || own.Jar != jar || jar.n > 0 {
		t.Error("the caller's client was changed or used")
	}
}

type countingJar struct{ n int }

func (j *countingJar) SetCookies(*url.URL, []*http.Cookie)    { j.n++ }
func (j *countingJar) Cookies(*url.URL) (none []*http.Cookie) { j.n++; return }
