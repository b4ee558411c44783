package bot_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
)

func (w *world) pause(project, why string) (d bot.Done, err error) {
	w.Helper()
	w.with(bot.Results, func(b *bot.Bot) { d, err = b.Pause(ctx, project, why) })
	return d, err
}

func (w *world) resume(project string) (d bot.Done, err error) {
	w.Helper()
	w.with(bot.Operate, func(b *bot.Bot) { d, err = b.Resume(ctx, project) })
	return d, err
}

// planned returns what a sweep would do.
func (w *world) planned() (rep status.SweepReport) {
	w.Helper()
	w.with(bot.Operate, func(b *bot.Bot) {
		var err error
		rep, err = b.Sweep(ctx, escalate.SweepOptions{DryRun: true})
		require.NoError(w, err)
	})
	return rep
}

func (w *world) restore() (d bot.Done, err error) {
	w.Helper()
	w.with(bot.Restore, func(b *bot.Bot) { d, err = b.Restore(ctx) })
	return d, err
}

// silent turns Gitea off for children, which reach it over the network: nothing listens there.
func (w *world) silent() *world {
	w.change("http://gitea.example", "http://127.0.0.1:1")
	return w
}

// A person's pause is a flag with the reason, and no issue.
func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, err := w.pause("odilo", "release\nday")
	require.NoError(t, err)
	require.Equal(t, "odilo is paused ("+w.flag("odilo")+"); to resume: adfbot resume odilo --config "+w.Dir+"/config.yaml", d.Text)
	require.Contains(t, w.Read(w.flag("odilo")), "Reason: release day\n")
	require.Contains(t, w.must(bot.ExitPaused, "odilo", "true").stderr, "Reason: release day")
	require.Empty(t, w.sweepWell().Actions, "it is left alone")
	require.Empty(t, w.issues(""))
	p := w.project("odilo")
	require.True(t, p.Held)
	require.Nil(t, p.Incident)

	d, err = w.pause("odilo", "again")
	require.NoError(t, err)
	require.Contains(t, d.Text, "odilo is already paused")
	require.Contains(t, w.Read(w.flag("odilo")), "release day")
	d, err = w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo is resumed", d.Text)
	require.NoFileExists(t, w.flag("odilo"))
	d, err = w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo was not paused", d.Text)
}

// Everything stays as it was.
func TestPauseThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	writable := testhost.ReadOnly(t, w.cfg.PauseDir)
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

// A pause that takes the place of one that would end before it is there without its flag.
func TestPauseWhoseFlagCannotBeReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pauseMany(bot.Many{Names: []string{"odilo"}, By: "kim", For: time.Hour})
	testhost.ReadOnly(t, w.cfg.PauseDir)
	_, err := w.pause("odilo", "")
	require.ErrorContains(t, err, "project odilo is paused by the flag of another pause")
	require.NotContains(t, err.Error(), "odilo is NOT paused")
	require.Nil(t, w.project("odilo").Until)
}

// After a disk error, the file system is read-only for everybody. Then only the flag pauses and resumes.
func TestPauseWithStateMountedReadOnly(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to mount something over the state")
	w := newWorld(t)
	w.fail("odilo", 1)
	testhost.ReadOnly(t, filepath.Dir(w.cfg.State))
	_, err := bot.Open(ctx, w.cfg, bot.Operate, w.env())
	require.ErrorContains(t, bot.AdvisePause(ctx, w.cfg, "odilo", err), "to pause it now: touch "+w.flag("odilo"))
	require.NoError(t, os.WriteFile(w.flag("odilo"), nil, 0o644))
	require.ErrorContains(t, bot.AdviseResume(ctx, w.cfg, "odilo", err), "to resume it now: rm "+w.flag("odilo"))
	require.NoError(t, syscall.Mount(w.sentinel(), w.flag("odilo"), "", syscall.MS_BIND, ""))
	require.ErrorContains(t, bot.AdviseResume(ctx, w.cfg, "odilo", err), "to resume it now: umount "+w.flag("odilo")+" && rm "+w.flag("odilo"))
	require.NoError(t, syscall.Unmount(w.flag("odilo"), 0))
	w.Remove(w.flag("odilo"))
	require.NoError(t, os.Mkdir(w.flag("odilo"), 0o755))
	require.ErrorContains(t, bot.AdviseResume(ctx, w.cfg, "odilo", err), "to resume it now: rm -r "+w.flag("odilo"))
}

// systemd passes the token only to the daemon.
func TestResumeWithoutTheDaemonsCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.cfg.Gitea.TokenEnv, w.cfg.Gitea.TokenFile = "", "$CREDENTIALS_DIRECTORY/token"
	d, err := w.resume("odilo")
	require.NoError(t, err)
	require.Equal(t, "odilo is resumed; an open issue is left to the daemon", d.Text)
	require.Empty(t, d.Problems)
	_, err = w.pause("atlas", "no incident")
	require.NoError(t, err)
	d, err = w.resume("atlas")
	require.NoError(t, err)
	require.Equal(t, "atlas is resumed", d.Text)
}

// A long reason is cut in the log.
func TestPauseWithLongReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.pause("odilo", strings.Repeat("why ", 250_000))
	require.NoError(t, err)
	require.Less(t, len(w.Logged.String()), 10_000)
}

// The next sweep writes the flag.
func TestPauseKilledAfterStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t).silent()
	w.fail("odilo", 1)
	w.dies(child{Do: "pause", Project: "odilo", KillAt: "hold-noted"})
	require.NoFileExists(t, w.flag("odilo"))
	w.configure(plainConfig)
	require.Equal(t, []string{"write-flag odilo"}, w.kinds(w.sweepWell()))
	require.Contains(t, w.Read(w.flag("odilo")), "Reason: for the test")
	require.True(t, w.project("odilo").Held)
}

// The next sweep finishes it.
func TestResumeKilled(t *testing.T) {
	for _, step := range []string{"flag-removed", "resume-noted"} {
		t.Run("after "+step, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 3)
			atPoint = func(s string) {
				if s == step {
					panic("died")
				}
			}
			// A child could not reach this world's Gitea, so the death is a panic here; the state is closed unsaid.
			b, err := bot.Open(ctx, w.cfg, bot.Operate, w.env())
			require.NoError(t, err)
			require.PanicsWithValue(t, "died", func() { _, _ = b.Resume(ctx, "odilo") })
			atPoint = nil
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

// The next result finishes it.
func TestResumeKilledBeforeState(t *testing.T) {
	t.Parallel()
	w := newWorld(t).silent()
	w.fail("odilo", 3)
	w.dies(child{Do: "resume", Project: "odilo", KillAt: "flag-removed"})
	require.NoFileExists(t, w.flag("odilo"))
	out := w.fail("odilo", 1)
	require.Equal(t, 1, out.Failures)
	require.False(t, out.Paused())
}

// A resume ends the incident and closes its issue.
func TestResume(t *testing.T) {
	t.Parallel()
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

// The project is resumed, and the sweep closes the issue.
func TestResumeWithGiteaDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(502, "")})
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

// The issue is closed all the same, and it is said that its comment alone waits.
func TestResumeWithCommentsBarred(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.pass(time.Minute)
	mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: giteatest.Status(403, "<h1>Forbidden</h1>", "Content-Type", "text/html")})
	_, err := w.resume("odilo")
	require.NoError(t, err)
	require.Len(t, w.issues("closed"), 1)
	require.Contains(t, w.project("odilo").Pending[0], "odilo#1: comment on its end to be written, its issue is closed: gitea: ")
	w.pass(time.Hour)
	rep := w.planned()
	require.Len(t, rep.Actions, 1)
	require.Equal(t, "the incident has ended, and the comment on that is missing in its closed issue", rep.Actions[0].Why)
	w.Gitea.As("alex").Reopen(repo, w.issues("closed")[0].Number)
	_, err = w.sweep()
	require.Error(t, err)
	require.Contains(t, w.project("odilo").Pending[0], "odilo#1: comment on its end to be written, its issue is closed: gitea: ")
	mend()
	w.pass(time.Hour)
	w.sweepWell()
	require.Empty(t, w.project("odilo").Pending)
}

// Nobody knows yet whether there is an issue of an incident whose creation got no answer, and which has ended since.
func TestResumeWithCreationInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(502, "")})
	w.fail("odilo", 1)
	_, err := w.resume("odilo")
	require.NoError(t, err)
	require.Contains(t, w.project("odilo").Pending[0], "odilo#1: it is to be found out whether its issue was created: gitea: ")
	up()
	rep := w.sweepWell()
	require.Len(t, rep.Waiting, 1)
	require.Contains(t, rep.Waiting[0].Why, "the issue is looked for only when Gitea can't be at work on its creation any more: gitea: ")
	w.pass(time.Hour)
	w.sweepWell()
	require.Empty(t, w.project("odilo").Pending)
}

// An incident whose flag could not be written can be resumed.
func TestResumeWithoutFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	writable := testhost.ReadOnly(t, w.cfg.PauseDir)
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

// Who may not read the token leaves the issue to the daemon. If that has not read the configuration again since the project was added, or the
// project has left it meanwhile, the issue still goes to the project's repository: others may not be meant to read it.
func TestIssueOfProjectThatTheDaemonDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.AddRepo("terraphim", "twins")
	for _, project := range []string{"twins-a", "twins-b"} {
		daemon := w.yaml
		w.change("projects:\n", "projects:\n  - id: "+project+"\n    repo: twins\n")
		w.vars["BOT_TOKEN"] = ""
		require.Empty(t, w.fail(project, 3).Incident.Issue)
		w.vars["BOT_TOKEN"] = token
		w.configure(daemon)
		w.sweepWell()
		require.Empty(t, w.issues("all"))
		require.Contains(t, w.Issues("terraphim/twins", "open")[0].Title, project)
		w.Remove(w.flag(project))
		w.sweepWell()
		require.Empty(t, w.Issues("terraphim/twins", "open"))
	}
}

// The daemon counts what such a project's runs have left: results that could not be stored, and runs that were killed. Whoever began a run knew
// the project.
func TestLeftByProjectThatTheDaemonDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w *world){
		"in the spool": func(w *world) { w.keep("twins", 1) },
		"killed": func(w *world) {
			w.dies(child{Do: "exec", Project: "twins", Command: []string{"true"}, KillAt: "noted"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Gitea.AddRepo("terraphim", "twins")
			w.fail("atlas", 1) // makes the state
			for n := range 4 {
				daemon := w.yaml
				w.change("projects:\n", "projects:\n  - id: twins\n    repo: twins\n    threshold: 4\n")
				require.Empty(t, w.Issues("terraphim/twins", "open"), n)
				fail(w)
				w.configure(daemon)
				w.sweepWell()
			}
			require.Empty(t, w.issues("all"))
			issue := w.Issues("terraphim/twins", "open")[0]
			require.Contains(t, issue.Title, "twins")
			require.Contains(t, issue.Body, "4 (threshold 4)")
		})
	}
}

// A project that left the configuration is known while it is paused.
func TestRemovedProjectWhilePaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.change("  - id: odilo\n", "")
	w.with(bot.Operate, func(b *bot.Bot) {
		for id, want := range map[string]bool{"odilo": true, "nobody": false, "atlas": false} {
			known, err := b.HasUnfinished(ctx, id)
			require.NoError(t, err)
			require.Equal(t, want, known, id)
		}
	})
	require.Empty(t, w.sweepWell().Actions)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
}
