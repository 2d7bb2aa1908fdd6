package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxAnswer is the size of the largest accepted response body.
	maxAnswer = 64 << 10
	// maxConnections is the maximum number of connections to Para.
	maxConnections = 64
	// attempts is the maximum number of attempts of a call.
	attempts = 3
	// firstWait is the wait before the second attempt. The wait before the
	// third is twice as long.
	firstWait = 250 * time.Millisecond
	// maxRetryAfter is the maximum of Error.RetryAfter.
	maxRetryAfter = 24 * time.Hour
	// cookieHeader carries the session cookie in requests and responses.
	cookieHeader = "X-Capsule-Sid"
)

// newTransport returns the transport for a Config.HTTPClient without one.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    8,
		MaxConnsPerHost:        maxConnections,
		IdleConnTimeout:        30 * time.Second,
	}
}

// call is one POST request to Para.
type call struct {
	path   string // with its query, as it is sent
	name   string // the path for errors, without IDs; path if ""
	key    string // an API key
	cookie string // the session cookie, or ""
	body   []byte // JSON, or nil
	// codes maps statuses other than 200 to codes. A 401 or 403 without a code
	// is ErrUnauthorizedKey.
	codes  map[int]Code
	fields []field             // of a response with status 200; nil if its body is ignored
	check  func(answer) *Error // refuses a response with status 200; nil accepts it
	// single marks a call that is repeated only after 429, which means that
	// Para did nothing.
	single bool
	// gate bounds the calls that carry a user's input. It is nil for others.
	// Calls with a gate are not repeated after 429 and 503, so that junk does
	// not multiply while Para is overloaded.
	gate *gate
}

// answer is a response of Para.
type answer struct {
	call   call
	status int    // 0 without a response
	doc    node   // the zero node unless the status is 200
	cookie string // a refreshed session cookie, or ""
}

// do makes a call within Config.Timeout, and repeats it after a failure that
// may be temporary. It returns the zero answer if there is an error.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	ctx, cancel := withTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if k.gate != nil {
		if err := k.gate.enter(ctx); err != nil {
			e := answer{call: k}.fail(ErrUnavailable, err)
			e.RetryAfter = time.Second
			return answer{}, e
		}
		defer k.gate.leave()
	}
	limit := c.cfg.Timeout
	if !k.single {
		limit /= 2 // an attempt that hangs leaves time for another
	}
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, k, limit)
		if err == nil {
			return a, nil
		}
		busy := err.Status == http.StatusTooManyRequests
		overloaded := busy || err.Status == http.StatusServiceUnavailable
		again := err.Code == ErrUnavailable && attempt < attempts && ctx.Err() == nil &&
			(!k.single || busy) && (k.gate == nil || !overloaded)
		// The wait doubles from firstWait. The jitter adds up to half of it.
		wait := firstWait << (attempt - 1)
		wait = max(wait+rand.N(wait/2), err.RetryAfter)
		if end, _ := ctx.Deadline(); again && time.Until(end) > wait {
			c.cfg.Logger.DebugContext(ctx, "parajwt: call to Para failed; trying again",
				"environment", c.cfg.Environment.Name, "error", err, "in", wait)
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
			}
		}
		if err.Code == ErrUnavailable && ctx.Err() != nil {
			err.Cause = context.Cause(ctx)
		}
		return answer{}, err
	}
}

// The limits on calls that carry a user's input. A flood of junk must block
// neither other users nor the calls for imported sessions. The sum of the first
// two is therefore below maxConnections.
const (
	maxNewCalls   = 24   // in progress, for input that Para has not accepted recently
	maxKnownCalls = 8    // in progress, for tokens that Para accepted recently
	maxWaiting    = 1000 // callers that wait for a place
)

// gate bounds the calls in progress, and the callers that wait for a place.
type gate struct{ places, callers chan struct{} }

func newGate(places int) *gate {
	return &gate{make(chan struct{}, places), make(chan struct{}, places+maxWaiting)}
}

// enter waits for a place until ctx ends. It fails at once if too many callers
// wait.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.callers <- struct{}{}:
	default:
		return errors.New("too many calls are in progress")
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.callers
		return context.Cause(ctx)
	}
}

func (g *gate) leave() {
	<-g.places
	<-g.callers
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d,
		fmt.Errorf("no answer within %v: %w", d, context.DeadlineExceeded))
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, k call, limit time.Duration) (answer, *Error) {
	ctx, cancel := withTimeout(ctx, limit)
	defer cancel()
	a := answer{call: k}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+k.path,
		bytes.NewReader(k.body))
	if err != nil { // err quotes the URL
		return a, a.fail(ErrUnavailable, errors.New("the request could not be created"))
	}
	req.Header.Set("X-External-API-Key", k.key)
	if k.cookie != "" {
		req.Header.Set(cookieHeader, k.cookie)
		// The version of Para's SDK that these requests imitate.
		req.Header.Set("X-Para-Version", "2.18.0")
	}
	contentType := "application/x-www-form-urlencoded"
	if k.body != nil {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "parajwt")

	res, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return a, a.fail(ErrUnavailable, reason(ctx, err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	body := string(raw)
	a.status, a.cookie = res.StatusCode, res.Header.Get(cookieHeader)
	code := k.codes[a.status]
	refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	switch {
	case a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout,
		a.status >= 500:
		e := a.fail(ErrUnavailable, nil)
		e.RetryAfter = c.retryAfter(res.Header)
		return a, e
	case err != nil:
		return a, a.fail(ErrUnavailable,
			fmt.Errorf("the answer is truncated: %w", reason(ctx, err)))
	case len(body) > maxAnswer:
		err = fmt.Errorf("it is larger than %d KiB", maxAnswer>>10)
	case 300 <= a.status && a.status < 400:
		err = errors.New("redirects are not followed")
	case strings.HasPrefix(strings.TrimLeft(body, "\ufeff \t\r\n"), "<"):
		// The media type is not used, because Express sends plain text as
		// text/html.
		err = errors.New("it is a web page: is this Para's API, or the page of a proxy?")
	case refused && (code == "" || blamesKey(body)):
		return a, a.fail(ErrUnauthorizedKey, nil)
	case code != "":
		return a, a.fail(code, nil)
	case a.status == http.StatusOK:
		if k.fields != nil {
			a.doc, err = readAnswer(body, k.fields)
		}
		if err == nil && k.check != nil {
			return a, k.check(a)
		}
		if err == nil {
			return a, nil
		}
	}
	return a, a.fail(ErrUnexpectedAnswer, err)
}

// fail returns an error about a call or its response.
func (a answer) fail(code Code, cause error) *Error {
	e := &Error{Code: code, Method: http.MethodPost, Path: cmp.Or(a.call.name, a.call.path),
		Status: a.status, Cause: cause}
	if code == ErrUnauthorizedKey {
		e.Hint = "the API key is wrong or was rotated, or this server's IP address is not on the" +
			" key's allow-list"
	}
	return e
}

// blamesKey reports whether the message of a 401 or 403 names the API key or
// its allow-list of IP addresses as the reason. Para's reference for /v1
// documents 403 "invalid secret api key".
func blamesKey(body string) bool {
	doc, _ := readAnswer(body, of(note, "message error"))
	message := strings.ToLower(doc.get("message").text + " " + doc.get("error").text)
	message = strings.NewReplacer("-", "", "_", "", " ", "").Replace(message)
	return slices.ContainsFunc([]string{"apikey", "allowlist", "whitelist", "ipaddress"},
		func(subject string) bool { return strings.Contains(message, subject) })
}

// reason returns the cause of a failed request: the cause of the context if it
// ended. It replaces errors of package net/http that may quote the response,
// because the response may echo the API key.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var errno syscall.Errno
	switch {
	case errors.As(err, &op):
		return op
	case errors.As(err, &cert):
		return cert
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, http.ErrSchemeMismatch):
		return http.ErrSchemeMismatch
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errors.New("the connection failed, or the answer is not HTTP")
}

// retryAfter parses Retry-After as seconds or a date (RFC 9110 §10.2.3). It
// returns 0 for any other value, and at most maxRetryAfter.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, _ := http.ParseTime(value) // the zero time, which is past, if there is an error
	return min(max(at.Sub(c.cfg.Now()), 0), maxRetryAfter)
}
