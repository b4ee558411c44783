package plan

import (
	"maps"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
) // DryRun is the whole plan for a project: what [Next] says now, and what it will say when those local steps are done. A
// dry run prints it. It is pure: a local step is applied to a copy of what was seen.
func DryRun(o Observation) []Action {
	var all []Action
	o.Incidents, o.Issues = slices.Clone(o.Incidents), maps.Clone(o.Issues)
	for range 5 { // each round may uncover the next; more rounds than there are kinds of local steps don't come
		plan := Next(o)
		if !AnyLocal(plan) {
			return append(all, plan...)
		}
		for _, a := range plan {
			if a.Kind.Local() {
				all = append(all, a)
				o = after(o, a)
			}
		}
	}
	return all
}

// after is what will be seen after a local step.
func after(o Observation, a Action) Observation {
	change := func(f func(*incident.Incident)) {
		for n := range o.Incidents {
			if o.Incidents[n].ID == a.Incident {
				f(&o.Incidents[n])
			}
		}
	}
	switch a.Kind {
	case WriteFlag, ConfirmFlag:
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
	case RecordHold:
		o.Hold = &incident.Hold{Project: o.Project, Since: o.Now, FlagWritten: o.Now}
	case ReleaseHold:
		o.Hold = nil
	case Settle:
		change(func(i *incident.Incident) { i.Settled = true })
	case Rebuild, RebuildDone:
		i := Rebuilt(a, o.Now)
		known := o.Known
		o.Known = func(id string) bool { return id == i.ID || known(id) }
		o.Incidents = append(o.Incidents, i)
		if !i.Issue.IsZero() {
			o.Issues[i.ID] = IssueOpen // it was in the list of open ones
		}
	}
	return o
}

// Rebuilt is the incident that an action tells of.
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
		i.Replaced, i.Ended, i.EndedHow = true, now, "a later incident pauses the project, and this bot's state did not know this one any more"
	default:
		i.Ended, i.EndedHow = now, "its pause flag is gone, and this bot's state did not know the incident any more"
	}
	return i
}
