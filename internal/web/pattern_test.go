package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

// twins is a pattern in place of the entry of digital-twins, whose token it has, and a project of its own that the pattern fits, too.
var twins = []string{"  - id: digital-twins\n", "  - id: twins-own\n  - match: twins-*\n    users: [\"4712\"]\n"}

// A token of a pattern is for all its projects, also those that nothing is known of yet, and for no other one.
func TestTokenOfPattern(t *testing.T) {
	t.Parallel()
	s := newStation(t, twins...).described()
	require.Contains(t, s.problem(s.get("/api/v1/projects/twins-a/gate", as(twinsToken)), 404), "nothing is known of twins-a yet, which falls under twins-* (")
	require.Contains(t, s.problem(s.get("/api/v1/projects/twins-a", as(twinsToken)), 404), "nothing is known of twins-a yet")
	require.Equal(t, http.StatusOK, s.post("/api/v1/results", `{"project":"twins-a","exit_code":1}`, as(twinsToken)).StatusCode)
	require.Equal(t, http.StatusLocked, s.get("/api/v1/projects/twins-a/gate", as(twinsToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.post("/api/v1/results", `{"project":"twins-b","exit_code":75}`, as(twinsToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/twins-b/gate", as(twinsToken)).StatusCode)
	for _, id := range []string{"odilo", "twins-own", "twins"} {
		require.Contains(t, s.problem(s.get("/api/v1/projects/"+id+"/gate", as(twinsToken)), 403), "the token of twins-* may report for twins-*")
		require.Contains(t, s.problem(s.post("/api/v1/results", `{"project":"`+id+`","exit_code":1}`, as(twinsToken)), 403), "twins-*")
	}
	var all projectsJSON
	s.get("/api/v1/projects", as(twinsToken)).json(t, &all)
	require.Len(t, all.Projects, 2)
	require.Equal(t, "twins-a twins-*", all.Projects[0].ID+" "+all.Projects[0].Pattern)
	require.Equal(t, 1, all.Projects[0].Threshold)
	var incidents incidentsJSON
	s.get("/api/v1/incidents", as(twinsToken)).json(t, &incidents)
	require.Len(t, incidents.Incidents, 1)
	s.get("/api/v1/incidents", as(odiloToken)).json(t, &incidents)
	require.Empty(t, incidents.Incidents)
	require.Equal(t, http.StatusOK, s.post("/api/v1/projects/twins-c/resume", "", as(adminToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/twins-c/gate", as(twinsToken)).StatusCode)
}

func TestUserOfPattern(t *testing.T) {
	t.Parallel()
	s := newStation(t, twins...).described()
	c, _ := clientOf(t, s.socket(4712))
	require.Equal(t, 1, c.Report(t.Context(), resultOf("twins-a", "one")).Result.Failures)
	d := c.Report(t.Context(), resultOf("twins-own", "two"))
	require.Nil(t, d.Result)
	require.Contains(t, d.Messages[0], "may report for twins-*")
}

// The page has known projects of patterns, and says of others what makes them known.
func TestPageOfPattern(t *testing.T) {
	t.Parallel()
	d := daemonOf(t, `[{match: "twins-*"}]`)
	front := d.get("/").Body.String()
	require.Contains(t, front, "<h1>No project is known yet</h1>")
	require.Contains(t, front, "The first result of a project whose id fits twins-* makes it known.")
	page := d.get("/projects/twins-a")
	require.Equal(t, http.StatusNotFound, page.Code)
	require.Contains(t, page.Body.String(), "nothing is known of twins-a yet, which falls under twins-* (")
	require.NotContains(t, page.Body.String(), "projects/twins-*")

	d.record("twins-a", store.Success)
	require.Contains(t, d.get("/").Body.String(), "<h1>twins-a may run</h1>")
	require.Contains(t, d.get("/projects/twins-a").Body.String(), `<span class="badge">twins-*</span>`)
	require.Contains(t, d.get("/metrics").Body.String(), `adfbot_results_total{outcome="success",project="twins-a"}`)
	require.Contains(t, d.get("/metrics").Body.String(), "adfbot_projects 1\n")
}
