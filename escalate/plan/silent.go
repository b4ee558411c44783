package plan

import (
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

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

// overSilent plans to end the silent incident that the state, a copy from before, takes for open: the bot has closed its issue, or that is
// closed and a later silence of the project has one.
func (p *planner) overSilent() {
	for n := range p.o.Silent {
		i := &p.o.Silent[n]
		is := p.o.Issues[i.ID]
		if !i.IsOpen() || is != IssueClosed && is != IssueLost {
			continue
		}
		if c := p.o.Closings[i.ID]; c.Done {
			a := p.add(EndSilent, i, "the bot has closed its issue, and the state does not know it")
			a.EndedHow, a.Ended = "was no longer silent, as the bot's comment in its issue says, and the bot's state had lost that", c.At
			continue
		}
		for _, issue := range p.o.Open {
			if p.lostSilence(issue) && issue.Marker.Seq > i.Seq {
				a := p.add(EndSilent, i, "a later silence of the project has an open issue, and the state does not know it")
				a.EndedHow, a.Ended = "was silent again later, and the bot's state had lost that", issue.Created
				break
			}
		}
	}
}

// lostSilence reports whether an issue is that of a silent incident which the state lost.
func (p *planner) lostSilence(issue tracker.Issue) bool {
	m := issue.Marker
	return m.Silent && m.Project == p.o.Project && !p.o.Known(m.Incident)
}

// lostSilent plans to restore the silent incidents that the state lost and that have an open issue. While it is not known whether that of
// an open one is, it is not known either which of them goes on.
func (p *planner) lostSilent() {
	if slices.ContainsFunc(p.o.Silent, func(i incident.Incident) bool {
		return i.IsOpen() && !i.Issue.IsZero() && p.o.Issues[i.ID] == IssueUnknown
	}) {
		return
	}
	for _, issue := range p.o.Open {
		if m := issue.Marker; p.lostSilence(issue) {
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
