package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
)

// verifyReport is what verify finds.
type verifyReport struct {
	Accepted bool    `json:"accepted"`
	Code     string  `json:"code,omitempty"`
	Checks   []check `json:"checks"`

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

func report(v *middleware.Validator, token string, c *claims.Claims, err error) *verifyReport {
	status := v.Status()
	r := &verifyReport{Environment: status.Environment, URL: status.URL, KeysFetchedAt: status.FetchedAt}
	if err == nil {
		r.Accepted, r.KeyID = true, c.KeyID
		r.User, r.Wallets, r.ConnectedWallets = userOf(c), c.Wallets, c.ConnectedWallets
		r.Audience, r.IssuedAt, r.ExpiresAt = c.Audience, c.IssuedAt, c.ExpiresAt
		r.Checks = verdicts(none, check{})
		return r
	}
	var refusal *middleware.Error
	if !errors.As(err, &refusal) {
		refusal = &middleware.Error{Code: middleware.ErrMisconfigured, Cause: err}
	}
	r.Code, r.KeyID = string(refusal.Code), refusal.KeyID
	r.Checks = verdicts(refusedBy(refusal, token, v), explain(refusal, token, v.Keys().Environment()))
	return r
}

func (r *verifyReport) print(w io.Writer, now time.Time) {
	s := sheet{w, 9}
	fmt.Fprintf(w, "Verifying as a server for %s (%s)\n", printable(r.Environment), printable(r.URL))
	fmt.Fprintf(w, "and the API key %s %s.\n", map[bool]string{true: "ID", false: "IDs"}[len(r.APIKeyIDs) == 1], printable(strings.Join(r.APIKeyIDs, ", ")))
	if r.keysFile != "" {
		age := "of unknown age"
		if !r.KeysFetchedAt.IsZero() {
			age = "fetched " + since(r.KeysFetchedAt, now)
		}
		fmt.Fprintf(w, "Keys: %s, %s. A key that Para withdrew since still counts here.\n", printable(r.keysFile), age)
	}
	fmt.Fprintln(w)
	s.checks(r.Checks)
	fmt.Fprintln(w)
	if !r.Accepted {
		verdict := "REFUSED: "
		if r.Code == string(middleware.ErrKeysUnavailable) {
			verdict = "CANNOT TELL: "
		}
		fmt.Fprint(w, verdict+r.Code)
		if r.KeyID != "" {
			fmt.Fprintf(w, " (kid %s)", printable(r.KeyID))
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "ACCEPTED: user %s, %s, until %s, which is %s.\n", printable(r.User.UserID), printable(string(r.User.AuthType)),
		moment(r.ExpiresAt), since(r.ExpiresAt, now))
}
