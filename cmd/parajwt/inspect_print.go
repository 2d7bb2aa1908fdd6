package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

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
