package exposition

import (
	"bytes"
	"math"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
)

// library returns what Prometheus's client library writes for these collectors.
func library(t *testing.T, collectors ...prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collectors...)
	families, err := r.Gather()
	require.NoError(t, err)
	var b bytes.Buffer
	out := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		require.NoError(t, out.Encode(f))
	}
	return b.String()
}

// text returns the page as it is served.
func text(t *testing.T, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	return b.String()
}

// odd are unusual label values.
var odd = []string{"", "odilo", "a b", `quo"te`, `back\slash`, "two\nlines", `\n`, "é✔", "{}=,"}

func TestPageMatchesLibrary(t *testing.T) {
	const help = "What it is: \"quoted\", C:\\path,\nand a second line."
	counter := NewCounter("b_total", help, "code", "operation")
	plain := NewCounter("a_total", "Without labels.")
	bounds := []float64{.01, .25, 1, 30}
	histogram := NewHistogram("d_seconds", help, bounds, "operation")
	bare := NewHistogram("c_seconds", "Without labels.", bounds)
	page := NewPage()
	theirs := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b_total", Help: help}, []string{"code", "operation"})
	theirGauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "e", Help: help}, []string{"project"})
	theirHistogram := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "d_seconds", Help: help, Buckets: bounds}, []string{"operation"})
	theirBare := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "c_seconds", Help: "Without labels.", Buckets: bounds})
	values := []float64{0, 1, 0.01, 0.010001, 0.25, 29.5, 30, 31, 1e9, 1.795439635944e+09, 1 << 60}
	for i, label := range odd {
		for n := range i {
			counter.Add(float64(n), label, "x")
			theirs.WithLabelValues(label, "x").Add(float64(n))
		}
		counter.Add(0, "x", label)
		theirs.WithLabelValues("x", label)
		page.Gauge("e", help, float64(i)/3, "project", label)
		theirGauge.WithLabelValues(label).Set(float64(i) / 3)
		for _, v := range values[i:] {
			histogram.Observe(v, label)
			theirHistogram.WithLabelValues(label).Observe(v)
			bare.Observe(v)
			theirBare.Observe(v)
		}
	}
	counter.Put(page)
	plain.Put(page)
	histogram.Put(page)
	bare.Put(page)
	theirPlain := prometheus.NewCounter(prometheus.CounterOpts{Name: "a_total", Help: "Without labels."})
	require.Equal(t, library(t, theirs, theirPlain, theirGauge, theirHistogram, theirBare), text(t, page))
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -1: "-1", 0.5: "0.5", 1e21: "1e+21", math.Inf(1): "+Inf", math.Inf(-1): "-Inf", math.MaxInt64: "9.223372036854776e+18",
	} {
		require.Equal(t, want, number(v))
		got, err := strconv.ParseFloat(want, 64)
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	require.Equal(t, "NaN", number(math.NaN()))
}

func TestInvalidUTF8(t *testing.T) {
	p := NewPage()
	p.Gauge("g", "Help.", 1, "l", "a\xffb")
	require.Equal(t, "# HELP g Help.\n# TYPE g gauge\ng{l=\"a\uFFFDb\"} 1\n", text(t, p))
}

func TestConcurrentUse(t *testing.T) {
	c, h := NewCounter("c_total", "Help.", "l"), NewHistogram("h", "Help.", []float64{1}, "l")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				c.Add(1, "x")
				h.Observe(2, "x")
			}
			p := NewPage()
			c.Put(p)
			h.Put(p)
		})
	}
	all.Wait()
	p := NewPage()
	c.Put(p)
	h.Put(p)
	require.Contains(t, text(t, p), "c_total{l=\"x\"} 8000\n")
	require.Contains(t, text(t, p), "h_bucket{l=\"x\",le=\"1\"} 0\nh_bucket{l=\"x\",le=\"+Inf\"} 8000\nh_sum{l=\"x\"} 16000\nh_count{l=\"x\"} 8000\n")
}

func TestMistakesPanic(t *testing.T) {
	c, h := NewCounter("c_total", "Help.", "a", "b"), NewHistogram("h", "Help.", nil, "a")
	require.PanicsWithValue(t, "c_total: 1 values for the labels a, b", func() { c.Add(1, "x") })
	require.Panics(t, func() { h.Observe(1) })
	require.PanicsWithValue(t, "c_total: a counter cannot decrease", func() { c.Add(-1, "x", "y") })
}

// A series that has counted nothing yet is on the page, and takes no memory.
func TestPutZero(t *testing.T) {
	c := NewCounter("results_total", "Results.", "outcome")
	c.Add(2, "failure")
	page := func() string {
		p := NewPage()
		c.PutZero(p, "failure")
		c.PutZero(p, "success")
		c.Put(p)
		var out bytes.Buffer
		require.NoError(t, p.Write(&out))
		return out.String()
	}
	const before = "# HELP results_total Results.\n# TYPE results_total counter\nresults_total{outcome=\"failure\"} 2\nresults_total{outcome=\"success\"} 0\n"
	require.Equal(t, before, page())
	require.Equal(t, before, page(), "nothing was counted")
	c.Add(1, "success")
	require.Contains(t, page(), "\nresults_total{outcome=\"success\"} 1\n")
	require.NotContains(t, page(), "success\"} 0")
}
