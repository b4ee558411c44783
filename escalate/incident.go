package escalate

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Run is one run of an agent, as an issue tells of it.
type Run struct {
	Outcome  string // success, failure or ignored
	Started  time.Time
	Finished time.Time
	ExitCode int    // meaningful where Signal is empty
	Signal   string // e.g. SIGKILL; empty where the run ended by itself
	Detail   string // e.g. "timed out after 1h0m0s"; empty in the ordinary case
	Host     string
	RunID    string
}

// Evidence is what was known when the breaker tripped. It is kept as long as the incident, so that its issue reads the same
// whenever Gitea takes it, and after the history was pruned.
type Evidence struct {
	Runs    []Run  // the newest first, at most ten
	Output  string // of the last failed run: masked, cleaned and cut already
	Earlier []EarlierIncident
}

// EarlierIncident is an ended incident of the same project.
type EarlierIncident struct {
	Seq    int
	Opened time.Time
	Ended  time.Time
	Issue  tracker.IssueRef // zero where none was made
}

// Attempt is a request that may have reached the server though its answer did not come back.
type Attempt struct {
	At time.Time // when it was last begun; zero where none is outstanding
	Up Uptime    `json:",omitzero"` // the same by the machine's own clock
}

// Comment is what is known of a comment that is to be made once.
type Comment struct {
	Attempted time.Time // zero: not yet
	Up        Uptime    `json:",omitzero"` // the same by the machine's own clock
	Done      bool      // it is there, or the server refused it for good
}

// Incident lasts from a trip of a project's breaker to the resume that ends it. It is a value; what is stored is changed
// only through [Ledger].
type Incident struct {
	ID      string // 128 random bits in hexadecimal: its identity
	Project string
	Seq     int // counts a project's incidents from 1: people say "odilo#3"
	Agent   string

	Opened    time.Time
	Failures  int // consecutive, at the trip
	Threshold int
	Host      string
	Instance  string
	Evidence  Evidence `json:"-"` // kept apart and not read with the incident, see [Ledger]
	Rebuilt   bool     // put together again from a flag or an issue after the state was lost
	Replaced  bool     // ended without a resume: another incident pauses the project, since the state of the earlier one was lost

	FlagWritten time.Time // zero: the flag was never seen on disk
	FlagError   string    // why it could not be written

	Ended    time.Time // zero: open
	EndedHow string    // a sentence for people, e.g. "the pause flag was removed; noticed by the sweep"

	Issue  tracker.IssueRef   // zero: none known
	Lost   []tracker.IssueRef // earlier issues of this incident that were deleted or lost their marker
	Target tracker.Repo       // where an outstanding attempt went; zero where none is outstanding

	Create   Attempt   // outstanding creation
	Tries    int       // failed tries in a row, of whatever is pending with Gitea
	NextTry  time.Time // not before
	LastErr  string    // for people; empty when nothing is wrong
	Settled  bool      // ended, and nothing is left to do in Gitea
	LeftOpen bool      // a person reopened the issue after the end; it stays as it is

	SaidNotPaused bool // the issue is headed NOT PAUSED, and nothing has been said since

	ReopenPending bool        // a reopening was begun and not yet seen to be done
	Reopens       []time.Time // the last few, the oldest first
	ReopenQuiet   bool        // the last one was without a word, after too many

	StrangersClosing int64 `json:",omitempty"` // the timeline's entry of the last closing by who was no operator then

	Comments map[string]Comment // by key

	Ack *Ack `json:",omitempty"` // who took it last; nil: nobody did
}

// supersededByEarlier tells whether a replaced incident is the later one: the earlier is the one that was rebuilt.
func (i Incident) supersededByEarlier() bool { return i.Replaced && !i.Rebuilt }

// Ack is who said that they take care of an incident.
type Ack struct {
	By tracker.Account
	At time.Time
}

// IsOpen tells whether the incident has not ended.
func (i Incident) IsOpen() bool { return i.Ended.IsZero() }

// Name is what people call the incident, e.g. odilo#3.
func (i Incident) Name() string { return fmt.Sprintf("%s#%d", i.Project, i.Seq) }
