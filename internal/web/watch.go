package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/web/page"
)

// How long an answer waits for the state, which another process may have locked.
const (
	watchWait = 8 * time.Second // most probes and scrapes give up after 10 s
	pageWait  = 15 * time.Second
)

// getHealth reports only that the process is alive: a restart repairs nothing else.
func (s *Server) getHealth(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

// getReady reports whether the bot can work. An unreachable Gitea is only a warning: without it, results are still counted and
// flags written.
func (s *Server) getReady(w http.ResponseWriter, r *request) error {
	if err := s.shared(classProbe, watchWait, s.ready)(w, r); err != nil {
		return writeJSON(w, http.StatusServiceUnavailable, status.Readiness{
			Checks: []status.Check{{Name: "pause_dir", Error: err.Error()}}, Warnings: []string{}})
	}
	return nil
}

func (s *Server) ready(w http.ResponseWriter, r *request) error {
	ready, code := r.bot.Ready(r.Context()), http.StatusOK
	if !ready.Ready {
		code = http.StatusServiceUnavailable
	}
	return writeJSON(w, code, ready)
}

func (s *Server) getMetrics(w http.ResponseWriter, r *request) error {
	ctx := r.Context()
	out := exposition.NewPage()
	figures, err := r.bot.Figures(ctx)
	putReady(out, r.bot.Ready(ctx))
	if err = errors.Join(err, s.metrics.count(ctx, r.setup)); err != nil {
		s.log.Warn("metrics: the state cannot be read", "err", err)
	} else {
		putFigures(out, figures)
		if r.cfg.Metrics.PerProject {
			putProjects(out, figures.Projects)
		}
		putFleet(out, figures.Fleet)
	}
	out.Gauge("adfbot_state_up", "Whether the state could be read for this scrape.", boolValue(err == nil))
	out.Gauge("adfbot_gitea_up", "Whether the daemon can work with Gitea: its last sweep had answers, if it asked, and its token was not refused.",
		boolValue(r.bot.GiteaUp()))
	var ids []string
	for _, x := range figures.Projects {
		ids = append(ids, x.ID)
	}
	s.metrics.put(out, r.cfg, ids)
	w.Header().Set("Content-Type", exposition.ContentType)
	_ = out.Write(w) // on an error the client has left
	return nil
}

func putReady(p *exposition.Page, r status.Readiness) {
	for _, c := range r.Checks {
		p.Gauge("adfbot_ready", "Whether the bot passes this check of /readyz. While the state cannot be read, most other series are missing.",
			boolValue(c.OK), "check", c.Name)
	}
}

func putFigures(p *exposition.Page, f status.Figures) {
	p.Gauge("adfbot_projects", "Configured projects.", float64(len(f.Projects)))
	p.Gauge("adfbot_paused_projects", "Paused projects, including those that are no longer configured.", float64(f.Paused))
	held := 0
	for _, st := range f.Stops {
		held += st.Holds
	}
	p.Gauge("adfbot_stops", "Stops in force: pauses of many projects at once.", float64(len(f.Stops)))
	p.Gauge("adfbot_stopped_projects", "Projects that a stop holds.", float64(held))
	p.Gauge("adfbot_held_projects", "Projects that somebody paused by hand, including those that are no longer configured.", float64(f.Held))
	p.Gauge("adfbot_tripped_projects", "Projects whose breaker has tripped, until they are resumed, including those that are no longer configured.", float64(f.Tripped))
	putTotals(p, f.Projects)
	disabled := map[[2]string]bool{} // several projects may have one
	for _, x := range f.Projects {
		if w := x.Workflow; w != nil && w.Disabled {
			disabled[[2]string{w.Repo, w.Workflow}] = true
		}
	}
	p.Gauge("adfbot_disabled_workflows", "Workflows of Gitea Actions that are disabled because their project is paused.", float64(len(disabled)))
	p.Gauge("adfbot_joined_incidents", "Open incidents that the issue of another one is about.", float64(f.Joined))
	p.Gauge("adfbot_pending_incidents", "Incidents that still need an update in Gitea.", float64(f.Pending))
	p.Gauge("adfbot_oldest_pending_incident_age_seconds", "How long the oldest pending incident has waited for its issue to be opened, or for its end to be shown there; 0 if there is none.", f.Oldest.Seconds())
	p.Gauge("adfbot_step_webhooks_failing", "Documents for webhooks of the escalation's steps that could not be delivered yet.", float64(f.WebhooksFailing))
	p.Gauge("adfbot_spooled_results", "Results in the spool, which could not be stored yet.", float64(f.Spooled))
	if !f.LastSweep.IsZero() {
		p.Gauge("adfbot_last_sweep_timestamp_seconds", "When the last sweep of any process began.", float64(f.LastSweep.UnixMilli())/1000)
	}
}

// putTotals adds what the projects are together, for those who have no series of each.
func putTotals(p *exposition.Page, projects []status.Project) {
	var failing, running, silent, ignored int
	var last time.Time
	for _, x := range projects {
		running += x.Running
		ignored = max(ignored, x.Ignored)
		if x.Silence != nil {
			silent++
		}
		if x.Failures > 0 && x.Paused == status.No {
			failing++
		}
		if x.LastResult != nil && x.LastResult.After(last) {
			last = *x.LastResult
		}
	}
	p.Gauge("adfbot_failing_projects", "Projects that are not paused and whose last counted result was a failure.", float64(failing))
	p.Gauge("adfbot_silent_projects", "Projects that have not reported in time.", float64(silent))
	p.Gauge("adfbot_running", "Runs of all projects that have begun and have no result yet.", float64(running))
	p.Gauge("adfbot_longest_ignored_streak", "Consecutive ignored results of the project that has the most of them.", float64(ignored))
	if !last.IsZero() {
		p.Gauge("adfbot_last_result_timestamp_seconds", "When the last run of any project with a counted result ended; missing if there is none.",
			float64(last.UnixMilli())/1000)
	}
}

// putProjects adds how each project is.
func putProjects(p *exposition.Page, projects []status.Project) {
	for _, x := range projects {
		if x.Paused == status.Yes || x.Paused == status.No {
			p.Gauge("adfbot_project_paused", "Whether the project is paused; missing while that is unknown.", boolValue(x.Paused == status.Yes), "project", x.ID)
		}
		p.Gauge("adfbot_project_held", "Whether somebody paused the project by hand.", boolValue(x.Held), "project", x.ID)
		p.Gauge("adfbot_project_tripped", "Whether the project's breaker has tripped, until it is resumed.", boolValue(x.Incident != nil), "project", x.ID)
		p.Gauge("adfbot_project_running", "Runs that have begun and have no result yet.", float64(x.Running), "project", x.ID)
		p.Gauge("adfbot_project_consecutive_failures", "Consecutive failures.", float64(x.Failures), "project", x.ID)
		if x.LastResult != nil {
			p.Gauge("adfbot_project_last_result_timestamp_seconds", "When the run of the last counted result ended; missing if there is none.",
				float64(x.LastResult.UnixMilli())/1000, "project", x.ID)
		}
		p.Gauge("adfbot_project_silent", "Whether the project has not reported in time.", boolValue(x.Silence != nil), "project", x.ID)
		p.Gauge("adfbot_project_ignored_streak", "Consecutive ignored results, which neither count nor reset.", float64(x.Ignored), "project", x.ID)
	}
}

// putFleet adds how the hosts are that share the state. Of hosts that have the same name, the flags are added up.
func putFleet(p *exposition.Page, f *status.Fleet) {
	if f == nil {
		return
	}
	missing := map[string]int{}
	for _, h := range f.In(status.HostHere, status.HostAway) {
		missing[h.Name] += h.FlagsMissing
		if h.This && h.State == status.HostHere {
			p.Gauge("adfbot_state_clock_offset_seconds", "How far this host's clock is ahead of that of the state.", float64(h.ClockOffset)/1000)
		}
	}
	for _, state := range []string{status.HostHere, status.HostAway} {
		p.Gauge("adfbot_hosts", "Hosts that share the state; one is away if it was not heard of for fleet.away_after.", float64(len(f.In(state))), "state", state)
	}
	for name, n := range missing {
		p.Gauge("adfbot_flags_missing", "Flags of paused projects that are not on the disk of the host.", float64(n), "host", name)
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// getPage serves the operator's front page, or a project's page. It is read-only: changes are made by commands, the API and Gitea.
func (s *Server) getPage(w http.ResponseWriter, r *request) error {
	if err := s.shared(classWatch, pageWait, s.page)(w, r); err != nil {
		return s.pages.Failure(w, r.Request, err)
	}
	return nil
}

func (s *Server) page(w http.ResponseWriter, r *request) error {
	ctx := r.Context()
	if id := r.PathValue("id"); id != "" {
		d, err := r.bot.Detail(ctx, id, page.PagesOf(r.Request))
		if err != nil {
			return s.pages.Failure(w, r.Request, err)
		}
		return s.pages.Project(w, r.Request, d)
	}
	st, err := r.bot.Status(ctx, "")
	if err != nil {
		return s.pages.Failure(w, r.Request, err)
	}
	return s.pages.Index(w, r.Request, st)
}

func (s *Server) getStatic(w http.ResponseWriter, r *request) error {
	if !page.ServeStatic(w, r.Request) {
		return refused(http.StatusNotFound, "Not found", "there is no such file of the page")
	}
	return nil
}
