package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/store"
)

// logSuffixes name the log and its index. SQLite removes them when the last process closes the file, never before. Where
// somebody else removes them, those who have the file open go on with the old ones, and store what is there when they close it.
// Others must not begin new ones before, or what they store is overwritten.
var logSuffixes = [2]string{"-wal", "-shm"}

// errLogInUse is a reason to try again.
var errLogInUse = errors.New("the latest results are in no file that can be seen")

// statLog notes the log and its index for [Store.logMoved].
func (s *Store) statLog() {
	for n, suffix := range logSuffixes {
		s.log[n], _ = os.Lstat(s.path + suffix)
	}
}

func (s *Store) logMoved() error {
	for n, suffix := range logSuffixes {
		now, err := os.Lstat(s.path + suffix)
		if s.log[n] != nil && (errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, s.log[n])) {
			return store.Unusable(s.path, "its "+suffix+" was removed while adfbot had it open: stop the daemon, which stores what it has, "+
				"and start it again", store.ErrLogGone)
		}
	}
	return nil
}

// checkLogInUse returns an error if another process has the file open and its log is missing. It is so for a moment while
// that process opens or closes the file.
func (s *Store) checkLogInUse() error {
	for _, suffix := range logSuffixes {
		if _, err := os.Lstat(s.path + suffix); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if who := usedBy(s.path); who != "" {
			return store.Unusable(s.path, fmt.Sprintf("its %s was removed while %s had it open: if that is the daemon, restart it, "+
				"else wait for it to end; it then stores what it has", suffix, who), errLogInUse)
		}
	}
	return nil
}

// SQLite locks these bytes of a file for as long as it has it open in WAL mode.
const (
	sharedFirst = 0x40000002
	sharedSize  = 510
)

// usedBy returns another process that has a file open with SQLite, or "". This process must not have it open: closing any
// descriptor of a file ends the locks of its process.
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
