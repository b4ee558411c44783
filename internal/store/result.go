package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Outcomes of a run.
const (
	Success = "success"
	Failure = "failure"
	Ignored = "ignored" // neither a failure nor a reset
)

// Result is how one run of an agent ended. Text in it that came from outside is already masked and cleaned. Spool files hold
// it as JSON: the names of its fields are the file format.
type Result struct {
	Project    string    `json:"Project"`
	Agent      string    `json:"Agent"`
	RunID      string    `json:"RunID"` // unique for the project and agent; "" if the run has none
	Outcome    string    `json:"Outcome"`
	ExitCode   int       `json:"ExitCode"`
	Signal     string    `json:"Signal"`
	Detail     string    `json:"Detail"`
	Host       string    `json:"Host"`
	Started    time.Time `json:"Started"` // zero: unknown
	Finished   time.Time `json:"Finished"`
	Output     string    `json:"Output"`     // stored for a failure only
	Generation *int64    `json:"Generation"` // of the project when the run began; nil: Started decides whether it counts
	Run        string    `json:"Run"`        // id of the [Run] that this ends, see also [ReportedRunID], or ""

	Class string `json:"class,omitempty"` // of a failure, also of one that it ignores: see [Result.Reported]
	Trips bool   `json:"trips,omitempty"` // this failure trips the breaker, whatever the count

	Ended bool `json:"ended,omitempty"` // its timeout ended the run, or it hung

	// Decide is what whoever records the result decides first, because the program that spooled it did not know the project's settings.
	Decide string `json:"decide,omitempty"` // [DecideOutcome], [DecideClass], or "": nothing

	// Kept is when the result was put into a spool; nil: it was not, or by an earlier version.
	Kept *Moment `json:"kept,omitempty"`

	// Settings are the project's by the configuration of whoever spooled the result, for whoever records it and has another one.
	Settings Settings `json:"settings,omitzero"`

	// Age is how long ago the run finished, by the clock of who reports it, when the result is handed to the state; 0: just now, or
	// unknown. A state that several hosts share takes Finished from it, see [Project.CountLate]; another one ignores it.
	Age time.Duration `json:"-"`
}

// Details of the results of runs of which nobody knows the end. They are guesses: if another result of such a run turns up, which was kept
// where nobody could see it, both are recorded.
const (
	DetailKilled   = "adfbot was killed during the run, no result was left" // the command may have gone on
	DetailUnknown  = "how it ended is not known: nothing is left of it on its host, as after an old copy of the state was put back"
	DetailHostGone = "host gone"
)

// earlierKilled is what states that earlier versions wrote have in place of DetailKilled.
const earlierKilled = "killed together with adfbot, no result was left"

// IsGuess reports whether a detail is that of a guess.
func IsGuess(detail string) bool {
	return detail == DetailKilled || detail == earlierKilled || detail == DetailUnknown || detail == DetailHostGone
}

// Moment is a time by the clock of a machine, which may be wrong and set right, and by that of its boot, which nobody sets.
type Moment struct {
	Time   time.Time       `json:"time"`
	Uptime incident.Uptime `json:"uptime"`
}

// ClockSet returns by how much the machine's clock was set forward between two moments; 0 if that is not known, as after a boot.
func (m Moment) ClockSet(now Moment) time.Duration {
	passed := now.Uptime.For - m.Uptime.For
	if m.Uptime.Boot == "" || m.Uptime.Boot != now.Uptime.Boot || passed < 0 {
		return 0
	}
	return now.Time.Sub(m.Time) - passed
}

// ByClock returns a result that was spooled with times by the machine's clock as it is now.
func (r Result) ByClock(now Moment) Result {
	if r.Kept == nil {
		return r
	}
	return r.Shifted(r.Kept.ClockSet(now))
}

// Shifted returns the result with times by another clock.
func (r Result) Shifted(by time.Duration) Result {
	for _, t := range []*time.Time{&r.Started, &r.Finished} {
		if !t.IsZero() && by != 0 {
			*t = t.Add(by).Round(0)
		}
	}
	return r
}

// What is left to decide of a spooled result.
const (
	DecideOutcome = "outcome" // from ExitCode, and then the class
	DecideClass   = "class"   // of a failure
)

// Reported returns the outcome of the run. That of a failure may be [Ignored], because its class is.
func (r Result) Reported() string { return reported(r.Outcome, r.Class) }

func reported(outcome, class string) string {
	if class != "" {
		return Failure
	}
	return outcome
}

// What the run id of a result gets behind it whose run has another one already: a run id has one result.
const (
	foundRun   = "/found"   // the other one was a guess
	successRun = "/success" // the run was reported to have failed, and then to have succeeded
)

// Beside decides what becomes of a result whose run may have one already. Known returns the answer to the result of a run id, nil if
// there is none. Beside returns the result with the run id under which it counts and, if an earlier one stands instead, the answer to that. A result
// that does not say when its run began gets that from the earlier one: it may have begun before a resume.
func (r Result) Beside(known func(runID string) (*Answer, error)) (_ Result, earlier *Answer, err error) {
	earlier, err = known(r.RunID)
	other := func() bool { return err == nil && earlier != nil && earlier.Reported() != r.Reported() }
	if other() && earlier.Guess && !IsGuess(r.Detail) {
		r.RunID, r.Started = r.RunID+foundRun, cmp.Or(r.Started, earlier.Started)
		earlier, err = known(r.RunID)
	}
	if other() && r.Outcome == Success && IsReported(r.Run) {
		// The run took longer than hung_after, or its client says first that it failed, and then that it did not. The last word counts, as
		// with Healthchecks, also if it had to wait in a spool.
		r.RunID, r.Started = r.RunID+successRun, cmp.Or(r.Started, earlier.Started)
		earlier, err = known(r.RunID)
	}
	return r, earlier, err
}

// EarlierRunIDs returns the run ids of the results that the run of a result got before, see [Result.Beside].
func EarlierRunIDs(runID string) (earlier []string) {
	for {
		before, found := strings.CutSuffix(runID, foundRun)
		if !found {
			before, found = strings.CutSuffix(runID, successRun)
		}
		if !found || before == "" {
			return earlier
		}
		earlier, runID = append(earlier, before), before
	}
}

// EndedAt returns the result with another time at which the run finished. Its start moves by as much.
func (r Result) EndedAt(at time.Time) Result {
	if !r.Started.IsZero() && !r.Finished.IsZero() {
		r.Started = r.Started.Add(at.Sub(r.Finished))
	}
	r.Finished = at
	return r
}

// Bounded returns the result with times that can be true: none before 1970, none after now, and no start after the end. They
// may not be if the clock was set since they were read, or if an earlier version spooled the result.
func (r Result) Bounded(now time.Time) Result {
	bound := func(t time.Time) time.Time {
		if t.After(now) {
			return now
		}
		return tracker.PossibleTime(t)
	}
	r.Started, r.Finished = bound(r.Started), bound(r.Finished)
	if !r.Finished.IsZero() && r.Started.After(r.Finished) {
		r.Started = r.Finished
	}
	return r
}

// Settings are what a configuration says of a project that it names; zero: it does not name the project.
type Settings struct {
	Threshold int          `json:"threshold"`
	Resume    int          `json:"resume_threshold"`
	Repo      tracker.Repo `json:"repo"` // for the issue
}

// Limits of a project's breaker. Threshold applies until a resume, Resume from then until a success.
type Limits struct {
	Threshold int
	Resume    int
	Instance  string       // for the incident
	Repo      tracker.Repo // for the incident; zero: the configuration does not name the project
	Host      string       // of this process, for a result that names none

	// Of a result from the spool, if the project was paused by a flag because of it or a later one.
	Paused      bool      // because of this one: as a failure it trips the breaker, whatever the threshold
	Spooled     int       // how many failures in a row were in the spool with this one
	FlagWritten time.Time // when; for the incident
	Incident    string    // id of the incident that the flag names, unless the state has one of that id
}

// Answer is what a result did.
type Answer struct {
	Outcome   string
	Class     string // of a failure
	Counted   bool   // it moved the breaker
	Why       string // why it did not count
	Failures  int
	Threshold int
	Tripped   bool      // this result tripped the breaker and opened Incident
	Incident  string    // id of the project's open incident after the result, or ""
	Started   time.Time // when the run began; zero: not known

	Known bool // the run was recorded before; this is its first answer
	Guess bool // of a known run: see [IsGuess]

	Opened *incident.Incident // the incident that this call opened, with its evidence; nil if it opened none
}

// Reported is [Result.Reported] of the result.
func (a Answer) Reported() string { return reported(a.Outcome, a.Class) }

// Project is the breaker of one project, and how often the project was resumed.
type Project struct {
	ID         string
	Generation int64 // grows by one with each resume
	Breaker    breaker.State
	HalfOpen   bool // resumed, and no success since
	Ignored    int  // ignored results in a row
	Resumed    time.Time
}

// HistoryRun is a recorded run.
type HistoryRun struct {
	incident.Run
	Agent    string
	Counted  bool
	Recorded time.Time
	Output   string // of a failed run, from [HistoryReader.History] and [HistoryReader.RunPage] only

	// From [HistoryReader.RunPage] only.
	Project  string
	Position int64 // greater than that of every result that was recorded before
}

// Overview is what a list of projects shows of one.
type Overview struct {
	Project
	Running int          // runs that have begun and have no result yet, on any host
	Runs    []HistoryRun // the newest first, without their outputs
}

// Report says when a project was heard of last, and what else tells whether a result of it is overdue. Times are zero if there was none.
type Report struct {
	Recorded     time.Time // when its last counted result was recorded
	Finished     time.Time // when the run of that result ended
	Paused       bool      // by an incident or a hold
	Resumed      time.Time // when its last pause ended
	SilenceEnded time.Time // when its last incident of the kind [incident.Silent] ended
	Began        time.Time // when the oldest run began that has no result yet
	Host         string    // of that run
}

// OutcomeCount is how many results with one outcome and class were recorded for one project, and how many of them tripped its breaker.
type OutcomeCount struct {
	Project string
	Outcome string
	Class   string
	Results int
	Trips   int
}

// Run is a run that has begun and has no result yet: of `adfbot exec`, or one that was reported to begin.
type Run struct {
	ID         string // random, or from [ReportedRunID]
	Project    string
	Agent      string
	RunID      string
	Generation int64
	Host       string
	Started    time.Time
	ChildPID   int    // process of the command, 0 if it is not known
	ChildStart string // distinguishes the process from a later one with the same pid
}

// HourCount is how many results with one outcome were recorded for a project in one hour.
type HourCount struct {
	Hour    time.Time // its beginning, in UTC
	Outcome string
	Counted bool // they moved the breaker
	Results int
	Last    int64 // position of the last one
}

// RunFilter selects the runs of [HistoryReader.RunPage].
type RunFilter struct {
	Projects []string  // nil: all projects
	Outcome  string    // "": any
	Class    string    // "": any
	Agent    string    // "": any
	Since    time.Time // recorded then or later; zero: any time
	Until    time.Time // recorded before; zero: any time
	Before   int64     // the next of the previous page; 0 for the first page
	Limit    int
	Output   bool // also read the outputs, which are by far the largest part
	Look     int  // how many results a page looks at; 0: [LookAtRuns]
}

// OutputEnd is how many characters [HistoryReader.LastOutputs] returns of an output. Its last line is what people look for.
const OutputEnd = 1000

// LookAtRuns bounds what a page costs whose filter leaves out most runs.
const LookAtRuns = 10_000

// MaxReportedRuns is how many runs of a project may have been reported to begin and have no result.
const MaxReportedRuns = 100

// ReportedRunID returns the id of a run that was reported to begin. Without a run id it is the beginning of the ids of all such runs of
// the agent. Either may be [Result.Run].
func ReportedRunID(project, agent, runID string) string {
	sum := sha256.Sum256([]byte(project + "\x00" + agent + "\x00" + runID))
	id := reportedID + hex.EncodeToString(sum[:16])
	if runID == "" {
		id += AllRuns
	}
	return id
}

const reportedID = "reported-"

// IsReported reports whether an id is from [ReportedRunID].
func IsReported(id string) bool { return strings.HasPrefix(id, reportedID) }

// Ends reports whether the result ends a run. One that waited in a spool and does not say which run it ends ends none that began meanwhile.
func (r Result) Ends(run Run) bool {
	if r.Run == "" || r.Run == run.ID {
		return r.Run != ""
	}
	return strings.HasSuffix(r.Run, AllRuns) && strings.HasPrefix(run.ID, r.Run) && (r.Kept == nil || !run.Started.After(r.Finished))
}

// AllRuns ends the id that stands for all runs whose ids begin with it.
const AllRuns = "/"

// IncidentFilter selects the incidents of [IncidentLister.IncidentPage].
type IncidentFilter struct {
	Projects []string // nil: all projects
	State    string   // [OpenIncidents], [EndedIncidents], or "" for both
	After    string   // id of the last incident of the previous page; "" for the first page
	Limit    int
	Evidence bool // also read the evidence
}

// States of incidents in a filter.
const (
	OpenIncidents  = "open"
	EndedIncidents = "ended"
)
