package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

const serveHelp = `usage: parajwt serve [--addr 127.0.0.1:8080] [--api-key-id ID] [--json]

Plays Para on this machine until Ctrl-C: a key set, Para's session endpoints, and a page on which one picks a
kind of user and a way in which a token may be wrong, and gets the token and a curl line. Its keys are made
anew at each start. It hands out tokens to whoever asks, so it listens on loopback only.

  parajwt serve
  PARA_ENVIRONMENT=http://127.0.0.1:8080 PARA_API_KEY_ID=a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f go run ./examples/nethttp

Then open http://127.0.0.1:8080/, or ask for a token without the page:

  curl -s --json '{"user": "Email", "kind": "expired"}' http://127.0.0.1:8080/parajwt/token

  user  Email, Phone, Telegram, Farcaster or External Wallet
  kind  good, expired, other-app, other-environment, unknown-key, bad-signature or not-yet-valid

It answers {user, kind, token, header, payload, answer: {status, challenge, code}}; answer is what a server
with this library says to the token. Requests from other sites' pages are refused.

Flags
  --addr ADDR      where to listen (default 127.0.0.1:8080; port 0 for any that is free)
  --api-key-id ID  the app that tokens are for (default: the API key ID of Para's documentation)
  --json           say where it listens as one JSON object

Exit status
  0  ended by Ctrl-C
  1  it cannot listen there
  2  wrong usage

JSON
  url        what PARA_ENVIRONMENT is to be
  apiKeyId   what PARA_API_KEY_ID is to be
  page, keySet
`

type serveReport struct {
	URL      string `json:"url"`
	APIKeyID string `json:"apiKeyId"`
	Page     string `json:"page"`
	KeySet   string `json:"keySet"`
}

func serve(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := newFlags("serve")
	addr := fs.String("addr", "127.0.0.1:8080", "")
	apiKeyID := fs.String("api-key-id", "", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, stdout, stderr)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(stderr, "serve", "it takes no arguments; name the port with --addr")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	// The page hands out tokens of a Para that has to be there first, and Para answers from its start on.
	var page http.Handler
	ready := make(chan struct{})
	para, err := paratest.Start(paratest.Config{
		Addr:     *addr,
		APIKeyID: *apiKeyID,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-ready
			page.ServeHTTP(w, r)
		}),
	})
	if err != nil {
		complain(stderr, "serve", err.Error(), "another port: parajwt serve --addr 127.0.0.1:0")
		return exitRefused
	}
	defer para.Close()
	// What a server would answer is not written down here: a real validator says it.
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return misused(stderr, "serve", err.Error())
	}
	defer validator.Close()
	page = newPage(para, validator)
	close(ready)

	r := serveReport{para.URL(), para.APIKeyID(), para.URL() + "/", para.Environment().URL}
	if *asJSON {
		writeJSON(stdout, r)
	} else {
		r.print(stdout)
	}
	<-ctx.Done()
	if !*asJSON {
		fmt.Fprintln(stdout, "\nParajwt has stopped; its tokens are worth nothing now.")
	}
	return exitOK
}

func (r serveReport) print(w io.Writer) {
	fmt.Fprintf(w, `Playing Para on this machine, with keys that live until Ctrl-C. For development only.

  page     %s
  key set  %s

Start your server with

  PARA_ENVIRONMENT=%s PARA_API_KEY_ID=%s

and send it tokens from the page, or from

  curl -s --json '{"user": "Email", "kind": "good"}' %sparajwt/token
`, r.Page, r.KeySet, r.URL, r.APIKeyID, r.Page)
}
