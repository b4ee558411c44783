package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// querier reads, in a transaction or outside.
type querier interface {
	QueryContext(context.Context, string, ...any) (*rows, error)
	QueryRowContext(context.Context, string, ...any) *row
}

// QueryContext has the turn of a connection until the rows are closed.
func (d *database) QueryContext(ctx context.Context, query string, args ...any) (out *rows, err error) {
	err = retryBusy(ctx, func() error {
		c, err := d.forReading(ctx)
		if err != nil {
			return err
		}
		found, err := c.query(context.WithoutCancel(ctx), query, args...)
		if err != nil {
			c.done()
			return err
		}
		out = &rows{found, c.done}
		return nil
	})
	return out, err
}

func (d *database) QueryRowContext(ctx context.Context, query string, args ...any) *row {
	found, err := d.QueryContext(ctx, query, args...)
	return &row{found, err}
}

func (t *txn) QueryContext(ctx context.Context, query string, args ...any) (*rows, error) {
	found, err := t.db.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return &rows{found, func() {}}, nil
}

func (t *txn) QueryRowContext(ctx context.Context, query string, args ...any) *row {
	found, err := t.QueryContext(ctx, query, args...)
	return &row{found, err}
}

func (t *txn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.db.exec(ctx, query, args...)
}

// rows must be closed, or nobody else can use the connection.
type rows struct {
	*sql.Rows
	done func()
}

func (r *rows) Close() error {
	err := r.Rows.Close()
	r.done()
	return err
}

// row is the first of some rows. Its Scan must be called.
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
	return r.rows.Scan(to...)
}

// list returns all rows of a query.
func list[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
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
	_, err = tx.ExecContext(ctx, query, append([]any{string(doc)}, args...)...)
	return err
}

// exec executes one statement in a transaction.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ExecContext(ctx, query, args...)
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
	return time.UnixMilli(stored.Int64).UTC()
}
