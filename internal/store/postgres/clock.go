package postgres

import (
	"sync"
	"time"
)

// serverClock is the server's clock as this host knows it.
type serverClock struct {
	mu   sync.Mutex
	at   time.Time // the last time that the server told
	then time.Time // when that arrived here
}

// told notes a time that has just arrived. It was true at some moment before, so the clock is never ahead of the server's.
func (c *serverClock) told(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.then = at, time.Now()
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
