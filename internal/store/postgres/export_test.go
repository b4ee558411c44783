package postgres

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// InTx returns the text that a query returns in a transaction.
func (s *Store) InTx(ctx context.Context, query string) (text string) {
	if err := s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error { return sqlstore.First(ctx, tx, query).Scan(&text) }); err != nil {
		panic(err)
	}
	return text
}

// Outside returns the text that a query returns outside of a transaction.
func (s *Store) Outside(ctx context.Context, query string) (text string) {
	if err := sqlstore.First(ctx, s.database(), query).Scan(&text); err != nil {
		panic(err)
	}
	return text
}

// Upsert executes a statement that is a transaction by itself.
func (s *Store) Upsert(ctx context.Context, query string, args ...any) error {
	return s.retryStale(ctx, func(c *connection) (bool, error) {
		_, err := c.run(ctx, s.statement(query, args...))
		return false, err
	})
}

// SetLease changes how long claims last and how often they are renewed.
func (s *Store) SetLease(lasts, renews time.Duration) {
	s.lease = lease{lasts: lasts, renews: renews, looks: 10 * time.Millisecond}
}

// SetPings changes how long it is quiet before the server is asked whether it is there, and how long that waits.
func (s *Store) SetPings(after, within time.Duration) { s.pings = pings{after, within} }

// ErrClaimLost is errClaimLost.
var ErrClaimLost = errClaimLost

// Rest does what happens if no connection is needed for a while. It reports whether that was to come, and how many connections are left.
func (s *Store) Rest() (due bool, left int) {
	due = s.pool.rest.Stop()
	s.pool.drop()
	return due, len(s.pool.idle)
}
