package hostlocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/store"
)

// LeastRoom is how many bytes must be free on a disk to store a result with its output.
const LeastRoom = 64 << 10

// DiskProblem returns why nothing can be written to a directory's disk, without writing to it: it is read-only, fails, or
// has fewer than least bytes or no inodes left. It returns "" if there is no problem or none can be found.
func DiskProblem(dir string, least uint64) string {
	var fs unix.Statfs_t
	statErr := unix.Statfs(dir, &fs)
	// After an error Linux stops all writing, and refuses a sync. The flags of the mount do not always say so.
	syncErr := syncDir(dir)
	switch {
	case statErr == nil && fs.Flags&unix.ST_RDONLY != 0, errors.Is(syncErr, unix.EROFS):
		return store.MountedReadOnly
	case errors.Is(syncErr, unix.EIO):
		return fmt.Sprintf("the disk fails: %v; see `dmesg`", syncErr)
	case statErr != nil:
		return ""
	}
	switch free := fs.Bavail * uint64(fs.Bsize); {
	case fs.Blocks > 0 && free < least:
		return fmt.Sprintf("the disk is full: make room (%d bytes are free)", free)
	case fs.Files > 0 && fs.Ffree == 0:
		return "the disk is full: make room (it has no inodes left, see `df -i`: remove some files)"
	}
	return ""
}

// InMemory reports whether a directory, or where it would be made, is on a file system that a reboot empties.
func InMemory(dir string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	for errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &fs)
	}
	return err == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC)
}

// CanOpenFiles reports whether this process may open n files more.
func CanOpenFiles(n int) bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return true
	}
	open, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	return err == nil && uint64(len(open)-1+n) <= limit.Cur // one of them was for reading the directory
}
