package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

func (s *State) Project(ctx context.Context, id string) (store.Project, error) {
	p, err := s.db.Project(ctx, id)
	return p.Project, s.db.Wrap(err)
}

func (s *State) Runs(ctx context.Context, project string, limit int) ([]store.HistoryRun, error) {
	runs, err := results(ctx, s.db, project, limit, noOutput)
	return runs, s.db.Wrap(err)
}

func (s *State) History(ctx context.Context, project string, limit int) ([]store.HistoryRun, error) {
	runs, err := results(ctx, s.db, project, limit, "output")
	return runs, s.db.Wrap(err)
}

const noOutput = "NULL"

// results returns the last results of a project. output is the column of the outputs, or noOutput.
func results(ctx context.Context, q Querier, project string, limit int, output string) ([]store.HistoryRun, error) {
	return List(ctx, q, func(row Row) (store.HistoryRun, error) { return scanResult(row) }, `SELECT `+ResultColumns+`, `+output+`
		FROM adfbot.result WHERE project = ? ORDER BY id DESC LIMIT ?`, project, limit)
}

// ResultColumns are the columns of a run in the history, but for its output.
const ResultColumns = `agent, run_id, outcome, class, counted, exit_code, signal, detail, host, started_at, finished_at, recorded_at`

// scanResult reads some columns, [ResultColumns] and an output.
func scanResult(row Row, first ...any) (r store.HistoryRun, err error) {
	var runID, text sql.NullString
	var started, finished, recorded Time
	err = row.Scan(append(first, &r.Agent, &runID, &r.Outcome, &r.Class, &r.Counted, &r.ExitCode, &r.Signal, &r.Detail, &r.Host, &started, &finished, &recorded, &text)...)
	r.RunID, r.Output = runID.String, text.String
	r.Started, r.Finished, r.Recorded = started.Time, finished.Time, recorded.Time
	return r, err
}

func (s *State) Hourly(ctx context.Context, project string, since time.Time, after int64, limit int) ([]store.HourCount, error) {
	return s.CountHourly(ctx, `recorded_at / 3600000`, project, since, after, limit)
}

// CountHourly is Hourly with the database's own expression for the hour of recorded_at, as the number of hours since 1970.
func (s *State) CountHourly(ctx context.Context, hour, project string, since time.Time, after int64, limit int) ([]store.HourCount, error) {
	return read(ctx, s, func(row Row) (c store.HourCount, err error) {
		var n int64
		err = row.Scan(&n, &c.Outcome, &c.Counted, &c.Results, &c.Last)
		c.Hour = time.Unix(n*60*60, 0).UTC()
		return c, err
	}, `SELECT `+hour+`, outcome, counted, count(*), max(id) FROM (
		SELECT id, outcome, counted, recorded_at FROM adfbot.result WHERE project = ? AND id > ? ORDER BY id DESC LIMIT ?) AS newest
		WHERE recorded_at >= ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, project, after, limit, stamp(since))
}

func (s *State) LastResult(ctx context.Context) (id int64, err error) {
	err = First(ctx, s.db, `SELECT coalesce(max(id), 0) FROM adfbot.result`).Scan(&id)
	return id, s.db.Wrap(err)
}

func (s *State) CountSince(ctx context.Context, after int64, limit int) ([]store.OutcomeCount, int64, error) {
	return s.CountResults(ctx, after, `SELECT project, outcome, class, count(*), count(*) FILTER (WHERE tripped), max(id) FROM (
		SELECT id, project, outcome, class, tripped FROM adfbot.result WHERE id > ? ORDER BY id LIMIT ?) AS next GROUP BY project, outcome, class`, limit)
}

// CountResults is CountSince by a query of the database's own. It returns project, outcome, class, results, trips and the greatest id of a group;
// its parameters are the position after which to count, and more.
func (s *State) CountResults(ctx context.Context, after int64, query string, more ...any) ([]store.OutcomeCount, int64, error) {
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
	counts, err := read(ctx, s, func(row Row) (c store.OutcomeCount, err error) {
		var id int64
		err = row.Scan(&c.Project, &c.Outcome, &c.Class, &c.Results, &c.Trips, &id)
		upTo = max(upTo, id)
		return c, err
	}, query, append([]any{after}, more...)...)
	return counts, upTo, err
}

func (s *State) Prune(ctx context.Context, before time.Time, limit int, expected ...string) (int, error) {
	list, err := json.Marshal(append([]string{}, expected...))
	if err != nil {
		return 0, err
	}
	limit += len(expected) // the first ones may be those that stay
	var n int
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		now, err := s.db.Now(ctx, tx)
		if err != nil {
			return err
		}
		from, err := firstNotAhead(ctx, tx, now)
		if err != nil {
			return err
		}
		pruned, err := List(ctx, tx, scanID, `DELETE FROM adfbot.result WHERE id IN (
			SELECT id FROM (SELECT id, recorded_at FROM adfbot.result WHERE id >= ? ORDER BY id LIMIT ?) AS oldest WHERE recorded_at < ?)
			AND id NOT IN (SELECT coalesce((SELECT id FROM adfbot.result WHERE counted AND project = wanted.value ORDER BY id DESC LIMIT 1), 0)
				FROM json_each(?) AS wanted)
			RETURNING id`, from, limit, stamp(before), string(list))
		n = len(pruned)
		return err
	})
	return n, err
}

func scanID(row Row) (id int64, err error) { return id, row.Scan(&id) }

// firstNotAhead returns the position after the oldest results if those were recorded in the future, else 0. It searches by
// halves. If the clock ran ahead more than once, the position may be that after a later one of these times; the results in
// between then wait until the first ones are due.
func firstNotAhead(ctx context.Context, tx Tx, now time.Time) (int64, error) {
	look := func(query string, args ...any) (id int64, ahead bool, err error) {
		var recorded Time
		err = First(ctx, tx, query, args...).Scan(&id, &recorded)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return id, recorded.After(now), err
	}
	low, ahead, err := look(`SELECT id, recorded_at FROM adfbot.result ORDER BY id LIMIT 1`)
	if err != nil || !ahead {
		return 0, err
	}
	high, ahead, err := look(`SELECT id, recorded_at FROM adfbot.result ORDER BY id DESC LIMIT 1`)
	if err != nil || ahead {
		return high, err
	}
	for high-low > 1 { // the row at low is ahead, the first one from high on is not
		middle := low + (high-low)/2
		id, ahead, err := look(`SELECT id, recorded_at FROM adfbot.result WHERE id >= ? ORDER BY id LIMIT 1`, middle)
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
