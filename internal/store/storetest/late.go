package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/store"
)

// RunLate tests how results count that come late, because their host was cut off from the state. newFleet returns a new state with a clock.
func RunLate(t *testing.T, newFleet func(t testing.TB, now func() time.Time) Fleet) {
	runTests(t, func(t testing.TB) *lateState {
		s := &lateState{at: noon}
		fleet := newFleet(t, func() time.Time { return s.at })
		s.hosts = []FleetState{fleet(hostA), fleet(hostB), fleet(hostC)}
		return s
	}, []test[*lateState]{
		{"in any order", testLateOrders},
		{"times", testLateTimes},
		{"a success within a streak", testLateSuccess},
		{"a failure trips", testLateFailure},
		{"a trip stays", testLateTripStays},
		{"of an earlier generation", testLateGeneration},
		{"a little late", testLittleLate},
		{"not counted", testLateNotCounted},
		{"a long streak", testLateLongStreak},
		{"after pruning", testLateAfterPruning},
		{"a class that trips", testLateClassTrips},
		{"a pause before a success", testLatePauseBeforeASuccess},
		{"a success of a run that was counted as failed", testLateSuccessOfAFailedRun},
	})
}

// lateState is a state with a clock.
type lateState struct {
	hosts []FleetState
	at    time.Time
}

// record records a result of odilo now, of a run that finished a while ago.
func (s *lateState) record(t *testing.T, outcome string, age time.Duration) store.Answer {
	t.Helper()
	r := result(outcome)
	r.Age = age
	return must(s.hosts[0].Record(t.Context(), r, limits))(t)
}

// lateRun is how a run ended.
type lateRun struct {
	store.Result
	host            FleetState
	finished, comes time.Time
}

// drawLate returns runs of several hosts in the order in which their results come. Half of them come at once.
func (s *lateState) drawLate(random *rand.Rand, project string, generation int64) (runs []lateRun) {
	at := s.at
	for n := range 5 + random.IntN(20) {
		at = at.Add(time.Duration(1+random.IntN(10)) * time.Second)
		r := lateRun{Result: result(store.Failure), host: s.hosts[random.IntN(len(s.hosts))], finished: at, comes: at}
		r.Project, r.RunID, r.Generation = project, fmt.Sprint(generation, "-", n), &generation
		r.Finished = at.Add(time.Hour) // its host's clock is wrong
		if random.IntN(4) == 0 {
			r.Outcome = store.Success
		}
		if random.IntN(2) == 0 {
			r.Age = store.LateAge + time.Duration(random.IntN(100))*time.Second
			r.comes = at.Add(r.Age)
		}
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b lateRun) int { return a.comes.Compare(b.comes) })
	return runs
}

// inOrder returns the count of runs in the order in which they finished.
func inOrder(runs []lateRun) (count int) {
	runs = slices.SortedStableFunc(slices.Values(runs), func(a, b lateRun) int { return a.finished.Compare(b.finished) })
	for _, r := range runs {
		if count++; r.Outcome == store.Success {
			count = 0
		}
	}
	return count
}

// Whatever has come until now counts in the order in which the runs finished. Results of the generation before count no more.
func testLateOrders(t *testing.T, s *lateState) {
	never := store.Limits{Threshold: 1000, Resume: 1000}
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		project := fmt.Sprint("p", seed)
		var overdue []lateRun
		for generation := range int64(2) {
			var known []lateRun
			drawn := s.drawLate(random, project, generation)
			for n, r := range append(slices.Clone(overdue), drawn...) {
				if n >= len(overdue) {
					s.at = r.comes
				}
				a := must(r.host.Record(t.Context(), r.Result, never))(t)
				if *r.Generation == generation {
					known = append(known, r)
				}
				require.Equal(t, *r.Generation == generation, a.Counted)
				require.Equal(t, inOrder(known), a.Failures, "seed %d, generation %d, result %d", seed, generation, n)
				require.Equal(t, breaker.State{Failures: a.Failures}, must(s.hosts[0].Project(t.Context(), project))(t).Breaker)
				if generation == 0 && n > 3 && random.IntN(8) == 0 { // resumed before all have come
					overdue = drawn[n+1:]
					break
				}
			}
			h := newHold(project)
			require.NoError(t, s.hosts[1].SetHold(t.Context(), h))
			require.True(t, must(s.hosts[1].Resume(t.Context(), resumption(project, h.ID, s.at)))(t))
			s.at = s.at.Add(time.Hour)
			for n := range overdue { // they come later still
				overdue[n].Age = s.at.Sub(overdue[n].finished)
			}
		}
	}
}

// What failed so long ago that it is not kept any more counts, unless a success has come, late or not.
func testLateAfterPruning(t *testing.T, s *lateState) {
	never := store.Limits{Threshold: 1000, Resume: 1000}
	record := func(outcome string, age time.Duration) int {
		r := result(outcome)
		r.Age = age
		return must(s.hosts[0].Record(t.Context(), r, never))(t).Failures
	}
	prune := func() {
		s.at = s.at.Add(24 * time.Hour)
		must(s.hosts[0].Prune(t.Context(), s.at.Add(-time.Hour), 100))(t)
	}
	record(store.Failure, 0)
	record(store.Failure, 0)
	prune()
	require.Equal(t, 3, record(store.Failure, time.Minute))
	s.at = s.at.Add(time.Minute)
	require.Equal(t, 4, record(store.Failure, 0))
	require.Equal(t, 1, record(store.Success, 30*time.Second), "whatever it precedes")
	prune()
	require.Equal(t, 2, record(store.Failure, time.Minute))
	prune()
	require.Zero(t, record(store.Success, time.Minute))
	require.Equal(t, 1, record(store.Failure, 0))
	prune()
	h := newHold("odilo")
	require.NoError(t, s.hosts[0].SetHold(t.Context(), h))
	require.True(t, must(s.hosts[0].Resume(t.Context(), resumption("odilo", h.ID, s.at)))(t))
	require.Equal(t, 1, record(store.Failure, 0))
	prune()
	require.Equal(t, 2, record(store.Failure, time.Minute))
}

// The state's clock says when a late run finished, and not its host's.
func testLateTimes(t *testing.T, s *lateState) {
	r := result(store.Failure)
	r.Started, r.Finished, r.Age = noon.Add(23*time.Hour), noon.Add(24*time.Hour), time.Minute
	must(s.hosts[0].Record(t.Context(), r, limits))(t)
	r.Age = 0
	must(s.hosts[0].Record(t.Context(), r, limits))(t)
	runs := must(s.hosts[0].Runs(t.Context(), "odilo", 9))(t)
	require.Equal(t, r.Finished, runs[0].Finished)
	require.WithinDuration(t, noon.Add(-time.Minute), runs[1].Finished, 5*time.Second)
	require.Equal(t, time.Hour, runs[1].Finished.Sub(runs[1].Started))
}

func testLateSuccess(t *testing.T, s *lateState) {
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(time.Minute)
	require.Equal(t, 1, s.record(t, store.Success, 90*time.Second).Failures)
	require.Equal(t, 2, s.record(t, store.Failure, 0).Failures)
	require.Zero(t, s.record(t, store.Success, 0).Failures)
	require.Zero(t, s.record(t, store.Failure, time.Hour).Failures, "it finished before the success")
}

func testLateFailure(t *testing.T, s *lateState) {
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Failure, 0)
	a := s.record(t, store.Failure, 30*time.Second)
	require.True(t, a.Tripped)
	require.Equal(t, 3, a.Failures)
	require.Equal(t, a.Incident, oneIncident(t, s.hosts[1], a.Incident).ID)
}

func testLateTripStays(t *testing.T, s *lateState) {
	for range 3 {
		s.record(t, store.Failure, 0)
		s.at = s.at.Add(time.Minute)
	}
	a := s.record(t, store.Success, 90*time.Second)
	require.Equal(t, 1, a.Failures)
	require.NotEmpty(t, a.Incident)
	require.True(t, oneIncident(t, s.hosts[0], a.Incident).IsOpen())
	for range 4 {
		require.False(t, s.record(t, store.Failure, 0).Tripped)
	}
}

func testLateGeneration(t *testing.T, s *lateState) {
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Failure, 0)
	h := newHold("odilo")
	require.NoError(t, s.hosts[0].SetHold(t.Context(), h))
	require.True(t, must(s.hosts[0].Resume(t.Context(), resumption("odilo", h.ID, s.at)))(t))
	s.at = s.at.Add(time.Minute)
	old := s.record(t, store.Failure, 2*time.Minute)
	require.False(t, old.Counted, "it finished before the resume")
	require.Zero(t, old.Failures)
	a := s.record(t, store.Failure, 30*time.Second)
	require.True(t, a.Counted)
	require.Equal(t, 1, a.Failures, "results from before the resume count no more")
}

func testLittleLate(t *testing.T, s *lateState) {
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(2 * time.Second)
	s.record(t, store.Failure, 0)
	require.Zero(t, s.record(t, store.Success, time.Second).Failures, "that is the time that a result may take")
}

// Nobody knew that the run had succeeded when it was counted as failed. That failure finished after the success, and counts no more.
func testLateSuccessOfAFailedRun(t *testing.T, s *lateState) {
	for run, failed := range map[string]store.Result{
		"hung":   {Run: store.ReportedRunID("odilo", "project-meta", "hung"), Detail: "no result was reported within hung_after: 1h"},
		"killed": {Detail: store.DetailKilled},
	} {
		s.record(t, store.Success, 0)
		s.at = s.at.Add(time.Minute)
		s.record(t, store.Failure, 0) // before the run succeeds,
		s.at = s.at.Add(2 * time.Minute)
		failed.Project, failed.Agent, failed.RunID, failed.Outcome = "odilo", "project-meta", run, store.Failure
		require.Equal(t, 2, must(s.hosts[1].Record(t.Context(), failed, limits))(t).Failures)
		s.at = s.at.Add(time.Minute)
		s.record(t, store.Failure, 90*time.Second) // and after that
		s.at = s.at.Add(time.Minute)
		success := failed
		success.Outcome, success.Detail, success.Age = store.Success, "", 3*time.Minute
		a := must(s.hosts[0].Record(t.Context(), success, limits))(t)
		require.True(t, a.Counted)
		require.Equal(t, 1, a.Failures, run)
		require.True(t, must(s.hosts[0].Record(t.Context(), success, limits))(t).Known)
		require.Equal(t, 2, s.record(t, store.Failure, 150*time.Second).Failures, "it is not counted anew either")
		s.at = s.at.Add(time.Hour)
	}
}

func testLateNotCounted(t *testing.T, s *lateState) {
	s.record(t, store.Failure, 0)
	require.Equal(t, 1, s.record(t, store.Ignored, time.Hour).Failures)
	r := result(store.Success)
	r.Agent, r.Age = "developer", time.Hour
	require.Equal(t, 1, must(s.hosts[0].Record(t.Context(), r, limits))(t).Failures)
	r = result(store.Failure)
	r.RunID, r.Age = "run-1", time.Hour
	require.Equal(t, 2, must(s.hosts[0].Record(t.Context(), r, limits))(t).Failures)
	again := must(s.hosts[1].Record(t.Context(), r, limits))(t)
	require.True(t, again.Known)
	require.Equal(t, 2, again.Failures)
}

func testLateLongStreak(t *testing.T, s *lateState) {
	for range 230 {
		s.record(t, store.Failure, 0)
	}
	require.Equal(t, 231, s.record(t, store.Failure, time.Minute).Failures)
}

// A host that was cut off has paused the project because of what had failed there. Another one has succeeded since, and failed again.
func testLatePauseBeforeASuccess(t *testing.T, s *lateState) {
	s.record(t, store.Success, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Failure, 0)
	r, paused := result(store.Failure), limits
	r.Age, paused.Paused = time.Hour, true
	a := must(s.hosts[1].Record(t.Context(), r, paused))(t)
	require.False(t, a.Tripped)
	require.Equal(t, 1, a.Failures)
	r.Age = 30 * time.Second
	require.True(t, must(s.hosts[1].Record(t.Context(), r, paused))(t).Tripped, "it failed after the success")
}
