package pause_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestKnown(t *testing.T) {
	d := pause.New(filepath.Join(t.TempDir(), "pause"))
	_, err := d.Known("a")
	require.ErrorIs(t, err, pause.ErrNoDir)
	require.ErrorIs(t, d.MakeKnown("a"), pause.ErrNoDir, "a mount that is missing is not filled")
	require.NoError(t, d.Create())
	require.NoError(t, os.Chmod(d.Path(), 0o775))

	known, err := d.Known("a")
	require.NoError(t, err)
	require.False(t, known)
	ids, err := d.KnownProjects()
	require.NoError(t, err)
	require.Empty(t, ids)

	require.NoError(t, d.MakeKnown("b", "a"))
	require.NoError(t, d.MakeKnown("a", "c"))
	known, err = d.Known("a")
	require.NoError(t, err)
	require.True(t, known)
	ids, err = d.KnownProjects()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, ids)

	paused, err := d.List()
	require.NoError(t, err)
	require.Empty(t, paused, "a known project is not paused by that")
	info, err := os.Stat(filepath.Join(d.Path(), pause.KnownName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o775), info.Mode().Perm(), "the group may write it, too")
	info, err = os.Stat(filepath.Join(d.Path(), pause.KnownName, "a"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
}

func TestKnownRefuses(t *testing.T) {
	d := pause.New(t.TempDir())
	_, err := d.Known("../x")
	require.ErrorIs(t, err, pause.ErrID)
	require.ErrorIs(t, d.MakeKnown("a", "../x"), pause.ErrID)
	ids, err := d.KnownProjects()
	require.NoError(t, err)
	require.Empty(t, ids)

	// A link that leads out of the directory is not followed, and a file in the place of the directory knows nothing.
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(d.Path(), pause.KnownName)))
	_, err = d.Known("a")
	require.Error(t, err)
	require.Error(t, d.MakeKnown("a"))
	require.NoError(t, os.Remove(filepath.Join(d.Path(), pause.KnownName)))
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), pause.KnownName), nil, 0o600))
	_, err = d.Known("a")
	require.ErrorContains(t, err, "look for the known project "+filepath.Join(d.Path(), pause.KnownName)+": it is not a directory")
	require.Error(t, d.MakeKnown("a"))
}

// Something else than a directory at its name is neither waited for nor
// followed, and the error says what to do.
func TestKnownOfOtherKind(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"FIFO":           func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"file":           func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"link to itself": func(path string) error { return os.Symlink(".", path) },
		"link to another": func(path string) error {
			return errors.Join(os.Mkdir(filepath.Dir(path)+"/other", 0o755), os.Symlink("other", path))
		},
		"link to nothing": func(path string) error { return os.Symlink("none", path) },
	} {
		t.Run(what, func(t *testing.T) {
			d := pause.New(t.TempDir())
			require.NoError(t, d.Create())
			_, err := d.Write("a", "note")
			require.NoError(t, err)
			path := filepath.Join(d.Path(), pause.KnownName)
			require.NoError(t, make(path))
			_, one := d.Known("a")
			_, all := d.KnownProjects()
			for _, err := range []error{one, all, d.MakeKnown("b")} {
				require.ErrorContains(t, err, path+": it is not a directory; remove it")
			}
			require.NoFileExists(t, d.FlagPath("b"))
			require.NoError(t, os.Remove(path))
			require.NoError(t, d.MakeKnown("b"))
			known, err := d.Known("b")
			require.NoError(t, err)
			require.True(t, known)
		})
	}
}
