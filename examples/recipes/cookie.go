package recipes

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
)

// Because of the prefix __Host-, browsers accept the cookie only from this
// host, over HTTPS and for all paths (RFC 6265bis §4.1.3.2).
const tokenCookie = "__Host-para"

// Cookie returns a server whose browsers keep Para's JWT in a cookie. The
// Revoked hook of the validator must be list.Revoked.
func Cookie(validator *middleware.Validator, list *revocation.List) http.Handler {
	header := middleware.TokenFrom(middleware.FromAuthorization())
	cookie := middleware.TokenFrom(middleware.FromCookie(tokenCookie))

	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(validator, cookie)(http.HandlerFunc(me)))

	// Logs in. The client repeats it with a new JWT before the cookie expires.
	mux.Handle("PUT /session", parahttp.Require(validator, header)(http.HandlerFunc(login)))

	// Logs out, here or everywhere. A cookie whose token is no longer valid is
	// deleted too.
	goodbye := middleware.OnRefusal(refuseLogOut)
	mux.Handle("DELETE /session", parahttp.Require(validator, cookie, goodbye)(logOut(
		func(r *http.Request, user *claims.Claims) error {
			return list.RevokeToken(r.Context(), user)
		})))
	mux.Handle("DELETE /sessions", parahttp.Require(validator, cookie, goodbye)(logOut(
		func(r *http.Request, user *claims.Claims) error {
			return list.RevokeUser(r.Context(), user.UserID)
		})))

	// Browsers add the cookie to requests that other sites cause. This refuses
	// them with 403, except for GET, HEAD and OPTIONS, which must change
	// nothing.
	return http.NewCrossOriginProtection().Handler(mux)
}

func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(user)
}

func login(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	token, err := middleware.FromAuthorization()(r)
	if err != nil {
		http.Error(w, "unreadable token", http.StatusUnauthorized)
		return
	}
	// Browsers drop a larger cookie without an error (RFC 6265bis §5.6).
	if len(tokenCookie)+len(token) > 4096 {
		http.Error(w, "the token does not fit into a cookie", http.StatusRequestEntityTooLarge)
		return
	}
	setCookie(w, token, user.ExpiresAt)
	w.WriteHeader(http.StatusNoContent)
}

func logOut(revoke func(*http.Request, *claims.Claims) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := claims.FromContext(r.Context())
		// ErrNotYetShared: this server refuses the token. The list retries to
		// share that with the others.
		if err := revoke(r, user); err != nil && !errors.Is(err, revocation.ErrNotYetShared) {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		setCookie(w, "", time.Unix(1, 0))
		w.WriteHeader(http.StatusNoContent)
	})
}

func refuseLogOut(w http.ResponseWriter, r *http.Request, err *middleware.Error) {
	status, header, body := err.Answer()
	if status == http.StatusUnauthorized {
		setCookie(w, "", time.Unix(1, 0))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	w.Write(body)
}

func setCookie(w http.ResponseWriter, token string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: tokenCookie, Value: token, Path: "/", Expires: expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
