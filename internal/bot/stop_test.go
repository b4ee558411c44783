package bot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

func (w *world) pauseMany(m bot.Many) (d bot.DoneMany) {
	w.Helper()
	w.with(bot.Results, func(b *bot.Bot) {
		var err error
		d, err = b.PauseMany(ctx, m)
		require.NoError(w, err)
	})
	return d
}

func (w *world) resumeMany(m bot.Many) (d bot.DoneMany) {
	w.Helper()
	w.with(bot.Operate, func(b *bot.Bot) {
		var err error
		d, err = b.ResumeMany(ctx, m)
		require.NoError(w, err)
	})
	return d
}

// Each host of a fleet writes its flags and removes them again; the pause ends once.
func TestStopInFleet(t *testing.T) {
	t.Parallel()
	a := newHost(t, testpg.Database(t))
	a.withPattern()
	b := a.newHostBeside(t)
	b.withPattern()
	a.fail("atlas", 2)
	a.must(0, "twins-a", "true")
	b.with(bot.Results, func(*bot.Bot) {})
	b.sweepWell()
	d := a.pauseMany(bot.Many{Names: []string{"*"}, By: "kim", For: 2 * time.Hour})
	require.Equal(t, []string{"odilo", "twins-a"}, d.Projects)
	require.Equal(t, []string{"atlas"}, d.Others)
	b.sweepWell()
	for _, w := range []*world{a, b} {
		for _, project := range []string{"atlas", "odilo", "twins-a"} {
			require.FileExists(t, w.flag(project))
		}
	}
	// A project that becomes known on one host.
	b.must(bot.ExitPaused, "twins-b", "true")
	require.FileExists(t, b.flag("twins-b"))
	a.sweepWell()
	require.True(t, bot.Gate(ctx, a.cfg, "twins-b").Paused)
	// And one that somebody resumes on one host, once both have its flag.
	require.NoError(t, os.Remove(b.flag("twins-a")))
	b.sweepWell()
	a.sweepWell()
	b.sweepWell()
	require.NoFileExists(t, a.flag("twins-a"))
	require.NoFileExists(t, b.flag("twins-a"))

	for _, w := range []*world{a, b} {
		w.pass(2 * time.Hour)
	}
	for range 2 {
		b.sweepWell()
		a.sweepWell()
	}
	for _, w := range []*world{a, b} {
		require.FileExists(t, w.flag("atlas"))
		for _, project := range []string{"odilo", "twins-a", "twins-b"} {
			require.NoFileExists(t, w.flag(project))
		}
	}
	require.Equal(t, "1", testpg.Text(t, a.cfg.State, `SELECT generation FROM adfbot.project WHERE id = 'odilo'`))
	require.Empty(t, a.status().Stops)
}

// A result makes a project of a pattern known, and gate then has to find the flag.
func TestStopBeforeGateKnows(t *testing.T) {
	w := newWorld(t)
	w.withPattern()
	w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim"})
	atPoint = func(string) {
		if v := bot.Gate(ctx, w.cfg, "twins-a"); v.Err == nil {
			require.True(t, v.Paused)
		}
	}
	w.fail("twins-a", 1)
	atPoint = nil
	require.True(t, bot.Gate(ctx, w.cfg, "twins-a").Paused)
	require.Equal(t, []string{"atlas", "odilo", "twins-a"}, w.resumeMany(bot.Many{Names: []string{"*"}, By: "kim"}).Projects)
}

// A stop holds the first project of an installation that has only patterns.
func TestStopBeforeAnyProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, _, _ := strings.Cut(w.yaml, "projects:\n")
	w.configure(before + "projects:\n  - match: twins-*\n")
	w.with(bot.Results, func(b *bot.Bot) {
		_, err := b.PauseMany(ctx, bot.Many{Names: []string{"twins-x*"}, By: "kim"})
		require.ErrorContains(t, err, "no project that is configured by its id or known falls under twins-x*")
	})
	require.Empty(t, w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim"}).Projects)
	w.must(75, "twins-a", "true")
	require.Equal(t, []string{"twins-a"}, w.resumeMany(bot.Many{Names: []string{"*"}, By: "kim"}).Projects)
	w.must(0, "twins-a", "true")
}

func TestPauseManyReportsEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with(bot.Results, func(b *bot.Bot) {
		_, err := b.PauseMany(ctx, bot.Many{Names: []string{"odilo", "nobody"}, By: "kim"})
		require.ErrorContains(t, err, `unknown project "nobody"`)
		require.NoFileExists(t, w.flag("odilo"), "a mistake changes nothing")
	})
	require.ElementsMatch(t, []string{"odilo", "atlas"}, w.pauseMany(bot.Many{Names: []string{"odilo", "atlas"}, By: "kim"}).Projects)
	require.Equal(t, []string{"odilo"}, w.resumeMany(bot.Many{Names: []string{"odilo"}, By: "kim"}).Projects)
	require.Empty(t, w.resumeMany(bot.Many{Names: []string{"*"}, By: "kim"}).Projects)
	require.FileExists(t, w.flag("atlas"))
}

// The end of a stop is one for all hosts of a fleet, also if this one has lost its flags.
func TestStopEndsWithoutFlags(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.pauseMany(bot.Many{Names: []string{"*"}, By: "kim"})
	follow(b)
	require.True(t, b.paused("odilo"))
	require.NoError(t, os.Remove(filepath.Join(a.cfg.PauseDir, ".adfbot")))
	d := a.resumeMany(bot.Many{Names: []string{"*"}, By: "kim"})
	require.Equal(t, []string{"atlas", "odilo"}, d.Projects)
	require.Empty(t, d.Others)
	follow(b)
	require.False(t, b.paused("odilo"))
}

// A pause ends within a minute of its time, whatever the schedule of sweeps.
func TestServeEndsPauses(t *testing.T) {
	t.Parallel()
	serving(t, func(w *world) { w.change("projects:\n", "sweep: {schedule: \"0 0 1 1 *\"}\nprojects:\n") }, func(t *testing.T, d *daemon) {
		d.pauseMany(bot.Many{Names: []string{"odilo"}, By: "kim", For: 30 * time.Minute})
		d.pauseMany(bot.Many{Names: []string{"*"}, By: "kim", For: time.Hour})
		d.after(61 * time.Minute)
		require.NoFileExists(t, d.flag("atlas"))
		require.NoFileExists(t, d.flag("odilo"))
	})
}

// On a full disk no stop can hold a project that is new. It is not run all the same, as long as the state can be read.
func TestStopOfNewProjectOnFullDisk(t *testing.T) { // alone, see inStateFails
	w := newWorld(t)
	w.withPattern()
	testhost.Disk(t, filepath.Join(w.Dir, "state"), "size=2m")
	w.fail("odilo", 1) // the first one creates the reserves
	w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim", Reason: "the provider is down"})
	w.with(bot.Results, func(*bot.Bot) { // keeps the files that a reader needs
		empty := testhost.Fill(t, filepath.Join(w.Dir, "state"))
		defer empty()
		for w.inStateFails() == nil { // the log's last page may have room
		}
		r := w.sh("twins-a", "echo ran")
		require.Equal(t, bot.ExitPaused, r.code, r.stderr)
		require.NotContains(t, r.stdout, "ran")
		require.Contains(t, r.stderr, "the provider is down")
	})
	w.must(bot.ExitPaused, "twins-a", "true")
}

// status tells a stop in a line.
func TestReasonOfStopIsALine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim", Reason: "the provider\nis down " + strings.Repeat("x", 1000)})
	reason := w.status().Stops[0].Reason
	require.True(t, strings.HasPrefix(reason, "the provider is down xxx"), reason)
	require.LessOrEqual(t, len(reason), 500)
}

// exec refuses during a stop whose flag cannot be written, and status says so: a script that checks the flag runs.
func TestStopWithReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	writable := testhost.ReadOnly(t, w.cfg.PauseDir)
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.PauseMany(ctx, bot.Many{Names: []string{"*"}, By: "kim", Reason: "the provider is down", For: time.Hour})
		require.ErrorContains(t, err, "NOT paused by a flag")
	})
	r := w.must(bot.ExitPaused, "odilo", "true")
	require.Contains(t, r.stderr, "NOT paused by a flag")
	var v bot.Verdict
	w.with(bot.ReadOnly, func(b *bot.Bot) { v = b.MayRun(ctx, "odilo") })
	require.Contains(t, v.Reason, "its pause flag is not written yet")
	for _, says := range []string{r.stderr, v.Reason} {
		require.Contains(t, says, "odilo is paused with all projects by kim")
		require.Contains(t, says, "Reason: the provider is down\n")
		require.NotContains(t, says, "remove", "there is no file")
	}
	for _, p := range w.status().Projects {
		require.Equal(t, status.Yes, p.Paused)
		require.True(t, p.Held)
		require.NotEmpty(t, p.Stop)
		require.Equal(t, w.now(), *p.Since)
		require.Equal(t, w.now().Add(time.Hour), *p.Until)
		require.Contains(t, p.Reason, p.ID+" is paused with all projects by kim")
		require.Contains(t, p.Reason, "the provider is down")
		require.Len(t, p.Warnings, 1)
		require.Contains(t, p.Warnings[0], "its pause flag is not written: exec refuses, but a script that checks the flag runs")
	}
	writable()
	w.sweepWell()
	require.Empty(t, w.project("odilo").Warnings)
	require.NoError(t, os.Remove(w.flag("odilo")))
	require.Equal(t, status.No, w.project("odilo").Paused, "somebody removed a flag that was there")
}

// Who resumes a pattern during a stop of all means what that holds: not an incident of a project that trips meanwhile.
func TestResumePatternWhileTripping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	w.must(0, "twins-a", "true")
	w.must(0, "twins-b", "true")
	w.pauseMany(bot.Many{Names: []string{"*"}, By: "kim"})
	tripped := false
	w.with(bot.Operate, func(b *bot.Bot) {
		trips := fault.With(ctx, func(name string) {
			if name == "flag-removed" && !tripped { // that of the first one; it is known what pauses the other one
				tripped = true
				w.fail("twins-b", 2)
			}
		})
		d, err := b.ResumeMany(trips, bot.Many{Names: []string{"twins-*"}, By: "kim"})
		require.NoError(t, err)
		require.Equal(t, []string{"twins-a"}, d.Projects)
		require.Contains(t, d.Others, "twins-b")
	})
	require.True(t, tripped)
	require.True(t, bot.Gate(ctx, w.cfg, "twins-b").Paused)
	require.FileExists(t, w.flag("twins-b"))
}

// Of many projects, the first one waits for a Gitea that does not answer.
func TestResumeManyWhileGiteaDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.fail("atlas", 2)
	w.sweepWell()
	end := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
	before := len(w.Gitea.Requests())
	w.with(bot.Operate, func(b *bot.Bot) {
		d, err := b.ResumeMany(ctx, bot.Many{Names: []string{"odilo", "atlas"}, By: "alice"})
		require.NoError(t, err)
		require.Equal(t, []string{"odilo", "atlas"}, d.Projects)
		require.Contains(t, d.Problems, "atlas: close its issue")
	})
	for _, r := range w.Gitea.Requests()[before:] {
		require.NotContains(t, r.Path, "/issues/2", "that of atlas")
	}
	end()
	w.sweepWell()
	require.Empty(t, w.issues("open"))
}
