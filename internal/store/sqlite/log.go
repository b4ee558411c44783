package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// logSuffixes name the log and its index. SQLite removes them when the last process closes the state, never before. If somebody
// else removes them, processes that have the state open go on with the removed files, and save what these hold when they close it.
// Until then, no other process may create new ones: what it stored would be overwritten.
var logSuffixes = [2]string{"-wal", "-shm"}

// errLogInUse is worth a retry: see [Store.checkLogInUse].
var errLogInUse = errors.New("the latest results are only in that process")

// statLog saves the identity of the log and its index for [Store.logMoved], and has the group of the directory use them: SQLite gives them the
// rights of the file, and its group only if it runs as root.
func (s *Store) statLog() {
	for n, suffix := range logSuffixes {
		hostlocal.ShareFile(s.path + suffix)
		s.log[n], _ = os.Lstat(s.path + suffix)
	}
}

func (s *Store) logMoved() error {
	for n, suffix := range logSuffixes {
		now, err := os.Lstat(s.path + suffix)
		if s.log[n] != nil && (errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, s.log[n])) {
			return store.Unusable(s.path, "its "+suffix+" was removed while adfbot had it open: restart the daemon, which stores its "+
				"results when it ends", store.ErrLogGone)
		}
	}
	return nil
}

// checkLogInUse returns an error if another process has the state open and its log or index is missing. That is also the case
// for a moment while the other process opens or closes the state.
func (s *Store) checkLogInUse() error {
	for _, suffix := range logSuffixes {
		if _, err := os.Lstat(s.path + suffix); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if who := usedBy(s.path); who != "" {
			return store.Unusable(s.path, fmt.Sprintf("its %s was removed while %s had it open: if that is the daemon, restart it, "+
				"else wait for it to end; it stores its results when it ends", suffix, who), errLogInUse)
		}
	}
	return nil
}

// SQLite holds a lock on these bytes while it has a file open in WAL mode.
const (
	sharedFirst = 0x40000002
	sharedSize  = 510
)

// usedBy names another process that has a file open with SQLite; "" means none. This process must not have the file open: closing
// any descriptor of a file ends all locks that the process holds on it.
func usedBy(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: sharedFirst, Len: sharedSize}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return ""
	}
	if lock.Pid <= 0 {
		return "a process of another container"
	}
	return fmt.Sprintf("process %d", lock.Pid)
}
