package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// database is the connections to one file.
//
// Transactions use the writer. SQLite has one writer at a time anyway, and the goroutines of one process queue for it,
// fairly, instead of polling for the lock of the file. Queries outside transactions use the reader, so that they do not wait
// for the sync of a commit; a reader of a write-ahead log never waits for a writer, and sees each commit once it has
// returned. It is opened when a query first finds the writer busy: a command that does one thing after the other does with
// the writer alone.
type database struct {
	writer *connection

	mu         sync.Mutex
	reader     *connection                                // nil until it is opened
	openReader func(context.Context) (*connection, error) // nil: there is none
	gaveUp     time.Time                                  // when begin has last waited for busyWait in vain
}

// forReading waits for a connection to read from.
func (d *database) forReading(ctx context.Context) (*connection, error) {
	c, taken := d.reading(ctx)
	if taken {
		return c, nil
	}
	return c, c.take(ctx)
}

func (d *database) reading(ctx context.Context) (c *connection, taken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.reader != nil:
		return d.reader, false
	case d.openReader == nil:
		return d.writer, false
	}
	select {
	case d.writer.turn <- struct{}{}:
		return d.writer, true
	default:
	}
	c, err := d.openReader(context.WithoutCancel(ctx))
	if err != nil {
		return d.writer, false
	}
	d.reader = c
	return c, false
}

// close waits for the transaction and the query that are under way.
func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.openReader = nil
	if d.reader != nil {
		_ = d.reader.close()
	}
	return d.writer.close() // the last one folds in the log
}

// connection is a connection that one goroutine at a time uses. It is not left to the pool and the transactions of
// database/sql: without them a result costs 20 µs less, since no goroutine watches over it and BEGIN and COMMIT are not
// parsed each time.
//
// A context counts while one waits for the connection, and never for a query: that is over soon, and the end of one context
// could interrupt the next query too.
type connection struct {
	pool *sql.DB
	conn *sql.Conn
	turn chan struct{} // holds a token while somebody uses the connection

	// Queries that came once are here without a statement. They are prepared when they come again: a process that asks once
	// is not slowed down. There are only as many as this package spells out, because values are always parameters. It is
	// guarded by the turn.
	known map[string]*sql.Stmt
}

func newConnection(dsn string) (*connection, error) {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return &connection{pool: pool, turn: make(chan struct{}, 1), known: map[string]*sql.Stmt{}}, nil
}

// connect opens the file; it may be called again after an error.
func (c *connection) connect(ctx context.Context) (err error) {
	if c.conn == nil {
		c.conn, err = c.pool.Conn(ctx)
	}
	return err
}

func (c *connection) close() error {
	c.turn <- struct{}{}
	defer c.done()
	for _, st := range c.known {
		if st != nil {
			_ = st.Close() // else SQLite keeps the file open
		}
	}
	c.known = map[string]*sql.Stmt{}
	if c.conn != nil {
		_ = c.conn.Close() // back into the pool
	}
	return c.pool.Close()
}

// take waits for the turn; done ends it.
func (c *connection) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *connection) done() { <-c.turn }

// statement returns the prepared query, nil if it comes for the first time or can't be prepared: executed as it stands, it
// then fails with an error of its own.
func (c *connection) statement(ctx context.Context, query string) *sql.Stmt {
	st, again := c.known[query]
	if st == nil && again {
		if prepared, err := c.conn.PrepareContext(ctx, query); err == nil {
			st = prepared
		}
	}
	c.known[query] = st
	return st
}

func (c *connection) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if st := c.statement(ctx, query); st != nil {
		return st.ExecContext(ctx, args...)
	}
	return c.conn.ExecContext(ctx, query, args...)
}

func (c *connection) query(ctx context.Context, query string, args ...any) (*rows, error) {
	var found *sql.Rows
	var err error
	if st := c.statement(ctx, query); st != nil {
		found, err = st.QueryContext(ctx, args...)
	} else {
		found, err = c.conn.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return nil, err
	}
	return &rows{Rows: found}, nil
}

// txn is a transaction that is under way. It has the turn of the writer.
type txn struct {
	*connection
	over bool // committed
}

// begin begins a transaction once nobody else has one. ctx counts until then, and no longer. ready is called first.
// After a wait in vain it does not wait again for a while: a command that has ten changes must not wait ten times for a process that
// is stopped.
func (d *database) begin(ctx context.Context, ready func() error) (*txn, error) {
	c := d.writer
	d.mu.Lock()
	wait := busyWait
	if time.Since(d.gaveUp) < busyWait {
		wait = 0
	}
	d.mu.Unlock()
	err := retryBusyFor(ctx, wait, func() error {
		if err := c.take(ctx); err != nil {
			return err
		}
		err := ready()
		if err == nil {
			_, err = c.exec(context.WithoutCancel(ctx), `BEGIN IMMEDIATE`)
		}
		if err != nil {
			c.done() // for those who close the state meanwhile
		}
		return err
	})
	if isBusy(err) && wait > 0 {
		d.mu.Lock()
		d.gaveUp = time.Now()
		d.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	return &txn{connection: c}, nil
}

func (t *txn) commit(ctx context.Context) error {
	_, err := t.exec(ctx, `COMMIT`)
	t.over = err == nil
	return err
}

// end takes the transaction back unless it was committed.
func (t *txn) end(ctx context.Context) {
	if !t.over {
		_, _ = t.exec(ctx, `ROLLBACK`) // an error means that SQLite has done it already
	}
	t.done()
}
