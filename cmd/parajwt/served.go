package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/parajwt/parajwt/jwks"
)

// tape is a transport that keeps what the cache reads, so that what is shown is what the cache saw and
// not a second answer.
type tape struct {
	next http.RoundTripper
	res  *http.Response
	body bytes.Buffer
}

func newTape() *tape {
	return &tape{next: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DisableKeepAlives: true,
	}}
}

func (t *tape) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	t.res = res
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(res.Body, &t.body), res.Body}
	return res, nil
}

// tell adds to the report how the server answered.
func (t *tape) tell(r *keysReport) {
	if t.res == nil {
		return
	}
	r.Status, r.Bytes = t.res.StatusCode, t.body.Len()
	r.ContentType = t.res.Header.Get("Content-Type")
	r.CacheControl = strings.Join(t.res.Header.Values("Cache-Control"), ", ")
}

// servedKey is a key as it is served, and what the cache makes of it.
type servedKey struct {
	Index     int    `json:"index"` // its place in the set
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"kty,omitempty"`
	Bits      int    `json:"bits,omitempty"`  // of an RSA modulus
	Curve     string `json:"curve,omitempty"` // of every other key
	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
	UsedAs    string `json:"usedAs,omitempty"`
	Skipped   string `json:"skipped,omitempty"`
}

// servedKeys reads the set as any reader would, beside the cache's verdicts. The members that are shown are
// those that are public in every type of key.
func servedKeys(ctx context.Context, body []byte, cache *jwks.Cache) []servedKey {
	var set map[string]json.RawMessage
	var raws []json.RawMessage
	keys := []servedKey{}
	if json.Unmarshal(body, &set) != nil || json.Unmarshal(set["keys"], &raws) != nil {
		return keys
	}
	status := cache.Status()
	skipped := make(map[int]string)
	for _, s := range status.Skipped {
		skipped[s.Index] = s.Reason
	}
	for i, text := range raws {
		var raw map[string]any
		if json.Unmarshal(text, &raw) != nil {
			raw = nil // not an object; the cache says so
		}
		k := servedKey{
			Index: i, KeyID: served(raw["kid"]), Type: served(raw["kty"]), Curve: served(raw["crv"]),
			Algorithm: served(raw["alg"]), Use: served(raw["use"]), Skipped: skipped[i],
		}
		if n, isText := raw["n"].(string); isText && k.Type == "RSA" {
			modulus, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(n, "="))
			k.Bits = new(big.Int).SetBytes(modulus).BitLen()
		}
		switch {
		case k.Skipped != "":
		case !slices.Contains(status.KeyIDs, k.KeyID):
			k.Skipped = "the set as a whole is refused"
		default:
			if key, err := cache.Key(ctx, k.KeyID); err == nil {
				k.UsedAs = key.Algorithm()
			}
		}
		keys = append(keys, k)
	}
	return keys
}

// served writes a member as it is served: a string as its text, anything else as JSON.
func served(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, _ := json.Marshal(v)
	return string(text)
}

func (k servedKey) size() string {
	switch {
	case k.Bits > 0:
		return fmt.Sprintf("%d bits", k.Bits)
	case k.Curve != "":
		return printable(k.Curve)
	}
	return "-"
}

func (k servedKey) usedAs() string {
	if k.UsedAs != "" {
		return k.UsedAs
	}
	return "nothing; skipped: " + k.Skipped
}
