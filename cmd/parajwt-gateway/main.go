// Parajwt-gateway verifies Para users for a reverse proxy, so that an
// application in any language gets them in header fields. Package forwardauth
// describes the fields. docs/gateway.md describes when to use the gateway, and
// how to configure the proxy.
//
//	go install github.com/parajwt/parajwt/cmd/parajwt-gateway@latest
//	parajwt-gateway --env beta --api-key-id UUID
//	parajwt-gateway --print-config nginx
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/adapters/forwardauth"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // it could not listen, or could not finish in time after a signal
	exitUsage  = 2
)

func main() {
	redis.SetLogger(silent{}) // the revocation list logs outages, as JSON
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// run is the program. It serves until ctx ends.
func run(
	ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer,
) (status int) {
	s, err := parse(args, getenv)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, help)
		return exitOK
	case err == nil && s.printConfig != "":
		err = printConfig(stdout, s.printConfig)
		if err == nil {
			return exitOK
		}
	}
	var g *gateway
	if err == nil {
		// Debug level has the line of every refusal.
		g, err = newGateway(s, slog.New(slog.NewJSONHandler(stderr,
			&slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	if err != nil {
		for _, line := range lines(err) {
			fmt.Fprintln(stderr, "parajwt-gateway:", line)
		}
		fmt.Fprintln(stderr, "parajwt-gateway: see parajwt-gateway --help")
		return exitUsage
	}
	err = g.serve(ctx)
	if err := errors.Join(err, g.close()); err != nil {
		fmt.Fprintln(stderr, "parajwt-gateway:", err)
		return exitFailed
	}
	return exitOK
}

// newGateway opens no connection. Its errors are mistakes in the settings.
func newGateway(s settings, logger *slog.Logger) (*gateway, error) {
	g := &gateway{listen: s.listen, logger: logger}
	cfg := middleware.Config{
		Environment: s.environment, APIKeyIDs: s.apiKeyIDs, Logger: logger,
	}
	if s.redis != nil {
		g.redis = redis.NewClient(s.redis)
		do := func(ctx context.Context, args ...any) (any, error) {
			return g.redis.Do(ctx, args...).Result()
		}
		var err error
		g.revocations, err = revocation.New(revocation.Config{
			Store: redisstore.New(do, s.redisKey), Logger: logger,
		})
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		cfg.Revoked = g.revocations.Revoked
	}
	var err error
	if g.validator, err = middleware.New(cfg); err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.environment = s.environment.Name
	g.auth = forwardauth.Require(g.validator)
	if s.optional {
		g.auth = forwardauth.Optional(g.validator)
	}
	return g, nil
}

// close stops what the gateway runs in the background.
func (g *gateway) close() error {
	var errs []error
	if g.validator != nil {
		errs = append(errs, g.validator.Close())
	}
	if g.revocations != nil {
		errs = append(errs, g.revocations.Close())
	}
	if g.redis != nil {
		errs = append(errs, g.redis.Close())
	}
	return errors.Join(errs...)
}
