package bot_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/pause"
)

var (
	// atPoint is what the test that runs does at the fault points of the program; nil: nothing. A parallel test must not set it, nor send a signal to this process.
	atPoint func(name string)

	ctx = fault.With(context.Background(), func(name string) {
		if atPoint != nil {
			atPoint(name)
		}
	})
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

const (
	repo  = testworld.Repo
	token = testworld.Token
)

// world is a machine with a configuration, and a Gitea that it can reach.
type world struct {
	*testworld.World
	yaml string
	cfg  *config.Config
	boot string // id of the boot of the machine
	vars map[string]string
	kept time.Time     // when a result was put into the spool last
	skew time.Duration // of the clock of the machine against that of a shared state
	own  hostlocal.OwnSpools

	mu   sync.Mutex
	at   time.Time         // the time, which stands still
	runs bool              // it does not: it is that of a synctest bubble,
	set  time.Duration     // but for this, by which somebody set the clock
	ids  map[string]string // plain names of random ids, for golden files
}

const plainConfig = `
instance: bigbox
pause_dir: DIR/pause
state: DIR/state/adfbot.db
gitea:
  url: http://gitea.example
  token_env: BOT_TOKEN
  owner: terraphim
  repo: adf-fleet
projects:
  - id: odilo
  - id: atlas
    threshold: 2
    ignore_exit_codes: [75, 9]
`

func newWorld(t testing.TB) *world { return worldIn(t, t.TempDir()) }

func worldIn(t testing.TB, dir string) *world {
	t.Helper()
	t.Cleanup(func() {
		if atPoint != nil { // by a test that runs alone
			atPoint = nil
		}
	})
	w := &world{at: noon, vars: map[string]string{"BOT_TOKEN": token}}
	w.World = testworld.New(t, dir, w.now)
	w.configure(plainConfig)
	return w
}

// configure writes and loads a configuration; DIR in it is the world's directory.
func (w *world) configure(yaml string) {
	w.Helper()
	w.yaml = yaml
	w.Write(w.Path("config.yaml"), strings.ReplaceAll(yaml, "DIR", w.Dir))
	var err error
	w.cfg, err = config.Load(w.Path("config.yaml"))
	require.NoError(w, err)
}

// change is configure with replacements in what there is: old, new, old, new.
func (w *world) change(pairs ...string) {
	w.Helper()
	yaml := strings.NewReplacer(pairs...).Replace(w.yaml)
	require.NotEqual(w, w.yaml, yaml)
	w.configure(yaml)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs {
		return time.Now().Add(w.set)
	}
	return w.at
}

func (w *world) getenv(k string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.vars[k]
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) env() bot.Env {
	env := bot.Env{
		Log:    slog.New(slog.NewTextHandler(w.Logged, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Getenv: w.getenv, Now: w.now, Transport: w.Gitea.Transport(), Own: w.own,
		Uptime: w.uptime,
	}
	if w.skew != 0 {
		env.Now = w.machineNow
		env = env.WithStateClock(w.now)
	}
	return env
}

// machineNow is what the clock of the machine shows.
func (w *world) machineNow() time.Time { return w.now().Add(w.skew) }

// uptime is unknown unless a test sets the boot. That of the machine goes with the time of the
// world since the last result was put into the spool.
func (w *world) uptime() incident.Uptime {
	up := hostlocal.MachineUptime()()
	if w.boot != up.Boot {
		return incident.Uptime{Boot: w.boot}
	}
	up.For += w.now().Sub(w.kept)
	return up
}

// with opens a bot for one use, as a command does.
func (w *world) with(mode bot.Mode, f func(b *bot.Bot)) {
	w.Helper()
	b, err := bot.Open(ctx, w.cfg, mode, w.env())
	require.NoError(w, err)
	defer func() { require.NoError(w, b.Close()) }()
	f(b)
}

func failure(project string) store.Result {
	return store.Result{Project: project, Agent: "project-meta", Outcome: store.Failure, ExitCode: 1}
}

func (w *world) record(r store.Result) (out bot.Recorded) {
	w.Helper()
	w.with(bot.Results, func(b *bot.Bot) {
		var err error
		out, err = b.Record(ctx, r)
		require.NoError(w, err)
	})
	return out
}

// fail records failures of a project.
func (w *world) fail(project string, times int) (last bot.Recorded) {
	w.Helper()
	for range times {
		last = w.record(failure(project))
	}
	return last
}

// sweep sweeps as a person does.
func (w *world) sweep() (rep status.SweepReport, err error) {
	w.Helper()
	w.with(bot.Operate, func(b *bot.Bot) { rep, err = b.Sweep(ctx, escalate.SweepOptions{Force: true}) })
	return rep, err
}

func (w *world) sweepWell() status.SweepReport {
	w.Helper()
	rep, err := w.sweep()
	require.NoError(w, err)
	return rep
}

func (w *world) flag(project string) string { return filepath.Join(w.cfg.PauseDir, project) }

func (w *world) sentinel() string { return filepath.Join(w.cfg.PauseDir, pause.SentinelName) }

// issues are those of the configured repository.
func (w *world) issues(state string) []giteatest.Issue { return w.Issues(repo, state) }

// project is a project's share of the status.
func (w *world) project(id string) (p status.Project) {
	w.Helper()
	for _, p = range w.status().Projects {
		if p.ID == id {
			return p
		}
	}
	require.Fail(w, "no such project", id)
	return p
}

func (w *world) status() (s status.Status) {
	w.Helper()
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		var err error
		s, err = b.Status(ctx, "")
		require.NoError(w, err)
	})
	return s
}

func (w *world) kinds(rep status.SweepReport) (out []string) {
	for _, a := range rep.Actions {
		out = append(out, string(a.Kind)+" "+a.Project)
	}
	return out
}

// inState opens the state itself.
func (w *world) inState(f func(s store.State)) {
	w.Helper()
	s, err := sqlite.Open(ctx, w.cfg.State, sqlite.Options{Now: w.now})
	require.NoError(w, err)
	defer func() { require.NoError(w, s.Close()) }()
	f(s)
}

// ran is what an exec did.
type ran struct {
	code           int
	stdout, stderr string
}

func (w *world) exec(project string, command ...string) ran {
	w.Helper()
	return w.execAs(bot.ExecRequest{Project: project, Agent: "project-meta", Command: command})
}

func (w *world) sh(project, script string) ran {
	w.Helper()
	return w.exec(project, "sh", "-c", script)
}

func (w *world) execAs(q bot.ExecRequest) ran {
	w.Helper()
	var out, errs bytes.Buffer
	q.Stdout, q.Stderr = &out, &errs
	code := bot.Exec(ctx, w.cfg, w.env(), q)
	return ran{code: code, stdout: out.String(), stderr: errs.String()}
}

// must is exec that has to end with a code.
func (w *world) must(code int, project string, command ...string) ran {
	w.Helper()
	r := w.exec(project, command...)
	require.Equal(w, code, r.code, r.stderr)
	return r
}
