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
	w.Touch(temp)
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(temp, old, old))

	sentinel := w.Read(w.sentinel())
	w.Remove(w.sentinel())
	_, err := w.sweep()
	require.Error(t, err)
	require.FileExists(t, temp, "a directory that may be another's is left alone")

	w.Write(w.sentinel(), sentinel)
	w.sweepWell()
	require.NoFileExists(t, temp)
}
