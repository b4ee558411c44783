package bot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// failLater runs a failing command some minutes after the one before, and returns what exec said.
func (w *world) failLater(project string) ran {
	w.Helper()
	w.pass(10 * time.Minute)
	r := w.sh(project, "echo it failed; exit 7")
	require.Equal(w, 7, r.code, r.stderr)
	return r
}

// Nothing can be stored, and the third failure in a row that is spooled pauses the project all the same.
func TestSpooledFailuresPause(t *testing.T) {
	t.Parallel()
	for what, break_ := range damage {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			repair := break_(t, w)
			for range 2 {
				w.failLater("odilo")
				require.NoFileExists(t, w.flag("odilo"))
			}
			r := w.failLater("odilo")
			require.FileExists(t, w.flag("odilo"))
			require.Contains(t, r.stderr, "odilo failed 3 times in a row while its results could not be stored: the project is paused ("+w.flag("odilo")+")")
			r = w.must(bot.ExitPaused, "odilo", "true")
			require.Contains(t, r.stderr, "odilo is paused: 3 failures in a row could not be stored")
			require.Contains(t, w.Read(w.flag("odilo")), "or remove the file "+w.flag("odilo"))
			note, named := issuetext.ParseFlagNote(w.Read(w.flag("odilo")))
			require.True(t, named)

			repair()
			w.sweepWell()
			require.Empty(t, w.spool())
			p := w.project("odilo")
			require.Equal(t, 3, p.Failures)
			require.False(t, p.Held, "no person paused it")
			require.Equal(t, note.Incident, p.Incident.ID, "the flag names it, should the state be lost")
			require.Len(t, w.issues("open"), 1)
			require.Contains(t, w.issues("open")[0].Body, "it failed")
			require.NotContains(t, w.issues("open")[0].Body, "NOT PAUSED")
			w.Remove(w.flag("odilo"))
			w.sweepWell()
			require.Len(t, w.issues("closed"), 1)
			require.Equal(t, "no", w.project("odilo").Paused)
		})
	}
}

// The flag of an incident is removed while nothing can be stored, and the project fails again until it is paused anew: that is another
// incident, with what is known of it.
func TestSpooledFailuresAfterAResume(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{"incident", "hold"} {
		t.Run(stored, func(t *testing.T) {
			w := newWorld(t)
			if stored == "incident" {
				w.fail("odilo", 3)
			} else {
				_, err := w.pause("odilo", "a holiday")
				require.NoError(t, err)
			}
			repair := damage["corrupt"](t, w)
			w.pass(time.Hour)
			w.Remove(w.flag("odilo"))
			for range 3 {
				w.failLater("odilo")
			}
			require.FileExists(t, w.flag("odilo"))
			w.pass(time.Minute)
			repair()
			w.sweepWell()
			w.sweepWell()
			require.Len(t, w.issues("open"), 1)
			require.Contains(t, w.issues("open")[0].Body, "it failed")
			require.NotContains(t, w.issues("open")[0].Body, "lost its state")
			p := w.project("odilo")
			require.Equal(t, 3, p.Failures)
			require.Equal(t, map[string]string{"incident": "odilo#2", "hold": "odilo#1"}[stored], p.Incident.Name)
			require.Len(t, w.issues("closed"), map[string]int{"incident": 1}[stored])
			w.Remove(w.flag("odilo"))
			w.sweepWell()
			require.Empty(t, w.issues("open"))
			require.Equal(t, "no", w.project("odilo").Paused)
		})
	}
}

// A person's command that comes first after an outage takes in what waits in the spool before it looks at what pauses the project.
func TestCommandBeforeTheIntake(t *testing.T) {
	t.Parallel()
	for what, command := range map[string]func(w *world) error{
		"pause":  func(w *world) error { _, err := w.pause("odilo", "disk swap"); return err },
		"resume": func(w *world) error { _, err := w.resume("odilo"); return err },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 3)
			repair := damage["corrupt"](t, w)
			w.pass(time.Hour)
			w.Remove(w.flag("odilo"))
			for range 3 {
				w.failLater("odilo")
			}
			w.pass(time.Minute)
			repair()
			require.NoError(t, command(w))
			w.sweepWell()
			require.Empty(t, w.spool())
			issues := w.Issues(repo, "")
			require.Len(t, issues, 2)
			require.Contains(t, issues[1].Body, "it failed")
			require.Contains(t, issues[1].Title, "failed 3 consecutively")
			require.Equal(t, what == "pause", w.project("odilo").Paused == "yes")
		})
	}
}

// What looks at the flag before the spooled failures are stored does not make up an incident without their output.
func TestSpooledFailuresBeforeTheirFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	repair := damage["corrupt"](t, w)
	for range 3 {
		w.failLater("odilo")
	}
	repair()
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.SweepProject(ctx, "odilo")
		require.NoError(t, err)
	})
	require.Empty(t, w.issues("open"))
	require.FileExists(t, w.flag("odilo"))
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	require.Contains(t, w.issues("open")[0].Body, "it failed")
	require.False(t, w.project("odilo").Held)
}

// The pause directory is on the same full disk: an empty flag is enough.
func TestFullDiskPausesWithAnEmptyFlag(t *testing.T) { // alone, see inStateFails
	w := newWorld(t)
	disk := filepath.Join(w.Dir, "disk")
	testhost.Disk(t, disk, "size=2m")
	w.change("DIR/state", "DIR/disk/state", "DIR/pause", "DIR/disk/pause")
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	w.sweepWell() // which keeps room
	empty := testhost.Fill(t, disk)
	for w.inStateFails() == nil {
	}
	for range 3 {
		w.failLater("odilo")
	}
	require.FileExists(t, w.flag("odilo"))
	require.Empty(t, w.Read(w.flag("odilo")))
	w.must(bot.ExitPaused, "odilo", "true")
	empty()
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	require.Equal(t, "odilo#1", w.project("odilo").Incident.Name)
	const why = "odilo is paused: project-meta failed 3 times in a row ("
	require.Contains(t, w.project("odilo").Reason, why)
	require.Contains(t, w.must(bot.ExitPaused, "odilo", "true").stderr, why)
}

// Somebody removes the flag while nothing can be stored. The count begins again, and the intake does not pause the project again.
func TestResumeBetweenSpooledFailures(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		after  int // failures
		paused bool
		open   int // issues
	}{
		"at once": {0, false, 0}, "two failures later": {2, false, 0}, "paused again": {3, true, 1},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			repair := damage["corrupt"](t, w)
			for range 3 {
				w.failLater("odilo")
			}
			require.FileExists(t, w.flag("odilo"))
			w.Remove(w.flag("odilo"))
			for range c.after {
				require.NoFileExists(t, w.flag("odilo"))
				w.failLater("odilo")
			}
			w.pass(time.Minute)
			repair()
			w.sweepWell()
			w.sweepWell()
			p := w.project("odilo")
			require.Equal(t, c.after, p.Failures, "since the resume")
			require.Equal(t, c.paused, p.Paused == "yes")
			require.Len(t, w.issues("open"), c.open)
			require.Empty(t, w.issues("closed"), "no issue is opened for a project that runs again")
			require.Empty(t, p.Pending)
			require.False(t, p.Held)
		})
	}
}

// With the failures that were stored before, the state trips at an earlier one than the spool did.
func TestStoredAndSpooledFailures(t *testing.T) {
	t.Parallel()
	for what, resumed := range map[string]bool{"paused": false, "resumed": true} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 2)
			repair := damage["corrupt"](t, w)
			for range 3 {
				w.failLater("odilo")
			}
			require.FileExists(t, w.flag("odilo"))
			w.pass(time.Minute)
			if resumed {
				w.Remove(w.flag("odilo"))
			}
			repair()
			w.sweepWell()
			p := w.project("odilo")
			if resumed {
				require.Equal(t, "no", p.Paused)
				require.Zero(t, p.Failures)
				require.Empty(t, w.issues(""))
				return
			}
			require.Equal(t, 5, p.Failures)
			require.Len(t, w.issues("open"), 1)
			require.Equal(t, "odilo#1", p.Incident.Name)
		})
	}
}

// Until the results are stored there is no incident, but no person paused the project either.
func TestStatusOfASpooledPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	for n := range 3 {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint(n), w.now()
		_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
	}
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.False(t, p.Held)
	require.Equal(t, []string{"its failures are in the spool; its issue is opened once they can be stored"}, p.Warnings)
	w.Touch(w.flag("atlas"))
	require.True(t, w.project("atlas").Held)
	w.sweepWell()
	require.Empty(t, w.project("odilo").Warnings)
}

// setFileTime sets the time of a file to some seconds from 1970, also to one that os.Chtimes cannot set.
func (w *world) setFileTime(path string, seconds int64) {
	w.Helper()
	at := unix.Timespec{Sec: seconds}
	require.NoError(w, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, 0))
}

// Whoever is in the group may give a file any time.
func TestImpossibleTimeOfASpooledPause(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{-1 << 40, 1 << 40} {
		w := newWorld(t)
		w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
		for n := range 3 {
			r := failure("odilo")
			r.RunID, r.Finished = fmt.Sprint(n), w.now()
			_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
			require.NoError(t, err)
		}
		for _, file := range w.spool() {
			w.setFileTime(file, at)
		}
		w.sweepWell()
		require.Empty(t, w.spool())
		require.Len(t, w.issues("open"), 1)
	}
}

// What does not count in the state does not count in the spool.
func TestSpooledResultsThatDoNotPause(t *testing.T) {
	run := func(n int, edit func(*store.Result)) store.Result {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint("run-", n), noon.Add(time.Duration(n)*time.Minute)
		edit(&r)
		return r
	}
	for what, edit := range map[string]func(n int, r *store.Result){
		"one run reported again": func(_ int, r *store.Result) { r.RunID = "one" },
		"another agent":          func(_ int, r *store.Result) { r.Agent = "developer" },
		"ignored":                func(_ int, r *store.Result) { r.Outcome = store.Ignored },
		"a success between": func(n int, r *store.Result) {
			if n == 2 {
				r.Outcome = store.Success
			}
		},
		"several projects": func(n int, r *store.Result) {
			if n%2 == 0 {
				r.Project = "atlas"
				r.Agent = "developer"
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			for n := range 4 {
				kept, err := bot.Keep(ctx, w.cfg, nil, run(n, func(r *store.Result) { edit(n, r) }), w.now)
				require.NoError(t, err)
				require.False(t, kept.Paused)
			}
			require.NoFileExists(t, w.flag("odilo"))
		})
	}
}

// A flag that cannot be written is said, and tried again with the next failure.
func TestSpooledFailuresWithoutAPauseDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	keep := func(n int) (bot.Kept, string) {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint(n), noon.Add(time.Duration(n)*time.Minute)
		kept, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
		return kept, kept.Text()
	}
	keep(1)
	keep(2)
	sentinel := w.Read(w.sentinel())
	w.Remove(w.sentinel())
	kept, text := keep(3)
	require.False(t, kept.Paused)
	require.Contains(t, text, "odilo failed 3 times in a row, and is NOT paused: ")
	require.NoFileExists(t, w.flag("odilo"))
	w.Write(w.sentinel(), sentinel)
	kept, _ = keep(4)
	require.True(t, kept.Paused)
	require.FileExists(t, w.flag("odilo"))
}

// Failures that are spooled while the flag stands are over with its removal, as those are that are stored then.
func TestSpooledFailuresWhilePaused(t *testing.T) {
	t.Parallel()
	for what, started := range map[string]time.Duration{"start unknown": 0, "begun while paused": time.Minute} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			repair := damage["corrupt"](t, w)
			keep := func() bot.Kept {
				r := failure("odilo")
				r.RunID, r.Finished = pause.NewRandomID(), w.now()
				if started > 0 {
					r.Started = r.Finished.Add(-started)
				}
				w.pass(10 * time.Minute)
				kept, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
				require.NoError(t, err)
				return kept
			}
			for range 6 {
				keep()
			}
			require.FileExists(t, w.flag("odilo"))
			w.Remove(w.flag("odilo"))
			require.False(t, keep().Paused, "the count begins again")
			repair()
			w.sweepWell()
			require.NoFileExists(t, w.flag("odilo"))
			require.Equal(t, 1, w.project("odilo").Failures)
		})
	}
}

// While nothing can be stored, a person pauses a project by a flag, and removes it later. The count begins again then, in the spool and
// in the state.
func TestPersonsFlagBetweenSpooledFailures(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		stored, before, while, after int // failures
		paused                       bool
		stands                       bool // the flag
	}{
		"the spool would trip":                   {before: 2, while: 1, after: 1},
		"after several under the flag":           {before: 1, while: 5, after: 2},
		"the state would trip before the flag":   {stored: 2, before: 1, while: 1, after: 1},
		"the state would trip under it":          {stored: 1, before: 1, while: 1, after: 1},
		"the state would trip after it":          {stored: 1, while: 1, after: 1},
		"a trip after it":                        {before: 2, while: 1, after: 3, paused: true},
		"the flag stands":                        {before: 1, while: 1, paused: true, stands: true},
		"the flag stands, and the state trips":   {stored: 1, before: 1, while: 1, paused: true, stands: true},
		"the flag stands over several in a row":  {stored: 2, while: 4, paused: true, stands: true},
		"the flag stands over another in a row ": {while: 1, paused: true, stands: true},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			w.fail("odilo", c.stored)
			repair := damage["corrupt"](t, w)
			keep := func(failures int) (k bot.Kept) {
				for range failures {
					w.pass(10 * time.Minute)
					r := failure("odilo")
					r.RunID, r.Started, r.Finished = pause.NewRandomID(), w.now().Add(-time.Minute), w.now()
					var err error
					k, err = bot.Keep(ctx, w.cfg, nil, r, w.now)
					require.NoError(t, err)
					require.FileExists(t, k.File)
				}
				return k
			}
			keep(c.before)
			w.Touch(w.flag("odilo"))
			require.True(t, keep(c.while).Paused)
			if !c.stands {
				w.Remove(w.flag("odilo"))
				require.Equal(t, c.paused, keep(c.after).Paused)
			}
			w.pass(time.Minute)
			repair()
			require.Equal(t, c.stands, w.project("odilo").Held, "until its results are taken in, it is a person's flag")
			w.sweepWell()
			w.sweepWell()
			p := w.project("odilo")
			require.Equal(t, c.paused, p.Paused == "yes")
			if !c.stands {
				require.Equal(t, c.after, p.Failures)
				w.Remove(w.flag("odilo"))
			}
			require.Len(t, w.issues("open"), map[bool]int{true: 1}[c.paused && c.stored+c.before+c.while+c.after >= 3])
		})
	}
}

// A failure that is spooled in the moment between the flag and its mark takes the flag for no person's.
func TestSpooledFailureBesideThePause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	repair := damage["corrupt"](t, w)
	keep := func(ctx context.Context, n int) {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint(n), w.now()
		kept, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		assert.NoError(t, err)
		assert.Equal(t, n >= 2, kept.Paused)
	}
	keep(ctx, 0)
	keep(ctx, 1)
	done := make(chan struct{})
	keep(fault.WithCounter(ctx, func(name string) {
		if name != "spooled pause" { // between the flag and its mark
			return
		}
		go func() { defer close(done); keep(ctx, 3) }()
		select {
		case <-done:
		case <-time.After(100 * time.Millisecond): // it waits for the lock
		}
	}), 2)
	<-done
	w.pass(time.Hour)
	repair()
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Equal(t, 4, p.Failures)
	require.Equal(t, "odilo#1", p.Incident.Name)
}

// More failures of a paused project are no second pause.
func TestSpooledFailuresOfAPausedProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	repair := damage["corrupt"](t, w)
	for n := range 9 {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint(n), noon.Add(time.Duration(n)*time.Minute)
		kept, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
		require.Equal(t, n >= 2, kept.Paused)
		require.Equal(t, n == 2, kept.PauseText() != "", "it is said once")
	}
	w.pass(time.Hour)
	repair()
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, 9, p.Failures)
	require.Equal(t, "odilo#1", p.Incident.Name)
	require.Len(t, w.issues("open"), 1)
}

// The paths of state and pause directory may hold anything: they are no patterns and no addresses.
func TestAnyPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"[1]", "a*b", "what?", "50%41", "a#b", "a b", `back\slash`, "it's"} {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(dir, 0o755))
		w := worldIn(t, dir)
		w.fail("odilo", 2)
		repair := damage["corrupt"](t, w)
		w.failLater("odilo")
		repair()
		require.Equal(t, 1, w.sweepWell().TakenIn, name)
		require.FileExists(t, w.flag("odilo"))
		require.Len(t, w.issues("open"), 1)
	}
}

// A run that began before the flag was written, and ends after its removal, is from before the resume.
func TestRunAcrossASpooledPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	repair := damage["corrupt"](t, w)
	for n := range 3 {
		r := failure("odilo")
		r.RunID, r.Finished = fmt.Sprint(n), w.now().Add(-time.Minute) // reported late
		_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
	}
	require.FileExists(t, w.flag("odilo"))
	begun := w.now().Add(-30 * time.Second)
	w.pass(time.Hour)
	w.Remove(w.flag("odilo"))
	for n := range 3 {
		r := failure("odilo")
		r.RunID, r.Started, r.Finished = fmt.Sprint("across-", n), begun, w.now()
		_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
	}
	require.NoFileExists(t, w.flag("odilo"))
	repair()
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, "no", p.Paused)
	require.Zero(t, p.Failures)
	require.Empty(t, w.issues(""))
}

// When the spool paused the project is the time of a file, which may be any.
func TestSpooledPauseOfAnyFileTime(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	testhost.Disk(t, disk, "size=16m") // which keeps any time
	for _, at := range []int64{-99999999999999, 99999999999999} {
		dir := filepath.Join(disk, fmt.Sprint(at))
		require.NoError(t, os.Mkdir(dir, 0o755))
		w := worldIn(t, dir)
		w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
		repair := damage["corrupt"](t, w)
		for range 3 {
			w.failLater("odilo")
		}
		for _, file := range w.spool() {
			if strings.HasSuffix(file, ".paused.json") {
				require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{{Sec: at}, {Sec: at}}, 0)) // os.Chtimes cannot
			}
		}
		w.Remove(w.flag("odilo"))
		w.failLater("odilo")
		require.NoFileExists(t, w.flag("odilo"), "the count has begun again")
		repair()
		require.Equal(t, 4, w.sweepWell().TakenIn)
		require.NoFileExists(t, w.flag("odilo"))
		require.Empty(t, w.issues(""))
	}
}

// The state would not have tripped yet, but the flag is there: it is the breaker's, and gets an issue.
func TestSpooledPauseThatTheStateWouldNotMake(t *testing.T) {
	t.Parallel()
	for what, resumed := range map[string]bool{"paused": false, "resumed": true} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			repair := damage["corrupt"](t, w)
			for range 3 {
				w.failLater("odilo")
			}
			w.pass(time.Minute)
			if resumed {
				w.Remove(w.flag("odilo"))
			}
			w.change("  - id: odilo\n", "  - id: odilo\n    threshold: 5\n")
			repair()
			w.sweepWell()
			p := w.project("odilo")
			require.False(t, p.Held, "no person paused it")
			if resumed {
				require.Equal(t, "no", p.Paused)
				require.Zero(t, p.Failures, "the count has begun again")
				require.Empty(t, w.issues(""))
				return
			}
			require.Equal(t, 3, p.Failures)
			require.Equal(t, "odilo#1", p.Incident.Name)
			require.Len(t, w.issues("open"), 1)
			require.Contains(t, w.issues("open")[0].Title, "failed 3 consecutively")
		})
	}
}

// A crash right after the result that trips was stored does not pause a project again that somebody has resumed.
func TestCrashWhileASpooledTripIsTakenIn(t *testing.T) {
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	repair := damage["corrupt"](t, w)
	for range 3 {
		w.failLater("odilo")
	}
	w.Remove(w.flag("odilo"))
	w.pass(time.Minute)
	repair()
	atPoint = func(name string) {
		if name == "spooled trip" {
			panic("crash")
		}
	}
	require.PanicsWithValue(t, "crash", func() { _, _ = w.sweep() })
	atPoint = nil
	w.sweepWell()
	require.NoFileExists(t, w.flag("odilo"))
	require.Equal(t, "no", w.project("odilo").Paused)
	require.Empty(t, w.issues("open"))
}

// Results of the spool that are not all stored at once, because the disk fills again or the process is stopped, do not take the incident that
// the first of them has opened for one whose flag was removed before. On a full disk the flag is empty, and so names no incident.
func TestSpooledTripThatIsTakenInByHalves(t *testing.T) {
	for what, takeIn := range map[string]func(w *world, spool []string){
		"crash after the trip": func(w *world, _ []string) {
			atPoint = func(name string) {
				if name == "spooled trip" {
					panic("crash")
				}
			}
			require.PanicsWithValue(w, "crash", func() { _, _ = w.sweep() })
			atPoint = nil
		},
		"one result in the first sweep": func(w *world, spool []string) {
			aside := w.TempDir()
			for _, file := range spool[1:] {
				require.NoError(w, os.Rename(file, filepath.Join(aside, filepath.Base(file))))
			}
			w.sweepWell()
			for _, file := range spool[1:] {
				require.NoError(w, os.Rename(filepath.Join(aside, filepath.Base(file)), file))
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 2)
			repair := damage["corrupt"](t, w)
			for range 3 {
				w.failLater("odilo")
			}
			require.NoError(t, os.Truncate(w.flag("odilo"), 0))
			w.pass(time.Minute)
			repair()
			takeIn(w, w.spool())
			w.sweepWell()
			p := w.project("odilo")
			require.Equal(t, "odilo#1", p.Incident.Name)
			require.Equal(t, 5, p.Failures)
			require.Len(t, w.issues(""), 1)
			require.Contains(t, w.issues("open")[0].Title, "failed 3 consecutively")
		})
	}
}

// Who cannot read the state does not know that a run began before a resume, or that it is recorded already. The flag that its failure
// made gets an issue all the same, unless somebody has removed it.
func TestSpooledPauseWithoutATrip(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(w *world, r *store.Result){
		"from before a resume": func(w *world, r *store.Result) {
			w.fail("odilo", 3)
			r.Started = w.now()
			w.pass(time.Minute)
			w.Remove(w.flag("odilo"))
			w.sweepWell()
		},
		"recorded already": func(w *world, r *store.Result) {
			for n := range 3 {
				r.RunID = fmt.Sprint("run-", n)
				w.record(*r)
			}
			w.Remove(w.flag("odilo"))
			w.sweepWell()
		},
		"recorded with another outcome": func(w *world, r *store.Result) {
			for n := range 3 {
				success := *r
				success.RunID, success.Outcome = fmt.Sprint("run-", n), store.Success
				w.record(success)
			}
		},
	} {
		for _, removed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, flag removed %t", what, removed), func(t *testing.T) {
				w := newWorld(t)
				r := failure("odilo")
				prepare(w, &r)
				before := len(w.issues(""))
				repair := damage["corrupt"](t, w)
				w.pass(time.Minute)
				for n := range 3 {
					r.RunID, r.Finished = fmt.Sprint("run-", n), w.now()
					_, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
					require.NoError(t, err)
				}
				require.FileExists(t, w.flag("odilo"))
				w.pass(time.Minute)
				if removed {
					w.Remove(w.flag("odilo"))
				}
				repair()
				w.sweepWell()
				p := w.project("odilo")
				require.False(t, p.Held, "no person paused it")
				if removed {
					require.Equal(t, "no", p.Paused)
					require.Empty(t, w.issues("open"))
					require.Len(t, w.issues(""), before)
					return
				}
				require.Equal(t, "yes", p.Paused)
				require.Len(t, w.issues("open"), 1)
				require.Len(t, w.issues(""), before+1)
				require.Equal(t, before > 0, strings.Contains(w.issues("open")[0].Body, "Earlier incidents"))
				w.Remove(w.flag("odilo"))
				w.sweepWell()
				require.Empty(t, w.issues("open"))
				require.Equal(t, "no", w.project("odilo").Paused)
			})
		}
	}
}

// A crash may leave the flag, and nothing that marks the result. The flag names the incident all the same.
func TestCrashAfterASpooledPause(t *testing.T) {
	t.Parallel()
	for what, threshold := range map[string]string{"the state trips too": "3", "the state does not trip": "5"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			repair := damage["corrupt"](t, w)
			for range 3 {
				w.failLater("odilo")
			}
			for _, file := range w.spool() {
				if name, marked := strings.CutSuffix(file, ".paused.json"); marked {
					require.NoError(t, os.Rename(file, name+".json"))
				}
			}
			w.change("  - id: odilo\n", "  - id: odilo\n    threshold: "+threshold+"\n")
			repair()
			w.sweepWell()
			require.Len(t, w.issues("open"), 1)
			require.Equal(t, "yes", w.project("odilo").Paused)
			require.False(t, w.project("odilo").Held, "no person paused it")
			w.Remove(w.flag("odilo"))
			w.sweepWell()
			require.Empty(t, w.issues("open"))
			require.Len(t, w.issues(""), 1)
		})
	}
}

// As in the state, a run that is reported to have failed, and then to have succeeded, is a success. What else is said of it later is not.
func TestSpooledSuccessAfterAFailureOfTheSameRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	keep := func(runID, outcome string, edit ...func(*store.Result)) bot.Kept {
		w.pass(time.Minute)
		r := store.Result{Project: "odilo", Agent: "project-meta", RunID: runID, Outcome: outcome, Finished: w.now()}
		r.Run = store.ReportedRunID(r.Project, r.Agent, r.RunID)
		for _, edit := range edit {
			edit(&r)
		}
		kept, err := bot.Keep(ctx, w.cfg, nil, r, w.now)
		require.NoError(t, err)
		return kept
	}
	keep("a", store.Failure)
	keep("b", store.Failure)
	keep("b", store.Success)
	require.False(t, keep("c", store.Failure).Paused, "one since the success of b")
	keep("b", store.Success)                                       // sent again
	keep("b", store.Failure)                                       // not believed
	keep("c", store.Success, func(r *store.Result) { r.Run = "" }) // not a run that was reported: as in the state, its first result stands
	require.False(t, keep("d", store.Failure).Paused)
	require.NoFileExists(t, w.flag("odilo"))
	w.sweepWell()
	require.Equal(t, 2, w.project("odilo").Failures)
	require.NoFileExists(t, w.flag("odilo"))
	keep("e", store.Failure)
	keep("e", store.Success)
	keep("f", store.Failure)
	keep("g", store.Failure)
	require.True(t, keep("h", store.Failure).Paused, "three since the success of e")
}
