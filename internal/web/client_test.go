package web

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// sockets is a station at whose socket everybody is the given user.
func (s *station) sockets(uid uint32) (path string, end func()) {
	s.Helper()
	path = socketPath(s.TB)
	l, err := net.Listen("unix", path)
	require.NoError(s, err)
	h := &http.Server{Handler: s.srv.SocketHandler(), ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, uid)
	}}
	go func() { _ = h.Serve(l) }()
	end = func() { _ = h.Close() }
	s.Cleanup(end)
	return path, end
}

func courier(t testing.TB, socket string) (c *Client, home string) {
	home = t.TempDir()
	c = NewClient(socket, func(name string) string { return map[string]string{"HOME": home}[name] }, time.Now)
	c.spools = c.spools[:1] // not the one in /var/tmp
	return c, filepath.Join(home, ".local/state/adfbot/spool")
}

func resultOf(project, run string) store.Result {
	return store.Result{Project: project, Agent: "project-meta", RunID: run, Outcome: store.Failure, ExitCode: 3,
		Started: time.Now().Add(-time.Second), Finished: time.Now(), Host: "host-a", Output: "no space left", Signal: "SIGTERM", Detail: "timed out"}
}

func TestAResultComesThroughTheSocketWhole(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	sent := resultOf("odilo", "one")
	d := c.Deliver(t.Context(), sent)
	require.Empty(t, d.Said)
	require.Equal(t, &bot.ResultView{Project: "odilo", Agent: "project-meta", Outcome: "failure", Counted: true, Failures: 1, Threshold: 3, Problems: []string{}}, d.View)
	run := s.project("odilo").LastRuns[0]
	require.Equal(t, bot.RunStatus{Agent: "project-meta", Outcome: "failure", ExitCode: 3, Signal: "SIGTERM", Detail: "timed out", Counted: true,
		Started: sent.Started.UTC().Truncate(time.Millisecond), Finished: sent.Finished.UTC().Truncate(time.Millisecond), Host: "host-a"}, run)
	require.NoDirExists(t, spool, "nothing waits, so nothing is made")
	d = c.Deliver(t.Context(), sent)
	require.True(t, d.View.Known)
}

func TestWithoutAnAnswerTheResultIsKeptAndSentLater(t *testing.T) {
	s := newStation(t)
	socket, end := s.sockets(4711)
	end()
	c, spool := courier(t, socket)
	for _, run := range []string{"one", "two"} {
		d := c.Deliver(t.Context(), resultOf("odilo", run))
		require.Nil(t, d.View)
		require.Contains(t, strings.Join(d.Said, "\n"), "is `adfbot serve` running?")
		require.Contains(t, strings.Join(d.Said, "\n"), "is kept in "+spool)
	}
	info, err := os.Stat(spool)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	socket, _ = s.sockets(4711)
	c2, _ := courier(t, socket)
	c2.spools = c.spools
	d := c2.Deliver(t.Context(), resultOf("odilo", "three"))
	require.Equal(t, []string{"2 kept results were sent"}, d.Said)
	require.Equal(t, 3, d.View.Failures)
	require.True(t, d.View.Tripped)
	left, err := os.ReadDir(spool)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAResultThatWaitedWhileTheClockWasSetBackIsTaken(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	tomorrow := resultOf("odilo", "one")
	tomorrow.Started, tomorrow.Finished = tomorrow.Started.Add(24*time.Hour), tomorrow.Finished.Add(24*time.Hour)
	_, err := c.keep(tomorrow)
	require.NoError(t, err)
	d := c.Deliver(t.Context(), resultOf("odilo", "two"))
	require.Equal(t, []string{"1 kept results were sent"}, d.Said)
	require.Equal(t, 2, d.View.Failures)
	left, err := os.ReadDir(spool)
	require.NoError(t, err)
	require.Empty(t, left, "nor is it set aside")
}

func TestWhatAKilledCommandLeftHalfKeptGoesWithALaterResult(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	require.NoError(t, os.MkdirAll(spool, 0o700))
	half, writing := filepath.Join(spool, "half.tmp"), filepath.Join(spool, "writing.tmp")
	for _, file := range []string{half, writing} {
		require.NoError(t, os.WriteFile(file, []byte(`{"proj`), 0o600))
	}
	hourAgo := time.Now().Add(-61 * time.Minute)
	require.NoError(t, os.Chtimes(half, hourAgo, hourAgo))
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Empty(t, d.Said)
	require.NoFileExists(t, half)
	require.FileExists(t, writing, "somebody may be at it")
}

func TestAStrangerAtTheSocketMayNothing(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4712)
	c, spool := courier(t, socket)
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Nil(t, d.View)
	require.Contains(t, d.Said[0], "projects[].users")
	require.Contains(t, d.Said[1], "is kept in "+spool, "the configuration may be mended")
	for _, path := range []string{"/api/v1/projects", "/api/v1/incidents", "/api/v1/projects/odilo/gate", "/api/v1/projects/odilo", "/"} {
		res, err := over(socket).Get("http://x" + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{403, 404}, res.StatusCode, path)
	}
	require.Empty(t, s.project("odilo").LastRuns)

	require.NoError(t, s.srv.Replace(s.config(`["4711"]`, `["4711", "4712"]`), s.bot))
	d = c.Deliver(t.Context(), resultOf("odilo", "two"))
	require.Equal(t, 2, d.View.Failures)
}

func TestAProjectsUserMaySeeAndReportForItsProjectAlone(t *testing.T) {
	s := newStation(t).described()
	socket, _ := s.sockets(4711)
	get := func(path string) answered {
		r, err := http.NewRequest("GET", "http://x"+path, nil)
		require.NoError(t, err)
		res, err := over(socket).Do(r)
		require.NoError(t, err)
		return s.read(r, res)
	}
	require.Equal(t, 200, get("/api/v1/projects/odilo").StatusCode)
	require.Equal(t, 200, get("/api/v1/projects/odilo/gate").StatusCode)
	for _, path := range []string{"/api/v1/projects/quiet", "/api/v1/projects/quiet/gate", "/api/v1/incidents?project=quiet"} {
		require.Contains(t, s.problem(get(path), 403), "4711")
	}
	c, _ := courier(t, socket)
	d := c.Deliver(t.Context(), resultOf("quiet", "one"))
	require.Nil(t, d.View)
	require.Contains(t, d.Said[0], "may report for odilo")
}

func TestRootAndTheDaemonsOwnUserMayDoEverything(t *testing.T) {
	s := newStation(t)
	for _, uid := range []uint32{0, uint32(os.Geteuid())} {
		socket, _ := s.sockets(uid)
		c, _ := courier(t, socket)
		require.NotNil(t, c.Deliver(t.Context(), resultOf("quiet", "of "+socket)).View)
		res, err := over(socket).Post("http://x/api/v1/projects/quiet/pause", "application/json", strings.NewReader(`{}`))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode)
	}
}

func TestTheKernelTellsWhoIsAtTheSocket(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	peer, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = peer.Close() }()
	require.Equal(t, uint32(os.Geteuid()), PeerContext(t.Context(), peer).Value(peerKey{}))
	one, two := net.Pipe()
	defer func() { _, _ = one.Close(), two.Close() }()
	require.Nil(t, PeerContext(t.Context(), one).Value(peerKey{}))
}

func TestAConnectionWhoseUserIsNotKnownMayNothing(t *testing.T) {
	s := newStation(t)
	s.http.Config.Handler = s.srv.SocketHandler()
	require.Contains(t, s.problem(s.get("/api/v1/projects", as(adminToken)), 403), "did not tell whose")
}

func TestAKeptResultThatContradictsIsDroppedAndOneThatIsNeverTakenIsSetAside(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	s.result(`{"project":"odilo","exit_code":0,"run_id":"one"}`)
	require.NoError(t, os.MkdirAll(spool, 0o700))
	for _, r := range []store.Result{resultOf("odilo", "one"), {Project: "odilo", Agent: "project-meta", RunID: "two", Outcome: store.Failure, ExitCode: 300}} {
		_, err := hostlocal.Spool(spool).Add(r)
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(filepath.Join(spool, "broken.json"), []byte("{"), 0o600))
	d := c.Deliver(t.Context(), resultOf("odilo", "three"))
	require.NotNil(t, d.View)
	said := strings.Join(d.Said, "\n")
	require.Contains(t, said, "contradicts the recorded one")
	require.Contains(t, said, "is set aside")
	require.Contains(t, said, "broken.json can't be read")
	refused, err := filepath.Glob(filepath.Join(spool, "*.refused"))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	d = c.Deliver(t.Context(), resultOf("odilo", "four"))
	require.Len(t, d.Said, 1, "what was set aside is said once: %v", d.Said)
}

func TestARefusalThatWillStaySaysSoAndKeepsNothing(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	r := resultOf("odilo", "one")
	require.NotNil(t, c.Deliver(t.Context(), r).View)
	r.Outcome, r.ExitCode, r.Signal = store.Success, 0, ""
	d := c.Deliver(t.Context(), r)
	require.Nil(t, d.View)
	require.Contains(t, d.Said[0], "not recorded")
	require.Contains(t, d.Said[0], "recorded as failure")
	require.NoDirExists(t, spool)
}

func TestWhatTheDaemonSpoolsTheClientDoesNotKeep(t *testing.T) {
	s := newStation(t)
	socket, _ := s.sockets(4711)
	c, spool := courier(t, socket)
	s.fail()
	mend := s.breakState()
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Nil(t, d.View)
	require.Contains(t, d.Said[0], "do not send it again")
	require.NoDirExists(t, spool)
	mend()
	_, err := s.bot.Intake(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, s.project("odilo").Failures)
}

func TestWhatAnswersAndIsNoAdfbotIsNotBelieved(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })}
	go func() { _ = h.Serve(l) }()
	defer func() { _ = h.Close() }()
	c, spool := courier(t, path)
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Nil(t, d.View)
	require.Contains(t, d.Said[0], "is no adfbot")
	require.Contains(t, d.Said[1], spool)
}

func TestAResultThatCantBeKeptEitherIsCalledLost(t *testing.T) {
	c, _ := courier(t, "/nonexistent/socket")
	c.spools = []string{"/proc/adfbot/spool"}
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Contains(t, d.Said[1], "is LOST unless you record it: adfbot record --project odilo --agent project-meta --run-id one --failure")
}

func TestAFolderThatOthersMayWriteIsNotUsed(t *testing.T) {
	c, spool := courier(t, "/nonexistent/socket")
	require.NoError(t, os.MkdirAll(spool, 0o700))
	require.NoError(t, os.Chmod(spool, 0o777))
	d := c.Deliver(t.Context(), resultOf("odilo", "one"))
	require.Contains(t, d.Said[1], "LOST")
	require.Contains(t, d.Said[1], "mode 0700")
}

func TestWhereResultsWait(t *testing.T) {
	env := func(kv ...string) func(string) string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return func(name string) string { return m[name] }
	}
	require.Equal(t, "/x/state/adfbot/spool", spoolDirs(env("XDG_STATE_HOME", "/x/state", "HOME", "/home/a"))[0])
	require.Equal(t, "/home/a/.local/state/adfbot/spool", spoolDirs(env("XDG_STATE_HOME", "relative", "HOME", "/home/a"))[0])
	require.Contains(t, spoolDirs(env("HOME", "/home/a"))[1], "/var/tmp/adfbot-spool-")
}

func TestTheClientsBodyHasTheFieldsThatTheServerKnows(t *testing.T) {
	b, err := json.Marshal(resultJSON{Signal: "x", Detail: "x", Started: &time.Time{}, Finished: &time.Time{}, Host: "x", Output: "x"})
	require.NoError(t, err)
	o, err := parseObject(b, resultFields...)
	require.NoError(t, err)
	require.Len(t, o, len(resultFields))
}
