package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// wrap adds the file and what to do about it to an error that means that the state is unusable.
func (s *Store) wrap(err error) error {
	if err == nil || errors.Is(err, store.ErrUnusable) {
		return err
	}
	if errors.Is(err, sqlstore.ErrContent) {
		return store.Unusable(s.path, adviceDamaged, err)
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return store.FileError(s.path, err)
	}
	if _, err := checkFiles(s.path); errors.Is(err, store.ErrUnusable) {
		return err
	}
	e := &store.UnusableError{Path: s.path, Err: err}
	switch code := se.Code(); code & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		e.Advice = adviceDamaged
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		if e.Advice, e.Denied = s.whyClosed(); e.Denied && e.Advice != store.MountedReadOnly {
			e.Err = fs.ErrPermission // SQLite speaks of writing even where somebody only reads
		}
	case sqlite3.SQLITE_FULL:
		e.Advice = "the disk is full: make room"
	case sqlite3.SQLITE_IOERR:
		e.Advice = cmp.Or(hostlocal.DiskProblem(filepath.Dir(s.path), hostlocal.LeastRoom),
			"the disk fails or is full, or a quota or a limit on the size of files is reached (`quota`, `ulimit -f`)")
		if code == sqlite3.SQLITE_IOERR_SHORT_READ { // the file ends where a page should be
			e.Advice = adviceDamaged
		}
	case sqlite3.SQLITE_BUSY:
		e.Advice = "another process has held it for over 10 s: look for a stopped adfbot"
	case sqlite3.SQLITE_INTERRUPT:
		return err
	default: // no statement of ours fails in a sound file
		e.Advice = adviceDamaged
	}
	return e
}

const adviceDamaged = "the file is damaged: stop every adfbot, move it away with its -wal and -shm, which would damage a copy in its place, and restore a copy, " +
	"or start without one (if the pause directory is in its place, open incidents are rebuilt from its flags and from Gitea; else nothing is paused); " +
	"if the file was moved, see first whether its log, the file named -wal, was left behind (`adfbot help files`)"

// filesOfState is how many files SQLite opens at once: the state, its log, its index of the log, and their directory.
const filesOfState = 4

// whyClosed returns why SQLite can't open or write the file, and whether another user might. Rights are only the last guess.
func (s *Store) whyClosed() (advice string, denied bool) {
	if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
		return "nothing is there", false
	}
	if problem := hostlocal.DiskProblem(filepath.Dir(s.path), 1); problem != "" {
		return problem, problem == store.MountedReadOnly // it may be so for this process alone
	}
	if !hostlocal.CanOpenFiles(filesOfState) {
		return store.TooManyFiles, false
	}
	if s.readOnly {
		return "this user may not write the file or its directory, which SQLite needs even to read it: " + asOwner(filepath.Dir(s.path)) +
			"see `adfbot check`", true
	}
	return "this user may not write the file or its directory: see `adfbot check`", true
}

// asOwner advises to become the owner of a directory, unless this user is.
func asOwner(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() {
		return ""
	}
	u, err := user.LookupId(strconv.Itoa(int(st.Uid)))
	if err != nil { // sudo knows nobody else either
		return "run the command as root, or "
	}
	return fmt.Sprintf("run the command as its owner, for example with `sudo -u %s`, or ", u.Username)
}
