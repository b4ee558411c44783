package bot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSweepRemovesOldTemps(t *testing.T) {
	w := newWorld(t)
	w.record(failure("odilo"))
	temp := filepath.Join(w.cfg.PauseDir, ".tmp-0123456789abcdef0123456789abcdef")
	w.touch(temp)
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(temp, old, old))

	sentinel := w.read(w.sentinel())
	w.rm(w.sentinel())
	_, err := w.sweep()
	require.Error(t, err)
	require.FileExists(t, temp, "a directory that may be another's is left alone")

	require.NoError(t, os.WriteFile(w.sentinel(), []byte(sentinel), 0o644))
	w.sweepWell()
	require.NoFileExists(t, temp)
}
