package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parajwt/parajwt/internal/jose"
)

const maxETagBytes = 1 << 10

// answer is the result of a fetch.
type answer struct {
	notModified bool
	keys        map[string]*jose.Key
	skipped     []jose.Skipped
	etag        string
	fresh       time.Duration // from Cache-Control; negative if it has no such directive
}

// errNoUsableKey means that no token could be verified with the key set.
var errNoUsableKey = errors.New("key set has no usable key")

// newTransport is used if there is no Config.HTTPClient.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		MaxResponseHeaderBytes: 64 << 10,
		// Requests are minutes apart, so a kept connection would only idle.
		DisableKeepAlives: true,
	}
}

// get fetches the key set once. The request is conditional if etag is not empty
// (RFC 9110 §13.1.2). Last-Modified is not used: it has a resolution of a
// second, so a second change within that second would be missed. get returns
// errNoUsableKey together with the answer.
func get(
	ctx context.Context, client *http.Client, target, etag string, algorithms []string,
) (answer, error) {
	a := answer{fresh: -1}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return a, errors.New("key set's URL is not valid")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "parajwt")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := client.Do(req)
	if err != nil {
		var ue *url.Error // quotes the URL, which may hold a secret
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return a, fmt.Errorf("key set cannot be fetched: %w", err)
	}
	defer res.Body.Close()
	a.fresh = freshness(res.Header)

	switch {
	case res.StatusCode == http.StatusNotModified && etag != "":
		a.notModified = true
		return a, nil
	case res.StatusCode >= 300 && res.StatusCode < 400 && res.StatusCode != http.StatusNotModified:
		return a, fmt.Errorf("key set's server answered %d: redirects are not followed",
			res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return a, fmt.Errorf("key set's server answered %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1))
	if err != nil {
		return a, fmt.Errorf("key set's body could not be read: %w", err)
	}
	if len(body) > maxSetBytes {
		return a, fmt.Errorf("key set is larger than %d KiB", maxSetBytes>>10)
	}
	if a.keys, a.skipped, err = jose.ParseSet(string(body), algorithms); err != nil {
		return a, err
	}
	if etag := res.Header.Get("ETag"); validETag(etag) {
		a.etag = etag
	}
	if len(a.keys) == 0 {
		return a, errNoUsableKey
	}
	return a, nil
}

// validETag reports whether s is an entity tag (RFC 9110 §8.8.3) of at most
// 1 KiB. Others are not sent back, because a server might refuse the request.
func validETag(s string) bool {
	tag := strings.TrimPrefix(s, "W/")
	if len(s) > maxETagBytes || len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return false
	}
	for _, c := range []byte(tag[1 : len(tag)-1]) {
		if c < '!' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// freshness returns max-age less Age (RFC 9111 §4.2). It returns 0 for an
// answer that must not be cached, and a negative duration without such a
// directive.
func freshness(h http.Header) time.Duration {
	fresh := time.Duration(-1)
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if d, ok := seconds(strings.Trim(value, `"`)); ok {
				fresh = d
			}
		}
	}
	if age, ok := seconds(h.Get("Age")); ok && fresh >= 0 {
		fresh = max(0, fresh-age)
	}
	return fresh
}

func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	return time.Duration(n) * time.Second, err == nil
}
