package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// checkNames are the checks of middleware.Validator that a token goes through,
// in order. The tool has no revocations and no rules.
var checkNames = [...]middleware.Check{
	middleware.CheckForm, middleware.CheckHeader, middleware.CheckKey, middleware.CheckSignature,
	middleware.CheckClaims, middleware.CheckAudience, middleware.CheckTime,
}

// verdicts returns all checks. Those before the one that refused are ok, those
// after it are not reached.
func verdicts(why check) []check {
	var all []check
	reached := true
	for _, name := range checkNames {
		c := check{Name: string(name), Verdict: ok}
		switch {
		case c.Name == why.Name:
			c, reached = why, false
		case !reached:
			c.Verdict = notReached
		}
		all = append(all, c)
	}
	return all
}

// explain returns the refusing check with the library's reason and advice.
func explain(e *middleware.Error, token string, env jwks.Environment) check {
	c := check{Name: string(e.Check), Verdict: refused, Why: reason(e), Do: advice(e, token, env)}
	switch {
	case e.Code == middleware.ErrKeysUnavailable:
		c.Name, c.Verdict = string(middleware.CheckKey), unknown
	case !slices.Contains(checkNames[:], e.Check): // for example ErrNoToken
		c.Name = string(middleware.CheckForm)
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
		return "Para signs with RS256 or ES256, each key with one of them. " +
			"Did another party issue this token?"
	case middleware.ErrUnknownKey:
		return otherEnvironments(env)
	case middleware.ErrKeysUnavailable:
		return "can this machine reach Para? parajwt keys shows the response " +
			"(HTTPS_PROXY is used); " +
			"or give a saved key set with --keys"
	case middleware.ErrSignature:
		return "the token was changed, or Para did not sign it. " +
			"If it was copied by hand, its end may be missing: copy it again"
	case middleware.ErrClaims:
		return "parajwt inspect shows the claims"
	case middleware.ErrAudience:
		return "if this is your app, configure its aud as APIKeyIDs (PARA_API_KEY_ID); " +
			"otherwise the client uses the API key of another app"
	case middleware.ErrExpired:
		return "the client must get a new token (issueJwt) before the old one expires; " +
			"a token lives for the session length of your app"
	case middleware.ErrNotYetValid:
		return "compare this machine's clock with another one: date -u"
	}
	return ""
}

// otherEnvironments names the environments that a token with an unknown key may
// come from. The tool does not try them, because an environment decides who may
// log in and must be configured.
func otherEnvironments(env jwks.Environment) string {
	paras := []jwks.Environment{jwks.Prod, jwks.Beta, jwks.Sandbox}
	if !slices.Contains(paras, env) {
		return "does the client use the Para at this URL? " +
			"A restarted emulator has new keys (see parajwt serve --keys)"
	}
	var commands []string
	for _, other := range paras {
		if other != env {
			commands = append(
				commands, fmt.Sprintf("parajwt verify --env %s --api-key-id ID", other.Name),
			)
		}
	}
	return "find its environment, then configure the same one for client and server:\n" +
		strings.Join(commands, "\n")
}
