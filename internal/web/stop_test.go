package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

type many struct {
	Stop             string
	Projects, Others []string
	Text             string
	Problems         []string
}

// many posts a pause or resume of several projects.
func (s *station) many(path, body string) (d many) {
	s.Helper()
	a := s.post(path, body, as(adminToken))
	require.Equal(s, http.StatusOK, a.StatusCode, a.body)
	a.json(s, &d)
	return d
}

func TestPauseAllAndResumeAll(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.many("/api/v1/pause", `{"projects":["odilo"],"for":"90m"}`)
	require.NotNil(t, s.project("odilo").Until)
	d := s.many("/api/v1/pause", `{"all":true,"reason":"the provider is down","for":"2h"}`)
	require.Len(t, d.Stop, 32)
	require.Equal(t, []string{"odilo"}, d.Others)
	require.NotContains(t, d.Projects, "odilo")
	require.Contains(t, d.Projects, "digital-twins")
	require.Equal(t, d.Stop, s.project("digital-twins").Stop)
	require.Contains(t, s.problem(s.get("/api/v1/projects/digital-twins/gate"), 423), "the provider is down")
	s.many("/api/v1/resume", `{"projects":["digital-twins"]}`)
	d2 := s.many("/api/v1/resume", `{"all":true}`)
	require.Len(t, d2.Projects, len(d.Projects)-1)
	require.Equal(t, []string{"odilo"}, d2.Others)
}

func TestStopIsWatched(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.many("/api/v1/pause", `{"all":true}`)
	metrics := s.get("/metrics", as(adminToken)).body
	require.Contains(t, metrics, "adfbot_stops 1\n")
	require.Contains(t, metrics, "adfbot_stopped_projects 3\n")
	require.Contains(t, s.get("/", as(adminToken)).body, "Stops in force")
	s.many("/api/v1/resume", `{"all":true}`)
	require.Contains(t, s.get("/metrics", as(adminToken)).body, "adfbot_stops 0\n")
}

func TestPauseManyRefused(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"pause", `{}`, 400, "which projects"},
		{"pause", `{"all":true,"projects":["odilo"]}`, 400, "not both"},
		{"pause", `{"all":1}`, 400, "all must be a boolean"},
		{"pause", `{"projects":"odilo"}`, 400, "list of strings"},
		{"pause", `{"projects":["nobody"]}`, 404, "nobody"},
		{"pause", `{"projects":["zz*"]}`, 404, "falls under zz*"},
		{"pause", `{"projects":["a/*"]}`, 404, "can match no project"},
		{"pause", `{"projects":["../x"]}`, 404, "x"},
		{"pause", `{"all":true,"for":"2"}`, 400, "a time with a unit"},
		{"pause", `{"all":true,"for":"30s"}`, 400, "from 1m to 720h"},
		{"pause", `{"everything":true}`, 400, "everything"},
		{"resume", `{"projects":["odilo"],"incidents":true}`, 400, "goes with all or a pattern"},
		{"resume", `{"projects":["nobody"]}`, 404, "nobody"},
		{"resume", `{"all":true,"for":"2h"}`, 400, "incidents"},
	} {
		require.Contains(t, s.problem(s.post("/api/v1/"+c.path, c.body, as(adminToken)), c.status), c.says, c.body)
	}
	require.False(t, s.project("odilo").Held)
}
