package status

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// Detail is one project with its history.
type Detail struct {
	Status                        // with this project only
	FlagPath  string              // removing this file resumes the project; "" if it is not there
	Runs      []store.HistoryRun  // a page of them, the newest first, failed ones with their output
	Older     int64               // position before which the next page of runs begins; 0: there is none
	Incidents []incident.Incident // the newest first, ended ones included

	Days     []DayCount // counted results of the last days, the oldest first; days without any are left out
	DaysFrom time.Time  // the first day of which all results are counted
}

// MaxRuns is the maximum number of runs in a [Detail].
const MaxRuns = 50

const maxIncidents = 20

// Detail returns a project with its history, whose runs begin before a position, see [store.RunFilter]; 0: with the newest. The error
// for an unknown project is a [config.UnknownProjectError].
func (r *Reader) Detail(ctx context.Context, project string, before int64) (d Detail, err error) {
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
	f := store.RunFilter{Projects: []string{project}, Before: before, Limit: MaxRuns, Output: true}
	if d.Runs, d.Older, err = r.from.State.RunPage(ctx, f); err != nil {
		return d, err
	}
	if d.Days, d.DaysFrom, err = r.lastDays(ctx, project, d.At); err != nil {
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
