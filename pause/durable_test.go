package pause_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

func openRoot(t *testing.T, path string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return root
}

func TestWriteFileDurable(t *testing.T) {
	path := t.TempDir()
	root := openRoot(t, path)
	file := filepath.Join(path, "result")
	for _, content := range []string{"old", "new"} {
		require.NoError(t, pause.WriteFileDurable(root, "result", []byte(content), 0o600))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.Equal(t, []string{"result"}, names(t, path))
	}

	t.Run("permissions", func(t *testing.T) {
		for _, perm := range []os.FileMode{0o600, 0o660, 0o644} {
			require.Empty(t, child{Do: "durable", Dir: path, ID: "result", Perm: perm, Umask: 0o077}.do(t).Err)
			fi, err := os.Stat(file)
			require.NoError(t, err)
			require.Equal(t, perm, fi.Mode())
		}
	})

	t.Run("link", func(t *testing.T) {
		outside := filepath.Join(t.TempDir(), "outside")
		put(t, outside, "precious")
		require.NoError(t, os.Remove(file))
		require.NoError(t, os.Symlink(outside, file))
		require.NoError(t, pause.WriteFileDurable(root, "result", []byte("new"), 0o600))
		fi, err := os.Lstat(file)
		require.NoError(t, err)
		require.True(t, fi.Mode().IsRegular(), "the link is replaced")
		got, err := os.ReadFile(outside)
		require.NoError(t, err)
		require.Equal(t, "precious", string(got))
	})

	t.Run("path outside", func(t *testing.T) {
		require.ErrorContains(t, pause.WriteFileDurable(root, "../result", nil, 0o600), "path escapes")
		require.Equal(t, []string{"result"}, names(t, path))
	})
}

func TestWriteFileDurableErrors(t *testing.T) {
	for _, step := range []string{"temp", "content", "sync", "rename"} {
		t.Run(step, func(t *testing.T) {
			path := t.TempDir()
			put(t, filepath.Join(path, "result"), "old")
			failing(t, step, syscall.ENOSPC)
			err := pause.WriteFileDurable(openRoot(t, path), "result", []byte("new"), 0o600)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.EqualError(t, err, "write "+filepath.Join(path, "result")+
				": no space left on device; free space on the file system or raise the quota")
			require.Equal(t, []string{"result"}, names(t, path))
			got, err := os.ReadFile(filepath.Join(path, "result"))
			require.NoError(t, err)
			require.Equal(t, "old", string(got))
		})
	}
}

func TestWriteFileDurableCrash(t *testing.T) {
	for step, want := range map[string]string{"temp": "old", "content": "old", "sync": "old", "rename": "old", "syncdir": "new"} {
		t.Run("before "+step, func(t *testing.T) {
			path := t.TempDir()
			put(t, filepath.Join(path, "result"), "old")
			child{Do: "durable", Dir: path, ID: "result", Note: "new", Perm: 0o600, KillAt: step}.die(t)
			got, err := os.ReadFile(filepath.Join(path, "result"))
			require.NoError(t, err)
			require.Equal(t, want, string(got))

			age(t, path)
			pause.RemoveOldTemps(openRoot(t, path))
			require.Equal(t, []string{"result"}, names(t, path))
		})
	}
}

func TestWriteFileDurableOwner(t *testing.T) {
	testhost.NeedRoot(t, "to give files away")
	path := t.TempDir()
	require.NoError(t, os.Chown(path, 1234, 2345))
	require.NoError(t, pause.WriteFileDurable(openRoot(t, path), "result", nil, 0o600))
	fi, err := os.Stat(filepath.Join(path, "result"))
	require.NoError(t, err)
	stat := fi.Sys().(*syscall.Stat_t)
	require.Equal(t, []uint32{1234, 2345}, []uint32{stat.Uid, stat.Gid})
}

func TestRemoveOldTemps(t *testing.T) {
	d, path := newDir(t)
	old := time.Now().Add(-61 * time.Minute)
	leave := func(name string, at time.Time) {
		put(t, filepath.Join(path, name), "")
		require.NoError(t, os.Chtimes(filepath.Join(path, name), at, at))
	}
	leave(".tmp-old", old)
	leave(".tmp-young", time.Now().Add(-59*time.Minute))
	leave(".other", old)
	leave("held", old)
	require.NoError(t, os.Mkdir(filepath.Join(path, ".tmp-dir"), 0o755))
	require.NoError(t, os.Chtimes(filepath.Join(path, ".tmp-dir"), old, old))

	_, err := d.Write("odilo", "")
	require.NoError(t, err)
	require.Contains(t, names(t, path), ".tmp-old", "a writer does not list the directory")

	kept := []string{pause.SentinelName, ".other", ".tmp-dir", ".tmp-young", "held", "odilo"}
	d.RemoveOldTemps()
	require.Equal(t, kept, names(t, path))
	leave(".tmp-old", old)
	require.NoError(t, d.Init(ours))
	require.Equal(t, kept, names(t, path))

	missing := filepath.Join(path, "missing")
	pause.New(missing).RemoveOldTemps()
	require.NoDirExists(t, missing)
}
