package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// What can be wrong, for [errors.Is]. The errors that the package returns wrap
// these and say which path is meant and what to do about it. A missing
// permission is [fs.ErrPermission], as always.
var (
	// ErrID: a project id that may not be used as one.
	ErrID = errors.New("bad project id")

	// ErrNoDir: the pause directory does not exist. It was never made, or what
	// it lies on is not mounted. Never to be read as "not paused".
	ErrNoDir = errors.New("the pause directory does not exist")

	// ErrNotDir: there is something at the pause directory's path, or above
	// it, that is no directory.
	ErrNotDir = errors.New("the pause directory is not a directory")

	// ErrNoSentinel: the directory is there, its sentinel is not. The directory
	// may have been wiped, so a missing flag means nothing.
	ErrNoSentinel = errors.New("the pause directory has no sentinel")

	// ErrBadSentinel: the sentinel is no regular file, or holds something other
	// than an installation's id.
	ErrBadSentinel = errors.New("the sentinel of the pause directory is damaged")

	// ErrOtherInstallation: the sentinel names an installation other than the
	// one asked for.
	ErrOtherInstallation = errors.New("the pause directory belongs to another installation")
)

// What a user needs for the three things that are done with the directory.
const (
	toLook  = "must be able to read and search the directory (r-x), and to search those above it (--x)"
	toRead  = "must be able to read the file (r--), and to search the directory (--x)"
	toWrite = "must be able to write to the directory (rwx), and to search those above it (--x)"
)

// failed says what failed, on which path, why, and what can be done about it.
// need is one of the texts above.
func failed(what, path string, err error, need string) error {
	return fmt.Errorf("%s %s: %w; %s", what, path, cause(err), advice(err, need))
}

// cause takes off the system call and the name that the os package adds: the
// name is relative to the directory, and the message has the whole path.
func cause(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}

func advice(err error, need string) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d, as which this runs, %s", os.Geteuid(), need)
	case full(err):
		return "make room on the file system, or raise the quota"
	case errors.Is(err, syscall.EROFS):
		return "the file system has to be mounted for writing"
	case errors.Is(err, fs.ErrNotExist):
		return "the directory was removed or replaced just now: try again"
	default:
		return "see whether the file system is mounted and sound, then try again"
	}
}
