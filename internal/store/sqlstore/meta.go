package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/terraphim/adfbot/internal/store"
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

// flagsWritten is the key that is set when the state first learns of a flag on the disk of this host.
func (s *State) flagsWritten() string { return store.HostKey("flags_written", s.host) }

// SetFlagsWritten notes that a flag is on the disk of this host, see [store.MetaStore].
func (s *State) SetFlagsWritten(ctx context.Context, tx Tx) error {
	return tx.Exec(ctx, `INSERT INTO adfbot.meta (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING`, s.flagsWritten())
}

func (s *State) FlagsWritten(ctx context.Context) (bool, error) {
	v, err := s.Meta(ctx, s.flagsWritten())
	return v != "", err
}
