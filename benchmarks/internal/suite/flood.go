package suite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
)

// FloodPerMinute is the number of tokens with unknown key IDs per minute of a
// flood.
const FloodPerMinute = 1_000_000

// Flood is how long Validate takes for valid tokens: the 99th percentile.
type Flood struct {
	Quiet   time.Duration // without a flood
	Flooded time.Duration // with FloodPerMinute, one goroutine each
	Hanging time.Duration // the same, while Para does not answer
}

// Flood measures the three cases in turn, each for d. Every valid token is new
// to the validator. Unknown key IDs may cause a fetch every second instead of
// every 30 seconds, so that fetches happen during the measurement.
func (s *Suite) Flood(d time.Duration) (f Flood, err error) {
	var hang atomic.Bool
	set := s.fixture.KeySet()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hang.Load() {
			<-r.Context().Done()
			return
		}
		w.Write(set)
	}))
	defer server.Close()
	v, err := middleware.New(middleware.Config{
		Environment: jwks.Environment{Name: "flood", URL: server.URL},
		APIKeyIDs:   []string{fixture.APIKeyID},
		CacheSize:   -1,
		Keys:        jwks.Config{Cooldown: time.Second},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return f, err
	}
	defer v.Close()
	if err := v.Warm(s.ctx); err != nil {
		return f, err
	}

	if f.Quiet, err = s.p99(v, d); err != nil {
		return f, err
	}
	stop := s.flood(v)
	f.Flooded, err = s.p99(v, d)
	if err == nil {
		hang.Store(true)
		f.Hanging, err = s.p99(v, d)
	}
	return f, errors.Join(err, stop())
}

// p99 validates valid tokens one after another for d. It returns the 99th
// percentile of the durations.
func (s *Suite) p99(v *middleware.Validator, d time.Duration) (time.Duration, error) {
	tokens := s.Tokens(fixture.RS256, "")
	took := make([]time.Duration, 0, 1<<20)
	for start := time.Now(); time.Since(start) < d; {
		before := time.Now()
		if _, err := v.Validate(s.ctx, tokens[len(took)%len(tokens)]); err != nil {
			return 0, err
		}
		took = append(took, time.Since(before))
	}
	slices.Sort(took)
	return took[len(took)*99/100], nil
}

// flood starts to send tokens with unknown key IDs. stop ends it, and returns
// an error if any token was accepted.
func (s *Suite) flood(v *middleware.Validator) (stop func() error) {
	good := s.Tokens(fixture.RS256, "")[0]
	signature := good[strings.LastIndexByte(good, '.'):]
	junk := make([]string, Live)
	for i := range junk {
		junk[i] = s.fixture.Input(fixture.Spec{Alg: fixture.RS256, UserID: fixture.UserID(i),
			KeyID: fmt.Sprintf("nobody-has-this-key-%04d", i)}) + signature
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var accepted atomic.Int64
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		start, sent := time.Now(), 0
		for ctx.Err() == nil {
			<-tick.C
			for due := int(time.Since(start) * FloodPerMinute / time.Minute); sent < due; sent++ {
				token := junk[sent%len(junk)]
				work.Go(func() {
					if _, err := v.Validate(ctx, token); err == nil {
						accepted.Add(1)
					}
				})
			}
		}
	})
	return func() error {
		cancel()
		work.Wait()
		if n := accepted.Load(); n > 0 {
			return fmt.Errorf("%d tokens with unknown key IDs were accepted", n)
		}
		return nil
	}
}
