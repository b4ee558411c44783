package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// local plans what follows from state and flag alone, and the rebuilding of lost incidents.
//
// What pauses a project is one pause, an incident or a hold. Its flag is confirmed once it is on disk, with its identity: if a confirmed
// flag is missing, somebody removed it, which ends that pause and never a later one. A flag that nobody has touched follows the state. One
// that somebody has made or changed is a pause by itself.
func (p *planner) local() {
	current := "" // id of the incident that pauses the project
	switch {
	case p.o.Flag.State == incident.FlagUnknown, p.holdOver():
		return
	case p.o.Flag.State == incident.FlagGone:
		current = p.flagGone()
	default:
		current = p.flagThere()
	}
	p.orphans(current)
}

func (p *planner) flagGone() (current string) {
	pause, open := p.o.Pause()
	confirmed := p.o.Confirmed.Stands()
	switch {
	case confirmed && p.o.Confirmed.Pause != pause:
		p.add(ForgetFlag, &incident.Incident{}, "the flag of an earlier pause was removed")
	case confirmed && open.ID == "":
		p.add(ReleaseHold, open, "a person's pause flag was removed")
	case confirmed:
		p.add(Resume, open, "the pause flag was removed")
		return ""
	case open.ID != "":
		p.add(WriteFlag, open, "the pause flag was never written")
	case pause != "":
		p.add(WriteFlag, open, "a person paused the project, and the flag was never written")
	}
	return open.ID
}

func (p *planner) flagThere() (current string) {
	pause, open := p.o.Pause()
	unknown := p.unknownIncident()
	switch {
	case pause == "":
		return p.flagAlone(unknown)
	case p.o.Fleet && p.untouched() && !p.o.Named(pause) && p.later() && p.unknownPause():
		// The state has gone back in time. What pauses the project stays, and so does the flag: once that pause is over, it tells of its own.
		if c := p.o.Confirmed; c.Pause != pause || !c.Stands() { // it pauses the project on this host
			p.add(ConfirmFlag, open, "the flag of a later pause, which this state does not know, exists")
		}
		return open.ID
	case p.o.Fleet: // what pauses the project here pauses it on all hosts: it gives way to no flag
	case open.ID == "":
		if current = p.rebuild(unknown); current != "" {
			return current
		}
	case unknown != "" && open.FlagWritten.IsZero():
		p.add(Supersede, open, "the pause flag belongs to an earlier incident, which this state did not know")
		return p.rebuild(unknown)
	case unknown != "" && p.later():
		p.add(Resume, open, "the pause flag belongs to a later incident, which this state does not know")
		return p.rebuild(unknown)
	}
	switch {
	case p.besideLostHold(open) && p.o.Hold == nil:
		p.recordNamedHold("the project tripped beside the pause by hand that the flag names, which this state does not know")
	case p.besideLostHold(open) && p.later():
		p.add(EndHold, &incident.Incident{}, "the pause flag belongs to a later pause by hand, which this state does not know")
	case !p.o.Fleet && p.untouched() && !p.o.Named(pause) && p.o.Flag.Info.Incident == "" && p.noted() > p.o.Generation && !p.flagConfirmed(pause):
		kind := ReleaseHold
		if open.ID != "" {
			kind = Resume
		}
		p.add(kind, open, "the pause flag belongs to a later pause by hand, which this state does not know")
		return ""
	case p.untouched() && !p.o.Named(pause) && p.o.Unstored:
		// Results that wait may have paused the project, after somebody removed the flag of what pauses it: they tell, once they are stored.
	case p.untouched() && !p.o.Named(pause):
		p.add(WriteFlag, open, "the pause flag is that of another pause")
	case open.ID != "" && p.untouched() && p.o.Flag.Info.Pause.ID != pause && p.o.Hold.Ends():
		// Its note says when the project resumes by itself, which it will not do now. If the state is lost, the flag alone tells of the incident
		// when the stop ends.
		if !p.flagConfirmed(pause) { // the project is paused, whether the flag can be replaced or not
			p.add(ConfirmFlag, open, "the pause flag exists")
		}
		p.add(WriteFlag, open, "the pause by hand would end by itself, and the incident goes on")
	case p.flagConfirmed(pause):
	case open.ID == "" && !p.untouched() && p.o.Hold.Ends():
		p.add(RecordHold, open, "somebody has made or touched the flag of a project whose pause would end by itself")
	case p.o.Fleet && p.inItsPlace(pause): // once the pause is over, it is one of its own
	default:
		p.add(ConfirmFlag, open, "the pause flag exists")
	}
	return open.ID
}

// besideLostHold reports whether the project tripped beside a pause by hand that the state has lost: the flag is that of the hold, and the
// state has confirmed it neither for the hold nor for the incident. An incident that had its flag, on this host, would be an earlier pause.
func (p *planner) besideLostHold(open *incident.Incident) bool {
	named, c := p.o.Flag.Info.Pause.ID, p.o.Confirmed.Pause
	return open.ID != "" && (p.o.Fleet || open.FlagWritten.IsZero()) && c != open.ID && c != named &&
		p.untouched() && p.o.Flag.Info.Incident == "" && !p.o.Named(open.ID) && p.noted() >= p.o.Generation
}

// recordNamedHold plans to store the hold that the flag names.
func (p *planner) recordNamedHold(why string) {
	info := p.o.Flag.Info
	a := p.add(RecordHold, &incident.Incident{}, why)
	a.hold, a.at, a.until, a.stop = info.Pause.ID, p.noted(), info.Until, info.Stop
}

// flagConfirmed reports whether the flag is as this host has confirmed it for the pause.
func (p *planner) flagConfirmed(pause string) bool {
	return p.o.Confirmed == incident.Confirmation{Pause: pause, Identity: p.o.Flag.Identity}
}

// StopOver is why a hold ends whose stop was ended.
const StopOver = "the stop that paused the project is over"

// holdOver plans the end of a hold whose time is over. It leaves the flag that somebody has removed, made or touched to the other rules,
// and one that is not confirmed, too: nobody could tell later whose it is.
func (p *planner) holdOver() bool {
	h := p.o.Hold
	if h == nil || !h.Over(p.o.Now) {
		return false
	}
	pause, open := p.o.Pause()
	c, flag := p.o.Confirmed, p.o.Flag
	switch {
	case flag.State == incident.FlagGone:
		if c.Stands() && c.Pause == pause {
			return false
		}
	case open.ID != "": // it goes on
	case p.untouched():
		if c.Pause != flag.Info.Pause.ID && !p.o.Fleet {
			return false
		}
	case !p.flagConfirmed(pause):
		return false
	}
	why := "its time is over"
	if h.Until.Equal(incident.AtOnce) {
		why = StopOver
	}
	p.add(EndHold, &incident.Incident{}, why)
	return true
}

// inItsPlace reports whether a person's flag is in the place of the one that the bot wrote for the pause, and is no edited one. Whoever made it
// may not have known of the pause: after a restored backup of the state, it may be over already.
func (p *planner) inItsPlace(pause string) bool {
	c := p.o.Confirmed
	return c.Pause == pause && c.Identity.Kind == incident.BotFlag && !p.untouched() && !p.o.Named(pause)
}

// flagAlone plans for a flag of a project that nothing pauses according to the state.
func (p *planner) flagAlone(unknown string) (current string) {
	none := &incident.Incident{}
	c, named := p.o.Confirmed, p.o.Flag.Info.Pause
	another := p.untouched() && named.ID != c.Pause
	switch {
	case c.Stands() && !another && (p.untouched() || c.Identity == p.o.Flag.Identity):
		p.add(RemoveFlag, none, "the project was resumed, and nobody has touched the flag since")
	case c.Stands() && !another:
		p.add(RecordHold, none, "a person touched the flag, and the project was resumed meanwhile")
	case unknown != "" && !p.over():
		return p.rebuild(unknown)
	case p.o.Fleet && p.over() && p.untouched() && c.Pause != named.ID && !p.o.Flag.Info.Modified().IsZero():
		p.add(RemoveFlag, none, "the flag is that of a pause that is over")
	case p.over():
		p.add(RecordHold, none, "somebody has touched or put back the flag of a pause that is over")
	case p.untouched():
		p.recordNamedHold("the state does not know the pause that the flag names")
		current = p.rebuild(unknown) // it may have paused the project beside the hold
	default:
		if current = p.rebuild(unknown); current == "" {
			p.add(RecordHold, none, "paused by a person's flag")
		}
	}
	return current
}

// untouched reports whether the flag is as the bot wrote it.
func (p *planner) untouched() bool { return p.o.Flag.Identity.Kind == incident.BotFlag }

// maxAhead is how far the generation in a flag may be above the state's: anybody may write a flag.
const maxAhead = 1_000_000

// noted returns the generation of the pause that the flag names, 0 if it is unknown or incredible.
func (p *planner) noted() int64 {
	if g := p.o.Flag.Info.Pause.Generation; g >= 0 && g <= p.o.Generation+maxAhead {
		return g
	}
	return 0
}

// later reports whether the pause that the flag names is later than the state. A flag of an earlier version does not say so.
func (p *planner) later() bool {
	return p.o.Flag.Info.Written.IsZero() && !p.o.Fleet || p.noted() > p.o.Generation
}

// unknownPause reports whether the state knows no incident that the flag names. Of a hold it does not tell.
func (p *planner) unknownPause() bool {
	id := p.o.Flag.Info.Incident
	return id == "" || !p.o.Known(id)
}

// over reports whether the pause that the flag names is over. The state has no pause.
func (p *planner) over() bool {
	info := p.o.Flag.Info
	return info.Incident != "" && p.o.Known(info.Incident) || !info.Written.IsZero() && info.Pause.Generation < p.o.Generation
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
	if p.o.Flag.Info.Incident != unknown {
		return ""
	}
	id, newest := unknown, int64(0)
	for _, i := range p.o.Open {
		for _, m := range p.markers(i) {
			if unknown == "" && i.Number >= newest && !p.o.Known(m.Incident) {
				id, newest = m.Incident, i.Number
			}
		}
	}
	issue := p.oldest(id)
	switch {
	case id == "":
	case issue != nil:
		a := p.lost(Rebuild, id, *issue, "the state does not know this incident, and its pause flag exists")
		a.info, a.at = p.o.Flag.Info, p.noted()
	case p.o.Unstored: // they tell more about the incident than the flag does
	default:
		a := p.add(Rebuild, &incident.Incident{ID: id, Project: p.o.Project, Seq: p.o.Flag.Info.Seq},
			"the state does not know the incident that the pause flag names")
		a.info, a.at = p.o.Flag.Info, p.noted()
	}
	return id
}

// orphans plans to restore the other lost incidents that have an open issue. They have ended, as far as this host can tell: in a fleet, the
// flag may be on another host that the state has not heard of since it went back in time, so the latest one pauses the project if nothing
// else does.
func (p *planner) orphans(current string) {
	done := map[string]bool{current: true}
	pause, _ := p.o.Pause()
	if p.o.Fleet && current == "" && (pause == "" || p.o.Confirmed.Stands()) {
		if current = p.latestOrphan(); current != "" {
			p.lost(Rebuild, current, *p.oldest(current), "the state does not know this incident, and another host may have its pause flag").flagElsewhere = true
			done[current] = true
		}
	}
	for _, i := range p.o.Open {
		for _, m := range p.markers(i) {
			id := m.Incident
			if p.o.Known(id) || done[id] {
				continue
			}
			done[id] = true
			if p.o.Fleet && p.earlierThan(current, m.Seq) {
				continue // the state has gone back in time: once what pauses the project is over, this one is restored
			}
			why := "the state does not know this incident, and it has no pause flag"
			replaced := current != "" && (p.o.Fleet || p.o.Flag.State == incident.FlagThere)
			if replaced {
				why = "the state does not know this incident, and a later one pauses the project"
			}
			p.lost(RebuildDone, id, *p.oldest(id), why).replaced = replaced
		}
	}
}

// earlierThan reports whether the incident is an earlier one of the project than that with the number.
func (p *planner) earlierThan(id string, seq int) bool {
	return slices.ContainsFunc(p.o.Incidents, func(i incident.Incident) bool { return i.ID == id && i.Seq < seq })
}

// latestOrphan returns the id of the last lost incident that has an open issue, or "".
func (p *planner) latestOrphan() (id string) {
	last := -1
	for _, i := range p.o.Open {
		for _, m := range p.markers(i) {
			if !p.o.Known(m.Incident) && m.Seq > last {
				id, last = m.Incident, m.Seq
			}
		}
	}
	return id
}

// markers returns those of an issue that are the project's, of incidents that pause it.
func (p *planner) markers(i tracker.Issue) []tracker.Marker {
	return slices.DeleteFunc(i.Markers(), func(m tracker.Marker) bool { return m.Project != p.o.Project || m.Silent })
}

// lost plans to restore an incident that an issue carries.
func (p *planner) lost(k Kind, id string, issue tracker.Issue, why string) *Action {
	m, _ := issue.MarkerOf(id)
	a := p.add(k, &incident.Incident{ID: id, Project: p.o.Project, Seq: m.Seq, Issue: issue.IssueRef}, why)
	a.marker = m
	if a.lead = issue.Marker.Incident; a.lead == id {
		a.lead, a.members = "", issue.Members
	}
	return a
}

// HoldOf returns the hold that a RecordHold action stores, and the least generation of its project. A new hold gets the id.
func HoldOf(a Action, id string, now time.Time) (h incident.Hold, generation int64) {
	return incident.Hold{ID: cmp.Or(a.hold, id), Project: a.Project, Since: now, Until: a.until, Stop: a.stop}, a.at
}

// Rebuilt returns the incident that a Rebuild or RebuildDone action restores.
func Rebuilt(a Action, now time.Time) incident.Incident {
	i := incident.Incident{
		ID: a.Incident, Project: a.Project, Seq: a.marker.Seq, Agent: a.info.Agent, Failures: a.info.Failures, Class: a.info.Class,
		Opened: a.info.Opened, Rebuilt: true, Issue: a.Issue, Generation: a.at,
	}
	if a.lead != "" {
		i.Lead, i.Issue = a.lead, tracker.IssueRef{}
	}
	if i.Seq == 0 {
		i.Seq = a.info.Seq
	}
	if a.Issue.IsZero() && a.info.Awaited() {
		i.Unstored, i.Host = true, a.info.Host
	}
	if i.Agent == "" {
		i.Agent = "project-meta"
	}
	if i.Opened.IsZero() {
		i.Opened = now
	}
	for _, m := range a.members {
		i.AddMember(m.Incident, time.Time{})
	}
	for n := range i.Members {
		i.Members[n].Told = now // its issue has told
	}
	switch {
	case a.flagElsewhere:
	case a.Kind == Rebuild:
		i.FlagWritten = now
	case a.replaced:
		i.Replaced, i.Ended, i.EndedHow = true, now, "a later incident pauses the project, and the bot's state had lost this one"
	default:
		i.Ended, i.EndedHow = now, "its pause flag is gone, and the bot's state had lost this incident"
	}
	return i
}
