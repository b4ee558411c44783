// Package exposition counts, and writes what was counted in Prometheus's text format, version 0.0.4.
//
// It is ours because every start of the program pays for what is linked: the usual client library registers a default
// registry and describes protocol buffers before main begins, which made `adfbot gate` take 1.4 times as long, for the sake of
// one answer of the daemon. Nothing here happens before it is called, and there is no registry: who serves a scrape makes a
// [Page] and puts on it what it has. The tests hold every line against that library.
package exposition

import (
	"bufio"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ContentType is what a page is served as.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Page collects the families of one scrape. It is not safe for concurrent use.
type Page struct {
	families map[string]*family
}

// family is all samples of one name.
type family struct {
	name, help, kind string
	samples          []sample
}

// sample is one line, or all lines of a histogram or summary.
type sample struct {
	labels string // as they stand between the braces
	value  float64
	lines  string // instead of the value
}

// NewPage gives an empty page.
func NewPage() *Page { return &Page{families: map[string]*family{}} }

// Gauge adds a sample of a gauge. Labels are names and values in turns, the names in alphabetical order.
func (p *Page) Gauge(name, help string, value float64, labels ...string) {
	p.add(name, help, "gauge", sample{labels: pairs(labels), value: value})
}

// Total adds a sample of a counter that somebody else counts. Labels are as for Gauge.
func (p *Page) Total(name, help string, value float64, labels ...string) {
	p.add(name, help, "counter", sample{labels: pairs(labels), value: value})
}

func (p *Page) add(name, help, kind string, s sample) {
	f := p.families[name]
	if f == nil {
		f = &family{name: name, help: help, kind: kind}
		p.families[name] = f
	}
	f.samples = append(f.samples, s)
}

// Write writes the page, families by name and samples by labels. What it returns is w's own error.
func (p *Page) Write(w io.Writer) error {
	b := bufio.NewWriter(w) // it keeps the first error for the Flush
	for _, name := range slices.Sorted(maps.Keys(p.families)) {
		f := p.families[name]
		_, _ = b.WriteString("# HELP " + name + " " + escape(f.help) + "\n# TYPE " + name + " " + f.kind + "\n")
		slices.SortFunc(f.samples, func(x, y sample) int { return strings.Compare(x.labels, y.labels) })
		for _, s := range f.samples {
			if s.lines != "" {
				_, _ = b.WriteString(s.lines)
			} else {
				writeLine(b, name, s.labels, s.value)
			}
		}
	}
	return b.Flush()
}

// writeLine writes one sample.
func writeLine(w io.StringWriter, name, labels string, value float64) {
	for _, part := range []string{name, braced(labels), " ", number(value), "\n"} {
		_, _ = w.WriteString(part)
	}
}

// pairs writes label names and values as they stand between the braces.
func pairs(labels []string) string {
	var b strings.Builder
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(labels[i] + `="` + strings.ReplaceAll(escape(labels[i+1]), `"`, `\"`) + `"`)
	}
	return b.String()
}

// escape replaces what would end a line, and what is no text.
func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), `\`, `\\`), "\n", `\n`)
}

func braced(labels string) string {
	if labels == "" {
		return ""
	}
	return "{" + labels + "}"
}

// number writes a value as the format wants it.
func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
