package exposition

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Counter is a counter for each combination of label values. It is safe for concurrent use.
type Counter struct {
	name, help string
	labels     []string

	mu     sync.Mutex
	series map[string]float64 // by the labels as written
}

// NewCounter returns a counter with labels in alphabetical order. It has no series yet, or, without labels, one at 0.
func NewCounter(name, help string, labels ...string) *Counter {
	c := &Counter{name: name, help: help, labels: labels, series: map[string]float64{}}
	if len(labels) == 0 {
		c.Add(0)
	}
	return c
}

// Add adds n, which must not be negative, to the series with these label values. The first Add creates the series, even
// with 0.
func (c *Counter) Add(n float64, values ...string) {
	if n < 0 {
		panic(c.name + ": a counter cannot decrease")
	}
	key := seriesKey(c.name, c.labels, values)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.series[key] += n
}

// Put adds the counter to a page.
func (c *Counter) Put(p *Page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for labels, v := range c.series {
		p.add(c.name, c.help, "counter", sample{labels: labels, value: v})
	}
}

// Histogram is a histogram for each combination of label values. It is safe for concurrent use.
type Histogram struct {
	name, help string
	labels     []string
	bounds     []float64

	mu     sync.Mutex
	series map[string]*distribution // by the labels as written
}

type distribution struct {
	buckets []uint64 // by bound: observations at or below it, and above the one before
	count   uint64
	sum     float64
}

// NewHistogram returns a histogram with labels in alphabetical order. bounds holds the upper bounds of its buckets in
// ascending order, without infinity. It has no series yet, or, without labels, an empty one.
func NewHistogram(name, help string, bounds []float64, labels ...string) *Histogram {
	h := &Histogram{name: name, help: help, bounds: bounds, labels: labels, series: map[string]*distribution{}}
	if len(labels) == 0 {
		h.series[""] = h.newDistribution()
	}
	return h
}

func (h *Histogram) newDistribution() *distribution {
	return &distribution{buckets: make([]uint64, len(h.bounds))}
}

// Observe adds a value to the series with these label values.
func (h *Histogram) Observe(v float64, values ...string) {
	key := seriesKey(h.name, h.labels, values)
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.series[key]
	if d == nil {
		d = h.newDistribution()
		h.series[key] = d
	}
	d.count++
	d.sum += v
	if at, _ := slices.BinarySearch(h.bounds, v); at < len(h.bounds) {
		d.buckets[at]++
	}
}

// Put adds the histogram to a page.
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
			n += d.buckets[i]
			bucket(bound, n)
		}
		bucket(math.Inf(1), d.count)
		writeLine(&b, h.name+"_sum", labels, d.sum)
		writeLine(&b, h.name+"_count", labels, float64(d.count))
		p.add(h.name, h.help, "histogram", sample{labels: labels, lines: b.String()})
	}
}

// seriesKey returns the labels as written, which identify a series.
func seriesKey(name string, labels, values []string) string {
	if len(values) != len(labels) {
		panic(name + ": " + strconv.Itoa(len(values)) + " values for the labels " + strings.Join(labels, ", "))
	}
	all := make([]string, 0, 2*len(labels))
	for i, l := range labels {
		all = append(all, l, values[i])
	}
	return pairs(all)
}
