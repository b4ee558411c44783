package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// errReadOnly is a mistake of the program's.
var errReadOnly = errors.New("the state was opened for reading, and is not changed")

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
	if s.readOnly {
		return s.Wrap(errReadOnly)
	}
	return s.transact(ctx, do)
}

func (s *Store) transact(ctx context.Context, do func(context.Context, sqlstore.Tx) error) error {
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

// guard ends a transaction whose host is gone, and reads the version of the schema, whether this host was retired, and whose state it is.
// Its settings are those of the transaction.
const guard = `SELECT value, EXISTS (SELECT FROM adfbot.host WHERE id = ? AND retired_at IS NOT NULL), (` + readInstallation + `),
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
		err = t.s.checkGuard(t.c, results[1])
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
func (s *Store) checkGuard(c *connection, r *pgconn.Result) error {
	if len(r.Rows) == 0 {
		return s.checkVersion("")
	}
	if err := s.checkVersion(string(r.Rows[0][0])); err != nil {
		return err
	}
	if err := s.checkInstallation(c, string(r.Rows[0][2])); err != nil {
		return err
	}
	return s.retired(r.Rows[0][1][0] != 0)
}

const readInstallation = `SELECT value FROM adfbot.meta WHERE key = 'installation'`

// checkInstallation returns an error if a connection leads to the state of another installation than the one that was opened: somebody has
// renamed a database, or changed where the address leads. The connection is not used again, so that it is noticed when that is undone.
func (s *Store) checkInstallation(c *connection, id string) error {
	if s.installation == "" || id == s.installation {
		return nil
	}
	c.bad = true
	return store.Unusable(s.path, "the address leads to the database of another installation now: have it lead to the right one again; if this one "+
		"is meant, restart adfbot", fmt.Errorf("its installation id is %.60q, and it was %s", id, s.installation))
}

// read executes statements in one transaction, between those that begin and end it if there are any, and returns what they have found.
// It looks first whose state it is: from then on nobody can replace the tables.
func (s *Store) read(ctx context.Context, begin, statements, end []statement) (found []*rows, err error) {
	all := slices.Concat(begin, []statement{s.statement(readInstallation)}, statements, end)
	err = s.retryStale(ctx, func(c *connection) (bool, error) {
		results, err := c.run(ctx, all...)
		if err != nil {
			return false, err
		}
		id := ""
		if r := results[len(begin)]; len(r.Rows) > 0 {
			id = string(r.Rows[0][0])
		}
		for _, r := range results[len(begin)+1 : len(results)-len(end)] {
			found = append(found, &rows{Result: r})
		}
		return false, s.checkInstallation(c, id)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
