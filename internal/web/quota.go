package web

import (
	"context"
	"sync"
	"time"
)

// quota shares an amount among callers: places for requests, or bytes of memory. No caller gets more than its share, so that one
// cannot shut out the others.
type quota struct {
	total, share int

	mu    sync.Mutex
	used  int
	by    map[string]int // of each caller that uses some
	freed chan struct{}  // closed when something is given back; nil while nobody waits for that
}

func newQuota(total, share int) *quota {
	return &quota{total: total, share: share, by: map[string]int{}}
}

// take waits until the caller may have n more, at most for the given time. It returns false if that or ctx ends first.
func (q *quota) take(ctx context.Context, wait time.Duration, caller string, n int) bool {
	ok, freed := q.try(caller, n)
	if ok {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for !ok {
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
		ok, freed = q.try(caller, n)
	}
	return true
}

func (q *quota) try(caller string, n int) (ok bool, freed chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used+n > q.total || q.by[caller]+n > q.share {
		if q.freed == nil {
			q.freed = make(chan struct{})
		}
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
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}
