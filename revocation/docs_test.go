package revocation_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/fleet.md quotes log lines word for word, so that operators can alert on
// them.
func TestDocumentedLogLinesExist(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	source := regexp.MustCompile(`"\s*\+\s*"`).
		ReplaceAllString(read("read.go")+read("write.go"), "")
	rows := regexp.MustCompile("(?m)^\\| (?:WARN|INFO) \\| `revocation: ([^`]*)` \\|").
		FindAllStringSubmatch(read("../docs/fleet.md"), -1)
	if len(rows) != 8 {
		t.Errorf("%d lines, want 8", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(source, row[1]+`"`) {
			t.Errorf("no such line: %s", row[1])
		}
	}
}
