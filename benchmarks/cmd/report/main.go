// Command report runs all benchmarks and writes RESULTS.md and results.svg. It
// interleaves the benchmarks over several passes, so that slow phases of the
// machine affect all of them.
//
//	go run ./cmd/report                 # about eleven minutes on two cores
//	go run ./cmd/report -quick          # less than a minute, less precise
//	go run ./cmd/report -quick -print   # prints the targets; writes no file
//
// It fails if something is broken, such as a valid token that is refused. It
// does not fail if a target is missed, because times depend on the load of the
// machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/e2e"
	"github.com/parajwt/parajwt/benchmarks/internal/suite"
)

// plan is the extent of a run.
type plan struct {
	quick    bool
	passes   int
	rowTime  time.Duration // of one row in one pass
	loadTime time.Duration // of one server in one pass
	traffic  suite.Traffic
	fleet    bool // also run integration/revocation
}

func main() {
	e2e.ServeIfAsked() // this program also runs the measured servers

	quick := flag.Bool("quick", false,
		"run for less than a minute: shorter passes, no parallel callers,\nless Zipf traffic")
	printOnly := flag.Bool("print", false,
		"print the targets and the measured figures; write no file")
	passes := flag.Int("passes", 0, "number of passes (default 10; quick 12)")
	rowTime := flag.Duration("time", 0,
		"duration of each row in a pass (default 250ms; quick 10ms)")
	loadTime := flag.Duration("load", 0,
		"duration of the load on each server in a pass (default 500ms; quick 60ms)")
	out := flag.String("out", ".", "directory for RESULTS.md and results.svg")
	flag.Parse()

	p := plan{
		passes: 10, rowTime: 250 * time.Millisecond, loadTime: 500 * time.Millisecond,
		traffic: suite.Traffic{Tokens: 1_000_000, Requests: 2_000_000, Capacity: 100_000,
			Skew: 1.01},
		fleet: true,
	}
	if *quick {
		p = plan{
			quick: true, passes: 12, rowTime: 10 * time.Millisecond,
			loadTime: 60 * time.Millisecond,
			traffic:  suite.Traffic{Tokens: 20_000, Requests: 40_000, Capacity: 2_000, Skew: 1.01},
		}
	}
	if *passes > 0 {
		p.passes = *passes
	}
	if *rowTime > 0 {
		p.rowTime = *rowTime
	}
	if *loadTime > 0 {
		p.loadTime = *loadTime
	}

	if err := run(p, *printOnly, *out); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(p plan, printOnly bool, out string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, start := thisMachine(), cpuTicks()
	time.Sleep(700 * time.Millisecond)
	if m.Others = othersSince(start); m.busy() {
		fmt.Fprintln(os.Stderr, "The machine is busy: do not publish these figures.")
	}
	r, err := measureAll(ctx, p)
	if err != nil {
		return err
	}
	m.Others = othersSince(start)
	r.Machine = m
	if printOnly {
		fmt.Print(targetText(r))
		return nil
	}
	for name, text := range map[string]string{"RESULTS.md": markdown(r), "results.svg": chart(r)} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	fmt.Print(targetText(r))
	return nil
}
