package bot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
)

// A trip writes the flag, opens the issue and says so.
func TestRecordTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.False(t, w.fail("odilo", 2).Paused())
	require.Empty(t, w.Gitea.Requests(), "nothing is asked before there is something to say")
	r := failure("odilo")
	r.Output = "boom"
	out := w.record(r)
	require.True(t, out.Tripped)
	require.True(t, out.Paused())
	require.Empty(t, out.Problems)
	require.Equal(t, incident.FlagThere, out.Flag.State)
	require.Equal(t, out.Answer.Incident, out.Flag.Info.Incident)
	require.Contains(t, w.Read(w.flag("odilo")), "odilo is paused: project-meta failed 3 times in a row")

	issues := w.issues("")
	require.Len(t, issues, 1)
	require.Equal(t, "[ADF] project-meta on odilo failed 3 consecutively", issues[0].Title)
	require.Contains(t, issues[0].Body, "boom")
	require.NotContains(t, issues[0].Body, "NOT PAUSED")
	require.Equal(t, []string{"adf", "circuit-breaker", "priority/high"}, issues[0].Labels)
	require.Equal(t, issues[0].Number, out.Incident.Issue.Number)
	require.Contains(t, out.View().TripText(), "project-meta failed 3 times in a row on odilo: the project is paused, see "+out.Incident.Issue.URL)
	require.NotContains(t, w.Logged.String(), token)
}

// The result belongs to the next generation.
func TestRecordAfterUnnoticedResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	out := w.record(failure("odilo"))
	require.Equal(t, 1, out.Failures)
	require.False(t, out.Paused())
	out = w.fail("odilo", 2)
	require.True(t, out.Tripped, "the original never trips again after a resume")
	require.Equal(t, 2, out.Incident.Seq)
	w.sweepWell()
	issues := w.issues("")
	require.Len(t, issues, 2)
	require.Equal(t, "closed", issues[0].State)
	require.Equal(t, "open", issues[1].State)
	require.Contains(t, issues[0].Comments[0].Body, "the pause flag was removed")
	require.NotEqual(t, first.Answer.Incident, out.Answer.Incident)
}

// The result is stored, and the issue comes later.
func TestRecordWithGiteaDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
	out := w.fail("odilo", 1)
	require.True(t, out.Tripped)
	require.Equal(t, incident.FlagThere, out.Flag.State)
	require.NotEmpty(t, out.Problems)
	require.Contains(t, out.View().TripText(), "incident odilo#1; its issue is not open yet")
	p := w.project("odilo")
	require.Len(t, p.Pending, 1)
	require.Contains(t, p.Pending[0], "odilo#1: issue to be opened: gitea: ")
	require.Empty(t, w.issues(""))

	up()
	w.pass(time.Hour)
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	require.Empty(t, w.project("odilo").Pending)
}

// The issue is left to serve.
func TestRecordWithUnreadableToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	delete(w.vars, "BOT_TOKEN")
	out := w.fail("odilo", 3)
	require.True(t, out.Tripped)
	require.Equal(t, incident.FlagThere, out.Flag.State)
	require.Empty(t, out.Problems, "it is as the operator wants it: agents can't read the token")
	require.Empty(t, w.Gitea.Requests())
	require.Equal(t, []string{"odilo#1: issue to be opened"}, w.project("odilo").Pending)

	rep, err := w.sweep()
	require.ErrorContains(t, err, "gitea.token_env: $BOT_TOKEN is empty: set it", "a person's sweep needs it")
	require.NotEmpty(t, rep.Errors)
	require.Contains(t, w.project("odilo").Pending[0], "$BOT_TOKEN is empty")

	w.vars["BOT_TOKEN"] = token
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
}

// nextToken is the one that an operator puts in the place of token.
const nextToken = "fedcba9876543210fedcba9876543210fedcba98"

// keepTokenInFile writes the token to a file, which the configuration names, and returns its path.
func (w *world) keepTokenInFile() (file string) {
	w.Helper()
	file = filepath.Join(w.Dir, "token")
	require.NoError(w, os.WriteFile(file, []byte(token+"\n"), 0o600))
	w.change("token_env: BOT_TOKEN", "token_file: "+file)
	return file
}

// A token that was rotated while the daemon runs is masked, and so is the old one.
func TestRecordMasksRotatedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.keepTokenInFile()
	w.with(bot.Daemon, func(b *bot.Bot) {
		_, err := b.Sweep(ctx, escalate.SweepOptions{})
		require.NoError(t, err)
		w.Gitea.RevokeToken(token)
		w.Gitea.AddToken(testworld.Bot, nextToken, testworld.Scopes()...)
		require.NoError(t, os.WriteFile(file, []byte(nextToken+"\n"), 0o600))
		_, err = b.Sweep(ctx, escalate.SweepOptions{})
		require.NoError(t, err)
		require.Equal(t, "old [masked] new [masked]", b.Redactor().Redact("old "+token+" new "+nextToken))
		r := failure("atlas")
		r.Output = "old " + token + "\nnew " + nextToken + "\n"
		for range 2 {
			_, err = b.Record(ctx, r)
			require.NoError(t, err)
		}
	})
	body := w.issues("open")[0].Body
	require.Contains(t, body, "new [masked]")
	require.NotContains(t, body, token)
	require.NotContains(t, body, nextToken)
}

// A certificate that is away stops no fleet: the bot records and writes flags, and says why there is no issue.
func TestRecordWithoutCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  repo: adf-fleet\n", "  repo: adf-fleet\n  ca_file: DIR/ca.pem\n")
	require.Zero(t, w.must(0, "odilo", "true").code)
	out := w.fail("odilo", 3)
	require.True(t, out.Tripped)
	require.Equal(t, incident.FlagThere, out.Flag.State)
	require.Contains(t, strings.Join(out.Problems, "\n"), "gitea.ca_file")
	_, err := w.sweep()
	require.ErrorContains(t, err, "gitea.ca_file")
	require.Empty(t, w.Gitea.Requests(), "it never asks without it")
}

// The issue is left to serve.
func TestRecordWithoutRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Projects[0].Owner, w.cfg.Projects[0].Repo = "", "" // as LoadFor leaves it where the file has a mistake there
	out := w.fail("odilo", 3)
	require.True(t, out.Tripped)
	require.Equal(t, incident.FlagThere, out.Flag.State)
	require.Empty(t, w.Gitea.Requests())
	w.configure(plainConfig)
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
}

// What a result says about a pause has the words of status: where nobody can tell, neither does it.
func TestResultViewPaused(t *testing.T) {
	t.Parallel()
	for state, want := range map[incident.FlagState]string{incident.FlagGone: status.No, incident.FlagThere: status.Yes, incident.FlagUnknown: status.Unknown} {
		out := bot.Recorded{Flag: incident.FlagView{State: state}}
		require.Equal(t, want, out.View().Paused)
		out.Incident = &incident.Incident{}
		require.Equal(t, status.Yes, out.View().Paused, "the incident is open, whatever its flag")
	}
}

// The failure to write the flag is reported, and a later sweep writes it.
func TestRecordWithReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	writable := testhost.ReadOnly(t, w.cfg.PauseDir)
	out := w.fail("odilo", 1)
	require.True(t, out.Tripped)
	require.True(t, out.Paused(), "the incident is open, and exec refuses on it")
	require.Contains(t, strings.Join(out.Problems, "\n"), "project odilo is NOT paused by a flag")
	require.Contains(t, out.View().TripText(), "but its pause flag could NOT be written")
	issues := w.issues("open")
	require.Len(t, issues, 1)
	require.Contains(t, issues[0].Body, "NOT PAUSED")

	r := w.must(bot.ExitPaused, "odilo", "touch", w.Dir+"/ran")
	require.Contains(t, r.stderr, "NOT paused by a flag")
	require.NoFileExists(t, w.Dir+"/ran")
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Contains(t, strings.Join(p.Warnings, "\n"), "its pause flag is not written")
	rep, err := w.sweep()
	require.ErrorContains(t, err, "NOT paused by a flag")
	require.NotEmpty(t, rep.Errors)

	writable()
	w.sweepWell()
	require.FileExists(t, w.flag("odilo"))
	w.sweepWell()
	issues = w.issues("")
	require.Len(t, issues, 1)
	require.Len(t, issues[0].Comments, 1)
	require.Contains(t, issues[0].Comments[0].Body, "The project is paused now")
}

// A run that began before the flag was removed does not count.
func TestRunOfOldGeneration(t *testing.T) {
	w := newWorld(t)
	w.change("  - id: odilo\n", "  - id: odilo\n    resume_threshold: 1\n")
	w.fail("odilo", 2)
	atPoint = func(s string) {
		if s == "ran" {
			atPoint = nil
			w.fail("odilo", 1) // another run trips the breaker meanwhile
			w.Remove(w.flag("odilo"))
		}
	}
	require.Equal(t, 1, w.exec("odilo", "false").code)
	p := w.project("odilo")
	require.Equal(t, "no", p.Paused)
	require.Zero(t, p.Failures)
	require.True(t, p.HalfOpen)
	require.False(t, p.LastRuns[0].Counted)
	require.True(t, w.fail("odilo", 1).Tripped, "one that began later does")
}

// A run of the old generation does not count, whatever the clock says.
// The clock says that the run began after the resume. The generation knows better.
func TestRunOfOldGenerationByClock(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	atPoint = func(s string) {
		if s == "ran" {
			atPoint = nil
			w.pass(-time.Hour)
			w.fail("odilo", 1)
			w.Remove(w.flag("odilo"))
		}
	}
	require.Equal(t, 1, w.exec("odilo", "false").code)
	_, err := w.sweep()
	require.NoError(t, err)
	require.Zero(t, w.project("odilo").Failures)
}

// A run that began before the resume does not count.
func TestRecordOfRunBeforeResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	w.pass(time.Minute)
	w.sweepWell()
	r := failure("odilo")
	r.Started = noon.Add(30 * time.Second)
	out := w.record(r)
	require.False(t, out.Counted)
	require.Contains(t, out.Why, "before the last resume of the project was noticed")
}

// An impossible result is refused before anything is written.
func TestRecordImpossibleResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for want, change := range map[string]func(*store.Result){
		"started 2026-11-23T12:01:00Z is in the future":                                                      func(r *store.Result) { r.Started = noon.Add(time.Minute) },
		"finished 2026-11-23T12:01:00Z is in the future":                                                     func(r *store.Result) { r.Finished = noon.Add(time.Minute) },
		"finished 2026-11-23T11:00:00Z is before started":                                                    func(r *store.Result) { r.Started, r.Finished = noon, noon.Add(-time.Hour) },
		"agent \"a b\": use 1 to 128 letters, digits":                                                        func(r *store.Result) { r.Agent = "a b" },
		"agent \"\": use 1 to 128 letters, digits":                                                           func(r *store.Result) { r.Agent = "" },
		`agent "a\u200bb": use 1 to 128 letters, digits`:                                                     func(r *store.Result) { r.Agent = "a\u200bb" },
		`run id "two\nlines": use at most 200 bytes of printable text`:                                       func(r *store.Result) { r.RunID = "two\nlines" },
		`run id " a": use at most 200 bytes of printable text on one line, with single blanks between words`: func(r *store.Result) { r.RunID = " a" },
		"run id \"" + strings.Repeat("x", 20):                                                                func(r *store.Result) { r.RunID = strings.Repeat("x", 201) },
	} {
		r := failure("odilo")
		change(&r)
		w.with(bot.Results, func(b *bot.Bot) {
			_, err := b.Record(ctx, r)
			require.ErrorContains(t, err, want)
		})
	}
	require.Zero(t, w.project("odilo").Failures)
	r := failure("odilo")
	r.Started = noon.Add(time.Second) // clocks of two machines differ a little
	require.True(t, w.record(r).Counted)
}

// The same result gets the first answer again, and no second issue.
func TestRecordTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	r := failure("odilo")
	r.RunID = "r3"
	require.True(t, w.record(r).Tripped)
	w.Gitea.ResetRequests()
	again := w.record(r)
	require.True(t, again.Known)
	require.True(t, again.Tripped)
	require.Len(t, w.issues(""), 1)
	require.Equal(t, 1, strings.Count(w.Logged.String(), "breaker tripped"))
	w.Remove(w.flag("odilo"))
	again = w.record(r)
	require.True(t, again.Tripped)
	require.False(t, again.Paused(), "it is not now")
}

// Ten processes that record the third failure at once make one trip, flag and incident.
func TestRecordInTenProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t).silent()
	w.fail("odilo", 2)
	var cmds []*testhost.Child
	var outs []*strings.Builder
	for range 10 {
		cmd, out := w.command(child{Do: "record", Project: "odilo"}), &strings.Builder{}
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	testhost.StartTogether(cmds...)
	tripped := 0
	for n, cmd := range cmds {
		require.NoError(t, cmd.Wait())
		tripped += strings.Count(outs[n].String(), "tripped")
	}
	require.Equal(t, 1, tripped)
	w.inState(func(s store.State) {
		list, err := s.IncidentPage(ctx, store.IncidentFilter{Projects: []string{"odilo"}, Limit: 10, Evidence: true})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Contains(t, w.Read(w.flag("odilo")), list[0].ID)
	})
}

// An unknown project or a bad id is refused before the file system sees it.
func TestRecordUnknownProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"", "../x", "/etc/x", "a\nb", "a\x00b", strings.Repeat("x", 200)} {
		require.Equal(t, bot.ExitNotStarted, w.exec(id, "true").code)
	}
	r := w.exec("nobody", "true")
	require.Equal(t, bot.ExitNotStarted, r.code)
	require.Contains(t, r.stderr, "odilo, atlas")
	require.NoDirExists(t, w.cfg.PauseDir)
	require.NoFileExists(t, w.cfg.State)
}

func TestExitCodeMeanings(t *testing.T) {
	t.Parallel()
	p := config.Project{IgnoreExitCodes: []int{75, 9}}
	for code, want := range map[int]string{0: store.Success, 1: store.Failure, 75: store.Ignored, 9: store.Ignored, 255: store.Failure} {
		require.Equal(t, want, bot.OutcomeOf(p, code), "%d", code)
	}
}

// Two run ids that differ in a secret alone stay two, and an id that has none stays as it is.
func TestMaskRunID(t *testing.T) {
	t.Parallel()
	secret := "Hv8kQ2mZ7pLx4TgW"
	r := redact.New(secret)
	require.Equal(t, "nightly-12", bot.MaskRunID(r, "nightly-12"))
	one, two := bot.MaskRunID(r, "a token="+secret), bot.MaskRunID(r, "a token="+secret+"2")
	require.NotContains(t, one, secret)
	require.Contains(t, one, "[masked]")
	require.NotEqual(t, one, two)
	require.Equal(t, one, bot.MaskRunID(r, "a token="+secret))
	require.Equal(t, one, bot.MaskRunID(r, one))
	require.NoError(t, bot.CheckResult(store.Result{Agent: "project-meta", RunID: bot.MaskRunID(r, strings.Repeat("x", 180)+" "+secret)}, time.Now()))
}

// The id of a run is stored and shown, so it is masked like the rest.
func TestRunIDOfExecIsMasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := bot.ExecRequest{Project: "odilo", Agent: "project-meta", RunID: "API_TOKEN=hunter2hunter2", Command: []string{"false"}}
	w.execAs(q)
	w.with(bot.ReadOnly, func(*bot.Bot) { require.NotContains(t, w.Read(w.cfg.State)+w.Read(w.cfg.State+"-wal"), "hunter2") })
	require.Contains(t, w.execAs(q).stderr, ` API_TOKEN=[masked]" of project-meta in odilo was recorded before`)
	require.Equal(t, 1, w.project("odilo").Failures)
}
