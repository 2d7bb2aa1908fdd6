package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/suite"
)

// revocations holds the costs of a check of revoked users.
type revocations struct {
	Rows    []added
	Missing string // why rows or figures are missing, or ""
	Spread  []propagation
	Million []million
}

// added holds nanoseconds and allocations above the same validator without the
// check, measured just before and just after.
type added struct {
	Name              string
	Lists             bool // a revocation.List
	One, Many, Allocs series
}

// propagation is the time until the last of some servers has a revocation.
type propagation struct {
	Store    string
	Servers  int
	P50, P99 time.Duration
}

// million holds the figures of a list of 1,000,000 entries.
type million struct {
	Store  string
	MB     float64 // in the store; 0 if unknown
	Read   time.Duration
	HeapMB float64 // MiB
}

// listSizes are the numbers of entries of the measured lists.
var listSizes = []int{0, 1000, 1_000_000}

// revocations measures after the passes, because a list of 1,000,000 entries
// changes the pace of the garbage collector for the other rows.
func (b *bench) revocations() (err error) {
	rows, stop, err := b.suite.Revocations(listSizes...)
	if errors.Is(err, suite.ErrNoRedis) {
		b.r.Revocations.Missing = err.Error()
	} else if err != nil {
		return err
	}
	defer stop()
	all := make([]added, len(rows))
	for i, row := range rows {
		if err := row.Check(); err != nil {
			return err
		}
		all[i] = added{Name: row.Name, Lists: i < len(listSizes)}
		if all[i].Lists {
			all[i].Name = fmt.Sprintf("list of %s entries", thousands(listSizes[i]))
		}
	}
	difference := func(name string, with, without func(*testing.B)) (ns, allocs float64,
		err error) {
		t := timing{Name: name}
		for _, body := range []func(*testing.B){without, with, without} {
			if err := t.add(body); err != nil {
				return 0, 0, err
			}
		}
		return t.Ns[1] - (t.Ns[0]+t.Ns[2])/2, t.Allocs[1] - t.Allocs[0], nil
	}
	for range b.r.Plan.passes {
		for _, i := range rand.Perm(len(rows)) {
			one, allocs, err := difference(all[i].Name, rows[i].Serial, b.repeat.Serial)
			if err != nil {
				return err
			}
			many, _, err := difference(all[i].Name, rows[i].Parallel, b.repeat.Parallel)
			if err != nil {
				return err
			}
			a := &all[i]
			a.One, a.Many, a.Allocs = append(a.One, one), append(a.Many, many),
				append(a.Allocs, allocs)
		}
	}
	b.r.Revocations.Rows = all
	return nil
}

// fleet runs the measurements of integration/revocation on real servers.
func (r *revocations) fleet() error {
	_, noRedis := exec.LookPath("redis-server")
	_, noPostgres := exec.LookPath("initdb")
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		noPostgres = nil
	}
	if noRedis != nil || noPostgres != nil {
		r.Missing = "redis-server and postgresql are not both installed"
		return nil
	}
	cmd := exec.Command("go", "test", "-count=1", "-tags", "servers", "-timeout", "20m",
		"-run", "^(TestPropagation|TestMillion)$", "-v", "./revocation")
	cmd.Dir = "../integration"
	cmd.Env = append(os.Environ(), "PARAJWT_FAULTS=long")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("integration/revocation: %w\n%s", err, out)
	}
	return r.parse(string(out))
}

var (
	spreadLine = regexp.MustCompile(
		`RESULT (.+): the last of (\d+) servers refuses the user after p50 (\S+), p99 (\S+)`)
	millionLine = regexp.MustCompile(
		`RESULT (.+): 1,000,000 entries written in \S+, (\S+)(?: MB)? in the store, ` +
			`read in (\S+), heap (\S+) MiB`)
)

// parse parses the RESULT lines that integration/revocation prints.
func (r *revocations) parse(out string) error {
	var errs []error
	duration := func(s string) time.Duration {
		d, err := time.ParseDuration(s)
		errs = append(errs, err)
		return d
	}
	number := func(s string) float64 {
		n, err := strconv.ParseFloat(s, 64)
		errs = append(errs, err)
		return n
	}
	for line := range strings.Lines(out) {
		if m := spreadLine.FindStringSubmatch(line); m != nil {
			r.Spread = append(r.Spread,
				propagation{m[1], int(number(m[2])), duration(m[3]), duration(m[4])})
		}
		if m := millionLine.FindStringSubmatch(line); m != nil {
			found := million{Store: m[1], Read: duration(m[3]), HeapMB: number(m[4])}
			if m[2] != "-" {
				found.MB = number(m[2])
			}
			r.Million = append(r.Million, found)
		}
	}
	if len(r.Spread) == 0 || len(r.Million) == 0 {
		errs = append(errs, errors.New("integration/revocation printed no RESULT lines"))
	}
	return errors.Join(errs...)
}

// markdown writes the section of RESULTS.md.
func (r revocations) markdown(p func(string, ...any), cores int) {
	p("## Revocation")
	p("")
	p("The time that `Config.Revoked` adds to a repeat token. " +
		"The same validator without it is measured just before and just after.")
	p("No user is revoked. The two Redis clients query a server on loopback.")
	p("")
	p("| | ns | ns with %d callers | allocations |", cores)
	p("| --- | ---: | ---: | ---: |")
	for _, row := range r.Rows {
		p("| %s | %+.0f | %+.0f | %.0f |", bold(row.Name, row.Lists), row.One.median(),
			row.Many.median(), row.Allocs.median())
	}
	p("")
	if r.Missing != "" {
		p("Some rows are missing: %s.", r.Missing)
		p("")
	}
	if len(r.Spread) > 0 {
		p("The time from the call of `RevokeUser` on one server until the last of the others " +
			"refuses the user, with real stores on loopback.")
		p("")
		p("| | servers | p50, ms | p99, ms |")
		p("| --- | ---: | ---: | ---: |")
		for _, s := range r.Spread {
			p("| %s | %d | %.2f | %.2f |", s.Store, s.Servers, ms(s.P50), ms(s.P99))
		}
		p("")
	}
	if len(r.Million) > 0 {
		p("A list of 1,000,000 entries.")
		p("")
		p("| | in the store, MB | read, s | heap, MiB |")
		p("| --- | ---: | ---: | ---: |")
		for _, m := range r.Million {
			memory := "-"
			if m.MB > 0 {
				memory = fmt.Sprintf("%.1f", m.MB)
			}
			p("| %s | %s | %.2f | %.1f |", m.Store, memory, m.Read.Seconds(), m.HeapMB)
		}
		p("")
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// targets adds the targets of revocations.
func (r revocations) targets(most func(what, format string, here, limit float64)) {
	for _, row := range r.Rows {
		if row.Lists {
			most("revocation check, "+row.Name, "%.0f ns", row.One.median(), 25)
			most("the same, all cores", "%.0f ns", row.Many.median(), 25)
			most("the same, allocations", "%.0f", row.Allocs.median(), 0)
		}
	}
	limits := map[string]float64{"Redis": 10, "PostgreSQL with NOTIFY": 50, "PostgreSQL": 1000}
	for _, s := range r.Spread {
		most(fmt.Sprintf("a revocation reaches the last of %d, %s, p99", s.Servers, s.Store),
			"%.1f ms", ms(s.P99), limits[s.Store])
	}
	for _, m := range r.Million {
		if m.MB > 0 {
			most("1,000,000 revocations in "+m.Store, "%.1f MB", m.MB, 80)
		}
		most("1,000,000 revocations read from "+m.Store, "%.2f s", m.Read.Seconds(), 3)
		most("the same, heap", "%.1f MiB", m.HeapMB, 64)
	}
}

// panel returns the panel of results.svg.
func (r revocations) panel() panel {
	chart := panel{
		title: "Revocation: time that the check adds to a repeat token",
		subtitle: "nanoseconds and allocations for each request; shorter is better. " +
			"parajwt reads a local list, the others query Redis",
	}
	for _, row := range r.Rows {
		ns := row.One.median()
		name := row.Name
		if row.Lists {
			name = "parajwt, " + strings.TrimPrefix(name, "list of ")
		}
		chart.bars = append(chart.bars, bar{
			name:   name,
			value:  fmt.Sprintf("%s ns, %.0f allocs", thousands(int(ns)), row.Allocs.median()),
			length: max(ns, 1), ours: row.Lists,
		})
	}
	return chart
}
