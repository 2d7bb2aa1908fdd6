// Command report measures everything, interleaved over several passes so that drift of the machine
// cancels out, and writes RESULTS.md and results.svg.
//
//	go run ./cmd/report                 # about ten minutes on two cores
//	go run ./cmd/report -quick          # under a minute, rougher
//	go run ./cmd/report -quick -print   # the figures this project reaches for, on the terminal; writes nothing
//
// It fails when something is broken, such as a good token that is refused, and never because a figure is
// missed: time depends on what else the machine does.
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

// plan is how much is measured.
type plan struct {
	quick    bool
	passes   int
	rowTime  time.Duration // of one row in one pass
	loadTime time.Duration // of one server in one pass
	traffic  suite.Traffic
	fleet    bool // run integration/revocation, too
}

func main() {
	e2e.ServeIfAsked() // this program is also its own servers

	quick := flag.Bool("quick", false, "under a minute: shorter passes, nothing in parallel, less Zipf traffic")
	printOnly := flag.Bool("print", false, "print the figures reached for, and write no files")
	passes := flag.Int("passes", 0, "how many passes (default 10; quick 12)")
	rowTime := flag.Duration("time", 0, "how long each row is measured in a pass (default 250ms; quick 10ms)")
	loadTime := flag.Duration("load", 0, "how long each server is loaded in a pass (default 500ms; quick 60ms)")
	out := flag.String("out", ".", "the folder for RESULTS.md and results.svg")
	flag.Parse()

	p := plan{
		passes: 10, rowTime: 250 * time.Millisecond, loadTime: 500 * time.Millisecond,
		traffic: suite.Traffic{Tokens: 1_000_000, Requests: 2_000_000, Capacity: 100_000, Skew: 1.01},
		fleet:   true,
	}
	if *quick {
		p = plan{
			quick: true, passes: 12, rowTime: 10 * time.Millisecond, loadTime: 60 * time.Millisecond,
			traffic: suite.Traffic{Tokens: 20_000, Requests: 40_000, Capacity: 2_000, Skew: 1.01},
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
		fmt.Fprintln(os.Stderr, "report: broken:", err)
		os.Exit(1)
	}
}

func run(p plan, printOnly bool, out string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, start := thisMachine(), cpuTicks()
	time.Sleep(700 * time.Millisecond)
	if m.Others = othersSince(start); m.busy() {
		fmt.Fprintln(os.Stderr, "The machine is busy: do not publish what follows.")
	}
	r, err := measureAll(ctx, p)
	if err != nil {
		return err
	}
	m.Others = othersSince(start)
	r.Machine = m
	if printOnly {
		fmt.Print(reachText(r))
		return nil
	}
	for name, text := range map[string]string{"RESULTS.md": markdown(r), "results.svg": chart(r)} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	fmt.Print(reachText(r))
	return nil
}
