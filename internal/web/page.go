package web

import (
	"context"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/web/page"
)

// pageWait limits how long a page waits for the state, which another process may have locked.
const pageWait = 15 * time.Second

// pageRoutes registers the operator's page. It only shows: to change something there are the command line, the API and Gitea.
func (s *Server) pageRoutes(mux *http.ServeMux) {
	pages := page.New(s.now)
	mux.HandleFunc("GET /{$}", s.allow(accessPublic, s.page(func(ctx context.Context, b *bot.Bot, w http.ResponseWriter, r *http.Request) error {
		st, err := b.Status(ctx, "")
		if err != nil {
			return pages.Failure(w, r, err)
		}
		return pages.Index(w, r, st)
	})))
	mux.HandleFunc("GET /projects/{id}", s.allow(accessPublic, s.page(func(ctx context.Context, b *bot.Bot, w http.ResponseWriter, r *http.Request) error {
		d, err := b.Detail(ctx, r.PathValue("id"))
		if err != nil {
			return pages.Failure(w, r, err)
		}
		return pages.Project(w, r, d)
	})))
	mux.HandleFunc("GET /style.css", s.allow(accessPublic, page.ServeStyle))
	mux.HandleFunc("GET /icon/{name}", s.allow(accessPublic, func(w http.ResponseWriter, r *http.Request) {
		if !page.ServeIcon(w, r, r.PathValue("name")) {
			writeProblem(w, r, http.StatusNotFound, "Not found", "there is no such icon")
		}
	}))
}

// page wraps a handler that writes a page, or nothing and an error.
func (s *Server) page(h func(ctx context.Context, b *bot.Bot, w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, release := s.use(r)
		defer release()
		ctx, cancel := context.WithTimeout(r.Context(), pageWait)
		defer cancel()
		if err := h(ctx, b, w, r); err != nil {
			s.log.Error("page", "path", r.URL.Path, "err", err)
			writeProblem(w, r, http.StatusInternalServerError, "The page can't be made", "the log of adfbot serve says why; `adfbot status` shows the same facts")
		}
	}
}
