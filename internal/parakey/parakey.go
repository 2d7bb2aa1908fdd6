// Package parakey recognizes Para's API keys and API key IDs by their form.
//
// Para's developer portal shows several values for an app, and they are easily
// confused. A token's aud claim holds the API key ID, a UUID. The keys are
// written sk_… and sk_beta_… (secret), pk_… and beta_… (public) and whsec_…
// (webhooks).
package parakey

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the kind of a value from Para's developer portal.
type Kind int

const (
	Unknown Kind = iota // none of the known forms
	ID                  // an API key ID: a UUID
	Secret              // a secret API key: sk_…, sk_beta_…
	Public              // a publishable API key: pk_…, beta_…
	Webhook             // a webhook secret: whsec_…
)

// String returns the name of the kind, such as "secret API key".
func (k Kind) String() string {
	switch k {
	case ID:
		return "API key ID"
	case Secret:
		return "secret API key"
	case Public:
		return "publishable API key"
	case Webhook:
		return "webhook secret"
	}
	return "unknown kind of key"
}

// KindOf returns the kind of s. It ignores case. Keys without a prefix, which
// Para issued in the past, are Unknown.
func KindOf(s string) Kind {
	kind, _ := parse(s)
	return kind
}

// Environment returns the name of the environment that the prefix of an API key
// names: "prod", "beta", "sandbox" or "dev". It returns "" if the prefix names
// none. A prefix of sk_ or pk_ alone names none.
func Environment(s string) string {
	_, environment := parse(s)
	return environment
}

func parse(s string) (Kind, string) {
	if isUUID(s) {
		return ID, ""
	}
	prefix, rest, found := strings.Cut(strings.ToLower(s), "_")
	if !found {
		return Unknown, ""
	}
	switch prefix {
	case "sk", "pk":
		kind := Secret
		if prefix == "pk" {
			kind = Public
		}
		environment, _, found := strings.Cut(rest, "_")
		if !found || !isEnvironment(environment) {
			environment = ""
		}
		return kind, environment
	case "whsec":
		return Webhook, ""
	}
	if isEnvironment(prefix) {
		return Public, prefix
	}
	return Unknown, ""
}

func isEnvironment(s string) bool {
	switch s {
	case "prod", "beta", "sandbox", "dev":
		return true
	}
	return false
}

// CheckID returns an error if s is a key rather than an API key ID. The error
// names the kind and the value to use instead. It does not contain s, because
// s may be a secret. CheckID accepts a value of an unknown kind; use IsID to
// warn of it.
func CheckID(s string) error {
	const use = "use the API key ID, the UUID that Para's developer portal shows with the key"
	switch kind := KindOf(s); kind {
	case Secret, Webhook:
		return errors.New("this is a " + kind.String() + ", which must stay on the server: " + use)
	case Public:
		return errors.New("this is a " + kind.String() + ", not an ID: " + use)
	}
	return nil
}

// CheckKey returns an error if s cannot be the value of a header field, if its
// prefix is that of another kind than want, which is Secret or Public, or if
// its prefix names another environment than environment. An empty environment
// matches every prefix. The error is a predicate, such as "is a webhook secret:
// set the secret API key (sk_…)". It does not contain s. CheckKey accepts a
// value without a known prefix, and accepts beta_… and similar keys as either
// kind.
func CheckKey(s string, want Kind, environment string) error {
	other, right := "pk_", Secret.String()+" (sk_…)"
	if want == Public {
		other, right = "sk_", Public.String()
	}
	kind, of := parse(s)
	invisible := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case len(s) > 1<<10 || strings.ContainsFunc(s, invisible):
		return errors.New("has white space or other characters that no API key has")
	case kind == Webhook || strings.HasPrefix(strings.ToLower(s), other):
		return fmt.Errorf("is a %s: set the %s", kind, right)
	case of != "" && environment != "" && of != environment:
		return fmt.Errorf("is a key of %s, and Environment is %s", of, environment)
	}
	return nil
}

// IsID reports whether s has the form of every known API key ID: a UUID, in
// upper or lower case.
func IsID(s string) bool { return KindOf(s) == ID }

// NormalizeID returns an API key ID as Para writes it into tokens: a UUID in
// lower case. It returns any other value unchanged.
func NormalizeID(s string) string {
	if IsID(s) {
		return strings.ToLower(s)
	}
	return s
}

// isUUID reports whether s has the text form of RFC 9562 §4. The version and
// variant bits are not checked.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}
