package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

func (s *Store) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := queryRow(ctx, s.db, `SELECT value FROM meta WHERE key = ?`, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, s.wrap(err)
}

func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	return s.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
}

// flagsWritten is set when the state first learns of a flag on disk.
const flagsWritten = "flags_written"

func setFlagsWritten(ctx context.Context, tx *txn) error {
	_, err := tx.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING`, flagsWritten)
	return err
}

func (s *Store) FlagsWritten(ctx context.Context) (bool, error) {
	v, err := s.Meta(ctx, flagsWritten)
	return v != "", err
}
