package plan

import (
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// IssueState is what is known of an issue in this pass.
type IssueState int

const (
	IssueUnknown IssueState = iota // not looked at, or the look failed
	IssueOpen
	IssueClosed
	IssueLost // deleted, or no longer with our author and marker, while the repository can be listed
)

// Observation is everything that a decision about one project rests on.
type Observation struct {
	Now       time.Time
	Project   string
	Flag      incident.FlagView
	Hold      *incident.Hold
	Incidents []incident.Incident         // of this project: all that are not settled, and those whose issues are in Open
	Known     func(id string) bool        // is the incident in the state, be it settled
	Issues    map[string]IssueState       // of the incidents' own issues, by incident id
	Open      []tracker.Issue             // this project's open issues that are ours: author and marker were checked
	Closings  map[string]incident.Closing // who closed the incidents' own issues, by incident id, where that was asked for
	Force     bool                        // a person asked: do not wait for the next try
}
