// Package testhost gives tests what they need of the machine: root, another user, disks that are small, full or read-only.
// A test is skipped where the machine does not have it.
package testhost

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nobody is a user to whom permissions apply.
const Nobody = 65534

// NeedRoot skips the test without root. why ends the sentence "needs root".
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root ", why)
	}
}

// PublicDir is a temporary directory that every user can get to. It is removed also where the test took rights away in it.
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
			t.Skipf("other users can't get to %s; set TMPDIR to a public directory", up)
		}
	}
	return path
}

// PublicCopy makes a hard link or copy of a program that every user can run.
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

// Disk mounts a file system of its own over a directory, which is made. options are those of tmpfs(5), such as "size=2m".
func Disk(t testing.TB, dir, options string) {
	t.Helper()
	NeedRoot(t, "to mount a small disk")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options+",mode=755"); err != nil {
		t.Skip("nothing may be mounted here: ", err)
	}
	t.Cleanup(func() { require.NoError(t, unmount(dir)) })
}

// NewDisk is [Disk] in a directory of the test's own.
func NewDisk(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	Disk(t, dir, options)
	return dir
}

// Fill fills the disk under a directory and returns what makes room again.
func Fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
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

// ReadOnly makes a file or directory one that nobody may write, not even root, until writable is called.
func ReadOnly(t testing.TB, path string) (writable func()) {
	t.Helper()
	undo := func() error { return unmount(path) }
	if os.Geteuid() == 0 {
		if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
			t.Skip("root may write everywhere, and nothing may be mounted here: ", err)
		}
	} else {
		info, err := os.Stat(path)
		require.NoError(t, err)
		undo = func() error { return os.Chmod(path, info.Mode().Perm()) }
	}
	writable = sync.OnceFunc(func() { require.NoError(t, undo()) })
	t.Cleanup(writable)
	if os.Geteuid() == 0 {
		require.NoError(t, syscall.Mount("", path, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	} else {
		require.NoError(t, os.Chmod(path, 0o555))
	}
	return writable
}

// RemountReadOnly makes a [Disk] read-only for everybody, as Linux does by itself after an error.
func RemountReadOnly(t testing.TB, dir string) {
	t.Helper()
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
}

func unmount(path string) error { return syscall.Unmount(path, syscall.MNT_DETACH) }
