package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
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
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	return client
}

// call is one POST request to Para.
type call struct {
	path     string // with its query, as it is sent
	name     string // the path for errors, without IDs; by default path
	header   map[string]string
	body     []byte       // JSON, or nil
	says     map[int]Code // the meaning of statuses other than 200
	fields   []field      // of the answer; nil if it is not read
	required []string     // those that must be present
	// single marks a call that is repeated only after 429, which says that Para
	// did nothing.
	single bool
	// input marks a call that carries a user's input. It is not repeated after
	// 429 and 503, so that junk does not multiply while Para is overloaded.
	input bool
}

// denied is the meaning of 401 and 403.
func denied(code Code) map[int]Code {
	return map[int]Code{http.StatusUnauthorized: code, http.StatusForbidden: code}
}

// answer is an answer of Para with status 200.
type answer struct {
	call   call
	doc    node
	cookie string // a refreshed one, or ""
}

// do makes a call within Config.Timeout, and repeats it if it may and that may
// help.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	ctx, cancel := withTimeout(ctx, c.timeout)
	defer cancel()
	limit := c.timeout
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
			(!k.single || busy) && !(k.input && overloaded)
		wait := max(backoff(attempt), err.RetryAfter)
		if end, _ := ctx.Deadline(); again && time.Until(end) > wait {
			c.logger.LogAttrs(ctx, slog.LevelDebug, "parajwt: Para did not answer; trying again",
				slog.String("environment", c.environment.Name), slog.Any("error", err),
				slog.Duration("in", wait))
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
	status := 0
	fail := func(code Code, cause error) (answer, *Error) {
		return answer{}, k.fail(code, status, cause)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+k.path,
		bytes.NewReader(k.body))
	if err != nil { // err would quote the URL
		return fail(ErrUnavailable, errors.New("the request cannot be made"))
	}
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
	contentType := "application/x-www-form-urlencoded"
	if k.body != nil {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "parajwt")

	res, err := c.http.Do(req)
	if err != nil {
		return fail(ErrUnavailable, reason(ctx, err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	body := string(raw)
	status = res.StatusCode
	code, known := k.says[status]
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		_, e := fail(ErrUnavailable, nil)
		e.RetryAfter = c.retryAfter(res.Header)
		return answer{}, e
	case err != nil:
		return fail(ErrUnavailable, fmt.Errorf("the answer broke off: %w", reason(ctx, err)))
	case len(body) > maxAnswer:
		return fail(ErrUnexpectedAnswer, fmt.Errorf("it is larger than %d KiB", maxAnswer>>10))
	case 300 <= status && status < 400:
		return fail(ErrUnexpectedAnswer, errors.New("redirects are not followed"))
	case isPage(body):
		return fail(ErrUnexpectedAnswer,
			errors.New("it is a web page: is this Para's API, or a proxy that speaks for it?"))
	case status == http.StatusOK:
		doc, err := k.read(body)
		if err != nil {
			return fail(ErrUnexpectedAnswer, err)
		}
		return answer{k, doc, res.Header.Get(cookieHeader)}, nil
	case refused && blamesKey(body):
		return fail(ErrUnauthorizedKey, nil)
	case known:
		return fail(code, nil)
	}
	return fail(ErrUnexpectedAnswer, nil)
}

// read reads an answer with status 200.
func (k call) read(body string) (node, error) {
	if k.fields == nil {
		return node{}, nil
	}
	doc, err := readAnswer(body, k.fields)
	for _, name := range k.required {
		if err == nil && doc.get(name).text == "" {
			err = errors.New("it has no " + name)
		}
	}
	return doc, err
}

func readAnswer(body string, fields []field) (node, error) {
	r := reader{Decoder: strictjson.New(body)}
	return r.document(fields)
}

// fail returns an error about a call or its answer.
func (k call) fail(code Code, status int, cause error) *Error {
	e := &Error{Code: code, Method: http.MethodPost, Path: cmp.Or(k.name, k.path),
		Status: status, Cause: cause}
	if code == ErrUnauthorizedKey {
		e.Hint = "wrong or rotated key, or this server's IP is not on the key's allow-list"
	}
	return e
}

// fail returns an error about an answer with status 200.
func (a answer) fail(code Code, cause error) *Error {
	return a.call.fail(code, http.StatusOK, cause)
}

// blamesKey reports whether the message of a 401 or 403 is about the API key or
// its allow-list of IP addresses, rather than about the login. Para's reference
// for /v1 has 403 "invalid secret api key".
func blamesKey(body string) bool {
	doc, err := readAnswer(body, of(note, "message error"))
	if err != nil {
		return false
	}
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
	for _, known := range []error{
		as[*net.OpError](err), as[*tls.CertificateVerificationError](err), as[syscall.Errno](err),
		http.ErrSchemeMismatch, context.DeadlineExceeded,
	} {
		if known != nil && errors.Is(err, known) {
			return known
		}
	}
	return errors.New("the connection broke, or the answer is not HTTP")
}

// as returns the cause of err that is of type E, or nil.
func as[E error](err error) error {
	var cause E
	if errors.As(err, &cause) {
		return cause
	}
	return nil
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
// portal's. The media type does not tell: Express sends plain text as
// text/html.
func isPage(body string) bool {
	return strings.HasPrefix(strings.TrimLeft(body, "\ufeff \t\r\n"), "<")
}
