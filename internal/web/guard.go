package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How many requests are worked on at once; others get 503. Health is always answered: a busy bot is not a dead one.
const (
	maxRequests = 256 // over TCP, and as many at the socket
	// Whose event it is, is known only after its whole body. Slow senders keep out nothing but other events, which are only hints.
	maxEvents  = 16
	retryAfter = 2 * time.Second

	writeTimeout = 30 * time.Second // for sending an answer; working on it may take as long as Gitea does
)

// semaphore limits how many do something at once: whoever does has put a value in.
type semaphore chan struct{}

// guard comes before all handlers. It limits the requests at work, holds the setup for the request, sets the headers of every
// answer, and answers requests without a route.
func (s *Server) guard(mux *http.ServeMux) http.Handler {
	// Browsers say which page a request comes from. Together with the checks of Host and content type this keeps other sites'
	// pages from posting with a password that the browser has stored.
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := s.hold(nil)
		defer s.release(p)
		r = r.WithContext(context.WithValue(r.Context(), setupKey{}, p))
		a := &statusWriter{ResponseWriter: w, rc: http.NewResponseController(w)}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // the page has its own
		defer s.recoverPanic(a, r)
		if sem := s.semaphore(r); sem != nil {
			select {
			case sem <- struct{}{}:
				defer func() { <-sem }()
			default:
				h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
				writeProblem(a, r, http.StatusServiceUnavailable, "Too many requests at once",
					fmt.Sprintf("%d requests are being worked on: try again in %s; a result's run_id makes that safe", cap(sem), retryAfter))
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

// semaphore returns the semaphore that limits a request, nil where it is not limited.
func (s *Server) semaphore(r *http.Request) semaphore {
	socket, _ := r.Context().Value(socketKey{}).(bool)
	switch {
	case r.URL.Path == "/healthz":
		return nil
	case r.URL.Path == webhookPath:
		return s.webhookEvents
	case socket:
		return s.socketRequests
	}
	return s.tcpRequests
}

// dispatch calls the router, and turns its own errors into problems.
func (s *Server) dispatch(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	if _, pattern := mux.Handler(r); pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	s.allow(accessOpen, func(w http.ResponseWriter, r *http.Request) {
		head := &headWriter{header: http.Header{}}
		mux.ServeHTTP(head, r)
		if head.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", head.header.Get("Allow"))
			writeProblem(w, r, http.StatusMethodNotAllowed, "Method not allowed",
				fmt.Sprintf("%s takes %s, not %s; see /api/v1/openapi.yaml", quote(r.URL.Path), head.header.Get("Allow"), r.Method))
			return
		}
		writeProblem(w, r, http.StatusNotFound, "Not found", fmt.Sprintf("there is nothing at %s; see /api/v1/openapi.yaml", quote(r.URL.Path)))
	})(w, r)
}

// recoverPanic logs a panic in a handler, and answers where that is still possible. The value of the panic is not sent.
func (s *Server) recoverPanic(a *statusWriter, r *http.Request) {
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

// statusWriter remembers the status, and limits how long the client may take to read the answer.
type statusWriter struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
}

func (a *statusWriter) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		_ = a.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *statusWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *statusWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// headWriter keeps the head of an answer and drops its body.
type headWriter struct {
	header http.Header
	status int
}

func (d *headWriter) Header() http.Header         { return d.header }
func (d *headWriter) WriteHeader(status int)      { d.status = status }
func (d *headWriter) Write(p []byte) (int, error) { return len(p), nil }

// quote makes text from a request fit for a message: quoted, and not long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}
