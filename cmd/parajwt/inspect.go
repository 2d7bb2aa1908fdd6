package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
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

func (r *reading) print(w io.Writer, now time.Time) {
	s := sheet{w, 21}
	fmt.Fprintln(w, "NOT VERIFIED. Anybody can write a token that says this; parajwt verify tells whether Para did.")

	s.heading("Checks that need no key")
	s.checks(r.Checks)

	if r.Algorithm != "" || r.KeyID != "" || r.Type != "" {
		s.heading("Header")
		s.fact("alg", r.Algorithm)
		s.fact("kid", r.KeyID)
		s.fact("typ", r.Type)
	}
	if r.KeyID != "" {
		r.printEnvironment(s)
	}
	if r.User != nil {
		r.printUser(s)
	}
	if len(r.Audience) > 0 {
		s.heading("App")
		for _, aud := range r.Audience {
			s.fact("aud", aud)
		}
		s.line("", "configure this as APIKeyIDs / PARA_API_KEY_ID, if the app is yours")
	}
	r.printTime(s, now)
	r.printRest(s)
}

func (r *reading) printEnvironment(s sheet) {
	switch {
	case len(r.Environments) > 0:
		s.line("environment", "the kid is a key of "+printable(strings.Join(r.Environments, " and of ")))
	case len(r.known) > 0:
		s.line("environment", "none of the --known key sets has this kid")
	default:
		s.prose("environment", "a token does not say; its kid does, with a saved key set:\n"+
			"parajwt keys --env beta --save beta.json\nparajwt inspect --known beta.json")
	}
}

func (r *reading) printUser(s sheet) {
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

	s.heading("Wallets, which Para attests to be the user's")
	for _, w := range r.Wallets {
		s.line(printable(string(w.Type)), printable(w.Address))
		s.line("", "id "+printable(w.ID))
	}
	if len(r.Wallets) == 0 {
		s.line("none", "")
	}
	if len(r.ConnectedWallets) > 0 {
		s.heading("Connected wallets, NOT proven to be the user's")
		for _, w := range r.ConnectedWallets {
			s.line(printable(string(w.Type)), printable(w.Address)+" "+printable(w.Provider))
		}
	}
}

func (r *reading) printTime(s sheet, now time.Time) {
	if r.IssuedAt.IsZero() && r.ExpiresAt.IsZero() {
		return
	}
	s.heading("Time, by this machine's clock")
	if !r.IssuedAt.IsZero() {
		s.line("issued", moment(r.IssuedAt)+", "+since(r.IssuedAt, now))
		if r.IssuedAt.After(now) {
			s.line("", "that is in the future: is a clock wrong?")
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

// printRest shows what has no line of its own: unknown members by name, and what is refused as it stands.
func (r *reading) printRest(s sheet) {
	if len(r.others) > 0 {
		s.heading("Also there")
		for _, o := range r.others {
			s.line(o.where, o.names)
		}
	}
	for _, c := range r.Checks {
		if c.Verdict != refused {
			continue
		}
		switch c.Name {
		case "header":
			s.raw("Header as it stands", r.headerText)
		case "payload":
			s.raw("Payload as it stands", r.payloadText)
		}
	}
}

// user is the part of the claims that says who it is, with the names that claims.Claims has in JSON.
type user struct {
	UserID                string                 `json:"userId"`
	AuthType              claims.AuthType        `json:"authType"`
	OAuthMethod           claims.OAuthMethod     `json:"oAuthMethod,omitempty"`
	Identifier            string                 `json:"identifier"`
	Email                 string                 `json:"email,omitempty"`
	Phone                 string                 `json:"phone,omitempty"`
	TelegramUserID        string                 `json:"telegramUserId,omitempty"`
	FarcasterUsername     string                 `json:"farcasterUsername,omitempty"`
	ExternalWalletAddress string                 `json:"externalWalletAddress,omitempty"`
	ExternalWallet        *claims.ExternalWallet `json:"externalWallet,omitempty"`
}

func userOf(c *claims.Claims) *user {
	u := &user{
		UserID: c.UserID, AuthType: c.AuthType, OAuthMethod: c.OAuthMethod, Identifier: c.Identifier, Email: c.Email,
		Phone: c.Phone, TelegramUserID: c.TelegramUserID, FarcasterUsername: c.FarcasterUsername,
		ExternalWalletAddress: c.ExternalWalletAddress,
	}
	if c.ExternalWallet != (claims.ExternalWallet{}) {
		u.ExternalWallet = &c.ExternalWallet
	}
	return u
}
