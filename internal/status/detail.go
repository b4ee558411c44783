package status

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// Detail is one project with its history.
type Detail struct {
	Status                        // with this project alone
	FlagPath  string              // whose removal resumes it
	Runs      []store.HistoryRun  // the newest first, failed ones with their outputs
	Incidents []incident.Incident // the newest first, ended ones too
}

// MaxRuns is how many runs a [Detail] has at most.
const MaxRuns = 50

const maxIncidents = 20

// Detail returns a project with its history. For a project of which nothing is known it is a [config.UnknownProjectError].
func (r *Reader) Detail(ctx context.Context, project string) (Detail, error) {
	var d Detail
	if err := r.checkSeen(ctx, project); err != nil {
		return d, err
	}
	var err error
	if d.Status, err = r.Status(ctx, project); err != nil {
		return d, err
	}
	if d.Incidents, err = r.from.State.IncidentsOf(ctx, project, maxIncidents); err != nil {
		return d, err
	}
	if d.Runs, err = r.from.State.History(ctx, project, MaxRuns); err != nil {
		return d, err
	}
	if len(d.Projects) == 0 { // it left the configuration, and nothing of it is unfinished
		p, err := r.project(ctx, project, nil, nil)
		if err != nil {
			return d, err
		}
		d.Projects = append(d.Projects, p)
	}
	d.FlagPath = r.from.Reconciler.Dir().FlagPath(project)
	return d, nil
}

// checkSeen is [Reader.CheckKnown], but accepts a project that has any run or incident, too.
func (r *Reader) checkSeen(ctx context.Context, project string) error {
	err := r.CheckKnown(ctx, project)
	if _, unknown := errors.AsType[*config.UnknownProjectError](err); !unknown {
		return err
	}
	runs, err2 := r.from.State.Runs(ctx, project, 1)
	if err2 != nil {
		return err2
	}
	incidents, err2 := r.from.State.IncidentsOf(ctx, project, 1)
	if err2 != nil {
		return err2
	}
	if len(runs)+len(incidents) > 0 {
		return nil
	}
	return err
}
