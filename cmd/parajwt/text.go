package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// printable returns a string from a token or a server in a form that is safe on
// a terminal. It quotes and escapes a string that is empty, has an invisible
// character, or has a space at its beginning or end.
func printable(s string) string {
	const most = 500
	cut := ""
	if len(s) > most {
		s, cut = s[:most], fmt.Sprintf("… (%d bytes)", len(s))
	}
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unseen) ||
		!utf8.ValidString(s) {
		return strconv.Quote(s) + cut
	}
	return s + cut
}

func unseen(r rune) bool { return !unicode.IsPrint(r) }

// moment returns a time in the local time zone and in UTC, to the second.
func moment(t time.Time) string { return momentAt(t, time.Local) }

func momentAt(t time.Time, place *time.Location) string {
	const date, clock = "2006-01-02", "15:04:05"
	here, utc := t.In(place), t.UTC()
	if _, offset := here.Zone(); offset == 0 {
		return utc.Format(date + " " + clock + " UTC")
	}
	other := clock
	if here.Format(date) != utc.Format(date) {
		other = date + " " + clock
	}
	return here.Format(date+" "+clock+" MST") + " (" + utc.Format(other) + " UTC)"
}

// about returns a duration in its largest fitting unit, rounded down.
func about(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < 2*time.Minute:
		return count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// since returns the distance of t from now, such as "3 minutes ago".
func since(t, now time.Time) string {
	if d := now.Sub(t); d >= 0 {
		return about(d) + " ago"
	}
	return "in " + about(t.Sub(now))
}

// writeJSON writes one indented object. It escapes characters that a terminal
// could interpret. encoding/json escapes only those in ASCII.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(b.String()))
	return err
}

// escaped escapes invisible characters of JSON. Those outside ASCII occur in
// its strings only.
func escaped(text string) string {
	if !strings.ContainsFunc(text, needsEscape) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !needsEscape(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func needsEscape(r rune) bool { return r >= 0x7f && unseen(r) }

// verdict is the result of a check.
type verdict string

const (
	ok         verdict = "ok"
	refused    verdict = "refused"
	unknown    verdict = "unknown" // the keys are unavailable
	notReached verdict = "not reached"
)

// check is one of the library's checks with its verdict.
type check struct {
	Name    string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Do      string  `json:"do,omitempty"` // what to do
}

// sheet is text in two columns under headings.
type sheet struct {
	strings.Builder
	names int // the width of the first column
}

func (s *sheet) heading(text string) { s.WriteString("\n" + markTitle + text + markEnd + "\n") }

func (s *sheet) line(name, value string) {
	row := fmt.Sprintf("  %-*s  %s", s.names, name, value)
	s.WriteString(strings.TrimRight(row, " ") + "\n")
}

// fact adds a line for a string of the token, unless it is empty.
func (s *sheet) fact(name, value string) {
	if value != "" {
		s.line(name, printable(value))
	}
}

// prose adds text of several lines. A command has a line to itself.
func (s *sheet) prose(name, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "parajwt ") {
			s.WriteString("    " + line + "\n")
		} else {
			s.line(name, line)
		}
		name = ""
	}
}

func (s *sheet) checks(checks []check) {
	for _, c := range checks {
		mark := markBad
		switch c.Verdict {
		case ok, notReached:
			s.line(c.Name, string(c.Verdict))
			continue
		case unknown:
			mark = markDoubt
		}
		s.prose(c.Name, mark+strings.ToUpper(string(c.Verdict))+markEnd+": "+c.Why)
		if c.Do != "" {
			s.prose("", c.Do)
		}
	}
}

// raw adds a decoded part of a token.
func (s *sheet) raw(heading, text string) {
	s.heading(heading)
	var b bytes.Buffer
	const most = 4 << 10
	if len(text) <= most && json.Indent(&b, []byte(text), "  ", "  ") == nil {
		s.WriteString("  " + escaped(b.String()) + "\n")
		return
	}
	s.line("", "not JSON, or too long to show: "+printable(text))
}
