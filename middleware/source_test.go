package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// TestFromCookie checks that exactly one cookie with the name is accepted, in
// every form that browsers send.
func TestFromCookie(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  string // "!" means an error
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"jwt=a.b-c_d"}, "a.b-c_d"},
		{[]string{"x=1; jwt=a; y=2"}, "a"},
		{[]string{"x=1;jwt=a;y=2"}, "a"},
		{[]string{"x=1", "jwt=a"}, "a"},
		{[]string{`jwt="a"`}, "a"},
		{[]string{"jwt=a=b"}, "a=b"},
		{[]string{"xjwt=a; jwtx=b; JWT=c"}, ""},
		{[]string{"jwt"}, "!"},
		{[]string{"jwt="}, "!"},
		{[]string{`jwt=""`}, "!"},
		{[]string{`jwt="a`}, "!"},
		{[]string{`jwt=ab"`}, "!"},
		{[]string{`jwt="`}, "!"},
		{[]string{"jwt=a b"}, "!"},
		{[]string{"jwt=a,b"}, "!"},
		{[]string{"jwt=a\x00"}, "!"},
		{[]string{"jwt=\u00e9"}, "!"},
		{[]string{"jwt=a; jwt=a"}, "!"},
		{[]string{"jwt=a", "jwt=b"}, "!"},
		{[]string{"jwt; jwt=b"}, "!"},
		{[]string{"jwt=a; x=" + strings.Repeat("b", 32<<10-9)}, "a"},       // 32 KiB
		{[]string{"jwt=a; x=" + strings.Repeat("b", 32<<10-9) + "b"}, "!"}, // one byte more
		{[]string{"jwt=a", strings.Repeat("b", 32<<10)}, "!"},
	} {
		r := request("")
		r.Header["Cookie"] = test.lines
		token, err := middleware.FromCookie("jwt")(r)
		if test.want == "!" && (err == nil || token != "") || test.want != "!" &&
			(err != nil || token != test.want) {
			t.Errorf("%.40q: got %q, %v; want %q", test.lines, token, err, test.want)
		}
	}
}

// TestFromCookieAgreesWithNetHTTP checks that FromCookie finds the token that
// http.SetCookie sent to a browser.
func TestFromCookieAgreesWithNetHTTP(t *testing.T) {
	token := shared().Token(paratest.EmailUser())
	r := request("")
	r.AddCookie(&http.Cookie{Name: "first", Value: "a b"})
	r.AddCookie(&http.Cookie{Name: "jwt", Value: token, Quoted: true})
	if got, err := middleware.FromCookie("jwt")(r); got != token || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestFromCookieDoesNotAllocate checks that a search through many cookies
// allocates nothing.
func TestFromCookieDoesNotAllocate(t *testing.T) {
	source := middleware.FromCookie("jwt")
	r := request("")
	for name, line := range map[string]string{
		"many cookies": strings.Repeat("a=b; ", 6000),
		"semicolons":   strings.Repeat(";", 32<<10),
		"too long":     strings.Repeat("jwt=a;", 1<<17),
	} {
		r.Header["Cookie"] = []string{line}
		if n := testing.AllocsPerRun(10, func() { source(r) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestFromWebSocketProtocol(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  string // "!" means an error
	}{
		{nil, ""},
		{[]string{"chat.v1"}, ""},
		{[]string{"chat.v1, chat.v2"}, ""},
		{[]string{""}, ""},
		{[]string{"para.jwt, a.b.c"}, "a.b.c"},
		{[]string{"para.jwt,a.b.c"}, "a.b.c"},
		{[]string{"para.jwt ,\ta.b.c , chat.v1"}, "a.b.c"},
		{[]string{"para.jwt", "a.b.c", "chat.v1"}, "a.b.c"},
		{[]string{"para.jwt, a.b.c, chat.v1"}, "a.b.c"},
		{[]string{"para.jwt"}, "!"},
		{[]string{"para.jwt,"}, "!"},
		{[]string{"para.jwt, , a.b.c"}, "!"},
		{[]string{"a.b.c, para.jwt"}, "!"},
		{[]string{"chat.v1, para.jwt, a.b.c"}, "!"},
		{[]string{", para.jwt, a.b.c"}, "!"},
		{[]string{"para.jwt, para.jwt"}, "!"},
		{[]string{"para.jwt, a.b.c, para.jwt, a.b.c"}, "!"},
		{[]string{"para.jwt, a.b.c", "para.jwt, a.b.c"}, "!"},
		{[]string{"PARA.JWT, a.b.c"}, "!"},
		{[]string{"para.jwt, a.b.c, Para.JWT"}, "!"},
		{[]string{"para.jwt, " + strings.Repeat("a", 65<<10)}, "!"},
	} {
		r := request("")
		r.Header["Sec-Websocket-Protocol"] = test.lines
		token, err := middleware.FromWebSocketProtocol()(r)
		if test.want == "!" && (err == nil || token != "") || test.want != "!" &&
			(err != nil || token != test.want) {
			t.Errorf("%.40q: got %q, %v; want %q", test.lines, token, err, test.want)
		}
	}
}

// TestWebSocketTokenIsRemoved checks that no handler sees a token in the
// WebSocket protocols that it may select, whatever the guard's sources are. The
// caller's request does not change.
func TestWebSocketTokenIsRemoved(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	token := shared().Token(paratest.EmailUser())
	socket := middleware.TokenFrom(middleware.FromWebSocketProtocol())
	for name, test := range map[string]struct {
		guard     *middleware.Guard
		header    string
		protocols []string
		want      []string
		user      bool
	}{
		"its guard": {middleware.Require(v, socket), "",
			[]string{"para.jwt, " + token + ", chat.v1"}, []string{"para.jwt, chat.v1"}, true},
		"several fields": {middleware.Require(v, socket), "",
			[]string{"para.jwt", token, "chat.v1"}, []string{"para.jwt, chat.v1"}, true},
		"no other protocol": {middleware.Require(v, socket), "", []string{"para.jwt, " + token},
			[]string{"para.jwt"}, true},
		"another guard": {middleware.Require(v), token, []string{"para.jwt, " + token},
			[]string{"para.jwt"}, true},
		"anonymous": {middleware.Optional(v), "", []string{"chat.v1, para.jwt, " + token},
			[]string{"chat.v1, para.jwt"}, false},
		"nothing to hide": {middleware.Optional(v, socket), "", []string{"chat.v1", "chat.v2"},
			[]string{"chat.v1", "chat.v2"}, false},
		"two tokens": {middleware.Optional(v), "",
			[]string{"para.jwt, " + token + ", chat.v1", "para.jwt, " + token},
			[]string{"para.jwt, chat.v1, para.jwt"}, false},
		"an offer after an offer": {middleware.Optional(v), "",
			[]string{"para.jwt, PARA.JWT, " + token}, []string{"para.jwt, PARA.JWT"}, false},
		"empty items": {middleware.Optional(v), "",
			[]string{", para.jwt, , " + token + ", chat.v1"}, []string{"para.jwt, chat.v1"}, false},
		"a long field": {middleware.Optional(v), "",
			[]string{"para.jwt, " + token, strings.Repeat("a", 65<<10)}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			if test.header != "" {
				r.Header.Set("Authorization", "Bearer "+test.header)
			}
			r.Header["Sec-Websocket-Protocol"] = slices.Clone(test.protocols)
			passed, refusal := test.guard.Check(r)
			if refusal != nil {
				t.Fatal(refusal)
			}
			if got := passed.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, test.want) {
				t.Errorf("the handler sees %.200q", got)
			}
			if !slices.Equal(r.Header["Sec-Websocket-Protocol"], test.protocols) {
				t.Error("the caller's request was changed")
			}
			if _, ok := claims.FromContext(passed.Context()); ok != test.user {
				t.Errorf("user: %t", ok)
			}
		})
	}
}

// TestInnerGuardFindsTheWebSocketToken checks that an inner guard finds a token
// that the outer one removed, and that it removes no protocol of the app.
func TestInnerGuardFindsTheWebSocketToken(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	token := shared().Token(paratest.EmailUser())
	socket := middleware.TokenFrom(middleware.FromWebSocketProtocol())
	for name, outer := range map[string]*middleware.Guard{
		"Optional, header": middleware.Optional(v),
		"Optional, socket": middleware.Optional(v, socket),
		"Require, socket":  middleware.Require(v, socket),
	} {
		r := request("")
		r.Header["Sec-Websocket-Protocol"] = []string{"para.jwt, " + token, "chat.v1"}
		for _, guard := range []*middleware.Guard{outer, middleware.Require(v, socket),
			middleware.Require(v, socket)} {
			var refusal *middleware.Error
			if r, refusal = guard.Check(r); refusal != nil {
				t.Fatalf("%s: %v", name, refusal)
			}
			if got := r.Header.Get("Sec-WebSocket-Protocol"); got != "para.jwt, chat.v1" {
				t.Errorf("%s: the handler sees %.200q", name, got)
			}
			for _, format := range []string{"%v", "%+v", "%#v"} {
				text := fmt.Sprintf(format, r.Context())
				if found := testkit.Leaks(text, token); len(found) > 0 {
					t.Errorf("%s: %s of the context prints the token", name, format)
				}
			}
		}
		if user, ok := claims.FromContext(r.Context()); !ok || user.Email == "" {
			t.Errorf("%s: no user", name)
		}
		// Another request with the same context has its own field.
		other := request("").WithContext(r.Context())
		if _, refusal := middleware.Require(v, socket).Check(other); refusal == nil {
			t.Errorf("%s: a request without the field is accepted", name)
		}
		phone := shared().Token(paratest.PhoneUser())
		other.Header["Sec-Websocket-Protocol"] = []string{"para.jwt, " + phone}
		passed, refusal := middleware.Require(v, socket).Check(other)
		if refusal != nil {
			t.Fatalf("%s: %v", name, refusal)
		}
		if user, _ := claims.FromContext(passed.Context()); user.Phone == "" {
			t.Errorf("%s: another request gets the first request's user: %v", name, user)
		}
		if got := passed.Header.Get("Sec-WebSocket-Protocol"); got != "para.jwt" {
			t.Errorf("%s: the handler of another request sees %.200q", name, got)
		}
	}
}

// TestWebSocketProtocolsCostLittleMemory checks that a client without a token
// cannot make a guard allocate more than a few times the size of a long
// Sec-WebSocket-Protocol. A slice of the items would take 16 bytes for a comma.
func TestWebSocketProtocolsCostLittleMemory(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	guards := map[string]*middleware.Guard{
		"optional": middleware.Optional(v),
		"socket": middleware.Optional(v,
			middleware.TokenFrom(middleware.FromWebSocketProtocol())),
	}
	for name, value := range map[string]string{
		"64 KiB of commas":       strings.Repeat(",", 64<<10),
		"1 MiB of commas":        strings.Repeat(",", 1<<20),
		"an offer and commas":    "para.jwt, x" + strings.Repeat(",", 63<<10),
		"an offer and protocols": "para.jwt, x" + strings.Repeat(",a", 31<<10),
		"offers":                 strings.Repeat("para.jwt,", 7<<10),
	} {
		for kind, guard := range guards {
			r := request("")
			r.Header["Sec-Websocket-Protocol"] = []string{value}
			const runs = 5
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				guard.Check(r)
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 5*64<<10 {
				t.Errorf("%s, %s: %d bytes allocated", name, kind, got)
			}
		}
	}
}
