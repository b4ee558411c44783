package sqlite

import (
	"context"
	"database/sql"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *Store) Hold(ctx context.Context, project string) (*incident.Hold, error) {
	holds, err := read(ctx, s, scanHold, `SELECT id, project, note, since FROM hold WHERE project = ?`, project)
	if len(holds) == 0 {
		return nil, err
	}
	return &holds[0], err
}

func (s *Store) Holds(ctx context.Context) ([]incident.Hold, error) {
	return read(ctx, s, scanHold, `SELECT id, project, note, since FROM hold ORDER BY project`)
}

func scanHold(rows *sql.Rows) (h incident.Hold, err error) {
	var since sql.NullInt64
	err = rows.Scan(&h.ID, &h.Project, &h.Note, &since)
	h.Since = timeOf(since)
	return h, err
}

func (s *Store) SetHold(ctx context.Context, h incident.Hold) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error { return insertHold(ctx, tx, h) })
}

func insertHold(ctx context.Context, tx *txn, h incident.Hold) error {
	_, err := tx.exec(ctx, `INSERT INTO hold (id, project, note, since) VALUES (?, ?, ?, ?) ON CONFLICT (project) DO NOTHING`,
		h.ID, h.Project, h.Note, h.Since.UnixMilli())
	return err
}

func (s *Store) DropHold(ctx context.Context, project string) error {
	return s.exec(ctx, `DELETE FROM hold WHERE project = ?`, project)
}
