package suite

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// shared is one suite for all tests. Its RSA keys and a thousand signatures
// take a second to make.
var shared = sync.OnceValues(func() (*Suite, error) { return New(context.Background()) })

func suiteOf(tb testing.TB) *Suite {
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

var algorithms = []string{fixture.RS256, fixture.ES256}

// TestRows checks that every row does its work for every token.
func TestRows(t *testing.T) {
	s := suiteOf(t)
	var rows []Row
	for _, alg := range algorithms {
		rows = append(rows, s.Raw(alg))
		rows = append(rows, must[[]Row](t)(s.FirstSight(alg))...)
	}
	rows = append(rows, must[Row](t)(s.Repeat()), must[Row](t)(s.Observed()))
	rows = append(rows, must[[]Row](t)(s.Refusals())...)
	rows = append(rows, must[[]Row](t)(s.Caches())...)
	for _, r := range must[[]Router](t)(s.Routers()) {
		rows = append(rows, r.Bare, r.Guarded)
	}
	for _, r := range rows {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestZipf checks the recognition of cache hits at extreme capacities.
func TestZipf(t *testing.T) {
	s := suiteOf(t)
	all := must[HitRatios](t)(s.Zipf(Traffic{Tokens: 50, Requests: 4000, Capacity: 800,
		Skew: 1.01}))
	if all.Ours < .99 || all.Otter < .99 || all.LRU < .99 || all.Best != 1 {
		t.Errorf("capacity of all tokens: %+v", all)
	}
	some := must[HitRatios](t)(s.Zipf(Traffic{Tokens: 2000, Requests: 8000, Capacity: 200,
		Skew: 1.01}))
	for _, r := range []float64{some.Ours, some.Otter, some.LRU} {
		if r < .4 || r > some.Best+.05 {
			t.Errorf("capacity of a tenth of the tokens: %+v", some)
		}
	}
}

// TestFlood checks that valid tokens are accepted during a flood. The benchmark
// measures how long that takes.
func TestFlood(t *testing.T) {
	f := must[Flood](t)(suiteOf(t).Flood(50 * time.Millisecond))
	if f.Quiet <= 0 || f.Flooded <= 0 || f.Hanging <= 0 {
		t.Errorf("got %+v", f)
	}
}

func BenchmarkFirstSight(b *testing.B) {
	s := suiteOf(b)
	for _, alg := range algorithms {
		for _, r := range append([]Row{s.Raw(alg)}, must[[]Row](b)(s.FirstSight(alg))...) {
			both(b, alg+"/"+r.Name, r)
		}
	}
}

func BenchmarkRepeat(b *testing.B) {
	s := suiteOf(b)
	both(b, "validator", must[Row](b)(s.Repeat()))
	both(b, "validator, Observe with OpenTelemetry", must[Row](b)(s.Observed()))
	for _, r := range must[[]Row](b)(s.Caches()) {
		both(b, r.Name, r)
	}
}

// Each row accepts every token, and each hook gets the user to look up.
func TestRevocations(t *testing.T) {
	rows, stop, err := suiteOf(t).Revocations(0, 1000)
	if err != nil && !errors.Is(err, ErrNoRedis) {
		t.Fatal(err)
	}
	defer stop()
	if want := 4; err == nil && len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
	for _, r := range rows {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkRevocation measures rows to compare with BenchmarkRepeat's
// validator.
func BenchmarkRevocation(b *testing.B) {
	rows, stop, err := suiteOf(b).Revocations(0, 1000, 1_000_000)
	if err != nil && !errors.Is(err, ErrNoRedis) {
		b.Fatal(err)
	}
	defer stop()
	both(b, "none", must[Row](b)(suiteOf(b).Repeat()))
	for _, r := range rows {
		both(b, r.Name, r)
	}
}

func BenchmarkRefusal(b *testing.B) {
	for _, r := range must[[]Row](b)(suiteOf(b).Refusals()) {
		both(b, r.Name, r)
	}
}

func BenchmarkRouter(b *testing.B) {
	for _, r := range must[[]Router](b)(suiteOf(b).Routers()) {
		b.Run(r.Name+"/bare", r.Bare.Serial)
		b.Run(r.Name+"/guarded", r.Guarded.Serial)
	}
}

// BenchmarkFlood reports 99th percentiles. Its ns/op has no meaning.
func BenchmarkFlood(b *testing.B) {
	s := suiteOf(b)
	for b.Loop() {
		f := must[Flood](b)(s.Flood(time.Second))
		b.ReportMetric(float64(f.Quiet.Nanoseconds()), "quiet-p99-ns")
		b.ReportMetric(float64(f.Flooded.Nanoseconds()), "flooded-p99-ns")
		b.ReportMetric(float64(f.Hanging.Nanoseconds()), "hanging-p99-ns")
	}
}

// BenchmarkZipf reports hit ratios. Its ns/op includes the signing of new
// tokens and has no meaning.
func BenchmarkZipf(b *testing.B) {
	s := suiteOf(b)
	for b.Loop() {
		r := must[HitRatios](b)(s.Zipf(Traffic{Tokens: 100_000, Requests: 200_000, Capacity: 10_000,
			Skew: 1.01}))
		b.ReportMetric(r.Ours, "ours")
		b.ReportMetric(r.Otter, "otter")
		b.ReportMetric(r.LRU, "LRU")
		b.ReportMetric(r.Best, "best")
	}
}

func both(b *testing.B, name string, r Row) {
	b.Helper()
	if err := r.Check(); err != nil {
		b.Fatal(err)
	}
	b.Run(name+"/serial", r.Serial)
	b.Run(name+"/parallel", r.Parallel)
}
