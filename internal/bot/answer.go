package bot

import (
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/status"
)

// View returns what the reporter of the result is told.
func (r Recorded) View() status.ResultView {
	v := status.ResultView{Project: r.Project, Agent: r.Agent, Outcome: r.Outcome, Counted: r.Counted, Why: r.Why, Failures: r.Failures,
		Threshold: r.Threshold, Tripped: r.Tripped, Paused: r.Paused(), Known: r.Known, Problems: append([]string{}, r.Problems...),
		FlagMissing: r.Flag.State != incident.FlagThere}
	if r.Incident != nil {
		v.Incident = &status.IncidentName{ID: r.Incident.ID, Name: r.Incident.Name(), Issue: r.Incident.Issue.URL}
	}
	return v
}
