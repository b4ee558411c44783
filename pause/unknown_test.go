package pause_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

// unknown checks that every method that reads fails with the given error.
func unknown(t *testing.T, d pause.Dir, reason error) {
	t.Helper()
	_, lookErr := d.Look("odilo")
	_, listErr := d.List()
	_, sentinelErr := d.Sentinel()
	_, removeErr := d.Remove("odilo")
	_, pausedErr := d.Paused("odilo")
	_, _, lookCheckedErr := d.LookChecked("odilo")
	_, _, checkErr := d.Check("odilo")
	for what, err := range map[string]error{
		"Look": lookErr, "List": listErr, "Sentinel": sentinelErr,
		"Remove": removeErr, "Paused": pausedErr, "LookChecked": lookCheckedErr, "Check": checkErr,
	} {
		require.ErrorIs(t, err, reason, what)
		require.NotErrorIs(t, err, fs.ErrNotExist, "%s: must not look like a missing flag", what)
		require.ErrorContains(t, err, d.Path(), what)
	}
}

func TestMissingDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "pause")
	unknown(t, pause.New(path), pause.ErrNoDir)

	_, err := pause.New(path).Paused("odilo")
	require.ErrorContains(t, err, "mount the file system")
	_, err = os.Stat(filepath.Dir(path))
	require.ErrorIs(t, err, fs.ErrNotExist, "reading creates nothing")
}

func TestDanglingDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	require.NoError(t, os.Symlink("nowhere", path))
	unknown(t, pause.New(path), pause.ErrNoDir)
	unknown(t, pause.New(path+"/deep"), pause.ErrNoDir)
	for _, dir := range []string{path, path + "/", path + "/deep", path + "/very/deep"} {
		d := pause.New(dir)
		_, writeErr := d.Write("odilo", "")
		_, lookErr := d.Look("odilo")
		for _, err := range []error{writeErr, lookErr, d.Create()} {
			require.ErrorIs(t, err, pause.ErrNoDir)
			require.ErrorContains(t, err, path+" is a link to nowhere, which does not exist: mount the file system that it leads to, or correct the link")
		}
	}
}

func TestDirLinkLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	require.NoError(t, os.Symlink("pause", path))
	unknown(t, pause.New(path), syscall.ELOOP)
}

func TestLinkedDir(t *testing.T) {
	d, path := newDir(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	_, err := pause.New(link).Write("odilo", "")
	require.NoError(t, err)
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.True(t, paused)
}

func TestNotDir(t *testing.T) {
	for what, make := range map[string]func(string) error{
		"file": func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"FIFO": func(p string) error { return syscall.Mkfifo(p, 0o644) },
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pause")
			require.NoError(t, make(path))
			for _, d := range []pause.Dir{pause.New(path), pause.New(filepath.Join(path, "below", "it"))} {
				soon(t, func() {
					unknown(t, d, pause.ErrNotDir)
					_, err := d.Write("odilo", "")
					require.ErrorIs(t, err, pause.ErrNotDir)
					require.ErrorIs(t, d.Init(ours), pause.ErrNotDir)
				})
			}
		})
	}
}

// A device cannot be moved away.
func TestDirIsADevice(t *testing.T) {
	for path, device := range map[string]string{"/dev/null": "it", "/dev/null/below/it": "/dev/null"} {
		_, err := pause.New(path).Paused("odilo")
		require.ErrorIs(t, err, pause.ErrNotDir)
		require.EqualError(t, err, "the pause directory is not a directory: "+path+": "+device+" is a device; choose another pause directory")
	}
}

func TestMissingSentinel(t *testing.T) {
	d, path := newDir(t)
	require.NoError(t, os.Remove(filepath.Join(path, pause.SentinelName)))
	_, err := d.Paused("odilo")
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	_, _, err = d.LookChecked("odilo")
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	_, _, err = d.Check("odilo")
	require.ErrorIs(t, err, pause.ErrNoSentinel)

	flag, err := d.Look("odilo")
	require.NoError(t, err, "Look ignores the sentinel")
	require.False(t, flag.Present)
}

func TestFlagWithoutSentinel(t *testing.T) {
	d, path := newDir(t)
	_, err := d.Write("odilo", "why")
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(path, pause.SentinelName)))
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.True(t, paused)
	flag, sentinel, err := d.LookChecked("odilo")
	require.NoError(t, err)
	require.Equal(t, "why", flag.Note)
	require.Zero(t, sentinel)
	flag, sentinel, err = d.Check("odilo")
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	require.Equal(t, "why", flag.Note)
	require.Zero(t, sentinel)
}

func TestMissingSentinelError(t *testing.T) {
	d, path := newDir(t)
	sentinel := filepath.Join(path, pause.SentinelName)
	require.NoError(t, os.Remove(sentinel))
	_, err := d.Paused("odilo")
	require.ErrorContains(t, err, "may be unmounted or emptied")
	require.ErrorContains(t, err, "as the directory's owner: touch "+sentinel)

	put(t, sentinel, "")
	paused, err := d.Paused("odilo")
	require.NoError(t, err, "the advice works")
	require.False(t, paused)
}

func TestReplacedDir(t *testing.T) {
	d, path := newDir(t)
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.False(t, paused)

	other, otherPath := newDir(t)
	_, err = other.Write("odilo", "from the other")
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".old"))
	unknown(t, d, pause.ErrNoDir)
	require.NoError(t, os.Rename(otherPath, path))
	paused, err = d.Paused("odilo")
	require.NoError(t, err)
	require.True(t, paused)
}

// TestRestoreRace restores a directory while another goroutine reads it: first
// the flags, then the sentinel. The reader must not miss a restored flag.
func TestRestoreRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	d := pause.New(path)
	sentinel := filepath.Join(path, pause.SentinelName)
	for range 200 {
		require.NoError(t, os.RemoveAll(path))
		require.NoError(t, os.Mkdir(path, 0o755))
		done := make(chan error)
		go func() {
			err := os.WriteFile(filepath.Join(path, "odilo"), nil, 0o644)
			done <- errors.Join(err, os.WriteFile(sentinel, nil, 0o644))
		}()
		for reading := true; reading; {
			select {
			case err := <-done:
				require.NoError(t, err)
				reading = false
			default:
			}
			if paused, err := d.Paused("odilo"); err == nil {
				require.True(t, paused)
			} else {
				require.ErrorIs(t, err, pause.ErrNoSentinel)
			}
		}
	}
}
