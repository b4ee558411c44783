package escalate_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// Pause directories that can't be written, read or trusted.

// The issue says "NOT paused" until a sweep can write the flag.
func TestUnwritableFlag(t *testing.T) {
	play(t, func(w *world) {
		undo := testhost.ReadOnly(w, w.dir.Path())
		id, err := w.tripAnd(project)
		require.ErrorContains(w, err, "NOT paused by a flag")
		i := w.issue()
		require.True(w, strings.HasPrefix(i.Body, "# NOT PAUSED\n"), i.Body)
		require.Contains(w, i.Body, w.incident(id).FlagError, "the reason, be it a read-only file system or a missing right")
		require.NotEmpty(w, w.incident(id).FlagError)
		w.sweepFor(5 * time.Minute)
		require.Len(w, w.issues(fleet), 1)
		require.Empty(w, comments(w.issue()))
		w.Gitea.As("alex").Close(fleet, 1)
		_, err = w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.Equal(w, "open", w.issue().State, "an incident that only the state holds is open all the same")

		undo()
		w.sweep()
		require.True(w, w.paused(project))
		require.Len(w, comments(w.issue()), 2)
		require.Contains(w, comments(w.issue())[1], "The project is paused now")
		require.Empty(w, w.sweep().Actions)
		require.Empty(w, w.incident(id).FlagError)
		w.rm(project)
		w.sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

func TestUnwritableFlagBlocksNothingElse(t *testing.T) {
	play(t, func(w *world) {
		testhost.ReadOnly(w, w.dir.Path())
		_, err := w.tripAnd(project)
		require.Error(w, err)
		// An older incident of the project, which the state does not know.
		m := tracker.Marker{Installation: w.store.Installation(), Project: project, Incident: pause.NewRandomID(), Seq: 9}
		n := w.Gitea.As("adf-bot").Open(fleet, "older", m.String())
		_, err = w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "NOT paused by a flag")
		i, _ := w.Gitea.Issue(fleet, n)
		require.Equal(w, "closed", i.State)
	})
}

// Nothing is resumed or closed, and the issue says why.
func TestUnreadableDirectory(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		require.NoError(w, os.Rename(w.dir.Path(), w.dir.Path()+".away"))
		w.Gitea.As("alex").Close(fleet, 1)
		for range 3 {
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.Error(w, err)
		}
		require.True(w, w.incident(id).IsOpen())
		require.Equal(w, "closed", w.issue().State, "nothing is reopened on a guess either")

		_, err := w.tripAnd("digital-twins")
		require.NoError(w, err)
		i := w.issues(fleet)[1]
		require.True(w, strings.HasPrefix(i.Body, "# NOT PAUSED\n"))
		require.Contains(w, i.Body, "the pause directory does not exist")

		require.NoError(w, os.Rename(w.dir.Path()+".away", w.dir.Path()))
		w.sweep()
		require.Equal(w, "open", w.issues(fleet)[0].State)
		require.True(w, w.paused("digital-twins"))
		require.Len(w, comments(w.issues(fleet)[1]), 1)
	})
}

// No issue is closed.
func TestMissingSentinel(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		require.NoError(w, os.Remove(w.dir.Path()+"/.adfbot"))
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "has no sentinel")
		require.True(w, w.incident(id).IsOpen())
		require.Equal(w, "open", w.issue().State)
	})
}

// No issue is closed.
func TestDirectoryOfAnotherInstallation(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		require.NoError(w, os.WriteFile(w.dir.Path()+"/.adfbot", []byte(strings.Repeat("f", 32)+"\n"), 0o644))
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "its sentinel names installation ffff")
		require.True(w, w.incident(id).IsOpen())
	})
}
