package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// savedKeys keeps Para's keys in Redis, so that a server can start while Para
// is down. Each snapshot is sealed with a secret of at least 32 random bytes:
// whoever can write to Redis, but does not have the secret, cannot add a key.
type savedKeys struct {
	rdb    *redis.Client
	key    string
	secret []byte
	logger *slog.Logger
}

// newValidator returns a validator that starts with the keys that any server
// saved last, and saves each new key set.
func (k savedKeys) newValidator(ctx context.Context, cfg middleware.Config) (
	*middleware.Validator, error) {
	if len(k.secret) < 32 {
		return nil, errors.New("the secret of the saved keys needs at least 32 random bytes")
	}
	cfg.Keys.OnChange = k.save
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	sealed, err := k.rdb.Get(ctx, k.key).Bytes()
	if err == nil {
		cfg.Keys.Initial = jwks.Sealed(sealed, k.secret)
		validator, err := middleware.New(cfg)
		if err == nil {
			return validator, nil
		}
		// A snapshot that somebody changed must not keep the server from
		// starting.
		k.logger.Warn("the saved keys are not used", "error", err)
		cfg.Keys.Initial = jwks.Source{}
	} else if !errors.Is(err, redis.Nil) { // nobody saved keys yet
		k.logger.Warn("the saved keys could not be read", "error", err)
	}
	return middleware.New(cfg)
}

// keepSaved saves the keys at intervals until ctx ends, because their age
// counts: keys that were fetched more than StaleLimit ago are not used.
func (k savedKeys) keepSaved(ctx context.Context, keys *jwks.Cache, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		snapshot, err := keys.Snapshot()
		if err != nil {
			continue // there are no keys yet
		}
		k.save(snapshot)
	}
}

func (k savedKeys) save(snapshot []byte) {
	sealed, err := jwks.Seal(snapshot, k.secret)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = k.rdb.Set(ctx, k.key, sealed, 0).Err()
	}
	if err != nil {
		k.logger.Warn("the keys were not saved", "error", err)
	}
}
