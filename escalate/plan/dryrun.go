package plan

import (
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
)

// MaxRounds bounds the rounds of local steps. A round may make another one necessary, e.g. a lost incident is rebuilt only
// after the old one was ended. Each of the kinds that uncover others needs at most one round, and few come together; the last finds nothing.
const MaxRounds = 5

// DryRun returns the steps that [Next] returns now, and those that it will return after the local ones. It changes
// nothing.
func DryRun(o Observation) []Action {
	var all []Action
	o.Incidents, o.Issues = slices.Clone(o.Incidents), maps.Clone(o.Issues)
	for range MaxRounds {
		plan := Next(o)
		if !AnyLocal(plan) {
			return append(all, o.joined(plan)...)
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

// after returns what will be observed after a local step.
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
		o = confirmed(o, a.Incident)
	case RemoveFlag:
		o.Flag, o.Confirmed = incident.FlagView{State: incident.FlagGone}, incident.Confirmation{}
	case ForgetFlag:
		o.Confirmed = incident.Confirmation{}
	case Resume:
		o.Hold, o.Confirmed = nil, incident.Confirmation{}
		o.Generation++
		change(func(i *incident.Incident) { i.Ended = o.Now })
	case Supersede:
		change(func(i *incident.Incident) { i.Ended = o.Now })
	case RecordHold:
		h, _ := HoldOf(a, "a new one", o.Now)
		o.Hold = &h
		_, open := o.Pause()
		o = confirmed(o, open.ID)
	case ReleaseHold:
		o.Hold, o.Confirmed = nil, incident.Confirmation{}
		o.Generation++
	case EndHold: // a stop may hold the project now
		if o.Hold = nil; !slices.ContainsFunc(o.Incidents, incident.Incident.IsOpen) {
			o.Generation++
		}
	case Settle: // never of a silent one
		change(func(i *incident.Incident) { i.Settled = true })
	case EndSilent:
		o.Silent = slices.Clone(o.Silent)
		for n := range o.Silent {
			if o.Silent[n].ID == a.Incident {
				o.Silent[n].Ended = o.Now
			}
		}
	case RebuildSilent:
		i, known := RebuiltSilent(a), o.Known
		o.Known = func(id string) bool { return id == i.ID || known(id) }
		o.Silent, o.Issues[i.ID] = append(slices.Clone(o.Silent), i), IssueOpen
	case Rebuild, RebuildDone:
		i, known := Rebuilt(a, o.Now), o.Known
		o.Known = func(id string) bool { return id == i.ID || known(id) }
		o.Incidents = append(o.Incidents, i)
		o.Generation = max(o.Generation, i.Generation)
		if a.Kind == Rebuild && !a.flagElsewhere {
			o = confirmed(o, i.ID)
		}
		if !i.Issue.IsZero() {
			o.Issues[i.ID] = IssueOpen
		}
	}
	return o
}

// confirmed is after a step that confirms the flag of an incident, or of the hold.
func confirmed(o Observation, open string) Observation {
	if open == "" && o.Hold != nil {
		open = o.Hold.ID
	}
	o.Flag.Identity.Kind, o.Flag.Info.Pause.ID = incident.BotFlag, open
	if o.Flag.Info.Incident != "" {
		o.Flag.Info.Incident = open
	}
	o.Confirmed = incident.Confirmation{Pause: open, Identity: o.Flag.Identity}
	return o
}

// joined returns a plan with either the joining or the creation of those that may join.
func (o Observation) joined(plan []Action) (out []Action) {
	joins := map[string]bool{}
	for _, a := range plan {
		for _, i := range o.Incidents {
			if a.Kind == Join && a.Incident == i.ID && i.MayJoin() {
				joins[i.ID] = o.Storm.Choose(i, o.Unsettled).Lead != ""
			}
		}
		if does, may := joins[a.Incident]; !may || a.Kind != Join && a.Kind != Create || does == (a.Kind == Join) {
			out = append(out, a)
		}
	}
	return out
}
