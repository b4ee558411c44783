package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestWhatKilledProcessesLeftBesideTheStateGoesAfterAnHour(t *testing.T) {
	s, _ := newStore(t)
	dir := s.Path() + ".d"
	put := func(name string, age time.Duration) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("1\n"), 0o600))
		at := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, at, at))
		return path
	}
	noted, err := s.BeginRun(ctx, store.Run{Project: "odilo", Agent: "project-meta", RunID: "a", Started: time.Now()})
	require.NoError(t, err)
	old := time.Now().Add(-2 * time.Hour)
	live := filepath.Join(dir, "runs", noted.ID+".lock")
	require.NoError(t, os.Chtimes(live, old, old))

	gone := []string{put("runs/0a.lock", 2*time.Hour), put("spool/0b.tmp", 2*time.Hour)}
	stay := []string{live, put("runs/0c.lock", time.Minute), put("spool/0d.tmp", time.Minute), put("spool/0e.json", 2*time.Hour)}
	require.NoError(t, s.Tidy(ctx))
	for _, path := range gone {
		require.NoFileExists(t, path)
	}
	for _, path := range stay {
		require.FileExists(t, path)
	}
}

func TestARunThatLivesKeepsItsFileWithoutItsRow(t *testing.T) {
	s, _ := newStore(t)
	run, err := s.BeginRun(ctx, store.Run{Project: "odilo", Agent: "project-meta", RunID: "a", Started: time.Now()})
	require.NoError(t, err)
	require.NoError(t, s.EndRun(ctx, run))
	path := filepath.Join(s.Path()+".d", "runs", run.ID+".lock")
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	require.NoError(t, s.Tidy(ctx))
	require.FileExists(t, path, "its process still holds the lock")
	s.Release(run)
	require.NoFileExists(t, path)
}
