package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxInFlight is how many requests are worked on at once, over TCP and at the socket each; the next ones are told to come
	// again. maxEvents is that for Gitea's events, of which nobody is known before the whole body is here: whoever sends them
	// slowly keeps out other events, which are only hints, and nothing else. Health is always answered: a busy bot is not a
	// dead one.
	maxInFlight = 256
	maxEvents   = 16
	retryAfter  = 2 * time.Second

	writeTimeout = 30 * time.Second // for an answer, once it begins: working on it may take as long as Gitea does
)

// guard stands before everything: it limits what is in flight, holds the set-up for the request, sets the headers that
// every answer has, and makes a problem of what no route is for.
func (s *Server) guard(mux *http.ServeMux) http.Handler {
	// Browsers tell where a request comes from. Together with the Host check and the content type this keeps other sites'
	// pages from posting with a password that the browser has stored.
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := s.hold(nil)
		defer s.release(p)
		r = r.WithContext(context.WithValue(r.Context(), setupKey{}, p))
		a := &answer{ResponseWriter: w, rc: http.NewResponseController(w)}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // the page has its own
		defer s.caught(a, r)
		if places := s.places(r); places != nil {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			default:
				h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
				writeProblem(a, r, http.StatusServiceUnavailable, "Too many requests at once",
					fmt.Sprintf("%d requests are being worked on: try again in %s; a result's run_id makes that safe", cap(places), retryAfter))
				return
			}
		}
		if err := cross.Check(r); err != nil {
			writeProblem(a, r, http.StatusForbidden, "Cross-origin request", "a page of another site sent this; nothing was done")
			return
		}
		s.dispatch(mux, a, r)
		s.log.Debug("http", "method", r.Method, "path", r.URL.Path, "status", a.status, "remote", r.RemoteAddr)
	})
}

// places are those of which a request needs one while it is worked on; nil: none.
func (s *Server) places(r *http.Request) chan struct{} {
	socket, _ := r.Context().Value(socketKey{}).(bool)
	switch {
	case r.URL.Path == "/healthz":
		return nil
	case r.URL.Path == webhookPath:
		return s.events
	case socket:
		return s.agents
	}
	return s.flight
}

// dispatch lets the router work, and makes a problem of its own errors.
func (s *Server) dispatch(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	if _, pattern := mux.Handler(r); pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	s.allow(accessOpen, func(w http.ResponseWriter, r *http.Request) {
		lost := &discard{header: http.Header{}}
		mux.ServeHTTP(lost, r)
		if lost.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", lost.header.Get("Allow"))
			writeProblem(w, r, http.StatusMethodNotAllowed, "Method not allowed",
				fmt.Sprintf("%s takes %s, not %s; see /api/v1/openapi.yaml", shown(r.URL.Path), lost.header.Get("Allow"), r.Method))
			return
		}
		writeProblem(w, r, http.StatusNotFound, "Not found", fmt.Sprintf("there is nothing at %s; see /api/v1/openapi.yaml", shown(r.URL.Path)))
	})(w, r)
}

// caught keeps a fault in one handler from ending the daemon without a word, as net/http does, and answers where that is
// still possible. What was panicked with is logged and not sent.
func (s *Server) caught(a *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("a handler panicked", "method", r.Method, "path", r.URL.Path, "panic", v)
	if a.status == 0 {
		writeProblem(a, r, http.StatusInternalServerError, "Internal error", "this is a fault in adfbot; its log says more. Whether a result was recorded is not known: send it again under the same run_id")
	}
}

// answer remembers the status, and gives the client a bounded time to take the answer.
type answer struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		_ = a.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discard takes an answer of which only the head is wanted.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// shown makes text of a request fit for a message: quoted, and not long.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}
