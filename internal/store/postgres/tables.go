package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// database is a state for package sqlstore.
type database struct{ *Store }

func (s *Store) database() database { return database{s} }

func (d database) Tx(ctx context.Context, do func(context.Context, sqlstore.Tx) error) error {
	return d.tx(ctx, do)
}

func (d database) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	found, err := d.read(ctx, nil, []statement{d.statement(query, args...)}, nil)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

const readClock = `SELECT clock_timestamp()`

func (d database) Now(ctx context.Context, tx sqlstore.Tx) (now time.Time, err error) {
	if d.now != nil {
		return d.now(), nil
	}
	var at sqlstore.Time
	asked := time.Now()
	err = sqlstore.First(ctx, tx, readClock).Scan(&at)
	if err == nil {
		d.pool.clock.told(at.Time, asked)
	}
	return at.Time, err
}

// columns are those of a project; scanProject reads them.
const columns = `SELECT generation, failures, tripped, half_open, ignored, resumed_at, coalesce(incident, ''), hold IS NOT NULL,
	coalesce(hold, ''), note, paused_at, hold_until, hold_stop FROM adfbot.project WHERE id = ?`

func scanProject(r sqlstore.Row, id string) (p sqlstore.Project, err error) {
	var resumed, paused, until sqlstore.Time
	var held bool
	var hold incident.Hold
	err = r.Scan(&p.Generation, &p.Breaker.Failures, &p.Breaker.Tripped, &p.HalfOpen, &p.Ignored, &resumed, &p.Open, &held,
		&hold.ID, &hold.Note, &paused, &until, &hold.Stop)
	p.ID, p.Stored, p.Resumed, p.PausedAt = id, true, resumed.Time, paused.Time
	if held {
		hold.Project, hold.Since, hold.Until = id, paused.Time, until.Time
		p.Hold = &hold
	}
	return p, err
}

func (d database) Project(ctx context.Context, id string) (p sqlstore.Project, err error) {
	list, err := sqlstore.List(ctx, d, func(r sqlstore.Row) (sqlstore.Project, error) { return scanProject(r, id) }, columns, id)
	if len(list) == 0 {
		return sqlstore.Project{Project: store.Project{ID: id}}, d.Wrap(err)
	}
	return list[0], d.Wrap(err)
}

func (d database) Lock(ctx context.Context, tx sqlstore.Tx, id string) (sqlstore.Project, error) {
	p, _, err := d.lock(ctx, tx.(*txn), id)
	return p, err
}

func (d database) LockAndQuery(ctx context.Context, tx sqlstore.Tx, id, query string, args ...any) (sqlstore.Project, sqlstore.Rows, error) {
	p, more, err := d.lock(ctx, tx.(*txn), id, d.statement(query, args...))
	if err != nil {
		return p, nil, err
	}
	return p, &rows{Result: more[0]}, nil
}

// lock makes the row of the project if there is none. The clock is read by a statement of its own, after the wait for the lock.
func (d database) lock(ctx context.Context, t *txn, id string, more ...statement) (p sqlstore.Project, _ []*pgconn.Result, err error) {
	statements := append([]statement{d.statement(columns+` FOR UPDATE`, id), d.statement(readClock)}, more...)
	asked := time.Now()
	results, err := t.send(ctx, statements...)
	if err == nil && len(results[0].Rows) == 0 {
		insert := d.statement(`INSERT INTO adfbot.project (id) VALUES (?) ON CONFLICT DO NOTHING`, id)
		if results, err = t.send(ctx, append([]statement{insert}, statements...)...); err == nil {
			results = results[1:]
		}
	}
	if err != nil {
		return p, nil, err
	}
	found, at := &rows{Result: results[0]}, &rows{Result: results[1]}
	if !found.Next() || !at.Next() {
		return p, nil, &databaseError{errors.New("a row that was inserted is not there")}
	}
	var now sqlstore.Time
	if p, err = scanProject(found, id); err == nil {
		err = at.Scan(&now)
	}
	if err != nil {
		return p, nil, fmt.Errorf("%w: %w", sqlstore.ErrContent, err)
	}
	d.pool.clock.told(now.Time, asked)
	if p.Now = now.Time; d.now != nil {
		p.Now = d.now()
	}
	return p, results[2:], nil
}

// Save writes nothing if nothing has changed, as with most successes.
func (d database) Save(ctx context.Context, tx sqlstore.Tx, was, p sqlstore.Project) error {
	was.Stored, was.Now = p.Stored, p.Now
	if p == was {
		return nil
	}
	if p.Pause() != was.Pause() {
		if err := d.notify(ctx, tx); err != nil {
			return err
		}
	}
	var id, open any
	var hold incident.Hold
	if p.Hold != nil {
		id, hold = p.Hold.ID, *p.Hold
	}
	if p.Open != "" {
		open = p.Open
	}
	return tx.Exec(ctx, `UPDATE adfbot.project SET generation = ?, failures = ?, tripped = ?, half_open = ?, ignored = ?, resumed_at = ?,
		incident = ?, hold = ?, note = ?, paused_at = ?, hold_until = ?, hold_stop = ? WHERE id = ?`,
		p.Generation, p.Breaker.Failures, p.Breaker.Tripped, p.HalfOpen, p.Ignored, sqlstore.At(p.Resumed),
		open, id, hold.Note, sqlstore.At(p.PausedAt), sqlstore.At(hold.Until), hold.Stop, p.ID)
}

// CountSince counts up to the first number that is missing: a transaction that is not committed yet may have it. Numbers that are
// missing for longer were pruned, or never committed; so were those before a result of the future, which the server's clock was set back from.
func (s *Store) CountSince(ctx context.Context, after int64, limit int) ([]store.OutcomeCount, int64, error) {
	return s.CountResults(ctx, after, `WITH position AS (SELECT ?::bigint AS start),
		next AS MATERIALIZED (
			SELECT id, project, outcome, class, tripped,
				id > lag(id, 1, (SELECT start FROM position)) OVER (ORDER BY id) + 1
					AND recorded_at BETWEEN now() - interval '10 s' AND now() + interval '10 s' AS early
			FROM (SELECT * FROM adfbot.result WHERE id > (SELECT start FROM position) ORDER BY id LIMIT ?) AS following)
		SELECT project, outcome, class, count(*), count(*) FILTER (WHERE tripped), max(id) FROM next
		WHERE id < coalesce((SELECT min(id) FROM next WHERE early), 9223372036854775807) GROUP BY project, outcome, class`, limit)
}

// Hourly implements [store.HistoryReader].
func (s *Store) Hourly(ctx context.Context, project string, since time.Time, after int64, limit int) ([]store.HourCount, error) {
	return s.CountHourly(ctx, `floor(extract(epoch FROM recorded_at) / 3600)::bigint`, project, since, after, limit)
}
