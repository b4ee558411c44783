package sqlite

import (
	"context"
	"database/sql"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *Store) Hold(ctx context.Context, project string) (*incident.Hold, error) {
	holds, err := read(ctx, s, scanHold, `SELECT project, note, since, flag_written FROM hold WHERE project = ?`, project)
	if len(holds) == 0 {
		return nil, err
	}
	return &holds[0], err
}

func (s *Store) Holds(ctx context.Context) ([]incident.Hold, error) {
	return read(ctx, s, scanHold, `SELECT project, note, since, flag_written FROM hold ORDER BY project`)
}

func scanHold(rows *sql.Rows) (h incident.Hold, err error) {
	var since, written sql.NullInt64
	err = rows.Scan(&h.Project, &h.Note, &since, &written)
	h.Since, h.FlagWritten = timeOf(since), timeOf(written)
	return h, err
}

func (s *Store) SetHold(ctx context.Context, h incident.Hold) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := setFlagsWritten(ctx, tx, h.FlagWritten); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO hold (project, note, since, flag_written) VALUES (?, ?, ?, ?)
			ON CONFLICT (project) DO UPDATE SET note = excluded.note, flag_written = excluded.flag_written`,
			h.Project, h.Note, h.Since.UnixMilli(), millis(h.FlagWritten))
		return err
	})
}

func (s *Store) DropHold(ctx context.Context, project string) error {
	return s.exec(ctx, `DELETE FROM hold WHERE project = ?`, project)
}
