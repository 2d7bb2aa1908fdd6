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
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parajwt/parajwt/internal/strictjson"
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
)

// The headers of Para's SDK.
const (
	apiKeyHeader  = "X-External-API-Key"
	cookieHeader  = "X-Capsule-Sid"
	versionHeader = "X-Para-Version"
	// paraVersion is the version of Para's SDK that these requests imitate.
	paraVersion = "2.18.0"
)

// newHTTPClient returns a client that follows no redirects, whatever from does:
// Go would send API keys and cookies, which are in custom headers, to another
// host. The client shares from's transport.
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
			MaxConnsPerHost:        maxConnections,
			IdleConnTimeout:        30 * time.Second,
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
	name        string // the path for errors, without IDs
	header      map[string]string
	contentType string
	body        []byte
	says        map[int]Code // the meaning of statuses other than 200
	// safe allows repeating the call. Other calls are repeated only after 429,
	// which says that Para did nothing.
	safe bool
	// input marks a call that carries a user's input. It is not repeated after
	// 429 and 503, so that junk does not multiply while Para is overloaded.
	input bool
}

// answer is an answer of Para with status 200.
type answer struct {
	call   call
	body   string
	cookie string // a refreshed one, or ""
}

// do makes a call within Config.Timeout, and repeats it if that is safe and may
// help.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	ctx, cancel := withTimeout(ctx, c.timeout)
	defer cancel()
	limit := c.timeout
	if k.safe {
		limit /= 2 // an attempt that hangs leaves time for another
	}
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, k, limit)
		if err == nil {
			return a, nil
		}
		busy := err.Status == http.StatusTooManyRequests
		overloaded := busy || err.Status == http.StatusServiceUnavailable
		switch {
		case err.Code != ErrUnavailable:
			return answer{}, err
		case ctx.Err() != nil:
			err.Cause = context.Cause(ctx)
			return answer{}, err
		case attempt == attempts, !k.safe && !busy, k.input && overloaded:
			return answer{}, err
		}
		wait := max(backoff(attempt), err.RetryAfter)
		if end, _ := ctx.Deadline(); time.Until(end) <= wait {
			return answer{}, err
		}
		c.logger.LogAttrs(ctx, slog.LevelDebug, "parajwt: Para did not answer; trying again",
			slog.String("environment", c.environment.Name), slog.Any("error", err),
			slog.Duration("in", wait))
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
	return context.WithTimeoutCause(ctx, d,
		fmt.Errorf("no answer within %v: %w", d, context.DeadlineExceeded))
}

// backoff doubles from firstWait. Its jitter only lengthens the wait.
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
	if err != nil { // err would quote the URL
		return answer{}, fail(ErrUnavailable, 0, errors.New("the request cannot be made"))
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
		return answer{}, fail(ErrUnavailable, 0, reason(ctx, err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	a := answer{call: k, body: string(body), cookie: res.Header.Get(cookieHeader)}
	status := res.StatusCode
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		e := fail(ErrUnavailable, status, nil)
		e.RetryAfter = c.retryAfter(res.Header)
		return answer{}, e
	case err != nil:
		return answer{}, fail(ErrUnavailable, status,
			fmt.Errorf("the answer broke off: %w", reason(ctx, err)))
	case len(body) > maxAnswer:
		return answer{}, fail(ErrUnexpectedAnswer, status,
			fmt.Errorf("it is larger than %d KiB", maxAnswer>>10))
	case 300 <= status && status < 400:
		return answer{}, fail(ErrUnexpectedAnswer, status, errors.New("redirects are not followed"))
	case a.isPage():
		return answer{}, fail(ErrUnexpectedAnswer, status,
			errors.New("it is a web page: is this Para's API, or a proxy that speaks for it?"))
	case status == http.StatusOK:
		return a, nil
	}
	code, ok := k.says[status]
	switch refused := status == http.StatusUnauthorized || status == http.StatusForbidden; {
	case refused && a.blamesKey(), code == ErrUnauthorizedKey:
		e := fail(ErrUnauthorizedKey, status, nil)
		e.Hint = keyHint
		return answer{}, e
	case ok:
		return answer{}, fail(code, status, nil)
	}
	return answer{}, fail(ErrUnexpectedAnswer, status, nil)
}

// blamesKey reports whether the message of a 401 or 403 is about the API key or
// its allow-list of IP addresses, rather than about the login. Para's reference
// for /v1 has 403 "invalid secret api key".
func (a answer) blamesKey() bool {
	message := ""
	err := a.read(func(d *strictjson.Decoder, name string) {
		if (name == "message" || name == "error") && d.Peek() == '"' {
			message += " " + d.String()
		}
	})
	if err != nil {
		return false
	}
	message = strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(message))
	return strings.Contains(message, "apikey") || strings.Contains(message, "allowlist") ||
		strings.Contains(message, "whitelist") || strings.Contains(message, "ipaddress")
}

// reason returns the cause of a failed request, which is the context's if that
// ended. Many errors of package http quote the answer, which may echo the API
// key; these are replaced.
func reason(ctx context.Context, err error) error {
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

// retryAfter parses Retry-After as seconds or a date (RFC 9110 §10.2.3), and
// returns 0 for anything else.
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

// isPage reports whether the answer is a web page, such as a proxy's or a
// portal's. The media type does not tell: Express sends plain text as text/html.
func (a answer) isPage() bool {
	return strings.HasPrefix(strings.TrimLeft(a.body, "\ufeff \t\r\n"), "<")
}

// fail returns an error about an answer with status 200.
func (a answer) fail(code Code, cause error) *Error {
	return &Error{Code: code, Method: a.call.method, Path: a.call.name,
		Status: http.StatusOK, Cause: cause}
}

// unexpected returns the error of an answer that Para does not document.
func (a answer) unexpected(what string) *Error {
	return a.fail(ErrUnexpectedAnswer, errors.New(what))
}

// read parses the answer as one strict JSON object. It skips members that the
// function does not read. It returns an [*Error] or nil.
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
		e.Cause = fmt.Errorf("it is not the JSON of Para's API, but has %d bytes: %w", len(a.body), err)
		return e
	}
	return nil
}

// texts parses the answer and sets members that are strings or null.
func (a answer) texts(members map[string]*string) error {
	return a.read(func(d *strictjson.Decoder, name string) {
		if into := members[name]; into != nil {
			*into = readText(d)
		}
	})
}

// readText reads a string, or "" for null, which JavaScript writes for what is
// absent. The result is a copy: it does not keep the text around it in memory.
func readText(d *strictjson.Decoder) string {
	if d.Null() {
		return ""
	}
	return strings.Clone(d.String())
}

// readBool reads a boolean; null is false.
func readBool(d *strictjson.Decoder) bool {
	c := d.Peek()
	d.Skip()
	if c != 't' && c != 'f' && c != 'n' {
		d.Fail("not true or false")
	}
	return c == 't'
}
