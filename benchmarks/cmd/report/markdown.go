package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/suite"
)

// markdown returns RESULTS.md.
func markdown(r *results) string {
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	mode := "full"
	if r.Plan.quick {
		mode = "quick"
	}

	p("# Results")
	p("")
	p("This file is written by `go run ./cmd/report`. Do not edit it.")
	p("[README.md](README.md) describes the measurements.")
	p("Compare ratios, not times, because times depend on the machine.")
	p("")
	if r.Machine.busy() {
		p("**%s. Do not quote these figures.**", r.Machine.others())
		p("")
	}
	p("![Chart of the results](results.svg)")
	p("")
	p("| | |")
	p("| --- | --- |")
	p("| date | %s |", r.Machine.Date.UTC().Format("2006-01-02 15:04 UTC"))
	if r.Machine.Commit != "" {
		p("| commit | %s |", r.Machine.Commit)
	}
	p("| machine | %s, %d cores; %s |", r.Machine.CPU, r.Machine.Cores, r.Machine.OS)
	p("| other programs | %s |", r.Machine.others())
	p("| Go | %s |", r.Machine.Go)
	p("| run | %s: %d passes, %v for each row and %v for each server in each pass; %v in all |",
		mode, r.Plan.passes, r.Plan.rowTime, r.Plan.loadTime, r.Took.Round(time.Second))
	p("")

	p("## Performance targets")
	p("")
	p("The limits in ns and µs are for two cores of an AMD EPYC. " +
		"Figures without a limit have no target.")
	p("")
	p("| | target | measured | |")
	p("| --- | --- | --- | --- |")
	for _, f := range targets(r) {
		p("| %s | %s | %s | %s |", f.What, f.Limit, f.Here, f.Verdict)
	}
	p("")

	p("## New tokens")
	p("")
	p("The library checks signature, `exp` and `aud`, and decodes the claims, of a " +
		"token that it has not seen before.")
	p("The time is relative to raw crypto, measured just before and just after. It is " +
		"the median over the passes.")
	p("The brackets contain the middle half of the passes.")
	p("")
	for _, alg := range algorithms {
		firstSight(p, alg+", one caller", r.FirstSight[alg])
	}
	if !r.Plan.quick {
		for _, alg := range algorithms {
			firstSight(p, fmt.Sprintf("%s, %d callers at once", alg, r.Machine.Cores),
				r.Parallel[alg])
		}
	}

	raw := r.FirstSight[fixture.RS256].Raw.Ns.median()
	p("## Repeat token")
	p("")
	p("%d tokens take turns. All have been verified before.", suite.Live)
	p("The first row is the whole `Validate`: look-up, `exp`, and a check that the key " +
		"is still in the set.")
	p("The second row adds `Config.Observe`. The others are general-purpose caches: a " +
		"look-up and a read of the clock.")
	p("")
	p("| | ns | relative to raw RS256 | ns with %d callers | allocations |", r.Machine.Cores)
	p("| --- | ---: | ---: | ---: | ---: |")
	repeat := func(one, many timing, name string) {
		p("| %s | %.0f | %.4f | %.0f | %.0f |",
			name, one.Ns.median(), one.Ns.median()/raw, many.Ns.median(), one.Allocs.median())
	}
	repeat(r.Repeat, r.RepeatParallel, "**parajwt**")
	repeat(r.Observed, r.ObservedParallel, "**parajwt**, `Observe` with OpenTelemetry")
	for i := range r.Caches {
		repeat(r.Caches[i], r.CachesParallel[i], r.Caches[i].Name)
	}
	p("")

	z := r.Zipf
	p("### Hit ratio")
	p("")
	p("%s requests for %s tokens, whose popularity follows Zipf's law (exponent %.2f).",
		thousands(z.Requests), thousands(z.Tokens), z.Skew)
	p("Each cache holds %s tokens. Hits are counted in the second half.", thousands(z.Capacity))
	p("")
	p("| | hits |")
	p("| --- | ---: |")
	p("| **parajwt** | %.3f |", z.Ours)
	p("| otter v2 | %.3f |", z.Otter)
	p("| golang-lru v2 | %.3f |", z.LRU)
	p("| a cache that always keeps the most popular tokens | %.3f |", z.Best)
	p("")

	r.Revocations.markdown(p, r.Machine.Cores)

	p("## Refusals that need no cryptography")
	p("")
	p("| | µs | relative to raw RS256 | allocations |")
	p("| --- | ---: | ---: | ---: |")
	for _, t := range r.Refusals {
		p("| %s | %.2f | %.3f | %.0f |",
			t.Name, t.Ns.median()/1000, t.Ns.median()/raw, t.Allocs.median())
	}
	p("")

	p("## In a flood")
	p("")
	p("The time of `Validate` for new, valid RS256 tokens, "+
		"while %s tokens a minute with unknown key IDs arrive.",
		thousands(suite.FloodPerMinute))
	p("Each of those has its own goroutine. In the last row, Para's server accepts " +
		"connections and does not answer.")
	p("")
	p("| | 99th percentile, µs | relative to no flood |")
	p("| --- | ---: | ---: |")
	p("| no flood | %.1f | 1 |", r.Flood.Quiet.median()/1000)
	p("| flood | %.1f | %.2f%s |", r.Flood.Flooded.median()/1000,
		r.Flood.FloodedRatio.median(), spread(r.Flood.FloodedRatio))
	p("| flood, and Para hangs | %.1f | %.2f%s |", r.Flood.Hanging.median()/1000,
		r.Flood.HangingRatio.median(), spread(r.Flood.HangingRatio))
	p("")

	p("## Routers")
	p("")
	p("One route, whose handler looks up the user, with repeat tokens and a " +
		"`ResponseWriter` that discards the body.")
	p("Above the validator = guarded - bare - validator.")
	p("gRPC is a unary call of the interceptor with the metadata of grpc-go's client, " +
		"without a connection.")
	p("")
	p("| | bare, ns | guarded, ns | above the validator, ns | allocations |")
	p("| --- | ---: | ---: | ---: | ---: |")
	for _, t := range r.Routers {
		p("| %s | %.0f | %.0f | %.0f | %.0f |", t.Name, t.Bare.Ns.median(),
			t.Guarded.Ns.median(), t.Above.median(), t.AboveAllocs.median())
	}
	p("")

	p("## End to end")
	p("")
	p("net/http over loopback: the server in its own process, "+
		"%d keep-alive connections, %d RS256 tokens in turn.",
		connections, connectedTokens)
	p("Client and server share the cores. The share is of the requests/s of the bare " +
		"handler, just before and just after.")
	p("parajwt is measured with its default cache of verified tokens, and without. The " +
		"others have no such cache.")
	p("")
	p("| | share of bare | requests/s | server CPU per request, µs |")
	p("| --- | ---: | ---: | ---: |")
	for _, s := range byShare(r.Servers) {
		cpu := "-"
		if c := s.CPUSeconds.median(); c > 0 {
			cpu = fmt.Sprintf("%.1f", c*1e6)
		}
		p("| %s | %.2f%s | %.0f | %s |", bold(s.Name, s.Lib.Ours), s.Share.median(),
			spread(s.Share), s.PerSecond.median(), cpu)
	}
	p("")

	p("## Versions")
	p("")
	p("| module | version |")
	p("| --- | --- |")
	of := versions()
	for _, path := range measuredModules(r) {
		p("| %s | %s |", path, of[path])
	}
	return w.String()
}

func firstSight(p func(string, ...any), title string, t table) {
	p("### %s", title)
	p("")
	p("| | relative to raw crypto | µs | allocations | bytes |")
	p("| --- | ---: | ---: | ---: | ---: |")
	row := func(t timing, ratio string) {
		p("| %s | %s | %.1f | %.0f | %.0f |", bold(t.Name, t.Lib.Ours), ratio,
			t.Ns.median()/1000, t.Allocs.median(), t.Bytes.median())
	}
	row(t.Raw, "1")
	for _, lib := range byRatio(t.Libs) {
		row(lib, fmt.Sprintf("%.2f%s", lib.Ratio.median(), spread(lib.Ratio)))
	}
	p("")
}

// byRatio and byShare return a sorted copy, the best first.
func byRatio(t []timing) []timing {
	t = slices.Clone(t)
	slices.SortStableFunc(t, func(a, b timing) int {
		return cmp.Compare(a.Ratio.median(), b.Ratio.median())
	})
	return t
}

func byShare(s []server) []server {
	s = slices.Clone(s)
	slices.SortStableFunc(s[1:], func(a, b server) int {
		return cmp.Compare(b.Share.median(), a.Share.median())
	})
	return s
}

func spread(s series) string {
	if len(s) < 3 {
		return ""
	}
	return fmt.Sprintf(" (%.2f to %.2f)", s.quantile(.25), s.quantile(.75))
}

func bold(name string, yes bool) string {
	if yes {
		return "**" + name + "**"
	}
	return name
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// measuredModules returns the paths of the measured modules.
func measuredModules(r *results) []string {
	var all []string
	for _, lib := range r.FirstSight[fixture.RS256].Libs {
		for _, path := range lib.Lib.Modules {
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
		}
	}
	return append(all, "github.com/gin-gonic/gin", "github.com/labstack/echo/v4",
		"github.com/maypok86/otter/v2", "github.com/hashicorp/golang-lru/v2",
		"github.com/redis/go-redis/v9", "github.com/redis/rueidis")
}
