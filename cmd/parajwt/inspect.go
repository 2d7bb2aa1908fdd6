package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

const inspectHelp = `usage: parajwt inspect [TOKEN] [--known FILE]… [--json]

Says in plain words what a token claims: who, which wallets, for which app, until when, and which key it
names. It works offline and VERIFIES NOTHING: anybody can write such a token. To verify one: parajwt verify.

The token is the argument, or standard input where there is none or it is "-". "Authorization:" and "Bearer"
before it do no harm. It is never printed, and neither is its signature.

  pbpaste | parajwt inspect
  parajwt inspect < token.txt
  parajwt inspect eyJhbGciOi…         (stays in the shell's history)

Which environment does it come from? A token does not say; its key ID does, once you have saved the key
sets of the environments you use:

  parajwt keys --env beta --save beta.json
  parajwt keys --env prod --save prod.json
  parajwt inspect --known beta.json --known prod.json < token.txt

Flags
  --known FILE   a key set saved by "parajwt keys --save", to tell whose key it is; may be given again
  --json         one JSON object instead of words

Exit status
  0  it can be read as a Para token
  1  every validator refuses it, whatever its signature: see the checks
  2  wrong usage

JSON
  verified          always false
  checks            [{check, verdict, why, do}]: form, header and payload; verdict is "ok", "refused" or "not reached"
  alg, kid, typ     of the header
  user              {userId, authType, oAuthMethod, identifier, email, phone, telegramUserId, farcasterUsername,
                    externalWalletAddress, externalWallet}; absent unless the payload can be read
  wallets           [{id, type, address, publicKey}], attested by Para
  connectedWallets  [{id, type, address, publicKey, provider}], not proven to be the user's
  audience          API key IDs: one of them is what you configure
  issuedAt, expiresAt, notBefore, lifetimeSeconds, expired
  environments      which of the --known key sets have the kid
  header, payload   decoded, as they stand
`

func inspect(_ context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := newFlags("inspect")
	var known list
	fs.Var(&known, "known", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, stdout, stderr)
	if done {
		return status
	}
	token, err := readToken(rest, stdin, stderr)
	if err != nil {
		return misused(stderr, "inspect", err.Error())
	}
	owners, err := keyOwners(known)
	if err != nil {
		complain(stderr, "inspect", err.Error())
		return exitUsage
	}

	now := time.Now()
	r := read(token, now)
	r.Environments = owners[r.KeyID]
	r.known = known
	if *asJSON {
		writeJSON(stdout, r)
	} else {
		r.print(stdout, now)
	}
	if slices.ContainsFunc(r.Checks, func(c check) bool { return c.Verdict == refused }) {
		return exitRefused
	}
	return exitOK
}

// source is a key set in a file.
func source(path string) jwks.Source {
	return jwks.FromFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
}

// keyOwners tells for each key ID which environments' saved key sets have it.
func keyOwners(files []string) (map[string][]string, error) {
	owners := make(map[string][]string)
	for _, file := range files {
		name, ids, err := source(file).Inspect()
		if err != nil {
			return nil, fmt.Errorf("--known %s: %w", printable(file), err)
		}
		if name == "" {
			name = "(" + file + ", which does not say of what environment it is)"
		}
		for _, id := range ids {
			if !slices.Contains(owners[id], name) {
				owners[id] = append(owners[id], name)
			}
		}
	}
	return owners, nil
}
