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
	opened, err := r.open() // it is not to be believed yet
	if err != nil {
		unlock()
		return false, err
	}
	f := &visitFolder{folder: opened, r: r}
	defer f.leave(unlock)
	state, err := r.opt.State.ProjectState(ctx, project)
	if err != nil {
		return false, err
	}
	v := localVisit{plan.Observation{Project: project, Incidents: state.Unsettled, Hold: state.Hold, Generation: state.Generation}, f}
	a := plan.Action{Project: project}
	switch i := state.Open(); {
	case i != nil:
		a.Incident = i.ID
		if err := r.flagMoved(ctx, *i, was.FlagPath(project)); err != nil {
			return false, err
		}
	case state.Hold == nil:
		return false, nil
	}
	return true, r.writeFlag(ctx, &v, a)
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
