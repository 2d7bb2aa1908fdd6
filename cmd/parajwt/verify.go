package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

const verifyHelp = `usage: parajwt verify [TOKEN] --env prod|beta|sandbox|URL --api-key-id ID… [flags]

Verifies a token as your server does, with the library your server uses, and shows each check in its order:
the first that refuses, why, and what to do. Checks behind it are not reached.

The token is the argument, or standard input where there is none or it is "-". "Authorization:" and "Bearer"
before it do no harm. It is never printed, and neither is its signature.

  pbpaste | parajwt verify --env beta --api-key-id a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f
  parajwt verify --env prod --api-key-id ID1 --api-key-id ID2 < token.txt
  parajwt verify --env http://127.0.0.1:8080 --api-key-id ID < token.txt      (parajwt serve)

On a machine without a way to Para, with keys saved elsewhere:

  parajwt keys --env beta --save beta.json
  parajwt verify --env beta --keys beta.json --api-key-id ID < token.txt

The API key ID is the UUID that Para's developer portal shows beside the API key; not the key itself.
"parajwt inspect" shows the one that a token is for.

Flags
  --env ENV        prod, beta, sandbox or the URL of a key set; default: $PARA_ENVIRONMENT. Only this one
                   environment is asked, whatever the outcome.
  --api-key-id ID  the app the token must be for; may be given again; default: $PARA_API_KEY_ID
  --keys FILE      use this key set, saved by "parajwt keys --save", and no network
  --known FILE     a saved key set of another environment, to tell whose an unknown key is; may be given again
  --max-age D      refuse tokens that were issued longer ago, such as 1h (MaxTokenAge)
  --leeway D       how far clocks may be apart (default 30s, at most 5m; 0 for none)
  --json           one JSON object instead of words

Exit status
  0  accepted
  1  refused
  2  wrong usage
  3  it cannot be told: the keys are unavailable

JSON
  accepted     true or false
  code         of the library's error, such as "token expired"; absent if accepted
  checks       [{check, verdict, why, do}] in order; verdict is "ok", "refused", "not reached" or, for want of
               keys, "cannot tell"
  environment, url, apiKeyIds, keysFetchedAt
               what it was verified against
  kid          of the token's header, where it got that far
  user         as in "parajwt help inspect", with wallets, connectedWallets, audience, issuedAt and expiresAt
               beside it; absent unless accepted
`

func verify(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := newFlags("verify")
	var ids, known list
	env := fs.String("env", "", "")
	fs.Var(&ids, "api-key-id", "")
	keysFile := fs.String("keys", "", "")
	fs.Var(&known, "known", "")
	maxAge := fs.Duration("max-age", 0, "")
	leeway := fs.Duration("leeway", 0, "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, stdout, stderr)
	if done {
		return status
	}

	cfg := middleware.Config{
		MaxTokenAge: *maxAge,
		CacheSize:   -1,
		Logger:      slog.New(slog.DiscardHandler), // what it would say is in the report
	}
	var err error
	if cfg.Environment, err = environment(*env); err != nil {
		return misused(stderr, "verify", err.Error())
	}
	if len(ids) == 0 && os.Getenv(apiKeyIDVariable) != "" {
		ids = list{os.Getenv(apiKeyIDVariable)}
	}
	if len(ids) == 0 {
		return misused(stderr, "verify", "--api-key-id is missing (or PARA_API_KEY_ID): the UUID beside the API key in Para's developer portal; parajwt inspect shows the one that a token is for")
	}
	cfg.APIKeyIDs = ids
	if cfg.Leeway, err = leewayOf(fs, *leeway); err != nil {
		return misused(stderr, "verify", err.Error())
	}
	dated := true
	if *keysFile != "" {
		cfg.Keys.Initial, cfg.Keys.Offline = source(*keysFile), true
		if dated, err = usable(cfg.Keys.Initial); err != nil {
			complain(stderr, "verify", fmt.Sprintf("--keys %s: %v", printable(*keysFile), err))
			return exitNoKeys
		}
	}
	for _, file := range known {
		cfg.OtherEnvironments = append(cfg.OtherEnvironments, source(file))
	}
	v, err := middleware.New(cfg)
	if err != nil {
		return misused(stderr, "verify", strings.Split(err.Error(), "\n")...)
	}
	defer v.Close()
	token, err := readToken(rest, stdin, stderr)
	if err != nil {
		return misused(stderr, "verify", err.Error())
	}

	user, err := v.Validate(ctx, token)
	r := report(v, token, user, err)
	r.APIKeyIDs, r.keysFile = ids, *keysFile
	if !dated {
		r.KeysFetchedAt = time.Time{}
	}
	if *asJSON {
		writeJSON(stdout, r)
	} else {
		r.print(stdout, time.Now())
	}
	switch {
	case r.Accepted:
		return exitOK
	case errors.Is(err, middleware.ErrKeysUnavailable):
		return exitNoKeys
	}
	return exitRefused
}

// The variables that the examples' servers read, so that the tool can be run in a server's surroundings.
const (
	environmentVariable = "PARA_ENVIRONMENT"
	apiKeyIDVariable    = "PARA_API_KEY_ID"
)

func environment(flag string) (jwks.Environment, error) {
	name := cmp.Or(flag, os.Getenv(environmentVariable))
	if name == "" {
		return jwks.Environment{}, errors.New("--env is missing (or PARA_ENVIRONMENT): prod, beta, sandbox or the URL of a key set")
	}
	return jwks.ParseEnvironment(name)
}

// leewayOf says no leeway as middleware.Config wants it said.
func leewayOf(fs *flag.FlagSet, d time.Duration) (time.Duration, error) {
	switch {
	case d < 0:
		return 0, errors.New("--leeway is negative: use 0 for none")
	case d == 0 && isSet(fs, "leeway"):
		return -1, nil
	}
	return d, nil
}

// usable reports whether a key set can be used, and whether it is a snapshot, which knows its age.
func usable(s jwks.Source) (snapshot bool, err error) {
	name, ids, err := s.Inspect()
	if err == nil && len(ids) == 0 {
		err = errors.New("it has no usable key")
	}
	return name != "", err
}
