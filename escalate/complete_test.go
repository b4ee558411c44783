package escalate_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testworld"
)

// Optional parts never cost the issue, and one that is refused costs only itself.

// assigned has all issues assigned to these logins.
func (m *machine) assigned(logins ...string) {
	target := m.rec.Options().Target
	m.rec.Options().Target = func(p string) escalate.Target {
		t := target(p)
		t.Assignees = logins
		return t
	}
}

// leftOut is what the issue says of its missing parts.
func leftOut(t require.TestingT, body string) string {
	_, list, ok := strings.Cut(body, "\n### Left out\n\n")
	require.True(t, ok, body)
	require.Equal(t, 1, strings.Count(body, "### Left out"))
	list, _, _ = strings.Cut(list, "\n\n")
	return list
}

var threeLabels = []string{"adf", "circuit-breaker", "priority/high"}

func TestRefusedAssignee(t *testing.T) {
	for _, c := range []struct {
		name, login, says string
		prepare           func(w *world)
	}{
		{"unknown", "nobody", "- nobody is not assigned: Gitea cannot assign this login. It may be unknown, an organisation, or without access to the repository.", func(*world) {}},
		{"an organisation", "terraphim", "- terraphim is not assigned: Gitea cannot assign this login.", func(*world) {}},
		{"without access", "kim", "- kim is not assigned: Gitea cannot assign this login.", func(w *world) { w.Gitea.SetPrivate(fleet, true) }},
		{"has blocked the bot", "kim", "- kim is not assigned: this account has blocked the bot.", func(w *world) { w.Gitea.Block("kim", testworld.Bot) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				c.prepare(w)
				w.assigned(c.login, "alex", testworld.Bot)
				id, _ := w.tripAnd(project)
				w.sweepFor(5 * time.Minute)
				i := w.issue()
				require.ElementsMatch(w, []string{"alex", testworld.Bot}, i.Assignees)
				require.Equal(w, threeLabels, i.Labels)
				require.Contains(w, leftOut(w, i.Body), c.says)
				require.Equal(w, 1, strings.Count(leftOut(w, i.Body), "- "), "one sentence")
				require.NotContains(w, i.Body, "uid")
				m, ok := tracker.ParseMarker(i.Body)
				require.True(w, ok)
				require.Equal(w, id, m.Incident)
				require.Empty(w, w.incident(id).LastErr)
				w.asked()
				w.sweep()
				require.Empty(w, writes(w.asked()), "nothing is tried again")
			})
		})
	}
}

// A refusal for lack of rights is not about the optional parts: it costs three more requests, and its reason is kept.
func TestRefusalWithAssignees(t *testing.T) {
	play(t, func(w *world) {
		w.assigned("alex")
		w.Gitea.DisableIssues(fleet)
		id, err := w.tripAnd(project)
		require.ErrorContains(w, err, "403")
		require.Len(w, w.asked(), 4, "with everything, without assignees, with a short text, without labels")
		w.Gitea.EnableIssues(fleet)
		require.NoError(w, w.force())
		require.Equal(w, []string{"alex"}, w.issue().Assignees)
		require.NotContains(w, w.issue().Body, "Left out")
		require.Empty(w, w.incident(id).LastErr)
	})
}

// Labels that were deleted, or whose repository was made anew, are made again and set on the very issue that lacks them.
func TestLostLabels(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(w *world)
	}{
		{"one was deleted", func(w *world) { w.Gitea.DeleteLabel(fleet, "adf") }},
		{"one was deleted and made again", func(w *world) { w.Gitea.DeleteLabel(fleet, "adf"); w.Gitea.AddLabel(fleet, "adf") }},
		{"the repository was made anew", func(w *world) {
			w.Gitea.DeleteRepo(fleet)
			w.Gitea.AddRepo("terraphim", "adf-fleet")
			w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Write)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				c.lose(w)
				w.trip(project)
				require.Equal(w, threeLabels, w.issue().Labels)
				require.NotContains(w, w.issue().Body, "Left out")
				require.Len(w, w.Gitea.Labels(fleet), 3)
				w.asked()
				w.trip("digital-twins")
				require.Len(w, w.asked(), 1, "the new ids are kept")
			})
		})
	}
}

// A label that Gitea does not tell, create or set when the issue is opened is set later.
func TestLabelsAfterFailure(t *testing.T) {
	for _, match := range []string{"/labels", "/issues/2/labels"} {
		for _, f := range lostAnswers {
			t.Run(match+" "+f.name, func(t *testing.T) {
				playNew(t, func(w *world) {
					w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas(match), Times: 2, Do: f.do})
					if match != "/labels" {
						w.trip("digital-twins") // the labels are known from here on
						w.Gitea.DeleteLabel(fleet, "adf")
					}
					id, _ := w.tripAnd(project)
					w.sweepFor(10 * time.Minute)
					all := w.issues(fleet)
					require.Equal(w, threeLabels, all[len(all)-1].Labels)
					require.NotContains(w, all[len(all)-1].Body, "Left out")
					require.Empty(w, w.incident(id).LastErr)
				})
			})
		}
	}
}

// A trip that has waited for labels in vain opens the issue and does not wait for them again: its job may be waiting.
func TestTripWaitsOnceForLabels(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Times: 1, Do: giteatest.Hang()})
		began := time.Now()
		id := w.trip(project)
		require.Equal(w, timeout, time.Since(began))
		require.Empty(w, w.issue().Labels)
		require.Empty(w, w.incident(id).LastErr)
		w.sweep()
		require.Equal(w, threeLabels, w.issue().Labels)
	})
}

// A crash between the creation and what completes it leaves that to the next sweep, and so does a creation whose answer was lost.
func TestIncompleteIssueAfterCrash(t *testing.T) {
	for _, c := range []struct {
		name string
		trip func(w *world) *machine
	}{
		{"a crash", func(w *world) *machine {
			i := w.failed(project)
			w.dies("issue-noted", func(ctx context.Context) { _, _ = w.rec.Trip(ctx, i) })
			return w.reopened()
		}},
		{"a crash before the answer is saved", func(w *world) *machine {
			i := w.failed(project)
			w.dies("created", func(ctx context.Context) { _, _ = w.rec.Trip(ctx, i) })
			return w.reopened()
		}},
		{"a lost answer", func(w *world) *machine {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
			_, err := w.tripAnd(project)
			require.Error(w, err)
			return w.machine
		}},
		{"a lost answer, and somebody closes the issue", func(w *world) *machine {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
			_, err := w.tripAnd(project)
			require.Error(w, err)
			w.Gitea.As("alex").Close(fleet, 1)
			return w.machine
		}},
		{"a lost request", func(w *world) *machine {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
			_, err := w.tripAnd(project)
			require.Error(w, err)
			return w.machine
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.assigned("alex")
				w.Gitea.DeleteLabel(fleet, "adf")
				m := c.trip(w)
				m.assigned("alex")
				m.sweepFor(10 * time.Minute)
				i := m.issue()
				require.Equal(w, "open", i.State)
				require.Equal(w, threeLabels, i.Labels)
				require.Equal(w, []string{"alex"}, i.Assignees)
				require.NotContains(w, i.Body, "Left out")
			})
		})
	}
}

// What Gitea drops silently, because the account may not write, is named in the issue.
func TestSilentlyDroppedParts(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Read)
		w.assigned("alex")
		w.rec.Options().DueIn = 48 * time.Hour
		w.trip(project)
		i := w.issue()
		require.Empty(w, i.Labels)
		require.Empty(w, i.Assignees)
		require.Equal(w, `- The labels "adf", "circuit-breaker" and "priority/high" are not set: the bot's account may not write to this repository.
- alex is not assigned: the bot's account may not write to this repository.
- The issue has no due date: Gitea did not set it.`, leftOut(w, i.Body))
		_, ok := tracker.ParseMarker(i.Body)
		require.True(w, ok)
	})
}

// A Gitea that goes on failing with labels is not asked for ever.
func TestLabelsThatNeverWork(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Do: giteatest.Status(502, "<html>bad gateway</html>")})
		id, _ := w.tripAnd(project)
		w.sweepFor(2 * time.Hour)
		require.Equal(w, `- The labels "adf", "circuit-breaker" and "priority/high" are not set: Gitea failed when it was asked.`,
			leftOut(w, w.issue().Body))
		require.Empty(w, w.incident(id).LastErr)
		w.asked()
		w.sweep()
		require.Len(w, w.asked(), 1)
	})
}

// What passes by itself, or with the token, is waited for.
func TestLabelsAfterLongOutage(t *testing.T) {
	for name, do := range map[string]giteatest.Effect{
		"401": giteatest.Status(401, `{"message":"no"}`), "429": giteatest.RetryAfter(429, 60), "a proxy in front of Gitea": giteatest.Status(403, ""),
	} {
		t.Run(name, func(t *testing.T) {
			playNew(t, func(w *world) {
				undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Do: do})
				id, _ := w.tripAnd(project)
				w.sweepFor(3 * time.Hour)
				require.Contains(w, w.incident(id).LastErr, name)
				undo()
				w.sweepFor(20 * time.Minute)
				require.Equal(w, threeLabels, w.issue().Labels)
				require.NotContains(w, w.issue().Body, "Left out")
			})
		})
	}
}

// A proxy may refuse only that labels are set, without a reason.
func TestLabelsBarred(t *testing.T) {
	playNew(t, func(w *world) {
		post := func(r *http.Request) bool { return r.Method == http.MethodPost }
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Times: 1, Do: giteatest.Status(502, "")})
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(post, giteatest.PathHas("/issues/1/labels")), Do: giteatest.Status(403, "")})
		id, _ := w.tripAnd(project)
		w.sweepFor(3 * time.Hour)
		require.Contains(w, w.incident(id).LastErr, "label #1 in terraphim/adf-fleet: status 403: a proxy in front of Gitea refuses this, or")
		require.NotContains(w, w.issue().Body, "Left out")
		undo()
		w.sweepFor(20 * time.Minute)
		require.Equal(w, threeLabels, w.issue().Labels)
		require.NotContains(w, w.issue().Body, "Left out")
		require.Empty(w, w.incident(id).LastErr)
	})
}

// A change that a person made to the body stays.
func TestLeftOutKeepsEdits(t *testing.T) {
	play(t, func(w *world) {
		w.assigned("nobody")
		var once bool
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.EditIssue(), Do: giteatest.Meanwhile(func() {
			if i := w.issue(); !once {
				once = true
				w.Gitea.As("alex").EditBody(fleet, i.Number, "I am on it.\n\n"+i.Body)
			}
		})})
		w.trip(project)
		require.Contains(w, w.issue().Body, "I am on it.")
		require.Contains(w, leftOut(w, w.issue().Body), "nobody is not assigned")
	})
}

// An issue that ended or that a person closed is not completed, and a resume does not wait for it.
func TestIncompleteIssueOfEndedIncident(t *testing.T) {
	playNew(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Do: giteatest.Status(502, "")})
		id, _ := w.tripAnd(project)
		w.rm(project)
		w.sweepFor(time.Minute)
		require.Equal(w, "closed", w.issue().State)
		require.True(w, w.incident(id).Settled)
		undo()
		w.sweepFor(time.Hour)
		require.Empty(w, w.issue().Labels)
	})
}

// A server that fails on an optional part gets the issue without it.
func TestServerFailsOnOptionalPart(t *testing.T) {
	for part, has := range map[string]string{"labels": `"labels":[`, "assignees": `"assignees":["`, "due date": `"due_date":"2`} {
		for _, status := range []int{400, 403, 422, 500} {
			t.Run(fmt.Sprint(part, status), func(t *testing.T) {
				play(t, func(w *world) {
					w.assigned("alex")
					w.rec.Options().DueIn = 48 * time.Hour
					w.Gitea.Inject(giteatest.Fault{
						Match: giteatest.All(giteatest.CreateIssue(), giteatest.BodyHas(has)), Do: giteatest.Refuse(status, ""),
					})
					_, err := w.tripAnd(project)
					require.Equal(w, status == 500, err != nil, err)
					w.sweepFor(20 * time.Minute)
					require.Equal(w, threeLabels, w.issue().Labels)
					require.Equal(w, []string{"alex"}, w.issue().Assignees)
					if part == "due date" {
						require.Contains(w, leftOut(w, w.issue().Body), "due date")
					}
				})
			})
		}
	}
}

// Labels of the organisation are used, where the token may list them. Else the repository gets its own.
func TestOrganisationLabels(t *testing.T) {
	orgLabels := func(w *world) {
		w.Gitea.AddOrgLabel("terraphim", "adf")
		w.Gitea.AddOrgLabel("terraphim", "priority/high")
	}
	mayList := func(w *world) {
		w.Gitea.AddToken(testworld.Bot, testworld.Token, "write:issue", "read:organization")
		w.rec.Options().Login = testworld.Bot
	}
	for _, c := range []struct {
		name string
		do   func(w *world)
		own  []string // labels of the repository afterwards
	}{
		{"the token may list them", func(w *world) { orgLabels(w); mayList(w) }, []string{"circuit-breaker"}},
		{"the token lacks the scope", orgLabels, threeLabels},
		{"the repository has labels of these names too", func(w *world) {
			orgLabels(w)
			mayList(w)
			w.Gitea.AddLabel(fleet, "adf")
		}, []string{"adf", "circuit-breaker"}},
		{"the owner is a person", func(w *world) {
			mayList(w)
			w.Gitea.AddRepo("alex", "private")
			w.Gitea.SetPermission("alex", "private", testworld.Bot, giteatest.Write)
			target := w.rec.Options().Target
			w.rec.Options().Target = func(p string) escalate.Target {
				t := target(p)
				t.Repo = repoOf("alex/private")
				return t
			}
		}, threeLabels},
		{"the list fails first", func(w *world) {
			orgLabels(w)
			mayList(w)
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/orgs/"), Times: 2, Do: giteatest.Status(502, "bad gateway")})
		}, []string{"circuit-breaker"}},
		{"a label goes from the repository to the organisation", func(w *world) {
			mayList(w)
			w.trip("digital-twins")
			for _, name := range threeLabels {
				w.Gitea.DeleteLabel(fleet, name)
			}
			orgLabels(w)
		}, []string{"circuit-breaker"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			playNew(t, func(w *world) {
				c.do(w)
				w.trip(project)
				w.sweepFor(5 * time.Minute)
				repo := w.rec.Options().Target(project).Repo.String()
				all := w.issues(repo)
				require.Equal(w, threeLabels, all[len(all)-1].Labels)
				require.Equal(w, c.own, w.Gitea.Labels(repo))
				w.asked()
				w.trip("another")
				require.Len(w, w.asked(), 1, "the ids are kept")
				require.Len(w, w.issues(repo)[len(all)].Labels, 3)
			})
		})
	}
}

// An operator whom Gitea cannot assign, or an assignee who has gone since, makes no command run for ever: Gitea answers 500.
func TestAckByUnassignable(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.Method("PATCH"), Do: giteatest.Status(500, `{"message":""}`)})
		w.says("alex", "/adf ack")
		w.sweepFor(3 * time.Minute)
		require.NotNil(w, w.incident(id).Ack)
		require.Len(w, comments(w.issue()), 1)
		require.Contains(w, comments(w.issue())[0], "Gitea did not assign them")
	})
}
