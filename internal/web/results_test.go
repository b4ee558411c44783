package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestResult(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	v := s.result(`{"project":"odilo","outcome":"failure","run_id":"one","host":"host-a"}`)
	require.Equal(t, status.ResultView{Project: "odilo", Agent: "project-meta", Outcome: "failure", Class: "unknown", Counted: true, Failures: 1, Threshold: 3, Paused: "no", Problems: []string{}}, v)

	require.Equal(t, 2, s.fail().Failures)
	v = s.fail()
	require.True(t, v.Tripped)
	require.Equal(t, "yes", v.Paused)
	require.NotNil(t, v.Incident)
	require.Equal(t, "odilo#1", v.Incident.Name)
	require.Equal(t, stationGitea+"/terraphim/adf-fleet/issues/1", v.Incident.Issue)
	require.FileExists(t, s.path("pause/odilo"))
	require.Len(t, s.gitea.Issues("terraphim/adf-fleet"), 1)

	v = s.result(`{"project":"odilo","outcome":"failure","run_id":"one"}`)
	require.True(t, v.Known)
	require.Equal(t, 1, v.Failures, "it gets the first answer again")

	v = s.result(`{"project":"odilo","outcome":"success","agent":"developer"}`)
	require.False(t, v.Counted)
	require.Equal(t, "only project-meta agents count", v.Why)
	require.Equal(t, "yes", v.Paused)
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	for body, want := range map[string]string{
		`"exit_code":0`:                        "success",
		`"exit_code":75`:                       "ignored",
		`"exit_code":3`:                        "failure",
		`"signal":"SIGKILL"`:                   "failure",
		`"exit_code":137,"signal":"SIGKILL"`:   "failure",
		`"exit_code":75,"outcome":"failure"`:   "failure",
		`"exit_code":130,"outcome":"ignored"`:  "ignored",
		`"exit_code":0,"outcome":"failure"`:    "failure",
		`"outcome":"success","exit_code":null`: "success",
	} {
		require.Equal(t, want, s.result(`{"project":"digital-twins","agent":"developer",`+body+`}`).Outcome, body)
	}
}

func TestInvalidResults(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, c := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"project":"odilo"}`, 422, "give outcome"},
		{`{"exit_code":1}`, 422, "project is missing"},
		{`{"project":"odilo","outcome":"failed"}`, 422, "success, failure or ignored"},
		{`{"project":"odilo","exit_code":256}`, 422, "0 to 255"},
		{`{"project":"odilo","exit_code":-1}`, 422, "0 to 255"},
		{`{"project":"odilo","exit_code":1,"outcome":"success"}`, 422, "contradicts"},
		{`{"project":"odilo","exit_code":1,"agent":"../x"}`, 422, "agent"},
		{`{"project":"../escaped","exit_code":1}`, 422, "project id"},
		{`{"project":"odilo\u0000","exit_code":1}`, 422, "project id"},
		{`{"project":"odilo","exit_code":1,"run_id":"a\nb"}`, 422, "run id"},
		{`{"project":"odilo","exit_code":1,"started":"yesterday"}`, 422, "RFC 3339"},
		{`{"project":"odilo","exit_code":1,"started":` + quoted(inAnHour()) + `}`, 422, "in the future"},
		{`{"project":"odilo","exit_code":1,"finished":` + quoted(inAnHour()) + `}`, 422, "in the future"},
		{`{"project":"odilo","exit_code":1,"started":"2026-01-02T00:00:00Z","finished":"2026-01-01T00:00:00Z"}`, 422, "before started"},
		{`{"project":"odilo","exit_code":1,"started":"0000-01-01T00:00:00+14:00"}`, 422, "between 1970 and now"},
		{`{"project":"odilo","exit_code":1,"started":"0001-01-01T00:00:00Z"}`, 422, "between 1970 and now"},
		{`{"project":"odilo","exit_code":1,"finished":"1969-12-31T23:59:59Z"}`, 422, "between 1970 and now"},
		{`{"project":"odilo","exit_code":1,"started":"9999-12-31T23:59:59-23:59"}`, 422, "between 1970 and now"},
		{`{"project":"odilo","exit_code":1,"started":"2026-01-02T00:00:00+24:00"}`, 422, "its offset must be less than 24 hours"},
		{`{"project":"odilo","exit_code":1,"started":"2026-01-02T00:00:00+24:59"}`, 422, "its offset must be less than 24 hours"},
		{`{"project":"odilo","exit_code":1,"finished":"2026-01-02T00:00:00-23:60"}`, 422, "its offset must be less than 24 hours"},
		{`{"project":"odilo","exit_code":1,"started_at":"yesterday"}`, 422, "started_at"},
		{`{"project":"odilo","exit_code":1,"finished_at":"1969-12-31T23:59:59Z"}`, 422, "between 1970 and now"},
		{`{"project":"odilo","exit_code":"1"}`, 400, "exit_code must be a whole number"},
		{`{"project":"odilo","exit_code":1.5}`, 400, "exit_code must be a whole number"},
		{`{"project":"odilo","exit_code":1e400}`, 400, "exit_code must be a whole number"},
		{`{"project":"odilo","exit_code":1e30}`, 400, "exit_code must be a whole number"},
		{`{"project":"odilo","exit_code":256.0}`, 422, "exit_code 256: must be 0 to 255"},
		{`{"project":["odilo"],"exit_code":1}`, 400, "project must be a string"},
		{`{"project":"odilo","exit_code":1,"projet":"x"}`, 400, `no field "projet"`},
		{`{"Project":"odilo","exit_code":1}`, 400, `no field "Project"`},
		{`{"project":"odilo","exit_code":1,"exit_code":0}`, 400, "is repeated"},
		{`{"project":"odilo","exit_code":1} {}`, 400, "it is no JSON at byte"},
		{`{"project":"odilo","exit_code":1`, 400, "one JSON object"},
		{`[]`, 400, "one JSON object"},
		{`"odilo"`, 400, "one JSON object"},
		{``, 422, "project is missing"},
	} {
		require.Contains(t, s.problem(s.post("/api/v1/results", c.body, as(adminToken)), c.status), c.says, c.body)
	}
	require.Empty(t, s.project("odilo").LastRuns)
	entries, err := os.ReadDir(s.path("pause"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "the sentinel alone")
}

// Times have the names that they have in answers. The old ones are taken until the next release.
func TestTimesOfResult(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, names := range [][2]string{{"started", "finished"}, {"started_at", "finished_at"}} {
		s.result(fmt.Sprintf(`{"project":"odilo","agent":"developer","exit_code":1,%q:"2026-01-02T03:04:05Z",%q:"2026-01-02T03:05:05Z"}`, names[0], names[1]))
		run := s.project("odilo").LastRuns[0]
		require.Equal(t, "2026-01-02T03:04:05Z 2026-01-02T03:05:05Z", run.Started.Format(time.RFC3339)+" "+run.Finished.Format(time.RFC3339), names[0])
	}
	s.result(`{"project":"odilo","agent":"developer","exit_code":1,"started":null,"started_at":"2026-01-02T03:04:05Z"}`)
	require.Equal(t, 5, s.project("odilo").LastRuns[0].Started.Second(), "null is as good as missing")
}

// A run may fail at once, and the clock of the machine that reports it be a little ahead: then it began after now.
func TestBegunByAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	began := time.Now().Add(time.Second)
	require.True(t, s.result(`{"project":"odilo","exit_code":127,"started":`+quoted(began.Format(time.RFC3339Nano))+`}`).Counted)
	run := s.project("odilo").LastRuns[0]
	require.WithinDuration(t, began, run.Started, time.Millisecond)
	require.False(t, run.Finished.Before(run.Started))
}

func TestUnknownProject(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	require.Contains(t, s.problem(s.post("/api/v1/results", `{"project":"nobody","exit_code":1}`, as(adminToken)), 404), "odilo, digital-twins, quiet")
	says := s.problem(s.get("/api/v1/projects/nobody/gate"), 404)
	require.NotContains(t, says, "odilo", "the gate is open on a loopback address, and tells nobody which projects there are")
	says = s.problem(s.post("/api/v1/results", `{"project":"nobody","exit_code":1}`, as(odiloToken)), 403)
	require.NotContains(t, says, "twins")
}

func TestConflict(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.result(`{"project":"odilo","exit_code":1,"run_id":"one"}`)
	require.Contains(t, s.problem(s.post("/api/v1/results", `{"project":"odilo","exit_code":0,"run_id":"one"}`, as(adminToken)), 409), "recorded as failure")
	require.Equal(t, 1, s.project("odilo").Failures)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	key := header("Idempotency-Key", `"7f1c"`)
	require.False(t, s.result(`{"project":"odilo","exit_code":1}`, key).Known)
	require.True(t, s.result(`{"project":"odilo","exit_code":1}`, key).Known)
	require.True(t, s.result(`{"project":"odilo","exit_code":1,"run_id":"7f1c"}`).Known)
	require.False(t, s.result(`{"project":"odilo","exit_code":1,"run_id":"other"}`, key).Known)
	require.Equal(t, 2, s.project("odilo").Failures)
}

func TestRunFromBeforeResume(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	early := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano)
	s.result(`{"project":"digital-twins","exit_code":1}`)
	require.Equal(t, http.StatusOK, s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken)).StatusCode)
	v := s.result(`{"project":"digital-twins","exit_code":1,"started_at":` + quoted(early) + `}`)
	require.False(t, v.Counted)
	require.Contains(t, v.Why, "before the last resume of the project was noticed")
	require.Equal(t, "no", v.Paused)
}

func TestOutputIsCleaned(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	output := "key the-deploy-key-of-the-tests\ntoken " + giteaToken + "\nAuthorization: Bearer " + adminToken + "\n\x1b[31mred\x1b[0m @everyone\n" +
		strings.Repeat("x", 5000) + "\nthe end"
	body, err := json.Marshal(map[string]any{"project": "digital-twins", "exit_code": 1, "output": output, "host": "a\nb\x1b[2J", "detail": "said " + odiloToken})
	require.NoError(t, err)
	require.True(t, s.result(string(body)).Tripped)
	issue, ok := s.gitea.Issue("terraphim/adf-fleet", 1)
	require.True(t, ok)
	require.Contains(t, issue.Body, "the end")
	require.NotContains(t, issue.Body, "\x1b")
	db, err := os.ReadFile(s.path("state/adfbot.db-wal"))
	require.NoError(t, err)
	require.True(t, strings.Contains(string(db), "the end"))
	for _, secret := range []string{"the-deploy-key-of-the-tests", giteaToken, adminToken, odiloToken} {
		require.NotContains(t, issue.Body, secret)
		require.False(t, strings.Contains(string(db), secret))
	}
	require.Equal(t, "a b", s.project("digital-twins").LastRuns[0].Host)
	require.Less(t, len(issue.Body), 6000)
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	body := func(n int) string {
		return `{"project":"odilo","exit_code":1,"output":"` + strings.Repeat("x", n) + `"}`
	}
	require.Contains(t, s.problem(s.post("/api/v1/results", body(maxBody), as(adminToken)), 413), "1 MiB")
	require.Empty(t, s.project("odilo").LastRuns)
	s.result(body(maxBody - 1000))
}

func TestContentType(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, path := range []string{"/api/v1/results", "/api/v1/projects/odilo/pause", "/api/v1/projects/odilo/resume"} {
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"} {
			require.Contains(t, s.problem(s.post(path, `{}`, as(adminToken), header("Content-Type", kind)), 415), "application/json")
		}
		require.NotEqual(t, 415, s.post(path, `{}`, as(adminToken), header("Content-Type", "application/json; charset=utf-8")).StatusCode)
		require.Equal(t, 415, s.post(path, `{}`, as(adminToken), header("Content-Encoding", "gzip")).StatusCode)
	}
}

func TestSameRunConcurrently(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	var fresh, known int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			v := s.result(`{"project":"digital-twins","exit_code":1,"run_id":"one"}`)
			mu.Lock()
			defer mu.Unlock()
			if v.Known {
				known++
			} else {
				fresh++
			}
			if v.Failures != 1 || !v.Tripped {
				t.Errorf("an answer differs: %+v", v)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, fresh)
	require.Equal(t, 63, known)
	p := s.project("digital-twins")
	require.Len(t, p.LastRuns, 1)
	require.Equal(t, 1, p.Failures)
	require.Len(t, s.gitea.Issues("terraphim/adf-fleet"), 1)
}

func TestSpooledResult(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.fail()
	lock := s.breakState()
	a := s.post("/api/v1/results", `{"project":"odilo","exit_code":1}`, as(adminToken))
	require.Equal(t, http.StatusAccepted, a.StatusCode, a.body)
	var kept status.SpooledView
	a.json(t, &kept)
	require.True(t, kept.Spooled)
	require.NotEmpty(t, kept.RunID)
	require.Contains(t, kept.Why, "do not send it again")
	lock()
	n, err := s.bot.RecordSpooled(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 2, s.project("odilo").Failures)
	require.True(t, s.result(`{"project":"odilo","exit_code":1,"run_id":`+quoted(kept.RunID)+`}`).Known)
}

func TestLostResult(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.fail()
	defer s.breakState()()
	require.NoError(t, os.RemoveAll(s.path("state/adfbot.db.d/spool")))
	require.NoError(t, os.WriteFile(s.path("state/adfbot.db.d/spool"), nil, 0o600))
	a := s.post("/api/v1/results", `{"project":"odilo","exit_code":1}`, as(adminToken))
	require.Contains(t, s.problem(a, 503), "NOT recorded, send it again later")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	c, _ := clientOf(t, s.socket(4711))
	said := c.Report(t.Context(), resultOf("odilo", "one")).Messages
	require.Contains(t, said[0], "NOT recorded")
	require.NotContains(t, said[0], "send it again")
	require.Contains(t, said[1], "do not record it again")
}

func FuzzResults(f *testing.F) {
	for _, seed := range []string{
		`{"project":"odilo","exit_code":1,"run_id":"one","output":"text"}`, `{"project":"odilo","outcome":"success","host":"h"}`,
		`{"project":"digital-twins","exit_code":75,"started_at":"2026-11-23T07:04:05Z"}`, `{`, `[]`, `null`, `{"project":null}`,
		`{"project":"odilo","agent":"project-meta-x","signal":"SIGKILL","detail":"\u001b[2J","exit_code":137}`,
	} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := newStation(f)
	f.Fuzz(func(t *testing.T, body string) {
		o, err := parseObject([]byte(body), resultFields...)
		if err != nil {
			var no *problem
			require.ErrorAs(t, err, &no)
			require.Equal(t, 400, no.Status)
			return
		}
		r, err := parseResult(o, s.cfg, caller{admin: true}, "", now)
		if err != nil {
			return
		}
		require.True(t, json.Valid([]byte(body)))
		clean(&r, s.bot.Redactor(), 500)
		require.NoError(t, s.cfg.CheckProject(r.Project))
		require.NoError(t, bot.CheckResult(r, now))
		require.Contains(t, []string{"success", "failure", "ignored"}, r.Outcome)
		require.LessOrEqual(t, len(r.Output), 500)
		require.True(t, r.Outcome == "failure" || r.Output == "")
		for _, text := range []string{r.Host, r.Signal, r.Detail, r.RunID} {
			require.False(t, strings.ContainsAny(text, "\n\x1b\x00"), "%q", text)
			require.LessOrEqual(t, len(text), 200)
		}
	})
}

// If an answer cannot be encoded, the status is an error with the reason, not an empty 200.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	impossible := func(w http.ResponseWriter, _ *request) error {
		return writeJSON(w, http.StatusOK, time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.srv.allow(route{"GET /", accessReport, classWork, bodyNone, impossible}))
	s.http = httptest.NewServer(s.srv.guard(mux))
	t.Cleanup(s.http.Close)
	require.Contains(t, s.problem(s.get("/", as(adminToken)), http.StatusInternalServerError), "year outside of range")
	require.Equal(t, "the request failed; the bot's log says why", s.problem(s.get("/", as(odiloToken)), http.StatusInternalServerError))
	require.Regexp(t, "level=ERROR msg=http method=GET path=/ err=.*year outside of range", s.log.String())
}

// failHanging reports a failure of odilo, which hangs at a point of the program, and returns the answer.
func (s *station) failHanging(point string) (a answered, goOn func()) {
	s.Helper()
	return s.hanging(point, "/api/v1/results", `{"project":"odilo","exit_code":1}`)
}

func (s *station) hanging(point, path, body string) (a answered, goOn func()) {
	s.Helper()
	dead := make(chan struct{})
	goOn = sync.OnceFunc(func() { close(dead) })
	s.Cleanup(goOn)
	hang := sync.OnceFunc(func() { <-dead })
	hook := func(name string) {
		if name == point {
			hang()
		}
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r = r.WithContext(fault.WithCounter(fault.With(r.Context(), hook), hook))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+adminToken)
	w, answered := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(answered)
		s.srv.handler.ServeHTTP(w, r)
	}()
	select {
	case <-answered:
		return s.read(r, w.Result()), goOn
	case <-time.After(testhost.Patience):
		s.Fatal("no answer")
		return a, goOn
	}
}

// A mount that dies after the pause directory has just answered keeps no reporter waiting. The result counts once.
func TestResultIsAnsweredWhileThePauseDirectoryHangs(t *testing.T) {
	t.Parallel()
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		s := newStation(t).described()
		s.srv.storeWait = wait
		a, goOn := s.failHanging("look")
		goOn()
		s.srv.current.uses.Wait()
		if a.StatusCode == 503 && wait < testhost.Patience { // a busy machine needs longer to spool the result
			continue
		}
		require.Equal(t, 202, a.StatusCode, a.body)
		require.Contains(t, a.body, "check whether a file system hangs")
		s.srv.storeWait = storeWait
		require.Equal(t, 2, s.fail().Failures)
		return
	}
}

// Neither does one that dies before the flag is written.
func TestTripIsAnsweredWhileThePauseDirectoryHangs(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.srv.tripWait = 50 * time.Millisecond
	s.fail()
	s.fail()
	a, goOn := s.failHanging("tripped")
	require.Equal(t, 200, a.StatusCode, a.body)
	var v status.ResultView
	a.json(t, &v)
	require.True(t, v.Tripped)
	require.Equal(t, "yes", v.Paused)
	require.NotNil(t, v.Incident)
	require.Contains(t, strings.Join(v.Problems, "\n"), "check whether a file system hangs")
	require.Contains(t, strings.Join(v.Problems, "\n"), "the pause flag is NOT written")
	goOn()
	s.srv.current.uses.Wait()
	require.FileExists(t, s.path("pause/odilo"))
}

// Gitea may take as long as gitea.timeout for each request. It is not taken for the pause directory then.
func TestResumeIsAnsweredWhileGiteaHangs(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for range 3 {
		s.fail()
	}
	s.gitea.Inject(giteatest.Fault{Do: giteatest.Hang()})
	s.srv.operateWait = 2 * time.Second
	a := s.post("/api/v1/projects/odilo/resume", `{}`, as(adminToken))
	require.Equal(t, 200, a.StatusCode, a.body)
	require.Contains(t, a.body, "odilo is resumed")
	require.Contains(t, a.body, "gitea: ")
	require.NoFileExists(t, s.path("pause/odilo"))
}

func TestPauseAndResumeAreAnsweredWhileThePauseDirectoryHangs(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.srv.operateWait = 50 * time.Millisecond
	for _, do := range []string{"pause", "resume"} {
		a, goOn := s.hanging("look", "/api/v1/projects/odilo/"+do, "{}")
		require.Contains(t, s.problem(a, 503), "it is not known whether odilo is paused, ask its gate later", do)
		goOn()
		s.srv.current.uses.Wait()
	}
}
