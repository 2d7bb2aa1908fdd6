package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
)

// bar is one line of a panel.
type bar struct {
	name, value, note string
	base, length      float64 // length is the whole bar; base is the part that all libraries share
	ours, quiet       bool
}

// panel is one chart of horizontal bars.
type panel struct {
	title, subtitle string
	bars            []bar
	line            float64 // position of a dashed line; 0 for no line
	lineName        string
}

// The layout, in pixels.
const (
	width    = 860
	margin   = 28
	labels   = 236 // for the names
	values   = 150 // for the value at the end of a bar
	barStep  = 30
	barThick = 18
	headRoom = 48 // above the bars of a panel
	lineRoom = 18 // additional, for the name of the line
	plot     = width - 2*margin - labels - values
)

// chart returns results.svg. It has a background, so that it is legible on any
// page, and dark colours for readers who prefer a dark colour scheme.
func chart(r *results) string {
	firstSight := panel{
		title: "New tokens, RS256: time relative to the bare signature check",
		subtitle: "signature, exp, aud and typed claims of a 1347-byte token; " +
			"crypto/rsa = 1; shorter is better",
		line: 1, lineName: "crypto/rsa alone",
	}
	for _, lib := range byRatio(r.FirstSight[fixture.RS256].Libs) {
		ratio := lib.Ratio.median()
		firstSight.bars = append(firstSight.bars, bar{
			name: lib.Name, value: fmt.Sprintf("%.2f", ratio),
			note: fmt.Sprintf("%.0f allocs", lib.Allocs.median()),
			base: min(1, ratio), length: ratio, ours: lib.Lib.Ours,
		})
	}
	whole := panel{
		title: "Whole requests: requests per second relative to a handler without authentication",
		subtitle: fmt.Sprintf("net/http over loopback, %d connections, %d tokens in turn; "+
			"longer is better; parajwt with and without its token cache", connections,
			connectedTokens),
	}
	for _, s := range byShare(r.Servers) {
		share := s.Share.median()
		whole.bars = append(whole.bars, bar{
			name: s.Name, value: fmt.Sprintf("%.0f %%", 100*share), length: share,
			ours: s.Lib.Ours, quiet: s.Lib.Modules == nil,
		})
	}

	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	y := float64(margin)
	var body strings.Builder
	for _, panel := range []panel{firstSight, whole, r.Revocations.panel()} {
		text, height := panel.draw(y)
		body.WriteString(text)
		y += height + 22
	}
	y += 4
	height := y + 2*16 + 8

	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" `+
		`role="img" aria-labelledby="title desc">`, width, height, width, height)
	p(`<title id="title">parajwt and other Go libraries: time to verify a token, ` +
		`requests per second relative to a bare handler, and time to check a revocation</title>`)
	p(`<desc id="desc">%s</desc>`,
		escape(firstSight.words()+" "+whole.words()+" "+r.Revocations.panel().words()))
	p(`<style>`)
	p(`text { font: 13px -apple-system, BlinkMacSystemFont, "Segoe UI", "DejaVu Sans", ` +
		`Helvetica, Arial, sans-serif; fill: #1f2328 }`)
	p(`.title { font-size: 15px; font-weight: 600 } .ours { font-weight: 600 }`)
	p(`.muted { fill: #59636e; font-size: 12px }`)
	p(`.page { fill: #ffffff; stroke: #d1d9e0 } .common { fill: #c3ccd5 } .peer { fill: #8593a1 }`)
	p(`.us { fill: #0a7d5a } .line { stroke: #59636e; stroke-dasharray: 3 3 }`)
	p(`@media (prefers-color-scheme: dark) {`)
	p(`text { fill: #e6edf3 } .muted { fill: #9aa4af }`)
	p(`.page { fill: #0d1117; stroke: #30363d } .common { fill: #3a434d } .peer { fill: #6b7885 }`)
	p(`.us { fill: #2fbf8f } .line { stroke: #9aa4af }`)
	p(`}`)
	p(`</style>`)
	p(`<rect class="page" x="0.5" y="0.5" width="%d" height="%.0f" rx="8"/>`,
		width-1, height-1)
	w.WriteString(body.String())

	run := fmt.Sprintf("%d interleaved passes, medians", r.Plan.passes)
	if r.Plan.quick {
		run = "quick run, " + run
	}
	if r.Machine.busy() {
		run += "; MEASURED ON A BUSY MACHINE"
	}
	m := r.Machine
	made := fmt.Sprintf("%s, %d cores; %s; %s; %s",
		m.CPU, m.Cores, m.Go, run, m.Date.UTC().Format("2006-01-02"))
	p(`<text class="muted" x="%d" y="%.0f">%s</text>`, margin, y, escape(made))
	p(`<text class="muted" x="%d" y="%.0f">Written by go run ./cmd/report in benchmarks/. `+
		`RESULTS.md has all figures and versions.</text>`, margin, y+16)
	p(`</svg>`)
	return w.String()
}

// draw returns a panel whose top is at y, and its height.
func (panel panel) draw(y float64) (string, float64) {
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	longest := 0.0
	for _, b := range panel.bars {
		longest = max(longest, b.length)
	}
	x := func(v float64) float64 { return margin + labels + v/longest*plot }
	top := y + headRoom
	if panel.line > 0 {
		top += lineRoom
	}
	bottom := top + float64(len(panel.bars)*barStep)

	p(`<text class="title" x="%d" y="%.0f">%s</text>`,
		margin, y+14, escape(panel.title))
	p(`<text class="muted" x="%d" y="%.0f">%s</text>`, margin, y+33, escape(panel.subtitle))
	for i, b := range panel.bars {
		at := top + float64(i*barStep)
		colour, weight := "peer", ""
		switch {
		case b.ours:
			colour, weight = "us", "ours"
		case b.quiet:
			colour = "common"
		}
		middle := at + barThick/2 + 4.5
		p(`<text class="%s" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			weight, margin+labels-10, middle, escape(b.name))
		if b.base > 0 {
			p(`<rect class="common" x="%.1f" y="%.1f" width="%.1f" height="%d"/>`,
				x(0), at, x(b.base)-x(0), barThick)
		}
		p(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d"/>`,
			colour, x(b.base), at, x(b.length)-x(b.base), barThick)
		p(`<text class="%s" x="%.1f" y="%.1f">%s</text>`,
			weight, x(b.length)+8, middle, escape(b.value))
		if b.note != "" {
			p(`<text class="muted" x="%.1f" y="%.1f">%s</text>`,
				x(b.length)+48, middle, escape(b.note))
		}
	}
	if panel.line > 0 {
		p(`<line class="line" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`,
			x(panel.line), x(panel.line), top-8, bottom-barStep+barThick+6)
		p(`<text class="muted" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			x(panel.line), top-13, escape(panel.lineName))
	}
	return w.String(), bottom - y
}

// words describes a panel in text, for screen readers.
func (panel panel) words() string {
	var all []string
	for _, b := range panel.bars {
		all = append(all, b.name+" "+b.value)
	}
	return panel.title + ": " + strings.Join(all, ", ") + "."
}

func escape(s string) string {
	var w strings.Builder
	xml.EscapeText(&w, []byte(s))
	return w.String()
}
