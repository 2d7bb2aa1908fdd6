package claims_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parajwt/parajwt/claims"
)

// FuzzFromVerifiedPayload compares the decoder with slowly, which uses
// encoding/json and shares no code with the decoder. They must accept the same
// payloads and agree on every field.
func FuzzFromVerifiedPayload(f *testing.F) {
	for _, name := range []string{"email_google", "phone", "telegram", "farcaster",
		"external_wallet", "connected_wallets"} {
		f.Add(documented(f, name))
	}
	f.Add(minimal)
	f.Add(edit(f, `"userId":`, `"role":1,"Role":2,"userId":`))
	f.Add(edit(f, `"userId":`, `"σ":{"a":1},"ς":{"A":2},"wallets":[{"x":1},{"X":2}],"userId":`))
	for _, v := range verdicts {
		for _, text := range slices.Concat(v.accepted, v.refused) {
			if len(text) < 1000 {
				f.Add(edit(f, v.old, text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := claims.FromVerifiedPayload(text, claims.Token{})
		want, times, slowErr := slowly(text)
		if err != nil {
			var e *claims.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("got %v and %T %v", got, err, err)
			}
			checkClaim(t, e.Claim)
			if slowErr == nil && !times.nearlyEqual() {
				t.Fatalf("refused, but slowly accepts it: %v", err)
			}
			return
		}
		if slowErr != nil {
			t.Fatalf("accepted, but slowly refuses it: %v", slowErr)
		}
		checkTime(t, "iat", got.IssuedAt, times.iat)
		checkTime(t, "exp", got.ExpiresAt, times.exp)
		checkTime(t, "nbf", got.NotBefore, times.nbf)
		want.IssuedAt, want.ExpiresAt, want.NotBefore = got.IssuedAt, got.ExpiresAt, got.NotBefore
		for _, field := range reflect.VisibleFields(reflect.TypeFor[claims.Claims]()) {
			if !field.IsExported() {
				continue
			}
			got := fmt.Sprintf("%#v", reflect.ValueOf(*got).FieldByIndex(field.Index).Interface())
			want := fmt.Sprintf("%#v", reflect.ValueOf(*want).FieldByIndex(field.Index).Interface())
			if got != want {
				t.Fatalf("%s is %s, want %s", field.Name, got, want)
			}
		}
		checkDecode(t, got, text)
	})
}

var walletMember = regexp.MustCompile(
	`^data\.((connectedW|w)allets\[\d+\]|externalWallet)\.(.*)$`)

// checkClaim fails the test if claim is not made of known names, because an
// error must not quote the payload.
func checkClaim(t *testing.T, claim string) {
	if m := walletMember.FindStringSubmatch(claim); m != nil && slices.Contains(walletNames, m[3]) {
		return
	}
	names := []string{"", "data"}
	names = append(names, topNames...)
	for _, name := range dataNames {
		names = append(names, "data."+name)
	}
	if !slices.Contains(names, claim) {
		t.Fatalf("the error names the claim %q", claim)
	}
}

func checkTime(t *testing.T, name string, got time.Time, want float64) {
	if want == 0 != got.IsZero() {
		t.Fatalf("%s is %v, want %v", name, got, want)
	}
	seconds := float64(got.Unix()) + float64(got.Nanosecond())/1e9
	if want != 0 && math.Abs(seconds-want) > 1e-4 {
		t.Fatalf("%s is %v, want %v", name, got, want)
	}
}

// checkDecode checks that Decode returns what encoding/json returns if no two
// names differ only in case.
func checkDecode(t *testing.T, c *claims.Claims, text string) {
	var got, want any
	err := c.Decode(&got)
	if anyFolded(text) {
		var e *claims.Error
		if !errors.As(err, &e) || got != nil {
			t.Fatalf("Decode: got %v, %v, want it refused", got, err)
		}
		return
	}
	wantErr := json.Unmarshal([]byte(text), &want)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
		t.Fatalf("Decode: got %v, %v, encoding/json has %v, %v", got, err, want, wantErr)
	}
}

// anyFolded reports whether one object has two names that differ only in case.
func anyFolded(text string) (found bool) {
	_ = walk(decoder(text), nil, func(_ []string, names []string) error {
		for i, a := range names {
			found = found || slices.ContainsFunc(names[i+1:], func(b string) bool {
				return strings.EqualFold(a, b)
			})
		}
		return nil
	})
	return found
}

type numericDates struct{ iat, exp, nbf float64 }

// nearlyEqual reports whether iat and exp are so close that rounding may change
// their order.
func (n numericDates) nearlyEqual() bool { return n.iat != n.exp && math.Abs(n.iat-n.exp) < 1e-8 }

var (
	topNames  = []string{"sub", "aud", "iat", "exp", "nbf", "data"}
	dataNames = []string{"userId", "wallets", "connectedWallets", "authType", "identifier",
		"oAuthMethod", "email", "phone", "telegramUserId", "farcasterUsername",
		"externalWalletAddress", "externalWallet"}
	walletNames = []string{"id", "type", "address", "publicKey", "provider"}

	surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
	pair      = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
)

func decoder(text string) *json.Decoder {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d
}

// slowly parses a payload in the simplest way.
func slowly(text string) (c *claims.Claims, times numericDates, err error) {
	fail := func(format string, args ...any) (*claims.Claims, numericDates, error) {
		return nil, times, fmt.Errorf(format, args...)
	}
	// After removing escaped backslashes, every remaining \u is an escape.
	// After removing surrogate pairs, every remaining surrogate is unpaired.
	escapes := pair.ReplaceAllString(strings.ReplaceAll(text, `\\`, `..`), `..`)
	switch {
	case !json.Valid([]byte(text)):
		return fail("it is not JSON")
	case !utf8.ValidString(text):
		return fail("it is not UTF-8")
	case surrogate.MatchString(escapes):
		return fail("it has half of a surrogate pair")
	}
	if err := walk(decoder(text), nil, checkNames); err != nil {
		return fail("%w", err)
	}

	var top map[string]any
	if err := decoder(text).Decode(&top); err != nil {
		return fail("%w", err)
	}
	data, ok := top["data"].(map[string]any)
	if !ok {
		return fail("data is not an object")
	}
	c = &claims.Claims{}
	if c.Subject, ok = top["sub"].(string); !ok || c.Subject == "" {
		return fail("sub is not a string, or is empty")
	}
	if c.UserID = c.Subject; data["userId"] != c.Subject {
		return fail("sub is not data.userId")
	}
	switch aud := top["aud"].(type) {
	case string:
		c.Audience = []string{aud}
	case []any:
		for _, one := range aud {
			s, ok := one.(string)
			if !ok {
				return fail("an audience is not a string")
			}
			c.Audience = append(c.Audience, s)
		}
	}
	if len(c.Audience) == 0 {
		return fail("aud is neither string nor array, or empty")
	}
	for name, to := range map[string]*float64{"iat": &times.iat, "exp": &times.exp,
		"nbf": &times.nbf} {
		v, there := top[name]
		if !there && name == "nbf" {
			continue
		}
		n, ok := v.(json.Number)
		if *to, err = strconv.ParseFloat(string(n), 64); !ok || err != nil || *to <= 0 ||
			*to >= 253402300800 {
			return fail("%s is not a number in range", name)
		}
	}
	if times.iat > times.exp && !times.nearlyEqual() {
		return fail("iat is after exp")
	}

	for name, to := range map[string]any{
		"authType": &c.AuthType, "oAuthMethod": &c.OAuthMethod, "identifier": &c.Identifier,
		"email": &c.Email,
		"phone": &c.Phone, "telegramUserId": &c.TelegramUserID,
		"farcasterUsername":     &c.FarcasterUsername,
		"externalWalletAddress": &c.ExternalWalletAddress,
	} {
		switch v := data[name].(type) {
		case nil:
		case string:
			reflect.ValueOf(to).Elem().SetString(v)
		default:
			return fail("%s is not a string", name)
		}
	}
	for _, name := range []string{"wallets", "connectedWallets", "externalWallet"} {
		list, ok := data[name].([]any)
		if name == "externalWallet" {
			list, ok = []any{data[name]}, true
		}
		if !ok && data[name] != nil {
			return fail("%s is not an array", name)
		}
		if ok && name == "wallets" {
			c.Wallets = []claims.Wallet{}
		}
		for _, one := range list {
			if name == "externalWallet" && one == nil {
				continue
			}
			wallet, ok := one.(map[string]any)
			if !ok {
				return fail("%s has an element that is not an object", name)
			}
			member := map[string]string{}
			for _, key := range walletNames {
				v, there := wallet[key]
				if member[key], ok = v.(string); there && v != nil && !ok {
					return fail("%s has a %s that is not a string", name, key)
				}
			}
			kind := claims.WalletType(member["type"])
			switch name {
			case "wallets":
				c.Wallets = append(c.Wallets, claims.Wallet{ID: member["id"], Type: kind,
					Address: member["address"], PublicKey: member["publicKey"]})
			case "connectedWallets":
				c.ConnectedWallets = append(c.ConnectedWallets,
					claims.ConnectedWallet{ID: member["id"], Type: kind, Address: member["address"],
						PublicKey: member["publicKey"], Provider: member["provider"]})
			default:
				c.ExternalWallet = claims.ExternalWallet{Address: member["address"], Type: kind,
					Provider: member["provider"]}
			}
		}
	}
	return c, times, nil
}

// checkNames refuses duplicate names, known names in another case, and deep
// nesting.
func checkNames(path []string, names []string) error {
	is := func(steps ...string) bool { return slices.Equal(path, steps) }
	var known []string
	switch {
	case is():
		known = topNames
	case is("data"):
		known = dataNames
	case is("data", "wallets", "[]"), is("data", "connectedWallets", "[]"),
		is("data", "externalWallet"):
		known = walletNames
	}
	if len(path) >= 16 {
		return errors.New("it is too deep")
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return errors.New("it has a name twice")
		}
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return errors.New("it has a name in another case")
			}
		}
	}
	return nil
}

// walk calls visit with the path and the names of every object and array of
// valid JSON. An element of an array has the path "[]".
func walk(d *json.Decoder, path []string, visit func(path, names []string) error) error {
	token, err := d.Token()
	if err != nil || token != json.Delim('{') && token != json.Delim('[') {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	}
	var names []string
	var errs []error
	for d.More() {
		step := "[]"
		if token == json.Delim('{') {
			name, err := d.Token()
			if err != nil {
				return err
			}
			step = name.(string)
			names = append(names, step)
		}
		errs = append(errs, walk(d, append(slices.Clone(path), step), visit))
	}
	_, err = d.Token()
	return errors.Join(append(errs, err, visit(path, names))...)
}
