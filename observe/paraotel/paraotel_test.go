package paraotel_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	"github.com/parajwt/parajwt/observe/paraotel"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/revocation"
)

// newMeter returns a meter of OpenTelemetry's SDK and its reader.
func newMeter(tb testing.TB) (metric.Meter, *sdkmetric.ManualReader) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	tb.Cleanup(func() { provider.Shutdown(context.Background()) })
	return provider.Meter("test"), reader
}

// collect returns all points, such as "parajwt.keys.age{a=b}": 1.5.
func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	points := make(map[string]float64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(set attribute.Set, value float64) {
				points[m.Name+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] = value
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				if !data.IsMonotonic {
					t.Errorf("%s is not monotonic", m.Name)
				}
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return points
}

func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[name]; !ok {
			t.Errorf("no point %s, want %v", name, want[name])
		} else if v != want[name] {
			t.Errorf("%s is %v, want %v", name, v, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("unexpected point %s: %v", name, got[name])
		}
	}
}

func TestObserveCountsVerdictsOfAValidator(t *testing.T) {
	observe, reader := observer(t)
	para := paratest.New(t, paratest.Config{})
	v := para.Validator(t, func(cfg *middleware.Config) { cfg.Observe = observe })

	good := para.Token(paratest.EmailUser())
	tokens := []string{good, good, good, "", "junk",
		para.Token(paratest.EmailUser(), paratest.Expired()),
		para.Token(paratest.EmailUser(), paratest.BadSignature()),
	}
	for _, token := range tokens {
		v.Validate(t.Context(), token)
	}
	name := func(code, cached string) string {
		return fmt.Sprintf("parajwt.verdicts{parajwt.cached=%s,parajwt.code=%s,"+
			"parajwt.environment=%s}", cached, code, para.Environment().Name)
	}
	compare(t, collect(t, reader), map[string]float64{
		name("accepted", "false"):  1,
		name("accepted", "true"):   2,
		name("no_token", "false"):  1,
		name("malformed", "false"): 1,
		name("expired", "false"):   1,
		name("signature", "false"): 1,
	})
}

// Two validators may share the function. Their environments are counted
// separately.
func TestObserveSeparatesEnvironments(t *testing.T) {
	observe, reader := observer(t)
	observe(t.Context(), middleware.Event{Environment: "beta"})
	observe(t.Context(), middleware.Event{Environment: "prod"})
	observe(t.Context(), middleware.Event{Environment: "prod"})
	compare(t, collect(t, reader), map[string]float64{
		"parajwt.verdicts{parajwt.cached=false,parajwt.code=accepted,parajwt.environment=beta}": 1,
		"parajwt.verdicts{parajwt.cached=false,parajwt.code=accepted,parajwt.environment=prod}": 2,
	})
}

// Event.Check is not an attribute.
func TestObserveIgnoresTheCheck(t *testing.T) {
	observe, reader := observer(t)
	for _, check := range []middleware.Check{middleware.CheckForm, middleware.CheckHeader} {
		observe(t.Context(), middleware.Event{Code: middleware.ErrMalformed, Check: check})
	}
	compare(t, collect(t, reader), map[string]float64{
		"parajwt.verdicts{parajwt.cached=false,parajwt.code=malformed,parajwt.environment=}": 2,
	})
}

func TestObserveLosesNoEventOfConcurrentCallers(t *testing.T) {
	observe, reader := observer(t)
	const callers, codes = 8, 50
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range codes {
				observe(t.Context(), middleware.Event{Code: middleware.Code(fmt.Sprint("c", i))})
			}
		})
	}
	wg.Wait()
	points := collect(t, reader)
	if len(points) != codes {
		t.Errorf("%d series, want %d", len(points), codes)
	}
	for name, n := range points {
		if n != callers {
			t.Errorf("%s is %v, want %d", name, n, callers)
		}
	}
}

// Attribute sets beyond maxSets are counted without being kept. The test stays
// below the SDK's own limit of 2000 series.
func TestObserveKeepsABoundedNumberOfSets(t *testing.T) {
	observe, reader := observer(t)
	const codes = 1500
	for range 2 {
		for i := range codes {
			observe(t.Context(), middleware.Event{Code: middleware.Code(fmt.Sprint("c", i))})
		}
	}
	points := collect(t, reader)
	if len(points) != codes {
		t.Errorf("%d series, want %d", len(points), codes)
	}
	for name, n := range points {
		if n != 2 {
			t.Errorf("%s is %v, want 2", name, n)
		}
	}
	kept := middleware.Event{Code: "c0"}
	if n := testing.AllocsPerRun(100, func() { observe(t.Context(), kept) }); n > 1 {
		t.Errorf("an event of a kept set allocates %v times", n)
	}
}

func TestWatchKeysExportsTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meter, reader := newMeter(t)
		status := jwks.Status{
			Environment: "beta", URL: "https://example.com", State: jwks.StateStale,
			Usable: true, Stale: true,
			KeyIDs:    []string{"a", "b"},
			Skipped:   []jwks.Skipped{{Reason: "weak"}},
			FetchedAt: time.Now().Add(-90 * time.Second),
			StaleAt:   time.Now().Add(time.Hour),
			Fetches:   7, Failures: 3, LastError: "secret",
		}
		_, err := paraotel.WatchKeys(meter, func() jwks.Status { return status })
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{
			"parajwt.keys.age{parajwt.environment=beta}":                            90,
			"parajwt.keys.remaining{parajwt.environment=beta}":                      3600,
			"parajwt.keys.usable{parajwt.environment=beta}":                         1,
			"parajwt.keys.stale{parajwt.environment=beta}":                          1,
			"parajwt.keys.loaded{parajwt.environment=beta}":                         2,
			"parajwt.keys.skipped{parajwt.environment=beta}":                        1,
			"parajwt.keys.failures{parajwt.environment=beta}":                       3,
			"parajwt.keys.fetches{parajwt.environment=beta}":                        7,
			"parajwt.keys.state{parajwt.environment=beta,parajwt.keys.state=stale}": 1,
		}
		compare(t, collect(t, reader), want)

		// The age is computed at the collection, in fractions of a second. The
		// old state has no point.
		time.Sleep(500 * time.Millisecond)
		status.State, status.Stale = jwks.StateFresh, false
		delete(want, "parajwt.keys.state{parajwt.environment=beta,parajwt.keys.state=stale}")
		want["parajwt.keys.state{parajwt.environment=beta,parajwt.keys.state=fresh}"] = 1
		want["parajwt.keys.age{parajwt.environment=beta}"] = 90.5
		want["parajwt.keys.remaining{parajwt.environment=beta}"] = 3599.5
		want["parajwt.keys.stale{parajwt.environment=beta}"] = 0
		compare(t, collect(t, reader), want)
	})
}

// A StaleAt in the past and a FetchedAt in the future are exported as 0.
func TestWatchKeysExportsNoNegativeDuration(t *testing.T) {
	meter, reader := newMeter(t)
	_, err := paraotel.WatchKeys(meter, func() jwks.Status {
		now := time.Now()
		return jwks.Status{FetchedAt: now.Add(time.Hour), StaleAt: now.Add(-time.Hour)}
	})
	if err != nil {
		t.Fatal(err)
	}
	points := collect(t, reader)
	for _, name := range []string{"parajwt.keys.age", "parajwt.keys.remaining"} {
		if v, ok := points[name+"{parajwt.environment=}"]; !ok || v != 0 {
			t.Errorf("%s is %v (%v), want 0", name, v, ok)
		}
	}
}

func TestWatchKeysHasNoAgeUntilTheFirstFetch(t *testing.T) {
	meter, reader := newMeter(t)
	para := paratest.New(t, paratest.Config{})
	v, err := middleware.New(middleware.Config{
		Environment: para.Environment(), APIKeyIDs: []string{para.APIKeyID()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := paraotel.WatchKeys(meter, v.Status); err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		for point := range collect(t, reader) {
			if strings.HasPrefix(point, name+"{") {
				return true
			}
		}
		return false
	}
	if has("parajwt.keys.age") || has("parajwt.keys.remaining") || !has("parajwt.keys.usable") {
		t.Error("before the first fetch: want usable, and neither age nor remaining")
	}
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !has("parajwt.keys.age") || !has("parajwt.keys.remaining") {
		t.Error("after the first fetch: want age and remaining")
	}
}

func TestWatchRevocationsExportsTheStatus(t *testing.T) {
	meter, reader := newMeter(t)
	status := revocation.Status{
		Ready: true, Usable: true, Stale: true, Staleness: 12500 * time.Millisecond,
		Entries: 5, Pending: 2, Gaps: 1, Malformed: 4, ClockSkew: -3 * time.Second, Failures: 6,
	}
	_, err := paraotel.WatchRevocations(meter, func() revocation.Status { return status })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"parajwt.revocations.staleness{}":  12.5,
		"parajwt.revocations.clock_skew{}": -3,
		"parajwt.revocations.usable{}":     1,
		"parajwt.revocations.stale{}":      1,
		"parajwt.revocations.entries{}":    5,
		"parajwt.revocations.pending{}":    2,
		"parajwt.revocations.failures{}":   6,
		"parajwt.revocations.gaps{}":       1,
		"parajwt.revocations.malformed{}":  4,
	}
	compare(t, collect(t, reader), want)

	// A list that was never read has no staleness, because 0 would mean that it
	// is fresh.
	status.Ready, status.Usable, status.Stale, status.Staleness = false, false, false, 0
	delete(want, "parajwt.revocations.staleness{}")
	want["parajwt.revocations.usable{}"], want["parajwt.revocations.stale{}"] = 0, 0
	compare(t, collect(t, reader), want)
}

func TestUnregisterStopsReadingTheStatus(t *testing.T) {
	meter, reader := newMeter(t)
	calls := 0
	r, err := paraotel.WatchKeys(meter, func() jwks.Status { calls++; return jwks.Status{} })
	if err != nil {
		t.Fatal(err)
	}
	if collect(t, reader); calls != 1 {
		t.Errorf("one collection read the status %d times", calls)
	}
	if err := r.Unregister(); err != nil {
		t.Fatal(err)
	}
	if points := collect(t, reader); calls != 1 || len(points) != 0 {
		t.Errorf("after Unregister: %d reads, points %v", calls, points)
	}
}

func TestNilArgumentsAreErrors(t *testing.T) {
	meter, _ := newMeter(t)
	keys := func() jwks.Status { return jwks.Status{} }
	list := func() revocation.Status { return revocation.Status{} }
	watchKeys := func(m metric.Meter, status func() jwks.Status) error {
		_, err := paraotel.WatchKeys(m, status)
		return err
	}
	watchList := func(m metric.Meter, status func() revocation.Status) error {
		_, err := paraotel.WatchRevocations(m, status)
		return err
	}
	for _, test := range []struct {
		name    string
		err, ok error
		want    string
	}{
		{"Observe, meter", observeWith(nil), observeWith(meter), "meter is nil"},
		{"WatchKeys, meter", watchKeys(nil, keys), watchKeys(meter, keys), "meter is nil"},
		{"WatchKeys, status", watchKeys(meter, nil), nil, "status is nil"},
		{"WatchRevocations, meter", watchList(nil, list), watchList(meter, list), "meter is nil"},
		{"WatchRevocations, status", watchList(meter, nil), nil, "status is nil"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, test.err, test.want)
		}
		if test.ok != nil {
			t.Errorf("%s: valid arguments are refused: %v", test.name, test.ok)
		}
	}
}

// refusingMeter refuses instruments of one name, and callbacks.
type refusingMeter struct {
	noop.Meter
	name string
}

var errRefused = errors.New("refused")

func (m refusingMeter) refuse(name string) error {
	if name == m.name {
		return errRefused
	}
	return nil
}

func (m refusingMeter) Int64Counter(
	n string, _ ...metric.Int64CounterOption,
) (metric.Int64Counter, error) {
	return noop.Int64Counter{}, m.refuse(n)
}

func (m refusingMeter) Int64ObservableGauge(
	n string, _ ...metric.Int64ObservableGaugeOption,
) (metric.Int64ObservableGauge, error) {
	return noop.Int64ObservableGauge{}, m.refuse(n)
}

func (m refusingMeter) RegisterCallback(
	metric.Callback, ...metric.Observable,
) (metric.Registration, error) {
	return noop.Registration{}, m.refuse("callback")
}

func TestErrorsOfTheMeterAreReturned(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(metric.Meter) error
	}{
		{"parajwt.verdicts", observeWith},
		{"parajwt.keys.usable", watchKeys},
		{"callback", watchKeys},
		{"parajwt.revocations.entries", watchRevocations},
		{"callback", watchRevocations},
	} {
		if err := test.call(refusingMeter{name: test.name}); !errors.Is(err, errRefused) {
			t.Errorf("%s: error %v", test.name, err)
		}
		if err := test.call(refusingMeter{}); err != nil {
			t.Errorf("%s: a meter that refuses nothing: %v", test.name, err)
		}
	}
}

func observeWith(m metric.Meter) error {
	_, err := paraotel.Observe(m)
	return err
}

func watchKeys(m metric.Meter) error {
	_, err := paraotel.WatchKeys(m, func() jwks.Status { return jwks.Status{} })
	return err
}

func watchRevocations(m metric.Meter) error {
	_, err := paraotel.WatchRevocations(m, func() revocation.Status { return revocation.Status{} })
	return err
}
