package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestRefusalTexts compares the text of every refusal. K replaces the ID of
// Para's key. signed is the expected Error.Signed, which decides whether the
// client gets a description.
func TestRefusalTexts(t *testing.T) {
	v := newValidator(t, middleware.Config{MaxTokenAge: time.Hour})
	var revoked bool
	var broken error
	revoking := newValidator(t, middleware.Config{
		Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) {
			return revoked, broken
		},
	})
	down := httptest.NewServer(http.NotFoundHandler())
	defer down.Close()
	keyless := newValidator(t, middleware.Config{
		Environment: jwks.Environment{Name: "down", URL: down.URL},
	})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close) // closed after the validators, because it waits for their requests
	user := paratest.EmailUser()
	token := func(opts ...paratest.TokenOption) string { return shared().Token(user, opts...) }
	segment := func(n int, change func(string) string) string {
		parts := strings.Split(token(), ".")
		parts[n] = change(parts[n])
		return strings.Join(parts, ".")
	}
	header := `{"alg":"RS256","kid":"` + shared().KeyIDs()[len(shared().KeyIDs())-1] + `"}`
	longer := func(s string) string { return s + "!" }
	for _, test := range []struct {
		name, token, want string
		signed            bool
	}{
		{"none", "", "parajwt: no token", false},
		{"too large", strings.Repeat("a", 16<<10+1),
			"parajwt: malformed token: token is larger than MaxTokenBytes", false},
		{"junk", "junk", "parajwt: malformed token: not three parts separated by dots", false},
		{"header is not base64url", segment(0, longer),
			"parajwt: malformed token: not unpadded canonical base64url", false},
		{"signature is not base64url", segment(2, longer),
			`parajwt: malformed token (kid "K"): not unpadded canonical base64url`, false},
		{"no alg", token(paratest.WithHeader("alg", nil)),
			"parajwt: algorithm not allowed; the token's header has no alg", false},
		{"no kid", token(paratest.WithHeader("kid", nil)),
			"parajwt: malformed token: header: kid missing or empty", false},
		{"crit", shared().SignRaw(`{"alg":"RS256","kid":"x","crit":1}`, "{}"),
			"parajwt: malformed token: header: crit is not supported at byte 32", false},
		{"alg none", token(paratest.WithHeader("alg", "none")),
			`parajwt: algorithm not allowed (kid "K"): alg "none" is not on the allow-list`, false},
		{"another alg than the key's", token(paratest.WithHeader("alg", "ES256")),
			`parajwt: algorithm not allowed (kid "K"): alg is not the algorithm of its key`, false},
		{"unknown kid", token(paratest.UnknownKey("x")),
			`parajwt: unknown key (kid "x"); the key set of "paratest" has no such key: ` +
				`does the client use another Para environment, or is the token forged?`, false},
		{"valid for longer than MaxTokenLife", token(paratest.Lived(0,
			31*24*time.Hour+time.Second)),
			`parajwt: unacceptable claims (kid "K"); ` +
				`exp is 744h0m1s after iat, and MaxTokenLife is 744h0m0s`, true},
		{"bad signature", token(paratest.BadSignature()), `parajwt: wrong signature (kid "K")`,
			false},
		{"payload is not JSON", shared().SignRaw(header, "x"),
			`parajwt: malformed token (kid "K"): claims: payload: unexpected character at byte 0`,
			true},
		{"name in another case", token(paratest.With("EXP", 1)),
			`parajwt: malformed token (kid "K"): claims: payload: ` +
				`name differs from exp only in case at byte 7`, true},
		{"no exp", token(paratest.With("exp", nil)),
			`parajwt: unacceptable claims (kid "K"): claims: exp: missing`, true},
		{"aud of another type", token(paratest.With("aud", 1)),
			`parajwt: token is for another app (kid "K"): claims: aud: not a string`, true},
		{"for another app", token(paratest.ForApp("x")),
			`parajwt: token is for another app (kid "K"); ` +
				`its aud is ["x"], which is not in APIKeyIDs`, true},
		{"expired", token(paratest.Expired()),
			`parajwt: token expired (kid "K"); it expired 1h0m0s ago`, true},
		{"older than MaxTokenAge", token(paratest.Lived(-2*time.Hour, 24*time.Hour)),
			`parajwt: token expired (kid "K"); it is older than MaxTokenAge`, true},
		{"issued in the future", token(paratest.Lived(time.Hour, time.Hour)),
			`parajwt: token not yet valid (kid "K"); its iat is 1h0m0s in the future: ` +
				`check the clocks`, true},
		{"nbf in the future", token(paratest.With("nbf", noon.Add(time.Minute).Unix())),
			`parajwt: token not yet valid (kid "K"); its nbf is 1m0s in the future`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := v.Validate(t.Context(), test.token)
			checkRefusal(t, err, test.want, test.signed, 0)
		})
	}
	t.Run("payload is not base64url", func(t *testing.T) {
		s := testkit.EC(0).Named("K")
		url, _ := testkit.Serve(t, testkit.SetOf(s))
		v := newValidator(t, middleware.Config{
			Environment: jwks.Environment{Name: "own", URL: url},
		})
		padded := s.SignInput(b64.EncodeToString([]byte(s.Header())) + ".e30=")
		_, err := v.Validate(t.Context(), padded)
		checkRefusal(t, err,
			`parajwt: malformed token (kid "K"): not unpadded canonical base64url`, true, 0)
	})
	t.Run("revoked", func(t *testing.T) {
		revoked = true
		_, err := revoking.Validate(t.Context(), token())
		checkRefusal(t, err, `parajwt: token revoked (kid "K")`, true, 0)
	})
	t.Run("revocation unknown", func(t *testing.T) {
		broken = errors.New("the store is down")
		_, err := revoking.Validate(t.Context(), token())
		checkRefusal(t, err, `parajwt: revocation unknown (kid "K"): the store is down`, true,
			time.Second)
	})
	t.Run("keys unavailable", func(t *testing.T) {
		_, err := keyless.Validate(t.Context(), token())
		checkRefusal(t, err,
			`parajwt: keys unavailable (kid "K"): jwks: keys are unavailable: `+
				`key set's server answered 404`, false, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		waiting := newValidator(t, middleware.Config{
			Environment: jwks.Environment{Name: "hanging", URL: hanging.URL},
		})
		_, err = waiting.Validate(ctx, token())
		checkRefusal(t, err,
			`parajwt: keys unavailable (kid "K"): jwks: keys are unavailable: context canceled`,
			false, time.Second)
	})
	headers := func(name string, values ...string) *http.Request {
		r := request("")
		r.Header[name] = values
		return r
	}
	sessions := middleware.AcceptVerificationTokensWithoutUserID(verifier{errors.New("no answer")},
		middleware.FromHeader("X-Token"))
	ended := middleware.AcceptVerificationTokensWithoutUserID(verifier{refusedError{}},
		middleware.FromHeader("X-Token"))
	silent := middleware.AcceptVerificationTokensWithoutUserID(verifier{},
		middleware.FromHeader("X-Token"))
	cookie := middleware.TokenFrom(middleware.FromCookie("jwt"))
	no := middleware.Allow(func(_ context.Context, _ *claims.Claims) error {
		return errors.New("not today")
	})
	for _, test := range []struct {
		name   string
		guard  *middleware.Guard
		r      *http.Request
		want   string
		signed bool
		wait   time.Duration
	}{
		{"no header", middleware.Require(v), request(""), "parajwt: no token", false, 0},
		{"two headers", middleware.Require(v), headers("Authorization", "Bearer a", "Bearer b"),
			"parajwt: malformed token: the header field that carries the token is present more " +
				"than once", false, 0},
		{"another scheme", middleware.Require(v), headers("Authorization", "Basic eA=="),
			"parajwt: malformed token: the Authorization header is not a Bearer token", false, 0},
		{"the scheme alone", middleware.Require(v), headers("Authorization", "Bearer"),
			"parajwt: malformed token: the token is empty", false, 0},
		{"less than the scheme", middleware.Require(v), headers("Authorization", "Beare"),
			"parajwt: malformed token: the Authorization header is not a Bearer token", false, 0},
		{"an empty token", middleware.Require(v), headers("Authorization", "Bearer "),
			"parajwt: malformed token: the token is empty", false, 0},
		{"two tokens", middleware.Require(v), headers("Authorization", "Bearer a b"),
			"parajwt: malformed token: the header field is not exactly one token", false,
			0},
		{"two cookies", middleware.Require(v, cookie), headers("Cookie", "jwt=a; jwt=b"),
			"parajwt: malformed token: the cookie that carries the token is present more than once",
			false, 0},
		{"a cookie with a quotation mark", middleware.Optional(v, cookie),
			headers("Cookie", `jwt="a`),
			"parajwt: malformed token: the cookie that carries the token is not well-formed", false,
			0},
		{"a cookie with a backslash", middleware.Optional(v, cookie),
			headers("Cookie", `other=1; jwt=a\`),
			"parajwt: malformed token: the cookie that carries the token is not well-formed", false,
			0},
		{"a cookie behind many others", middleware.Optional(v, cookie),
			headers("Cookie", strings.Repeat("a=b; ", 3001)+"jwt=a"),
			"parajwt: malformed token: not three parts separated by dots", false, 0},
		{"a good cookie and a bad one", middleware.Require(v, cookie),
			headers("Cookie", "jwt="+token()+`; jwt=a\`),
			"parajwt: malformed token: the cookie that carries the token is present more than once",
			false, 0},
		{"64 KiB of cookies", middleware.Optional(v, cookie),
			headers("Cookie", "a="+strings.Repeat("b", 40<<10), "c="+strings.Repeat("d", 40<<10)),
			"parajwt: malformed token: the request has more than 32 KiB of cookies", false, 0},
		{"a MiB of spaces", middleware.Require(v),
			headers("Authorization", "Bearer"+strings.Repeat(" ", 1<<20)+"a"),
			"parajwt: malformed token: the header field that carries the token is too long", false,
			0},
		{"a MiB in another header", middleware.Require(v,
			middleware.TokenFrom(middleware.FromHeader("X-Token"))),
			headers("X-Token", strings.Repeat("a", 1<<20)),
			"parajwt: malformed token: the header field that carries the token is too long", false,
			0},
		{"an empty cookie", middleware.Require(v, cookie), headers("Cookie", "jwt="),
			"parajwt: malformed token: the token is empty", false, 0},
		{"not allowed", middleware.Require(v, no), request(token()),
			`parajwt: not allowed (kid "K"): not today`, true, 0},
		{"session over", middleware.Require(v, ended), headers("X-Token", "a"),
			"parajwt: session expired: refused", false, 0},
		{"session unknown", middleware.Require(v, sessions), headers("X-Token", "a"),
			"parajwt: session unknown: no answer", false, time.Second},
		{"neither a user nor an error", middleware.Require(v, silent), headers("X-Token", "a"),
			"parajwt: session unknown: the TokenVerifier returned neither a user nor an error",
			false, time.Second},
		{"two verification tokens", middleware.Require(v, sessions), headers("X-Token", "a", "b"),
			"parajwt: malformed token: the header field that carries the token is present more " +
				"than once", false, 0},
		{"no validator", middleware.Require(nil, nil), request(token()),
			"parajwt: middleware misconfigured: the Validator was not made by New: " +
				"check the error of New", false, 0},
		{"a nil option", middleware.Require(v, nil), request(token()),
			"parajwt: middleware misconfigured: an Option is nil", false, 0},
		{"a nil source", middleware.Require(v, middleware.TokenFrom(nil)), request(token()),
			"parajwt: middleware misconfigured: " +
				"TokenFrom needs at least one source and no nil source", false, 0},
		{"no rule", middleware.Require(v, middleware.Allow()), request(token()),
			"parajwt: middleware misconfigured: " +
				"Allow needs at least one rule and no nil rule", false, 0},
		{"no answer", middleware.Require(v, middleware.OnRefusal(nil)), request(token()),
			"parajwt: middleware misconfigured: OnRefusal needs a function", false, 0},
		{"no verifier", middleware.Require(v, middleware.AcceptVerificationTokensWithoutUserID(nil,
			nil)), request(token()),
			"parajwt: middleware misconfigured: " +
				"AcceptVerificationTokensWithoutUserID needs a verifier and a source", false, 0},
		{"no source of verification tokens", middleware.Require(v,
			middleware.AcceptVerificationTokensWithoutUserID(verifier{}, nil)), request(""),
			"parajwt: middleware misconfigured: " +
				"AcceptVerificationTokensWithoutUserID needs a verifier and a source", false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := test.guard.Check(test.r)
			if r != nil {
				t.Fatal("passed on")
			}
			checkRefusal(t, err, test.want, test.signed, test.wait)
		})
	}
}

// TestSourcesReturnNoTokenWithAnError checks that a source returns "" with
// every error.
func TestSourcesReturnNoTokenWithAnError(t *testing.T) {
	for name, test := range map[string]struct {
		source middleware.TokenSource
		header string
		values [][]string
	}{
		"FromAuthorization": {middleware.FromAuthorization(), "Authorization",
			[][]string{{"Bearer a", "Bearer b"}, {"Bearer "}, {"Basic a"}, {"Bearer a b"}, {""}}},
		"FromCookie": {middleware.FromCookie("jwt"), "Cookie",
			[][]string{{"jwt=a; jwt=b"}, {"jwt=a", "jwt=b"}, {"jwt="}}},
		"FromHeader": {middleware.FromHeader("x-token"), "X-Token",
			[][]string{{"a", "b"}, {""}, {"a b"}, {"a,b"}, {"a\tb"}}},
	} {
		for _, values := range test.values {
			r := request("")
			r.Header[test.header] = values
			if token, err := test.source(r); token != "" || err == nil {
				t.Errorf("%s, %q: got %q, %v", name, values, token, err)
			}
		}
	}
}

// checkRefusal compares the text and fields of an error. wait is rounded to
// seconds.
func checkRefusal(t *testing.T, err error, want string, signed bool, wait time.Duration) {
	t.Helper()
	var refusal *middleware.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v", err)
	}
	text := refusal.Error()
	for _, id := range shared().KeyIDs() {
		text = strings.ReplaceAll(text, `"`+id+`"`, `"K"`)
	}
	if text != want || refusal.Signed != signed || refusal.RetryAfter.Round(time.Second) != wait {
		t.Errorf("got  %s; signed %t, %v\nwant %s; signed %t, %v", text, refusal.Signed,
			refusal.RetryAfter, want, signed, wait)
	}
}
