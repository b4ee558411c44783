package escalate_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
)

// No issue stays open.
// A person resumes the project while another process is about to open its issue.
func TestResumedDuringCreation(t *testing.T) {
	for _, c := range []struct {
		name string
		when giteatest.Fault
		made int
	}{
		{"before the creation was begun", giteatest.Fault{Match: giteatest.CreateLabel(), Times: 1}, 0},
		{"when the creation is on its way", giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			playNew(t, func(w *world) {
				person := w.another()
				c.when.Do = giteatest.Meanwhile(func() {
					person.rm(project)
					_, _, err := person.rec.Local(w.Context(), project)
					require.NoError(w, err)
				})
				w.Gitea.Inject(c.when)
				id := w.trip(project)
				require.False(w, w.incident(id).IsOpen())
				w.sweep()
				require.True(w, w.incident(id).Settled)
				all := w.issues(fleet)
				require.Len(w, all, c.made)
				for _, i := range all {
					require.Equal(w, "closed", i.State, "nobody reopened it")
				}
			})
		})
	}
}

// between is a state in whose changes another process has its turn.
type between struct {
	incident.State
	before, after func()
}

func (s between) Change(ctx context.Context, id string, f func(*incident.Incident)) (incident.Incident, error) {
	s.before()
	i, err := s.State.Change(ctx, id, f)
	s.after()
	return i, err
}

// The state was lost. One process has found the incident's issue in Gitea and is about to note it, when another resumes the
// project: that one has seen an incident without an issue, and settles it when the issue is noted already.
func TestNotSettledWhenJustFound(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		finds := w.withoutState()
		resumes := finds.another()
		seen, found, resumed := make(chan struct{}), make(chan struct{}), make(chan struct{})
		nothing := func() {}
		resumes.rec.Options().State = between{State: resumes.rec.Options().State, before: sync.OnceFunc(func() { close(seen); <-found }), after: nothing}
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Times: 1, Do: giteatest.Afterwards(func() {
			go func() {
				defer close(resumed)
				resumes.rm(project)
				_, _, err := resumes.rec.Local(w.Context(), project)
				require.NoError(w, err)
			}()
			<-seen
			finds.rec.Options().State = between{State: finds.rec.Options().State, before: nothing, after: sync.OnceFunc(func() { close(found); <-resumed })}
		})})
		_, err := finds.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		finds.sweep()
		require.False(w, finds.incident(id).IsOpen())
		require.True(w, finds.incident(id).Settled)
		require.Equal(w, "closed", w.issue().State)
		require.Contains(w, comments(w.issue())[0], "was resumed")
	})
}

// The issue is replaced once.
// Two processes see that an issue was deleted, and one of them has opened another when the second comes to it.
func TestDeletedIssueSeenTwice(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("alex").Delete(fleet, 1)
		second := w.another()
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Afterwards(func() { second.sweep() })})
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		require.Len(w, w.incident(id).Lost, 1)
	})
}

// The issue is not taken for deleted.
// While issues are switched off in a repository, Gitea answers 404 for each of them, also to a sweep that could list them a
// moment before.
func TestIssuesDisabledDuringSweep(t *testing.T) {
	off := func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Meanwhile(func() { w.Gitea.DisableIssues(fleet) })})
	}
	t.Run("before its incident's end is told", func(t *testing.T) {
		play(t, func(w *world) {
			id := w.trip(project)
			w.rm(project)
			off(w)
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.Error(w, err)
			require.False(w, w.incident(id).Settled)
			w.Gitea.EnableIssues(fleet)
			time.Sleep(time.Hour)
			w.sweep()
			require.Equal(w, "closed", w.issue().State)
		})
	})
	t.Run("of a project that is paused", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.Gitea.As("alex").Close(fleet, 1)
			off(w)
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.Error(w, err)
			w.Gitea.EnableIssues(fleet)
			time.Sleep(time.Hour)
			w.sweep()
			require.Equal(w, "open", w.issue().State)
			require.Len(w, w.Gitea.Issues(fleet), 1)
		})
	})
}
