package web

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	classes "github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// Metrics count what one daemon does, across reloads. As a [bot.Observer] they count sweeps and requests. Results and trips are
// counted from the state, because `adfbot exec` and `adfbot record` are separate processes. Gauges are read at each scrape.
//
// Only configured projects are labels, so the configuration limits the number of series.
type Metrics struct {
	version, revision string

	results  *exposition.Counter
	classed  *exposition.Counter // the results that have a class, under the same name
	trips    *exposition.Counter
	sweeps   *exposition.Histogram
	errors   *exposition.Counter
	requests *exposition.Counter
	took     *exposition.Histogram

	spread *exposition.Histogram
	lost   *exposition.Counter
	called *exposition.Counter
	pings  *exposition.Counter
	listen atomic.Bool

	mu    sync.Mutex
	state os.FileInfo // the file of the state that was counted last; nil: it is none
	place string      // of that state
	upTo  int64       // position of the last counted result
}

// otherProject is the label of projects that are not configured. No id begins with a hyphen.
const otherProject = "-other"

// Results are counted with and without a label for the class: to Prometheus, one with an empty value is no label.
const (
	resultsName = "adfbot_results_total"
	resultsHelp = "Results recorded since the daemon's start, by any process on the machine. Failures have a class, also those that it ignores."
)

// otherClass is the label of classes that are not configured. No name begins with a hyphen.
const otherClass = "-other"

// classLabel returns the label of the class of results, "" if they have none. Failures from before there were classes are unknown.
func classLabel(c *config.Config, r store.OutcomeCount) string {
	switch _, known := c.ClassOutcomes(r.Project)[r.Class]; {
	case r.Class == "" && r.Outcome == store.Failure:
		return classes.Unknown
	case r.Class == "" || known:
		return r.Class
	}
	return otherClass
}

// NewMetrics returns metrics of a program of this version, all zero.
func NewMetrics(version, revision string) *Metrics {
	m := &Metrics{
		version: version, revision: revision,
		results: exposition.NewCounter(resultsName, resultsHelp, "outcome", "project"),
		classed: exposition.NewCounter(resultsName, resultsHelp, "class", "outcome", "project"),
		trips: exposition.NewCounter("adfbot_trips_total",
			"Breakers tripped since the daemon's start, by any process on the machine.", "project"),
		sweeps: exposition.NewHistogram("adfbot_sweep_duration_seconds",
			"How long the daemon's sweeps took.", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}),
		errors: exposition.NewCounter("adfbot_sweep_errors_total",
			"Sweeps of the daemon that ended with an error."),
		requests: exposition.NewCounter("adfbot_gitea_requests_total",
			"Requests of the daemon to Gitea; code 0 means no answer.", "code", "operation"),
		took: exposition.NewHistogram("adfbot_gitea_request_duration_seconds",
			"How long the daemon's requests to Gitea took.", []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "operation"),
		spread: exposition.NewHistogram("adfbot_flag_spread_seconds",
			"How long after the beginning of a pause its flag was on this host's disk.", []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 3600}),
		lost: exposition.NewCounter("adfbot_claims_lost_total",
			"Claims that ended before this host released them, because it could not renew them in time."),
		called: exposition.NewCounter("adfbot_step_webhook_requests_total",
			"Requests of the daemon to webhooks of the escalation's steps.", "result"),
		pings: exposition.NewCounter("adfbot_pings_total",
			"Requests to the ping API.", "result", "signal"),
	}
	for _, signal := range []string{signalName(""), signalStart, signalFail, signalLog, signalName("0")} {
		m.pings.Add(0, accepted, signal)
		m.pings.Add(0, notAccepted, signal)
	}
	for _, result := range []string{delivered, notDelivered} { // a rate needs a series before its first event
		m.called.Add(0, result)
	}
	return m
}

// The labels of requests to webhooks.
const (
	delivered    = "delivered"
	notDelivered = "failed"
)

// The labels of requests to the ping API.
const (
	accepted    = "accepted"
	notAccepted = "refused"
)

// pinged counts a request to the ping API. An unknown key gets no label of its own.
func (m *Metrics) pinged(signal string, ok bool) {
	result := accepted
	if !ok {
		result = notAccepted
	}
	m.pings.Add(1, result, signal)
}

// put adds what this process has counted.
func (m *Metrics) put(p *exposition.Page, c *config.Config) {
	if c.Shared() {
		m.spread.Put(p)
		m.lost.Put(p)
	}
	if c.Shared() && c.StateListen != config.ListenOff {
		p.Gauge("adfbot_listen_up", "Whether this host hears at once of pauses and resumes on others; else it notices them by polling.", boolValue(m.listen.Load()))
	}
	for _, metric := range []interface{ Put(*exposition.Page) }{m.results, m.classed, m.trips, m.sweeps, m.errors, m.requests, m.took, m.called, m.pings} {
		metric.Put(p)
	}
	p.Gauge("adfbot_build_info", "The version of adfbot; always 1.", 1,
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

// Listening is [bot.Observer.Listening].
func (m *Metrics) Listening(up bool) { m.listen.Store(up) }

// FlagConfirmed is [bot.Observer.FlagConfirmed].
func (m *Metrics) FlagConfirmed(after time.Duration) { m.spread.Observe(max(after, 0).Seconds()) }

// ClaimLost is [bot.Observer.ClaimLost].
func (m *Metrics) ClaimLost(string) { m.lost.Add(1) }

// WebhookCalled is [bot.Observer.WebhookCalled].
func (m *Metrics) WebhookCalled(ok bool) {
	result := delivered
	if !ok {
		result = notDelivered
	}
	m.called.Add(1, result)
}

// Requested is [bot.Observer.Requested].
func (m *Metrics) Requested(op string, status int, took time.Duration) {
	op = operation(op)
	m.requests.Add(1, strconv.Itoa(status), op)
	m.took.Observe(took.Seconds(), op)
}

// operation returns the label for the purpose of a request.
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

// countRounds limits the time of a scrape that follows months without any; the next scrape continues.
const countRounds = 500

// count counts the results since the last call, or since the first call for a state. A copy put in place of the state is another
// state.
func (m *Metrics) count(ctx context.Context, p *setup) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids, err := p.bot.ProjectIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids { // a rate needs a series before its first event
		m.results.Add(0, store.Success, id)
		m.results.Add(0, store.Ignored, id)
		for name, outcome := range p.cfg.ClassOutcomes(id) {
			m.classed.Add(0, name, outcome, id)
		}
		m.trips.Add(0, id)
	}
	if file := p.bot.StateFile(); file == nil && m.place != p.cfg.State || file != nil && !os.SameFile(m.state, file) {
		last, err := p.bot.LastResult(ctx)
		if err != nil {
			return err
		}
		m.state, m.place, m.upTo = file, p.cfg.State, last
	}
	for range countRounds {
		counts, upTo, err := p.bot.CountSince(ctx, m.upTo)
		if err != nil || len(counts) == 0 {
			return err
		}
		m.upTo = upTo
		for _, c := range counts {
			id := c.Project
			if _, ok := p.cfg.Project(id); !ok {
				id = otherProject
			}
			if name := classLabel(p.cfg, c); name != "" {
				m.classed.Add(float64(c.Results), name, status.Outcome(c.Outcome), id)
			} else {
				m.results.Add(float64(c.Results), status.Outcome(c.Outcome), id)
			}
			if c.Trips > 0 || id != otherProject {
				m.trips.Add(float64(c.Trips), id)
			}
		}
	}
	return nil
}
