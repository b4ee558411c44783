package pause_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

func TestWrite(t *testing.T) {
	d, path := newDir(t)
	created, err := d.Write("odilo", "project-meta failed 3 times\n")
	require.NoError(t, err)
	require.True(t, created)
	content, err := os.ReadFile(d.FlagPath("odilo"))
	require.NoError(t, err)
	require.Equal(t, "project-meta failed 3 times\n", string(content))
	require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path), "no temporary file is left")
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), flag.Since, time.Minute)
}

func TestWriteCreatesParents(t *testing.T) {
	d := pause.New(filepath.Join(t.TempDir(), "deep/dir/pause"))
	created, err := d.Write("odilo", "")
	require.NoError(t, err)
	require.True(t, created)
	_, err = os.Stat(d.FlagPath("odilo"))
	require.NoError(t, err)
	_, err = d.Sentinel()
	require.ErrorIs(t, err, pause.ErrNoSentinel, "only Init writes the sentinel")
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	d := pause.New("deep/pause")
	created, err := d.Write("odilo", "")
	require.NoError(t, err)
	require.True(t, created)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.True(t, flag.Present)
}

func TestWriteExistingFlag(t *testing.T) {
	d, path := newDir(t)
	put(t, filepath.Join(path, "odilo"), "from a person")
	before, err := os.Stat(d.FlagPath("odilo"))
	require.NoError(t, err)
	created, err := d.Write("odilo", "from the bot")
	require.NoError(t, err)
	require.False(t, created)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.Equal(t, "from a person", flag.Note)
	require.True(t, flag.Since.Equal(before.ModTime()))
}

func TestUmask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "pause")
	require.Empty(t, child{Do: "init", Dir: path, ID: ours, Umask: 0o077}.do(t).Err)
	require.True(t, child{Do: "write", Dir: path, ID: "odilo", Umask: 0o077}.do(t).Did)
	require.True(t, child{Do: "write", Dir: path, ID: "full", Umask: 0o077,
		FailAt: map[string]int{"content": int(syscall.ENOSPC)}}.do(t).Did)
	for name, want := range map[string]os.FileMode{
		"..": 0o755 | os.ModeDir, ".": 0o755 | os.ModeDir, pause.SentinelName: 0o644, "odilo": 0o644, "full": 0o644,
	} {
		fi, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		require.Equal(t, want, fi.Mode(), name)
	}
}

func TestSetgid(t *testing.T) {
	parent := t.TempDir()
	require.NoError(t, os.Chmod(parent, 0o755|os.ModeSetgid))
	path := filepath.Join(parent, "deep", "pause")
	require.Empty(t, child{Do: "init", Dir: path, ID: ours, Umask: 0o077}.do(t).Err)
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, 0o755|os.ModeDir|os.ModeSetgid, fi.Mode())
}

func TestOwner(t *testing.T) {
	testhost.NeedRoot(t, "to give files away")
	const uid, gid = 1234, 2345
	parent := t.TempDir()
	require.NoError(t, os.Chown(parent, uid, gid))
	path := filepath.Join(parent, "deep", "pause")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	_, err := d.Write("odilo", "")
	require.NoError(t, err)
	for _, name := range []string{"..", ".", pause.SentinelName, "odilo"} {
		fi, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		stat := fi.Sys().(*syscall.Stat_t)
		require.Equal(t, []uint32{uid, gid}, []uint32{stat.Uid, stat.Gid}, name)
	}
}

func TestRemove(t *testing.T) {
	d, path := newDir(t)
	_, err := d.Write("odilo", "")
	require.NoError(t, err)
	_, err = d.Write("digital-twins", "")
	require.NoError(t, err)
	removed, err := d.Remove("odilo")
	require.NoError(t, err)
	require.True(t, removed)
	removed, err = d.Remove("odilo")
	require.NoError(t, err)
	require.False(t, removed)
	require.Equal(t, []string{pause.SentinelName, "digital-twins"}, names(t, path))
}

func TestRemoveDirectory(t *testing.T) {
	d, path := newDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(path, "odilo"), 0o755))
	removed, err := d.Remove("odilo")
	require.False(t, removed)
	require.ErrorIs(t, err, syscall.EISDIR)
	require.ErrorContains(t, err, d.FlagPath("odilo")+": is a directory")
	require.ErrorContains(t, err, "after umount "+d.FlagPath("odilo")+" if something is mounted there")
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.True(t, paused)
}

// A container may have a file of the machine in the flag's place.
func TestRemoveMountPoint(t *testing.T) {
	testhost.NeedRoot(t, "to mount something over the flag")
	d, path := newDir(t)
	_, err := d.Write("odilo", "")
	require.NoError(t, err)
	flag := d.FlagPath("odilo")
	require.NoError(t, syscall.Mount(filepath.Join(path, pause.SentinelName), flag, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { _ = syscall.Unmount(flag, syscall.MNT_DETACH) })
	removed, err := d.Remove("odilo")
	require.False(t, removed)
	require.ErrorIs(t, err, syscall.EBUSY)
	require.ErrorContains(t, err, "; something is mounted there: run umount "+flag+", then try again")
}

func TestWithoutHardLinks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		t.Run(errno.Error(), func(t *testing.T) {
			path := t.TempDir()
			d := pause.New(path)
			failing(t, "link", errno)
			require.NoError(t, d.Init(ours))
			require.ErrorIs(t, d.Init(theirs), pause.ErrOtherInstallation)
			notes := make([]string, 8)
			wins := make([]bool, 8)
			each(8, func(i int) {
				notes[i] = strings.Repeat(string(rune('a'+i)), 1000)
				wins[i], _ = d.Write("odilo", notes[i])
			})
			flag, err := d.Look("odilo")
			require.NoError(t, err)
			winners := 0
			for i, won := range wins {
				if won {
					winners++
					require.Equal(t, notes[i], flag.Note)
				}
			}
			require.Equal(t, 1, winners)
			require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path))
		})
	}
}

func TestWriteFailedStep(t *testing.T) {
	for _, step := range []string{"temp", "content", "sync", "link"} {
		t.Run(step, func(t *testing.T) {
			d, path := newDir(t)
			failing(t, step, syscall.EIO)
			created, err := d.Write("odilo", "note")
			require.False(t, created)
			require.ErrorIs(t, err, syscall.EIO)
			require.ErrorContains(t, err, "write the pause flag "+d.FlagPath("odilo")+": input/output error")
			require.Equal(t, []string{pause.SentinelName}, names(t, path))
		})
	}
}

func TestFailedSync(t *testing.T) {
	d, _ := newDir(t)
	failure := syscall.EIO
	synced := 0
	t.Cleanup(pause.SetFault(func(step string) error {
		if step == "syncdir" {
			if failure != 0 {
				return failure
			}
			synced++
		}
		return nil
	}))
	created, err := d.Write("odilo", "note")
	require.True(t, created)
	require.ErrorIs(t, err, syscall.EIO)
	failure = 0
	created, err = d.Write("odilo", "note")
	require.False(t, created)
	require.NoError(t, err)
	require.Equal(t, 1, synced, "the second call syncs for the first")
	_, err = d.Remove("odilo")
	require.NoError(t, err)
	_, err = d.Remove("odilo")
	require.NoError(t, err)
	require.Equal(t, 3, synced, "Remove syncs too, even if the flag was gone")
}
