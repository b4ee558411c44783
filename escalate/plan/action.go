package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Kind is a kind of step. Its value is printed and never changes.
type Kind string

// Local steps change the state and the flag only.
const (
	WriteFlag     Kind = "write-flag"     // write the flag of a pause, in place of an earlier one's too
	ConfirmFlag   Kind = "note-flag"      // store that the flag is on disk, and what it is now
	RemoveFlag    Kind = "remove-flag"    // remove a flag whose pause is over
	ForgetFlag    Kind = "forget-flag"    // store that the flag of an earlier pause is gone
	Resume        Kind = "resume"         // end an incident whose flag was removed
	Supersede     Kind = "supersede"      // end an incident in favor of an earlier one, which the state had lost
	RecordHold    Kind = "note-hold"      // store a pause that a person made
	ReleaseHold   Kind = "release-hold"   // end such a pause after its flag was removed
	EndHold       Kind = "end-hold"       // end such a pause because its time is over
	Rebuild       Kind = "rebuild"        // restore an incident that the state lost and that still pauses the project
	RebuildDone   Kind = "rebuild-done"   // restore an incident that the state lost and that has ended
	RebuildSilent Kind = "rebuild-silent" // restore an incident that the state lost and that pauses nothing
	EndSilent     Kind = "end-silent"     // end an incident that pauses nothing, because it has ended before as the state knew until it was lost
	Settle        Kind = "settle"         // mark an incident that has nothing left to do
	LeaveLead     Kind = "leave-lead"     // store that no other incident carries this one in its issue any more
)

// The other steps make requests.
const (
	Join                Kind = "join"               // have the issue of another incident of the same cause carry this one
	Create              Kind = "create"             // open the incident's issue
	NameFlag            Kind = "name-flag"          // name the flag's new path in the issue, after the pause directory has moved
	Adopt               Kind = "adopt"              // store the incident's issue, which exists already
	Complete            Kind = "complete"           // add to the incident's issue what its creation left out
	ShowMembers         Kind = "show-members"       // write into the issue whom it carries, and how it is with them
	TellJoined          Kind = "tell-joined"        // comment on whom the issue carries since the last comment
	NoteAssignee        Kind = "note-assignee"      // store who is assigned: somebody, which is an answer; nobody any more; whom the bot has assigned
	Escalate            Kind = "escalate"           // take a step of the escalation, because nobody has answered
	Remind              Kind = "remind"             // comment that the project is still paused
	AnnouncePaused      Kind = "tell-paused"        // comment on an issue headed NOT PAUSED that the flag was written
	AnnounceUnpaused    Kind = "tell-not-paused-on" // comment that the project is not paused on a host of the fleet
	AnnouncePausedThere Kind = "tell-paused-on"     // comment that it is now
	ConfirmReopened     Kind = "note-reopened"      // store that a reopening took effect
	Reopen              Kind = "reopen"             // reopen the issue of a paused project
	Replace             Kind = "replace"            // open another issue for one that is lost
	ResumeClosed        Kind = "resume-closed"      // resume a project whose issue an operator closed
	RunCommand          Kind = "obey"               // run a command from a comment; never planned
	Close               Kind = "close"              // comment on and close the issue of an ended incident
	CloseDuplicate      Kind = "close-duplicate"    // close a second issue of one incident
	FindLost            Kind = "find-lost"          // find out whether the issue of an ended incident was created
	LeaveOpen           Kind = "leave-open"         // comment once that an issue reopened after the end stays open
)

// The phases of a plan, in order.
const (
	localPhase  = iota
	pausedPhase // what paused projects need
	endedPhase  // what ended incidents leave to do
)

var phases = map[Kind]int{
	WriteFlag: localPhase, ConfirmFlag: localPhase, RemoveFlag: localPhase, ForgetFlag: localPhase, Resume: localPhase, Supersede: localPhase, RecordHold: localPhase,
	ReleaseHold: localPhase, EndHold: localPhase, Rebuild: localPhase, RebuildDone: localPhase, RebuildSilent: localPhase, EndSilent: localPhase, Settle: localPhase, LeaveLead: localPhase,
	Join: pausedPhase, Create: pausedPhase, ShowMembers: pausedPhase, TellJoined: pausedPhase, Adopt: pausedPhase, Replace: pausedPhase, Reopen: pausedPhase, ResumeClosed: pausedPhase,
	Complete: pausedPhase, NameFlag: pausedPhase, ConfirmReopened: pausedPhase, AnnouncePaused: pausedPhase, AnnounceUnpaused: pausedPhase, AnnouncePausedThere: pausedPhase, RunCommand: pausedPhase,
	NoteAssignee: pausedPhase, Escalate: pausedPhase, Remind: pausedPhase,
	Close: endedPhase, LeaveOpen: endedPhase, FindLost: endedPhase, CloseDuplicate: endedPhase,
}

// Kinds returns all kinds, in the order of their names.
func Kinds() []Kind { return slices.Sorted(maps.Keys(phases)) }

// Local reports whether the step changes the state and the flag only.
func (k Kind) Local() bool {
	phase, ok := phases[k]
	return ok && phase == localPhase
}

// Uncovers reports whether a local step may make another one due, so that the project has to be observed again.
func (k Kind) Uncovers() bool {
	return k == Resume || k == Supersede || k == Rebuild || k == RebuildDone || k == RebuildSilent || k == EndSilent || k == ForgetFlag || k == ReleaseHold || k == EndHold || k == LeaveLead
}

// MarshalJSON adds the names that each thing has everywhere; Incident and Issue, with names of Go, are old ones.
func (a Action) MarshalJSON() ([]byte, error) {
	type plain Action
	return json.Marshal(struct {
		plain
		IncidentID string `json:"incident_id,omitempty"`
		IssueURL   string `json:"issue_url,omitempty"`
	}{plain(a), a.Incident, a.Issue.URL})
}

// Action is one step of a plan.
type Action struct {
	Kind     Kind             `json:"action"`
	Project  string           `json:"project"`
	Incident string           `json:"incident,omitempty"` // id; "" for a hold
	Name     string           `json:"name,omitempty"`     // of the incident, e.g. odilo#3
	Issue    tracker.IssueRef `json:"issue,omitzero"`
	Why      string           `json:"why"`
	Quiet    bool             `json:"quiet,omitempty"` // reopen without a comment

	Host incident.UnpausedHost `json:"-"` // that a comment is about

	// What an incident is rebuilt from.
	marker   tracker.Marker    // in its issue
	lead     string            // id of the incident whose issue that is, if it is another one
	members  []tracker.Marker  // of those that it leads
	info     incident.FlagInfo // of the flag
	at       int64             // generation of its pause, or of the hold's
	hold     string            // id of a hold that the state lost
	until    time.Time         // when that ends
	stop     string            // that it was a part of
	replaced bool              // it ended without a resume, because a later incident pauses the project

	opened time.Time // when its issue was

	// How and when a silent incident has ended.
	EndedHow string    `json:"-"`
	Ended    time.Time `json:"-"`

	flagElsewhere bool // no flag was seen; another host may have it
}

// AnyLocal reports whether one of the actions is local.
func AnyLocal(actions []Action) bool {
	return slices.ContainsFunc(actions, func(a Action) bool { return a.Kind.Local() })
}
