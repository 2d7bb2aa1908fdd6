package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/jwks"
)

const inspectHelp = `usage: parajwt inspect [TEXT] [--known FILE]… [--json]

Shows what a token claims: the user, the wallets, the app, the lifetime, and
the key that it names. It works offline and VERIFIES NOTHING: anyone can write
such a token. To verify a token, use parajwt verify.

TEXT contains the token: alone, in a header, a curl command, a cookie or JSON,
or wrapped over lines. Without TEXT, or with "-", standard input is read. The
token and its signature are never printed.

  pbpaste | parajwt inspect
  parajwt inspect < request.txt
  parajwt inspect eyJhbGciOi…      (stays in the shell's history)

A token does not name its environment. Its key ID does, if the key sets of the
environments were saved:

  parajwt keys --env beta --save beta.json
  parajwt keys --env prod --save prod.json
  parajwt inspect --known beta.json --known prod.json < token.txt

Flags
  --known FILE  a key set of "parajwt keys --save", to find the environment;
                may be repeated
  --json        print one JSON object

Exit status
  0  it has the form of a Para token
  1  a check refuses it, so a validator with default settings does, too
  2  wrong usage

JSON
  verified          always false
  takenFrom, note   where the token was in TEXT, and what is wrong there
  checks            [{check, verdict, why, do}]: form, header and claims;
                    verdict is "ok", "refused" or "not reached"
  alg, kid, typ     of the header
  user              {userId, authType, oAuthMethod, identifier, email, phone,
                    telegramUserId, farcasterUsername, externalWalletAddress,
                    externalWallet}; absent if the claims are refused
  wallets           [{id, type, address, publicKey}], attested by Para
  connectedWallets  [{id, type, address, publicKey, provider}], ownership
                    unproven
  audience          the API key IDs of aud; configure the one of your app
  issuedAt, expiresAt, notBefore, lifetimeSeconds, expired
  environments      environments whose --known key set has the kid
  otherHeader, otherClaims, otherData
                    members that have no meaning to the library
  header, payload   decoded and unchanged
`

func inspect(_ context.Context, args []string, std streams) int {
	fs := newFlags("inspect")
	var known list
	fs.Var(&known, "known", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, std)
	if done {
		return status
	}
	in, err := readToken(rest, std)
	if err != nil {
		return misused(std, "inspect", err.Error())
	}
	owners, err := keyOwners(known)
	if err != nil {
		complain(std, "inspect", err.Error())
		return exitUsage
	}

	now := time.Now()
	r := read(in, now)
	r.Environments = owners[r.KeyID]
	r.known = known
	if *asJSON {
		writeJSON(std.out, r)
	} else {
		std.out.print(r.text(now))
	}
	if slices.ContainsFunc(r.Checks, func(c check) bool { return c.Verdict == refused }) {
		return exitRefused
	}
	return exitOK
}

// source returns the snapshot in a file.
func source(path string) jwks.Source {
	return jwks.FromFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
}

// sourceOf returns the snapshot in a file, or the plain key set, which then
// belongs to env. It reports whether the file is a snapshot, which has a date.
func sourceOf(env jwks.Environment, path string) (s jwks.Source, snapshot bool) {
	s = source(path)
	if _, _, err := s.Inspect(); err != nil {
		if data, err := os.ReadFile(path); err == nil {
			plain := jwks.FromKeySet(env, data)
			if _, _, err := plain.Inspect(); err == nil {
				return plain, false
			}
		}
	}
	return s, true
}

// keyOwners returns, for each key ID, the environments whose saved key set has
// the key.
func keyOwners(files []string) (map[string][]string, error) {
	owners := make(map[string][]string)
	for _, file := range files {
		name, ids, err := source(file).Inspect()
		if err != nil {
			return nil, fmt.Errorf("--known %s: %w", printable(file), err)
		}
		for _, id := range ids {
			if !slices.Contains(owners[id], name) {
				owners[id] = append(owners[id], name)
			}
		}
	}
	return owners, nil
}

// text returns the report for people.
func (r *reading) text(now time.Time) string {
	s := &sheet{names: 21}
	s.WriteString(markDoubt + "NOT VERIFIED" + markEnd +
		". Anyone can write a token with this content. To verify it: parajwt verify\n")
	r.input.print(s)

	s.heading("Checks that need no key")
	s.checks(r.Checks)

	if r.Algorithm != "" || r.KeyID != "" || r.Type != "" {
		s.heading("Header")
		s.fact("alg", r.Algorithm)
		s.fact("kid", r.KeyID)
		s.fact("typ", r.Type)
	}
	if r.KeyID != "" {
		r.addEnvironment(s)
	}
	if r.User != nil {
		r.addUser(s)
	}
	if len(r.Audience) > 0 {
		s.heading("App")
		for _, aud := range r.Audience {
			s.fact("aud", aud)
		}
		s.line("", "if this is your app, configure it as APIKeyIDs or PARA_API_KEY_ID")
	}
	r.addTime(s, now)
	r.addRest(s)
	return s.String()
}

func (r *reading) addEnvironment(s *sheet) {
	switch {
	case len(r.Environments) > 0:
		s.line(
			"environment", "the key is one of "+printable(strings.Join(r.Environments, " and of ")),
		)
	case len(r.known) > 0:
		s.line("environment", "none of the --known key sets has this key")
	default:
		s.prose("environment", "unknown; a saved key set that has the kid names it:\n"+
			"parajwt keys --env beta --save beta.json\nparajwt inspect --known beta.json")
	}
}

func (r *reading) addUser(s *sheet) {
	u := r.User
	s.heading("User")
	s.fact("userId", u.UserID)
	s.fact("authType", string(u.AuthType))
	s.fact("oAuthMethod", string(u.OAuthMethod))
	s.fact("identifier", u.Identifier)
	s.fact("email", u.Email)
	s.fact("phone", u.Phone)
	s.fact("telegramUserId", u.TelegramUserID)
	s.fact("farcasterUsername", u.FarcasterUsername)
	s.fact("externalWalletAddress", u.ExternalWalletAddress)
	if w := u.ExternalWallet; w != nil {
		s.fact("externalWallet", w.Address+", "+string(w.Type)+", "+w.Provider)
	}

	s.heading("Wallets, attested by Para")
	for _, w := range r.Wallets {
		s.line(printable(string(w.Type)), printable(w.Address))
		s.line("", "id "+printable(w.ID))
	}
	if len(r.Wallets) == 0 {
		s.line("none", "")
	}
	if len(r.ConnectedWallets) > 0 {
		s.heading("Connected wallets, ownership NOT proven")
		for _, w := range r.ConnectedWallets {
			s.line(printable(string(w.Type)), printable(w.Address)+" "+printable(w.Provider))
		}
	}
}

func (r *reading) addTime(s *sheet, now time.Time) {
	if r.IssuedAt.IsZero() && r.ExpiresAt.IsZero() {
		return
	}
	s.heading("Time, by this machine's clock")
	if !r.IssuedAt.IsZero() {
		s.line("issued", moment(r.IssuedAt)+", "+since(r.IssuedAt, now))
		if r.IssuedAt.After(now) {
			s.line("", "this is in the future: is a clock wrong?")
		}
	}
	if !r.NotBefore.IsZero() {
		s.line("not before", moment(r.NotBefore)+", "+since(r.NotBefore, now))
	}
	if !r.ExpiresAt.IsZero() {
		how := "expires "
		if !now.Before(r.ExpiresAt) {
			how = "expired "
		}
		s.line("expires", moment(r.ExpiresAt)+", "+how+since(r.ExpiresAt, now))
	}
	if !r.IssuedAt.IsZero() && !r.ExpiresAt.IsZero() {
		s.line("session length", r.ExpiresAt.Sub(r.IssuedAt).String())
	}
}

// addRest adds the members that have no meaning to the library, and the parts
// that a check refuses.
func (r *reading) addRest(s *sheet) {
	for _, part := range []struct {
		heading string
		members members
	}{
		{"Other header parameters", r.OtherHeader},
		{"Other claims", r.OtherClaims},
		{"Other members of data", r.OtherData},
	} {
		if len(part.members) == 0 {
			continue
		}
		s.heading(part.heading + ", without a meaning to the library")
		for _, name := range part.members.names() {
			s.line(printable(name), printable(served(part.members[name])))
		}
	}
	for _, c := range r.Checks {
		if c.Verdict != refused {
			continue
		}
		switch c.Name {
		case "header":
			s.raw("Header, decoded", r.headerText)
		case "claims":
			s.raw("Payload, decoded", r.payloadText)
		}
	}
}
