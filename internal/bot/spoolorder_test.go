package bot_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// keep spools failures of a project, as a command does that cannot store them.
func (w *world) keep(project string, times int) {
	w.Helper()
	for range times {
		w.pass(time.Second)
		r := failure(project)
		r.Finished = w.now()
		_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(w, err)
	}
}

// The daemon records a success before its next sweep comes to what was spooled before.
func TestSuccessAfterSpooledFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("atlas", 1)
	w.keep("odilo", 2)
	w.pass(time.Second)
	success := store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success, Finished: w.now()}
	w.record(success)
	require.Zero(t, w.project("odilo").Failures)
	w.sweepWell()
	require.Zero(t, w.project("odilo").Failures, "they came before the success")
	require.Empty(t, w.spool())
}

// What cannot be taken in now keeps its place: the next result of the project is spooled behind it, that of another is stored.
func TestResultBehindSpooledOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("atlas", 1)
	w.keep("odilo", 2)
	success := store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success, Finished: w.now()}
	synctest.Test(t, func(t *testing.T) {
		unlock, err := hostlocal.Beside(w.cfg.State).LockHere(ctx, "spool", 0)
		require.NoError(t, err)
		defer unlock()
		w.with(bot.Results, func(b *bot.Bot) {
			_, err = b.Record(ctx, success)
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorContains(t, err, "earlier results of odilo wait in the spool: ")
			_, err = b.Record(ctx, failure("beta"))
			require.NoError(t, err)
		})
	})
}

// What is left when the time is over keeps its order.
func TestIntakeThatEndsKeepsTheOrder(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := newWorld(t)
		w.fail("atlas", 1)
		w.keep("odilo", 2)
		w.pass(time.Second)
		success := store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success, Finished: w.now()}
		_, err := bot.Keep(ctx, w.cfg, nil, success, w.now)
		require.NoError(t, err)
		w.with(bot.Results, func(b *bot.Bot) {
			over, cancel := context.WithCancel(ctx)
			cancel()
			_, err := b.RecordSpooled(over)
			require.Error(t, err)
		})
		w.sweepWell()
		require.Zero(t, w.project("odilo").Failures)
	}
}

// The clock ran ahead and was set back while nothing could be stored. Results keep their order, and so do pauses.
func TestClockSetBackBetweenSpooledResults(t *testing.T) {
	t.Parallel()
	const ahead = 1000 * time.Hour
	t.Run("a success between", func(t *testing.T) {
		w := newWorld(t)
		w.fail("atlas", 1)
		repair := damage["corrupt"](t, w)
		w.pass(ahead)
		w.failLater("odilo")
		w.failLater("odilo")
		w.pass(-ahead)
		w.must(0, "odilo", "true")
		w.failLater("odilo")
		w.failLater("odilo")
		require.NoFileExists(t, w.flag("odilo"), "two since the success")
		repair()
		w.sweepWell()
		require.Equal(t, 2, w.project("odilo").Failures)
	})
	t.Run("a resume between", func(t *testing.T) {
		w := newWorld(t)
		w.fail("atlas", 1)
		repair := damage["corrupt"](t, w)
		w.pass(ahead)
		for range 3 {
			w.failLater("odilo")
		}
		w.pass(-ahead)
		w.Remove(w.flag("odilo"))
		for range 3 {
			require.NoFileExists(t, w.flag("odilo"))
			w.failLater("odilo")
		}
		require.FileExists(t, w.flag("odilo"), "three since the resume")
		repair()
		w.sweepWell()
		p := w.project("odilo")
		require.Equal(t, 3, p.Failures)
		require.False(t, p.Held, "no person paused it")
		require.Len(t, w.issues("open"), 1)
		require.Empty(t, w.issues("closed"))
	})
}

// A run that ended before a resume began before it too, though nobody has said when. It is taken in after the resume.
func TestSpooledFailuresFromBeforeAResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.keep("odilo", 2)
	w.pass(time.Second)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, "no", p.Paused)
	require.Zero(t, p.Failures)
}

// What keeps the results of many projects from being stored is said once, also where the time is over.
func TestSpooledResultsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with(bot.Results, func(*bot.Bot) {}) // makes the state
	w.keep("odilo", 2)
	for _, id := range []string{"atlas", "beta", "digital-twins"} {
		w.keep(id, 1)
	}
	w.with(bot.Results, func(b *bot.Bot) {
		w.setStateVersion(999)
		_, err := b.RecordSpooled(ctx)
		require.ErrorIs(t, err, store.ErrNewer)
		require.Contains(t, err.Error(), "cannot record the spooled results of odilo, atlas, beta, digital-twins: ")
		require.Equal(t, 1, strings.Count(err.Error(), "has upgraded the state"), err)

		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err = b.RecordSpooled(over)
		require.EqualError(t, err, "cannot record the spooled results of odilo, atlas, beta, digital-twins: the next sweep does the rest: context canceled")
	})
}

// A run that began before a resume fails while nothing can be stored, and pauses the project by a flag: only the state knows of the resume.
// Whoever removes the flag resumes the project all the same, and what failed before that counts no more.
func TestFlagOfARunFromBeforeAResumeIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	began := w.now().Add(time.Minute)
	w.pass(10 * time.Minute)
	_, err := w.resume("odilo")
	require.NoError(t, err)
	repair := damage["corrupt"](t, w)
	keep := func(started time.Time) bool {
		w.pass(10 * time.Minute)
		r := failure("odilo")
		r.RunID, r.Started, r.Finished = pause.NewRandomID(), started, w.now()
		k, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
		return k.Paused
	}
	require.False(t, keep(w.now()))
	require.False(t, keep(w.now()))
	require.True(t, keep(began))
	w.pass(10 * time.Minute)
	w.Remove(w.flag("odilo"))
	require.False(t, keep(w.now()))
	repair()
	w.sweepWell()
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, status.No, p.Paused)
	require.Equal(t, 1, p.Failures)
	require.Empty(t, w.issues("open"))
}

// The issue names the failures that were in the spool, and the threshold that they reached.
func TestThresholdIsRaisedWhileNothingCanBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	repair := damage["corrupt"](t, w)
	for range 3 {
		w.pass(10 * time.Minute)
		w.keepOne("odilo", store.Failure)
	}
	repair()
	w.change("  - id: odilo\n", "  - id: odilo\n    threshold: 10\n")
	w.sweepWell()
	require.Contains(t, w.issues("open")[0].Title, "failed 3 consecutively")
}
