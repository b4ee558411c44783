package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

func (s *State) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := First(ctx, s.db, `SELECT value FROM adfbot.meta WHERE key = ?`, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, s.db.Wrap(err)
}

func (s *State) SetMeta(ctx context.Context, key, value string) error {
	return s.exec(ctx, `INSERT INTO adfbot.meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
}

// flagsWritten is set when the state first learns of a flag on disk.
const flagsWritten = "flags_written"

// SetFlagsWritten notes that a flag is on disk, see [store.MetaStore].
func SetFlagsWritten(ctx context.Context, tx Tx) error {
	return tx.Exec(ctx, `INSERT INTO adfbot.meta (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING`, flagsWritten)
}

func (s *State) FlagsWritten(ctx context.Context) (bool, error) {
	v, err := s.Meta(ctx, flagsWritten)
	return v != "", err
}
