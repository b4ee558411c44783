package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestTheThirdFailureTripsOnceAndLaterOnesGoOnCounting(t *testing.T) {
	s, _ := newStore(t)
	for n, trips := range []bool{false, false, true, false, false} {
		a := record(t, s, result(store.Failure))
		require.Equal(t, n+1, a.Failures)
		require.Equal(t, 3, a.Threshold)
		require.Equal(t, trips, a.Tripped, "failure %d", n+1)
		require.True(t, a.Counted)
	}
	require.Equal(t, breaker.State{Failures: 5, Tripped: true}, project(t, s, "odilo").Breaker)
}

func TestASuccessResetsTheCount(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	require.Zero(t, record(t, s, result(store.Success)).Failures)
	record(t, s, result(store.Failure))
	require.False(t, record(t, s, result(store.Failure)).Tripped)
}

func TestEachProjectHasItsOwnCount(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	other := result(store.Failure)
	other.Project = "digital-twins"
	require.Equal(t, 1, record(t, s, other).Failures)
	require.True(t, record(t, s, result(store.Failure)).Tripped)
}

func TestAThresholdOfZeroMeansOne(t *testing.T) {
	s, _ := newStore(t)
	a, err := s.Record(context.Background(), result(store.Failure), store.Limits{})
	require.NoError(t, err)
	require.True(t, a.Tripped)
	require.Equal(t, 1, a.Threshold)
}

// The state is opened anew in the middle: what is in memory must not matter.
func TestTheStoredBreakerIsTheCounterForEverySequence(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			threshold := random.IntN(5)
			s, c := newStore(t)
			counter := breaker.New(threshold)
			open := map[string]bool{}
			for step := range 120 {
				if step == 60 {
					require.NoError(t, s.Close())
					s = openAgain(t, s, c)
				}
				r := result(store.Failure)
				r.Project = []string{"odilo", "digital-twins", "atlas"}[random.IntN(3)]
				if random.IntN(4) == 0 {
					r.Outcome = store.Success
				}
				a, err := s.Record(context.Background(), r, store.Limits{Threshold: threshold, Resume: threshold})
				require.NoError(t, err)
				trips := counter.Record(r.Project, r.Outcome == store.Success)
				require.Equal(t, trips && !open[r.Project], a.Tripped, "step %d", step)
				open[r.Project] = open[r.Project] || trips
				require.Equal(t, counter.Count(r.Project), a.Failures)
				p := project(t, s, r.Project)
				require.Equal(t, breaker.State{Failures: counter.Count(r.Project), Tripped: counter.Tripped(r.Project)}, p.Breaker)
				require.Equal(t, counter.Threshold(), a.Threshold)
			}
		})
	}
}

func openAgain(t testing.TB, s *sqlite.Store, c *clock) *sqlite.Store {
	t.Helper()
	return open(t, s.Path(), sqlite.Options{Now: c.now})
}

func TestResultsOfOtherAgentsAreHistoryAndMoveNothing(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Ignored))
	record(t, s, result(store.Ignored))
	for _, agent := range []string{"fleet-meta", "meta-coordinator", "developer", "project-metadata", "Project-Meta"} {
		for _, outcome := range []string{store.Ignored, store.Failure, store.Ignored, store.Success, store.Ignored} {
			r := result(outcome)
			r.Agent = agent
			a := record(t, s, r)
			require.False(t, a.Counted)
			require.Contains(t, a.Why, "project-meta")
		}
	}
	p := project(t, s, "odilo")
	require.Equal(t, breaker.State{Failures: 1}, p.Breaker)
	require.Equal(t, 2, p.Ignored, "their ignored results are no streak, and their others end none")
	runs, err := s.Runs(context.Background(), "odilo", 100)
	require.NoError(t, err)
	require.Len(t, runs, 28)
	require.Equal(t, "Project-Meta", runs[0].Agent)
	require.False(t, runs[0].Counted)

	r := result(store.Failure)
	r.Agent = "project-meta-odilo"
	require.Equal(t, 2, record(t, s, r).Failures)
}

func TestAnIgnoredResultMovesNothingAndItsStreakIsKept(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	for n := range 4 {
		a := record(t, s, result(store.Ignored))
		require.False(t, a.Counted)
		require.Equal(t, 1, a.Failures)
		require.Equal(t, n+1, project(t, s, "odilo").Ignored)
	}
	require.Equal(t, 2, record(t, s, result(store.Failure)).Failures)
	require.Zero(t, project(t, s, "odilo").Ignored)
}

func TestTheSameOutcomeUnderAKnownRunIDGetsTheFirstAnswerAndChangesNothing(t *testing.T) {
	s, _ := newStore(t)
	r := result(store.Failure)
	r.RunID = "run-1"
	first := record(t, s, r)
	require.False(t, first.Known)
	record(t, s, result(store.Failure))

	again := record(t, s, r)
	require.True(t, again.Known)
	again.Known = false
	require.Equal(t, first, again)
	require.Equal(t, 2, project(t, s, "odilo").Breaker.Failures)

	third := result(store.Failure)
	third.RunID = "run-3"
	tripped := record(t, s, third)
	require.True(t, tripped.Tripped)
	require.True(t, resume(t, s, "odilo", tripped.Incident, noon))
	again = record(t, s, third)
	require.True(t, again.Tripped, "the first answer stays, whatever has become of the incident")
	require.Equal(t, tripped.Incident, again.Incident)
	runs, err := s.Runs(context.Background(), "odilo", 100)
	require.NoError(t, err)
	require.Len(t, runs, 3)
}

func TestAResultThatDidNotCountSaysWhyAgainWhenItIsGivenAgain(t *testing.T) {
	s, _ := newStore(t)
	require.True(t, resume(t, s, "odilo", trip(t, s, "odilo").ID, noon))
	stale := int64(0)
	for _, c := range []struct {
		why string
		r   store.Result
	}{
		{"only project-meta agents count", store.Result{Agent: "developer", Outcome: store.Failure}},
		{"the result is ignored", store.Result{Agent: "project-meta", Outcome: store.Ignored}},
		{"the run began before the last resume of the project was noticed", store.Result{Agent: "project-meta", Outcome: store.Failure, Generation: &stale}},
		{"the run began before the last resume of the project was noticed", store.Result{Agent: "project-meta", Outcome: store.Success, Started: noon.Add(-time.Minute)}},
	} {
		r := c.r
		r.Project, r.RunID = "odilo", r.Agent+r.Outcome
		first := record(t, s, r)
		require.Equal(t, c.why, first.Why)
		again := record(t, s, r)
		again.Known = false
		require.Equal(t, first, again)
	}
}

func TestAnotherOutcomeUnderAKnownRunIDIsAConflict(t *testing.T) {
	s, _ := newStore(t)
	r := result(store.Failure)
	r.RunID = "run-1"
	record(t, s, r)
	r.Outcome = store.Success
	_, err := s.Record(context.Background(), r, three)
	require.ErrorIs(t, err, store.ErrConflict)
	require.ErrorContains(t, err, `run "run-1" of project-meta in odilo is recorded as failure`)
	require.Equal(t, 1, project(t, s, "odilo").Breaker.Failures)
}

func TestARunIDIsUniqueForProjectAndAgentOnly(t *testing.T) {
	s, _ := newStore(t)
	r := result(store.Failure)
	r.RunID = "run-1"
	record(t, s, r)
	r.Agent = "project-meta-b"
	require.False(t, record(t, s, r).Known)
	r.Project = "atlas"
	require.False(t, record(t, s, r).Known)
	require.Equal(t, 2, project(t, s, "odilo").Breaker.Failures)
}

func TestAResultCountsOnlyInItsOwnGeneration(t *testing.T) {
	s, _ := newStore(t)
	old := project(t, s, "odilo").Generation
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	current := project(t, s, "odilo").Generation
	require.Equal(t, old+1, current)

	for _, outcome := range []string{store.Failure, store.Success} {
		r := result(outcome)
		r.Generation = &old
		a := record(t, s, r)
		require.False(t, a.Counted)
		require.Contains(t, a.Why, "before the last resume of the project was noticed")
	}
	require.Zero(t, project(t, s, "odilo").Breaker.Failures)
	require.True(t, project(t, s, "odilo").HalfOpen, "a success from before the resume proves nothing")

	r := result(store.Failure)
	r.Generation = &current
	require.True(t, record(t, s, r).Counted)
}

func TestWithoutAGenerationTheStartDecides(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	for started, counts := range map[time.Time]bool{
		noon.Add(-time.Hour):        false,
		noon:                        false,
		noon.Add(time.Millisecond):  true,
		noon.Add(10 * time.Second):  true,
		{}:                          true, // not known
		noon.Add(-time.Millisecond): false,
	} {
		r := result(store.Failure)
		r.Started = started
		require.Equal(t, counts, record(t, s, r).Counted, "%s", started)
	}
}

func TestAfterAResumeTheResumeThresholdAppliesUntilASuccess(t *testing.T) {
	s, _ := newStore(t)
	limits := store.Limits{Threshold: 3, Resume: 1}
	rec := func(outcome string) store.Answer {
		a, err := s.Record(context.Background(), result(outcome), limits)
		require.NoError(t, err)
		return a
	}
	i := trip(t, s, "odilo")
	for range 2 {
		require.True(t, resume(t, s, "odilo", i.ID, noon))
		a := rec(store.Failure)
		require.True(t, a.Tripped)
		require.Equal(t, 1, a.Threshold)
		i = theIncident(t, s, a.Incident)
		require.Equal(t, 1, i.Threshold)
	}
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	require.Equal(t, 1, rec(store.Ignored).Threshold, "an ignored result is no success")
	rec(store.Success)
	require.False(t, project(t, s, "odilo").HalfOpen)
	a := rec(store.Failure)
	require.False(t, a.Tripped)
	require.Equal(t, 3, a.Threshold)
}

func TestAResumeThresholdHigherThanOneHoldsForTheWholeStreak(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	for n, trips := range []bool{false, true} {
		a, err := s.Record(context.Background(), result(store.Failure), store.Limits{Threshold: 5, Resume: 2})
		require.NoError(t, err)
		require.Equal(t, 2, a.Threshold, "failure %d", n+1)
		require.Equal(t, trips, a.Tripped, "failure %d", n+1)
	}
}

func TestWhileAnIncidentIsOpenASecondTripOpensNone(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	record(t, s, result(store.Success)) // the breaker closes, the incident goes on
	for range 4 {
		a := record(t, s, result(store.Failure))
		require.False(t, a.Tripped)
		require.Equal(t, i.ID, a.Incident)
	}
	list, err := s.IncidentsOf(context.Background(), "odilo", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// errDisk stands for whatever makes the last step of a transaction fail.
var errDisk = errors.New("disk")

func TestATripIsInTheSameTransactionAsItsResult(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	restore := sqlite.SetBeforeCommit(func() error { return errDisk })
	_, err := s.Record(context.Background(), result(store.Failure), three)
	restore()
	require.ErrorIs(t, err, errDisk)
	require.Equal(t, breaker.State{Failures: 2}, project(t, s, "odilo").Breaker, "not one without the other")
	list, err := s.IncidentsOf(context.Background(), "", 10)
	require.NoError(t, err)
	require.Empty(t, list)

	a := record(t, s, result(store.Failure))
	require.True(t, a.Tripped)
	require.Equal(t, a.Incident, theIncident(t, s, a.Incident).ID)
}

func TestTheHistoryKeepsEverythingOfARun(t *testing.T) {
	s, c := newStore(t)
	r := store.Result{Project: "odilo", Agent: "project-meta-a", RunID: "r", Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL",
		Detail: "killed", Host: "host-b", Started: noon.Add(-time.Hour).Add(123 * time.Millisecond), Finished: noon.Add(-time.Minute)}
	record(t, s, r)
	record(t, s, result(store.Success))
	runs, err := s.Runs(context.Background(), "odilo", 10)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.True(t, runs[0].Started.IsZero(), "a time that is not known stays unknown")
	require.True(t, runs[0].Finished.IsZero())
	got := runs[1]
	require.Equal(t, "project-meta-a", got.Agent)
	require.Equal(t, c.at, got.Recorded)
	require.Equal(t, r.Started, got.Started)
	require.Equal(t, r.Finished, got.Finished)
	require.Equal(t, 137, got.ExitCode)
	require.Equal(t, "SIGKILL", got.Signal)
	require.Equal(t, "killed", got.Detail)
	require.Equal(t, "host-b", got.Host)
	require.Equal(t, "r", got.RunID)
}

func TestRecordIfIdle(t *testing.T) {
	s, _ := newStore(t)
	idle := func() bool {
		before := project(t, s, "odilo")
		a, idle, err := s.RecordIfIdle(ctx, result(store.Failure), three)
		require.NoError(t, err)
		if !idle {
			require.Equal(t, before, project(t, s, "odilo"))
			require.Zero(t, a)
		}
		return idle
	}
	require.True(t, idle())
	require.True(t, idle())
	require.Equal(t, 2, project(t, s, "odilo").Breaker.Failures)
	require.True(t, idle(), "the trip itself")
	require.False(t, idle(), "an open incident")
	i, err := s.IncidentsOf(ctx, "odilo", 1)
	require.NoError(t, err)
	require.True(t, resume(t, s, "odilo", i[0].ID, noon))
	require.True(t, idle(), "what is left to do in its issue pauses nobody")
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon}))
	require.False(t, idle(), "a hold")
	runs, err := s.Runs(ctx, "odilo", 99)
	require.NoError(t, err)
	require.Len(t, runs, 4)
}
