package paraotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/revocation"
)

// WatchKeys exports the status of a key set as metrics. It calls status once
// for each collection. status is the Status method of a [middleware.Validator]
// or a [jwks.Cache]. Every metric has the attribute parajwt.environment.
// parajwt.keys.state also has the attribute parajwt.keys.state, a [jwks.State].
//
// parajwt.keys.age has no point while [jwks.Status.FetchedAt] is zero.
// parajwt.keys.remaining has no point while [jwks.Status.StaleAt] is zero. Both
// are in seconds, by the system clock.
//
// Watch each environment once per meter, because points with equal attributes
// replace one another. Call Unregister on the result to stop. WatchKeys returns
// an error if an argument is nil or meter refuses an instrument.
func WatchKeys(meter metric.Meter, status func() jwks.Status) (metric.Registration, error) {
	if meter == nil {
		return nil, errNilMeter
	}
	if status == nil {
		return nil, errors.New("paraotel: status is nil: use the Status method of a validator")
	}
	b := builder{meter: meter}
	var (
		age       = b.seconds("parajwt.keys.age", "Time since the key set was last fetched.")
		remaining = b.seconds("parajwt.keys.remaining",
			"Time until the keys become unusable if no fetch succeeds.")
		usable = b.gauge("parajwt.keys.usable", "{key_set}",
			"1 if tokens can be verified, else 0.")
		stale = b.gauge("parajwt.keys.stale", "{key_set}",
			"1 if the keys are overdue because fetches fail, else 0.")
		state = b.gauge("parajwt.keys.state", "{key_set}",
			"1 for the state of the key set, which is an attribute.")
		loaded  = b.gauge("parajwt.keys.loaded", "{key}", "Keys that verify tokens.")
		skipped = b.gauge("parajwt.keys.skipped", "{key}",
			"Keys of the key set that are not used.")
		failures = b.gauge("parajwt.keys.failures", "{failure}", "Failed fetches in a row.")
		fetches  = b.counter("parajwt.keys.fetches", "{fetch}", "Fetches of the key set.")
	)
	return b.register(func(_ context.Context, o metric.Observer) error {
		st := status()
		environment := keyEnvironment.String(st.Environment)
		with := metric.WithAttributeSet(attribute.NewSet(environment))
		if !st.FetchedAt.IsZero() {
			o.ObserveFloat64(age, until(time.Now(), st.FetchedAt), with)
		}
		if !st.StaleAt.IsZero() {
			o.ObserveFloat64(remaining, until(st.StaleAt, time.Now()), with)
		}
		o.ObserveInt64(usable, one(st.Usable), with)
		o.ObserveInt64(stale, one(st.Stale), with)
		o.ObserveInt64(state, 1, metric.WithAttributeSet(attribute.NewSet(environment,
			keyState.String(string(st.State)))))
		o.ObserveInt64(loaded, int64(len(st.KeyIDs)), with)
		o.ObserveInt64(skipped, int64(len(st.Skipped)), with)
		o.ObserveInt64(failures, int64(st.Failures), with)
		o.ObserveInt64(fetches, int64(st.Fetches), with)
		return nil
	})
}

// WatchRevocations exports the status of a revocation list as metrics. It calls
// status once for each collection. status is the Status method of a
// [revocation.List].
//
// parajwt.revocations.staleness, in seconds, has no point while
// [revocation.Status.Ready] is false.
//
// Watch one list per meter, because points with equal attributes replace one
// another. Call Unregister on the result to stop. WatchRevocations returns an
// error if an argument is nil or meter refuses an instrument.
func WatchRevocations(
	meter metric.Meter, status func() revocation.Status,
) (metric.Registration, error) {
	if meter == nil {
		return nil, errNilMeter
	}
	if status == nil {
		return nil, errors.New("paraotel: status is nil: use the Status method of a List")
	}
	b := builder{meter: meter}
	var (
		staleness = b.seconds("parajwt.revocations.staleness",
			"Time since the last read that reached the end of the store's log.")
		skew = b.seconds("parajwt.revocations.clock_skew",
			"This server's clock less the store's; 0 if the store's is unknown.")
		usable = b.gauge("parajwt.revocations.usable", "{list}",
			"1 if the list can report that a token is not revoked, else 0.")
		stale = b.gauge("parajwt.revocations.stale", "{list}",
			"1 if the staleness is higher than normal, else 0.")
		entries = b.gauge("parajwt.revocations.entries", "{entry}",
			"Users and tokens on the list.")
		pending = b.gauge("parajwt.revocations.pending", "{entry}",
			"Changes that the store does not have yet.")
		failures = b.gauge("parajwt.revocations.failures", "{failure}",
			"Failed calls of the store in a row.")
		gaps = b.counter("parajwt.revocations.gaps", "{gap}",
			"Losses of the store that were noticed.")
		malformed = b.counter("parajwt.revocations.malformed", "{entry}",
			"Entries of the store that were skipped.")
	)
	return b.register(func(_ context.Context, o metric.Observer) error {
		st := status()
		if st.Ready {
			o.ObserveFloat64(staleness, st.Staleness.Seconds())
		}
		o.ObserveFloat64(skew, st.ClockSkew.Seconds())
		o.ObserveInt64(usable, one(st.Usable))
		o.ObserveInt64(stale, one(st.Stale))
		o.ObserveInt64(entries, int64(st.Entries))
		o.ObserveInt64(pending, int64(st.Pending))
		o.ObserveInt64(failures, int64(st.Failures))
		o.ObserveInt64(gaps, int64(st.Gaps))
		o.ObserveInt64(malformed, int64(st.Malformed))
		return nil
	})
}

// until returns the seconds from one time to another by the wall clock, at
// least 0. It does not use the monotonic clock, which stops while a machine is
// suspended.
func until(to, from time.Time) float64 {
	return max(0, to.Round(0).Sub(from.Round(0)).Seconds())
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// builder creates instruments and collects their errors.
type builder struct {
	meter metric.Meter
	all   []metric.Observable
	errs  []error
}

func (b *builder) seconds(name, description string) metric.Float64Observable {
	i, err := b.meter.Float64ObservableGauge(name,
		metric.WithUnit("s"), metric.WithDescription(description))
	b.add(i, err)
	return i
}

func (b *builder) gauge(name, unit, description string) metric.Int64Observable {
	i, err := b.meter.Int64ObservableGauge(name,
		metric.WithUnit(unit), metric.WithDescription(description))
	b.add(i, err)
	return i
}

func (b *builder) counter(name, unit, description string) metric.Int64Observable {
	i, err := b.meter.Int64ObservableCounter(name,
		metric.WithUnit(unit), metric.WithDescription(description))
	b.add(i, err)
	return i
}

func (b *builder) add(i metric.Observable, err error) {
	b.all, b.errs = append(b.all, i), append(b.errs, err)
}

// register makes the meter call f for each collection.
func (b *builder) register(f metric.Callback) (metric.Registration, error) {
	if err := errors.Join(b.errs...); err != nil {
		return nil, fmt.Errorf("paraotel: %w", err)
	}
	r, err := b.meter.RegisterCallback(f, b.all...)
	if err != nil {
		return nil, fmt.Errorf("paraotel: %w", err)
	}
	return r, nil
}
