package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func rule(err error) middleware.Rule {
	return func(context.Context, *claims.Claims) error { return err }
}

var (
	yes = rule(nil)
	no  = rule(errors.New("not today"))
	// unavailable is the error of a rule whose database is down.
	unavailable = rule(fmt.Errorf("%w: database is down", middleware.ErrRuleUnavailable))
)

// TestRules checks that rules give the same verdict in option Allow and in
// Authorize.
func TestRules(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	token := shared().Token(paratest.EmailUser())
	for _, test := range []struct {
		name  string
		rules []middleware.Rule
		want  middleware.Code // "" means that the rules allow the user
	}{
		{"one that allows", []middleware.Rule{yes}, ""},
		{"one that refuses", []middleware.Rule{no}, middleware.ErrForbidden},
		{"one that refuses with an Error", []middleware.Rule{
			rule(&middleware.Error{Code: middleware.ErrRevoked})}, middleware.ErrForbidden},
		{"both", []middleware.Rule{yes, no}, middleware.ErrForbidden},
		// This is a mistake of the rule: the error is not nil.
		{"a nil *Error", []middleware.Rule{rule((*middleware.Error)(nil))},
			middleware.ErrForbidden},
		{"unavailable", []middleware.Rule{yes, unavailable}, middleware.ErrRuleUnavailable},
		{"refused before unavailable", []middleware.Rule{no, unavailable}, middleware.ErrForbidden},
		{"any, first allows", []middleware.Rule{middleware.Any(yes, no)}, ""},
		{"any, second allows", []middleware.Rule{middleware.Any(no, yes)}, ""},
		{"any, one is unavailable and one allows", []middleware.Rule{
			middleware.Any(unavailable, yes)}, ""},
		{"any, none allows", []middleware.Rule{middleware.Any(no, no)}, middleware.ErrForbidden},
		{"any, one is unavailable", []middleware.Rule{middleware.Any(no, unavailable)},
			middleware.ErrRuleUnavailable},
		{"any in any", []middleware.Rule{middleware.Any(no, middleware.Any(no, yes))}, ""},
		{"no rules", nil, middleware.ErrMisconfigured},
		{"nil", []middleware.Rule{nil}, middleware.ErrMisconfigured},
		{"one of them nil", []middleware.Rule{yes, nil}, middleware.ErrMisconfigured},
		{"any of none", []middleware.Rule{middleware.Any()}, middleware.ErrMisconfigured},
		{"any of nil", []middleware.Rule{middleware.Any(nil)}, middleware.ErrMisconfigured},
		{"any of none in any", []middleware.Rule{middleware.Any(no, middleware.Any())},
			middleware.ErrMisconfigured},
	} {
		t.Run(test.name, func(t *testing.T) {
			verdict := func(name string, r *http.Request, refusal *middleware.Error) {
				t.Helper()
				switch {
				case test.want == "" && (refusal != nil || r == nil):
					t.Errorf("%s: got %v", name, refusal)
				// errors.Is would also find the code of the cause.
				case test.want != "" && (refusal == nil || refusal.Code != test.want || r != nil):
					t.Errorf("%s: got %v, want %v", name, refusal, test.want)
				}
			}
			inner := middleware.Require(v, middleware.Allow(test.rules...))
			r, refusal := inner.Check(request(token))
			verdict("option", r, refusal)
			outer, refusal := middleware.Require(v).Check(request(token))
			if refusal != nil {
				t.Fatal(refusal)
			}
			r, refusal = middleware.Authorize(test.rules...).Check(outer)
			verdict("Authorize", r, refusal)
			user, refusal := middleware.Require(v,
				middleware.Allow(test.rules...)).CheckToken(t.Context(), token)
			if user != nil {
				r = outer
			} else {
				r = nil
			}
			verdict("CheckToken", r, refusal)
		})
	}
}

// TestRuleReceivesUserAndContext checks that a rule receives the user and the
// context of the request, and that its changes to the user reach no handler.
func TestRuleReceivesUserAndContext(t *testing.T) {
	type key struct{}
	v := newValidator(t, middleware.Config{})
	calls := 0
	rule := func(ctx context.Context, user *claims.Claims) error {
		calls++
		other, _ := claims.FromContext(ctx)
		if ctx.Value(key{}) != "value" || user.UserID != paratest.UserID ||
			!reflect.DeepEqual(other, user) {
			t.Errorf("got %v, %v, %v", ctx, user, other)
		}
		user.UserID = "spoiled"
		return nil
	}
	r := request(shared().Token(paratest.EmailUser()))
	r = r.WithContext(context.WithValue(r.Context(), key{}, "value"))
	r, refusal := middleware.Require(v, middleware.Allow(rule)).Check(r)
	if refusal != nil {
		t.Fatal(refusal)
	}
	r, refusal = middleware.Authorize(rule).Check(r)
	if refusal != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, refusal)
	}
	if user, _ := claims.FromContext(r.Context()); user.UserID != paratest.UserID {
		t.Errorf("the handler gets %v", user)
	}
}

// TestAuthorize checks that Authorize responds, logs and reports as the outer
// guard does, and reports refusals only.
func TestAuthorize(t *testing.T) {
	var log testkit.Log
	var events []middleware.Event
	v := newValidator(t, middleware.Config{
		Logger:  log.Logger(),
		Observe: func(_ context.Context, e middleware.Event) { events = append(events, e) },
		OnRefusal: func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			w.WriteHeader(418)
		},
	})
	r, refusal := middleware.Require(v).Check(request(shared().Token(paratest.EmailUser())))
	if refusal != nil {
		t.Fatal(refusal)
	}
	log.Take()
	events = nil

	if passed, refusal := middleware.Authorize(yes).Check(r); passed != r || refusal != nil {
		t.Fatalf("got %v, %v", passed, refusal)
	}
	if len(events) != 0 || len(log.Take()) != 0 {
		t.Errorf("a request that passes is logged or reported: %v", events)
	}

	guard := middleware.Authorize(no)
	_, refusal = guard.Check(r)
	want := middleware.Event{Code: "forbidden", Check: "rule", Environment: "paratest"}
	if len(events) != 1 || events[0] != want {
		t.Errorf("reported %v", events)
	}
	if lines := log.Take(); len(lines) != 1 || lines[0]["environment"] != "paratest" {
		t.Errorf("logged %v", lines)
	}
	w := httptest.NewRecorder()
	if guard.Refuse(w, r, refusal); w.Code != 418 {
		t.Errorf("answered %d: OnRefusal of the outer guard was not called", w.Code)
	}
}

// TestAuthorizeWithoutAUser checks that a request without a user gets the
// default response and causes no event, also behind Optional.
func TestAuthorizeWithoutAUser(t *testing.T) {
	v := newValidator(t, middleware.Config{
		Observe: func(_ context.Context, e middleware.Event) { t.Errorf("reported %v", e) },
		OnRefusal: func(http.ResponseWriter, *http.Request, *middleware.Error) {
			t.Error("OnRefusal of the outer guard was called")
		},
	})
	anonymous, refusal := middleware.Optional(v).Check(request(""))
	if refusal != nil {
		t.Fatal(refusal)
	}
	for name, r := range map[string]*http.Request{"no guard": request(""), "anonymous": anonymous} {
		guard := middleware.Authorize(yes)
		passed, refusal := guard.Check(r)
		if passed != nil || !errors.Is(refusal, middleware.ErrNoToken) {
			t.Fatalf("%s: got %v, %v", name, passed, refusal)
		}
		w := httptest.NewRecorder()
		if guard.Refuse(w, r, refusal); w.Code != 401 ||
			w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: answered %d %v", name, w.Code, w.Header())
		}
	}
}

// TestDefaultsOfTheValidator checks that guards use the validator's
// TokenSources and OnRefusal unless an option replaces them.
func TestDefaultsOfTheValidator(t *testing.T) {
	v := newValidator(t, middleware.Config{
		TokenSources: []middleware.TokenSource{middleware.FromHeader("X-Token")},
		OnRefusal: func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			w.WriteHeader(418)
		},
	})
	token := shared().Token(paratest.EmailUser())
	elsewhere := request("")
	elsewhere.Header.Set("X-Token", token)
	if _, refusal := middleware.Require(v).Check(elsewhere); refusal != nil {
		t.Error(refusal)
	}
	if _, refusal := middleware.Require(v).Check(request(token)); !errors.Is(refusal,
		middleware.ErrNoToken) {
		t.Errorf("got %v", refusal)
	}
	header := middleware.TokenFrom(middleware.FromAuthorization())
	if _, refusal := middleware.Require(v, header).Check(request(token)); refusal != nil {
		t.Error(refusal)
	}
	for want, opts := range map[int][]middleware.Option{418: nil, 419: {
		middleware.OnRefusal(func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			w.WriteHeader(419)
		}),
	}} {
		w := httptest.NewRecorder()
		middleware.Require(v, opts...).Refuse(w, request(""),
			&middleware.Error{Code: middleware.ErrNoToken})
		if w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
	}
}

// TestExpiredIsAnonymous checks that the option passes a token only if its age
// is its only fault.
func TestExpiredIsAnonymous(t *testing.T) {
	var out bool
	var broken error
	v := newValidator(t, middleware.Config{MaxTokenAge: 24 * time.Hour,
		Revoked: func(context.Context, *claims.Claims, time.Time) (bool, error) {
			return out, broken
		}})
	guard := middleware.Optional(v, middleware.ExpiredIsAnonymous(), middleware.Allow(no))
	user := paratest.EmailUser()
	expired := paratest.Lived(-2*time.Hour, time.Hour)
	token := func(opts ...paratest.TokenOption) string { return shared().Token(user, opts...) }
	check := func(name, token string, want error) {
		t.Helper()
		for range 2 {
			r, refusal := guard.Check(request(token))
			if want != nil {
				if r != nil || !errors.Is(refusal, want) {
					t.Errorf("%s: got %v, %v, want %v", name, r, refusal, want)
				}
				continue
			}
			if refusal != nil {
				t.Fatalf("%s: %v", name, refusal)
			}
			if user, ok := claims.FromContext(r.Context()); ok {
				t.Errorf("%s: has a user: %v", name, user)
			}
			if user, refusal := guard.CheckToken(t.Context(), token); user != nil ||
				refusal != nil {
				t.Errorf("%s: CheckToken: %v, %v", name, user, refusal)
			}
		}
	}
	check("expired", token(expired), nil)
	check("older than MaxTokenAge", token(paratest.Lived(-25*time.Hour, 48*time.Hour)), nil)
	check("no token", "", nil)
	check("good, and the rule refuses", token(), middleware.ErrForbidden)
	check("expired, with a bad signature", token(expired, paratest.BadSignature()),
		middleware.ErrSignature)
	check("expired, for another app", token(expired, paratest.ForApp("x")), middleware.ErrAudience)
	check("expired, with nbf in the future", token(expired,
		paratest.With("nbf", noon.Add(time.Hour).Unix())),
		middleware.ErrNotYetValid)
	check("junk", "junk", middleware.ErrMalformed)
	out = true
	check("expired and revoked", token(expired), middleware.ErrRevoked)
	out, broken = false, errors.New("down")
	check("expired, revocation unknown", token(expired), middleware.ErrRevocationUnknown)

	strict := middleware.Require(v, middleware.ExpiredIsAnonymous())
	if r, refusal := strict.Check(request(token())); r != nil ||
		!errors.Is(refusal, middleware.ErrMisconfigured) {
		t.Errorf("on Require: got %v, %v", r, refusal)
	}
	if r, refusal := middleware.Optional(v).Check(request(token(expired))); r != nil ||
		!errors.Is(refusal, middleware.ErrExpired) {
		t.Errorf("without the option: got %v, %v", r, refusal)
	}
}

// TestCheckTokenOfAuthorize checks that CheckToken is a misconfiguration on
// a guard made by Authorize.
func TestCheckTokenOfAuthorize(t *testing.T) {
	user, refusal := middleware.Authorize(yes).CheckToken(t.Context(),
		shared().Token(paratest.EmailUser()))
	if user != nil || !errors.Is(refusal, middleware.ErrMisconfigured) {
		t.Errorf("got %v, %v", user, refusal)
	}
}

// TestPublic checks that Public hides the cause when printed, and that
// errors.As still finds it.
func TestPublic(t *testing.T) {
	refusal := &middleware.Error{Code: middleware.ErrExpired, KeyID: "canary", Hint: "canary",
		Cause: errors.New("canary")}
	public := refusal.Public()
	var found *middleware.Error
	if !errors.As(public, &found) || found != refusal || !errors.Is(public, middleware.ErrExpired) {
		t.Errorf("got %v", found)
	}
	for _, format := range []string{"%v", "%s", "%+v"} {
		if text := fmt.Sprintf(format, public); text != "Unauthorized" {
			t.Errorf("%s: %s", format, text)
		}
	}
	if strings.Contains(public.Error(), "canary") {
		t.Error(public)
	}
}

// TestAnyCopiesItsRules checks that a later change of the caller's slice does
// not change the rule.
func TestAnyCopiesItsRules(t *testing.T) {
	rules := []middleware.Rule{no}
	rule := middleware.Any(rules...)
	rules[0] = yes
	if err := rule(t.Context(), paratest.EmailUser()); err == nil {
		t.Error("the rule allows the user")
	}
}

// TestInnerGuardUsesItsOwnSettings checks that OnRefusal of an outer guard does
// not answer for an inner guard that verifies the token itself.
func TestInnerGuardUsesItsOwnSettings(t *testing.T) {
	v := newValidator(t, middleware.Config{})
	answer := func(status int) middleware.Option {
		return middleware.OnRefusal(
			func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
				w.WriteHeader(status)
			})
	}
	r, refusal := middleware.Require(v, answer(418)).Check(
		request(shared().Token(paratest.EmailUser())))
	if refusal != nil {
		t.Fatal(refusal)
	}
	for name, test := range map[string]struct {
		inner *middleware.Guard
		want  int
	}{
		"with an OnRefusal":    {middleware.Require(v, middleware.Allow(no), answer(410)), 410},
		"without an OnRefusal": {middleware.Require(v, middleware.Allow(no)), 403},
		"Authorize":            {middleware.Authorize(no), 418},
	} {
		_, refusal := test.inner.Check(r)
		if refusal == nil {
			t.Fatalf("%s: passed", name)
		}
		w := httptest.NewRecorder()
		test.inner.Refuse(w, r, refusal)
		if w.Code != test.want {
			t.Errorf("%s: answered %d, want %d", name, w.Code, test.want)
		}
	}
}
