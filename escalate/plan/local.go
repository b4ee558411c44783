package plan

import (
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// local plans what follows from state and flag alone, and the rebuilding of lost incidents.
func (p *planner) local() {
	if p.o.Flag.State == incident.FlagUnknown {
		return
	}
	there, unknown := p.o.Flag.State == incident.FlagThere, p.unknownIncident()
	current := "" // id of the incident that pauses the project
	for _, i := range p.o.Incidents {
		if !i.IsOpen() {
			continue
		}
		written := !i.FlagWritten.IsZero()
		current = i.ID
		switch {
		case there && unknown != "" && written:
			p.add(Resume, i, "the pause flag belongs to a later incident, which this state does not know")
			current = ""
		case there && unknown != "":
			p.add(Supersede, i, "the pause flag belongs to an earlier incident, which this state did not know")
			current = ""
		case there && !written:
			p.add(ConfirmFlag, i, "the pause flag exists")
		case !there && written:
			p.add(Resume, i, "the pause flag was removed")
			current = ""
		case !there:
			p.add(WriteFlag, i, "the pause flag was never written")
		}
	}
	if current == "" {
		current = p.rebuild(unknown)
	}
	p.orphans(current)
	p.hold(there && current == "" && unknown == "")
}

// unknownIncident returns the id in the flag's note if the state does not know it, otherwise "".
func (p *planner) unknownIncident() string {
	id := p.o.Flag.Info.Incident
	if p.o.Flag.State != incident.FlagThere || id == "" || p.o.Known(id) {
		return ""
	}
	return id
}

// rebuild plans to restore a lost incident that still pauses the project, and returns its id or "". The flag's note
// names it; if a person wrote the note, it is that of the newest open issue.
func (p *planner) rebuild(unknown string) string {
	if p.o.Flag.State != incident.FlagThere || p.o.Flag.Info.Incident != unknown {
		return ""
	}
	id, newest := unknown, int64(0)
	for _, i := range p.o.Open {
		if unknown == "" && i.Number > newest && !p.o.Known(i.Marker.Incident) {
			id, newest = i.Marker.Incident, i.Number
		}
	}
	issue := p.oldest(id)
	switch {
	case id == "":
	case issue != nil:
		a := p.add(Rebuild, incident.Incident{ID: id, Project: p.o.Project, Seq: issue.Marker.Seq, Issue: issue.IssueRef},
			"the state does not know this incident, and its pause flag exists")
		a.marker, a.info = issue.Marker, p.o.Flag.Info
	case p.o.Unstored: // they tell more about the incident than the flag does
	default:
		p.add(Rebuild, incident.Incident{ID: id, Project: p.o.Project, Seq: p.o.Flag.Info.Seq},
			"the state does not know the incident that the pause flag names").info = p.o.Flag.Info
	}
	return id
}

// orphans plans to restore the other lost incidents that have an open issue. They have ended.
func (p *planner) orphans(current string) {
	done := map[string]bool{current: true}
	for _, i := range p.o.Open {
		id := i.Marker.Incident
		if p.o.Known(id) || done[id] {
			continue
		}
		done[id] = true
		issue, why := p.oldest(id), "the state does not know this incident, and it has no pause flag"
		replaced := current != "" && p.o.Flag.State == incident.FlagThere
		if replaced {
			why = "the state does not know this incident, and a later one pauses the project"
		}
		a := p.add(RebuildDone, incident.Incident{ID: id, Project: p.o.Project, Seq: issue.Marker.Seq, Issue: issue.IssueRef}, why)
		a.marker, a.replaced = issue.Marker, replaced
	}
}

// hold plans for a pause that a person made. held means that the flag exists and belongs to no incident.
func (p *planner) hold(held bool) {
	h, gone := p.o.Hold, p.o.Flag.State == incident.FlagGone
	var none incident.Incident
	switch {
	case held && h == nil:
		p.add(RecordHold, none, "paused by a person's flag")
	case held && h.FlagWritten.IsZero():
		p.add(ConfirmFlag, none, "the pause flag exists")
	case gone && h != nil && h.FlagWritten.IsZero() && len(p.out) == 0:
		p.add(WriteFlag, none, "a person paused the project, and the flag was never written")
	case gone && h != nil && !h.FlagWritten.IsZero():
		p.add(ReleaseHold, none, "a person's pause flag was removed")
	}
}

// Rebuilt returns the incident that a Rebuild or RebuildDone action restores.
func Rebuilt(a Action, now time.Time) incident.Incident {
	i := incident.Incident{
		ID: a.Incident, Project: a.Project, Seq: a.marker.Seq, Agent: a.info.Agent, Failures: a.info.Failures,
		Opened: a.info.Opened, Rebuilt: true, Issue: a.Issue,
	}
	if i.Seq == 0 {
		i.Seq = a.info.Seq
	}
	if i.Agent == "" {
		i.Agent = "project-meta"
	}
	if i.Opened.IsZero() {
		i.Opened = now
	}
	switch {
	case a.Kind == Rebuild:
		i.FlagWritten = now
	case a.replaced:
		i.Replaced, i.Ended, i.EndedHow = true, now, "a later incident pauses the project, and the bot's state had lost this one"
	default:
		i.Ended, i.EndedHow = now, "its pause flag is gone, and the bot's state had lost this incident"
	}
	return i
}
