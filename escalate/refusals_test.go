package escalate_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testworld"
)

// What the server refuses, and what a person has to mend.

// A refusal leaves the incident pending and names the fix.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world) (mend func())
		says []string
	}{
		{"401: the token was revoked", func(w *world) func() {
			w.Gitea.RevokeToken(testworld.Token)
			return func() { w.Gitea.AddToken("adf-bot", testworld.Token) }
		}, []string{"401", "make a new one in Gitea", "gitea.token_file"}},
		{"403: the token lacks write:issue", func(w *world) func() {
			w.Gitea.AddToken("adf-bot", testworld.Token, "read:issue", "read:user")
			return func() { w.Gitea.AddToken("adf-bot", testworld.Token) }
		}, []string{"403", "write:issue"}},
		{"404: the repository is hidden", func(w *world) func() {
			w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.None)
			w.Gitea.SetPrivate(fleet, true)
			return func() { w.Gitea.SetPrivate(fleet, false) }
		}, []string{"404", "gitea.owner", "gitea.repo"}},
		{"403: issues are disabled", func(w *world) func() {
			w.Gitea.DisableIssues(fleet)
			return func() { w.Gitea.EnableIssues(fleet) }
		}, []string{"403", "issues are disabled"}},
		{"410: gone", func(w *world) func() {
			return w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(410, `{"message":"gone"}`)})
		}, []string{"410", "gitea.owner and gitea.repo"}},
		{"423: the repository is archived", func(w *world) func() {
			w.Gitea.Archive(fleet)
			return func() { w.Gitea.Unarchive(fleet) }
		}, []string{"423", "archived", "unarchive it"}},
		{"301: the repository was renamed", func(w *world) func() {
			w.Gitea.Rename(fleet, "fleet-2")
			return func() { w.Gitea.Rename("terraphim/fleet-2", "adf-fleet") }
		}, []string{"301", "terraphim/fleet-2", "gitea.owner and gitea.repo"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				mend := c.do(w)
				id, err := w.tripAnd(project)
				require.Error(w, err)
				i := w.incident(id)
				for _, s := range c.says {
					require.Contains(w, err.Error(), s)
					require.Contains(w, i.LastErr, s, "the state keeps it for status")
				}
				require.NotContains(w, err.Error(), testworld.Token[:6])
				require.Equal(w, 1, i.Tries)
				require.True(w, w.paused(project))
				w.sweepFor(20 * time.Minute)
				require.Empty(w, w.issues(fleet))
				require.NotEmpty(w, w.incident(id).LastErr)
				mend()
				require.NoError(w, w.force())
				require.Equal(w, "open", w.issue().State)
				require.Empty(w, w.incident(id).LastErr)
			})
		})
	}
}

// A rotated token file needs no restart.
func TestRotatedTokenFile(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.RevokeToken(testworld.Token)
		w.Gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		w.trip(project)
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, 1, w.tokens.reloads)
	})
}

// The request is tried again, and was never sent.
func TestUnreadableToken(t *testing.T) {
	play(t, func(w *world) {
		w.tokens.err = syscall.EACCES
		id, err := w.tripAnd(project)
		require.ErrorContains(w, err, "permission denied")
		require.Zero(w, w.incident(id).Create, "nothing was sent")
		require.Empty(w, w.asked())
		w.tokens.err = nil
		require.NoError(w, w.force())
		require.Equal(w, "open", w.issue().State)
	})
}

// A forced sweep tries again at once.
func TestRefusedConnection(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Tracker = w.over(refuses{})
		id, err := w.tripAnd(project)
		require.ErrorContains(w, err, "Gitea can't be reached")
		require.Zero(w, w.incident(id).Create, "nothing reached the server")
		w.rec.Options().Tracker = w.over(w.Gitea.Transport())
		require.NoError(w, w.force())
		require.Equal(w, "open", w.issue().State)
	})
}

// Nothing is lost.
func TestGiteaDownForADay(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip("digital-twins")
		w.rec.Options().Tracker = w.over(refuses{})
		_, err := w.tripAnd(project)
		require.Error(w, err)
		w.rm("digital-twins")
		w.sweepEvery(10*time.Minute, 24*time.Hour)
		require.False(w, w.incident(id).IsOpen(), "a resume does not wait for Gitea")
		require.Equal(w, "open", w.issue().State)
		w.rec.Options().Tracker = w.over(w.Gitea.Transport())
		w.sweepFor(20 * time.Minute)
		all := w.issues(fleet)
		require.Len(w, all, 2)
		require.Equal(w, "closed", all[0].State)
		require.Equal(w, "open", all[1].State)
	})
}

// Retries back off from 30 s to 15 min.
func TestRetryBackoff(t *testing.T) {
	play(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Do: giteatest.Status(429, `{"message":"slow down"}`)})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		want := 30 * time.Second
		for n := range 10 {
			i := w.incident(id)
			require.Equal(w, n+1, i.Tries)
			wait := time.Until(i.NextTry)
			require.LessOrEqual(w, wait, want)
			require.GreaterOrEqual(w, wait, want*4/5)
			time.Sleep(wait - time.Second)
			w.asked()
			_, _ = w.rec.Escalate(w.Context(), project)
			require.Empty(w, w.asked(), "before the wait is over a failure costs no request")
			time.Sleep(time.Second)
			_, err = w.rec.Escalate(w.Context(), project)
			require.Error(w, err)
			want = min(2*want, 15*time.Minute)
		}
		undo()
		w.sweepFor(16 * time.Minute)
		require.Equal(w, "open", w.issue().State)
		require.Zero(w, w.incident(id).Tries)
	})
}

// Retry-After is honoured up to an hour.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		after  string
		want   time.Duration
	}{
		{"ten minutes", 429, "600", 10 * time.Minute},
		{"a day is cut to an hour", 503, "86400", time.Hour},
		{"a date", 429, time.Date(2000, 1, 1, 0, 20, 0, 0, time.UTC).Format(http.TimeFormat), 20 * time.Minute},
		{"nonsense", 429, "soon", 30 * time.Second},
		{"in the past", 429, "-5", 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Status(c.status, "{}", "Retry-After", c.after)})
				id, err := w.tripAnd(project)
				require.Error(w, err)
				wait := time.Until(w.incident(id).NextTry)
				require.LessOrEqual(w, wait, c.want)
				require.GreaterOrEqual(w, wait, c.want*4/5)
				require.NoError(w, w.force(), "a person does not wait")
				if c.status/100 == 4 {
					require.Len(w, w.issues(fleet), 1)
				}
			})
		})
	}
}

// After a 429 the comment waits, and is then made.
func TestRateLimitedComment(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Times: 1, Do: giteatest.RetryAfter(429, 300)})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.Equal(w, "open", w.issue().State, "the server asked to wait")
		w.sweepFor(6 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
	})
}

// A comment that never reached the server is made before the closing.
func TestUnsentCommentBeforeClosing(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.rec.Options().Tracker = w.over(way(func(r *http.Request) (*http.Response, error) {
			if giteatest.CommentIssue()(r) {
				return refuses{}.RoundTrip(r)
			}
			return w.Gitea.Transport().RoundTrip(r)
		}))
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		w.rec.Options().Tracker = w.over(w.Gitea.Transport())
		require.NoError(w, w.force())
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
		require.True(w, w.incident(id).Settled)
	})
}

func TestAssigneesLabelsAndDueDate(t *testing.T) {
	play(t, func(w *world) {
		target := w.rec.Options().Target
		w.rec.Options().Target = func(p string) escalate.Target {
			t := target(p)
			t.Assignees = []string{"alex"}
			return t
		}
		w.rec.Options().DueIn = 48 * time.Hour
		w.trip(project)
		i := w.issue()
		require.Equal(w, []string{"alex"}, i.Assignees)
		require.Equal(w, "2000-01-03", i.Due.Format(time.DateOnly))
		require.NotContains(w, i.Body, "### Left out")
	})
}

// Missing labels are made once.
func TestMissingLabels(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.AddLabel(fleet, "adf")
		w.trip(project)
		require.Equal(w, []string{"adf", "circuit-breaker", "priority/high"}, w.issue().Labels)
		require.Equal(w, []string{"adf", "circuit-breaker", "priority/high"}, w.Gitea.Labels(fleet))
		w.trip("digital-twins")
		require.Len(w, w.Gitea.Labels(fleet), 3)
		require.Len(w, w.issues(fleet)[1].Labels, 3)
	})
}

// Another installation creates the same label at the same moment, and Gitea accepts both. The first one stays, and both use it.
func TestLabelsMadeTwice(t *testing.T) {
	for name, effect := range map[string]func(func()) giteatest.Effect{"the other was first": giteatest.Meanwhile, "this one was first": giteatest.Afterwards} {
		t.Run(name, func(t *testing.T) {
			playNew(t, func(w *world) {
				other := int64(0)
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(giteatest.CreateLabel(), giteatest.BodyHas(`"adf"`)), Times: 1,
					Do: effect(func() { other = w.Gitea.AddLabel(fleet, "adf") })})
				w.trip(project)
				require.Len(w, w.issue().Labels, 3)
				ids, err := w.over(w.Gitea.Transport()).Labels(w.Context(), repoOf(fleet))
				require.NoError(w, err)
				if name == "the other was first" {
					require.Equal(w, other, ids["adf"])
					require.Len(w, w.Gitea.Labels(fleet), 3, "ours is gone")
				} else {
					require.Less(w, ids["adf"], other)
					require.Len(w, w.Gitea.Labels(fleet), 4, "the other installation deletes its own")
				}
				w.trip("digital-twins")
				require.Len(w, w.issues(fleet)[1].Labels, 3)
			})
		})
	}
}

// A label on the second page is not made again.
func TestLabelOnSecondPage(t *testing.T) {
	playNew(t, func(w *world) {
		for n := range 60 {
			w.Gitea.AddLabel(fleet, "a-label-"+strings.Repeat("x", n))
		}
		for _, name := range []string{"adf", "circuit-breaker", "priority/high"} {
			w.Gitea.AddLabel(fleet, name)
		}
		w.trip(project)
		require.Len(w, w.Gitea.Labels(fleet), 63)
		require.Len(w, w.issue().Labels, 3)
	})
}

// The issue is opened without them, and names them.
func TestLabelsThatCantBeMade(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Read)
		w.trip(project)
		i := w.issue()
		require.Empty(w, i.Labels)
		require.Equal(w, `- The labels "adf", "circuit-breaker" and "priority/high" are not set: the bot's account may not write to this repository.`,
			leftOut(w, i.Body))
	})
}

// The issue is opened all the same.
func TestFailingLabelList(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			playNew(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/labels"), Times: 1, Do: f.do})
				w.trip(project)
				require.Len(w, w.issues(fleet), 1)
			})
		})
	}
}

// A body that a proxy refuses is sent again, shortened.
func TestRefusedBody(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: func(r *http.Request) bool {
			return giteatest.CreateIssue()(r) && r.ContentLength > 1200
		}, Do: giteatest.Status(413, "<h1>Too large</h1>", "Content-Type", "text/html")})
		id := w.trip(project)
		i := w.issue()
		require.Less(w, len(i.Body), 1100)
		m, ok := tracker.ParseMarker(i.Body)
		require.True(w, ok)
		require.Equal(w, id, m.Incident)
	})
}

// A firewall in front of Gitea that takes a job's output for an attack does not cost the issue.
func TestOutputRefusedByFirewall(t *testing.T) {
	for _, status := range []int{302, 400, 403, 406, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			play(t, func(w *world) {
				w.assigned("alex")
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(giteatest.CreateIssue(), giteatest.BodyHas("out of memory")),
					Do: giteatest.Status(status, "<h1>Blocked</h1>", "Content-Type", "text/html")})
				id := w.trip(project)
				i := w.issue()
				require.Contains(w, i.Body, "did not take the full text")
				require.NotContains(w, i.Body, "out of memory")
				m, ok := tracker.ParseMarker(i.Body)
				require.True(w, ok)
				require.Equal(w, id, m.Incident)
				require.Equal(w, threeLabels, i.Labels)
				require.Equal(w, []string{"alex"}, i.Assignees)
			})
		})
	}
}

// A firewall may also answer with a page of its own, or not at all, so that nobody knows what became of the request. Then
// every third one goes without the output.
func TestOutputSwallowedByFirewall(t *testing.T) {
	for name, do := range map[string]giteatest.Effect{
		"200":   giteatest.Status(200, "<h1>Request rejected</h1>", "Content-Type", "text/html"),
		"503":   giteatest.Status(503, "<h1>Blocked</h1>", "Content-Type", "text/html"),
		"reset": giteatest.Reset(),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(giteatest.CreateIssue(), giteatest.BodyHas("out of memory")), Do: do})
				id, err := w.tripAnd(project)
				require.Error(w, err)
				w.sweepFor(10 * time.Minute)
				require.Contains(w, w.issue().Body, "did not take the full text")
				require.Equal(w, threeLabels, w.issue().Labels)
				require.Equal(w, w.issue().Number, w.incident(id).Issue.Number)
			})
		})
	}
}

// What fails whatever is in it does not cost the output.
func TestOutputAfterLongFault(t *testing.T) {
	play(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(502, "bad gateway")})
		_, err := w.tripAnd(project)
		require.Error(w, err)
		w.sweepFor(3 * time.Hour)
		undo()
		w.sweepFor(time.Hour)
		require.Contains(w, w.issue().Body, "out of memory")
	})
}

// The issue is opened all the same.
func TestFailingTemplate(t *testing.T) {
	play(t, func(w *world) {
		c, err := issuetext.New("{{.NoSuchThing}}", redact.New())
		require.NoError(w, err)
		w.rec.Options().Composer = c
		w.trip(project)
		require.Contains(w, w.issue().Body, "## How to resume")
		require.Contains(w, w.Logged.String(), "NoSuchThing")
	})
}

// The issue is closed although the comment is refused.
func TestClosingInArchivedRepository(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.Archive(fleet)
		w.rm(project)
		w.sweep()
		i := w.issue()
		require.Equal(w, "closed", i.State)
		require.Empty(w, comments(i))
		require.True(w, w.incident(id).Settled)
	})
}

// The issue is closed although the comment is refused.
func TestClosingLockedIssue(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Read)
		w.Gitea.As("alex").Lock(fleet, 1)
		w.rm(project)
		w.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.True(w, w.incident(id).Settled)
	})
}

// A refused comment is given up although the closing is tried again.
func TestRefusedComment(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: giteatest.Refuse(403, "locked")})
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CloseIssue(), Times: 3, Do: giteatest.Status(500, "")})
		w.asked()
		w.sweepFor(20 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		tried := 0
		for _, r := range writes(w.asked()) {
			if r.Method == "POST" {
				tried++
			}
		}
		require.Equal(w, 1, tried)
	})
}

// The incident stays pending and says why.
func TestIssueThatCantBeClosed(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		by := w.Gitea.As("alex").Open(fleet, "first this", "")
		w.Gitea.As("alex").Block(fleet, 1, by)
		w.rm(project)
		w.sweepFor(30 * time.Minute)
		i := w.incident(id)
		require.False(w, i.Settled)
		require.Contains(w, i.LastErr, "open dependencies")
		bot, _ := w.Gitea.Issue(fleet, 1)
		require.Len(w, comments(bot), 1, "the comment is made once")
		w.Gitea.As("alex").Close(fleet, by)
		require.NoError(w, w.force())
		bot, _ = w.Gitea.Issue(fleet, 1)
		require.Equal(w, "closed", bot.State)
		require.Len(w, comments(bot), 1)
	})
}
