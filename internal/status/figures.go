package status

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Figures are the current values behind the metrics.
type Figures struct {
	Projects []Project     // the configured ones, without runs and what is pending
	Paused   int           // of all projects, those that left the configuration included
	Held     int           // of the paused ones: by hand
	Tripped  int           // projects with an open incident, those that left the configuration included
	Joined   int           // open incidents that the issue of another one carries
	Pending  int           // incidents with something left to do in Gitea
	Oldest   time.Duration // how long the first of them has waited for its issue to be opened, or for its end to be shown there
	Spooled  int
	Stops    []Stop // in force

	WebhooksFailing int // documents of steps that could not be sent yet

	LastSweep time.Time // of any process, zero if there was none

	Fleet *Fleet // nil: the state has no other host
}

// Figures makes a fixed number of queries, however many projects there are and however long their history is.
func (r *Reader) Figures(ctx context.Context) (Figures, error) {
	var f Figures
	seen, err := r.look(ctx, "", 0)
	if err != nil {
		return f, err
	}
	f.Stops = r.stopsOf("", seen)
	all := append(slices.Collect(maps.Values(seen.incidents)), slices.Collect(maps.Values(seen.silent))...)
	for _, incidents := range all {
		for _, i := range incidents {
			if i.IsOpen() && i.Lead != "" {
				f.Joined++
			}
			f.WebhooksFailing += r.failingWebhooks(i, seen)
			w, since := pending(i, seen.views.Kept[i.ID])
			if w.incident == "" {
				continue
			}
			f.Pending++
			if !since.IsZero() {
				f.Oldest = max(f.Oldest, r.from.Now().Sub(since))
			}
		}
	}
	if seen.fleet != nil {
		f.Fleet = &seen.fleet.Fleet
	}
	for _, id := range r.projectIDs(seen) {
		p := r.summary(id, seen)
		if p.Paused == Yes {
			f.Paused++
		}
		if p.Held {
			f.Held++
		}
		if p.Incident != nil {
			f.Tripped++
		}
		if p.Configured {
			f.Projects = append(f.Projects, p)
		}
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
