package breaker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
)

// TestSeed holds the breaker's tests of the original, terraphim_orchestrator's
// project_control.rs, under their own names. Its other tests are in package
// pause. Counter behaves exactly like the original's ProjectFailureCounter.
func TestSeed(t *testing.T) {
	t.Run("identifies_project_meta_agent_by_name", func(t *testing.T) {
		require.True(t, breaker.Counts("project-meta"))
		require.True(t, breaker.Counts("project-meta-odilo"))
		require.False(t, breaker.Counts("fleet-meta"))
		require.False(t, breaker.Counts("meta-coordinator"))
		require.False(t, breaker.Counts("developer"))
	})

	t.Run("counter_resets_on_success", func(t *testing.T) {
		c := breaker.New(3)
		require.False(t, c.Record("odilo", false))
		require.False(t, c.Record("odilo", false))
		require.Equal(t, 2, c.Count("odilo"))
		require.False(t, c.Record("odilo", true))
		require.Equal(t, 0, c.Count("odilo"))
	})

	t.Run("counter_trips_at_threshold", func(t *testing.T) {
		c := breaker.New(3)
		require.False(t, c.Record("odilo", false))
		require.False(t, c.Record("odilo", false))
		require.True(t, c.Record("odilo", false))
	})

	t.Run("counter_does_not_double_trip_without_success", func(t *testing.T) {
		c := breaker.New(2)
		require.False(t, c.Record("odilo", false))
		require.True(t, c.Record("odilo", false))
		require.False(t, c.Record("odilo", false)) // failures after the trip do not trip again
	})

	t.Run("counter_is_per_project", func(t *testing.T) {
		c := breaker.New(2)
		require.False(t, c.Record("odilo", false))
		require.False(t, c.Record("digital-twins", false))
		require.Equal(t, 1, c.Count("odilo"))
		require.Equal(t, 1, c.Count("digital-twins"))
		require.True(t, c.Record("odilo", false))
		require.True(t, c.Record("digital-twins", false))
	})

	t.Run("zero_threshold_trips_on_first_failure", func(t *testing.T) {
		c := breaker.New(0)
		require.Equal(t, 1, c.Threshold())
		require.True(t, c.Record("odilo", false))
	})
}
