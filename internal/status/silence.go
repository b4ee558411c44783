package status

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// Silence is an open incident of a project that has not reported in time. It pauses nothing.
type Silence struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
	Opened  time.Time `json:"opened"`
	Issue   string    `json:"issue_url"`          // "" while there is no issue
	Running time.Time `json:"running,omitzero"`   // when the run began that had no result then
	Host    string    `json:"host,omitempty"`     // of that run
	TakenBy string    `json:"taken_by,omitempty"` // who acknowledged it in Gitea
	Closed  bool      `json:"issue_closed"`       // somebody had closed its issue when a sweep looked last
}

// addSilence reads which projects do not report, and when all reported last.
func (r *Reader) addSilence(ctx context.Context, only string, s *snapshot) error {
	list, err := r.from.State.Silent(ctx, only)
	if err != nil {
		return err
	}
	s.silent = map[string][]incident.Incident{}
	if len(list) > 0 {
		rep, _, err := r.LastSweep(ctx)
		if err != nil {
			return err
		}
		s.silentClosed = rep.SilentClosed
	}
	for _, i := range list {
		s.silent[i.Project] = append(s.silent[i.Project], i)
	}
	s.reports, err = r.from.State.Reports(ctx, slices.Collect(maps.Keys(s.recorded))...)
	return err
}

// addReports adds when a project reported last, and what is the matter if it has not done so in time.
func (p *Project) addReports(s snapshot) {
	p.LastResult = known(s.reports[p.ID].Finished)
	for _, i := range s.silent[p.ID] {
		if i.IsOpen() {
			p.Silence = &Silence{ID: i.ID, Name: i.Name(), Since: i.Since, Opened: i.Opened, Issue: i.Issue.URL, Running: i.Began, Host: i.Host,
				Closed: slices.Contains(s.silentClosed, i.ID)}
			if i.Ack != nil {
				p.Silence.TakenBy = i.Ack.By.Login
			}
			p.Warnings = append(p.Warnings, p.Silence.words(p.Expect))
		}
		if w, _ := pending(i, false); w.incident != "" {
			p.waits = append(p.waits, w)
			p.Pending = append(p.Pending, w.String())
		}
	}
}

// words says what is the matter.
func (s Silence) words(expect string) string {
	out := "has not reported since " + s.Since.UTC().Format(describeFormat)
	if expect != "" {
		out += "; expected " + expect
	}
	if !s.Running.IsZero() {
		out += fmt.Sprintf("; a run that began %s on %s had no result then", s.Running.UTC().Format(describeFormat), s.Host)
	}
	if s.Closed {
		out += "; somebody has closed its issue"
	}
	return out
}
