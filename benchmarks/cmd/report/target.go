package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// target is a measured figure and its limit. Limit and Verdict are "" if the
// figure has no target.
type target struct {
	What, Limit, Here string
	Verdict           string // "met" or "missed"
}

// targets compares the results with the targets. Ratios are to raw crypto in
// the same run. The limits in ns and µs are for two cores of an AMD EPYC.
func targets(r *results) []target {
	var all []target
	// Compare the printed figure, so that a printed 1.06 meets a limit of 1.06.
	printed := func(format string, v float64) (text string, rounded float64) {
		text = fmt.Sprintf(format, v)
		fmt.Sscanf(text, "%f", &rounded)
		return text, rounded
	}
	verdict := map[bool]string{true: "met", false: "missed"}
	most := func(what, format string, here, limit float64) {
		text, rounded := printed(format, here)
		all = append(all,
			target{what, "≤ " + fmt.Sprintf(format, limit), text, verdict[rounded <= limit]})
	}
	least := func(what, format string, here, limit float64) {
		text, rounded := printed(format, here)
		all = append(all,
			target{what, "≥ " + fmt.Sprintf(format, limit), text, verdict[rounded >= limit]})
	}

	for _, f := range []struct {
		alg           string
		ratio, allocs float64
	}{{fixture.RS256, 1.08, 14}, {fixture.ES256, 1.05, 26}} {
		ours := r.FirstSight[f.alg].Libs[0]
		most("new token, "+f.alg+", relative to raw crypto", "%.2f", ours.Ratio.median(), f.ratio)
		most("new token, "+f.alg+", allocations", "%.0f", ours.Allocs.median(), f.allocs)
	}
	most("repeat token, including exp", "%.0f ns", r.Repeat.Ns.median(), 200)
	most("repeat token, allocations", "%.0f", r.Repeat.Allocs.median(), 0)
	most("Observe with OpenTelemetry", "%.0f ns", r.Observed.Ns.median()-r.Repeat.Ns.median(), 300)
	most("Observe with OpenTelemetry, allocations", "%.0f",
		r.Observed.Allocs.median()-r.Repeat.Allocs.median(), 0)
	// The times are those from before each request had its own copy of the user,
	// 219, 200 and 262 ns, plus 150 ns for the copy. Other routers have no
	// target.
	limits := map[string]struct{ ns, allocs float64 }{
		"net/http": {370, 2}, "Gin": {350, 2}, "Echo": {412, 3},
	}
	for _, router := range r.Routers {
		time := router.Name + " above the validator"
		allocs := time + ", allocations"
		if limit, ok := limits[router.Name]; ok {
			most(time, "%.0f ns", router.Above.median(), limit.ns)
			most(allocs, "%.0f", router.AboveAllocs.median(), limit.allocs)
			continue
		}
		all = append(all,
			target{What: time, Here: fmt.Sprintf("%.0f ns", router.Above.median())},
			target{What: allocs, Here: fmt.Sprintf("%.0f", router.AboveAllocs.median())})
	}
	r.Revocations.targets(most)
	for _, refusal := range r.Refusals {
		most("refusal, "+refusal.Name, "%.2f µs", refusal.Ns.median()/1000, 1.5)
	}
	most("99th percentile in a flood of unknown kids, relative to no flood", "%.2f",
		r.Flood.FloodedRatio.median(), 2)
	most("the same, while Para does not answer", "%.2f", r.Flood.HangingRatio.median(), 2)
	everyNew := r.server("parajwt, every token new")
	least("end to end, repeat tokens, relative to the bare handler", "%.0f %%",
		100*r.server("parajwt, repeat tokens").Share.median(), 95)
	least("end to end, every token new, relative to jwx/v2", "%.1f",
		everyNew.Share.median()/r.server("jwx/v2").Share.median(), 2)
	least("end to end, every token new, relative to Auth0 v3", "%.1f",
		everyNew.Share.median()/r.server("auth0/go-jwt-middleware v3").Share.median(), 2.4)
	return all
}

// server returns the server whose name starts with name.
func (r *results) server(name string) server {
	i := slices.IndexFunc(r.Servers, func(s server) bool { return strings.HasPrefix(s.Name, name) })
	return r.Servers[i]
}

// targetText formats the targets and the measured figures for a terminal.
func targetText(r *results) string {
	var text strings.Builder
	if r.Machine.busy() {
		fmt.Fprintf(&text, "%s. Times are too long, and ratios are imprecise.\n",
			r.Machine.others())
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, f := range targets(r) {
		limit, missed := "no target", ""
		if f.Limit != "" {
			limit = "target " + f.Limit
		}
		if f.Verdict == "missed" {
			missed = f.Verdict
		}
		fmt.Fprintf(table, "%s\t%s\tmeasured %s\t%s\n", f.What, limit, f.Here, missed)
	}
	table.Flush()
	fmt.Fprintln(&text, "\ntime relative to raw crypto, every token new:")
	table = tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for i, lib := range r.FirstSight[fixture.RS256].Libs {
		fmt.Fprintf(table, "%s\tRS256 %.2f\tES256 %.2f\n", lib.Name, lib.Ratio.median(),
			r.FirstSight[fixture.ES256].Libs[i].Ratio.median())
	}
	table.Flush()
	return text.String()
}
