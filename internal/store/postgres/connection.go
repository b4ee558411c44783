package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// oldestServer is the first major version of PostgreSQL that is supported.
const oldestServer = 14

// connection is a connection that one goroutine at a time uses.
type connection struct {
	pg   *pgconn.PgConn
	used bool // it comes from the pool, so it may have broken since
	bad  bool // it is not to be used again

	idleSince time.Time

	// prepared are the statements that the server process knows, by their text; nil if there is a pooler in between, which may give
	// each transaction another process.
	prepared map[string]*prepared
	names    int // how many names of prepared statements are taken

	notified int // how many notifications have arrived
}

// prepared is a statement that the server has parsed.
type prepared struct {
	name   string
	result *pgconn.StatementDescription // nil until the server has answered
}

// close closes the connection. If it is broken, pgconn is asking the server to break off what it does; nobody waits for that.
func (c *connection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pg.Close(ctx)
}

// check returns why a server can't be used, reads its clock, and finds out whether statements can be prepared: a pooler does not tell the
// number of the server's process.
func (c *connection) check(ctx context.Context, clock *serverClock) error {
	asked := time.Now()
	results, err := c.run(ctx, statement{text: `SELECT pg_backend_pid(), clock_timestamp()`})
	if err != nil {
		return err
	}
	if at, err := decode(typeTimestamptz, results[0].Rows[0][1]); err == nil {
		clock.told(at.(time.Time), asked)
	}
	if pid, _ := decode(typeInt4, results[0].Rows[0][0]); pid == int64(c.pg.PID()) {
		c.prepared = map[string]*prepared{}
	}
	version := c.pg.ParameterStatus("server_version")
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err == nil && major < oldestServer {
		return &databaseError{adviceError{fmt.Sprintf("its PostgreSQL is too old: upgrade it to %d or later", oldestServer),
			fmt.Errorf("the server's version is %s", version)}}
	}
	if encoding := c.pg.ParameterStatus("server_encoding"); encoding != "UTF8" {
		return &databaseError{adviceError{"the database cannot hold every character: make one with ENCODING 'UTF8'",
			fmt.Errorf("its encoding is %s", encoding)}}
	}
	return nil
}

// statement is a statement in PostgreSQL's words, with its parameters.
type statement struct {
	text string
	args [][]byte
}

// run sends statements at once and returns what each of them returned. It stops at the first one that fails.
func (c *connection) run(ctx context.Context, statements ...statement) ([]*pgconn.Result, error) {
	return c.runWithin(ctx, answerWithin, statements...)
}

func (c *connection) runWithin(caller context.Context, limit time.Duration, statements ...statement) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	results, err := c.pipeline(ctx, statements)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return results, nil
	case errors.As(err, &pg):
		// The state of the connection is known. One to a server that became read-only, or that is ending, is of no use.
		c.bad = c.bad || pg.Code == codeReadOnly || pg.Code == codeStalePlan || pg.Severity == "FATAL" || pg.Severity == "PANIC"
	default:
		c.bad = true
		if ctx.Err() != nil {
			return results, endOf(ctx, caller)
		}
	}
	return results, &databaseError{err}
}

func (c *connection) pipeline(ctx context.Context, statements []statement) (results []*pgconn.Result, err error) {
	p := c.pg.StartPipeline(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	var preparing []string // what the server is asked to prepare now
	defer func() {
		for _, text := range preparing {
			delete(c.prepared, text)
		}
	}()
	for _, s := range statements {
		if c.send(p, s) {
			preparing = append(preparing, s.text)
		}
	}
	if err := p.Sync(); err != nil {
		return nil, err
	}
	for len(results) < len(statements) {
		found, err := p.GetResults()
		if err != nil {
			return results, err
		}
		switch found := found.(type) {
		case *pgconn.StatementDescription:
			known := c.prepared[preparing[0]]
			found.Name = known.name
			known.result, preparing = found, preparing[1:]
		case *pgconn.ResultReader:
			result := found.Read()
			if result.Err != nil {
				return results, result.Err
			}
			results = append(results, result)
		default:
			return results, fmt.Errorf("the server sent a %T", found)
		}
	}
	return results, nil
}

// inBinary asks for values as [decode] reads them.
var inBinary = []int16{1}

// send adds a statement to a pipeline. It reports whether the statement is prepared first.
func (c *connection) send(p *pgconn.Pipeline, s statement) (prepares bool) {
	if c.prepared == nil {
		p.SendQueryParams(s.text, s.args, nil, nil, inBinary)
		return false
	}
	known := c.prepared[s.text]
	if known == nil {
		c.names++
		known = &prepared{name: fmt.Sprint("adfbot", c.names)}
		c.prepared[s.text] = known
		p.SendPrepare(known.name, s.text, nil)
		prepares = true
	}
	if known.result != nil {
		p.SendQueryStatement(known.result, s.args, nil, inBinary)
	} else {
		p.SendQueryPrepared(known.name, s.args, nil, inBinary)
	}
	return prepares
}

// endOf returns the error of a call whose context has ended. That it was cancelled says nothing about the state, and that the time was
// too short does.
func endOf(ctx, caller context.Context) error {
	if errors.Is(caller.Err(), context.Canceled) {
		return caller.Err()
	}
	return &databaseError{fmt.Errorf("no answer in time: %w", ctx.Err())}
}

// databaseError is an error of the connection or the server.
type databaseError struct{ error }

func (e *databaseError) Unwrap() error { return e.error }

// adviceError is an error with its advice.
type adviceError struct {
	advice string
	error
}

func (e adviceError) Unwrap() error { return e.error }
