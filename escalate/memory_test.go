package escalate_test

import (
	"testing"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	newMemory := func(testing.TB) storetest.IncidentState { return escalate.NewMemory() }
	t.Run("incidents", func(t *testing.T) { storetest.RunIncidents(t, newMemory) })
	t.Run("holds", func(t *testing.T) { storetest.RunHolds(t, newMemory) })
	t.Run("tracker cache", func(t *testing.T) {
		storetest.RunCache(t, func(testing.TB) incident.TrackerCache { return escalate.NewMemory() })
	})
}
