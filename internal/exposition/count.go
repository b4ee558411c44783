package exposition

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Counter is a family of counters, one for each combination of values of its labels. It may be used from several
// goroutines.
type Counter struct {
	name, help string
	labels     []string

	mu     sync.Mutex
	series map[string]float64 // by the labels as they are written
}

// NewCounter begins without a series; a counter without labels is there from the start. Label names are in alphabetical
// order.
func NewCounter(name, help string, labels ...string) *Counter {
	c := &Counter{name: name, help: help, labels: labels, series: map[string]float64{}}
	if len(labels) == 0 {
		c.Add(0)
	}
	return c
}

// Add counts n more, at least 0. A series begins with its first Add, be it of 0.
func (c *Counter) Add(n float64, values ...string) {
	if n < 0 {
		panic(c.name + ": a counter can't go back")
	}
	key := series(c.name, c.labels, values)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.series[key] += n
}

// Put writes the counter on a page.
func (c *Counter) Put(p *Page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for labels, v := range c.series {
		p.add(c.name, c.help, "counter", sample{labels: labels, value: v})
	}
}

// Histogram is a family of histograms, one for each combination of values of its labels. It may be used from several
// goroutines.
type Histogram struct {
	name, help string
	labels     []string
	bounds     []float64

	mu     sync.Mutex
	series map[string]*distribution // by the labels as they are written
}

// distribution is one histogram.
type distribution struct {
	within []uint64 // observations at or under each bound and over the one before
	count  uint64
	sum    float64
}

// NewHistogram begins without a series; a histogram without labels is there from the start. bounds are the upper bounds
// of its buckets, upwards and without the infinite one. Label names are in alphabetical order.
func NewHistogram(name, help string, bounds []float64, labels ...string) *Histogram {
	h := &Histogram{name: name, help: help, bounds: bounds, labels: labels, series: map[string]*distribution{}}
	if len(labels) == 0 {
		h.series[""] = h.empty()
	}
	return h
}

func (h *Histogram) empty() *distribution {
	return &distribution{within: make([]uint64, len(h.bounds))}
}

// Observe takes one value in.
func (h *Histogram) Observe(v float64, values ...string) {
	key := series(h.name, h.labels, values)
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.series[key]
	if d == nil {
		d = h.empty()
		h.series[key] = d
	}
	d.count++
	d.sum += v
	if at, _ := slices.BinarySearch(h.bounds, v); at < len(h.bounds) {
		d.within[at]++
	}
}

// Put writes the histogram on a page.
func (h *Histogram) Put(p *Page) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for labels, d := range h.series {
		var b strings.Builder
		bucket := func(le float64, n uint64) {
			bound := `le="` + number(le) + `"`
			if labels != "" {
				bound = labels + "," + bound
			}
			writeLine(&b, h.name+"_bucket", bound, float64(n))
		}
		n := uint64(0)
		for i, bound := range h.bounds {
			n += d.within[i]
			bucket(bound, n)
		}
		bucket(math.Inf(1), d.count)
		writeLine(&b, h.name+"_sum", labels, d.sum)
		writeLine(&b, h.name+"_count", labels, float64(d.count))
		p.add(h.name, h.help, "histogram", sample{labels: labels, lines: b.String()})
	}
}

// series is the key of a series: its labels as they are written.
func series(name string, labels, values []string) string {
	if len(values) != len(labels) {
		panic(name + ": " + strconv.Itoa(len(values)) + " values for the labels " + strings.Join(labels, ", "))
	}
	all := make([]string, 0, 2*len(labels))
	for i, l := range labels {
		all = append(all, l, values[i])
	}
	return pairs(all)
}
