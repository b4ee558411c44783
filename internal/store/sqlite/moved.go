package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// movedVersion is the version of a state that was moved to another place. It is newer than that of any program, so earlier versions
// refuse the file, too.
const movedVersion = 1 << 30

// The keys of the table meta that say where a state was moved to, and when.
const (
	movedToKey = "moved_to"
	movedAtKey = "moved_at" // RFC 3339
)

// MovedError reports that a state was moved to another place. It comes as [store.ErrUnusable].
type MovedError struct {
	To string
	At time.Time // zero: unknown
}

func (e *MovedError) Error() string {
	if e.At.IsZero() {
		return "the state was moved to " + e.To
	}
	return fmt.Sprintf("the state was moved to %s at %s", e.To, e.At.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// movedError returns the error for a state that was moved.
func (s *Store) movedError(ctx context.Context, q rowQuerier) error {
	var to, at string
	err := q.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM meta WHERE key = ?), ''), coalesce((SELECT value FROM meta WHERE key = ?), '')`,
		movedToKey, movedAtKey).Scan(&to, &at)
	if err == nil && to == "" {
		err = store.Unusable(s.path, adviceDamaged, errors.New("it says that it was moved, but not where to"))
	}
	if err != nil {
		return err
	}
	moved := &MovedError{To: to}
	moved.At, _ = time.Parse(time.RFC3339, at)
	return store.Unusable(s.path, "this file is not used any more: set `state` to the new place, and restart a daemon that still has the old "+
		"configuration (see `adfbot help migrate`)", moved)
}

// Move calls copy with what is stored, which nobody can change until Move returns, and then marks the file as moved to a place, for good.
// If copy fails, nothing changes. A process that has the file open, of whatever version, cannot store anything in it afterwards.
func (s *Store) Move(ctx context.Context, to string, copy func(context.Context, sqlstore.Querier) error) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return s.wrap(err)
	}
	// What was copied must be marked, even if ctx ends.
	lasting := context.WithoutCancel(ctx)
	defer tx.end(lasting)
	if err := copy(ctx, tx); err != nil {
		return s.wrap(err)
	}
	if err := s.markMoved(lasting, tx, to); err != nil {
		return s.wrap(err)
	}
	return s.wrap(s.commit(lasting, tx))
}

// markMoved also makes every change fail: some earlier versions look at the version of a file only when they open it.
func (s *Store) markMoved(ctx context.Context, tx *txn, to string) error {
	tables, err := sqlstore.List(ctx, tx, func(row sqlstore.Row) (name string, err error) { return name, row.Scan(&name) },
		`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return err
	}
	for key, value := range map[string]string{movedToKey: to, movedAtKey: s.now().UTC().Format(time.RFC3339)} {
		if err := tx.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value); err != nil {
			return err
		}
	}
	for _, table := range tables {
		for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
			if err := tx.exec(ctx, fmt.Sprintf(`CREATE TRIGGER moved_%[1]s_%[2]s BEFORE %[2]s ON %[1]s BEGIN SELECT RAISE(ABORT, '%[3]s'); END`,
				table, change, strings.ReplaceAll("the state was moved to "+to, "'", "''"))); err != nil {
				return err
			}
		}
	}
	return tx.exec(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, movedVersion))
}

// UsedBy names another process that has the state at a path open; "" means none. This process must not have it open.
func UsedBy(path string) string { return usedBy(path) }
