package status

import (
	"context"
	"time"
)

// Figures are the numbers behind the metrics, as they are now.
type Figures struct {
	Projects []ProjectFigures // the configured ones
	Paused   int              // of all projects, also of those that left the configuration
	Pending  int              // incidents with something left to do in Gitea
	Oldest   time.Duration    // how long the first of them has waited for its issue to be opened or closed
	Spooled  int

	LastSweep time.Time // of any process, zero where there was none
}

// ProjectFigures are those of one project.
type ProjectFigures struct {
	ID       string
	Paused   string // [Yes], [No] or [Unknown]
	Failures int
	Ignored  int
}

// Figures costs two look-ups a project, however long the history is.
func (r *Reader) Figures(ctx context.Context) (Figures, error) {
	var f Figures
	incidents, holds, err := r.unfinished(ctx)
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
			f.Oldest = max(f.Oldest, r.from.Now().Sub(since))
		}
	}
	for _, id := range r.projectIDs(incidents, holds) {
		p := Project{ID: id}
		r.addPause(ctx, &p, incidents)
		if p.Paused == Yes {
			f.Paused++
		}
		if _, ok := r.from.Config.Project(id); !ok {
			continue
		}
		stored, err := r.from.State.Project(ctx, id)
		if err != nil {
			return f, err
		}
		f.Projects = append(f.Projects, ProjectFigures{ID: id, Paused: p.Paused, Failures: stored.Breaker.Failures, Ignored: stored.Ignored})
	}
	spooled, err := r.from.Spool.List()
	if err != nil {
		return f, err
	}
	f.Spooled = len(spooled)
	last, _, err := r.LastSweep(ctx)
	f.LastSweep = last.At
	return f, err
}
