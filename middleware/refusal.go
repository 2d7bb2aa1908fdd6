package middleware

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Answer returns the default response to a refused request; see [Error.Answer].
func (g *Guard) Answer(err *Error) (status int, header http.Header, body []byte) {
	return err.Answer()
}

// Answer returns the default response to a refused request: the status of
// [Error.Status], header fields, and an RFC 9457 body without the cause. The
// header has Cache-Control: no-store and the Content-Type of the body. It also
// has WWW-Authenticate (RFC 6750 §3) if the status is 401 or 403, and
// Retry-After (RFC 9110 §10.2.3), at least 1 second, if it is 503.
//
// The response describes the problem only if e.Signed, so a forger learns
// nothing.
func (e *Error) Answer() (status int, header http.Header, body []byte) {
	status = e.Status()
	header = http.Header{
		"Cache-Control": {"no-store"},
		"Content-Type":  {"application/problem+json"},
	}
	switch status {
	case http.StatusUnauthorized:
		challenge := "Bearer"
		if e.Code != ErrNoToken {
			challenge = `Bearer error="invalid_token"`
			if e.Signed {
				challenge += `, error_description="` + e.Code.words() + `"`
			}
		}
		header["Www-Authenticate"] = []string{challenge}
	case http.StatusForbidden:
		header["Www-Authenticate"] = []string{`Bearer error="insufficient_scope"`}
	case http.StatusServiceUnavailable:
		wait := math.Ceil(max(e.RetryAfter, time.Second).Seconds())
		header["Retry-After"] = []string{strconv.Itoa(int(wait))}
	}
	body = []byte(`{"type":"about:blank","title":"` + http.StatusText(status) +
		`","status":` + strconv.Itoa(status) + "}\n")
	return status, header, body
}

// Refuse writes the response to a refused request. It calls OnRefusal if there
// is one. Otherwise it writes the response of [Guard.Answer].
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, err *Error) {
	if g.Override(w, r, err) {
		return
	}
	status, header, body := g.Answer(err)
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	w.Write(body) // an error means that the client is gone
}

// Override calls OnRefusal, and reports whether there is one. It is for
// adapters whose framework writes the default response itself.
func (g *Guard) Override(w http.ResponseWriter, r *http.Request, err *Error) bool {
	answer := g.settings(r.Context()).onRefusal
	if answer == nil {
		return false
	}
	answer(w, r, err)
	return true
}
