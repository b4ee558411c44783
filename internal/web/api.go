package web

import (
	_ "embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// openAPI describes the API. A test compares it with the handlers.
//
//go:embed openapi.yaml
var openAPI []byte

func (s *Server) apiRoutes(mux *http.ServeMux) {
	for _, route := range s.apiTable() {
		mux.HandleFunc(route.pattern, s.allow(route.level, s.failing(route.handle)))
	}
}

type apiRoute struct {
	pattern string
	level   access
	handle  func(http.ResponseWriter, *http.Request) error
}

func (s *Server) apiTable() []apiRoute {
	return []apiRoute{
		{"GET /api/v1/openapi.yaml", accessOpen, s.getOpenAPI},
		{"POST /api/v1/results", accessReport, s.postResult},
		{"GET /api/v1/projects", accessReport, s.getProjects},
		{"GET /api/v1/projects/{id}", accessReport, s.getProject},
		{"GET /api/v1/projects/{id}/gate", accessGate, s.getGate},
		{"POST /api/v1/projects/{id}/pause", accessAdmin, s.postPause},
		{"POST /api/v1/projects/{id}/resume", accessAdmin, s.postResume},
		{"GET /api/v1/incidents", accessReport, s.getIncidents},
	}
}

// failing turns a handler's error into a problem.
func (s *Server) failing(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		var no *refusal
		var unknown *config.UnknownProjectError
		var locked *hostlocal.LockTimeoutError
		switch {
		case errors.As(err, &no):
			writeProblem(w, r, no.status, no.title, no.detail)
		case errors.As(err, &unknown):
			writeProblem(w, r, http.StatusNotFound, titleUnknown, unknownText(unknown, callerOf(r)))
		case errors.Is(err, store.ErrConflict):
			writeProblem(w, r, http.StatusConflict, "Known run, other outcome", err.Error()+"; give each run a run_id of its own")
		case errors.Is(err, store.ErrUnusable), errors.As(err, &locked), s.base.Err() != nil:
			s.log.Error("http", "method", r.Method, "path", r.URL.Path, "err", err)
			unavailable(w, r, "State not usable", err.Error())
		default:
			s.log.Error("http", "method", r.Method, "path", r.URL.Path, "err", err)
			writeProblem(w, r, http.StatusInternalServerError, "Failed", callerText(r, err))
		}
	}
}

// callerText returns the text of an error, for those who may know everything.
func callerText(r *http.Request, err error) string {
	if callerOf(r).admin {
		return clip(err.Error())
	}
	return "it did not work; the bot's log says why"
}

func unavailable(w http.ResponseWriter, r *http.Request, title, detail string) {
	w.Header().Set("Retry-After", "30")
	writeProblem(w, r, http.StatusServiceUnavailable, title, detail)
}

// unknownText names the projects that the caller may know of.
func unknownText(e *config.UnknownProjectError, c caller) string {
	known := slices.DeleteFunc(slices.Clone(e.Known), func(id string) bool { return !c.may(id) })
	if len(known) == 0 {
		return "there is no project " + quote(e.ID)
	}
	return "there is no project " + quote(e.ID) + ": there are " + strings.Join(known, ", ")
}

// project returns the project in the path, if the caller may know of it. With orLeft, one that has left the configuration is
// accepted as long as something of it is unfinished.
func (s *Server) project(r *http.Request, b *bot.Bot, orLeft bool) (string, error) {
	id := r.PathValue("id")
	if c := callerOf(r); c.known && !c.may(id) {
		return id, notAllowed(c)
	}
	var err error
	if orLeft {
		err = b.CheckKnown(r.Context(), id)
	} else {
		err = s.config(r).CheckProject(id)
	}
	if unknown := new(config.UnknownProjectError); err != nil && !errors.As(err, &unknown) && !errors.Is(err, store.ErrUnusable) {
		err = refused(http.StatusNotFound, titleUnknown, "%v", err) // the id is not valid
	}
	return id, err
}

func notAllowed(c caller) error {
	return refused(http.StatusForbidden, "Not allowed", "%s may report for %s and ask about it, and nothing else",
		c.name, strings.Join(c.projects, ", "))
}

func (s *Server) getOpenAPI(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI)
	return nil
}

// projectsJSON is the answer of GET /api/v1/projects.
type projectsJSON struct {
	Projects []status.Project `json:"projects"`
}

func (s *Server) getProjects(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	b, release := s.use(r)
	defer release()
	st, err := b.Status(r.Context(), "")
	if err != nil {
		return err
	}
	c := callerOf(r)
	out := projectsJSON{Projects: []status.Project{}}
	for _, p := range st.Projects {
		if c.may(p.ID) {
			out.Projects = append(out.Projects, p)
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) getProject(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	b, release := s.use(r)
	defer release()
	id, err := s.project(r, b, true)
	if err != nil {
		return err
	}
	st, err := b.Status(r.Context(), id)
	if err != nil {
		return err
	}
	if len(st.Projects) == 0 {
		return &config.UnknownProjectError{ID: id, Known: s.config(r).ProjectIDs()}
	}
	writeJSON(w, http.StatusOK, st.Projects[0])
	return nil
}

// doneJSON is the answer of pause and resume.
type doneJSON struct {
	Project  string   `json:"project"`
	Paused   bool     `json:"paused"`
	Text     string   `json:"text"`
	Problems []string `json:"problems"` // what is left to the next sweep
}

func (s *Server) postPause(w http.ResponseWriter, r *http.Request) error {
	b, release := s.use(r)
	defer release()
	id, err := s.project(r, b, false)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, "reason")
	if err != nil {
		return err
	}
	var wrong []string
	why := o.text("reason", &wrong)
	if len(wrong) > 0 {
		return refused(http.StatusBadRequest, titleBody, "%s", strings.Join(wrong, "; "))
	}
	ctx, cancel := s.detached(r)
	defer cancel()
	done, err := b.PauseBy(ctx, id, b.Redactor().Redact(why), callerOf(r).name+" over HTTP")
	if err != nil {
		return refused(http.StatusServiceUnavailable, "Not paused", "%s: %v", id, err)
	}
	writeJSON(w, http.StatusOK, doneJSON{Project: id, Paused: true, Text: done.Text, Problems: append([]string{}, done.Problems...)})
	return nil
}

func (s *Server) postResume(w http.ResponseWriter, r *http.Request) error {
	b, release := s.use(r)
	defer release()
	id, err := s.project(r, b, true)
	if err != nil {
		return err
	}
	if _, err := readObject(w, r); err != nil {
		return err
	}
	ctx, cancel := s.detached(r)
	defer cancel()
	done, err := b.ResumeBy(ctx, id, callerOf(r).name+" over HTTP on "+hostName())
	if err != nil {
		return refused(http.StatusServiceUnavailable, "Not resumed", "%s: %v", id, err)
	}
	writeJSON(w, http.StatusOK, doneJSON{Project: id, Text: done.Text, Problems: append([]string{}, done.Problems...)})
	return nil
}

const gateWait = 5 * time.Second

// gateJSON is the answer for a project that may run. The others are problems: 423 with the reason, 503 unknown.
type gateJSON struct {
	Project string `json:"project"`
	Paused  bool   `json:"paused"`
}

func (s *Server) getGate(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	b, release := s.use(r)
	id, err := s.project(r, b, false)
	if err != nil {
		release()
		return err
	}
	v := s.askGate(r, b, release, id)
	switch {
	case v.Err != nil:
		w.Header().Set("Retry-After", strconv.Itoa(int(gateWait/time.Second)))
		return refused(http.StatusServiceUnavailable, "Unknown", "it is not known whether %s is paused, do not run it: %v", id, v.Err)
	case v.Paused:
		return refused(http.StatusLocked, "Paused", "%s", strings.TrimSpace(v.Reason))
	}
	writeJSON(w, http.StatusOK, gateJSON{Project: id})
	return nil
}
