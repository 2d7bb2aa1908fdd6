package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

const serveHelp = `usage: parajwt serve [flags]

Runs a local Para emulator until Ctrl-C: a key set, the session endpoints that
Para's SDK and package session call, and a page that issues good and bad tokens
for every kind of user. It issues tokens to every client, so it listens on
loopback only.

  parajwt serve

In another terminal, start your server with its settings:

  export PARA_ENVIRONMENT=http://127.0.0.1:8080
  export PARA_API_KEY_ID=a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f
  go run ./examples/nethttp

Then open http://127.0.0.1:8080/, or get a token without the page:

  curl -s --json '{"user": "Email", "kind": "expired"}' \
    http://127.0.0.1:8080/parajwt/token

  user  Email, Phone, Telegram, Farcaster or External Wallet
  kind  good, short, long, expired, not-yet-valid, other-app,
        other-environment, unknown-key or bad-signature
  alg   RS256 (default) or ES256

The response is {user, kind, alg, token, header, payload, answer: {status,
challenge, code}, verificationToken, exportedSession}. answer is how a server
with this library responds to the token. verificationToken and exportedSession
belong to a session of the user. Requests from pages of other sites are refused,
except those of --cors.

  curl -s --json '{"action": "rotate"}' http://127.0.0.1:8080/parajwt/para

  action  rotate (publish new keys and sign with them), withdraw (remove the
          older keys), down (close all connections) or recover

It returns the state {down, keys: [{kid, alg}]}, as a GET request does.

The API key and the secret API key are printed at the start, for package session
and for Para's SDK, whose DEV environment is localhost:8080:

  session.Config{Environment: env, SecretAPIKey: …, APIKey: …}
  new Para("DEV", apiKey)

Flags
  --addr ADDR      where to listen (default 127.0.0.1:8080; port 0 selects a
                   free one)
  --api-key-id ID  the app that tokens are for (default: the API key ID of
                   Para's documentation)
  --keys FILE      keep the signing keys and API keys in FILE, so that they are
                   the same after a restart; FILE is created if it is missing
  --allow-remote   listen on all addresses (default :8080), for containers.
                   Every client that connects can get a token for any user.
                   Validators accept http:// for loopback only: publish the
                   port to 127.0.0.1, or share the network of the container.
  --cors ORIGIN    let pages of this origin call the server, such as
                   http://localhost:5173; may be repeated
  --json           print one JSON object at the start

Exit status
  0  ended by Ctrl-C
  1  it could not listen or use the key file
  2  wrong usage

JSON
  url           the value for PARA_ENVIRONMENT
  apiKeyId      the value for PARA_API_KEY_ID
  apiKey        the publishable API key
  secretApiKey  the secret API key
  page, keySet  URLs
`

type serveReport struct {
	URL          string `json:"url"`
	APIKeyID     string `json:"apiKeyId"`
	APIKey       string `json:"apiKey"`
	SecretAPIKey string `json:"secretApiKey"`
	Page         string `json:"page"`
	KeySet       string `json:"keySet"`
}

func serve(ctx context.Context, args []string, std streams) int {
	fs := newFlags("serve")
	addr := fs.String("addr", "", "")
	apiKeyID := fs.String("api-key-id", paratest.APIKeyID, "")
	keyFile := fs.String("keys", "", "")
	remote := fs.Bool("allow-remote", false, "")
	var origins list
	fs.Var(&origins, "cors", "")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, std)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(std, "serve", "it takes no arguments; select the port with --addr")
	}
	ids, err := apiKeyIDs(std, "serve", "--api-key-id", []string{*apiKeyID})
	if err != nil {
		return misused(std, "serve", err.Error())
	}
	if *addr == "" {
		*addr = "127.0.0.1:8080"
		if *remote {
			*addr = ":8080"
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	// The page needs the Para that serves it.
	var page http.Handler
	ready := make(chan struct{})
	para, err := paratest.Start(paratest.Config{
		Addr: *addr, APIKeyID: ids[0], KeyFile: *keyFile,
		AllowRemote: *remote, AllowedOrigins: origins,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-ready
			page.ServeHTTP(w, r)
		}),
	})
	if err != nil {
		complain(std, "serve", err.Error())
		if listening := (*net.OpError)(nil); errors.As(err, &listening) {
			complain(std, "serve", "for a free port: parajwt serve --addr 127.0.0.1:0")
		}
		return exitRefused
	}
	defer para.Close()
	if !slices.ContainsFunc(
		para.KeyIDs(),
		func(id string) bool { return para.Algorithm(id) == "ES256" },
	) {
		// The SDK gets tokens of the last key, which remains an RSA key.
		para.RotateES256()
		para.Rotate()
	}
	// The page shows how a server with this validator responds to a token.
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Keys:        jwks.Config{Cooldown: time.Second}, // new keys are used at once
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return misused(std, "serve", err.Error())
	}
	defer validator.Close()
	page = newPage(para, validator, *remote, origins)
	close(ready)
	validator.Warm(ctx) // an error shows on the page

	r := serveReport{
		para.URL(), para.APIKeyID(), para.APIKey(), para.SecretAPIKey(),
		para.URL() + "/", para.Environment().URL,
	}
	if *asJSON {
		writeJSON(std.out, r)
	} else {
		std.out.print(r.text(*keyFile, *remote))
	}
	<-ctx.Done()
	if err := para.Close(); err != nil {
		complain(std, "serve", err.Error())
		return exitRefused
	}
	if !*asJSON {
		std.out.print("\nparajwt serve has stopped.\n")
	}
	return exitOK
}

func (r serveReport) text(keyFile string, remote bool) string {
	life := "Its keys are valid until Ctrl-C."
	if keyFile != "" {
		life = "Its keys are in " + printable(keyFile) + "."
	}
	if remote {
		life += " " + markDoubt + "Other machines can get tokens for any user." + markEnd
	}
	return fmt.Sprintf(`%sLocal Para emulator%s, for development only. %s

  page            %s
  key set         %s
  API key ID      %s
  API key         %s
  secret API key  %s

Start your server with

  PARA_ENVIRONMENT=%s PARA_API_KEY_ID=%s YOUR-SERVER

and send it a token from the page, or from

  curl -s --json '{"user": "Email", "kind": "good"}' %sparajwt/token
`, markTitle, markEnd, life, r.Page, r.KeySet, r.APIKeyID, r.APIKey, r.SecretAPIKey,
		r.URL, r.APIKeyID, r.Page)
}
