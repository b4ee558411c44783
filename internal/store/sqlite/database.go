package sqlite

import (
	"context"
	"database/sql"
)

// querier reads, within a transaction or outside.
type querier interface {
	QueryContext(context.Context, string, ...any) (*rows, error)
	QueryRowContext(context.Context, string, ...any) *row
}

// database is the one connection to the file. SQLite has one writer anyway, and goroutines of one process then queue for it,
// fairly, instead of polling for the file's lock. It is not left to database/sql's pool and transactions: without them a
// result costs 20 µs less, since no goroutine watches over it and BEGIN and COMMIT are not parsed each time.
//
// A context counts while one waits for the connection, and never for a query: that is over soon, and the end of one context
// could interrupt the next query too.
type database struct {
	pool *sql.DB
	conn *sql.Conn
	turn chan struct{} // holds a token while somebody uses the connection

	// Queries that came once are here without a statement. When they come again they are prepared: a process that asks once is not
	// slowed down. There are only as many as this package writes down, because values are always parameters. Who has the
	// turn has the map too.
	known map[string]*sql.Stmt
}

func newDatabase(dsn string) (*database, error) {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return &database{pool: pool, turn: make(chan struct{}, 1), known: map[string]*sql.Stmt{}}, nil
}

// connect opens the file; it may be called again after an error.
func (d *database) connect(ctx context.Context) (err error) {
	if d.conn == nil {
		d.conn, err = d.pool.Conn(ctx)
	}
	return err
}

// close waits for a transaction that is under way.
func (d *database) close() error {
	d.turn <- struct{}{}
	defer d.done()
	for _, st := range d.known {
		if st != nil {
			_ = st.Close() // else SQLite keeps the file open
		}
	}
	d.known = map[string]*sql.Stmt{}
	if d.conn != nil {
		_ = d.conn.Close() // back into the pool
	}
	return d.pool.Close()
}

// take waits for the turn; done ends it.
func (d *database) take(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *database) done() { <-d.turn }

// statement returns the prepared query, nil where it comes for the first time or can't be prepared: as it stands it then
// fails with an error of its own.
func (d *database) statement(ctx context.Context, query string) *sql.Stmt {
	st, again := d.known[query]
	if st == nil && again {
		if prepared, err := d.conn.PrepareContext(ctx, query); err == nil {
			st = prepared
		}
	}
	d.known[query] = st
	return st
}

func (d *database) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if st := d.statement(ctx, query); st != nil {
		return st.ExecContext(ctx, args...)
	}
	return d.conn.ExecContext(ctx, query, args...)
}

func (d *database) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := d.statement(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return d.conn.QueryContext(ctx, query, args...)
}

// QueryContext has the turn until the rows are closed.
func (d *database) QueryContext(ctx context.Context, query string, args ...any) (out *rows, err error) {
	err = patiently(ctx, func() error {
		if err := d.take(ctx); err != nil {
			return err
		}
		found, err := d.query(context.WithoutCancel(ctx), query, args...)
		if err != nil {
			d.done()
			return err
		}
		out = &rows{found, d.done}
		return nil
	})
	return out, err
}

func (d *database) QueryRowContext(ctx context.Context, query string, args ...any) *row {
	found, err := d.QueryContext(ctx, query, args...)
	return &row{found, err}
}

// rows must be closed, or nobody else can use the state.
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

// txn is a transaction that is under way. It has the turn.
type txn struct {
	db   *database
	over bool // committed
}

// begin begins a transaction as soon as nobody else has one. ctx counts until then, and no longer. ready is asked before.
func (d *database) begin(ctx context.Context, ready func() error) (*txn, error) {
	err := patiently(ctx, func() error {
		if err := d.take(ctx); err != nil {
			return err
		}
		err := ready()
		if err == nil {
			_, err = d.exec(context.WithoutCancel(ctx), `BEGIN IMMEDIATE`)
		}
		if err != nil {
			d.done() // for those who read meanwhile
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &txn{db: d}, nil
}

func (t *txn) commit(ctx context.Context) error {
	_, err := t.db.exec(ctx, `COMMIT`)
	t.over = err == nil
	return err
}

// end takes the transaction back where it was not committed.
func (t *txn) end(ctx context.Context) {
	if !t.over {
		_, _ = t.db.exec(ctx, `ROLLBACK`) // an error means that SQLite has done it already
	}
	t.db.done()
}

func (t *txn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.db.exec(ctx, query, args...)
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
