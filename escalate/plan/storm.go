package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/class"
)

// A storm is several incidents of one cause. The issue of the first one carries them all.

const (
	// MaxMembers is how many incidents one issue carries: the markers of all of them must fit into its text.
	MaxMembers = 250
	// showEvery and tellEvery are the least times between two edits of the text, and between two comments, about who has joined.
	showEvery = 30 * time.Second
	tellEvery = 10 * time.Minute
)

// Storm says which incidents share an issue.
type Storm struct {
	Window time.Duration // 0: none do
	Repo   func(incident.Incident) tracker.Repo
}

// group is an incident that leads others or is alone, and those that it leads.
type group struct {
	lead    incident.Incident
	members []incident.Incident
}

// Choose returns whose issue carries an incident: that of another one in the same repository with the same class or fingerprint, as long
// as that is not over and was opened or joined within the window. One of which it is decided that it has an issue comes before one that may
// still join another one, so that there are no two issues of one cause; then the oldest.
func (s Storm) Choose(i incident.Incident, unsettled []incident.Incident) (join incident.Joining) {
	var chosen, full *group
	for _, g := range groups(unsettled) {
		if g.lead.ID == i.ID || !g.isOpen() || !g.matches(i) || !g.isNear(i, s.Window) || s.Repo(g.lead) != s.Repo(i) {
			continue
		}
		best := &chosen
		if len(g.lead.Members) >= MaxMembers {
			best = &full
		}
		if *best == nil || g.before(**best) {
			*best = &g
		}
	}
	if chosen != nil {
		join.Lead = chosen.lead.ID
	}
	if full != nil && (chosen == nil || chosen.lead.MayJoin()) {
		join.Continues = full.lead.ID
	}
	return join
}

func groups(unsettled []incident.Incident) (out []group) {
	members := map[string][]incident.Incident{}
	for _, i := range unsettled {
		if i.Lead != "" {
			members[i.Lead] = append(members[i.Lead], i)
		}
	}
	for _, i := range unsettled {
		if i.Lead == "" {
			out = append(out, group{i, members[i.ID]})
		}
	}
	return out
}

func (g group) all() []incident.Incident { return append([]incident.Incident{g.lead}, g.members...) }

func (g group) isOpen() bool { return slices.ContainsFunc(g.all(), incident.Incident.IsOpen) }

func (g group) matches(i incident.Incident) bool {
	return slices.ContainsFunc(g.all(), func(m incident.Incident) bool {
		return i.Class != "" && i.Class != class.Unknown && m.Class == i.Class || i.Fingerprint != "" && m.Fingerprint == i.Fingerprint
	})
}

// isNear reports whether the incident was opened while the group was joined, or within the window before or after. The clocks of several
// hosts may differ.
func (g group) isNear(i incident.Incident, window time.Duration) bool {
	first, last := g.lead.Opened, g.lead.Opened
	if g.lead.Joined.After(last) {
		last = g.lead.Joined
	}
	return !i.Opened.Before(first.Add(-window)) && !i.Opened.After(last.Add(window))
}

// before orders groups, see [Storm.Choose].
func (g group) before(h group) bool {
	if g.lead.MayJoin() != h.lead.MayJoin() {
		return !g.lead.MayJoin()
	}
	if !g.lead.Opened.Equal(h.lead.Opened) {
		return g.lead.Opened.Before(h.lead.Opened)
	}
	return g.lead.ID < h.lead.ID
}

// Carried returns the incidents that the issue of an incident carries: itself and, if it leads, those of the others that are known.
func (o Observation) Carried(i *incident.Incident) []incident.Incident {
	out := []incident.Incident{*i}
	for _, id := range i.MemberIDs() {
		if m, ok := o.Others[id]; ok && id != i.ID && m.Lead == i.ID {
			out = append(out, m)
		}
	}
	return out
}

// needed reports whether an incident's issue has to be open: it pauses its project, or one that it leads does.
func (p *planner) needed(i *incident.Incident) bool {
	return i.IsOpen() || slices.ContainsFunc(p.o.Carried(i), incident.Incident.IsOpen)
}

// member plans for an incident whose issue is another one's: all is done for that one, in its project.
func (p *planner) member(i *incident.Incident) {
	lead, known := p.o.Others[i.Lead]
	switch {
	case i.Settled || known && !lead.Settled && slices.Contains(lead.MemberIDs(), i.ID):
	case !known && p.oldest(i.ID) != nil: // it is about to be rebuilt
	case i.IsOpen() && !known:
		if p.due(i) { // its issue may be closed, or was not listed
			p.add(Join, i, "the state does not know the incident whose issue carries it")
		}
	case i.IsOpen():
		p.add(LeaveLead, i, "the incident whose issue carried it is over, or does not list it")
	default:
		p.add(Settle, i, "it ended, and the incident whose issue carried it is over")
	}
}

// carried plans what the issue of an incident has to say of those that it leads.
func (p *planner) carried(i *incident.Incident) {
	if !i.Leads() {
		return
	}
	if why := p.toShow(i); why != "" {
		p.add(ShowMembers, i, why)
	}
	if p.hasToTell(i) {
		p.add(TellJoined, i, "the issue carries more projects")
	}
}

// toShow returns why the issue's list has to be written, "" if it is right or was written a moment ago.
func (p *planner) toShow(i *incident.Incident) (why string) {
	for _, m := range i.Members {
		is, known := p.o.Others[m.ID]
		if m.ID == i.ID {
			is, known = *i, true
		}
		if elsewhere := m.ID != i.ID && is.Lead != i.ID && (is.Lead != "" || !is.Issue.IsZero()); known && elsewhere {
			why = fmt.Sprintf("the issue lists %s, which another one carries", is.Name())
			break
		}
		if known && m.Shown != incident.NotShown && p.isMissing(i, m.ID) {
			why = fmt.Sprintf("the issue does not list %s any more", is.Name())
			break
		}
		if known && (m.Shown != is.Shows() || !is.IsOpen() && !is.Settled && m.ID != i.ID) {
			why = fmt.Sprintf("the issue does not say yet how it is with %s", is.Name())
			break
		}
	}
	if why == "" {
		why = p.wrongTicks(i)
	}
	if since := p.o.Now.Sub(i.Edited); why != "" && !p.o.Force && since >= 0 && since < showEvery {
		return ""
	}
	return why
}

// isMissing reports whether the issue of an incident was seen without one that it has told of: Gitea was restored from a backup.
func (p *planner) isMissing(i *incident.Incident, id string) bool {
	return slices.ContainsFunc(p.o.Open, func(d tracker.Issue) bool { return d.ID == i.Issue.ID && d.Carries(i.ID) && !d.Carries(id) })
}

// wrongTicks returns why the boxes in the issue's list are not as the bot has left them, "" if they are.
func (p *planner) wrongTicks(i *incident.Incident) string {
	ended, others := 0, 0
	for _, m := range i.Members {
		if m.Shown == incident.ShownEnded {
			ended++
		} else {
			others++
		}
	}
	for _, d := range p.o.Open {
		switch {
		case d.ID != i.Issue.ID:
		case d.Ticked > ended:
			return "somebody has ticked the box of one that is paused"
		case d.Unticked > others: // the list may leave some out
			return "the box of one that has resumed is not ticked any more"
		}
	}
	return ""
}

// hasToTell reports whether a comment has to tell who has joined: it speaks of the list, so that comes first. Those who have resumed since
// need none.
func (p *planner) hasToTell(i *incident.Incident) bool {
	var last time.Time
	untold := false
	for _, m := range i.Members[1:] {
		if c, begun := i.Comments[incident.JoinedKey(*i, m.Told)]; begun && !c.Done {
			return true
		}
		if m.Told.After(last) {
			last = m.Told
		}
		untold = untold || m.Told.IsZero() && m.Shown != incident.NotShown && p.o.Others[m.ID].ID != "" && p.o.Others[m.ID].IsOpen()
	}
	return untold && (last.IsZero() || p.o.Now.Sub(last).Abs() >= tellEvery)
}

// Resumes reports whether a closing of the issue of lead resumes the project of an incident that it carries: not one that it did not list
// yet, or that was opened or paused later.
func Resumes(c incident.Closing, lead, i incident.Incident) bool {
	return c.Resumes() && i.IsOpen() && lead.ListedBefore(i.ID, c.At) && !incident.IsAfter(i.Opened, c.At) && !ClosedEarly(i, c.At)
}

// RebuiltLead returns the incident that leads a closed issue which carries others. The state has lost it, and it has no pause flag.
func RebuiltLead(issue tracker.Issue, now time.Time) incident.Incident {
	p := planner{o: Observation{Project: issue.Marker.Project}}
	return Rebuilt(*p.lost(RebuildDone, issue.Marker.Incident, issue, ""), now)
}
