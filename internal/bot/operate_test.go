package bot_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

func (w *world) pause(project, why string) (d bot.Done, err error) {
	w.t.Helper()
	w.with(bot.Results, func(b *bot.Bot) { d, err = b.Pause(ctx, project, why) })
	return d, err
}

func (w *world) resume(project string) (d bot.Done, err error) {
	w.t.Helper()
	w.with(bot.Operate, func(b *bot.Bot) { d, err = b.Resume(ctx, project) })
	return d, err
}

func (w *world) restore() (d bot.Done, err error) {
	w.t.Helper()
	w.with(bot.Restoring, func(b *bot.Bot) { d, err = b.Restore(ctx) })
	return d, err
}

// silent turns Gitea off for children, which reach it over the network: nothing listens there.
func (w *world) silent() *world {
	w.change("http://gitea.example", "http://127.0.0.1:1")
	return w
}

func TestAPersonsPauseIsAFlagWithTheReasonAndNoIssue(t *testing.T) {
	w := newWorld(t)
	d, err := w.pause("odilo", "release\nday")
	require.NoError(t, err)
	require.Equal(t, "odilo is paused ("+w.flag("odilo")+"); to resume: adfbot resume odilo", d.Text)
	require.Contains(t, w.read(w.flag("odilo")), "Reason: release day\n")
	require.Contains(t, w.must(bot.ExitPaused, "odilo", "true").stderr, "Reason: release day")
	require.Empty(t, w.sweepWell().Actions, "it is left alone")
	require.Empty(t, w.issues(""))
	p := w.project("odilo")
	require.True(t, p.Held)
	require.Nil(t, p.Incident)

	d, err = w.pause("odilo", "again")
	require.NoError(t, err)
	require.Contains(t, d.Text, "odilo is paused already")
	require.Contains(t, w.read(w.flag("odilo")), "release day")
	d, err = w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo is resumed", d.Text)
	require.NoFileExists(t, w.flag("odilo"))
	d, err = w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo was not paused", d.Text)
}

func TestAPauseThatFailsLeavesEverythingAsItWas(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	writable := readOnly(t, w.cfg.PauseDir)
	_, err := w.pause("odilo", "")
	require.ErrorContains(t, err, "odilo is NOT paused: ")
	require.ErrorContains(t, err, w.flag("odilo"))
	p := w.project("odilo")
	require.Equal(t, 2, p.Failures, "the breaker was not reset")
	require.False(t, p.HalfOpen)
	writable()
	require.Empty(t, w.sweepWell().Actions, "and it is not paused later, when nobody thinks of it any more")
	require.True(t, w.fail("odilo", 1).Tripped)
}

func TestAPauseThatDiesAfterItWasNotedIsMadeByTheNextSweep(t *testing.T) {
	w := newWorld(t).silent()
	w.fail("odilo", 1)
	w.dies(child{Do: "pause", Project: "odilo", KillAt: "hold-noted"})
	require.NoFileExists(t, w.flag("odilo"))
	w.configure(plainConfig)
	require.Equal(t, []string{"write-flag odilo"}, w.kinds(w.sweepWell()))
	require.Contains(t, w.read(w.flag("odilo")), "Reason: for the test")
	require.True(t, w.project("odilo").Held)
}

func TestAResumeThatDiesOnItsWayIsFinishedByTheNextSweep(t *testing.T) {
	for _, step := range []string{"flag-removed", "resume-noted"} {
		t.Run("after "+step, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 3)
			w.step = func(s string) {
				if s == step {
					panic("died")
				}
			}
			// A child could not reach this world's Gitea, so the death is a panic here; the state is closed unsaid.
			b, err := bot.Open(ctx, w.cfg, bot.Operate, w.env())
			require.NoError(t, err)
			require.PanicsWithValue(t, "died", func() { _, _ = b.Resume(ctx, "odilo") })
			w.step = nil
			require.NoError(t, b.Close())
			require.NoFileExists(t, w.flag("odilo"))
			w.sweepWell()
			issue := w.issues("closed")
			require.Len(t, issue, 1)
			require.Len(t, issue[0].Comments, 1)
			p := w.project("odilo")
			require.Equal(t, "no", p.Paused)
			require.True(t, p.HalfOpen)
			require.Zero(t, p.Failures)
		})
	}
}

func TestAResumeThatIsKilledBetweenFlagAndStateResumesAtTheNextResult(t *testing.T) {
	w := newWorld(t).silent()
	w.fail("odilo", 3)
	w.dies(child{Do: "resume", Project: "odilo", KillAt: "flag-removed"})
	require.NoFileExists(t, w.flag("odilo"))
	out := w.fail("odilo", 1)
	require.Equal(t, 1, out.Failures)
	require.False(t, out.Paused())
}

func TestAResumeEndsTheIncidentAndClosesItsIssue(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	w.pass(time.Minute)
	d, err := w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, bot.Done{Text: "odilo is resumed"}, d)
	issue := w.issues("closed")[0]
	require.Contains(t, issue.Comments[0].Body, "with adfbot resume on ")
	require.Empty(t, w.sweepWell().Actions)
	w.must(0, "odilo", "true")
}

func TestAResumeWithGiteaDownResumesAndLeavesTheIssueToTheSweep(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	up := w.gitea.Inject(giteatest.Fault{Do: giteatest.Status(502, "")})
	d, err := w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo is resumed", d.Text)
	require.NotEmpty(t, d.Problems)
	w.must(0, "odilo", "true")
	require.Contains(t, w.project("odilo").Pending[0], "odilo#1: issue to be closed: gitea: ")
	up()
	w.pass(time.Hour)
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
}

func TestAnIncidentWhoseFlagCouldNotBeWrittenCanBeResumed(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	writable := readOnly(t, w.cfg.PauseDir)
	w.fail("odilo", 1)
	_, err := w.resume("odilo")
	if err != nil { // removing a flag that is not there may need a directory that can be synced, nothing more
		writable()
		_, err = w.resume("odilo")
	}
	require.NoError(t, err)
	writable()
	w.sweepWell()
	require.NoFileExists(t, w.flag("odilo"))
	require.Len(t, w.issues("closed"), 1)
}

func TestAProjectThatLeftTheConfigurationIsStillKnownWhileItIsPaused(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	w.change("  - id: odilo\n", "")
	w.with(bot.Operate, func(b *bot.Bot) {
		for id, want := range map[string]bool{"odilo": true, "nobody": false, "atlas": false} {
			known, err := b.Knows(ctx, id)
			require.NoError(t, err)
			require.Equal(t, want, known, id)
		}
	})
	require.Empty(t, w.sweepWell().Actions)
	w.rm(w.flag("odilo"))
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
}

// wiped is a world in which odilo has an incident and atlas a hold, and whose directory was emptied.
func wiped(t *testing.T) *world {
	w := newWorld(t)
	w.fail("odilo", 3)
	_, err := w.pause("atlas", "release day")
	require.NoError(t, err)
	w.wipe()
	return w
}

func (w *world) wipe() {
	w.t.Helper()
	w.rm(w.cfg.PauseDir)
	require.NoError(w.t, os.Mkdir(w.cfg.PauseDir, 0o755))
}

func TestInAWipedDirectoryNothingIsClosedAndNothingRunsAndBothWaysOutAreNamed(t *testing.T) {
	for what, damage := range map[string]func(w *world){
		"wiped": func(*world) {},
		"gone":  func(w *world) { w.rm(w.cfg.PauseDir) },
	} {
		t.Run(what, func(t *testing.T) {
			w := wiped(t)
			damage(w)
			w.change("  - id: odilo\n", "  - id: odilo\n  - id: third\n")
			for range 2 {
				rep, err := w.sweep()
				require.ErrorContains(t, err, "adfbot restore")
				require.ErrorContains(t, err, "a bare touch would resume: atlas, odilo; adfbot restore keeps them paused")
				require.Empty(t, rep.Actions)
			}
			for _, id := range []string{"odilo", "atlas", "third"} {
				r := w.must(bot.ExitNotBegun, id, "touch", w.dir+"/ran")
				require.Contains(t, r.stderr, "it is not known whether "+id+" is paused, so nothing is run")
				require.Equal(t, "unknown", w.project(id).Paused)
			}
			require.NoFileExists(t, w.dir+"/ran")
			require.Contains(t, strings.Join(w.status().Problems, "\n"), "a bare touch would resume: atlas, odilo")
			_, err := w.resume("odilo")
			require.ErrorContains(t, err, "a bare touch would resume: atlas, odilo", "nobody is resumed in a directory that is not known")
			_, err = w.pause("third", "")
			require.ErrorContains(t, err, "a bare touch would resume: atlas, odilo")
			require.True(t, w.record(failure("third")).Counted, "a result is stored all the same")
			require.Len(t, w.issues("open"), 1)
		})
	}
}

func TestRestoreBringsEveryFlagBackAndThenTheSentinel(t *testing.T) {
	w := wiped(t)
	w.step = func(s string) {
		if s == "flags-restored" {
			require.NoFileExists(t, w.sentinel())
			require.FileExists(t, w.flag("odilo"))
			require.FileExists(t, w.flag("atlas"))
		}
	}
	d, err := w.restore()
	require.NoError(t, err)
	require.Equal(t, w.cfg.PauseDir+" is restored; paused again: atlas, odilo", d.Text)
	require.Contains(t, w.read(w.flag("odilo")), "incident: odilo#1 ")
	require.Contains(t, w.read(w.flag("atlas")), "Reason: release day")
	require.Empty(t, w.sweepWell().Actions)
	w.must(bot.ExitPaused, "odilo", "true")
	w.must(bot.ExitPaused, "atlas", "true")

	d, err = w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "nothing to restore: "+w.cfg.PauseDir+" has its sentinel")
}

func TestADirectoryThatRootRestoresBelongsToWhomTheStateBelongs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	w := newWorld(t)
	w.fail("odilo", 3)
	require.NoError(t, os.Chown(w.cfg.State, 65534, 65534))
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	w.with(bot.Restoring, func(b *bot.Bot) {
		_, err := b.Restore(ctx)
		require.NoError(t, err)
	})
	for _, path := range []string{w.cfg.PauseDir, w.flag("odilo"), w.sentinel()} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.EqualValues(t, 65534, info.Sys().(*syscall.Stat_t).Uid, path)
	}
}

func TestARestoreThatDiesBeforeTheSentinelCanBeDoneAgain(t *testing.T) {
	w := wiped(t).silent()
	w.dies(child{Do: "restore", KillAt: "flags-restored"})
	require.NoFileExists(t, w.sentinel())
	require.Equal(t, bot.ExitNotBegun, w.exec("third", "true").code)
	_, err := w.restore()
	require.NoError(t, err)
	w.must(bot.ExitPaused, "odilo", "true")
}

func TestWhereTheSentinelIsThereNothingIsRestored(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	w.rm(w.flag("odilo"))
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "a flag that is missing there was removed by a person")
	require.NoFileExists(t, w.flag("odilo"))
}

func TestIntoAnotherInstallationsDirectoryNothingIsRestored(t *testing.T) {
	w := wiped(t)
	theirs := store.NewID()
	require.NoError(t, os.WriteFile(w.sentinel(), []byte(theirs+"\n"), 0o644))
	_, err := w.restore()
	require.ErrorContains(t, err, "its sentinel names installation "+theirs)
	require.NoFileExists(t, w.flag("odilo"))
	r := w.must(bot.ExitNotBegun, "odilo", "true")
	require.Contains(t, r.stderr, theirs)
	rep, err := w.sweep()
	require.ErrorContains(t, err, "belongs to another installation")
	require.Empty(t, rep.Actions)
}

func TestADamagedSentinelIsNotRestoredOver(t *testing.T) {
	w := wiped(t)
	require.NoError(t, os.WriteFile(w.sentinel(), []byte("what is this"), 0o644))
	_, err := w.restore()
	require.ErrorContains(t, err, "damaged")
	require.NoFileExists(t, w.flag("odilo"))
}

func TestAfterABareTouchRestoreStillBringsBackWhatNobodyHasNoticed(t *testing.T) {
	w := wiped(t)
	w.touch(w.sentinel())
	_, err := w.restore()
	require.NoError(t, err)
	w.must(bot.ExitPaused, "odilo", "true")
	require.NotEmpty(t, strings.TrimSpace(w.read(w.sentinel())))
}

func TestABareTouchResumesWhatHadAFlagAndIsGivenTheInstallationsID(t *testing.T) {
	w := wiped(t)
	w.touch(w.sentinel())
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
	w.inState(func(s *store.Store) { require.Equal(t, s.Installation(), strings.TrimSpace(w.read(w.sentinel()))) })
	w.must(0, "odilo", "true")
	w.must(0, "atlas", "true")
}

func TestAFlagThatWasNeverWrittenIsNotAmongThoseThatATouchWouldResume(t *testing.T) {
	w := wiped(t).silent()
	w.change("  - id: odilo\n", "  - id: odilo\n  - id: third\n")
	_, err := w.restore()
	require.NoError(t, err)
	w.dies(child{Do: "pause", Project: "third", KillAt: "hold-noted"})
	w.wipe()
	w.with(bot.Look, func(b *bot.Bot) {
		ids, err := b.WouldResume(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"atlas", "odilo"}, ids, "the third's flag is written as soon as the directory is known")
	})
	w.touch(w.sentinel())
	w.configure(strings.ReplaceAll(w.yaml, "http://127.0.0.1:1", "http://gitea.example"))
	_, _ = w.sweep()
	require.FileExists(t, w.flag("third"))
}

func TestAChangedPauseDirIsRefusedUntilItIsRestored(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	old := w.flag("odilo")
	w.change("DIR/pause", "DIR/elsewhere")
	w.with(bot.Daemon, func(*bot.Bot) {})
	for range 2 {
		rep, err := w.sweep()
		require.ErrorContains(t, err, "pause_dir was changed from "+w.dir+"/pause to "+w.dir+"/elsewhere while 1 incidents or holds depend on it: run `adfbot restore`")
		require.Empty(t, rep.Actions)
	}
	require.Equal(t, bot.ExitNotBegun, w.exec("odilo", "true").code)
	require.Len(t, w.issues("open"), 1)
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "paused again: odilo")
	require.Empty(t, w.sweepWell().Actions)
	w.must(bot.ExitPaused, "odilo", "true")
	require.FileExists(t, old, "the old one is the operator's to remove")
}

func TestAChangedPauseDirWithoutAnythingPausedIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 1)
	w.change("DIR/pause", "DIR/elsewhere")
	w.must(0, "odilo", "true")
	require.FileExists(t, w.sentinel())
	require.Empty(t, w.sweepWell().Actions)
}

func TestAChangedGiteaURLIsRefusedUntilItIsConfirmed(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3)
	w.change("http://gitea.example", "http://new.example")
	w.gitea.SetBaseURL("http://new.example")
	w.gitea.ResetRequests()
	w.rm(w.flag("odilo"))
	_, err := w.sweep()
	require.ErrorContains(t, err, "gitea.url was changed from http://gitea.example to http://new.example")
	require.ErrorContains(t, err, "adfbot sweep --confirm-gitea-url")
	require.Empty(t, w.gitea.Requests())
	require.Equal(t, "no", w.project("odilo").Paused, "what needs no Gitea goes on")
	w.must(0, "odilo", "true")
	require.Contains(t, strings.Join(w.status().Problems, "\n"), "gitea.url was changed")

	w.with(bot.Operate, func(b *bot.Bot) { require.NoError(t, b.ConfirmURL(ctx)) })
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
}

func TestWithoutUnfinishedIncidentsAChangedGiteaURLIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 1)
	w.change("http://gitea.example", "http://new.example")
	w.sweepWell()
	w.fail("odilo", 2)
	require.Len(t, w.issues("open"), 1)
}
