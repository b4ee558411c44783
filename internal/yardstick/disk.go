package yardstick

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// OnDisk refuses a directory on a file system in memory, where nothing has to be waited for and figures mean nothing.
func OnDisk(b *testing.B, dir string) {
	b.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		b.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		b.Fatalf("%s is in memory, where nothing has to be waited for: set TMPDIR to a directory on a disk", dir)
	}
}

// Append returns what durable writes are held against: it appends a record of the given size to a file of its own under
// dir, on a disk, and waits until it is there (fdatasync).
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
