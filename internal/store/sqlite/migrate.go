package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/terraphim/adfbot/internal/store"
)

// migrations/N.sql brings a state from version N-1 to N. A file is never changed once it is released. Times in the tables are
// milliseconds since 1970, NULL if there is none.
//
//go:embed migrations
var migrations embed.FS

// schemaVersion is the last of the migrations. The version of a state is SQLite's user_version.
const schemaVersion = 8

// applicationID marks a file as a state in its header. States that were created by earlier versions have 0 there.
const applicationID = 0x61646662 // "adfb"

// header is what a file says about itself.
type header struct {
	application, version int
	pages                int
	tables, known        int // how many there are, and how many of three that every state has
}

// rowQuerier is a connection or a transaction.
type rowQuerier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func readHeader(ctx context.Context, q rowQuerier) (h header, err error) {
	err = q.QueryRowContext(ctx, `SELECT application_id, user_version, page_count, (SELECT count(*) FROM sqlite_schema WHERE type = 'table'),
		(SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'result', 'incident'))
		FROM pragma_application_id, pragma_user_version, pragma_page_count`).Scan(&h.application, &h.version, &h.pages, &h.tables, &h.known)
	return h, err
}

// isEmpty reports whether nobody has made anything of the file yet.
func (h header) isEmpty() bool { return h == header{} }

// check returns why the file is no state of this version or an earlier one.
func (s *Store) check(ctx context.Context, q rowQuerier, h header) error {
	switch {
	case h.isEmpty():
		return nil
	case h == header{pages: h.pages}: // states of earlier versions began so
		return store.Unusable(s.path, adviceDamaged, errors.New("nothing is in it"))
	case h.application != applicationID && (h.application != 0 || h.known < 3):
		return store.Unusable(s.path, "this is not a state of adfbot: set `state` to another path",
			fmt.Errorf("a database (tables: %d, application id: %#x, version: %d)", h.tables, uint32(h.application), h.version))
	case h.version < 1:
		return store.Unusable(s.path, adviceDamaged, fmt.Errorf("its version is %d", h.version))
	}
	return s.checkVersion(ctx, q, max(h.version, schemaVersion))
}

// checkVersion returns why this program must not write a state of a version.
func (s *Store) checkVersion(ctx context.Context, q rowQuerier, version int) error {
	switch {
	case version == movedVersion:
		return s.movedError(ctx, q)
	case version > schemaVersion:
		return fmt.Errorf("%w: %s: %w (its version is %d, this adfbot knows up to %d)", store.ErrUnusable, s.path, store.ErrNewer,
			version, schemaVersion)
	case version < schemaVersion:
		return store.Unusable(s.path, "it was overwritten while adfbot had it open: stop every adfbot, see `adfbot help files`, and start again",
			fmt.Errorf("its version is now %d", version))
	}
	return nil
}

// checkReadable returns why a state can't be read without writing to it.
func (s *Store) checkReadable(ctx context.Context) error {
	h, err := readHeader(ctx, s.db.writer.conn)
	if err == nil {
		err = s.check(ctx, s.db.writer.conn, h)
	}
	switch {
	case err != nil:
		return err
	case h.isEmpty():
		return fmt.Errorf("%w: the file is empty, the first result makes a state of it", fs.ErrNotExist)
	case h.version < schemaVersion:
		return store.Unusable(s.path, "an earlier version of adfbot wrote it: `adfbot sweep`, the daemon or the next result upgrades it",
			fmt.Errorf("its version is %d, this adfbot needs %d", h.version, schemaVersion))
	}
	return nil
}

// migrate brings the state up to this version. Several processes may do it at once: the version is read again inside the
// transaction. A file that is no state is left as it is.
func (s *Store) migrate(ctx context.Context) error {
	db := s.db.writer.conn
	h, err := readHeader(ctx, db)
	if err == nil {
		err = s.check(ctx, db, h)
	}
	if err != nil || h.version == schemaVersion {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if h, err = readHeader(ctx, tx); err == nil {
		h.pages = 0 // the transaction itself has begun the first one
		err = s.check(ctx, tx, h)
	}
	if err != nil {
		return err
	}
	for v := h.version; v < schemaVersion; v++ {
		statements, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v+1))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
			return fmt.Errorf("bringing the state to version %d: %w", v+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, schemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}
