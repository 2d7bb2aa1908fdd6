package main

import (
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// screen is an output stream with its width. Text for people goes through
// print, JSON is written as it is.
type screen struct {
	io.Writer
	columns int
	color   bool
}

const (
	maxColumns = 100 // longer lines are hard to read
	minColumns = 30
)

// newScreen returns a screen for w. A terminal gets lines of its width, and
// colors unless NO_COLOR is set (https://no-color.org) or it is dumb. A pipe
// gets whole lines, which are easier to search.
func newScreen(w io.Writer) screen {
	s := screen{Writer: w, columns: math.MaxInt}
	if f, ok := w.(*os.File); ok {
		if columns, terminal := terminalColumns(f); terminal {
			if columns == 0 {
				columns = 80 // unknown
			}
			s.columns = max(minColumns, min(columns, maxColumns))
			s.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" &&
				os.Getenv("TERM") != ""
		}
	}
	return s
}

// isTerminal reports whether r is a terminal, where a person types.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, terminal := terminalColumns(f)
	return terminal
}

// Marks around emphasized words. printable removes these characters from the
// text of a token, so that only this program can emphasize.
const (
	markBad   = "\x01"
	markGood  = "\x02"
	markDoubt = "\x03"
	markTitle = "\x04"
	markEnd   = "\x05"
)

var (
	colors = strings.NewReplacer(markBad, "\x1b[1;31m", markGood, "\x1b[1;32m",
		markDoubt, "\x1b[1;33m", markTitle, "\x1b[1m", markEnd, "\x1b[0m")
	noColors = strings.NewReplacer(
		markBad, "", markGood, "", markDoubt, "", markTitle, "", markEnd, "",
	)
)

// print writes text whose lines fit the screen.
func (s screen) print(text string) {
	text = fit(text, s.columns)
	if s.color {
		text = colors.Replace(text)
	} else {
		text = noColors.Replace(text)
	}
	io.WriteString(s, text)
}

// fit breaks long lines at spaces. The rest of a line is indented like the
// line, or like the second of two columns. A shell command continues after a
// backslash, so that it can be copied. A word that is longer than a line stays
// whole.
func fit(text string, columns int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, end := strings.CutSuffix(line, "\n")
		if width(line) <= columns {
			b.WriteString(line)
		} else {
			fitLine(&b, line, columns)
		}
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

var (
	secondColumn = regexp.MustCompile(`^ *\S+( \S+)*  +`)
	shellCommand = regexp.MustCompile(`^  +(parajwt|pbpaste|curl|[A-Z_]+=\S+) `)
)

func fitLine(b *strings.Builder, line string, columns int) {
	start := line[:len(line)-len(strings.TrimLeft(line, " "))]
	hang, tail := start, ""
	switch {
	case shellCommand.MatchString(line):
		hang, tail = start+"  ", ` \`
	default:
		if first := secondColumn.FindString(line); first != "" {
			start, hang = first, strings.Repeat(" ", width(first))
			if width(first) > columns/2 || longest(line[len(first):]) > columns-width(first) {
				// The second column is too narrow: it goes below the first one.
				indent := strings.Repeat(" ", len(first)-len(strings.TrimLeft(first, " "))+2)
				b.WriteString(strings.TrimRight(first, " "))
				if strings.TrimSpace(first) != "" {
					b.WriteByte('\n')
				}
				line, start, hang = indent+line[len(first):], indent, indent
			}
		}
	}
	row := start
	empty := true
	for word := range strings.FieldsSeq(line[len(start):]) {
		if !empty && width(row)+1+width(word)+len(tail) > columns {
			b.WriteString(row + tail + "\n")
			row, empty = hang, true
		}
		if !empty {
			row += " "
		}
		row, empty = row+word, false
	}
	b.WriteString(row)
}

func longest(text string) (columns int) {
	for word := range strings.FieldsSeq(text) {
		columns = max(columns, width(word))
	}
	return columns
}

// width returns the columns that s takes on a terminal: two for East Asian wide
// characters, none for marks and combining characters.
func width(s string) (columns int) {
	for _, r := range s {
		switch {
		case r < ' ', unicode.Is(unicode.Mn, r):
		case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana):
			columns += 2
		default:
			columns++
		}
	}
	return columns
}
