// Package testhost gives tests what they need of the machine: root, another user, disks that are small, full or read-only.
// A test is skipped where the machine does not have it.
package testhost

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Nobody is the id of a user that is not root.
const Nobody = 65534

// NeedRoot skips the test if it does not run as root. why completes the sentence "needs root …".
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root ", why)
	}
}

// PublicDir returns a temporary directory that every user can read. The cleanup removes it even if the test has changed
// permissions in it.
func PublicDir(t testing.TB) string {
	t.Helper()
	path, err := os.MkdirTemp("", "adfbot-test-")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, _ error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(p, 0o755)
			}
			return nil
		})
		require.NoError(t, os.RemoveAll(path))
	})
	require.NoError(t, os.Chmod(path, 0o755))
	for up := filepath.Dir(path); up != "/"; up = filepath.Dir(up) {
		if fi, err := os.Stat(up); err != nil || fi.Mode().Perm()&0o001 == 0 {
			t.Skipf("other users cannot enter %s: set TMPDIR to a public directory", up)
		}
	}
	return path
}

// PublicCopy returns a hard link to a program, or a copy, that every user can run.
func PublicCopy(t testing.TB, program string) string {
	t.Helper()
	to := filepath.Join(PublicDir(t), "test")
	if os.Link(program, to) != nil {
		b, err := os.ReadFile(program)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, b, 0o755))
	}
	return to
}

// Disk creates dir and mounts a file system in memory there. options are those of tmpfs(5), e.g. "size=2m".
func Disk(t testing.TB, dir, options string) {
	t.Helper()
	NeedRoot(t, "to mount a small disk")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options+",mode=755"); err != nil {
		t.Skip("cannot mount a file system: ", err)
	}
	t.Cleanup(func() { require.NoError(t, unmount(dir)) })
}

// NewDisk is [Disk] in a new temporary directory.
func NewDisk(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	Disk(t, dir, options)
	return dir
}

// Ext4 mounts a new file system of the type ext4 with 8 MiB in a new temporary directory. options are those of mkfs.ext4(8).
func Ext4(t testing.TB, options ...string) (dir string) {
	t.Helper()
	NeedRoot(t, "to mount a file system")
	disk, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	require.NoError(t, os.WriteFile(disk, nil, 0o600))
	require.NoError(t, os.Truncate(disk, 8<<20))
	for _, args := range [][]string{append(append([]string{"mkfs.ext4", "-q", "-F"}, options...), disk), {"mount", "-o", "loop", disk, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no ext4 may be mounted here: %s: %v %s", args[0], err, out)
		}
	}
	t.Cleanup(func() { require.NoError(t, unmount(dir)) })
	return dir
}

// Fill fills the disk that holds dir. empty frees the space again.
func Fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
	// A process that another test starts has this one's files open until it runs its program, and with them the room of those removed by now.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	name := filepath.Join(dir, "fill")
	f, err := os.Create(name)
	require.NoError(t, err)
	for _, size := range []int{64 << 10, 4096} {
		for chunk := make([]byte, size); err == nil; {
			_, err = f.Write(chunk)
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		err = nil
	}
	require.NoError(t, f.Close())
	return func() { require.NoError(t, os.Remove(name)) }
}

// ReadOnly makes a file or directory read-only for everyone, including root, until the test calls writable.
func ReadOnly(t testing.TB, path string) (writable func()) {
	t.Helper()
	undo := func() error { return unmount(path) }
	if os.Geteuid() == 0 {
		if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
			t.Skip("root ignores permissions, and a read-only mount is not possible: ", err)
		}
	} else {
		info, err := os.Stat(path)
		require.NoError(t, err)
		undo = func() error { return os.Chmod(path, info.Mode().Perm()) }
	}
	writable = sync.OnceFunc(func() { require.NoError(t, undo()) })
	t.Cleanup(writable)
	if os.Geteuid() == 0 {
		remountReadOnly(t, path, syscall.MS_BIND)
	} else {
		require.NoError(t, os.Chmod(path, 0o555))
	}
	return writable
}

// RemountReadOnly makes a [Disk] read-only for everyone, as Linux does after an I/O error.
func RemountReadOnly(t testing.TB, dir string) {
	t.Helper()
	remountReadOnly(t, dir, 0)
}

// remountReadOnly waits for processes that tests which run at the same time have forked: until such a process executes its program, it has
// all files open that its parent has.
func remountReadOnly(t testing.TB, dir string, flags uintptr) {
	t.Helper()
	var err error
	require.Eventually(t, func() bool {
		err = syscall.Mount("", dir, "", flags|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		return !errors.Is(err, syscall.EBUSY)
	}, Patience, time.Millisecond, "%s stays busy", dir)
	require.NoError(t, err)
}

func unmount(path string) error { return syscall.Unmount(path, syscall.MNT_DETACH) }
