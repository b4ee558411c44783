package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Errors for [errors.Is]. The errors that this package returns wrap them and
// add the path and a fix. Missing rights are [fs.ErrPermission].
var (
	// ErrID: the string is not a project id, see [CheckID].
	ErrID = errors.New("bad project id")

	// ErrSentinelID: the string is not the id of an installation or a directory,
	// see [IsRandomID].
	ErrSentinelID = errors.New("bad id for a sentinel")

	// ErrNoDir: the pause directory does not exist: it was never created or its
	// file system is not mounted. This never means "not paused".
	ErrNoDir = errors.New("the pause directory does not exist")

	// ErrDeadLink: a link leads nowhere, most likely to a file system that is not
	// mounted. See [DeadLink].
	ErrDeadLink = errors.New("does not exist: mount the file system that it leads to, or correct the link")

	// ErrClosed: a directory above a path is closed to everybody. See [Closed].
	ErrClosed = errors.New("is closed to everybody, as by ProtectHome= or InaccessiblePaths= of a unit: " +
		"move what adfbot needs out of it, or change the unit, and restart that; if no unit does it, run chmod u+rwx,go+rx on it")

	// ErrNotDir: the path of the pause directory, or one of its parents, is not
	// a directory.
	ErrNotDir = errors.New("the pause directory is not a directory")

	// ErrNoSentinel: the pause directory exists without its sentinel. It may
	// have been emptied, so a missing flag proves nothing.
	ErrNoSentinel = errors.New("the pause directory has no sentinel")

	// ErrRemoved: the pause directory was removed, and this process still sees
	// it, because its container mounts it. ErrNoSentinel comes with it.
	ErrRemoved = errors.New("the directory was removed, and a container still mounts it")

	// ErrBadSentinel: the sentinel is not a regular file or does not hold the id
	// of an installation.
	ErrBadSentinel = errors.New("the sentinel of the pause directory is damaged")

	// ErrOtherInstallation: the sentinel names another installation.
	ErrOtherInstallation = errors.New("the pause directory belongs to another installation")

	// ErrOtherDirectory: the sentinel is that of another pause directory of the
	// installation. Only a caller who knows the right one can tell.
	ErrOtherDirectory = errors.New("this is not the pause directory that was used last")

	// ErrOtherMark: the mark of the pause directory is not the one that the caller
	// left there, so the directory may have gone back in time.
	ErrOtherMark = errors.New("another process or host writes to the pause directory, or it was restored")
)

// Rights needed for an operation.
const (
	needSearch = "read and search the directory (r-x) and search its parents (--x)"
	needRead   = "read the file (r--) and search the directory (--x)"
	needWrite  = "write to the directory (rwx) and search its parents (--x)"
)

// failed returns an error that names the attempt, the path, the cause and a fix.
// need is one of the constants above.
func failed(attempt, path string, err error, need string) error {
	help := fix(err, need)
	if closed := Closed(path); closed != nil && errors.Is(err, fs.ErrPermission) {
		help = closed.Error()
	}
	if errors.Is(err, syscall.EBUSY) {
		help = "something is mounted there: run umount " + path + ", then try again"
	}
	return fmt.Errorf("%s %s: %w; %s", attempt, path, cause(err), help)
}

// cause strips the system call and the file name, which is relative to the
// directory: the caller adds the full path.
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

func fix(err error, need string) string {
	switch {
	case errors.Is(err, syscall.EPERM) && os.Geteuid() == 0:
		return "the file or its directory may be immutable: see lsattr"
	case errors.Is(err, syscall.EPERM):
		return "in a directory with the sticky bit (ls -ld), only root and the owners of the file and the directory can; or one of them is immutable: see lsattr"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d must be able to %s", os.Geteuid(), need)
	case errors.Is(err, syscall.EFBIG):
		return "raise the limit on the size of files (ulimit -f, or LimitFSIZE= in a unit)"
	case IsFull(err):
		return "free space on the file system or raise the quota"
	case errors.Is(err, syscall.EROFS):
		return "mount the file system for writing; in a unit with ProtectSystem=, name the directory in ReadWritePaths=, " +
			"or restart the unit if the directory was made after it started; in a container, mount it from the machine"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit on open files (ulimit -n, or LimitNOFILE= in a unit)"
	case errors.Is(err, fs.ErrNotExist):
		return "the directory was just removed or replaced: try again"
	default:
		return "check that the file system is mounted and sound, then try again"
	}
}

// IsFull reports whether an error means that there is no room: an empty file may
// still be possible.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// noDir returns the error for a directory that does not exist.
func noDir(path string) error {
	if err := DeadLink(path); err != nil {
		if _, lstatErr := os.Lstat(path); lstatErr == nil { // the link is named once
			return fmt.Errorf("%w: %w", ErrNoDir, err)
		}
		return fmt.Errorf("%w: %s: %w", ErrNoDir, path, err)
	}
	return fmt.Errorf("%w: %s; mount the file system it is on, or create it again with its flags", ErrNoDir, path)
}

func notDir(path string) error {
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.Mode()&fs.ModeDevice != 0 {
			where := path + ": it is a device"
			if at != path {
				where = path + ": " + at + " is a device"
			}
			return fmt.Errorf("%w: %s; choose another pause directory", ErrNotDir, where)
		}
		if err == nil || at == filepath.Dir(at) {
			break
		}
	}
	return fmt.Errorf("%w: %s; move away the file at this path or above it, or choose another pause directory", ErrNotDir, path)
}
