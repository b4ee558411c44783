package bot

import (
	"context"
	"os"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// Figures are what metrics are made of: how things stand now.
type Figures struct {
	Projects []ProjectFigures // the configured ones
	Paused   int              // of all projects, also of those that left the configuration
	Pending  int              // incidents with something left to do in Gitea
	Oldest   time.Duration    // how long the first of them has had to wait for its issue or its closing
	Spooled  int

	LastSweep time.Time // of any process, zero where there was none
}

// ProjectFigures are one project's.
type ProjectFigures struct {
	ID       string
	Paused   string // yes, no or unknown
	Failures int
	Ignored  int
}

// Figures reads the state and the flags. It costs two look-ups a project, however long the history is.
func (b *Bot) Figures(ctx context.Context) (Figures, error) {
	var f Figures
	incidents, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return f, err
	}
	holds, err := b.store.Holds(ctx)
	if err != nil {
		return f, err
	}
	for _, i := range incidents {
		what, since := pending(i)
		if what == "" {
			continue
		}
		f.Pending++
		if !since.IsZero() {
			f.Oldest = max(f.Oldest, b.now().Sub(since))
		}
	}
	for _, id := range b.statusIDs(incidents, holds) {
		p := ProjectStatus{ID: id}
		b.flagStatus(id, &p)
		for _, i := range incidents {
			if i.Project == id {
				p.addIncident(i)
			}
		}
		if p.Paused == "yes" {
			f.Paused++
		}
		if _, ok := b.cfg.Project(id); !ok {
			continue
		}
		kept, err := b.store.Project(ctx, id)
		if err != nil {
			return f, err
		}
		f.Projects = append(f.Projects, ProjectFigures{ID: id, Paused: p.Paused, Failures: kept.Breaker.Failures, Ignored: kept.Ignored})
	}
	spooled, err := b.local.Spool().List()
	if err != nil {
		return f, err
	}
	f.Spooled = len(spooled)
	last, _, err := b.LastSweep(ctx)
	f.LastSweep = last.At
	return f, err
}

// pending is what is left to do in Gitea about an incident, "" where nothing is, and since when it is if that is known.
func pending(i incident.Incident) (what string, since time.Time) {
	switch {
	case i.IsOpen() && i.Issue.IsZero():
		return i.Name() + ": issue to be opened", i.Opened
	case !i.IsOpen():
		return i.Name() + ": issue to be closed", i.Ended
	case i.LastErr != "":
		return i.Name(), time.Time{}
	}
	return "", time.Time{}
}

// StateFile is the file of the open state, see [store.Health].
func (b *Bot) StateFile() os.FileInfo { return b.store.File() }

// LastResult is the position of the newest result in the state, for [Bot.CountSince].
func (b *Bot) LastResult(ctx context.Context) (int64, error) { return b.store.LastResult(ctx) }

// CountSince counts the results after a position, whichever process recorded them.
func (b *Bot) CountSince(ctx context.Context, after int64) ([]store.OutcomeCount, int64, error) {
	return b.store.CountSince(ctx, after, countAtOnce)
}

// countAtOnce keeps the state's one connection for some milliseconds at most, and SQLite's sorter small: what it once took it
// keeps.
const countAtOnce = 1_000
