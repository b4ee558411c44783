package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/store/sqlstore"
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

// Query has the turn of a connection until the rows are closed.
func (d *database) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	var found *rows
	err := retryBusy(ctx, func() error {
		c, err := d.forReading(ctx)
		if err != nil {
			return err
		}
		if found, err = c.query(context.WithoutCancel(ctx), query, args...); err != nil {
			c.done()
			return err
		}
		found.done = c.done
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
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
	// is not slowed down. There are only as many as the program spells out, because values are always parameters. It is
	// guarded by the turn.
	known map[string]statement
}

// statement is a query in SQLite's words.
type statement struct {
	text     string
	prepared *sql.Stmt // or nil
}

// inSQLite translates the statements of package sqlstore. Flags are compared as in the conditions of the indexes, which would not be
// used otherwise.
var inSQLite = strings.NewReplacer("adfbot.", "", " FOR UPDATE", "", "NOT settled", "settled = 0", "NOT done", "done = 0")

func newConnection(dsn string) (*connection, error) {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return &connection{pool: pool, turn: make(chan struct{}, 1), known: map[string]statement{}}, nil
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
		if st.prepared != nil {
			_ = st.prepared.Close() // else SQLite keeps the file open
		}
	}
	c.known = map[string]statement{}
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

// statement returns a query. It is not prepared if it comes for the first time or can't be prepared: executed as it stands, it
// then fails with an error of its own.
func (c *connection) statement(ctx context.Context, query string) statement {
	st, again := c.known[query]
	switch {
	case !again:
		st.text = inSQLite.Replace(query)
	case st.prepared != nil:
		return st
	default:
		if prepared, err := c.conn.PrepareContext(ctx, st.text); err == nil {
			st.prepared = prepared
		}
	}
	c.known[query] = st
	return st
}

func (c *connection) exec(ctx context.Context, query string, args ...any) (err error) {
	if st := c.statement(ctx, query); st.prepared != nil {
		_, err = st.prepared.ExecContext(ctx, parameters(args)...)
	} else {
		_, err = c.conn.ExecContext(ctx, st.text, parameters(args)...)
	}
	return err
}

func (c *connection) query(ctx context.Context, query string, args ...any) (*rows, error) {
	var found *sql.Rows
	var err error
	if st := c.statement(ctx, query); st.prepared != nil {
		found, err = st.prepared.QueryContext(ctx, parameters(args)...)
	} else {
		found, err = c.conn.QueryContext(ctx, st.text, parameters(args)...)
	}
	if err != nil {
		return nil, err
	}
	return &rows{Rows: found}, nil
}

// parameters replaces times by the milliseconds that are stored.
func parameters(args []any) []any {
	for n, a := range args {
		if at, ok := a.(time.Time); ok {
			args[n] = at.UnixMilli()
		}
	}
	return args
}

// txn is a transaction that is under way. It has the turn of the writer.
type txn struct {
	*connection
	over bool // committed
}

func (t *txn) Exec(ctx context.Context, query string, args ...any) error {
	return t.exec(ctx, query, args...)
}

func (t *txn) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	found, err := t.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
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
			err = c.exec(context.WithoutCancel(ctx), `BEGIN IMMEDIATE`)
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
	err := t.exec(ctx, `COMMIT`)
	t.over = err == nil
	return err
}

// end takes the transaction back unless it was committed.
func (t *txn) end(ctx context.Context) {
	if !t.over {
		_ = t.exec(ctx, `ROLLBACK`) // an error means that SQLite has done it already
	}
	t.done()
}
