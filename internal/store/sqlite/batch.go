package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// change is one caller's part of a transaction.
type change struct {
	ctx  context.Context
	do   func(context.Context, *txn) error
	told chan struct{} // gets one value: it is to lead, or it is over

	leads    bool // guarded by the queue's mu
	err      error
	failed   bool // err is its own
	panicked any
}

var errAbandoned = errors.New("nothing was stored: another change of the same transaction broke off")

// run makes the change. A panic in it is kept for its own caller.
func (c *change) run(tx *txn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
			err = errAbandoned
		}
	}()
	return c.do(context.WithoutCancel(c.ctx), tx)
}

func (c *change) outcome() error {
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.err
}

// queue holds the changes that wait for the next transaction. One of their callers leads: it makes a transaction of all that
// wait, the others' changes too, and gives the lead to the first of those that came meanwhile.
type queue struct {
	mu      sync.Mutex
	waiting []*change
	led     bool
	worked  time.Duration // how long changes had the state since it was last left alone for a moment, see breathe
	ended   time.Time     // the last of them
}

const (
	// batchMost bounds a transaction, and with it how long other processes and readers wait for its end.
	batchMost = 64

	// SQLite's lock between processes is not fair: who waits for it looks now and then whether it is free. A process that
	// always has something to store leaves it alone for a breath after each breathAfter of work, long enough for a look.
	breathAfter = 50 * time.Millisecond
	breath      = 2 * busyLook
)

// join adds a change. It leads where nobody does.
func (q *queue) join(c *change) (leads bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, c)
	if !q.led {
		q.led, c.leads = true, true
	}
	return c.leads
}

// leave takes a change out. It is too late for that once its transaction has begun, or it is to lead one.
func (q *queue) leave(c *change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := slices.Index(q.waiting, c)
	if n < 0 || c.leads {
		return false
	}
	q.waiting = slices.Delete(q.waiting, n, n+1)
	return true
}

// take takes the first changes out.
func (q *queue) take(most int) []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(most, len(q.waiting))
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// end tells those of a batch that it is over, and gives the lead away. worked is how long the batch had the state.
func (q *queue) end(batch []*change, worked time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range batch {
		c.told <- struct{}{}
	}
	if q.led = len(q.waiting) > 0; q.led {
		next := q.waiting[0]
		next.leads = true
		next.told <- struct{}{}
	}
	if q.worked += worked; len(batch) <= 1 && !q.led {
		q.worked = 0 // one at a time: there are moments enough in between
	}
	q.ended = time.Now()
}

// breathe leaves the state to other processes for a moment when this one had it for long.
func (q *queue) breathe(ctx context.Context) {
	q.mu.Lock()
	missing := breath - time.Since(q.ended)
	due := q.worked >= breathAfter && missing > 0
	if q.worked >= breathAfter {
		q.worked = 0
	}
	q.mu.Unlock()
	if !due {
		return
	}
	t := time.NewTimer(missing)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// tx makes a change in a transaction and returns when that is on disk. Changes that come while another one is being stored
// share the next transaction, and so the wait for the disk; each is taken back alone where it fails. The context counts
// until its transaction begins: after that, what was stored can't be reported as failed. do gets a context without an end.
func (s *Store) tx(ctx context.Context, do func(context.Context, *txn) error) error {
	c := &change{ctx: ctx, do: do, told: make(chan struct{}, 1), err: errAbandoned}
	if !s.queue.join(c) {
		select {
		case <-c.told:
		case <-ctx.Done():
			if s.queue.leave(c) {
				return ctx.Err()
			}
			<-c.told
		}
	}
	if c.leads {
		s.lead(c)
	}
	return s.wrap(c.outcome())
}

// lead makes one transaction of what waits; c is the first of it.
func (s *Store) lead(c *change) {
	s.queue.breathe(c.ctx)
	var batch []*change
	var begun time.Time
	defer func() { s.queue.end(batch, time.Since(begun)) }()
	tx, err := s.db.begin(c.ctx, s.Moved)
	begun = time.Now()
	if err != nil {
		if c.ctx.Err() != nil {
			batch = s.queue.take(1) // c alone
		} else {
			batch = s.queue.take(math.MaxInt) // it holds for all: the state can't be written, or another process has held it for long
		}
		tell(batch, err)
		return
	}
	ctx := context.WithoutCancel(c.ctx)
	defer tx.end(ctx)
	batch = s.queue.take(batchMost)
	tell(batch, s.together(ctx, tx, batch))
}

// tell gives an error, or nil, to all who have none of their own.
func tell(batch []*change, err error) {
	for _, c := range batch {
		if !c.failed {
			c.err = err
		}
	}
}

// together makes the changes of a batch and commits those that did not fail. Its error is that of all the others.
func (s *Store) together(ctx context.Context, tx *txn, batch []*change) error {
	done := 0
	for _, c := range batch {
		var err error
		if len(batch) > 1 {
			if _, err = tx.ExecContext(ctx, `SAVEPOINT change`); err != nil {
				return err
			}
		}
		if err = c.run(tx); err != nil {
			c.err, c.failed = err, true
			if len(batch) > 1 {
				// Some errors, a full disk for one, have taken the whole transaction back already. Then there is no savepoint.
				if _, e := tx.ExecContext(ctx, `ROLLBACK TO change`); e != nil {
					return err
				}
			}
		} else {
			done++
		}
		if len(batch) > 1 {
			if _, err = tx.ExecContext(ctx, `RELEASE change`); err != nil {
				return err
			}
		}
	}
	if done == 0 {
		return nil
	}
	if err := beforeCommit(); err != nil {
		return err
	}
	return tx.commit(ctx)
}
