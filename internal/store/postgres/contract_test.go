package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/storetest"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestContract(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	places := map[string]place{}
	storetest.Run(t, func(t testing.TB, dir string, now func() time.Time) store.State {
		mu.Lock()
		defer mu.Unlock()
		p, known := places[dir]
		if !known {
			p.url, p.schema = testpg.Schema(t)
			places[dir] = p
		}
		s, err := postgres.Open(t.Context(), p.url, postgres.Options{Schema: p.schema, Host: hostA, Now: now})
		require.NoError(t, err)
		return s
	})
}
