package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func paraValidator(t *testing.T) *middleware.Validator {
	return newValidator(t, middleware.Config{Environment: para().Environment()})
}

func bearer(token string) string { return "Authorization: Bearer " + token }

var emailUser = paratest.UserID + " email"

// TestDocumentedUsers checks that each user of Para's documentation reaches the
// handler unchanged, with typed claims.
func TestDocumentedUsers(t *testing.T) {
	forAll(t, func(t *testing.T, a adapter) {
		site := serve(t, a, true, paraValidator(t), nil,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, ok := claims.FromContext(r.Context())
				if !ok {
					t.Error("no user in the request's context")
				}
				json.NewEncoder(w).Encode(user)
			}))
		for name, want := range paratest.Users() {
			want.Audience = []string{paratest.APIKeyID}
			want.KeyID = para().KeyIDs()[1]
			want.Environment = "paratest"
			want.IssuedAt, want.ExpiresAt = epoch, epoch.Add(30*time.Minute)
			token := para().Token(want)
			want.TokenID = strings.Split(token, ".")[2][:32] // from the signature
			for range 2 {                                    // the second time it is cached
				_, body, _ := strings.Cut(site.get(t, token), "\r\n\r\n")
				var got claims.Claims
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatalf("%s: %v in %q", name, err, body)
				}
				fields := reflect.TypeFor[claims.Claims]()
				for i := range fields.NumField() {
					if !fields.Field(i).IsExported() {
						continue
					}
					g, w := reflect.ValueOf(got).Field(i).Interface(),
						reflect.ValueOf(*want).Field(i).Interface()
					if !reflect.DeepEqual(g, w) {
						t.Errorf("%s: %s is %v, want %v", name, fields.Field(i).Name, g, w)
					}
				}
			}
		}
	})
}

// TestRefusals checks the responses byte for byte. They describe the problem
// only if Para signed the token.
func TestRefusals(t *testing.T) {
	good := paratest.EmailUser()
	nobody := middleware.Allow(func(context.Context, *claims.Claims) error {
		return errors.New("no user is allowed")
	})
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		open := serve(t, a, true, v, nil, nil)
		for _, test := range []struct {
			name string
			opts []paratest.TokenOption
			want string
		}{
			{"bad signature", []paratest.TokenOption{paratest.BadSignature()}, forged},
			{"unknown key", []paratest.TokenOption{paratest.UnknownKey("x")}, forged},
			{"another environment", []paratest.TokenOption{paratest.OtherEnvironment()}, forged},
			{"its key ID too", []paratest.TokenOption{paratest.OtherEnvironmentSameKeyID()},
				forged},
			{"algorithm", []paratest.TokenOption{paratest.WithHeader("alg", "none")}, forged},
			{"header", []paratest.TokenOption{paratest.WithHeader("crit", []string{"x"})}, forged},
			{"expired", []paratest.TokenOption{paratest.Expired()},
				answer401(`Bearer error="invalid_token", error_description="token expired"`)},
			{"too early", []paratest.TokenOption{paratest.Lived(time.Hour, time.Hour)},
				answer401(`Bearer error="invalid_token", error_description="token not yet valid"`)},
			{"another app", []paratest.TokenOption{paratest.ForApp("x")},
				answer401(`Bearer error="invalid_token", ` +
					`error_description="token is for another app"`)},
			{"claims", []paratest.TokenOption{paratest.With("sub", 1)},
				answer401(`Bearer error="invalid_token", error_description="unacceptable claims"`)},
			{"payload", []paratest.TokenOption{paratest.With("SUB", 1)},
				answer401(`Bearer error="invalid_token", error_description="malformed token"`)},
			// The response does not describe the token's other faults.
			{"expired and forged",
				[]paratest.TokenOption{paratest.Expired(), paratest.BadSignature()}, forged},
			{"another app and forged",
				[]paratest.TokenOption{paratest.ForApp("x"), paratest.BadSignature()}, forged},
		} {
			t.Run(test.name, func(t *testing.T) {
				token := para().Token(good, test.opts...)
				open.refuses(t, test.want, bearer(token))
				open.passes(t, emailUser, bearer(para().Token(good)))
				open.refuses(t, test.want, bearer(token))
			})
		}
		open.refuses(t, noToken)
		open.refuses(t, forged, bearer("junk"))
		forbidding := serve(t, a, true, v, []middleware.Option{nobody}, nil)
		forbidding.refuses(t, answer403, bearer(para().Token(good)))

		var down error
		revoked := newValidator(t, middleware.Config{
			Environment: para().Environment(),
			Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) {
				return true, down
			},
		})
		out := serve(t, a, true, revoked, nil, nil)
		out.refuses(t, answer401(`Bearer error="invalid_token", error_description="token revoked"`),
			bearer(para().Token(good)))
		down = errors.New("the store is down")
		out.refuses(t, strings.Replace(answer503, "Retry-After: 2", "Retry-After: 1", 1),
			bearer(para().Token(good)))

		closed := serve(t, a, true, keyless(t), nil, nil)
		closed.refuses(t, answer503, bearer(para().Token(good)))
		closed.refuses(t, answer503, bearer(para().Token(good)))
		closed.refuses(t, noToken) // a request without a token is refused without keys
	})
}

// TestHead checks the responses to HEAD: the same without a body. The framework
// decides which header fields about the body it sends (RFC 9110 §9.3.2).
func TestHead(t *testing.T) {
	about := func(line string) bool {
		return strings.HasPrefix(line, "Content-Type: ") ||
			strings.HasPrefix(line, "Content-Length: ")
	}
	head := func(answer string) string {
		header, _, _ := strings.Cut(answer, "\r\n\r\n")
		var kept []string
		for line := range strings.SplitSeq(header, "\r\n") {
			if !about(line) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\r\n") + "\r\n\r\n"
	}
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		site := serve(t, a, true, v, nil, nil)
		for want, lines := range map[string][]string{
			noToken: nil,
			forged:  {bearer(para().Token(paratest.EmailUser(), paratest.BadSignature()))},
			answer401(`Bearer error="invalid_token", error_description="token expired"`): {
				bearer(para().Token(paratest.EmailUser(), paratest.Expired()))},
		} {
			got := site.ask(t, "HEAD", lines...)
			if _, body, _ := strings.Cut(got, "\r\n\r\n"); head(got) != head(want) || body != "" {
				t.Errorf("got %q, want %q", got, head(want))
			}
		}
		if n := site.calls.Load(); n != 0 {
			t.Errorf("the handler was called %d times", n)
		}
		got := site.ask(t, "HEAD", bearer(para().Token(paratest.EmailUser())))
		if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || site.calls.Load() != 1 {
			t.Errorf("a good token: %q", got)
		}
	})
}

// TestMethods checks that the guard applies to every method.
func TestMethods(t *testing.T) {
	forAll(t, func(t *testing.T, a adapter) {
		site := serve(t, a, true, paraValidator(t), nil, nil)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
			"CONNECT", "PROPFIND", "get"} {
			if got := site.ask(t, method); !strings.HasPrefix(got, "HTTP/1.1 401 ") {
				t.Errorf("%s: %q", method, got)
			}
		}
		if n := site.calls.Load(); n != 0 {
			t.Errorf("the handler was called %d times", n)
		}
	})
}

// TestAuthorization checks the accepted form: one header, with the scheme in
// any case, spaces and the token. Every other header is refused with 401. Only
// a request without the header counts as a request without a token.
func TestAuthorization(t *testing.T) {
	token := para().Token(paratest.EmailUser())
	other := para().Token(paratest.PhoneUser())
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		for _, require := range []bool{true, false} {
			site := serve(t, a, require, v, nil, nil)
			for _, lines := range [][]string{
				{"Authorization: Bearer " + token},
				{"authorization: Bearer " + token},
				{"AUTHORIZATION: Bearer " + token},
				{"Authorization: bearer " + token},
				{"Authorization: BEARER " + token},
				{"Authorization: bEaReR " + token},
				{"Authorization: Bearer  " + token},
				{"Authorization: Bearer        " + token},
				// White space around a field's value is not part of it (RFC
				// 9110 §5.5).
				{"Authorization:Bearer " + token},
				{"Authorization:   \t Bearer " + token},
				{"Authorization: Bearer " + token + "  \t"},
				// Other header fields are ignored.
				{"Authorization: Bearer " + token, "Proxy-Authorization: Bearer " + other,
					"X-Authorization: Bearer " + other, "Cookie: Authorization=" + other},
			} {
				site.passes(t, emailUser, lines...)
			}
			for _, lines := range [][]string{
				{"Authorization:"},
				{"Authorization: "},
				{"Authorization: Bearer"},
				{"Authorization: Bearer "},
				{"Authorization: " + token},
				{"Authorization: Bearer" + token},
				{"Authorization: Bearer\t" + token},
				{"Authorization: Bearer \t" + token},
				{"Authorization: Bearer:" + token},
				{"Authorization: Bearer=" + token},
				{"Authorization: Bearer " + token + " x"},
				{"Authorization: Bearer " + token + "\tx"},
				{"Authorization: Bearer " + token + ","},
				{"Authorization: Bearer " + token + ", Bearer " + token},
				{"Authorization: Bearer " + token + ",Bearer " + token},
				{"Authorization: Bearer " + token + " " + token},
				{"Authorization: Bearer Bearer " + token},
				{"Authorization: Bearer \"" + token + "\""},
				{"Authorization: Bearer token=" + token},
				{"Authorization: Bearer " + token + ";"},
				{"Authorization: Bearer null"},
				{"Authorization: Bearer undefined"},
				{"Authorization: Bearer [object Object]"},
				{"Authorization: Basic " + token},
				{"Authorization: DPoP " + token},
				{"Authorization: Token " + token},
				{"Authorization: Digest " + token}, // a scheme of the same length
				{"Authorization: Bearex " + token},
				{"Authorization: Bearers " + token},
				{"Authorization: Beare " + token},
				{"Authorization: B\u0435arer " + token}, // a Cyrillic letter
				{"Authorization: ,Bearer " + token},
				{"Authorization: \u00a0Bearer " + token}, // a space that HTTP does not allow
				{"Authorization: Bearer\u00a0" + token},
				{"Authorization: Bearer \u00a0" + token},
				{"Authorization: Bearer \xff\xfe"},
				{"Authorization: Bearer " + token, "Authorization: Bearer " + token},
				{"Authorization: Bearer " + token, "Authorization: Bearer " + other},
				{"Authorization: Bearer " + token, "authorization: Basic eA=="},
				{"Authorization: Bearer " + token, "Authorization:"},
				{"Authorization:", "Authorization: Bearer " + token},
				{"Authorization: Basic eA==", "Authorization: Bearer " + token},
			} {
				site.refuses(t, forged, lines...)
			}
			// By default, no token is read from these places.
			want := noToken
			for _, lines := range [][]string{
				nil,
				{"Proxy-Authorization: Bearer " + token},
				{"X-Forwarded-Authorization: Bearer " + token},
				{"Authorization2: Bearer " + token},
				{"Cookie: Authorization=" + token + "; token=" + token + "; access_token=" + token},
				{"X-Http-Method-Override: GET", "Sec-WebSocket-Protocol: bearer, " + token},
			} {
				if require {
					site.refuses(t, want, lines...)
				} else {
					site.passes(t, "anonymous", lines...)
				}
			}
			// net/http's server refuses these before the guard is called.
			for _, line := range []string{
				"Authorization : Bearer " + token,
				"Authorization: Bearer " + token + "\x00",
				"Authorization: Bearer \x00" + token,
				"Authorization: Bearer " + token + "\rX: y",
				"Authorization: Bearer " + token[:9] + "\n" + token[9:],
			} {
				before := site.calls.Load()
				if got := site.ask(t, "GET", line); !strings.HasPrefix(got, "HTTP/1.1 400 ") ||
					site.calls.Load() != before {
					t.Errorf("%q: %q", line, got)
				}
			}
		}
	})
}

// TestNoQueryString checks that tokens in URLs are ignored. URLs end up in
// logs, histories and Referer headers.
func TestNoQueryString(t *testing.T) {
	token := para().Token(paratest.EmailUser())
	forAll(t, func(t *testing.T, a adapter) {
		site := serve(t, a, true, paraValidator(t), nil, nil)
		body := "access_token=" + token
		req, err := http.NewRequest("POST",
			"http://"+site.addr+"/?"+body+"&token="+token+"&jwt="+token, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		// Tokens in a form are ignored, too (RFC 6750 §2.2).
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized || site.calls.Load() != 0 {
			t.Errorf("status %d, %d calls", res.StatusCode, site.calls.Load())
		}
	})
}

// TestOptional checks that a request without a token is anonymous, and that a
// request with a bad token is refused.
func TestOptional(t *testing.T) {
	user := paratest.EmailUser()
	expired := answer401(`Bearer error="invalid_token", error_description="token expired"`)
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		site := serve(t, a, false, v, nil, nil)
		for range 2 {
			site.passes(t, "anonymous")
			site.passes(t, emailUser, bearer(para().Token(user)))
			site.refuses(t, expired, bearer(para().Token(user, paratest.Expired())))
			site.refuses(t, forged, bearer(para().Token(user, paratest.BadSignature())))
			site.refuses(t, forged, bearer("junk"))
			site.refuses(t, forged, "Authorization: Basic eA==")
			site.refuses(t, forged, "Authorization:")
		}

		ruled := serve(t, a, false, v,
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthPhone))}, nil)
		ruled.passes(t, "anonymous")
		ruled.passes(t, paratest.UserID+" phone", bearer(para().Token(paratest.PhoneUser())))
		ruled.refuses(t, answer403, bearer(para().Token(user)))

		keyless := serve(t, a, false, keyless(t), nil, nil)
		keyless.passes(t, "anonymous")
		keyless.refuses(t, answer503, bearer(para().Token(user)))
	})
}

// TestTokenFrom checks that the token is read only from the sources in the
// options.
func TestTokenFrom(t *testing.T) {
	email, phone := para().Token(paratest.EmailUser()), para().Token(paratest.PhoneUser())
	late := para().Token(paratest.EmailUser(), paratest.Expired())
	expired := answer401(`Bearer error="invalid_token", error_description="token expired"`)
	phoneUser := paratest.UserID + " phone"
	cookie, header := middleware.FromCookie("para"), middleware.FromAuthorization()
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		from := func(require bool, sources ...middleware.TokenSource) *site {
			return serve(t, a, require, v, []middleware.Option{middleware.TokenFrom(sources...)},
				nil)
		}

		for _, s := range []*site{from(true, cookie), from(true, cookie, header),
			from(true, header, cookie)} {
			s.passes(t, emailUser, "Cookie: para="+email)
			s.passes(t, emailUser, "Cookie: a=b; para="+email+"; c=d")
			s.passes(t, emailUser, "Cookie: a=b", "Cookie: para="+email)
			// Cookie names are case-sensitive.
			s.passes(t, emailUser, "Cookie: para="+email+"; Para="+phone+"; para2="+phone)
			s.refuses(t, expired, "Cookie: para="+late)
			s.refuses(t, forged, "Cookie: para=")
			s.refuses(t, forged, "Cookie: para=junk")
			s.refuses(t, forged, "Cookie: para=Bearer%20"+email)
			s.refuses(t, forged, "Cookie: para="+email+"; para="+email)
			s.refuses(t, forged, "Cookie: para="+email+"; para="+phone)
			s.refuses(t, forged, "Cookie: para="+email, "Cookie: para=")
			s.refuses(t, noToken, "Cookie: other="+email)
			s.refuses(t, noToken, "Cookie: PARA="+email)
			s.refuses(t, noToken)
		}

		only := from(true, cookie)
		only.refuses(t, noToken, bearer(email))
		only.passes(t, emailUser, "Cookie: para="+email, bearer(phone))
		only.passes(t, emailUser, "Cookie: para="+email, "Authorization: Basic eA==")

		byDefault := serve(t, a, true, v, nil, nil)
		byDefault.refuses(t, noToken, "Cookie: para="+email)

		// The first source that has a token decides.
		both := from(true, header, cookie)
		both.passes(t, phoneUser, bearer(phone), "Cookie: para="+email)
		both.passes(t, phoneUser, bearer(phone), "Cookie: para="+late)
		both.refuses(t, expired, bearer(late), "Cookie: para="+email)
		both.refuses(t, forged, bearer("junk"), "Cookie: para="+email)
		both.refuses(t, forged, "Authorization: Basic eA==", "Cookie: para="+email)
		reversed := from(true, cookie, header)
		reversed.passes(t, emailUser, bearer(phone), "Cookie: para="+email)
		reversed.refuses(t, expired, bearer(phone), "Cookie: para="+late)
		reversed.refuses(t, forged, bearer(phone), "Cookie: para=")

		anonymous := from(false, header, cookie)
		anonymous.passes(t, "anonymous", "Cookie: other=1")
		anonymous.passes(t, emailUser, "Cookie: para="+email)
		anonymous.refuses(t, forged, "Cookie: para=")
		anonymous.refuses(t, forged, "Cookie: para="+email+"; para="+email)

		// A custom source follows the same rules.
		own := from(true, func(r *http.Request) (string, error) {
			if r.Header.Get("X-Odd") != "" {
				return email, errors.New("odd") // the token is ignored because of the error
			}
			return r.Header.Get("X-Token"), nil
		})
		own.passes(t, emailUser, "X-Token: "+email)
		own.refuses(t, forged, "X-Odd: 1", "X-Token: "+email)
		own.refuses(t, noToken)
	})
}

// TestFromHeader checks the same rules for a custom header.
func TestFromHeader(t *testing.T) {
	email, phone := para().Token(paratest.EmailUser()), para().Token(paratest.PhoneUser())
	forAll(t, func(t *testing.T, a adapter) {
		opts := []middleware.Option{middleware.TokenFrom(middleware.FromHeader("x-para-token"))}
		site := serve(t, a, true, paraValidator(t), opts, nil)
		site.passes(t, emailUser, "X-Para-Token: "+email)
		site.passes(t, emailUser, "x-PARA-token: "+email, bearer(phone))
		site.refuses(t, noToken, bearer(email))
		for _, lines := range [][]string{
			{"X-Para-Token:"},
			{"X-Para-Token: Bearer " + email},
			{"X-Para-Token: " + email + "," + email},
			{"X-Para-Token: " + email + "\t" + email},
			{"X-Para-Token: " + email, "X-Para-Token: " + email},
			{"X-Para-Token: " + email, "X-Para-Token:"},
		} {
			site.refuses(t, forged, lines...)
		}
	})
}

// sessions is a TokenVerifier for a few fixed tokens.
type sessions struct{ asked atomic.Int64 }

type over struct{ error }

func (over) Refused() bool { return true }

func (s *sessions) VerifyVerificationToken(
	_ context.Context, token string,
) (*claims.Claims, error) {
	s.asked.Add(1)
	switch token {
	case "email":
		return &claims.Claims{AuthType: claims.AuthEmail, Identifier: "email@example.com"}, nil
	case "phone":
		return &claims.Claims{AuthType: claims.AuthPhone}, nil
	case "odd":
		return nil, nil
	case "down":
		return nil, errors.New("Para is unreachable")
	}
	return nil, fmt.Errorf("wrapped: %w", over{errors.New("session over")})
}

// TestVerificationTokens checks that verification tokens are accepted only
// where configured, only if the request has no JWT, and under the same rules.
func TestVerificationTokens(t *testing.T) {
	unknown := strings.Replace(answer503, "Retry-After: 2", "Retry-After: 1", 1)
	jwt := para().Token(paratest.EmailUser())
	forAll(t, func(t *testing.T, a adapter) {
		var para sessions
		header := middleware.FromHeader("X-Session")
		accept := middleware.AcceptVerificationTokensWithoutUserID(&para, header)
		v := paraValidator(t)
		for _, require := range []bool{true, false} {
			site := serve(t, a, require, v,
				[]middleware.Option{accept,
					middleware.Allow(middleware.AuthTypes(claims.AuthEmail))}, nil)
			site.passes(t, " email", "X-Session: email")
			site.refuses(t, answer403, "X-Session: phone")
			site.refuses(t, forged, "X-Session: over")
			site.refuses(t, unknown, "X-Session: down")
			// The verifier returns neither a user nor an error.
			site.refuses(t, unknown, "X-Session: odd")
			if require {
				site.refuses(t, noToken)
			} else {
				site.passes(t, "anonymous")
			}
			before := para.asked.Load()
			site.passes(t, emailUser, bearer(jwt), "X-Session: over") // a JWT takes precedence
			site.refuses(t, forged, bearer("junk"), "X-Session: email")
			site.refuses(t, forged, "Authorization:", "X-Session: email")
			site.refuses(t, forged, "X-Session:")
			site.refuses(t, forged, "X-Session: email", "X-Session: email")
			site.refuses(t, forged, "X-Session: email over")
			site.refuses(t, forged, "X-Session: email\tover")
			site.refuses(t, forged, "X-Session: email,over")
			if n := para.asked.Load() - before; n != 0 {
				t.Errorf("the verifier was called %d times", n)
			}
		}
		serve(t, a, true, v, nil, nil).refuses(t, noToken, "X-Session: email")

		revoked := newValidator(t, middleware.Config{
			Environment: v.Keys().Environment(),
			Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) {
				return true, nil
			},
		})
		serve(t, a, true, revoked, []middleware.Option{accept}, nil).
			refuses(t, answer401(`Bearer error="invalid_token", error_description="token revoked"`),
				"X-Session: email")
		for _, wrong := range []middleware.Option{
			middleware.AcceptVerificationTokensWithoutUserID(nil, header),
			middleware.AcceptVerificationTokensWithoutUserID(&para, nil),
		} {
			serve(t, a, true, v, []middleware.Option{wrong}, nil).refuses(t, answer500,
				"X-Session: email")
			serve(t, a, true, v, []middleware.Option{wrong}, nil).refuses(t, answer500, bearer(jwt))
		}
	})
}

// TestAllow checks that a verified user gets 403 unless all rules pass.
func TestAllow(t *testing.T) {
	noWallets := paratest.EmailUser()
	noWallets.Wallets = nil
	connected := paratest.ExternalWalletUser() // has an EVM wallet, which Para does not attest
	connected.Wallets = nil
	inactive := func(_ context.Context, c *claims.Claims) error {
		if c.Email != "" {
			return errors.New("blocked")
		}
		return nil
	}
	for _, test := range []struct {
		name  string
		opts  []middleware.Option
		user  *claims.Claims
		allow bool
	}{
		{"authType", []middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthEmail))},
			paratest.EmailUser(), true},
		{"one of several",
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthPhone,
				claims.AuthEmail))}, paratest.EmailUser(), true},
		{"another authType",
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthPhone))},
			paratest.EmailUser(), false},
		{"no authType allowed", []middleware.Option{middleware.Allow(middleware.AuthTypes())},
			paratest.EmailUser(), false},
		{"wallet", []middleware.Option{middleware.Allow(middleware.WalletOf(claims.WalletSolana))},
			paratest.EmailUser(), true},
		{"one of several chains",
			[]middleware.Option{middleware.Allow(middleware.WalletOf(claims.WalletSui,
				claims.WalletEVM))}, paratest.EmailUser(), true},
		{"another chain",
			[]middleware.Option{middleware.Allow(middleware.WalletOf(claims.WalletSui))},
			paratest.EmailUser(), false},
		{"no wallet", []middleware.Option{middleware.Allow(middleware.WalletOf(claims.WalletEVM))},
			noWallets, false},
		{"a wallet that is only connected",
			[]middleware.Option{middleware.Allow(middleware.WalletOf(claims.WalletEVM))}, connected,
			false},
		{"a custom rule", []middleware.Option{middleware.Allow(inactive)}, paratest.PhoneUser(),
			true},
		{"a custom rule that refuses", []middleware.Option{middleware.Allow(inactive)},
			paratest.EmailUser(), false},
		{"both of two",
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthPhone), inactive)},
			paratest.PhoneUser(), true},
		{"the second of two",
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthEmail), inactive)},
			paratest.EmailUser(), false},
		{"the first of two",
			[]middleware.Option{middleware.Allow(inactive, middleware.AuthTypes(claims.AuthEmail))},
			paratest.EmailUser(), false},
		{"two options, the first",
			[]middleware.Option{middleware.Allow(inactive),
				middleware.Allow(middleware.AuthTypes(claims.AuthEmail))}, paratest.EmailUser(),
			false},
		{"two options, the second",
			[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthEmail)),
				middleware.Allow(inactive)}, paratest.EmailUser(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			forAll(t, func(t *testing.T, a adapter) {
				site := serve(t, a, true, paraValidator(t), test.opts, nil)
				token := bearer(para().Token(test.user))
				for range 2 {
					if test.allow {
						site.passes(t, test.user.UserID+" "+string(test.user.AuthType), token)
					} else {
						site.refuses(t, answer403, token)
					}
				}
			})
		})
	}
}

// TestRulesSeeVerifiedUsersOnly checks that a rule is called only with a
// verified user.
func TestRulesSeeVerifiedUsersOnly(t *testing.T) {
	forAll(t, func(t *testing.T, a adapter) {
		var asked atomic.Int64
		rule := middleware.Allow(func(_ context.Context, c *claims.Claims) error {
			asked.Add(1)
			if c == nil || c.UserID != paratest.UserID {
				t.Errorf("the rule got %v", c)
			}
			return nil
		})
		for _, require := range []bool{true, false} {
			site := serve(t, a, require, paraValidator(t), []middleware.Option{rule}, nil)
			asked.Store(0)
			site.ask(t, "GET")
			site.get(t, "junk")
			site.get(t, para().Token(paratest.EmailUser(), paratest.BadSignature()))
			site.get(t, para().Token(paratest.EmailUser(), paratest.Expired()))
			site.get(t, para().Token(paratest.EmailUser(), paratest.ForApp("x")))
			if n := asked.Load(); n != 0 {
				t.Errorf("the rule was called %d times without a verified user", n)
			}
			site.get(t, para().Token(paratest.EmailUser()))
			if n := asked.Load(); n != 1 {
				t.Errorf("the rule was called %d times for one user", n)
			}
		}
	})
}

// TestOnRefusal checks that one override responds to every refusal, under every
// router, and cannot make the handler run.
func TestOnRefusal(t *testing.T) {
	override := middleware.OnRefusal(func(
		w http.ResponseWriter, r *http.Request, err *middleware.Error,
	) {
		if _, ok := claims.FromContext(r.Context()); ok {
			t.Error("a refused request has a user")
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintln(w, r.URL.Path, err.Status(), err.Code, err.Signed)
	})
	silent := middleware.OnRefusal(func(http.ResponseWriter, *http.Request, *middleware.Error) {})
	answer := func(body string) string {
		return "HTTP/1.1 418 I'm a teapot\r\nContent-Type: text/plain\r\nContent-Length: " +
			fmt.Sprint(len(body)) + "\r\nConnection: close\r\n\r\n" + body
	}
	user := paratest.EmailUser()
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		opts := []middleware.Option{override,
			middleware.Allow(middleware.AuthTypes(claims.AuthEmail))}
		site := serve(t, a, true, v, opts, nil)
		site.passes(t, emailUser, bearer(para().Token(user)))
		site.refuses(t, answer("/here 401 parajwt: no token false\n"))
		site.refuses(t, answer("/here 401 parajwt: malformed token false\n"), bearer("junk"))
		site.refuses(t, answer("/here 401 parajwt: wrong signature false\n"),
			bearer(para().Token(user, paratest.BadSignature())))
		site.refuses(t, answer("/here 401 parajwt: token expired true\n"),
			bearer(para().Token(user, paratest.Expired())))
		site.refuses(t, answer("/here 403 parajwt: not allowed true\n"),
			bearer(para().Token(paratest.PhoneUser())))
		serve(t, a, true, keyless(t), opts, nil).refuses(t,
			answer("/here 503 parajwt: keys unavailable false\n"), bearer(para().Token(user)))
		serve(t, a, true, nil, opts, nil).refuses(t,
			answer("/here 500 parajwt: middleware misconfigured false\n"),
			bearer(para().Token(user)))
		serve(t, a, false, v, opts, nil).passes(t, "anonymous")

		// The handler does not run even if the override writes nothing.
		quiet := serve(t, a, true, v, []middleware.Option{silent}, nil)
		quiet.refuses(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
}

// TestMisconfigured checks that a misconfigured guard fails closed with 500,
// without a panic.
func TestMisconfigured(t *testing.T) {
	token := bearer(para().Token(paratest.EmailUser()))
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		for _, test := range []struct {
			name string
			v    *middleware.Validator
			opts []middleware.Option
		}{
			{"no validator", nil, nil},
			{"zero validator", new(middleware.Validator), nil},
			{"nil option", v, []middleware.Option{nil}},
			{"nil option among others", v,
				[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthEmail)), nil}},
			{"no source", v, []middleware.Option{middleware.TokenFrom()}},
			{"nil source", v, []middleware.Option{middleware.TokenFrom(nil)}},
			{"nil source after another", v,
				[]middleware.Option{middleware.TokenFrom(middleware.FromAuthorization(), nil)}},
			{"no rule", v, []middleware.Option{middleware.Allow()}},
			{"nil rule", v, []middleware.Option{middleware.Allow(nil)}},
			{"nil rule after another", v,
				[]middleware.Option{middleware.Allow(middleware.AuthTypes(claims.AuthEmail), nil)}},
			{"nil override", v, []middleware.Option{middleware.OnRefusal(nil)}},
			{"corrected by a later option", v,
				[]middleware.Option{middleware.TokenFrom(),
					middleware.TokenFrom(middleware.FromAuthorization())}},
			{"several", nil,
				[]middleware.Option{nil, middleware.TokenFrom(), middleware.Allow(nil)}},
		} {
			t.Run(test.name, func(t *testing.T) {
				for _, require := range []bool{true, false} {
					site := serve(t, a, require, test.v, test.opts, nil)
					site.refuses(t, answer500)
					site.refuses(t, answer500, token)
					site.refuses(t, answer500, bearer("junk"))
				}
			})
		}
	})
}

// TestPlanted checks that values in the context under other keys, and values
// that a client sends, are not taken for a user.
func TestPlanted(t *testing.T) {
	type claimsKey struct{}
	type contextKey struct{} // another type with a plausible name
	forger := paratest.PhoneUser()
	plant := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			for _, key := range []any{
				"user", "para", "claims", "contextKey", "claims.contextKey", "parajwt", "", 0,
				claimsKey{}, contextKey{},
				struct{}{}, reflect.TypeFor[claims.Claims](), reflect.TypeFor[*claims.Claims](),
			} {
				if reflect.TypeOf(key).Comparable() {
					ctx = context.WithValue(ctx, key, forger)
				}
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	lines := []string{"User: " + forger.UserID, "X-User-Id: " + forger.UserID,
		"X-Para-User: " + forger.UserID, "Cookie: user=" + forger.UserID}
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		behind := func(require bool) *site {
			s := new(site)
			counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.calls.Add(1)
				whoami(w, r)
			})
			s.listen(t, plant(a.mount(require, v, nil, counted)))
			return s
		}
		behind(true).refuses(t, noToken, lines...)
		behind(true).passes(t, emailUser,
			append(lines, bearer(para().Token(paratest.EmailUser())))...)
		behind(false).passes(t, "anonymous", lines...)
		behind(false).passes(t, emailUser,
			append(lines, bearer(para().Token(paratest.EmailUser())))...)
	})
}

// TestNested checks nested guards. Each decides independently. The user of the
// innermost guard counts.
func TestNested(t *testing.T) {
	email, phone := para().Token(paratest.EmailUser()), para().Token(paratest.PhoneUser())
	forAll(t, func(t *testing.T, a adapter) {
		v := paraValidator(t)
		nested := func(outer, inner bool, innerOpts ...middleware.Option) *site {
			s := new(site)
			counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.calls.Add(1)
				whoami(w, r)
			})
			s.listen(t, a.mount(outer, v, nil, a.mount(inner, v, innerOpts, counted)))
			return s
		}
		admins := middleware.Allow(middleware.AuthTypes(claims.AuthPhone))

		s := nested(true, true, admins)
		s.refuses(t, noToken)
		s.refuses(t, forged, bearer("junk"))
		s.refuses(t, answer403, bearer(email))
		s.passes(t, paratest.UserID+" phone", bearer(phone))

		s = nested(false, true)
		s.refuses(t, noToken)
		s.passes(t, emailUser, bearer(email))

		s = nested(true, false, admins)
		s.refuses(t, noToken)
		s.refuses(t, answer403, bearer(email))
		s.passes(t, paratest.UserID+" phone", bearer(phone))

		s = nested(true, true, middleware.TokenFrom(middleware.FromCookie("para")))
		s.refuses(t, noToken, bearer(email)) // it passes only the outer guard
		s.refuses(t, noToken, "Cookie: para="+email)
		s.passes(t, paratest.UserID+" phone", bearer(email), "Cookie: para="+phone)
	})
}

// TestTheRequestItself checks that the request reaches the handler unchanged,
// except for the user in its context.
func TestTheRequestItself(t *testing.T) {
	type key struct{}
	token := para().Token(paratest.EmailUser())
	forAll(t, func(t *testing.T, a adapter) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintln(w, r.Method, r.URL, r.Header.Get("X-Test"), string(body), err,
				r.Context().Value(key{}), r.Header.Get("Authorization") == "Bearer "+token)
		})
		s := new(site)
		guarded := a.mount(true, paraValidator(t), nil, handler)
		s.listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outside := r.WithContext(context.WithValue(r.Context(), key{}, "kept"))
			guarded.ServeHTTP(w, outside)
			if _, ok := claims.FromContext(outside.Context()); ok {
				t.Error("the caller's request was changed")
			}
		}))
		req, err := http.NewRequest("PUT", "http://"+s.addr+"/a/b?c=d", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("X-Test", "x")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if want := "PUT /a/b?c=d x body <nil> kept true\n"; err != nil || string(body) != want {
			t.Errorf("got %q, %v; want %q", body, err, want)
		}
	})
}

// TestUsersDoNotMix sends requests of many users through one validator at the
// same time.
func TestUsersDoNotMix(t *testing.T) {
	const users, times = 40, 3
	tokens := make([]string, users)
	for i := range tokens {
		u := paratest.EmailUser()
		u.UserID = fmt.Sprintf("user-%d", i)
		tokens[i] = para().Token(u)
	}
	forAll(t, func(t *testing.T, a adapter) {
		site := serve(t, a, true, paraValidator(t), nil, nil)
		var work sync.WaitGroup
		for i, token := range tokens {
			for range times {
				work.Go(func() {
					_, body, _ := strings.Cut(site.get(t, token), "\r\n\r\n")
					if want := fmt.Sprintf("user-%d email\n", i); body != want {
						t.Errorf("got %q, want %q", body, want)
					}
				})
			}
		}
		work.Wait()
	})
}
