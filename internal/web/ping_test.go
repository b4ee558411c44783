package web

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	odiloPing = "/ping/" + odiloToken + "/odilo"
	twinsPing = "/ping/" + twinsToken + "/digital-twins"
	rid       = "3f2b8a52-7c1d-4c3e-9d0a-0123456789ab"
)

// pinged sends a ping that is accepted.
func (s *station) pinged(path, body string, how ...asked) {
	s.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	a := s.do(method, path, body, how...)
	require.Equal(s, http.StatusOK, a.StatusCode, a.body)
	require.Equal(s, "OK", a.body)
	require.Equal(s, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	require.Equal(s, "100000", a.Header.Get("Ping-Body-Limit"))
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, c := range []struct {
		path, outcome string
		code          int
	}{
		{"", store.Success, 0},
		{"/fail", store.Failure, 1},
		{"/", store.Success, 0},
		{"/7", store.Failure, 7},
		{"/0", store.Success, 0},
		{"/255", store.Failure, 255},
		{"/256", store.Failure, 256}, // of Windows, as are those that follow
		{"/-1", store.Failure, -1},
		{"/-1073741819", store.Failure, -1073741819},
		{"/3221225477", store.Failure, -1073741819},
		{"?create=1", store.Success, 0}, // runitor may send that
		{"/75", store.Ignored, 75},      // as the configuration has it
	} {
		s.pinged(twinsPing+c.path, "")
		run := s.project("digital-twins").LastRuns[0]
		require.Equal(t, c.outcome, run.Outcome, c.path)
		require.Equal(t, c.code, run.ExitCode, c.path)
		require.Equal(t, "project-meta", run.Agent)
		if s.project("digital-twins").Incident != nil {
			s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken))
		}
	}
	a := s.do(http.MethodHead, odiloPing+"/fail", "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.body)
	require.Equal(t, 1, s.project("odilo").Failures)
}

// The bot's machine did not run what a proxy there passes on.
func TestReportedThroughProxy(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	for _, c := range []struct{ forwarded, host string }{
		{"198.51.100.7", "198.51.100.7"},
		{"198.51.100.7, 192.0.2.1", "198.51.100.7"}, // a proxy behind another one
		{"unknown, 2001:db8::7", "2001:db8::7"},
		{"::ffff:198.51.100.7", "198.51.100.7"},
		{"127.0.0.1", ""}, // this machine
		{"<b>", ""},
		{"", ""},
	} {
		s.pinged(odiloPing, "", header("X-Forwarded-For", c.forwarded))
		require.Equal(t, c.host, s.project("odilo").LastRuns[0].Host, c.forwarded)
		s.post("/api/v1/results", `{"project":"odilo","exit_code":0}`, as(odiloToken), header("X-Forwarded-For", c.forwarded))
		require.Equal(t, c.host, s.project("odilo").LastRuns[0].Host, c.forwarded)
	}
	s.post("/api/v1/results", `{"project":"odilo","exit_code":0,"host":"edge-7"}`, as(odiloToken), header("X-Forwarded-For", "198.51.100.7"))
	require.Equal(t, "edge-7", s.project("odilo").LastRuns[0].Host)
}

func TestPingTrips(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	for range 3 {
		s.pinged(odiloPing+"/1", "no route to host\ntoken "+giteaToken+"\x1b[31m\n", header("Content-Type", "text/plain"))
	}
	p := s.project("odilo")
	require.NotNil(t, p.Incident)
	require.FileExists(t, s.path("pause/odilo"))
	issue := s.gitea.Issues("terraphim/adf-fleet")[0]
	require.Contains(t, issue.Body, "no route to host\ntoken [masked]\n")
}

// An output of any size and type is taken; the history has its start and its end.
func TestPingOutput(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.pinged(odiloPing+"/fail", "first line\n"+strings.Repeat("much\n", 500_000)+"last line\n", header("Content-Type", "application/octet-stream"))
	s.pinged(odiloPing+"/fail", "\xff\xfe plain", header("Content-Type", ""))
	a := s.post(odiloPing+"/fail", strings.Repeat("x", maxOutput+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
	require.Equal(t, "a body has at most 16 MiB: send only the end of the output", a.body)
	detail, err := s.bot.Detail(t.Context(), "odilo", status.Pages{})
	require.NoError(t, err)
	require.Len(t, detail.Runs, 2)
	require.Contains(t, detail.Runs[0].Output, "plain")
	require.True(t, strings.HasPrefix(detail.Runs[1].Output, "first line\n"))
	require.True(t, strings.HasSuffix(detail.Runs[1].Output, "last line\n"))
	require.LessOrEqual(t, len(detail.Runs[1].Output), 2000)
}

// Neither the answer nor how long it takes tells a wrong key from a project that there is not.
func TestPingRefused(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, path := range []string{
		"/ping/" + odiloToken + "/nobody",
		"/ping/" + odiloToken + "/digital-twins",
		"/ping/" + odiloToken + "/quiet",
		"/ping/" + odiloToken + "x/odilo",
		"/ping/" + adminToken + "/odilo", // it may do everything, and an address is no place for that
		"/ping/" + adminToken + "/nobody/300",
		"/ping/wrong/odilo/start",
		odiloPing + "/stop",
		odiloPing + "/+1",
		odiloPing + "/-",
		odiloPing + "/1.5",
	} {
		a := s.get(path, as(adminToken))
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
		require.Equal(t, "not found", a.body, path)
		require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	}
	for path, says := range map[string]string{
		"/4294967296": "invalid url format", "/-2147483649": "invalid url format", "/99999999999999999999": "invalid url format", "?rid=7": "invalid uuid format", "/start?rid=": "invalid uuid format",
	} {
		a := s.get(odiloPing + path)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, path)
		require.Contains(t, a.body, says)
	}
	s.spec = nil // the others are not in it
	require.Equal(t, http.StatusMethodNotAllowed, s.do(http.MethodPut, odiloPing, "").StatusCode)
	require.Equal(t, http.StatusNotFound, s.get(odiloPing+"/start/now").StatusCode)
	require.Equal(t, http.StatusNotFound, s.get("//ping/"+odiloToken+"/odilo").StatusCode)
	require.Empty(t, s.project("odilo").LastRuns)
	require.Zero(t, s.project("odilo").Running)
}

// The key is a part of the address, which the log shows. [station.read] looks for the tokens in the log.
func TestPingKeyIsMasked(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	const slashed = "base64-has/slashes-wrong-key=="
	s.bot.Redactor().Learn(slashed)
	for _, path := range []string{
		odiloPing, "/" + odiloToken + "/odilo", "/ping/a-wrong-key/odilo", "/PING/a-wrong-key/x", "/adfbot/ping/a-wrong-key", "/%70ing/a-wrong-key/odilo",
		"/ping/x%2Fa-wrong-key/odilo", "/ping//a-wrong-key/odilo", "/ping/" + slashed + "/odilo", "/ping/" + slashed + "/odilo/fail",
	} {
		a := s.get(path)
		require.NotContains(t, a.body, "wrong-key", path)
	}
	mend := s.breakState()
	require.Equal(t, 200, s.get(odiloPing).StatusCode, "it is spooled")
	require.Equal(t, 503, s.get(odiloPing+"/start").StatusCode)
	mend()
	log := s.log.String()
	require.Contains(t, log, "path=/ping/[masked]/odilo status=200")
	require.Contains(t, log, "level=ERROR msg=http method=GET path=/ping/[masked]/odilo/start err=")
	require.NotContains(t, log, "wrong-key")
}

// A run id ties the end of a run to its start: how long it took, and whether the project was resumed in between.
func TestPingStart(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	now := time.Now().Add(-time.Minute)
	s.srv.now = func() time.Time { return now }
	s.pinged(odiloPing+"/start?rid="+strings.ToUpper(rid), "")
	s.pinged(odiloPing+"/start?rid="+rid, "") // sent again
	require.Equal(t, 1, s.project("odilo").Running)
	now = time.Now()
	s.pinged(odiloPing+"/log?rid="+rid, "halfway")
	s.pinged(odiloPing+"/fail?rid="+rid, "")
	s.pinged(odiloPing+"/fail?rid="+strings.ReplaceAll(rid, "-", ""), "")
	p := s.project("odilo")
	require.Equal(t, 1, p.Failures, "a ping that is sent again counts once")
	require.Zero(t, p.Running)
	detail, err := s.bot.Detail(t.Context(), "odilo", status.Pages{})
	require.NoError(t, err)
	require.Equal(t, rid, detail.Runs[0].RunID)
	require.NotZero(t, detail.Runs[0].Started)

	a := s.get(odiloPing + "/start?rid=" + rid)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, a.body, "give each run a rid of its own")
	require.Zero(t, s.project("odilo").Running)

	s.pinged(odiloPing+"?rid="+rid, "") // it did succeed after all
	s.pinged(odiloPing+"?rid="+rid, "")
	require.Zero(t, s.project("odilo").Failures)
	require.Len(t, s.project("odilo").LastRuns, 3)
	require.Equal(t, http.StatusOK, s.get(odiloPing+"/1?rid="+rid).StatusCode, "the run is known as failed")
	require.Zero(t, s.project("odilo").Failures)
}

func TestPingFromBeforeAResume(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.pinged(twinsPing+"/start?rid="+rid, "")
	s.pinged(twinsPing+"/start", "")
	s.pinged(twinsPing+"/fail?rid=aaaaaaaa-7c1d-4c3e-9d0a-0123456789ab", "")
	require.Equal(t, 200, s.post("/api/v1/projects/digital-twins/resume", "", as(adminToken)).StatusCode)
	s.pinged(twinsPing+"/fail?rid="+rid, "")
	s.pinged(twinsPing+"/fail", "")
	p := s.project("digital-twins")
	require.Equal(t, "no", p.Paused, "both runs began before the resume")
	require.Zero(t, p.Running)
	s.pinged(twinsPing+"/fail", "")
	require.NotNil(t, s.project("digital-twins").Incident)
}

// Messages are history: they change neither the count, nor the streak of ignored results, nor a run that goes on.
func TestPingLog(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.fail()
	s.pinged(odiloPing+"/start", "")
	s.pinged(odiloPing+"/log", "\n  copied 3 of 7, token "+giteaToken+"\nmore\n")
	s.pinged(odiloPing+"/log", "")
	p := s.project("odilo")
	require.Equal(t, 1, p.Failures)
	require.Zero(t, p.Ignored)
	require.Equal(t, 1, p.Running)
	require.Equal(t, "log", p.LastRuns[1].Agent)
	require.Equal(t, "copied 3 of 7, token [masked]", p.LastRuns[1].Detail)
	require.Equal(t, store.Ignored, p.LastRuns[1].Outcome)
}

// hangingAfter is an hour for odilo, and nothing for digital-twins.
func hangingAfter(t *testing.T) *station {
	return newStation(t, "  - id: odilo\n", "  - id: odilo\n    hung_after: 1h\n")
}

// later opens a bot whose clock is ahead.
func (s *station) later(d time.Duration) *bot.Bot {
	s.Helper()
	b, err := bot.Open(s.Context(), s.cfg, bot.Operate, bot.Env{
		Getenv: s.getenv, Transport: roundTrip(s.askGitea), Now: func() time.Time { return time.Now().Add(d) },
	})
	require.NoError(s, err)
	s.Cleanup(func() { require.NoError(s, b.Close()) })
	return b
}

// sweepLater sweeps as such a bot.
func (s *station) sweepLater(d time.Duration) status.SweepReport {
	s.Helper()
	rep, err := s.later(d).Sweep(s.Context(), escalate.SweepOptions{Force: true})
	require.NoError(s, err)
	return rep
}

// A run that began and of which nothing more is heard failed.
func TestPingHung(t *testing.T) {
	t.Parallel()
	s := hangingAfter(t)
	s.pinged(odiloPing+"/start", "")
	s.pinged(odiloPing+"/start?rid="+rid, "")
	s.pinged(twinsPing+"/start", "")
	require.Zero(t, s.sweepLater(59*time.Minute).LostRuns)
	require.Equal(t, 2, s.project("odilo").Running)
	require.Equal(t, 2, s.sweepLater(61*time.Minute).LostRuns)
	require.Zero(t, s.sweepLater(62*time.Minute).LostRuns)
	p := s.project("odilo")
	require.Equal(t, 2, p.Failures)
	require.Zero(t, p.Running)
	require.Equal(t, "no result was reported within hung_after: 1h", p.LastRuns[0].Detail)
	require.Equal(t, 124, p.LastRuns[0].ExitCode)
	require.Equal(t, 1, s.project("digital-twins").Running, "it has no hung_after")
	s.sweepLater(720*time.Hour + time.Minute)
	require.Zero(t, s.project("digital-twins").Running, "as old as results that are deleted")
	require.Zero(t, s.project("digital-twins").Failures)
}

// What a run that took too long reports at last is right: its failure has counted already, and a success is one.
func TestPingAfterItHung(t *testing.T) {
	t.Parallel()
	s := hangingAfter(t)
	s.pinged(odiloPing+"/start?rid="+rid, "")
	s.sweepLater(2 * time.Hour)
	s.pinged(odiloPing+"/fail?rid="+rid, "")
	require.Equal(t, 1, s.project("odilo").Failures)
	s.pinged(odiloPing+"?rid="+rid, "")
	require.Zero(t, s.project("odilo").Failures)
}

// So it is if the state cannot be written when the run ends: the answer has promised that the success counts later.
func TestPingSpooledAfterAFailure(t *testing.T) {
	t.Parallel()
	s := hangingAfter(t)
	const second = "6f4a1d5e-0000-4000-8000-000000000002"
	s.pinged(odiloPing+"/start?rid="+rid, "")
	s.sweepLater(2 * time.Hour)
	mend := s.breakState()
	s.pinged(odiloPing+"?rid="+rid, "")
	s.pinged(odiloPing+"/fail?rid="+second, "")
	s.pinged(odiloPing+"?rid="+second, "")
	s.pinged(odiloPing+"?rid="+second, "") // sent again
	for range 2 {
		s.pinged(odiloPing+"/fail", "")
	}
	require.NoFileExists(t, s.path("pause/odilo"), "not three in a row")
	s.pinged(odiloPing, "")
	mend()
	s.sweepLater(2 * time.Hour)
	p := s.project("odilo")
	require.Zero(t, p.Failures)
	require.Equal(t, status.No, p.Paused)
	require.Len(t, p.LastRuns, 7)
}

// A result that waits in the spool ends its run, whenever it is recorded.
func TestPingSpooled(t *testing.T) {
	t.Parallel()
	s := hangingAfter(t)
	s.pinged(odiloPing+"/start", "")
	s.pinged(odiloPing+"/start?rid="+rid, "")
	mend := s.breakState()
	s.pinged(odiloPing, "")
	s.pinged(odiloPing+"/0?rid="+rid, "")
	mend()
	require.Zero(t, s.sweepLater(2*time.Hour).LostRuns)
	p := s.project("odilo")
	require.Zero(t, p.Failures)
	require.Zero(t, p.Running)
	require.Len(t, p.LastRuns, 2)
}

// When a run began is looked up once its result can be stored, so it still does not count after a resume.
func TestPingSpooledFromBeforeAResume(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.pinged(odiloPing+"/start?rid="+rid, "")
	s.pinged(odiloPing+"/start", "")
	require.Equal(t, 200, s.post("/api/v1/projects/odilo/pause", "", as(adminToken)).StatusCode)
	require.Equal(t, 200, s.post("/api/v1/projects/odilo/resume", "", as(adminToken)).StatusCode)
	mend := s.breakState()
	s.pinged(odiloPing+"/fail?rid="+rid, "")
	s.pinged(odiloPing+"/fail", "")
	mend()
	s.sweepLater(0)
	p := s.project("odilo")
	require.Len(t, p.LastRuns, 2)
	require.Zero(t, p.Failures, "both runs began before the resume")
	require.NotZero(t, p.LastRuns[0].Started)
	require.Zero(t, p.Running)
}

// Before the spooled result is recorded, the next run may begin: it is not the one that the result ends.
func TestPingSpooledFromBeforeAStart(t *testing.T) {
	t.Parallel()
	s := hangingAfter(t)
	mend := s.breakState()
	s.pinged(odiloPing+"/fail", "")
	mend()
	require.NoError(t, s.later(time.Minute).BeginReported(t.Context(), store.Run{Project: "odilo", Agent: "project-meta"}))
	s.sweepLater(2 * time.Minute)
	p := s.project("odilo")
	require.Len(t, p.LastRuns, 1)
	require.Zero(t, p.LastRuns[0].Started)
	require.Equal(t, 1, p.Running)
	require.Equal(t, 1, s.sweepLater(2*time.Hour).LostRuns, "the run hung")
}

func TestPingTooFast(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	now := time.Now()
	s.srv.now = func() time.Time { return now }
	for range 100 {
		require.Equal(t, 400, s.get(odiloPing+"?rid=7").StatusCode)
	}
	a := s.post(odiloPing+"/fail", strings.Repeat("x", maxOutput+1))
	require.Equal(t, http.StatusTooManyRequests, a.StatusCode, "and the output is not read")
	require.Contains(t, a.body, "send this one again later, with a rid")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Equal(t, 429, s.post("/api/v1/results", `{"project":"odilo"}`, as(odiloToken)).StatusCode, "it is one budget")
	require.Equal(t, 404, s.get("/ping/wrong/odilo").StatusCode)
	require.Equal(t, 200, s.get(twinsPing).StatusCode)
}

func TestPingTooManyStarts(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for n := range store.MaxReportedRuns {
		require.NoError(t, s.bot.BeginReported(t.Context(), store.Run{Project: "odilo", Agent: defaultAgent, RunID: strconv.Itoa(n)}))
	}
	a := s.get(odiloPing + "/start")
	require.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	require.Contains(t, a.body, "100 runs of the project have begun and no result of them was reported: report how each run ends, with the rid of its start; hung_after makes failures of")
	s.pinged(odiloPing, "")
}

func TestPingMetrics(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.Equal(t, "0", d.series()[`adfbot_pings_total{result="accepted",signal="start"}`], "a rate needs a series before its first event")
	d.get("/ping/wrong-key/odilo/start")
	d.get("/ping/wrong-key/odilo/7")
	d.get("/ping/wrong-key/odilo/stop")
	s := d.series()
	require.Equal(t, "1", s[`adfbot_pings_total{result="refused",signal="start"}`])
	require.Equal(t, "2", s[`adfbot_pings_total{result="refused",signal="exit_code"}`])
}

// runitor (https://github.com/bdd/runitor) is a client of the ping API that people use.
func TestRunitor(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("runitor")
	if err != nil {
		t.Skip("there is no runitor in $PATH: go install bdd.fi/x/runitor/cmd/runitor@latest")
	}
	s := newStation(t)
	run := func(arg ...string) error {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"-api-url", s.http.URL + "/ping", "-ping-key", odiloToken, "-slug", "odilo"}, arg...)...)
		out, err := cmd.CombinedOutput()
		require.NotContains(t, string(out), "Ping", "it complains of no answer")
		return err
	}
	require.NoError(t, run("--", "true"))
	require.Error(t, run("--", "sh", "-c", "echo no route to host; exit 7"))
	require.Error(t, run("-no-run-id", "-on-nonzero-exit", "fail", "--", "sh", "-c", "exit 8"))
	require.Error(t, run("-on-exec-fail", "log", "-no-start-ping", "--", filepath.Join(t.TempDir(), "none")))
	p := s.project("odilo")
	require.Equal(t, 2, p.Failures)
	require.Zero(t, p.Running)
	require.Len(t, p.LastRuns, 4)
	require.Equal(t, "log", p.LastRuns[0].Agent)
	require.Equal(t, 1, p.LastRuns[1].ExitCode)
	require.Equal(t, 7, p.LastRuns[2].ExitCode)
	require.Equal(t, store.Success, p.LastRuns[3].Outcome)
	detail, err := s.bot.Detail(t.Context(), "odilo", status.Pages{})
	require.NoError(t, err)
	require.NotZero(t, detail.Runs[2].Started)
	require.Len(t, detail.Runs[2].RunID, len(rid))
	require.True(t, strings.HasPrefix(detail.Runs[2].Output, "no route to host\n"), detail.Runs[2].Output)
}
