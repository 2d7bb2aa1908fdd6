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

// The checks of middleware.Validator, in its order.
const (
	checkForm = iota
	checkHeader
	checkKey
	checkSignature
	checkPayload
	checkAudience
	checkTime
	none // of them refused
)

var checkNames = [none]string{"form", "header", "key", "signature", "payload", "audience", "time"}

// verdicts lists the checks where one refused: those before it passed.
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

// refusedBy tells from the library's error which of its checks it was.
func refusedBy(e *middleware.Error, token string, v *middleware.Validator) int {
	switch e.Code {
	case middleware.ErrNoToken:
		return checkForm
	case middleware.ErrMalformed:
		switch {
		case e.Signed:
			return checkPayload
		case errors.Is(e, jose.ErrHeader):
			return checkHeader
		case e.KeyID != "":
			return checkSignature // it is no base64url, which shows only after its key is found
		}
		return checkForm
	case middleware.ErrAlgorithm:
		if algorithm, known := algorithmOf(token); known && v.Keys().Allows(algorithm) {
			return checkKey // it is not the key's
		}
		return checkHeader
	case middleware.ErrUnknownKey, middleware.ErrKeysUnavailable:
		return checkKey
	case middleware.ErrSignature:
		return checkSignature
	case middleware.ErrClaims:
		return checkPayload
	case middleware.ErrAudience:
		return checkAudience
	}
	return checkTime // expired, not yet valid; what else there is comes behind them
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

// explain says why, in the library's words, and what to do.
func explain(e *middleware.Error, token string, env jwks.Environment) check {
	c := check{Verdict: refused, Why: reason(e), Do: advice(e, token, env)}
	if e.Code == middleware.ErrKeysUnavailable {
		c.Verdict = cannotTell
	}
	return c
}

func reason(e *middleware.Error) string {
	why := string(e.Code)
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
		return "parajwt inspect shows what can be read of it"
	case middleware.ErrAlgorithm:
		return "Para signs with RS256 (or ES256), each key with one of them. Was the token issued by somebody else?"
	case middleware.ErrUnknownKey:
		return otherEnvironments(env)
	case middleware.ErrKeysUnavailable:
		return "can this machine reach Para? parajwt keys shows what it answers (HTTPS_PROXY is honoured); or use --keys with a saved key set"
	case middleware.ErrSignature:
		return "the token was changed on its way, or is not Para's. Copied by hand, it may have lost its end: copy it again"
	case middleware.ErrClaims:
		return "parajwt inspect shows the claims"
	case middleware.ErrAudience:
		return "if that app is yours, configure its aud as APIKeyIDs (PARA_API_KEY_ID); otherwise the client uses another app's API key"
	case middleware.ErrExpired:
		return "the client must get a new one (issueJwt) before the old one ends; tokens live as long as your app's session length"
	case middleware.ErrNotYetValid:
		return "compare this machine's clock with another's: date -u"
	}
	return ""
}

// otherEnvironments names the environments of Para's that a token with an unknown key may be of. The
// tool asks none of them by itself: where a token counts is not to depend on where it happens to verify.
func otherEnvironments(env jwks.Environment) string {
	paras := []jwks.Environment{jwks.Prod, jwks.Beta, jwks.Sandbox}
	if !slices.Contains(paras, env) {
		return "is the client's Para the one at this URL? One that was started anew has new keys"
	}
	var commands []string
	for _, other := range paras {
		if other != env {
			commands = append(commands, fmt.Sprintf("parajwt verify --env %s --api-key-id ID", other.Name))
		}
	}
	return "find out whose it is, then set client and server to the same environment:\n" + strings.Join(commands, "\n")
}
