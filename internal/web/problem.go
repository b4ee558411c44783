package web

import (
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

// Titles that are used more than once.
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

func (e *problem) write(w http.ResponseWriter) { writeAs(w, "application/problem+json", e.Status, e) }

func writeJSON(w http.ResponseWriter, status int, v any) { writeAs(w, "application/json", status, v) }

func writeAs(w http.ResponseWriter, kind string, status int, v any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client has left; net/http drops the body of an answer to HEAD
}

// fail answers with the problem that an error is.
func (s *Server) fail(w http.ResponseWriter, r *request, err error) {
	if p, ok := errors.AsType[*problem](err); ok {
		p.write(w)
		return
	}
	if unknown, ok := errors.AsType[*config.UnknownProjectError](err); ok {
		refused(http.StatusNotFound, titleUnknown, "%s", unknownText(unknown, r.caller)).write(w)
		return
	}
	switch {
	case errors.Is(err, pause.ErrID):
		refused(http.StatusNotFound, titleUnknown, "%v", err).write(w)
		return
	case errors.Is(err, store.ErrConflict):
		refused(http.StatusConflict, "Known run, other outcome", "%v; give each run a run_id of its own", err).write(w)
		return
	}
	s.log.Error("http", "method", r.Method, "path", r.URL.Path, "err", err)
	_, locked := errors.AsType[*hostlocal.LockTimeoutError](err)
	switch {
	case locked, errors.Is(err, store.ErrUnusable), s.base.Err() != nil:
		unavailable(w, "State not usable", "%v", err).write(w)
	case r.caller.admin:
		refused(http.StatusInternalServerError, "Failed", "%s", cut(err.Error(), maxDetail)).write(w)
	default:
		refused(http.StatusInternalServerError, "Failed", "the request failed; the bot's log says why").write(w)
	}
}

func unavailable(w http.ResponseWriter, title, format string, args ...any) *problem {
	w.Header().Set("Retry-After", "30")
	return refused(http.StatusServiceUnavailable, title, format, args...)
}

// unknownText names only the projects that the caller may see.
func unknownText(e *config.UnknownProjectError, c caller) string {
	text := "there is no project " + quote(e.ID)
	if known := slices.DeleteFunc(slices.Clone(e.Known), func(id string) bool { return !c.may(id) }); len(known) > 0 {
		text += ": there are " + strings.Join(known, ", ")
	}
	return text
}
