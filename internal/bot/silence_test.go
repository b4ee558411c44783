package bot_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/pause"
)

func expecting(what string) func(w *world) {
	return func(w *world) { w.change("- id: odilo\n", "- id: odilo\n    expect: "+what+"\n") }
}

var hourly = expecting("{every: 1h, grace: 15m}")

func success(project string) store.Result {
	return store.Result{Project: project, Agent: "project-meta", Outcome: store.Success}
}

// watching opens a bot that looks every three minutes for as long as after is told to wait. There is no daemon.
func watching(t *testing.T, prepare func(w *world), f func(w *world, b *bot.Bot, after func(time.Duration))) {
	t.Helper()
	w := newWorld(t)
	prepare(w)
	w.with(bot.Daemon, func(b *bot.Bot) {
		f(w, b, func(d time.Duration) {
			for d > 0 { // in steps that are no gap
				step := min(d, 3*time.Minute)
				w.pass(step)
				d -= step
				require.NoError(t, b.LookForSilence(ctx))
			}
		})
	})
}

// Serve looks, whatever the schedule of its sweeps.
func TestSilenceInServe(t *testing.T) {
	t.Parallel()
	rarely := func(w *world) { hourly(w); w.change("projects:", "sweep: {schedule: \"@every 6h\"}\nprojects:") }
	serving(t, rarely, func(t *testing.T, d *daemon) {
		d.after(30 * time.Minute)
		d.record(success("odilo"))
		reported := d.now()
		d.after(74 * time.Minute)
		require.Empty(t, d.issues(""))
		d.after(2 * time.Minute)
		require.Len(t, d.issues("open"), 1)
		issue := d.issues("open")[0]
		require.Equal(t, "[ADF] project-meta on odilo has not reported since "+reported.UTC().Format("2006-01-02 15:04")+" UTC", issue.Title)
		require.Contains(t, issue.Body, "a result is expected every 1h, with 15m of grace")
		require.NoFileExists(t, d.flag("odilo"))
		d.after(30 * time.Minute)
		require.Len(t, d.issues(""), 1, "it is said once")

		d.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Ignored})
		d.record(success("atlas"))
		d.after(2 * time.Minute)
		require.Len(t, d.issues("open"), 1, "no result of the project counted")
		d.record(failure("odilo"))
		d.after(2 * time.Minute)
		require.Len(t, d.issues("closed"), 1, "a failure is a result")
	})
}

// A restart is no gap; a day is.
func TestSilenceAfterServeWasOff(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, b *bot.Bot, after func(time.Duration)) {
		require.NoError(t, b.LookForSilence(ctx))
		w.record(success("odilo"))
		after(time.Hour)
		w.pass(24 * time.Hour)
		require.NoError(t, b.LookForSilence(ctx))
		require.Empty(t, w.issues(""), "nothing may have run meanwhile")
		after(74 * time.Minute)
		require.Empty(t, w.issues(""))
		w.pass(2 * time.Minute) // a restart
		require.NoError(t, b.LookForSilence(ctx))
		require.Contains(t, w.issues("open")[0].Title, "since 2026-11-23 12:00 UTC", "that of the last result")
	})
}

// A monthly job reports less often than results are kept for by default.
func TestExpectedLessOftenThanHistoryIsKept(t *testing.T) {
	t.Parallel()
	rarely := func(w *world) {
		hourly(w)
		w.change("projects:", "history: {keep: 1h}\nprojects:")
		w.change("{every: 1h, grace: 15m}", "{every: 3h, grace: 15m}")
	}
	watching(t, rarely, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(2 * time.Hour)
		w.record(success("odilo"))
		after(2 * time.Hour)
		w.sweepWell()
		after(72 * time.Minute)
		require.Empty(t, w.issues(""), "the result is not due")
		after(6 * time.Minute)
		require.Contains(t, w.issues("open")[0].Title, "since 2026-11-23 14:00 UTC")
		w.sweepWell()
		after(6 * time.Minute)
		require.Len(t, w.issues("open"), 1)
		w.record(success("odilo"))
		after(3 * time.Minute)
		require.Len(t, w.issues("closed"), 1)
		require.Len(t, w.issues(""), 1)
	})
}

func TestNeverReported(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(80 * time.Minute)
		require.Len(t, w.issues("open"), 1)
		require.Contains(t, w.issues("open")[0].Body, "has not reported since 2026-11-23 12:03 UTC, when the bot began to wait for its first result")
	})
}

func TestNothingIsExpectedOfAPausedProject(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, b *bot.Bot, after func(time.Duration)) {
		pause := func() {
			_, err := b.Pause(ctx, "odilo", "maintenance")
			require.NoError(t, err)
		}
		resume := func() {
			_, err := b.Resume(ctx, "odilo")
			require.NoError(t, err)
		}
		after(time.Minute)
		pause()
		after(3 * time.Hour)
		resume()
		after(74 * time.Minute)
		require.Empty(t, w.issues(""), "time begins with the resume")
		after(2 * time.Minute)
		require.Len(t, w.issues("open"), 1)

		pause()
		after(time.Minute)
		closed := w.issues("closed")
		require.Len(t, closed, 1)
		require.Contains(t, closed[0].Comments[0].Body, "was paused, and nothing is expected of a paused project")
		resume()
		w.fail("odilo", 3)
		after(3 * time.Hour)
		require.Len(t, w.issues(""), 2, "the other one is that of the failures")
	})
}

// A flag that a person has just made holds the project, too.
func TestFlagBeforeTheSweepSeesIt(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(70 * time.Minute)
		w.Touch(w.flag("odilo"))
		after(time.Hour)
		require.Empty(t, w.issues(""))
	})
}

func TestRunningRunIsNamed(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		w.record(success("odilo"))
		after(time.Hour)
		w.inState(func(s store.State) {
			_, err := s.BeginRun(ctx, store.Run{ID: "1", Project: "odilo", Agent: "project-meta", Host: "edge-7", Started: w.now()})
			require.NoError(t, err)
		})
		after(20 * time.Minute)
		require.Contains(t, w.issues("open")[0].Body, "**A run that began 2026-11-23 13:00 UTC on `edge-7` has no result yet.**")
	})
}

// So is one of which somebody has reported that it began, and whose host is known only to the reporter.
func TestReportedRunIsNamed(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, b *bot.Bot, after func(time.Duration)) {
		w.record(success("odilo"))
		after(time.Hour)
		require.NoError(t, b.BeginReported(ctx, store.Run{Project: "odilo", Agent: "project-meta", Host: "laptop"}))
		after(20 * time.Minute)
		require.Contains(t, w.issues("open")[0].Body, "**A run that began 2026-11-23 13:00 UTC on `laptop` has no result yet.**")
	})
}

func TestSilenceOfACronSchedule(t *testing.T) {
	t.Parallel()
	watching(t, expecting(`{cron: "0 7 * * 1-5", time_zone: Europe/Berlin, grace: 30m}`), func(w *world, b *bot.Bot, after func(time.Duration)) {
		require.NoError(t, b.LookForSilence(ctx))
		w.pass(15 * time.Hour)
		require.NoError(t, b.LookForSilence(ctx))
		w.record(success("odilo")) // on Tuesday, at four in the morning
		after(3*time.Hour + 29*time.Minute)
		require.Empty(t, w.issues(""))
		after(2 * time.Minute)
		require.Len(t, w.issues("open"), 1, "Tuesday, 7:30 in Berlin")
	})
}

func TestSilenceOfAPattern(t *testing.T) {
	t.Parallel()
	watching(t, func(w *world) {
		w.change("- id: atlas\n", "- match: twins-*\n    expect: {every: 1h}\n  - id: atlas\n")
	},
		func(w *world, _ *bot.Bot, after func(time.Duration)) {
			w.record(success("twins-a"))
			after(80 * time.Minute)
			require.Len(t, w.issues("open"), 1)
			require.Contains(t, w.issues("open")[0].Title, "on twins-a has not reported")
		})
}

// A project that is new, or becomes known, is waited for from then on, however long others have been.
func TestSilenceOfANewProject(t *testing.T) {
	t.Parallel()
	watching(t, func(w *world) {
		w.change("- id: atlas\n", "- match: twins-*\n    expect: {every: 1h}\n  - id: atlas\n")
	},
		func(w *world, _ *bot.Bot, after func(time.Duration)) {
			w.record(success("twins-a"))
			after(70 * time.Minute)
			w.record(store.Result{Project: "twins-b", Agent: "project-meta", Outcome: store.Ignored})
			w.record(success("twins-a"))
			after(70 * time.Minute)
			require.Empty(t, w.issues(""))
			after(12 * time.Minute)
			require.Len(t, w.issues("open"), 2)
		})
}

// A project that is resumed while somebody begins to look has its time from then on.
func TestResumedWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hourly(w)
	env, resume := w.env(), func() {}
	env.Now = func() time.Time {
		now := w.now()
		do := resume
		resume = func() {}
		do()
		return now
	}
	b, err := bot.Open(ctx, w.cfg, bot.Daemon, env)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	_, err = b.Pause(ctx, "odilo", "maintenance")
	require.NoError(t, err)
	for range 30 {
		w.pass(3 * time.Minute)
		require.NoError(t, b.LookForSilence(ctx))
	}
	resume = func() {
		w.pass(time.Millisecond)
		w.with(bot.Operate, func(other *bot.Bot) {
			_, err := other.Resume(ctx, "odilo")
			require.NoError(t, err)
		})
	}
	require.NoError(t, b.LookForSilence(ctx))
	require.NoFileExists(t, w.flag("odilo"))
	require.Empty(t, w.issues(""))
}

// A clock that was a day ahead at the first look does not put the waiting off by a day.
func TestSilenceAfterAFastClock(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, b *bot.Bot, after func(time.Duration)) {
		w.pass(day)
		require.NoError(t, b.LookForSilence(ctx))
		w.pass(-day)
		after(80 * time.Minute)
		require.Len(t, w.issues("open"), 1)
	})
}

// Who takes `expect` out of the configuration takes the issue back.
func TestNotExpectedAnyMore(t *testing.T) {
	t.Parallel()
	often := func(w *world) { w.change("- id: odilo\n", "- id: odilo\n    expect: {every: 1m, grace: 1m}\n") }
	serving(t, often, func(t *testing.T, d *daemon) {
		d.after(5 * time.Minute)
		require.Len(t, d.issues("open"), 1)
		d.change("    expect: {every: 1m, grace: 1m}\n", "")
		d.reload <- struct{}{}
		d.after(2 * time.Minute)
		require.Len(t, d.issues("closed"), 1)
		require.Contains(t, d.issues("closed")[0].Comments[0].Body, "is not expected to report any more")
	})
}

// Results that wait to be stored may be what is missed.
func TestResultsInTheSpoolAreNoSilence(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(time.Hour)
		_, err := bot.Keep(ctx, w.cfg, nil, success("odilo"), w.now)
		require.NoError(t, err)
		after(time.Hour)
		require.Empty(t, w.issues(""))
	})
}

// Runs of a workflow that no sweep has read yet may be what is missed. Gitea knows, and an issue would wait for its answer in any case.
func TestRunsThatWereNotReadAreNoSilence(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]giteatest.Effect{
		"a fault":               giteatest.Status(http.StatusBadGateway, ""),
		"a web page of a proxy": giteatest.Status(http.StatusForbidden, "<h1>Blocked</h1>", "Content-Type", "text/html"),
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, func(w *world) { addWorkflow(w, ""); hourly(w) }, func(w *world, _ *bot.Bot, after func(time.Duration)) {
				w.sweepWell()
				after(time.Hour)
				id := w.Gitea.StartWorkflowRun(agents, workflow)
				w.Gitea.EndWorkflowRun(agents, id, "success")
				undo := w.Gitea.Inject(giteatest.Fault{Do: do})
				after(30 * time.Minute)
				require.Empty(t, w.project("odilo").Silence, "nobody can tell")
				undo()
				after(3 * time.Minute)
				w.sweepWell()
				require.Equal(t, []string{store.Success}, w.outcomes())
				require.Empty(t, w.issues(""))

				w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user") // nobody will read any
				after(80 * time.Minute)
				require.Len(t, w.issues("open"), 1)
			})
		})
	}
}

// The issue of a project whose runs are those of a workflow says to look at these. One that goes on is named.
func TestSilenceOfWorkflow(t *testing.T) {
	t.Parallel()
	two := func(w *world) {
		addWorkflow(w, "")
		hourly(w)
		w.change("- id: atlas\n", "- id: atlas\n    expect: {every: 1h}\n    actions: {repo: "+agents+", workflow: lint.yaml}\n")
	}
	watching(t, two, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		w.sweepWell()
		after(30 * time.Minute)
		w.Gitea.TakeWorkflowRun(agents, w.Gitea.StartWorkflowRun(agents, workflow))
		began := w.now()
		w.Gitea.StartWorkflowRun(agents, "lint.yaml") // waits for a runner
		after(50 * time.Minute)
		running, waiting := w.project("odilo").Silence, w.project("atlas").Silence
		require.WithinDuration(t, began, running.Running, time.Second)
		require.Equal(t, "gitea-actions", running.Host)
		require.Zero(t, waiting.Running)
		issues := w.issues("open")
		require.Len(t, issues, 2)
		for _, i := range issues {
			require.Contains(t, i.Body, "in `terraphim/agents`: does one wait for a runner or hang")
			require.Equal(t, strings.Contains(i.Title, "odilo"), strings.Contains(i.Body, "on `gitea-actions` has no result yet"))
			require.NotContains(t, i.Body, "adfbot exec")
		}
	})
}

// A sweep from a crontab ends what serve began, and opens nothing: it does not know what was between its visits.
func TestSweepEndsSilence(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(80 * time.Minute)
		require.Len(t, w.issues("open"), 1)
		w.pass(time.Hour)
		w.record(success("odilo"))
		w.sweepWell()
		require.Len(t, w.issues("closed"), 1)
		w.pass(24 * time.Hour)
		w.sweepWell()
		require.Empty(t, w.issues("open"))
	})
}

// An issue that somebody has closed stays closed, and does not look open.
func TestSilenceClosedByHand(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(80 * time.Minute)
		w.pass(time.Minute)
		w.sweepWell()
		require.False(t, w.project("odilo").Silence.Closed)
		w.Gitea.As("alex").Close(repo, 1)
		w.pass(time.Minute)
		w.sweepWell()
		p := w.project("odilo")
		require.True(t, p.Silence.Closed)
		require.Contains(t, p.Warnings[0], "; somebody has closed its issue")
		w.Gitea.As("alex").Reopen(repo, 1)
		w.pass(time.Minute)
		w.sweepWell()
		require.False(t, w.project("odilo").Silence.Closed)
	})
}

// Its issue is missing on another server, which says nothing.
func TestSilenceKeepsTheServer(t *testing.T) {
	t.Parallel()
	watching(t, hourly, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		after(80 * time.Minute)
		require.Len(t, w.issues("open"), 1)
		w.change("http://gitea.example", "http://elsewhere.example")
		_, err := w.sweep()
		require.ErrorContains(t, err, "--confirm-gitea-url")
	})
}

// A backup of the state from during a silence that has ended since: the bot itself has closed the issue, and time begins to count anew.
func TestSilenceAfterRestoredBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hourly(w)
	after := func(d time.Duration) {
		for ; d > 0; d -= 3 * time.Minute {
			w.pass(3 * time.Minute)
			w.with(bot.Daemon, func(b *bot.Bot) { require.NoError(t, b.LookForSilence(ctx)) })
		}
	}
	w.record(success("odilo"))
	after(90 * time.Minute)
	require.Len(t, w.issues("open"), 1)
	backup := w.Read(w.cfg.State)
	after(time.Hour)
	w.record(success("odilo"))
	after(3 * time.Minute)
	require.Len(t, w.issues("closed"), 1)
	require.NoFileExists(t, w.cfg.State+"-wal")
	require.NoError(t, os.WriteFile(w.cfg.State, []byte(backup), 0o600))
	require.NotNil(t, w.project("odilo").Silence)
	w.sweepWell()
	require.Nil(t, w.project("odilo").Silence)
	require.Empty(t, w.project("odilo").Warnings)
	after(72 * time.Minute)
	require.Empty(t, w.issues("open"))
	after(6 * time.Minute)
	require.Len(t, w.issues("open"), 1)
	require.Len(t, w.issues("closed"), 1)
}

// The same in a fleet, whose hosts read their flags by themselves.
func TestSilenceAfterRestoredDatabase(t *testing.T) {
	t.Parallel()
	w := newFirstHost(t)
	hourly(w)
	w.fail("atlas", 1) // makes the pause directory
	silent := incident.Incident{ID: pause.NewRandomID(), Kind: incident.Silent, Project: "odilo", Opened: w.now(), Since: w.now().Add(-time.Hour)}
	w.inFleet(func(f store.Fleet) {
		s := f.(store.State)
		_, opened, err := s.OpenSilent(ctx, silent)
		require.NoError(t, err)
		require.True(t, opened)
	})
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	testpg.Exec(t, w.cfg.State, `CREATE TABLE before AS SELECT * FROM adfbot.silence`)
	w.inFleet(func(f store.Fleet) {
		s := f.(store.State)
		_, _, err := s.EndSilent(ctx, silent.ID, "it reported", w.now())
		require.NoError(t, err)
	})
	w.sweepWell()
	require.Empty(t, w.issues("open"))
	testpg.Exec(t, w.cfg.State, `DELETE FROM adfbot.silence; INSERT INTO adfbot.silence SELECT * FROM before`)
	w.pass(time.Minute)
	w.sweepWell()
	require.Len(t, w.issues("closed"), 1)
	w.inFleet(func(f store.Fleet) {
		s := f.(store.State)
		found, err := s.Incidents(ctx, silent.ID)
		require.NoError(t, err)
		require.False(t, found[0].IsOpen())
	})
}

// A daemon with the earlier gitea.url does not look there for runs that nobody has read: whoever has the new one does.
func TestNoSilenceOfWorkflowAtAnAddressThatWasLeft(t *testing.T) {
	t.Parallel()
	watching(t, func(w *world) { addWorkflow(w, ""); hourly(w) }, func(w *world, _ *bot.Bot, after func(time.Duration)) {
		w.sweepWell()
		after(30 * time.Minute)
		w.moveGitea()
		w.sweepWell()
		w.Gitea.ResetRequests()
		after(80 * time.Minute)
		require.Empty(t, w.project("odilo").Silence, "it cannot tell")
		for _, r := range w.Gitea.Requests() {
			require.NotContains(t, r.Path, "/actions/")
		}
	})
}
