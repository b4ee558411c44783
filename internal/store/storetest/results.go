package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/store"
)

// RunResults tests how results are counted.
func RunResults(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"the third failure trips once", testThirdFailure},
		{"a success resets", testSuccess},
		{"each project has its own count", testOwnCount},
		{"a threshold of zero means one", testZeroThreshold},
		{"any sequence counts as in the breaker", testSequences},
		{"other agents do not count", testOtherAgents},
		{"ignored results do not count", testIgnored},
		{"a known run gets its first answer", testKnownRun},
		{"and the reason why it did not count", testKnownReason},
		{"another outcome is a conflict", testConflict},
		{"a run id belongs to project and agent", testRunIDScope},
		{"generation", testGeneration},
		{"without a generation the start decides", testStart},
		{"resume threshold until a success", testResumeThreshold},
		{"resume threshold for a whole streak", testResumeThresholdTwo},
		{"only idle projects", testRecordIfIdle},
		{"concurrent failures trip once", testConcurrent},
		{"a class is kept", testClassKept},
		{"a class may trip at once", testClassTrips},
		{"a class may be ignored", testClassIgnores},
	})
}

func testThirdFailure(t *testing.T, s *state) {
	for n, trips := range []bool{false, false, true, false, false} {
		a := s.record(result(store.Failure))
		require.Equal(t, n+1, a.Failures)
		require.Equal(t, 3, a.Threshold)
		require.Equal(t, trips, a.Tripped, "failure %d", n+1)
		require.True(t, a.Counted)
	}
	require.Equal(t, breaker.State{Failures: 5, Tripped: true}, s.project("odilo").Breaker)
}

func testSuccess(t *testing.T, s *state) {
	s.record(result(store.Failure))
	s.record(result(store.Failure))
	require.Zero(t, s.record(result(store.Success)).Failures)
	s.record(result(store.Failure))
	require.False(t, s.record(result(store.Failure)).Tripped)
}

func testOwnCount(t *testing.T, s *state) {
	s.record(result(store.Failure))
	s.record(result(store.Failure))
	other := result(store.Failure)
	other.Project = "digital-twins"
	require.Equal(t, 1, s.record(other).Failures)
	require.True(t, s.record(result(store.Failure)).Tripped)
}

func testZeroThreshold(t *testing.T, s *state) {
	a := s.recordWith(result(store.Failure), store.Limits{})
	require.True(t, a.Tripped)
	require.Equal(t, 1, a.Threshold)
}

// The state is opened again in the middle: what a process has in memory must not matter.
func testSequences(t *testing.T, s *state) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		threshold := random.IntN(5)
		counter := breaker.New(threshold)
		open := map[string]bool{}
		for step := range 120 {
			if step == 60 {
				s.reopen()
			}
			r := result(store.Failure)
			r.Project = fmt.Sprint(seed, []string{"odilo", "digital-twins", "atlas"}[random.IntN(3)])
			if random.IntN(4) == 0 {
				r.Outcome = store.Success
			}
			a := s.recordWith(r, store.Limits{Threshold: threshold, Resume: threshold})
			trips := counter.Record(r.Project, r.Outcome == store.Success)
			require.Equal(t, trips && !open[r.Project], a.Tripped, "seed %d, step %d", seed, step)
			open[r.Project] = open[r.Project] || trips
			require.Equal(t, counter.Count(r.Project), a.Failures)
			require.Equal(t, breaker.State{Failures: a.Failures, Tripped: counter.Tripped(r.Project)}, s.project(r.Project).Breaker)
			require.Equal(t, counter.Threshold(), a.Threshold)
		}
	}
}

func testOtherAgents(t *testing.T, s *state) {
	s.record(result(store.Failure))
	s.record(result(store.Ignored))
	s.record(result(store.Ignored))
	for _, agent := range []string{"fleet-meta", "meta-coordinator", "developer", "project-metadata", "Project-Meta"} {
		for _, outcome := range []string{store.Ignored, store.Failure, store.Ignored, store.Success, store.Ignored} {
			r := result(outcome)
			r.Agent = agent
			a := s.record(r)
			require.False(t, a.Counted)
			require.Contains(t, a.Why, "project-meta")
		}
	}
	p := s.project("odilo")
	require.Equal(t, breaker.State{Failures: 1}, p.Breaker)
	require.Equal(t, 2, p.Ignored, "their ignored results are no streak, and their others end none")
	runs := s.runs("odilo")
	require.Len(t, runs, 28)
	require.Equal(t, "Project-Meta", runs[0].Agent)
	require.False(t, runs[0].Counted)

	r := result(store.Failure)
	r.Agent = "project-meta-odilo"
	require.Equal(t, 2, s.record(r).Failures)
}

func testIgnored(t *testing.T, s *state) {
	s.record(result(store.Failure))
	for n := range 4 {
		a := s.record(result(store.Ignored))
		require.False(t, a.Counted)
		require.Equal(t, 1, a.Failures)
		require.Equal(t, n+1, s.project("odilo").Ignored)
	}
	require.Equal(t, 2, s.record(result(store.Failure)).Failures)
	require.Zero(t, s.project("odilo").Ignored)
}

func testKnownRun(t *testing.T, s *state) {
	r := result(store.Failure)
	r.RunID = "run-1"
	first := s.record(r)
	require.False(t, first.Known)
	s.record(result(store.Failure))
	again := s.record(r)
	require.True(t, again.Known)
	again.Known = false
	require.Equal(t, first, again)
	require.Equal(t, 2, s.project("odilo").Breaker.Failures)

	third := result(store.Failure)
	third.RunID = "run-3"
	tripped := s.record(third)
	require.True(t, tripped.Tripped)
	require.True(t, s.resume("odilo", tripped.Incident, noon))
	again = s.record(third)
	require.True(t, again.Tripped, "the first answer stays, whatever has become of the incident")
	require.Equal(t, tripped.Incident, again.Incident)
	require.Nil(t, again.Opened)
	require.Len(t, s.runs("odilo"), 3)
}

func testKnownReason(t *testing.T, s *state) {
	s.resumed("odilo")
	old := int64(0)
	for _, c := range []struct {
		why string
		r   store.Result
	}{
		{"only project-meta agents count", store.Result{Agent: "developer", Outcome: store.Failure}},
		{"the result is ignored", store.Result{Agent: "project-meta", Outcome: store.Ignored}},
		{"the run began before the last resume of the project was noticed", store.Result{Agent: "project-meta", Outcome: store.Failure, Generation: &old}},
		{"the run began before the last resume of the project was noticed", store.Result{Agent: "project-meta", Outcome: store.Success, Started: noon.Add(-time.Minute)}},
	} {
		c.r.Project, c.r.RunID = "odilo", c.r.Agent+c.r.Outcome
		first := s.record(c.r)
		require.Equal(t, c.why, first.Why)
		again := s.record(c.r)
		again.Known = false
		require.Equal(t, first, again)
	}
}

func testConflict(t *testing.T, s *state) {
	r := result(store.Failure)
	r.RunID = "run-1"
	s.record(r)
	r.Outcome = store.Success
	_, err := s.Record(t.Context(), r, limits)
	require.ErrorIs(t, err, store.ErrConflict)
	require.ErrorContains(t, err, `run "run-1" of project-meta in odilo is recorded as failure`)
	require.Equal(t, 1, s.project("odilo").Breaker.Failures)
}

func testRunIDScope(t *testing.T, s *state) {
	r := result(store.Failure)
	r.RunID = "run-1"
	s.record(r)
	r.Agent = "project-meta-b"
	require.False(t, s.record(r).Known)
	r.Project = "atlas"
	require.False(t, s.record(r).Known)
	require.Equal(t, 2, s.project("odilo").Breaker.Failures)
}

func testGeneration(t *testing.T, s *state) {
	old := s.project("odilo").Generation
	s.resumed("odilo")
	current := s.project("odilo").Generation
	require.Equal(t, old+1, current)
	for _, outcome := range []string{store.Failure, store.Success} {
		r := result(outcome)
		r.Generation = &old
		a := s.record(r)
		require.False(t, a.Counted)
		require.Contains(t, a.Why, "before the last resume of the project was noticed")
	}
	require.Zero(t, s.project("odilo").Breaker.Failures)
	require.True(t, s.project("odilo").HalfOpen, "a success from before the resume proves nothing")
	r := result(store.Failure)
	r.Generation = &current
	require.True(t, s.record(r).Counted)
}

func testStart(t *testing.T, s *state) {
	s.resumed("odilo")
	for started, counts := range map[time.Time]bool{
		noon.Add(-time.Hour):        false,
		noon:                        false,
		noon.Add(time.Millisecond):  true,
		noon.Add(10 * time.Second):  true,
		{}:                          true, // unknown
		noon.Add(-time.Millisecond): false,
	} {
		r := result(store.Failure)
		r.Started = started
		require.Equal(t, counts, s.record(r).Counted, "%s", started)
	}
}

func testResumeThreshold(t *testing.T, s *state) {
	rec := func(outcome string) store.Answer {
		return s.recordWith(result(outcome), store.Limits{Threshold: 3, Resume: 1})
	}
	i := s.trip("odilo")
	for range 2 {
		require.True(t, s.resume("odilo", i.ID, noon))
		a := rec(store.Failure)
		require.True(t, a.Tripped)
		require.Equal(t, 1, a.Threshold)
		i = s.incident(a.Incident)
		require.Equal(t, 1, i.Threshold)
	}
	require.True(t, s.resume("odilo", i.ID, noon))
	require.Equal(t, 1, rec(store.Ignored).Threshold, "an ignored result is no success")
	rec(store.Success)
	require.False(t, s.project("odilo").HalfOpen)
	a := rec(store.Failure)
	require.False(t, a.Tripped)
	require.Equal(t, 3, a.Threshold)
}

func testResumeThresholdTwo(t *testing.T, s *state) {
	s.resumed("odilo")
	for n, trips := range []bool{false, true} {
		a := s.recordWith(result(store.Failure), store.Limits{Threshold: 5, Resume: 2})
		require.Equal(t, 2, a.Threshold, "failure %d", n+1)
		require.Equal(t, trips, a.Tripped, "failure %d", n+1)
	}
}

func testRecordIfIdle(t *testing.T, s *state) {
	idle := func() bool {
		before := s.project("odilo")
		a, idle, err := s.RecordIfIdle(t.Context(), result(store.Failure), limits)
		require.NoError(t, err)
		if !idle {
			require.Equal(t, before, s.project("odilo"))
			require.Zero(t, a)
		}
		return idle
	}
	require.True(t, idle())
	require.True(t, idle())
	require.Equal(t, 2, s.project("odilo").Breaker.Failures)
	require.True(t, idle(), "the trip itself")
	require.False(t, idle(), "an open incident")
	unsettled := must(s.Unsettled(t.Context(), "odilo"))(t)
	require.True(t, s.resume("odilo", unsettled[0].ID, noon))
	require.True(t, idle(), "what is left to do in its issue pauses nobody")
	hold(t, s, "odilo")
	require.False(t, idle(), "a hold")
	require.Len(t, s.runs("odilo"), 4)
}

func testConcurrent(t *testing.T, s *state) {
	other := opened(t, s.open, s.dir, s.now)
	answers, errs := make(chan store.Answer, 20), make(chan error, 20)
	for n := range 20 {
		recorder := []store.Recorder{s, other}[n%2]
		go func() {
			a, err := recorder.Record(t.Context(), result(store.Failure), limits)
			answers <- a
			errs <- err
		}()
	}
	trips := 0
	counts := map[int]bool{}
	for range 20 {
		a := <-answers
		require.NoError(t, <-errs)
		counts[a.Failures] = true
		if a.Tripped {
			trips++
		}
	}
	require.Equal(t, 1, trips)
	require.Len(t, counts, 20, "each counts once")
	require.Len(t, s.incidentsOf("odilo", 9), 1)
}
