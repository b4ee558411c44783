package web

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many results each project's token and each Unix user may report: no fleet of agents needs more, and one that reports without
// end must not fill the disk or keep others waiting. A client sends what was refused again later.
const (
	resultsPerSecond = 10
	resultBurst      = 100
)

// resultRates limits the results of each caller, or something else that each may do as often. There are as many callers as the configuration names.
type resultRates struct {
	mu sync.Mutex
	of map[string]*rate.Limiter // by caller.name
}

// wait returns how long a caller has to wait until it may report a result, 0 if it may now.
func (r *resultRates) wait(caller string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.of[caller]
	if !ok {
		l = rate.NewLimiter(resultsPerSecond, resultBurst)
		r.of[caller] = l
	}
	place := l.ReserveN(now, 1)
	delay := place.DelayFrom(now)
	if delay > 0 {
		place.CancelAt(now)
	}
	return delay
}

// limitResults refuses a result of a caller that reports too many. http.token_file, root and the daemon's own user have no limit.
func (s *Server) limitResults(w http.ResponseWriter, c caller) error {
	if c.admin {
		return nil
	}
	delay := s.resultRates.wait(c.name, s.now())
	if delay == 0 {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((delay+time.Second-1)/time.Second)))
	return refused(http.StatusTooManyRequests, "Too many results",
		"%s reports more than %d results a second: send this one again later, with a run_id", c.name, resultsPerSecond)
}
