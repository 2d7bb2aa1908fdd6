// Package paraotel exports parajwt's verdicts and the status of its caches as
// OpenTelemetry metrics. It requires OpenTelemetry's API only; the program
// chooses the SDK and the exporter.
//
// [Observe] counts verdicts. [WatchKeys] and [WatchRevocations] export the
// status of the key set and of the revocation list at each collection.
// docs/observe.md lists all metrics, with alert rules for Prometheus.
//
// No metric has a user ID as an attribute: each user would be a time series,
// and metrics reach more people than logs do. A handler can set it on its span;
// see the example of Observe.
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

// Observe returns a function for middleware.Config.Observe. It counts events in
// the counter parajwt.verdicts, with three attributes: parajwt.code, which is
// "accepted" or the middleware.Code of the refusal; parajwt.cached, which
// reports whether the token cache had the token; and parajwt.environment. The
// function may be given to several validators.
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

var errNilMeter = errors.New(`paraotel: meter is nil: use a MeterProvider's Meter method`)

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
