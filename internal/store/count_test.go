package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/store"
)

// run is how a run of one project ended.
type run struct {
	success         bool
	finished, comes time.Time // to the state
}

// inOrder returns the count of runs in the order in which they finished.
func inOrder(runs []run) (count int) {
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b run) int { return a.finished.Compare(b.finished) })
	for _, r := range runs {
		if count++; r.success {
			count = 0
		}
	}
	return count
}

// drawRuns returns runs in the order in which their results come: most at once, some late.
func drawRuns(random *rand.Rand, at time.Time, n int) (runs []run) {
	for range n {
		at = at.Add(time.Duration(1+random.IntN(10)) * time.Second)
		r := run{success: random.IntN(4) == 0, finished: at, comes: at}
		if random.IntN(2) == 0 {
			r.comes = at.Add(store.LateAge + time.Duration(random.IntN(100_000))*time.Millisecond)
		}
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b run) int { return a.comes.Compare(b.comes) })
	return runs
}

// Whenever some results have come late, the count is that of the order in which the runs finished.
func TestLateResultsCountInOrder(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var p store.Project
		var known []run
		for _, r := range drawRuns(random, at, 2+random.IntN(25)) {
			result := store.Result{Agent: "project-meta", Outcome: store.Failure, Age: r.comes.Sub(r.finished)}
			if r.success {
				result.Outcome = store.Success
			}
			known = append(known, r)
			limits := store.Limits{Threshold: 1000, Resume: 1000}
			var a store.Answer
			if result.Age < store.LateAge {
				a, _ = p.Count(result, limits, "", r.comes)
			} else {
				streak := store.NewStreak(r.comes)
				for _, k := range slices.Backward(known) {
					if !streak.Add(k.success, k.comes, k.comes.Sub(k.finished)) {
						break
					}
				}
				a, _ = p.CountLate(result, limits, "", r.comes, streak.Failures())
			}
			require.Equal(t, inOrder(known), a.Failures, "seed %d", seed)
			require.Equal(t, breaker.State{Failures: a.Failures}, p.Breaker)
		}
	}
}

func TestLateResultTrips(t *testing.T) {
	t.Parallel()
	limits := store.Limits{Threshold: 3, Resume: 2}
	now := time.Now()
	for _, c := range []struct {
		name     string
		was      store.Project
		outcome  string
		failures int
		open     string
		limits   store.Limits
		want     breaker.State
		trips    bool
	}{
		{"a failure below the threshold", store.Project{}, store.Failure, 2, "", limits, breaker.State{Failures: 2}, false},
		{"a failure at the threshold", store.Project{Breaker: breaker.State{Failures: 1}}, store.Failure, 3, "", limits, breaker.State{Failures: 3, Tripped: true}, true},
		{"a failure beside an incident", store.Project{}, store.Failure, 3, "i", limits, breaker.State{Failures: 3, Tripped: true}, false},
		{"a failure after the trip", store.Project{Breaker: breaker.State{Failures: 3, Tripped: true}}, store.Failure, 4, "", limits, breaker.State{Failures: 4, Tripped: true}, false},
		{"a failure before a success", store.Project{}, store.Failure, 0, "", limits, breaker.State{}, false},
		{"half open", store.Project{HalfOpen: true}, store.Failure, 2, "", limits, breaker.State{Failures: 2, Tripped: true}, true},
		{"a success within the streak that tripped", store.Project{Breaker: breaker.State{Failures: 3, Tripped: true}}, store.Success, 1, "i", limits, breaker.State{Failures: 1, Tripped: true}, false},
		{"the last success", store.Project{Breaker: breaker.State{Failures: 3, Tripped: true}}, store.Success, 0, "i", limits, breaker.State{}, false},
		{"a success never trips", store.Project{}, store.Success, 3, "", limits, breaker.State{Failures: 3}, false},
		{"paused because of it", store.Project{}, store.Failure, 1, "", store.Limits{Threshold: 3, Paused: true}, breaker.State{Failures: 1, Tripped: true}, true},
		{"paused because of it, before a success", store.Project{}, store.Failure, 0, "", store.Limits{Threshold: 3, Paused: true}, breaker.State{}, false},
	} {
		p := c.was
		a, trips := p.CountLate(store.Result{Agent: "project-meta", Outcome: c.outcome, Age: time.Hour}, c.limits, c.open, now, c.failures)
		require.Equal(t, c.want, p.Breaker, c.name)
		require.Equal(t, c.trips, trips, c.name)
		require.Equal(t, c.failures, a.Failures, c.name)
		require.Equal(t, c.was.HalfOpen && c.outcome != store.Success, p.HalfOpen, c.name)
		require.True(t, a.Counted)
	}
}

// The clock ran an hour ahead for a while. What was stored then is not taken for later than what was stored after it.
func TestStreakAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	streak := store.NewStreak(noon)
	require.True(t, streak.Add(false, noon, 10*time.Minute))
	require.True(t, streak.Add(false, noon.Add(-time.Minute), 0))
	require.True(t, streak.Add(false, noon.Add(58*time.Minute), 0))
	require.False(t, streak.Add(true, noon.Add(57*time.Minute), 0))
	require.Equal(t, 2, streak.Failures(), "those that were stored after the success, and not the late one")
}

func TestEarlierRunIDs(t *testing.T) {
	t.Parallel()
	for runID, want := range map[string][]string{
		"": nil, "x": nil, "x/found": {"x"}, "x/success": {"x"}, "x/found/success": {"x/found", "x"}, "/found": nil,
	} {
		require.Equal(t, want, store.EarlierRunIDs(runID), runID)
	}
}

func TestResultEndedAt(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := store.Result{Started: noon.Add(-time.Minute), Finished: noon}.EndedAt(noon.Add(time.Hour))
	require.Equal(t, noon.Add(time.Hour), r.Finished)
	require.Equal(t, noon.Add(59*time.Minute), r.Started)
	require.Zero(t, store.Result{}.EndedAt(noon).Started, "it stays unknown")
}
