package bot_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
)

const stepsConfig = plainConfig + `
operators: [alex]
escalation:
  steps:
    - {after: 1h, mention: [alex], assign: [nobody]}
    - {after: 24h, webhook_file: DIR/pager-url}
`

// stepping has atlas trip, with the steps above.
func stepping(t *testing.T) *world {
	w := newWorld(t)
	w.configure(stepsConfig)
	w.fail("atlas", 2)
	w.sweepWell()
	return w
}

func TestStepsInStatus(t *testing.T) {
	t.Parallel()
	w := stepping(t)
	e := w.project("atlas").Incident.Escalation
	require.Equal(t, 2, e.Steps)
	require.Zero(t, e.Step)
	require.Equal(t, 1, e.Next)
	require.Equal(t, noon.Add(time.Hour), *e.NextAt)
	require.Equal(t, ", step 1 of 2 in 1h", e.Note(w.now()))

	w.pass(time.Hour)
	require.Equal(t, ", step 1 of 2 due now", w.project("atlas").Incident.Escalation.Note(w.now()))
	w.sweepWell()
	p := w.project("atlas")
	e = p.Incident.Escalation
	require.Equal(t, 1, e.Step)
	require.Equal(t, noon.Add(time.Hour), *e.StepAt)
	require.Equal(t, ", step 1 of 2, the next one in 23h", e.Note(w.now()))
	require.Contains(t, strings.Join(p.Warnings, "\n"), "step 1 of the escalation: nobody is not assigned: Gitea cannot assign this login")

	w.Gitea.As("alex").Comment(repo, 1, "/adf snooze 4h")
	w.pass(time.Minute)
	w.sweepWell()
	require.Equal(t, ", snoozed until 2026-11-23 17:00 UTC", w.project("atlas").Incident.Escalation.Note(w.now()))

	w.Gitea.As("alex").Assign(repo, 1, "alex")
	w.pass(24 * time.Hour)
	w.sweepWell()
	p = w.project("atlas")
	require.Equal(t, "alex", p.Incident.TakenBy)
	require.Zero(t, p.Incident.Escalation.Next)
	require.Nil(t, p.Incident.Escalation.SnoozedUntil)
	require.Equal(t, ", step 1 of 2", p.Incident.Escalation.Note(w.now()))
}

// A webhook that fails shows where people look, and the rest of the sweep is done.
func TestStepCallsWebhook(t *testing.T) {
	t.Parallel()
	w := stepping(t)
	w.pass(25 * time.Hour)
	_, err := w.sweep()
	require.ErrorContains(t, err, "atlas#1: open "+w.Path("pager-url")+": no such file or directory: write the secret to it")
	p := w.project("atlas")
	require.Len(t, p.Incident.Escalation.Webhooks, 1)
	require.Contains(t, strings.Join(p.Pending, "\n"), "atlas#1: the webhook of step 2 to be called: open ")
	s := w.status()
	require.Empty(t, s.OtherProblems(), "that is said once")
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		f, err := b.Figures(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, f.WebhooksFailing)
		require.Zero(t, f.Pending)
	})
	require.Len(t, w.issues("open")[0].Comments, 1)

	var got []escalate.WebhookDocument
	pager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var d escalate.WebhookDocument
		_ = json.NewDecoder(r.Body).Decode(&d)
		got = append(got, d)
	}))
	t.Cleanup(pager.Close)
	w.Write(w.Path("pager-url"), pager.URL+"/secret-path\n")
	require.NoError(t, os.Chmod(w.Path("pager-url"), 0o600))
	w.sweepWell()
	require.Len(t, got, 1)
	require.Equal(t, "atlas", got[0].Project)
	require.EqualValues(t, 24*3600, got[0].After)
	require.Equal(t, noon.Add(25*time.Hour), got[0].StepAt)
	require.Empty(t, w.project("atlas").Pending)
	require.NotContains(t, w.Logged.String(), "secret-path")
	w.sweepWell()
	require.Len(t, got, 1)
}

// What could not be done of a step is shown as long as the incident is open, also after the next step has come.
func TestIncompleteStepInStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(strings.Replace(stepsConfig, "webhook_file: DIR/pager-url", "labels: [page]", 1))
	w.fail("atlas", 2)
	w.sweepWell()
	w.pass(time.Hour)
	w.sweepWell()
	refused := "step 1 of the escalation: nobody is not assigned: Gitea cannot assign this login"
	require.Contains(t, strings.Join(w.project("atlas").Warnings, "\n"), refused)

	heal := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateLabel(), Do: giteatest.Status(502, "")})
	w.pass(24 * time.Hour)
	_, err := w.sweep()
	require.ErrorContains(t, err, "502")
	p := w.project("atlas")
	require.Contains(t, strings.Join(p.Warnings, "\n"), refused)
	require.Len(t, p.Pending, 1)
	require.Contains(t, p.Pending[0], "atlas#1: step 2 of the escalation to be finished (labels): ")
	require.Contains(t, p.Pending[0], "502")

	heal()
	w.pass(time.Hour)
	w.sweepWell()
	p = w.project("atlas")
	require.Empty(t, p.Pending)
	require.Contains(t, strings.Join(p.Warnings, "\n"), refused)
	require.Equal(t, 1, p.Incident.Escalation.Earlier[0].Step)
}

func TestCheckOfSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(stepsConfig)
	require.Contains(t, w.finding("steps", bot.Fail), "escalation.steps[1].webhook_file: open "+w.Path("pager-url"))
	w.Write(w.Path("pager-url"), "https://hooks.example/secret\n")
	require.Contains(t, w.finding("steps", bot.Fail), "is open to every user")
	require.NoError(t, os.Chmod(w.Path("pager-url"), 0o600))
	require.Empty(t, w.fails())
	nobody := "escalation.steps[0].assign: nobody has the login nobody, or the profile is private: correct it if it is wrong"
	require.Contains(t, w.finding("steps", bot.Warn), nobody)
	for _, f := range bot.Check(ctx, w.cfg, false, w.env()) {
		require.False(t, f.What == "steps" && f.Level == bot.OK, f.Text)
	}
	w.Gitea.AddUser("nobody", giteatest.UserOptions{})
	w.Gitea.RenameUser("nobody", "somebody")
	require.Contains(t, w.finding("steps", bot.Warn), "escalation.steps[0].assign: the login nobody was changed to somebody: correct it")
	w.change("[nobody]", "[terraphim]")
	require.Contains(t, w.finding("steps", bot.Warn), "terraphim seems to be an organisation, which cannot be assigned")
	w.change("assign: [terraphim]", "assign: [alex]", "mention: [alex]", "mention: [ops/on-call]")
	require.Contains(t, w.finding("steps", bot.Warn), "escalation.steps[0].mention: Gitea does not tell the team ops/on-call of issues in "+
		"terraphim/adf-fleet, which does not belong to ops: mention people, or a team of terraphim")
	w.change("[ops/on-call]", "[terraphim]")
	require.Contains(t, w.finding("steps", bot.Warn), "escalation.steps[0].mention: terraphim seems to be an organisation, which is told nothing")
	w.change("mention: [terraphim]", "mention: [Terraphim/on-call]")
	require.Contains(t, w.finding("steps", bot.OK), "2 steps, the first one after 1h")
	w.Write(w.Path("pager-url"), "hooks.example/secret\n")
	require.Contains(t, w.finding("steps", bot.Fail), "must hold a URL that begins with https://")
	require.NotContains(t, w.finding("steps", bot.Fail), "secret")

	w.change("operators: [alex]", "operators: []", "    - {after: 24h, webhook_file: DIR/pager-url}\n", "")
	require.Contains(t, w.finding("steps", bot.Warn), "nobody may answer with /adf ack")
}

func TestCheckOfAssigneesAndMentions(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"escalation: {assignees: [nobody]}":     "escalation.assignees: nobody has the login nobody",
		"escalation: {mentions: [nobody]}":      "escalation.mentions: nobody has the login nobody",
		"escalation: {mentions: [ops/on-call]}": "escalation.mentions: Gitea does not tell the team ops/on-call of issues in terraphim/adf-fleet",
		"":                                      "assignees of odilo: terraphim seems to be an organisation, which cannot be assigned",
	} {
		w := newWorld(t)
		w.change("projects:", keys+"\nprojects:")
		if keys == "" {
			w.change("- id: odilo", "- id: odilo\n    assignees: [terraphim]")
		}
		require.Contains(t, w.finding("escalation", bot.Warn), want)
	}
}

// A pause by hand has no issue that could remind of it.
func TestForgottenHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with(bot.Results, func(b *bot.Bot) {
		_, err := b.Pause(ctx, "odilo", "holidays")
		require.NoError(t, err)
	})
	w.pass(167 * time.Hour)
	require.False(t, w.project("odilo").Forgotten)
	require.Empty(t, w.project("odilo").Warnings)
	w.pass(time.Hour)
	require.True(t, w.project("odilo").Forgotten)
	require.Contains(t, w.project("odilo").Warnings[0], "paused by hand since 2026-11-23 12:00 UTC, and there is no issue to remind of it")
	w.change("projects:", "escalation: {remind: 0s}\nprojects:")
	require.False(t, w.project("odilo").Forgotten)
}
