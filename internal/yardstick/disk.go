package yardstick

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// OnDisk fails the benchmark if dir is on a file system in memory, where syncing costs nothing.
func OnDisk(b *testing.B, dir string) {
	b.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		b.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		b.Fatalf("%s is on a file system in memory, where syncing costs nothing: set TMPDIR to a directory on a disk", dir)
	}
}

// Append returns the yardstick of durable writes: it appends a record of the given size to a file of its own in dir and
// calls fdatasync.
func Append(b *testing.B, dir string, size int) func() {
	b.Helper()
	OnDisk(b, dir)
	f, err := os.OpenFile(filepath.Join(dir, "yardstick"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	record := make([]byte, size)
	return func() {
		if _, err := f.Write(record); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
}
