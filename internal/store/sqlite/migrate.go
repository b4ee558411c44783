package sqlite

import (
	"context"
	"database/sql"
	"embed"
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
const schemaVersion = 3

func version(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (int, error) {
	var v int
	err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&v)
	return v, err
}

func checkVersion(ctx context.Context, db *sql.Conn) error {
	v, err := version(ctx, db)
	if err == nil && v > schemaVersion {
		err = fmt.Errorf("%w (its version is %d, this adfbot knows up to %d)", store.ErrNewer, v, schemaVersion)
	}
	if err == nil && v == 0 {
		err = fmt.Errorf("%w: the file is empty, the first result makes a state of it", fs.ErrNotExist)
	}
	return err
}

// migrate brings the state up to this version. Several processes may do it at once: the version is read again inside the
// transaction.
func migrate(ctx context.Context, db *sql.Conn) error {
	v, err := version(ctx, db)
	if err != nil || v == schemaVersion {
		return err
	}
	if v > schemaVersion {
		return checkVersion(ctx, db)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if v, err = version(ctx, tx); err != nil {
		return err
	}
	for ; v < schemaVersion; v++ {
		statements, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v+1))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
			return fmt.Errorf("bringing the state to version %d: %w", v+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}
