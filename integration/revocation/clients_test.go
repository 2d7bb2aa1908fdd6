// Package revocation_test runs the stores of package revocation on Redis and
// PostgreSQL. Without a build tag it uses a small Redis in the test's process.
// With the tag servers it starts real servers, and causes faults in them.
package revocation_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
	"github.com/parajwt/parajwt/revocation/storetest"
)

// goRedis returns a client with the settings of most programs: the default
// timeouts, of which the read timeout is 3 seconds. The client does not apply
// the deadline of a context.
func goRedis(protocol int) func(t testing.TB, addr string) redisstore.Do {
	return func(t testing.TB, addr string) redisstore.Do {
		rdb := goredis.NewClient(&goredis.Options{Addr: addr, Protocol: protocol})
		t.Cleanup(func() { rdb.Close() })
		return func(ctx context.Context, args ...any) (any, error) {
			return rdb.Do(ctx, args...).Result()
		}
	}
}

func rueidisClient(t testing.TB, addr string) redisstore.Do {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return func(ctx context.Context, args ...any) (any, error) {
		command := make([]string, len(args))
		for i, arg := range args {
			command[i] = fmt.Sprint(arg)
		}
		return client.Do(ctx, client.B().Arbitrary(command...).Blocking()).ToAny()
	}
}

func redigoClient(t testing.TB, addr string) redisstore.Do {
	pool := &redis.Pool{
		MaxIdle: 10,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", addr, redis.DialReadTimeout(3*time.Second))
		},
	}
	t.Cleanup(func() { pool.Close() })
	return func(ctx context.Context, args ...any) (any, error) {
		conn, err := pool.GetContext(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return redis.DoContext(conn, ctx, args[0].(string), args[1:]...)
	}
}

var clients = map[string]func(t testing.TB, addr string) redisstore.Do{
	"go-redis RESP2": goRedis(2),
	"go-redis RESP3": goRedis(3),
	"rueidis":        rueidisClient,
	"redigo":         redigoClient,
}

// conformance runs the suite on a Redis server with each client.
func conformance(t *testing.T, addr string) {
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do := client(t, addr)
			var keys atomic.Int64
			storetest.Run(t, func(t *testing.T) revocation.Store {
				return redisstore.New(do, fmt.Sprint("test:", name, ":", keys.Add(1)))
			})
		})
	}
}

func TestSmallRedis(t *testing.T) {
	t.Parallel()
	conformance(t, miniredis.RunT(t).Addr())
}
