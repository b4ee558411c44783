package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/class"
)

// Count applies a result to the project, which has the given open incident, or none. It returns the answer, and whether the
// result trips the breaker, so that an incident has to be opened with it.
func (p *Project) Count(r Result, l Limits, open string, now time.Time) (a Answer, trips bool) {
	return p.count(r, l, open, now, func(threshold int) (breaker.State, bool) {
		return p.Breaker.Next(threshold, r.Outcome == Success)
	})
}

// LateAge is from which age on the order in which results are stored does not say any more in which order the runs finished.
const LateAge = 5 * time.Second

// CountLate is Count for a result that counts and comes late. failures is the [Streak] of the results of this generation with it. A trip
// that has happened is not undone.
func (p *Project) CountLate(r Result, l Limits, open string, now time.Time, failures int) (a Answer, trips bool) {
	return p.count(r, l, open, now, func(threshold int) (breaker.State, bool) {
		switch {
		case failures == 0:
			return breaker.State{}, false
		case r.Outcome == Success:
			return breaker.State{Failures: failures, Tripped: p.Breaker.Tripped}, false
		}
		return breaker.State{Failures: failures - 1, Tripped: p.Breaker.Tripped}.Next(threshold, false)
	})
}

// count applies a result. next returns the breaker that it leads to.
func (p *Project) count(r Result, l Limits, open string, now time.Time, next func(threshold int) (breaker.State, bool)) (a Answer, trips bool) {
	a = Answer{Outcome: r.Outcome, Class: r.Class, Threshold: l.Threshold, Incident: open, Counted: p.Counts(r, now), Started: r.Started}
	if p.HalfOpen {
		a.Threshold = l.Resume
	}
	a.Threshold = max(a.Threshold, 1)
	if a.Counted {
		threshold := a.Threshold
		if r.Trips || l.Paused {
			threshold = breaker.AtOnce
		}
		p.Breaker, trips = next(threshold)
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

// Counts reports whether a result moves the breaker. A resume in the future was recorded by a clock that ran ahead; compared
// with it, nothing would count until then.
func (p *Project) Counts(r Result, now time.Time) bool {
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

// Streak counts the failures since the last success in the order in which runs finished, and not in the one in which their results were
// stored. Those that finished at the same time count in the order in which they were stored.
type Streak struct {
	bound    time.Time // results that are still to be added were stored before
	success  time.Time // when the last success finished; zero: there is none
	failures []time.Time
}

// NewStreak returns a streak without results.
func NewStreak(now time.Time) *Streak { return &Streak{bound: now} }

// Add adds a result that counts: whether it is a success, when it was stored, and its age then. The results have to be added in reverse
// order of storing. If a result was stored at a later time than one after it, the clock was set back in between: then the time of the
// latter one holds for both. Add reports whether earlier results may matter.
func (s *Streak) Add(success bool, stored time.Time, age time.Duration) (more bool) {
	s.Pass(stored)
	finished := s.bound.Add(-max(age, 0))
	switch {
	case !finished.After(s.success):
	case success:
		s.success = finished
		s.failures = slices.DeleteFunc(s.failures, finished.After)
	default:
		s.failures = append(s.failures, finished)
	}
	return s.bound.After(s.success)
}

// Pass is Add for a failure that counts no more, because its run has succeeded.
func (s *Streak) Pass(stored time.Time) (more bool) {
	if stored.Before(s.bound) {
		s.bound = stored
	}
	return s.bound.After(s.success)
}

// Holds reports whether no success finished after a result that was added.
func (s *Streak) Holds(stored time.Time, age time.Duration) bool {
	return stored.Add(-max(age, 0)).After(s.success)
}

// Unbroken reports whether no success was added.
func (s *Streak) Unbroken() bool { return s.success.IsZero() }

// Failures returns the count.
func (s *Streak) Failures() int { return len(s.failures) }

// WhyNotCounted returns why a result did not count. The reason is not stored, because it follows from the result.
func WhyNotCounted(r Result) string {
	switch {
	case !breaker.Counts(r.Agent):
		return "only project-meta agents count"
	case r.Outcome == Ignored && r.Class != "":
		return "failures of the class " + r.Class + " are ignored"
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
		Project: r.Project, Agent: r.Agent, Opened: now.UTC(), Failures: a.Failures, Threshold: a.Threshold, Host: r.Host, Instance: l.Instance, Repo: l.Repo,
		FlagWritten: l.FlagWritten, Class: r.Class,
	}
	if !l.FlagWritten.IsZero() {
		i.Opened = l.FlagWritten.UTC()
	}
	if i.Host == "" {
		i.Host = l.Host
	}
	if l.Paused && !r.Trips && a.Failures < a.Threshold { // the state alone would not have tripped
		i.Unstored, i.Failures = true, cmp.Or(l.Spooled, a.Failures)
		i.Threshold = min(a.Threshold, i.Failures) // it may have been raised since
	}
	i.Fingerprint = class.Fingerprint(r.Output, r.Project, r.Agent, i.Host)
	i.Evidence.Output = r.Output
	i.Evidence.Runs = []incident.Run{{Outcome: r.Outcome, Class: r.Class,
		Started: tracker.PossibleTime(r.Started), Finished: tracker.PossibleTime(r.Finished),
		ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, Host: r.Host, RunID: r.RunID}}
	for _, run := range history {
		if breaker.Counts(run.Agent) && len(i.Evidence.Runs) < EvidenceRuns {
			i.Evidence.Runs = append(i.Evidence.Runs, run.Run)
		}
	}
	return i
}
