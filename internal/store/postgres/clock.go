package postgres

import (
	"sync"
	"time"
)

// serverClock is the server's clock as this host knows it.
type serverClock struct {
	mu   sync.Mutex
	at   time.Time // what the server told
	then time.Time // when that arrived here
}

// told notes what the server answered when it was asked for the time. It was true at some moment since then: an answer that took long
// must not set a clock back that is right.
func (c *serverClock) told(at, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	earliest, latest := at, at.Add(now.Sub(asked))
	if known := c.at.Add(now.Sub(c.then)); !known.Before(earliest) && !known.After(latest) {
		return
	}
	c.at, c.then = earliest, now
}

// now counts from the last time by the machine's monotonic clock, which nobody sets.
func (c *serverClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(time.Since(c.then))
}

// Now implements [store.Fleet].
func (s *Store) Now() time.Time {
	if s.now != nil {
		return s.now()
	}
	return s.pool.clock.now()
}
