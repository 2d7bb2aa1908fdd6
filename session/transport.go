package session

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parajwt/parajwt/internal/strictjson"
)

const (
	maxAnswer = 64 << 10
	// attempts is how often a call is made at most.
	attempts = 3
	// firstWait is how long the second attempt waits after the first; the third waits twice as long.
	firstWait = 250 * time.Millisecond
	// maxRetryAfter is the longest wait that is believed.
	maxRetryAfter = 24 * time.Hour
)

// The headers of Para's SDK.
const (
	apiKeyHeader  = "X-External-API-Key"
	cookieHeader  = "X-Capsule-Sid"
	versionHeader = "X-Para-Version"
	// paraVersion is the version of Para's SDK whose requests these are.
	paraVersion = "2.10.0"
)

// newHTTPClient returns a client that follows no redirect, whatever the caller's does: Go would carry API keys and
// cookies, in headers of their own, to another host. Its copy of the caller's client shares the transport.
func newHTTPClient(from *http.Client) *http.Client {
	client := &http.Client{}
	if from != nil {
		*client = *from
	}
	if client.Transport == nil {
		client.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    8,
			// A flood of tokens waits here rather than at Para.
			MaxConnsPerHost: 64,
			IdleConnTimeout: 30 * time.Second,
		}
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// call is one request to Para.
type call struct {
	method      string
	path        string // with its query, as it is sent
	name        string // path for errors: IDs left out
	header      map[string]string
	contentType string
	body        []byte
	says        map[int]Code // what a status other than 200 means
	// safe means that doing it twice does no harm. What is not is retried only where Para says that it
	// did nothing (429).
	safe bool
}

// answer is what Para answered with 200.
type answer struct {
	call        call
	body        string
	contentType string
	cookie      string // a refreshed one; empty where there is none
}

// do makes a call, again where that is safe and may help, all within Config.Timeout.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	ctx, cancel := withTimeout(ctx, c.timeout)
	defer cancel()
	limit := c.timeout
	if k.safe {
		limit /= 2 // one attempt that hangs leaves room for another
	}
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, k, limit)
		switch {
		case err == nil:
			return a, nil
		case err.Code != ErrUnavailable:
			return answer{}, err
		case ctx.Err() != nil:
			err.Cause = context.Cause(ctx)
			return answer{}, err
		case attempt == attempts, !k.safe && err.Status != http.StatusTooManyRequests:
			return answer{}, err
		}
		wait := max(backoff(attempt), err.RetryAfter)
		if end, _ := ctx.Deadline(); time.Until(end) <= wait {
			return answer{}, err
		}
		c.logger.LogAttrs(ctx, slog.LevelDebug, "parajwt: Para did not answer; trying again",
			slog.String("environment", c.environment.Name), slog.Any("error", err), slog.Duration("in", wait))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			err.Cause = context.Cause(ctx)
			return answer{}, err
		}
	}
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v: %w", d, context.DeadlineExceeded))
}

// backoff doubles from firstWait. Jitter only ever lengthens: a thousand servers spread out.
func backoff(attempt int) time.Duration {
	wait := firstWait << (attempt - 1)
	return wait + rand.N(wait/2)
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, k call, limit time.Duration) (answer, *Error) {
	ctx, cancel := withTimeout(ctx, limit)
	defer cancel()
	fail := func(code Code, status int, cause error) *Error {
		return &Error{Code: code, Method: k.method, Path: k.name, Status: status, Cause: cause}
	}
	req, err := http.NewRequestWithContext(ctx, k.method, c.base+k.path, bytes.NewReader(k.body))
	if err != nil {
		return answer{}, fail(ErrUnavailable, 0, errors.New("the request cannot be made")) // the cause would quote the URL
	}
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
	if k.contentType != "" {
		req.Header.Set("Content-Type", k.contentType)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "parajwt")

	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, fail(ErrUnavailable, 0, why(ctx, err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	a := answer{call: k, body: string(body), contentType: res.Header.Get("Content-Type"), cookie: res.Header.Get(cookieHeader)}
	status := res.StatusCode
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		e := fail(ErrUnavailable, status, nil)
		e.RetryAfter = c.retryAfter(res.Header)
		return answer{}, e
	case err != nil:
		return answer{}, fail(ErrUnavailable, status, fmt.Errorf("the answer broke off: %w", why(ctx, err)))
	case len(body) > maxAnswer:
		return answer{}, fail(ErrUnexpectedAnswer, status, fmt.Errorf("it is larger than %d KiB", maxAnswer>>10))
	case 300 <= status && status < 400:
		return answer{}, fail(ErrUnexpectedAnswer, status, errors.New("redirects are not followed"))
	case a.isPage():
		return answer{}, fail(ErrUnexpectedAnswer, status, errors.New("it is a web page: is this Para's API, or a proxy that speaks for it?"))
	case status == http.StatusOK:
		return a, nil
	}
	if code, ok := k.says[status]; ok {
		return answer{}, fail(code, status, nil)
	}
	return answer{}, fail(ErrUnexpectedAnswer, status, nil)
}

// why finds the reason of a failed request: that of the context, if it ended, rather than what came of it. Of
// package http's own errors many quote the answer, which may echo the API key: these are not passed on.
func why(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	var errno syscall.Errno
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, http.ErrSchemeMismatch):
		return http.ErrSchemeMismatch
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errors.New("the connection broke, or the answer is not HTTP")
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3); 0 for what is neither.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(c.now()), 0), maxRetryAfter)
}

// isPage tells what a proxy or a portal shows to people from what an API answers, whatever its media type says:
// Express sends plain words as text/html.
func (a answer) isPage() bool {
	return strings.HasPrefix(strings.TrimLeft(a.body, "\ufeff \t\r\n"), "<")
}

// unexpected is the error of an answer that is not what Para documents.
func (a answer) unexpected(what string) *Error {
	return &Error{Code: ErrUnexpectedAnswer, Method: a.call.method, Path: a.call.name, Status: http.StatusOK, Cause: errors.New(what)}
}

// read reads the answer as one strict JSON object. Members that the function does not read are skipped. It
// returns an [*Error] or nil.
func (a answer) read(member func(d *strictjson.Decoder, name string)) error {
	d := strictjson.New(a.body)
	last := ""
	for name := range d.Object {
		last = name
		member(d, name)
	}
	if err := d.End(); err != nil {
		e := a.unexpected("")
		var se *strictjson.Error
		if errors.As(err, &se) && !se.Syntax && last != "" {
			e.Cause = fmt.Errorf("its member %.40q is %s", last, se.Reason)
			return e
		}
		media, _, _ := mime.ParseMediaType(a.contentType)
		if !slices.Contains([]string{"application/json", "text/html", "text/plain", "application/xml", "text/xml"}, media) {
			media = "another type" // it is the server's text, which may echo anything
		}
		e.Cause = fmt.Errorf("it is not the JSON of Para's API, but %d bytes of %s: %w", len(a.body), media, err)
		return e
	}
	return nil
}

// text reads a string that does not keep the text around it alive.
func text(d *strictjson.Decoder) string { return strings.Clone(d.String()) }

// optional is text for what may be null, as JavaScript writes what is not there.
func optional(d *strictjson.Decoder) string {
	if d.Null() {
		return ""
	}
	return text(d)
}

// truth reads a boolean; null is false.
func truth(d *strictjson.Decoder) bool {
	switch d.Peek() {
	case 't':
		d.Skip()
		return true
	case 'f', 'n':
		d.Skip()
		return false
	}
	d.Skip()
	d.Fail("not true or false")
	return false
}
