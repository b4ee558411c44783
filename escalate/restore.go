package escalate

import (
	"context"

	"github.com/terraphim/adfbot/escalate/plan"
)

// RestoreFlags writes the flags of projects again into a pause directory that has lost them, and stores that they are
// there. It returns the projects that are still paused: a sweep may have ended the pause of another one meanwhile.
func (r *Reconciler) RestoreFlags(ctx context.Context, projects []string) (paused []string, err error) {
	for _, project := range projects {
		restored, err := r.restoreFlag(ctx, project)
		if err != nil {
			return nil, err
		}
		if restored {
			paused = append(paused, project)
		}
	}
	return paused, nil
}

func (r *Reconciler) restoreFlag(ctx context.Context, project string) (restored bool, err error) {
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
