package escalate

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// Waiting is something that is too early to do.
type Waiting struct {
	Project string    `json:"project"`
	Name    string    `json:"name"`  // of the incident, e.g. odilo#3
	Until   time.Time `json:"until"` // the first sweep after it goes on
	Why     string    `json:"why"`
}

// waiting returns what the unfinished incidents of a project, or of all, wait for.
func (r *Reconciler) waiting(ctx context.Context, c *sweepCache, project string) ([]Waiting, error) {
	incidents, err := r.opt.State.Unsettled(ctx, project)
	if err != nil {
		return nil, err
	}
	silent, err := r.opt.State.Silent(ctx, project)
	var out []Waiting
	for _, i := range append(incidents, silent...) {
		if until, why := r.waitOf(c, i); why != "" {
			out = append(out, Waiting{Project: i.Project, Name: i.Name(), Until: until.UTC(), Why: why})
		}
	}
	return out, err
}

// waitOf returns until when an incident waits, and why; "" if it does not.
func (r *Reconciler) waitOf(c *sweepCache, i incident.Incident) (until time.Time, why string) {
	const (
		again = " again only when Gitea can't be at work on the last attempt any more"
		found = "the issue is looked for only when Gitea can't be at work on its creation any more"
	)
	cause := ""
	if i.LastErr != "" {
		cause = ": " + i.LastErr
	}
	if !i.Create.At.IsZero() && !r.expired(i.Create) {
		if !i.IsOpen() {
			return r.expiry(i.Create), found + cause
		}
		return r.expiry(i.Create), "the issue is created" + again + cause
	}
	for _, m := range i.Comments {
		if a := (incident.Attempt{At: m.Attempted, Up: m.Up}); m.InDoubt() && !r.expired(a) && r.expiry(a).After(until) {
			until, why = r.expiry(a), "a comment is written"+again+cause
		}
	}
	now := r.opt.Now()
	switch {
	case why != "":
		return until, why
	case !c.force && i.IsOpen() && i.Issue.IsZero() && i.Tries == 0 && len(i.Lost) > 1 && !plan.Due(now, i):
		return i.NextTry, "another issue is opened later" + cause
	case !c.force && i.Tries > 0 && !plan.Due(now, i):
		return i.NextTry, "the next try after a failure" + cause
	case i.IsOpen() && !i.IsSilent() && r.cachedState(c, i) == plan.IssueClosed:
		if at := plan.ReopenAt(now, i); at.After(now) {
			return at, "the issue was closed again and again while the project is paused, so it is reopened later"
		}
	}
	return time.Time{}, ""
}
