package escalate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/storetest"
)

// A state in memory keeps the contract of every other state.
func TestMemory(t *testing.T) {
	t.Run("incidents", func(t *testing.T) {
		storetest.RunIncidents(t, func(testing.TB) storetest.IncidentState { return escalate.NewMemory() })
	})
	t.Run("holds", func(t *testing.T) {
		storetest.RunHolds(t, func(testing.TB) storetest.IncidentState { return escalate.NewMemory() })
	})
	t.Run("stops", func(t *testing.T) {
		storetest.RunStops(t, func(testing.TB) storetest.IncidentState { return escalate.NewMemory() })
	})
	t.Run("flags", func(t *testing.T) {
		storetest.RunFlags(t, func(testing.TB) storetest.IncidentState { return escalate.NewMemory() })
	})
	t.Run("claims", func(t *testing.T) {
		storetest.RunClaims(t, func(testing.TB) [2]incident.Claimer { m := escalate.NewMemory(); return [2]incident.Claimer{m, m} })
	})
	t.Run("cache", func(t *testing.T) {
		storetest.RunCache(t, func(testing.TB) incident.TrackerCache { return escalate.NewMemory() })
	})
}

func TestMemoryLocks(t *testing.T) {
	m := escalate.NewMemory()
	unlock, err := m.LockHere(t.Context(), "flag/odilo", time.Second)
	require.NoError(t, err)
	_, err = m.LockHere(t.Context(), "flag/odilo", 0)
	require.ErrorContains(t, err, "the lock flag/odilo was not free")
	other, err := m.LockHere(t.Context(), "flag/twins", 0)
	require.NoError(t, err)
	other()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.LockHere(ended, "flag/odilo", time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	held, release, err := m.Claim(t.Context(), "flag/odilo", time.Second)
	require.NoError(t, err)
	require.NoError(t, held.Err())
	release()
	require.Error(t, held.Err(), "the claim ended")
}

func TestNewChecksItsOptions(t *testing.T) {
	_, err := escalate.New(escalate.Options{Installation: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Commands: escalate.CommandOptions{Operators: []string{"kim"}}})
	for _, want := range []string{"Installation", "State is missing", "Commands.State is missing"} {
		require.ErrorContains(t, err, want)
	}
	r, err := escalate.New(escalate.Options{Installation: "0123456789abcdef0123456789abcdef", State: escalate.NewMemory()})
	require.NoError(t, err)
	_, err = r.Open(t.Context(), incident.Incident{Project: "odilo", ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"})
	require.ErrorContains(t, err, "is no id")
	_, err = r.Open(t.Context(), incident.Incident{Project: "../odilo"})
	require.Error(t, err)
}
