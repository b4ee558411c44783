package bot

import (
	"context"
	"strings"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// IssueEvent is what an event from Gitea says that it is about. None of it is believed: it only tells where to look.
type IssueEvent struct {
	Sender tracker.Account // who did it
	Author int64           // of the issue
	Owner  string          // of the repository
	Repo   string
	Number int64  // of the issue
	Body   string // of the issue
}

// ProjectOfEvent gives the project that an event is about; "": none, or the bot did it itself. What it says is only a hint: a
// forged one makes the bot look at a project that it looks at each minute anyway.
func (b *Bot) ProjectOfEvent(ctx context.Context, h IssueEvent) (string, error) {
	accounts, err := b.store.Accounts(ctx, b.cfg.Gitea.URL)
	if err != nil {
		return "", err
	}
	own := map[int64]bool{}
	for _, a := range accounts {
		own[a.ID] = true
	}
	if own[h.Sender.ID] || b.cfg.Gitea.Login != "" && strings.EqualFold(h.Sender.Login, b.cfg.Gitea.Login) {
		return "", nil
	}
	if m, ok := tracker.ParseMarker(h.Body); ok && m.Installation == b.store.Installation() && own[h.Author] && pause.CheckID(m.Project) == nil {
		if b.CheckKnown(ctx, m.Project) == nil {
			return m.Project, nil
		}
	}
	unsettled, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return "", err
	}
	for _, i := range unsettled {
		if r := i.Issue; !r.IsZero() && r.Number == h.Number && strings.EqualFold(r.Repo.Owner, h.Owner) && strings.EqualFold(r.Repo.Name, h.Repo) {
			return i.Project, nil
		}
	}
	return "", nil
}

// SweepProject is a sweep of one project, because something has happened to its issue. The report of the last sweep, which
// is about all projects, stays as it is.
func (b *Bot) SweepProject(ctx context.Context, project string) (escalate.Report, error) {
	if err := b.beginSweep(ctx); err != nil {
		return escalate.Report{}, err
	}
	defer b.endSweep()
	rep, err := b.rec.Sweep(ctx, escalate.SweepOptions{Project: project})
	err = b.AdviseRestore(ctx, err)
	switch {
	case ctx.Err() != nil:
		b.log.Info("sweep of one project was told to end, the next sweep goes on", "project", project, "done", len(rep.Actions))
	case err != nil:
		b.log.Error("sweep of one project", "project", project, "done", len(rep.Actions), "err", err)
	case len(rep.Actions) > 0:
		b.log.Info("sweep of one project", "project", project, "done", len(rep.Actions))
	default:
		b.log.Debug("sweep of one project", "project", project)
	}
	return rep, err
}
