package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// pings are how a connection on which nothing is heard is told from a dead one.
type pings struct {
	after  time.Duration // how long it is quiet until the server is asked whether it is there
	within time.Duration // how long that waits for an answer
}

var listenPings = pings{after: 30 * time.Second, within: answerWithin}

// channel is what is notified when a project was paused or resumed, or a host retired. A longer name is refused.
func (s *Store) channel() string {
	name := "adfbot_" + s.schema
	return name[:min(len(name), 63)]
}

// notify wakes those who listen when the transaction is stored.
func (s *Store) notify(ctx context.Context, tx sqlstore.Tx) error {
	return tx.Exec(ctx, `SELECT pg_notify(?, '')`, s.channel())
}

// Listen implements [store.Fleet], on a connection of its own.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	err := s.listen(ctx, wake)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.Wrap(fmt.Errorf("listening for pauses and resumes: %w", err))
}

func (s *Store) listen(ctx context.Context, wake func()) error {
	c, err := s.pool.dial(ctx, s.listenTo)
	if err != nil {
		return err
	}
	defer c.close()
	if c.prepared == nil {
		return &databaseError{adviceError{"name the server itself in `state_listen`, or \"off\" to look once in a while only",
			errors.New("a pooler stands before the server, which gives each transaction another session, so nothing would be heard")}}
	}
	if _, err := c.run(ctx, statement{text: `LISTEN ` + Quote(s.channel())}); err != nil {
		return err
	}
	for {
		wake()
		if err := s.heard(ctx, c); err != nil {
			return err
		}
	}
}

// heard waits for a notification. One that arrives with the answer to a ping is heard, too.
func (s *Store) heard(ctx context.Context, c *connection) error {
	for {
		told := c.notified
		quiet, cancel := context.WithTimeout(ctx, s.pings.after)
		err := c.pg.WaitForNotification(quiet)
		cancel()
		if err != nil && (ctx.Err() != nil || !pgconn.Timeout(err)) {
			return &databaseError{err}
		}
		if err != nil {
			if err := s.ping(ctx, c); err != nil {
				return err
			}
		}
		if c.notified != told {
			return nil
		}
	}
}

// ping returns why nothing can be heard from a server: it does not answer, or is not the primary any more.
func (s *Store) ping(ctx context.Context, c *connection) error {
	results, err := c.runWithin(ctx, s.pings.within, statement{text: `SELECT current_setting('transaction_read_only')`})
	if err == nil && string(results[0].Rows[0][0]) != "off" {
		err = &databaseError{adviceError{adviceReadOnly, errors.New("the server has become read-only")}}
	}
	return err
}
