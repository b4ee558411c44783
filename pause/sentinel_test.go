package pause_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "dir", "pause")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	sentinel, err := d.Sentinel()
	require.NoError(t, err)
	require.Equal(t, ours, sentinel.Installation)
	require.True(t, pause.IsRandomID(sentinel.Directory))
	content, err := os.ReadFile(filepath.Join(path, ".adfbot"))
	require.NoError(t, err)
	require.Equal(t, ours+" "+sentinel.Directory+"\n", string(content))
	require.Equal(t, []string{".adfbot"}, names(t, path), "no temporary file is left")
}

func TestInitTwice(t *testing.T) {
	d, path := newDir(t)
	before, err := os.Stat(filepath.Join(path, pause.SentinelName))
	require.NoError(t, err)
	require.NoError(t, d.Init(ours))
	after, err := os.Stat(filepath.Join(path, pause.SentinelName))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, before.ModTime(), after.ModTime())
}

// A sentinel of an earlier version names no directory.
func TestSentinelWithoutDirectory(t *testing.T) {
	path := t.TempDir()
	d := pause.New(path)
	put(t, filepath.Join(path, pause.SentinelName), ours+"\n")
	require.NoError(t, d.Init(ours))
	sentinel, err := d.Sentinel()
	require.NoError(t, err)
	require.Equal(t, pause.Sentinel{Installation: ours}, sentinel)
}

func TestRenew(t *testing.T) {
	d := pause.New(filepath.Join(t.TempDir(), "pause"))
	var last string
	for range 3 {
		last = pause.NewRandomID()
		require.NoError(t, d.Renew(pause.Sentinel{Installation: ours, Directory: last}))
		sentinel, err := d.Sentinel()
		require.NoError(t, err)
		require.Equal(t, pause.Sentinel{Installation: ours, Directory: last}, sentinel)
	}
	require.ErrorIs(t, d.Renew(pause.Sentinel{Installation: theirs, Directory: last}), pause.ErrOtherInstallation)
	require.ErrorIs(t, d.Renew(pause.Sentinel{Installation: ours, Directory: "x"}), pause.ErrSentinelID)
	sentinel, err := d.Sentinel()
	require.NoError(t, err)
	require.Equal(t, pause.Sentinel{Installation: ours, Directory: last}, sentinel)
}

func TestInitEmptySentinel(t *testing.T) {
	for what, content := range map[string]string{"touch": "", "echo": "\n"} {
		t.Run(what, func(t *testing.T) {
			path := t.TempDir()
			d := pause.New(path)
			put(t, filepath.Join(path, pause.SentinelName), content)
			sentinel, err := d.Sentinel()
			require.NoError(t, err, "an empty sentinel is a sentinel")
			require.Empty(t, sentinel.Installation)

			require.NoError(t, d.Init(ours))
			sentinel, err = d.Sentinel()
			require.NoError(t, err)
			require.Equal(t, ours, sentinel.Installation)
			require.Equal(t, []string{pause.SentinelName}, names(t, path))
		})
	}
}

func TestInitOtherInstallation(t *testing.T) {
	d, _ := newDir(t)
	err := d.Init(theirs)
	require.ErrorIs(t, err, pause.ErrOtherInstallation)
	require.ErrorContains(t, err, ours)
	require.ErrorContains(t, err, theirs)
	sentinel, err := d.Sentinel()
	require.NoError(t, err)
	require.Equal(t, ours, sentinel.Installation)
}

func TestInitBadID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	for _, id := range []string{"", "x", strings.ToUpper(theirs), ours + "0", ours[1:], ours + "\n", "../" + ours[3:]} {
		require.ErrorIs(t, pause.New(path).Init(id), pause.ErrSentinelID, "id %q", id)
	}
	_, err := os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDamagedSentinel(t *testing.T) {
	write := func(content string) func(string) error {
		return func(p string) error { return os.WriteFile(p, []byte(content), 0o644) }
	}
	for what, make := range map[string]func(string) error{
		"garbage":                     write("hello"),
		"half an id":                  write(ours[:20]),
		"zeros after a power failure": write(strings.Repeat("\x00", 33)),
		"capital letters":             write(strings.ToUpper(theirs)),
		"two lines":                   write(ours + "\n" + theirs + "\n"),
		"three ids":                   write(ours + " " + theirs + " " + theirs + "\n"),
		"half the id of a directory":  write(ours + " " + theirs[:20] + "\n"),
		"too long for an id":          write(ours + "\n" + strings.Repeat(" ", 500) + "x"),
		"a megabyte":                  write(strings.Repeat("a", 1<<20)),
		"a directory":                 func(p string) error { return os.Mkdir(p, 0o755) },
		"a FIFO":                      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"a link to a good sentinel":   func(p string) error { return os.Symlink("good", p) },
		"a link to nowhere":           func(p string) error { return os.Symlink("nowhere", p) },
	} {
		t.Run(what, func(t *testing.T) {
			path := t.TempDir()
			put(t, filepath.Join(path, "good"), ours+"\n")
			sentinel := filepath.Join(path, pause.SentinelName)
			require.NoError(t, make(sentinel))
			before, err := os.Lstat(sentinel)
			require.NoError(t, err)
			d := pause.New(path)
			soon(t, func() {
				_, err := d.Sentinel()
				require.ErrorIs(t, err, pause.ErrBadSentinel)
				require.ErrorContains(t, err, "touch "+sentinel)
				require.Less(t, len(err.Error()), 600)
				_, err = d.Paused("odilo")
				require.ErrorIs(t, err, pause.ErrBadSentinel)
				require.ErrorIs(t, d.Init(ours), pause.ErrBadSentinel)
				paused, err := d.Paused("good")
				require.NoError(t, err, "a flag needs no sentinel")
				require.True(t, paused)
			})
			after, err := os.Lstat(sentinel)
			require.NoError(t, err)
			require.Equal(t, before.Mode(), after.Mode())
			require.Equal(t, before.Size(), after.Size())
		})
	}
}

func TestLookChecked(t *testing.T) {
	d, _ := newDir(t)
	flag, sentinel, err := d.LookChecked("odilo")
	require.NoError(t, err)
	require.False(t, flag.Present)
	require.Equal(t, ours, sentinel.Installation)

	_, err = d.Write("odilo", "why")
	require.NoError(t, err)
	flag, sentinel, err = d.LookChecked("odilo")
	require.NoError(t, err)
	require.Equal(t, "why", flag.Note)
	require.Zero(t, sentinel)
}

func TestCheck(t *testing.T) {
	d, path := newDir(t)
	flag, sentinel, err := d.Check("odilo")
	require.NoError(t, err)
	require.Zero(t, flag)
	require.Equal(t, ours, sentinel.Installation)

	_, err = d.Write("odilo", "why")
	require.NoError(t, err)
	flag, sentinel, err = d.Check("odilo")
	require.NoError(t, err)
	require.Equal(t, "why", flag.Note)
	require.Equal(t, ours, sentinel.Installation)

	put(t, filepath.Join(path, pause.SentinelName), "garbage")
	flag, sentinel, err = d.Check("odilo")
	require.ErrorIs(t, err, pause.ErrBadSentinel)
	require.True(t, flag.Present, "the flag pauses the project all the same")
	require.Zero(t, sentinel)

	_, _, err = d.Check("../odilo")
	require.ErrorIs(t, err, pause.ErrID)
}

func TestConcurrentInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "pause")
	d := pause.New(path)
	ids := []string{ours, theirs, strings.Repeat("a", 32), strings.Repeat("b", 32)}
	errs := make([]error, 32)
	each(len(errs), func(i int) { errs[i] = d.Init(ids[i%len(ids)]) })

	sentinel, err := d.Sentinel()
	require.NoError(t, err)
	for i, err := range errs {
		if ids[i%len(ids)] == sentinel.Installation {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, pause.ErrOtherInstallation)
		}
	}
}

// A container that mounts the directory goes on with the one that was removed, also when another one is in its place.
func TestSentinelOfARemovedDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	require.NoError(t, pause.New(path).Init(ours))
	open, err := os.Open(path)
	require.NoError(t, err)
	defer open.Close()
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, pause.New(path).Init(ours))

	mounted := fmt.Sprintf("/proc/self/fd/%d", open.Fd())
	_, err = pause.New(mounted).Sentinel()
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	require.ErrorIs(t, err, pause.ErrRemoved)
	require.ErrorContains(t, err, "make it again where it is mounted from, then restart the container")
	require.ErrorIs(t, pause.New(mounted).Init(ours), pause.ErrRemoved)
}
