package sqlite

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// wrap adds the file and what to do about it to an error that means that the state is unusable.
func (s *Store) wrap(err error) error {
	if err == nil || errors.Is(err, store.ErrUnusable) {
		return err
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
		e.Advice, e.Denied = s.whyClosed()
	case sqlite3.SQLITE_FULL:
		e.Advice = "the disk is full: make room"
	case sqlite3.SQLITE_IOERR:
		e.Advice = cmp.Or(hostlocal.DiskProblem(filepath.Dir(s.path), hostlocal.LeastRoom), "the disk fails or is full")
		if code == sqlite3.SQLITE_IOERR_SHORT_READ { // the file ends where a page should be
			e.Advice = adviceDamaged
		}
	case sqlite3.SQLITE_BUSY:
		e.Advice = "another process has held it for over 10 s: look for a stopped adfbot"
	default:
		return err
	}
	return e
}

const adviceDamaged = "the file is damaged: move it away and restore a copy, or start without one (open incidents are rebuilt from the flags and from Gitea); " +
	"if it was moved, see first whether its log, the file named -wal, was left behind (`adfbot help files`)"

// whyClosed returns why SQLite can't open or write the file, and whether another user might. Rights are only the last guess.
func (s *Store) whyClosed() (advice string, denied bool) {
	if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
		return "nothing is there", false
	}
	if problem := hostlocal.DiskProblem(filepath.Dir(s.path), 1); problem != "" {
		return problem, problem == store.MountedReadOnly // it may be so for this process alone
	}
	return "this user may not write the file or its directory: see `adfbot check` for the chown or chmod", true
}
