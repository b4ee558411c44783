package escalate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// The rows of the sweep's table, each from beginning to end over the fake.

// A trip writes the flag and opens the issue.
func TestTrip(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		require.True(w, w.paused(project))
		i := w.issue()
		require.Equal(w, "[ADF] project-meta on odilo failed 1 consecutively", i.Title)
		require.Equal(w, []string{"adf", "circuit-breaker", "priority/high"}, i.Labels)
		m, ok := tracker.ParseMarker(i.Body)
		require.True(w, ok)
		require.Equal(w, tracker.Marker{Installation: w.store.Installation(), Project: project, Incident: id, Seq: 1}, m)
		require.Equal(w, i.Number, w.incident(id).Issue.Number)
		require.False(w, w.incident(id).FlagWritten.IsZero())
	})
}

// The sweep finishes it.
func TestTripDiedBeforeFlag(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		w.sweep()
		require.True(w, w.paused(project))
		require.Equal(w, "open", w.issue().State)
		require.False(w, w.incident(id).FlagWritten.IsZero())
		require.Empty(w, w.sweep().Actions, "nothing is left to do")
	})
}

// The flag is stored by the next process.
func TestTripDiedAfterFlag(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		w.touch(project)
		w.sweep()
		require.False(w, w.incident(id).FlagWritten.IsZero())
		w.rm(project)
		w.sweep()
		require.False(w, w.incident(id).IsOpen(), "a flag that was noted and is gone was removed")
	})
}

// The bot takes an issue that is there instead of opening a second.
func TestUnknownIssue(t *testing.T) {
	play(t, func(w *world) {
		tripped := w.failed(project)
		id := tripped.ID
		w.dies("created", func(ctx context.Context) { _, _ = w.rec.Trip(ctx, tripped) })
		require.Len(w, w.issues(fleet), 1)
		m := w.reopened()
		m.sweep()
		require.Equal(w, w.issue().Number, m.incident(id).Issue.Number)
		require.Len(w, w.issues(fleet), 1)
	})
}

// The issue of a paused project is left alone.
func TestPausedAndOpen(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		before := w.issue()
		require.Empty(w, w.sweep().Actions)
		require.Equal(w, before, w.issue())
	})
}

// The issue of a paused project is reopened, with a comment.
func TestPausedAndClosed(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		i := w.issue()
		require.Equal(w, "open", i.State)
		require.Len(w, comments(i), 1)
		require.Contains(w, comments(i)[0], "still paused")
		require.Contains(w, comments(i)[0], "adfbot resume odilo")
		require.Empty(w, w.sweep().Actions)
	})
}

// After three times in an hour, reopening waits for an hour and makes no comment.
func TestReopeningLimit(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		var reopened []time.Duration
		begun := time.Now()
		// Another bot closes the issue again and again, for five hours.
		for time.Since(begun) < 5*time.Hour {
			if w.issue().State == "open" {
				w.Gitea.As("alex").Close(fleet, 1)
			}
			w.sweep()
			if w.issue().State == "open" {
				reopened = append(reopened, time.Since(begun))
			}
			time.Sleep(time.Minute)
		}
		minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
		require.Equal(w, []time.Duration{0, minutes(1), minutes(2), minutes(62), minutes(122), minutes(182), minutes(242)}, reopened)
		require.Len(w, comments(w.issue()), 3, "the first three times are told")

		// After two calm hours it is told again.
		require.Equal(w, "closed", w.issue().State)
		w.sweepFor(3 * time.Hour)
		require.Equal(w, "open", w.issue().State)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		require.Len(w, comments(w.issue()), 4)
	})
}

// A deleted issue is replaced by one that says so.
func TestDeletedIssue(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("alex").Delete(fleet, 1)
		w.sweep()
		i := w.issue()
		require.EqualValues(w, 2, i.Number)
		require.Equal(w, "open", i.State)
		require.Contains(w, i.Body, "This issue replaces #1, which was deleted or lost its marker")
		require.EqualValues(w, 2, w.incident(id).Issue.Number)
		require.Empty(w, w.sweep().Actions)
	})
}

// notGitea is the answer of a proxy that has no route to Gitea, for example while Gitea is started.
func notGitea() giteatest.Effect {
	return giteatest.Status(404, "404 page not found\n", "Content-Type", "text/plain; charset=utf-8")
}

// A proxy's 404 does not make an issue look deleted.
func TestProxyWithoutRoute(t *testing.T) {
	t.Run("to the issue of a paused project", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.Gitea.As("alex").Close(fleet, 1)
			undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Do: notGitea()})
			w.sweepFor(5 * time.Minute)
			undo()
			w.sweepFor(5 * time.Minute)
			require.Len(w, w.issues(fleet), 1)
			require.Equal(w, "open", w.issue().State)
		})
	})
	t.Run("to the issue of a project that was resumed", func(t *testing.T) {
		play(t, func(w *world) {
			id := w.trip(project)
			w.rm(project)
			undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Do: notGitea()})
			w.sweepFor(5 * time.Minute)
			require.False(w, w.incident(id).Settled)
			undo()
			w.sweepFor(5 * time.Minute)
			require.Equal(w, "closed", w.issue().State)
		})
	})
	t.Run("to what is written when it is closed", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.rm(project)
			undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: notGitea()})
			w.sweepFor(5 * time.Minute)
			undo()
			w.sweepFor(5 * time.Minute)
			require.Len(w, comments(w.issue()), 1)
			require.Equal(w, "closed", w.issue().State)
		})
	})
	t.Run("to an operator's closing", func(t *testing.T) {
		playClosing(t, func(w *world, _ string) {
			w.Gitea.As("alex").Close(fleet, 1)
			undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: notGitea()})
			w.sweepFor(5 * time.Minute)
			require.Equal(w, "closed", w.issue().State)
			undo()
			w.sweepFor(5 * time.Minute)
			require.False(w, w.paused(project))
		})
	})
	t.Run("to the question who an operator is", func(t *testing.T) {
		play(t, func(w *world) {
			w.operated("alex")
			undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/users/"), Do: notGitea()})
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.ErrorContains(w, err, "there is no Gitea API at")
			undo()
			w.sweep()
			ops, err := w.store.Operators(w.Context(), w.rec.Options().Server)
			require.NoError(w, err)
			require.Empty(w, ops[0].Problem)
			require.NotZero(w, ops[0].ID)
		})
	})
}

// The issue is closed, with a comment.
func TestRemovedFlag(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		time.Sleep(time.Hour)
		w.rm(project)
		w.sweep()
		i := w.issue()
		require.Equal(w, "closed", i.State)
		require.Len(w, comments(i), 1)
		require.Contains(w, comments(i)[0], "`odilo` was resumed on 2000-01-01 01:00 UTC: the pause flag was removed; noticed 2000")
		got := w.incident(id)
		require.False(w, got.IsOpen())
		require.True(w, got.Settled)
		p, err := w.store.Project(w.Context(), project)
		require.NoError(w, err)
		require.EqualValues(w, 1, p.Generation, "the next generation has begun")
		require.Zero(w, p.Breaker.Failures)
		require.Empty(w, w.sweep().Actions)
	})
}

// The issue is left alone.
func TestResumeWithClosedIssue(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("alex").Close(fleet, 1)
		w.rm(project)
		before := w.issue()
		w.sweep()
		require.Equal(w, before, w.issue())
		require.True(w, w.incident(id).Settled)
	})
}

// No issue is opened for a project that runs again.
func TestResumedBeforeIssue(t *testing.T) {
	play(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.rm(project)
		_, err = w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.False(w, w.incident(id).IsOpen())
		undo()
		w.sweepFor(30 * time.Minute)
		require.Empty(w, w.issues(fleet))
		require.True(w, w.incident(id).Settled)
	})
}

// The incident is settled without a request.
func TestResumedBeforeAnyAttempt(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(w, err)
		w.rm(project)
		w.sweep()
		require.True(w, w.incident(id).Settled)
		require.Empty(w, w.issues(fleet))
	})
}

// The issue of an ended incident is closed although the project is paused again.
func TestEndedIncidentOfPausedProject(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(w, err)
		require.Equal(w, "open", w.issue().State, "Gitea was not asked yet")
		w.trip(project)
		w.sweep()
		all := w.issues(fleet)
		require.Len(w, all, 2)
		require.Equal(w, "closed", all[0].State)
		require.Equal(w, "open", all[1].State)
		require.Contains(w, all[1].Body, "### Earlier incidents")
	})
}

// An issue that a person reopens after the end is left open, with one comment.
func TestIssueReopenedAfterTheEnd(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.sweep()
		w.Gitea.As("alex").Reopen(fleet, 1)
		for range 3 {
			w.sweep()
			time.Sleep(time.Minute)
		}
		i := w.issue()
		require.Equal(w, "open", i.State)
		require.Len(w, comments(i), 2)
		require.Contains(w, comments(i)[1], "leaves the issue open")
		require.Empty(w, w.sweep().Actions)
	})
}

// A person's flag is left alone.
func TestHold(t *testing.T) {
	play(t, func(w *world) {
		w.touch(project)
		w.sweep()
		require.True(w, w.paused(project))
		require.Empty(w, w.Gitea.Issues(fleet))
		h, err := w.store.Hold(w.Context(), project)
		require.NoError(w, err)
		require.NotNil(w, h)
		require.Empty(w, w.sweep().Actions)

		w.rm(project)
		w.sweep()
		h, err = w.store.Hold(w.Context(), project)
		require.NoError(w, err)
		require.Nil(w, h)
		p, err := w.store.Project(w.Context(), project)
		require.NoError(w, err)
		require.EqualValues(w, 1, p.Generation, "the end of a hold is a resume too")
	})
}

func TestHoldOfUnconfiguredProject(t *testing.T) {
	play(t, func(w *world) {
		w.touch("unheard-of")
		w.sweep()
		h, err := w.store.Hold(w.Context(), "unheard-of")
		require.NoError(w, err)
		require.NotNil(w, h)
		w.rm("unheard-of")
		w.sweep()
		h, err = w.store.Hold(w.Context(), "unheard-of")
		require.NoError(w, err)
		require.Nil(w, h)
	})
}

// Of two issues of an incident, the one that the state knows stays.
func TestDuplicateIssue(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		body := w.issue().Body
		n := w.Gitea.As("adf-bot").Open(fleet, "twin", body)
		w.sweep()
		all := w.issues(fleet)
		require.Equal(w, "open", all[0].State)
		require.Equal(w, "closed", all[1].State)
		require.Contains(w, comments(all[1])[0], "terraphim/adf-fleet#1 is kept; this one is closed")
		require.Empty(w, w.sweep().Actions)

		w.Gitea.As("alex").Reopen(fleet, n)
		w.sweep()
		require.Equal(w, "open", w.issues(fleet)[1].State, "a person wants it open")
		require.Len(w, comments(w.issues(fleet)[1]), 1)
	})
}

// The oldest one that is open stays.
func TestTwoUnknownIssues(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		body := w.issue().Body
		w.Gitea.As("adf-bot").Open(fleet, "twin", body)
		w.Gitea.As("adf-bot").Open(fleet, "triplet", body)
		w.Gitea.As("alex").Close(fleet, 1)
		w.change(id, func(i *incident.Incident) { i.Issue = tracker.IssueRef{} })
		w.sweep()
		states := []string{}
		for _, i := range w.issues(fleet) {
			states = append(states, i.State)
		}
		require.Equal(w, []string{"closed", "open", "closed"}, states)
		require.EqualValues(w, 2, w.incident(id).Issue.Number)
	})
}

// Between two looks, that is no resume.
func TestFlagRemovedAndMadeAgain(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.touch(project)
		before := w.issue()
		require.Equal(w, []plan.Kind{plan.ConfirmFlag}, kinds(w.sweep().Actions), "it is another flag, that is all")
		require.Empty(w, w.sweep().Actions)
		require.True(w, w.incident(id).IsOpen())
		require.Equal(w, before, w.issue())
	})
}
