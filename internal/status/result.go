package status

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// ResultView is what a result did: the answer of `record --json` and of POST /api/v1/results.
type ResultView struct {
	Project   string        `json:"project"`
	Agent     string        `json:"agent"`
	Outcome   string        `json:"outcome"`
	Class     string        `json:"class,omitempty"` // of a failure
	Counted   bool          `json:"counted"`
	Why       string        `json:"why,omitempty"` // it did not count
	Failures  int           `json:"failures"`      // in a row
	Threshold int           `json:"threshold"`
	Tripped   bool          `json:"tripped"`
	Paused    string        `json:"is_paused"` // [Yes], [No] or [Unknown]
	Known     bool          `json:"known"`     // the run was recorded before
	Incident  *IncidentName `json:"incident"`
	Problems  []string      `json:"problems"` // what is left to the next sweep

	FlagMissing bool `json:"-"` // it tripped, and its pause flag could not be written
}

// IncidentName is the incident that is open after a result.
type IncidentName struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Issue string `json:"issue_url"` // "" while there is no issue
}

// SpooledView is the answer of POST /api/v1/results for a result that the daemon has on disk and records later.
type SpooledView struct {
	Project string `json:"project"`
	Agent   string `json:"agent"`
	Outcome string `json:"outcome"`
	Class   string `json:"class,omitempty"` // of a failure
	RunID   string `json:"run_id"`
	Spooled bool   `json:"spooled"`
	Paused  string `json:"is_paused"` // [Yes]: by a flag; [Unknown]: nobody could look
	Why     string `json:"why"`
}

// SendAgain is what a client is told whose result could be neither recorded nor kept. exec and record keep it themselves, and do not pass that on.
const SendAgain = ", send it again later"

// Reported is the outcome of reporting a result to the daemon.
type Reported struct {
	Result   *ResultView // nil if the daemon has not recorded it
	Messages []string    // for stderr
}

// ClassNote returns a class for people, after what failed: " (quota)", or "" where it says nothing.
func ClassNote(name string) string {
	if name == "" || name == class.Unknown {
		return ""
	}
	return " (" + name + ")"
}

// TripText returns one sentence about a trip.
func (v ResultView) TripText() string {
	s := fmt.Sprintf("%s %s on %s%s: the project is paused", v.Agent, text.Failed(v.Failures), v.Project, ClassNote(v.Class))
	if v.FlagMissing {
		s += " (but its pause flag could NOT be written)"
	}
	switch {
	case v.Incident == nil:
	case v.Incident.Issue != "":
		s += ", see " + v.Incident.Issue
	default:
		s += fmt.Sprintf(", incident %s; its issue is not open yet", v.Incident.Name)
	}
	return s
}

// LostText returns a sentence about a result with a run id that could not be kept because of err, with the command that
// records it, with the times of the run: it must not count if the project is resumed before somebody does so. how says how the run ended,
// in flags of that command. Project, agent and how need no quotes in a shell. runAs comes before the command, and flag after it.
func LostText(r store.Result, err error, how, runAs, flag string) string {
	var times string
	if !r.Started.IsZero() && (r.Finished.IsZero() || !r.Started.After(r.Finished)) { // unless the clock was set back: record would refuse that
		times = " --started " + r.Started.UTC().Format(time.RFC3339Nano)
	}
	if !r.Finished.IsZero() {
		times += " --finished " + r.Finished.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("cannot keep the result: %v; the result (%s of %s in %s) is LOST unless you record it: %sadfbot record --project %s --agent %s --run-id %s %s%s%s",
		err, r.Outcome, r.Agent, r.Project, runAs, r.Project, r.Agent, text.ShellQuote(r.RunID), how, times, flag)
}
