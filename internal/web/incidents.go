package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

type incidentsJSON struct {
	Incidents []status.ListedIncident `json:"incidents"`
	Next      *string                 `json:"next"` // the next value of after; null in the last answer
}

func (s *Server) getIncidents(w http.ResponseWriter, r *request) error {
	f, err := r.incidentFilter()
	if err != nil {
		return err
	}
	list, more, err := r.bot.Incidents(r.Context(), f)
	if errors.Is(err, store.ErrNoIncident) {
		return refused(http.StatusBadRequest, titleQuery, "after must be the next of an earlier answer, not %s", quote(f.After))
	}
	if err != nil {
		return err
	}
	out := incidentsJSON{Incidents: r.bot.Listed(list)}
	if more {
		out.Next = &list[len(list)-1].ID
	}
	return writeJSON(w, http.StatusOK, out)
}

func (r *request) incidentFilter() (store.IncidentFilter, error) {
	var f store.IncidentFilter
	q, err := query(r.Request, "state", "project", "limit", "after")
	if err != nil {
		return f, err
	}
	f.After = q["after"]
	switch state := q["state"]; state {
	case "", "all":
	case store.OpenIncidents, store.EndedIncidents:
		f.State = state
	default:
		return f, refused(http.StatusBadRequest, titleQuery, "state must be open, ended or all, not %s", quote(state))
	}
	if f.Limit, err = pageLimit(q["limit"]); err != nil {
		return f, err
	}
	if p, ok := q["project"]; ok {
		f.Projects = []string{p}
		return f, r.checkHasIncidents(p)
	}
	if !r.caller.admin {
		ids, err := r.bot.ProjectIDs(r.Context())
		f.Projects = slices.DeleteFunc(ids, func(id string) bool { return !r.caller.may(id) })
		return f, err
	}
	return f, nil
}

// checkHasIncidents refuses a project that the caller may not see, and an unknown one. A project that has left the configuration
// still has its incidents.
func (r *request) checkHasIncidents(project string) error {
	if !r.caller.may(project) {
		return r.caller.notAllowed("")
	}
	if _, ok := r.cfg.Project(project); ok {
		return nil
	}
	has, _, err := r.bot.Incidents(r.Context(), store.IncidentFilter{Projects: []string{project}, Limit: 1})
	if err == nil && len(has) == 0 {
		err = &config.UnknownProjectError{ID: project, Known: r.cfg.EntryNames()}
	}
	return err
}
