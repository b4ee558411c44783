package giteatest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server simulates a Gitea server. It is safe for concurrent use.
type Server struct {
	now     func() time.Time
	closing chan struct{} // closed by Close: ends every wait
	once    sync.Once

	mu          sync.Mutex // guards the fields below and everything they point to
	baseURL     string
	lastID      int64
	lastRun     int64                  // id of a workflow's run
	maxItems    int                    // 0: maxPage
	unversioned bool                   // no content_version
	numbered    bool                   // see [Server.NumberAttempts]
	users       map[string]*user       // by lower-case login
	tokens      map[string]*token      // by secret
	repos       map[string]*repository // by lower-case "owner/name"
	redirects   map[string]*repository // by former path, likewise
	renamed     map[string]*user       // by former login, likewise
	requests    []*Request

	// faultMu is separate because a fault's Match may use the server.
	faultMu sync.Mutex
	faults  []*fault

	busyMu sync.Mutex
	idle   *sync.Cond // signalled when busy becomes 0
	busy   int        // requests and late work that may still change the state
}

// NewServer starts an empty server on a loopback address and stops it when the test ends. t is a [testing.TB]; the
// package does not import testing, because the adfbot program uses it too. Its clock is time.Now: for another one, or
// another listener, use [New].
func NewServer(t interface{ Cleanup(func()) }) *Server {
	s := New(nil)
	h := httptest.NewServer(s)
	s.SetBaseURL(h.URL)
	t.Cleanup(func() {
		s.Close() // first, because h.Close waits for hanging requests
		h.Close()
	})
	return s
}

// New returns an empty server, without users and repositories, as a handler. A nil now means time.Now.
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
		renamed:   map[string]*user{},
	}
	s.idle = sync.NewCond(&s.busyMu)
	return s
}

// URL returns the base URL of the server, without a slash at the end. It is where [NewServer] listens, unless
// SetBaseURL has set another, and http://gitea.example after [New].
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// SetBaseURL sets the base URL, with which links in answers begin.
func (s *Server) SetBaseURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baseURL = strings.TrimRight(url, "/")
}

// Wait waits until no request or late work can change the state any more: until [LateWork] and [Latency] are over, even
// if their clients have gone. It does not wait for hanging requests, which do no work.
func (s *Server) Wait() {
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	for s.busy > 0 {
		s.idle.Wait()
	}
}

// Close ends hanging requests, drops late work that has not begun, and waits for work that has. Later requests get a
// reset connection. The state can still be inspected.
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

// sleep waits for d and reports whether the server is still open.
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

// nextID returns the next id of the sequence for all kinds of objects. The caller holds s.mu.
func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// clock returns the time as Gitea stores it, in whole seconds. The caller holds s.mu.
func (s *Server) clock() time.Time {
	return s.now().UTC().Truncate(time.Second)
}

// Request is a request that the server received.
type Request struct {
	Method string
	Path   string // with the query
	Login  string // the token's user; "": no or a bad token, or no work was done
	Status int    // 0: not answered, or not yet
	Fault  string // the name of the fault that it met
	From   string // the client's address; "": no network
	At     time.Time
}

// Requests returns all requests since the start or the last ResetRequests, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := make([]Request, 0, len(s.requests))
	for _, r := range s.requests {
		rs = append(rs, *r)
	}
	return rs
}

// ResetRequests clears the list of requests.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Operations returns the number of requests that Requests would return.
func (s *Server) Operations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *Server) logRequest(r *http.Request) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := &Request{Method: r.Method, Path: r.URL.RequestURI(), From: r.RemoteAddr, At: s.now()}
	s.requests = append(s.requests, rec)
	return rec
}
