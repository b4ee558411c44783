package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

// How many incidents are on a page.
const (
	defaultLimit = 50
	mostLimit    = 200
)

// incidentsJSON is a page of incidents.
type incidentsJSON struct {
	Incidents []incidentJSON `json:"incidents"`
	Next      *string        `json:"next"` // for after; null on the last page
}

type incidentJSON struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Project     string     `json:"project"`
	Agent       string     `json:"agent"`
	State       string     `json:"state"`
	Opened      time.Time  `json:"opened"`
	Ended       *time.Time `json:"ended"`
	EndedHow    string     `json:"ended_how,omitempty"`
	Failures    int        `json:"consecutive_failures"` // at the trip
	Threshold   int        `json:"threshold"`
	Host        string     `json:"host,omitempty"`
	FlagWritten bool       `json:"flag_written"`
	FlagError   string     `json:"flag_error,omitempty"`
	Issue       *issueJSON `json:"issue"`
	Pending     string     `json:"pending,omitempty"` // why Gitea does not show it yet
}

type issueJSON struct {
	URL    string `json:"url"`
	Owner  string `json:"owner"`
	Repo   string `json:"repo"`
	Number int64  `json:"number"`
}

func incidentView(i incident.Incident) incidentJSON {
	v := incidentJSON{
		ID: i.ID, Name: i.Name(), Project: i.Project, Agent: i.Agent, State: store.OpenIncidents, Opened: i.Opened,
		Failures: i.Failures, Threshold: i.Threshold, Host: i.Host, FlagWritten: !i.FlagWritten.IsZero(), FlagError: i.FlagError,
		Pending: i.LastErr,
	}
	if !i.IsOpen() {
		v.State, v.Ended, v.EndedHow = store.EndedIncidents, &i.Ended, i.EndedHow
	}
	if !i.Issue.IsZero() {
		v.Issue = &issueJSON{URL: i.Issue.URL, Owner: i.Issue.Repo.Owner, Repo: i.Issue.Repo.Name, Number: i.Issue.Number}
	}
	return v
}

func (s *Server) getIncidents(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "state", "project", "limit", "after")
	if err != nil {
		return err
	}
	b, release := s.use(r)
	defer release()
	f := bot.IncidentFilter{After: q["after"], Limit: defaultLimit}
	switch state := q["state"]; state {
	case "", "all":
	case store.OpenIncidents, store.EndedIncidents:
		f.State = state
	default:
		return refused(http.StatusBadRequest, titleQuery, "state must be open, ended or all, not %s", shown(state))
	}
	if n := q["limit"]; n != "" {
		if f.Limit, err = strconv.Atoi(n); err != nil || f.Limit < 1 || f.Limit > mostLimit {
			return refused(http.StatusBadRequest, titleQuery, "limit must be a number from 1 to %d, not %s", mostLimit, shown(n))
		}
	}
	c := callerOf(r)
	if !c.admin {
		f.Projects = c.projects
	}
	if p, ok := q["project"]; ok {
		switch {
		case !c.may(p):
			return notYours(c)
		case !slices.Contains(s.config(r).ProjectIDs(), p):
			// One that has left the configuration still has its incidents.
			has, _, err := b.Incidents(r.Context(), bot.IncidentFilter{Projects: []string{p}, Limit: 1})
			if err != nil {
				return err
			}
			if len(has) == 0 {
				return &bot.UnknownProjectError{ID: p, Known: s.config(r).ProjectIDs()}
			}
		}
		f.Projects = []string{p}
	}
	list, more, err := b.Incidents(r.Context(), f)
	if errors.Is(err, store.ErrNoIncident) {
		return refused(http.StatusBadRequest, titleQuery, "after must be the next of an earlier answer, not %s", shown(f.After))
	}
	if err != nil {
		return err
	}
	out := incidentsJSON{Incidents: []incidentJSON{}}
	for _, i := range list {
		out.Incidents = append(out.Incidents, incidentView(i))
	}
	if more {
		out.Next = &list[len(list)-1].ID
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
