package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/terraphim/adfbot/pause"
)

// Errors for [errors.Is].
var (
	// ErrUnusable: the state is damaged, missing, read-only, on a full disk, locked for long, or closed to this user.
	ErrUnusable = errors.New("state not usable")

	// ErrDenied, always together with ErrUnusable: this user may not write the state. Another user may.
	ErrDenied = errors.New("the state is not this user's to write")

	// ErrLogGone, always together with ErrUnusable: the log of the open state was removed. Closing the state saves what is in it;
	// until then, the process must not open the state again.
	ErrLogGone = errors.New("the latest results are only in this process")

	// ErrNewer: a later version of adfbot has written the state.
	ErrNewer = errors.New("a newer version of adfbot has upgraded the state: use that version, and restart a daemon that was started before the upgrade (see `adfbot help upgrade`)")

	// ErrConflict: the run was recorded with another outcome.
	ErrConflict = errors.New("this run was already recorded with another outcome")

	// ErrTooManyRuns: too many runs of the project were reported to begin and have no result.
	ErrTooManyRuns = fmt.Errorf("%d runs of the project have begun and no result of them was reported", MaxReportedRuns)

	// ErrPaused: the project has an open incident.
	ErrPaused = errors.New("the project has an open incident")

	// ErrNoIncident: the incident after which a page begins does not exist.
	ErrNoIncident = errors.New("there is no such incident")
)

// UnusableError reports that a file or directory of the state can't be used, and how to fix it. It is [ErrUnusable].
type UnusableError struct {
	Path    string
	Advice  string
	Denied  bool // it is [ErrDenied] too
	Missing bool // nothing is there
	Err     error
}

func (e *UnusableError) Error() string {
	return fmt.Sprintf("%v: %s: %s: %v", ErrUnusable, e.Path, e.Advice, e.Err)
}

func (e *UnusableError) Unwrap() error { return e.Err }

func (e *UnusableError) Is(target error) bool {
	return target == ErrUnusable || e.Denied && target == ErrDenied
}

// NoState reports whether an error of a state that was opened to be read means that there is none yet. While one cannot be reached, something
// else may be missing, too: the server's socket, the file of a certificate or of a password.
func NoState(err error) bool {
	var unusable *UnusableError
	if errors.As(err, &unusable) {
		return unusable.Missing
	}
	return errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrUnusable)
}

// LostShared is the advice where the database that hosts share has no state.
const LostShared = "correct `state`, or wait until the database is restored; if its state is lost, and there is no backup, " +
	"`adfbot restore` on one host makes a new one, in which open incidents are rebuilt from flags and issues"

// MountedReadOnly is the advice on a file system that is mounted read-only, perhaps for this unit of systemd alone.
const MountedReadOnly = "its file system is mounted read-only, which Linux does by itself after a disk error: see `dmesg`, then mount it for writing; " +
	"in a unit with ProtectSystem=, name the directory in ReadWritePaths=, or restart the unit if the directory was made after it started; " +
	"in a container, mount it from the machine or a volume"

// TooManyFiles is the advice where no more files can be opened.
const TooManyFiles = "no more files can be opened: raise the limit (`ulimit -n`, or LimitNOFILE= in a unit)"

// Unusable returns err as an [*UnusableError]. The advice follows from err if it is "".
func Unusable(path, advice string, err error) error {
	missing := advice == "" && errors.Is(err, fs.ErrNotExist)
	switch {
	case errors.Is(err, ErrUnusable):
		return err
	case advice != "":
	case errors.Is(err, fs.ErrPermission):
		advice = "this user may not do that: see `adfbot check`"
		if closed := pause.Closed(path); closed != nil {
			advice = closed.Error()
		}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room, or remove files where only inodes ran out (`df`, `df -i`)"
	case errors.Is(err, syscall.EFBIG):
		advice = "raise the limit on the size of files (ulimit -f, or LimitFSIZE= in a unit)"
	case missing:
		advice = "nothing is there"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		advice = TooManyFiles
	case errors.Is(err, syscall.EROFS):
		advice = MountedReadOnly
	default:
		advice = "see whether `state` names the right file and its disk is mounted"
	}
	denied := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
	return &UnusableError{Path: path, Advice: advice, Denied: denied, Missing: missing, Err: err}
}

// Link reports a symbolic link in the place of a file or directory of the state. Any member of its group could plant one, for
// root to follow.
func Link(path, fix string) error {
	return Unusable(path, "this is a symbolic link, which adfbot does not follow: "+fix, syscall.ELOOP)
}

// FileError returns an error of the file system as an [*UnusableError], and any other error unchanged.
func FileError(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return Unusable(path, "", err)
	}
	for _, errno := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT, syscall.EIO, syscall.ENOTDIR,
		syscall.EMFILE, syscall.ENFILE, syscall.EFBIG} {
		if errors.Is(err, errno) {
			return Unusable(path, "", err)
		}
	}
	return err
}
