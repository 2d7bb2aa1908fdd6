package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/adapters/parahttp"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

// server is one server of the fleet.
type server struct {
	rdb       *redis.Client
	list      *revocation.List
	validator *middleware.Validator
	stop      context.CancelFunc
	work      sync.WaitGroup
}

// newServer connects a server to the fleet. It starts although Redis or Para
// cannot be reached: readyz then answers 503 until they can.
func newServer(ctx context.Context, cfg middleware.Config, rdb *redis.Client, prefix string,
	secret []byte) (*server, error) {
	list, err := revocation.New(revocation.Config{
		Store: redisstore.New(func(ctx context.Context, args ...any) (any, error) {
			return rdb.Do(ctx, args...).Result()
		}, prefix+":revocations"),
		MaxTokenLife: cfg.MaxTokenLife,
		Logger:       cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	cfg.Revoked = list.Revoked
	keys := savedKeys{rdb: rdb, key: prefix + ":keys", secret: secret, logger: cfg.Logger}
	validator, err := keys.newValidator(ctx, cfg)
	if err != nil {
		list.Close()
		return nil, err
	}
	for _, warm := range []func(context.Context) error{validator.Warm, list.Warm} {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := warm(ctx); err != nil {
			cfg.Logger.Warn("the server is not ready yet", "error", err)
		}
		cancel()
	}
	s := &server{rdb: rdb, list: list, validator: validator}
	saving, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.work.Go(func() { keys.keepSaved(saving, validator.Keys(), time.Hour) })
	return s, nil
}

func (s *server) close() {
	s.stop()
	s.work.Wait()
	s.validator.Close()
	s.list.Close() // writes what is pending, so Redis is closed last
	s.rdb.Close()
}

func (s *server) handler() http.Handler {
	require := parahttp.Require(s.validator)
	mux := http.NewServeMux()
	mux.Handle("GET /me", require(http.HandlerFunc(me)))
	mux.Handle("POST /logout", require(http.HandlerFunc(s.logOutEverywhere)))
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

func me(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	fmt.Fprintln(w, user.UserID)
}

// logOutEverywhere is for the button "log out everywhere".
func (s *server) logOutEverywhere(w http.ResponseWriter, r *http.Request) {
	user, _ := claims.FromContext(r.Context())
	err := s.list.RevokeUser(r.Context(), user.UserID)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, revocation.ErrNotYetShared): // in force here; the list retries
		w.WriteHeader(http.StatusAccepted)
	default: // nothing was revoked
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}

// ready answers a load balancer: 200 if this server can accept tokens.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	keys, list := s.validator.Status(), s.list.Status()
	w.Header().Set("Content-Type", "application/json")
	if !keys.Usable || !list.Usable {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(map[string]any{"keys": keys, "revocations": list})
}
