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

var errClosed = errors.New("the state is closed")

// pool holds the connections.
type pool struct {
	config *pgconn.Config
	slots  chan struct{} // holds a token for each connection in use

	mu     sync.Mutex
	idle   []*connection
	closed bool
}

func newPool(config *pgconn.Config) *pool {
	return &pool{config: config, slots: make(chan struct{}, maxConnections)}
}

// take waits for a connection; give gives it back.
func (p *pool) take(ctx context.Context) (*connection, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := p.open(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) open(ctx context.Context) (*connection, error) {
	if c, err := p.takeIdle(); c != nil || err != nil {
		return c, err
	}
	pg, err := pgconn.ConnectConfig(ctx, p.config)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &databaseError{err}
	}
	c := &connection{pg: pg}
	if err := c.check(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (p *pool) takeIdle() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := len(p.idle) - 1
	if n < 0 {
		return nil, nil
	}
	c := p.idle[n]
	p.idle = p.idle[:n]
	return c, nil
}

// give gives a connection back. One that is in a transaction or broken is closed.
func (p *pool) give(c *connection) {
	p.mu.Lock()
	keep := !p.closed && !c.bad && !c.pg.IsClosed() && c.pg.TxStatus() == 'I'
	if keep {
		c.used = true
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
	<-p.slots
}

// drop closes the connections that nobody uses: the server has gone away, or is no longer the one to write to.
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
	for range maxConnections {
		p.slots <- struct{}{}
	}
	p.drop()
	for range maxConnections {
		<-p.slots
	}
}
