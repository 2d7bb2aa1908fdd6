package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parajwt/parajwt/internal/jose"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// The checks of middleware.Validator, in order.
const (
	checkForm = iota
	checkHeader
	checkKey
	checkSignature
	checkClaims
	checkAudience
	checkTime
	none // no check refused
)

var checkNames = [none]string{"form", "header", "key", "signature", "claims", "audience", "time"}

// verdicts returns all checks. Those before the one that refused are ok, those
// after it are not reached.
func verdicts(at int, why check) []check {
	var all []check
	for i, name := range checkNames {
		switch {
		case i < at:
			all = append(all, check{Name: name, Verdict: ok})
		case i == at:
			why.Name = name
			all = append(all, why)
		default:
			all = append(all, check{Name: name, Verdict: notReached})
		}
	}
	return all
}

// refusedBy returns the check that an error of the validator comes from.
func refusedBy(e *middleware.Error, token string, v *middleware.Validator) int {
	switch e.Code {
	case middleware.ErrNoToken:
		return checkForm
	case middleware.ErrMalformed:
		switch {
		case e.Signed:
			return checkClaims
		case errors.Is(e, jose.ErrHeader):
			return checkHeader
		case e.KeyID != "":
			return checkSignature // its base64url is decoded after the key look-up
		}
		return checkForm
	case middleware.ErrAlgorithm:
		if algorithm, known := algorithmOf(token); known && v.Keys().Allows(algorithm) {
			return checkKey // the key has another algorithm
		}
		return checkHeader
	case middleware.ErrUnknownKey, middleware.ErrKeysUnavailable:
		return checkKey
	case middleware.ErrSignature:
		return checkSignature
	case middleware.ErrClaims:
		return checkClaims
	case middleware.ErrAudience:
		return checkAudience
	}
	return checkTime // ErrExpired, ErrNotYetValid, and errors of later checks
}

func algorithmOf(token string) (string, bool) {
	t, err := jose.Split(token)
	if err != nil {
		return "", false
	}
	text, err := jose.AppendDecoded(nil, t.Header)
	if err != nil {
		return "", false
	}
	h, err := jose.ParseHeader(string(text))
	return h.Algorithm, err == nil
}

// explain returns the refusing check with the library's reason and advice.
func explain(e *middleware.Error, token string, env jwks.Environment) check {
	c := check{Verdict: refused, Why: reason(e), Do: advice(e, token, env)}
	if e.Code == middleware.ErrKeysUnavailable {
		c.Verdict = unknown
	}
	return c
}

// words returns a code in words, such as "token expired".
func words(code middleware.Code) string { return strings.TrimPrefix(code.Error(), "parajwt: ") }

func reason(e *middleware.Error) string {
	why := words(e.Code)
	if e.Cause != nil {
		why += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		why += ": " + e.Hint
	}
	return printable(why)
}

func advice(e *middleware.Error, token string, env jwks.Environment) string {
	switch e.Code {
	case middleware.ErrMalformed, middleware.ErrNoToken:
		if what := notAToken(token); what != "" {
			return what
		}
		return "parajwt inspect shows the parts that can be decoded"
	case middleware.ErrAlgorithm:
		return "Para signs with RS256 or ES256, each key with one of them. Did somebody else issue this token?"
	case middleware.ErrUnknownKey:
		return otherEnvironments(env)
	case middleware.ErrKeysUnavailable:
		return "can this machine reach Para? parajwt keys shows the response (HTTPS_PROXY is used); " +
			"or give a saved key set with --keys"
	case middleware.ErrSignature:
		return "the token was changed, or Para did not sign it. If it was copied by hand, its end may be missing: copy it again"
	case middleware.ErrClaims:
		return "parajwt inspect shows the claims"
	case middleware.ErrAudience:
		return "if this is your app, configure its aud as APIKeyIDs (PARA_API_KEY_ID); " +
			"otherwise the client uses the API key of another app"
	case middleware.ErrExpired:
		return "the client must get a new token (issueJwt) before the old one expires; the session length of your app is a token's life"
	case middleware.ErrNotYetValid:
		return "compare this machine's clock with another one: date -u"
	}
	return ""
}

// otherEnvironments names the environments that a token with an unknown key may
// come from. The tool does not try them: an environment decides who may log in,
// so that it must be configured.
func otherEnvironments(env jwks.Environment) string {
	paras := []jwks.Environment{jwks.Prod, jwks.Beta, jwks.Sandbox}
	if !slices.Contains(paras, env) {
		return "does the client use the Para at this URL? A restarted one has new keys (see parajwt serve --keys)"
	}
	var commands []string
	for _, other := range paras {
		if other != env {
			commands = append(commands, fmt.Sprintf("parajwt verify --env %s --api-key-id ID", other.Name))
		}
	}
	return "find its environment, then configure the same one for client and server:\n" + strings.Join(commands, "\n")
}
