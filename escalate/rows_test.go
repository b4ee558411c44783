package escalate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// The rows of the sweep's table, each from beginning to end over the fake.

func TestATripWritesTheFlagAndOpensTheIssue(t *testing.T) {
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

func TestATripThatDiedBeforeItsFlagIsFinishedByTheSweep(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		w.sweep()
		require.True(w, w.paused(project))
		require.Equal(w, "open", w.issue().State)
		require.False(w, w.incident(id).FlagWritten.IsZero())
		require.Empty(w, w.sweep().Actions, "nothing is left to do")
	})
}

func TestAFlagThatIsThereIsNotedThoughTheBotDiedBeforeIt(t *testing.T) {
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

func TestAnIssueThatIsThereAndUnknownIsTakenInsteadOfASecond(t *testing.T) {
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

func TestAnIssueOfAPausedProjectIsLeftAlone(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		before := w.issue()
		require.Empty(w, w.sweep().Actions)
		require.Equal(w, before, w.issue())
	})
}

func TestAClosedIssueOfAPausedProjectIsReopenedWithAWord(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.gitea.As("alex").Close(fleet, 1)
		w.sweep()
		i := w.issue()
		require.Equal(w, "open", i.State)
		require.Len(w, comments(i), 1)
		require.Contains(w, comments(i)[0], "still paused")
		require.Contains(w, comments(i)[0], "adfbot resume odilo")
		require.Empty(w, w.sweep().Actions)
	})
}

func TestAfterThreeTimesInAnHourReopeningWaitsAnHourAndSaysNothing(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		var reopened []time.Duration
		begun := time.Now()
		// Another bot closes the issue again and again, for five hours.
		for time.Since(begun) < 5*time.Hour {
			if w.issue().State == "open" {
				w.gitea.As("alex").Close(fleet, 1)
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
		w.gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		require.Len(w, comments(w.issue()), 4)
	})
}

func TestADeletedIssueIsReplacedByOneThatSaysSo(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.gitea.As("alex").Delete(fleet, 1)
		w.sweep()
		i := w.issue()
		require.EqualValues(w, 2, i.Number)
		require.Equal(w, "open", i.State)
		require.Contains(w, i.Body, "This issue replaces #1, which was deleted or lost its marker")
		require.EqualValues(w, 2, w.incident(id).Issue.Number)
		require.Empty(w, w.sweep().Actions)
	})
}

func TestARemovedFlagClosesTheIssueWithAWord(t *testing.T) {
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

func TestAResumeWithTheIssueClosedAlreadyTouchesItNoMore(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.gitea.As("alex").Close(fleet, 1)
		w.rm(project)
		before := w.issue()
		w.sweep()
		require.Equal(w, before, w.issue())
		require.True(w, w.incident(id).Settled)
	})
}

func TestNoIssueIsOpenedForAProjectThatRunsAgain(t *testing.T) {
	play(t, func(w *world) {
		undo := w.gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
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

func TestAnIncidentThatEndedBeforeAnyAttemptIsSettledWithoutARequest(t *testing.T) {
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

func TestAnIssueOfAnEndedIncidentIsClosedThoughTheProjectIsPausedAgain(t *testing.T) {
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

func TestAnIssueReopenedByAPersonAfterTheEndIsLeftWithOneWord(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.sweep()
		w.gitea.As("alex").Reopen(fleet, 1)
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

func TestAFlagOfAPersonIsLeftAlone(t *testing.T) {
	play(t, func(w *world) {
		w.touch(project)
		w.sweep()
		require.True(w, w.paused(project))
		require.Empty(w, w.gitea.Issues(fleet))
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

func TestAFlagOfAPersonCountsForAProjectThatIsNotConfiguredToo(t *testing.T) {
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

func TestOfTwoIssuesOfOneIncidentTheOneThatTheStateKnowsStays(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		body := w.issue().Body
		n := w.gitea.As("adf-bot").Open(fleet, "twin", body)
		w.sweep()
		all := w.issues(fleet)
		require.Equal(w, "open", all[0].State)
		require.Equal(w, "closed", all[1].State)
		require.Contains(w, comments(all[1])[0], "terraphim/adf-fleet#1 is kept; this one is closed")
		require.Empty(w, w.sweep().Actions)

		w.gitea.As("alex").Reopen(fleet, n)
		w.sweep()
		require.Equal(w, "open", w.issues(fleet)[1].State, "a person wants it open")
		require.Len(w, comments(w.issues(fleet)[1]), 1)
	})
}

func TestOfTwoIssuesThatTheStateDoesNotKnowTheOldestOpenOneStays(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		body := w.issue().Body
		w.gitea.As("adf-bot").Open(fleet, "twin", body)
		w.gitea.As("adf-bot").Open(fleet, "triplet", body)
		w.gitea.As("alex").Close(fleet, 1)
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

func TestAFlagRemovedAndMadeAgainBetweenTwoLooksWasNeverGone(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.touch(project)
		before := w.issue()
		require.Empty(w, w.sweep().Actions)
		require.True(w, w.incident(id).IsOpen())
		require.Equal(w, before, w.issue())
	})
}
