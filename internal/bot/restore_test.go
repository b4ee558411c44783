package bot_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
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
	w.Helper()
	w.Remove(w.cfg.PauseDir)
	require.NoError(w, os.Mkdir(w.cfg.PauseDir, 0o755))
}

// Nothing is closed, nothing runs, and both ways out are named.
func TestWipedDirectory(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(w *world){
		"wiped": func(*world) {},
		"gone":  func(w *world) { w.Remove(w.cfg.PauseDir) },
	} {
		t.Run(what, func(t *testing.T) {
			w := wiped(t)
			damage(w)
			w.change("  - id: odilo\n", "  - id: odilo\n  - id: third\n")
			for range 2 {
				rep, err := w.sweep()
				require.ErrorContains(t, err, "adfbot restore")
				require.ErrorContains(t, err, "adfbot restore pauses these again: atlas, odilo; creating only the sentinel would resume them\nrun: ")
				require.ErrorContains(t, err, "adfbot restore --config "+w.cfg.Path)
				require.Empty(t, rep.Actions)
			}
			for _, id := range []string{"odilo", "atlas", "third"} {
				r := w.must(bot.ExitNotStarted, id, "touch", w.Dir+"/ran")
				require.Contains(t, r.stderr, "it is not known whether "+id+" is paused, so nothing is run")
				require.Equal(t, "unknown", w.project(id).Paused)
			}
			require.NoFileExists(t, w.Dir+"/ran")
			require.Contains(t, strings.Join(w.status().Problems, "\n"), "adfbot restore pauses these again: atlas, odilo")
			_, err := w.resume("odilo")
			require.ErrorContains(t, err, "adfbot restore pauses these again: atlas, odilo", "nobody is resumed in a directory that is not known")
			_, err = w.pause("third", "")
			require.ErrorContains(t, err, "adfbot restore pauses these again: atlas, odilo")
			require.True(t, w.record(failure("third")).Counted, "a result is stored all the same")
			require.Len(t, w.issues("open"), 1)
		})
	}
}

// A restore writes every flag again, and then the sentinel.
func TestRestore(t *testing.T) {
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
	require.Contains(t, w.Read(w.flag("odilo")), "incident: odilo#1 ")
	require.Contains(t, w.Read(w.flag("atlas")), "Reason: release day")
	require.Empty(t, w.sweepWell().Actions)
	w.must(bot.ExitPaused, "odilo", "true")
	w.must(bot.ExitPaused, "atlas", "true")

	d, err = w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "nothing to restore: "+w.cfg.PauseDir+" has its sentinel")
}

// Those who may write the directory of the state may write the restored one. The state file may belong to any of them.
func TestRestoreAsRoot(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to make files for another user")
	for state, want := range map[os.FileMode]os.FileMode{0o700: 0o755, 0o770 | os.ModeSetgid: 0o775 | os.ModeSetgid} {
		w := newWorld(t)
		w.fail("odilo", 3)
		require.NoError(t, os.Chown(w.Path("state"), testhost.Nobody, testhost.Nobody))
		require.NoError(t, os.Chmod(w.Path("state"), state))
		check := func(names ...string) {
			for _, path := range names {
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.EqualValues(t, testhost.Nobody, info.Sys().(*syscall.Stat_t).Uid, path)
			}
			info, err := os.Stat(w.cfg.PauseDir)
			require.NoError(t, err)
			require.Equal(t, want|os.ModeDir, info.Mode())
		}
		require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
		_, err := w.restore()
		require.NoError(t, err)
		check(w.cfg.PauseDir, w.flag("odilo"), w.sentinel())

		require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
		require.NoError(t, os.Remove(w.cfg.State))
		require.NoError(t, os.RemoveAll(w.cfg.LocalDir))
		w.fail("odilo", 1) // the first result creates it, too
		check(w.cfg.PauseDir, w.sentinel())
	}
}

// A pause directory in memory is empty after a reboot: whatever runs first writes the flags again, and the sentinel last. In the same
// boot somebody has emptied it, and on a disk it may not be mounted: that is left to people.
func TestReboot(t *testing.T) {
	t.Parallel()
	const before, after = "before", "after"
	first := map[string]func(w *world) error{
		"exec":  func(w *world) error { w.must(bot.ExitPaused, "odilo", "true"); return nil },
		"sweep": func(w *world) error { _, err := w.sweep(); return err },
		"a sweep of a daemon": func(w *world) error {
			var err error
			w.boot = before // the directory is mounted after the daemon has started
			w.with(bot.Daemon, func(b *bot.Bot) {
				w.boot = after
				_, err = b.Sweep(ctx, escalate.SweepOptions{})
			})
			return err
		},
	}
	for what, do := range first {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			testhost.Disk(t, w.cfg.PauseDir, "size=1m")
			w.boot = before
			w.fail("odilo", 3)
			_, err := w.pause("atlas", "release day")
			require.NoError(t, err)
			w.fail("quick", 1)
			w.Remove(w.flag("quick")) // a resume
			w.sweepWell()
			empty := func() {
				for _, id := range []string{w.flag("odilo"), w.flag("atlas"), w.sentinel()} {
					w.Remove(id)
				}
			}
			empty()
			_, err = w.sweep()
			require.ErrorContains(t, err, "adfbot restore pauses these again: atlas, odilo", "the boot is the same")
			require.NoFileExists(t, w.flag("odilo"))

			w.boot = after
			require.NoError(t, do(w))
			require.FileExists(t, w.sentinel())
			require.FileExists(t, w.flag("odilo"))
			require.Contains(t, w.Read(w.flag("atlas")), "release day")
			require.NoFileExists(t, w.flag("quick"))
			w.sweepWell()
			require.Len(t, w.issues("open"), 1)
			w.Remove(w.flag("odilo"))
			w.sweepWell()
			require.Equal(t, "no", w.project("odilo").Paused)
		})
	}
	t.Run("on a disk", func(t *testing.T) {
		w := newWorld(t)
		w.change("DIR/pause", testhost.Ext4(t)+"/pause")
		w.boot = before
		w.fail("odilo", 3)
		w.wipe()
		w.boot = after
		_, err := w.sweep()
		require.ErrorContains(t, err, "adfbot restore pauses these again: odilo")
		require.NoFileExists(t, w.flag("odilo"))
	})
	t.Run("mounted in memory since", func(t *testing.T) {
		w := newWorld(t)
		w.change("DIR/pause", testhost.Ext4(t)+"/pause")
		w.boot = before
		w.fail("odilo", 3)
		w.Remove(w.cfg.PauseDir)
		testhost.Disk(t, w.cfg.PauseDir, "size=1m")
		w.boot = after
		_, err := w.sweep()
		require.ErrorContains(t, err, "adfbot restore pauses these again: odilo", "it was on a disk")
	})
}

// Flags that only the spool knows are written again, too: of failures that nothing could store, and of a person.
func TestFlagsOfTheSpoolAreRestored(t *testing.T) {
	t.Parallel()
	restore := func(t *testing.T, w *world) {
		_, err := w.restore()
		require.NoError(t, err)
	}
	for what, fill := range map[string]func(t *testing.T, w *world){
		"restore":       restore,
		"after a sweep": func(t *testing.T, w *world) { _, err := w.sweep(); require.Error(t, err); restore(t, w) },
		"after a result": func(t *testing.T, w *world) { // it creates the directory only as long as no flag was ever written
			w.record(failure("quick")) // takes them in
			w.record(failure("quick"))
			require.NoFileExists(t, w.sentinel())
			restore(t, w)
		},
		"reboot": func(t *testing.T, w *world) { w.boot = "after"; w.must(bot.ExitPaused, "odilo", "true") },
	} {
		for _, earlier := range []string{"no flag", "a flag"} {
			t.Run(what+", "+earlier, func(t *testing.T) {
				w := newWorld(t)
				testhost.Disk(t, w.cfg.PauseDir, "size=1m")
				w.boot = "before"
				w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
				if earlier == "a flag" {
					w.fail("quick", 3)
				}
				repair := damage["corrupt"](t, w)
				for range 3 {
					w.failLater("odilo")
				}
				w.Write(w.flag("atlas"), "we move the machine")
				_, err := bot.Keep(ctx, w.cfg, nil, failure("atlas"), w.now)
				require.NoError(t, err)
				for _, name := range []string{"odilo", "atlas"} {
					w.Remove(w.flag(name))
				}
				w.Remove(w.sentinel())
				repair()
				fill(t, w)
				w.sweepWell()
				require.Empty(t, w.spool())
				require.Equal(t, "yes", w.project("odilo").Paused)
				require.Equal(t, "odilo#1", w.project("odilo").Incident.Name)
				require.True(t, w.project("atlas").Held)
				open := w.issues("open")
				require.Contains(t, open[len(open)-1].Body, "it failed")
			})
		}
	}
}

// A restore that dies before the sentinel can be run again.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	w := wiped(t).silent()
	w.dies(child{Do: "restore", KillAt: "flags-restored"})
	require.NoFileExists(t, w.sentinel())
	require.Equal(t, bot.ExitNotStarted, w.exec("third", "true").code)
	_, err := w.restore()
	require.NoError(t, err)
	w.must(bot.ExitPaused, "odilo", "true")
}

// Nothing is restored where the sentinel is there.
func TestRestoreWithSentinel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "a flag that is missing there was removed by hand")
	require.NoFileExists(t, w.flag("odilo"))
}

// Nothing is restored into another installation's directory.
func TestRestoreIntoForeignDirectory(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	theirs := pause.NewRandomID()
	w.Write(w.sentinel(), theirs+"\n")
	_, err := w.restore()
	require.ErrorContains(t, err, "its sentinel names installation "+theirs)
	require.NoFileExists(t, w.flag("odilo"))
	r := w.must(bot.ExitNotStarted, "odilo", "true")
	require.Contains(t, r.stderr, theirs)
	rep, err := w.sweep()
	require.ErrorContains(t, err, "belongs to another installation")
	require.Empty(t, rep.Actions)
}

// Nothing is restored over a damaged sentinel.
func TestRestoreWithDamagedSentinel(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	w.Write(w.sentinel(), "what is this")
	_, err := w.restore()
	require.ErrorContains(t, err, "damaged")
	require.ErrorContains(t, err, "remove it")
	require.ErrorContains(t, err, "\nonce the sentinel is removed, adfbot restore pauses these again: atlas, odilo; creating only the sentinel would resume them")
	require.NoFileExists(t, w.flag("odilo"))
	require.Contains(t, w.must(bot.ExitNotStarted, "odilo", "true").stderr, "once the sentinel is removed, adfbot restore")
}

// Restore still brings back what nobody has noticed.
func TestRestoreAfterTouch(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	w.Touch(w.sentinel())
	_, err := w.restore()
	require.NoError(t, err)
	w.must(bot.ExitPaused, "odilo", "true")
	require.NotEmpty(t, strings.TrimSpace(w.Read(w.sentinel())))
}

// A bare touch of the sentinel resumes what had a flag, and the sentinel gets the installation's id.
func TestTouchInWipedDirectory(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	w.Touch(w.sentinel())
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
	w.inState(func(s store.State) { require.True(t, strings.HasPrefix(w.Read(w.sentinel()), s.Installation()+" ")) })
	w.must(0, "odilo", "true")
	w.must(0, "atlas", "true")
}

// A process that dies between the sentinel with the new id and the state's knowledge of it leaves the right pause directory.
func TestTouchAndDeathBeforeTheStateKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.Write(w.sentinel(), "")
	w.dies(child{Do: "record", Project: "atlas", KillAt: "sentinel-renewed"})
	named := w.Read(w.sentinel())
	w.sweepWell()
	require.Equal(t, named, w.Read(w.sentinel()))
	w.must(bot.ExitPaused, "odilo", "true")
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.Empty(t, w.issues("open"))
}

// A restore and the first result make the pause directory at once: one of them waits for the other, so that the state knows the directory.
func TestRestoreWhileTheDirectoryIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	renewed, made, restored := make(chan struct{}), make(chan struct{}), make(chan struct{})
	restore := func() {
		defer close(restored)
		w.with(bot.Restore, func(b *bot.Bot) {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond) // for which it waits
			defer cancel()
			_, _ = b.Restore(fault.With(ctx, func(step string) {
				if step == "sentinel-renewed" {
					close(renewed)
					<-made
				}
			}))
		})
	}
	b, err := bot.Open(fault.With(ctx, func(step string) {
		if step != "sentinel-announced" {
			return
		}
		go restore()
		select {
		case <-renewed:
		case <-restored:
		}
	}), w.cfg, bot.Results, w.env())
	require.NoError(t, err)
	for range 3 { // a directory without flags could be made anew
		_, err = b.Record(ctx, failure("odilo"))
		require.NoError(t, err)
	}
	require.NoError(t, b.Close())
	close(made)
	<-restored
	w.must(bot.ExitPaused, "odilo", "true")
	w.with(bot.Restore, func(b *bot.Bot) {
		done, err := b.Restore(ctx)
		require.NoError(t, err)
		require.Contains(t, done.Text, "nothing to restore")
	})
}

// A flag that was never written is not among those that a touch would resume.
func TestTouchAndUnwrittenFlag(t *testing.T) {
	t.Parallel()
	w := wiped(t).silent()
	w.change("  - id: odilo\n", "  - id: odilo\n  - id: third\n")
	_, err := w.restore()
	require.NoError(t, err)
	w.dies(child{Do: "pause", Project: "third", KillAt: "hold-noted"})
	w.wipe()
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		require.ErrorContains(t, b.AdviseRestore(ctx, pause.ErrNoSentinel), "adfbot restore pauses these again: atlas, odilo;",
			"the third's flag is written as soon as the directory is known")
	})
	w.Touch(w.sentinel())
	w.configure(strings.ReplaceAll(w.yaml, "http://127.0.0.1:1", "http://gitea.example"))
	_, _ = w.sweep()
	require.FileExists(t, w.flag("third"))
}

// An old copy of the state does not know the incident of a flag that is there.
func TestRestoreWithOldState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	old := w.copyState()
	w.fail("odilo", 2)
	old()
	require.NoError(t, os.Remove(w.sentinel()))
	d, err := w.restore()
	require.NoError(t, err)
	require.Equal(t, w.cfg.PauseDir+" is ready; the state knows of no paused project", d.Text)
	w.sweepWell()
	w.must(bot.ExitPaused, "odilo", "true")
}

// A changed pause_dir is refused until it is restored.
func TestChangedPauseDir(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	old := w.flag("odilo")
	w.vars["PATH"] = t.TempDir()
	require.NoError(t, os.WriteFile(w.vars["PATH"]+"/sudo", nil, 0o755))
	command := hostlocal.BotUser(w.cfg.OwnPath()).RunAs(w.vars["PATH"]) + "adfbot restore --config " + w.Path("config.yaml") // with sudo, unless this is a person
	w.change("DIR/pause", "DIR/elsewhere")
	w.with(bot.Daemon, func(*bot.Bot) {})
	for range 2 {
		rep, err := w.sweep()
		require.ErrorContains(t, err, "pause_dir was changed from "+w.Dir+"/pause to "+w.Dir+"/elsewhere while 1 incident or hold depends on it: run `"+command+"`")
		require.Empty(t, rep.Actions)
	}
	require.Equal(t, bot.ExitNotStarted, w.exec("odilo", "true").code)
	require.Len(t, w.issues("open"), 1)
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "paused again: odilo")
	require.Equal(t, []string{"name-flag odilo"}, w.kinds(w.sweepWell()), "in the issue")
	require.Empty(t, w.sweepWell().Actions)
	w.must(bot.ExitPaused, "odilo", "true")
	require.FileExists(t, old, "the old one is the operator's to remove")
}

// After the pause directory has moved, the open issue names the flag's new path. Nothing else in it changes.
func TestIssueOfMovedPauseDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	old := w.cfg.PauseDir + "/odilo"
	issue := w.issues("open")[0]
	require.Contains(t, issue.Body, "rm "+old)
	note := "Seen by kim: not " + old + "-2, /srv" + old + ", " + old + ".bak or " + old + "/x.\n\n"
	w.Gitea.As(testworld.Bot).EditBody(repo, issue.Number, note+issue.Body)
	w.change("DIR/pause", "DIR/moved")
	_, err := w.restore()
	require.NoError(t, err)

	// An answer that is lost does not change it twice, and a refusal is tried again.
	w.Gitea.Inject(giteatest.Fault{Match: giteatest.EditIssue(), Times: 1, Do: giteatest.LostAnswer()})
	_, err = w.sweep()
	require.Error(t, err)
	w.pass(time.Minute)
	_, err = w.sweep()
	require.NoError(t, err)
	now := w.flag("odilo")
	require.NotEqual(t, old, now)
	require.Equal(t, note+strings.ReplaceAll(issue.Body, old, now), w.issues("open")[0].Body)

	w.Gitea.ResetRequests()
	_, err = w.sweep()
	require.NoError(t, err)
	for _, r := range w.Gitea.Requests() {
		require.Equal(t, "GET", r.Method, "once")
	}
	_, err = w.resume("odilo")
	require.NoError(t, err)
	_, err = w.sweep()
	require.NoError(t, err)
	require.Len(t, w.issues("closed"), 1, "the marker is there as before")
}

// A flag that was moved with its directory names itself where it is now, to whoever asks.
func TestFlagOfMovedPauseDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	_, err := w.pause("atlas", "release day")
	require.NoError(t, err)
	was := w.cfg.PauseDir
	require.NoError(t, os.Rename(was, w.Dir+"/moved"))
	w.change("DIR/pause", "DIR/moved")
	_, err = w.restore()
	require.NoError(t, err)
	for _, id := range []string{"odilo", "atlas"} {
		require.Contains(t, w.Read(w.flag(id)), "or remove the file "+was+"/"+id+"\n", "as it was written")
		said := w.must(bot.ExitPaused, id, "true").stderr
		require.Contains(t, said, "or remove the file "+w.flag(id)+"\n")
		require.NotContains(t, said, was+"/")
	}
}

// A changed pause_dir is taken over where nothing is paused.
func TestChangedPauseDirTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.change("DIR/pause", "DIR/elsewhere")
	w.must(0, "odilo", "true")
	require.FileExists(t, w.sentinel())
	require.Empty(t, w.sweepWell().Actions)
}

// A changed gitea.url is refused until it is confirmed.
func TestChangedGiteaURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.change("http://gitea.example", "http://new.example")
	w.Gitea.SetBaseURL("http://new.example")
	w.Gitea.ResetRequests()
	w.Remove(w.flag("odilo"))
	_, err := w.sweep()
	require.ErrorContains(t, err, "gitea.url was changed from http://gitea.example to http://new.example")
	require.ErrorContains(t, err, "adfbot sweep --confirm-gitea-url")
	require.Empty(t, w.Gitea.Requests())
	require.Equal(t, "no", w.project("odilo").Paused, "what needs no Gitea goes on")
	w.must(0, "odilo", "true")
	require.Contains(t, strings.Join(w.status().Problems, "\n"), "gitea.url was changed")

	w.cfg.Gitea.TokenEnv, w.cfg.Gitea.TokenFile = "", "$CREDENTIALS_DIRECTORY/token" // systemd hands it to the daemon
	_, err = w.sweep()
	require.ErrorContains(t, err, "CREDENTIALS_DIRECTORY="+w.Dir+" adfbot sweep --confirm-gitea-url")
	w.cfg.Gitea.TokenEnv, w.cfg.Gitea.TokenFile = "BOT_TOKEN", ""

	w.with(bot.Operate, func(b *bot.Bot) { require.NoError(t, b.ConfirmURL(ctx)) })
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
}

// A changed gitea.url is taken over where no incident is unfinished.
func TestChangedGiteaURLTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.change("http://gitea.example", "http://new.example")
	w.sweepWell()
	w.fail("odilo", 2)
	require.Len(t, w.issues("open"), 1)
}

// What lies under a mount point may have a sentinel, from a start before the file system was mounted, and so may what was mounted
// first. Neither is taken for the directory with the flags.
func TestPauseDirectoryUnderAMountPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success})
	require.FileExists(t, w.sentinel())
	mount := func(hide, show string) { // the first directory is no longer seen, the second one is
		require.NoError(t, os.Rename(w.cfg.PauseDir, w.Path(hide)))
		require.NoError(t, os.Rename(w.Path(show), w.cfg.PauseDir))
	}
	require.NoError(t, os.Mkdir(w.Path("disk"), 0o755))
	mount("under", "disk")
	w.fail("odilo", 3)
	require.FileExists(t, w.flag("odilo"), "no flag was ever written, so the empty directory is good")
	require.Len(t, w.issues("open"), 1)

	mount("disk", "under")
	_, err := w.sweep()
	require.ErrorIs(t, err, pause.ErrOtherDirectory)
	require.ErrorContains(t, err, "adfbot restore writes the flags of all paused projects to it; if that was done, restart the daemon")
	require.Len(t, w.issues("open"), 1)
	w.must(bot.ExitNotStarted, "odilo", "true")
	require.ErrorIs(t, bot.Gate(ctx, w.cfg, "odilo").Err, pause.ErrOtherDirectory)

	mount("under", "disk")
	w.sweepWell()
	require.Equal(t, bot.Verdict{}, bot.Gate(ctx, w.cfg, "atlas"))
	require.Len(t, w.issues("open"), 1)
	w.must(bot.ExitPaused, "odilo", "true")

	mount("disk", "under")
	w.with(bot.Restore, func(b *bot.Bot) {
		done, err := b.Restore(ctx)
		require.NoError(t, err)
		require.Contains(t, done.Text, "paused again: odilo")
	})
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	w.must(bot.ExitPaused, "odilo", "true")
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.Empty(t, w.issues("open"))
	require.Equal(t, bot.Verdict{}, bot.Gate(ctx, w.cfg, "odilo"))
	mount("under", "disk")
	w.must(bot.ExitNotStarted, "atlas", "true")
	require.ErrorIs(t, bot.Gate(ctx, w.cfg, "atlas").Err, pause.ErrOtherDirectory)
}

// The gate compares the sentinel with the copy beside the state. Without a copy, or one that this user may read, it compares nothing. An
// outdated copy is replaced by the next command that opens the state for writing.
func TestGateComparesTheSentinel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	ours := w.Read(w.sentinel())
	gate := func() error { return bot.Gate(ctx, w.cfg, "odilo").Err }
	id := pause.NewRandomID()
	w.Write(w.sentinel(), id+" "+pause.NewRandomID()+"\n")
	require.ErrorIs(t, gate(), pause.ErrOtherInstallation)
	w.Write(w.sentinel(), ours)
	require.NoError(t, gate())

	w.Remove(w.cfg.State + ".d/" + pause.SentinelName)
	require.NoError(t, gate())
	w.Write(w.cfg.State+".d/"+pause.SentinelName, id+" "+id+"\n")
	require.ErrorIs(t, gate(), pause.ErrOtherInstallation)
	w.fail("odilo", 1)
	require.NoError(t, gate())
	require.Equal(t, ours, w.Read(w.cfg.State+".d/"+pause.SentinelName))
}

// A sentinel of an earlier version has no id of the directory. It gets one, and a state that has lost it takes it over.
func TestPauseDirectoryGetsItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	forget := func() {
		w.inState(func(s store.State) { require.NoError(t, s.SetMeta(ctx, "pause_dir_id", "")) })
	}
	w.inState(func(s store.State) { w.Write(w.sentinel(), s.Installation()+"\n") })
	forget()
	w.sweepWell()
	named := w.Read(w.sentinel())
	require.Regexp(t, `^[0-9a-f]{32} [0-9a-f]{32}\n$`, named)
	w.sweepWell()
	require.Equal(t, named, w.Read(w.sentinel()))

	forget()
	w.sweepWell()
	require.Equal(t, named, w.Read(w.sentinel()))
	w.must(bot.ExitPaused, "odilo", "true")

	w.inState(func(s store.State) { w.Write(w.sentinel(), s.Installation()+"\n") })
	_, err := w.sweep()
	require.ErrorIs(t, err, pause.ErrOtherDirectory, "an old copy")
}

// What the last sweep said of the directory is over once it is restored.
func TestStatusAfterRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.fail("atlas", 2)
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	_, _ = w.sweep()
	require.NotEmpty(t, w.status().Problems)
	w.with(bot.Restore, func(b *bot.Bot) {
		_, err := b.Restore(ctx)
		require.NoError(t, err)
	})
	require.Empty(t, w.status().Problems)
}

// A container that mounts the pause directory goes on with the one that was removed on the machine: restore cannot write to it.
func TestRestoreIntoARemovedDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	mounted, err := os.Open(w.cfg.PauseDir)
	require.NoError(t, err)
	t.Cleanup(func() { mounted.Close() })
	w.Remove(w.cfg.PauseDir)
	require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755))
	w.cfg.PauseDir = fmt.Sprintf("/proc/self/fd/%d", mounted.Fd())
	w.with(bot.Restore, func(b *bot.Bot) {
		_, err := b.Restore(t.Context())
		require.ErrorIs(t, err, pause.ErrRemoved)
		require.ErrorContains(t, err, "then restart the container")
		require.ErrorContains(t, err, "adfbot restore pauses these again: odilo")
	})
}

// Where the state and the pause directory are lost, a run or a daemon that comes before anybody looks makes a new state, and no new pause
// directory: what was paused would run.
func TestNewStateBesideALostPauseDir(t *testing.T) {
	t.Parallel()
	for _, mode := range []bot.Mode{bot.Results, bot.Daemon} {
		w := newWorld(t)
		w.fail("odilo", 3)
		for _, path := range []string{w.cfg.PauseDir, w.cfg.State, w.cfg.State + "-wal", w.cfg.State + "-shm"} {
			require.NoError(t, os.RemoveAll(path))
		}
		w.with(mode, func(*bot.Bot) {})
		ran := w.exec("odilo", "true")
		require.Equal(t, 125, ran.code, ran.stderr)
		require.NoDirExists(t, w.cfg.PauseDir)
		const lost = "the state is new, and nobody knows what was paused before: stop the jobs, run adfbot restore, which makes the directory again, then pause what must not run"
		require.Contains(t, ran.stderr, lost)
		require.Contains(t, w.finding("pause_dir", bot.Fail), lost)
		_, err := w.sweep()
		require.ErrorContains(t, err, lost)
		w.fail("atlas", 3) // what pauses one project tells nothing of others
		require.Contains(t, w.finding("pause_dir", bot.Fail), lost)
		d, err := w.restore()
		require.NoError(t, err)
		require.Equal(t, w.cfg.PauseDir+" is restored; paused again: atlas; the state is new and knows of no others: pause what else must not run", d.Text)
		require.Zero(t, w.exec("odilo", "true").code)
		require.Contains(t, w.finding("pause_dir", bot.OK), "1 project paused")
	}
}

// Where the state and the pause directory are lost, restore cannot know what was paused.
func TestRestoreWithNothingLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	require.NoError(t, os.RemoveAll(w.cfg.State))
	d, err := w.restore()
	require.NoError(t, err)
	require.Equal(t, w.cfg.PauseDir+" is ready; the state is new and knows of no paused project: pause what must not run", d.Text)
}
