package bot_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// What a fleet does when something fails.

// newHosts returns hosts with one state and one Gitea, each with its pause directory.
func newHosts(t testing.TB, hosts int) []*world {
	fleet := []*world{newFirstHost(t)}
	fleet[0].join()
	for range hosts - 1 {
		w := fleet[0].newHostBeside(t)
		w.join()
		fleet = append(fleet, w)
	}
	return fleet
}

func (w *world) join() {
	w.Helper()
	w.with(bot.Daemon, func(*bot.Bot) {})
}

// follow brings the flags of hosts in line with the state.
func follow(hosts ...*world) {
	for _, w := range hosts {
		w.Helper()
		w.sweepWell()
	}
}

func (w *world) paused(project string) bool {
	_, err := os.Lstat(w.flag(project))
	return err == nil
}

// snapshot copies directories, and returns what puts the copies in their place.
func (w *world) snapshot(dirs ...string) (goBack func()) {
	w.Helper()
	for _, dir := range dirs {
		out, err := exec.Command("cp", "-a", dir, dir+"-copy").CombinedOutput()
		require.NoError(w, err, string(out))
	}
	return func() {
		w.Helper()
		for _, dir := range dirs {
			w.Remove(dir)
			require.NoError(w, os.Rename(dir+"-copy", dir))
		}
	}
}

// keepOne spools a result, as a host that cannot reach the state does.
func (w *world) keepOne(project, outcome string) bot.Kept {
	w.Helper()
	w.kept = w.now()
	k, err := bot.Keep(ctx, w.cfg, nil, store.Result{Project: project, Agent: "project-meta", Outcome: outcome, Started: w.machineNow(), Finished: w.machineNow()}, w.machineNow)
	require.NoError(w, err)
	return k
}

// The first removal wins. Where the second one took place, the flag of the new pause takes the place of the old one's.
func TestRemovedOnTwoHosts(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	a.Remove(a.flag("odilo"))
	b.Remove(b.flag("odilo"))
	follow(a)
	a.fail("odilo", 3)
	require.True(t, a.paused("odilo"))
	follow(b, a)
	require.True(t, b.paused("odilo"), "the removal was that of the first pause")
	require.True(t, a.paused("odilo"))
	require.Len(t, a.issues("open"), 1)
	require.Len(t, a.issues("closed"), 1)
}

// b could not see that the project was resumed and paused again.
func TestRemovedOnAHostThatWasCutOff(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]bool{"nothing else happened": false, "others resumed and paused again": true} {
		t.Run(name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			a.fail("odilo", 3)
			follow(b)
			b.Remove(b.flag("odilo"))
			if paused {
				a.resume("odilo")
				a.fail("odilo", 3)
			}
			require.False(t, bot.Gate(ctx, b.cfg, "odilo").Paused, "b goes by its own directory")
			follow(b, a)
			require.Equal(t, paused, a.paused("odilo"))
			require.Equal(t, paused, b.paused("odilo"))
		})
	}
}

// However often a project was paused and resumed meanwhile, a host ends with the last pause's flag.
func TestHostThatWasAway(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	for range 2 {
		a.fail("odilo", 3)
		follow(b)
		a.resume("odilo")
		a.fail("odilo", 3)
		a.resume("odilo")
		a.fail("odilo", 3)
		follow(b)
		require.Equal(t, a.Read(a.flag("odilo"))[:60], b.Read(b.flag("odilo"))[:60])
		a.resume("odilo")
		follow(b)
		require.False(t, b.paused("odilo"))
	}
	a.fail("odilo", 3)
	require.Contains(t, b.project("odilo").Warnings, "its pause flag is not written: exec refuses, but a script that checks the flag runs: "+
		"the next sweep on this host writes it, if its daemon runs")
	follow(b)
	require.Empty(t, b.project("odilo").Warnings)
}

// Somebody has removed the flag while b was cut off, and then the failures that b could not store paused the project there.
func TestRemovedAndPausedAgainWhileCutOff(t *testing.T) {
	t.Parallel()
	for name, passFirst := range map[string]bool{"the failures are recorded first": false, "a pass comes first": true} {
		t.Run(name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			first := a.fail("odilo", 3).Incident.ID
			follow(b)
			b.Remove(b.flag("odilo"))
			for range 3 {
				b.pass(time.Minute)
				b.keepOne("odilo", store.Failure)
			}
			require.True(t, b.paused("odilo"), "by its own failures")
			a.pass(4 * time.Minute)
			b.pass(time.Minute)
			if passFirst {
				b.with(bot.Operate, func(b *bot.Bot) {
					_, err := b.SweepProject(ctx, "odilo")
					require.NoError(t, err)
				})
			}
			follow(b, a)
			p := a.project("odilo")
			require.Equal(t, "yes", p.Paused)
			require.NotEqual(t, first, p.Incident.ID, "the first pause was ended, and a second one began")
			require.True(t, a.paused("odilo"))
			require.True(t, b.paused("odilo"))
		})
	}
}

// The resume that somebody's removal of the flag was takes effect between two passes, never in one that has read the state before it: that
// one would take the flag of the host's own failures for one of an earlier pause, and write that of the pause which is over by then.
func TestRemovalTakesEffectBetweenPasses(t *testing.T) {
	f := newHosts(t, 1)
	a := f[0]
	a.fail("odilo", 3)
	a.Remove(a.flag("odilo"))
	for range 3 {
		a.pass(time.Minute)
		a.keepOne("odilo", store.Failure)
	}
	a.with(bot.Operate, func(b *bot.Bot) {
		tried := false
		atPoint = func(name string) {
			if name == "removed before the spool" {
				tried = true
				_, err := hostlocal.At(a.cfg.LocalDir).LockHere(ctx, "flags", time.Millisecond)
				require.ErrorContains(t, err, "still held")
			}
		}
		defer func() { atPoint = nil }()
		_, err := b.RecordSpooled(ctx)
		require.NoError(t, err)
		require.True(t, tried)
	})
}

// A directory that was emptied tells nothing, and neither does one from before that which is put in its place.
func TestPausedInAnEmptiedDirectory(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	goBack := b.snapshot(b.cfg.PauseDir)
	b.wipe()
	b.Write(b.flag("odilo"), "")
	a.fail("odilo", 2)
	b.keepOne("odilo", store.Failure)
	b.with(bot.Results, func(b *bot.Bot) {
		n, err := b.RecordSpooled(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	require.Equal(t, "yes", a.project("odilo").Paused)
	goBack()
	follow(b, a)
	require.True(t, b.paused("odilo"))
	require.True(t, a.paused("odilo"))
}

// A result that was spooled while the project was paused is no pause of its own once that is over: what other hosts count goes on.
func TestSpooledWhilePaused(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	require.True(t, b.keepOne("odilo", store.Failure).Paused)
	a.resume("odilo")
	a.fail("odilo", 2)
	b.Remove(b.flag("odilo"))
	follow(b, a)
	require.Equal(t, 2, a.project("odilo").Failures)
	require.True(t, a.fail("odilo", 1).Tripped)
}

// A flag of a pause that is over is no pause of the results that a host spools meanwhile: the trip that they lead to holds.
func TestSpooledBesideTheFlagOfAnEarlierPause(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	a.resume("odilo")
	a.pass(time.Minute)
	b.pass(time.Minute)
	a.fail("odilo", 2)
	b.keepOne("odilo", store.Failure)
	b.Remove(b.flag("odilo")) // as the bot does, once it knows
	follow(b, a)
	require.Equal(t, "yes", a.project("odilo").Paused)
	require.True(t, b.paused("odilo"))
}

// A note that somebody edits while the project is paused is no hold: the flag goes when the project is resumed elsewhere.
func TestNoteEdited(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	b.Write(b.flag("odilo"), b.Read(b.flag("odilo"))+"kim looks at it\n")
	follow(b)
	a.resume("odilo")
	follow(b, a)
	require.False(t, b.paused("odilo"))
	require.Equal(t, "no", a.project("odilo").Paused)
}

// A flag that somebody moves away resumes the project. Whoever puts it back pauses it again.
func TestFlagMovedAndPutBack(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	require.NoError(t, os.Rename(b.flag("odilo"), b.Path("aside")))
	follow(b, a)
	require.False(t, a.paused("odilo"))
	require.NoError(t, os.Rename(b.Path("aside"), b.flag("odilo")))
	follow(b, a)
	require.True(t, b.paused("odilo"))
	require.True(t, a.paused("odilo"))
	require.True(t, a.project("odilo").Held)
}

// A directory from before the pause has no flags, which nobody removed.
func TestDirectoryFromASnapshot(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	goBack := b.snapshot(b.cfg.PauseDir)
	a.fail("odilo", 3)
	follow(b)
	goBack()
	follow(b, a)
	require.True(t, b.paused("odilo"), "its mark is lower than the state's")
	require.True(t, a.paused("odilo"))
}

// The same holds for a flag that the host has written by itself, because it could not reach the state.
func TestSpooledPauseAndDirectoryFromASnapshot(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	goBack := b.snapshot(b.cfg.PauseDir)
	for range 3 {
		b.keepOne("odilo", store.Failure)
	}
	require.True(t, b.paused("odilo"))
	goBack()
	follow(b, a)
	require.True(t, b.paused("odilo"), "the host knows of a later pause")
	require.True(t, a.paused("odilo"))

	b.Remove(b.flag("odilo"))
	follow(b, a)
	require.False(t, a.paused("odilo"))
	for range 3 {
		b.keepOne("odilo", store.Failure)
	}
	require.True(t, b.paused("odilo"))
	b.Remove(b.flag("odilo"))
	follow(b, a)
	require.False(t, a.paused("odilo"), "a person removed the flag")
}

// Nor is it removed if the host then pauses a project once more in the directory from before the first pause.
func TestSpooledPauseAfterADirectoryFromASnapshot(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{"of another project": "atlas", "of the same project": "odilo"} {
		t.Run(name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			goBack := b.snapshot(b.cfg.PauseDir)
			for range 3 {
				b.keepOne("odilo", store.Failure)
			}
			goBack()
			b.pass(time.Minute)
			for range 3 {
				b.keepOne(second, store.Failure)
			}
			require.True(t, b.paused(second))
			follow(b, a)
			for _, w := range f {
				require.True(t, w.paused("odilo"))
				require.True(t, w.paused(second))
			}
			require.Equal(t, "odilo#1", a.project("odilo").Incident.Name, "nobody has resumed the project")
		})
	}
}

// A host that comes back from a snapshot brings spooled failures along that are recorded already, and their pause. They end no later pause.
func TestHostFromASnapshotWithASpooledPause(t *testing.T) {
	t.Parallel()
	for name, removed := range map[string]bool{"whose flag stood": false, "whose flag was removed": true} {
		t.Run(name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			for range 3 {
				b.keepOne("odilo", store.Failure)
			}
			if removed {
				b.Remove(b.flag("odilo"))
			}
			goBack := b.snapshot(b.cfg.LocalDir, b.cfg.PauseDir)
			follow(b, a)
			a.resume("odilo")
			a.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
			follow(b)
			trip := a.fail("odilo", 3).Incident.ID
			follow(b)
			goBack()
			follow(b, a)
			requireOnePause(t, trip, a, b)
			require.False(t, a.project("odilo").Held)
		})
	}
}

// While a host is cut off, its directory is replaced by one from before the pause, and then its own failures pause the project there.
func TestSpooledFailuresInADirectoryFromASnapshot(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	goBack := b.snapshot(b.cfg.PauseDir)
	trip := a.fail("odilo", 3).Incident.ID
	follow(b)
	goBack()
	for range 3 {
		b.keepOne("odilo", store.Failure)
	}
	require.True(t, b.paused("odilo"))
	follow(b, a)
	requireOnePause(t, trip, a, b)
}

// A pause that only the spool knows is recorded while the directory cannot be marked. One from before the pause then has the same mark, and
// is no removal all the same.
func TestSpooledPauseInAReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	a := newHosts(t, 1)[0]
	goBack := a.snapshot(a.cfg.PauseDir)
	for range 3 {
		a.keepOne("odilo", store.Failure)
	}
	writable := testhost.ReadOnly(t, a.cfg.PauseDir)
	a.with(bot.Results, func(b *bot.Bot) {
		n, err := b.RecordSpooled(ctx)
		require.NoError(t, err)
		require.Equal(t, 3, n, "no result waits for that")
	})
	writable()
	require.True(t, a.paused("odilo"))
	goBack()
	follow(a)
	require.True(t, a.paused("odilo"))
}

// joinedThroughProxy returns a host of a new fleet, and the proxy between it and the state.
func joinedThroughProxy(t *testing.T) (*world, *testpg.Proxy) {
	t.Helper()
	proxy := testpg.NewProxy(t)
	database, err := url.Parse(testpg.Database(t))
	require.NoError(t, err)
	a := newHost(t, testpg.InDatabase(t, proxy.URL(), strings.TrimPrefix(database.Path, "/")))
	a.join()
	return a, proxy
}

// Without the state a host goes by its own directory, keeps its results, and leaves Gitea alone.
func TestStateOfAFleetDown(t *testing.T) {
	t.Parallel()
	a, proxy := joinedThroughProxy(t)
	a.fail("odilo", 3)
	asked := a.Gitea.Operations()
	proxy.SetFilters(func([]byte) ([]byte, bool) { return nil, true }, nil)
	proxy.Cut()
	require.True(t, bot.Gate(ctx, a.cfg, "odilo").Paused)
	require.Zero(t, bot.Gate(ctx, a.cfg, "atlas"))
	require.Equal(t, bot.ExitPaused, a.sh("odilo", "true").code)
	r := a.sh("atlas", "exit 3")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.stderr, "is kept in")
	require.True(t, a.paused("odilo"))
	require.Equal(t, asked, a.Gitea.Operations())
	proxy.SetFilters(nil, nil)
	follow(a)
	require.Equal(t, 1, a.project("atlas").Failures)
}

// The state goes away while exec asks it whether the project may run, at any of its last questions. As without it from the start, the host
// goes by its own directory, and the run counts once.
func TestStateGoesAwayBeforeTheRun(t *testing.T) {
	t.Parallel()
	a, proxy := joinedThroughProxy(t)
	runs := filepath.Join(a.Dir, "runs")
	execAnswered := func(questions int64) (r ran, asked int64) {
		var n atomic.Int64
		proxy.SetFilters(func(data []byte) ([]byte, bool) {
			if _, err := os.Stat(runs); err == nil {
				return data, false
			}
			return data, n.Add(1) > questions
		}, nil)
		defer proxy.SetFilters(nil, nil)
		r = a.sh("odilo", "touch "+runs+"; exit 3")
		require.Equal(t, 3, r.code, "after %d questions: %s", questions, r.stderr)
		require.NoError(t, os.Remove(runs))
		return r, n.Load()
	}
	a.must(0, "odilo", "true") // the first one asks more
	_, all := execAnswered(math.MaxInt64)
	for left := range int64(8) {
		a.must(0, "odilo", "true")
		r, _ := execAnswered(all - 1 - left)
		follow(a)
		require.Equal(t, 1, a.project("odilo").Failures, r.stderr)
	}
}

// The answer to the COMMIT that stores a run is lost. The host does not know that the state has the run, and its result counts all the
// same, even if the state is looked through while the command runs.
func TestRunStoredWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	a, proxy := joinedThroughProxy(t)
	var stores atomic.Bool
	proxy.SetFilters(func(data []byte) ([]byte, bool) {
		if bytes.Contains(data, []byte("INSERT INTO adfbot.run ")) {
			stores.Store(true)
		}
		return data, false
	}, func(data []byte) ([]byte, bool) {
		if stores.Load() && bytes.Contains(data, []byte("COMMIT\x00")) {
			return nil, true
		}
		return data, false
	})
	begun, end := filepath.Join(a.Dir, "begun"), filepath.Join(a.Dir, "end")
	for _, path := range []string{begun, end} {
		require.NoError(t, syscall.Mkfifo(path, 0o600))
	}
	ended := make(chan ran)
	go func() { ended <- a.sh("odilo", "echo >"+begun+"; read _ <"+end+"; exit 3") }()
	runs := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(begun)
		runs <- err
	}()
	select {
	case err := <-runs:
		require.NoError(t, err)
	case r := <-ended:
		t.Fatalf("it did not run: %s", r.stderr)
	}
	proxy.SetFilters(nil, nil)
	running := func() string { return testpg.Text(t, a.cfg.State, `SELECT count(*)::text FROM adfbot.run`) }
	require.Equal(t, "1", running(), "it is stored")
	follow(a)
	require.NoError(t, os.WriteFile(end, []byte("\n"), 0o600))
	r := <-ended
	require.Equal(t, 3, r.code)
	require.Contains(t, r.stderr, "is kept in")
	follow(a)
	require.Equal(t, 1, a.project("odilo").Failures)
	require.Equal(t, "0", running())
}

// The state comes from a backup, which knows neither of a trip nor of a resume. The flags tell of both. The issue of the trip is found, and
// no other one is opened.
func TestStateFromABackup(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 2)
	a.fail("atlas", 2)
	follow(b)
	backup := testpg.Copy(t, a.cfg.State)
	id := a.fail("odilo", 1).Incident.ID
	a.resume("atlas")
	follow(b)
	for _, w := range f {
		w.change(w.cfg.State, backup)
	}
	follow(a, b, a)
	p := a.project("odilo")
	require.Equal(t, id, p.Incident.ID)
	require.True(t, a.paused("odilo"))
	require.True(t, b.paused("odilo"))
	require.False(t, a.paused("atlas"), "no host has its flag any more, so it is resumed again")
	require.False(t, b.paused("atlas"))
	require.Len(t, a.issues("open"), 1)
	require.Len(t, a.issues(""), 2)
}

// A host that was away has no flag of what happened meanwhile. That says nothing where the state has gone back in time.
func TestStateFromABackupAndAHostThatWasAway(t *testing.T) {
	restore := func(backup string, hosts ...*world) {
		for _, w := range hosts {
			w.change(w.cfg.State, backup)
		}
	}
	// The backup has a pause that somebody ended later, on b.
	withEarlierPause := func(t *testing.T) (a, b *world, backup string) {
		f := newHosts(t, 2)
		a, b = f[0], f[1]
		a.fail("odilo", 3)
		follow(b)
		backup = testpg.Copy(t, a.cfg.State)
		b.Remove(b.flag("odilo"))
		follow(b, a)
		return a, b, backup
	}
	for name, order := range map[string]func(a, b *world){
		"the host with the flag first":    func(a, b *world) { follow(a, b, a, b) },
		"the host without the flag first": func(a, b *world) { follow(b, a, b) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("nothing was paused in the backup", func(t *testing.T) {
				f := newHosts(t, 2)
				a, b := f[0], f[1]
				backup := testpg.Copy(t, a.cfg.State)
				trip := a.fail("odilo", 3).Incident.ID
				restore(backup, a, b)
				order(a, b)
				requireOnePause(t, trip, a, b)
			})
			t.Run("an earlier pause was in the backup", func(t *testing.T) {
				a, b, backup := withEarlierPause(t)
				trip := a.fail("odilo", 3).Incident.ID
				restore(backup, a, b)
				order(a, b)
				requireOnePause(t, trip, a, b)
			})
			t.Run("a pause by hand is lost, and an earlier one stands again", func(t *testing.T) {
				a, b, backup := withEarlierPause(t)
				a.with(bot.Operate, func(m *bot.Bot) {
					_, err := m.Pause(ctx, "odilo", "for the weekend")
					require.NoError(t, err)
				})
				restore(backup, a, b)
				order(a, b)
				require.True(t, a.paused("odilo"))
				require.True(t, b.paused("odilo"))
				require.Contains(t, b.Read(b.flag("odilo")), "for the weekend")
			})
		})
	}
}

func requireOnePause(t *testing.T, incident string, hosts ...*world) {
	t.Helper()
	for _, w := range hosts {
		require.True(t, w.paused("odilo"))
	}
	p := hosts[0].project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.NotNil(t, p.Incident)
	require.Equal(t, incident, p.Incident.ID)
	open := hosts[0].issues("open")
	require.Len(t, open, 1)
	require.Contains(t, open[0].Body, incident)
}

// The name of the database leads to that of another fleet, which has resumed odilo since. A daemon that runs does nothing with it.
func TestDatabaseOfAnotherFleet(t *testing.T) {
	a, other := newHosts(t, 1)[0], newHosts(t, 1)[0]
	for range 2 {
		other.fail("odilo", 3)
		other.resume("odilo")
	}
	a.with(bot.Daemon, func(b *bot.Bot) {
		a.fail("odilo", 3)
		require.NoError(t, b.FollowFlags(ctx))
		testpg.Exchange(t, a.cfg.State, other.cfg.State)
		require.ErrorContains(t, b.FollowFlags(ctx), "another installation")
		_, err := b.Sweep(ctx, escalate.SweepOptions{})
		require.ErrorContains(t, err, "another installation")
		require.Contains(t, fmt.Sprint(b.Ready(ctx).Checks), "another installation")
		require.True(t, a.paused("odilo"))
		require.Len(t, a.issues("open"), 1)
		testpg.Exchange(t, a.cfg.State, other.cfg.State)
		require.NoError(t, b.FollowFlags(ctx))
		require.True(t, a.paused("odilo"))
		require.NoError(t, os.Remove(a.flag("odilo")))
		require.NoError(t, b.FollowFlags(ctx))
	})
	require.Equal(t, "no", a.project("odilo").Paused)
}

// The clock of the database was an hour ahead, and is set right. What was stored by it delays nothing: neither the issue of the next trip,
// nor a sweep, nor a try that had failed.
func TestClockOfTheDatabaseSetBack(t *testing.T) {
	a := newHosts(t, 1)[0]
	a.fail("odilo", 3)
	require.NoError(t, os.Remove(a.flag("odilo")))
	follow(a)
	up := a.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
	a.fail("atlas", 3)
	up()
	a.pass(-time.Hour)
	testpg.Exec(t, a.cfg.State, `UPDATE adfbot.claim SET until = until + interval '1 hour'; UPDATE adfbot.host SET seen_at = seen_at + interval '1 hour'`)
	a.fail("odilo", 3)
	require.Len(t, a.issues("open"), 1)
	for range 3 { // the answer that may have been lost is waited for by today's clock
		a.with(bot.Daemon, func(b *bot.Bot) { _, _ = b.Sweep(ctx, escalate.SweepOptions{}) })
		a.pass(time.Minute)
	}
	require.Len(t, a.issues("open"), 2)
	require.NotNil(t, a.status().LastSweep)
	require.False(t, a.status().LastSweep.At.After(a.now()))
}

// A result behind others that wait says once why they do.
func TestWaitingBehindTheSpoolIsSaidOnce(t *testing.T) {
	a := newFirstHost(t)
	a.fail("odilo", 1)
	a.with(bot.Results, func(b *bot.Bot) {
		_, err := hostlocal.At(a.cfg.LocalDir).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, Finished: noon})
		require.NoError(t, err)
		testpg.Exec(t, a.cfg.State, `ALTER SCHEMA adfbot RENAME TO away`)
		_, err = b.Record(ctx, failure("odilo"))
		require.ErrorIs(t, err, store.ErrUnusable)
		require.Equal(t, 1, strings.Count(err.Error(), "state not usable"), err)
	})
}

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// A host that cannot reach Gitea, or whose token is refused there, leaves it to the others for a while.
func TestGiteaReachedByOneHost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(b *world, env *bot.Env)
		want  string
		token bool // it is taken for a good one
	}{
		"unreachable": {func(_ *world, env *bot.Env) { env.Transport = unreachable{} }, "connection refused", true},
		"old token":   {func(b *world, _ *bot.Env) { b.vars["BOT_TOKEN"] = "revoked" }, "status 401", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			sweep := func(w *world, env bot.Env) error {
				d, err := bot.Open(ctx, w.cfg, bot.Daemon, env)
				require.NoError(t, err)
				defer func() { require.NoError(t, d.Close()) }()
				_, first := d.Sweep(ctx, escalate.SweepOptions{})
				_, second := d.Sweep(ctx, escalate.SweepOptions{})
				require.NoError(t, second)
				require.Equal(t, first == nil, d.GiteaUp())
				require.NoError(t, d.Beat(ctx))
				return first
			}
			env := b.env()
			c.spoil(b, &env)
			trip := func() {
				d, err := bot.Open(ctx, b.cfg, bot.Results, env)
				require.NoError(t, err)
				defer func() { require.NoError(t, d.Close()) }()
				for range 3 {
					_, err := d.Record(ctx, failure("odilo"))
					require.NoError(t, err)
				}
			}
			trip()
			require.True(t, b.paused("odilo"))
			require.ErrorContains(t, sweep(b, env), c.want)
			require.Equal(t, c.token, b.canIssue())
			require.Empty(t, a.issues(""))
			a.pass(time.Minute)
			require.NoError(t, sweep(a, a.env()), "nothing keeps the sweep from another host")
			require.Len(t, a.issues("open"), 1)
		})
	}
}

// A token that is replaced is tried at once: where it was revoked on all hosts, nobody else does the sweep meanwhile.
func TestRefusedTokenReplaced(t *testing.T) {
	t.Parallel()
	w := newHosts(t, 1)[0]
	good := w.vars["BOT_TOKEN"]
	w.vars["BOT_TOKEN"] = "revoked"
	w.fail("odilo", 3)
	d, err := bot.Open(ctx, w.cfg, bot.Daemon, w.env())
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	_, err = d.Sweep(ctx, escalate.SweepOptions{})
	require.ErrorContains(t, err, "status 401")
	_, err = d.Sweep(ctx, escalate.SweepOptions{})
	require.NoError(t, err, "it is left to the others")
	require.NoError(t, d.Beat(ctx))
	require.False(t, w.canIssue())

	w.vars["BOT_TOKEN"] = good
	require.NoError(t, d.Beat(ctx))
	require.True(t, w.canIssue(), "nobody has refused this one")
	w.pass(time.Minute)
	_, err = d.Sweep(ctx, escalate.SweepOptions{})
	require.NoError(t, err)
	require.Len(t, w.issues("open"), 1)
}

// canIssue reports what the other hosts know of this one's token of Gitea.
func (w *world) canIssue() (can bool) {
	w.Helper()
	id, err := hostlocal.At(w.cfg.LocalDir).HostID(ctx)
	require.NoError(w, err)
	w.inFleet(func(f store.Fleet) {
		hosts, err := f.Hosts(ctx)
		require.NoError(w, err)
		n := slices.IndexFunc(hosts, func(h store.Host) bool { return h.ID == id })
		can = hosts[n].CanIssue
	})
	return can
}

// A host that cannot write a flag runs nothing of the project that is paused, and writes the flag as soon as it can.
func TestFlagThatAHostCannotWrite(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	writable := testhost.ReadOnly(t, b.cfg.PauseDir)
	a.fail("odilo", 3)
	_, err := b.sweep()
	require.ErrorContains(t, err, "project odilo is paused on the other hosts, and NOT by a flag on this one")
	r := b.must(bot.ExitPaused, "odilo", "true")
	require.Contains(t, r.stderr, "read-only file system")
	a.inFleet(func(f store.Fleet) {
		missing, err := f.MissingFlags(ctx)
		require.NoError(t, err)
		require.Len(t, missing, 1)
		require.Regexp(t, `^the pause directory on \S+ is not writable: write the file .*/pause/.adfbot.host: read-only file system`, missing[0].Error, "others can tell why")
	})
	require.Len(t, a.issues("open"), 1)
	writable()
	follow(b)
	require.True(t, b.paused("odilo"))
}

// A person is told that the project is paused, though not by a flag on this host.
func TestPauseWhereAHostCannotWriteTheFlag(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	testhost.ReadOnly(t, b.cfg.PauseDir)
	for range 2 {
		_, err := b.pause("odilo", "")
		require.ErrorContains(t, err, "project odilo is paused on the other hosts, and NOT by a flag on this one")
		require.NotContains(t, err.Error(), "odilo is NOT paused")
	}
	follow(a)
	require.True(t, a.paused("odilo"))
}

// The pause directory of a host is on a full disk. An empty flag pauses the project there, the other hosts are told, and nothing is
// concluded from its removal.
func TestFullPauseDirectoryOfAFleet(t *testing.T) {
	t.Parallel()
	for _, here := range []bool{true, false} {
		t.Run(fmt.Sprint("trips on this host: ", here), func(t *testing.T) {
			t.Parallel()
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			dirErrors := func() string {
				return testpg.Text(t, a.cfg.State, `SELECT string_agg(dir_error, ' ') FROM adfbot.host`)
			}
			disk := filepath.Join(b.Dir, "disk")
			testhost.Disk(t, disk, "size=256k")
			b.change("DIR/pause", "DIR/disk/pause")
			b.with(bot.Restore, func(m *bot.Bot) {
				_, err := m.Restore(ctx)
				require.NoError(t, err)
			})
			empty := testhost.Fill(t, disk)
			b.with(bot.Daemon, func(d *bot.Bot) {
				if here {
					b.fail("odilo", 3)
				} else {
					a.fail("odilo", 3)
				}
				for range 2 {
					require.ErrorContains(t, d.Pass(ctx), "no space left on device")
					require.Empty(t, b.Read(b.flag("odilo")))
				}
				require.True(t, bot.Gate(ctx, b.cfg, "odilo").Paused)
				b.must(bot.ExitPaused, "odilo", "true")
				b.must(0, "atlas", "true")
				require.NoError(t, d.Beat(ctx))
				require.Contains(t, dirErrors(), "no space left on device")
				b.Remove(b.flag("odilo"))
				require.Error(t, d.Pass(ctx))
				require.True(t, b.paused("odilo"), "it was not confirmed")
				empty()
				require.NoError(t, d.Pass(ctx))
				require.NoError(t, d.Beat(ctx))
			})
			follow(a)
			require.NotContains(t, dirErrors(), "no space left on device")
			b.Remove(b.flag("odilo"))
			follow(b, a)
			require.False(t, a.paused("odilo"), "it was confirmed")
			require.False(t, b.paused("odilo"))
		})
	}
}

// A host that is cut off pauses a project for the failures in its spool. The state has a success of another host between them; what is said
// of the pause is what the host knew.
func TestIssueOfAPauseByAHostThatWasCutOff(t *testing.T) {
	t.Parallel()
	for what, inParts := range map[string]bool{"at once": false, "the state is away again after two results": true} {
		t.Run(what, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			a.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {host: edge-1}\n")
			fail := func() string {
				k := a.keepOne("odilo", store.Failure)
				a.pass(time.Minute)
				b.pass(time.Minute)
				return k.File
			}
			fail()
			fail()
			b.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success, Finished: b.now()})
			a.pass(time.Minute)
			b.pass(time.Minute)
			last := fail()
			require.True(t, a.paused("odilo"))
			if inParts {
				require.NoError(t, os.Rename(last, a.Path("aside")))
				a.with(bot.Results, func(a *bot.Bot) {
					n, err := a.RecordSpooled(ctx)
					require.NoError(t, err)
					require.Equal(t, 2, n)
				})
				require.NoError(t, os.Rename(a.Path("aside"), last))
			}
			follow(a, b)
			require.True(t, b.paused("odilo"))
			require.Len(t, a.issues("open"), 1)
			issue := a.issues("open")[0]
			require.Equal(t, "[ADF] project-meta on odilo failed 3 consecutively", issue.Title)
			require.Contains(t, issue.Body, "failed 3 times in a row on `edge-1`. That host could not store its results then, and counted no others.")
			require.Contains(t, issue.Body, "| Failures in a row | 3 in the spool of `edge-1` (threshold 3) |")
			p := b.project("odilo")
			require.Equal(t, 1, p.Failures, "since the success")
			require.Contains(t, p.Reason, "project-meta failed 3 times in a row (edge-1, ")
		})
	}
}

// The flag with which a cut-off host has paused a project is like any other once that pause is over: a copy with its time is no pause by hand,
// and neither is the flag itself where the project is resumed elsewhere before that host has looked at it. One that a person puts there is.
func TestFlagOfASpooledPauseThatIsOver(t *testing.T) {
	t.Parallel()
	for what, paused := range map[string]bool{"from a backup of the directory": false, "a copy with its time": false, "touched": true,
		"resumed at once": false, "put back before the host's sweep": false} {
		t.Run(what, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			pass := func() {
				a.pass(time.Minute)
				b.pass(time.Minute)
			}
			for range 3 {
				a.keepOne("odilo", store.Failure)
				pass()
			}
			require.True(t, a.paused("odilo"))
			flag, aside := a.flag("odilo"), a.Path("aside")
			cp := func(from, to string) {
				out, err := exec.Command("cp", "-p", from, to).CombinedOutput()
				require.NoError(t, err, string(out))
			}
			cp(flag, aside)
			goBack := a.snapshot(a.cfg.PauseDir)
			resume := func() {
				_, err := b.resume("odilo")
				require.NoError(t, err)
				pass()
			}
			if what == "resumed at once" {
				a.with(bot.Results, func(a *bot.Bot) {
					_, err := a.RecordSpooled(ctx)
					require.NoError(t, err)
				})
				resume()
			} else {
				follow(a, b)
				require.Len(t, a.issues("open"), 1)
				resume()
				follow(a, b)
				require.False(t, a.paused("odilo"))
			}
			pass()
			switch what {
			case "from a backup of the directory":
				goBack()
			case "a copy with its time":
				cp(aside, flag)
			case "touched":
				cp(aside, flag)
				require.NoError(t, os.Chtimes(flag, time.Time{}, a.now()))
			case "put back before the host's sweep":
				cp(aside, flag)
				follow(b)
			}
			follow(a, b)
			follow(a, b)
			for _, w := range f {
				require.Equal(t, paused, w.paused("odilo"))
				require.Equal(t, paused, w.project("odilo").Held)
			}
			require.Empty(t, a.issues("open"))
			require.Len(t, a.issues("closed"), 1)
		})
	}
}

// The container of a host's daemon is stopped, and its local_dir is there. Nobody is sent to make another one, or to give the host another id.
func TestLocalDirInStoppedContainer(t *testing.T) {
	t.Parallel()
	w := newFirstHost(t)
	w.fail("odilo", 3)
	w.change("projects:", "http:\n  socket: DIR/s\nprojects:")
	require.NoError(t, os.Rename(w.cfg.LocalDir, w.Path("in-the-container")))
	for _, mode := range []bot.Mode{bot.Operate, bot.Results, bot.Restore} {
		_, err := bot.Open(ctx, w.cfg, mode, w.env())
		require.ErrorContains(t, err, "if the daemon runs in a container, its local_dir is there: start it, and use `docker exec`; if its disk")
		require.NoDirExists(t, w.cfg.LocalDir)
	}
	require.Contains(t, w.finding("local_dir", bot.Fail), "if the daemon runs in a container, its local_dir is there")
}

// The disk of local_dir and the pause directory is lost. The state knows what is paused, and both directories have to be those of the bot's user.
func TestBothDirectoriesOfAHostAreLost(t *testing.T) {
	t.Parallel()
	w := newFirstHost(t)
	w.fail("odilo", 3)
	require.NoError(t, os.RemoveAll(w.cfg.LocalDir))
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	v := bot.Gate(ctx, w.cfg, "odilo")
	err := bot.AdviseRestore(ctx, w.cfg, w.env(), v.Err, time.Minute)
	require.ErrorContains(t, err, w.cfg.LocalDir+", which is local_dir, is missing, too: if a disk is not mounted, mount it; if both are lost, run adfbot init, which makes them again, and then adfbot restore")
	require.NoError(t, os.Mkdir(w.cfg.LocalDir, 0o700)) // as init does
	require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755))
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "paused again: odilo")
}
