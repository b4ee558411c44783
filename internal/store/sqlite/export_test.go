package sqlite

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

const BatchLimit = batchLimit

// SetBeforeCommit has f called before each commit of the state; its error takes the place of the commit.
func (s *Store) SetBeforeCommit(f func() error) { s.beforeCommit = f }

// Waiting is how many changes wait for the next transaction, or for its beginning.
func (s *Store) Waiting() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.waiting)
}

// Occupy takes the writer until letGo.
func (s *Store) Occupy() (letGo func()) {
	if err := s.db.writer.take(context.Background()); err != nil {
		panic(err)
	}
	return s.db.writer.done
}

// HasReader reports whether the second connection is open.
func (s *Store) HasReader() bool {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return s.db.reader != nil
}

// InTx makes a change of plain statements.
func (s *Store) InTx(ctx context.Context, statements ...string) error {
	return s.Do(ctx, func(context.Context) error { return nil }, statements...)
}

// Do makes a change of plain statements and of whatever f does.
func (s *Store) Do(ctx context.Context, f func(context.Context) error, statements ...string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		for _, q := range statements {
			if err := tx.exec(ctx, q); err != nil {
				return err
			}
		}
		return f(ctx)
	})
}

// Prepared returns how many queries the writer has seen, and how many of them are prepared.
func (s *Store) Prepared() (all, prepared int) {
	defer s.Occupy()()
	for _, st := range s.db.writer.known {
		if st.prepared != nil {
			prepared++
		}
	}
	return len(s.db.writer.known), prepared
}

// Texts are what a query of one column returns.
func (s *Store) Texts(ctx context.Context, query string) ([]string, error) {
	return sqlstore.List(ctx, s.db, func(row sqlstore.Row) (v string, err error) { return v, row.Scan(&v) }, query)
}

// Connect opens a file as Open does after its first look at the path.
func Connect(ctx context.Context, path string) error {
	s := &Store{path: path}
	c, err := newConnection(dataSource(path, readerCacheSize, false))
	if err != nil {
		return err
	}
	return errors.Join(s.connect(ctx, c), c.close())
}
