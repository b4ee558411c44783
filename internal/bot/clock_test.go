package bot_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

const day = 24 * time.Hour

// onWrite does something when a command prints something.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }

// The run is recorded at once.
func TestClockSetDuringRun(t *testing.T) {
	t.Parallel()
	for what, jump := range map[string]time.Duration{"back": -day, "forward": day} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 2)
			code := bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stderr: io.Discard,
				Stdout: onWrite(func() { w.pass(jump) }), Command: []string{"sh", "-c", "echo; exit 3"}})
			require.Equal(t, 3, code)
			require.Empty(t, w.spool(), "it needs no detour")
			p := w.project("odilo")
			require.Equal(t, 3, p.Failures)
			require.Equal(t, "yes", p.Paused)
			require.Len(t, w.issues("open"), 1)
			require.False(t, p.LastRuns[0].Started.After(p.LastRuns[0].Finished))
			require.Contains(t, w.issues("open")[0].Body, "| ✘ failure | exit 3 |")
		})
	}
}

// A run that was killed before counts.
func TestClockSetBackAfterKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dies(child{Do: "exec", Project: "odilo", Command: []string{"true"}, KillAt: "ran"})
	w.pass(-10 * 365 * day) // the child has the machine's clock
	require.Equal(t, 1, w.sweepWell().LostRuns)
	p := w.project("odilo")
	require.Equal(t, 1, p.Failures)
	require.False(t, p.LastRuns[0].Started.After(p.LastRuns[0].Finished))
}

// Results after it count.
// What the daemon is told of a run that began at a known time counts only after the last resume. A resume that was noted
// by a clock a day ahead must not make it deaf for a day.
func TestResumeOfFastClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(day)
	w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	w.pass(time.Hour - day)
	for n := range 3 {
		r := failure("odilo")
		r.Started = w.now().Add(-time.Minute)
		out := w.record(r)
		require.True(t, out.Counted, out.Why)
		require.Equal(t, n == 2, out.Tripped)
	}
	require.Equal(t, "yes", w.project("odilo").Paused)
}

// A wait that a fast clock set does not last.
func TestWaitOfFastClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(day)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
	w.fail("odilo", 3)
	require.Empty(t, w.issues(""))
	up()
	w.pass(-day)
	sweep := func() {
		w.with(bot.Daemon, func(b *bot.Bot) { _, _ = b.Sweep(ctx, escalate.SweepOptions{}) })
	}
	for range 3 { // the answer that may have been lost is waited for by today's clock
		sweep()
		w.pass(time.Minute)
	}
	require.Len(t, w.issues("open"), 1)
	w.Remove(w.flag("odilo"))
	sweep()
	require.Len(t, w.issues("closed"), 1)
}

// No history is deleted for a day.
func TestHistoryAfterClockLeap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs := func() int { return len(w.project("odilo").LastRuns) }
	w.fail("odilo", 2)
	require.Zero(t, w.sweepWell().Pruned)
	w.pass(365 * day)
	for range 20 {
		require.Zero(t, w.sweepWell().Pruned)
		w.pass(time.Hour)
	}
	require.Contains(t, w.Logged.String(), "deleting no old results for a day")
	require.Equal(t, 2, runs())
	w.pass(-366 * day) // somebody sets it right
	require.Zero(t, w.sweepWell().Pruned)
	require.Equal(t, 2, runs())

	w.pass(31 * day) // the machine was off
	require.Zero(t, w.sweepWell().Pruned)
	w.pass(23 * time.Hour)
	require.Zero(t, w.sweepWell().Pruned)
	w.pass(2 * time.Hour)
	require.Equal(t, 2, w.sweepWell().Pruned, "a clock that runs on for a day is right")
	require.Zero(t, runs())
}

// History is deleted all the same.
// Where somebody sweeps by hand every few days, each time looks like a leap.
func TestHistoryWithRareSweeps(t *testing.T) {
	t.Parallel()
	for schedule, every := range map[string]time.Duration{"@every 1m": 5 * day, "0 3 * * 1": 7 * day} {
		w := newWorld(t)
		w.change("projects:", "sweep:\n  schedule: \""+schedule+"\"\nprojects:")
		w.fail("odilo", 2)
		pruned := 0
		for range 12 {
			pruned += w.sweepWell().Pruned
			w.pass(every)
		}
		require.Equal(t, 2, pruned, schedule)
	}
}

// A hold of the future holds the project, and can be resumed.
func TestHoldOfTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(day)
	w.with(bot.Results, func(b *bot.Bot) {
		_, err := b.Pause(ctx, "odilo", "holidays")
		require.NoError(t, err)
	})
	w.pass(-day)
	w.must(bot.ExitPaused, "odilo", "true")
	require.True(t, w.project("odilo").Held)
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.Resume(ctx, "odilo")
		require.NoError(t, err)
	})
	w.must(0, "odilo", "true")
	require.Equal(t, store.Success, w.project("odilo").LastRuns[0].Outcome)
}
