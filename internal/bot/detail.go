package bot

import (
	"context"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Detail is one project with its history.
type Detail struct {
	Status                        // of this project alone
	FlagPath  string              // whose removal resumes it
	Runs      []store.HistoryRun  // the newest first, with the outputs of failed ones
	Incidents []incident.Incident // the newest first, ended ones too
}

// How much of a project's history is shown.
const (
	detailRuns      = 50
	detailIncidents = 20
)

// Detail reads what is known of one project: one that is configured, or that the state or a flag tells of. Of any other
// it is an [UnknownProjectError].
func (b *Bot) Detail(ctx context.Context, project string) (Detail, error) {
	var d Detail
	if err := b.knowsAtAll(ctx, project); err != nil {
		return d, err
	}
	var err error
	if d.Status, err = b.Status(ctx, project); err != nil {
		return d, err
	}
	if d.Incidents, err = b.store.IncidentsOf(ctx, project, detailIncidents); err != nil {
		return d, err
	}
	if d.Runs, err = b.store.History(ctx, project, detailRuns); err != nil {
		return d, err
	}
	if len(d.Projects) == 0 {
		// It left the configuration, and nothing of it is unfinished.
		p, err := b.projectStatus(ctx, project, nil, nil)
		if err != nil {
			return d, err
		}
		d.Projects = append(d.Projects, p)
	}
	d.FlagPath = b.rec.Dir().FlagPath(project)
	return d, nil
}

// knowsAtAll refuses a project of which there is nothing to tell. An id that is none does not reach the file system.
func (b *Bot) knowsAtAll(ctx context.Context, project string) error {
	err := CheckProject(b.cfg, project)
	if err == nil || pause.CheckID(project) != nil {
		return err
	}
	if known, err := b.Knows(ctx, project); known || err != nil {
		return err
	}
	runs, err2 := b.store.Runs(ctx, project, 1)
	if err2 != nil {
		return err2
	}
	incidents, err2 := b.store.IncidentsOf(ctx, project, 1)
	if err2 != nil {
		return err2
	}
	if len(runs)+len(incidents) > 0 {
		return nil
	}
	return err
}
