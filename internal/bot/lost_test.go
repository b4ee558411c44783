package bot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// copyState is a copy of the state as an operator makes one, and what puts it back.
func (w *world) copyState() (restore func()) {
	w.Helper()
	b := w.Read(w.cfg.State)
	require.NoFileExists(w, w.cfg.State+"-wal", "no command leaves its log behind")
	return func() { require.NoError(w, os.WriteFile(w.cfg.State, []byte(b), 0o600)) }
}

func (w *world) loseState() { w.Remove(filepath.Dir(w.cfg.State)) }

func openNumbers(w *world) (out []int64) {
	for _, i := range w.issues("open") {
		out = append(out, i.Number)
	}
	return out
}

// The bot goes on from flags and issues.
func TestLostState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.fail("atlas", 2)
	w.Remove(w.flag("atlas"))
	w.loseState()
	w.pass(time.Hour)

	w.must(bot.ExitPaused, "odilo", "true")
	w.sweepWell()
	require.Equal(t, []int64{1}, openNumbers(w), "the live one stays, the other's project runs again")
	require.Len(t, w.issues(""), 2, "and none is doubled")
	p := w.project("odilo")
	require.Equal(t, "odilo#1", p.Incident.Name)
	require.Equal(t, w.issues("open")[0].Number, int64(1))
	require.Empty(t, w.sweepWell().Actions)

	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.Empty(t, w.issues("open"))
	require.Equal(t, 2, w.fail("odilo", 3).Incident.Seq)
}

// The flag alone rebuilds the incident.
func TestLostStateWithoutIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
	id := w.fail("odilo", 3).Answer.Incident
	w.loseState()
	up()
	w.pass(time.Hour)
	w.must(bot.ExitPaused, "odilo", "true")
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	require.Contains(t, w.issues("open")[0].Body, "incident="+id)
	require.Empty(t, w.sweepWell().Actions)
}

func TestOldStateCatchesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	old := w.copyState()
	w.fail("odilo", 1) // odilo trips
	w.fail("atlas", 2) // atlas trips and is resumed
	w.Remove(w.flag("atlas"))
	w.sweepWell()
	require.Equal(t, []int64{1}, openNumbers(w))
	w.pass(24 * time.Hour)
	old()

	w.must(bot.ExitPaused, "odilo", "true")
	w.sweepWell()
	require.Equal(t, []int64{1}, openNumbers(w))
	require.Len(t, w.issues(""), 2)
	require.Equal(t, "odilo#1", w.project("odilo").Incident.Name)
	require.Empty(t, w.sweepWell().Actions)
}

// A run that was killed, or hung, began before a pause whose flag is gone: it does not count, whichever of both is noticed first.
func TestRunWithoutResultBeforeAResume(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w *world, run store.Run){
		"killed": func(w *world, run store.Run) {
			w.inState(func(s store.State) {
				_, err := s.BeginRun(ctx, run)
				require.NoError(w, err)
			})
			require.NoError(w, os.WriteFile(filepath.Join(w.cfg.State+".d", "runs", run.ID+".lock"), nil, 0o600))
		},
		"hung": func(w *world, run store.Run) {
			w.with(bot.Daemon, func(b *bot.Bot) { require.NoError(w, b.BeginReported(ctx, run)) })
			w.pass(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.change("  - id: odilo\n", "  - id: odilo\n    hung_after: 30m\n")
			w.fail("odilo", 2)
			begin(w, store.Run{ID: "it", Project: "odilo", Agent: "project-meta", RunID: "r", Started: w.now()})
			_, err := w.pause("odilo", "look at it")
			require.NoError(t, err)
			w.Remove(w.flag("odilo"))
			require.Equal(t, 1, w.sweepWell().LostRuns)
			p := w.project("odilo")
			require.Equal(t, status.No, p.Paused)
			require.Zero(t, p.Failures)
			require.Empty(t, w.issues(""))
		})
	}
}

// A run that went on when the state was copied has ended since, well or not: it is no failure.
func TestOldStateWithRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	w.inState(func(s store.State) {
		for _, id := range []string{"ended", "killed"} {
			_, err := s.BeginRun(ctx, store.Run{ID: id, Project: "atlas", Agent: "project-meta", RunID: id, Started: w.now()})
			require.NoError(t, err)
		}
		_, err := s.BeginRun(ctx, store.Run{ID: "odilo", Project: "odilo", Agent: "project-meta", RunID: "r", Started: w.now()})
		require.NoError(t, err)
	})
	old := w.copyState()
	w.pass(time.Hour)
	old()
	require.NoError(t, os.WriteFile(filepath.Join(w.cfg.State+".d", "runs", "killed.lock"), nil, 0o600))

	require.Equal(t, 3, w.sweepWell().LostRuns)
	p := w.project("odilo")
	require.Equal(t, status.No, p.Paused)
	require.Equal(t, 2, p.Failures)
	require.Equal(t, store.Ignored, p.LastRuns[0].Outcome)
	require.Contains(t, p.LastRuns[0].Detail, "an old copy of the state")
	require.Zero(t, p.Running)
	require.Equal(t, 1, w.project("atlas").Failures, "the file of a run that was killed is there")
	require.Zero(t, w.sweepWell().LostRuns)
}

// A state a day old whose incident has ended closes nothing else.
func TestOldStateWithEndedIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	old := w.copyState()
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	w.fail("odilo", 3) // the second incident
	require.Equal(t, []int64{2}, openNumbers(w))
	w.pass(24 * time.Hour)
	old()

	w.must(bot.ExitPaused, "odilo", "true")
	w.sweepWell()
	w.sweepWell()
	require.Equal(t, []int64{2}, openNumbers(w))
	require.Equal(t, "odilo#2", w.project("odilo").Incident.Name)
	require.Len(t, w.issues(""), 2)
}

// The old issues are reported and never touched.
func TestLostStateAndDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.loseState()
	w.Remove(w.cfg.PauseDir)
	w.pass(time.Hour)
	w.must(0, "odilo", "true")
	before := w.issues("")
	rep := w.sweepWell()
	require.Empty(t, rep.Actions)
	require.Equal(t, []string{"http://gitea.example/terraphim/adf-fleet/issues/1"}, rep.Foreign)
	require.Equal(t, rep.Foreign, w.status().Foreign)
	require.Equal(t, before, w.issues(""))
	finding := w.finding("repository", bot.Warn)
	require.Contains(t, finding, "1 open issue of another installation by adf-bot")
	w.fail("odilo", 3)
	require.Equal(t, []int64{1, 2}, openNumbers(w))
}

// Two installations on one repository do not touch each other's issues.
func TestTwoInstallationsOnOneRepository(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	other.Gitea = w.Gitea
	w.fail("odilo", 3)
	other.fail("odilo", 3)
	require.Equal(t, []int64{1, 2}, openNumbers(w))
	w.Remove(w.flag("odilo"))
	other.sweepWell()
	w.sweepWell()
	other.sweepWell()
	require.Equal(t, []int64{2}, openNumbers(w))
	require.Equal(t, []string{"http://gitea.example/terraphim/adf-fleet/issues/2"}, w.sweepWell().Foreign)
}

// A dry run reports the plan and writes nothing.
func TestSweepDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
	w.fail("odilo", 3)
	w.fail("atlas", 2)
	up()
	w.Remove(w.flag("atlas"))
	w.pass(time.Hour)
	before, flags := w.Read(w.cfg.State), len(w.files())
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		rep, err := b.Sweep(ctx, escalate.SweepOptions{DryRun: true, Force: true})
		require.NoError(t, err)
		require.True(t, rep.DryRun)
		require.Equal(t, []string{"resume atlas", "find-lost atlas", "create odilo"}, w.kinds(rep))
	})
	require.True(t, bytes.Equal([]byte(before), []byte(w.Read(w.cfg.State))))
	require.Len(t, w.files(), flags)
	require.Empty(t, w.issues(""))
	for _, r := range w.Gitea.Requests() {
		require.True(t, r.Fault != "" || r.Method == "GET" || r.Status == 0, "%+v", r)
	}
	_, ok := w.lastSweep()
	require.False(t, ok)
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
}

// files is everything in the world's directory.
func (w *world) files() (out []string) {
	w.Helper()
	require.NoError(w, filepath.WalkDir(w.Dir, func(p string, _ os.DirEntry, err error) error {
		out = append(out, p)
		return err
	}))
	return out
}

func (w *world) lastSweep() (rep status.SweepReport, ok bool) {
	w.Helper()
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		var err error
		rep, ok, err = b.LastSweep(ctx)
		require.NoError(w, err)
	})
	return rep, ok
}

// A sweep is reported to whoever asks later.
func TestSweepReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	_, ok := w.lastSweep()
	require.False(t, ok)
	w.Remove(w.flag("odilo"))
	w.pass(time.Hour)
	rep := w.sweepWell()
	got, ok := w.lastSweep()
	require.True(t, ok)
	require.Equal(t, w.now(), got.At)
	require.Equal(t, 2, got.Projects)
	require.Equal(t, w.kinds(rep), w.kinds(got))
	require.Equal(t, []string{"resume odilo", "close odilo"}, w.kinds(got))

	w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
	_, err := w.sweep()
	require.Error(t, err)
	got, _ = w.lastSweep()
	require.Contains(t, strings.Join(got.Errors, "\n"), "status 503")
	require.Contains(t, w.Logged.String(), "level=ERROR msg=sweep")
}

// What a sweep could not do for itself is in its report.
func TestSweepProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.sweepWell()
	spool := w.cfg.State + ".d/spool"
	w.Remove(spool)
	w.Touch(spool)
	_, err := w.sweep()
	require.ErrorContains(t, err, spool)
	require.Contains(t, strings.Join(w.status().Problems, "\n"), "last sweep: ")
	require.Contains(t, strings.Join(w.status().LastSweep.Errors, "\n"), spool)
}

func TestSweepPrunesResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	w.pass(721 * time.Hour)
	w.record(failure("atlas"))
	require.Equal(t, 2, w.sweepWell().Pruned)
	require.Empty(t, w.project("odilo").LastRuns)
	require.Equal(t, 2, w.project("odilo").Failures, "the breaker does not forget")
	require.Len(t, w.project("atlas").LastRuns, 1)
}

// Where both come back from a backup, `adfbot help failures` says how to keep what was paused since then: a pause by hand before the sweep.
func TestMachineFromBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.sweepWell()
	goBack := w.snapshot(filepath.Dir(w.cfg.State), w.cfg.PauseDir)
	w.fail("odilo", 2)
	w.fail("atlas", 3)
	require.Len(t, w.issues("open"), 2)
	goBack()
	_, err := w.pause("odilo", "")
	require.NoError(t, err)
	w.sweepWell()
	require.Equal(t, "odilo#1", w.project("odilo").Incident.Name)
	w.must(bot.ExitPaused, "odilo", "true")
	w.must(0, "atlas", "true")
	require.Len(t, w.issues("open"), 1)
}
