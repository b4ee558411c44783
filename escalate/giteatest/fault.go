package giteatest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// Fault is something that goes wrong with some requests. The first injected fault that matches and is not spent takes the
// request; it meets no second one.
type Fault struct {
	Name  string                   // shown in Request.Fault
	Match func(*http.Request) bool // which requests; nil: every one. It may read the body
	Times int                      // how many requests it takes; 0: until it is removed
	After int                      // how many matching requests it lets through first
	Do    Effect                   // what happens to them; the zero Effect changes nothing
}

type fault struct {
	Fault
	seen, taken int
}

// Inject switches a fault on. The returned function switches it off, and may be called again.
//
// Over a real connection, Go's HTTP client sends a GET a second time by itself when a kept-alive connection breaks before
// the answer: a Reset or LostAnswer with Times: 1 then goes unnoticed.
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
				// A new slice: meet goes through the old one without the lock.
				s.faults = append(append([]*fault(nil), s.faults[:i]...), s.faults[i+1:]...)
				return
			}
		}
	}
}

// meet finds the fault that the request runs into, and counts it.
func (s *Server) meet(r *http.Request, body []byte) (do func(*exchange) *answer, name string) {
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

// PathHas matches requests with part in their path.
func PathHas(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

// BodyHas matches requests with text in their body, as it was sent: JSON.
func BodyHas(text string) func(*http.Request) bool {
	return func(r *http.Request) bool { return bytes.Contains(peek(r), []byte(text)) }
}

// All matches what every one of ms matches.
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

// peek reads the body and leaves it to be read again, by the next of All.
func peek(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body) // a reader of bytes can't fail
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

// CreateIssue matches the requests that open an issue.
func CreateIssue() func(*http.Request) bool { return route("POST", `/issues`) }

// ListIssues matches the requests that list a repository's issues.
func ListIssues() func(*http.Request) bool { return route("GET", `/issues`) }

// GetIssue matches the requests that read one issue.
func GetIssue() func(*http.Request) bool { return route("GET", `/issues/\d+`) }

// EditIssue matches all changes of an issue itself, closing and reopening among them.
func EditIssue() func(*http.Request) bool { return route("PATCH", `/issues/\d+`) }

// CloseIssue matches the requests that close an issue.
func CloseIssue() func(*http.Request) bool { return All(EditIssue(), state("closed")) }

// ReopenIssue matches the requests that reopen an issue.
func ReopenIssue() func(*http.Request) bool { return All(EditIssue(), state("open")) }

// CommentIssue matches the requests that comment on an issue.
func CommentIssue() func(*http.Request) bool { return route("POST", `/issues/\d+/comments`) }

// ListTimeline matches the requests that read an issue's timeline.
func ListTimeline() func(*http.Request) bool { return route("GET", `/issues/\d+/timeline`) }

// CreateLabel matches the requests that make a label.
func CreateLabel() func(*http.Request) bool { return route("POST", `/labels`) }
