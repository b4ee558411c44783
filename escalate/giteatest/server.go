package giteatest

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is a Gitea: an http.Handler with state. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	closing chan struct{} // closed by Close: ends every wait
	once    sync.Once

	mu        sync.Mutex // guards everything below and all that it points to
	baseURL   string
	lastID    int64
	maxItems  int                    // 0: maxPage
	users     map[string]*user       // by lower-case login
	tokens    map[string]*token      // by the token itself
	repos     map[string]*repository // by lower-case "owner/name"
	redirects map[string]*repository // former paths, in the same form
	requests  []*Request

	// A second lock, because a fault's Match is the caller's code and may ask the server.
	faultMu sync.Mutex
	faults  []*fault

	busyMu sync.Mutex
	idle   *sync.Cond // signalled when busy becomes 0
	busy   int        // requests and late work that still may change something
}

// New makes an empty server: no users, no repositories. A nil now means time.Now.
func New(now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{
		now:       now,
		closing:   make(chan struct{}),
		baseURL:   "http://gitea.example",
		users:     map[string]*user{},
		tokens:    map[string]*token{},
		repos:     map[string]*repository{},
		redirects: map[string]*repository{},
	}
	s.idle = sync.NewCond(&s.busyMu)
	return s
}

// SetBaseURL sets what the links in answers start with; without it, http://gitea.example.
func (s *Server) SetBaseURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baseURL = strings.TrimRight(url, "/")
}

// Wait returns when no request and no late work can change anything any more: LateWork and Latency have run to their end,
// also those whose clients have long gone. Requests that hang do no work and are not waited for.
func (s *Server) Wait() {
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	for s.busy > 0 {
		s.idle.Wait()
	}
}

// Close ends hanging requests, drops late work that was not begun, and waits for what is being done. Every later request
// meets a reset connection. The state can still be inspected.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closing) })
	s.Wait()
}

func (s *Server) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Server) begin() {
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	s.busy++
}

func (s *Server) end() {
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	if s.busy--; s.busy == 0 {
		s.idle.Broadcast()
	}
}

// sleep waits for d and reports whether the server is still there afterwards.
func (s *Server) sleep(d time.Duration) bool {
	if d <= 0 {
		return !s.closed()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closing:
		return false
	}
}

// nextID hands out the ids of everything. The lock is held.
func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// clock is the time as Gitea stores it: whole seconds. The lock is held.
func (s *Server) clock() time.Time {
	return s.now().UTC().Truncate(time.Second)
}

// Request is one request that arrived.
type Request struct {
	Method string
	Path   string // with the query
	Login  string // whose token it bore; "" for none, a bad one, or when no work was done
	Status int    // 0 when no answer was given (yet)
	Fault  string // the name of the fault that it met
	From   string // address of the client; "" without a network
	At     time.Time
}

// Requests are all requests since the start or the last ResetRequests, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := make([]Request, 0, len(s.requests))
	for _, r := range s.requests {
		rs = append(rs, *r)
	}
	return rs
}

// ResetRequests forgets the requests that have arrived.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Operations is the number of requests that Requests would return.
func (s *Server) Operations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *Server) arrive(r *http.Request) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := &Request{Method: r.Method, Path: r.URL.RequestURI(), From: r.RemoteAddr, At: s.now()}
	s.requests = append(s.requests, rec)
	return rec
}
