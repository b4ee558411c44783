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

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// change is one caller's part of a transaction.
type change struct {
	ctx  context.Context
	do   func(context.Context, *txn) error
	wake chan struct{} // gets one value, when the change leads or is over

	leads    bool // guarded by the queue's mu
	err      error
	failed   bool // err is its own
	panicked any
}

var errAbandoned = errors.New("nothing was stored: another change of the same transaction broke off")

// run makes the change. A panic in it is kept for its own caller.
func (c *change) run(tx *txn) (err error) {
	c.panicked = nil
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
// wait, and then hands the lead to the first of those that have come meanwhile.
type queue struct {
	mu      sync.Mutex
	waiting []*change
	led     bool
	held    time.Duration // how long changes have held the state since yieldToOthers
	ended   time.Time     // the last of them
}

const (
	// batchLimit bounds a transaction, and with it how long other processes wait for its end.
	batchLimit = 64

	// The lock of SQLite between processes is not fair: whoever waits for it looks now and then whether it is free. A
	// process that always has something to store leaves it alone after each yieldAfter of work, long enough for a look.
	yieldAfter = 50 * time.Millisecond
	yieldFor   = 2 * busyPoll
)

// join adds a change. It leads if no other change does.
func (q *queue) join(c *change) (leads bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, c)
	if !q.led {
		q.led, c.leads = true, true
	}
	return c.leads
}

// leave removes a change, unless it leads or its transaction has begun.
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

// take removes the first changes, at most limit, and returns them.
func (q *queue) take(limit int) []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.waiting))
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// end wakes the callers of a batch, which has held the state for some time, and hands on the lead.
func (q *queue) end(batch []*change, held time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range batch {
		c.wake <- struct{}{}
	}
	if q.led = len(q.waiting) > 0; q.led {
		next := q.waiting[0]
		next.leads = true
		next.wake <- struct{}{}
	}
	if q.held += held; len(batch) <= 1 && !q.led {
		q.held = 0 // one at a time: the gaps between them are enough
	}
	q.ended = time.Now()
}

// yieldToOthers leaves the state to other processes for a moment if this one has held it for long.
func (q *queue) yieldToOthers(ctx context.Context) {
	q.mu.Lock()
	rest := yieldFor - time.Since(q.ended)
	due := q.held >= yieldAfter
	if due {
		q.held = 0
	}
	q.mu.Unlock()
	if !due || rest <= 0 {
		return
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// tx makes a change in a transaction and returns once that is on disk. Changes that come while another one is being stored
// share the next transaction, and so the wait for the disk; one that fails is taken back alone. The context counts until
// the transaction begins: what was stored must not be reported as failed. do gets a context that never ends. It is called again if
// another change of the transaction fails.
func (s *Store) tx(ctx context.Context, do func(context.Context, *txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &change{ctx: ctx, do: do, wake: make(chan struct{}, 1), err: errAbandoned}
	if !s.queue.join(c) {
		select {
		case <-c.wake:
		case <-ctx.Done():
			if s.queue.leave(c) {
				return ctx.Err()
			}
			<-c.wake
		}
	}
	if c.leads {
		s.lead(c)
	}
	return s.wrap(c.outcome())
}

// lead makes one transaction of what waits. c is the first of it.
func (s *Store) lead(c *change) {
	s.queue.yieldToOthers(c.ctx)
	var batch []*change
	var begin time.Time
	defer func() { s.queue.end(batch, time.Since(begin)) }()
	tx, err := s.begin(c.ctx)
	begin = time.Now()
	if err != nil {
		if c.ctx.Err() != nil {
			batch = s.queue.take(1) // c alone
		} else {
			batch = s.queue.take(math.MaxInt) // the state can't be written, or another process has held it for long
		}
		setError(batch, err)
		return
	}
	ctx := context.WithoutCancel(c.ctx)
	batch = s.queue.take(batchLimit)
	good, err := s.runTogether(ctx, tx, batch)
	if !good {
		if tx, err = s.begin(ctx); err == nil {
			err = s.runEach(ctx, tx, batch)
		}
	}
	setError(batch, err)
}

// begin begins a transaction in the file that was opened, unless a newer version has upgraded it meanwhile: this one would
// leave out what the newer one needs.
func (s *Store) begin(ctx context.Context) (*txn, error) {
	tx, err := s.db.begin(ctx, s.fileMoved)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	var version int
	if err = sqlstore.First(ctx, tx, `PRAGMA user_version`).Scan(&version); err == nil {
		err = s.checkVersion(ctx, tx.conn, version)
	}
	if err != nil {
		tx.end(ctx)
		return nil, err
	}
	return tx, nil
}

// setError gives an error, or nil, to all changes that have none of their own.
func setError(batch []*change, err error) {
	for _, c := range batch {
		if !c.failed {
			c.err = err
		}
	}
}

// runTogether makes the changes of a batch and commits them. good is false if one of several fails: then nothing is stored.
func (s *Store) runTogether(ctx context.Context, tx *txn, batch []*change) (good bool, err error) {
	defer tx.end(ctx)
	for _, c := range batch {
		err := c.run(tx)
		switch {
		case err == nil:
		case len(batch) > 1:
			return false, nil
		default:
			c.err, c.failed = err, true
			return true, nil
		}
	}
	return true, s.commit(ctx, tx)
}

// runEach makes the changes of a batch and commits those that did not fail. Its error is that of all the others. It has a savepoint
// for each change, which costs a third of the change.
func (s *Store) runEach(ctx context.Context, tx *txn, batch []*change) error {
	defer tx.end(ctx)
	done := 0
	for _, c := range batch {
		if err := tx.exec(ctx, `SAVEPOINT change`); err != nil {
			return err
		}
		if err := c.run(tx); err == nil {
			done++
		} else {
			c.err, c.failed = err, true
			// Some errors, such as a full disk, have rolled back the whole transaction. Then there is no savepoint.
			if e := tx.exec(ctx, `ROLLBACK TO change`); e != nil {
				return err
			}
		}
		if err := tx.exec(ctx, `RELEASE change`); err != nil {
			return err
		}
	}
	if done == 0 {
		return nil
	}
	return s.commit(ctx, tx)
}

func (s *Store) commit(ctx context.Context, tx *txn) error {
	fault.Count(ctx, "transaction")
	if s.beforeCommit != nil {
		if err := s.beforeCommit(); err != nil {
			return err
		}
	}
	return tx.commit(ctx)
}
