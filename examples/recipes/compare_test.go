package recipes

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

type oldUser struct{}

// oldMiddleware is a hand-written check with the usual mistakes: it verifies
// neither the signature nor aud, and it takes data.userId for the user.
func oldMiddleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), "Bearer ")
		parts := strings.Split(token, ".")
		var payload struct {
			Data struct {
				UserID string `json:"userId"`
				Email  string `json:"email"`
			} `json:"data"`
		}
		if len(parts) == 3 {
			text, _ := base64.RawURLEncoding.DecodeString(parts[1])
			json.Unmarshal(text, &payload)
		}
		if payload.Data.UserID == "" || payload.Data.Email == "" {
			http.Error(w, "old: no", http.StatusUnauthorized)
			return
		}
		id := payload.Data.UserID
		if payload.Data.Email == "alias@example.com" {
			id = "alias"
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), oldUser{}, id)))
	})
}

func TestComparison(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	alias := paratest.EmailUser()
	alias.Email = "alias@example.com"
	bad := para.Token(paratest.EmailUser(), paratest.BadSignature())

	for _, c := range []struct {
		name, token string
		status      int
		logged      []string // nothing if empty
	}{
		{"both accept", para.Token(paratest.EmailUser()), 200, nil},
		{"both refuse", "", 401, nil},
		{"only the old check accepts", bad, 200,
			[]string{"parajwt refuses what the old check accepts", "refusal.code=signature"}},
		{"only parajwt accepts", para.Token(paratest.PhoneUser()), 401,
			[]string{"parajwt accepts what the old check refuses", "newUser=" + paratest.UserID}},
		{"two users", para.Token(alias), 200,
			[]string{"the user IDs differ", "oldUser=alias", "newUser=" + paratest.UserID}},
	} {
		var log bytes.Buffer
		served := false
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })
		handler := Comparison{
			Old: oldMiddleware,
			OldUserID: func(ctx context.Context) string {
				id, _ := ctx.Value(oldUser{}).(string)
				return id
			},
			Guard:  middleware.Require(para.Validator(t)),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}.Middleware(next)
		res := serve(handler, request("GET", "/me", c.token))
		if res.StatusCode != c.status || served != (c.status == 200) {
			t.Errorf("%s: %d, served %v: the old check must decide", c.name, res.StatusCode, served)
		}
		if len(c.logged) == 0 && log.Len() > 0 {
			t.Errorf("%s: logged %s", c.name, &log)
		}
		for _, part := range c.logged {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: no %q in %s", c.name, part, &log)
			}
		}
		if c.token != "" && strings.Contains(log.String(), c.token) {
			t.Errorf("%s: the token was logged", c.name)
		}
	}
}

func TestComparisonWhileParaIsDown(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	para.Down()
	var log bytes.Buffer
	handler := Comparison{
		Old:       oldMiddleware,
		OldUserID: func(context.Context) string { return paratest.UserID },
		Guard:     middleware.Require(para.Validator(t)),
		Logger:    slog.New(slog.NewTextHandler(&log, nil)),
	}.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	res := serve(handler, request("GET", "/me", para.Token(paratest.EmailUser())))
	answers(t, "the old check decides", res, 200, "")
	if !strings.Contains(log.String(), "parajwt could not decide") {
		t.Errorf("logged %s", &log)
	}
}
