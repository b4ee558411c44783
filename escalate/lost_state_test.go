package escalate_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
)

// States that were lost or come from a copy: flags and issues tell what they can.

// A lost state is rebuilt from flag and issue.
func TestLostState(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		before, opened := w.issue(), w.incident(id).Opened
		time.Sleep(time.Hour)
		m := w.withoutState()
		require.Equal(w, w.store.Installation(), m.store.Installation())
		m.sweep()
		i := m.incident(id)
		require.True(w, opened.Equal(i.Opened), "the flag tells when")
		require.True(w, i.IsOpen())
		require.True(w, i.Rebuilt)
		require.Equal(w, 1, i.Seq)
		require.Equal(w, 1, i.Failures)
		require.Equal(w, "project-meta", i.Agent)
		require.EqualValues(w, 1, i.Issue.Number)
		require.Equal(w, before, w.issue(), "nothing is said")
		require.Empty(w, m.sweep().Actions)
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

func TestLostStateIssueClosed(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("alex").Close(fleet, 1)
		m := w.withoutState()
		m.sweepFor(2 * time.Minute)
		require.Equal(w, "open", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
		require.EqualValues(w, 1, m.incident(id).Issue.Number)
	})
}

// Where an issue is open, a person's flag is taken for the incident's.
func TestLostStatePersonsFlag(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.touch(project)
		m := w.withoutState()
		m.sweep()
		require.True(w, m.incident(id).IsOpen())
		require.Equal(w, "open", w.issue().State)
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

// The incident of a project that somebody has paused by hand too goes on, although the flag is that of the hold.
func TestLostStateIncidentBesideHold(t *testing.T) {
	play(t, func(w *world) {
		_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve")
		require.NoError(w, err)
		id := w.trip(project)
		w.sweep()
		m := w.withoutState()
		m.sweep()
		m.sweep()
		require.True(w, m.incident(id).IsOpen())
		require.Equal(w, "open", w.issue().State)
		require.Empty(w, comments(w.issue()))
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.Empty(w, m.state(project).Pause().ID)
	})
}

// The breaker trips before a sweep has found the pause by hand in its flag: the incident gets its issue, and the hold goes on beside it.
func TestLostStateTripsBesideHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		earlier int           // pauses that are over
		lasts   time.Duration // 0: for good
	}{{"the first pause", 0, 0}, {"a later one", 2, 0}, {"the first ends by itself", 0, time.Hour}, {"a later one ends by itself", 2, time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				for range c.earlier {
					w.touch(project)
					w.sweep()
					w.rm(project)
					w.sweep()
				}
				h := incident.Hold{Project: project, Note: "odilo is paused by eve"}
				if c.lasts > 0 {
					h.Until = time.Now().UTC().Add(c.lasts)
				}
				_, err := w.rec.Hold(w.Context(), h)
				require.NoError(w, err)
				hold := w.state(project).Hold.ID
				m := w.withoutState()
				id := m.trip(project)
				require.Equal(w, "open", w.issue().State)
				require.True(w, m.incident(id).IsOpen())
				require.NotContains(w, w.issue().Body, "NOT PAUSED")
				m.sweep()
				require.Empty(w, m.sweep().Actions)
				require.Empty(w, comments(w.issue()))
				require.Equal(w, hold, m.state(project).Hold.ID)
				require.True(w, h.Until.Equal(m.state(project).Hold.Until))
				if c.lasts == 0 {
					flag, err := m.dir.Look(project)
					require.NoError(w, err)
					require.Contains(w, flag.Note, "odilo is paused by eve")
				}

				time.Sleep(2 * time.Hour)
				m.sweep()
				require.Equal(w, c.lasts == 0, m.state(project).Hold != nil)
				require.True(w, m.incident(id).IsOpen())
				m.rm(project)
				m.sweep()
				require.Equal(w, "closed", w.issue().State)
				require.Empty(w, m.state(project).Pause().ID)
			})
		})
	}
}

// The copy of the state has an earlier pause by hand, which is over.
func TestOldStateTripsBesideHold(t *testing.T) {
	play(t, func(w *world) {
		_, err := w.rec.Pause(w.Context(), project, "odilo is paused by kim")
		require.NoError(w, err)
		restore := w.copied()
		w.rm(project)
		w.sweep()
		_, err = w.rec.Pause(w.Context(), project, "odilo is paused by eve")
		require.NoError(w, err)
		hold := w.state(project).Hold.ID
		m := restore()
		id := m.trip(project)
		require.True(w, m.incident(id).IsOpen())
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, hold, m.state(project).Hold.ID)
		require.Empty(w, m.sweep().Actions)
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.Empty(w, m.state(project).Pause().ID)
	})
}

// The issue is closed.
func TestLostStateFlagGone(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		m := w.withoutState()
		m.sweep()
		i := w.issue()
		require.Equal(w, "closed", i.State)
		require.Len(w, comments(i), 1)
		require.Contains(w, comments(i)[0], "had lost this incident")
		require.True(w, m.incident(id).Settled)
		require.Empty(w, m.sweep().Actions)
	})
}

// The old issue says that the project is still paused.
// The flag names nobody: a person made it before the bot could, or emptied it. The state is lost, and before a sweep has
// rebuilt the incident the breaker trips anew: the flag is that incident's then, and the project was never resumed.
func TestLostStateTrippedAgain(t *testing.T) {
	play(t, func(w *world) {
		w.touch(project)
		old := w.trip(project)
		m := w.withoutState()
		id := m.trip(project)
		m.sweep()
		require.True(w, m.incident(id).IsOpen())
		require.True(w, m.incident(old).Settled)
		i, ok := w.Gitea.Issue(fleet, 1)
		require.True(w, ok)
		require.Equal(w, "closed", i.State)
		require.Len(w, comments(i), 1)
		require.Contains(w, comments(i)[0], "`odilo` is still paused")
		require.NotContains(w, comments(i)[0], "was resumed")
		i, ok = w.Gitea.Issue(fleet, 2)
		require.True(w, ok)
		require.Equal(w, "open", i.State)
		require.Empty(w, m.sweep().Actions)
	})
}

// The lost incident, whose flag is there, goes on.
// The same with the flag of the lost incident: that one goes on, and the one that the state opened in its ignorance was
// neither flagged nor resumed.
func TestLostStateTripsUnderOldFlag(t *testing.T) {
	for name, seen := range map[string]bool{"the flag can be read": true, "the flag can't be read until the issue is open": false} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				old := w.trip(project)
				m := w.withoutState()
				if !seen {
					m.rec.SetDirError(errors.New("permission denied"))
				}
				second := m.trip(project)
				m.rec.SetDirError(nil)
				m.sweep()
				require.True(w, m.incident(old).IsOpen())
				i := m.incident(second)
				require.False(w, i.IsOpen())
				require.True(w, i.Settled)
				require.NotContains(w, i.EndedHow, "resumed")
				p, err := m.store.Project(w.Context(), project)
				require.NoError(w, err)
				require.Zero(w, p.Generation, "nobody resumed it")
				all := w.issues(fleet)
				require.Equal(w, "open", all[0].State)
				require.Empty(w, comments(all[0]))
				if seen {
					require.Len(w, all, 1, "the second was over before its issue was to be opened")
				} else {
					require.Equal(w, "closed", all[1].State)
					require.Len(w, comments(all[1]), 1)
					require.Contains(w, comments(all[1])[0], "`odilo` is still paused, by an earlier incident")
				}
				require.Empty(w, m.sweep().Actions)
				m.rm(project)
				m.sweep()
				require.Equal(w, "closed", w.issues(fleet)[0].State)
				require.Contains(w, comments(w.issues(fleet)[0])[0], "was resumed")
			})
		})
	}
}

// The issue is closed too.
func TestLostStateUnconfiguredProject(t *testing.T) {
	play(t, func(w *world) {
		w.trip("unheard-of")
		w.rm("unheard-of")
		w.withoutState().sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

// The flag's incident gets an issue.
func TestLostStateWithoutIssue(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(w, err)
		m := w.withoutState()
		m.sweep()
		i := w.issue()
		require.Contains(w, i.Body, "rebuilt this incident")
		require.EqualValues(w, i.Number, m.incident(id).Issue.Number)
	})
}

// A person's flag is left alone.
func TestLostStateHold(t *testing.T) {
	play(t, func(w *world) {
		w.touch(project)
		w.sweep()
		m := w.withoutState()
		m.sweep()
		require.Empty(w, w.Gitea.Issues(fleet))
		require.True(w, m.paused(project))
	})
}

// The old issue is closed.
func TestLostStatePausedAnew(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(w, err)
		id := w.trip(project) // the first issue is still open
		w.Gitea.As("alex").Reopen(fleet, 1)
		m := w.withoutState()
		m.sweep()
		all := w.issues(fleet)
		require.Len(w, all, 2)
		require.Equal(w, "closed", all[0].State)
		require.Equal(w, "open", all[1].State)
		require.True(w, m.incident(id).IsOpen())
	})
}

// One of two issues of the same incident is closed.
func TestLostStateTwoIssues(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("adf-bot").Open(fleet, "twin", w.issue().Body)
		m := w.withoutState()
		m.sweep()
		all := w.issues(fleet)
		require.Equal(w, "open", all[0].State)
		require.Equal(w, "closed", all[1].State)
		require.EqualValues(w, 1, m.incident(id).Issue.Number)
	})
}

// Nothing is concluded.
func TestLostStateGiteaDown(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		m := w.withoutState()
		m.rec.Options().Tracker = m.over(refuses{})
		m.sweepFor(5 * time.Minute)
		m.rec.Options().Tracker = m.over(w.Gitea.Transport())
		m.sweepFor(20 * time.Minute)
		require.Equal(w, "open", w.issue().State)
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

// copyOfNow puts a copy of the state aside, as a backup does, and gives the machine that it will be put back on.
func (m *machine) copyOfNow() (restore func() *machine) {
	m.Helper()
	require.NoError(m, m.store.Close())
	b, err := os.ReadFile(m.path)
	require.NoError(m, err)
	again := m.another()
	*m = *again
	return func() *machine {
		require.NoError(m, m.store.Close())
		path := filepath.Join(m.TempDir(), "restored.db")
		require.NoError(m, os.WriteFile(path, b, 0o600))
		return openMachine(m.World, path, m.dir.Path())
	}
}

// A state that is a day old learns of the incident that came after it.
func TestOldStateLaterIncident(t *testing.T) {
	play(t, func(w *world) {
		restore := w.copyOfNow()
		time.Sleep(24 * time.Hour)
		id := w.trip(project)
		before := w.issue()
		m := restore()
		m.sweep()
		require.True(w, m.incident(id).IsOpen())
		require.Equal(w, before, w.issue())
		require.Empty(w, m.sweep().Actions)
	})
}

func TestOldStateEndedIncident(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		restore := w.copyOfNow()
		w.rm(project)
		w.sweep()
		before := w.issue()
		require.Equal(w, "closed", before.State)
		m := restore()
		m.sweep()
		require.Equal(w, before, w.issue(), "nothing is said twice")
		require.True(w, m.incident(id).Settled)
	})
}

// A later incident of the same project takes the place of an old one.
func TestOldStateGivesWay(t *testing.T) {
	play(t, func(w *world) {
		first := w.trip(project)
		restore := w.copyOfNow()
		w.rm(project)
		w.sweep()
		second := w.trip(project)
		before := w.issues(fleet)
		require.Equal(w, []string{"closed", "open"}, []string{before[0].State, before[1].State})
		m := restore()
		m.sweep()
		require.False(w, m.incident(first).IsOpen())
		require.True(w, m.incident(second).IsOpen())
		require.Equal(w, before, w.issues(fleet), "no live issue is closed, and none doubled")
		require.Empty(w, m.sweep().Actions)
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issues(fleet)[1].State)
	})
}

// A state a day old that was about to create the issue finds it.
func TestOldStateAboutToCreate(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		restore := w.copyOfNow()
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		m := restore()
		m.sweep()
		require.Len(w, w.issues(fleet), 1)
		require.EqualValues(w, 1, m.incident(id).Issue.Number)
	})
}

// The old issues are reported and left alone.
func TestStateAndFlagsLost(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		before := w.issue()
		dir := w.TempDir()
		m := openMachine(w.World, dir+"/adfbot.db", dir+"/pause")
		require.NoError(w, m.dir.Init(m.store.Installation()))
		rep := m.sweep()
		require.Empty(w, rep.Actions)
		require.Equal(w, []string{"http://gitea.example/terraphim/adf-fleet/issues/1"}, rep.Foreign)
		require.Equal(w, before, w.issue())
		m.trip(project)
		m.rm(project)
		m.sweep()
		require.Equal(w, before, w.issues(fleet)[0])
	})
}

// A flag copied from another project says nothing about an incident.
func TestFlagOfAnotherProject(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		b, err := os.ReadFile(w.dir.FlagPath(project))
		require.NoError(w, err)
		require.NoError(w, os.WriteFile(w.dir.FlagPath("digital-twins"), b, 0o644))
		require.Equal(w, id, w.rec.Look(w.Context(), project).Info.Incident)
		require.Zero(w, w.rec.Look(w.Context(), "digital-twins").Info)
		w.sweep()
		require.Len(w, w.issues(fleet), 1)
		h, err := w.store.Hold(w.Context(), "digital-twins")
		require.NoError(w, err)
		require.NotNil(w, h, "it is held")
		require.True(w, w.incident(id).IsOpen())
		w.rm(project)
		m := w.withoutState()
		m.sweep()
		require.Equal(w, project, m.incident(id).Project)
		require.Equal(w, "closed", w.issue().State)
		h, err = m.store.Hold(w.Context(), "digital-twins")
		require.NoError(w, err)
		require.NotNil(w, h)
	})
}

// The flag of an ended incident holds the project.
func TestFlagOfEndedIncident(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		note := issuetext.FlagNote(w.incident(id), issuetext.Resume{Command: "adfbot resume " + project, Flag: w.dir.FlagPath(project)}, issuetext.Mark{})
		w.rm(project)
		w.sweep()
		require.NoError(w, os.WriteFile(w.dir.FlagPath(project), []byte(note), 0o644))
		before := w.issue()
		w.sweep()
		require.Equal(w, before, w.issue())
		h, err := w.store.Hold(w.Context(), project)
		require.NoError(w, err)
		require.NotNil(w, h)
	})
}

func TestLostStateRepeatsNoComment(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.sweepDies("commented") // the issue is still open
		m := w.withoutState()
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
	})
}

// A lost state comments when an issue is reopened again.
func TestLostStateReopensAgain(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.Len(w, comments(w.issue()), 1)
		m := w.withoutState()
		time.Sleep(time.Hour)
		w.Gitea.As("alex").Close(fleet, 1)
		m.sweep()
		m.sweep() // the first found the incident again
		require.Equal(w, "open", w.issue().State)
		said := comments(w.issue())
		require.Len(w, said, 2)
		require.NotEqual(w, said[0], said[1], "each has a key of its own")
	})
}
