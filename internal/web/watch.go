package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/internal/exposition"
)

// watchWait limits how long a probe or a scrape waits for the state. Most give up after 10 s.
const watchWait = 8 * time.Second

// watchRoutes registers what machines watch.
func (s *Server) watchRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", s.allow(accessOpen, getHealth))
	mux.HandleFunc("GET /readyz", s.allow(accessPublic, s.getReady))
	mux.HandleFunc("GET /metrics", s.allow(accessPublic, s.getMetrics))
}

// getHealth reports that the process is alive, and nothing else: a restart repairs nothing else.
func getHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte("ok\n"))
	}
}

// getReady reports whether the bot can do its work. A Gitea that can't be reached is only a warning: results are counted and
// flags are written without it.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) {
	b, release := s.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), watchWait)
	defer cancel()
	ready := b.Ready(ctx)
	code := http.StatusOK
	if !ready.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, ready)
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) {
	b, release := s.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), watchWait)
	defer cancel()
	f := readFigures(ctx, b)
	f.err = errors.Join(f.err, s.metrics.count(ctx, s.config(r), b))
	if f.err != nil {
		s.log.Warn("metrics: the state can't be read", "err", f.err)
	}
	page := exposition.NewPage()
	f.put(page)
	s.metrics.put(page)
	w.Header().Set("Content-Type", exposition.ContentType)
	if r.Method != http.MethodHead {
		_ = page.Write(w) // an error: the client has left
	}
}
