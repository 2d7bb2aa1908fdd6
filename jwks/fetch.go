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

// answer is what one fetch brought.
type answer struct {
	notModified bool
	keys        map[string]*jose.Key
	skipped     []jose.Skipped
	etag        string
	fresh       time.Duration // from Cache-Control; negative when it says nothing
}

// errNoUsableKey is a key set that would lock everybody out.
var errNoUsableKey = errors.New("key set has no usable key")

// newClient returns a client that follows no redirect, whatever the caller's does: where keys come
// from is the configuration's to say. Its copy of the caller's client shares the transport; owned
// is whether there was none to share.
func newClient(from *http.Client) (client *http.Client, owned bool) {
	client = &http.Client{}
	if from != nil {
		*client = *from
	}
	if owned = client.Transport == nil; owned {
		client.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxResponseHeaderBytes: 64 << 10,
			// One request in minutes: a connection kept for the next one would only idle.
			DisableKeepAlives: true,
		}
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, owned
}

// get asks for the key set once, conditionally where there is one already that had an ETag
// (RFC 9110 §13.1.2). Last-Modified will not do: it has whole seconds, and a set that changes twice in one would
// stay for ever. It returns errNoUsableKey with the answer.
func get(ctx context.Context, client *http.Client, target, etag string, algorithms []string) (answer, error) {
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
		var ue *url.Error // quotes the URL, which is the operator's to show
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
		return a, fmt.Errorf("key set's server answered %d: redirects are not followed", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return a, fmt.Errorf("key set's server answered %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1))
	if err != nil {
		return a, fmt.Errorf("key set broke off: %w", err)
	}
	if len(body) > maxSetBytes {
		return a, fmt.Errorf("key set is larger than %d KiB", maxSetBytes>>10)
	}
	if a.keys, a.skipped, err = jose.ParseSet(string(body), algorithms); err != nil {
		return a, err
	}
	a.etag = res.Header.Get("ETag")
	if len(a.keys) == 0 {
		return a, errNoUsableKey
	}
	return a, nil
}

// freshness returns max-age less Age (RFC 9111 §4.2), 0 for what must not be kept, and a negative
// duration where the answer does not say.
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
