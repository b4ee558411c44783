package escalate

import (
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
)

// Foresee is the whole plan for a project: what [Plan] says now, and what it will say when those local steps are done. A
// dry run prints it. It is pure: a local step is applied to a copy of what was seen.
func Foresee(o Observation) []Action {
	var all []Action
	o.Incidents, o.Issues = slices.Clone(o.Incidents), maps.Clone(o.Issues)
	for range 5 { // each round may uncover the next; more rounds than there are kinds of local steps don't come
		plan := Plan(o)
		if !anyLocal(plan) {
			return append(all, plan...)
		}
		for _, a := range plan {
			if a.Kind.Local() {
				all = append(all, a)
				o = foreseen(o, a)
			}
		}
	}
	return all
}

// foreseen is what will be seen after a local step.
func foreseen(o Observation, a Action) Observation {
	change := func(f func(*incident.Incident)) {
		for n := range o.Incidents {
			if o.Incidents[n].ID == a.Incident {
				f(&o.Incidents[n])
			}
		}
	}
	switch a.Kind {
	case WriteFlag, NoteFlag:
		o.Flag.State = incident.FlagThere
		change(func(i *incident.Incident) { i.FlagWritten = o.Now })
		if a.Incident == "" && o.Hold != nil {
			h := *o.Hold
			h.FlagWritten = o.Now
			o.Hold = &h
		}
	case Resume:
		o.Hold = nil
		change(func(i *incident.Incident) { i.Ended = o.Now })
	case Supersede:
		change(func(i *incident.Incident) { i.Ended = o.Now })
	case NoteHold:
		o.Hold = &incident.Hold{Project: o.Project, Since: o.Now, FlagWritten: o.Now}
	case ReleaseHold:
		o.Hold = nil
	case Settle:
		change(func(i *incident.Incident) { i.Settled = true })
	case Rebuild, RebuildDone:
		i := rebuilt(a, o.Now)
		known := o.Known
		o.Known = func(id string) bool { return id == i.ID || known(id) }
		o.Incidents = append(o.Incidents, i)
		if !i.Issue.IsZero() {
			o.Issues[i.ID] = IssueOpen // it was in the list of open ones
		}
	}
	return o
}
