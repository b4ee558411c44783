package bot_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

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
				r := w.must(bot.ExitNotStarted, id, "touch", w.dir+"/ran")
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
	atPoint = func(s string) {
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
	w.with(bot.Restore, func(b *bot.Bot) {
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
	require.Equal(t, bot.ExitNotStarted, w.exec("third", "true").code)
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
	require.Contains(t, d.Text, "a flag that is missing there was removed by hand")
	require.NoFileExists(t, w.flag("odilo"))
}

func TestIntoAnotherInstallationsDirectoryNothingIsRestored(t *testing.T) {
	w := wiped(t)
	theirs := pause.NewRandomID()
	require.NoError(t, os.WriteFile(w.sentinel(), []byte(theirs+"\n"), 0o644))
	_, err := w.restore()
	require.ErrorContains(t, err, "its sentinel names installation "+theirs)
	require.NoFileExists(t, w.flag("odilo"))
	r := w.must(bot.ExitNotStarted, "odilo", "true")
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
	require.ErrorContains(t, err, "remove it")
	require.ErrorContains(t, err, "a bare touch would resume: atlas, odilo; adfbot restore keeps them paused")
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
	w.inState(func(s store.State) { require.Equal(t, s.Installation(), strings.TrimSpace(w.read(w.sentinel()))) })
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
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		require.ErrorContains(t, b.AdviseRestore(ctx, pause.ErrNoSentinel), "a bare touch would resume: atlas, odilo;",
			"the third's flag is written as soon as the directory is known")
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
	require.Equal(t, bot.ExitNotStarted, w.exec("odilo", "true").code)
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
