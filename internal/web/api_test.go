package web

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	doc, err := libopenapi.NewDocument(openAPI)
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	_, bad := v.ValidateDocument()
	for _, e := range bad {
		t.Error(e.Message, e.Reason, e.SpecLine)
	}
	model, err := doc.BuildV3Model()
	require.NoError(t, err)
	var described []string
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			described = append(described, strings.ToUpper(method)+" "+path)
			require.NotEmpty(t, op.Summary, path)
			require.NotEmpty(t, op.OperationId, path)
		}
	}
	var served []string
	for _, r := range new(Server).routes() {
		if strings.Contains(r.pattern, " /api/v1/") || strings.Contains(r.pattern, " /ping/") && !strings.HasSuffix(r.pattern, "/{$}") {
			served = append(served, r.pattern)
		}
	}
	require.ElementsMatch(t, served, described)

	s := newStation(t)
	a := s.get("/api/v1/openapi.yaml")
	require.Equal(t, "application/yaml", a.Header.Get("Content-Type"))
	require.Equal(t, string(openAPI), a.body)
}

func TestProject(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	p := s.project("odilo")
	require.Equal(t, "no", p.Paused)
	require.Empty(t, p.LastRuns)
	for range 3 {
		s.fail()
	}
	p = s.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Equal(t, 3, p.Failures)
	require.Len(t, p.LastRuns, 3)
	require.Equal(t, "odilo#1", p.Incident.Name)
	require.False(t, p.Held)

	var all projectsJSON
	s.get("/api/v1/projects", as(adminToken)).json(t, &all)
	require.Len(t, all.Projects, 3)
	require.Contains(t, s.problem(s.get("/api/v1/projects/nobody", as(adminToken)), 404), "odilo")
	require.Contains(t, s.problem(s.get("/api/v1/projects/.adfbot", as(adminToken)), 404), "begin with a letter")
	s.problem(s.get("/api/v1/projects/..%2Fescaped", as(adminToken)), 404)
	require.Contains(t, s.problem(s.get("/api/v1/projects?x=1", as(adminToken)), 400), "there is no parameter")
}

func TestRunWithoutStart(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.fail()
	a := s.get("/api/v1/projects/odilo", as(adminToken))
	require.NotContains(t, a.body, "started")
	require.NotContains(t, a.body, "0001-01-01")
	s.result(`{"project":"odilo","exit_code":1,"started_at":"2026-01-02T03:04:05Z"}`)
	require.Contains(t, s.get("/api/v1/projects/odilo", as(adminToken)).body, `"started":"2026-01-02T03:04:05Z"`)
}

func TestGate(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	a := s.get("/api/v1/projects/odilo/gate")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.JSONEq(t, `{"project":"odilo","is_paused":"no","paused":false}`, a.body)

	require.NoError(t, os.WriteFile(s.path("pause/odilo"), []byte("the disk is being changed\n"), 0o600))
	require.Equal(t, "the disk is being changed", s.problem(s.get("/api/v1/projects/odilo/gate"), 423))
	require.Equal(t, http.StatusLocked, s.do("HEAD", "/api/v1/projects/odilo/gate", "").StatusCode)

	require.NoError(t, os.Remove(s.path("pause/.adfbot")))
	a = s.get("/api/v1/projects/digital-twins/gate")
	require.Contains(t, s.problem(a, 503), "do not run it")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.NoError(t, os.RemoveAll(s.path("pause")))
	s.problem(s.get("/api/v1/projects/odilo/gate"), 503)
	s.problem(s.get("/api/v1/projects/nobody/gate"), 404)
}

func TestGateWithBrokenState(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.fail()
	defer s.breakState()()
	require.Contains(t, s.problem(s.get("/api/v1/projects/odilo/gate"), 503), "do not run it")
}

func TestGateWithoutFlag(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	require.NoError(t, os.Rename(s.path("pause"), s.path("elsewhere")))
	require.NoError(t, os.WriteFile(s.path("pause"), nil, 0o600))
	v := s.result(`{"project":"digital-twins","exit_code":1}`)
	require.True(t, v.Tripped)
	require.NotEmpty(t, v.Problems)
	require.NoError(t, os.Remove(s.path("pause")))
	require.NoError(t, os.Rename(s.path("elsewhere"), s.path("pause")))
	require.Contains(t, s.problem(s.get("/api/v1/projects/digital-twins/gate"), 423), "digital-twins#1")
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	a := s.post("/api/v1/projects/odilo/pause", `{"reason":"maintenance until noon"}`, as(adminToken))
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	var d doneJSON
	a.json(t, &d)
	require.Equal(t, "yes", d.Paused)
	note, err := os.ReadFile(s.path("pause/odilo"))
	require.NoError(t, err)
	require.Contains(t, string(note), "paused by the API token over HTTP")
	require.Contains(t, string(note), "maintenance until noon")
	require.Contains(t, s.problem(s.get("/api/v1/projects/odilo/gate"), 423), "maintenance until noon")
	require.True(t, s.project("odilo").Held)
	s.post("/api/v1/projects/odilo/pause", `{}`, as(adminToken)).json(t, &d)
	require.Contains(t, d.Text, "already")

	a = s.post("/api/v1/projects/odilo/resume", "", as(adminToken))
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	a.json(t, &d)
	require.Equal(t, "odilo is resumed", d.Text)
	require.Equal(t, "no", d.Paused)
	require.NoFileExists(t, s.path("pause/odilo"))
	s.post("/api/v1/projects/odilo/resume", "{}", as(adminToken)).json(t, &d)
	require.Equal(t, "odilo was not paused", d.Text)
}

func TestAcknowledgedIncident(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	v := s.result(`{"project":"digital-twins","exit_code":1}`)
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	at := time.Date(2026, 11, 23, 7, 5, 0, 0, time.UTC)
	_, err = st.Change(t.Context(), v.Incident.ID, func(i *incident.Incident) { i.Ack = &incident.Ack{By: tracker.Account{ID: 7, Login: "mira"}, At: at} })
	require.NoError(t, err)
	st.Close()
	i := s.project("digital-twins").Incident
	require.Equal(t, "mira", i.TakenBy)
	require.Equal(t, at, i.TakenAt)
	list := s.get("/api/v1/incidents", as(adminToken)).body
	require.Contains(t, list, `"taken_by":"mira"`)
	require.Contains(t, list, `"answered_after_seconds":0`, "a clock was wrong")
	require.Contains(t, list, `"nth_in_7_days":1`)
}

func TestResumeClosesIssue(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.result(`{"project":"digital-twins","exit_code":1}`)
	require.Equal(t, http.StatusOK, s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken)).StatusCode)
	issue, _ := s.gitea.Issue("terraphim/adf-fleet", 1)
	require.Equal(t, "closed", issue.State)
	require.Len(t, issue.Comments, 1)
	require.Contains(t, issue.Comments[0].Body, ": by the API token over HTTP")
}

func TestResumeWithoutGitea(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.result(`{"project":"digital-twins","exit_code":1}`)
	defer s.gitea.Inject(giteatest.Fault{Do: giteatest.Status(http.StatusBadGateway, "")})()
	a := s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken))
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	var d doneJSON
	a.json(t, &d)
	require.NotEmpty(t, d.Problems)
	require.NoFileExists(t, s.path("pause/digital-twins"))
}

func TestRefusedPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/api/v1/projects/nobody/pause", `{}`, 404, "odilo"},
		{"/api/v1/projects/nobody/resume", ``, 404, "odilo"},
		{"/api/v1/projects/odilo/pause", `{"why":"x"}`, 400, "reason"},
		{"/api/v1/projects/odilo/pause", `{"reason":7}`, 400, "string"},
		{"/api/v1/projects/odilo/resume", `{"reason":7}`, 400, "string"},
		{"/api/v1/projects/odilo/resume", `{"for":"2h"}`, 400, "no field"},
	} {
		require.Contains(t, s.problem(s.post(c.path, c.body, as(adminToken)), c.status), c.says, c.path)
	}
	locks := s.path("state/adfbot.db.d/locks")
	require.NoError(t, os.Remove(locks))
	require.NoError(t, os.Symlink("nowhere", locks))
	for _, path := range []string{"/api/v1/projects/odilo/pause", "/api/v1/projects/odilo/resume"} {
		detail := s.problem(s.post(path, `{}`, as(adminToken)), 503)
		require.Contains(t, detail, "lock flag/odilo: ")
		require.Equal(t, 1, strings.Count(detail, "odilo"), "named once: %s", detail)
	}
	require.NoError(t, os.Remove(locks))
	require.NoError(t, os.RemoveAll(s.path("pause")))
	for _, path := range []string{"/api/v1/projects/odilo/pause", "/api/v1/projects/odilo/resume"} {
		s.problem(s.post(path, `{}`, as(adminToken)), 503)
	}
}

func TestIncidentPages(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for range 5 {
		s.result(`{"project":"digital-twins","exit_code":1}`)
		require.Equal(t, http.StatusOK, s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken)).StatusCode)
	}
	s.result(`{"project":"digital-twins","exit_code":1}`)
	for range 3 {
		s.fail()
	}
	names := func(query string) (all []string, next string) {
		var page incidentsJSON
		a := s.get("/api/v1/incidents"+query, as(adminToken))
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		a.json(t, &page)
		for _, i := range page.Incidents {
			all = append(all, i.Name)
		}
		if page.Next != nil {
			next = *page.Next
		}
		return all, next
	}
	all, next := names("")
	require.Equal(t, []string{"odilo#1", "digital-twins#6", "digital-twins#5", "digital-twins#4", "digital-twins#3", "digital-twins#2", "digital-twins#1"}, all)
	require.Empty(t, next)

	var seen []string
	for query := "?limit=2"; ; {
		some, next := names(query)
		seen = append(seen, some...)
		if next == "" {
			break
		}
		require.Len(t, some, 2)
		query = "?limit=2&after=" + next
	}
	require.Equal(t, all, seen)

	open, _ := names("?state=open")
	require.Equal(t, []string{"odilo#1", "digital-twins#6"}, open)
	ended, _ := names("?state=ended&project=digital-twins&limit=3")
	require.Equal(t, []string{"digital-twins#5", "digital-twins#4", "digital-twins#3"}, ended)
	none, _ := names("?project=quiet")
	require.Empty(t, none)

	for query, says := range map[string]string{
		"?state=closed": "open, ended or all", "?limit=0": "1 to 200", "?limit=x": "1 to 200", "?limit=201": "1 to 200", "?after=x": "next of an earlier answer",
		"?projet=odilo": "no parameter", "?state=open&state=ended": "repeated", "?x=%zz": "cannot be read",
	} {
		require.Contains(t, s.problem(s.get("/api/v1/incidents"+query, as(adminToken)), 400), says, query)
	}
	s.problem(s.get("/api/v1/incidents?project=nobody", as(adminToken)), 404)
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.spec = nil
	require.Contains(t, s.problem(s.get("/api/v2/results"), 404), "openapi.yaml")
	a := s.get("/api/v1/results", as(adminToken))
	require.Contains(t, s.problem(a, 405), "POST")
	require.Equal(t, "POST", a.Header.Get("Allow"))
	s.problem(s.do("DELETE", "/api/v1/projects/odilo", "", as(adminToken)), 405)
	s.problem(s.do("OPTIONS", "/api/v1/results", ""), 405)
}

func TestEmptyBodyNeedsNoContentType(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	none := func(r *http.Request) { r.Header.Del("Content-Type") }
	chunked := func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1 }
	curl := header("Content-Type", "application/x-www-form-urlencoded") // of curl -d ''
	for _, how := range [][]asked{{none}, {none, chunked}, {curl}} {
		for _, action := range []string{"pause", "resume"} {
			a := s.post("/api/v1/projects/odilo/"+action, "", append(how, as(adminToken))...)
			require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		}
	}
	require.Contains(t, s.problem(s.post("/api/v1/results", "", none, as(adminToken)), 422), "project is missing")
	require.Contains(t, s.problem(s.post("/api/v1/projects/odilo/pause", `{"reason":"x"}`, none, as(adminToken)), 415), "Content-Type: application/json")
}
