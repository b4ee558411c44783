package escalate_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/pause"
)

const (
	server  = testworld.URL
	fleet   = testworld.Repo
	other   = testworld.OtherRepo
	timeout = 10 * time.Second
	project = "odilo"
)

func TestMain(m *testing.M) { testhost.Main(m, nil) }

// world is a machine with an adfbot on it, and a Gitea. Time is the bubble's, so waits of an hour cost nothing.
type world struct{ *machine }

// machine is one installation: its pause directory, its state, and the reconciler on both. Those of one world have the same
// Gitea and log.
type machine struct {
	*testworld.World
	ctx    context.Context // nil: that of the test
	dir    pause.Dir
	path   string // of the state
	store  state
	tokens *tokens
	rec    *escalate.Reconciler
}

// state is a state with the locks of its host.
type state struct {
	*sqlite.Store
	*hostlocal.Dir
}

// play runs a test in a bubble, in a world whose bot knows its account and its labels: as after the first issue ever.
func play(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{"adf", "circuit-breaker", "priority/high"} {
			id := w.Gitea.AddLabel(fleet, name)
			ids, err := w.store.Labels(t.Context(), repoOf(fleet))
			require.NoError(t, err)
			ids[name] = id
			require.NoError(t, w.store.SetLabels(t.Context(), repoOf(fleet), ids))
		}
		w.knowsItsAccount()
		f(w)
	})
}

// knowsItsAccount stores what the bot otherwise asks Gitea for.
func (w *world) knowsItsAccount() {
	w.Helper()
	me := w.Gitea.AddUser(testworld.Bot, giteatest.UserOptions{})
	require.NoError(w, w.store.AddAccount(w.Context(), server, tracker.Account{ID: me, Login: testworld.Bot}))
}

// playNew is play with a bot that has never talked to Gitea.
func playNew(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tw := testworld.New(t, t.TempDir(), time.Now)
	empty, err := emptyState()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(tw.Path("adfbot.db"), empty, 0o600))
	w := &world{openMachine(tw, tw.Path("adfbot.db"), tw.Path("pause"))}
	require.NoError(t, w.dir.Init(w.store.Installation()))
	return w
}

// emptyState returns the file of a state with nothing in its tables. To make them takes longer than most tests.
var emptyState = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "adfbot-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "adfbot.db")
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(`DELETE FROM meta; PRAGMA journal_mode = DELETE`)
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// openMachine opens a state and a pause directory as a new process would. A missing state takes its id from the sentinel.
func openMachine(w *testworld.World, path, dir string) *machine {
	w.Helper()
	m := &machine{World: w, dir: pause.New(dir), path: path, tokens: &tokens{now: testworld.Token}}
	var err error
	m.store.Dir = hostlocal.Beside(path)
	require.NoError(w, os.MkdirAll(filepath.Join(path+".d", "spool"), 0o700)) // so it gets no reserves, which no test here needs
	require.NoError(w, m.store.Create(w.Context()))
	m.store.Store, err = sqlite.Open(w.Context(), path, sqlite.Options{Sentinel: func() (string, error) {
		sentinel, err := m.dir.Sentinel()
		if os.IsNotExist(err) || err != nil {
			return "", nil
		}
		return sentinel.Installation, nil
	}})
	require.NoError(w, err)
	w.Cleanup(func() { _ = m.store.Close() })
	redactor := redact.New(testworld.Token)
	composer, err := issuetext.New("", redactor)
	require.NoError(w, err)
	m.rec, err = escalate.New(escalate.Options{
		Installation: m.store.Installation(), State: m.store, Dir: m.dir, Composer: composer, Log: slog.New(slog.NewTextHandler(w.Logged, nil)),
		Tracker: gitea.New(gitea.Options{
			URL: server, Tokens: m.tokens, Timeout: timeout, Transport: w.Gitea.Transport(), Redact: redactor,
		}),
		Server: server, Timeout: timeout, Projects: []string{project}, Commands: escalate.CommandOptions{State: m.store},
		Target: func(string) escalate.Target {
			return escalate.Target{Repo: repoOf(fleet), Labels: []string{"adf", "circuit-breaker", "priority/high"}}
		},
	})
	require.NoError(w, err)
	return m
}

// another opens the same installation a second time, as another process would.
func (m *machine) another() *machine {
	m.Helper()
	return openMachine(m.World, m.path, m.dir.Path())
}

// reopened is the installation after a crash: the old process is gone.
func (m *machine) reopened() *machine {
	m.Helper()
	require.NoError(m, m.store.Close())
	return m.another()
}

// withoutState is the installation after its state was deleted: the id comes back from the sentinel.
func (m *machine) withoutState() *machine {
	m.Helper()
	require.NoError(m, m.store.Close())
	return openMachine(m.World, m.path+".new", m.dir.Path())
}

func repoOf(path string) tracker.Repo {
	owner, name, _ := strings.Cut(path, "/")
	return tracker.Repo{Server: server, Owner: owner, Name: name}
}

// tokens is a token file that can be rotated.
type tokens struct {
	mu        sync.Mutex
	now, next string // next is what the file holds by now
	err       error
	reloads   int
}

func (s *tokens) Token() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.err
}

func (s *tokens) Reload() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads++
	if s.next == "" || s.next == s.now {
		return false, nil
	}
	s.now = s.next
	return true, nil
}

// context is what the machine's processes run with.
func (m *machine) context() context.Context {
	if m.ctx != nil {
		return m.ctx
	}
	return m.Context()
}

// fail records one failed run, which trips the breaker, and does no more: the process died, or Gitea is not asked yet.
func (m *machine) fail(project string) (id string) {
	m.Helper()
	return m.failed(project).ID
}

// failed is fail, and returns the incident as it was stored, with its evidence.
func (m *machine) failed(project string) incident.Incident {
	m.Helper()
	a, err := m.store.Record(m.context(), store.Result{
		Project: project, Agent: "project-meta", Outcome: store.Failure, ExitCode: 1, Host: "bigbox", Output: "out of memory\n",
	}, store.Limits{Threshold: 1, Resume: 1, Instance: "bigbox"})
	require.NoError(m, err)
	require.NotNil(m, a.Opened, "the breaker trips")
	return *a.Opened
}

// trip records a failed run and does what the trip path does. It returns the incident's id.
func (m *machine) trip(project string) string {
	m.Helper()
	id, err := m.tripAnd(project)
	require.NoError(m, err)
	return id
}

// tripAnd is trip where the escalation may fail.
func (m *machine) tripAnd(project string) (string, error) {
	m.Helper()
	i := m.failed(project)
	_, err := m.rec.Trip(m.context(), i)
	return i.ID, err
}

// rm removes a project's flag as a person does.
func (m *machine) rm(project string) {
	m.Helper()
	require.NoError(m, os.Remove(m.dir.FlagPath(project)))
}

// touch makes a flag as a person does.
func (m *machine) touch(project string) {
	m.Helper()
	m.Touch(m.dir.FlagPath(project))
}

func (m *machine) paused(project string) bool {
	m.Helper()
	f, err := m.dir.Look(project)
	require.NoError(m, err)
	return f.Present
}

func (m *machine) sweep() escalate.Report {
	m.Helper()
	rep, err := m.rec.Sweep(m.context(), escalate.SweepOptions{})
	require.NoError(m, err)
	return rep
}

// sweepAnd is sweep where errors are expected.
func (m *machine) sweepAnd(opt escalate.SweepOptions) (escalate.Report, error) {
	return m.rec.Sweep(m.context(), opt)
}

// force is `adfbot sweep` by a person.
func (m *machine) force() error {
	_, err := m.rec.Sweep(m.context(), escalate.SweepOptions{Force: true})
	return err
}

// sweepFor sweeps every minute, as the daemon does. Errors pass.
func (m *machine) sweepFor(d time.Duration) { m.sweepEvery(time.Minute, d) }

func (m *machine) sweepEvery(step, d time.Duration) {
	m.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		_, _ = m.rec.Sweep(m.context(), escalate.SweepOptions{})
		time.Sleep(step)
	}
}

func (m *machine) incident(id string) incident.Incident {
	m.Helper()
	found, err := m.store.Incidents(m.context(), id)
	require.NoError(m, err)
	require.Len(m, found, 1, "the state knows the incident")
	return found[0]
}

func (m *machine) change(id string, f func(*incident.Incident)) {
	m.Helper()
	_, err := m.store.Change(m.context(), id, f)
	require.NoError(m, err)
}

// issue is the one issue of the bot in the repository.
func (m *machine) issue() giteatest.Issue {
	m.Helper()
	all := m.issues(fleet)
	require.Len(m, all, 1, "there is exactly one issue")
	return all[0]
}

// issues are all issues of the bot's account in a repository.
func (m *machine) issues(repo string) []giteatest.Issue { return m.Issues(repo, "") }

// comments are what the bot said in an issue.
func comments(i giteatest.Issue) []string {
	out := []string{}
	for _, c := range i.Comments {
		if c.Author != testworld.Alex && c.Author != testworld.Kim {
			out = append(out, c.Body)
		}
	}
	return out
}

// asked are the requests since the last call, as "METHOD status".
func (m *machine) asked() []giteatest.Request {
	rs := m.Gitea.Requests()
	m.Gitea.ResetRequests()
	return rs
}

// writes are those of the requests that were to change something.
func writes(rs []giteatest.Request) []giteatest.Request {
	var out []giteatest.Request
	for _, r := range rs {
		if r.Method != "GET" {
			out = append(out, r)
		}
	}
	return out
}

// dies runs f and lets it end at the named step, like a process that is killed there.
func (m *machine) dies(step string, f func(ctx context.Context)) {
	m.Helper()
	type killed struct{}
	reached := false
	ctx := fault.With(m.context(), func(name string) {
		if name == step {
			reached = true
			panic(killed{})
		}
	})
	func() {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(killed); !ok {
					panic(r)
				}
			}
		}()
		f(ctx)
	}()
	require.True(m, reached, "step %s is reached", step)
}

// sweepDies lets a sweep end at the named step: its goroutine takes no further one, as in a process that is killed there.
func (m *machine) sweepDies(step string) {
	m.Helper()
	var reached atomic.Bool
	ctx := fault.With(m.context(), func(name string) {
		if name == step {
			reached.Store(true)
			runtime.Goexit()
		}
	})
	_, _ = m.rec.Sweep(ctx, escalate.SweepOptions{})
	require.True(m, reached.Load(), "step %s is reached", step)
}

// over is the same Gitea by another way.
func (m *machine) over(way http.RoundTripper) *gitea.Client {
	return gitea.New(gitea.Options{
		URL: server, Tokens: m.tokens, Timeout: timeout, Transport: way, Redact: redact.New(testworld.Token),
	})
}

// way is a way to the server that a test makes up.
type way func(*http.Request) (*http.Response, error)

func (f way) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refuses is a network without a server.
type refuses struct{}

func (refuses) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// state returns what the state knows of a project.
func (m *machine) state(project string) incident.ProjectState {
	m.Helper()
	s, err := m.store.ProjectState(m.Context(), project)
	require.NoError(m, err)
	return s
}

func kinds(actions []plan.Action) (out []plan.Kind) {
	for _, a := range actions {
		out = append(out, a.Kind)
	}
	return out
}
