package giteatest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// Fault is a failure of some requests. A request meets at most one fault: the first injected one that matches it and
// has not reached its limit.
type Fault struct {
	Name  string                   // shown in Request.Fault
	Match func(*http.Request) bool // selects requests; may read the body; nil: all requests
	Times int                      // limit of affected requests; 0: none
	After int                      // number of matching requests to let through first
	Do    Effect                   // the zero Effect changes nothing
}

type fault struct {
	Fault
	seen, taken int
}

// Inject adds a fault and returns a function that removes it, which may be called more than once.
//
// Over a network, Go's HTTP client repeats a GET by itself if a kept-alive connection breaks before the answer. The
// client then does not notice a Reset or LostAnswer with Times: 1.
func (s *Server) Inject(f Fault) (remove func()) {
	added := &fault{Fault: f}
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.faults = append(s.faults, added)
	return func() {
		s.faultMu.Lock()
		defer s.faultMu.Unlock()
		for i, f := range s.faults {
			if f == added {
				// A new slice, because findFault reads the old one without the lock.
				s.faults = append(append([]*fault(nil), s.faults[:i]...), s.faults[i+1:]...)
				return
			}
		}
	}
}

// findFault returns the fault that the request meets, if any, and counts it.
func (s *Server) findFault(r *http.Request, body []byte) (do func(*exchange) *response, name string) {
	s.faultMu.Lock()
	faults := s.faults
	s.faultMu.Unlock()
	for _, f := range faults {
		if f.Match != nil {
			seen := r.Clone(r.Context())
			seen.Body = io.NopCloser(bytes.NewReader(body))
			if !f.Match(seen) {
				continue
			}
		}
		if s.take(f) {
			return f.Do.run, f.Name
		}
	}
	return nil, ""
}

func (s *Server) take(f *fault) bool {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	f.seen++
	if f.seen <= f.After || f.Times > 0 && f.taken >= f.Times {
		return false
	}
	f.taken++
	return true
}

// Method matches requests of one method.
func Method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

// PathHas matches requests whose path contains part.
func PathHas(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

// BodyHas matches requests whose body contains text. The body is JSON.
func BodyHas(text string) func(*http.Request) bool {
	return func(r *http.Request) bool { return bytes.Contains(peek(r), []byte(text)) }
}

// All matches requests that all of ms match.
func All(ms ...func(*http.Request) bool) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, m := range ms {
			if !m(r) {
				return false
			}
		}
		return true
	}
}

// peek returns the body and leaves it to be read again.
func peek(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body) // never fails: findFault has set it
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

func route(method, pattern string) func(*http.Request) bool {
	re := regexp.MustCompile(`^/api/v1/repos/[^/]+/[^/]+` + pattern + `$`)
	return func(r *http.Request) bool { return r.Method == method && re.MatchString(r.URL.Path) }
}

func state(want string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		var form struct{ State *string }
		return json.Unmarshal(peek(r), &form) == nil && form.State != nil && *form.State == want
	}
}

// CreateIssue matches requests that create an issue.
func CreateIssue() func(*http.Request) bool { return route("POST", `/issues`) }

// ListIssues matches requests that list a repository's issues.
func ListIssues() func(*http.Request) bool { return route("GET", `/issues`) }

// GetIssue matches requests that get one issue.
func GetIssue() func(*http.Request) bool { return route("GET", `/issues/\d+`) }

// EditIssue matches requests that edit, close or reopen an issue.
func EditIssue() func(*http.Request) bool { return route("PATCH", `/issues/\d+`) }

// CloseIssue matches requests that close an issue.
func CloseIssue() func(*http.Request) bool { return All(EditIssue(), state("closed")) }

// ReopenIssue matches requests that reopen an issue.
func ReopenIssue() func(*http.Request) bool { return All(EditIssue(), state("open")) }

// CommentIssue matches requests that comment on an issue.
func CommentIssue() func(*http.Request) bool { return route("POST", `/issues/\d+/comments`) }

// ListTimeline matches requests that list an issue's timeline.
func ListTimeline() func(*http.Request) bool { return route("GET", `/issues/\d+/timeline`) }

// CreateLabel matches requests that create a label.
func CreateLabel() func(*http.Request) bool { return route("POST", `/labels`) }
