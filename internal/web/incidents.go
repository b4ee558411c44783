package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

type incidentsJSON struct {
	Incidents []incidentJSON `json:"incidents"`
	Next      *string        `json:"next"` // the next value of after; null in the last answer
}

type incidentJSON struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Project     string     `json:"project"`
	Kind        string     `json:"kind"`                   // failures or silent
	Since       *time.Time `json:"silent_since,omitempty"` // of a silent one: when it was heard of last
	Agent       string     `json:"agent"`
	State       string     `json:"state"`
	Opened      time.Time  `json:"opened"`
	Ended       *time.Time `json:"ended"`
	EndedHow    string     `json:"ended_how,omitempty"`
	Failures    int        `json:"consecutive_failures"` // at the trip
	Threshold   int        `json:"threshold"`
	Class       string     `json:"class,omitempty"` // missing if an earlier version opened it
	Fingerprint string     `json:"fingerprint,omitempty"`
	Host        string     `json:"host,omitempty"`
	FlagWritten bool       `json:"flag_written"`
	FlagError   string     `json:"flag_error,omitempty"`
	Issue       *issueJSON `json:"issue"`
	Lead        string     `json:"lead,omitempty"`    // id of the incident whose issue that is, if it is another one's
	Members     []string   `json:"members,omitempty"` // ids of the incidents that its issue is about, itself first
	Pending     string     `json:"pending,omitempty"` // why Gitea does not show it yet
}

type issueJSON struct {
	URL    string `json:"url"`
	Owner  string `json:"owner"`
	Repo   string `json:"repo"`
	Number int64  `json:"number"`
}

func newIncidentJSON(i incident.Incident) incidentJSON {
	v := incidentJSON{
		ID: i.ID, Name: i.Name(), Project: i.Project, Kind: "failures", Agent: i.Agent, State: store.OpenIncidents, Opened: i.Opened,
		Failures: i.Failures, Threshold: i.Threshold, Class: i.Class, Fingerprint: i.Fingerprint, Host: i.Host, FlagWritten: !i.FlagWritten.IsZero(), FlagError: i.FlagError,
		Pending: i.LastErr, Lead: i.Lead, Members: i.MemberIDs(),
	}
	if i.IsSilent() {
		v.Kind, v.Since = string(i.Kind), &i.Since
	}
	if !i.IsOpen() {
		v.State, v.Ended, v.EndedHow = store.EndedIncidents, &i.Ended, i.EndedHow
	}
	if !i.Issue.IsZero() {
		v.Issue = &issueJSON{URL: i.Issue.URL, Owner: i.Issue.Repo.Owner, Repo: i.Issue.Repo.Name, Number: i.Issue.Number}
	}
	return v
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
	out := incidentsJSON{Incidents: []incidentJSON{}}
	for _, i := range list {
		out.Incidents = append(out.Incidents, newIncidentJSON(i))
	}
	if more {
		out.Next = &list[len(list)-1].ID
	}
	return writeJSON(w, http.StatusOK, out)
}

func (r *request) incidentFilter() (store.IncidentFilter, error) {
	f := store.IncidentFilter{Limit: defaultLimit}
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
	if n := q["limit"]; n != "" {
		if f.Limit, err = strconv.Atoi(n); err != nil || f.Limit < 1 || f.Limit > maxLimit {
			return f, refused(http.StatusBadRequest, titleQuery, "limit must be a number from 1 to %d, not %s", maxLimit, quote(n))
		}
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
