package middleware

import (
	"errors"
	"net/http"
	"strings"
)

// TokenSource finds the token in a request. It returns "" where the request has none at this place,
// and an error where there is something that is not one token. It must be safe for concurrent use.
type TokenSource func(*http.Request) (string, error)

// What can be wrong with the place of a token.
var (
	errManyHeaders = errors.New("the header that carries the token is there more than once")
	errNotBearer   = errors.New("the Authorization header is not a Bearer token")
	errEmptyToken  = errors.New("the token is empty")
	errNotOneToken = errors.New("the header is not one token and nothing else")
	errManyCookies = errors.New("the cookie that carries the token is there more than once")
	errBadCookie   = errors.New("the cookie that should carry the token is not well-formed")
	errLongHeader  = errors.New("the header that carries the token is too long")
)

// maxHeaderBytes is room for the largest token that Config.MaxTokenBytes allows. What is longer is not read.
const maxHeaderBytes = 64<<10 + 64

// FromAuthorization finds the token in the Authorization header (RFC 6750 §2.1, RFC 9110 §11.4): one
// header, the scheme Bearer in any case, one or more spaces, the token, and nothing else. Anything
// else in the header is an error, so that junk is never taken for "not logged in". It is the default.
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
	case strings.IndexByte(token, ' ') >= 0: // what else is no part of a token, the validator sees
		return "", errNotOneToken
	}
	return token, nil
}

// FromCookie finds the token in a cookie. A browser sends cookies along with requests that other sites
// cause: an app that uses this needs a defence against cross-site request forgery, such as
// http.CrossOriginProtection, and sets the cookie with Secure, HttpOnly and SameSite.
func FromCookie(name string) TokenSource {
	return func(r *http.Request) (string, error) {
		size, named := 0, 0
		for _, line := range r.Header["Cookie"] {
			if size += len(line); size > maxHeaderBytes {
				return "", errLongHeader
			}
			for part := range strings.SplitSeq(line, ";") {
				if key, _, _ := strings.Cut(part, "="); strings.TrimSpace(key) == name {
					named++
				}
			}
		}
		cookies := r.CookiesNamed(name) // which leaves out what is not well-formed
		switch {
		case named == 0:
			return "", nil
		case named > 1:
			return "", errManyCookies // one of them may be another host's
		case len(cookies) != 1:
			return "", errBadCookie
		case cookies[0].Value == "":
			return "", errEmptyToken
		}
		return cookies[0].Value, nil
	}
}

// FromHeader finds the token in a header of its own, such as X-Para-Verification-Token: one header, the
// token, and nothing else.
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
