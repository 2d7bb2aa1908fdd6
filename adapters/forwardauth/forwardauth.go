// Package forwardauth verifies Para users for a reverse proxy: nginx
// auth_request, Caddy forward_auth, Traefik forwardAuth, HAProxy with Lua, or
// Envoy ext_authz over HTTP. The application behind the proxy, in any language,
// gets the user in the header fields of [Fields].
//
// A Go service does not need it. Package parahttp verifies a token in the
// service itself, for a fraction of the cost. docs/gateway.md of the repository
// compares the two. It has a configuration for each proxy. Those for nginx,
// Caddy and HAProxy are tested.
//
// The application can trust the fields if three rules are kept:
//
//   - Clients reach the application through the proxy only.
//   - The proxy removes these fields from the requests of clients, including
//     names with underscores instead of hyphens.
//   - The application refuses a request without X-Para-User-Id. The value "-"
//     means that there is no user ID: the request is anonymous, or its user
//     comes from a verification token.
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
	maxValue  = 512     // bytes of each value except X-Para-Wallets
	maxValues = 3 << 10 // bytes of all values: nginx reads the header of an answer into 4 KiB
)

// Fields returns the names of the header fields of every 200 response. They
// carry fields of [claims.Claims]. All characters except unreserved ones are
// percent-encoded (RFC 3986 §2.1). The value "-" means no value; a literal "-"
// is "%2D". A value of more than 512 bytes is replaced by "-", except for
// X-Para-Wallets and for X-Para-User-Id, which [Require] refuses. Together, the
// values have at most 3 KiB.
//
//   - X-Para-User-Id: UserID. It is "-" for a user of a verification token.
//   - X-Para-Auth-Type: AuthType.
//   - X-Para-Identifier: Identifier.
//   - X-Para-Wallets: the Wallets with an address, as
//     TYPE:address,TYPE:address. The list ends before the first wallet that
//     does not fit into the 3 KiB.
//   - X-Para-Token-Id: TokenID, for audit logs. It is not a credential.
//   - X-Para-Expires: ExpiresAt, in seconds since 1970.
func Fields() []string {
	return []string{"X-Para-User-Id", "X-Para-Auth-Type", "X-Para-Identifier",
		"X-Para-Wallets", "X-Para-Token-Id", "X-Para-Expires"}
}

// Require returns a handler that verifies the token of a request. It responds
// with 200 and the user in [Fields] if the request has a verified Para user. It
// responds to every other request as [middleware.Error.Answer] describes, and
// never redirects.
//
// Only the token decides. Path, method, host and X-Forwarded-* have no effect,
// because proxies forward forged ones. OnRefusal does not apply, because the
// proxy decides by the status.
//
// A user ID of more than 512 bytes, percent-encoded, is refused with 403. A
// request whose Connection field names an X-Para field is refused with 400,
// because a proxy would remove the genuine field (RFC 9110 §7.6.1).
//
// The handler is safe for concurrent use by multiple goroutines.
func Require(v *middleware.Validator, opts ...middleware.Option) http.Handler {
	return handler{middleware.Require(v, withRule(opts)...)}
}

// Optional is like [Require], but responds with 200 to a request without a
// token. Every field is then "-".
func Optional(v *middleware.Validator, opts ...middleware.Option) http.Handler {
	return handler{middleware.Optional(v, withRule(opts)...)}
}

func withRule(opts []middleware.Option) []middleware.Option {
	return append(opts[:len(opts):len(opts)], middleware.Allow(userIDFits))
}

// userIDFits refuses a user ID that does not fit into its field, because a
// truncated ID could be that of another user.
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
		w.Write(body) // an error means that the proxy closed the connection
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

// wallets returns the value of X-Para-Wallets, of at most size bytes.
func wallets(of []claims.Wallet, size int) string {
	var b strings.Builder
	for _, w := range of {
		if w.Address == "" {
			continue
		}
		entry := "," + encode(string(w.Type)) + ":" + encode(w.Address)
		if b.Len()+len(entry) > size+1 { // the first comma is removed
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

// encode percent-encodes s. The result contains neither a space nor "+", so
// decoders of paths and of queries return the same string.
func encode(s string) string {
	switch s {
	case "":
		return "-"
	case "-":
		return "%2D"
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
