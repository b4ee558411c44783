// Package plan decides what to do about a project. [Next] is a pure function from an [Observation] to the [Action]s
// that are due, in order. [DryRun] also returns those that follow from the first ones.
//
// A plan asks for nothing that is already done, and relies on nothing that is unknown: while the pause flag cannot be
// read, it resumes, reopens and closes nothing.
package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// IssueState is what is known of an issue.
type IssueState int

const (
	IssueUnknown IssueState = iota // not read, or reading it failed
	IssueOpen
	IssueClosed
	IssueLost // deleted, or without our author and marker, while the repository can be listed
)

// Observation is everything that a decision about one project depends on.
type Observation struct {
	Now       time.Time
	Project   string
	Flag      incident.FlagView
	Confirmed incident.Confirmation // by this host
	Hold      *incident.Hold
	// Generation is the project's.
	Generation int64
	Fleet      bool                        // several hosts share the state: a flag of a pause that is over may be a late one of theirs
	Incidents  []incident.Incident         // those of the project that are not settled, or whose issues are in Open
	Silent     []incident.Incident         // likewise of the kind [incident.Silent]
	Known      func(id string) bool        // reports whether the state has the incident, settled or not
	Issues     map[string]IssueState       // of the incidents' own issues, by incident id
	Open       []tracker.Issue             // the project's open issues that have our author and marker
	Closings   map[string]incident.Closing // of the incidents' own issues, by incident id, as far as they were read
	Unstored   bool                        // results wait to be stored: the incident that the flag names may be theirs
	Force      bool                        // a person asked: do not wait for NextTry
	Refused    map[string]bool             // by incident id: a step was refused just now; the others in its open issue do not wait for that
	Unpaused   *incident.Unpaused          // nil: not known, or there is no fleet

	Others    map[string]incident.Incident // those that Incidents lead or are led by, by id, as far as they exist
	Joins     bool                         // incidents of one cause share an issue
	Unsettled []incident.Incident          // of all projects, with Storm: only for a [DryRun], which tells who would join
	Storm     Storm

	Escalation Escalation
	Assignees  map[string]tracker.Account // by incident id, of the issues in Open: somebody whom the bot has not assigned, zero if there is nobody
	Unnoted    map[string]bool            // likewise: the bot has assigned somebody whose account is not stored

	byState bool // see [Observation.ByState]
}

// ByState returns the observation for the steps in the tracker where several hosts share the state: whether the project is paused follows
// from the state, whatever is on the disk of this host. Local steps are left to visits that look there.
func (o Observation) ByState() Observation {
	o.Flag, o.byState = incident.FlagView{State: incident.FlagGone}, true
	if id, _ := o.Pause(); id != "" {
		o.Flag.State = incident.FlagThere
	}
	return o
}

// Pause returns the id of what pauses the project, "" if nothing does. The incident is never nil, and zero if that is a hold.
func (o Observation) Pause() (id string, open *incident.Incident) {
	for n := range o.Incidents {
		if i := &o.Incidents[n]; i.IsOpen() {
			return i.ID, i
		}
	}
	if o.Hold != nil {
		id = o.Hold.ID
	}
	return id, &incident.Incident{}
}

// Named reports whether the flag, if the bot wrote it, is that of the pause. The flag of a hold stays while an incident pauses the project
// too: it says who paused the project and why, and its removal ends both.
func (o Observation) Named(pause string) bool {
	id := o.Flag.Info.Pause.ID
	return id == pause || o.Hold != nil && id == o.Hold.ID
}

// Next returns the steps that are due for a project, in the order in which to take them. If there are local steps other
// than WriteFlag, it returns only local ones: observe and plan again after those.
func Next(o Observation) []Action {
	p := planner{o: o}
	if !o.byState {
		p.local()
		p.overSilent()
		p.lostSilent()
	}
	// Nothing waits for a flag that cannot be written: the issue is headed NOT PAUSED meanwhile.
	if slices.ContainsFunc(p.out, func(a Action) bool { return a.Kind != WriteFlag }) {
		return p.out
	}
	for n := range o.Incidents {
		i := &o.Incidents[n]
		switch {
		case i.Lead != "":
			p.member(i)
			continue
		case p.needed(i):
			p.open(i)
		default:
			p.ended(i)
		}
		p.duplicates(i)
	}
	for n := range o.Silent {
		p.silent(&o.Silent[n])
	}
	slices.SortStableFunc(p.out, func(a, b Action) int { return cmp.Compare(phases[a.Kind], phases[b.Kind]) })
	return p.out
}

// planner collects the steps for one observation.
type planner struct {
	o   Observation
	out []Action
}

func (p *planner) add(k Kind, i *incident.Incident, why string) *Action {
	a := Action{Kind: k, Project: p.o.Project, Incident: i.ID, Issue: i.Issue, Why: why}
	if i.ID != "" {
		a.Project, a.Name = i.Project, i.Name()
	}
	p.out = append(p.out, a)
	return &p.out[len(p.out)-1]
}

// oldest returns the open issue with the lowest number that has the incident's marker, or nil. One of the incident's own comes before one
// that carries it.
func (p *planner) oldest(id string) *tracker.Issue {
	var found *tracker.Issue
	for n := range p.o.Open {
		i := &p.o.Open[n]
		own, best := i.Marker.Incident == id, found != nil && found.Marker.Incident == id
		if i.Carries(id) && (found == nil || own && !best || own == best && i.Number < found.Number) {
			found = i
		}
	}
	return found
}
