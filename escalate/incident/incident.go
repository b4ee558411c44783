// Package incident defines the values that escalation is about (incidents, holds, flags as seen, commands, closings) and the
// interfaces of the state that keeps them. Values are changed only through [IncidentWriter.Change] and its siblings, each
// of which is one transaction. Names of JSON fields are stored data: they never change.
package incident

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Run is one run of an agent, as an issue tells of it.
type Run struct {
	Outcome  string    `json:"Outcome"` // success, failure or ignored
	Started  time.Time `json:"Started,omitzero"`
	Finished time.Time `json:"Finished,omitzero"`
	ExitCode int       `json:"ExitCode"` // meaningful where Signal is empty
	Signal   string    `json:"Signal"`   // e.g. SIGKILL; empty where the run ended by itself
	Detail   string    `json:"Detail"`   // e.g. "timed out after 1h0m0s"; empty in the ordinary case
	Host     string    `json:"Host"`
	RunID    string    `json:"RunID"`
}

// Evidence is what was known when the breaker tripped. It is kept as long as the incident, so that its issue reads the same
// whenever Gitea takes it, and after the history was pruned.
type Evidence struct {
	Runs    []Run             `json:"Runs"`   // the newest first, at most ten
	Output  string            `json:"Output"` // of the last failed run: masked, cleaned and cut already
	Earlier []EarlierIncident `json:"Earlier"`
}

// EarlierIncident is an ended incident of the same project.
type EarlierIncident struct {
	Seq    int              `json:"Seq"`
	Opened time.Time        `json:"Opened"`
	Ended  time.Time        `json:"Ended"`
	Issue  tracker.IssueRef `json:"Issue,omitzero"` // zero where none was made
}

// Attempt is a request that may have reached the server though its answer did not come back.
type Attempt struct {
	At time.Time `json:"At,omitzero"` // when it was last begun; zero where none is outstanding
	Up Uptime    `json:"Up,omitzero"` // the same by the machine's own clock
}

// Comment is what is known of a comment that is to be made once.
type Comment struct {
	Attempted time.Time `json:"Attempted,omitzero"` // zero: not yet
	Up        Uptime    `json:"Up,omitzero"`        // the same by the machine's own clock
	Done      bool      `json:"Done"`               // it is there, or the server refused it for good
}

// Incident lasts from a trip of a project's breaker to the resume that ends it. It is a value; what is stored is changed
// only through [IncidentWriter].
type Incident struct {
	ID      string `json:"ID"` // 128 random bits in hexadecimal: its identity
	Project string `json:"Project"`
	Seq     int    `json:"Seq"` // counts a project's incidents from 1: people say "odilo#3"
	Agent   string `json:"Agent"`

	Opened    time.Time `json:"Opened"`
	Failures  int       `json:"Failures"` // consecutive, at the trip
	Threshold int       `json:"Threshold"`
	Host      string    `json:"Host"`
	Instance  string    `json:"Instance"`
	Evidence  Evidence  `json:"-"`        // kept apart and not read with the incident, see [IncidentReader]
	Rebuilt   bool      `json:"Rebuilt"`  // put together again from a flag or an issue after the state was lost
	Replaced  bool      `json:"Replaced"` // ended without a resume: another incident pauses the project, since the state of the earlier one was lost

	FlagWritten time.Time `json:"FlagWritten,omitzero"` // zero: the flag was never seen on disk
	FlagError   string    `json:"FlagError"`            // why it could not be written

	Ended    time.Time `json:"Ended,omitzero"` // zero: open
	EndedHow string    `json:"EndedHow"`       // a sentence for people, e.g. "the pause flag was removed; noticed by the sweep"

	Issue  tracker.IssueRef   `json:"Issue,omitzero"`  // zero: none known
	Lost   []tracker.IssueRef `json:"Lost"`            // earlier issues of this incident that were deleted or lost their marker
	Target tracker.Repo       `json:"Target,omitzero"` // where an outstanding attempt went; zero where none is outstanding

	Create   Attempt   `json:"Create,omitzero"`  // outstanding creation
	Tries    int       `json:"Tries"`            // failed tries in a row, of whatever is pending with Gitea
	NextTry  time.Time `json:"NextTry,omitzero"` // not before
	LastErr  string    `json:"LastErr"`          // for people; empty when nothing is wrong
	Settled  bool      `json:"Settled"`          // ended, and nothing is left to do in Gitea
	LeftOpen bool      `json:"LeftOpen"`         // a person reopened the issue after the end; it stays as it is

	HeadedNotPaused bool `json:"SaidNotPaused"` // the issue is headed NOT PAUSED, and nothing has been said since

	ReopenPending bool        `json:"ReopenPending"` // a reopening was begun and not yet seen to be done
	Reopens       []time.Time `json:"Reopens"`       // the last few, the oldest first
	ReopenQuiet   bool        `json:"ReopenQuiet"`   // the last one was without a word, after too many

	IgnoredClosing int64 `json:"StrangersClosing,omitempty"` // the timeline's entry of the last closing by who was no operator then

	Comments map[string]Comment `json:"Comments"` // by key

	Ack *Ack `json:"Ack,omitempty"` // who took it last; nil: nobody did
}

// SupersededByEarlier tells whether a replaced incident is the later one: the earlier is the one that was rebuilt.
func (i Incident) SupersededByEarlier() bool { return i.Replaced && !i.Rebuilt }

// Ack is who said that they take care of an incident.
type Ack struct {
	By tracker.Account `json:"By"`
	At time.Time       `json:"At"`
}

// IsOpen tells whether the incident has not ended.
func (i Incident) IsOpen() bool { return i.Ended.IsZero() }

// Name is what people call the incident, e.g. odilo#3.
func (i Incident) Name() string { return fmt.Sprintf("%s#%d", i.Project, i.Seq) }

// Uptime is a moment by the machine's own clock, which nobody can set and which goes on while the machine sleeps:
// CLOCK_BOOTTIME in clock_gettime(2).
type Uptime struct {
	Boot string        `json:"Boot"` // which start of the machine it counts from; "": not known
	For  time.Duration `json:"For"`  // since then
}
