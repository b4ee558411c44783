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
}

func (c *connection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pg.Close(ctx)
}

// check returns why a server can't be used.
func (c *connection) check() error {
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
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, errNoAnswer)
	defer cancel()
	results, err := c.pipeline(ctx, statements)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return results, nil
	case errors.As(err, &pg):
		// The state of the connection is known. One to a server that became read-only, or that is ending, is of no use.
		c.bad = c.bad || pg.Code == codeReadOnly || pg.Severity == "FATAL" || pg.Severity == "PANIC"
	default:
		c.bad = true
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
	}
	return results, &databaseError{err}
}

func (c *connection) pipeline(ctx context.Context, statements []statement) (results []*pgconn.Result, err error) {
	p := c.pg.StartPipeline(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	for _, s := range statements {
		p.SendQueryParams(s.text, s.args, nil, nil, []int16{1})
	}
	if err := p.Sync(); err != nil {
		return nil, err
	}
	for range statements {
		found, err := p.GetResults()
		if err != nil {
			return results, err
		}
		reader, ok := found.(*pgconn.ResultReader)
		if !ok {
			return results, fmt.Errorf("the server sent a %T", found)
		}
		result := reader.Read()
		if result.Err != nil {
			return results, result.Err
		}
		results = append(results, result)
	}
	return results, nil
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

var errNoAnswer = errors.New("no answer within " + answerWithin.String())
