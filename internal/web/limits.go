package web

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// class is a kind of request that has its own limits, so that one kind cannot shut out another.
type class int

const (
	classFree   class = iota // always answered: a busy bot is not a dead one
	classWork                // results and the rest of the API
	classGate                // without an answer, nothing runs
	classProbe               // of readiness; its answer is so small that nobody can hold it up by reading slowly
	classWatch               // metrics and the page
	classEvents              // from Gitea; their sender is known only after the whole body, and they are only hints
	numClasses
)

// limit holds the places for requests that are being handled, and the memory for bodies that are awaited or not parsed yet. A
// request takes a place only when its body is there.
type limit struct {
	places, bodies *quota
	reads          *sharedReads // nil for a class without shared answers
}

const (
	maxRequests = 256 // of a class
	maxEvents   = 16

	bodyMemory   = 32 << 20 // bytes for the bodies of a class
	bodyShare    = 4 << 20
	bodyOverhead = 8 << 10 // of a request whose body is awaited

	maxParsing = 4 // a body of 1 MiB needs some 10 MiB while it is parsed and masked

	placeWait  = 15 * time.Second // for a place or memory; then 503. It is part of readTimeout
	retryAfter = 2 * time.Second
)

// newLimits returns the limits of one kind of listener: the network cannot block the users of the socket.
func newLimits() (all [numClasses]limit) {
	all[classWork] = limit{newQuota(maxRequests, maxRequests/4), newQuota(bodyMemory, bodyShare), newSharedReads()}
	all[classGate] = limit{places: newQuota(maxRequests, maxRequests/2)}
	all[classProbe] = limit{places: newQuota(maxRequests/4, maxRequests/8), reads: newSharedReads()}
	all[classWatch] = limit{places: newQuota(maxRequests/4, maxRequests/8), reads: newSharedReads()}
	all[classEvents] = limit{places: newQuota(maxEvents, maxEvents), bodies: newQuota(bodyMemory/4, bodyShare)}
	return all
}

// limitOf returns the limits for a request of a class.
func (s *Server) limitOf(r *request, c class) limit {
	if r.socket {
		return s.socketLimits[c]
	}
	return s.tcpLimits[c]
}

// payer is who uses up a share: the owner of a token, a user at the socket, or an address.
func (r *request) payer() string {
	if r.caller.known {
		return r.caller.name
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// takePlace returns a function that gives the place back.
func (s *Server) takePlace(w http.ResponseWriter, r *request, c class) (give func(), err error) {
	q := s.limitOf(r, c).places
	if q == nil {
		return func() {}, nil
	}
	return s.take(w, r, q, 1)
}

func (s *Server) take(w http.ResponseWriter, r *request, q *quota, n int) (give func(), err error) {
	payer := r.payer()
	if !q.take(r.Context(), s.placeWait, payer, n) {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		return nil, refused(http.StatusServiceUnavailable, "Too many requests at once",
			"too many requests of %s or of all callers are in progress: try again in %s; a %s of the run makes that safe", payer, retryAfter, r.runID())
	}
	return func() { q.give(payer, n) }, nil
}
