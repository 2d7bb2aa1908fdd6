// Fleet logs a user out on one server, and shows when another server refuses
// the user. The servers run in one process and share their revocations through
// Redis. Without configuration, Redis is embedded. Para is always an emulator:
//
//	go run ./examples/fleet
//	REDIS_URL=redis://localhost:6379/0 go run ./examples/fleet
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/paratest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	logging.Disable() // go-redis would print each failed connection
	if err := run(ctx, os.Stdout, os.Getenv("REDIS_URL")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, redisURL string) error {
	para, err := paratest.Start(paratest.Config{})
	if err != nil {
		return err
	}
	defer para.Close()
	var embedded *miniredis.Miniredis
	if redisURL == "" {
		embedded = miniredis.NewMiniRedis()
		if err := embedded.Start(); err != nil {
			return err
		}
		defer embedded.Close()
		redisURL = "redis://" + embedded.Addr()
	}
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	options.ContextTimeoutEnabled = true // redisstore.Do must obey the context
	options.MaxRetries = -1              // package revocation retries
	// Each run of this program has its own keys in Redis, which it deletes.
	prefix := "parajwt-example:" + rand.Text()
	secret := []byte(rand.Text() + rand.Text()) // in your program, all servers have the same secret

	start := func() (*server, error) {
		rdb := redis.NewClient(options)
		s, err := newServer(ctx, middleware.Config{
			Environment: para.Environment(),
			APIKeyIDs:   []string{para.APIKeyID()},
			Logger:      slog.New(slog.DiscardHandler), // this program prints what happens
		}, rdb, prefix, secret)
		if err != nil {
			rdb.Close()
		}
		return s, err
	}
	a, err := start()
	if err != nil {
		return err
	}
	defer a.close()
	defer a.rdb.Del(context.WithoutCancel(ctx), prefix+":revocations", prefix+":keys")
	b, err := start()
	if err != nil {
		return err
	}
	defer b.close()

	d := demo{ctx: ctx, out: out, a: visit(a), b: visit(b)}
	defer d.a.Close()
	defer d.b.Close()
	user := paratest.EmailUser()
	first := para.Token(user)
	d.ask("The user logs in on A, and sends the token to both", first)
	d.logOut(first)

	if err := wait(ctx, time.Second); err != nil { // because iat has whole seconds
		return err
	}
	second := para.Token(user)
	d.ask("The user logs in again", second)

	if embedded != nil {
		embedded.Close()
		d.ask("Redis goes down", second)
		began := time.Now()
		status := d.post(second)
		d.say("The user logs out on B, which answers %d after %v: not shared yet", status,
			round(time.Since(began)))
		d.answers(second)
		began = time.Now()
		if err := embedded.Restart(); err != nil {
			return err
		}
		d.say("Redis is back\n    A refuses after %v", round(d.refused(d.a, second, began)))
	}

	// OnChange saves the key set in the background.
	if err := saved(ctx, b.rdb, prefix); err != nil {
		return err
	}
	para.Down()
	c, err := start()
	if err != nil {
		return err
	}
	defer c.close()
	visited := visit(c)
	defer visited.Close()
	d.say("Para goes down. Server C starts with the keys that A and B saved")
	d.say("    C: %d for the old token, %d for a new one", d.get(visited, second),
		d.get(visited, para.Token(paratest.EmailUser(), paratest.Lived(2*time.Second, time.Hour))))
	return d.err
}

// demo sends the requests and prints the answers.
type demo struct {
	ctx  context.Context
	out  io.Writer
	a, b *httptest.Server
	err  error // of all requests
}

// visit serves s on a free port of loopback.
func visit(s *server) *httptest.Server { return httptest.NewServer(s.handler()) }

func (d *demo) say(format string, args ...any) {
	if d.err == nil {
		fmt.Fprintf(d.out, format+"\n", args...)
	}
}

func (d *demo) ask(what, token string) {
	d.say("%s", what)
	d.answers(token)
}

func (d *demo) answers(token string) {
	d.say("    A: %d   B: %d", d.get(d.a, token), d.get(d.b, token))
}

// logOut logs the user out on B, and waits until both servers refuse the token.
func (d *demo) logOut(token string) {
	began := time.Now()
	onA := make(chan time.Duration, 1)
	go func() { onA <- d.refused(d.a, token, began) }()
	status := d.post(token)
	answered := time.Since(began)
	onB := d.refused(d.b, token, began)
	d.say("The user logs out on B, which answers %d after %v", status, round(answered))
	d.say("    B refuses after %v, A after %v", round(onB), round(<-onA))
}

func round(t time.Duration) time.Duration { return t.Round(10 * time.Microsecond) }

// refused sends requests until the response is 401, and returns the time since
// began.
func (d *demo) refused(s *httptest.Server, token string, began time.Time) time.Duration {
	for {
		status, err := send(d.ctx, s, http.MethodGet, "/me", token)
		if err != nil || status == http.StatusUnauthorized {
			return time.Since(began)
		}
	}
}

func (d *demo) get(s *httptest.Server, token string) int {
	status, err := send(d.ctx, s, http.MethodGet, "/me", token)
	d.err = errors.Join(d.err, err)
	return status
}

func (d *demo) post(token string) int {
	status, err := send(d.ctx, d.b, http.MethodPost, "/logout", token)
	d.err = errors.Join(d.err, err)
	return status
}

func send(ctx context.Context, s *httptest.Server, method, path, token string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := s.Client().Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// saved waits until a server has saved the key set.
func saved(ctx context.Context, rdb *redis.Client, prefix string) error {
	for range 100 {
		if n, err := rdb.Exists(ctx, prefix+":keys").Result(); err != nil || n > 0 {
			return err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("no server saved the key set")
}
