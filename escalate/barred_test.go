package escalate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/testworld"
)

// What the token or something in front of Gitea refuses is done once that is mended.

var webPage = giteatest.Status(403, "<h1>Forbidden</h1>", "Content-Type", "text/html")

// barriers refuse what is to be written.
var barriers = []struct {
	name string
	set  func(w *world) (mend func())
	says string
}{
	{"the token lacks a scope", func(w *world) func() {
		w.Gitea.AddToken(testworld.Bot, testworld.Token, "read:issue", "read:user")
		return func() { w.Gitea.AddToken(testworld.Bot, testworld.Token) }
	}, "make a token with the scope write:issue too"},
	{"the password must be changed", bar(giteatest.Status(403, `{"message":"You must change your password."}`)), "change its password"},
	{"a web page of a proxy", bar(webPage), "a proxy in front of Gitea refuses this"},
	{"a gateway's JSON", bar(giteatest.Status(403, `{"message":"Forbidden"}`)), "a proxy in front of Gitea refuses this"},
	{"no reason", bar(giteatest.Status(403, "")), "a proxy in front of Gitea refuses this"},
	{"a Gitea with another address", bar(giteatest.Status(301, "", "Location", "https://git.example.org/api/v1/repos/x/y")),
		"set gitea.url to https://git.example.org"},
}

func bar(do giteatest.Effect) func(w *world) func() {
	return func(w *world) func() {
		return w.Gitea.Inject(giteatest.Fault{Match: func(r *http.Request) bool { return r.Method != http.MethodGet }, Do: do})
	}
}

func eachBarrier(t *testing.T, f func(t *testing.T, set func(w *world) func(), says string)) {
	for _, b := range barriers {
		t.Run(b.name, func(t *testing.T) { f(t, b.set, b.says) })
	}
}

func (w *world) pending() []incident.Command {
	w.Helper()
	pending, err := w.store.PendingCommands(w.Context(), server, "")
	require.NoError(w, err)
	return pending
}

// idle requires that nothing is left to be written.
func (w *world) idle() {
	w.Helper()
	w.asked()
	w.sweepFor(30 * time.Minute)
	require.Empty(w, writes(w.asked()))
}

func TestBarredAnswer(t *testing.T) {
	for _, c := range []struct{ by, command, answer string }{
		{"alex", "/adf status", "`odilo` is paused."},
		{"kim", "/adf resume", "takes commands only from its operators"},
		{"alex", "/adf pause", "already paused"},
	} {
		t.Run(c.command+" by "+c.by, func(t *testing.T) {
			eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
				playOperated(t, func(w *world, id string) {
					mend := set(w)
					w.says(c.by, c.command)
					rep, err := w.sweepAnd(escalate.SweepOptions{})
					require.ErrorContains(w, err, says)
					require.Empty(w, rep.Actions)
					w.sweepFor(90 * time.Minute)
					require.Empty(w, comments(w.issue()))
					require.Len(w, w.pending(), 1)
					mend()
					require.NoError(w, w.force())
					require.Len(w, comments(w.issue()), 1)
					require.Contains(w, comments(w.issue())[0], c.answer)
					require.Empty(w, w.pending())
					w.idle()
				})
			})
		})
	}
}

// An answer that is written long after its command was carried out says when that was: what it tells may be over.
func TestBarredPause(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				_, err := w.rec.Resume(w.Context(), project, "resumed by eve")
				require.NoError(w, err)
				w.sweep()
				said := len(comments(w.issue()))
				mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: webPage})
				w.says("alex", "/adf pause odilo")
				w.sweepFor(time.Minute)
				require.True(w, w.paused(project))
				at := time.Now().Add(-time.Minute).UTC().Format("2006-01-02 15:04 UTC")
				_, err = w.rec.Resume(w.Context(), project, "resumed by eve")
				require.NoError(w, err)
				if late {
					w.sweepFor(90 * time.Minute)
				}
				mend()
				w.sweepFor(time.Minute)
				require.Len(w, comments(w.issue()), said+1)
				answer := comments(w.issue())[said]
				require.Contains(w, answer, "`odilo` is paused.")
				require.Equal(w, late, strings.HasPrefix(answer, "This was carried out at "+at+", and could not be answered until now. It says how things were then:"))
				w.idle()
			})
		})
	}
}

func TestBarredLateAnswer(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		playOperated(t, func(w *world, id string) {
			w.says("alex", "/adf status")
			time.Sleep(8 * 24 * time.Hour)
			mend := set(w)
			w.sweepFor(time.Hour)
			mend()
			w.sweepFor(time.Minute)
			require.Len(w, comments(w.issue()), 1)
			require.Contains(w, comments(w.issue())[0], "a week")
			w.idle()
		})
	})
}

// A resume takes effect at once, also behind a command that assigns somebody.
func TestBarredResume(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		playOperated(t, func(w *world, id string) {
			mend := set(w)
			w.says("alex", "/adf ack\n/adf resume the key is renewed")
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.ErrorContains(w, err, says)
			require.False(w, w.paused(project))
			require.NotNil(w, w.incident(id).Ack)
			w.sweepFor(90 * time.Minute)
			require.Equal(w, "open", w.issue().State)
			require.Contains(w, w.incident(id).LastErr, says)
			mend()
			w.sweepFor(20 * time.Minute)
			require.Equal(w, "closed", w.issue().State)
			said := comments(w.issue())
			require.Len(w, said, 2)
			all := strings.Join(said, "\n")
			require.Contains(w, all, "Gitea did not assign them")
			require.NotContains(w, all, says, "it is mended by now")
			require.Contains(w, all, "the key is renewed")
			require.True(w, w.incident(id).Settled)
			w.idle()
		})
	})
}

func TestBarredClosing(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		play(t, func(w *world) {
			id := w.trip(project)
			mend := set(w)
			w.rm(project)
			w.sweepFor(90 * time.Minute)
			require.Equal(w, "open", w.issue().State)
			i := w.incident(id)
			require.False(w, i.Settled)
			require.Contains(w, i.LastErr, says)
			require.Less(w, i.Tries, 20, "it backs off")
			mend()
			require.NoError(w, w.force())
			require.Equal(w, "closed", w.issue().State)
			require.Len(w, comments(w.issue()), 1)
			require.Contains(w, comments(w.issue())[0], "the pause flag was removed")
			require.True(w, w.incident(id).Settled)
			require.Empty(w, w.incident(id).LastErr)
			w.idle()
		})
	})
}

// A person closes the issue meanwhile: it gets its comment all the same.
func TestBarredCommentOnClosedIssue(t *testing.T) {
	for _, resumes := range []bool{false, true} {
		eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
			playOperated(t, func(w *world, id string) {
				w.rec.Options().Commands.CloseResumes = resumes
				mend := set(w)
				if !resumes {
					w.rm(project)
					w.sweepFor(time.Hour)
				}
				w.Gitea.As("alex").Close(fleet, 1)
				time.Sleep(time.Second)
				w.sweepFor(90 * time.Minute)
				require.False(w, w.paused(project))
				require.Contains(w, w.incident(id).LastErr, says)
				mend()
				w.sweepFor(20 * time.Minute)
				require.Len(w, comments(w.issue()), 1)
				require.True(w, w.incident(id).Settled)
				require.Empty(w, w.incident(id).LastErr)
				w.idle()
			})
		})
	}
}

// A firewall that takes the comment for an attack does not keep the issue open; once it lets the comment through, that is written.
func TestClosingBarredByText(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: webPage})
		w.sweepFor(time.Hour)
		require.Equal(w, "closed", w.issue().State)
		require.Contains(w, w.incident(id).LastErr, "a proxy in front of Gitea refuses this")
		require.False(w, w.incident(id).Settled)
		mend()
		w.sweepFor(20 * time.Minute)
		require.Len(w, comments(w.issue()), 1)
		require.True(w, w.incident(id).Settled)
		w.idle()
	})
}

// A proxy may also refuse to pass on the answer, when Gitea has done the work.
func TestBarredAfterWork(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.afterWork(403, giteatest.CommentIssue())
		w.says("alex", "/adf status")
		w.sweepFor(time.Hour)
		require.Len(w, comments(w.issue()), 1)
		require.Empty(w, w.pending())
		w.rm(project)
		w.sweepFor(time.Hour)
		require.Len(w, comments(w.issue()), 2)
		require.True(w, w.incident(id).Settled)
	})
}

// afterWork has the server do the work of requests, and a proxy refuse to pass on the answer.
func (w *world) afterWork(status int, match func(*http.Request) bool) {
	real := w.Gitea.Transport()
	w.rec.Options().Tracker = w.over(way(func(r *http.Request) (*http.Response, error) {
		resp, err := real.RoundTrip(r)
		if err == nil && match(r) {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.StatusCode, resp.Header = status, http.Header{"Content-Type": {"text/html"}}
			resp.Body = io.NopCloser(bytes.NewReader([]byte("<h1>Blocked</h1>")))
		}
		return resp, err
	}))
}

func TestBarredCreateAfterWork(t *testing.T) {
	for _, status := range []int{302, 400, 401, 403, 406, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			play(t, func(w *world) {
				w.assigned("alex")
				w.afterWork(status, giteatest.CreateIssue())
				id, err := w.tripAnd(project)
				if err != nil {
					require.Equal(w, 401, status, "nothing is left out for that, so nothing else is tried")
				}
				w.sweepFor(time.Hour)
				require.Len(w, w.issues(fleet), 1)
				require.Equal(w, "open", w.issue().State)
				require.Empty(w, comments(w.issue()))
				require.Equal(w, threeLabels, w.issue().Labels)
				require.Equal(w, []string{"alex"}, w.issue().Assignees)
				require.Equal(w, int64(1), w.incident(id).Issue.Number)
				require.Empty(w, w.incident(id).LastErr)
				w.idle()
			})
		})
	}
}

// While nothing passes, nobody can look for the issue either.
func TestBarredCreateAndList(t *testing.T) {
	for _, removed := range []bool{false, true} {
		t.Run(fmt.Sprint(removed), func(t *testing.T) {
			play(t, func(w *world) {
				through := false
				w.afterWork(403, func(*http.Request) bool { return !through })
				id, err := w.tripAnd(project)
				require.Error(w, err)
				require.Len(w, w.issues(fleet), 1)
				w.sweepFor(time.Hour)
				if removed {
					w.rm(project)
					w.sweepFor(time.Hour)
					require.False(w, w.incident(id).Settled)
				}
				through = true
				w.sweepFor(time.Hour)
				require.Len(w, w.issues(fleet), 1)
				require.Equal(w, !removed, w.issue().State == "open")
				require.Equal(w, removed, w.incident(id).Settled)
				w.idle()
			})
		})
	}
}

// What could not be created at all may still join another one's issue.
func TestBarredStormCreate(t *testing.T) {
	for name, match := range map[string]func(*http.Request) bool{"all": nil, "creation": giteatest.CreateIssue()} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				mend := w.Gitea.Inject(giteatest.Fault{Match: match, Do: webPage})
				for _, name := range []string{"atlas", "bravo"} {
					_, _ = w.hit(name)
				}
				w.sweepFor(10 * time.Minute)
				mend()
				w.sweepFor(time.Hour)
				require.Len(w, w.issues(fleet), 1)
				require.Contains(w, w.issue().Body, "bravo")
				w.idle()
			})
		})
	}
}

func TestBarredStep(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		inSteps(t, func(w *world, p *pager, id string) {
			w.rec.Options().Escalation.Steps = []plan.Step{{
				After: time.Hour, Mention: []string{"sam"}, Assign: []string{"lead"}, Labels: []string{"page"}, Webhook: "/etc/adfbot/pager-url",
			}}
			mend := set(w)
			w.pass(5 * time.Hour)
			i := w.incident(id)
			require.Empty(w, comments(w.issue()))
			require.Equal(w, []incident.StepPart{incident.CommentPart, incident.LabelsPart, incident.AssignPart}, i.Escalation.Step.Left)
			require.Empty(w, i.Escalation.Step.Problems)
			require.Contains(w, i.LastErr, says)
			require.Len(w, p.got, 1, "the webhook does not wait for Gitea")
			mend()
			w.pass(20 * time.Minute)
			require.Len(w, comments(w.issue()), 1)
			require.Contains(w, comments(w.issue())[0], "@sam")
			require.Contains(w, w.issue().Labels, "page")
			require.Equal(w, []string{"lead"}, w.issue().Assignees)
			i = w.incident(id)
			require.Empty(w, i.Escalation.Step.Left)
			require.Empty(w, i.Escalation.Step.Problems)
			require.Empty(w, i.LastErr)
			w.idle()
		})
	})
}

// Nobody hears any more of what had failed, once it need not be done.
func TestBarredStepIsOff(t *testing.T) {
	for name, answer := range map[string]func(*world){
		"assigned": func(w *world) { w.Gitea.As("alex").Assign(fleet, 1, "alex") },
		"ack":      func(w *world) { w.says("alex", "/adf ack") },
		"snoozed":  func(w *world) { w.says("alex", "/adf snooze 4h") },
	} {
		t.Run(name, func(t *testing.T) {
			eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
				inSteps(t, func(w *world, _ *pager, id string) {
					mend := set(w)
					w.pass(65 * time.Minute)
					require.Contains(w, w.incident(id).LastErr, says)
					answer(w)
					mend()
					w.sweep()
					require.Empty(w, w.incident(id).LastErr)
					require.Zero(w, w.incident(id).Tries)
					for _, c := range comments(w.issue()) {
						require.NotContains(w, c, "This is step")
					}
					w.sweepFor(time.Hour)
					require.Empty(w, w.incident(id).LastErr)
				})
			})
		})
	}
}

// What is snoozed waits, also what had begun before.
func TestSnoozedStep(t *testing.T) {
	inSteps(t, func(w *world, p *pager, id string) {
		w.rec.Options().Escalation = plan.Escalation{Remind: 61 * time.Minute, Steps: []plan.Step{
			{After: time.Hour, Mention: []string{"sam"}, Webhook: "/etc/adfbot/pager-url"},
		}}
		p.err = errors.New("status 503")
		mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: webPage})
		w.pass(65 * time.Minute)
		require.NotEmpty(w, w.incident(id).Escalation.Step.Left)
		require.NotNil(w, w.incident(id).Escalation.Reminder)
		w.says("alex", "/adf snooze 4h")
		mend()
		p.err = nil
		w.pass(3 * time.Hour)
		require.Empty(w, p.got)
		require.Len(w, comments(w.issue()), 1)
		require.Contains(w, comments(w.issue())[0], "Steps and reminders wait until")
		w.pass(70 * time.Minute)
		all := strings.Join(comments(w.issue()), "\n")
		require.Contains(w, all, "@sam")
		require.Contains(w, all, "A reminder:")
		require.Len(w, p.got, 1)
	})
}

func TestBarredDuplicate(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As(testworld.Bot).Open(fleet, w.issue().Title, w.issue().Body)
		mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CloseIssue(), Do: webPage})
		w.sweepFor(time.Hour)
		require.Contains(w, w.incident(id).LastErr, "a proxy in front of Gitea refuses this")
		mend()
		require.NoError(w, w.force())
		require.Equal(w, "closed", w.issues(fleet)[1].State)
		require.Empty(w, w.incident(id).LastErr)
	})
}

func TestBarredReminder(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		play(t, func(w *world) {
			w.rec.Options().Escalation.Remind = 24 * time.Hour
			id := w.trip(project)
			mend := set(w)
			w.pass(30 * time.Hour)
			require.Empty(w, comments(w.issue()))
			require.Contains(w, w.incident(id).LastErr, says)
			mend()
			w.pass(20 * time.Minute)
			require.Len(w, comments(w.issue()), 1)
			require.Empty(w, w.incident(id).LastErr)
			w.idle()
		})
	})
}

// What the issue has to say of who joined keeps no step from being taken.
func TestBarredStorm(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		inStorm(t, func(w *world) {
			p := &pager{}
			w.steps(p)
			w.rec.Options().Escalation.Steps = []plan.Step{{After: time.Hour, Webhook: "/etc/adfbot/pager-url"}}
			ids := w.hits("atlas")
			mend := set(w)
			_, err := w.hit("bravo")
			require.ErrorContains(w, err, says)
			w.sweepFor(90 * time.Minute)
			require.Empty(w, comments(w.issue()))
			require.Contains(w, w.incident(ids[0]).LastErr, says)
			require.Len(w, p.got, 1)
			mend()
			w.sweepFor(20 * time.Minute)
			require.Len(w, comments(w.issue()), 2, "who joined, and the step")
			require.Contains(w, w.issue().Body, "bravo")
			require.Empty(w, w.incident(ids[0]).LastErr)
			w.idle()
		})
	})
}

// The list in an issue that carries several incidents is brought in line although one answer of Gitea's at its end was lost.
func TestEndOfStormWithoutText(t *testing.T) {
	for name, do := range map[string]giteatest.Effect{"a proxy is overloaded": giteatest.Status(502, ""), "a page": webPage} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				w.hits("atlas", "bravo")
				for _, project := range []string{"atlas", "bravo"} {
					w.rm(project)
				}
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(giteatest.EditIssue(), giteatest.BodyHas(`"body"`)), Times: 1, Do: do})
				w.sweepFor(time.Hour)
				require.Equal(w, "closed", w.issue().State)
				require.Equal(w, []string{"x atlas", "x bravo"}, lines(w.issue()))
				w.idle()
			})
		})
	}
}

// What the creation left out is added later.
func TestBarredParts(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		play(t, func(w *world) {
			id := w.trip(project)
			w.assigned("alex")
			w.change(id, func(i *incident.Incident) { i.Incomplete = true })
			mend := set(w)
			w.sweepFor(90 * time.Minute)
			require.True(w, w.incident(id).Incomplete)
			require.Contains(w, w.incident(id).LastErr, says)
			mend()
			w.sweepFor(20 * time.Minute)
			require.Equal(w, []string{"alex"}, w.issue().Assignees)
			require.NotContains(w, w.issue().Body, "### Left out")
			require.Empty(w, w.incident(id).LastErr)
			w.idle()
		})
	})
}

// The issue names the flag's new path once that can be written.
func TestBarredFlagName(t *testing.T) {
	eachBarrier(t, func(t *testing.T, set func(w *world) func(), says string) {
		play(t, func(w *world) {
			id := w.trip(project)
			old := w.dir.FlagPath(project) + ".old"
			w.Gitea.As("alex").EditBody(fleet, 1, strings.ReplaceAll(w.issue().Body, w.dir.FlagPath(project), old))
			w.change(id, func(i *incident.Incident) { i.NamedFlag = old })
			mend := set(w)
			w.sweepFor(90 * time.Minute)
			require.Contains(w, w.incident(id).LastErr, says)
			mend()
			w.sweepFor(20 * time.Minute)
			require.NotContains(w, w.issue().Body, old)
			require.Empty(w, w.incident(id).NamedFlag)
			w.idle()
		})
	})
}

// Who has closed the issue is not known while something in front of Gitea refuses to tell: it is no closing by nobody.
func TestBarredTimeline(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rec.Options().Commands.CloseResumes = true
		mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: webPage})
		w.Gitea.As("alex").Close(fleet, 1)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "a proxy in front of Gitea refuses this")
		require.Equal(w, "closed", w.issue().State)
		mend()
		w.sweepFor(time.Minute)
		require.False(w, w.paused(project))
		require.Contains(w, w.incident(id).EndedHow, "@alex, who closed the issue")
	})
}

// An open incident says for how long the list of issues is refused.
func TestBarredList(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		mend := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: webPage})
		w.sweepFor(time.Hour)
		require.Contains(w, w.incident(id).LastErr, "a proxy in front of Gitea refuses this")
		mend()
		w.sweep()
		require.Empty(w, w.incident(id).LastErr)
	})
}

// A token that may not write is not tried for each of many projects.
func TestBarredForMany(t *testing.T) {
	play(t, func(w *world) {
		const projects = 60
		var ids []string
		for n := range projects {
			name := fmt.Sprintf("p%d", n)
			w.rec.Options().Projects = append(w.rec.Options().Projects, name)
			ids = append(ids, w.trip(name))
			w.rm(name)
		}
		w.Gitea.AddToken(testworld.Bot, testworld.Token, "read:issue", "read:user")
		w.asked()
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.LessOrEqual(w, len(writes(w.asked())), 20, "those that were under way at once")
		for n, id := range ids {
			require.Contains(w, w.incident(id).LastErr, fmt.Sprintf("comment on #%d in terraphim/adf-fleet: status 403", n+1))
		}
		w.Gitea.AddToken(testworld.Bot, testworld.Token)
		require.NoError(w, w.force())
		for n, i := range w.issues(fleet) {
			require.Equal(w, "closed", i.State, n)
			require.Len(w, comments(i), 1)
		}
	})
}
