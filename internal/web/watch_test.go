package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

func (d *daemon) ready() (int, status.Readiness) {
	d.t.Helper()
	w := d.get("/readyz")
	require.Equal(d.t, "application/json", w.Header().Get("Content-Type"))
	var r status.Readiness
	require.NoError(d.t, json.Unmarshal(w.Body.Bytes(), &r))
	require.Equal(d.t, w.Code == http.StatusOK, r.Ready)
	return w.Code, r
}

// failed are the checks that failed, with what they say.
func failed(r status.Readiness) map[string]string {
	out := map[string]string{}
	for _, c := range r.Checks {
		if !c.OK {
			out[c.Name] = c.Error
		}
	}
	return out
}

func TestHealth(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.NoError(t, d.bot.Close())
	w := d.get("/healthz")
	require.Equal(t, http.StatusOK, w.Code, "whatever else is wrong")
	require.Equal(t, "ok\n", w.Body.String())
	require.Equal(t, http.StatusOK, d.head("/healthz").StatusCode)
}

func TestReadyNeedsSweeps(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	code, r := d.ready()
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, map[string]string{"sweep": "no sweep has ended yet"}, failed(r))

	d.sweep()
	code, r = d.ready()
	require.Equal(t, http.StatusOK, code, "Gitea is down, and that is a warning")
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "connection refused")

	d.now = d.now.Add(7*time.Minute - time.Second)
	code, _ = d.ready()
	require.Equal(t, http.StatusOK, code, "two sweeps late, and five minutes of grace")
	d.now = d.now.Add(time.Second)
	code, r = d.ready()
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, failed(r)["sweep"], "there was no sweep since ")
	require.Equal(t, http.StatusServiceUnavailable, d.head("/readyz").StatusCode)
}

func TestReadyNeedsPauseDirectory(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	d.sweep()
	sentinel := d.path("pause/" + pause.SentinelName)
	require.NoError(t, os.Rename(sentinel, d.path("kept")))
	code, r := d.ready()
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, failed(r)["pause_dir"], "adfbot restore pauses these again: odilo")

	require.NoError(t, os.Rename(d.path("kept"), sentinel))
	code, _ = d.ready()
	require.Equal(t, http.StatusOK, code)
}

func TestReadyNeedsState(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.sweep()
	require.NoError(t, d.bot.Close())
	code, r := d.ready()
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, failed(r), "state")
}

// What is read of a state that was removed says how things were then, and no more that nothing is wrong.
func TestPageOfRemovedState(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.sweep()
	require.NotContains(t, d.get("/").Body.String(), "it was removed while adfbot had it open")
	require.NoError(t, os.Rename(d.cfg.State, d.path("kept")))
	_, r := d.ready()
	require.Contains(t, failed(r)["state"], "it was removed while adfbot had it open")
	for _, path := range []string{"/", "/projects/odilo"} {
		require.Contains(t, d.get(path).Body.String(), "it was removed while adfbot had it open", path)
	}
	require.NoError(t, os.Rename(d.path("kept"), d.cfg.State))
	require.NotContains(t, d.get("/").Body.String(), "it was removed while adfbot had it open")
}

func TestReadyWarnings(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.gitea = func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: io.NopCloser(strings.NewReader(`{"message":"no"}`)), Header: http.Header{}, Request: r}, nil
	}
	d.trip("odilo")
	d.sweep()
	code, r := d.ready()
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, strings.Join(r.Warnings, "\n"), "401")
	require.Equal(t, "1", d.series()[`adfbot_gitea_requests_total{code="401",operation="create_issue"}`])

	_, err := hostlocal.Beside(d.cfg.State).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Success})
	require.NoError(t, err)
	_, r = d.ready()
	require.Contains(t, strings.Join(r.Warnings, "\n"), "1 result still in the spool")
}

// series are the samples of a scrape by name and labels, the bot's own.
func (d *daemon) series() map[string]string {
	d.t.Helper()
	w := d.get("/metrics")
	require.Equal(d.t, http.StatusOK, w.Code, w.Body.String())
	out := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "adfbot_") {
			i := strings.LastIndexByte(line, ' ')
			out[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return out
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	d.sweep()
	w := d.get("/metrics")
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	all := w.Body.String()
	var families []string
	for line := range strings.Lines(all) {
		if family, ok := strings.CutPrefix(line, "# TYPE adfbot_"); ok {
			families = append(families, strings.TrimSpace(family))
		}
	}
	require.Equal(t, []string{
		"build_info gauge",
		"disabled_workflows gauge",
		"failing_projects gauge",
		"gitea_request_duration_seconds histogram",
		"gitea_requests_total counter",
		"gitea_up gauge",
		"held_projects gauge",
		"joined_incidents gauge",
		"last_result_timestamp_seconds gauge",
		"last_sweep_timestamp_seconds gauge",
		"longest_ignored_streak gauge",
		"oldest_pending_incident_age_seconds gauge",
		"paused_projects gauge",
		"pending_incidents gauge",
		"pings_total counter",
		"project_consecutive_failures gauge",
		"project_held gauge",
		"project_ignored_streak gauge",
		"project_last_result_timestamp_seconds gauge",
		"project_paused gauge",
		"project_running gauge",
		"project_silent gauge",
		"project_tripped gauge",
		"projects gauge",
		"ready gauge",
		"results_total counter",
		"running gauge",
		"silent_projects gauge",
		"spooled_results gauge",
		"state_up gauge",
		"step_webhook_requests_total counter",
		"step_webhooks_failing gauge",
		"stopped_projects gauge",
		"stops gauge",
		"sweep_duration_seconds histogram",
		"sweep_errors_total counter",
		"tripped_projects gauge",
		"trips_total counter",
	}, families)
	for _, family := range families {
		name, _, _ := strings.Cut(family, " ")
		require.Regexp(t, `(?m)^# HELP adfbot_`+name+` [A-Z].*\.$`, all)
	}
	require.Contains(t, all, "\ngo_goroutines ")
	require.Contains(t, all, "\nprocess_resident_memory_bytes ")
	problems, err := promlint.New(strings.NewReader(all)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		require.False(t, strings.HasPrefix(p.Metric, "adfbot_"), "%s: %s", p.Metric, p.Text)
	}
	require.Equal(t, http.StatusOK, d.head("/metrics").StatusCode)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	before := d.series()
	require.Equal(t, "0", before[`adfbot_results_total{class="unknown",outcome="failure",project="odilo"}`], "a rate needs a series before its first event")
	require.Equal(t, "0", before[`adfbot_trips_total{project="odilo"}`])
	require.Equal(t, "0", before[`adfbot_ready{check="sweep"}`], "none has ended yet")
	require.NotContains(t, before, "adfbot_last_sweep_timestamp_seconds")
	require.Contains(t, before, fmt.Sprintf(`adfbot_build_info{goversion=%q,revision="abc",version="v1.2.3"}`, runtime.Version()))

	d.record("digital-twins", store.Success)
	d.record("digital-twins", store.Ignored)
	d.record("digital-twins", store.Ignored)
	d.trip("odilo")
	d.sweep()
	d.now = d.now.Add(90 * time.Second)
	s := d.series()
	for name, want := range map[string]string{
		`adfbot_results_total{class="unknown",outcome="failure",project="odilo"}`: "3",
		`adfbot_results_total{outcome="ignored",project="digital-twins"}`:         "2",
		`adfbot_results_total{outcome="success",project="digital-twins"}`:         "1",
		`adfbot_trips_total{project="odilo"}`:                                     "1",
		`adfbot_trips_total{project="digital-twins"}`:                             "0",
		`adfbot_projects`:                                                      "2",
		`adfbot_paused_projects`:                                               "1",
		`adfbot_project_paused{project="odilo"}`:                               "1",
		`adfbot_project_paused{project="digital-twins"}`:                       "0",
		`adfbot_project_consecutive_failures{project="odilo"}`:                 "3",
		`adfbot_project_ignored_streak{project="digital-twins"}`:               "2",
		`adfbot_pending_incidents`:                                             "1",
		`adfbot_oldest_pending_incident_age_seconds`:                           "90",
		`adfbot_spooled_results`:                                               "0",
		`adfbot_ready{check="state"}`:                                          "1",
		`adfbot_ready{check="pause_dir"}`:                                      "1",
		`adfbot_ready{check="sweep"}`:                                          "1",
		`adfbot_sweep_duration_seconds_count`:                                  "1",
		`adfbot_sweep_errors_total`:                                            "1",
		`adfbot_gitea_up`:                                                      "0",
		`adfbot_gitea_requests_total{code="0",operation="create_issue"}`:       "1",
		`adfbot_gitea_requests_total{code="0",operation="list_issues"}`:        "1",
		`adfbot_gitea_request_duration_seconds_count{operation="list_issues"}`: "1",
	} {
		require.Equal(t, want, s[name], name)
	}
	require.NotEmpty(t, s["adfbot_last_sweep_timestamp_seconds"])
	require.Equal(t, s["adfbot_results_total"], d.series()["adfbot_results_total"], "a scrape counts nothing twice")
	require.Equal(t, "3", d.series()[`adfbot_results_total{class="unknown",outcome="failure",project="odilo"}`])
}

// A dashboard tells a project that somebody paused from one that failed, and both from one that runs.
func TestMetricsTellHeldFromTripped(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	s := d.series()
	require.NotContains(t, s, "adfbot_last_result_timestamp_seconds", "there is none")
	st, err := sqlite.Open(t.Context(), d.cfg.State, sqlite.Options{}) // as the process of an exec
	require.NoError(t, err)
	_, err = st.BeginRun(t.Context(), store.Run{ID: "1", Project: "digital-twins", Agent: "project-meta", Started: d.now})
	require.NoError(t, errors.Join(err, st.Close()))
	d.record("digital-twins", store.Failure)
	s = d.series()
	require.Equal(t, "1", s["adfbot_failing_projects"])
	require.Equal(t, "1", s["adfbot_running"])
	require.Equal(t, "1", s[`adfbot_project_running{project="digital-twins"}`])
	require.Equal(t, "0", s[`adfbot_project_running{project="odilo"}`])
	last, err := strconv.ParseFloat(s["adfbot_last_result_timestamp_seconds"], 64)
	require.NoError(t, err)
	require.InDelta(t, d.now.Unix(), last, 0)

	d.trip("odilo")
	require.NoError(t, os.WriteFile(d.path("pause/digital-twins"), nil, 0o644))
	s = d.series()
	for name, want := range map[string]string{
		"adfbot_paused_projects":                          "2",
		"adfbot_held_projects":                            "1",
		"adfbot_tripped_projects":                         "1",
		"adfbot_failing_projects":                         "0",
		`adfbot_project_held{project="digital-twins"}`:    "1",
		`adfbot_project_tripped{project="digital-twins"}`: "0",
		`adfbot_project_held{project="odilo"}`:            "0",
		`adfbot_project_tripped{project="odilo"}`:         "1",
	} {
		require.Equal(t, want, s[name], name)
	}
}

// Without series of each project, a scrape has the same size for two projects as for thousands, and its totals are the same.
func TestMetricsWithoutProjects(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.series() // counts from here on
	d.record("digital-twins", store.Success)
	d.record("digital-twins", store.Ignored)
	d.trip("odilo")
	d.record("guest", store.Success) // is not configured
	with := d.series()
	d.cfg.Metrics.PerProject = false
	without := d.series()
	for name := range without {
		require.NotContains(t, name, "project=")
	}
	for name, want := range map[string]string{
		`adfbot_results_total{class="unknown",outcome="failure"}`: "3",
		`adfbot_results_total{class="quota",outcome="failure"}`:   "0",
		`adfbot_results_total{outcome="ignored"}`:                 "1",
		`adfbot_results_total{outcome="success"}`:                 "2",
		`adfbot_trips_total`:                                      "1",
		`adfbot_longest_ignored_streak`:                           "1",
		`adfbot_silent_projects`:                                  "0",
	} {
		require.Equal(t, want, without[name], name)
	}
	for name, value := range with { // nothing else is missing
		switch {
		case strings.Contains(name, "project="):
			require.NotContains(t, without, name)
		case !strings.HasPrefix(name, "adfbot_gitea_") && !strings.HasPrefix(name, "adfbot_sweep_"):
			require.Equal(t, value, without[name], name)
		}
	}

	d.record("odilo", store.Failure)
	require.Equal(t, "4", d.series()[`adfbot_results_total{class="unknown",outcome="failure"}`])
	d.cfg.Metrics.PerProject = true
	require.Equal(t, with[`adfbot_trips_total{project="odilo"}`], d.series()[`adfbot_trips_total{project="odilo"}`])
}

func TestMetricsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	other, err := bot.Open(t.Context(), d.cfg, bot.Results, bot.Env{Now: func() time.Time { return d.now }})
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	for n := range 20 {
		_, err := other.Record(t.Context(), store.Result{Project: fmt.Sprintf("guest-%d", n), Agent: "project-meta", Outcome: store.Success})
		require.NoError(t, err)
	}
	_, err = other.Record(t.Context(), store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	require.NoError(t, err)
	s := d.series()
	require.Equal(t, "1", s[`adfbot_results_total{outcome="success",project="odilo"}`])
	require.Equal(t, "20", s[`adfbot_results_total{outcome="success",project="-other"}`])
	for name := range s {
		require.NotContains(t, name, "guest-")
	}
}

func TestMetricsOfProjectNamedOther(t *testing.T) {
	t.Parallel()
	s := newStation(t, "- id: quiet", "- id: other")
	b := s.open(s.config()) // knows no project of that name
	defer func() { _ = b.Close() }()
	_, err := b.Record(t.Context(), store.Result{Project: "quiet", Agent: "project-meta", Outcome: store.Success})
	require.NoError(t, err)
	page := s.get("/metrics").body
	require.Contains(t, page, `adfbot_results_total{outcome="success",project="other"} 0`)
	require.Contains(t, page, `adfbot_results_total{outcome="success",project="-other"} 1`, "no project's id begins like that")
}

func TestMetricsAcrossReloads(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	run := func() { s.result(`{"project":"quiet","exit_code":0}`) }
	counted := func(want int) {
		t.Helper()
		require.Contains(t, s.get("/metrics").body, fmt.Sprintf("adfbot_results_total{outcome=\"success\",project=\"quiet\"} %d\n", want))
	}
	run()
	run()
	require.NoError(t, os.CopyFS(s.path("copy"), os.DirFS(s.path("state"))))
	run()
	s.replaceBot()
	counted(3)

	require.NoError(t, os.RemoveAll(s.path("state")))
	require.NoError(t, os.CopyFS(s.path("state"), os.DirFS(s.path("copy"))))
	s.replaceBot()
	run()
	counted(4)
}

func TestMetricsWithBrokenState(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	require.NoError(t, os.Remove(filepath.Join(d.dir, "pause", pause.SentinelName)))
	s := d.series()
	require.Equal(t, "0", s[`adfbot_ready{check="pause_dir"}`])
	require.Equal(t, "1", s[`adfbot_ready{check="state"}`])
	require.NotContains(t, s, `adfbot_project_paused{project="digital-twins"}`, "it is not known")
	require.NoError(t, d.bot.Close())
	s = d.series()
	require.Equal(t, "0", s[`adfbot_ready{check="state"}`])
	require.NotContains(t, s, "adfbot_paused_projects")
}

func TestOperation(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]string{
		"list issues": "list_issues", "list comments of": "list_comments", "comment on": "comment", "read the token's account": "read_the_tokens_account", "make label": "make_label",
	} {
		require.Equal(t, want, operation(op))
	}
}

// Two projects may have one workflow, which is disabled once.
func TestDisabledWorkflows(t *testing.T) {
	t.Parallel()
	const actions = "    actions: {repo: terraphim/agents, workflow: agent.yaml, disable: true}\n"
	s := newStation(t, "  - id: quiet\n", "  - id: quiet\n"+actions+"  - id: atlas\n"+actions)
	s.gitea.AddToken("adfbot", giteaToken, "write:issue", "read:user", "write:repository")
	s.gitea.AddRepo("terraphim", "agents")
	s.gitea.SetPermission("terraphim", "agents", "adfbot", giteatest.Write)
	s.gitea.AddWorkflow("terraphim/agents", "agent.yaml", "agent")
	for _, id := range []string{"quiet", "atlas"} {
		_, err := s.bot.Pause(t.Context(), id, "")
		require.NoError(t, err)
	}
	_, err := s.bot.Sweep(t.Context(), escalate.SweepOptions{})
	require.NoError(t, err)
	require.Regexp(t, `(?m)^adfbot_disabled_workflows 1$`, s.get("/metrics").body)
}
