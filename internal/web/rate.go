package web

import (
	"crypto/sha256"
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

	// maxKeptTurn is that of reports over TCP. Their clients come again just a few times, whenever they are told to, and keep nothing.
	maxKeptTurn  = time.Minute
	maxKeptTurns = 2 * int(maxKeptTurn/time.Second) * resultsPerSecond // those included that nobody has come for
)

// callerRate is the limit of one caller, and when the next of its results that is refused may come again. Each gets a time of its own: of
// hundreds that all came again after a second, most would be refused each time, and a client such as curl gives up soon.
type callerRate struct {
	*rate.Limiter
	next time.Time
	kept keptTurns
}

// keptTurns are when reports that were refused may come again. They are taken then, even if others have come first in the meantime.
type keptTurns struct {
	next time.Time
	n    int
	of   map[report][]time.Time
}

// report tells a report from others: it comes again as it was. Those that are alike have a turn each.
type report [sha256.Size]byte

// resultRates limits the results of each caller, or something else that each may do as often. There are as many callers as the configuration names.
type resultRates struct {
	mu sync.Mutex
	of map[string]*callerRate // by caller.name
}

// wait returns how long a caller has to wait until it may report a result, 0 if it may now.
func (r *resultRates) wait(caller string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.caller(caller)
	delay := l.take(now)
	if delay == 0 {
		return 0
	}
	turn := now.Add(delay)
	if l.next.After(turn) && l.next.Sub(now) <= maxTurn { // later: the clock was set back, or callers do not wait for their turns
		turn = l.next
	}
	l.next = turn.Add(time.Second / resultsPerSecond)
	return turn.Sub(now)
}

// waitTurn is wait for a report whose turn is kept.
func (r *resultRates) waitTurn(caller string, one report, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.caller(caller)
	t := &l.kept
	if t.next.Sub(now) > maxKeptTurn+time.Second { // the clock was set back
		*t = keptTurns{}
	}
	if t.n > 0 && t.come(one, now) {
		l.ReserveN(now, 1) // also if there is none: then those without a turn wait for it
		return 0
	}
	delay := l.take(now)
	if delay == 0 {
		return 0
	}
	if t.n >= maxKeptTurns {
		for other := range t.of {
			t.forget(other, now)
		}
	}
	if t.next.Sub(now) > maxKeptTurn || t.n >= maxKeptTurns {
		return maxKeptTurn
	}
	turn := now.Add(min(delay, maxKeptTurn))
	if t.next.After(turn) {
		turn = t.next
	}
	t.keep(one, turn)
	return turn.Sub(now)
}

// come reports whether it is the turn of a report, which is used up then.
func (t *keptTurns) come(one report, now time.Time) bool {
	t.forget(one, now)
	turns := t.of[one]
	if len(turns) == 0 || turns[0].After(now) {
		return false
	}
	t.set(one, turns[1:])
	return true
}

// forget drops the turns that a report has let pass.
func (t *keptTurns) forget(one report, now time.Time) {
	turns := t.of[one]
	for len(turns) > 0 && now.Sub(turns[0]) >= maxKeptTurn {
		turns = turns[1:]
	}
	t.set(one, turns)
}

func (t *keptTurns) keep(one report, turn time.Time) {
	t.next = turn.Add(time.Second / resultsPerSecond)
	t.set(one, append(t.of[one], turn))
}

func (t *keptTurns) set(one report, turns []time.Time) {
	t.n += len(turns) - len(t.of[one])
	if t.of == nil {
		t.of = map[report][]time.Time{}
	}
	if t.of[one] = turns; len(turns) == 0 {
		delete(t.of, one)
	}
}

func (r *resultRates) caller(name string) *callerRate {
	l, ok := r.of[name]
	if !ok {
		l = &callerRate{Limiter: rate.NewLimiter(resultsPerSecond, resultBurst)}
		r.of[name] = l
	}
	return l
}

// take takes the place of a result, or returns when there is one.
func (l *callerRate) take(now time.Time) time.Duration {
	place := l.ReserveN(now, 1)
	delay := place.DelayFrom(now)
	if delay > 0 {
		place.CancelAt(now)
	}
	return delay
}

// limitResults refuses a result of a caller that reports too many. http.token_file, root and the daemon's own user have no limit.
func (s *Server) limitResults(w http.ResponseWriter, r *request) error {
	switch {
	case r.caller.admin:
		return nil
	case r.socket: // of exec and record, which keep what is refused
		return tooManyResults(w, r, s.resultRates.wait(r.caller.name, s.now()))
	}
	return s.limitReports(w, r, r.body)
}

// limitPings is limitResults for a ping.
func (s *Server) limitPings(w http.ResponseWriter, r *request) error {
	return s.limitReports(w, r, []byte(r.URL.RequestURI()))
}

func (s *Server) limitReports(w http.ResponseWriter, r *request, text []byte) error {
	return tooManyResults(w, r, s.resultRates.waitTurn(r.caller.name, sha256.Sum256(text), s.now()))
}

func tooManyResults(w http.ResponseWriter, r *request, delay time.Duration) error {
	if delay == 0 {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((delay+time.Second-1)/time.Second)))
	fix := ""
	if !r.socket { // else exec and record send it again by themselves
		fix = ": send this one again later, with a " + r.runID()
	}
	return refused(http.StatusTooManyRequests, "Too many results", "%s reports more than %d results a second%s", r.caller.name, resultsPerSecond, fix)
}
