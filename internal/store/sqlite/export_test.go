package sqlite

import (
	"context"
	"database/sql"
)

const BatchMost = batchMost

// SetBeforeCommit has f called before each transaction's commit; its error takes the place of the commit. The result puts
// things back.
func SetBeforeCommit(f func() error) (restore func()) {
	old := beforeCommit
	beforeCommit = f
	return func() { beforeCommit = old }
}

// Waiting is how many changes wait for the next transaction, or for its beginning.
func (s *Store) Waiting() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.waiting)
}

// Occupy takes the connection until letGo.
func (s *Store) Occupy() (letGo func()) {
	if err := s.db.take(context.Background()); err != nil {
		panic(err)
	}
	return s.db.done
}

// InTx makes a change of plain statements.
func (s *Store) InTx(ctx context.Context, statements ...string) error {
	return s.Do(ctx, func(context.Context) error { return nil }, statements...)
}

// Do makes a change of plain statements and of whatever f does.
func (s *Store) Do(ctx context.Context, f func(context.Context) error, statements ...string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		for _, q := range statements {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return f(ctx)
	})
}

// Prepared tells how many queries came so far, and how many of them are prepared.
func (s *Store) Prepared() (all, prepared int) {
	defer s.Occupy()()
	for _, st := range s.db.known {
		if st != nil {
			prepared++
		}
	}
	return len(s.db.known), prepared
}

// Outputs are the outputs in the history, the oldest first.
func (s *Store) Outputs() []string {
	return s.Texts(`SELECT output FROM result WHERE output IS NOT NULL ORDER BY id`)
}

// Texts are what a query of one column gives.
func (s *Store) Texts(query string) []string {
	rows, err := s.db.QueryContext(context.Background(), query)
	list, err := collect(rows, err, func(rows *sql.Rows) (v string, err error) { return v, rows.Scan(&v) })
	if err != nil {
		panic(err)
	}
	return list
}
