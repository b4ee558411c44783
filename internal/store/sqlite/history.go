package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"github.com/terraphim/adfbot/internal/store"
)

// LastResult is the position of the newest result, for [Store.CountSince]; 0 where there is none.
func (s *Store) LastResult(ctx context.Context) (int64, error) {
	var id int64
	err := s.db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM result`).Scan(&id)
	return id, s.wrap(err)
}

// CountSince counts the results after a position, at most most of them, and returns the position after those. Whichever
// process recorded them, they are counted; and each call costs what is new and not what is kept. The positions begin anew
// where the newest result was pruned.
func (s *Store) CountSince(ctx context.Context, after int64, most int) ([]store.OutcomeCount, int64, error) {
	last, err := s.LastResult(ctx)
	if err != nil {
		return nil, after, err
	}
	if last < after {
		after = 0
	}
	if last == after {
		return nil, after, nil
	}
	upTo := after
	rows, err := s.db.QueryContext(ctx, `SELECT project, outcome, count(*), sum(tripped), max(id) FROM (
		SELECT id, project, outcome, tripped FROM result WHERE id > ? ORDER BY id LIMIT ?) GROUP BY project, outcome`, after, most)
	list, err := collect(rows, err, func(rows *sql.Rows) (c store.OutcomeCount, err error) {
		var id int64
		err = rows.Scan(&c.Project, &c.Outcome, &c.Results, &c.Trips, &id)
		upTo = max(upTo, id)
		return c, err
	})
	return list, upTo, s.wrap(err)
}

// History is [Store.Runs] with the outputs of the failed runs.
func (s *Store) History(ctx context.Context, project string, most int) ([]store.HistoryRun, error) {
	runs, err := runsOf(ctx, s.db, project, most, "output")
	return runs, s.wrap(err)
}

var errNoWriting = errors.New("nothing can be stored")

// Writable tells whether a result could be stored now, as far as that can be told without storing one: it looks for room on
// the disk, makes a change and takes it back, which never reaches the disk.
func (s *Store) Writable(ctx context.Context) error {
	if what := Trouble(filepath.Dir(s.path), LeastRoom); what != "" {
		return store.Unusable(s.path, what, errNoWriting)
	}
	tx, err := s.db.begin(ctx, s.Moved)
	if err != nil {
		return s.wrap(err)
	}
	ctx = context.WithoutCancel(ctx)
	defer tx.end(ctx)
	// A state that may not be written lets a transaction begin all the same.
	_, err = tx.ExecContext(ctx, `UPDATE meta SET value = value WHERE key = 'installation'`)
	return s.wrap(err)
}
