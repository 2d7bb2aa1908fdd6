package claims_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
)

// private returns a user with a canary in every field that must not be logged.
func private(t testing.TB) *claims.Claims {
	c := read(t, edit(t, `"canary-member":["canary"],"userId":"canary-user"`, `"role":"canary-role",
		"wallets":[{"id":"canary-w","type":"EVM","address":"canary-a","publicKey":"canary-k"}],
		"connectedWallets":[
			{"id":"canary-c","type":"EVM","address":"canary-ca","provider":"canary-p"}],
		"externalWallet":{"address":"canary-e","type":"EVM","provider":"canary-p"},
		"email":"canary@example.com","phone":"canary-phone",
		"telegramUserId":"canary-t","farcasterUsername":"canary-f",
		"externalWalletAddress":"canary-x","identifier":"canary-i",
		"authType":"email","userId":"canary-user"`))
	// The fields that are logged must not contain the canary.
	c.UserID, c.Subject, c.Environment, c.KeyID = "user-1", "user-1", "BETA", "key-1"
	return c
}

func TestPrintedUserHasNoPersonalData(t *testing.T) {
	c := private(t)
	const want = "para user user-1 (email, BETA)"
	type holder struct {
		Pointer *claims.Claims
		User    claims.Claims
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{c, *c} {
			if got := fmt.Sprintf(verb, v); got != want {
				t.Errorf("%s of %T: got %q, want %q", verb, v, got, want)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
		for _, v := range []any{c, *c, &c, []*claims.Claims{c}, []claims.Claims{*c},
			map[string]*claims.Claims{"a": c}, holder{c, *c}, &holder{c, *c}} {
			if got := fmt.Sprintf(verb, v); len(testkit.Leaks(got, "canary")) > 0 {
				t.Errorf("%s of %T shows personal data: %q", verb, v, got)
			}
		}
	}
	for _, got := range []string{c.String(), fmt.Sprint(c), fmt.Sprintln(*c),
		fmt.Errorf("handler: %v", c).Error()} {
		if !strings.Contains(got, want) || len(testkit.Leaks(got, "canary")) > 0 {
			t.Errorf("got %q", got)
		}
	}
}

func TestLoggedUserHasNoPersonalData(t *testing.T) {
	c := private(t)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		for _, v := range []any{c, *c} {
			var b bytes.Buffer
			logger := slog.New(handler(&b))
			logger.With("before", v).WithGroup("g").Info(fmt.Sprint(v), "user", v)
			got := b.String()
			if len(testkit.Leaks(got, "canary")) > 0 {
				t.Errorf("%s, %T: personal data in the log: %s", name, v, got)
			}
			for _, want := range []string{"user-1", "email", "BETA", "key-1"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s, %T: %s is not in the log: %s", name, v, want, got)
				}
			}
		}
	}
}

func TestLogValueFields(t *testing.T) {
	var got []string
	for _, attr := range private(t).LogValue().Group() {
		got = append(got, attr.String())
	}
	if want := "userId=user-1 authType=email environment=BETA kid=key-1"; strings.Join(got,
		" ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSONHasOnlyTheFields(t *testing.T) {
	b, err := json.Marshal(private(t))
	if err != nil {
		t.Fatal(err)
	}
	// JSON encoding writes the fields of Claims, but no other member of the
	// payload.
	if got := string(b); !strings.Contains(got, "canary@example.com") ||
		strings.Contains(got, "canary-role") || strings.Contains(got, "canary-claim") {
		t.Errorf("got %s", got)
	}
}

func TestNilUserPrints(t *testing.T) {
	// Behind Optional, a handler may print the user without checking ok.
	if got := fmt.Sprintf("%v %+v", (*claims.Claims)(nil),
		(*claims.Claims)(nil)); got != "<nil> <nil>" {
		t.Errorf("got %q", got)
	}
}
