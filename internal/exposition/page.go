// Package exposition counts, and writes what was counted in Prometheus's text format, version 0.0.4.
//
// It is ours because every start of the program pays for what is linked: the usual client library registers a default
// registry and describes protocol buffers before main begins, which made `adfbot gate` take 1.4 times as long, for the sake of
// one answer of the daemon. Nothing here happens before it is called, and there is no registry: who serves a scrape makes a
// [Page] and puts on it what it has. The tests hold every line against that library.
package exposition

import (
	"bytes"
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
	head    string // HELP and TYPE
	samples map[string]string
}

// NewPage gives an empty page.
func NewPage() *Page { return &Page{families: map[string]*family{}} }

// Gauge adds a sample of a gauge. Labels are names and values in turns, the names in alphabetical order.
func (p *Page) Gauge(name, help string, value float64, labels ...string) {
	p.add(name, help, "gauge", pairs(labels), value)
}

// Total adds a sample of a counter that somebody else counts. Labels are as for Gauge.
func (p *Page) Total(name, help string, value float64, labels ...string) {
	p.add(name, help, "counter", pairs(labels), value)
}

// add puts one line into a family.
func (p *Page) add(name, help, kind, labels string, value float64) {
	p.lines(name, help, kind, labels, name+braced(labels)+" "+number(value)+"\n")
}

// lines puts a sample into a family; labels tell it from the others and give its place among them.
func (p *Page) lines(name, help, kind, labels, lines string) {
	f := p.families[name]
	if f == nil {
		f = &family{
			head:    "# HELP " + name + " " + escape(help) + "\n# TYPE " + name + " " + kind + "\n",
			samples: map[string]string{},
		}
		p.families[name] = f
	}
	f.samples[labels] = lines
}

// Bytes is the page, families by name and samples by labels.
func (p *Page) Bytes() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(p.families)) {
		f := p.families[name]
		b.WriteString(f.head)
		for _, labels := range slices.Sorted(maps.Keys(f.samples)) {
			b.WriteString(f.samples[labels])
		}
	}
	return b.Bytes()
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
