package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// sheet writes findings in two columns under headings.
type sheet struct {
	w     io.Writer
	names int // the width of the first column
}

func (s sheet) heading(text string) { fmt.Fprintf(s.w, "\n%s\n", text) }

func (s sheet) line(name, value string) {
	fmt.Fprintln(s.w, strings.TrimRight(fmt.Sprintf("  %-*s  %s", s.names, name, value), " "))
}

// fact is line for what a token says, which is left out where it says nothing.
func (s sheet) fact(name, value string) {
	if value != "" {
		s.line(name, printable(value))
	}
}

// prose is line for sentences. A command begins a line of its own, and is not broken.
func (s sheet) prose(name, text string) {
	const columns = 100
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "parajwt ") {
			s.line(name, "  "+line)
			name = ""
			continue
		}
		row := ""
		for word := range strings.FieldsSeq(line) {
			if row != "" && s.names+4+utf8.RuneCountInString(row)+1+utf8.RuneCountInString(word) > columns {
				s.line(name, row)
				name, row = "", ""
			}
			if row != "" {
				row += " "
			}
			row += word
		}
		s.line(name, row)
		name = ""
	}
}

func (s sheet) checks(checks []check) {
	for _, c := range checks {
		switch c.Verdict {
		case ok, notReached:
			s.line(c.Name, string(c.Verdict))
			continue
		}
		s.prose(c.Name, strings.ToUpper(string(c.Verdict))+": "+c.Why)
		if c.Do != "" {
			s.prose("", c.Do)
		}
	}
}

// raw shows a text of the token's in full, safely.
func (s sheet) raw(heading, text string) {
	s.heading(heading)
	var b bytes.Buffer
	const most = 4 << 10
	if len(text) <= most && json.Indent(&b, []byte(text), "  ", "  ") == nil {
		fmt.Fprintf(s.w, "  %s\n", escaped(b.String()))
		return
	}
	s.line("", "not JSON, or too long to show: "+printable(text))
}
