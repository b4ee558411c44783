package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
)

// Moved tells, with an error that is [store.ErrUnusable], that the file of this open state is no longer the one at its path: it
// was removed, moved or replaced by a copy. SQLite would go on with the file that it has open, and whatever is stored
// there is lost with it. Every transaction asks; an own file is needed, so it costs one system call.
func (s *Store) Moved() error {
	is, err := os.Stat(s.path)
	switch {
	case err == nil && os.SameFile(is, s.opened):
		return nil
	case err == nil:
		err = errors.New("another file is there")
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return nil // that it can't be looked at says nothing about the file that is open
	}
	return store.Unusable(s.path, "it was removed or replaced while adfbot had it open: put it back, or begin with what is there now (a daemon does so by itself within a minute)", err)
}

// File is the file that this state was opened from: os.SameFile tells whether another open state is the same one.
func (s *Store) File() os.FileInfo { return s.opened }

// whyClosed returns why SQLite can't open or write the file, and whether another user might. Rights are only the last guess.
func (s *Store) whyClosed() (advice string, denied bool) {
	info, err := os.Stat(s.path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return "this is no file: move it away, or set `state` to another path", false
	case errors.Is(err, fs.ErrNotExist):
		return "nothing is there", false
	}
	if problem := Trouble(filepath.Dir(s.path), 1); problem != "" {
		return problem, problem == store.MountedReadOnly // it may be so for this process alone
	}
	return "this user may not write the file or its directory: see `adfbot check` for the chown or chmod", true
}

// stReadOnly is ST_RDONLY of statvfs(3).
const stReadOnly = 1

// diskError tells that nothing can be written to a directory's disk, without writing to it. A sync is refused where Linux
// has stopped all writing after an error; the mount's flags do not always say so.
func diskError(dir string) error {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil && st.Flags&stReadOnly != 0 {
		return syscall.EROFS
	}
	if err := syncDir(dir); errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO) {
		return err
	}
	return nil
}

// LeastRoom is how many bytes of a disk have to be free for a result with its output to be stored.
const LeastRoom = 64 << 10

// Trouble says why a directory's disk would take nothing, where it is read-only, fails, or has fewer than least bytes or no
// inodes left; else "". What can't be asked is no trouble.
func Trouble(dir string, least uint64) string {
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
