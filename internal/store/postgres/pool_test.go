package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

// A process that has nothing to store for long, as exec while its command runs, keeps no connection.
func TestConnectionsAtRest(t *testing.T) {
	s := newPlace(t).open(t)
	for range 2 {
		record(t, s, result(store.Success))
		due, left := s.Rest()
		require.True(t, due)
		require.Zero(t, left)
	}
}
