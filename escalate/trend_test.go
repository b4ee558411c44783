package escalate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// fills trips by an error that is long enough to be known again.
func (w *world) fills() string {
	w.Helper()
	a, err := w.store.Record(w.context(), store.Result{Project: project, Agent: "project-meta", Outcome: store.Failure, ExitCode: 1, Output: "there is no space left on the device\n"},
		store.Limits{Threshold: 1, Resume: 1})
	require.NoError(w, err)
	_, err = w.rec.Trip(w.context(), *a.Opened)
	require.NoError(w, err)
	return a.Opened.ID
}

// The third incident within a week says so, and has a label.
func TestThirdIncidentInAWeek(t *testing.T) {
	play(t, func(w *world) {
		for n := range 3 {
			id := w.fills()
			issue := w.issues(fleet)[n]
			require.Equal(w, n >= 2, slices.Contains(issue.Labels, incident.RepeatLabel))
			require.Equal(w, n+1, w.incident(id).Trend.Nth)
			w.rm(project)
			w.sweep()
			time.Sleep(24 * time.Hour)
		}
		require.Contains(w, w.issues(fleet)[2].Body, "3rd incident in 7 days; the last two with the same error as `odilo#1`.")
		time.Sleep(7 * 24 * time.Hour)
		w.fills()
		require.NotContains(w, w.issues(fleet)[3].Labels, incident.RepeatLabel)
		require.Contains(w, w.issues(fleet)[3].Body, "The last three incidents had the same error as `odilo#1`.")
	})
}

// A label that cannot be had at first is added later, like the others.
func TestRepeatLabelComesLater(t *testing.T) {
	play(t, func(w *world) {
		for range 2 {
			w.trip(project)
			w.rm(project)
			w.sweep()
		}
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateLabel(), Do: giteatest.Status(502, "bad gateway")})
		w.trip(project)
		require.NotContains(w, w.issues(fleet)[2].Labels, incident.RepeatLabel)
		undo()
		w.sweepFor(5 * time.Minute)
		require.Contains(w, w.issues(fleet)[2].Labels, incident.RepeatLabel)
	})
}
