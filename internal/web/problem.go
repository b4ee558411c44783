package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// problem is an error response as in RFC 9457.
type problem struct {
	Type   string `json:"type"`  // always about:blank
	Title  string `json:"title"` // the same for each occurrence
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"` // what to do; holds no secret
}

const (
	titleBody    = "Unreadable body"
	titleValue   = "Impossible value"
	titleQuery   = "Wrong query"
	titleUnknown = "Unknown project"
)

func (e *problem) Error() string { return e.Title + ": " + e.Detail }

func refused(status int, title, format string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: title, Status: status, Detail: fmt.Sprintf(format, args...)}
}

// answerProblem answers with a page where a person has typed an address, else with JSON.
func (s *Server) answerProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	if !wantsPage(r) || s.pages.Problem(w, r, p.Status, p.Title, p.Detail) != nil {
		p.write(w)
	}
}

// forMachines are the beginnings of the addresses that programs ask for.
var forMachines = []string{"/api/", "/metrics", "/healthz", "/readyz", "/webhooks/"}

// wantsPage reports whether a browser asks for a page.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		!slices.ContainsFunc(forMachines, func(begin string) bool { return strings.HasPrefix(r.URL.Path, begin) })
}

func (e *problem) write(w http.ResponseWriter) {
	_ = writeAs(w, "application/problem+json", e.Status, e) // numbers and text can always be encoded
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	return writeAs(w, "application/json", status, v)
}

// writeAs writes an answer, or nothing if v cannot be encoded.
func writeAs(w http.ResponseWriter, kind string, status int, v any) error {
	var doc bytes.Buffer
	enc := json.NewEncoder(&doc)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = doc.WriteTo(w) // the client has left; net/http drops the body of an answer to HEAD
	return nil
}

// problemOf returns the answer to a request that failed with err.
func (s *Server) problemOf(w http.ResponseWriter, r *request, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*config.NotKnownError](err); ok {
		return refused(http.StatusNotFound, titleUnknown, "%v", e)
	}
	if unknown, ok := errors.AsType[*config.UnknownProjectError](err); ok {
		return refused(http.StatusNotFound, titleUnknown, "%s", unknownText(unknown, r.caller))
	}
	if errors.Is(err, pause.ErrID) {
		return refused(http.StatusNotFound, titleUnknown, "%v", err)
	}
	if errors.Is(err, store.ErrConflict) {
		return refused(http.StatusConflict, "Known run, other outcome", "%v; give each run a %s of its own", err, r.runID())
	}
	s.log.Error("http", "method", r.Method, "path", r.logPath(r.Request), "err", err)
	_, locked := errors.AsType[*hostlocal.LockTimeoutError](err)
	switch {
	case locked, errors.Is(err, store.ErrUnusable), s.base.Err() != nil:
		return unavailable(w, "State not usable", "%v", err)
	case r.caller.admin:
		return refused(http.StatusInternalServerError, "Failed", "%s", cut(err.Error(), maxDetail))
	}
	return refused(http.StatusInternalServerError, "Failed", "the request failed; the bot's log says why")
}

func unavailable(w http.ResponseWriter, title, format string, args ...any) *problem {
	w.Header().Set("Retry-After", "30")
	return refused(http.StatusServiceUnavailable, title, format, args...)
}

// runID is what a request calls the id of its run. The ping API ignores other parameters.
func (r *request) runID() string {
	if r.PathValue("key") != "" {
		return "rid"
	}
	return "run_id"
}

// unknownText names only the projects that the caller may see.
func unknownText(e *config.UnknownProjectError, c caller) string {
	text := "there is no project " + quote(e.ID)
	if seen := slices.DeleteFunc(slices.Clone(e.Known), func(id string) bool { return !c.mayEntry(id) }); len(seen) > 0 {
		text += ": " + (&config.UnknownProjectError{ID: e.ID, Known: seen}).Hint()
	}
	return text
}
