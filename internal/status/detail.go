package status

import (
	"context"
	"errors"
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
	Incidents []incident.Incident // a page of them, the newest first, ended ones included
	Earlier   string              // id of the incident behind which the next page of incidents begins; "": there is none
	Recent    []incident.Incident // the first page of incidents, if Incidents is another one

	Days     []DayCount // counted results of the last days, the oldest first; days without any are left out
	DaysFrom time.Time  // the first day of which all results are counted
}

// MaxRuns is the maximum number of runs in a [Detail].
const MaxRuns = 50

// MaxIncidents is the maximum number of incidents in a [Detail].
const MaxIncidents = 20

// Pages says which pages a [Detail] has of a history. The zero value is the newest ones.
type Pages struct {
	Before int64  // position before which the runs begin, see [store.RunFilter]
	After  string // id of the incident behind which the incidents begin, see [store.IncidentFilter]
}

// Detail returns a project with pages of its history. The error for an unknown project is a [config.UnknownProjectError].
func (r *Reader) Detail(ctx context.Context, project string, pages Pages) (d Detail, err error) {
	if err := r.checkProject(ctx, project, r.HasUnfinished, r.hasHistory); err != nil {
		return d, err
	}
	if d.Status, err = r.Status(ctx, project); err != nil {
		return d, err
	}
	if d.Incidents, d.Earlier, err = r.incidentsOf(ctx, project, pages.After); err != nil {
		return d, err
	}
	if pages.After != "" {
		if d.Recent, _, err = r.incidentsOf(ctx, project, ""); err != nil {
			return d, err
		}
	}
	f := store.RunFilter{Projects: []string{project}, Before: pages.Before, Limit: MaxRuns, Output: true}
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

// incidentsOf returns the incidents of a project behind one of them, or the newest ones if there is none of that id any more.
func (r *Reader) incidentsOf(ctx context.Context, project, after string) (list []incident.Incident, earlier string, err error) {
	f := store.IncidentFilter{Projects: []string{project}, After: after, Limit: MaxIncidents, Evidence: true}
	list, more, err := r.Incidents(ctx, f)
	if errors.Is(err, store.ErrNoIncident) {
		f.After = ""
		list, more, err = r.Incidents(ctx, f)
	}
	if err == nil && more {
		earlier = list[len(list)-1].ID
	}
	return list, earlier, err
}

func (r *Reader) hasHistory(ctx context.Context, project string) (bool, error) {
	runs, err := r.from.State.Runs(ctx, project, 1)
	if err != nil || len(runs) > 0 {
		return len(runs) > 0, err
	}
	incidents, err := r.from.State.IncidentPage(ctx, store.IncidentFilter{Projects: []string{project}, Limit: 1})
	return len(incidents) > 0, err
}
