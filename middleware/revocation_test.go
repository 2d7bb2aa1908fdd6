package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func issued(user, token string, at time.Time) *claims.Claims {
	return &claims.Claims{UserID: user, TokenID: token, IssuedAt: at, ExpiresAt: at.Add(time.Hour)}
}

func revoked(t *testing.T, r *middleware.Revocations, c *claims.Claims) bool {
	t.Helper()
	out, err := r.Revoked(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRevocations(t *testing.T) {
	now := noon
	tests := map[string]struct {
		revoke func(*middleware.Revocations) error
		out    []*claims.Claims
		in     []*claims.Claims
	}{
		"nothing": {
			revoke: func(*middleware.Revocations) error { return nil },
			in:     []*claims.Claims{issued("a", "1", noon), {UserID: "a"}},
		},
		"a user": {
			revoke: func(r *middleware.Revocations) error { return r.RevokeUser("a") },
			out:    []*claims.Claims{issued("a", "1", noon.Add(-time.Hour)), issued("a", "2", noon)},
			in:     []*claims.Claims{issued("a", "3", noon.Add(time.Second)), issued("b", "4", noon.Add(-time.Hour))},
		},
		"a token": {
			revoke: func(r *middleware.Revocations) error { return r.RevokeToken(issued("a", "1", noon)) },
			out:    []*claims.Claims{issued("a", "1", noon)},
			in:     []*claims.Claims{issued("a", "2", noon), issued("a", "", noon)},
		},
		"everything before": {
			revoke: func(r *middleware.Revocations) error {
				r.RevokeIssuedBefore(noon)
				r.RevokeIssuedBefore(noon.Add(-time.Hour)) // takes nothing back
				return nil
			},
			out: []*claims.Claims{issued("a", "1", noon.Add(-time.Second)), issued("b", "2", noon.Add(-time.Hour))},
			in:  []*claims.Claims{issued("a", "3", noon), {UserID: "a", AuthType: claims.AuthEmail}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &middleware.Revocations{Now: func() time.Time { return now }}
			if err := test.revoke(r); err != nil {
				t.Fatal(err)
			}
			for _, c := range test.out {
				if !revoked(t, r, c) {
					t.Errorf("%s of %s is not revoked", c.TokenID, c.UserID)
				}
			}
			for _, c := range test.in {
				if revoked(t, r, c) {
					t.Errorf("%s of %s is revoked", c.TokenID, c.UserID)
				}
			}
		})
	}
}

func TestRevokeTokenWantsAToken(t *testing.T) {
	var r middleware.Revocations
	for _, c := range []*claims.Claims{nil, {UserID: "a"}} {
		if err := r.RevokeToken(c); err == nil {
			t.Errorf("%v was revoked", c)
		}
	}
}

func TestRevocationsAreBounded(t *testing.T) {
	now := noon
	r := &middleware.Revocations{Limit: 10, Now: func() time.Time { return now }}
	for i := range 5 {
		if err := errors.Join(r.RevokeUser(fmt.Sprint("u", i)), r.RevokeToken(issued("x", fmt.Sprint("t", i), noon))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.RevokeUser("one more"); !errors.Is(err, middleware.ErrRevocationsFull) {
		t.Errorf("an eleventh: %v", err)
	}
	if err := r.RevokeUser("u1"); err != nil {
		t.Errorf("one who is on the list already: %v", err)
	}

	// What is revoked stays so for as long as any token of it could live, and is then forgotten.
	now = noon.Add(2 * time.Hour)
	if err := r.RevokeUser("in a token's place"); err != nil {
		t.Errorf("after the tokens expired: %v", err)
	}
	now = noon.Add(30*24*time.Hour - time.Minute)
	if !revoked(t, r, issued("u0", "", noon.Add(-time.Second))) {
		t.Error("a user was forgotten while a token of theirs could live")
	}
	now = noon.Add(31 * 24 * time.Hour)
	for i := range 8 {
		if err := r.RevokeUser(fmt.Sprint("later", i)); err != nil {
			t.Fatalf("after a month: %v", err)
		}
	}
}

func TestRevocationsPrintNobody(t *testing.T) {
	r := &middleware.Revocations{}
	r.RevokeUser("canary")
	if s := fmt.Sprintf("%v %+v", r, r); s != "1 users and 0 tokens revoked 1 users and 0 tokens revoked" {
		t.Error(s)
	}
}

func ExampleRevocations() {
	var out middleware.Revocations
	cfg := middleware.Config{Revoked: out.Revoked} // and Environment, APIKeyIDs, …

	user := &claims.Claims{UserID: "d5358219", IssuedAt: time.Now().Add(-time.Minute)} // of a request, by claims.FromContext
	if err := out.RevokeUser(user.UserID); err != nil {
		fmt.Println(err)
	}
	fmt.Println(cfg.Revoked(context.Background(), user))
	// Output: true <nil>
}

// A user who was logged out stays so when it is done again by a clock that was set back.
func TestRevokeUserNeverTakesBack(t *testing.T) {
	hand := newHand()
	out := middleware.Revocations{Now: hand.now}
	user := &claims.Claims{UserID: "u", IssuedAt: noon}
	for _, step := range []time.Duration{time.Minute, -time.Hour} {
		hand.advance(step)
		if err := out.RevokeUser("u"); err != nil {
			t.Fatal(err)
		}
		if revoked, err := out.Revoked(t.Context(), user); !revoked || err != nil {
			t.Errorf("after %v: got %t, %v", step, revoked, err)
		}
	}
}

// A full list takes no more tokens, either, and says so.
func TestRevokeTokenWhenFull(t *testing.T) {
	out := middleware.Revocations{Limit: 1, Now: newHand().now}
	token := func(id string) *claims.Claims {
		return &claims.Claims{TokenID: id, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	}
	if err := out.RevokeToken(token("a")); err != nil {
		t.Fatal(err)
	}
	if err := out.RevokeToken(token("a")); err != nil {
		t.Errorf("the same one again: %v", err)
	}
	if err := out.RevokeToken(token("b")); !errors.Is(err, middleware.ErrRevocationsFull) {
		t.Errorf("got %v", err)
	}
	if revoked, _ := out.Revoked(t.Context(), token("b")); revoked {
		t.Error("it was revoked all the same")
	}
}

// Nothing is forgotten as long as a token that it refuses could be accepted: by the clock, and by the most Leeway.
func TestRevocationsAreForgottenLate(t *testing.T) {
	const leeway = 5 * time.Minute
	token := &claims.Claims{TokenID: "t", UserID: "other", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	user := &claims.Claims{TokenID: "u", UserID: "u", IssuedAt: noon}
	for _, test := range []struct {
		name   string
		revoke func(*middleware.Revocations) error
		whose  *claims.Claims
		needed time.Duration
	}{
		{"token", func(r *middleware.Revocations) error { return r.RevokeToken(token) }, token, time.Hour + leeway},
		{"user", func(r *middleware.Revocations) error { return r.RevokeUser("u") }, user, 30*24*time.Hour + leeway},
	} {
		t.Run(test.name, func(t *testing.T) {
			hand := newHand()
			out := middleware.Revocations{Limit: 1, Now: hand.now}
			if err := test.revoke(&out); err != nil {
				t.Fatal(err)
			}
			hand.advance(test.needed)
			if err := out.RevokeUser("next"); !errors.Is(err, middleware.ErrRevocationsFull) {
				t.Errorf("it made room at once: %v", err)
			}
			if revoked, _ := out.Revoked(t.Context(), test.whose); !revoked {
				t.Error("it was forgotten too early")
			}
			hand.advance(time.Second)
			if err := out.RevokeUser("next"); err != nil {
				t.Errorf("it makes no room: %v", err)
			}
			if revoked, _ := out.Revoked(t.Context(), test.whose); revoked {
				t.Error("it is still there")
			}
		})
	}
}

// A list without a Limit has room for 100,000 and no more.
func TestRevocationsDefaultLimit(t *testing.T) {
	out := middleware.Revocations{Now: newHand().now}
	for i := range 100_000 {
		if err := out.RevokeUser(strconv.Itoa(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := out.RevokeUser("one more"); !errors.Is(err, middleware.ErrRevocationsFull) {
		t.Errorf("got %v", err)
	}
}
