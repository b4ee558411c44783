package breaker_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
)

func TestCounts(t *testing.T) {
	for agent, want := range map[string]bool{
		"project-meta":               true,
		"project-meta-odilo":         true,
		"project-meta-digital-twins": true,
		"project-meta-":              true, // any suffix will do, even none
		"fleet-meta":                 false,
		"meta-coordinator":           false,
		"developer":                  false,
		"project-metadata":           false,
		"project-meta_odilo":         false,
		"project-meta.odilo":         false,
		"Project-Meta":               false,
		"my-project-meta":            false,
		" project-meta":              false,
		"project-meta ":              false,
		"project":                    false,
		"":                           false,
	} {
		require.Equal(t, want, breaker.Counts(agent), "agent %q", agent)
	}
}

func TestDefaultThreshold(t *testing.T) {
	require.Equal(t, 3, breaker.New(breaker.DefaultThreshold).Threshold())
}

func TestFailuresAfterTrip(t *testing.T) {
	c := breaker.New(2)
	require.False(t, c.Record("odilo", false))
	require.True(t, c.Record("odilo", false))
	for n := 3; n <= 50; n++ {
		require.False(t, c.Record("odilo", false))
		require.Equal(t, n, c.Count("odilo"))
		require.True(t, c.Tripped("odilo"))
	}
}

func TestTripAfterSuccess(t *testing.T) {
	c := breaker.New(2)
	for range 3 {
		require.False(t, c.Record("odilo", false))
		require.True(t, c.Record("odilo", false))
		require.False(t, c.Record("odilo", true))
		require.False(t, c.Tripped("odilo"))
	}
}

func TestThresholdBelowOne(t *testing.T) {
	for _, threshold := range []int{0, -1, math.MinInt} {
		c := breaker.New(threshold)
		require.Equal(t, 1, c.Threshold())
		require.True(t, c.Record("odilo", false))
		require.False(t, c.Record("odilo", false))

		_, trips := breaker.State{}.Next(threshold, false)
		require.True(t, trips)
	}
}

// A project that must be paused for one failure is paused, whatever its count, and once.
func TestAtOnce(t *testing.T) {
	for failures := range 5 {
		next, trips := breaker.State{Failures: failures}.Next(breaker.AtOnce, false)
		require.True(t, trips)
		require.Equal(t, breaker.State{Failures: failures + 1, Tripped: true}, next, "the count is the real one")
		_, trips = next.Next(breaker.AtOnce, false)
		require.False(t, trips)
	}
}

func TestZeroCounter(t *testing.T) {
	var c breaker.Counter
	require.Equal(t, 1, c.Threshold())
	require.False(t, c.Record("odilo", true))
	require.False(t, c.Tripped("odilo"))
	c.Reset("odilo")
	require.True(t, c.Record("odilo", false))
}

func TestReset(t *testing.T) {
	c := breaker.New(2)
	for range 2 {
		c.Record("odilo", false)
		c.Record("digital-twins", false)
	}
	c.Reset("odilo")
	require.Zero(t, c.Count("odilo"))
	require.False(t, c.Tripped("odilo"))
	require.Equal(t, 2, c.Count("digital-twins"))
	require.True(t, c.Tripped("digital-twins"))

	require.False(t, c.Record("odilo", false))
	require.True(t, c.Record("odilo", false), "a reset breaker trips again without a success in between")
}

func TestUnknownProject(t *testing.T) {
	c := breaker.New(3)
	require.Zero(t, c.Count("odilo"))
	require.False(t, c.Tripped("odilo"))
	require.False(t, c.Record("odilo", true))
	require.Zero(t, c.Count("odilo"))
}

func TestCountSaturates(t *testing.T) {
	s := breaker.State{Failures: math.MaxInt - 1, Tripped: true}
	for range 3 {
		var trips bool
		s, trips = s.Next(3, false)
		require.False(t, trips)
		require.Equal(t, breaker.State{Failures: math.MaxInt, Tripped: true}, s)
	}
	s, trips := breaker.State{Failures: math.MaxInt}.Next(math.MaxInt, false)
	require.True(t, trips, "the largest count reaches the largest threshold")
	require.Equal(t, breaker.State{Failures: math.MaxInt, Tripped: true}, s)
}

func TestChangedThreshold(t *testing.T) {
	s := breaker.State{Failures: 4}
	_, trips := s.Next(2, true)
	require.False(t, trips, "a success never trips")
	next, trips := s.Next(2, false)
	require.True(t, trips, "the count is already over the lowered threshold")
	require.Equal(t, breaker.State{Failures: 5, Tripped: true}, next)

	next, trips = next.Next(10, false)
	require.False(t, trips, "a raised threshold does not close a tripped breaker")
	require.True(t, next.Tripped)
	require.Equal(t, breaker.State{Failures: 4}, s, "Next does not change its receiver")
}

// TestAgainstModel compares Counter and State with a naive model on random
// sequences. The model keeps every result and derives each answer from the
// whole history.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		threshold := r.IntN(7) - 1
		limit := threshold
		if limit < 1 {
			limit = 1
		}
		c := breaker.New(threshold)
		history := map[string][]bool{}
		states := map[string]breaker.State{}

		for step := range 400 {
			project := fmt.Sprint("p", r.IntN(4))
			if r.IntN(40) == 0 {
				c.Reset(project)
				delete(history, project)
				delete(states, project)
				continue
			}
			success := r.IntN(5) == 0
			history[project] = append(history[project], success)

			streak := 0 // failures at the end of the history
			for i := len(history[project]) - 1; i >= 0 && !history[project][i]; i-- {
				streak++
			}
			wantTrip := streak == limit // a streak passes the threshold once

			next, trips := states[project].Next(threshold, success)
			states[project] = next
			what := fmt.Sprintf("seed %d, step %d, threshold %d, project %s", seed, step, threshold, project)
			require.Equal(t, wantTrip, trips, what)
			require.Equal(t, wantTrip, c.Record(project, success), what)
			require.Equal(t, streak, c.Count(project), what)
			require.Equal(t, streak >= limit, c.Tripped(project), what)
			require.Equal(t, breaker.State{Failures: streak, Tripped: streak >= limit}, next, what)
		}
	}
}
