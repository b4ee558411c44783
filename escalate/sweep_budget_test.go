package escalate_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// What follows from flag and state alone does not wait for Gitea.
func TestLocalStepsDoNotWaitForGitea(t *testing.T) {
	for name, fault := range map[string]giteatest.Fault{
		"lists hang":         {Match: giteatest.ListIssues(), Do: giteatest.Hang()},
		"everything hangs":   {Do: giteatest.Hang()},
		"comments are slow":  {Match: giteatest.PathHas("/issues/comments"), Do: giteatest.Latency(timeout - time.Second)},
		"an issue is slow":   {Match: giteatest.GetIssue(), Do: giteatest.Latency(timeout - time.Second)},
		"Gitea can't be had": {Do: giteatest.Reset()},
	} {
		t.Run(name, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.Gitea.Inject(fault)
				w.rm(project)
				w.touch("twins")
				done := make(chan escalate.Report)
				go func() {
					rep, _ := w.rec.Sweep(w.Context(), escalate.SweepOptions{})
					done <- rep
				}()
				synctest.Wait() // for Gitea
				require.False(t, w.incident(id).IsOpen())
				hold, err := w.store.Hold(w.Context(), "twins")
				require.NoError(t, err)
				require.NotNil(t, hold)
				rep := <-done
				kinds := map[plan.Kind]int{}
				for _, a := range rep.Actions {
					kinds[a.Kind]++
				}
				require.Equal(t, 1, kinds[plan.Resume], "reported once")
				require.Equal(t, 1, kinds[plan.RecordHold])
			})
		})
	}
}

// SweepLocal makes no request, and may run beside a sweep.
func TestSweepLocalBesideSweep(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.sweep()
		remove := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(timeout / 2)})
		done := make(chan error)
		go func() {
			_, err := w.rec.Sweep(w.Context(), escalate.SweepOptions{})
			done <- err
		}()
		synctest.Wait()
		w.rm(project)
		w.asked()
		rep, err := w.rec.SweepLocal(w.Context())
		require.NoError(t, err)
		require.Len(t, rep.Actions, 1)
		require.Equal(t, plan.Resume, rep.Actions[0].Kind)
		require.Empty(t, w.asked())
		require.False(t, w.incident(id).IsOpen())
		require.NoError(t, <-done)
		remove()
		w.sweepFor(time.Minute)
		require.Equal(t, "closed", w.issue().State)
	})
}

// A sweep leaves a slow Gitea in time; what it has left out comes sooner in the next ones.
func TestSweepBudget(t *testing.T) {
	play(t, func(w *world) {
		for n := range 320 { // each in a repository of its own: 8 lists at once
			w.Gitea.AddRepo("terraphim", fmt.Sprint("r", n))
		}
		target := w.rec.Options().Target
		w.rec.Options().Target = func(p string) escalate.Target {
			t := target(p)
			t.Repo.Name = p
			return t
		}
		w.rec.Options().Projects = nil
		for n := range 320 {
			w.rec.Options().Projects = append(w.rec.Options().Projects, fmt.Sprint("r", n))
		}
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(timeout - time.Second)})
		listed := map[string]bool{}
		for n := range 8 {
			began := time.Now()
			_, err := w.rec.Sweep(w.Context(), escalate.SweepOptions{})
			require.LessOrEqual(t, time.Since(began), 5*time.Minute+timeout)
			require.ErrorContains(t, err, "the sweep has left Gitea after 5m0s, because it is slow; the next one goes on")
			for _, r := range w.asked() {
				if r.Status == 200 {
					listed[r.Path] = true
				}
			}
			if n == 0 {
				require.Less(t, len(listed), 300)
			}
		}
		require.Greater(t, len(listed), 300, "not always the same")
	})
}

// A flag that cannot be written is one error, although it is tried before Gitea and after.
func TestErrorOfLocalStepOnce(t *testing.T) {
	play(t, func(w *world) {
		var rep escalate.Report
		var err error
		blocked(t, w, func() {
			_ = w.store.SetHold(w.Context(), incident.Hold{Project: project, Note: "n", Since: time.Now()})
			rep, err = w.rec.Sweep(w.Context(), escalate.SweepOptions{})
		})
		require.Error(t, err)
		seen := map[string]int{}
		for _, e := range rep.Errors {
			seen[e]++
			require.Equal(t, 1, seen[e], e)
		}
		var joined interface{ Unwrap() []error }
		require.True(t, errors.As(err, &joined))
	})
}
