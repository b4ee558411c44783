package bot_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// alonePaused is a fleet of which the second host is cut off. It has paused odilo by itself because of two failures, and of one whose run began
// before a resume of which it did not know: in the state, that counts for nothing.
type alonePaused struct {
	*testing.T
	all  []*world
	b    *world
	runs int
}

func newAlonePaused(t *testing.T, hosts int) *alonePaused {
	f := &alonePaused{T: t, all: newHosts(t, hosts)}
	f.b = f.all[1]
	f.all[0].fail("odilo", 3)
	began := f.pass()
	f.pass()
	_, err := f.all[0].resume("odilo")
	require.NoError(t, err)
	follow(f.all...)
	require.False(t, f.keep(f.pass()).Paused)
	require.False(t, f.keep(f.pass()).Paused)
	f.pass()
	require.True(t, f.keep(began).Paused)
	f.pass()
	return f
}

// pass lets ten minutes pass on all hosts.
func (f *alonePaused) pass() time.Time {
	for _, w := range f.all {
		w.pass(10 * time.Minute)
	}
	return f.b.now()
}

// keep spools a failure on the host that is cut off.
func (f *alonePaused) keep(started time.Time) bot.Kept {
	f.Helper()
	f.runs++
	r := failure("odilo")
	r.RunID, r.Started, r.Finished = pause.NewRandomID(), started, f.b.now()
	k, err := bot.Keep(ctx, f.b.cfg, nil, r, f.b.now)
	require.NoError(f, err)
	return k
}

// record stores a result of a run that has just ended.
func (f *alonePaused) record(w *world, outcome string) bot.Recorded {
	f.Helper()
	return w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome, Started: w.now(), Finished: w.now()})
}

// goesOn requires that the project runs on all hosts, with so many failures in a row, and without an open issue.
func (f *alonePaused) goesOn(failures int) {
	f.Helper()
	for _, w := range f.all {
		p := w.project("odilo")
		require.Equal(f, status.No, p.Paused)
		require.Equal(f, failures, p.Failures)
		require.False(f, w.paused("odilo"))
	}
	require.Empty(f, f.b.spool())
	require.Empty(f, f.b.issues("open"))
	require.Len(f, f.b.issues(""), 1, "that of the first pause")
}

// Whoever removes the flag resumes the project, and what failed before that counts no more.
func TestFlagOfARunFromBeforeAResumeIsRemovedWhileCutOff(t *testing.T) {
	t.Parallel()
	for _, hosts := range []int{2, 3} {
		f := newAlonePaused(t, hosts)
		f.b.Remove(f.b.flag("odilo"))
		require.False(t, f.keep(f.pass()).Paused)
		f.pass()
		follow(f.b)
		follow(f.all...)
		f.goesOn(1)
		last := f.all[hosts-1]
		f.record(last, store.Failure)
		require.True(t, f.record(f.all[0], store.Failure).Tripped)
		follow(f.all...)
		for _, w := range f.all {
			require.True(t, w.paused("odilo"))
		}
	}
}

// A host that comes back from a snapshot brings the same once more. What has failed since counts on.
func TestFlagOfARunFromBeforeAResumeIsRemovedOnce(t *testing.T) {
	t.Parallel()
	f := newAlonePaused(t, 2)
	f.b.Remove(f.b.flag("odilo"))
	f.keep(f.pass())
	f.pass()
	goBack := f.b.snapshot(f.b.cfg.LocalDir, f.b.cfg.PauseDir)
	follow(f.b, f.all[0])
	f.record(f.all[0], store.Failure)
	f.goesOn(2)
	goBack()
	follow(f.b, f.all[0])
	f.goesOn(2)
}

// While the flag stands, the results count in the order of all hosts' runs alone: they do not pause the project.
func TestFlagOfARunFromBeforeAResumeStandsWhileCutOff(t *testing.T) {
	t.Parallel()
	f := newAlonePaused(t, 2)
	follow(f.b, f.all[0])
	f.goesOn(2)
	follow(f.b, f.all[0])
	f.goesOn(2)
	require.True(t, f.record(f.all[0], store.Failure).Tripped)
}

// Whoever touches the flag pauses the project, which is so on all hosts.
func TestFlagOfARunFromBeforeAResumeIsTouchedWhileCutOff(t *testing.T) {
	t.Parallel()
	f := newAlonePaused(t, 2)
	f.b.Remove(f.b.flag("odilo"))
	f.b.Touch(f.b.flag("odilo"))
	follow(f.b, f.all[0])
	require.True(t, f.all[0].paused("odilo"))
	require.True(t, f.all[0].project("odilo").Held)
}

// The flag is removed, and then the host pauses the project once more: that pause is made of what failed after the removal alone.
func TestFlagOfARunFromBeforeAResumeIsRemovedAndMadeAgainWhileCutOff(t *testing.T) {
	t.Parallel()
	f := newAlonePaused(t, 2)
	f.b.Remove(f.b.flag("odilo"))
	require.False(t, f.keep(f.pass()).Paused)
	require.False(t, f.keep(f.pass()).Paused)
	require.True(t, f.keep(f.pass()).Paused)
	f.pass()
	follow(f.b, f.all[0])
	p := f.all[0].project("odilo")
	require.Equal(t, status.Yes, p.Paused)
	require.Equal(t, 3, p.Failures)
	require.True(t, f.all[0].paused("odilo"))
	require.True(t, f.b.paused("odilo"))
	require.Len(t, f.b.issues("open"), 1)
	require.Contains(t, f.b.issues("open")[0].Title, "failed 3 consecutively")
}

// What the other hosts know outweighs a removal that nobody of them could see.
func TestRemovalWhileCutOffEndsNoPauseOfOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		others   func(f *alonePaused)
		paused   string
		failures int
	}{
		"others have failed as often as the threshold": {func(f *alonePaused) {
			for n := range 3 {
				require.Equal(f, n == 2, f.record(f.all[2*(n%2)], store.Failure).Tripped)
				f.pass()
			}
		}, status.Yes, 6},
		"somebody has paused the project for a time": {func(f *alonePaused) {
			d := f.all[0].pauseMany(bot.Many{Names: []string{"odilo"}, Reason: "a move", For: 100 * time.Hour})
			require.Empty(f, d.Problems)
		}, status.Yes, 3},
		"the project was resumed once more since": {func(f *alonePaused) {
			for range 3 {
				f.record(f.all[2], store.Failure)
			}
			f.pass()
			_, err := f.all[0].resume("odilo")
			require.NoError(f, err)
			f.pass()
			f.record(f.all[0], store.Failure)
			f.record(f.all[2], store.Failure)
		}, status.No, 2},
		"a run has succeeded since": {func(f *alonePaused) {
			f.record(f.all[2], store.Success)
			f.pass()
			f.record(f.all[0], store.Failure)
			f.record(f.all[2], store.Failure)
		}, status.No, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newAlonePaused(t, 3)
			f.b.Remove(f.b.flag("odilo"))
			f.keep(f.pass())
			f.pass()
			c.others(f)
			f.b.with(bot.Results, func(b *bot.Bot) {
				_, err := b.RecordSpooled(ctx)
				require.NoError(t, err)
			})
			follow(f.b)
			follow(f.all...)
			for _, w := range f.all {
				p := w.project("odilo")
				require.Equal(t, c.paused, p.Paused)
				require.Equal(t, c.failures, p.Failures)
				require.Equal(t, c.paused == status.Yes, w.paused("odilo"))
			}
			require.Empty(t, f.b.spool())
		})
	}
}

// A host pauses a project by itself while it is cut off. Another one succeeds after that, and what fails since counts on, wherever it failed.
func TestPauseWhileCutOffIsOutweighed(t *testing.T) {
	t.Parallel()
	for name, removed := range map[string]bool{"the flag stands": false, "the flag was removed": true} {
		t.Run(name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			pass := func() { a.pass(10 * time.Minute); b.pass(10 * time.Minute) }
			for range 3 {
				b.keepOne("odilo", store.Failure)
				pass()
			}
			require.True(t, b.paused("odilo"))
			if removed {
				b.Remove(b.flag("odilo"))
			}
			for _, outcome := range []string{store.Success, store.Failure, store.Failure} {
				a.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome, Started: a.now(), Finished: a.now()})
				pass()
			}
			follow(b, a)
			require.Equal(t, 2, a.project("odilo").Failures)
			require.False(t, a.paused("odilo"))
			require.False(t, b.paused("odilo"))
			require.Empty(t, a.issues(""))
			require.True(t, a.fail("odilo", 1).Tripped)
		})
	}
}

// A resume on a host whose pause directory is not usable resumes the project on the others. It says that the host's own flag stays, and until when.
func TestResumeOnAHostWithoutSentinel(t *testing.T) {
	t.Parallel()
	all := newHosts(t, 2)
	a, b := all[0], all[1]
	for name, resume := range map[string]func() []string{
		"of a project": func() []string {
			done, err := b.resume("odilo")
			require.NoError(t, err)
			return done.Problems
		},
		"of all": func() []string {
			return b.resumeMany(bot.Many{Names: []string{incident.EveryProject}, Incidents: true, By: "alex"}).Problems
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.fail("odilo", 3)
			follow(all...)
			require.True(t, b.paused("odilo"))
			sentinel := b.cfg.PauseDir + "/.adfbot"
			require.NoError(t, os.Remove(sentinel))
			problems := resume()
			require.Len(t, problems, 1)
			require.Contains(t, problems[0], "the flags on this host, as its pause directory is not usable: the pause directory has no sentinel: ")
			require.Contains(t, problems[0], "adfbot restore")
			a.sweepWell()
			require.False(t, a.paused("odilo"))
			require.True(t, b.paused("odilo"))
			_, err := b.restore()
			require.NoError(t, err)
			follow(b)
			require.False(t, b.paused("odilo"))
			require.Empty(t, resume(), "it was not paused")
		})
	}
}
