package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunPages(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for n := range 5 {
		s.result(fmt.Sprintf(`{"project":"digital-twins","agent":"developer","exit_code":%d,"run_id":"run-%d","output":"starting\nboom %d\n"}`, n%2, n, n))
	}
	page := func(query string, how ...asked) (p runsJSON) {
		a := s.get("/api/v1/projects/digital-twins/runs"+query, append(how, as(adminToken))...)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		a.json(t, &p)
		return p
	}
	ids := func(p runsJSON) (ids string) {
		for _, r := range p.Runs {
			require.Equal(t, "digital-twins", r.Project)
			ids += strings.TrimPrefix(r.RunID, "run-")
		}
		return ids
	}
	all := page("")
	require.Equal(t, "43210", ids(all))
	require.Nil(t, all.Next)
	require.Empty(t, all.Runs[1].Output)

	first := page("?limit=2")
	require.Equal(t, "43", ids(first))
	second := page("?limit=2&after=" + *first.Next)
	require.Equal(t, "21", ids(second))
	last := page("?limit=2&after=" + *second.Next)
	require.Equal(t, "0", ids(last))
	require.Nil(t, last.Next)

	failed := page("?outcome=failure&output=true&agent=developer")
	require.Equal(t, "31", ids(failed))
	require.Equal(t, "starting\nboom 3\n", failed.Runs[0].Output)
	require.Equal(t, "boom 3", failed.Runs[0].LastLine)
	require.Equal(t, "31", ids(page("?class=unknown")))
	require.Empty(t, page("?class=quota").Runs)
	require.Empty(t, page("?agent=project-meta").Runs)
	require.Empty(t, page("?until=2001-01-01T00:00:00Z").Runs)
	require.Len(t, page("?since=2001-01-01T00:00:00Z").Runs, 5)

	twins := s.get("/api/v1/projects/digital-twins")
	require.Equal(t, http.StatusUnauthorized, twins.StatusCode)
	s.problem(s.get("/api/v1/projects/odilo/runs"), 401)
	s.problem(s.get("/api/v1/projects/nobody/runs", as(adminToken)), 404)
	for query, says := range map[string]string{
		"?outcome=bad": "success, failure or ignored", "?limit=0": "1 to 200", "?after=x": "next of an earlier answer", "?after=": "next of an earlier answer",
		"?since=yesterday": "RFC 3339", "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z": "is not before until", "?output=yes": "true or false", "?page=2": "no parameter",
	} {
		s.spec = nil // it refuses some of these requests itself
		require.Contains(t, s.problem(s.get("/api/v1/projects/odilo/runs"+query, as(adminToken)), 400), says, query)
	}
}

// A project's token reads the runs of that project only.
func TestRunsOfOthers(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/runs", as(odiloToken)).StatusCode)
	s.problem(s.get("/api/v1/projects/digital-twins/runs", as(odiloToken)), 403)
}
