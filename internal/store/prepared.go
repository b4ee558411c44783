package store

import (
	"context"
	"database/sql"
	"sync"
)

// querier reads, within a transaction or outside.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// database is a pool whose queries are prepared when they come a second time: a process that asks once is not slowed down,
// and one that goes on does not have each query parsed again. There are only as many as this package writes down: values
// are always parameters.
type database struct {
	*sql.DB
	mu    sync.Mutex
	known map[string]*sql.Stmt // nil: came once. The pool's Close ends them
}

// statement returns the prepared query, nil where it is not prepared, and whether it came before.
func (d *database) statement(query string) (st *sql.Stmt, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if st, again = d.known[query]; !again {
		d.known[query] = nil
	}
	return st, again
}

// prepare returns nil where the query can't be prepared: as it stands it then fails with an error of its own.
func (d *database) prepare(ctx context.Context, query string) *sql.Stmt {
	st, err := d.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[query] != nil { // somebody was faster
		_ = st.Close()
	} else {
		d.known[query] = st
	}
	return d.known[query]
}

// reading is statement for a query outside of a transaction, which is prepared when it comes again.
func (d *database) reading(ctx context.Context, query string) *sql.Stmt {
	st, again := d.statement(query)
	if st == nil && again {
		st = d.prepare(ctx, query)
	}
	return st
}

func (d *database) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	st := d.reading(ctx, query)
	err = patiently(ctx, func() error {
		if st != nil {
			rows, err = st.QueryContext(ctx, args...)
		} else {
			rows, err = d.DB.QueryContext(ctx, query, args...)
		}
		return err
	})
	return rows, err
}

func (d *database) QueryRowContext(ctx context.Context, query string, args ...any) (row *sql.Row) {
	st := d.reading(ctx, query)
	_ = patiently(ctx, func() error {
		if st != nil {
			row = st.QueryRowContext(ctx, args...)
		} else {
			row = d.DB.QueryRowContext(ctx, query, args...)
		}
		return row.Err() // Scan gives it to the caller
	})
	return row
}

// txn is a transaction that is under way.
type txn struct {
	tx     *sql.Tx
	conn   *sql.Conn
	db     *database
	own    map[string]*sql.Stmt // prepared ones, as this transaction uses them; nil: not prepared
	wanted []string             // came again and are not prepared: they will be, once this transaction lets go of the connection
}

func (t *txn) statement(ctx context.Context, query string) *sql.Stmt {
	st, ok := t.own[query]
	if ok {
		return st
	}
	st, again := t.db.statement(query)
	if st != nil {
		st = t.tx.StmtContext(ctx, st)
	} else if again {
		t.wanted = append(t.wanted, query)
	}
	t.own[query] = st
	return st
}

func (t *txn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if st := t.statement(ctx, query); st != nil {
		return st.ExecContext(ctx, args...)
	}
	return t.tx.ExecContext(ctx, query, args...)
}

func (t *txn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := t.statement(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return t.tx.QueryContext(ctx, query, args...)
}

func (t *txn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if st := t.statement(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

// end takes the transaction back where it was not committed, and lets go of the connection.
func (t *txn) end() {
	_ = t.tx.Rollback()
	_ = t.conn.Close()
}
