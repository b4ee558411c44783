package sqlstore

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

// First returns the first of some rows.
func First(ctx context.Context, q Querier, query string, args ...any) *FirstRow {
	found, err := q.Query(ctx, query, args...)
	return &FirstRow{found, err}
}

// FirstRow must be scanned, which closes the rows.
type FirstRow struct {
	rows Rows
	err  error
}

// Scan is that of [sql.Row].
func (r *FirstRow) Scan(to ...any) error {
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

// ErrContent means that a row holds what adfbot never writes: the state is damaged.
var ErrContent = errors.New("it has content that adfbot never writes")

func inContent(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrContent, err)
	}
	return err
}

// List returns all rows of a query. With an error for one that cannot be read, it returns the others.
func List[T any](ctx context.Context, q Querier, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return Collect(rows, scan)
}

// Collect reads rows like [List].
func Collect[T any](rows Rows, scan func(Row) (T, error)) (out []T, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, scanErr := scan(rows)
		if scanErr != nil {
			err = cmp.Or(err, inContent(scanErr))
			continue
		}
		out = append(out, v)
	}
	return out, cmp.Or(rows.Err(), err)
}

// read is List outside a transaction.
func read[T any](ctx context.Context, s *State, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	out, err := List(ctx, s.db, scan, query, args...)
	return out, s.db.Wrap(err)
}

// ScanDoc reads a row of one column, which holds JSON.
func ScanDoc[T any](row Row) (v T, err error) {
	var doc string
	if err = row.Scan(&doc); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(doc), &v)
}

// execDoc executes a statement whose first parameter is v as JSON.
func execDoc(ctx context.Context, tx Tx, v any, query string, args ...any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Exec(ctx, query, append([]any{string(doc)}, args...)...)
}

// exec executes one statement in a transaction.
func (s *State) exec(ctx context.Context, query string, args ...any) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error { return tx.Exec(ctx, query, args...) })
}

// At returns a time as a parameter: nil if it is unknown.
func At(t time.Time) any {
	if t = tracker.PossibleTime(t); t.IsZero() {
		return nil
	}
	return stamp(t)
}

// stamp returns a time that is known as it is stored.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Time scans a time as it is stored.
type Time struct{ time.Time }

// Scan is that of [sql.Scanner].
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case int64:
		t.Time = time.UnixMilli(v).UTC()
	case time.Time:
		t.Time = v.UTC()
	default:
		return fmt.Errorf("%v is no time", v)
	}
	t.Time = tracker.PossibleTime(t.Time) // earlier versions stored any time that a result named
	return nil
}
