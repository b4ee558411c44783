package bot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
)

// A FIFO can be locked as well as a file, and check does not say otherwise.
func TestLocksInFIFO(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	locks := filepath.Join(w.cfg.State+".d", "locks")
	w.Remove(locks)
	fifo(t, locks)
	w.fail("odilo", 3)
	require.FileExists(t, w.flag("odilo"))
	require.Len(t, w.issues("open"), 1)
	for _, f := range bot.Check(t.Context(), w.cfg, true, w.env()) {
		require.NotContains(t, f.Text, "no lock can be taken")
	}
}

// Results count, the breaker trips and exec refuses although no lock can be taken. Once it can, the sweep catches up.
func TestBrokenLocks(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		breakLocks func(path string) error
		why        string
	}{
		"symbolic link": {func(path string) error { return os.Symlink("/nowhere", path) }, "is no regular file"},
		"foreign file among the locks of an earlier version": {func(path string) error {
			return os.MkdirAll(filepath.Join(path, ".nfs0001"), 0o700)
		}, ".nfs0001 is no lock file of adfbot: move it out of the directory"},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.must(0, "odilo", "true")
			locks := filepath.Join(w.cfg.State+".d", "locks")
			w.Remove(locks)
			require.NoError(t, c.breakLocks(locks))

			ran := filepath.Join(w.Dir, "ran")
			for range 6 {
				require.NotZero(t, w.sh("odilo", "echo >> "+ran+"; exit 1").code)
			}
			require.Equal(t, 3, strings.Count(w.Read(ran), "\n"), "the breaker has tripped at the third failure")
			require.NoFileExists(t, w.flag("odilo"))
			var failed []string
			for _, f := range bot.Check(t.Context(), w.cfg, true, w.env()) {
				if f.Level == bot.Fail {
					failed = append(failed, f.What+" "+f.Text)
				}
			}
			require.Contains(t, strings.Join(failed, "\n"), c.why)
			_, err := w.sweep()
			require.ErrorContains(t, err, locks)

			require.NoError(t, os.RemoveAll(locks))
			w.sweepWell()
			require.FileExists(t, w.flag("odilo"))
			require.Len(t, w.issues("open"), 1)
		})
	}
}
