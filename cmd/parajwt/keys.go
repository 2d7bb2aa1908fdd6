package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"text/tabwriter"

	"github.com/parajwt/parajwt/jwks"
)

const keysHelp = `usage: parajwt keys --env prod|beta|sandbox|URL [--save FILE] [--json]

Fetches an environment's key set with the library's own cache, and shows each key as it is served, and
whether it is used or skipped, and why.

  parajwt keys --env beta
  parajwt keys --env http://127.0.0.1:8080      (parajwt serve)

--save writes the keys to a file, for a server that must start while Para is down, or without a network:

  parajwt keys --env beta --save beta.json

  jwks.Config{Initial: jwks.FromFile(os.DirFS("/etc/app"), "beta.json")}

and, of an environment that is not the server's, to tell the log whose an unknown key is:

  middleware.Config{OtherEnvironments: []jwks.Source{jwks.FromFile(os.DirFS("/etc/app"), "prod.json")}}

The file holds public keys only, but whoever can write it decides whose tokens are believed.

Flags
  --env ENV    prod, beta, sandbox or the URL of a key set; default: $PARA_ENVIRONMENT
  --save FILE  write the usable keys to FILE, in one step: a reader finds the old file or the new one
  --json       one JSON object instead of words

Exit status
  0  there are usable keys
  1  the keys could not be saved
  2  wrong usage
  3  the key set cannot be had, or has no usable key

JSON
  environment, url   what was asked
  status, contentType, cacheControl, bytes
                     what it answered; absent where it did not
  usable             whether any key can verify a token
  error              why not
  keys               [{index, kid, kty, bits, curve, alg, use, usedAs, skipped}]: alg and use as they are served;
                     usedAs is the one algorithm the key verifies with, skipped is why it does not
  servesAlg, servesUse
                     on how many of the keys: "all", "some" or "none"
  saved              the file written
`

// keysReport is what keys finds.
type keysReport struct {
	Environment string `json:"environment"`
	URL         string `json:"url"`

	Status       int    `json:"status,omitempty"`
	ContentType  string `json:"contentType,omitempty"`
	CacheControl string `json:"cacheControl,omitempty"`
	Bytes        int    `json:"bytes,omitempty"`

	Usable    bool        `json:"usable"`
	Error     string      `json:"error,omitempty"`
	Keys      []servedKey `json:"keys"`
	ServesAlg string      `json:"servesAlg,omitempty"`
	ServesUse string      `json:"servesUse,omitempty"`
	Saved     string      `json:"saved,omitempty"`
}

func keys(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := newFlags("keys")
	name := fs.String("env", "", "")
	save := fs.String("save", "", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, stdout, stderr)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(stderr, "keys", "it takes no arguments; name the environment with --env")
	}
	env, err := environment(*name)
	if err != nil {
		return misused(stderr, "keys", err.Error())
	}

	tape := newTape()
	cache, err := jwks.New(env, jwks.Config{
		HTTPClient: &http.Client{Transport: tape},
		Logger:     slog.New(slog.DiscardHandler), // what it would say is in the report
	})
	if err != nil {
		return misused(stderr, "keys", err.Error())
	}
	failure := cache.Warm(ctx)
	cache.Close() // no further fetch; the keys at hand stay
	r := keysReport{Environment: env.Name, URL: env.URL, Usable: failure == nil}
	tape.tell(&r)
	r.Keys = servedKeys(ctx, tape.body.Bytes(), cache)
	r.ServesAlg = howMany(r.Keys, func(k servedKey) string { return k.Algorithm })
	r.ServesUse = howMany(r.Keys, func(k servedKey) string { return k.Use })

	status = exitOK
	switch {
	case failure != nil:
		r.Error, status = cache.Status().LastError, exitNoKeys
	case *save != "":
		if err := saveKeys(*save, cache); err != nil {
			complain(stderr, "keys", "--save: "+err.Error())
			status = exitRefused
		} else {
			r.Saved = *save
		}
	}
	if *asJSON {
		writeJSON(stdout, r)
	} else {
		r.print(stdout)
	}
	return status
}

func (r keysReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", printable(r.Environment), printable(r.URL))
	if r.Status != 0 {
		fmt.Fprintf(w, "answered %d, %s, Cache-Control: %s, %d bytes\n", r.Status, orNone(r.ContentType), orNone(r.CacheControl), r.Bytes)
	}
	if len(r.Keys) > 0 {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  kid\tkty\tsize\talg served\tuse served\tverifies with")
		for _, k := range r.Keys {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", orNone(k.KeyID), orNone(k.Type), k.size(), orNone(k.Algorithm), orNone(k.Use), k.usedAs())
		}
		t.Flush()
		fmt.Fprintf(w, "\nalg is served on %s of the keys, use on %s.", r.ServesAlg, r.ServesUse)
		if r.ServesAlg != "all" {
			fmt.Fprint(w, " A key without alg gets the first allowed algorithm that fits it.")
		}
		fmt.Fprintln(w)
	}
	if !r.Usable {
		fmt.Fprintf(w, "\nNO KEYS: %s\nNo token can be verified until that changes.\n", printable(r.Error))
	}
	if r.Saved != "" {
		fmt.Fprintf(w, "Saved to %s.\n", printable(r.Saved))
	}
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

func howMany(keys []servedKey, member func(servedKey) string) string {
	var with int
	for _, k := range keys {
		if member(k) != "" {
			with++
		}
	}
	switch {
	case len(keys) == 0:
		return ""
	case with == len(keys):
		return "all"
	case with == 0:
		return "none"
	}
	return "some"
}
