package escalate_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// playClosing is playOperated with on_issue_closed: resume.
func playClosing(t *testing.T, f func(w *world, id string)) {
	t.Helper()
	playOperated(t, func(w *world, id string) {
		w.rec.Options().Commands.CloseResumes = true
		f(w, id)
	})
}

// closedTooOften is closed by kim, who is no operator, until the bot lets it be for a while.
func (w *world) closedTooOften() {
	for range 4 {
		w.Gitea.As("kim").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
	}
	require.Equal(w, "closed", w.issue().State, "the bot waits an hour")
}

// A closing that has the number of one that did not count, because Gitea was restored from a backup, is another one.
func TestNumberOfClosingIsGivenAgain(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rec.Options().Commands.CloseResumes = true
		restore := w.Gitea.BackUp()
		w.Gitea.As("kim").Close(fleet, 1)
		w.sweepFor(time.Minute)
		entry := w.incident(id).IgnoredClosing
		require.NotZero(t, entry)
		require.Equal(t, "open", w.issue().State)
		restore()
		time.Sleep(time.Minute)
		w.Gitea.As("alex").Close(fleet, 1)
		timeline := w.issue().Timeline
		require.Equal(t, entry, timeline[len(timeline)-1].ID)
		w.sweep()
		require.False(t, w.paused(project))
		require.Equal(t, "closed", w.issue().State)
	})
}

func (w *world) timelines() (n int) {
	for _, r := range w.asked() {
		if strings.Contains(r.Path, "/timeline?page=1&") {
			n++
		}
	}
	return n
}

// Somebody pauses the project by hand while the sweep still asks Gitea about a closing.
func TestPauseWhileClosingIsRead(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.As("alex").Close(fleet, 1)
		time.Sleep(5 * time.Second)
		read, known := giteatest.GetIssue(), false
		w.rec.Options().Tracker = w.over(way(func(r *http.Request) (*http.Response, error) {
			if known && read(r) {
				known = false
				_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve")
				require.NoError(t, err)
			}
			known = known || w.state(project).Hold == nil && strings.Contains(r.URL.Path, "/timeline")
			return w.Gitea.Transport().RoundTrip(r)
		}))
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Equal(t, "open", w.issue().State)
	})
}

// An operator who closes the issue resumes the project.
func TestClosingByOperator(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.As("alex").Close(fleet, 1)
		rep := w.sweep()
		require.False(t, w.paused(project))
		require.Equal(t, "resumed by @alex, who closed the issue", w.incident(id).EndedHow)
		require.True(t, w.incident(id).Settled)
		require.Equal(t, plan.ResumeClosed, rep.Actions[0].Kind)
		require.Equal(t, "the issue was closed by alex, an operator", rep.Actions[0].Why)
		require.Equal(t, "closed", w.issue().State)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "who closed the issue")
		require.NotContains(t, said[0], "@alex")
		w.Gitea.ResetRequests()
		w.sweepFor(10 * time.Minute)
		require.Empty(t, writes(w.asked()))
	})
}

func TestTimelineOnlyAfterClosing(t *testing.T) {
	t.Run("resume", func(t *testing.T) {
		playClosing(t, func(w *world, id string) {
			w.sweepFor(5 * time.Minute)
			require.Zero(t, w.timelines())
			w.Gitea.As("kim").Close(fleet, 1)
			w.sweep()
			require.Equal(t, 1, w.timelines())
		})
	})
	t.Run("reopen", func(t *testing.T) {
		playOperated(t, func(w *world, id string) {
			w.Gitea.As("alex").Close(fleet, 1)
			w.sweep()
			require.Zero(t, w.timelines())
		})
	})
}

// The bot may not read the repository whose pull request says that it fixes the issue. The issue's timeline then shows only the
// closing, but the webhook's event names the commit.
func TestClosingByHiddenCommit(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.As("alex").Close(fleet, 1)
		require.NoError(w, w.rec.ClosedByCommit(w.Context(), w.incident(id), time.Now()))
		w.sweep()
		require.True(w, w.paused(project))
		require.Equal(w, "open", w.issue().State)
		require.Contains(w, strings.Join(comments(w.issue()), "\n"), "It was closed by a commit or a merge by alex")
		w.sweepFor(time.Minute)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.False(w, w.paused(project), "this closing is alex's own")
	})
}

// An issue that others close is reopened.
func TestClosingByOthers(t *testing.T) {
	const sha = "b3f85bb265d5a31790444bb1a18d25b22cf0d3d2"
	for name, tt := range map[string]struct {
		close func(w *world)
		hint  string
	}{
		"by who is no operator": {func(w *world) { w.Gitea.As("kim").Close(fleet, 1) }, "It was closed by kim, who is no operator"},
		"by the bot's account":  {func(w *world) { w.Gitea.As("adf-bot").Close(fleet, 1) }, "It was closed by adf-bot, who is no operator"},
		"by an operator's commit": {func(w *world) { w.Gitea.As("alex").CloseByCommit(fleet, 1, sha, "fix, closes #1") },
			"It was closed by a commit or a merge by alex"},
		"by an operator's commit with the word below": {func(w *world) { w.Gitea.As("alex").CloseByCommit(fleet, 1, sha, "disk\n\ncloses #1") },
			"It was closed by a commit or a merge by alex"},
		"by the merge of a commit that was on a branch before": {func(w *world) {
			w.Gitea.As("kim").MentionInCommit(fleet, 1, sha, "Fixes #1")
			time.Sleep(time.Hour)
			w.Gitea.As("alex").Close(fleet, 1)
		}, "It was closed by a commit or a merge by alex"},
		"by an operator's merge": {func(w *world) {
			merge := w.Gitea.As("kim").CloseInPull(fleet, 1)
			time.Sleep(time.Hour)
			merge(w.Gitea.As("alex"))
		}, "It was closed by a commit or a merge by alex"},
		"by who is no operator after an operator's": {func(w *world) {
			w.Gitea.As("alex").Close(fleet, 1)
			w.Gitea.As("kim").Reopen(fleet, 1)
			w.Gitea.As("kim").Close(fleet, 1)
		}, "It was closed by kim, who is no operator"},
	} {
		t.Run(name, func(t *testing.T) {
			playClosing(t, func(w *world, id string) {
				tt.close(w)
				w.sweep()
				require.True(t, w.paused(project))
				require.True(t, w.incident(id).IsOpen())
				require.Equal(t, "open", w.issue().State)
				said := comments(w.issue())
				require.Len(t, said, 1)
				require.Contains(t, said[0], "This issue was closed, but `odilo` is still paused")
				require.Contains(t, said[0], tt.hint+": that does not resume the project. An operator can also comment `/adf resume odilo` here.")
				require.True(t, strings.HasSuffix(said[0], " -->"))

				time.Sleep(time.Minute)
				w.Gitea.As("alex").Close(fleet, 1)
				if strings.Contains(name, "on a branch") {
					return // that commit may close it again: only a comment resumes
				}
				w.sweep()
				require.False(t, w.paused(project), "an operator's own closing after that")
			})
		})
	}
}

// A person's closing counts although commits and pull requests name the issue.
func TestClosingBesideCommitsAndPulls(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"a commit that only mentions it":        func(w *world) { w.Gitea.As("alex").MentionInCommit(fleet, 1, "abc", "see #1") },
		"a pull request that is not merged":     func(w *world) { w.Gitea.As("alex").CloseInPull(fleet, 1) },
		"a commit closed it before, reopened":   func(w *world) { w.Gitea.As("kim").CloseByCommit(fleet, 1, "abc", "see #1"); w.sweep() },
		"a merge closed it before and reopened": func(w *world) { w.Gitea.As("kim").CloseInPull(fleet, 1)(w.Gitea.As("kim")); w.sweep() },
	} {
		t.Run(name, func(t *testing.T) {
			playClosing(t, func(w *world, id string) {
				prepare(w)
				time.Sleep(time.Hour)
				w.Gitea.As("alex").Close(fleet, 1)
				w.sweep()
				require.False(t, w.paused(project))
			})
		})
	}
}

// A closing from before the flag is no resume.
func TestClosingBeforeTheFlag(t *testing.T) {
	play(t, func(w *world) {
		w.operated("alex")
		w.rec.Options().Commands.CloseResumes = true
		w.fail(project)
		blocked(t, w, func() { _, _ = w.rec.Escalate(w.Context(), project) })
		require.Contains(t, w.issue().Body, "NOT PAUSED")
		w.Gitea.As("alex").Close(fleet, 1)
		time.Sleep(time.Minute)
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Equal(t, "open", w.issue().State)
		require.Contains(t, strings.Join(comments(w.issue()), "\n"), "It was closed by alex before the project was paused")
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// An operator's closing counts while a reopening waits.
func TestClosingWhileReopeningWaits(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.closedTooOften()
		w.Gitea.As("alex").Reopen(fleet, 1)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// Somebody's closing from before they became an operator is no command.
func TestClosingByLaterOperator(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.closedTooOften()
		w.operated("alex", "kim")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		w.Gitea.As("kim").Reopen(fleet, 1)
		w.Gitea.As("kim").Close(fleet, 1)
		w.sweep()
		require.False(t, w.paused(project), "another closing is an order")
	})
}

// A dry run stores nothing about a closing.
func TestClosingInDryRun(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.As("kim").Close(fleet, 1)
		was := w.incident(id)
		_, err := w.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.NoError(t, err)
		require.Equal(t, was, w.incident(id))
	})
}

// Nothing is concluded from a closing while the timeline cannot be read.
func TestUnreadableTimeline(t *testing.T) {
	for name, effect := range map[string]giteatest.Effect{
		"bad gateway": giteatest.Status(502, "bad gateway"), "too many": giteatest.Status(429, ""), "reset": giteatest.Reset(),
		"cut short": giteatest.Truncated(), "a page of a proxy": giteatest.HTML(), "null": giteatest.NullBody(), "empty": giteatest.EmptyBody(),
	} {
		t.Run(name, func(t *testing.T) {
			playClosing(t, func(w *world, id string) {
				stop := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: effect})
				w.Gitea.As("alex").Close(fleet, 1)
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.ErrorContains(t, err, "read the timeline of #1")
				require.True(t, w.paused(project))
				require.Equal(t, "closed", w.issue().State)
				require.Empty(t, comments(w.issue()))
				stop()
				w.sweep()
				require.False(t, w.paused(project))
			})
		})
	}
}

// No closing is judged until the operators' ids are known.
func TestClosingWithUnknownOperators(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.rec.Options().Commands.State = noOperators{CommandState: w.store}
		w.Gitea.As("alex").Close(fleet, 1)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorIs(t, err, errNoOperators)
		require.Equal(t, "closed", w.issue().State)
		require.Empty(t, comments(w.issue()))
		w.rec.Options().Commands.State = w.store
		w.sweep()
		require.False(t, w.paused(project))
	})
}

var errNoOperators = errors.New("database is locked")

// noOperators is a state that can't tell who the operators are.
type noOperators struct{ incident.CommandState }

func (noOperators) Operators(context.Context, string) ([]incident.Operator, error) {
	return nil, errNoOperators
}

// An operator's closing counts although a reopening is in doubt.
func TestOperatorClosesDuringReopening(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ReopenIssue(), Times: 1, Do: giteatest.LostAnswer()})
		w.Gitea.As("kim").Close(fleet, 1)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		require.Equal(t, "open", w.issue().State, "only the answer was lost")
		time.Sleep(20 * time.Second)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
		require.False(t, w.paused(project))
		require.True(t, w.incident(id).Settled)
		require.Equal(t, "closed", w.issue().State)
	})
}

// A stranger's closing is reopened although a reopening is in doubt.
func TestStrangerClosesDuringReopening(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ReopenIssue(), Times: 1, Do: giteatest.Reset()})
		w.Gitea.As("kim").Close(fleet, 1)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		w.sweepFor(2 * time.Minute)
		require.True(t, w.paused(project))
		require.Equal(t, "open", w.issue().State)
		require.Len(t, comments(w.issue()), 1)
	})
}

// A closed issue whose timeline has no closing was closed by nobody who may.
func TestTimelineWithoutClosing(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: giteatest.Status(200, `[]`)})
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.True(t, w.paused(project))
		require.Equal(t, "open", w.issue().State)
	})
}

// Where Gitea does not say who closed the issue, it is reopened.
func TestClosingByUnknownUser(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: giteatest.Status(404, `{"message":"no"}`)})
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.True(t, w.paused(project))
		require.Equal(t, "open", w.issue().State)
	})
}

// A closing resumes nobody while the flag cannot be read.
func TestClosingWithUnreadableFlag(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.Gitea.As("alex").Close(fleet, 1)
		w.rec.SetDirError(errUnreadable)
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorIs(t, err, errUnreadable)
		w.rec.SetDirError(nil)
		require.True(t, w.paused(project))
		require.True(t, w.incident(id).IsOpen())
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// The next process finishes the resume.
func TestCrashDuringResumeByClosing(t *testing.T) {
	for _, step := range []string{"flag-removed", "resume-noted", "comment-begun", "commented"} {
		t.Run(step, func(t *testing.T) {
			playClosing(t, func(w *world, id string) {
				w.Gitea.As("alex").Close(fleet, 1)
				w.diesIn(step)
				w.machine = w.reborn()
				time.Sleep(time.Minute)
				w.sweepFor(5 * time.Minute)
				require.False(t, w.paused(project))
				require.True(t, w.incident(id).Settled)
				require.Len(t, comments(w.issue()), 1)
				require.Equal(t, "closed", w.issue().State)
			})
		})
	}
}
