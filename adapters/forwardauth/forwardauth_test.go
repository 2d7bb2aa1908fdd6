package forwardauth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/adapters/forwardauth"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// ask sends a request with header fields, and with a token unless it is "".
func ask(h http.Handler, token string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/auth", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// got returns the fields of a 200 response.
func got(t *testing.T, w *httptest.ResponseRecorder) map[string]string {
	t.Helper()
	if w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Fatalf("%d %q, want an empty 200", w.Code, w.Body)
	}
	fields := make(map[string]string)
	for _, name := range forwardauth.Fields() {
		if len(w.Header()[name]) != 1 {
			t.Fatalf("%s: %q, want one value", name, w.Header()[name])
		}
		fields[name] = w.Header().Get(name)
	}
	return fields
}

func TestFieldsOfUsers(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t)
	const wallets = "EVM:" + paratest.EVMAddress + ",SOLANA:" + paratest.SolanaAddress
	for _, test := range []struct {
		user             *claims.Claims
		auth, identifier string
	}{
		{paratest.EmailUser(), "email", "email%40example.com"},
		{paratest.PhoneUser(), "phone", "%2B13105551234"},
		{paratest.TelegramUser(), "telegram", "1234567890"},
		{paratest.FarcasterUser(), "farcaster", "FarcasterUsername"},
		// The connected wallet is not attested, so X-Para-Wallets does not have
		// it.
		{paratest.ExternalWalletUser(), "externalWallet",
			"0xaD6b78193b78e23F9aBBB675734f4a2B3559598D"},
	} {
		token := para.Token(test.user)
		user, err := v.Validate(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"X-Para-User-Id": paratest.UserID, "X-Para-Auth-Type": test.auth,
			"X-Para-Identifier": test.identifier, "X-Para-Wallets": wallets,
			"X-Para-Token-Id": user.TokenID,
			"X-Para-Expires":  strconv.FormatInt(user.ExpiresAt.Unix(), 10),
		}
		for _, h := range []http.Handler{forwardauth.Require(v), forwardauth.Optional(v)} {
			w := ask(h, token)
			if fields := got(t, w); fmt.Sprint(fields) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", test.auth, fields, want)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v may be cached", test.auth, w.Header())
			}
		}
	}
}

func TestOptionalWithoutToken(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t)
	for name, value := range got(t, ask(forwardauth.Optional(v), "")) {
		if value != "-" {
			t.Errorf("%s: %q without a token", name, value)
		}
	}
	for token, want := range map[string]int{
		para.Token(paratest.EmailUser(), paratest.Expired()): 401,
		"junk":                           401,
		para.Token(paratest.EmailUser()): 200,
	} {
		if w := ask(forwardauth.Optional(v), token); w.Code != want {
			t.Errorf("Optional, %.10s…: %d, want %d", token, w.Code, want)
		}
	}
}

// TestRefusals compares each refusal with that of net/http, byte for byte.
func TestRefusals(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	down := paratest.New(t, paratest.Config{})
	down.Down()
	v, blind := para.Validator(t), down.Validator(t)
	unknown := para.Validator(t, func(cfg *middleware.Config) {
		cfg.Revoked = func(context.Context, *claims.Claims, time.Time) (bool, error) {
			return false, errors.New("the store is away")
		}
	})
	phones := middleware.Allow(middleware.AuthTypes(claims.AuthPhone))
	good := para.Token(paratest.EmailUser())
	for _, test := range []struct {
		name   string
		v      *middleware.Validator
		token  string
		opts   []middleware.Option
		status int
	}{
		{"no token", v, "", nil, 401},
		{"junk", v, "junk", nil, 401},
		{"expired", v, para.Token(paratest.EmailUser(), paratest.Expired()), nil, 401},
		{"bad signature", v, para.Token(paratest.EmailUser(), paratest.BadSignature()), nil, 401},
		{"a rule", v, good, []middleware.Option{phones}, 403},
		{"misconfigured", v, good, []middleware.Option{middleware.Allow()}, 500},
		{"keys unavailable", blind, good, nil, 503},
		{"revocations unknown", unknown, good, nil, 503},
	} {
		w := ask(forwardauth.Require(test.v, test.opts...), test.token)
		reached := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Errorf("%s: the handler was reached", test.name)
		})
		want := ask(parahttp.Require(test.v, test.opts...)(reached), test.token)
		if w.Code != test.status || w.Code != want.Code || w.Body.String() != want.Body.String() ||
			fmt.Sprint(w.Header()) != fmt.Sprint(want.Header()) {
			t.Errorf("%s: %d %v %s, want %d %v %s", test.name, w.Code, w.Header(), w.Body,
				want.Code, want.Header(), want.Body)
		}
		for _, name := range forwardauth.Fields() {
			if w.Header().Get(name) != "" {
				t.Errorf("%s: %s on a refusal", test.name, name)
			}
		}
	}
}

// TestStatusIsNotReplaced checks that OnRefusal is not called, because a proxy
// would pass a request if OnRefusal responded with 200.
func TestStatusIsNotReplaced(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for _, status := range []int{200, 302} {
		replace := func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(status)
		}
		v := para.Validator(t, func(cfg *middleware.Config) { cfg.OnRefusal = replace })
		for _, h := range []http.Handler{
			forwardauth.Require(v), forwardauth.Require(v, middleware.OnRefusal(replace)),
		} {
			if w := ask(h, ""); w.Code != 401 || w.Header().Get("Location") != "" {
				t.Errorf("%d %v, want 401", w.Code, w.Header())
			}
		}
	}
}

// TestTokenAloneDecides checks that other parts of a request have no effect.
func TestTokenAloneDecides(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	h := forwardauth.Require(para.Validator(t))
	token := para.Token(paratest.EmailUser())
	want := fmt.Sprint(ask(h, token).Header())
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", "/auth", strings.NewReader("body")),
		httptest.NewRequest("DELETE", "/auth/any/../path//x", nil),
		httptest.NewRequest("OPTIONS", "/healthz?a=b", nil),
		httptest.NewRequest("BREW", "http://elsewhere.example/public", nil),
	} {
		for name, value := range map[string]string{
			"X-Forwarded-Uri": "/public", "X-Forwarded-Method": "OPTIONS",
			"X-Forwarded-Host": "elsewhere.example", "X-Original-Url": "/public",
			"X-Para-User-Id": "forged", "X_Para_User_Id": "forged", "Upgrade": "websocket",
		} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%s %s without a token: %d", r.Method, r.URL, w.Code)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || fmt.Sprint(w.Header()) != want {
			t.Errorf("%s %s with a token: %d %v, want %s",
				r.Method, r.URL, w.Code, w.Header(), want)
		}
	}
}

func TestConnectionField(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	h := forwardauth.Require(para.Validator(t))
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct {
		values []string
		status int
	}{
		{nil, 200},
		{[]string{"close"}, 200},
		{[]string{"keep-alive, Upgrade"}, 200},
		{[]string{"X-Parallel"}, 200},
		{[]string{"Para, X"}, 200},
		{[]string{"X-Para-User-Id"}, 400},
		{[]string{"keep-alive,\tx-PARA-wallets ,close"}, 400},
		{[]string{"close", "x-para-new-field"}, 400},
	} {
		var fields []string
		for _, value := range test.values {
			fields = append(fields, "Connection", value)
		}
		w := ask(h, token, fields...)
		if w.Code != test.status {
			t.Errorf("Connection %q: %d, want %d", test.values, w.Code, test.status)
		}
		if w.Code == 400 && (w.Header().Get("X-Para-User-Id") != "" ||
			w.Body.String() != `{"type":"about:blank","title":"Bad Request","status":400}`+"\n") {
			t.Errorf("Connection %q: %v %s", test.values, w.Header(), w.Body)
		}
	}
}

func TestEncoding(t *testing.T) {
	for _, test := range []struct{ identifier, want string }{
		{"", "-"},
		{"-", "%2D"},
		{"--", "--"},
		{"a-b.c_d~e", "a-b.c_d~e"},
		{"a b+c", "a%20b%2Bc"},
		{"%2D", "%252D"},
		{"EVM:0x1,SOLANA:x", "EVM%3A0x1%2CSOLANA%3Ax"},
		{"zoë@example.com", "zo%C3%AB%40example.com"},
		{"a\r\nX-Para-User-Id: b\x00", "a%0D%0AX-Para-User-Id%3A%20b%00"},
		{strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{strings.Repeat("x", 513), "-"},
		{strings.Repeat("ë", 85), strings.Repeat("%C3%AB", 85)}, // 510 bytes
		{strings.Repeat("ë", 86), "-"},
	} {
		para := paratest.New(t, paratest.Config{})
		h := forwardauth.Require(para.Validator(t))
		token := para.Token(paratest.EmailUser(), paratest.WithData("identifier", test.identifier))
		if got := got(t, ask(h, token))["X-Para-Identifier"]; got != test.want {
			t.Errorf("identifier %q: %q, want %q", test.identifier, got, test.want)
		}
	}
}

func TestUserIDIsNotCut(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	var log strings.Builder
	v := para.Validator(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	for _, test := range []struct {
		id     string
		status int
	}{
		{strings.Repeat("x", 512), 200},
		{strings.Repeat("x", 513), 403},
		{strings.Repeat("ë", 85), 200},
		{strings.Repeat("ë", 86), 403},
	} {
		user := paratest.EmailUser()
		user.UserID = test.id
		log.Reset()
		w := ask(forwardauth.Require(v), para.Token(user))
		if w.Code != test.status {
			t.Fatalf("user ID of %d bytes: %d, want %d", len(test.id), w.Code, test.status)
		}
		if w.Code == 200 {
			if id, err := url.PathUnescape(got(t, w)["X-Para-User-Id"]); id != test.id {
				t.Errorf("user ID %q, want %q: %v", id, test.id, err)
			}
		} else if !strings.Contains(log.String(), "at most 512") {
			t.Errorf("the log does not have the reason: %s", &log)
		}
	}
}

func TestWallets(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	h := forwardauth.Require(para.Validator(t))
	type wallet = claims.Wallet
	var many []wallet
	for i := range 100 {
		many = append(many, wallet{Type: "EVM", Address: fmt.Sprintf("0x%040d", i)})
	}
	for _, test := range []struct {
		name    string
		wallets []wallet
		want    string
	}{
		{"none", nil, "-"},
		{"no address yet", []wallet{{Type: "EVM"}}, "-"},
		{"no type", []wallet{{Address: "0x1"}}, "-:0x1"},
		{"two", []wallet{{Type: "EVM", Address: "0x1"}, {Type: "SUI", Address: "0x2"}},
			"EVM:0x1,SUI:0x2"},
		{"separators", []wallet{{Type: "E,V:M", Address: "a,EVM:b"}}, "E%2CV%3AM:a%2CEVM%3Ab"},
		{"too long", []wallet{{Type: "EVM", Address: strings.Repeat("a", 3<<10)}}, "-"},
	} {
		user := paratest.EmailUser()
		user.Wallets = test.wallets
		fields := got(t, ask(h, para.Token(user)))
		if fields["X-Para-Wallets"] != test.want {
			t.Errorf("%s: %q, want %q", test.name, fields["X-Para-Wallets"], test.want)
		}
	}

	// X-Para-Wallets has as many whole entries as fit, starting with the first.
	user := paratest.EmailUser()
	user.Wallets = many
	fields := got(t, ask(h, para.Token(user)))
	size := 0
	for _, value := range fields {
		size += len(value)
	}
	entries := strings.Split(fields["X-Para-Wallets"], ",")
	if entry := len(entries[0]) + 1; size > 3<<10 || size+entry <= 3<<10 {
		t.Errorf("%d wallets in %d bytes of fields: not as many as fit", len(entries), size)
	}
	for i, entry := range entries {
		if entry != "EVM:"+many[i].Address {
			t.Errorf("entry %d is %q", i, entry)
		}
	}
}

// FuzzFields checks that all values are percent-encoded ASCII of at most 3 KiB,
// and decode to the values in the token.
func FuzzFields(f *testing.F) {
	f.Add(paratest.UserID, "email", "email@example.com", "EVM", paratest.EVMAddress, 2)
	f.Add("-", "", "%2D", "-", ",", 1)
	f.Add("a\r\nb", "\x00", "zoë\xff", ":", "%", 5)
	f.Add(strings.Repeat("u", 512), strings.Repeat("é", 90), strings.Repeat("%", 171), "SUI",
		strings.Repeat("+", 300), 9)
	encoded := regexp.MustCompile(`^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$`)
	// decode decodes a value as an application does.
	decode := func(t *testing.T, value string) string {
		if !encoded.MatchString(value) {
			t.Fatalf("%q is not percent-encoded ASCII", value)
		}
		if value == "-" {
			return ""
		}
		path, err := url.PathUnescape(value)
		query, queryErr := url.QueryUnescape(value)
		if err != nil || queryErr != nil || path != query {
			t.Fatalf("%q is %q or %q: %v, %v", value, path, query, err, queryErr)
		}
		return path
	}
	f.Fuzz(func(t *testing.T, id, auth, identifier, kind, address string, n int) {
		user := &claims.Claims{UserID: id, AuthType: claims.AuthType(auth), Identifier: identifier,
			TokenID: "cw4bUcF6nFCSwq1b7zKWbg", ExpiresAt: time.Unix(253402300799, 0)}
		for i := range max(n, 0) % 100 {
			user.Wallets = append(user.Wallets,
				claims.Wallet{Type: claims.WalletType(kind), Address: address + strconv.Itoa(i)})
		}
		if forwardauth.UserIDFits(t.Context(), user) != nil {
			return // refused
		}
		values := forwardauth.Values(user)
		if all := strings.Join(values[:], ""); len(all) > 3<<10 {
			t.Fatalf("%d bytes", len(all))
		}
		if got := decode(t, values[0]); got != id {
			t.Errorf("user ID %q, want %q", got, id)
		}
		for i, want := range map[int]string{
			1: auth, 2: identifier, 4: user.TokenID, 5: "253402300799",
		} {
			tooLong := values[i] == "-" && 3*len(want) > 512
			if got := decode(t, values[i]); got != want && !tooLong {
				t.Errorf("%s: %q, want %q", forwardauth.Fields()[i], values[i], want)
			}
		}
		if values[3] == "-" {
			return
		}
		entries := strings.Split(values[3], ",")
		if len(entries) > len(user.Wallets) {
			t.Fatalf("%d entries of %d wallets", len(entries), len(user.Wallets))
		}
		for i, entry := range entries {
			parts := strings.Split(entry, ":")
			if len(parts) != 2 || decode(t, parts[0]) != kind ||
				decode(t, parts[1]) != address+strconv.Itoa(i) {
				t.Fatalf("entry %d is %q", i, entry)
			}
		}
	})
}

func TestFields(t *testing.T) {
	forwardauth.Fields()[0] = "changed"
	want := []string{"X-Para-User-Id", "X-Para-Auth-Type", "X-Para-Identifier", "X-Para-Wallets",
		"X-Para-Token-Id", "X-Para-Expires"}
	if got := forwardauth.Fields(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestVerificationTokenUser checks that X-Para-User-Id is "-" for a
// verification token without a user ID, so that an application treats it as
// anonymous.
func TestVerificationTokenUser(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	h := forwardauth.Require(para.Validator(t), middleware.AcceptVerificationTokensWithoutUserID(
		sessions{}, middleware.FromHeader("X-Para-Verification-Token")))
	fields := got(t, ask(h, "", "X-Para-Verification-Token", "v"))
	if fields["X-Para-User-Id"] != "-" || fields["X-Para-Auth-Type"] != "email" ||
		fields["X-Para-Expires"] != "-" || fields["X-Para-Token-Id"] != "-" {
		t.Errorf("%v", fields)
	}
}

type sessions struct{}

func (sessions) VerifyVerificationToken(context.Context, string) (*claims.Claims, error) {
	return &claims.Claims{AuthType: claims.AuthEmail, Identifier: "email@example.com"}, nil
}
