package escalate

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/pause"
)

// RestoreFlags writes the flags of projects again into a pause directory that has lost them, and stores that they are
// there. It returns the projects that are still paused: a sweep may have ended the pause of another one meanwhile. was is
// the directory before, if it has moved: open issues name flags in it, which the next sweep corrects.
func (r *Reconciler) RestoreFlags(ctx context.Context, was pause.Dir, projects []string) (paused []string, err error) {
	if r.opt.Fleet != nil {
		return r.fillDirectory(ctx, was)
	}
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

// fillDirectory writes the flags of all paused projects into the directory of this host, which has lost them or is new.
func (r *Reconciler) fillDirectory(ctx context.Context, was pause.Dir) (paused []string, err error) {
	p, end, err := r.beginFilling(ctx, "")
	if err != nil {
		return nil, err
	}
	defer end()
	found, err := p.folder.Mark()
	if err == nil {
		err = p.void(ctx, found.Seq+1)
	}
	if err != nil {
		return nil, err
	}
	visits, err := p.run(ctx, nil)
	for _, project := range slices.Sorted(maps.Keys(visits)) {
		v := visits[project]
		id, open := v.Pause()
		if id == "" {
			continue
		}
		paused = append(paused, project)
		err = errors.Join(err, v.notWritten, v.err)
		if open.ID != "" {
			err = errors.Join(err, r.flagMoved(ctx, *open, was.FlagPath(project)))
		}
	}
	return paused, err
}

func (r *Reconciler) restoreFlag(ctx context.Context, was pause.Dir, project string) (restored bool, err error) {
	p, end, err := r.beginFilling(ctx, project)
	if err != nil {
		return false, err
	}
	defer end()
	state, err := r.opt.State.ProjectState(ctx, project)
	if err != nil {
		return false, err
	}
	v := localVisit{pass: p, Observation: plan.Observation{Project: project, Incidents: state.Unsettled, Hold: state.Hold, Generation: state.Generation}}
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
	err = r.writeFlag(ctx, &v, a)
	return true, errors.Join(err, p.confirmPending(ctx))
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
