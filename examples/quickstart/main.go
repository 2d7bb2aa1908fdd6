// Quickstart runs without configuration. An emulator of Para on loopback issues
// signed tokens. Three servers (net/http, Echo, Gin) verify them.
//
//	go run ./examples/quickstart         prints a table and serves until Ctrl-C
//	go run ./examples/quickstart -once   exits after the table
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/parajwt/parajwt/adapters/paraecho"
	"github.com/parajwt/parajwt/adapters/paragin"
	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func main() {
	once := flag.Bool("once", false, "exit after the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *once); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, once bool) error {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		return err
	}
	defer para.Close()

	// In your program, use jwks.Beta or jwks.Prod, and your API key ID.
	validator, err := middleware.New(middleware.Config{
		Environment: para.Environment(),
		APIKeyIDs:   []string{para.APIKeyID()},
		Logger:      slog.New(slog.DiscardHandler), // the refusals below are expected
	})
	if err != nil {
		return err
	}
	defer validator.Close()

	servers := []*server{
		{name: "net/http", handler: withNetHTTP(validator)},
		{name: "Echo", handler: withEcho(validator)},
		{name: "Gin", handler: withGin(validator)},
	}
	for _, s := range servers {
		if err := s.start(); err != nil {
			return err
		}
		defer s.stop()
	}

	if err := show(ctx, out, para, servers); err != nil || once {
		return err
	}
	fmt.Fprintf(out, "\nTry it. The token is valid for 30 minutes:\n\n"+
		"  curl -i -H 'Authorization: Bearer %s' %s/me\n\nServing until Ctrl-C.\n",
		para.Token(paratest.EmailUser()), servers[0].url)
	<-ctx.Done()
	return nil
}

// me is one handler for all three routers. The user is in the request's
// context.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	fmt.Fprintf(w, "%s, %s %s, %d wallets\n",
		user.UserID[:8], user.AuthType, user.OAuthMethod, len(user.Wallets))
}

func withNetHTTP(v *middleware.Validator) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /me", parahttp.Require(v)(http.HandlerFunc(me)))
	return mux
}

func withEcho(v *middleware.Validator) http.Handler {
	e := echo.New()
	e.Use(paraecho.Require(v))
	e.GET("/me", echo.WrapHandler(http.HandlerFunc(me)))
	return e
}

func withGin(v *middleware.Validator) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(paragin.Require(v))
	r.GET("/me", gin.WrapF(me))
	return r
}

// show sends a valid token and bad tokens to each server and prints a table of
// the responses.
func show(ctx context.Context, out io.Writer, para *paratest.Para, servers []*server) error {
	user := paratest.EmailUser()
	requests := []struct{ what, token string }{
		{"a valid token", para.Token(user)},
		{"no token", ""},
		{"an expired token", para.Token(user, paratest.Expired())},
		{"another app's token",
			para.Token(user, paratest.ForApp("00000000-0000-4000-8000-000000000000"))},
		{"another environment's token", para.Token(user, paratest.OtherEnvironment())},
		{"a forged signature", para.Token(user, paratest.BadSignature())},
	}
	fmt.Fprintf(out, "The emulator of Para at %s issues tokens. Three routers verify them.\n\n",
		para.URL())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "REQUEST WITH")
	for _, s := range servers {
		fmt.Fprint(table, "\t", s.name)
	}
	fmt.Fprintln(table, "\tRESPONSE")
	for _, req := range requests {
		fmt.Fprint(table, req.what)
		var answers []string
		for _, s := range servers {
			status, answer, err := s.ask(ctx, req.token)
			if err != nil {
				return err
			}
			fmt.Fprint(table, "\t", status)
			answers = append(answers, answer)
		}
		// All routers should respond alike. Print each response that differs
		// from the one before it.
		fmt.Fprintln(table, "\t"+strings.Join(slices.Compact(answers), "  |  "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out,
		"\n%d requests. The keys were fetched %d times: for the first token, and for the "+
			"unknown key\nID of another environment.\n",
		len(requests)*len(servers), para.Fetches())
	return nil
}

type server struct {
	name    string
	handler http.Handler
	url     string
	http    *http.Server
}

func (s *server) start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second}
	go s.http.Serve(listener)
	return nil
}

func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.http.Shutdown(ctx)
}

// ask returns the status and the relevant part of the response: the body if the
// token is accepted, or else the challenge.
func (s *server) ask(ctx context.Context, token string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/me", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return 0, "", err
	}
	if res.StatusCode == http.StatusOK {
		return res.StatusCode, strings.TrimSpace(string(body)), nil
	}
	challenge := res.Header.Get("WWW-Authenticate")
	if challenge == "" {
		return 0, "", errors.New("a refusal without a challenge")
	}
	return res.StatusCode, challenge, nil
}
