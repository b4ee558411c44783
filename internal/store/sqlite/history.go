package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

func (s *Store) Project(ctx context.Context, id string) (store.Project, error) {
	p, err := loadProject(ctx, s.db, id)
	return p.Project, s.wrap(err)
}

func (s *Store) Runs(ctx context.Context, project string, limit int) ([]store.HistoryRun, error) {
	runs, err := results(ctx, s.db, project, limit, noOutput)
	return runs, s.wrap(err)
}

func (s *Store) History(ctx context.Context, project string, limit int) ([]store.HistoryRun, error) {
	runs, err := results(ctx, s.db, project, limit, "output")
	return runs, s.wrap(err)
}

const noOutput = "NULL"

// results returns the last results of a project. output is the column of the outputs, or noOutput.
func results(ctx context.Context, q querier, project string, limit int, output string) ([]store.HistoryRun, error) {
	return list(ctx, q, func(rows *sql.Rows) (r store.HistoryRun, err error) {
		var runID, text sql.NullString
		var started, finished, recorded sql.NullInt64
		err = rows.Scan(&r.Agent, &runID, &r.Outcome, &r.Counted, &r.ExitCode, &r.Signal, &r.Detail, &r.Host, &started, &finished, &recorded, &text)
		r.RunID, r.Output = runID.String, text.String
		r.Started, r.Finished, r.Recorded = timeOf(started), timeOf(finished), timeOf(recorded)
		return r, err
	}, `SELECT agent, run_id, outcome, counted, exit_code, signal, detail, host, started_at, finished_at, recorded_at, `+output+`
		FROM result WHERE project = ? ORDER BY id DESC LIMIT ?`, project, limit)
}

func (s *Store) LastResult(ctx context.Context) (id int64, err error) {
	err = queryRow(ctx, s.db, `SELECT coalesce(max(id), 0) FROM result`).Scan(&id)
	return id, s.wrap(err)
}

func (s *Store) CountSince(ctx context.Context, after int64, limit int) ([]store.OutcomeCount, int64, error) {
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
	counts, err := read(ctx, s, func(rows *sql.Rows) (c store.OutcomeCount, err error) {
		var id int64
		err = rows.Scan(&c.Project, &c.Outcome, &c.Results, &c.Trips, &id)
		upTo = max(upTo, id)
		return c, err
	}, `SELECT project, outcome, count(*), sum(tripped), max(id) FROM (
		SELECT id, project, outcome, tripped FROM result WHERE id > ? ORDER BY id LIMIT ?) GROUP BY project, outcome`, after, limit)
	return counts, upTo, err
}

func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		from, err := firstNotAhead(ctx, tx, s.now().UnixMilli())
		if err != nil {
			return err
		}
		res, err := tx.exec(ctx, `DELETE FROM result WHERE id IN (
			SELECT id FROM (SELECT id, recorded_at FROM result WHERE id >= ? ORDER BY id LIMIT ?) WHERE recorded_at < ?)`, from, limit, before.UnixMilli())
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}

// firstNotAhead returns the position after the oldest results if those were recorded in the future, else 0. It searches by
// halves. If the clock ran ahead more than once, the position may be that after a later one of these times; the results in
// between then wait until the first ones are due.
func firstNotAhead(ctx context.Context, tx *txn, now int64) (int64, error) {
	look := func(query string, args ...any) (id int64, ahead bool, err error) {
		var recorded int64
		err = queryRow(ctx, tx, query, args...).Scan(&id, &recorded)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return id, recorded > now, err
	}
	low, ahead, err := look(`SELECT id, recorded_at FROM result ORDER BY id LIMIT 1`)
	if err != nil || !ahead {
		return 0, err
	}
	high, ahead, err := look(`SELECT id, recorded_at FROM result ORDER BY id DESC LIMIT 1`)
	if err != nil || ahead {
		return high, err
	}
	for high-low > 1 { // the row at low is ahead, the first one from high on is not
		middle := low + (high-low)/2
		id, ahead, err := look(`SELECT id, recorded_at FROM result WHERE id >= ? ORDER BY id LIMIT 1`, middle)
		switch {
		case err != nil:
			return 0, err
		case ahead:
			low = id
		default:
			high = middle
		}
	}
	return high, nil
}
