package pause_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

var second = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func openFolder(t *testing.T, d pause.Dir) *pause.Folder {
	t.Helper()
	f, err := d.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func lookAt(t *testing.T, f *pause.Folder, id string) pause.Flag {
	t.Helper()
	flag, _, err := f.Check(id)
	require.NoError(t, err)
	return flag
}

// A folder stays with its directory, whatever is at the path meanwhile.
func TestFolderOfMovedDirectory(t *testing.T) {
	d, path := newDir(t)
	f := openFolder(t, d)
	require.NoError(t, os.Rename(path, path+".away"))
	require.NoError(t, d.Init(ours))
	created, err := f.Write("odilo", "why", second)
	require.NoError(t, err)
	require.True(t, created)
	require.True(t, lookAt(t, f, "odilo").Present)
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.False(t, paused)
	require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path+".away"))
	removed, err := f.Remove("odilo")
	require.NoError(t, err)
	require.True(t, removed)
}

func TestFolderWriteTime(t *testing.T) {
	d, _ := newDir(t)
	f := openFolder(t, d)
	_, err := f.Write("odilo", "why", second)
	require.NoError(t, err)
	flag := lookAt(t, f, "odilo")
	require.True(t, flag.Since.Equal(second))
	require.EqualValues(t, 3, flag.Size)
	created, err := f.Write("odilo", "the first writer wins", second.Add(time.Hour))
	require.NoError(t, err)
	require.False(t, created)
	require.True(t, lookAt(t, f, "odilo").Since.Equal(second))
}

func TestFolderReplace(t *testing.T) {
	d, path := newDir(t)
	f := openFolder(t, d)
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, outside, "precious")
	require.NoError(t, os.Symlink(outside, d.FlagPath("odilo")))
	for _, note := range []string{"replaces a link", "replaces a file", "replaces nothing"} {
		require.NoError(t, f.Replace("odilo", note, second))
		flag := lookAt(t, f, "odilo")
		require.Equal(t, note, flag.Note)
		require.True(t, flag.Since.Equal(second))
		require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path))
		if note == "replaces a file" {
			require.NoError(t, os.Remove(d.FlagPath("odilo")))
		}
	}
	require.NoError(t, os.Remove(d.FlagPath("odilo")))
	require.NoError(t, os.Mkdir(d.FlagPath("odilo"), 0o755))
	require.ErrorContains(t, f.Replace("odilo", "replaces no directory", second), "replace the pause flag "+d.FlagPath("odilo"))
	require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path), "and leaves no temporary file")
}

func TestFolderReplaceCrash(t *testing.T) {
	for step, want := range map[string]string{"temp": "old", "content": "old", "time": "old", "sync": "old", "rename": "old", "syncdir": "new"} {
		d, _ := newDir(t)
		_, err := d.Write("odilo", "old")
		require.NoError(t, err)
		child{Do: "replace", Dir: d.Path(), ID: "odilo", Note: "new", KillAt: step}.die(t)
		flag, err := d.Look("odilo")
		require.NoError(t, err)
		require.Equal(t, want, flag.Note, step)
	}
}

// What cannot be synced is not reported as being on disk.
func TestFolderSync(t *testing.T) {
	d, path := newDir(t)
	f := openFolder(t, d)
	for what, make := range map[string]func() error{
		"file":      func() error { return os.WriteFile(d.FlagPath("odilo"), nil, 0o600) },
		"directory": func() error { return os.Mkdir(d.FlagPath("odilo"), 0o700) },
		"link":      func() error { return os.Symlink("nowhere", d.FlagPath("odilo")) },
		"FIFO":      func() error { return syscall.Mkfifo(d.FlagPath("odilo"), 0o600) },
	} {
		require.NoError(t, make(), what)
		soon(t, func() { require.NoError(t, f.Sync("odilo"), what) })
		require.NoError(t, os.Remove(d.FlagPath("odilo")))
	}
	require.NoError(t, f.Sync("odilo"), "the directory is synced all the same")
	for _, step := range []string{"syncflag", "syncdir"} {
		failing(t, step, syscall.EIO)
		require.ErrorContains(t, f.Sync("odilo"), "sync the pause flag "+filepath.Join(path, "odilo")+": input/output error")
	}
}

func TestFolderBadID(t *testing.T) {
	d, _ := newDir(t)
	f := openFolder(t, d)
	for _, id := range []string{"", "../odilo", ".adfbot"} {
		_, _, err := f.Check(id)
		require.ErrorIs(t, err, pause.ErrID)
		_, err = f.Write(id, "", second)
		require.ErrorIs(t, err, pause.ErrID)
		_, err = f.Remove(id)
		require.ErrorIs(t, err, pause.ErrID)
		require.ErrorIs(t, f.Replace(id, "", second), pause.ErrID)
		require.ErrorIs(t, f.Sync(id), pause.ErrID)
	}
}
