package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/e2e"
	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/peers"
	"github.com/parajwt/parajwt/benchmarks/internal/suite"
)

// results holds the figures of a run. A series has one value per pass.
type results struct {
	Plan    plan
	Machine machine
	Took    time.Duration

	FirstSight map[string]table // by algorithm
	Parallel   map[string]table // the same, with one caller per core; empty in quick mode

	Repeat, RepeatParallel     timing
	Observed, ObservedParallel timing // with Config.Observe
	Caches, CachesParallel     []timing
	Refusals                   []timing
	Routers                    []router

	Servers []server
	Flood   flood
	Zipf    suite.HitRatios

	Revocations revocations
}

// table holds raw crypto and the libraries, parajwt first.
type table struct {
	Raw  timing
	Libs []timing
}

// timing holds one row over all passes.
type timing struct {
	Name          string
	Lib           peers.Library
	Ns            series
	Ratio         series // to raw crypto, measured just before and just after
	Allocs, Bytes series
}

type router struct {
	Name                  string
	Bare, Guarded, Repeat timing
	Above                 series // nanoseconds above the validator
	AboveAllocs           series
}

type server struct {
	Name       string
	Lib        peers.Library
	PerSecond  series
	Share      series // of the bare handler, measured just before and just after
	CPUSeconds series // of the server, per request
}

// flood holds nanoseconds, and the ratios to Quiet of the same pass.
type flood struct {
	Quiet, Flooded, Hanging    series
	FloodedRatio, HangingRatio series
}

type series []float64

func (s series) median() float64 { return s.quantile(.5) }

// quantile interpolates between the two nearest values.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// measureAll runs all passes.
func measureAll(ctx context.Context, p plan) (*results, error) {
	// testing.Benchmark reads its duration from this flag, which testing.Init
	// defines.
	testing.Init()
	if err := flag.Set("test.benchtime", p.rowTime.String()); err != nil {
		return nil, err
	}
	start := time.Now()
	progress := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(start).Seconds(),
			fmt.Sprintf(format, args...))
	}

	progress("keys, tokens, libraries")
	b, err := newBench(ctx, p)
	if err != nil {
		return nil, err
	}
	defer b.close()
	for pass := range p.passes {
		progress("pass %d of %d", pass+1, p.passes)
		if err := b.pass(); err != nil {
			return nil, err
		}
	}
	progress("revocations")
	if err := b.revocations(); err != nil {
		return nil, err
	}
	if p.fleet {
		progress("revocations of a fleet")
		if err := b.r.Revocations.fleet(); err != nil {
			return nil, err
		}
	}
	progress("Zipf traffic")
	if b.r.Zipf, err = b.suite.Zipf(p.traffic); err != nil {
		return nil, err
	}
	b.r.Took = time.Since(start)
	progress("done")
	return b.r, nil
}

// bench holds the rows and servers, which all passes share.
type bench struct {
	r          *results
	suite      *suite.Suite
	raw        map[string]suite.Row
	firstSight map[string][]suite.Row
	repeat     suite.Row
	observed   suite.Row
	caches     []suite.Row
	refusals   []suite.Row
	routers    []suite.Router
	servers    []*e2e.Server
	loads      []e2e.Load
}

var algorithms = []string{fixture.RS256, fixture.ES256}

func newBench(ctx context.Context, p plan) (b *bench, err error) {
	b = &bench{
		r: &results{Plan: p, FirstSight: make(map[string]table),
			Parallel: make(map[string]table)},
		raw: make(map[string]suite.Row), firstSight: make(map[string][]suite.Row),
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.suite, err = suite.New(ctx); err != nil {
		return nil, err
	}
	for _, alg := range algorithms {
		b.raw[alg] = b.suite.Raw(alg)
		if b.firstSight[alg], err = b.suite.FirstSight(alg); err != nil {
			return nil, err
		}
		t := table{Raw: timing{Name: b.raw[alg].Name}}
		for i, row := range b.firstSight[alg] {
			t.Libs = append(t.Libs, timing{Name: row.Name, Lib: peers.All()[i]})
		}
		b.r.FirstSight[alg] = t
		b.r.Parallel[alg] = table{Raw: t.Raw, Libs: slices.Clone(t.Libs)}
	}
	if b.repeat, err = b.suite.Repeat(); err != nil {
		return nil, err
	}
	if b.observed, err = b.suite.Observed(); err != nil {
		return nil, err
	}
	if b.caches, err = b.suite.Caches(); err != nil {
		return nil, err
	}
	if b.refusals, err = b.suite.Refusals(); err != nil {
		return nil, err
	}
	if b.routers, err = b.suite.Routers(); err != nil {
		return nil, err
	}
	b.r.Repeat.Name, b.r.RepeatParallel.Name = b.repeat.Name, b.repeat.Name
	b.r.Observed.Name, b.r.ObservedParallel.Name = b.observed.Name, b.observed.Name
	b.r.Caches, b.r.CachesParallel = named(b.caches), named(b.caches)
	b.r.Refusals = named(b.refusals)
	for _, r := range b.routers {
		b.r.Routers = append(b.r.Routers, router{Name: r.Name})
	}
	if err := b.check(); err != nil {
		return nil, err
	}

	users := make([]string, connectedTokens)
	for i := range users {
		users[i] = fixture.UserID(i)
	}
	for _, lib := range e2e.Servers() {
		s, err := e2e.Start(lib, peers.Setup{BaseURL: b.suite.BaseURL(), Alg: fixture.RS256})
		if err != nil {
			return nil, err
		}
		b.servers = append(b.servers, s)
		load := e2e.Load{
			Tokens: b.suite.Tokens(fixture.RS256, lib.Issuer)[:connectedTokens], Users: users,
			Connections: connections, Duration: p.loadTime,
		}
		if lib.Name == e2e.Bare {
			load.Users = nil
		}
		b.loads = append(b.loads, load)
		b.r.Servers = append(b.r.Servers, server{Name: lib.Name, Lib: lib})
		// Warm up before measuring: fetch keys, fill caches, grow heaps.
		if _, err := load.Run(s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// The load on each server.
const (
	connections     = 32
	connectedTokens = 1000
)

func (b *bench) close() {
	for _, s := range b.servers {
		s.Close()
	}
}

func named(rows []suite.Row) []timing {
	t := make([]timing, len(rows))
	for i, row := range rows {
		t[i].Name = row.Name
	}
	return t
}

// check warms up every row. It returns an error if a row does not do its work.
func (b *bench) check() error {
	rows := slices.Concat(b.caches, b.refusals, []suite.Row{b.repeat, b.observed})
	for _, alg := range algorithms {
		rows = append(append(rows, b.raw[alg]), b.firstSight[alg]...)
	}
	for _, r := range b.routers {
		rows = append(rows, r.Bare, r.Guarded)
	}
	for _, row := range rows {
		if err := row.Check(); err != nil {
			return err
		}
	}
	return nil
}

// pass measures everything once. The order of the libraries differs from pass
// to pass.
func (b *bench) pass() error {
	for _, alg := range algorithms {
		t := b.r.FirstSight[alg]
		rows := bodies(b.firstSight[alg], suite.Row.Serial)
		if err := against(b.raw[alg].Serial, &t.Raw, rows, t.Libs); err != nil {
			return err
		}
		b.r.FirstSight[alg] = t
		if b.r.Plan.quick {
			continue
		}
		t = b.r.Parallel[alg]
		rows = bodies(b.firstSight[alg], suite.Row.Parallel)
		if err := against(b.raw[alg].Parallel, &t.Raw, rows, t.Libs); err != nil {
			return err
		}
		b.r.Parallel[alg] = t
	}
	if err := b.r.Repeat.add(b.repeat.Serial); err != nil {
		return err
	}
	if err := b.r.RepeatParallel.add(b.repeat.Parallel); err != nil {
		return err
	}
	if err := b.r.Observed.add(b.observed.Serial); err != nil {
		return err
	}
	if err := b.r.ObservedParallel.add(b.observed.Parallel); err != nil {
		return err
	}
	for i, row := range b.caches {
		if err := b.r.Caches[i].add(row.Serial); err != nil {
			return err
		}
		if err := b.r.CachesParallel[i].add(row.Parallel); err != nil {
			return err
		}
	}
	for i, row := range b.refusals {
		if err := b.r.Refusals[i].add(row.Serial); err != nil {
			return err
		}
	}
	for i, row := range b.routers {
		if err := b.r.Routers[i].add(row, b.repeat); err != nil {
			return err
		}
	}
	f, err := b.suite.Flood(b.r.Plan.loadTime)
	if err != nil {
		return err
	}
	b.r.Flood.add(f)
	return b.load()
}

func bodies(rows []suite.Row, of func(suite.Row, *testing.B)) []func(*testing.B) {
	var all []func(*testing.B)
	for _, row := range rows {
		all = append(all, func(b *testing.B) { of(row, b) })
	}
	return all
}

// against measures each row between two measurements of raw crypto. The ratio
// is to the mean of the two.
func against(
	raw func(*testing.B), rawTiming *timing, rows []func(*testing.B), timings []timing,
) error {
	if err := rawTiming.add(raw); err != nil {
		return err
	}
	for _, i := range rand.Perm(len(rows)) {
		before := rawTiming.last()
		if err := timings[i].add(rows[i]); err != nil {
			return err
		}
		if err := rawTiming.add(raw); err != nil {
			return err
		}
		timings[i].Ratio = append(timings[i].Ratio, timings[i].last()*2/(before+rawTiming.last()))
	}
	return nil
}

func (t *timing) last() float64 { return t.Ns[len(t.Ns)-1] }

// add measures a row once.
func (t *timing) add(body func(*testing.B)) error {
	r := testing.Benchmark(body)
	if r.N == 0 {
		return fmt.Errorf("%s: the benchmark failed", t.Name)
	}
	t.Ns = append(t.Ns, float64(r.T.Nanoseconds())/float64(r.N))
	t.Allocs = append(t.Allocs, float64(r.AllocsPerOp()))
	t.Bytes = append(t.Bytes, float64(r.AllocedBytesPerOp()))
	return nil
}

func (r *router) add(row suite.Router, repeat suite.Row) error {
	r.Bare.Name, r.Guarded.Name, r.Repeat.Name = row.Bare.Name, row.Guarded.Name, repeat.Name
	// The order of the three is random: it is the order of a map.
	for t, body := range map[*timing]func(*testing.B){
		&r.Bare: row.Bare.Serial, &r.Guarded: row.Guarded.Serial, &r.Repeat: repeat.Serial,
	} {
		if err := t.add(body); err != nil {
			return err
		}
	}
	last := func(s series) float64 { return s[len(s)-1] }
	r.Above = append(r.Above, r.Guarded.last()-r.Bare.last()-r.Repeat.last())
	r.AboveAllocs = append(r.AboveAllocs,
		last(r.Guarded.Allocs)-last(r.Bare.Allocs)-last(r.Repeat.Allocs))
	return nil
}

func (r *flood) add(f suite.Flood) {
	quiet, flooded, hanging := float64(f.Quiet), float64(f.Flooded), float64(f.Hanging)
	r.Quiet = append(r.Quiet, quiet)
	r.Flooded, r.Hanging = append(r.Flooded, flooded), append(r.Hanging, hanging)
	r.FloodedRatio = append(r.FloodedRatio, flooded/quiet)
	r.HangingRatio = append(r.HangingRatio, hanging/quiet)
}

// load loads each server between two loads of the bare server.
func (b *bench) load() error {
	one := func(i int) (float64, error) {
		rate, err := b.loads[i].Run(b.servers[i])
		if err != nil {
			return 0, err
		}
		s := &b.r.Servers[i]
		s.PerSecond = append(s.PerSecond, rate.PerSecond)
		s.CPUSeconds = append(s.CPUSeconds, rate.ServerCPU.Seconds())
		return rate.PerSecond, nil
	}
	before, err := one(0)
	if err != nil {
		return err
	}
	for _, i := range rand.Perm(len(b.servers) - 1) {
		rate, err := one(i + 1)
		if err != nil {
			return err
		}
		after, err := one(0)
		if err != nil {
			return err
		}
		s := &b.r.Servers[i+1]
		s.Share = append(s.Share, rate*2/(before+after))
		before = after
	}
	b.r.Servers[0].Share = series{1}
	return nil
}
