package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
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

// The whole program, with hardly any measuring.
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
			t.Errorf("RESULTS.md has a %s:\n%s", bad, text)
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
