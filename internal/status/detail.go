package status

import (
	"context"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// Detail is one project with its history.
type Detail struct {
	Status                        // with this project only
	FlagPath  string              // removing this file resumes the project; "" if it is not there
	Runs      []store.HistoryRun  // the newest first, failed ones with their output
	Incidents []incident.Incident // the newest first, ended ones included
}

// MaxRuns is the maximum number of runs in a [Detail].
const MaxRuns = 50

const maxIncidents = 20

// Detail returns a project with its history. The error for an unknown project is a [config.UnknownProjectError].
func (r *Reader) Detail(ctx context.Context, project string) (d Detail, err error) {
	if err := r.checkProject(ctx, project, r.HasUnfinished, r.hasHistory); err != nil {
		return d, err
	}
	if d.Status, err = r.Status(ctx, project); err != nil {
		return d, err
	}
	if d.Incidents, err = r.from.State.IncidentsOf(ctx, project, maxIncidents); err != nil {
		return d, err
	}
	views, err := incident.View(ctx, r.from.State, d.Incidents)
	if err != nil {
		return d, err
	}
	d.Incidents = views.List
	if d.Runs, err = r.from.State.History(ctx, project, MaxRuns); err != nil {
		return d, err
	}
	if len(d.Projects) == 0 && r.from.Config.ByPattern(project) {
		return d, r.from.Config.CheckKnown(project, false)
	}
	if len(d.Projects) == 0 { // not configured, and nothing is unfinished
		seen, err := r.look(ctx, project, maxLastRuns)
		if err != nil {
			return d, err
		}
		d.Projects = append(d.Projects, r.project(project, seen))
	}
	if r.from.Reconciler.Look(ctx, project).State == incident.FlagThere {
		d.FlagPath = r.from.Reconciler.Dir().FlagPath(project)
	}
	return d, nil
}

func (r *Reader) hasHistory(ctx context.Context, project string) (bool, error) {
	runs, err := r.from.State.Runs(ctx, project, 1)
	if err != nil || len(runs) > 0 {
		return len(runs) > 0, err
	}
	incidents, err := r.from.State.IncidentsOf(ctx, project, 1)
	return len(incidents) > 0, err
}
