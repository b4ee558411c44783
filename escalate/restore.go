package escalate

import (
	"cmp"
	"context"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/pause"
)

// RestoreFlags writes the flags of projects again into a pause directory that has lost them, and stores that they are
// there. It returns the projects that are still paused: a sweep may have ended the pause of another one meanwhile. was is
// the directory before, if it has moved: open issues name flags in it, which the next sweep corrects.
func (r *Reconciler) RestoreFlags(ctx context.Context, was pause.Dir, projects []string) (paused []string, err error) {
	for _, project := range projects {
		restored, err := r.restoreFlag(ctx, was, project)
		if err != nil {
			return nil, err
		}
		if restored {
			paused = append(paused, project)
		}
	}
	return paused, nil
}

func (r *Reconciler) restoreFlag(ctx context.Context, was pause.Dir, project string) (restored bool, err error) {
	unlock, err := r.lockFlag(ctx, project)
	if err != nil {
		return false, err
	}
	defer unlock()
	incidents, hold, err := r.opt.State.ProjectState(ctx, project)
	if err != nil {
		return false, err
	}
	o := plan.Observation{Project: project, Incidents: incidents, Hold: hold}
	for _, i := range incidents {
		if !i.IsOpen() {
			continue
		}
		if err := r.writeFlag(ctx, o, plan.Action{Project: project, Incident: i.ID}); err != nil {
			return false, err
		}
		if err := r.flagMoved(ctx, i, was.FlagPath(project)); err != nil {
			return false, err
		}
		restored = true
	}
	switch {
	case hold == nil:
		return restored, nil
	case restored:
		return true, r.confirmFlag(ctx, o, plan.Action{Project: project})
	}
	return true, r.writeHoldFlag(ctx, *hold)
}

// flagMoved saves which path the incident's issue names, if that is not the flag's path now.
func (r *Reconciler) flagMoved(ctx context.Context, i incident.Incident, was string) error {
	now := r.opt.Dir.FlagPath(i.Project)
	named := cmp.Or(i.NamedFlag, was)
	if named == now {
		named = ""
	}
	if named == i.NamedFlag || i.Issue.IsZero() && i.Create.At.IsZero() {
		return nil
	}
	_, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.NamedFlag = named })
	return err
}
