package web

import (
	"context"
	"sync"
)

// quota shares an amount among callers: places for requests, or bytes of memory. No caller gets more than its share, so that one
// cannot shut out the others.
type quota struct {
	total, share int

	mu    sync.Mutex
	used  int
	by    map[string]int // of each caller that uses some
	freed chan struct{}  // closed when something is given back
}

func newQuota(total, share int) *quota {
	return &quota{total: total, share: share, by: map[string]int{}, freed: make(chan struct{})}
}

// take waits until the caller may have n more. It returns false if ctx ends first.
func (q *quota) take(ctx context.Context, caller string, n int) bool {
	for {
		ok, freed := q.try(caller, n)
		if ok {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (q *quota) try(caller string, n int) (ok bool, freed chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used+n > q.total || q.by[caller]+n > q.share {
		return false, q.freed
	}
	q.used += n
	q.by[caller] += n
	return true, nil
}

// give gives back what take has taken.
func (q *quota) give(caller string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
	if q.by[caller] -= n; q.by[caller] == 0 {
		delete(q.by, caller)
	}
	close(q.freed)
	q.freed = make(chan struct{})
}
