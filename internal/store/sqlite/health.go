package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// Moved returns an error once the file, or its log ([store.ErrLogGone]), was removed, moved or replaced.
func (s *Store) Moved() error {
	if err := s.fileMoved(); err != nil {
		return err
	}
	return s.logMoved()
}

// fileMoved is like Moved for the file alone. SQLite would go on with the file that it has open, and what it writes there would
// be lost. Every transaction calls fileMoved first, at the price of one system call.
func (s *Store) fileMoved() error {
	const begin = "; else begin with what is there now (a daemon does so by itself within a minute)"
	advice := "it was removed while adfbot had it open: put it back"
	now, err := os.Lstat(s.path)
	switch {
	case err == nil && os.SameFile(now, s.opened):
		return nil
	case err == nil: // SQLite applies the log to it
		err = errors.New("another file is there")
		advice = "it was replaced while adfbot had it open: if its log, the file named -wal, was left beside it, it is damaged by that: stop every adfbot, " +
			"move it away with its -wal and -shm, and put the copy there again" + begin
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return nil // a path that can't be looked at says nothing about the open file
	case hasLog(s.path):
		advice += "; to begin anew, move its log " + s.path + "-wal away, with the -shm (a daemon then goes on by itself within a minute)"
	default:
		advice += begin
	}
	return store.Unusable(s.path, advice, err)
}

func (s *Store) File() os.FileInfo { return s.opened }

// Check reads the whole file, on a connection of its own, which a context can interrupt and which keeps nobody waiting.
func (s *Store) Check(ctx context.Context) error {
	db, err := sql.Open("sqlite", s.dsn)
	if err != nil {
		return s.wrap(err)
	}
	defer func() { _ = db.Close() }()
	var verdict string
	if err := retryBusy(ctx, func() error { return db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict) }); err != nil {
		return s.wrap(err)
	}
	if verdict != "ok" {
		return store.Unusable(s.path, adviceDamaged, errors.New(verdict))
	}
	return nil
}

var errNotWritable = errors.New("nothing can be stored")

// Writable looks for room on the disk, and makes a change and takes it back, which never reaches the disk.
func (s *Store) Writable(ctx context.Context) error {
	if problem := hostlocal.DiskProblem(filepath.Dir(s.path), hostlocal.LeastRoom); problem != "" {
		return store.Unusable(s.path, problem, errNotWritable)
	}
	tx, err := s.begin(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return store.Unusable(s.path, "another process holds it: look for a stopped adfbot", err)
	}
	if err != nil {
		return s.wrap(err)
	}
	ctx = context.WithoutCancel(ctx)
	defer tx.end(ctx)
	// SQLite begins a transaction in a read-only state too.
	err = tx.exec(ctx, `UPDATE meta SET value = value WHERE key = 'installation'`)
	return s.wrap(err)
}
