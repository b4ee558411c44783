package hostlocal

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
)

// LeastRoom is how many bytes must be free on a disk to store a result with its output.
const LeastRoom = 64 << 10

// DiskProblem returns why nothing can be written to a directory's disk, without writing to it: it is read-only, fails, or
// has fewer than least bytes or no inodes left. It returns "" if there is no problem or none can be found.
func DiskProblem(dir string, least uint64) string {
	switch err := diskError(dir); {
	case errors.Is(err, syscall.EROFS):
		return store.MountedReadOnly
	case err != nil:
		return fmt.Sprintf("the disk fails: %v; see `dmesg`", err)
	}
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return ""
	}
	switch free := st.Bavail * uint64(st.Bsize); {
	case st.Blocks > 0 && free < least:
		return fmt.Sprintf("the disk is full: make room (%d bytes are free)", free)
	case st.Files > 0 && st.Ffree == 0:
		return "the disk is full: make room (it has no inodes left, see `df -i`: remove some files)"
	}
	return ""
}

// mountedReadOnly is ST_RDONLY of statvfs(3).
const mountedReadOnly = 1

// diskError looks at the mount's flags and tries a sync. Linux refuses the sync after it has stopped all writing because of
// an error; the flags do not always say so.
func diskError(dir string) error {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil && st.Flags&mountedReadOnly != 0 {
		return syscall.EROFS
	}
	if err := syncDir(dir); errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO) {
		return err
	}
	return nil
}
