package plan

import "github.com/terraphim/adfbot/escalate/incident"

// silent plans for an incident that pauses nothing. It opens and ends by the results of its project, so neither flags nor people decide
// about it: an issue that somebody closes or deletes stays so.
func (p *planner) silent(i *incident.Incident) {
	open, due := p.o.Issues[i.ID] == IssueOpen, p.due(i)
	switch {
	case p.adopt(i):
	case i.IsOpen() && i.Issue.IsZero() && len(i.Lost) == 0:
		if due {
			p.add(Create, i, "the project does not report, and there is no issue about that yet")
		}
	case i.IsOpen():
		if open && due && i.Incomplete {
			p.add(Complete, i, "the issue lacks labels, assignees or its due date")
		}
	case i.Settled && open && !i.LeftOpen && due:
		p.add(LeaveOpen, i, "the issue was reopened after its incident had ended")
	case i.Settled || !due:
	case i.Issue.IsZero():
		p.add(FindLost, i, "the incident ended before it was known whether its issue was created")
	default:
		p.add(Close, i, "the incident has ended")
	}
	p.duplicates(i)
}

// lostSilent plans to restore the silent incidents that the state lost and that have an open issue.
func (p *planner) lostSilent() {
	for _, issue := range p.o.Open {
		if m := issue.Marker; m.Silent && m.Project == p.o.Project && !p.o.Known(m.Incident) {
			lost := incident.Incident{ID: m.Incident, Kind: incident.Silent, Project: m.Project, Seq: m.Seq, Issue: issue.IssueRef}
			a := p.add(RebuildSilent, &lost, "the state does not know this incident, which pauses nothing")
			a.marker, a.opened = m, issue.Created
		}
	}
}

// RebuiltSilent returns the incident that a RebuildSilent action restores.
func RebuiltSilent(a Action) incident.Incident {
	return incident.Incident{
		ID: a.Incident, Kind: incident.Silent, Project: a.Project, Seq: a.marker.Seq, Agent: "project-meta", Opened: a.opened, Since: a.opened,
		Rebuilt: true, Issue: a.Issue,
	}
}
