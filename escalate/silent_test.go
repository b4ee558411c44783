package escalate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/pause"
)

// Incidents that pause nothing: a project does not report.

func (m *machine) silence(ctx context.Context) (incident.Incident, error) {
	i, _, err := m.rec.OpenSilent(ctx, incident.Incident{
		ID: pause.NewRandomID(), Kind: incident.Silent, Project: project, Agent: "project-meta", Opened: time.Now().UTC(), Since: time.Now().Add(-time.Hour).UTC(),
	})
	if err == nil {
		err = m.rec.Announce(ctx, i)
	}
	return i, err
}

// falls has the project fall silent.
func (m *machine) falls() incident.Incident {
	m.Helper()
	i, err := m.silence(m.context())
	require.NoError(m, err)
	return m.incident(i.ID)
}

func (m *machine) reports(i incident.Incident) {
	m.Helper()
	require.NoError(m, m.end(m.context(), i))
}

func (m *machine) end(ctx context.Context, i incident.Incident) error {
	announce, err := m.rec.EndSilent(ctx, i, "reported again")
	if i.Ended = time.Now(); err == nil && announce {
		err = m.rec.Announce(ctx, i)
	}
	return err
}

func TestSilentIssue(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		issue := w.issue()
		require.Equal(w, "[ADF] project-meta on odilo has not reported since "+i.Since.Format("2006-01-02 15:04")+" UTC", issue.Title)
		require.ElementsMatch(w, []string{"adf", "circuit-breaker", "priority/high"}, issue.Labels)
		require.Contains(w, issue.Body, "The project is not paused by this.")
		require.NotContains(w, issue.Body, "adfbot:v1 ", "an earlier version takes it for nobody's")
		require.False(w, w.paused(project))
		require.Empty(w, w.state(project).Pause().ID)
		require.Zero(w, w.state(project).Generation)
		time.Sleep(time.Minute)
		require.Empty(w, w.sweep().Actions)

		w.reports(i)
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
		require.Contains(w, comments(w.issue())[0], "reported again")
		require.True(w, w.incident(i.ID).Settled)
		require.Empty(w, w.sweep().Actions)
	})
}

func TestSilentIssueClosedByHand(t *testing.T) {
	play(t, func(w *world) {
		w.operated("alex")
		i := w.falls()
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(10 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		require.True(w, w.incident(i.ID).IsOpen())
		w.reports(i)
		require.True(w, w.incident(i.ID).Settled)
		require.Empty(w, comments(w.issue()), "nobody has to be told")
	})
}

// Who has closed the issue is asked once, whatever else is swept in between.
func TestSilentIssueClosedByHandIsAskedOnce(t *testing.T) {
	play(t, func(w *world) {
		target := w.rec.Options().Target
		w.rec.Options().Projects = []string{project, "bravo"}
		w.rec.Options().Target = func(id string) escalate.Target {
			of := target(id)
			if id == "bravo" {
				of.Repo = repoOf(other)
			}
			return of
		}
		i := w.falls()
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
		for range 2 {
			w.Gitea.ResetRequests()
			_, err := w.sweepAnd(escalate.SweepOptions{Project: "bravo"})
			require.NoError(w, err)
			rep, err := w.sweepAnd(escalate.SweepOptions{})
			require.NoError(w, err)
			require.Equal(w, []string{i.ID}, rep.SilentClosed)
			for _, asked := range w.Gitea.Requests() {
				require.NotContains(w, asked.Path, "/issues/1")
			}
		}
	})
}

func TestSilentIssueDeleted(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		w.Gitea.As("alex").Delete(fleet, 1)
		w.sweepFor(10 * time.Minute)
		require.Empty(w, w.issues(fleet))
		w.reports(i)
		require.True(w, w.incident(i.ID).Settled)
	})
}

func TestSilentIssueReopenedAfterItsEnd(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		w.reports(i)
		w.Gitea.As("alex").Reopen(fleet, 1)
		w.sweepFor(10 * time.Minute)
		require.Equal(w, "open", w.issue().State)
		require.Len(w, comments(w.issue()), 2)
	})
}

// Both are open, and neither knows of the other.
func TestSilentBesideFailures(t *testing.T) {
	inStorm(t, func(w *world) {
		silent := w.falls()
		ids := w.hits("atlas", project, "bravo")
		w.sweepFor(10 * time.Minute)
		require.Len(w, w.issues(fleet), 2, "it joins no storm, and none joins it")
		w.rm(project)
		w.sweep()
		require.False(w, w.incident(ids[1]).IsOpen())
		require.True(w, w.incident(silent.ID).IsOpen())
		w.reports(silent)
		require.Equal(w, "closed", w.issues(fleet)[0].State)
		require.Equal(w, "open", w.issues(fleet)[1].State)
	})
}

// Each crash is followed by a process that finishes what is left.
func TestSilentCrashes(t *testing.T) {
	for _, at := range []string{"silence-noted", "create-begun", "created", "issue-noted"} {
		t.Run(at, func(t *testing.T) {
			play(t, func(w *world) {
				w.dies(at, func(ctx context.Context) { _, _ = w.silence(ctx) })
				m := w.reopened()
				m.sweepFor(5 * time.Minute)
				require.Contains(w, m.issue().Title, "has not reported")
				i := m.state(project).Silent[0]
				require.EqualValues(w, 1, i.Issue.Number)
			})
		})
	}
	for _, at := range []string{"silence-ended", "closed", "settled"} {
		t.Run(at, func(t *testing.T) {
			play(t, func(w *world) {
				i := w.falls()
				w.dies(at, func(ctx context.Context) { _ = w.end(ctx, i) })
				m := w.reopened()
				m.sweepFor(5 * time.Minute)
				require.Equal(w, "closed", m.issue().State)
				require.Len(w, comments(m.issue()), 1)
				require.True(w, m.incident(i.ID).Settled)
			})
		})
	}
}

// It is over before Gitea answers: there is nothing to tell.
func TestSilentWhileGiteaIsDown(t *testing.T) {
	play(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Do: giteatest.Status(502, "bad gateway")})
		i, err := w.silence(w.context())
		require.Error(w, err)
		w.reports(w.incident(i.ID))
		undo()
		w.sweepFor(5 * time.Minute)
		require.Empty(w, w.issues(fleet))
		require.True(w, w.incident(i.ID).Settled)
	})
}

func TestSilentLostState(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		opened := w.issue().Created
		time.Sleep(time.Hour)
		m := w.withoutState()
		rep, err := m.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.NoError(w, err)
		require.Equal(w, []plan.Kind{plan.RebuildSilent}, kinds(rep.Actions))
		m.sweep()
		rebuilt := m.incident(i.ID)
		require.True(w, rebuilt.IsSilent())
		require.True(w, rebuilt.IsOpen())
		require.Equal(w, opened.UTC(), rebuilt.Opened.UTC())
		require.False(w, m.paused(project))
		require.Empty(w, m.sweep().Actions)
		m.reports(rebuilt)
		require.Equal(w, "closed", m.issue().State)
	})
}

// The issue of a silence that an older copy of the state does not know is closed, once another one tells of it.
func TestSilentOlderState(t *testing.T) {
	play(t, func(w *world) {
		restore := w.copyOfNow()
		lost := w.falls()
		m := restore()
		again := m.falls()
		m.sweepFor(5 * time.Minute)
		require.Len(w, m.issues(fleet), 2)
		require.False(w, m.incident(lost.ID).IsOpen())
		require.True(w, m.incident(again.ID).IsOpen())
		issue, _ := w.Gitea.Issue(fleet, lost.Issue.Number)
		require.Equal(w, "closed", issue.State)
	})
}

// A copy of the state from before the project reported again learns of that from the bot's comment in the closed issue, and of a later
// silence from its issue: what is silent now keeps its issue, and what falls silent gets one.
func TestSilentOldStateEnded(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		restore := w.copyOfNow()
		time.Sleep(time.Hour)
		w.reports(i)
		before, closed := w.issue(), time.Now()
		time.Sleep(time.Hour)
		m := restore()
		rep, err := m.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.NoError(w, err)
		require.Equal(w, plan.EndSilent, kinds(rep.Actions)[0])
		rep = m.sweep()
		require.Empty(w, rep.SilentClosed, "the bot has closed it")
		ended := m.incident(i.ID)
		require.False(w, ended.IsOpen())
		require.True(w, ended.Settled)
		require.WithinDuration(w, closed, ended.Ended, time.Second)
		require.Equal(w, before, w.issue(), "nothing is said twice")
		require.Empty(w, m.sweep().Actions)
		m.falls()
		require.Len(w, w.issues(fleet), 2)
		require.Equal(w, "open", w.issues(fleet)[1].State)
	})
}

func TestSilentOldStateLaterSilence(t *testing.T) {
	for _, byHand := range []bool{false, true} {
		t.Run(fmt.Sprint("closed by hand: ", byHand), func(t *testing.T) {
			play(t, func(w *world) {
				w.operated("alex")
				i := w.falls()
				restore := w.copyOfNow()
				if byHand {
					w.Gitea.As("alex").Close(fleet, 1)
				}
				w.reports(i)
				time.Sleep(time.Hour)
				later := w.falls()
				before := w.issues(fleet)
				m := restore()
				m.sweepFor(5 * time.Minute)
				require.Equal(w, before, w.issues(fleet), "the issue of what is silent now stays open")
				require.False(w, m.incident(i.ID).IsOpen())
				require.True(w, m.incident(later.ID).IsOpen())
				m.reports(m.incident(later.ID))
				require.Equal(w, "closed", w.issues(fleet)[1].State)
			})
		})
	}
}

// Gitea does not answer who has closed the issue: nothing is concluded.
func TestSilentOldStateUnread(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		restore := w.copyOfNow()
		w.reports(i)
		later := w.falls()
		time.Sleep(time.Minute)
		m := restore()
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/issues/1/comments"), Do: giteatest.Status(502, "bad gateway")})
		rep, err := m.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "odilo#silent-1")
		require.Empty(w, rep.SilentClosed)
		require.Equal(w, "open", w.issues(fleet)[1].State)
		undo()
		m.sweep()
		require.False(w, m.incident(i.ID).IsOpen())
		require.True(w, m.incident(later.ID).IsOpen())
	})
}

// Whether the bot has closed an issue is asked once.
func TestRequestsOfSilentIssueClosedByHand(t *testing.T) {
	play(t, func(w *world) {
		i := w.falls()
		w.Gitea.As("alex").Close(fleet, 1)
		time.Sleep(time.Minute)
		require.Equal(w, []string{i.ID}, w.sweep().SilentClosed)
		w.Gitea.ResetRequests()
		require.Equal(w, []string{i.ID}, w.sweep().SilentClosed)
		require.Len(w, w.asked(), 1, "the list of open issues")
	})
}

// A planned stop is a command away.
func TestPauseInSilentIssue(t *testing.T) {
	play(t, func(w *world) {
		w.operated("alex")
		w.falls()
		w.says("alex", "/adf pause maintenance")
		w.sweep()
		require.True(w, w.paused(project))
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(w, w.paused(project))
		require.Equal(w, "open", w.issue().State, "a resume is no result")
		for _, c := range comments(w.issue()) {
			require.False(w, strings.Contains(c, "Incident"), c)
		}
	})
}

func TestMemorySilent(t *testing.T) {
	t.Parallel()
	m, ctx := escalate.NewMemory(), t.Context()
	i := incident.Incident{ID: pause.NewRandomID(), Kind: incident.Silent, Project: project, Opened: time.Now()}
	stored, opened, err := m.OpenSilent(ctx, i)
	require.NoError(t, err)
	require.True(t, opened)
	require.Equal(t, "odilo#silent-1", stored.Name())
	failure, err := m.Insert(ctx, incident.Incident{ID: pause.NewRandomID(), Project: project, Opened: time.Now()})
	require.NoError(t, err)
	require.Equal(t, "odilo#1", failure.Name())
	state, err := m.ProjectState(ctx, project)
	require.NoError(t, err)
	require.Equal(t, failure.ID, state.Pause().ID)
	require.Len(t, state.Silent, 1)
	for _, rebuilt := range []bool{false, true} {
		i.ID, i.Rebuilt = pause.NewRandomID(), rebuilt
		stored, opened, err := m.OpenSilent(ctx, i)
		require.NoError(t, err)
		require.Equal(t, rebuilt, opened)
		require.Equal(t, !rebuilt, stored.IsOpen())
	}
	_, ended, err := m.EndSilent(ctx, stored.ID, "it reported", time.Now())
	require.NoError(t, err)
	require.True(t, ended)
}
