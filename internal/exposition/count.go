package exposition

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// metric holds a value for each combination of label values.
type metric[T any] struct {
	name, help string
	labels     []string

	mu     sync.Mutex
	series map[string]*T // by the labels as written
}

// key returns the label values as written.
func (m *metric[T]) key(values []string) string {
	var all []string
	for i, l := range m.labels {
		all = append(all, l, values[i])
	}
	return pairs(all)
}

// update calls f with the series with these label values, which it creates if necessary.
func (m *metric[T]) update(values []string, f func(*T)) {
	if len(values) != len(m.labels) {
		panic(fmt.Sprintf("%s: %d values for the labels %s", m.name, len(values), strings.Join(m.labels, ", ")))
	}
	key := m.key(values)
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.series[key]
	if v == nil {
		v = new(T)
		m.series[key] = v
	}
	f(v)
}

// Counter is a counter for each combination of label values. It is safe for concurrent use.
type Counter struct{ metric[float64] }

// NewCounter returns a counter with labels in alphabetical order. It has no series yet, or, without labels, one at 0.
func NewCounter(name, help string, labels ...string) *Counter {
	c := &Counter{metric[float64]{name: name, help: help, labels: labels, series: map[string]*float64{}}}
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
	c.update(values, func(v *float64) { *v += n })
}

// PutZero adds the series with these label values to a page at 0, unless the counter has it. A rate needs a series before its first event,
// and this way thousands of them take no memory before they have one.
func (c *Counter) PutZero(p *Page, values ...string) {
	labels := c.key(values)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.series[labels] == nil {
		p.add(c.name, c.help, "counter", labels, line(c.name, labels, 0))
	}
}

// Put adds the counter to a page.
func (c *Counter) Put(p *Page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for labels, v := range c.series {
		p.add(c.name, c.help, "counter", labels, line(c.name, labels, *v))
	}
}

// Histogram is a histogram for each combination of label values. It is safe for concurrent use.
type Histogram struct {
	metric[distribution]
	bounds []float64
}

type distribution struct {
	buckets []uint64 // by bound: observations at or below it, and above the one before
	count   uint64
	sum     float64
}

// NewHistogram returns a histogram with labels in alphabetical order. bounds holds the upper bounds of its buckets in
// ascending order, without infinity. It has no series yet, or, without labels, an empty one.
func NewHistogram(name, help string, bounds []float64, labels ...string) *Histogram {
	h := &Histogram{metric[distribution]{name: name, help: help, labels: labels, series: map[string]*distribution{}}, bounds}
	if len(labels) == 0 {
		h.update(nil, h.init)
	}
	return h
}

func (h *Histogram) init(d *distribution) {
	if d.buckets == nil {
		d.buckets = make([]uint64, len(h.bounds))
	}
}

// Observe adds a value to the series with these label values.
func (h *Histogram) Observe(v float64, values ...string) {
	h.update(values, func(d *distribution) {
		h.init(d)
		d.count++
		d.sum += v
		if at, _ := slices.BinarySearch(h.bounds, v); at < len(h.bounds) {
			d.buckets[at]++
		}
	})
}

// Put adds the histogram to a page.
func (h *Histogram) Put(p *Page) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for labels, d := range h.series {
		bucket := func(le float64, n uint64) string {
			bound := `le="` + number(le) + `"`
			if labels != "" {
				bound = labels + "," + bound
			}
			return line(h.name+"_bucket", bound, float64(n))
		}
		lines, n := "", uint64(0)
		for i, bound := range h.bounds {
			n += d.buckets[i]
			lines += bucket(bound, n)
		}
		p.add(h.name, h.help, "histogram", labels, lines+bucket(math.Inf(1), d.count)+
			line(h.name+"_sum", labels, d.sum)+line(h.name+"_count", labels, float64(d.count)))
	}
}
