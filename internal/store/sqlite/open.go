package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
	"github.com/terraphim/adfbot/pause"
)

var _ store.State = (*Store)(nil)

// Store is an open state; [store.State] documents its methods. It is safe for concurrent use. It must be closed, or its
// write-ahead log grows without end.
type Store struct {
	sqlstore.State
	path  string
	dsn   string
	db    *database
	queue queue
	now   func() time.Time

	readOnly bool

	installation string
	created      bool           // by this process
	opened       os.FileInfo    // the file, for Moved
	log          [2]os.FileInfo // the log and its index, as in logSuffixes, for Moved
	beforeCommit func() error   // lets tests fail a transaction at its end
}

// Options for [Open].
type Options struct {
	// ReadOnly opens an existing state without writing to it. A missing state is fs.ErrNotExist.
	ReadOnly bool
	// MustWrite makes Open fail if the state cannot be written now. SQLite opens it for reading alone then if its log is there, and a process
	// that goes on with it stores nothing even after a repair.
	MustWrite bool
	// Sentinel returns the installation id in the sentinel of the pause directory, "" if there is none. Open calls it only
	// to create a state: a state that was lost gets its id back. If it fails, no state is created, because nobody knows then
	// whose flags are in the directory.
	Sentinel func() (string, error)
	Now      func() time.Time // nil: time.Now
}

// Open opens the state at path. It creates the file and its directory if they are missing.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{path: path, now: o.Now, readOnly: o.ReadOnly}
	if s.now == nil {
		s.now = time.Now
	}
	s.dsn = dataSource(path, cacheSize, !o.ReadOnly)
	if err := checkLog(path); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := createFile(path); err != nil {
			return nil, store.Unusable(path, "", err)
		}
	}
	// Before SQLite opens it: a file that is replaced in between makes Moved fail for nothing, and never succeed wrongly.
	var err error
	if s.opened, err = checkFiles(path); err != nil {
		return nil, store.Unusable(path, "", err)
	}
	writer, err := newConnection(s.dsn)
	if err != nil {
		return nil, s.wrap(err)
	}
	s.db = &database{writer: writer}
	s.State = sqlstore.New(tables{s}, "") // the host of the file is the only one
	if !o.ReadOnly {
		s.db.openReader = s.openReader
	}
	if err = retryBusy(ctx, func() error { return s.start(ctx, o) }); err != nil {
		_ = s.db.close()
		return nil, s.wrap(err)
	}
	s.statLog()
	return s, nil
}

const linkFix = "set `state` to the path of a file"

// checkFiles returns the file of a state, unless it or one beside it that SQLite would open is a link, or no file at all.
func checkFiles(path string) (os.FileInfo, error) {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if _, err := checkRegular(path+suffix, "remove it"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return checkRegular(path, linkFix)
}

func checkRegular(path, fix string) (os.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil || info.Mode().IsRegular():
		return info, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, store.Link(path, fix)
	}
	return nil, store.Unusable(path, "this is not a regular file: "+fix, errors.New(info.Mode().String()))
}

// connect opens the file, unless a link was put in its place since [checkFiles]. SQLite follows such a link to the file
// itself, but none to the files beside it.
func (s *Store) connect(ctx context.Context, c *connection) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(s.path))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return store.Unusable(s.path, "", err)
	}
	var opened string
	if err := c.conn.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&opened); err != nil {
		return err
	}
	if opened != filepath.Join(dir, filepath.Base(s.path)) {
		return store.Link(s.path, linkFix)
	}
	return nil
}

// createFile creates the file and its directory if they are missing. SQLite would create the file with the wrong owner.
func createFile(path string) error {
	if err := hostlocal.MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return hostlocal.CreateFile(path)
}

// SQLite caches this many kilobytes of the file: half of its default, since its allocator takes twice as much. The rest comes
// from the cache of the operating system. Each commit makes the reader forget its cache.
const (
	cacheSize       = 1000
	readerCacheSize = 200
)

// dataSource returns the data source name of a connection. Its mode is not ro for a reader, which would leave -wal and -shm
// behind: only a writer removes them when it closes the file.
func dataSource(path string, cache int, writable bool) string {
	return fmt.Sprintf("file:%s?mode=rw&_txlock=immediate&_pragma=busy_timeout(0)&_pragma=synchronous(FULL)&_pragma=cache_size(-%d)&_pragma=query_only(%t)",
		(&url.URL{Path: path}).EscapedPath(), cache, !writable)
}

func (s *Store) openReader(ctx context.Context) (*connection, error) {
	c, err := newConnection(dataSource(s.path, readerCacheSize, false))
	if err != nil {
		return nil, err
	}
	if err = s.connect(ctx, c); err == nil {
		err = s.Moved() // by now the path may lead to another file
	}
	if err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

const (
	busyWait = 10 * time.Second // how long to wait for a state that another process has locked
	busyPoll = time.Millisecond // between two attempts
)

// retryBusy calls f again while another process has the state locked. SQLite would retry less and less often, which is too
// seldom beside a process that writes much, and it would not retry the switch of a new file to WAL.
func retryBusy(ctx context.Context, f func() error) error { return retryBusyFor(ctx, busyWait, f) }

func retryBusyFor(ctx context.Context, wait time.Duration, f func() error) error {
	err := f()
	for begin := time.Now(); isBusy(err) && time.Since(begin) < wait; err = f() {
		select {
		case <-time.After(busyPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func isBusy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY || errors.Is(err, errLogInUse)
}

func (s *Store) start(ctx context.Context, o Options) error {
	if err := s.checkLogInUse(); err != nil {
		return err
	}
	if err := s.connect(ctx, s.db.writer); err != nil {
		return err
	}
	ready := s.migrate
	if o.ReadOnly {
		ready = s.checkReadable
	}
	if err := ready(ctx); err != nil {
		return err
	}
	id, err := s.Meta(ctx, "installation")
	if err != nil {
		return err
	}
	if id != "" && !pause.IsRandomID(id) {
		return store.Unusable(s.path, adviceDamaged, fmt.Errorf("its installation id is %.60q", id))
	}
	if id == "" && !o.ReadOnly {
		if o.Sentinel != nil {
			if id, err = o.Sentinel(); err != nil {
				return fmt.Errorf("a new state can't be made, because it is not known whether the pause directory belongs to an "+
					"earlier one whose id it has to take over: %w", err)
			}
		}
		if id == "" {
			id = pause.NewRandomID()
		}
		// Two processes may create a state at once: the first id stays.
		err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
			if err := tx.exec(ctx, `INSERT INTO meta (key, value) VALUES ('installation', ?), (?, ?) ON CONFLICT DO NOTHING`,
				id, pathKey, s.path); err != nil {
				return err
			}
			if err := sqlstore.First(ctx, tx, `SELECT changes() > 0`).Scan(&s.created); err != nil {
				return err
			}
			return sqlstore.First(ctx, tx, `SELECT value FROM meta WHERE key = 'installation'`).Scan(&id)
		})
		if err != nil {
			return err
		}
	}
	s.installation = id
	if err := s.checkPlace(ctx, o.ReadOnly); err != nil || o.ReadOnly {
		return err
	}
	// Last, so that what makes the file a state of this installation is never in the log alone.
	if _, err = s.db.writer.conn.ExecContext(ctx, `PRAGMA journal_mode = WAL`); err != nil {
		return err
	}
	if _, err = s.Meta(ctx, pathKey); err != nil || !o.MustWrite { // it creates the log of a new state
		return err
	}
	return s.checkWritable(ctx)
}

// checkWritable returns an error if the state was opened for reading alone. It changes nothing, needs no room on the disk, and waits for nobody.
func (s *Store) checkWritable(ctx context.Context) error {
	if _, err := s.db.writer.conn.ExecContext(ctx, `DELETE FROM meta WHERE false`); !isBusy(err) { // else somebody writes: so it can be written
		return err
	}
	return nil
}

// Close closes the state and folds in its write-ahead log.
func (s *Store) Close() error { return s.db.close() }

func (s *Store) Path() string { return s.path }

func (s *Store) Installation() string { return s.installation }

// Created reports whether Open has made a new state, and no other process at the same moment.
func (s *Store) Created() bool { return s.created }
