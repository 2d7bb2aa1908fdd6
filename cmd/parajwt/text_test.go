package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, ünïcode 字":    "plain text, ünïcode 字",
		"":                         `""`,
		" x":                       `" x"`,
		"a\nb":                     `"a\nb"`,
		"\x1b[2Jx":                 `"\x1b[2Jx"`,
		"\u009b2J":                 `"\u009b2J"`, // the same in one character
		"pay\u202efdp":             `"pay\u202efdp"`,
		"\xff":                     `"\xff"`,
		strings.Repeat("x", 1000):  strings.Repeat("x", 500) + "… (1000 bytes)",
		"c\u00a0d":                 `"c\u00a0d"`,
		"zero\u200bwidth":          `"zero\u200bwidth"`,
		"e-mail+tag@example.com":   "e-mail+tag@example.com",
		`C:\path "quoted"`:         `C:\path "quoted"`,
		"\U000e0041tag characters": `"\U000e0041tag characters"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestJSONHasNoCharactersThatATerminalObeys(t *testing.T) {
	for _, text := range []string{"plain ü 字", "\u009b2J", "\x1b[2J", "\u202e", "\x7f",
		"\U000e0041", "\u2028", "<&>"} {
		var b bytes.Buffer
		if err := writeJSON(&b, map[string]string{"x": text}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(b.String(), "\n", ""), unseen) {
			t.Errorf("%q is printed as %q", text, b.String())
		}
		var back map[string]string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["x"] != text {
			t.Errorf("%q is decoded as %q, %v", text, back["x"], err)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0:                       "0 seconds ago",
		-time.Second:            "1 second ago",
		-119 * time.Second:      "119 seconds ago",
		-200 * time.Second:      "3 minutes ago",
		30 * time.Minute:        "in 30 minutes",
		90 * time.Minute:        "in 90 minutes",
		-47 * time.Hour:         "47 hours ago",
		30 * 24 * time.Hour:     "in 30 days",
		1500 * time.Millisecond: "in 1 second",
	} {
		if got := since(now.Add(d), now); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}

	for zone, want := range map[*time.Location]string{
		time.UTC:                             "2026-03-01 12:00:00 UTC",
		time.FixedZone("CET", 3600):          "2026-03-01 13:00:00 CET (12:00:00 UTC)",
		time.FixedZone("NZDT", 13*60*60):     "2026-03-02 01:00:00 NZDT (2026-03-01 12:00:00 UTC)",
		time.FixedZone("somewhere", -9*3600): "2026-03-01 03:00:00 somewhere (12:00:00 UTC)",
	} {
		if got := momentAt(now, zone); got != want {
			t.Errorf("in %v it is %q, want %q", zone, got, want)
		}
	}
}
