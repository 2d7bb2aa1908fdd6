package middleware

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
)

// TokenSource returns the token in one place of a request. It returns "" if the
// place is empty, and an error if it has something other than one token. The
// error refuses the request with [ErrMalformed]. A TokenSource must be safe for
// concurrent use by multiple goroutines.
type TokenSource func(*http.Request) (string, error)

var (
	errManyHeaders = errors.New("the header field that carries the token is present more than once")
	errNotBearer   = errors.New("the Authorization header is not a Bearer token")
	errEmptyToken  = errors.New("the token is empty")
	errNotOneToken = errors.New("the header field is not exactly one token")
	errManyCookies = errors.New("the cookie that carries the token is present more than once")
	errBadCookie   = errors.New("the cookie that carries the token is not well-formed")
	errLongHeader  = errors.New("the header field that carries the token is too long")
	errLongCookies = errors.New("the request has more than 32 KiB of cookies")
	errProtocols   = errors.New(`Sec-WebSocket-Protocol does not begin with "para.jwt, <token>"`)
)

const (
	// maxHeaderBytes is room for the largest token that Config.MaxTokenBytes
	// allows. A longer field is refused before it is parsed.
	maxHeaderBytes = 64<<10 + 64
	// maxCookieBytes bounds the work of one search for a cookie.
	maxCookieBytes = 32 << 10
)

// FromAuthorization finds the token in the Authorization header (RFC 6750
// §2.1). The header has one field: the scheme Bearer in any case, one or more
// spaces, and the token (RFC 9110 §11.4). Any other content is an error, so
// that junk does not count as an anonymous request. FromAuthorization is the
// default source.
func FromAuthorization() TokenSource { return fromAuthorization }

func fromAuthorization(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", errManyHeaders
	}
	const scheme = "Bearer"
	value := values[0]
	if len(value) > maxHeaderBytes {
		return "", errLongHeader
	}
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", errNotBearer
	}
	rest := value[len(scheme):]
	token := strings.TrimLeft(rest, " ")
	switch {
	case token == "":
		return "", errEmptyToken
	case len(token) == len(rest):
		return "", errNotBearer
	case strings.IndexByte(token, ' ') >= 0: // the validator refuses other characters
		return "", errNotOneToken
	}
	return token, nil
}

// FromCookie finds the token in the cookie with this name (RFC 6265 §4.2). Two
// cookies with the name are an error, because another host of the same domain
// may have set one. An empty or malformed cookie and more than 32 KiB of
// cookies are errors too.
//
// Browsers send cookies with requests that other sites cause. An app that uses
// this source needs a defence against cross-site request forgery, such as
// [http.CrossOriginProtection], and sets the cookie with Secure, HttpOnly and
// SameSite.
func FromCookie(name string) TokenSource {
	return func(r *http.Request) (string, error) {
		size, found, value := 0, false, ""
		for _, line := range r.Header["Cookie"] {
			if size += len(line); size > maxCookieBytes {
				return "", errLongCookies
			}
			for len(line) > 0 {
				var pair string
				pair, line, _ = strings.Cut(line, ";")
				key, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
				switch {
				case strings.Trim(key, " \t") != name:
				case found:
					return "", errManyCookies
				default:
					found, value = true, v
				}
			}
		}
		switch {
		case !found:
			return "", nil
		case len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"':
			value = value[1 : len(value)-1] // RFC 6265 §4.1.1 allows quotation marks around it
		}
		if value == "" {
			return "", errEmptyToken
		}
		for i := range len(value) {
			if c := value[i]; c <= ' ' || c > '~' || c == '"' || c == ',' || c == '\\' {
				return "", errBadCookie // RFC 6265 §4.1.1, cookie-octet
			}
		}
		return value, nil
	}
}

// FromHeader finds the token in the header field with this name, such as
// X-Para-Verification-Token. The field contains the token alone. An empty
// field, a second field, a space or a comma is an error.
func FromHeader(name string) TokenSource {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, error) {
		values := r.Header[name]
		switch {
		case len(values) == 0:
			return "", nil
		case len(values) > 1:
			return "", errManyHeaders
		case values[0] == "":
			return "", errEmptyToken
		case len(values[0]) > maxHeaderBytes:
			return "", errLongHeader
		case strings.ContainsAny(values[0], " \t,"):
			return "", errNotOneToken
		}
		return values[0], nil
	}
}

const (
	webSocketProtocols = "Sec-Websocket-Protocol" // canonical form of RFC 6455 §11.3.4
	webSocketOffer     = "para.jwt"
)

// FromWebSocketProtocol finds the token in Sec-WebSocket-Protocol (RFC 6455
// §11.3.4), the only header field that JavaScript can set on a WebSocket:
//
//	new WebSocket(url, ["para.jwt", token, "chat.v1"])
//
// The field lists "para.jwt", then the token, then the app's protocols.
// "para.jwt" in any other place, without a token or twice is an error. The
// server selects "para.jwt" or one of the app's protocols. The guard removes
// the token from the field, so that no handler selects it. Inner guards still
// find it. The guard removes the whole field if that has more than 64 KiB.
//
// Browsers let any site open a WebSocket to any server (RFC 6455 §10.2). They
// add cookies to that request, but not this token.
func FromWebSocketProtocol() TokenSource {
	return func(r *http.Request) (string, error) {
		values := r.Header[webSocketProtocols]
		if s := stripped(r); s != nil {
			values = s.sent
		}
		if totalLen(values) > maxHeaderBytes {
			return "", errLongHeader
		}
		first, token := "", ""
		n, offers := 0, 0
		for item := range protocols(values) {
			switch n++; {
			case n == 1:
				first = item
			case n == 2:
				token = item
			}
			if isOffer(item) {
				offers++
			}
		}
		switch {
		case offers == 0:
			return "", nil
		case offers > 1 || first != webSocketOffer || token == "":
			return "", errProtocols
		}
		return token, nil
	}
}

func isOffer(item string) bool {
	return strings.EqualFold(strings.Trim(item, " \t"), webSocketOffer)
}

// protocols yields the items of a list-valued field (RFC 9110 §5.6.1). It does
// not allocate, because a client can send a million items.
func protocols(values []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, value := range values {
			for item := range strings.SplitSeq(value, ",") {
				if !yield(strings.Trim(item, " \t")) {
					return
				}
			}
		}
	}
}

func totalLen(values []string) (n int) {
	for _, value := range values {
		n += len(value)
	}
	return n
}

// protocolsKey is the context key of a *strippedProtocols. It is a pointer,
// because %#v would print the tokens of a value.
type protocolsKey struct{}

// strippedProtocols is the Sec-WebSocket-Protocol from which a guard removed
// tokens.
type strippedProtocols struct {
	sent []string // by the client
	kept string   // the field without the tokens
}

// stripped returns what an outer guard removed from the Sec-WebSocket-Protocol
// of r, or nil. A field that changed since is another field.
func stripped(r *http.Request) *strippedProtocols {
	values := r.Header[webSocketProtocols]
	if len(values) != 1 {
		return nil
	}
	s, _ := r.Context().Value(protocolsKey{}).(*strippedProtocols)
	if s == nil || s.kept != values[0] {
		return nil
	}
	return s
}

// withoutWebSocketToken returns r, or a copy without the tokens in
// Sec-WebSocket-Protocol. Guards call it whatever their sources are, so that no
// handler selects a token as the protocol. It removes a field that
// FromWebSocketProtocol would refuse as too long, which bounds the work.
func withoutWebSocketToken(r *http.Request) *http.Request {
	values, ok := r.Header[webSocketProtocols]
	if !ok || stripped(r) != nil {
		return r
	}
	size, offered := totalLen(values), false
	if size > maxHeaderBytes {
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		delete(r.Header, webSocketProtocols)
		return r
	}
	for item := range protocols(values) {
		offered = offered || isOffer(item)
	}
	if !offered {
		return r
	}
	var kept strings.Builder
	kept.Grow(size)
	afterOffer := false
	for item := range protocols(values) {
		if item == "" {
			continue // RFC 9110 §5.6.1.2 ignores it
		}
		offer := isOffer(item)
		if !afterOffer || offer {
			if kept.Len() > 0 {
				kept.WriteString(", ")
			}
			kept.WriteString(item)
		}
		afterOffer = offer
	}
	s := &strippedProtocols{sent: values, kept: kept.String()}
	r = r.WithContext(context.WithValue(r.Context(), protocolsKey{}, s))
	r.Header = r.Header.Clone()
	r.Header[webSocketProtocols] = []string{s.kept}
	return r
}
