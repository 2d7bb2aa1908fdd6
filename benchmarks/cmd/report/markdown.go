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

// markdown is RESULTS.md.
func markdown(r *results) string {
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	mode := "full"
	if r.Plan.quick {
		mode = "quick"
	}

	p("# Results")
	p("")
	p("Written by `go run ./cmd/report` in this folder; do not edit. [README.md](README.md) says what is measured, and how.")
	p("Compare ratios, not times: machines differ.")
	p("")
	if r.Machine.busy() {
		p("**%s. Do not quote this.**", r.Machine.others())
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
	p("| other work | %s |", r.Machine.others())
	p("| Go | %s |", r.Machine.Go)
	p("| run | %s: %d passes, %v for each row and %v for each server in each pass; %v in all |", mode, r.Plan.passes, r.Plan.rowTime, r.Plan.loadTime, r.Took.Round(time.Second))
	p("")

	p("## Figures this project reaches for")
	p("")
	p("Times in this table are this machine's.")
	p("")
	p("| | reach | here | |")
	p("| --- | --- | --- | --- |")
	for _, f := range reaches(r) {
		met := "met"
		if !f.Met {
			met = "missed"
		}
		p("| %s | %s | %s | %s |", f.What, f.Limit, f.Here, met)
	}
	p("")

	p("## First sight of a token")
	p("")
	p("Signature, `exp`, `aud` and typed claims of a token that has not been seen before. Each ratio is to raw crypto measured just")
	p("before and just after; it is the median over the passes, with the middle half of them in brackets.")
	p("")
	for _, alg := range algorithms {
		firstSight(p, alg+", one caller", r.FirstSight[alg])
	}
	if !r.Plan.quick {
		for _, alg := range algorithms {
			firstSight(p, fmt.Sprintf("%s, %d callers at once", alg, r.Machine.Cores), r.Parallel[alg])
		}
	}

	raw := r.FirstSight[fixture.RS256].Raw.Ns.median()
	p("## Repeat token")
	p("")
	p("%d tokens in turn, all seen before. The first row is our whole `Validate`: look-up, `exp` against the clock, and whether the", suite.Live)
	p("key is still in the set. The second row adds `Config.Observe`. The others are what general-purpose caches cost for a look-up and the clock.")
	p("")
	p("| | ns | of raw RS256 | ns with %d callers | allocations |", r.Machine.Cores)
	p("| --- | ---: | ---: | ---: | ---: |")
	repeat := func(one, many timing, name string) {
		p("| %s | %.0f | %.4f | %.0f | %.0f |", name, one.Ns.median(), one.Ns.median()/raw, many.Ns.median(), one.Allocs.median())
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
	p("%s requests for %s tokens whose popularity follows Zipf's law (exponent %.2f), with room for %s of them; counted in the second half.", thousands(z.Requests), thousands(z.Tokens), z.Skew, thousands(z.Capacity))
	p("")
	p("| | hits |")
	p("| --- | ---: |")
	p("| **parajwt** | %.3f |", z.Ours)
	p("| otter v2 | %.3f |", z.Otter)
	p("| golang-lru v2 | %.3f |", z.LRU)
	p("| the most popular tokens, always kept | %.3f |", z.Best)
	p("")

	r.Revocations.markdown(p, r.Machine.Cores)

	p("## Refusals that need no cryptography")
	p("")
	p("| | µs | of raw RS256 | allocations |")
	p("| --- | ---: | ---: | ---: |")
	for _, t := range r.Refusals {
		p("| %s | %.2f | %.3f | %.0f |", t.Name, t.Ns.median()/1000, t.Ns.median()/raw, t.Allocs.median())
	}
	p("")

	p("## In a flood")
	p("")
	p("How long one caller waits for a valid RS256 token that is new, while %s tokens a minute with unknown key IDs come in,", thousands(suite.FloodPerMinute))
	p("each in a goroutine of its own; and the same while Para's server accepts connections and does not answer.")
	p("")
	p("| | 99th percentile, µs | of before |")
	p("| --- | ---: | ---: |")
	p("| nothing else comes | %.1f | 1 |", r.Flood.Quiet.median()/1000)
	p("| flood | %.1f | %.2f%s |", r.Flood.Flooded.median()/1000, r.Flood.FloodedRatio.median(), spread(r.Flood.FloodedRatio))
	p("| flood, and Para hangs | %.1f | %.2f%s |", r.Flood.Hanging.median()/1000, r.Flood.HangingRatio.median(), spread(r.Flood.HangingRatio))
	p("")

	p("## Routers")
	p("")
	p("One route with a handler that asks for the user, repeat tokens, a `ResponseWriter` that keeps nothing. Above the validator = guarded - bare - validator.")
	p("gRPC is a unary call of the interceptor, without a connection, with the metadata of grpc-go's client.")
	p("")
	p("| | bare, ns | guarded, ns | above the validator, ns | allocations |")
	p("| --- | ---: | ---: | ---: | ---: |")
	for _, t := range r.Routers {
		p("| %s | %.0f | %.0f | %.0f | %.0f |", t.Name, t.Bare.Ns.median(), t.Guarded.Ns.median(), t.Above.median(), t.AboveAllocs.median())
	}
	p("")

	p("## End to end")
	p("")
	p("net/http over loopback: the server in a process of its own, %d keep-alive connections, %d RS256 tokens in turn. Client and", connections, connectedTokens)
	p("server share the cores. Share = of the requests/s of the bare handler just before and just after. parajwt stands here twice:")
	p("with its cache of verified tokens, as it comes, and without. The others have no such cache.")
	p("")
	p("| | share of bare | requests/s | server CPU per request, µs |")
	p("| --- | ---: | ---: | ---: |")
	for _, s := range byShare(r.Servers) {
		cpu := "-"
		if c := s.CPUSeconds.median(); c > 0 {
			cpu = fmt.Sprintf("%.1f", c*1e6)
		}
		p("| %s | %.2f%s | %.0f | %s |", bold(s.Name, s.Lib.Ours), s.Share.median(), spread(s.Share), s.PerSecond.median(), cpu)
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
	p("| | of raw crypto | µs | allocations | bytes |")
	p("| --- | ---: | ---: | ---: | ---: |")
	row := func(t timing, ratio string) {
		p("| %s | %s | %.1f | %.0f | %.0f |", bold(t.Name, t.Lib.Ours), ratio, t.Ns.median()/1000, t.Allocs.median(), t.Bytes.median())
	}
	row(t.Raw, "1")
	for _, lib := range byRatio(t.Libs) {
		row(lib, fmt.Sprintf("%.2f%s", lib.Ratio.median(), spread(lib.Ratio)))
	}
	p("")
}

// byRatio and byShare sort the best first, for tables and charts.
func byRatio(t []timing) []timing {
	t = slices.Clone(t)
	slices.SortStableFunc(t, func(a, b timing) int { return cmp.Compare(a.Ratio.median(), b.Ratio.median()) })
	return t
}

func byShare(s []server) []server {
	s = slices.Clone(s)
	slices.SortStableFunc(s[1:], func(a, b server) int { return cmp.Compare(b.Share.median(), a.Share.median()) })
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

// measuredModules returns the modules that the figures are of.
func measuredModules(r *results) []string {
	var all []string
	for _, lib := range r.FirstSight[fixture.RS256].Libs {
		for _, path := range lib.Lib.Modules {
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
		}
	}
	return append(all, "github.com/gin-gonic/gin", "github.com/labstack/echo/v4", "github.com/maypok86/otter/v2", "github.com/hashicorp/golang-lru/v2",
		"github.com/redis/go-redis/v9", "github.com/redis/rueidis")
}
