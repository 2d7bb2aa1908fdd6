package integration_test

import (
	"crypto/ed25519"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

// This file lists what the library refuses. attack_test.go applies it to the
// validator and to every adapter.
//
// Each token that must be refused has a sibling that must be accepted. The two
// differ only in the attacked part. If a line has none, the sibling is the
// valid token forge.good.

type attack struct {
	name string
	bad  string          // must be refused
	want middleware.Code // the code of the refusal
	good string          // must be accepted; "" for forge.good
}

// class is a group of attacks. stage is the check that refuses them. It
// determines the allowed cost and the contents of the response.
type class struct {
	name    string
	stage   stage
	attacks []attack
}

type stage int

const (
	// outside: the token has another form. The response does not describe the
	// problem.
	outside stage = iota
	// header: the header or its key is refused before any cryptography. The
	// verdict is the same if the signature is wrong. The response does not
	// describe the problem.
	header
	// signature: the signature is wrong. The response does not describe the
	// problem.
	signature
	// payload: Para signed the token, and its claims are refused. The response
	// may describe the problem. The code is ErrSignature if the signature is
	// also wrong.
	payload
)

const (
	malformed   = middleware.ErrMalformed
	algorithm   = middleware.ErrAlgorithm
	unknownKey  = middleware.ErrUnknownKey
	wrong       = middleware.ErrSignature
	expired     = middleware.ErrExpired
	notYetValid = middleware.ErrNotYetValid
	audience    = middleware.ErrAudience
	badClaims   = middleware.ErrClaims
)

func catalogue(f *forge) []class {
	h, p := f.header, f.payload
	return []class{
		{"alg: none, missing, not on the allow-list, or not that of the key", header,
			append([]attack{
				{"none", f.head("alg", `"none"`), algorithm, ""},
				{"None", f.head("alg", `"None"`), algorithm, ""},
				{"NONE", f.head("alg", `"NONE"`), algorithm, ""},
				{"nOnE", f.head("alg", `"nOnE"`), algorithm, ""},
				{"none with a space", f.head("alg", `"none "`), algorithm, ""},
				{"none, escaped", f.head("alg", `"\u006eone"`), algorithm,
					f.head("alg", `"\u0052S256"`)},
				{"missing", f.head("alg", ""), algorithm, ""},
				{"empty", f.head("alg", `""`), algorithm, ""},
				{"null", f.head("alg", `null`), malformed, ""},
				{"number", f.head("alg", `256`), malformed, ""},
				{"array", f.head("alg", `["RS256"]`), malformed, ""},
				{"object", f.head("alg", `{"alg":"RS256"}`), malformed, ""},
				{"other case", f.head("alg", `"rs256"`), algorithm, ""},
				{"with a space", f.head("alg", `"RS256 "`), algorithm, ""},
				{"with a NUL", f.head("alg", `"RS256\u0000"`), algorithm, ""},
				{"RS512 for an RS256 key", f.head("alg", `"RS512"`), algorithm, ""},
				{"RS1", f.head("alg", `"RS1"`), algorithm, ""},
				{"PS256 with a valid signature",
					signPSS(f.rsa, h.with("alg", `"PS256"`).String(), p.String()),
					algorithm, ""},
				{"PS256 for a key without alg",
					signPSS(f.rsa, h.with("alg", `"PS256"`).with("kid", `"no-alg"`).String(),
						p.String()), algorithm, f.head("kid", `"no-alg"`)},
				{"PS256 for a PS256 key",
					signPSS(f.rsa, h.with("alg", `"PS256"`).with("kid", `"pss"`).String(),
						p.String()),
					algorithm, ""},
				{"RS256 for a PS256 key", f.head("kid", `"pss"`), unknownKey, ""},
				// not on the allow-list, so not kept
				{"ES256 of an RSA key", f.head("alg", `"ES256"`), algorithm, ""},
				{"ES256 with a valid signature and the kid of an RSA key",
					f.signES256(h.with("alg", `"ES256"`).String(), p.String()), algorithm,
					f.signES256(h.with("alg", `"ES256"`).with("kid", `"ec"`).String(), p.String())},
				{"RS256 of an EC key", f.head("kid", `"ec"`), algorithm, ""},
				{"EdDSA with a valid signature", edDSA(f, "EdDSA", "ed"), algorithm, ""},
				{"Ed25519 with a valid signature", edDSA(f, "Ed25519", "ed"), algorithm, ""},
				{"RS256 of an Ed25519 key", f.head("kid", `"ed"`), unknownKey, ""},
				{"dir", f.head("alg", `"dir"`), algorithm, ""},
				{"RSA-OAEP", f.head("alg", `"RSA-OAEP"`), algorithm, ""},
				{"long", f.head("alg", `"`+strings.Repeat("RS256", 100)+`"`), algorithm, ""},
			}, symmetric(f)...)},

		{"symmetric keys in the set", header, []attack{
			{"oct",
				signHMAC(hmacs["HS256"], f.secret,
					h.with("alg", `"HS256"`).with("kid", `"oct"`).String(), p.String()), algorithm,
				""},
			{"oct with alg HS256",
				signHMAC(hmacs["HS256"], f.secret,
					h.with("alg", `"HS256"`).with("kid", `"oct-hs256"`).String(), p.String()),
				algorithm, ""},
			{"oct with alg RS256",
				signHMAC(hmacs["HS256"], f.secret, h.with("kid", `"oct-rs256"`).String(),
					p.String()), unknownKey, ""},
			{"RS256, signed by a real key, and the kid of an oct", f.head("kid", `"oct-rs256"`),
				unknownKey, ""},
		}},

		{"a signature that does not match", signature, append([]attack{
			{"another's key", sign(f.mallory, enc(h.String()), enc(p.String())), wrong, ""},
			{"HMAC with the public key as secret, alg RS256",
				signHMAC(hmacs["HS256"], f.publicForms()["PEM"], h.String(), p.String()), wrong,
				""},
			{"PSS, called RS256", signPSS(f.rsa, h.String(), p.String()), wrong, ""},
			{"PKCS #1 v1.5 with SHA-512, alg RS256", rs512(f, h.String(), p.String()), wrong,
				""},
			{"of another token", withSignature(f.good, last(f.claim("sub", `"x"`))), wrong, ""},
			{"another header", swap(0, f.head("x", "1"), f.good), wrong, f.head("x", "1")},
			{"another payload", swap(1, f.good, f.claim("x", "1")), wrong,
				f.claim("x", "1")},
			{"zeros", withSignature(f.good, enc(string(make([]byte, 256)))), wrong, ""},
			{"one", withSignature(f.good, enc(string(append(make([]byte, 255), 1)))), wrong, ""},
			{"modulus less one",
				withSignature(f.good,
					enc(string(new(big.Int).Sub(f.rsa.N, big.NewInt(1)).Bytes()))), wrong, ""},
			plusModulus(f),
			{"a leading zero", withSignature(f.good, enc("\x00"+dec(last(f.good)))), wrong, ""},
			{"a trailing zero", withSignature(f.good, enc(dec(last(f.good))+"\x00")), wrong, ""},
			{"one byte short", withSignature(f.good, enc(dec(last(f.good))[:255])), wrong, ""},
			{"twice", withSignature(f.good, enc(dec(last(f.good))+dec(last(f.good)))), wrong, ""},
			{"one byte", withSignature(f.good, "AA"), wrong, ""},
			{"one bit flipped", flip(f.good, 2), wrong, ""},
			{"another environment's key of the same kid",
				sign(f.mallory, enc(h.String()), enc(p.String())), wrong, ""},
		}, ecdsaAttacks(f)...)},

		{"keys in the header are not used, and URLs in it are not fetched", signature, []attack{
			{"jwk", mallorySigns(f, h.with("jwk", rsaJWK(&f.mallory.PublicKey, "rsa", "RS256"))),
				wrong, f.head("jwk", rsaJWK(&f.mallory.PublicKey, "rsa", "RS256"))},
			{"jku", mallorySigns(f, h.with("jku", quote(f.evil))), wrong,
				f.head("jku", quote(f.evil))},
			{"x5u", mallorySigns(f, h.with("x5u", quote(f.evil))), wrong,
				f.head("x5u", quote(f.evil))},
			{"x5c", mallorySigns(f, h.with("x5c", `["`+enc("certificate")+`"]`)), wrong,
				f.head("x5c", `["`+enc("certificate")+`"]`)},
			{"jwk, jku, x5u and iss",
				mallorySigns(f,
					h.with("jwk", rsaJWK(&f.mallory.PublicKey, "rsa", "RS256")).with("jku",
						quote(f.evil)).with("x5u", quote(f.evil)).with("iss", quote(f.evil))),
				wrong,
				f.head("jku", quote(f.evil))},
			{"an iss with the attacker's URL",
				sign(f.mallory, enc(h.String()), enc(p.with("iss", quote(f.evil)).String())), wrong,
				f.claim("iss", quote(f.evil))},
		}},
		{"keys in the header, with another kid", header, []attack{
			{"jwk",
				mallorySigns(f,
					h.with("kid", `"mallory"`).with("jwk",
						rsaJWK(&f.mallory.PublicKey, "mallory", "RS256"))), unknownKey, ""},
			{"jku", mallorySigns(f, h.with("kid", `"mallory"`).with("jku", quote(f.evil))),
				unknownKey, ""},
			{"x5u", mallorySigns(f, h.with("kid", `"mallory"`).with("x5u", quote(f.evil))),
				unknownKey, ""},
			{"jku as kid", mallorySigns(f, h.with("kid", quote(f.evil))), unknownKey, ""},
			{"jwk and no kid",
				mallorySigns(f,
					h.with("kid", "").with("jwk", rsaJWK(&f.mallory.PublicKey, "rsa", "RS256"))),
				malformed, ""},
		}},

		{"crit in any form, b64, zip, nested tokens", header, []attack{
			{"crit, known", f.head("crit", `["exp"]`), malformed, f.head("exp", at(0))},
			{"crit, unknown", f.head("crit", `["https://example.com/x"]`), malformed, ""},
			{"crit, empty", f.head("crit", `[]`), malformed, ""},
			{"crit, null", f.head("crit", `null`), malformed, ""},
			{"crit, string", f.head("crit", `"exp"`), malformed, ""},
			{"crit, object", f.head("crit", `{}`), malformed, ""},
			{"crit, false", f.head("crit", `false`), malformed, ""},
			{"crit, b64",
				f.sign(h.with("crit", `["b64"]`).with("b64", "false").String(), p.String()),
				malformed, ""},
			{"crit, b64, and the payload as it is",
				sign(f.rsa, enc(h.with("crit", `["b64"]`).with("b64", "false").String()),
					strings.ReplaceAll(p.String(), ".", "")), malformed, ""},
			{"b64 false", f.head("b64", `false`), malformed, f.head("b65", `false`)},
			{"b64 true", f.head("b64", `true`), malformed, ""},
			{"zip", f.head("zip", `"DEF"`), malformed, f.head("zipped", `"DEF"`)},
			{"zip, null", f.head("zip", `null`), malformed, ""},
			{"enc", f.head("enc", `"A128GCM"`), malformed, f.head("encoding", `"A128GCM"`)},
			{"cty JWT", f.head("cty", `"JWT"`), malformed, f.head("ctype", `"JWT"`)},
			{"cty jwt", f.head("cty", `"jwt"`), malformed, ""},
			{"cty json", f.head("cty", `"json"`), malformed, ""},
			{"cty, empty", f.head("cty", `""`), malformed, ""},
			{"a token in a token", f.sign(h.with("cty", `"JWT"`).String(), f.good), malformed, ""},
		}},
		{"a token as payload", payload, []attack{
			{"without cty", f.sign(h.String(), f.good), malformed, ""},
			{"quoted", f.sign(h.String(), quote(f.good)), malformed, ""},
		}},

		{"not a compact JWS: JWE, JSON serialisations, another number of parts", outside,
			func() []attack {
				hh, pp, ss := parts(f.good)
				return []attack{
					{"five parts", hh + "." + pp + "." + ss + "." + pp + "." + ss, malformed, ""},
					{"JWE",
						enc(`{"alg":"RSA-OAEP","enc":"A128GCM","kid":"rsa"}`) + "." + ss + "." +
							ss + "." + pp + "." + ss, malformed, ""},
					{"JWE, direct",
						enc(`{"alg":"dir","enc":"A128GCM","kid":"rsa"}`) + ".." + ss + "." + pp +
							"." + ss, malformed, ""},
					{"four parts", f.good + "." + ss, malformed, ""},
					{"a trailing dot", f.good + ".", malformed, ""},
					{"a leading dot", "." + f.good, malformed, ""},
					{"two parts", hh + "." + pp, malformed, ""},
					{"two parts and a dot: unsigned", hh + "." + pp + ".", malformed, ""},
					{"unsigned and none", enc(`{"alg":"none"}`) + "." + pp + ".", malformed, ""},
					{"no payload: detached", hh + ".." + ss, malformed, ""},
					{"no payload, with a valid signature", sign(f.rsa, hh, ""), malformed, ""},
					{"no header", "." + pp + "." + ss, malformed, ""},
					{"no header, with a valid signature", sign(f.rsa, "", pp), malformed, ""},
					{"one part", hh, malformed, ""},
					{"dots only", "..", malformed, ""},
					{"a dot", ".", malformed, ""},
					{"flattened JSON",
						`{"protected":"` + hh + `","payload":"` + pp + `","signature":"` + ss +
							`"}`,
						malformed, ""},
					{"general JSON",
						`{"payload":"` + pp + `","signatures":[{"protected":"` + hh +
							`","signature":"` + ss + `"}]}`, malformed, ""},
					{"JSON with three dots", `{"a.b.c":"` + f.good + `"}`, malformed, ""},
					{"another separator", hh + ":" + pp + ":" + ss, malformed, ""},
					{"a truncated word", "undefined", malformed, ""},
				}
			}()},

		{"typ", header, []attack{
			{"at+jwt", f.head("typ", `"at+jwt"`), malformed, f.head("typ", "")},
			{"application/at+jwt", f.head("typ", `"application/at+jwt"`), malformed,
				f.head("typ", `"application/jwt"`)},
			{"JWE", f.head("typ", `"JWE"`), malformed, f.head("typ", `"jwt"`)},
			{"JOSE", f.head("typ", `"JOSE"`), malformed, f.head("typ", `"Jwt"`)},
			{"JOSE+JSON", f.head("typ", `"JOSE+JSON"`), malformed,
				f.head("typ", `"APPLICATION/JWT"`)},
			{"dpop+jwt", f.head("typ", `"dpop+jwt"`), malformed,
				f.head("typ", `"application/JWT"`)},
			{"secevent+jwt", f.head("typ", `"secevent+jwt"`), malformed, ""},
			{"empty", f.head("typ", `""`), malformed, ""},
			{"null", f.head("typ", `null`), malformed, ""},
			{"number", f.head("typ", `1`), malformed, ""},
			{"array", f.head("typ", `["JWT"]`), malformed, ""},
			{"with a space", f.head("typ", `"JWT "`), malformed, ""},
			{"with a parameter", f.head("typ", `"application/jwt; charset=utf-8"`), malformed, ""},
			{"another type of media", f.head("typ", `"text/jwt"`), malformed, ""},
		}},

		{"kid", header, []attack{
			{"missing", f.head("kid", ""), malformed, ""},
			{"empty", f.head("kid", `""`), malformed, ""},
			{"null", f.head("kid", `null`), malformed, ""},
			{"number", f.head("kid", `1`), malformed, ""},
			{"array", f.head("kid", `["rsa"]`), malformed, ""},
			{"object", f.head("kid", `{"kid":"rsa"}`), malformed, ""},
			{"257 bytes", f.head("kid", quote(f.longID+"k")), malformed,
				f.head("kid", quote(f.longID))},
			{"257 bytes, escaped", f.head("kid", `"\u006b`+strings.Repeat("k", 256)+`"`), malformed,
				f.head("kid", `"\u006b`+strings.Repeat("k", 255)+`"`)},
			{"other case", f.head("kid", `"RSA"`), unknownKey, f.head("kid", `"\u0072sa"`)},
			{"a trailing space", f.head("kid", `"rsa "`), unknownKey, ""},
			{"a leading space", f.head("kid", `" rsa"`), unknownKey, ""},
			{"a trailing NUL", f.head("kid", `"rsa\u0000"`), unknownKey, ""},
			{"a look-alike", f.head("kid", `"rs\u0430"`), unknownKey, ""},
			{"a prefix of one", f.head("kid", `"rs"`), unknownKey, ""},
			{"a path", f.head("kid", `"../../../../dev/null"`), unknownKey, ""},
			{"SQL", f.head("kid", `"x' UNION SELECT 'secret' --"`), unknownKey, ""},
			{"an index of the set", f.head("kid", `"0"`), unknownKey, ""},
			{"unknown", f.head("kid", `"nobody"`), unknownKey, ""},
			{"another environment's",
				sign(f.mallory, enc(h.with("kid", `"beta"`).String()), enc(p.String())), unknownKey,
				""},
		}},

		{"base64url of the header", header,
			append(base64Attacks(h.String(), func(segment string) string {
				return sign(f.rsa, segment, enc(p.String()))
			}),
				attack{"the bytes themselves", sign(f.rsa, h.String(), enc(p.String())), malformed,
					""})},
		{"base64url of the payload", payload,
			base64Attacks(p.String(), func(segment string) string {
				return sign(f.rsa, enc(h.String()), segment)
			})},
		{"base64url of the signature", outside, signatureBase64(f)},
		{"white space and other characters around the token", outside, func() []attack {
			var attacks []attack
			for _, s := range []string{" ", "\t", "\n", "\r", "\r\n", "\x00", "\v", "\f", "\u00a0",
				"\u2003", "\u200b", "\ufeff", "\u0085", "\x7f", "=", "'", "%20", "Bearer "} {
				attacks = append(attacks,
					attack{fmt.Sprintf("%q in front", s), s + f.good, malformed, ""},
					attack{fmt.Sprintf("%q behind", s), f.good + s, malformed, ""})
			}
			hh, pp, ss := parts(f.good)
			for _, s := range []string{" ", "\t", "\n", "\r\n", "\x00"} {
				attacks = append(attacks,
					attack{fmt.Sprintf("%q before the first dot", s), hh + s + "." + pp + "." + ss,
						malformed, ""},
					attack{fmt.Sprintf("%q after the second dot", s), hh + "." + pp + "." + s + ss,
						malformed, ""})
			}
			return append(attacks,
				attack{"quotation marks", `"` + f.good + `"`, malformed, ""},
				attack{"angle brackets", `<` + f.good + `>`, malformed, ""},
				attack{"escaped dots", strings.ReplaceAll(f.good, ".", "%2E"), malformed, ""},
				attack{"full-width dots", strings.ReplaceAll(f.good, ".", "\uff0e"), malformed, ""})
		}()},

		{"JSON of the header", header,
			append(jsonAttacks(h, func(text string) string { return f.sign(text, p.String()) }),
				attack{"two alg, the second none",
					f.sign(h.plus("alg", `"none"`).String(), p.String()),
					malformed, ""},
				attack{"two alg, the first none",
					f.sign(`{"alg":"none",`+h.String()[1:], p.String()),
					malformed, ""},
				attack{"two alg, one escaped",
					f.sign(h.plus(`\u0061lg`, `"none"`).String(), p.String()), malformed, ""},
				attack{"two kid", f.sign(h.plus("kid", `"ec"`).String(), p.String()), malformed,
					""},
				attack{"Alg besides alg", f.head("Alg", `"none"`), malformed,
					f.head("algo", `"none"`)},
				attack{"ALG instead of alg",
					f.sign(h.with("alg", "").with("ALG", `"RS256"`).String(), p.String()),
					malformed,
					""},
				attack{"KID", f.head("KID", `"ec"`), malformed, f.head("kids", `"ec"`)},
				attack{"kid with a Kelvin sign", f.head("\u212aid", `"ec"`), malformed,
					f.head("\u03baid", `"ec"`)},
				attack{"kid with a Kelvin sign, escaped", f.head(`\u212aid`, `"ec"`), malformed,
					""},
				attack{"Crit", f.head("Crit", `["exp"]`), malformed, f.head("critical", `["exp"]`)},
				attack{"B64", f.head("B64", `false`), malformed, ""},
				attack{"ZIP", f.head("ZIP", `"DEF"`), malformed, ""},
				attack{"Cty", f.head("Cty", `"JWT"`), malformed, ""},
				attack{"Typ", f.head("Typ", `"JWE"`), malformed, ""},
				attack{"JWK", f.head("JWK", `{}`), malformed, f.head("jwk", `{}`)},
				attack{"Jku", f.head("Jku", quote(f.evil)), malformed, ""},
				attack{"X5U", f.head("X5U", quote(f.evil)), malformed, ""},
				attack{"X5C", f.head("X5C", `[]`), malformed, ""},
				attack{"longer than 1 KiB", f.head("x", `"`+strings.Repeat("x", 750)+`"`),
					malformed,
					f.head("x", `"`+strings.Repeat("x", 600)+`"`)},
			)},
		{"JSON of the payload", payload,
			append(jsonAttacks(p, func(text string) string { return f.sign(h.String(), text) }),
				attack{"two sub", f.sign(h.String(), p.plus("sub", `"somebody else"`).String()),
					malformed, ""},
				attack{"two sub, alike",
					f.sign(h.String(), p.plus("sub", quote(paratest.UserID)).String()), malformed,
					""},
				attack{"two exp, one escaped",
					f.sign(h.String(), p.plus(`e\u0078p`, at(time.Hour)).String()), malformed, ""},
				attack{"two data", f.sign(h.String(), p.plus("data", f.data.String()).String()),
					malformed, ""},
				attack{"two userId",
					f.claim("data", f.data.plus("userId", `"somebody else"`).String()),
					malformed, ""},
				attack{"two addresses of a wallet",
					f.inData("wallets", `[{"address":"a","address":"b"}]`), malformed,
					f.inData("wallets", `[{"address":"a","id":"b"}]`)},
				attack{"Sub", f.claim("Sub", `"somebody else"`), malformed,
					f.claim("subject", `"somebody else"`)},
				attack{"sub with a long s", f.claim("\u017fub", `"somebody else"`), malformed,
					f.claim("\u0455ub", `"somebody else"`)},
				attack{"AUD", f.claim("AUD", `"another app"`), malformed,
					f.claim("audience", `"another app"`)},
				attack{"Exp", f.claim("Exp", at(time.Hour)), malformed,
					f.claim("expires", at(time.Hour))},
				attack{"EXP instead of exp",
					f.sign(h.String(), p.with("exp", "").with("EXP", at(time.Hour)).String()),
					malformed, ""},
				attack{"Iat", f.claim("Iat", at(0)), malformed, ""},
				attack{"NBF", f.claim("NBF", at(0)), malformed, f.claim("nbf", at(0))},
				attack{"Data", f.claim("Data", `{"userId":"somebody else"}`), malformed,
					f.claim("date", `{"userId":"somebody else"}`)},
				attack{"userid", f.inData("userid", `"somebody else"`), malformed,
					f.inData("user", `"somebody else"`)},
				attack{"UserID", f.inData("UserID", `"somebody else"`), malformed, ""},
				attack{"Wallets", f.inData("Wallets", `[]`), malformed, f.inData("purses", `[]`)},
				attack{"wallets with a long s", f.inData("wallet\u017f", `[]`), malformed, ""},
				attack{"connectedwallets", f.inData("connectedwallets", `[]`), malformed,
					f.inData("connectedWallets", `[]`)},
				attack{"authtype", f.inData("authtype", `"phone"`), malformed, ""},
				attack{"Email", f.inData("Email", `"somebody@example.com"`), malformed,
					f.inData("mail", `"somebody@example.com"`)},
				attack{"Address of a wallet",
					f.inData("wallets", `[{"address":"a","Address":"b"}]`),
					malformed, f.inData("wallets", `[{"address":"a","addresses":"b"}]`)},
				attack{"TYPE of a wallet", f.inData("wallets", `[{"TYPE":"EVM"}]`), malformed,
					f.inData("wallets", `[{"type":"EVM"}]`)},
				attack{"deep", f.claim("x", strings.Repeat("[", 4000)+strings.Repeat("]", 4000)),
					malformed, ""},
				attack{"deep and not closed", f.sign(h.String(), strings.Repeat("[", 8000)),
					malformed,
					""},
				attack{"deep objects",
					f.claim("x", strings.Repeat(`{"x":`, 1500)+"1"+strings.Repeat("}", 1500)),
					malformed, ""},
			)},

		{"exp: required, a number, later than now and before the year 10000", payload, []attack{
			{"missing", f.claim("exp", ""), badClaims, ""},
			{"null", f.claim("exp", `null`), badClaims, ""},
			{"string", f.claim("exp", quote(at(time.Hour))), badClaims,
				f.claim("exp", at(time.Hour))},
			{"true", f.claim("exp", `true`), badClaims, ""},
			{"array", f.claim("exp", `[`+at(time.Hour)+`]`), badClaims, ""},
			{"zero", f.claim("exp", `0`), badClaims, ""},
			{"minus zero", f.claim("exp", `-0`), badClaims, ""},
			{"zero, written long", f.claim("exp", `0.0e9`), badClaims, ""},
			{"negative", f.claim("exp", `-1`), badClaims, ""},
			{"the year 10000", f.claim("exp", `253402300800`), badClaims, ""},
			{"the year 10000, written as a fraction", f.claim("exp", `253402300800.0`), badClaims,
				""},
			{"in 31 days and a second", f.claim("exp", at(31*24*time.Hour+time.Second)), badClaims,
				f.claim("exp", at(31*24*time.Hour))},
			{"in 31 days and a bit", f.claim("exp", at(31*24*time.Hour)+".001"), badClaims,
				f.claim("exp", at(30*24*time.Hour)+".001")},
			{"in 100 years", f.claim("exp", at(100*365*24*time.Hour)), badClaims, ""},
			{"milliseconds", f.claim("exp", at(time.Hour)+"000"), badClaims,
				f.claim("exp", at(time.Hour)+".000")},
			{"2^63", f.claim("exp", `9223372036854775808`), badClaims, ""},
			{"2^64 more than a valid time", f.claim("exp", `18446744075483005861`), badClaims, ""},
			{"1e400", f.claim("exp", `1e400`), badClaims, ""},
			{"a number that is not JSON", f.claim("exp", at(time.Hour)+"e"), malformed, ""},
			{"NaN", f.claim("exp", `NaN`), malformed, ""},
			{"an hour ago",
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp", at(-time.Hour)).String()), expired,
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp", at(time.Hour)).String())},
			{"longer ago than the leeway",
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp", at(-30*time.Second)).String()),
				expired,
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp", at(-29*time.Second)).String())},
			{"fractions count",
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp",
						at(-31*time.Second)+".999").String()),
				expired,
				f.sign(h.String(),
					p.with("iat", at(-2*time.Hour)).with("exp",
						at(-30*time.Second)+".001").String())},
			{"1970", f.sign(h.String(), p.with("iat", "1").with("exp", "2").String()), expired, ""},
		}},
		{"iat: required, a number, not in the future, not after exp", payload, []attack{
			{"missing", f.claim("iat", ""), badClaims, ""},
			{"null", f.claim("iat", `null`), badClaims, ""},
			{"string", f.claim("iat", quote(at(0))), badClaims, ""},
			{"false", f.claim("iat", `false`), badClaims, ""},
			{"zero", f.claim("iat", `0`), badClaims, ""},
			{"32 days ago", f.claim("iat", at(-32*24*time.Hour)), badClaims,
				f.claim("iat", at(-30*24*time.Hour))},
			{"negative", f.claim("iat", `-1`), badClaims, ""},
			{"milliseconds", f.claim("iat", at(0)+"000"), badClaims, f.claim("iat", at(0)+".000")},
			{"after exp", f.claim("iat", at(31*time.Minute)), badClaims, ""},
			{"in the future", f.claim("iat", at(10*time.Minute)), notYetValid,
				f.claim("iat", at(-10*time.Minute))},
			{"further than the leeway", f.claim("iat", at(31*time.Second)), notYetValid,
				f.claim("iat", at(30*time.Second))},
			{"fractions count", f.claim("iat", at(30*time.Second)+".5"), notYetValid,
				f.claim("iat", at(29*time.Second)+".5")},
		}},
		{"nbf: honoured when present", payload, []attack{
			{"in the future", f.claim("nbf", at(10*time.Minute)), notYetValid,
				f.claim("nbf", at(-10*time.Minute))},
			{"further than the leeway", f.claim("nbf", at(31*time.Second)), notYetValid,
				f.claim("nbf", at(30*time.Second))},
			{"after exp", f.claim("nbf", at(24*time.Hour)), notYetValid, ""},
			{"null", f.claim("nbf", `null`), badClaims, ""},
			{"string", f.claim("nbf", quote(at(0))), badClaims, f.claim("nbf", at(0))},
			{"zero", f.claim("nbf", `0`), badClaims, f.claim("nbf", `1`)},
			{"milliseconds", f.claim("nbf", at(0)+"000"), badClaims, ""},
		}},

		{"aud: a string, or an array of strings, that holds the API key ID exactly", payload,
			[]attack{
				{"missing", f.claim("aud", ""), audience, ""},
				{"null", f.claim("aud", `null`), audience, ""},
				{"empty", f.claim("aud", `""`), audience, ""},
				{"another app", f.claim("aud", `"00000000-0000-4000-8000-000000000000"`), audience,
					""},
				{"other case", f.claim("aud", quote(strings.ToUpper(paratest.APIKeyID))), audience,
					""},
				{"a trailing space", f.claim("aud", quote(paratest.APIKeyID+" ")), audience, ""},
				{"a prefix of it", f.claim("aud", quote(paratest.APIKeyID[:35])), audience,
					""},
				{"it and one more character", f.claim("aud", quote(paratest.APIKeyID+"0")),
					audience, ""},
				{"a list in a string", f.claim("aud", quote("x "+paratest.APIKeyID)), audience,
					f.claim("aud", `["x",`+quote(paratest.APIKeyID)+`]`)},
				{"number", f.claim("aud", `1`), audience, ""},
				{"true", f.claim("aud", `true`), audience, ""},
				{"object", f.claim("aud", `{`+quote(paratest.APIKeyID)+`:true}`), audience, ""},
				{"no app", f.claim("aud", `[]`), audience,
					f.claim("aud", `[`+quote(paratest.APIKeyID)+`]`)},
				{"other apps", f.claim("aud", `["x","y"]`), audience,
					f.claim("aud", `["x","y",`+quote(paratest.APIKeyID)+`]`)},
				{"it and a number", f.claim("aud", `[`+quote(paratest.APIKeyID)+`,7]`), audience,
					f.claim("aud", `[`+quote(paratest.APIKeyID)+`,"7"]`)},
				{"a number and it", f.claim("aud", `[7,`+quote(paratest.APIKeyID)+`]`), audience,
					f.claim("aud", `["7",`+quote(paratest.APIKeyID)+`]`)},
				{"it and null", f.claim("aud", `[`+quote(paratest.APIKeyID)+`,null]`), audience,
					f.claim("aud", `[`+quote(paratest.APIKeyID)+`,""]`)},
				{"it and an object", f.claim("aud", `[`+quote(paratest.APIKeyID)+`,{}]`),
					audience,
					""},
				{"an array in the array", f.claim("aud", `[[`+quote(paratest.APIKeyID)+`]]`),
					audience,
					""},
				{"only in data",
					f.sign(h.String(),
						p.with("aud", "").with("data",
							f.data.with("aud", quote(paratest.APIKeyID)).String()).String()),
					audience,
					f.inData("aud", `"x"`)},
				{"azp instead",
					f.sign(h.String(),
						p.with("aud", "").with("azp", quote(paratest.APIKeyID)).String()), audience,
					f.claim("azp", `"x"`)},
			}},

		{"sub and data.userId: required, strings, not empty, equal", payload, []attack{
			{"no sub", f.claim("sub", ""), badClaims, ""},
			{"empty sub", f.claim("sub", `""`), badClaims, ""},
			{"null sub", f.claim("sub", `null`), badClaims, ""},
			{"number as sub", f.claim("sub", `5358219`), badClaims, ""},
			{"array as sub", f.claim("sub", `[`+quote(paratest.UserID)+`]`), badClaims, ""},
			{"no userId", f.inData("userId", ""), badClaims, ""},
			{"empty userId", f.inData("userId", `""`), badClaims, ""},
			{"null userId", f.inData("userId", `null`), badClaims, ""},
			{"number as userId", f.inData("userId", `5358219`), badClaims, ""},
			{"both empty", bothIDs(f, `""`), badClaims, bothIDs(f, `"0"`)},
			{"both numbers", bothIDs(f, `1`), badClaims, bothIDs(f, `"1"`)},
			{"both null", bothIDs(f, `null`), badClaims, bothIDs(f, `"null"`)},
			{"somebody else's sub", f.claim("sub", `"somebody else"`), badClaims,
				bothIDs(f, `"somebody else"`)},
			{"somebody else's userId", f.inData("userId", `"somebody else"`), badClaims, ""},
			{"in another case", f.claim("sub", quote(strings.ToUpper(paratest.UserID))), badClaims,
				bothIDs(f, quote(strings.ToUpper(paratest.UserID)))},
			{"a trailing space", f.claim("sub", quote(paratest.UserID+" ")), badClaims, ""},
			{"no data", f.claim("data", ""), badClaims, ""},
			{"null data", f.claim("data", `null`), badClaims, ""},
			{"data as a string",
				f.claim("data", `"`+strings.ReplaceAll(f.data.String(), `"`, `\"`)+`"`), badClaims,
				""},
			{"data as an array", f.claim("data", `[`+f.data.String()+`]`), badClaims, ""},
			{"empty data", f.claim("data", `{}`), badClaims, ""},
			{"userId beside data",
				f.sign(h.String(),
					p.with("data", f.data.with("userId", "").String()).with("userId",
						quote(paratest.UserID)).String()), badClaims, f.claim("userId", `"x"`)},
		}},

		{"data.wallets and data.connectedWallets: absent, null, or arrays of objects " +
			"with members that are strings or null", payload, append(
			walletAttacks(f, "wallets"), append(walletAttacks(f, "connectedWallets"), []attack{
				{"externalWallet as a string", f.inData("externalWallet", `"0x"`), badClaims,
					f.inData("externalWallet", `null`)},
				{"externalWallet as an array", f.inData("externalWallet", `[]`), badClaims,
					f.inData("externalWallet", `{}`)},
				{"number as its address", f.inData("externalWallet", `{"address":1}`), badClaims,
					f.inData("externalWallet", `{"address":"1"}`)},
				{"number as authType", f.inData("authType", `1`), badClaims,
					f.inData("authType", `null`)},
				{"array as email", f.inData("email", `["a@example.com"]`), badClaims,
					f.inData("email", `"a@example.com"`)},
				{"object as identifier", f.inData("identifier", `{}`), badClaims,
					f.inData("identifier", `""`)},
			}...)...)},

		{"too large", outside, []attack{
			{"one byte more than 16 KiB", sized(f, 16<<10+1), malformed, sized(f, 16<<10)},
			{"twice", sized(f, 32<<10), malformed, ""},
			{"1 MiB", strings.Repeat("A", 1<<20), malformed, ""},
			{"1 MiB of signature", f.good + strings.Repeat("A", 1<<20-2000), malformed, ""},
			{"1 MiB of payload", sized(f, 1<<20-8192), malformed, ""},
			{"a million dots", strings.Repeat(".", 1_000_000), malformed, ""},
			{"16 KiB of dots", strings.Repeat(".", 16<<10), malformed, ""},
			{"a good token and dots", f.good + strings.Repeat(".", 8<<10), malformed, ""},
			{"a million dots behind a good token", f.good + strings.Repeat(".", 1_000_000),
				malformed, ""},
			{"16 KiB of one part", strings.Repeat("A", 16<<10), malformed, ""},
			{"16 KiB of header", strings.Repeat("A", 16<<10-4) + ".A.A", malformed, ""},
		}},

		// Unknown members and values are accepted, because Para adds some.
		// Known members must have their known form.
		{"unknown members and values are no attack", payload, []attack{
			{"authType", f.inData("authType", `7`), badClaims, f.inData("authType", `"passkey"`)},
			{"oAuthMethod", f.inData("oAuthMethod", `7`), badClaims,
				f.inData("oAuthMethod", `"https://idp.example.com"`)},
			{"wallet type", f.inData("wallets", `[{"type":7}]`), badClaims,
				f.inData("wallets", `[{"type":"BITCOIN","address":"bc1"}]`)},
			{"member of a wallet", f.inData("wallets", `[{"id":7}]`), badClaims,
				f.inData("wallets", `[{"id":"7","scheme":{"name":"DKLS","n":[1,2,{}]}}]`)},
			{"member of data", f.inData("userId", `7`), badClaims,
				f.inData("plan", `{"seats":[1,2.5e3,null,true]}`)},
			{"member of the payload", f.claim("sub", `7`), badClaims,
				f.claim("iss", `"https://api.getpara.com"`)},
		}},
	}
}

// symmetric returns tokens with an HMAC whose secret is public: alg is HS256,
// and the secret is a form of a public key, or another known value.
func symmetric(f *forge) (attacks []attack) {
	for name, secret := range f.publicForms() {
		for alg, newHash := range hmacs {
			h := f.header.with("alg", quote(alg))
			attacks = append(attacks,
				attack{alg + " under the public key: " + name,
					signHMAC(newHash, secret, h.String(), f.payload.String()), algorithm, ""})
		}
	}
	return attacks
}

func edDSA(f *forge, alg, kid string) string {
	h := f.header.with("alg", quote(alg)).with("kid", quote(kid))
	input := enc(h.String()) + "." + enc(f.payload.String())
	return input + "." + enc(string(ed25519.Sign(f.ed, []byte(input))))
}

func mallorySigns(f *forge, h object) string {
	return sign(f.mallory, enc(h.String()), enc(f.payload.String()))
}

// ecdsaAttacks returns signatures that some verifiers of ES256 accept
// (CVE-2022-21449), or accept in another form than that of RFC 7518 §3.4.
func ecdsaAttacks(f *forge) (attacks []attack) {
	h := f.header.with("alg", `"ES256"`).with("kid", `"ec"`).String()
	good := f.signES256(h, f.payload.String())
	input := good[:strings.LastIndexByte(good, '.')]
	r, s := f.ecSign(input)
	n, zero, one := f.ec.Params().N, big.NewInt(0), big.NewInt(1)
	add := func(name, signature string) {
		attacks = append(attacks,
			attack{"ES256, " + name, withSignature(good, signature), wrong, good})
	}
	for _, pair := range []struct {
		name string
		r, s *big.Int
	}{
		{"r and s of 0", zero, zero}, {"r of 0", zero, s}, {"s of 0", r, zero},
		{"r and s of n", n, n}, {"r of n", n, s}, {"s of n", r, n}, {"r of 0, s of n", zero, n},
		{"r of n, s of 0", n, zero},
		{"r and s of 1", one, one}, {"r of n-1", new(big.Int).Sub(n, one), s},
		{"r and s exchanged", s, r},
		{"r and s of 2^256-1", new(big.Int).Sub(new(big.Int).Lsh(one, 256), one),
			new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)},
	} {
		add(pair.name, rawSignature(pair.r, pair.s))
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		panic(err)
	}
	raw := dec(last(good))
	add("DER", enc(string(der)))
	add("one byte short", enc(raw[:63]))
	add("one byte more", enc(raw+"\x00"))
	add("a zero in front", enc("\x00"+raw))
	add("twice", enc(raw+raw))
	add("half", enc(raw[:32]))
	add("in hexadecimal", enc(fmt.Sprintf("%x", raw)))
	add("padded to the size of P-384",
		enc(strings.Repeat("\x00", 16)+raw[:32]+strings.Repeat("\x00", 16)+raw[32:]))
	add("a bit of it", last(flip(good, 2)))
	add("RSA's", last(f.good))
	return attacks
}

// base64Attacks returns other encodings of a segment than the only valid one
// (RFC 7515 §2). token signs the segment as it is, so the signature is valid.
func base64Attacks(object string, token func(segment string) string) []attack {
	// The segments have each length modulo 3. Some need the letters in which
	// the alphabets differ.
	pad := func(rest int) string {
		for text := object; ; text += " " { // white space after an object is valid
			if len(text)%3 == rest {
				return text
			}
		}
	}
	special := strings.Replace(object, "{", `{"x":"~~~???>>>","y":"?~?~?~>","z":"ÿÿÿ",`, 1)
	segment := enc(special)
	if !strings.ContainsRune(segment, '_') || !strings.ContainsRune(segment, '-') {
		panic("this segment tells no alphabet from the other")
	}
	good := token(segment)
	short, shorter := enc(pad(2)), enc(pad(1)) // 2 and 4 bits unused
	middle := len(segment) / 2
	attacks := []attack{
		{"the standard alphabet", token(strings.NewReplacer("-", "+", "_", "/").Replace(segment)),
			malformed, good},
		{"+ for -", token(strings.ReplaceAll(segment, "-", "+")), malformed, good},
		{"/ for _", token(strings.ReplaceAll(segment, "_", "/")), malformed, good},
		{"padded with =", token(short + "="), malformed, token(short)},
		{"padded with ==", token(shorter + "=="), malformed, token(shorter)},
		{"padded with = too much", token(enc(pad(0)) + "="), malformed, token(enc(pad(0)))},
		{"padded with %3D", token(short + "%3D"), malformed, token(short)},
		{"2 unused bits set", token(lastBit(short)), malformed, token(short)},
		{"4 unused bits set", token(lastBit(shorter)), malformed, token(shorter)},
		{"one letter more", token(enc(pad(0)) + "A"), malformed, token(enc(pad(0)))},
		{"a letter of another alphabet", token(segment[:middle] + "é" + segment[middle:]),
			malformed, good},
		{"base64 of base64", token(enc(segment)), malformed, good},
	}
	for name, s := range map[string]string{"CR": "\r", "LF": "\n", "CRLF": "\r\n", "space": " ",
		"tab": "\t", "NUL": "\x00", "=": "="} {
		attacks = append(attacks,
			attack{name + " in the middle", token(segment[:middle] + s + segment[middle:]),
				malformed, good},
			attack{name + " in front", token(s + segment), malformed, good},
			attack{name + " behind", token(segment + s), malformed, good})
	}
	return attacks
}

func signatureBase64(f *forge) []attack {
	good := f.good
	for n := 0; !strings.ContainsRune(last(good), '_') ||
		!strings.ContainsRune(last(good), '-'); n++ {
		good = f.claim("n", fmt.Sprint(n))
	}
	s := last(good)
	with := func(signature string) string { return withSignature(good, signature) }
	attacks := []attack{
		{"the standard alphabet", with(strings.NewReplacer("-", "+", "_", "/").Replace(s)),
			malformed, good},
		{"+ for -", with(strings.ReplaceAll(s, "-", "+")), malformed, good},
		{"/ for _", with(strings.ReplaceAll(s, "_", "/")), malformed, good},
		{"padded", with(s + "=="), malformed, good},
		{"padded with one =", with(s + "="), malformed, good},
		{"unused bits set", with(lastBit(s)), malformed, good},
		{"one letter more", with(s + "AAA"), malformed, good},
	}
	for name, in := range map[string]string{"CR": "\r", "LF": "\n", "CRLF": "\r\n", "space": " ",
		"NUL": "\x00"} {
		attacks = append(attacks,
			attack{name + " in the middle", with(s[:100] + in + s[100:]), malformed, good},
			attack{name + " before it", with(in + s), malformed, good},
			attack{name + " after it", with(s + in), malformed, good})
	}
	return attacks
}

// jsonAttacks returns texts that are not a JSON object, or that two parsers
// read in different ways.
func jsonAttacks(o object, token func(text string) string) []attack {
	text := o.String()
	// member returns the object with a member x in front.
	member := func(raw string) string { return `{"x":` + raw + "," + text[1:] }
	nested := func(levels int) string {
		return strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	attacks := []attack{
		{"an array", token("[" + text + "]"), malformed, ""},
		{"a string", token(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`), malformed, ""},
		{"null", token("null"), malformed, ""},
		{"true", token("true"), malformed, ""},
		{"a number", token("1"), malformed, ""},
		{"white space only", token("  "), malformed, ""},
		{"not JSON", token("alg=RS256"), malformed, ""},
		{"not closed", token(text[:len(text)-1]), malformed, ""},
		{"closed twice", token(text + "}"), malformed, ""},
		{"a second object", token(text + "{}"), malformed, token(text + " \n\t\r")},
		{"itself again", token(text + text), malformed, ""},
		{"a trailing word", token(text + " x"), malformed, token(text + " ")},
		{"a trailing NUL", token(text + "\x00"), malformed, ""},
		{"a trailing comma", token(text + ","), malformed, ""},
		{"a BOM", token("\ufeff" + text), malformed, ""},
		{"UTF-16", token("\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00"),
			malformed, ""},
		{"a leading form feed", token("\f" + text), malformed, token("\n" + text)},
		{"a leading no-break space", token("\u00a0" + text), malformed, ""},
		{"an unknown name twice", token(`{"x":1,` + member("1")[1:]), malformed,
			token(member("1"))},
		{"an unknown name twice, once escaped", token(`{"\u0078":1,` + member("1")[1:]), malformed,
			""},
		{"a name twice further in", token(member(`{"a":1,"a":1}`)), malformed,
			token(member(`{"a":1,"b":1}`))},
		{"a name twice much further in", token(member(`[{"b":[{"a":1,"c":2,"a":1}]}]`)), malformed,
			token(member(`[{"b":[{"a":1,"c":2,"A":1}]}]`))},
		{"an empty name twice", token(member(`{"":1,"":2}`)), malformed, token(member(`{"":1}`))},
		{"17 levels", token(member(nested(16))), malformed, token(member(nested(15)))},
		{"17 levels of objects",
			token(member(strings.Repeat(`{"a":`, 16) + "1" + strings.Repeat("}", 16))), malformed,
			token(member(strings.Repeat(`{"a":`, 15) + "1" + strings.Repeat("}", 15)))},
		{"a comment", token(member(`1/* */`)), malformed, ""},
		{"a leading comment", token("//\n" + text), malformed, ""},
		{"a trailing comma in an object", token(strings.TrimSuffix(text, "}") + ",}"), malformed,
			""},
		{"a comma before the first member", token("{," + text[1:]), malformed, ""},
		{"a trailing comma in an array", token(member(`[1,]`)), malformed, token(member(`[1]`))},
		{"no colon", token(member(`1,"y" 1`)), malformed, token(member(`1,"y" : 1`))},
		{"no quotation marks around a name", token(`{x:1,` + text[1:]), malformed, ""},
		{"single quotation marks", token(`{'x':1,` + text[1:]), malformed, ""},
		{"a number as a name", token(`{1:1,` + text[1:]), malformed, ""},
	}
	for name, pair := range map[string][2]string{
		"invalid UTF-8":                       {"\"\xff\"", `"ÿ"`},
		"overlong UTF-8":                      {"\"\xc0\xaf\"", `"/"`},
		"truncated UTF-8":                     {"\"\xe2\x82\"", "\"\xe2\x82\xac\""},
		"a surrogate in UTF-8":                {"\"\xed\xa0\x80\"", "\"\xed\x9f\xbf\""},
		"beyond Unicode":                      {"\"\xf4\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\""},
		"half a surrogate pair":               {`"\ud800"`, `"\ud83d\ude00"`},
		"the second half of a surrogate pair": {`"\udc00"`, `"\ud7ff"`},
		"two first halves of a pair":          {`"\ud800\ud800"`, `"\ue000"`},
		"the halves in the wrong order":       {`"\udc00\ud800"`, `"\ud800\udc00"`},
		"half a pair and a letter":            {`"\ud800\u0041"`, `"\u0041"`},
		"half a pair in a name":               {`{"\ud800":1}`, `{"\ud83d\ude00":1}`},
		"invalid UTF-8 in a name":             {"{\"\xff\":1}", `{"ÿ":1}`},
		"a control character in a string":     {"\"\x01\"", `"\u0001"`},
		"a line break in a string":            {"\"\n\"", `"\n"`},
		"a NUL in a string":                   {"\"\x00\"", `"\u0000"`},
		"an unknown escape":                   {`"\x41"`, `"\u0041"`},
		"a truncated escape":                  {`"\u004"`, `"\u0041"`},
		"an escape that is not a number":      {`"\u00g1"`, `"\u00a1"`},
		"an unterminated string":              {`"`, `""`},
		"NaN":                                 {`NaN`, `null`},
		"Infinity":                            {`-Infinity`, `-1`},
		"a leading zero":                      {`01`, `1`},
		"a leading plus":                      {`+1`, `1`},
		"no digit before the point":           {`.5`, `0.5`},
		"no digit after the point":            {`1.`, `1.0`},
		"no digit after the e":                {`1e`, `1e5`},
		"hexadecimal":                         {`0x1`, `1`},
		"underscores":                         {`1_000`, `1000`},
		"a truncated word":                    {`nul`, `null`},
		"a word in capitals":                  {`True`, `true`},
		"no value":                            {``, `""`},
		"mismatched brackets":                 {`[}`, `[]`},
		"mismatched nested brackets":          {`{"a":[1}]`, `{"a":[1]}`},
	} {
		attacks = append(attacks,
			attack{name, token(member(pair[0])), malformed, token(member(pair[1]))})
	}
	return attacks
}

func walletAttacks(f *forge, name string) (attacks []attack) {
	for what, pair := range map[string][2]string{
		"string":                  {`"x"`, `[]`},
		"object":                  {`{"id":"x"}`, `[{"id":"x"}]`},
		"number":                  {`0`, `null`},
		"false":                   {`false`, `[]`},
		"null in it":              {`[null]`, `[{}]`},
		"string in it":            {`["x"]`, `[{}]`},
		"array in it":             {`[[]]`, `[{}]`},
		"number in it":            {`[1]`, `[{}]`},
		"the second one is wrong": {`[{"id":"x"},1]`, `[{"id":"x"},{}]`},
		"number as id":            {`[{"id":1}]`, `[{"id":"1"}]`},
		"false as address": {`[{"address":false}]`,
			`[{"address":null,"id":null,"type":null,"publicKey":null}]`},
		"array as address":   {`[{"address":["x"]}]`, `[{"address":"x"}]`},
		"object as type":     {`[{"type":{}}]`, `[{"type":"x"}]`},
		"true as publicKey":  {`[{"publicKey":true}]`, `[{"publicKey":""}]`},
		"number as provider": {`[{"provider":1}]`, `[{"provider":"x"}]`},
		"the third member of five": {`[{"id":"a","type":"b","address":3,"publicKey":"d","x":5}]`,
			`[{"id":"a","type":"b","address":"c","publicKey":"d","x":5}]`},
	} {
		attacks = append(attacks,
			attack{name + ": " + what, f.inData(name, pair[0]), badClaims, f.inData(name, pair[1])})
	}
	return append(attacks,
		attack{name + ": in a separate object", f.inData(name, `{"wallets":[]}`), badClaims,
			f.inData(name, "")})
}

// sized returns a token of exactly size bytes.
func sized(f *forge, size int) string {
	header := f.header.String()
	for {
		room := size - len(enc(header)) - len(last(f.good)) - len("..")
		if room%4 != 1 {
			filler := b64.DecodedLen(room) - len(f.payload.with("x", `""`).String())
			return f.sign(header, f.payload.with("x", quote(strings.Repeat("x", filler))).String())
		}
		header += " " // no base64 text has this length: change the room for the payload
	}
}

func bothIDs(f *forge, raw string) string {
	return f.sign(f.header.String(),
		f.payload.with("sub", raw).with("data", f.data.with("userId", raw).String()).String())
}
