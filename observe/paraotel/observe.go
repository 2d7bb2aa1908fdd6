// Package paraotel exports parajwt's verdicts and the status of its caches as
// OpenTelemetry metrics. It imports only the API of OpenTelemetry. The program
// chooses the SDK and the exporter.
//
// [Observe] counts verdicts. [WatchKeys] and [WatchRevocations] export the
// status of the key set and of the revocation list at each collection.
// docs/observe.md lists all metrics, with alert rules for Prometheus.
//
// No metric has a user ID as an attribute, because each user would be a time
// series, and more people read metrics than logs. A handler can set the user ID
// on its span: see the example UserInTrace of Observe.
package paraotel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/parajwt/parajwt/middleware"
)

const (
	keyCode        = attribute.Key("parajwt.code")
	keyCached      = attribute.Key("parajwt.cached")
	keyEnvironment = attribute.Key("parajwt.environment")
	keyState       = attribute.Key("parajwt.keys.state")
)

// accepted is the value of parajwt.code for an accepted request. Prometheus
// does not distinguish an empty label from an absent one.
const accepted = "accepted"

// maxSets bounds the attribute sets that are kept. A validator has fewer than
// 40 of them.
const maxSets = 1024

// Observe returns a function for middleware.Config.Observe. The function counts
// events in the counter parajwt.verdicts. Several validators may use the same
// function. The counter has three attributes:
//
//   - parajwt.code is "accepted", or the [middleware.Code] of the refusal.
//   - parajwt.cached is true if the token cache had the token.
//   - parajwt.environment is the name of the environment.
//
// Observe returns an error if meter is nil or refuses the counter. The returned
// function is safe for concurrent use by multiple goroutines.
func Observe(meter metric.Meter) (func(context.Context, middleware.Event), error) {
	if meter == nil {
		return nil, errNilMeter
	}
	verdicts, err := meter.Int64Counter("parajwt.verdicts", metric.WithUnit("{verdict}"),
		metric.WithDescription("Verdicts on tokens, and on requests without one."))
	if err != nil {
		return nil, fmt.Errorf("paraotel: %w", err)
	}
	var sets optionSets
	return func(ctx context.Context, e middleware.Event) {
		verdicts.Add(ctx, 1, sets.of(e)...)
	}, nil
}

var errNilMeter = errors.New("paraotel: meter is nil: use the Meter method of a MeterProvider")

// optionSets keeps the options of Add for each combination of attributes,
// because building them costs more than counting. Readers take no lock.
type optionSets struct {
	built atomic.Pointer[map[middleware.Event][]metric.AddOption]
	mu    sync.Mutex // held while built is replaced
}

// of returns the options for an event.
func (s *optionSets) of(e middleware.Event) []metric.AddOption {
	e.Check = "" // not an attribute
	if built := s.built.Load(); built != nil {
		if options, ok := (*built)[e]; ok {
			return options
		}
	}
	return s.build(e)
}

// build returns the options for an event without attributes in s, and adds
// them unless s is full.
func (s *optionSets) build(e middleware.Event) []metric.AddOption {
	code := string(e.Code)
	if code == "" {
		code = accepted
	}
	options := []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
		keyCode.String(code), keyCached.Bool(e.Cached), keyEnvironment.String(e.Environment),
	))}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[middleware.Event][]metric.AddOption{e: options}
	if built := s.built.Load(); built != nil {
		if len(*built) >= maxSets {
			return options
		}
		maps.Copy(next, *built)
	}
	s.built.Store(&next)
	return options
}
