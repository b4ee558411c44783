package web

import (
	"context"
	"net/http"
	"path"
	"time"
)

const writeTimeout = 30 * time.Second // for sending an answer; a handler may take as long as Gitea does

// semaphore limits how many goroutines do something at once. Each has put in a value.
type semaphore chan struct{}

type setupKey struct{}

// guard comes before all handlers. It keeps the setup in use for the request, sets the headers of every answer, and answers
// requests without a route.
func (s *Server) guard(mux *http.ServeMux) http.Handler {
	// Browsers report which page a request comes from. Together with the checks of Host and content type, this prevents other
	// sites' pages from posting with a password that the browser has stored.
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := s.use()
		defer p.uses.Done()
		r = r.WithContext(context.WithValue(r.Context(), setupKey{}, p))
		a := &statusWriter{ResponseWriter: w, rc: http.NewResponseController(w)}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // the page has its own
		defer s.recoverPanic(a, r, p)
		if err := cross.Check(r); err != nil {
			refused(http.StatusForbidden, "Cross-origin request", "a page of another site sent this; nothing was done").write(a)
			return
		}
		packed := &packedWriter{ResponseWriter: a, request: r, hold: func(p []byte) func() { return s.unread.add(p, a.cut) }}
		s.dispatch(mux, packed, r)
		packed.finish()
		s.log.Debug("http", "method", r.Method, "path", p.logPath(r), "status", a.status, "remote", r.RemoteAddr)
	})
}

// dispatch calls the router, and turns the router's own errors into problems. It follows none of the router's redirects to a clean
// path: they are absolute, and a proxy may serve the bot under a path of its own.
func (s *Server) dispatch(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	if _, pattern := mux.Handler(r); pattern != "" && isClean(r.URL.EscapedPath()) {
		mux.ServeHTTP(w, r)
		return
	}
	s.allow(route{handle: func(w http.ResponseWriter, r *request) error {
		head := newRecorder()
		mux.ServeHTTP(head, r.Request)
		if head.status != http.StatusMethodNotAllowed {
			return refused(http.StatusNotFound, "Not found", "there is nothing at %s; see /api/v1/openapi.yaml", quote(r.safePath(r.Request)))
		}
		w.Header().Set("Allow", head.header.Get("Allow"))
		if r.Method == http.MethodConnect { // it names a host, and no path
			return refused(http.StatusMethodNotAllowed, "Method not allowed", "this is the bot and no proxy; see /api/v1/openapi.yaml")
		}
		return refused(http.StatusMethodNotAllowed, "Method not allowed", "%s takes %s, not %s; see /api/v1/openapi.yaml",
			quote(r.safePath(r.Request)), head.header.Get("Allow"), cut(r.Method, 80))
	}})(w, r)
}

// isClean reports whether the router would not redirect to another path.
func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}

// recoverPanic logs a panic in a handler, and answers if that is still possible. It does not send the value of the panic.
func (s *Server) recoverPanic(a *statusWriter, r *http.Request, p *setup) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("a handler panicked", "method", r.Method, "path", p.logPath(r), "panic", v)
	if a.status == 0 {
		refused(http.StatusInternalServerError, "Internal error",
			"this is a bug in adfbot; its log says more. If you sent a result, send it again under the same run_id: it may not be recorded").write(a)
	}
}

// statusWriter keeps the status, and limits how long the client may take to read the answer.
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

// cut ends the write in progress: the client does not get the rest of the answer.
func (a *statusWriter) cut() { _ = a.rc.SetWriteDeadline(time.Now()) }

// Unwrap is for http.ResponseController.
func (a *statusWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
