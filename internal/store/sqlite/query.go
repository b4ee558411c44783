package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// querier reads, in a transaction or outside.
type querier interface {
	query(ctx context.Context, query string, args ...any) (*rows, error)
}

// query has the turn of a connection until the rows are closed.
func (d *database) query(ctx context.Context, query string, args ...any) (out *rows, err error) {
	err = retryBusy(ctx, func() error {
		c, err := d.forReading(ctx)
		if err != nil {
			return err
		}
		if out, err = c.query(context.WithoutCancel(ctx), query, args...); err != nil {
			c.done()
			return err
		}
		out.done = c.done
		return nil
	})
	return out, err
}

// rows must be closed, or nobody else can use the connection.
type rows struct {
	*sql.Rows
	done func()
}

func (r *rows) Close() error {
	err := r.Rows.Close()
	if r.done != nil {
		r.done()
	}
	return err
}

// queryRow returns the first of some rows.
func queryRow(ctx context.Context, q querier, query string, args ...any) *row {
	found, err := q.query(ctx, query, args...)
	return &row{found, err}
}

// row must be scanned, which closes the rows.
type row struct {
	rows *rows
	err  error
}

// Scan is that of [sql.Row].
func (r *row) Scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	defer func() { _ = r.rows.Close() }()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return inContent(r.rows.Scan(to...))
}

// errContent means that a row holds what adfbot never writes: the state is damaged.
var errContent = errors.New("it has content that adfbot never writes")

func inContent(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: %w", errContent, err)
	}
	return err
}

// list returns all rows of a query. With an error for one that cannot be read, it returns the others.
func list[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, scanErr := scan(rows.Rows)
		if scanErr != nil {
			err = cmp.Or(err, inContent(scanErr))
			continue
		}
		out = append(out, v)
	}
	return out, cmp.Or(rows.Err(), err)
}

// read is list outside a transaction.
func read[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	out, err := list(ctx, s.db, scan, query, args...)
	return out, s.wrap(err)
}

// scanDoc reads a row of one column, which holds JSON.
func scanDoc[T any](rows *sql.Rows) (v T, err error) {
	var doc string
	if err = rows.Scan(&doc); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(doc), &v)
}

// execDoc executes a statement whose first parameter is v as JSON.
func execDoc(ctx context.Context, tx *txn, v any, query string, args ...any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, query, append([]any{string(doc)}, args...)...)
	return err
}

// exec executes one statement in a transaction.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.exec(ctx, query, args...)
		return err
	})
}

// millis returns a time as it is stored, nil for the zero time.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func timeOf(stored sql.NullInt64) time.Time {
	if !stored.Valid {
		return time.Time{}
	}
	// Earlier versions stored any time that a result named.
	return tracker.PossibleTime(time.UnixMilli(stored.Int64).UTC())
}
