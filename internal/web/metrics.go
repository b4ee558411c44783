package web

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// Metrics count what one daemon does, across reloads. As a [bot.Observer] they count sweeps and requests. Results and trips are
// counted from the state, because `adfbot exec` and `adfbot record` are processes of their own. What holds now is read at each
// scrape, see figures.go.
//
// Only configured projects are labels, so the configuration limits the number of series.
type Metrics struct {
	version, revision string

	results  *exposition.Counter
	trips    *exposition.Counter
	sweeps   *exposition.Histogram
	errors   *exposition.Counter
	requests *exposition.Counter
	took     *exposition.Histogram

	mu    sync.Mutex
	state os.FileInfo // that was counted last
	upTo  int64       // the position of the last result that was counted
}

// otherProject is the label of projects that are not configured. No id begins with a hyphen.
const otherProject = "-other"

// NewMetrics returns metrics that are zero, of a program of this version.
func NewMetrics(version, revision string) *Metrics {
	return &Metrics{
		version: version, revision: revision,
		results: exposition.NewCounter("adfbot_results_total",
			"Results recorded since the daemon's start, by any process on the machine.", "outcome", "project"),
		trips: exposition.NewCounter("adfbot_trips_total",
			"Breakers tripped since the daemon's start, by any process on the machine.", "project"),
		sweeps: exposition.NewHistogram("adfbot_sweep_duration_seconds",
			"How long the daemon's sweeps took.", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}),
		errors: exposition.NewCounter("adfbot_sweep_errors_total",
			"Sweeps of the daemon that ended with an error."),
		requests: exposition.NewCounter("adfbot_gitea_requests_total",
			"Requests of the daemon to Gitea; the code is 0 where there was no answer.", "code", "operation"),
		took: exposition.NewHistogram("adfbot_gitea_request_duration_seconds",
			"How long the daemon's requests to Gitea took.", []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "operation"),
	}
}

// put writes what was counted, and the figures of the process.
func (m *Metrics) put(p *exposition.Page) {
	m.results.Put(p)
	m.trips.Put(p)
	m.sweeps.Put(p)
	m.errors.Put(p)
	m.requests.Put(p)
	m.took.Put(p)
	p.Gauge("adfbot_build_info", "Which adfbot this is; always 1.", 1,
		"goversion", runtime.Version(), "revision", m.revision, "version", m.version)
	p.Runtime()
	p.Process()
}

// Sweeping is [bot.Observer.Sweeping].
func (m *Metrics) Sweeping() {}

// Swept is [bot.Observer.Swept].
func (m *Metrics) Swept(rep status.SweepReport, err error, _ time.Duration) {
	m.sweeps.Observe(rep.Took.Seconds())
	if err != nil {
		m.errors.Add(1)
	}
}

// Requested is [bot.Observer.Requested].
func (m *Metrics) Requested(op string, status int, took time.Duration) {
	op = operation(op)
	m.requests.Add(1, strconv.Itoa(status), op)
	m.took.Observe(took.Seconds(), op)
}

// operation returns the label for what a request was for.
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

// begin makes the results of a new state count from now on. A copy that was put in place of the state is a new one.
func (m *Metrics) begin(ctx context.Context, cfg *config.Config, b *bot.Bot) error {
	for _, id := range cfg.ProjectIDs() { // a rate needs a series before its first event
		for _, outcome := range []string{store.Success, store.Failure, store.Ignored} {
			m.results.Add(0, outcome, id)
		}
		m.trips.Add(0, id)
	}
	if os.SameFile(m.state, b.StateFile()) {
		return nil
	}
	last, err := b.LastResult(ctx)
	if err != nil {
		return err
	}
	m.state, m.upTo = b.StateFile(), last
	return nil
}

// countRounds limits how long a scrape takes after months without any; the next one goes on.
const countRounds = 500

// count counts the results since the last call.
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
			m.results.Add(float64(c.Results), status.Outcome(c.Outcome), id)
			if c.Trips > 0 || id != otherProject {
				m.trips.Add(float64(c.Trips), id)
			}
		}
	}
	return nil
}
