package web

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// Metrics count what one daemon does, across reloads. They have a registry of their own. As a [bot.Observer] they hear of
// sweeps and requests; results and trips are counted from the state, because `adfbot exec` and `adfbot record` are
// processes of their own; how things stand now is read at each scrape, see figures.go.
//
// Projects are labels only while they are configured: the number of series is bounded by the configuration.
type Metrics struct {
	registry *prometheus.Registry
	results  *prometheus.CounterVec
	trips    *prometheus.CounterVec
	sweeps   prometheus.Histogram
	errors   prometheus.Counter
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec

	mu    sync.Mutex
	state string // whose results are counted
	upTo  int64  // the last result that was
}

// otherProject is the label of projects that are not configured.
const otherProject = "other"

// NewMetrics begins at zero.
func NewMetrics(version, revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewPedanticRegistry(),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "adfbot_results_total",
			Help: "Results recorded since the daemon's start, by any process on the machine."}, []string{"project", "outcome"}),
		trips: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "adfbot_trips_total",
			Help: "Breakers tripped since the daemon's start, by any process on the machine."}, []string{"project"}),
		sweeps: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "adfbot_sweep_duration_seconds",
			Help: "How long the daemon's sweeps took.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "adfbot_sweep_errors_total",
			Help: "Sweeps of the daemon that ended with an error."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "adfbot_gitea_requests_total",
			Help: "Requests of the daemon to Gitea; the code is 0 where there was no answer."}, []string{"operation", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "adfbot_gitea_request_duration_seconds",
			Help: "How long the daemon's requests to Gitea took.", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"operation"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "adfbot_build_info", Help: "Which adfbot this is; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(m.results, m.trips, m.sweeps, m.errors, m.requests, m.took, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Sweeping is [bot.Observer.Sweeping].
func (m *Metrics) Sweeping() {}

// Swept is [bot.Observer.Swept].
func (m *Metrics) Swept(rep bot.SweepReport, err error, _ time.Duration) {
	m.sweeps.Observe(rep.Took.Seconds())
	if err != nil {
		m.errors.Inc()
	}
}

// Requested is [bot.Observer.Requested].
func (m *Metrics) Requested(op string, status int, took time.Duration) {
	op = operation(op)
	m.requests.WithLabelValues(op, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(op).Observe(took.Seconds())
}

// operation makes a label of what a request was for.
func operation(op string) string {
	op = strings.TrimSuffix(strings.TrimSuffix(op, " of"), " on")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '_'
		case r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, op)
}

// begin notes where a state stands: only what comes after is counted. It does nothing for a state that it knows.
func (m *Metrics) begin(ctx context.Context, cfg *config.Config, b *bot.Bot) error {
	for _, id := range cfg.ProjectIDs() { // a rate needs a series before its first event
		for _, outcome := range []string{store.Success, store.Failure, store.Ignored} {
			m.results.WithLabelValues(id, outcome)
		}
		m.trips.WithLabelValues(id)
	}
	if m.state == cfg.State {
		return nil
	}
	last, err := b.LastResult(ctx)
	if err != nil {
		return err
	}
	m.state, m.upTo = cfg.State, last
	return nil
}

// countRounds bounds the time that one scrape takes after months without any: the next one goes on.
const countRounds = 20

// count counts the results that are new.
func (m *Metrics) count(ctx context.Context, cfg *config.Config, b *bot.Bot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, cfg, b); err != nil {
		return err
	}
	for range countRounds {
		counts, upTo, err := b.CountSince(ctx, m.upTo)
		if err != nil {
			return err
		}
		if len(counts) == 0 {
			return nil
		}
		m.upTo = upTo
		for _, c := range counts {
			id := c.Project
			if _, ok := cfg.Project(id); !ok {
				id = otherProject
			}
			m.results.WithLabelValues(id, kindOf(c.Outcome)).Add(float64(c.Results))
			if c.Trips > 0 || id != otherProject {
				m.trips.WithLabelValues(id).Add(float64(c.Trips))
			}
		}
	}
	return nil
}
