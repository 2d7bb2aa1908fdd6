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
	maxAnswer = 64 << 10
	// maxConnections is the number of connections to Para.
	maxConnections = 64
	// attempts is the maximum number of attempts of a call.
	attempts = 3
	// firstWait is the wait before the second attempt; the third waits twice as
	// long.
	firstWait = 250 * time.Millisecond
	// maxRetryAfter is the longest Retry-After that is believed.
	maxRetryAfter = 24 * time.Hour
	// cookieHeader has the session cookie, in requests and in answers.
	cookieHeader = "X-Capsule-Sid"
)

// newTransport is used if Config.HTTPClient has no transport.
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
	name   string // the path for errors, without IDs; by default path
	key    string // an API key
	cookie string // the session's, or ""
	body   []byte // JSON, or nil
	// says is the meaning of statuses other than 200. By default, 401 and 403
	// are about the API key.
	says   map[int]Code
	fields []field             // of an answer with status 200; nil if it is not read
	check  func(answer) *Error // decides whether such an answer is good; nil if it is
	// single marks a call that is repeated only after 429, which says that Para
	// did nothing.
	single bool
	// gate bounds the calls that carry a user's input; nil for others. These
	// calls are not repeated after 429 and 503, so that junk does not multiply
	// while Para is overloaded.
	gate *gate
}

// answer is an answer of Para.
type answer struct {
	call   call
	status int    // 0 if there was no answer
	doc    node   // the zero node unless the status is 200
	cookie string // a refreshed one, or ""
}

// do makes a call within Config.Timeout, and repeats it if it may and that may
// help. It returns the zero answer if there is an error.
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
		// It doubles from firstWait. The jitter only lengthens it.
		wait := firstWait << (attempt - 1)
		wait = max(wait+rand.N(wait/2), err.RetryAfter)
		if end, _ := ctx.Deadline(); again && time.Until(end) > wait {
			c.cfg.Logger.DebugContext(ctx, "parajwt: Para did not answer; trying again",
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

// The limits on calls that carry a user's input. Whoever sends junk must not
// keep other users, or the calls for imported sessions, from reaching Para.
// Together, they stay below maxConnections.
const (
	maxNewCalls   = 24   // under way, for input that Para has not accepted lately
	maxKnownCalls = 8    // under way, for tokens that it has
	maxWaiting    = 1000 // callers that wait for a place
)

// gate bounds the calls under way, and the callers that wait for a place.
type gate struct{ places, callers chan struct{} }

func newGate(places int) *gate {
	return &gate{make(chan struct{}, places), make(chan struct{}, places+maxWaiting)}
}

// enter waits for a place until ctx ends. It fails at once if too many wait.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.callers <- struct{}{}:
	default:
		return errors.New("too many calls are under way")
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
	if err != nil { // err would quote the URL
		return a, a.fail(ErrUnavailable, errors.New("the request cannot be made"))
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
	code := k.says[a.status]
	refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	switch {
	case a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout,
		a.status >= 500:
		e := a.fail(ErrUnavailable, nil)
		e.RetryAfter = c.retryAfter(res.Header)
		return a, e
	case err != nil:
		return a, a.fail(ErrUnavailable, fmt.Errorf("the answer broke off: %w", reason(ctx, err)))
	case len(body) > maxAnswer:
		err = fmt.Errorf("it is larger than %d KiB", maxAnswer>>10)
	case 300 <= a.status && a.status < 400:
		err = errors.New("redirects are not followed")
	case strings.HasPrefix(strings.TrimLeft(body, "\ufeff \t\r\n"), "<"):
		// The media type does not tell: Express sends plain text as text/html.
		err = errors.New("it is a web page: is this Para's API, or a proxy that speaks for it?")
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

// fail returns an error about a call or its answer.
func (a answer) fail(code Code, cause error) *Error {
	e := &Error{Code: code, Method: http.MethodPost, Path: cmp.Or(a.call.name, a.call.path),
		Status: a.status, Cause: cause}
	if code == ErrUnauthorizedKey {
		e.Hint = "wrong or rotated key, or this server's IP is not on the key's allow-list"
	}
	return e
}

// blamesKey reports whether the message of a 401 or 403 is about the API key or
// its allow-list of IP addresses, rather than about the login. Para's reference
// for /v1 has 403 "invalid secret api key".
func blamesKey(body string) bool {
	doc, _ := readAnswer(body, of(note, "message error"))
	message := strings.ToLower(doc.get("message").text + " " + doc.get("error").text)
	message = strings.NewReplacer("-", "", "_", "", " ", "").Replace(message)
	return slices.ContainsFunc([]string{"apikey", "allowlist", "whitelist", "ipaddress"},
		func(subject string) bool { return strings.Contains(message, subject) })
}

// reason returns the cause of a failed request, which is the context's if that
// ended. Many errors of package http quote the answer, which may echo the API
// key; these are replaced.
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
	return errors.New("the connection broke, or the answer is not HTTP")
}

// retryAfter parses Retry-After as seconds or a date (RFC 9110 §10.2.3), and
// returns 0 for anything else.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, _ := http.ParseTime(value) // the zero time, which is past, for anything else
	return min(max(at.Sub(c.cfg.Now()), 0), maxRetryAfter)
}
