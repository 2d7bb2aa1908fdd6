package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/benchmarks/internal/e2e"
	"github.com/parajwt/parajwt/benchmarks/internal/suite"
)

func TestMain(m *testing.M) {
	e2e.ServeIfAsked()
	os.Exit(m.Run())
}

// TestRun runs the whole program with very short measurements.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	err := run(plan{
		passes: 1, rowTime: time.Millisecond, loadTime: 5 * time.Millisecond,
		traffic: suite.Traffic{Tokens: 200, Requests: 400, Capacity: 20, Skew: 1.01},
	}, false, dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("RESULTS.md contains %s:\n%s", bad, text)
		}
	}
	for _, row := range []string{
		`net/http above the validator \| ≤ 370 ns \| -?\d+ ns \| (met|missed) \|`,
		`gRPC above the validator \|  \| -?\d+ ns \|  \|`, // no target
	} {
		if !regexp.MustCompile(row).Match(text) {
			t.Errorf("RESULTS.md has no row %s:\n%s", row, text)
		}
	}
	svg, err := os.Open(filepath.Join(dir, "results.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	for d := xml.NewDecoder(svg); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal("results.svg:", err)
		}
	}
}

// The lines are from integration/revocation.
func TestParse(t *testing.T) {
	var r revocations
	err := r.parse(`=== RUN   TestPropagation/Redis_50
    faults_test.go:387: RESULT Redis: the last of 50 servers refuses the user after p50 4.18ms, p99 10.27ms
    faults_test.go:387: RESULT PostgreSQL with NOTIFY: the last of 1 servers refuses the user after p50 900µs, p99 2.7ms
    scale_test.go:99: RESULT Redis: 1,000,000 entries written in 13.004s, 62.8 MB in the store, read in 2.071s, heap 44.1 MiB
    scale_test.go:99: RESULT PostgreSQL: 1,000,000 entries written in 13.004s, - in the store, read in 2.719s, heap 44.1 MiB
`)
	if err != nil {
		t.Fatal(err)
	}
	spread := []propagation{
		{"Redis", 50, 4180 * time.Microsecond, 10270 * time.Microsecond},
		{"PostgreSQL with NOTIFY", 1, 900 * time.Microsecond, 2700 * time.Microsecond},
	}
	lists := []million{
		{"Redis", 62.8, 2071 * time.Millisecond, 44.1},
		{"PostgreSQL", 0, 2719 * time.Millisecond, 44.1},
	}
	if !slices.Equal(r.Spread, spread) || !slices.Equal(r.Million, lists) {
		t.Errorf("got %+v", r)
	}
	if err := new(revocations).parse("PASS\n"); err == nil {
		t.Error("no error for output without RESULT lines")
	}
}

func TestQuantile(t *testing.T) {
	s := series{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, .25: 1.75, .5: 2.5, .75: 3.25, 1: 4} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
	if got := (series{7}).median(); got != 7 {
		t.Errorf("median of one: %v", got)
	}
}
