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

	// maxTurn is how far ahead callers are told to come again: exec and record wait for 20 s.
	maxTurn = 15 * time.Second
)

// callerRate is the limit of one caller, and when the next of its results that is refused may come again. Each gets a time of its own: of
// hundreds that all came again after a second, most would be refused each time, and a client such as curl gives up soon.
type callerRate struct {
	*rate.Limiter
	next time.Time
}

// resultRates limits the results of each caller, or something else that each may do as often. There are as many callers as the configuration names.
type resultRates struct {
	mu sync.Mutex
	of map[string]*callerRate // by caller.name
}

// wait returns how long a caller has to wait until it may report a result, 0 if it may now.
func (r *resultRates) wait(caller string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.of[caller]
	if !ok {
		l = &callerRate{Limiter: rate.NewLimiter(resultsPerSecond, resultBurst)}
		r.of[caller] = l
	}
	place := l.ReserveN(now, 1)
	delay := place.DelayFrom(now)
	if delay == 0 {
		return 0
	}
	place.CancelAt(now)
	turn := now.Add(delay)
	if l.next.After(turn) && l.next.Sub(now) <= maxTurn { // later: the clock was set back, or callers do not wait for their turns
		turn = l.next
	}
	l.next = turn.Add(time.Second / resultsPerSecond)
	return turn.Sub(now)
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
