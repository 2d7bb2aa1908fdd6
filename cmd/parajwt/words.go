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

// printable returns what a token or a server says in a form that is safe on a terminal: in quotes, with
// escapes, where it holds anything but visible characters and spaces.
func printable(s string) string {
	const most = 500
	cut := ""
	if len(s) > most {
		s, cut = s[:most], fmt.Sprintf("… (%d bytes)", len(s))
	}
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unseen) || !utf8.ValidString(s) {
		return strconv.Quote(s) + cut
	}
	return s + cut
}

func unseen(r rune) bool { return !unicode.IsPrint(r) }

// moment writes a time as it is here and in UTC, to the second.
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

// about writes a duration in its largest fitting unit, rounded down.
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

// since tells where a time lies, seen from now.
func since(t, now time.Time) string {
	if d := now.Sub(t); d >= 0 {
		return about(d) + " ago"
	}
	return "in " + about(t.Sub(now))
}

// writeJSON writes one object, indented. Characters that a terminal might obey rather than show are
// escaped: encoding/json leaves those above ASCII as they are.
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

// escaped escapes in JSON what cannot be seen; outside ASCII, that is within strings only.
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
