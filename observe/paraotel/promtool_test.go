//go:build promtool

package paraotel_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// Prometheus accepts the alert rules of docs/observe.md. No rule fires for a
// server without faults, and every rule fires for its fault. The test needs
// promtool (Debian: apt-get install prometheus).
func TestPrometheusEvaluatesTheAlertRules(t *testing.T) {
	dir := t.TempDir()
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page(t))
	if block == nil {
		t.Fatal("the page has no rules")
	}
	cases, err := os.ReadFile("testdata/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{
		"rules.yaml": []byte(block[1]), "alerts_test.yaml": cases,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "rules.yaml"}, {"test", "rules", "alerts_test.yaml"},
	} {
		command := exec.CommandContext(t.Context(), "promtool", args...)
		command.Dir = dir
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, output)
		}
	}
}
