package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxConnections bounds the connections of a host. More of them only wait for each other's locks on the server.
const maxConnections = 4

// answerWithin is how long to wait for the server's answer. The server gives up a transaction of ours after the same time, so that
// one whose host is gone does not hold its locks for longer.
const answerWithin = 10 * time.Second

// keepIdle is how long a connection that nobody needs is kept beside another one.
const keepIdle = time.Minute

// keepLast is how long the last one is kept: exec may run a command for hours, and a server has only so many connections.
const keepLast = 10 * time.Second

var errClosed = errors.New("the state is closed")

// pool holds the connections.
type pool struct {
	clock    serverClock
	config   *pgconn.Config
	password func() (string, error) // nil: none
	slots    chan struct{}          // holds a token for each connection in use

	mu     sync.Mutex
	idle   []*connection // the one that was used last comes last
	closed bool
	rest   *time.Timer // closes them all; it starts again whenever one is given back

	// After an attempt to connect that failed, others fail too for as long as it took: callers that wait in vain, wait once.
	failed     error
	failsUntil time.Time
}

func newPool(config *pgconn.Config, password func() (string, error)) *pool {
	p := &pool{config: config, password: password, slots: make(chan struct{}, maxConnections)}
	p.rest = time.AfterFunc(keepLast, p.drop)
	return p
}

// take waits for a connection; give gives it back. Nothing begins for a caller that has given up.
func (p *pool) take(ctx context.Context) (*connection, error) {
	if ctx.Err() != nil {
		return nil, endOf(ctx, ctx)
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, endOf(ctx, ctx)
	}
	c, err := p.takeIdle()
	if c == nil && err == nil {
		c, err = p.connect(ctx)
	}
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) connect(caller context.Context) (*connection, error) {
	begin := time.Now()
	c, err := p.dial(caller, p.config)
	if err != nil && caller.Err() == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failed, p.failsUntil = err, time.Now().Add(time.Since(begin))
	}
	return c, err
}

// dial makes a connection that does not belong to the pool.
func (p *pool) dial(caller context.Context, config *pgconn.Config) (*connection, error) {
	ctx, cancel := context.WithTimeout(caller, answerWithin)
	defer cancel()
	c := &connection{}
	config = config.Copy()
	if p.password != nil { // it is read again: somebody may have changed it
		var err error
		if config.Password, err = p.password(); err != nil {
			return nil, err
		}
	}
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { c.notified++ }
	var err error
	if c.pg, err = pgconn.ConnectConfig(ctx, config); err != nil {
		if errors.Is(caller.Err(), context.Canceled) {
			return nil, caller.Err()
		}
		return nil, &databaseError{err} // it says what there was no time for
	}
	if err := c.check(caller, &p.clock); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// takeIdle returns an idle connection, nil if a new one has to be made.
func (p *pool) takeIdle() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := len(p.idle) - 1
	if n < 0 && time.Now().Before(p.failsUntil) {
		return nil, p.failed
	}
	if n < 0 {
		return nil, nil
	}
	c := p.idle[n]
	p.idle = p.idle[:n]
	return c, nil
}

// give gives a connection back. One that is in a transaction or broken is closed, and so are those that were not needed for a while.
func (p *pool) give(c *connection) {
	p.mu.Lock()
	var unused []*connection
	if c.bad || p.closed || c.pg.IsClosed() || c.pg.TxStatus() != 'I' {
		unused = append(unused, c)
	} else {
		c.used, c.idleSince = true, time.Now()
		p.idle = append(p.idle, c)
		p.rest.Reset(keepLast)
	}
	for len(p.idle) > 1 && time.Since(p.idle[0].idleSince) > keepIdle {
		unused, p.idle = append(unused, p.idle[0]), p.idle[1:]
	}
	p.mu.Unlock()
	for _, c := range unused {
		c.close()
	}
	<-p.slots
}

// drop closes the connections that nobody uses: they were not needed for long, or the server has gone away, or is no longer the one to
// write to.
func (p *pool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// close waits for the connections in use.
func (p *pool) close() {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return
	}
	p.rest.Stop()
	for range maxConnections {
		p.slots <- struct{}{}
	}
	p.drop()
	for range maxConnections {
		<-p.slots
	}
}
