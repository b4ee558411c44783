package bot_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata; what is random is made plain first.
func golden(t *testing.T, w *world, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, w.Dir, "DIR")
	got = regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllStringFunc(got, func(id string) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ids == nil {
			w.ids = map[string]string{}
		}
		if w.ids[id] == "" {
			w.ids[id] = "id-" + string(rune('A'+len(w.ids)))
		}
		return w.ids[id]
	})
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		w.Write(path, got)
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

const statusConfig = plainConfig + `  - id: held
  - id: dangling
  - id: quiet
  - id: resumed
    resume_threshold: 1
`

// timed gives a result its times and host, so that nothing of this machine is in the golden file.
func (w *world) timed(r store.Result) store.Result {
	r.Host, r.Started, r.Finished = "host-a", w.now().Add(-time.Minute), w.now()
	return r
}

func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(statusConfig)
	w.inState(func(s store.State) { // open before the first result, so that the installation is known to be random
		require.Len(t, s.Installation(), 32)
	})
	for range 3 {
		w.record(w.timed(failure("odilo")))
	}
	down := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(423, `{"message":"archived"}`)})
	for range 2 {
		w.record(w.timed(failure("atlas")))
	}
	w.Write(w.flag("held"), "release\x1b[31m day\nby ann\n")
	require.NoError(t, os.Symlink("/no/where", w.flag("dangling")))
	require.NoError(t, os.WriteFile(w.flag("stranger"), nil, 0o644))
	for _, f := range []string{"held", "stranger"} {
		require.NoError(t, os.Chtimes(w.flag(f), noon, noon))
	}
	for range 3 {
		w.record(w.timed(store.Result{Project: "quiet", Agent: "project-meta", Outcome: store.Ignored, ExitCode: 75}))
	}
	for range 3 {
		w.record(w.timed(failure("resumed")))
	}
	w.Remove(w.flag("resumed"))
	down()
	w.pass(time.Minute)
	w.sweepWell()
	w.pass(time.Minute)
	w.record(w.timed(store.Result{Project: "resumed", Agent: "developer", Outcome: store.Failure, Signal: "SIGKILL", ExitCode: 137, Detail: "killed"}))
	_, err := hostlocal.Beside(w.cfg.State).Spool().Add(store.Result{Project: "quiet", Agent: "project-meta", RunID: "r", Outcome: store.Success, Finished: noon})
	require.NoError(t, err)
	s := w.status()
	for n := range s.Projects {
		if p := &s.Projects[n]; p.Since != nil && p.ID != "held" && p.ID != "stranger" {
			p.Since = nil // the file's own time
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	golden(t, w, "status.json", string(b)+"\n")
}

func TestStatusOfOneProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		s, err := b.Status(ctx, "odilo")
		require.NoError(t, err)
		require.Len(t, s.Projects, 1)
		require.Equal(t, "odilo", s.Projects[0].ID)
		s, err = b.Status(ctx, "nobody")
		require.NoError(t, err)
		require.Empty(t, s.Projects)
	})
}

func TestStatusOfPendingIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.Archive(repo)
	w.fail("odilo", 3)
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Len(t, p.Pending, 1)
	require.Contains(t, p.Pending[0], "odilo#1: issue to be opened: gitea: create issue in terraphim/adf-fleet: status 423")
	require.Contains(t, p.Pending[0], "unarchive it")
	w.Remove(w.flag("odilo"))
	p = w.project("odilo")
	require.Equal(t, "no", p.Paused)
	require.Equal(t, []string{"its flag was removed; the next sweep notices that"}, p.Warnings)
}

// Status makes no request and writes no file.
func TestStatusIsReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	w.Gitea.ResetRequests()
	before, files := w.Read(w.cfg.State), w.files()
	w.status()
	require.Equal(t, before, w.Read(w.cfg.State))
	require.Equal(t, files, w.files())
	require.Empty(t, w.Gitea.Requests())
}

func TestStatusOfRunsAndThresholds(t *testing.T) {
	w := newWorld(t)
	w.configure(statusConfig)
	atPoint = func(s string) {
		if s == "ran" {
			atPoint = nil
			require.Equal(t, 1, w.project("resumed").Running)
		}
	}
	require.Equal(t, 1, w.exec("resumed", "false").code)
	require.Equal(t, 3, w.project("resumed").Threshold)
	w.fail("resumed", 2)
	w.Remove(w.flag("resumed"))
	w.sweepWell()
	p := w.project("resumed")
	require.Equal(t, 1, p.Threshold)
	require.True(t, p.HalfOpen)
	require.Zero(t, p.Running)
}

// A pause is as old as the state says, not as the file on this host, which may have been written again.
func TestPausedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.Pause(ctx, "atlas", "")
		require.NoError(t, err)
	})
	began := w.now()
	w.pass(2 * time.Hour)
	for _, project := range []string{"odilo", "atlas"} {
		require.NoError(t, os.Chtimes(w.flag(project), w.now(), w.now()))
		require.WithinDuration(t, began, *w.project(project).Since, time.Second, project)
	}
	require.NoError(t, os.Remove(w.flag("odilo")))
	require.Nil(t, w.project("odilo").Since, "it runs again")
}
