package escalate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
)

// A sweep that has to wait says for what, until when and why.
func TestSweepReportsWhatWaits(t *testing.T) {
	forced := escalate.SweepOptions{Force: true}
	t.Run("a creation without an answer", func(t *testing.T) {
		play(t, func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Status(503, `{"message":"busy"}`)})
			_, _ = w.tripAnd(project)
			begun := time.Now()
			time.Sleep(time.Second)
			rep, err := w.sweepAnd(forced)
			require.NoError(t, err)
			require.Len(t, rep.Waiting, 1)
			require.Equal(t, project, rep.Waiting[0].Project)
			require.Equal(t, "odilo#1", rep.Waiting[0].Name)
			require.True(t, begun.Add(2*timeout).Equal(rep.Waiting[0].Until), rep.Waiting[0].Until)
			require.Contains(t, rep.Waiting[0].Why, "the issue is created again only when Gitea can't be at work on the last attempt any more")
			require.Contains(t, rep.Waiting[0].Why, "status 503 (busy)")
			dry, err := w.sweepAnd(escalate.SweepOptions{Force: true, DryRun: true})
			require.NoError(t, err)
			require.Equal(t, rep.Waiting, dry.Waiting)
			time.Sleep(time.Until(rep.Waiting[0].Until))
			rep, err = w.sweepAnd(forced)
			require.NoError(t, err)
			require.Len(t, rep.Actions, 1, "as it was said")
			require.Empty(t, rep.Waiting)
		})
	})
	t.Run("a comment without an answer", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.sweep()
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Times: 1, Do: giteatest.Status(503, `{"message":"busy"}`)})
			w.rm(project)
			_, err := w.sweepAnd(forced)
			require.Error(t, err)
			rep, err := w.sweepAnd(forced)
			require.NoError(t, err)
			require.Len(t, rep.Waiting, 1)
			require.Contains(t, rep.Waiting[0].Why, "a comment is written again only when Gitea can't be at work on the last attempt any more")
			time.Sleep(time.Until(rep.Waiting[0].Until))
			rep, err = w.sweepAnd(forced)
			require.NoError(t, err)
			require.Empty(t, rep.Waiting)
			require.Equal(t, "closed", w.issue().State)
		})
	})
	t.Run("between tries of the schedule", func(t *testing.T) {
		play(t, func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Status(423, `{"message":"archived"}`)})
			_, _ = w.tripAnd(project)
			rep, err := w.sweepAnd(escalate.SweepOptions{})
			require.NoError(t, err)
			require.Len(t, rep.Waiting, 1)
			require.True(t, rep.Waiting[0].Until.After(time.Now()))
			require.Contains(t, rep.Waiting[0].Why, "the next try after a failure: ")
			require.Contains(t, rep.Waiting[0].Why, "archived")
			rep, err = w.sweepAnd(forced)
			require.NoError(t, err)
			require.Empty(t, rep.Waiting, "a person has it tried at once")
		})
	})
	t.Run("an issue that is closed again and again", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.sweep()
			for range 4 {
				w.Gitea.As("kim").Close(fleet, 1)
				w.sweepFor(2 * time.Minute)
			}
			rep, err := w.sweepAnd(forced)
			require.NoError(t, err)
			require.Empty(t, rep.Actions)
			require.Len(t, rep.Waiting, 1)
			require.Contains(t, rep.Waiting[0].Why, "the issue was closed again and again")
			time.Sleep(time.Until(rep.Waiting[0].Until))
			rep, err = w.sweepAnd(forced)
			require.NoError(t, err)
			require.Len(t, rep.Actions, 1)
		})
	})
	t.Run("nothing", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			rep, err := w.sweepAnd(forced)
			require.NoError(t, err)
			require.Empty(t, rep.Waiting)
		})
	})
}
