package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/terraphim/adfbot/internal/store"
)

func (s *Store) BeginRun(ctx context.Context, r store.Run) (store.Run, error) {
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		r.Generation = p.Generation
		if p.open != "" {
			return store.ErrPaused
		}
		_, err = tx.exec(ctx, `INSERT INTO run (id, project, agent, run_id, generation, host, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.Project, r.Agent, r.RunID, r.Generation, r.Host, r.Started.UnixMilli())
		return err
	})
	return r, err
}

func (s *Store) SetChild(ctx context.Context, r store.Run) error {
	return s.exec(ctx, `UPDATE run SET child_pid = ?, child_start = ? WHERE id = ?`, r.ChildPID, r.ChildStart, r.ID)
}

func (s *Store) EndRun(ctx context.Context, r store.Run) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error { return endRun(ctx, tx, r.ID) })
}

func endRun(ctx context.Context, tx *txn, id string) error {
	if id == "" {
		return nil
	}
	_, err := tx.exec(ctx, `DELETE FROM run WHERE id = ?`, id)
	return err
}

func (s *Store) Running(ctx context.Context) ([]store.Run, error) {
	return read(ctx, s, func(rows *sql.Rows) (r store.Run, err error) {
		var started sql.NullInt64
		err = rows.Scan(&r.ID, &r.Project, &r.Agent, &r.RunID, &r.Generation, &r.Host, &started, &r.ChildPID, &r.ChildStart)
		r.Started = timeOf(started)
		return r, err
	}, `SELECT id, project, agent, run_id, generation, host, started_at, child_pid, child_start FROM run ORDER BY started_at`)
}

func (s *Store) Lost(ctx context.Context, r store.Run, res store.Result, l store.Limits) (a store.Answer, recorded bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := queryRow(ctx, tx, `SELECT EXISTS (SELECT 1 FROM run WHERE id = ?)`, r.ID).Scan(&recorded); err != nil || !recorded {
			return err
		}
		p, err := loadProject(ctx, tx, res.Project)
		if err != nil {
			return err
		}
		a, err = s.record(ctx, tx, p, res, l)
		if errors.Is(err, store.ErrConflict) {
			err = endRun(ctx, tx, r.ID)
		}
		recorded = !a.Known
		return err
	})
	return a, recorded, err
}
