package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB, dir string, now func() time.Time) store.State {
		return open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{Now: now})
	})
}
