package jwks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/jwks"
)

// This file tests logging and concurrent use.

// A logger is the caller's code. It may be slow, and it may call the cache's
// methods.
func TestLoggerThatCallsTheCache(t *testing.T) {
	l := newLab(t)
	l.serves(keyA())
	now := newClock()
	var c *jwks.Cache
	h := handlerFunc(func(slog.Record) {
		if c != nil {
			c.Status()
			_, _ = c.Key(context.Background(), "a")
		}
	})
	c = l.cache(t, jwks.Config{}, jwks.WithClock(now.Now), jwks.WithLogger(slog.New(h)))
	found(t, c, "a")
	l.does(status(500))
	now.Advance(refresh)
	settle(c)
	found(t, c, "a")
}

func TestLoggerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLab(t)
		l.serves(keyA())
		h := handlerFunc(func(slog.Record) { time.Sleep(time.Hour) })
		c := l.cache(t, jwks.Config{Initial: l.keySet(keyA())}, jwks.WithLogger(slog.New(h)))
		found(t, c, "a")
		l.does(status(500))
		for range 600 {
			atOnce(t, func() { found(t, c, "a") })
			time.Sleep(time.Second)
		}
	})
}

type handlerFunc func(slog.Record)

func (f handlerFunc) Enabled(context.Context, slog.Level) bool { return true }

func (f handlerFunc) Handle(_ context.Context, r slog.Record) error { f(r); return nil }

func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f handlerFunc) WithGroup(string) slog.Handler { return f }

// Look-ups, rotations, outages, snapshots and Close run concurrently under the
// race detector.
func TestConcurrentUse(t *testing.T) {
	l, now, c := started(t, jwks.Config{})
	answers := []http.HandlerFunc{body(testkit.SetOf(keyA())), body(testkit.SetOf(keyA(), keyB())),
		status(500),
		body(`{}`), cutOff(testkit.SetOf(keyA()))}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				switch rand.IntN(8) {
				case 0:
					l.does(answers[rand.IntN(len(answers))])
				case 1:
					now.Advance(time.Minute)
				case 2:
					c.Status()
				case 3:
					c.Snapshot()
				case 4:
					c.Key(t.Context(), fmt.Sprint(w, i))
				case 5:
					c.Warm(t.Context())
				default:
					if _, err := c.Key(t.Context(), "a"); err != nil {
						t.Errorf("looking up a published key: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	c.Close()
	if err := c.Warm(t.Context()); err != nil && !errors.Is(err, jwks.ErrUnavailable) {
		t.Error(err)
	}
}

// The default logger is slog.Default at the time of New.
func TestDefaultLogger(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer slog.SetDefault(before)
	l := newLab(t)
	l.does(status(500))
	c, err := jwks.New(jwks.Environment{Name: "lab", URL: l.url}, jwks.Config{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, c, "a", jwks.ErrUnavailable)
	c.Close()
	if !strings.Contains(out.String(), "parajwt: no keys") ||
		!strings.Contains(out.String(), "environment=lab") {
		t.Error(out.String())
	}
}
