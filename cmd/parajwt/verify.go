package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/parakey"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

const verifyHelp = `usage: parajwt verify [TEXT] --env ENV --api-key-id ID… [flags]

Verifies a token with the library that your server uses. Shows the checks in
order. For the first check that refuses the token, shows why and what to do.
Later checks are not reached.

TEXT contains the token: alone, in a header, a curl command, a cookie or JSON,
or wrapped over lines. Without TEXT, or with "-", standard input is read. The
token and its signature are never printed.

  pbpaste | parajwt verify --env beta --api-key-id ID
  parajwt verify --env prod --api-key-id ID1 --api-key-id ID2 < token.txt
  parajwt verify --env http://127.0.0.1:8080 --api-key-id ID < token.txt

The last command verifies a token of "parajwt serve". On a machine that cannot
reach Para, use keys that were saved elsewhere:

  parajwt keys --env beta --save beta.json
  parajwt verify --env beta --keys beta.json --api-key-id ID < token.txt

The API key ID is the UUID that Para's developer portal shows with the API key.
It is not the key itself. "parajwt inspect" shows the API key ID in a token.

Flags
  --env ENV        prod, beta, sandbox or the URL of a key set; default:
                   $PARA_ENVIRONMENT. No other environment is tried.
  --api-key-id ID  the app that the token must be for; may be repeated;
                   default: $PARA_API_KEY_ID, with commas between several
  --keys FILE      use the key set in this file of "parajwt keys --save", and no
                   network
  --known FILE     a saved key set of another environment, to find the
                   environment of an unknown key; may be repeated
  --max-age D      refuse tokens that were issued more than D ago, such as 1h
                   (MaxTokenAge)
  --leeway D       allowed clock difference: 30s by default, at most 5m; 0 means
                   none
  --json           print one JSON object

Exit status
  0  accepted
  1  refused
  2  wrong usage
  3  the keys are unavailable

JSON
  accepted          true or false
  takenFrom, note   where the token was in TEXT, and what is wrong there
  code              of the library's error, such as "expired"; absent if
                    accepted
  checks            [{check, verdict, why, do}] in order; verdict is "ok",
                    "refused", "not reached" or, without keys, "unknown"
  environment, url, apiKeyIds, keysFetchedAt
                    what it was verified against
  kid               of the header; absent if the header was not reached
  user              as in "parajwt help inspect"; absent unless accepted. So are
                    wallets, connectedWallets, audience, issuedAt, expiresAt
`

func verify(ctx context.Context, args []string, std streams) int {
	fs := newFlags("verify")
	var ids, known list
	env := fs.String("env", "", "")
	fs.Var(&ids, "api-key-id", "")
	keysFile := fs.String("keys", "", "")
	fs.Var(&known, "known", "")
	maxAge := fs.Duration("max-age", 0, "")
	leeway := fs.Duration("leeway", 0, "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, std)
	if done {
		return status
	}

	cfg := middleware.Config{
		MaxTokenAge: *maxAge,
		CacheSize:   -1,
		Logger:      slog.New(slog.DiscardHandler), // the report has the same facts
	}
	var err error
	if cfg.Environment, err = environment(*env); err != nil {
		return misused(std, "verify", err.Error())
	}
	from := "--api-key-id"
	if value := os.Getenv(apiKeyIDVariable); len(ids) == 0 && value != "" {
		from = apiKeyIDVariable
		for id := range strings.SplitSeq(value, ",") { // as parajwt-gateway does
			ids = append(ids, strings.TrimSpace(id))
		}
	}
	if len(ids) == 0 {
		return misused(
			std, "verify",
			"--api-key-id is missing (or PARA_API_KEY_ID): "+
				"give the UUID that Para's developer portal shows with the API key; "+
				"parajwt inspect shows the one in a token",
		)
	}
	if cfg.APIKeyIDs, err = apiKeyIDs(std, "verify", from, ids); err != nil {
		return misused(std, "verify", err.Error())
	}
	if cfg.Leeway, err = leewayOf(fs, *leeway); err != nil {
		return misused(std, "verify", err.Error())
	}
	dated := true
	if *keysFile != "" {
		cfg.Keys.Initial, dated = sourceOf(cfg.Environment, *keysFile)
		cfg.Keys.Offline = true
		if err = usable(cfg.Keys.Initial); err != nil {
			complain(std, "verify", fmt.Sprintf("--keys %s: %v", printable(*keysFile), err))
			return exitNoKeys
		}
	}
	for _, file := range known {
		cfg.OtherEnvironments = append(cfg.OtherEnvironments, source(file))
	}
	v, err := middleware.New(cfg)
	if err != nil {
		return misused(std, "verify", strings.Split(err.Error(), "\n")...)
	}
	defer v.Close()
	in, err := readToken(rest, std)
	if err != nil {
		return misused(std, "verify", err.Error())
	}

	user, err := v.Validate(ctx, in.token)
	r := report(v, in, user, err)
	r.APIKeyIDs, r.keysFile = cfg.APIKeyIDs, *keysFile
	if !dated {
		r.KeysFetchedAt = time.Time{}
	}
	if *asJSON {
		writeJSON(std.out, r)
	} else {
		std.out.print(r.text(time.Now()))
	}
	switch {
	case r.Accepted:
		return exitOK
	case errors.Is(err, middleware.ErrKeysUnavailable):
		return exitNoKeys
	}
	return exitRefused
}

// Environment variables that the examples read, too.
const (
	environmentVariable = "PARA_ENVIRONMENT"
	apiKeyIDVariable    = "PARA_API_KEY_ID"
)

func environment(flag string) (jwks.Environment, error) {
	name := cmp.Or(flag, os.Getenv(environmentVariable))
	if name == "" {
		return jwks.Environment{}, errors.New("--env is missing (or PARA_ENVIRONMENT): " +
			"use prod, beta, sandbox or the URL of a key set")
	}
	return jwks.ParseEnvironment(name)
}

// apiKeyIDs returns the IDs as Para writes them. It refuses keys. It warns if
// an ID is not a UUID, without printing the ID, which may be a secret.
func apiKeyIDs(std streams, command, from string, ids []string) ([]string, error) {
	var normal []string
	for _, id := range ids {
		if err := parakey.CheckID(id); err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		if !parakey.IsID(id) && strings.TrimSpace(id) != "" {
			complain(std, command, "warning: "+from+" is not a UUID, as all known API key IDs are")
		}
		normal = append(normal, parakey.NormalizeID(id))
	}
	return normal, nil
}

// leewayOf returns the value of middleware.Config.Leeway, where a negative
// value means no leeway.
func leewayOf(fs *flag.FlagSet, d time.Duration) (time.Duration, error) {
	switch {
	case d < 0:
		return 0, errors.New("--leeway is negative: use 0 for none")
	case d == 0 && isSet(fs, "leeway"):
		return -1, nil
	}
	return d, nil
}

// usable returns an error if a key set has no usable key.
func usable(s jwks.Source) error {
	_, ids, err := s.Inspect()
	if err == nil && len(ids) == 0 {
		err = errors.New("it has no usable key")
	}
	return err
}

// verifyReport is the result of the command verify.
type verifyReport struct {
	Accepted bool `json:"accepted"`
	input
	Code   string  `json:"code,omitempty"`
	Checks []check `json:"checks"`

	Environment   string    `json:"environment"`
	URL           string    `json:"url"`
	APIKeyIDs     []string  `json:"apiKeyIds"`
	KeysFetchedAt time.Time `json:"keysFetchedAt,omitzero"`

	KeyID            string                   `json:"kid,omitempty"`
	User             *user                    `json:"user,omitempty"`
	Wallets          []claims.Wallet          `json:"wallets,omitempty"`
	ConnectedWallets []claims.ConnectedWallet `json:"connectedWallets,omitempty"`
	Audience         []string                 `json:"audience,omitempty"`
	IssuedAt         time.Time                `json:"issuedAt,omitzero"`
	ExpiresAt        time.Time                `json:"expiresAt,omitzero"`

	keysFile string
}

func report(v *middleware.Validator, in input, c *claims.Claims, err error) *verifyReport {
	status := v.Status()
	r := &verifyReport{
		input: in, Environment: status.Environment, URL: status.URL,
		KeysFetchedAt: status.FetchedAt,
	}
	if err == nil {
		r.Accepted, r.KeyID = true, c.KeyID
		r.User, r.Wallets, r.ConnectedWallets = userOf(c), c.Wallets, c.ConnectedWallets
		r.Audience, r.IssuedAt, r.ExpiresAt = c.Audience, c.IssuedAt, c.ExpiresAt
		r.Checks = verdicts(check{})
		return r
	}
	var refusal *middleware.Error
	if !errors.As(err, &refusal) {
		refusal = &middleware.Error{Code: middleware.ErrMisconfigured, Cause: err}
	}
	r.Code, r.KeyID = string(refusal.Code), refusal.KeyID
	r.Checks = verdicts(explain(refusal, in.token, v.Keys().Environment()))
	return r
}

// text returns the report for people.
func (r *verifyReport) text(now time.Time) string {
	s := &sheet{names: 9}
	fmt.Fprintf(
		s, "Verifying as a server for %s (%s)\n", printable(r.Environment), printable(r.URL),
	)
	what := "ID"
	if len(r.APIKeyIDs) > 1 {
		what = "IDs"
	}
	fmt.Fprintf(s, "and the API key %s %s.\n", what, printable(strings.Join(r.APIKeyIDs, ", ")))
	if r.keysFile != "" {
		age := "of unknown age"
		if !r.KeysFetchedAt.IsZero() {
			age = "fetched " + since(r.KeysFetchedAt, now)
		}
		fmt.Fprintf(
			s, "Keys: %s, %s. A key that Para withdrew since then is still trusted here.\n",
			printable(r.keysFile), age,
		)
	}
	r.input.print(s)
	s.WriteByte('\n')
	s.checks(r.Checks)
	s.WriteByte('\n')
	if r.Accepted {
		fmt.Fprintf(
			s, "%sACCEPTED%s: user %s, %s, until %s, %s.\n", markGood, markEnd,
			printable(r.User.UserID), printable(string(r.User.AuthType)), moment(r.ExpiresAt),
			since(r.ExpiresAt, now),
		)
		return s.String()
	}
	verdict := markBad + "REFUSED" + markEnd
	if r.Code == string(middleware.ErrKeysUnavailable) {
		verdict = markDoubt + "UNKNOWN" + markEnd
	}
	s.WriteString(verdict + ": " + words(middleware.Code(r.Code)))
	if r.KeyID != "" {
		s.WriteString(" (kid " + printable(r.KeyID) + ")")
	}
	s.WriteByte('\n')
	return s.String()
}
