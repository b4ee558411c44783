package pause_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

// TestSeed holds the pause flag tests of the original, terraphim_orchestrator's
// project_control.rs, under their own names. Its other tests are in package
// breaker. This package is stricter than the original in three ways:
//
//   - A missing flag means "not paused" only in a directory with its sentinel;
//     the original says "not paused" even if the directory is missing.
//   - A dangling link is a flag; for the original it is not.
//   - An id that is not a plain file name is an error; the original joins any
//     string to the path of the directory.
func TestSeed(t *testing.T) {
	t.Run("pause_flag_absent_means_not_paused", func(t *testing.T) {
		d := pause.New(t.TempDir())
		// The original answers "not paused" at this point. But an empty
		// directory looks the same as one whose file system is not mounted, or
		// from which all flags were lost. To call that "not paused" would
		// resume every paused project, so it is an error here.
		_, err := d.Paused("odilo")
		require.ErrorIs(t, err, pause.ErrNoSentinel)

		require.NoError(t, d.Init(pause.NewRandomID()))
		require.False(t, paused(t, d, "odilo"))
	})

	t.Run("pause_flag_present_means_paused", func(t *testing.T) {
		d := pause.New(t.TempDir())
		_, err := d.Write("odilo", "")
		require.NoError(t, err)
		require.True(t, paused(t, d, "odilo")) // without a sentinel too
	})

	t.Run("pause_flag_not_shared_across_projects", func(t *testing.T) {
		d := pause.New(t.TempDir())
		require.NoError(t, d.Init(pause.NewRandomID()))
		_, err := d.Write("odilo", "")
		require.NoError(t, err)
		require.True(t, paused(t, d, "odilo"))
		require.False(t, paused(t, d, "digital-twins"))
	})

	t.Run("pause_flag_ignored_for_legacy_global_agents", func(t *testing.T) {
		d := pause.New(t.TempDir())
		_, err := d.Write("__global__", "")
		require.NoError(t, err)
		require.False(t, paused(t, d, "")) // the original's None
	})

	t.Run("touching_pause_flag_creates_parent_dir", func(t *testing.T) {
		d := pause.New(filepath.Join(t.TempDir(), "deep/dir/pause"))
		created, err := d.Write("odilo", "")
		require.NoError(t, err)
		require.True(t, created)
		_, err = os.Stat(d.FlagPath("odilo"))
		require.NoError(t, err)
	})
}

func paused(t *testing.T, d pause.Dir, id string) bool {
	t.Helper()
	paused, err := d.Paused(id)
	require.NoError(t, err)
	return paused
}
