package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

// daemon answers each run as set in codes and bodies, and any other with 200.
type daemon struct {
	socket string
	codes  map[string]int    // by run id
	bodies map[string]string // by run id
	busy   int               // so many results are put off for a moment
	gate   http.HandlerFunc  // answers all else; nil: with 400

	mu      sync.Mutex
	runs    []string // reported so far
	outputs []string // of these runs
}

func TestMain(m *testing.M) { testhost.Main(m, nil) }

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "adfbot-") // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &daemon{socket: filepath.Join(dir, "s"), codes: map[string]int{}, bodies: map[string]string{}}
	l, err := net.Listen("unix", d.socket)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(d)
	require.NoError(t, server.Listener.Close())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return d
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && d.gate != nil {
		d.gate(w, r)
		return
	}
	var res struct {
		Project string    `json:"project"`
		RunID   string    `json:"run_id"`
		Started time.Time `json:"started_at"`
		Output  string    `json:"output"`
	}
	if err := json.NewDecoder(r.Body).Decode(&res); err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/results" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy > 0 {
		d.busy--
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	d.runs, d.outputs = append(d.runs, res.RunID), append(d.outputs, res.Output)
	body, ok := d.bodies[res.RunID]
	if !ok {
		body = fmt.Sprintf(`{"project":%q}`, res.Project)
	}
	if code := d.codes[res.RunID]; code != 0 {
		w.WriteHeader(code)
	}
	_, _ = w.Write([]byte(body))
}

func (d *daemon) refuse(run string, code int, detail string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.codes[run], d.bodies[run] = code, fmt.Sprintf(`{"title":"No","detail":%q}`, detail)
}

func (d *daemon) accept(run string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.codes, run)
	delete(d.bodies, run)
}

func nowhere() string { return "" }

func newClient(t *testing.T, socket string) (c *Client, spool string) {
	spool = filepath.Join(t.TempDir(), "spool")
	return New(socket, nil, []string{spool}, nowhere, time.Now), spool
}

func result(project, run string) store.Result {
	return store.Result{Project: project, Agent: "project-meta", RunID: run, Outcome: store.Failure, ExitCode: 1, Finished: time.Now()}
}

// keep stores a result as an earlier command did.
func keep(t *testing.T, c *Client, r store.Result) {
	t.Helper()
	_, err := c.spools.Add(r)
	require.NoError(t, err)
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	return list
}

func TestReport(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	require.Equal(t, status.Reported{Result: &status.ResultView{Project: "odilo"}}, c.Report(t.Context(), result("odilo", "one")))
	require.NoDirExists(t, spool, "nothing was kept")
}

func TestAnswers(t *testing.T) {
	const kept = "the result is kept in "
	for name, a := range map[string]struct {
		code int
		body string
		says string
		kept bool
	}{
		"refused forever":  {409, `{"title":"Known run","detail":"recorded as failure"}`, "the result is not recorded: the daemon refused it: Known run: recorded as failure", false},
		"refused for now":  {403, `{"title":"Not allowed","detail":"see projects[].users"}`, "the daemon refused it: Not allowed: see projects[].users", true},
		"broken":           {502, "<html>", "the daemon refused it: 502 Bad Gateway: ", true},
		"spooled":          {202, `{"spooled":true,"why":"it is kept; do not send it again"}`, "it is kept; do not send it again", false},
		"accepted by what": {202, `{}`, "the result is not recorded: the daemon refused it: 202 Accepted: ", false},
		"no adfbot":        {200, "hello", "is not adfbot", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t)
			d.codes["one"], d.bodies["one"] = a.code, a.body
			c, spool := newClient(t, d.socket)
			r := c.Report(t.Context(), result("odilo", "one"))
			require.Nil(t, r.Result)
			require.Contains(t, r.Messages[0], a.says)
			if a.kept {
				require.Contains(t, r.Messages[1], kept+spool)
				require.Len(t, files(t, spool), 1)
			} else {
				require.Len(t, r.Messages, 1)
				require.NoDirExists(t, spool)
			}
		})
	}
}

// Whoever is told to end does not wait for the daemon. The result is kept.
func TestToldToEnd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	ctx, told := context.WithCancel(t.Context())
	go func() {
		if asked, err := l.Accept(); err == nil {
			told()
			_, _ = io.Copy(io.Discard, asked)
		}
	}()
	c, spool := newClient(t, socket)
	r := c.Report(ctx, result("odilo", "one"))
	require.Nil(t, r.Result)
	require.Equal(t, "told to end before the daemon at "+socket+" had answered", r.Messages[0])
	require.Contains(t, r.Messages[1], "the result is kept in "+spool)
	require.Len(t, files(t, spool), 1)
}

// A command that runs nothing does not wait long for a daemon that hangs.
func TestSendKeptToDaemonThatHangs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket) // it accepts nothing
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	c, spool := newClient(t, socket)
	keep(t, c, result("odilo", "one"))
	c.briefly = 50 * time.Millisecond
	begin := time.Now()
	require.Empty(t, c.SendKept(t.Context()))
	require.Less(t, time.Since(begin), keptTimeout/2)
	require.Len(t, files(t, spool), 1)
}

func TestKeptAndSentLater(t *testing.T) {
	c, spool := newClient(t, "/nonexistent/socket")
	for _, run := range []string{"one", "two"} {
		kept := result("odilo", run)
		kept.Output = "output of " + run
		r := c.Report(t.Context(), kept)
		require.Nil(t, r.Result)
		require.Contains(t, r.Messages[0], "is `adfbot serve` running? It opens a new http.socket when it is reloaded")
		require.Contains(t, r.Messages[1], "is kept in "+spool)
	}
	info, err := os.Stat(spool)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	d := newDaemon(t)
	c = New(d.socket, nil, []string{spool}, nowhere, time.Now)
	r := c.Report(t.Context(), result("odilo", "three"))
	require.Equal(t, []string{"sent 2 kept results"}, r.Messages)
	require.NotNil(t, r.Result)
	require.Equal(t, []string{"one", "two", "three"}, d.runs)
	require.Equal(t, []string{"output of one", "output of two", ""}, d.outputs)
	require.Empty(t, files(t, spool))
}

func TestKeptResultsOfRefusedProject(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	for n, r := range []store.Result{result("odilo", "one"), result("odilo", "two"), result("atlas", "three")} {
		r.Finished = r.Finished.Add(time.Duration(n-10) * time.Second)
		keep(t, c, r)
	}
	d.refuse("one", 403, "not odilo")
	r := c.Report(t.Context(), result("atlas", "four"))
	require.Equal(t, []string{"sent 1 kept result"}, r.Messages)
	require.Equal(t, []string{"one", "three", "four"}, d.runs, "odilo's second result waits behind its first")
	require.Len(t, files(t, spool), 2)

	d.accept("one")
	r = c.Report(t.Context(), result("atlas", "five"))
	require.Equal(t, []string{"sent 2 kept results"}, r.Messages)
}

// A kept result that trips is said as a new one is, unless the project was resumed since it was first sent.
func TestKeptResultTrips(t *testing.T) {
	d := newDaemon(t)
	c, _ := newClient(t, d.socket)
	for _, project := range []string{"odilo", "atlas"} {
		keep(t, c, result(project, project))
		paused := map[string]string{"odilo": status.Yes, "atlas": status.No}[project]
		d.bodies[project] = fmt.Sprintf(`{"project":%q,"agent":"project-meta","failures":3,"tripped":true,"is_paused":%q}`, project, paused)
	}
	r := c.Report(t.Context(), result("twins", "one"))
	require.Equal(t, []string{"sent 2 kept results", "project-meta failed 3 times in a row on odilo: the project is paused"}, r.Messages)
}

func TestKeptResultsNeverAccepted(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	keep(t, c, result("odilo", "contradicts"))
	keep(t, c, result("odilo", "impossible"))
	require.NoError(t, os.WriteFile(filepath.Join(spool, "broken.json"), []byte("{"), 0o600))
	d.refuse("contradicts", 409, "recorded as success")
	d.refuse("impossible", 422, "exit_code 300")
	r := c.Report(t.Context(), result("odilo", "new"))
	require.NotNil(t, r.Result)
	require.Len(t, r.Messages, 3)
	require.Contains(t, r.Messages[0], "broken.json cannot be read")
	require.Contains(t, r.Messages[1], "contradicts the recorded one and is dropped")
	require.Contains(t, r.Messages[2], "is set aside")
	refused, err := filepath.Glob(filepath.Join(spool, "*.refused"))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.Len(t, c.Report(t.Context(), result("odilo", "newer")).Messages, 1, "what was set aside is said once")
}

// The daemon asks this user to report less often, whatever the project.
func TestTooManyResults(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	for n := range 3 {
		_, err := hostlocal.Spool(spool).Add(result(fmt.Sprint("project-", n), fmt.Sprint("kept-", n)))
		require.NoError(t, err)
		d.refuse(fmt.Sprint("kept-", n), http.StatusTooManyRequests, "later")
	}
	d.refuse("new", http.StatusTooManyRequests, "later")
	r := c.Report(t.Context(), result("odilo", "new"))
	require.Nil(t, r.Result)
	require.Contains(t, strings.Join(r.Messages, "\n"), "the result is kept in")
	require.Len(t, d.runs, 2, "one of the kept ones and the new one were tried")
	list, err := hostlocal.Spool(spool).List()
	require.NoError(t, err)
	require.Len(t, list, 4)
}

// A whole fleet of one user may end its runs at the same time. What waits is kept meanwhile: this process may end, and the next one
// must not overtake it.
func TestWaitsWhileTheDaemonIsBusy(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	d.busy, d.bodies["one"] = 2, `{"project":"odilo","known":true}` // another command was faster
	require.Equal(t, status.Reported{Result: &status.ResultView{Project: "odilo"}}, c.Report(t.Context(), result("odilo", "one")))
	require.Equal(t, []string{"one"}, d.runs)
	require.Empty(t, files(t, spool))

	d.busy = 2
	d.refuse("two", http.StatusConflict, "recorded as success")
	require.Contains(t, c.Report(t.Context(), result("odilo", "two")).Messages[0], "recorded as success")
	require.Empty(t, files(t, spool), "what will never be accepted is not kept")

	d.busy = 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(spool) // which was created for a refused result
	require.NoError(t, err)
	defer stop()
	go func() {
		_ = changes.Await(func() string {
			if len(files(t, spool)) == 0 {
				return "nothing is kept"
			}
			return ""
		})
		cancel()
	}()
	r := c.Report(ctx, result("odilo", "three"))
	require.Nil(t, r.Result)
	require.Contains(t, r.Messages[0], "429")
	require.Contains(t, r.Messages[1], "the result is kept in "+files(t, spool)[0])
	d.mu.Lock()
	d.busy = 0
	d.mu.Unlock()
	require.Equal(t, []string{"sent 1 kept result"}, c.Report(t.Context(), result("odilo", "four")).Messages)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Jobs of one user end at once after an outage, and each of them sends what is kept.
func TestAnotherCommandHasSentAKeptResult(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	keep(t, c, result("odilo", "one"))
	keep(t, c, result("odilo", "two"))
	kept, send := files(t, spool), c.http.Transport.RoundTrip
	c.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		_ = os.Remove(kept[1])
		return send(r)
	})
	require.Equal(t, status.Reported{Result: &status.ResultView{Project: "odilo"}, Messages: []string{"sent 1 kept result"}},
		c.Report(t.Context(), result("odilo", "three")))
	require.Equal(t, []string{"one", "three"}, d.runs)
	require.Empty(t, files(t, spool))
}

// Another command that pauses the project renames the result for which it does, and sends nothing.
func TestAnotherCommandHasRenamedAKeptResult(t *testing.T) {
	d := newDaemon(t)
	c, _ := newClient(t, d.socket)
	keep(t, c, result("odilo", "one"))
	keep(t, c, result("odilo", "two"))
	kept, send := c.spools.List(), c.http.Transport.RoundTrip
	c.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := kept[1].MarkPaused(time.Now())
		require.NoError(t, err)
		return send(r)
	})
	require.Nil(t, c.Report(t.Context(), result("odilo", "three")).Result, "it must not overtake the second one")
	require.Equal(t, []string{"one"}, d.runs)
	c.http.Transport = roundTripper(send)
	require.NotNil(t, c.Report(t.Context(), result("odilo", "four")).Result)
	require.Equal(t, []string{"one", "two", "three", "four"}, d.runs)
}

// The daemon accepts results again between the kept one that it puts off and the new one, which must not overtake that.
func TestNewResultStaysBehindKeptOnes(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	keep(t, c, result("odilo", "kept"))
	d.refuse("kept", http.StatusTooManyRequests, "later")
	r := c.Report(t.Context(), result("odilo", "new"))
	require.Nil(t, r.Result)
	require.Equal(t, []string{"kept"}, d.runs)
	require.Contains(t, r.Messages[0], "later")
	require.Contains(t, r.Messages[1], "the result is kept in "+spool)
	require.NotNil(t, c.Report(t.Context(), result("atlas", "another project's")).Result)
	d.accept("kept")
	require.NotNil(t, c.Report(t.Context(), result("odilo", "newest")).Result)
	require.Equal(t, []string{"kept", "new", "newest"}, slices.DeleteFunc(d.runs[2:], func(run string) bool { return run == "another project's" }))
}

// A daemon that gave no answer to a kept result is not asked again with the new one, which could take as long once more.
func TestNoAnswerToAKeptResult(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	var asked atomic.Int32
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	c, spool := newClient(t, socket)
	keep(t, c, result("odilo", "1"))
	r := c.Report(t.Context(), result("atlas", "2"))
	require.Nil(t, r.Result)
	require.Contains(t, strings.Join(r.Messages, "\n"), "the daemon does not answer at "+socket)
	require.Len(t, files(t, spool), 2)
	require.EqualValues(t, 1, asked.Load())
}

func TestHalfWrittenFiles(t *testing.T) {
	d := newDaemon(t)
	c, spool := newClient(t, d.socket)
	require.NoError(t, os.MkdirAll(spool, 0o700))
	half, writing := filepath.Join(spool, "half.tmp"), filepath.Join(spool, "writing.tmp")
	for _, file := range []string{half, writing} {
		require.NoError(t, os.WriteFile(file, []byte(`{"proj`), 0o600))
	}
	hourAgo := time.Now().Add(-61 * time.Minute)
	require.NoError(t, os.Chtimes(half, hourAgo, hourAgo))
	require.Empty(t, c.Report(t.Context(), result("odilo", "one")).Messages)
	require.NoFileExists(t, half)
	require.FileExists(t, writing, "a process may be writing it")
}

func TestLost(t *testing.T) {
	others := filepath.Join(t.TempDir(), "spool")
	require.NoError(t, os.Mkdir(others, 0o700))
	require.NoError(t, os.Chmod(others, 0o777))
	lost := func(r store.Result, err error) string {
		return status.LostText(r, err, "--exit-code 3", "", " --config /etc/two.yaml")
	}
	c := New("/nonexistent/socket", lost, []string{"/proc/adfbot/spool", others}, nowhere, time.Now)
	m := c.Report(t.Context(), result("odilo", "one")).Messages
	require.Len(t, m, 2)
	require.Regexp(t, `is LOST unless you record it: adfbot record --project odilo --agent project-meta --run-id one --exit-code 3 .*--config /etc/two.yaml$`, m[1],
		"without the flag it would be recorded in the other installation of this machine")
	require.Contains(t, m[1], others+" is not a directory of this user's own with mode 0700")
}

func TestSpoolDirs(t *testing.T) {
	for home, env := range map[string]map[string]string{
		"/x/state":             {"XDG_STATE_HOME": "/x/state", "HOME": "/home/a"},
		"/home/a/.local/state": {"XDG_STATE_HOME": "relative", "HOME": "/home/a"},
	} {
		dirs := SpoolDirs("/etc/adfbot/config.yaml", func(name string) string { return env[name] })
		tmp := fmt.Sprintf("/var/tmp/adfbot-spool-%d", os.Geteuid())
		require.Equal(t, hostlocal.OwnSpools{home + "/adfbot/spool-3d5a7668", tmp + "-3d5a7668", home + "/adfbot/spool", tmp}, dirs)
	}
}

// The API has no other way to say that a run was ended.
func TestEndedResult(t *testing.T) {
	r := store.Result{Outcome: store.Failure, ExitCode: 5, Ended: true}
	require.Equal(t, "SIGTERM", fieldsOf(r)["signal"])
	r.Signal = "SIGKILL"
	require.Equal(t, "SIGKILL", fieldsOf(r)["signal"])
}

// What is left to decide of a result, the daemon decides.
func TestUndecidedResult(t *testing.T) {
	r := store.Result{Outcome: store.Failure, ExitCode: 4}
	require.Equal(t, store.Failure, fieldsOf(r)["outcome"])
	r.Decide = store.DecideClass
	require.Equal(t, store.Failure, fieldsOf(r)["outcome"])
	r.Decide = store.DecideOutcome
	require.NotContains(t, fieldsOf(r), "outcome")
	require.Equal(t, 4, fieldsOf(r)["exit_code"])
}
