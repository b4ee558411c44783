package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

// classed is a station with rules.
func classed(t *testing.T) *station {
	return newStation(t, "projects:", `classes:
  - {name: maintenance, exit_codes: [69], output: [read-only], outcome: ignored}
  - {name: licence, output: [licence expired], outcome: trip}
projects:`)
}

func TestResultClass(t *testing.T) {
	t.Parallel()
	s := classed(t).described()
	v := s.result(`{"project":"odilo","exit_code":69,"run_id":"one"}`)
	require.Equal(t, "maintenance", v.Class)
	require.Equal(t, store.Ignored, v.Outcome)
	require.False(t, v.Counted)
	require.Equal(t, "failures of the class maintenance are ignored", v.Why)
	v = s.result(`{"project":"odilo","outcome":"failure","exit_code":69,"run_id":"one"}`)
	require.True(t, v.Known)

	v = s.result(`{"project":"odilo","exit_code":1,"output":"You've hit your usage limit. token=hunter2-hunter2"}`)
	require.Equal(t, "quota", v.Class)
	require.Equal(t, 1, v.Failures)
	require.Empty(t, s.result(`{"project":"quiet","outcome":"ignored","exit_code":69}`).Class, "no rule is asked about what its reporter ignores")
	require.Empty(t, s.result(`{"project":"quiet","exit_code":0}`).Class)

	v = s.result(`{"project":"odilo","exit_code":4,"output":"x\nlicence expired\n"}`)
	require.True(t, v.Tripped)
	require.Equal(t, 2, v.Failures, "the real count")
	require.Equal(t, 3, v.Threshold)
	p := s.project("odilo")
	require.Equal(t, "licence", p.Incident.Class)
	require.Equal(t, []string{"licence", "quota", "maintenance"}, []string{p.LastRuns[0].Class, p.LastRuns[1].Class, p.LastRuns[2].Class})
	issue := s.gitea.Issues("terraphim/adf-fleet")[0]
	require.Equal(t, "[ADF] project-meta on odilo failed 2 consecutively: licence", issue.Title)

	incidents := s.get("/api/v1/incidents", as(adminToken)).body
	require.Contains(t, incidents, `"class":"licence"`)
	require.Contains(t, incidents, `"fingerprint":"licence expired"`)
	s.spec = nil // the page is not part of the API
	page := s.get("/projects/odilo").body
	for _, want := range []string{
		`<p class="why"><span class="badge">licence</span> <code>licence expired</code></p>`,
		`<b>exit code 1</b> <span class="badge">quota</span>`,
		"the threshold is 3",
		": licence.</p>",
	} {
		require.Contains(t, page, want)
	}
	require.Contains(t, s.get("/").body, `<p class="why"><span class="badge">licence</span> <code>licence expired</code></p>`)
	metrics := s.get("/metrics").body
	for _, want := range []string{
		`adfbot_results_total{class="licence",outcome="failure",project="odilo"} 1`,
		`adfbot_results_total{class="quota",outcome="failure",project="odilo"} 1`,
		`adfbot_results_total{class="maintenance",outcome="ignored",project="odilo"} 1`,
		`adfbot_results_total{class="network",outcome="failure",project="odilo"} 0`,
		`adfbot_results_total{class="unknown",outcome="failure",project="quiet"} 0`,
		`adfbot_results_total{outcome="ignored",project="quiet"} 1`,
	} {
		require.Contains(t, metrics, want+"\n")
	}

	// A caller does not choose the class.
	s.problem(s.post("/api/v1/results", `{"project":"odilo","exit_code":1,"class":"quota"}`, as(adminToken)), http.StatusBadRequest)
}

// Only classes that are configured become labels.
func TestMetricsOfOtherClasses(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.get("/metrics") // counts from here on
	for _, class := range []string{"gone", "", "quota"} {
		_, err := s.bot.Record(t.Context(), store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Failure, Class: class})
		require.NoError(t, err)
	}
	body := s.get("/metrics").body
	require.Contains(t, body, `adfbot_results_total{class="-other",outcome="failure",project="odilo"} 1`)
	require.Contains(t, body, `adfbot_results_total{class="unknown",outcome="failure",project="odilo"} 1`)
	require.NotContains(t, body, `class="gone"`)
}

// The daemon decides the class of what a user reports, by its own rules, also where the user's file has others.
func TestSocketResultClass(t *testing.T) {
	t.Parallel()
	s := classed(t)
	c, _ := clientOf(t, s.socket(4711))
	r := resultOf("odilo", "one")
	r.Output, r.Signal, r.Detail = "the database is read-only", "", ""
	r.Class, r.Outcome = "mine", store.Ignored
	got := c.Report(t.Context(), r).Result
	require.NotNil(t, got)
	require.Equal(t, "maintenance", got.Class)
	require.Equal(t, store.Ignored, got.Outcome)

	r = resultOf("odilo", "two")
	r.Finished, r.Output, r.Class, r.Trips = time.Now(), "no seat", "mine", true
	got = c.Report(t.Context(), r).Result
	require.Equal(t, "unknown", got.Class)
	require.False(t, got.Tripped)
}
