// Package incident defines the values of escalation (incidents, holds, flags as observed, commands, closings) and the
// interfaces of the state that stores them.
//
// Stored values are changed only through [IncidentWriter] and its siblings; each method is one transaction. The JSON
// names are stored data and never change, even where the field's Go name has.
package incident

import (
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Run is one run of an agent, as shown in an issue.
type Run struct {
	Outcome  string    `json:"Outcome,omitzero"` // success, failure or ignored
	Started  time.Time `json:"Started,omitzero"`
	Finished time.Time `json:"Finished,omitzero"`
	ExitCode int       `json:"ExitCode,omitzero"` // meaningful if Signal is empty
	Signal   string    `json:"Signal,omitzero"`   // e.g. SIGKILL; "" if the run exited by itself
	Detail   string    `json:"Detail,omitzero"`   // e.g. "timed out after 1h0m0s"; usually ""
	Host     string    `json:"Host,omitzero"`
	RunID    string    `json:"RunID,omitzero"`
	Class    string    `json:"class,omitzero"` // of a failure
}

// Evidence is what was known when the breaker tripped. It is kept as long as its incident, so that the issue reads the
// same whenever it is created, even after the history was pruned.
type Evidence struct {
	Runs    []Run             `json:"Runs,omitzero"`   // newest first, at most ten
	Output  string            `json:"Output,omitzero"` // of the last failed run: cleaned, masked and shortened
	Earlier []EarlierIncident `json:"Earlier,omitzero"`
}

// EarlierIncident is an ended incident of the same project.
type EarlierIncident struct {
	Seq    int              `json:"Seq"`
	Opened time.Time        `json:"Opened"`
	Ended  time.Time        `json:"Ended"`
	Issue  tracker.IssueRef `json:"Issue,omitzero"` // zero if it had none
}

// Attempt is a request that may have reached the server although no answer came back.
type Attempt struct {
	At time.Time `json:"At,omitzero"` // when it was last begun; zero: none is outstanding
	Up Uptime    `json:"Up,omitzero"` // the same by the machine's clock
	// Lost counts the attempts in a row whose answer did not come, this one included.
	Lost int `json:"lost,omitempty"`
}

// Refused reports whether the attempt was refused by something in front of the server, which may have done the work all the same.
func (a Attempt) Refused() bool { return !a.At.IsZero() && a.Lost == 0 }

// Comment is the state of a comment that is written once.
type Comment struct {
	Attempted time.Time `json:"Attempted,omitzero"` // zero: not yet
	Up        Uptime    `json:"Up,omitzero"`        // the same by the machine's clock
	Done      bool      `json:"Done,omitzero"`      // it was written, or the server refused it for good
	Refused   string    `json:"refused,omitempty"`  // why it was
}

// InDoubt reports whether the comment was attempted and it is not known whether it is there.
func (c Comment) InDoubt() bool { return !c.Attempted.IsZero() && !c.Done }

// Incident lasts from the trip of a project's breaker to the resume that ends it. A [Silent] one lasts from the time at which a result is
// overdue to the next one.
type Incident struct {
	ID      string `json:"ID"` // 128 random bits in hexadecimal
	Project string `json:"Project"`
	Seq     int    `json:"Seq"` // counts the project's incidents of one kind from 1, see Name
	Agent   string `json:"Agent,omitzero"`

	Kind       Kind      `json:"kind,omitempty"`        // "": its breaker tripped
	Since      time.Time `json:"silent_since,omitzero"` // of a silent one: when it was heard of last or, if it never was, since when it is waited for
	LastResult time.Time `json:"last_result,omitzero"`  // of a silent one: when its last counted result was recorded; zero: never
	Began      time.Time `json:"run_began,omitzero"`    // of a silent one: when the run on Host began that had no result when it was opened
	Expect     string    `json:"expect,omitempty"`      // of a silent one: what was configured, for people, e.g. "every 1h"

	Opened    time.Time `json:"Opened"`
	Failures  int       `json:"Failures,omitzero"` // consecutive, at the trip
	Threshold int       `json:"Threshold,omitzero"`
	Host      string    `json:"Host,omitzero"`
	Instance  string    `json:"Instance,omitzero"`
	Evidence  Evidence  `json:"-"`                 // stored separately, see [IncidentReader]
	Class     string    `json:"class,omitempty"`   // of the failure that tripped the breaker; "": not known
	Unstored  bool      `json:"unstored,omitzero"` // Failures are those that Host counted alone, while it could not store them
	Rebuilt   bool      `json:"Rebuilt,omitzero"`  // rebuilt from a flag or an issue after the state was lost or, if Unstored, before it knew of it
	Replaced  bool      `json:"Replaced,omitzero"` // ended without a resume, because another incident pauses the project

	// Fingerprint is what stays the same of the error from run to run and from project to project; "": there is none.
	Fingerprint string `json:"fingerprint,omitempty"`

	Trend Trend `json:"trend,omitzero"` // what happened before; zero: not known

	Generation  int64     `json:"-"`                    // of its pause; only for Insert, and of an incident that was just opened
	FlagWritten time.Time `json:"FlagWritten,omitzero"` // when the flag was first seen on a disk; zero: never
	FlagError   string    `json:"FlagError,omitzero"`   // why it could not be written

	Ended    time.Time `json:"Ended,omitzero"`    // zero: open
	EndedHow string    `json:"EndedHow,omitzero"` // for people, e.g. "the pause flag was removed; noticed by the sweep"

	Issue tracker.IssueRef   `json:"Issue,omitzero"` // zero: none known
	Lost  []tracker.IssueRef `json:"Lost,omitzero"`  // earlier issues of this incident that were deleted or lost their marker
	// NamedFlag is the path of the pause flag that the issue's text names, where that is not its path any more; else "".
	NamedFlag string `json:"named_flag,omitempty"`

	// Lead is the id of the incident whose issue carries this one; "": it has its own. Members are those that its own carries, itself first;
	// none if it is alone.
	Lead      string    `json:"lead,omitempty"`
	Members   []Member  `json:"members,omitempty"`
	OwnIssue  bool      `json:"own_issue,omitempty"` // it was decided that no other incident's issue carries it
	Joined    time.Time `json:"joined,omitzero"`     // when the last of them was opened
	Continues string    `json:"continues,omitempty"` // id of the lead of an issue of the same cause that had no room for this one
	LeadName  string    `json:"-"`                   // for people, see [View]
	Title     string    `json:"title,omitempty"`     // the last one that the bot has given to an issue that carries several
	Edited    time.Time `json:"edited,omitzero"`     // when the bot last wrote into that issue whom it carries

	Target tracker.Repo `json:"Target,omitzero"` // repository of an outstanding attempt; zero if none is outstanding

	// Repo is where the issue was to go by the configuration of whoever opened the incident; zero: that did not name the project. Another process
	// may run with an earlier configuration, or with a later one that has left the project out.
	Repo tracker.Repo `json:"repo,omitzero"`

	Create  Attempt   `json:"Create,omitzero"`  // of the issue
	Tries   int       `json:"Tries,omitzero"`   // consecutive failed attempts of whatever is pending in Gitea
	NextTry time.Time `json:"NextTry,omitzero"` // not before
	// Wait is how long NextTry was away when it was set; 0: an earlier version has set it.
	Wait     time.Duration `json:"wait_ns,omitzero"`
	LastErr  string        `json:"LastErr,omitzero"`  // for people; "" if the last attempt did not fail
	Settled  bool          `json:"Settled,omitzero"`  // ended, with nothing left to do in Gitea
	LeftOpen bool          `json:"LeftOpen,omitzero"` // a person reopened the issue after the end; it stays open

	// IssueClosed means that the issue of an incident that has ended is closed already, as far as is known, and something else is left to do
	// in it.
	IssueClosed bool `json:"issue_closed,omitempty"`

	Incomplete bool `json:"incomplete,omitempty"` // the issue may lack parts that were asked for, and does not say so yet

	HeadedNotPaused bool `json:"SaidNotPaused,omitzero"` // the issue is headed NOT PAUSED, and no comment has corrected that yet

	ReopenPending bool        `json:"ReopenPending,omitzero"` // a reopening was begun and not confirmed yet
	Reopens       []time.Time `json:"Reopens,omitzero"`       // the last few, oldest first
	ReopenQuiet   bool        `json:"ReopenQuiet,omitzero"`   // the last one had no comment, because there were too many

	IgnoredClosing int64 `json:"StrangersClosing,omitempty"` // timeline entry of the last closing by an account that was no operator then
	// IgnoredClosed is when that was, by the server's clock: one that was restored from a backup gives the number to another entry. Zero: an
	// earlier version has stored the entry.
	IgnoredClosed time.Time `json:"strangers_closed,omitzero"`

	// ClosedByCommit is when a commit closed the issue, according to the tracker's last event about that: the issue's timeline
	// does not show a commit in a repository that the bot may not read. Zero: there was no such event.
	ClosedByCommit time.Time `json:"closed_by_commit,omitzero"`

	Comments map[string]Comment `json:"Comments,omitzero"` // by key, e.g. [ResumedKey]

	Ack *Ack `json:"Ack,omitempty"` // the last one; nil: none

	Escalation Escalation `json:"escalation,omitzero"`

	// ResumedHere is a time before which a person had not resumed the project yet, and not in the tracker, while something was left to do
	// for the incident: that of the resume with adfbot, or when the flag that was removed was seen last.
	ResumedHere time.Time `json:"resumed_here,omitzero"`
}

// SupersededByEarlier reports whether the incident was replaced by an earlier one, which was rebuilt.
func (i Incident) SupersededByEarlier() bool { return i.Replaced && !i.Rebuilt }

// IsOpen reports whether the incident has not ended.
func (i Incident) IsOpen() bool { return i.Ended.IsZero() }

// EndUntold reports whether the comment on the incident's end was begun, and it is not known to be there.
func (i Incident) EndUntold() bool { return i.Comments[ResumedKey(i)].InDoubt() }

// Name returns the incident's name for people, e.g. odilo#3.
func (i Incident) Name() string {
	if i.IsSilent() {
		return i.Project + "#silent-" + strconv.Itoa(i.Seq)
	}
	return i.Project + "#" + strconv.Itoa(i.Seq)
}

// Ack says who takes care of an incident.
type Ack struct {
	By tracker.Account `json:"By"`
	At time.Time       `json:"At"`
}

// Uptime is a time on the machine's own clock, which cannot be set and does not stop during sleep (CLOCK_BOOTTIME).
type Uptime struct {
	Boot string        `json:"Boot,omitzero"` // id of the boot it counts from; "": unknown
	For  time.Duration `json:"For,omitzero"`  // since then
}

// WaitFrom delays the next try.
func (i *Incident) WaitFrom(now time.Time, wait time.Duration) {
	i.NextTry, i.Wait = now.Add(wait), wait
}
