package web

import (
	"context"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/status"
)

// figures are what one scrape reads from the state.
type figures struct {
	ready status.Readiness
	now   status.Figures
	err   error // the state can't be read: only readiness is known
}

func readFigures(ctx context.Context, b *bot.Bot) figures {
	f, err := b.Figures(ctx)
	return figures{b.Ready(ctx), f, err}
}

func (f figures) put(p *exposition.Page) {
	for _, c := range f.ready.Checks {
		p.Gauge("adfbot_ready", "Whether that is in order without which the bot can't do its work, as /readyz says. While the state can't be read, most other series are missing.",
			boolValue(c.OK), "check", c.Name)
	}
	if f.err != nil {
		return
	}
	n := f.now
	p.Gauge("adfbot_projects", "Configured projects.", float64(len(n.Projects)))
	p.Gauge("adfbot_paused_projects", "Paused projects, also those that are not configured any more.", float64(n.Paused))
	for _, x := range n.Projects {
		if x.Paused == "yes" || x.Paused == "no" {
			p.Gauge("adfbot_project_paused", "Whether the project is paused; missing while that is not known.", boolValue(x.Paused == "yes"), "project", x.ID)
		}
		p.Gauge("adfbot_project_consecutive_failures", "Failures in a row.", float64(x.Failures), "project", x.ID)
		p.Gauge("adfbot_project_ignored_streak", "Ignored results in a row: they neither count nor reset.", float64(x.Ignored), "project", x.ID)
	}
	p.Gauge("adfbot_pending_incidents", "Incidents with something left to do in Gitea.", float64(n.Pending))
	p.Gauge("adfbot_oldest_pending_incident_age_seconds", "How long the first of them has waited for its issue to be opened or closed; 0 where none does.", n.Oldest.Seconds())
	p.Gauge("adfbot_spooled_results", "Results that could not be stored and wait in the spool.", float64(n.Spooled))
	if !n.LastSweep.IsZero() {
		p.Gauge("adfbot_last_sweep_timestamp_seconds", "When the last sweep of any process began.", float64(n.LastSweep.UnixMilli())/1000)
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
