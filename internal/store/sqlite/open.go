package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Store is an open state. It is safe for concurrent use. It must be closed, or its write-ahead log grows for ever.
type Store struct {
	path string
	dsn  string
	db   *database
	now  func() time.Time

	locks *hostlocal.Locks
	queue queue

	installation string
	opened       os.FileInfo // the file, for [Store.Moved]
}

// Options for [Open].
type Options struct {
	// ReadOnly opens an existing state without writing to it; a state that is missing is fs.ErrNotExist.
	ReadOnly bool
	// Sentinel gives the installation id in the pause directory's sentinel, "" where there is none. It is asked only when
	// a new state is made: a lost state gets its id back. An error prevents that: it is not known then whose flags these are.
	Sentinel func() (string, error)
	Now      func() time.Time // nil: time.Now
}

// Open opens the state at path and makes it, with its directory, if it is not there.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{path: path, now: o.Now}
	s.locks = hostlocal.NewLocks(s.dir(""))
	if s.now == nil {
		s.now = time.Now
	}
	// Not mode=ro for a reader: it would leave -wal and -shm behind, since only who may write folds them in at its close.
	s.dsn = "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=rw" +
		"&_txlock=immediate&_pragma=busy_timeout(0)&_pragma=synchronous(FULL)&_pragma=cache_size(-" + strconv.Itoa(cacheSize) + ")"
	if o.ReadOnly {
		s.dsn += "&_pragma=query_only(1)"
		if _, err := os.Stat(path); err != nil {
			return nil, store.Unusable(s.path, "", err)
		}
	} else {
		s.dsn += "&_pragma=journal_mode(WAL)"
		if err := s.prepare(ctx); err != nil {
			return nil, store.Unusable(s.path, "", err)
		}
	}
	var err error
	if s.db, err = newDatabase(s.dsn); err != nil {
		return nil, s.wrap(err)
	}
	// Before SQLite opens it: where it is replaced in between, Moved says so for nothing, and not the other way round.
	if s.opened, err = os.Stat(path); err != nil {
		_ = s.db.close()
		return nil, store.Unusable(s.path, "", err)
	}
	if err = patiently(ctx, func() error { return s.start(ctx, o) }); err != nil {
		_ = s.db.close()
		return nil, s.wrap(err)
	}
	return s, nil
}

const (
	busyWait = 10 * time.Second // how long a state that another process has locked is waited for
	busyLook = time.Millisecond // how often it is looked whether it still is
)

// patiently does again what another process was in the way of. SQLite's own waiting would look less and less often, which is
// too seldom beside a process that stores much, and it does not hold for the switch of a new file to WAL.
func patiently(ctx context.Context, f func() error) error {
	err := f()
	for begun := time.Now(); isBusy(err) && time.Since(begun) < busyWait; err = f() {
		select {
		case <-time.After(busyLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// cacheSize is how many kilobytes of the file SQLite keeps itself, half of what it would: its allocator takes twice that for
// them, and what is not there comes from the system's cache.
const cacheSize = 1000

func isBusy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY
}

// prepare makes the file and its folders with the right owner before SQLite would make them with the wrong one.
func (s *Store) prepare(ctx context.Context) error {
	if err := makeDirs(filepath.Dir(s.path)); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR|noLink, 0o600)
		if err != nil {
			return err
		}
		_ = f.Close()
		inherit(s.path)
	}
	if err := s.makeFolders(); err != nil {
		return err
	}
	if err := s.wrap(s.locks.Upgrade(ctx, busyWait)); err != nil {
		return store.Unusable(s.path, "its locks can't be upgraded", err)
	}
	return nil
}

func (s *Store) makeFolders() error {
	for _, dir := range []string{s.dir(""), s.dir("runs"), s.dir("spool")} {
		if err := os.Mkdir(dir, 0o700); err == nil {
			inherit(dir)
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (s *Store) dir(name string) string { return filepath.Join(s.path+".d", name) }

func (s *Store) start(ctx context.Context, o Options) error {
	if err := s.db.connect(ctx); err != nil {
		return err
	}
	if o.ReadOnly {
		if err := checkVersion(ctx, s.db.conn); err != nil {
			return err
		}
	} else if err := migrate(ctx, s.db.conn); err != nil {
		return err
	}
	id, err := s.Meta(ctx, "installation")
	if err != nil {
		return err
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
		// Two processes may make a state at once: the first one's id stays.
		err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
			if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('installation', ?) ON CONFLICT DO NOTHING`, id); err != nil {
				return err
			}
			return tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = 'installation'`).Scan(&id)
		})
		if err != nil {
			return err
		}
	}
	s.installation = id
	return nil
}

// Close closes the state and folds its write-ahead log in.
func (s *Store) Close() error { return s.db.close() }

// Path is the file.
func (s *Store) Path() string { return s.path }

// Installation is the random id of this state and its pause directory: 32 hexadecimal digits.
func (s *Store) Installation() string { return s.installation }

// Check reads the whole file and reports the first damage; it takes as long as reading does.
func (s *Store) Check(ctx context.Context) error {
	var verdict string
	// On a connection of its own, which can be interrupted and keeps nobody waiting.
	db, err := sql.Open("sqlite", s.dsn)
	if err != nil {
		return s.wrap(err)
	}
	defer func() { _ = db.Close() }()
	if err := patiently(ctx, func() error { return db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict) }); err != nil {
		return s.wrap(err)
	}
	if verdict != "ok" {
		return store.Unusable(s.path, adviceDamaged, errors.New(verdict))
	}
	return nil
}

// beforeCommit lets the tests fail a transaction at its end; nothing else sets it.
var beforeCommit = func() error { return nil }

// wrap adds the file and what to do about it to an error that means that the state is unusable.
func (s *Store) wrap(err error) error {
	if err == nil || errors.Is(err, store.ErrUnusable) {
		return err
	}
	if errors.Is(err, store.ErrNewer) {
		return fmt.Errorf("%w: %s: %w", store.ErrUnusable, s.path, err)
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return store.FileError(s.path, err)
	}
	e := &store.UnusableError{Path: s.path, Err: err}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		e.Advice = adviceDamaged
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		e.Advice, e.Denied = s.whyClosed()
	case sqlite3.SQLITE_FULL:
		e.Advice = "the disk is full: make room"
	case sqlite3.SQLITE_IOERR:
		e.Advice = cmp.Or(Trouble(filepath.Dir(s.path), LeastRoom), "the disk fails or is full")
	case sqlite3.SQLITE_BUSY:
		e.Advice = "another process has held it for over 10 s: look for a stopped adfbot"
	default:
		return err
	}
	return e
}

const adviceDamaged = "the file is damaged: move it away and restore a copy, or start without one (open incidents are rebuilt from the flags and from Gitea)"

// Meta returns a value of the state's own notes, "" where there is none.
func (s *Store) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := s.db.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, s.wrap(err)
}

// SetMeta stores such a value.
func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error { return setMeta(ctx, tx, key, value) })
}

func setMeta(ctx context.Context, tx *txn, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// flagsWritten is set when the state first knows of a flag on disk. From then on a pause directory without a sentinel is
// never made anew by the bot itself.
const flagsWritten = "flags_written"

// noteFlag notes that a flag was on disk, where it was.
func noteFlag(ctx context.Context, tx *txn, written time.Time) error {
	if written.IsZero() {
		return nil
	}
	return setMeta(ctx, tx, flagsWritten, "1")
}

// FlagsWritten tells whether the state knows of any flag that was ever on disk.
func (s *Store) FlagsWritten(ctx context.Context) (bool, error) {
	v, err := s.Meta(ctx, flagsWritten)
	return v != "", err
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func unstamp(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}
