package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
)

const (
	maxHeader  = 128 << 10 // the limit of the printed nginx configuration: 4 × 32 KiB
	drainLimit = 10 * time.Second
)

// gateway is the server. Its handler is safe for concurrent use by multiple
// goroutines.
type gateway struct {
	listen      string
	environment string
	auth        http.Handler
	validator   *middleware.Validator
	revocations *revocation.List // nil if not configured
	redis       *redis.Client    // nil if not configured
	logger      *slog.Logger
}

// ServeHTTP serves /auth and every path below it, for any method, because Envoy
// appends the path of the request. It never redirects to a cleaned path, as
// http.ServeMux does.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/auth" || strings.HasPrefix(path, "/auth/"):
		answer := &recorder{ResponseWriter: w}
		g.auth.ServeHTTP(answer, r)
		if answer.status == http.StatusBadRequest { // the validator logs every other refusal
			g.logger.Warn("parajwt: request refused", "environment", g.environment,
				slog.Group("refusal", "code", string(middleware.ErrMalformed),
					"check", string(middleware.CheckForm), "cause",
					"the Connection field names an X-Para field"))
		}
	case path == "/healthz":
		g.health(w)
	default:
		http.NotFound(w, r)
	}
}

// health reports only whether tokens can be verified, because anyone may reach
// it.
func (g *gateway) health(w http.ResponseWriter) {
	usable := g.validator.Status().Usable
	if g.revocations != nil {
		usable = usable && g.revocations.Status().Usable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	if !usable {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintf(w, "{\"usable\":%t}\n", usable)
}

// recorder records the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// serve listens until ctx ends, and lets the requests in progress finish. It
// starts without Para's keys and without Redis. Until Para and Redis respond,
// tokens are refused with 503.
func (g *gateway) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	listener, err := listen(ctx, g.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:                      g,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is 404, too
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 15 * time.Second,
		IdleTimeout:                  2 * time.Minute, // longer than the proxies keep connections
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(g.logger.Handler(), slog.LevelWarn),
	}
	var work sync.WaitGroup
	defer work.Wait()
	// The cache logs a failed fetch, and repeats it until it succeeds.
	work.Go(func() { g.validator.Warm(ctx) })
	served := make(chan error, 1)
	work.Go(func() { served <- server.Serve(listener) })
	g.logger.Info("parajwt-gateway: listening", "address", listener.Addr().String(),
		"environment", g.environment, "revocations", g.revocations != nil)
	select {
	case err := <-served:
		stop()
		return err
	case <-ctx.Done():
	}
	g.logger.Info("parajwt-gateway: shutting down")
	limit, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	return server.Shutdown(limit)
}

// listen opens the listener. It replaces a socket file that a killed process
// left.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network, address := splitListen(address)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && isAbandoned(ctx, address) {
		if err := os.Remove(address); err != nil {
			return nil, err
		}
		listener, err = config.Listen(ctx, network, address)
	}
	if err != nil || network != "unix" {
		return listener, err
	}
	// Every local user who may enter the directory may connect, because the
	// proxy usually runs as another user. An answer reveals only whether a
	// token is good.
	if err := os.Chmod(address, 0o666); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// isAbandoned reports whether path is a socket on which no process listens.
func isAbandoned(ctx context.Context, path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
