package web

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/client"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
)

// socket serves the station at a Unix socket, where every peer is the given user.
func (s *station) socket(uid uint32) (path string) {
	s.Helper()
	return s.socketOf(peer{uid, true})
}

func (s *station) socketOf(who peer) (path string) {
	s.Helper()
	path = socketPath(s.TB)
	l, err := net.Listen("unix", path)
	require.NoError(s, err)
	h := &http.Server{Handler: s.srv.handler, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, who)
	}}
	go func() { _ = h.Serve(l) }()
	s.Cleanup(func() { _ = h.Close() })
	return path
}

func clientOf(t testing.TB, socket string) (c *client.Client, spool string) {
	spool = filepath.Join(t.TempDir(), "spool")
	return client.New(socket, nil, []string{spool}, func() string { return "" }, time.Now), spool
}

func resultOf(project, run string) store.Result {
	return store.Result{Project: project, Agent: "project-meta", RunID: run, Outcome: store.Failure, ExitCode: 3,
		Started: time.Now().Add(-time.Second), Finished: time.Now(), Host: "host-a", Output: "no space left", Signal: "SIGTERM", Detail: "timed out"}
}

func TestSocketResult(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4711)
	c, spool := clientOf(t, socket)
	sent := resultOf("odilo", "one")
	d := c.Report(t.Context(), sent)
	require.Empty(t, d.Messages)
	require.Equal(t, &status.ResultView{Project: "odilo", Agent: "project-meta", Outcome: "failure", Class: "unknown", Counted: true, Failures: 1, Threshold: 3, Paused: "no", Problems: []string{}}, d.Result)
	run := s.project("odilo").LastRuns[0]
	require.Equal(t, status.Run{Agent: "project-meta", Outcome: "failure", Class: "unknown", ExitCode: 3, Signal: "SIGTERM", Detail: "timed out", Counted: true,
		Started: sent.Started.UTC().Truncate(time.Millisecond), Finished: sent.Finished.UTC().Truncate(time.Millisecond), Host: "host-a", LastLine: "no space left"}, run)
	detail, err := s.bot.Detail(t.Context(), "odilo", status.Pages{})
	require.NoError(t, err)
	require.Equal(t, "one", detail.Runs[0].RunID)
	require.Contains(t, detail.Runs[0].Output, "no space left")
	require.NoDirExists(t, spool, "nothing was kept")
	d = c.Report(t.Context(), sent)
	require.True(t, d.Result.Known)
}

// A container goes on with the pause directory that it started with, whatever takes its place on the machine.
func TestSocketOtherPauseDirectory(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	here := hostlocal.Place(s.cfg.PauseDir)
	if here == "" {
		t.Skip("the file system of temporary files does not tell")
	}
	socket := s.socket(4711)
	var place string
	c := client.New(socket, nil, []string{t.TempDir()}, func() string { return place }, time.Now)
	for _, place = range []string{"", here, "1 2", "another-boot 1 2"} {
		_, err := c.Paused(t.Context(), "odilo")
		require.NoError(t, err, place)
	}
	place = here + "0"
	_, err := c.Paused(t.Context(), "odilo")
	require.ErrorIs(t, err, status.ErrOtherPauseDir)
	require.ErrorContains(t, err, "it is not known whether odilo is paused, do not run it: the daemon goes on with another pause directory than the one that is seen here")
	for n, run := range []string{"one", "two", "three"} {
		d := c.Report(t.Context(), resultOf("odilo", run))
		require.Equal(t, n+1, d.Result.Failures)
		require.Equal(t, n == 2, strings.Contains(strings.Join(d.Messages, "\n"), "the pause flag is not where it is looked for: the daemon goes on with another"))
	}
	require.Equal(t, http.StatusLocked, s.get("/api/v1/projects/odilo/gate", header(status.PlaceHeader, place)).StatusCode, "only who is on this machine can tell")
}

func TestSocketStranger(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4712)
	c, spool := clientOf(t, socket)
	d := c.Report(t.Context(), resultOf("odilo", "one"))
	require.Nil(t, d.Result)
	require.Contains(t, d.Messages[0], "projects[].users")
	require.Contains(t, d.Messages[1], "is kept in "+spool, "the configuration may be mended")
	for _, path := range []string{"/api/v1/projects", "/api/v1/incidents", "/api/v1/projects/odilo/gate", "/api/v1/projects/odilo", "/"} {
		res, err := over(socket).Get("http://x" + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{403, 404}, res.StatusCode, path)
	}
	require.Empty(t, s.project("odilo").LastRuns)

	require.NoError(t, s.srv.Replace(s.config(`["4711"]`, `["4711", "4712"]`), s.bot))
	d = c.Report(t.Context(), resultOf("odilo", "two"))
	require.Equal(t, 2, d.Result.Failures)
}

func TestSocketProjectUser(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	socket := s.socket(4711)
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
	c, _ := clientOf(t, socket)
	d := c.Report(t.Context(), resultOf("quiet", "one"))
	require.Nil(t, d.Result)
	require.Contains(t, d.Messages[0], "may report for odilo")
}

// In a fleet, what a user has kept while the daemon was stopped does not count after what other hosts have reported meanwhile.
func TestSocketResultOfBefore(t *testing.T) {
	t.Parallel()
	s := newStation(t, "state: DIR/state/adfbot.db", "state: "+testpg.Database(t)+"\nlocal_dir: DIR/local")
	s.result(`{"project":"odilo","exit_code":0}`)
	c, _ := clientOf(t, s.socket(4711))
	for _, run := range []string{"one", "two", "three"} {
		r := resultOf("odilo", run)
		r.Started, r.Finished = r.Started.Add(-time.Hour), r.Finished.Add(-time.Hour)
		d := c.Report(t.Context(), r)
		require.Empty(t, d.Messages)
		require.True(t, d.Result.Counted)
		require.Zero(t, d.Result.Failures, "a success came after it")
	}
	require.Equal(t, 1, c.Report(t.Context(), resultOf("odilo", "four")).Result.Failures)
}

// Neither a token nor projects[].users gives a right at the socket that its user has not.
func TestSocketAsWhom(t *testing.T) {
	t.Parallel()
	for edit, tcp := range map[string]string{"  token_file: DIR/api-token\n": ", or the token of http.token_file over TCP", "": ""} {
		s := newStation(t, "  token_file: DIR/api-token\n", edit)
		for uid, name := range map[uint32]string{4711: "and nothing else", 4712: "uid 4712 may not do that"} {
			for _, path := range []string{"/api/v1/hosts", "/"} {
				r, err := http.NewRequest("GET", "http://x"+path, nil)
				require.NoError(t, err)
				as(adminToken)(r)
				res, err := over(s.socket(uid)).Do(r)
				require.NoError(t, err)
				says := s.problem(s.read(r, res), 403)
				require.Contains(t, says, name)
				require.Regexp(t, "use the socket as the bot's user or root"+tcp+"$", says)
				require.NotContains(t, says, "projects[].users")
			}
		}
	}
}

func TestSocketRootAndOwnUser(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	for _, uid := range []uint32{0, uint32(os.Geteuid())} {
		socket := s.socket(uid)
		c, _ := clientOf(t, socket)
		require.NotNil(t, c.Report(t.Context(), resultOf("quiet", "of "+socket)).Result)
		res, err := over(socket).Post("http://x/api/v1/projects/quiet/pause", "application/json", strings.NewReader(`{}`))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode)
	}
}

func TestPeerContext(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	accepted, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = accepted.Close() }()
	require.Equal(t, peer{uint32(os.Geteuid()), true}, peerContext(t.Context(), accepted).Value(peerKey{}))
	one, two := net.Pipe()
	defer func() { _, _ = one.Close(), two.Close() }()
	require.Equal(t, peer{}, peerContext(t.Context(), one).Value(peerKey{}))
}

func TestSocketUnknownPeer(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	r, err := http.NewRequest("GET", "http://x/api/v1/projects", nil)
	require.NoError(t, err)
	as(adminToken)(r)
	res, err := over(s.socketOf(peer{})).Do(r)
	require.NoError(t, err)
	require.Contains(t, s.problem(s.read(r, res), 403), "did not report whose")
}

func TestKeptResultsNeverAccepted(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4711)
	c, spool := clientOf(t, socket)
	s.result(`{"project":"odilo","exit_code":0,"run_id":"one"}`)
	require.NoError(t, os.MkdirAll(spool, 0o700))
	for _, r := range []store.Result{resultOf("odilo", "one"), {Project: "odilo", Agent: "project-meta", RunID: "two", Outcome: store.Failure, ExitCode: 300}} {
		_, err := hostlocal.Spool(spool).Add(r)
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(filepath.Join(spool, "broken.json"), []byte("{"), 0o600))
	d := c.Report(t.Context(), resultOf("odilo", "three"))
	require.NotNil(t, d.Result)
	messages := strings.Join(d.Messages, "\n")
	require.Contains(t, messages, "contradicts the recorded one")
	require.Contains(t, messages, "is set aside")
	require.Contains(t, messages, "broken.json cannot be read")
	refused, err := filepath.Glob(filepath.Join(spool, "*.refused"))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	d = c.Report(t.Context(), resultOf("odilo", "four"))
	require.Len(t, d.Messages, 1, "what was set aside is said once: %v", d.Messages)
}

func TestContradictingResultNotKept(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4711)
	c, spool := clientOf(t, socket)
	r := resultOf("odilo", "one")
	require.NotNil(t, c.Report(t.Context(), r).Result)
	r.Outcome, r.ExitCode, r.Signal = store.Success, 0, ""
	d := c.Report(t.Context(), r)
	require.Nil(t, d.Result)
	require.Contains(t, d.Messages[0], "not recorded")
	require.Contains(t, d.Messages[0], "recorded as failure")
	require.NoDirExists(t, spool)
}

func TestSpooledResultNotKept(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4711)
	c, spool := clientOf(t, socket)
	s.fail()
	mend := s.breakState()
	d := c.Report(t.Context(), resultOf("odilo", "one"))
	require.Nil(t, d.Result)
	require.Contains(t, d.Messages[0], "do not send it again")
	require.NoDirExists(t, spool)
	mend()
	_, err := s.bot.RecordSpooled(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, s.project("odilo").Failures)
}

func TestKeptResultFromTheFuture(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	socket := s.socket(4711)
	c, spool := clientOf(t, socket)
	tomorrow := resultOf("odilo", "one")
	tomorrow.Started, tomorrow.Finished = tomorrow.Started.Add(24*time.Hour), tomorrow.Finished.Add(24*time.Hour)
	_, err := hostlocal.Spool(spool).Add(tomorrow)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(spool, 0o700))
	d := c.Report(t.Context(), resultOf("odilo", "two"))
	require.Equal(t, []string{"sent 1 kept result"}, d.Messages)
	require.Equal(t, 2, d.Result.Failures)
	left, err := os.ReadDir(spool)
	require.NoError(t, err)
	require.Empty(t, left, "nor is it set aside")
}
