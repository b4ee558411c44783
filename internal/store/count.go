package store

import (
	"cmp"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Count applies a result to the project, which has the given open incident, or none. It returns the answer, and whether the
// result trips the breaker, so that an incident has to be opened with it.
func (p *Project) Count(r Result, l Limits, open string, now time.Time) (a Answer, trips bool) {
	a = Answer{Outcome: r.Outcome, Threshold: l.Threshold, Incident: open, Counted: p.counts(r, now)}
	if p.HalfOpen {
		a.Threshold = l.Resume
	}
	if l.Paused && a.Counted && r.Outcome == Failure {
		a.Threshold = min(a.Threshold, p.Breaker.Failures+1)
	}
	a.Threshold = max(a.Threshold, 1)
	if a.Counted {
		p.Breaker, trips = p.Breaker.Next(a.Threshold, r.Outcome == Success)
		p.HalfOpen = p.HalfOpen && r.Outcome != Success
	} else {
		a.Why = WhyNotCounted(r)
	}
	if breaker.Counts(r.Agent) {
		p.Ignored++
		if r.Outcome != Ignored {
			p.Ignored = 0
		}
	}
	a.Failures = p.Breaker.Failures
	return a, trips && open == ""
}

// counts reports whether a result moves the breaker. A resume in the future was recorded by a clock that ran ahead; compared
// with it, nothing would count until then.
func (p *Project) counts(r Result, now time.Time) bool {
	begun := cmp.Or(r.Started, r.Finished) // if it ended before a resume, it began before it
	switch {
	case !breaker.Counts(r.Agent), r.Outcome == Ignored:
		return false
	case r.Generation != nil:
		return *r.Generation == p.Generation
	case begun.IsZero(), p.Resumed.IsZero(), p.Resumed.After(now):
		return true
	}
	return begun.After(p.Resumed)
}

// WhyNotCounted returns why a result did not count. The reason is not stored, because it follows from the result.
func WhyNotCounted(r Result) string {
	switch {
	case !breaker.Counts(r.Agent):
		return "only project-meta agents count"
	case r.Outcome == Ignored:
		return "the result is ignored"
	}
	return "the run began before the last resume of the project was noticed"
}

// KeptOutputs is how many outputs of a project are kept, the last ones. Only evidence keeps one for longer.
const KeptOutputs = 20

// EvidenceRuns is how many runs an issue shows.
const EvidenceRuns = 10

// NewIncident returns the incident that a result opens. It lacks its id and number, and earlier incidents. history are the
// results before this one, the newest first. A project that was paused before its result could be stored has been since then.
func NewIncident(r Result, l Limits, a Answer, history []HistoryRun, now time.Time) incident.Incident {
	i := incident.Incident{
		Project: r.Project, Agent: r.Agent, Opened: now.UTC(), Failures: a.Failures, Threshold: a.Threshold, Host: r.Host, Instance: l.Instance,
		FlagWritten: l.FlagWritten,
	}
	if !l.FlagWritten.IsZero() {
		i.Opened = l.FlagWritten.UTC()
	}
	if i.Host == "" {
		i.Host = l.Host
	}
	i.Evidence.Output = r.Output
	i.Evidence.Runs = []incident.Run{{Outcome: r.Outcome,
		Started: tracker.PossibleTime(r.Started), Finished: tracker.PossibleTime(r.Finished),
		ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, Host: r.Host, RunID: r.RunID}}
	for _, run := range history {
		if breaker.Counts(run.Agent) && len(i.Evidence.Runs) < EvidenceRuns {
			i.Evidence.Runs = append(i.Evidence.Runs, run.Run)
		}
	}
	return i
}
