package web

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/terraphim/adfbot/internal/bot"
)

// figures are how things stand at one scrape. They are read before the scrape begins, so that one look at the state serves
// all of them.
type figures struct {
	now bot.Figures
	err error // the state can't be read: nothing but that is told
}

func figuresOf(ctx context.Context, b *bot.Bot) figures {
	f, err := b.Figures(ctx)
	return figures{f, err}
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe is [prometheus.Collector.Describe].
func (f figures) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

// Collect is [prometheus.Collector.Collect].
func (f figures) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	send(gauge("adfbot_state_up", "Whether the state can be read; where it can't, most other series are missing."), truth(f.err == nil))
	if f.err != nil {
		return
	}
	n := f.now
	send(gauge("adfbot_pause_directory_up", "Whether the pause directory can be read and has this installation's sentinel."), truth(n.PauseDir == nil))
	send(gauge("adfbot_projects", "Configured projects."), float64(len(n.Projects)))
	send(gauge("adfbot_paused_projects", "Paused projects, also those that are not configured any more."), float64(n.Paused))
	paused := gauge("adfbot_project_paused", "Whether the project is paused; missing while that is not known.", "project")
	failures := gauge("adfbot_project_consecutive_failures", "Failures in a row.", "project")
	ignored := gauge("adfbot_project_ignored_streak", "Ignored results in a row: they neither count nor reset.", "project")
	for _, p := range n.Projects {
		if p.Paused == "yes" || p.Paused == "no" {
			send(paused, truth(p.Paused == "yes"), p.ID)
		}
		send(failures, float64(p.Failures), p.ID)
		send(ignored, float64(p.Ignored), p.ID)
	}
	send(gauge("adfbot_pending_incidents", "Incidents with something left to do in Gitea."), float64(n.Pending))
	send(gauge("adfbot_oldest_pending_incident_age_seconds", "How long the first of them has waited for its issue to be opened or closed; 0 where none does."), n.Oldest.Seconds())
	send(gauge("adfbot_spooled_results", "Results that could not be stored and wait in the spool."), float64(n.Spooled))
	if !n.LastSweep.IsZero() {
		send(gauge("adfbot_last_sweep_timestamp_seconds", "When the last sweep of any process began."), float64(n.LastSweep.UnixMilli())/1000)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
