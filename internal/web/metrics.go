package web

import (
	"context"
	"maps"
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
// Only configured projects are labels, so the configuration limits the number of series. With metrics.per_project off, no project is
// a label, and the counters of all projects together take the place of those by project.
type Metrics struct {
	version, revision string

	byProject, together counters // of which a page has one

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

// counters count what the state records, by project or of all projects together.
type counters struct {
	results *exposition.Counter
	classed *exposition.Counter // the results that have a class, under the same name
	trips   *exposition.Counter
}

// newCounters returns counters with these labels besides those of class and outcome.
func newCounters(labels ...string) counters {
	return counters{
		results: exposition.NewCounter(resultsName, resultsHelp, append([]string{"outcome"}, labels...)...),
		classed: exposition.NewCounter(resultsName, resultsHelp, append([]string{"class", "outcome"}, labels...)...),
		trips: exposition.NewCounter("adfbot_trips_total",
			"Breakers tripped since the daemon's start, by any process on the machine.", labels...),
	}
}

// put adds what was counted.
func (c counters) put(p *exposition.Page) {
	c.results.Put(p)
	c.classed.Put(p)
	c.trips.Put(p)
}

// putZeros adds what was not counted yet of a project, or of all projects together, with these classes.
func (c counters) putZeros(p *exposition.Page, classOutcomes map[string]string, labels ...string) {
	c.results.PutZero(p, append([]string{store.Success}, labels...)...)
	c.results.PutZero(p, append([]string{store.Ignored}, labels...)...)
	for name, outcome := range classOutcomes {
		c.classed.PutZero(p, append([]string{name, outcome}, labels...)...)
	}
	c.trips.PutZero(p, labels...)
}

// add counts results of a class, or "" of none.
func (c counters) add(n float64, class, outcome string, labels ...string) {
	if class == "" {
		c.results.Add(n, append([]string{outcome}, labels...)...)
		return
	}
	c.classed.Add(n, append([]string{class, outcome}, labels...)...)
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
		byProject: newCounters("project"), together: newCounters(),
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

// put adds what this process has counted, with series for the projects with these ids.
func (m *Metrics) put(p *exposition.Page, c *config.Config, ids []string) {
	if c.Shared() {
		m.spread.Put(p)
		m.lost.Put(p)
	}
	if c.Shared() && c.StateListen != config.ListenOff {
		p.Gauge("adfbot_listen_up", "Whether this host hears at once of pauses and resumes on others; else it notices them by polling.", boolValue(m.listen.Load()))
	}
	m.putRecorded(p, c, ids)
	for _, metric := range []interface{ Put(*exposition.Page) }{m.sweeps, m.errors, m.requests, m.took, m.called, m.pings} {
		metric.Put(p)
	}
	p.Gauge("adfbot_build_info", "The version of adfbot; always 1.", 1,
		"goversion", runtime.Version(), "revision", m.revision, "version", m.version)
	p.Runtime()
	p.Process()
}

// putRecorded adds the results and trips.
func (m *Metrics) putRecorded(p *exposition.Page, c *config.Config, ids []string) {
	common := c.ClassOutcomes("") // of all projects without classes of their own
	of := func(id string) map[string]string {
		if len(c.ProjectOrDefault(id).Classes) == 0 {
			return common
		}
		return c.ClassOutcomes(id)
	}
	if c.Metrics.PerProject {
		for _, id := range ids {
			m.byProject.putZeros(p, of(id), id)
		}
		m.byProject.put(p)
		return
	}
	every := maps.Clone(common)
	for _, id := range ids {
		maps.Copy(every, of(id))
	}
	m.together.putZeros(p, every)
	m.together.put(p)
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
			name, outcome := classLabel(p.cfg, c), status.Outcome(c.Outcome)
			m.together.add(float64(c.Results), name, outcome)
			m.together.trips.Add(float64(c.Trips))
			if !p.cfg.Metrics.PerProject {
				continue
			}
			m.byProject.add(float64(c.Results), name, outcome, id)
			if c.Trips > 0 {
				m.byProject.trips.Add(float64(c.Trips), id)
			}
		}
	}
	return nil
}
