package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// tables is a state for package sqlstore.
type tables struct{ s *Store }

func (t tables) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	return t.s.db.Query(ctx, query, args...)
}

func (t tables) Tx(ctx context.Context, do func(context.Context, sqlstore.Tx) error) error {
	return t.s.tx(ctx, func(ctx context.Context, tx *txn) error { return do(ctx, tx) })
}

func (t tables) Wrap(err error) error { return t.s.wrap(err) }

func (t tables) Now(context.Context, sqlstore.Tx) (time.Time, error) { return t.s.now(), nil }

func (t tables) Project(ctx context.Context, id string) (sqlstore.Project, error) {
	p, err := loadProject(ctx, t.s.db, id)
	return p, t.s.wrap(err)
}

// Lock has nothing to lock: a transaction has the whole file.
func (t tables) Lock(ctx context.Context, tx sqlstore.Tx, id string) (sqlstore.Project, error) {
	p, err := loadProject(ctx, tx, id)
	p.Now = t.s.now()
	return p, err
}

func (t tables) LockAndQuery(ctx context.Context, tx sqlstore.Tx, id, query string, args ...any) (p sqlstore.Project, _ sqlstore.Rows, err error) {
	if p, err = t.Lock(ctx, tx, id); err != nil {
		return p, nil, err
	}
	rows, err := tx.Query(ctx, query, args...)
	return p, rows, err
}

func loadProject(ctx context.Context, q sqlstore.Querier, id string) (p sqlstore.Project, err error) {
	p.ID = id
	var generation sql.NullInt64 // there always is one in a row
	var resumed, since, until sqlstore.Time
	var open, hold, note, stop sql.NullString
	err = sqlstore.First(ctx, q, `SELECT generation, coalesce(failures, 0), coalesce(tripped, 0), coalesce(half_open, 0), coalesce(ignored, 0),
		resumed_at, (SELECT id FROM incident WHERE project = wanted AND ended_at IS NULL), hold.id, note, since, until, stop
		FROM (SELECT ? AS wanted) LEFT JOIN project ON project.id = wanted LEFT JOIN hold ON hold.project = wanted`, id).
		Scan(&generation, &p.Breaker.Failures, &p.Breaker.Tripped, &p.HalfOpen, &p.Ignored, &resumed, &open, &hold, &note, &since, &until, &stop)
	p.Generation, p.Stored, p.Resumed, p.Open = generation.Int64, generation.Valid, resumed.Time, open.String
	if hold.Valid {
		p.Hold = &incident.Hold{ID: hold.String, Project: id, Note: note.String, Since: since.Time, Until: until.Time, Stop: stop.String}
	}
	return p, err
}

// Save writes nothing if nothing has changed, as with most successes. The open incident is known from its own table.
func (t tables) Save(ctx context.Context, tx sqlstore.Tx, was, p sqlstore.Project) error {
	if p.Hold != was.Hold {
		if err := tx.Exec(ctx, `DELETE FROM hold WHERE project = ?`, p.ID); err != nil {
			return err
		}
		if h := p.Hold; h != nil {
			if err := tx.Exec(ctx, `INSERT INTO hold (id, project, note, since, until, stop) VALUES (?, ?, ?, ?, ?, ?)`,
				h.ID, h.Project, h.Note, h.Since.UnixMilli(), sqlstore.At(h.Until), h.Stop); err != nil {
				return err
			}
		}
	}
	if was.Stored && p.Project == was.Project {
		return nil
	}
	return tx.Exec(ctx, `INSERT INTO project (id, generation, failures, tripped, half_open, ignored, resumed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, failures = excluded.failures,
		tripped = excluded.tripped, half_open = excluded.half_open, ignored = excluded.ignored, resumed_at = excluded.resumed_at`,
		p.ID, p.Generation, p.Breaker.Failures, p.Breaker.Tripped, p.HalfOpen, p.Ignored, sqlstore.At(p.Resumed))
}
