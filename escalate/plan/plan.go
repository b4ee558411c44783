// Package plan decides what is to be done about a project. [Next] is a pure function from an [Observation] to the [Action]s
// that are due, in their order; [DryRun] is what a sweep would do in the end. What an observation cannot know it leaves
// alone: with an unreadable flag nothing is resumed, reopened or closed.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Reopening: after three times in an hour the bot waits an hour each time and says nothing, so that it does not fight a
// person or another bot all day. An issue that has been open for two hours or longer has come to rest.
const (
	reopenWindow = time.Hour
	ReopenMost   = 3
	reopenCalm   = 2 * reopenWindow
)

// Next decides what is to be done about one project. It is a pure function of what was seen, it asks for nothing that was
// already done, and what it can't know it leaves alone: with an unreadable flag nothing is resumed, reopened or closed.
// The steps are in the order in which they have to be taken; local steps come first, and after any of them the rest is
// to be planned anew.
func Next(o Observation) []Action {
	p := planner{o: o}
	p.flags()
	// A flag that can't be written keeps nothing waiting: its issue says NOT PAUSED, others are closed meanwhile.
	if slices.ContainsFunc(p.out, func(a Action) bool { return a.Kind != WriteFlag }) {
		return p.out
	}
	for _, i := range o.Incidents {
		switch {
		case i.IsOpen():
			p.open(i)
		default:
			p.ended(i)
		}
		p.duplicates(i)
	}
	slices.SortStableFunc(p.out, func(a, b Action) int { return cmp.Compare(rank(a.Kind), rank(b.Kind)) })
	return p.out
}

// rank puts what concerns a paused project before the tidying up.
func rank(k Kind) int {
	if k.Local() {
		return -1
	}
	switch k {
	case Create, Adopt, Replace, Reopen, ResumeClosed, ConfirmReopened, AnnouncePaused:
		return 0
	case Close, LeaveOpen, FindLost, CloseDuplicate:
		return 1
	}
	return 2
}

type planner struct {
	o   Observation
	out []Action
}

func (p *planner) add(k Kind, i incident.Incident, why string) *Action {
	p.out = append(p.out, Action{Kind: k, Project: p.o.Project, Incident: i.ID, Name: i.Name(), Issue: i.Issue, Why: why})
	return &p.out[len(p.out)-1]
}

// unknownIncident is the id in the flag's note where the state does not know it, else "".
func (p *planner) unknownIncident() string {
	if p.o.Flag.State != incident.FlagThere {
		return ""
	}
	if id := p.o.Flag.Info.Incident; id != "" && !p.o.Known(id) {
		return id
	}
	return ""
}

// flags plans the local steps: everything that follows from state and flag alone, and the incidents that only a flag or
// an issue still tells of.
func (p *planner) flags() {
	if p.o.Flag.State == incident.FlagUnknown {
		return
	}
	there, strange := p.o.Flag.State == incident.FlagThere, p.unknownIncident()
	var current *incident.Incident
	for n := range p.o.Incidents {
		i := &p.o.Incidents[n]
		if !i.IsOpen() {
			continue
		}
		current = i
		switch {
		case there && strange != "" && i.FlagWritten.IsZero():
			p.add(Supersede, *i, "the pause flag is of an earlier incident, which this state did not know")
			current = nil
		case there && strange != "":
			p.add(Resume, *i, "the pause flag is of a later incident, which this state does not know")
			current = nil
		case there && i.FlagWritten.IsZero():
			p.add(ConfirmFlag, *i, "the pause flag is there")
		case !there && i.FlagWritten.IsZero():
			p.add(WriteFlag, *i, "the pause flag was never written")
		case !there:
			p.add(Resume, *i, "the pause flag was removed")
			current = nil
		}
	}
	if current == nil {
		current = p.rebuild(there, strange)
	}
	p.orphans(current)
	p.hold(there && current == nil && strange == "")
}

// rebuild plans to take up again an incident that the state lost and whose project is still paused. It returns what then
// is the project's incident.
func (p *planner) rebuild(there bool, strange string) *incident.Incident {
	if !there || (p.o.Flag.Info.Incident != "" && strange == "") {
		return nil
	}
	var found *tracker.Issue
	for n := range p.o.Open {
		i := &p.o.Open[n]
		if p.o.Known(i.Marker.Incident) {
			continue
		}
		if strange != "" {
			if i.Marker.Incident == strange && (found == nil || i.Number < found.Number) {
				found = i
			}
		} else if found == nil || i.Number > found.Number {
			found = i
		}
	}
	switch {
	case found != nil:
		found = p.own(incident.Incident{ID: found.Marker.Incident}) // of several of one incident the oldest stays
		a := p.add(Rebuild, incident.Incident{ID: found.Marker.Incident, Project: p.o.Project, Seq: found.Marker.Seq, Issue: found.IssueRef},
			"the state does not know this incident, and its pause flag is there")
		a.marker, a.info = found.Marker, p.o.Flag.Info
		return &incident.Incident{ID: found.Marker.Incident}
	case strange != "":
		a := p.add(Rebuild, incident.Incident{ID: strange, Project: p.o.Project, Seq: p.o.Flag.Info.Seq},
			"the state does not know the incident that the pause flag names")
		a.info = p.o.Flag.Info
		return &incident.Incident{ID: strange}
	}
	return nil
}

// orphans plans to take in the other incidents that only their open issues tell of. They are over.
func (p *planner) orphans(current *incident.Incident) {
	done := map[string]bool{}
	for _, i := range p.o.Open {
		id := i.Marker.Incident
		if p.o.Known(id) || done[id] || (current != nil && current.ID == id) {
			continue
		}
		done[id] = true
		oldest := p.own(incident.Incident{ID: id})
		replaced, why := false, "the state does not know this incident, and it has no pause flag"
		if current != nil && p.o.Flag.State == incident.FlagThere {
			replaced, why = true, "the state does not know this incident, and the project is paused by a later one"
		}
		a := p.add(RebuildDone, incident.Incident{ID: id, Project: p.o.Project, Seq: oldest.Marker.Seq, Issue: oldest.IssueRef}, why)
		a.marker, a.replaced = oldest.Marker, replaced
	}
}

func (p *planner) hold(held bool) {
	h := p.o.Hold
	gone := p.o.Flag.State == incident.FlagGone
	project := incident.Incident{Project: p.o.Project}
	switch {
	case held && h == nil:
		p.add(RecordHold, project, "paused by a person's flag").Name = ""
	case held && h.FlagWritten.IsZero():
		p.add(ConfirmFlag, project, "the pause flag is there").Name = ""
	case gone && h != nil && h.FlagWritten.IsZero() && len(p.out) == 0:
		p.add(WriteFlag, project, "a person paused the project, and the flag was never written").Name = ""
	case gone && h != nil && !h.FlagWritten.IsZero():
		p.add(ReleaseHold, project, "a person's pause flag was removed").Name = ""
	}
}

// due tells whether the wait after a failed try is over. A wait longer than any that the bot sets comes from a clock that
// was wrong.
func (p *planner) due(i incident.Incident) bool {
	return p.o.Force || !p.o.Now.Before(i.NextTry) || i.NextTry.Sub(p.o.Now) > longestWait
}

// own returns the oldest open issue that carries the incident's marker.
func (p *planner) own(i incident.Incident) *tracker.Issue {
	var found *tracker.Issue
	for n := range p.o.Open {
		d := &p.o.Open[n]
		if d.Marker.Incident == i.ID && (found == nil || d.Number < found.Number) {
			found = d
		}
	}
	return found
}

func (p *planner) adopt(i incident.Incident) bool {
	if !i.Issue.IsZero() {
		return false
	}
	found := p.own(i)
	if found == nil {
		return false
	}
	p.add(Adopt, i, "the incident's issue is there, and the state did not know it").Issue = found.IssueRef
	return true
}

func (p *planner) open(i incident.Incident) {
	if p.adopt(i) {
		return
	}
	if i.Issue.IsZero() {
		if p.due(i) {
			p.add(Create, i, "the incident has no issue yet")
		}
		return
	}
	if p.o.Flag.State == incident.FlagUnknown {
		return
	}
	switch p.o.Issues[i.ID] {
	case IssueOpen:
		if i.ReopenPending && p.due(i) {
			p.add(ConfirmReopened, i, "the issue is open again")
		}
		if i.HeadedNotPaused && !i.FlagWritten.IsZero() && p.due(i) {
			p.add(AnnouncePaused, i, "the issue says NOT PAUSED, and the flag is there now")
		}
	case IssueClosed:
		if p.byOperator(i) {
			return
		}
		if quiet, now := reopening(p.o.Now, i); now && p.due(i) {
			p.add(Reopen, i, "the issue was closed while the project is still paused").Quiet = quiet
		}
	case IssueLost:
		if p.due(i) {
			p.add(Replace, i, fmt.Sprintf("issue %s is no longer there, or no longer the bot's", i.Issue))
		}
	}
}

// reopening tells whether a closed issue is to be opened again now, and whether without a word.
func reopening(now time.Time, i incident.Incident) (quiet, due bool) {
	if i.ReopenPending {
		return i.ReopenQuiet, true
	}
	// A time in the future was written by a clock that was wrong.
	past := slices.DeleteFunc(slices.Clone(i.Reopens), func(t time.Time) bool { return t.After(now) })
	n := len(past)
	if n == 0 {
		return false, true
	}
	since := now.Sub(past[n-1])
	much := n >= ReopenMost && past[n-1].Sub(past[n-ReopenMost]) < reopenWindow
	if since >= reopenCalm || !much && !i.ReopenQuiet {
		return false, true
	}
	return true, since >= reopenWindow
}

func (p *planner) ended(i incident.Incident) {
	open := p.o.Issues[i.ID] == IssueOpen
	unreadable := p.o.Flag.State == incident.FlagUnknown
	switch {
	case !unreadable && p.adopt(i):
	case i.Settled && open && !i.LeftOpen && !unreadable && p.due(i):
		p.add(LeaveOpen, i, "the issue was reopened after its incident had ended")
	case i.Settled || unreadable:
	case i.Issue.IsZero() && i.Create.At.IsZero():
		p.add(Settle, i, "the incident ended before it had an issue")
	case !p.due(i):
	case i.Issue.IsZero():
		p.add(FindLost, i, "the incident ended while the creation of its issue was in doubt")
	default:
		p.add(Close, i, "the incident has ended")
	}
}

// duplicates plans to close all but one of an incident's open issues: the one that the state knows stays. While that one
// is not seen to be open nothing is closed, so that a paused project's last open issue never goes.
func (p *planner) duplicates(i incident.Incident) {
	if i.Issue.IsZero() || p.o.Flag.State == incident.FlagUnknown || !p.due(i) || (i.IsOpen() && p.o.Issues[i.ID] != IssueOpen) {
		return
	}
	for _, d := range p.o.Open {
		if d.Marker.Incident != i.ID || (d.ID == i.Issue.ID && d.Number == i.Issue.Number) || i.Comments[incident.DuplicateClosedKey(i, d.IssueRef)].Done {
			continue
		}
		p.add(CloseDuplicate, i, fmt.Sprintf("a second issue of the incident; %s stays", i.Issue)).Issue = d.IssueRef
	}
}
