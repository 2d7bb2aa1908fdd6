package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/rueidis"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/revocation"
)

// ErrNoRedis means that the rows which need a Redis server are missing.
var ErrNoRedis = errors.New("redis-server is not installed")

// Revocations returns the rows of [Suite.Repeat] with Config.Revoked: a list
// with each number of entries, and a GET for each request with two Redis
// clients. No user is revoked. If the error is [ErrNoRedis], the rows of the
// lists are complete. stop ends the server, and closes the lists and clients.
func (s *Suite) Revocations(entries ...int) (rows []Row, stop func(), err error) {
	ctx, cancel := context.WithCancel(s.ctx)
	var stops []func()
	stop = func() {
		cancel()
		for _, f := range stops {
			f()
		}
	}
	defer func() {
		if err != nil && !errors.Is(err, ErrNoRedis) {
			stop()
		}
	}()
	for _, n := range entries {
		list, err := filled(ctx, n)
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, func() { list.Close() })
		row, err := s.repeatWith(ctx, fmt.Sprintf("list of %d", n), list.Revoked)
		if err != nil {
			return nil, stop, err
		}
		rows = append(rows, row)
	}

	addr, kill, err := startRedis(ctx)
	if err != nil {
		return rows, stop, err
	}
	stops = append(stops, kill)
	logging.Disable() // go-redis prints to standard error when the server ends
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	cached, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, func() { rdb.Close(); cached.Close() })
	for _, hook := range []struct {
		name    string
		revoked hook
	}{
		{"rueidis, client-side cache", func(ctx context.Context, user *claims.Claims,
			_ time.Time) (bool, error) {
			command := cached.B().Get().Key("revoked:" + user.UserID).Cache()
			err := cached.DoCache(ctx, command, time.Hour).Error()
			if rueidis.IsRedisNil(err) {
				return false, nil
			}
			return true, err
		}},
		{"go-redis, GET for each request", func(ctx context.Context, user *claims.Claims,
			_ time.Time) (bool, error) {
			err := rdb.Get(ctx, "revoked:"+user.UserID).Err()
			if errors.Is(err, redis.Nil) {
				return false, nil
			}
			return true, err
		}},
	} {
		row, err := s.repeatWith(ctx, hook.name, hook.revoked)
		if err != nil {
			return nil, stop, err
		}
		rows = append(rows, row)
	}
	return rows, stop, nil
}

// hook is the type of Config.Revoked.
type hook func(context.Context, *claims.Claims, time.Time) (bool, error)

// repeatWith is [Suite.Repeat] with Config.Revoked.
func (s *Suite) repeatWith(ctx context.Context, name string, revoked hook) (Row, error) {
	v, err := middleware.New(middleware.Config{
		Environment: jwks.Environment{Name: "benchmark", URL: s.base + fixture.WellKnown},
		APIKeyIDs:   []string{fixture.APIKeyID},
		Revoked:     revoked,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return Row{}, err
	}
	context.AfterFunc(ctx, func() { v.Close() })
	tokens := s.Tokens(fixture.RS256, "")
	for _, token := range tokens {
		if _, err := v.Validate(ctx, token); err != nil {
			return Row{}, err
		}
	}
	return Row{name, func(i int) error {
		_, err := v.Validate(ctx, tokens[i])
		return err
	}}, nil
}

// filled returns a list that has read n users from a store.
func filled(ctx context.Context, n int) (*revocation.List, error) {
	source, err := revocation.New(revocation.Config{})
	if err != nil {
		return nil, err
	}
	for i := range n {
		id := fmt.Sprintf("%08x-38d3-4650-91a8-%012x", i, i*7919)
		if err := source.RevokeUser(ctx, id); err != nil {
			return nil, err
		}
	}
	snapshot, err := source.Snapshot()
	if err != nil {
		return nil, err
	}
	_, lines, _ := bytes.Cut(snapshot, []byte("\n"))
	list, err := revocation.New(revocation.Config{
		Store:  &log{lines: lines, entries: n},
		Resync: 24 * time.Hour, // log stores no entries
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = list.Warm(ctx)
	if got := list.Status().Entries; err == nil && got != n {
		err = fmt.Errorf("the list has %d of %d entries", got, n)
	}
	if err != nil {
		list.Close()
		return nil, err
	}
	return list, nil
}

// log is a store that can be read once.
type log struct {
	lines   []byte
	entries int
	next    int
}

func (l *log) Append(context.Context, []revocation.Entry) error {
	return errors.New("this store is read-only")
}

func (l *log) Read(ctx context.Context, _ revocation.Cursor, wait time.Duration) (
	revocation.Batch, error) {
	var b revocation.Batch
	for ; l.next < l.entries && len(b.Entries) < 1000; l.next++ {
		line, rest, _ := bytes.Cut(l.lines, []byte("\n"))
		var e revocation.Entry
		if err := e.UnmarshalText(line); err != nil {
			return b, err
		}
		l.lines = rest
		b.Entries = append(b.Entries, e)
	}
	if l.next > 0 {
		b.Next = revocation.Cursor(fmt.Sprint(l.next))
	}
	if b.End = l.next == l.entries; b.End {
		l.lines = nil
	}
	if len(b.Entries) == 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return b, nil
}

// startRedis starts a server on a free port of loopback.
func startRedis(ctx context.Context) (addr string, stop func(), err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, ErrNoRedis
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	listener.Close()
	dir, err := os.MkdirTemp("", "parajwt-redis-")
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir)
	if err := cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(dir)
	}
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	for range 200 {
		if err = rdb.Ping(ctx).Err(); err == nil {
			return addr, stop, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("redis-server does not answer: %w", err)
}
