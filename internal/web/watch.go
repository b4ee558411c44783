package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/internal/exposition"
)

// watchWait bounds how long a probe or a scrape waits for the state: less than the usual 10 s of those who ask.
const watchWait = 8 * time.Second

// watchRoutes hangs in what machines ask about the bot.
func (s *Server) watchRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", s.allow(accessOpen, getHealth))
	mux.HandleFunc("GET /readyz", s.allow(accessPublic, s.getReady))
	mux.HandleFunc("GET /metrics", s.allow(accessPublic, s.getMetrics))
}

// getHealth tells that the process lives, and nothing else: who restarts it for another reason mends nothing.
func getHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte("ok\n"))
	}
}

// getReady tells whether the bot can do its work. A Gitea that can't be reached is a warning: results are counted and
// flags are written without it.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) {
	b, release := s.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), watchWait)
	defer cancel()
	ready := b.Ready(ctx)
	status := http.StatusOK
	if !ready.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, ready)
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) {
	b, release := s.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), watchWait)
	defer cancel()
	f := figuresOf(ctx, b)
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
