package plan

import (
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Kind is one kind of step. The local kinds touch state and flag only; the others talk to Gitea.
type Kind string

const (
	WriteFlag   Kind = "write-flag"   // the incident's or hold's flag was never on disk
	ConfirmFlag Kind = "note-flag"    // the flag is there, the state does not know it yet
	Resume      Kind = "resume"       // the incident's flag is gone: it ends
	Supersede   Kind = "supersede"    // the flag is of an earlier incident, which the state had lost: that one goes on
	RecordHold  Kind = "note-hold"    // a person's flag, seen for the first time
	ReleaseHold Kind = "release-hold" // a person's flag is gone
	Rebuild     Kind = "rebuild"      // an incident that the state lost and that goes on
	RebuildDone Kind = "rebuild-done" // an incident that the state lost and that is over

	Create          Kind = "create"          // open the incident's issue
	Adopt           Kind = "adopt"           // the incident's issue is there, the state does not know it
	AnnouncePaused  Kind = "tell-paused"     // the issue says NOT PAUSED, and the flag has come since
	FindLost        Kind = "find-lost"       // an ended incident's creation is in doubt: look whether it got through
	ConfirmReopened Kind = "note-reopened"   // a reopening that was begun has happened
	Reopen          Kind = "reopen"          // somebody closed the issue of a paused project
	Replace         Kind = "replace"         // the issue is lost: open another
	ResumeClosed    Kind = "resume-closed"   // an operator closed the issue of a paused project, which resumes it
	RunCommand      Kind = "obey"            // a command in a comment; these are not planned but taken as they come
	Close           Kind = "close"           // the incident ended: comment, close
	CloseDuplicate  Kind = "close-duplicate" // a second issue of one incident
	LeaveOpen       Kind = "leave-open"      // a person reopened an ended incident's issue: say so once
	Settle          Kind = "settle"          // nothing is left to do
)

// Local tells whether the step touches state and flag only.
func (k Kind) Local() bool {
	switch k {
	case WriteFlag, ConfirmFlag, Resume, Supersede, RecordHold, ReleaseHold, Rebuild, RebuildDone, Settle:
		return true
	}
	return false
}

// Uncovers reports whether a local step may make another one due, so that the project has to be observed again after it.
func (k Kind) Uncovers() bool {
	switch k {
	case Resume, Supersede, Rebuild, RebuildDone:
		return true
	}
	return false
}

// Action is one step of a plan.
type Action struct {
	Kind     Kind             `json:"action"`
	Project  string           `json:"project"`
	Incident string           `json:"incident,omitempty"` // id
	Name     string           `json:"name,omitempty"`     // e.g. odilo#3
	Issue    tracker.IssueRef `json:"issue,omitzero"`
	Why      string           `json:"why"`
	Quiet    bool             `json:"quiet,omitempty"` // reopen without a comment

	marker   tracker.Marker    // of an issue to rebuild from
	info     incident.FlagInfo // of a flag to rebuild from
	replaced bool              // what is rebuilt ended without a resume: a later incident pauses the project
}

// AnyLocal reports whether there is a local step among the actions.
func AnyLocal(actions []Action) bool {
	for _, a := range actions {
		if a.Kind.Local() {
			return true
		}
	}
	return false
}
