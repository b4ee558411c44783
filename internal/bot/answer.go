package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// ResultView is what a result did, for whoever reported it: the answer of `record --json` and of POST /api/v1/results.
type ResultView struct {
	Project   string        `json:"project"`
	Agent     string        `json:"agent"`
	Outcome   string        `json:"outcome"`
	Counted   bool          `json:"counted"`
	Why       string        `json:"why,omitempty"` // it did not count
	Failures  int           `json:"consecutive_failures"`
	Threshold int           `json:"threshold"`
	Tripped   bool          `json:"tripped"`
	Paused    bool          `json:"paused"`
	Known     bool          `json:"known"` // the run was recorded before
	Incident  *IncidentName `json:"incident"`
	Problems  []string      `json:"problems"` // what is left to the next sweep

	unflagged bool // it tripped, and its pause flag could not be written
}

// IncidentName is the incident that is open after a result.
type IncidentName struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Issue string `json:"issue"` // URL, "" where it is not open yet
}

// View is what the reporter is told.
func (r Recorded) View() ResultView {
	v := ResultView{Project: r.Project, Agent: r.Agent, Outcome: r.Outcome, Counted: r.Counted, Why: r.Why, Failures: r.Failures,
		Threshold: r.Threshold, Tripped: r.Tripped, Paused: r.Paused(), Known: r.Known, Problems: append([]string{}, r.Problems...),
		unflagged: r.Flag.State != incident.FlagThere}
	if r.Incident != nil {
		v.Incident = &IncidentName{ID: r.Incident.ID, Name: r.Incident.Name(), Issue: r.Incident.Issue.URL}
	}
	return v
}

// TripText is the one sentence about a trip.
func (v ResultView) TripText() string {
	s := fmt.Sprintf("%s failed %d times in a row on %s: the project is paused", v.Agent, v.Failures, v.Project)
	if v.unflagged {
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

// Redactor masks what the bot's own words and what it is told must not show.
func (b *Bot) Redactor() *redact.Redactor { return b.redact }

// MayRun is the gate for a process that has the state open. Beside the flag it knows of an incident whose flag could not
// be written: exec refuses on that too. What can't be read is unknown.
func (b *Bot) MayRun(ctx context.Context, project string) Verdict {
	flag := b.rec.Look(project)
	switch flag.State {
	case incident.FlagThere:
		return Verdict{Paused: true, Reason: reason(b.rec.Dir(), project, flag.Note, flag.Dangling)}
	case incident.FlagUnknown:
		return Verdict{Err: b.Explain(ctx, flag.Err)}
	}
	unsettled, err := b.store.Unsettled(ctx, project)
	if err != nil {
		return Verdict{Err: err}
	}
	for _, i := range unsettled {
		if i.IsOpen() && i.FlagWritten.IsZero() {
			return Verdict{Paused: true, Reason: fmt.Sprintf("incident %s is open, and its pause flag could not be written: %s", i.Name(), i.FlagError)}
		}
	}
	return Verdict{}
}

// IncidentFilter says which incidents are wanted, see [Bot.Incidents].
type IncidentFilter = store.IncidentFilter

// Incidents returns incidents, the newest first, and whether there are more of them after these.
func (b *Bot) Incidents(ctx context.Context, f IncidentFilter) (list []incident.Incident, more bool, err error) {
	want := f.Limit
	f.Limit++
	list, err = b.store.IncidentPage(ctx, f)
	if len(list) > want {
		list, more = list[:want], true
	}
	return list, more, err
}

// CheckKnown is [CheckProject], and nil too for a project that left the configuration while it was paused or while its
// issue was open.
func (b *Bot) CheckKnown(ctx context.Context, project string) error {
	err := CheckProject(b.cfg, project)
	var unknown *UnknownProjectError
	if !errors.As(err, &unknown) {
		return err
	}
	known, err2 := b.Knows(ctx, project)
	switch {
	case err2 != nil:
		return err2
	case known:
		return nil
	}
	return err
}
