package recipes

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/parajwt/parajwt/claims"
)

const (
	sessionCookie = "__Host-session"
	sessionLife   = 12 * time.Hour
)

// Sessions has the app's sessions. It keeps them in memory; in your program,
// use a table of your database. It stores a hash of each session ID, so that a
// reader of the table cannot log in. Safe for concurrent use by multiple
// goroutines.
type Sessions struct {
	now    func() time.Time
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]appSession
}

type appSession struct {
	user    *claims.Claims // read-only
	expires time.Time
}

// NewSessions returns an empty Sessions. now is the clock, such as time.Now.
func NewSessions(now func() time.Time) *Sessions {
	return &Sessions{now: now, byHash: make(map[[sha256.Size]byte]appSession)}
}

// Exchange starts a session. Use it behind parahttp.Require, with a validator
// whose MaxTokenAge is a few minutes, so that an older token starts no session.
func (s *Sessions) Exchange(w http.ResponseWriter, r *http.Request) {
	user, ok := claims.FromContext(r.Context())
	if !ok {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	kept := new(claims.Claims)
	user.CopyTo(kept)
	id, now := rand.Text(), s.now() // 130 random bits; a new ID prevents session fixation
	expires := now.Add(sessionLife)

	s.mu.Lock()
	maps.DeleteFunc(s.byHash, func(_ [sha256.Size]byte, old appSession) bool {
		return !now.Before(old.expires)
	})
	s.byHash[sha256.Sum256([]byte(id))] = appSession{user: kept, expires: expires}
	s.mu.Unlock()

	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: id, Path: "/", Expires: expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.WriteHeader(http.StatusNoContent)
}

// Require passes requests of a session to next. Handlers find the user with
// claims.FromContext, and parahttp.Allow works behind it.
func (s *Sessions) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(sessionCookie)
		if err != nil {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		s.mu.Lock()
		session, ok := s.byHash[sha256.Sum256([]byte(cookie.Value))]
		s.mu.Unlock()
		if !ok || !s.now().Before(session.expires) {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		user := new(claims.Claims)
		session.user.CopyTo(user)
		next.ServeHTTP(w, r.WithContext(claims.NewContext(r.Context(), user)))
	})
}

// LogOut ends the session of a request.
func (s *Sessions) LogOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		delete(s.byHash, sha256.Sum256([]byte(cookie.Value)))
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Path: "/", MaxAge: -1,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.WriteHeader(http.StatusNoContent)
}

// LogOutUser ends every session of a user.
func (s *Sessions) LogOutUser(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.byHash, func(_ [sha256.Size]byte, session appSession) bool {
		return session.user.UserID == userID
	})
}
