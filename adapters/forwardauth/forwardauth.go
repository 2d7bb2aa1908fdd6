// Package forwardauth answers a reverse proxy that asks who is calling: nginx
// auth_request, Caddy forward_auth, Traefik forwardAuth, HAProxy with Lua,
// Envoy ext_authz over HTTP. The application behind the proxy, in any language,
// gets the user in the header fields of [Fields].
//
// A Go service does better without it: package parahttp verifies a token in the
// service itself, for a fraction of the cost. docs/gateway.md of the repository
// compares the two, and has a tested configuration for each proxy.
//
// Three rules make the fields trustworthy. The application is reachable through
// the proxy only. The proxy removes these fields from what clients send, also
// when written with underscores. The application refuses a request without
// X-Para-User-Id.
package forwardauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

const (
	maxValue  = 512     // bytes of each value but that of X-Para-Wallets
	maxValues = 3 << 10 // bytes together: nginx reads the header of an answer into 4 KiB
)

// Fields returns the names of the header fields that every 200 has. Their
// values are percent-encoded (RFC 3986 §2.1, all but unreserved characters), at
// most 3 KiB together. The value "-" means no value; a literal "-" is "%2D".
//
//   - X-Para-User-Id: claims.Claims.UserID.
//   - X-Para-Auth-Type: AuthType.
//   - X-Para-Identifier: Identifier, or "-" if it is over 512 bytes.
//   - X-Para-Wallets: the Wallets with an address, as TYPE:address,TYPE:address.
//     Wallets that do not fit into 3 KiB are left out, the last ones first.
//   - X-Para-Token-Id: TokenID, for audit logs. It is not a credential.
//   - X-Para-Expires: ExpiresAt, in seconds since 1970.
func Fields() []string {
	return []string{"X-Para-User-Id", "X-Para-Auth-Type", "X-Para-Identifier",
		"X-Para-Wallets", "X-Para-Token-Id", "X-Para-Expires"}
}

// Require returns a handler that responds to a request with a verified Para
// user with 200 and the user in [Fields]. It refuses every other request with
// the default response of [middleware.Error.Answer], and never redirects.
//
// The token alone decides. Path, method, host and X-Forwarded-* have no effect,
// because proxies pass on forged ones. OnRefusal does not apply, because the
// proxy lets a request pass by the status. A user ID that is over 512 bytes in
// its encoding is refused with 403. A Connection field that names an X-Para
// field is refused with 400, because a proxy would remove the genuine field
// (RFC 9110 §7.6.1). Safe for concurrent use by multiple goroutines.
func Require(v *middleware.Validator, opts ...middleware.Option) http.Handler {
	return handler{middleware.Require(v, withRule(opts)...)}
}

// Optional is [Require] that also responds to a request without a token with
// 200. Every field is then "-".
func Optional(v *middleware.Validator, opts ...middleware.Option) http.Handler {
	return handler{middleware.Optional(v, withRule(opts)...)}
}

func withRule(opts []middleware.Option) []middleware.Option {
	return append(opts[:len(opts):len(opts)], middleware.Allow(userIDFits))
}

// userIDFits refuses what cannot be passed on whole: a user ID that is cut
// could be that of another user.
func userIDFits(_ context.Context, user *claims.Claims) error {
	if n := len(encode(user.UserID)); n > maxValue {
		return fmt.Errorf("the user ID has %d bytes in a header field: at most %d", n, maxValue)
	}
	return nil
}

type handler struct{ guard *middleware.Guard }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if namesField(r.Header["Connection"]) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`{"type":"about:blank","title":"Bad Request","status":400}` + "\n"))
		return
	}
	verified, refusal := h.guard.Check(r)
	if refusal != nil {
		status, header, body := h.guard.Answer(refusal)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		w.Write(body) // an error means that the proxy is gone
		return
	}
	user, ok := claims.FromContext(verified.Context())
	if !ok {
		user = new(claims.Claims)
	}
	w.Header().Set("Cache-Control", "no-store") // a cached answer would outlive a revocation
	of := values(user)
	for i, name := range Fields() {
		w.Header().Set(name, of[i])
	}
}

// namesField reports whether a Connection field names an X-Para field.
func namesField(connection []string) bool {
	for name := range strings.SplitSeq(strings.ToLower(strings.Join(connection, ",")), ",") {
		if strings.HasPrefix(strings.Trim(name, " \t"), "x-para-") {
			return true
		}
	}
	return false
}

// values returns the values of Fields.
func values(user *claims.Claims) [6]string {
	v := [6]string{
		encode(user.UserID), upTo(maxValue, encode(string(user.AuthType))),
		upTo(maxValue, encode(user.Identifier)), "", upTo(maxValue, encode(user.TokenID)), "-",
	}
	if !user.ExpiresAt.IsZero() {
		v[5] = strconv.FormatInt(user.ExpiresAt.Unix(), 10)
	}
	v[3] = wallets(user.Wallets, maxValues-len(strings.Join(v[:], "")))
	return v
}

// wallets returns whole entries of at most size bytes.
func wallets(of []claims.Wallet, size int) string {
	var b strings.Builder
	for _, w := range of {
		if w.Address == "" {
			continue
		}
		entry := "," + encode(string(w.Type)) + ":" + encode(w.Address)
		if b.Len()+len(entry) > size+1 { // the first comma goes
			break
		}
		b.WriteString(entry)
	}
	return upTo(size, strings.TrimPrefix(b.String(), ","))
}

// upTo returns value, or "-" if it is empty or longer than size bytes.
func upTo(size int, value string) string {
	if value == "" || len(value) > size {
		return "-"
	}
	return value
}

// encode returns s in the form that decoders of paths and of queries read
// alike: neither a space nor "+" is left.
func encode(s string) string {
	switch s {
	case "":
		return "-"
	case "-":
		return "%2D"
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
