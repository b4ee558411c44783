package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// maxTries is how often a transaction is made that others get in the way of.
const maxTries = 5

// Codes of errors, see appendix A of PostgreSQL's manual.
const (
	codeReadOnly        = "25006"
	codeStalePlan       = "0A000" // another host has upgraded the schema
	codeUniqueViolation = "23505" // another transaction was faster to insert a row
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
)

// retryable reports whether a transaction that failed has had no effect and may do better the next time.
func retryable(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case codeReadOnly, codeStalePlan, codeUniqueViolation, codeSerialization, codeDeadlock:
		return true
	}
	return false
}

// tx makes a change in a transaction, see [sqlstore.DB].
func (s *Store) tx(ctx context.Context, do func(context.Context, sqlstore.Tx) error) error {
	for try := 1; ; try++ {
		err := s.retryStale(ctx, func(c *connection) (bool, error) { return s.try(ctx, c, do) })
		switch {
		case !retryable(err):
			return s.Wrap(err)
		case try == maxTries:
			return s.Wrap(fmt.Errorf("after %d tries: %w", try, err))
		}
		select {
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		case <-ctx.Done():
			return s.Wrap(endOf(ctx, ctx))
		}
	}
}

// retryStale calls f with a connection. If that is an old one which has broken before anything could take effect, it calls f with
// another one. f reports whether something may have taken effect.
func (s *Store) retryStale(ctx context.Context, f func(*connection) (bool, error)) error {
	for {
		if stale, err := s.withConnection(ctx, f); !stale {
			return err
		}
	}
}

func (s *Store) withConnection(ctx context.Context, f func(*connection) (bool, error)) (stale bool, err error) {
	c, err := s.pool.take(ctx)
	if err != nil {
		return false, err
	}
	defer s.pool.give(c) // even if f panics
	old := c.used
	effect, err := f(c)
	if c.bad {
		s.pool.drop()
	}
	return err != nil && old && c.bad && !effect && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil, err
}

// txn is a transaction that is under way.
type txn struct {
	s      *Store
	c      *connection
	queued []statement // not sent yet
	begun  bool
	err    error // the transaction has failed
}

// try makes a transaction once. effect is whether it may have been stored.
func (s *Store) try(ctx context.Context, c *connection, do func(context.Context, sqlstore.Tx) error) (effect bool, err error) {
	ctx = context.WithoutCancel(ctx)
	t := &txn{s: s, c: c}
	if err = do(ctx, t); err == nil {
		err = t.err
	}
	if err != nil {
		if t.begun && !c.bad {
			_, _ = c.run(ctx, statement{text: `ROLLBACK`})
		}
		return false, err
	}
	return t.commit(ctx)
}

func (t *txn) commit(ctx context.Context) (effect bool, err error) {
	if !t.begun && len(t.queued) > 0 {
		_, err = t.send(ctx) // the version is checked before anything is stored
	}
	if err != nil || !t.begun {
		return false, err
	}
	fault.Count(ctx, "transaction")
	results, err := t.c.run(ctx, append(t.queued, statement{text: `COMMIT`})...)
	if err != nil {
		if retryable(err) && !t.c.bad {
			_, _ = t.c.run(ctx, statement{text: `ROLLBACK`})
		}
		return !retryable(err), err
	}
	if tag := results[len(results)-1].CommandTag.String(); tag != "COMMIT" {
		return false, &databaseError{fmt.Errorf("the server answered COMMIT with %s", tag)}
	}
	return true, nil
}

// guard ends a transaction whose host is gone, and reads the version of the schema and whether this host was retired. Its settings are
// those of the transaction.
const guard = `SELECT value, EXISTS (SELECT FROM adfbot.host WHERE id = ? AND retired_at IS NOT NULL),
	set_config('idle_in_transaction_session_timeout', '10s', true), set_config('statement_timeout', '10s', true)
	FROM adfbot.meta WHERE key = 'schema_version'`

// send sends what is queued, and more statements, and returns what those return.
func (t *txn) send(ctx context.Context, more ...statement) ([]*pgconn.Result, error) {
	if t.err != nil {
		return nil, t.err
	}
	statements := append(t.queued, more...)
	t.queued = nil
	first := !t.begun
	var claims []claim
	if t.begun = true; first {
		begin := []statement{{text: `BEGIN`}, t.s.statement(guard, t.s.host)}
		claims = claimsOf(ctx)
		for _, c := range claims {
			begin = append(begin, t.s.statement(checkClaim, c.name, c.token))
		}
		if isAsHost(ctx) {
			begin = append(begin, t.s.statement(lockHost, t.s.host))
		}
		statements = append(begin, statements...)
	}
	results, err := t.c.run(ctx, statements...)
	if err == nil && first {
		err = t.s.checkGuard(results[1])
	}
	if err == nil && first && isAsHost(ctx) {
		err = t.s.checkRetired(results[2+len(claims)])
	}
	for n := range claims {
		if err == nil && len(results[2+n].Rows) == 0 {
			err = errClaimLost
		}
	}
	if err != nil {
		t.err = err
		return nil, err
	}
	return results[len(results)-len(more):], nil
}

func (t *txn) Exec(_ context.Context, query string, args ...any) error {
	t.queued = append(t.queued, t.s.statement(query, args...))
	return t.err
}

func (t *txn) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	results, err := t.send(ctx, t.s.statement(query, args...))
	if err != nil {
		return nil, err
	}
	return &rows{Result: results[0]}, nil
}

// checkGuard returns why this program must not write the state.
func (s *Store) checkGuard(r *pgconn.Result) error {
	if len(r.Rows) == 0 {
		return s.checkVersion("")
	}
	if err := s.checkVersion(string(r.Rows[0][0])); err != nil {
		return err
	}
	return s.retired(r.Rows[0][1][0] != 0)
}
