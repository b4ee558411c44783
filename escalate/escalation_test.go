package escalate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/testworld"
)

// pager is a webhook.
type pager struct {
	mu   sync.Mutex
	got  []escalate.WebhookDocument
	err  error
	wait time.Duration
	work func(context.Context) // before it answers

	refuses string // id of an incident whose documents it does not take
}

func (p *pager) Send(ctx context.Context, file, event string, document []byte) (time.Duration, error) {
	var d escalate.WebhookDocument
	if err := json.Unmarshal(document, &d); err != nil || file != "/etc/adfbot/pager-url" || event != d.ID {
		return 0, errors.Join(errors.New("not what was asked for"), err)
	}
	if p.work != nil {
		p.work(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses == d.Incident.ID {
		return 0, errors.New("status 400")
	}
	if p.err == nil {
		p.got = append(p.got, d)
	}
	return p.wait, p.err
}

// steps has people told at one hour, four hours and a day, and reminds them each week.
func (m *machine) steps(p *pager) {
	o := m.rec.Options()
	o.Webhooks = p
	o.Escalation = plan.Escalation{Remind: 7 * 24 * time.Hour, Steps: []plan.Step{
		{After: time.Hour, Mention: []string{"ops/on-call"}},
		{After: 4 * time.Hour, Assign: []string{"lead"}, Labels: []string{"priority/critical", "page"}},
		{After: 24 * time.Hour, Webhook: "/etc/adfbot/pager-url"},
	}}
}

// inSteps plays with those, alex as an operator, and a project that has just tripped.
func inSteps(t *testing.T, f func(w *world, p *pager, id string)) {
	t.Helper()
	playOperated(t, func(w *world, id string) {
		w.Gitea.AddUser("lead", giteatest.UserOptions{})
		w.Gitea.SetPermission("terraphim", "adf-fleet", "lead", giteatest.Write)
		p := &pager{}
		w.steps(p)
		f(w, p, id)
	})
}

func (w *world) pass(d time.Duration) { w.sweepEvery(10*time.Minute, d) }

func TestSteps(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.pass(50 * time.Minute)
		require.Empty(w, comments(w.issue()), "it is too early")
		w.pass(20 * time.Minute)
		said := comments(w.issue())
		require.Len(w, said, 1)
		require.Contains(w, said[0], "@ops/on-call `odilo` has been paused for 1h")
		require.Contains(w, said[0], "and nobody has answered.\n\nThis is step 1 of the escalation.")
		require.Contains(w, said[0], "`/adf ack`")
		require.Contains(w, said[0], "`/adf snooze 4h`")
		w.pass(2 * time.Hour)
		require.Len(w, comments(w.issue()), 1, "once")

		w.pass(time.Hour)
		said = comments(w.issue())
		require.Len(w, said, 2)
		require.Contains(w, said[1], "Step 2 of the escalation assigns `lead` and sets `priority/critical` and `page`.")
		require.NotContains(w, said[1], "@")
		require.Equal(w, []string{"lead"}, w.issue().Assignees)
		require.Equal(w, []string{"adf", "circuit-breaker", "page", "priority/critical", "priority/high"}, w.issue().Labels)

		w.pass(20 * time.Hour)
		require.Len(w, comments(w.issue()), 3, "whom the bot has assigned has not answered by that")
		require.Len(w, p.got, 1)
		require.Equal(w, w.incident(id).ID+"/step/86400", p.got[0].ID)
		require.Equal(w, "[ADF] odilo has been paused for 1d, and nobody has answered: "+w.incident(id).Issue.URL, p.got[0].Text)
		require.Equal(w, 3, p.got[0].Step)
		require.Equal(w, []string{"odilo"}, p.got[0].Projects)
		require.Empty(w, w.incident(id).Escalation.Webhooks)

		w.asked()
		w.pass(24 * time.Hour)
		require.Empty(w, writes(w.asked()), "that was the last one")
		require.Len(w, p.got, 1)
	})
}

// The status that Gitea gives for a login which cannot be assigned is also that of its database, its disk, or a proxy that fails.
func TestStepWhileGiteaFails(t *testing.T) {
	change := func(r *http.Request) bool { return r.Method != http.MethodGet }
	patch := func(r *http.Request) bool { return r.Method == http.MethodPatch }
	for name, fails := range map[string]giteatest.Fault{
		"its database":     {Match: change, Do: giteatest.Status(500, `{"message":""}`)},
		"a proxy's page":   {Match: change, Do: giteatest.Status(500, "<html></html>", "Content-Type", "text/html")},
		"for the assigned": {Match: patch, Do: giteatest.Status(500, "<html></html>", "Content-Type", "text/html")},
	} {
		t.Run(name, func(t *testing.T) {
			inSteps(t, func(w *world, _ *pager, id string) {
				w.pass(3 * time.Hour)
				undo := w.Gitea.Inject(fails)
				for range 6 {
					time.Sleep(10 * time.Minute)
					_, _ = w.sweepAnd(escalate.SweepOptions{})
				}
				undo()
				w.pass(time.Hour)
				require.Equal(w, []string{"lead"}, w.issue().Assignees)
				require.Empty(w, w.incident(id).Escalation.Step.Problems)
			})
		})
	}
}

// A label takes the place of the bot's own of the same scope, and of no one else's.
func TestStepsReplaceLabel(t *testing.T) {
	playNew(t, func(w *world) {
		w.steps(&pager{})
		w.trip(project)
		w.rec.Options().Projects = []string{project, "twins"}
		w.trip("twins")
		w.Gitea.As("alex").SetLabels(fleet, 2, "adf", "priority/low")
		w.Gitea.AddUser("lead", giteatest.UserOptions{})
		time.Sleep(5 * time.Hour)
		w.sweep()
		require.Equal(w, []string{"adf", "circuit-breaker", "page", "priority/critical"}, w.issues(fleet)[0].Labels)
		require.Equal(w, []string{"adf", "page", "priority/low"}, w.issues(fleet)[1].Labels)
	})
}

// What is overdue after an outage is done once, the latest only.
func TestStepsAfterOutage(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		down := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
		w.pass(26 * time.Hour)
		require.Nil(w, w.incident(id).Escalation.Step)
		require.Empty(w, p.got, "a step needs the issue")
		down()
		w.pass(time.Hour)
		said := comments(w.issue())
		require.Len(w, said, 1)
		require.Contains(w, said[0], "Step 3 of the escalation calls a webhook.")
		require.Len(w, p.got, 1)
		require.Empty(w, w.issue().Assignees)
	})
}

func TestStepsAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w *world)
		said   int
	}{
		"by an operator's ack":               {func(w *world) { w.says("alex", "/adf ack") }, 1},
		"by somebody who assigns themselves": {func(w *world) { w.Gitea.As("alex").Assign(fleet, 1, "alex") }, 0},
		"by a resume":                        {func(w *world) { w.rm(project) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inSteps(t, func(w *world, p *pager, id string) {
				w.pass(30 * time.Minute)
				c.answer(w)
				w.pass(48 * time.Hour)
				require.Len(w, comments(w.issue()), c.said)
				require.Empty(w, p.got)
				require.Nil(w, w.incident(id).Escalation.Step)
			})
		})
	}
}

// Neither somebody else's ack nor an assignment that is taken back is an answer.
func TestStepsNotAnswered(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.Gitea.As("alex").Assign(fleet, 1, "alex")
		w.pass(2 * time.Hour)
		require.Equal(w, "alex", w.incident(id).Escalation.Assignee.By.Login)
		require.Empty(w, comments(w.issue()))
		w.Gitea.As("alex").Assign(fleet, 1)
		w.says("kim", "/adf ack")
		w.pass(30 * time.Minute)
		require.Nil(w, w.incident(id).Escalation.Assignee)
		require.Equal(w, 1, w.incident(id).Escalation.Step.Number)
	})
}

// Whom the configuration has assigned has not answered, even if the configuration has changed since.
func TestStepsWithAssigneesOfTheBot(t *testing.T) {
	play(t, func(w *world) {
		w.assigned("alex")
		w.steps(&pager{})
		id := w.trip(project)
		w.assigned()
		w.pass(70 * time.Minute)
		require.Equal(w, []string{"alex"}, w.issue().Assignees)
		require.NotNil(w, w.incident(id).Escalation.Step)
		require.NotContains(w, comments(w.issue())[0], "/adf", "there are no operators")
	})
}

// Whom the bot has assigned has not answered by taking another login.
func TestStepsWithRenamedAssignee(t *testing.T) {
	renamed := func(w *world, id, login string) {
		w.Gitea.RenameUser(login, login+"-2")
		w.pass(48 * time.Hour)
		i := w.incident(id)
		require.Equal(w, []string{login + "-2"}, w.issue().Assignees)
		require.Nil(w, i.Escalation.Assignee)
		require.Equal(w, 3, i.Escalation.Step.Number)
	}
	t.Run("of a step", func(t *testing.T) {
		inSteps(t, func(w *world, p *pager, id string) {
			w.pass(5 * time.Hour)
			renamed(w, id, "lead")
			require.Len(w, p.got, 1)
		})
	})
	t.Run("of a step, by an earlier version", func(t *testing.T) {
		inSteps(t, func(w *world, p *pager, id string) {
			w.pass(5 * time.Hour)
			_, err := w.store.Change(w.Context(), id, func(i *incident.Incident) { i.Escalation.AssignedIDs = nil })
			require.NoError(w, err)
			w.sweep()
			renamed(w, id, "lead")
		})
	})
	t.Run("of the configuration", func(t *testing.T) {
		play(t, func(w *world) {
			w.assigned("alex")
			w.steps(&pager{})
			id := w.trip(project)
			w.rec.Options().Escalation.Steps[1].Assign = nil
			renamed(w, id, "alex")
		})
	})
	t.Run("by ack, of one that joins afterwards", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.operated("alex")
			w.steps(&pager{})
			w.rec.Options().Escalation.Steps[1].Assign = nil
			ids := w.hits("atlas")
			w.sweepFor(3 * time.Minute)
			w.says("alex", "/adf ack")
			w.sweep()
			w.hits("carol")
			w.sweepFor(20 * time.Minute)
			renamed(w, ids[0], "alex")
		})
	})
}

// Who that is, is asked once.
func TestRequestsOfStepsWithAssignees(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.pass(5 * time.Hour)
		w.asked()
		w.sweepFor(3 * time.Minute)
		for _, r := range w.asked() {
			require.NotContains(w, r.Path, "/issues/1", "it is known")
		}
	})
}

// Somebody is assigned after the list of open issues was read.
func TestStepsAnsweredMeanwhile(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		time.Sleep(2 * time.Hour)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Meanwhile(func() { w.Gitea.As("alex").Assign(fleet, 1, "alex") })})
		w.pass(time.Hour)
		require.Nil(w, w.incident(id).Escalation.Step)
		require.Empty(w, comments(w.issue()))
	})
}

// After an ack, a new incident starts its own steps.
func TestStepsOfNextIncident(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.says("alex", "/adf ack")
		w.pass(2 * time.Hour)
		w.rm(project)
		w.pass(10 * time.Minute)
		next := w.trip(project)
		w.pass(2 * time.Hour)
		require.Nil(w, w.incident(id).Escalation.Step)
		require.Equal(w, next, w.incident(next).Escalation.Step.Of)
		require.Len(w, comments(w.issues(fleet)[1]), 1)
	})
}

func TestSnoozeCommand(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.says("alex", "/adf snooze 4h the provider works on it")
		w.pass(time.Minute)
		said := comments(w.issue())
		require.Len(w, said, 1)
		until := w.incident(id).Escalation.SnoozedUntil(time.Now())
		require.Contains(w, said[0], "Steps and reminders wait until "+until.Format("2006-01-02 15:04")+" UTC.")
		w.pass(4*time.Hour + 40*time.Minute)
		require.Len(w, comments(w.issue()), 1)
		w.pass(30 * time.Minute)
		require.Len(w, comments(w.issue()), 2, "the first step, four hours later")
		require.Equal(w, 1, w.incident(id).Escalation.Step.Number)
	})
}

func TestSnoozeCommandAnswers(t *testing.T) {
	for command, want := range map[string]string{
		"/adf snooze":             "Say for how long: `/adf snooze 4h`",
		"/adf snooze tomorrow":    "`tomorrow` is no time",
		"/adf snooze -4h":         "`-4h` is no time",
		"/adf snooze 0s":          "`0s` is no time",
		"/adf snooze 31d":         "`31d` is longer than 30d: `/adf snooze 4h`, `90m`, `3d` or `1d12h`, at most 30d",
		"/adf snooze 721h":        "`721h` is longer than 30d",
		"/adf snooze 9999999d":    "is longer than 30d",
		"/adf snooze 1d-2h":       "is no time",
		"/ADF Snooze 1D12H":       "Steps and reminders wait until 2000-01-02 12:01 UTC.",
		"/adf snooze 3d":          "wait until 2000-01-04 00:01 UTC.",
		"/adf snooze 30d\nplease": "wait until 2000-01-31 00:01 UTC.",
		"/adf snooze 1ms":         "that was over at",
	} {
		t.Run(command, func(t *testing.T) {
			inSteps(t, func(w *world, p *pager, id string) {
				w.says("alex", command)
				w.sweep()
				require.Contains(w, w.last(), want)
			})
		})
	}
}

func TestReminders(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.rec.Options().Mentions = []string{"ops/all"}
		w.says("alex", "/adf ack")
		w.sweepEvery(time.Hour, 13*24*time.Hour)
		said := comments(w.issue())
		require.Len(w, said, 2)
		require.Contains(w, said[1], "@ops/all A reminder: `odilo` has been paused for 7d, since 2000-01-01 00:00 UTC. `alex` took it on 2000-01-01 00:01 UTC.")
		require.Contains(w, said[1], "adfbot resume odilo")
		w.says("alex", "/adf snooze 10d")
		w.sweepEvery(time.Hour, 10*24*time.Hour)
		require.Len(w, comments(w.issue()), 3, "and the answer")
		w.sweepEvery(time.Hour, 2*24*time.Hour)
		require.Len(w, comments(w.issue()), 4)
	})
}

// What Gitea refuses of a step costs nothing else of it, and is stored for people.
func TestStepsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse   func(w *world)
		assigned []string
		labels   []string
		said     int
		problem  string
	}{
		"an unknown assignee": {func(w *world) { w.rec.Options().Escalation.Steps[1].Assign = []string{"nobody", "lead"} },
			[]string{"lead"}, []string{"adf", "circuit-breaker", "page", "priority/critical", "priority/high"}, 1, "nobody is not assigned: Gitea cannot assign this login"},
		"an assignee who blocks the bot": {func(w *world) { w.Gitea.Block("lead", testworld.Bot) },
			nil, []string{"adf", "circuit-breaker", "page", "priority/critical", "priority/high"}, 1, "lead is not assigned: this account has blocked the bot"},
		"labels": {func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateLabel(), Do: giteatest.Refuse(403, "no")})
		}, []string{"lead"}, threeLabels, 1, `The labels "priority/critical" and "page" are not set: the bot's account may not write to this repository.`},
		"a server that fails": {func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateLabel(), Do: giteatest.Status(502, "")})
		}, []string{"lead"}, threeLabels, 1, `are not set: Gitea failed when it was asked.`},
		"the comment": {func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: giteatest.Refuse(403, "locked")})
		}, []string{"lead"}, []string{"adf", "circuit-breaker", "page", "priority/critical", "priority/high"}, 0, "Gitea refused the comment, which is given up: "},
		"people's choice of a label": {func(w *world) {
			w.Gitea.As("alex").SetLabels(fleet, 1, "adf", "priority/low")
		}, []string{"lead"}, []string{"adf", "page", "priority/low"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inSteps(t, func(w *world, p *pager, id string) {
				c.refuse(w)
				time.Sleep(4 * time.Hour)
				w.pass(2 * time.Hour)
				require.Equal(w, c.assigned, w.issue().Assignees)
				require.Equal(w, c.labels, w.issue().Labels)
				require.Len(w, comments(w.issue()), c.said)
				i := w.incident(id)
				require.Empty(w, i.Escalation.Step.Left)
				require.Empty(w, i.LastErr)
				if c.problem == "" {
					require.Empty(w, i.Escalation.Step.Problems)
				} else {
					require.Contains(w, strings.Join(i.Escalation.Step.Problems, "\n"), c.problem)
				}
			})
		})
	}
}

// Each part of a step happens once, wherever the process dies; a webhook at least once.
func TestCrashDuringStep(t *testing.T) {
	for step, calls := range map[string]int{"step-begun": 1, "comment-begun": 1, "commented": 1, "step-part": 1, "webhook-next": 1, "webhook-sent": 2} {
		t.Run(step, func(t *testing.T) {
			inSteps(t, func(w *world, p *pager, id string) {
				w.rec.Options().Escalation.Steps = []plan.Step{{After: time.Hour, Assign: []string{"lead"}, Labels: []string{"page"}, Webhook: "/etc/adfbot/pager-url"}}
				configured := w.rec.Options().Escalation
				time.Sleep(2 * time.Hour)
				w.diesIn(step)
				w.machine = w.reborn()
				w.steps(p)
				w.rec.Options().Escalation = configured
				w.pass(2 * time.Hour)
				require.Len(w, comments(w.issue()), 1)
				require.Equal(w, []string{"lead"}, w.issue().Assignees)
				require.Contains(w, w.issue().Labels, "page")
				require.Len(w, p.got, calls)
				require.Equal(w, p.got[0], p.got[calls-1], "with the same id")
				require.Empty(w, w.incident(id).Escalation.Webhooks)
				require.Empty(w, w.incident(id).Escalation.Step.Left)
			})
		})
	}
}

func TestCrashDuringReminder(t *testing.T) {
	for _, step := range []string{"reminder-begun", "comment-begun", "commented"} {
		t.Run(step, func(t *testing.T) {
			inSteps(t, func(w *world, p *pager, id string) {
				w.rec.Options().Escalation.Steps = nil
				time.Sleep(8 * 24 * time.Hour)
				w.diesIn(step)
				w.machine = w.reborn()
				w.steps(p)
				w.rec.Options().Escalation.Steps = nil
				w.pass(2 * time.Hour)
				require.Len(w, comments(w.issue()), 1)
			})
		})
	}
}

// Two processes that sweep at once take a step once.
func TestStepsOfTwoProcesses(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		time.Sleep(25 * time.Hour)
		other := w.another()
		other.steps(p)
		var wg sync.WaitGroup
		for _, m := range []*machine{w.machine, other} {
			wg.Go(func() { m.sweepFor(10 * time.Minute) })
		}
		wg.Wait()
		require.Len(w, comments(w.issue()), 1)
		require.Len(w, p.got, 1)
	})
}

// A state that was lost knows from the issue which step was the last one.
func TestStepsAfterLostState(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.pass(5 * time.Hour)
		before := comments(w.issue())
		m := w.withoutState()
		m.steps(p)
		m.sweepEvery(10*time.Minute, 2*time.Hour)
		require.Equal(w, before, comments(w.issue()))
		require.Equal(w, 2, m.incident(id).Escalation.Step.Number)
	})
}

// A state that is an older copy does not take whom the bot has assigned since for somebody who has answered.
func TestStepsAfterOlderCopy(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.pass(2 * time.Hour)
		restore := w.copied()
		w.steps(p)
		w.pass(3 * time.Hour)
		require.Equal(w, []string{"lead"}, w.issue().Assignees)
		before := comments(w.issue())
		m := restore()
		m.steps(p)
		m.sweepEvery(10*time.Minute, 2*time.Hour)
		require.Nil(w, m.incident(id).Escalation.Assignee)
		require.Equal(w, before, comments(w.issue()))
		require.Equal(w, 2, m.incident(id).Escalation.Step.Number)
		m.sweepEvery(10*time.Minute, 20*time.Hour)
		require.Len(w, p.got, 1)

		w.Gitea.As("alex").Assign(fleet, 1, "alex", "lead")
		m.sweepEvery(10*time.Minute, time.Hour)
		require.Equal(w, "alex", m.incident(id).Escalation.Assignee.By.Login)
	})
}

// A webhook that fails is called again, ever more rarely, and keeps nothing else waiting.
func TestWebhookFails(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		p.err = errors.New("/etc/adfbot/pager-url: status 503")
		time.Sleep(25 * time.Hour)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "odilo#1: /etc/adfbot/pager-url: status 503")
		require.Len(w, comments(w.issue()), 1, "the comment does not wait for it")
		w.sweepFor(time.Hour)
		d := w.incident(id).Escalation.Webhooks[0]
		require.Contains(w, d.Err, "status 503")
		require.Greater(w, d.Tries, 5)
		require.Less(w, d.Tries, 12)
		require.Empty(w, w.incident(id).LastErr, "that is Gitea's")
		p.err = nil
		w.sweepFor(20 * time.Minute)
		require.Len(w, p.got, 1)
		require.Empty(w, w.incident(id).Escalation.Webhooks)
		require.Len(w, comments(w.issue()), 1)
	})
}

// The file is that of this host, and may have been moved since the step was begun.
func TestWebhookFileMoved(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.rec.Options().Escalation.Steps[2].Webhook = "/etc/adfbot/old"
		time.Sleep(25 * time.Hour)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "not what was asked for")
		w.steps(p)
		w.pass(20 * time.Minute)
		require.Len(w, p.got, 1)
	})
}

// A receiver that asks to wait is left alone for as long. An answer ends it.
func TestWebhookWaits(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		p.err, p.wait = errors.New("status 429"), time.Hour
		time.Sleep(25 * time.Hour)
		w.sweepFor(50 * time.Minute)
		require.Equal(w, 1, w.incident(id).Escalation.Webhooks[0].Tries)
		p.err = nil
		w.says("alex", "/adf ack")
		w.pass(2 * time.Hour)
		require.Empty(w, p.got)
	})
}

// A document that the receiver does not take keeps no other one waiting behind its retries.
func TestWebhookRetriesComeLast(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.rec.Options().Projects = []string{project, "twins"}
		p.err = errors.New("status 400")
		time.Sleep(25 * time.Hour)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		twins := w.trip("twins")
		time.Sleep(24 * time.Hour)
		p.refuses = id
		p.err = nil
		_, err = w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "status 400")
		require.Len(w, p.got, 1)
		require.Equal(w, twins, p.got[0].Incident.ID)
	})
}

// A receiver that hangs is tried with one document, not with all of them, and after the projects.
func TestWebhookHangs(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.rec.Options().Projects = []string{project, "twins"}
		twins := w.trip("twins")
		p.err = errors.New("it timed out")
		p.work = func(context.Context) {
			require.NotNil(w, w.incident(id).Escalation.Step)
			require.NotNil(w, w.incident(twins).Escalation.Step)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(25 * time.Hour)
		began := time.Now()
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.Equal(w, 10*time.Second, time.Since(began))
		require.Equal(w, 1, w.incident(id).Escalation.Webhooks[0].Tries+w.incident(twins).Escalation.Webhooks[0].Tries)
	})
}

// In an issue that carries several incidents, the steps are those of the one that has waited for the longest, once for all.
func TestStormSteps(t *testing.T) {
	playOperatedStorm(t, func(w *world, ids []string) {
		p := &pager{}
		w.steps(p)
		w.rec.Options().Escalation.Steps = w.rec.Options().Escalation.Steps[:1]
		before := len(comments(w.issue()))
		w.pass(70 * time.Minute)
		require.Len(w, comments(w.issue()), before+1)
		require.Contains(w, w.last(), "`atlas` and 2 other projects of this issue have been paused for up to 1h")
		w.rm("atlas")
		w.pass(time.Hour)
		require.Len(w, comments(w.issue()), before+1, "not again for the others")

		w.says("alex", "/adf ack")
		w.pass(10 * time.Minute)
		w.says("alex", "/adf snooze bravo 4h")
		w.pass(10 * time.Minute)
		require.Contains(w, w.last(), "It is for the whole issue.")
		w.says("alex", "/adf snooze 4h")
		w.pass(10 * time.Minute)
		require.Contains(w, w.last(), "Steps and reminders wait until")
		require.NotEmpty(w, w.incident(ids[0]).Escalation.Snoozes, "the lead has it, although it has ended")
	})
}

// Who takes one of them is assigned to the issue of all. That is no answer for the others.
func TestStormStepsAfterOneIsTaken(t *testing.T) {
	for _, assigned := range []bool{false, true} {
		t.Run(fmt.Sprint(assigned), func(t *testing.T) {
			playOperatedStorm(t, func(w *world, ids []string) {
				w.steps(&pager{})
				if assigned { // by themselves, before
					w.Gitea.As("alex").Assign(fleet, w.issue().Number, "alex")
				}
				w.says("alex", "/adf ack carol")
				w.sweep()
				require.Equal(w, []string{"alex"}, w.issue().Assignees)
				require.Equal(w, assigned, w.incident(ids[0]).Escalation.Assignee != nil)
				before := len(comments(w.issue()))
				w.pass(70 * time.Minute)
				if assigned {
					require.Len(w, comments(w.issue()), before)
					return
				}
				require.Len(w, comments(w.issue()), before+1)
				require.Contains(w, w.last(), "`atlas` and 1 other project of this issue have been paused for up to 1h")

				w.says("alex", "/adf ack")
				w.sweep()
				before = len(comments(w.issue()))
				w.pass(5 * time.Hour)
				require.Len(w, comments(w.issue()), before)
			})
		})
	}
}

// Who takes what an issue is about has not answered for a project that joins it afterwards.
func TestStormStepsOfOneThatJoinsAfterAnAck(t *testing.T) {
	for _, c := range []struct {
		says string
		hit  []string // before that
	}{{"/adf ack", []string{"atlas"}}, {"/adf ack atlas", []string{"atlas"}}, {"/adf ack", []string{"atlas", "bravo"}}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			inStorm(t, func(w *world) {
				w.operated("alex")
				w.steps(&pager{})
				ids := w.hits(c.hit...)
				w.sweepFor(3 * time.Minute)
				w.says("alex", c.says)
				w.sweep()
				require.Equal(w, []string{"alex"}, w.issue().Assignees)
				joined := w.hits("carol")[0]
				w.sweepFor(20 * time.Minute)
				require.Equal(w, ids[0], w.incident(joined).Lead)
				require.Nil(w, w.incident(ids[0]).Escalation.Assignee)
				before := len(comments(w.issue()))
				w.pass(70 * time.Minute)
				require.Len(w, comments(w.issue()), before+1)
				require.Contains(w, w.last(), "`carol` has been paused for 1h")

				w.says("alex", "/adf ack carol")
				w.sweep()
				before = len(comments(w.issue()))
				w.pass(5 * time.Hour)
				require.Len(w, comments(w.issue()), before)
			})
		})
	}
}

// Whom the bot has assigned for a project that joined an issue has not answered either, even if the configuration has changed since.
func TestStormStepsWithAssigneesOfOneThatJoined(t *testing.T) {
	inStorm(t, func(w *world) {
		w.steps(&pager{})
		target := w.rec.Options().Target
		w.rec.Options().Target = func(p string) escalate.Target {
			c := target(p)
			if p == "bravo" {
				c.Assignees = []string{"alex"}
			}
			return c
		}
		ids := w.hits("atlas", "bravo")
		w.sweepFor(20 * time.Minute)
		require.Equal(w, []string{"alex"}, w.issue().Assignees)
		w.rec.Options().Target = target
		before := len(comments(w.issue()))
		w.pass(70 * time.Minute)
		require.Nil(w, w.incident(ids[0]).Escalation.Assignee)
		require.Len(w, comments(w.issue()), before+1)
	})
}

// Whoever is told that nobody has answered must not take that for the projects that somebody has taken or resumed, also not when it is
// told late.
func TestStormStepsNameWhoWaits(t *testing.T) {
	t.Run("webhook", func(t *testing.T) {
		playOperatedStorm(t, func(w *world, _ []string) {
			p := &pager{}
			w.steps(p)
			w.says("alex", "/adf ack carol")
			w.pass(25 * time.Hour)
			require.Len(w, p.got, 1)
			require.Contains(w, p.got[0].Text, "[ADF] atlas and 1 other project have been paused for 1d")
			require.Equal(w, []string{"atlas", "bravo", "carol"}, p.got[0].Projects)
		})
	})
	for _, command := range []string{"/adf ack atlas", "/adf resume atlas"} {
		t.Run(command, func(t *testing.T) {
			playOperatedStorm(t, func(w *world, _ []string) {
				p := &pager{err: errors.New("status 503")}
				w.steps(p)
				time.Sleep(25 * time.Hour)
				w.diesIn("step-begun")
				w.says("alex", command+"\n/adf ack carol")
				w.sweepFor(30 * time.Minute)
				require.Contains(w, w.last(), "`bravo` has been paused for 1d")
				p.err = nil
				w.sweepFor(30 * time.Minute)
				require.Len(w, p.got, 1)
				require.Contains(w, p.got[0].Text, "[ADF] bravo has been paused for 1d")
				require.Equal(w, "bravo", p.got[0].Incident.Name[:5])
			})
		})
	}
}

func TestSnoozeOfEndedIncident(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.says("alex", "/adf snooze 4h")
		w.rm(project)
		w.change(id, func(i *incident.Incident) { i.Ended = time.Now() })
		w.sweep()
		require.Contains(w, strings.Join(comments(w.issue()), "\n"), "Incident `odilo#1` is over: there is nothing to snooze.")
	})
}
