package escalate_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// copied makes a copy of the state as it is now, and returns the installation that has it put back.
func (m *machine) copied() (restore func() *machine) {
	m.Helper()
	*m = *m.reborn() // everything lies in the file now, not beside it
	was, err := os.ReadFile(m.path)
	require.NoError(m, err)
	return func() *machine {
		m.Helper()
		require.NoError(m, m.store.Close())
		require.NoError(m, os.Remove(m.path))
		require.NoError(m, os.WriteFile(m.path, was, 0o600))
		commands := m.rec.Options().Commands
		n := m.another()
		n.operated(commands.Operators...)
		n.rec.Options().Commands.CloseResumes = commands.CloseResumes
		return n
	}
}

// A state that is a day old runs no command that was run since.
// An order that was carried out after the copy was made is not carried out a second time: what it did is seen in the issue.
func TestOldStateCommands(t *testing.T) {
	for _, command := range []string{"/adf resume", "/adf resume mended\n/adf status"} {
		t.Run(command, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				restore := w.copied()
				time.Sleep(time.Hour)
				w.says("alex", command)
				w.sweep()
				require.False(t, w.paused(project))
				time.Sleep(time.Hour)
				w.touch(project) // a person pauses it, for a reason of their own
				w.sweepFor(2 * time.Minute)
				before := len(comments(w.issue()))

				w.machine = restore()
				w.sweepFor(10 * time.Minute)
				require.True(t, w.paused(project), "nobody resumed that")
				require.True(t, w.incident(id).IsOpen(), "as the copy has it: paused, and so with an open issue")
				require.Equal(t, "open", w.issue().State)
				require.Len(t, comments(w.issue()), before+1, "which is said")

				w.says("alex", "/adf resume now")
				w.sweepFor(2 * time.Minute)
				require.False(t, w.paused(project), "a new order is one")
				require.Equal(t, "closed", w.issue().State)
			})
		})
	}
}

// A state a day old does not pause again what was paused and resumed since.
func TestOldStatePauseCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rm(project)
		w.sweep()
		restore := w.copied()
		time.Sleep(time.Hour)
		w.says("alex", "/adf pause holidays")
		w.sweep()
		require.True(t, w.paused(project))
		time.Sleep(time.Hour)
		w.rm(project)
		w.sweepFor(2 * time.Minute)

		w.machine = restore()
		w.sweepFor(10 * time.Minute)
		require.False(t, w.paused(project))
		w.says("alex", "/adf pause again")
		w.sweepFor(2 * time.Minute)
		require.True(t, w.paused(project), "a new order is one")
	})
}

// A state a day old takes no old closing for a command.
func TestOldStateClosing(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		restore := w.copied()
		time.Sleep(time.Hour)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.False(t, w.paused(project))
		time.Sleep(time.Hour)
		w.touch(project)
		w.sweepFor(2 * time.Minute)

		w.machine = restore()
		w.sweepFor(10 * time.Minute)
		require.True(t, w.paused(project), "nobody resumed that")
		require.Equal(t, "open", w.issue().State)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
		require.False(t, w.paused(project), "a new closing is an order")
		require.Equal(t, "closed", w.issue().State)
	})
}

// A state a day old learns of the pause by hand that came after its incident.
func TestOldStateLaterHold(t *testing.T) {
	for _, was := range []string{"incident", "hold"} {
		t.Run(was, func(t *testing.T) {
			play(t, func(w *world) {
				if was == "incident" {
					w.trip(project)
				} else {
					_, err := w.rec.Pause(w.Context(), project, "odilo is paused by kim")
					require.NoError(t, err)
				}
				restore := w.copied()
				time.Sleep(time.Hour)
				w.rm(project)
				w.sweep()
				_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve")
				require.NoError(t, err)
				hold := w.state(project).Hold.ID
				w.machine = restore()
				w.sweepFor(10 * time.Minute)
				state := w.state(project)
				require.Equal(t, hold, state.Pause().ID)
				flag, err := w.dir.Look(project)
				require.NoError(t, err)
				require.Contains(t, flag.Note, "odilo is paused by eve")
				w.rm(project)
				w.sweep()
				require.Empty(t, w.state(project).Pause().ID)
			})
		})
	}
}
