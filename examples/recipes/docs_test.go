package recipes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var pages = []string{"../../docs/recipes.md", "../../docs/migrate.md", "../../llms.txt"}

// goBlock is a Go code block, with the link to its source file on the line
// before it.
var goBlock = regexp.MustCompile("(?s)(?:\\]\\(([^)\n]+\\.go)\\)[^\n]*\n\n)?```go\n(.*?)```")

// TestCodeBlocks checks that each Go code block of the pages is a part of the
// source file that the line before it links to, and that docs/recipes.md and
// docs/migrate.md show every file of this package, from the imports to the end.
func TestCodeBlocks(t *testing.T) {
	shown := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no code block", page)
		}
		for _, block := range blocks {
			begin, _, _ := strings.Cut(block[2], "\n")
			if block[1] == "" {
				t.Errorf("%s: the line before the block that begins with %q links to no Go file",
					page, begin)
				continue
			}
			name := filepath.Join(filepath.Dir(page), block[1])
			source, err := os.ReadFile(name)
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if !contains(string(source), block[2]) {
				t.Errorf("%s: the block that begins with %q differs from %s", page, begin, name)
			}
			if strings.HasSuffix(string(source), "\n\n"+block[2]) &&
				strings.HasPrefix(block[2], "import (") {
				shown[filepath.Base(name)] = true
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") && name != "doc.go" && !shown[name] {
			t.Errorf("no page shows the whole of %s", name)
		}
	}
}

// contains reports whether block is some consecutive lines of source, except
// for the indentation that all of these lines share.
func contains(source, block string) bool {
	want := strings.Split(strings.Trim(block, "\n"), "\n")
	lines := strings.Split(source, "\n")
	for i := 0; i+len(want) <= len(lines); i++ {
		if slices.Equal(dedent(lines[i:i+len(want)]), want) {
			return true
		}
	}
	return false
}

func dedent(lines []string) []string {
	lines = slices.Clone(lines)
	indent := func(s string) bool { return s == "" || s[0] == '\t' }
	for !slices.ContainsFunc(lines, func(s string) bool { return !indent(s) }) &&
		strings.Join(lines, "") != "" {
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], "\t")
		}
	}
	return lines
}

// TestLinks checks that the files and headings which the documentation links to
// exist.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]+)?\)`)
	code := regexp.MustCompile("(?s)```.*?```")
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped := regexp.MustCompile(`[^\pL\pN_ -]`)
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return code.ReplaceAllString(string(text), "")
	}
	// anchors returns the anchors that GitHub makes of the headings of a page.
	anchors := func(name string) (all []string) {
		for _, h := range heading.FindAllStringSubmatch(read(name), -1) {
			h := dropped.ReplaceAllString(strings.ToLower(h[1]), "")
			all = append(all, "#"+strings.ReplaceAll(h, " ", "-"))
		}
		return all
	}
	pages := []string{"../../llms.txt"}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/gateway/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		pages = append(pages, names...)
	}
	for _, page := range pages {
		for _, target := range link.FindAllStringSubmatch(read(page), -1) {
			if strings.HasPrefix(target[1], "https://") {
				continue
			}
			name := page
			if target[1] != "" {
				name = filepath.Join(filepath.Dir(page), target[1])
			}
			if _, err := os.Stat(name); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if target[2] != "" && !slices.Contains(anchors(name), target[2]) {
				t.Errorf("%s: %s has no heading %s", page, name, target[2])
			}
		}
	}
}

func TestContains(t *testing.T) {
	const source = "func f() {\n\tif x {\n\n\t\ty()\n\t}\n}\n"
	for block, want := range map[string]bool{
		"func f() {\n\tif x {\n": true,
		"if x {\n\n\ty()\n}\n":   true,
		"if x {\n\n\tz()\n}\n":   false,
		"if x {\n\ty()\n}\n":     false,
		"if x {\n\n\t\ty()\n}\n": false,
		"y()":                    true,
		"()":                     false,
	} {
		if got := contains(source, block); got != want {
			t.Errorf("%q: %v", block, got)
		}
	}
}
