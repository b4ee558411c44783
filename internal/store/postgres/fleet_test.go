package postgres_test

import (
	"testing"

	"github.com/terraphim/adfbot/internal/store/storetest"
)

func TestFleet(t *testing.T) {
	t.Parallel()
	storetest.RunFleet(t, func(t testing.TB) storetest.Fleet {
		p := newPlace(t)
		return func(host string) storetest.FleetState { return p.openAs(t, host) }
	})
}
