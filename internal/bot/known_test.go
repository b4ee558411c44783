package bot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/pause"
)

// withPattern adds projects whose ids fit twins-*.
func (w *world) withPattern() {
	w.Helper()
	w.change("projects:\n", "projects:\n  - match: twins-*\n    threshold: 2\n    repo: other\n")
}

// requireKnown requires that gate lets projects run, or reports that nothing is known of them.
func (w *world) requireKnown(want bool, projects ...string) {
	w.Helper()
	for _, id := range projects {
		v := bot.Gate(ctx, w.cfg, id)
		w.with(bot.ReadOnly, func(b *bot.Bot) { require.Equal(w, v.Err, b.MayRun(ctx, id).Err, "the API and gate agree") })
		if want {
			require.Equal(w, bot.Verdict{}, v, id)
			continue
		}
		var unknown *config.NotKnownError
		require.ErrorAs(w, v.Err, &unknown, id)
	}
}

// A project that is made known on one host of a fleet is known on the others after their next pass.
func TestKnownInFleet(t *testing.T) {
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	a.withPattern()
	b.withPattern()
	b.record(failure("odilo"))
	a.record(failure("twins-a"))
	a.requireKnown(true, "twins-a")
	b.requireKnown(false, "twins-a")
	b.sweepWell()
	b.requireKnown(true, "twins-a")
	b.with(bot.Daemon, func(daemon *bot.Bot) {
		require.NoError(t, daemon.Pass(ctx))
		a.with(bot.Results, func(other *bot.Bot) {
			_, err := other.Resume(ctx, "twins-b")
			require.NoError(t, err)
		})
		b.requireKnown(false, "twins-b")
		require.NoError(t, daemon.Pass(ctx))
	})
	b.requireKnown(true, "twins-b")

	c := a.newHostBeside(t)
	c.withPattern()
	c.with(bot.Results, func(*bot.Bot) {})
	c.requireKnown(true, "twins-a", "twins-b")
}

// A state of an earlier version, or one whose projects had entries of their own, has what gate needs after the next sweep.
func TestKnownBeforePatterns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  - id: odilo", "  - id: odilo\n  - id: twins-a\n  - id: twins-b")
	w.record(failure("twins-a"))
	require.NoDirExists(t, filepath.Join(w.cfg.PauseDir, pause.KnownName))
	w.change("  - id: twins-a\n  - id: twins-b", "  - match: twins-*")
	w.requireKnown(false, "twins-a", "twins-b")
	w.sweepWell()
	w.requireKnown(true, "twins-a")
	w.requireKnown(false, "twins-b")
	require.NoFileExists(t, filepath.Join(w.cfg.PauseDir, pause.KnownName, "odilo"))
}

// A lost state learns its projects from the pause directory, and has their issues too.
func TestKnownAfterLostState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.record(failure("twins-a"))
	w.fail("twins-b", 2)
	w.Remove(filepath.Dir(w.cfg.State))
	w.Remove(w.flag("twins-b"))
	require.Equal(t, bot.Verdict{}, bot.Gate(ctx, w.cfg, "twins-a"))
	w.sweepWell()
	require.True(t, w.project("twins-a").Configured)
	require.Len(t, w.Issues("terraphim/other", "closed"), 1, "the repository of a pattern is read, although nothing is known of its projects")
}

// What cannot be written for gate is left to the next sweep; the result counts.
func TestKnownLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.record(failure("odilo"))
	w.Touch(filepath.Join(w.cfg.PauseDir, pause.KnownName))
	out := w.record(failure("twins-a"))
	require.Equal(t, 1, out.Failures)
	require.Len(t, out.Problems, 1)
	require.Contains(t, out.Problems[0], "make a project known")
	_, err := w.sweep()
	require.ErrorContains(t, err, "know")
	v := bot.Gate(ctx, w.cfg, "twins-a")
	require.Error(t, v.Err)
	w.Remove(filepath.Join(w.cfg.PauseDir, pause.KnownName))
	w.sweepWell()
	w.requireKnown(true, "twins-a")
}

// A FIFO in place of the known projects makes no step wait or fail but those that need them.
func TestKnownProjectsFIFO(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.record(failure("odilo"))
	known := filepath.Join(w.cfg.PauseDir, pause.KnownName)
	w.Remove(known)
	fifo(t, known)
	require.Contains(t, w.finding("pause_dir", bot.Fail), known+" is not a directory, so gate reports every project of a pattern as unknown: remove it")
	w.Touch(w.flag("odilo"))
	rep, err := w.sweep()
	require.ErrorContains(t, err, known+": it is not a directory; remove it")
	require.Equal(t, 2, rep.Projects)
	d := w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim"})
	require.ElementsMatch(t, []string{"atlas", "odilo"}, append(d.Projects, d.Others...))
	require.ErrorContains(t, bot.Gate(ctx, w.cfg, "twins-a").Err, "it is not a directory")
	w.Remove(known)
	w.sweepWell()
}

// A run whose state cannot be used makes its project known once its result is stored.
func TestKnownAfterSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.record(failure("odilo"))
	state := w.Read(w.cfg.State)
	w.Remove(w.cfg.State + "-wal")
	w.Remove(w.cfg.State + "-shm")
	w.Write(w.cfg.State, "no database")
	require.Equal(t, 0, bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "twins-a", Agent: "project-meta", Command: []string{"true"}, Stdout: os.Stdout, Stderr: w.Logged}))
	require.Contains(t, w.Logged.String(), "spool")
	w.Write(w.cfg.State, state)
	w.sweepWell()
	w.requireKnown(true, "twins-a")
}

// A dry run and a sweep count known projects, as configured ones.
func TestKnownInReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.record(failure("twins-a"))
	require.Equal(t, 3, w.sweepWell().Projects)
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		rep, err := b.Sweep(ctx, escalate.SweepOptions{DryRun: true})
		require.NoError(t, err)
		require.Equal(t, 3, rep.Projects)
		ids, err := b.ProjectIDs(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"odilo", "atlas", "twins-a"}, ids)
		f, err := b.Figures(ctx)
		require.NoError(t, err)
		require.Len(t, f.Projects, 3)
	})
}
