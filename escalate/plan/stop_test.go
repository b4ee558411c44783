package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// What is due when the time of a hold is over follows from what is on the disk, and whose that is.
func TestHoldIsOver(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	id, other := strings.Repeat("a", 32), strings.Repeat("b", 32)
	flag := func(kind incident.FlagKind, names string) incident.FlagView {
		return incident.FlagView{State: incident.FlagThere, Identity: incident.FlagIdentity{Kind: kind, Mtime: 1},
			Info: incident.FlagInfo{Project: "odilo", Written: now, Pause: incident.Pause{ID: names}}}
	}
	confirmed := func(pause string, f incident.FlagView) incident.Confirmation {
		return incident.Confirmation{Pause: pause, Identity: f.Identity}
	}
	ours, persons := flag(incident.BotFlag, id), flag(incident.PersonFlag, "")
	gone := incident.FlagView{State: incident.FlagGone}
	open := []incident.Incident{{ID: other, Project: "odilo", Opened: now, FlagWritten: now}}
	for name, c := range map[string]struct {
		until     time.Time
		flag      incident.FlagView
		confirmed incident.Confirmation
		incidents []incident.Incident
		fleet     bool
		want      []plan.Kind
	}{
		"not yet":                       {now.Add(time.Second), ours, confirmed(id, ours), nil, false, nil},
		"never":                         {time.Time{}, ours, confirmed(id, ours), nil, false, nil},
		"now":                           {now, ours, confirmed(id, ours), nil, false, []plan.Kind{plan.EndHold}},
		"at once, whatever the clock":   {incident.AtOnce, ours, confirmed(id, ours), nil, false, []plan.Kind{plan.EndHold}},
		"before the flag was written":   {now, gone, incident.Confirmation{}, nil, false, []plan.Kind{plan.EndHold}},
		"before it was confirmed":       {now, ours, incident.Confirmation{}, nil, false, []plan.Kind{plan.ConfirmFlag}},
		"the flag was removed":          {now, gone, confirmed(id, ours), nil, false, []plan.Kind{plan.ReleaseHold}},
		"a person's flag":               {now, persons, confirmed(id, ours), nil, false, []plan.Kind{plan.RecordHold}},
		"a flag without room for notes": {now, persons, confirmed(id, persons), nil, false, []plan.Kind{plan.EndHold}},
		"an unreadable flag":            {now, incident.FlagView{}, confirmed(id, ours), nil, false, nil},
		"in a fleet, without a flag":    {now, gone, incident.Confirmation{}, nil, true, []plan.Kind{plan.EndHold}},
		"in a fleet, not confirmed":     {now, ours, incident.Confirmation{}, nil, true, []plan.Kind{plan.EndHold}},
		"beside an incident":            {now, ours, confirmed(other, ours), open, false, []plan.Kind{plan.EndHold}},
	} {
		t.Run(name, func(t *testing.T) {
			o := plan.Observation{
				Now: now, Project: "odilo", Flag: c.flag, Confirmed: c.confirmed, Fleet: c.fleet, Incidents: c.incidents,
				Hold:  &incident.Hold{ID: id, Project: "odilo", Since: now.Add(-time.Hour), Until: c.until},
				Known: func(string) bool { return true },
			}
			var got []plan.Kind
			for _, a := range plan.Next(o) {
				if a.Kind.Local() {
					got = append(got, a.Kind)
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestDryRunOfHoldThatIsOver(t *testing.T) {
	now, id := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), strings.Repeat("a", 32)
	f := incident.FlagView{State: incident.FlagThere, Identity: incident.FlagIdentity{Kind: incident.BotFlag, Mtime: 1},
		Info: incident.FlagInfo{Project: "odilo", Written: now, Pause: incident.Pause{ID: id}}}
	all := plan.DryRun(plan.Observation{
		Now: now, Project: "odilo", Flag: f, Confirmed: incident.Confirmation{Pause: id, Identity: f.Identity},
		Hold: &incident.Hold{ID: id, Project: "odilo", Until: now}, Known: func(string) bool { return false },
	})
	require.Len(t, all, 2)
	require.Equal(t, plan.EndHold, all[0].Kind)
	require.Equal(t, plan.RemoveFlag, all[1].Kind)
}

// The flag of a pause that would end by itself gives way to that of an incident, once that is known to pause the project.
func TestTimedHoldBesideIncident(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	id, incidentID := strings.Repeat("a", 32), strings.Repeat("b", 32)
	ours := incident.FlagIdentity{Kind: incident.BotFlag, Mtime: 1}
	for name, c := range map[string]struct {
		until     time.Time
		kind      incident.FlagKind
		confirmed string
		want      []plan.Kind
	}{
		"not confirmed for it": {now.Add(time.Hour), incident.BotFlag, id, []plan.Kind{plan.ConfirmFlag, plan.WriteFlag}},
		"confirmed":            {now.Add(time.Hour), incident.BotFlag, incidentID, []plan.Kind{plan.WriteFlag}},
		"for good":             {time.Time{}, incident.BotFlag, incidentID, nil},
		"touched":              {now.Add(time.Hour), incident.PersonFlag, id, []plan.Kind{plan.ConfirmFlag}},
	} {
		for _, fleet := range []bool{false, true} {
			flag := ours
			flag.Kind = c.kind
			o := plan.Observation{
				Now: now, Project: "odilo", Fleet: fleet, Confirmed: incident.Confirmation{Pause: c.confirmed, Identity: ours},
				Hold:      &incident.Hold{ID: id, Project: "odilo", Since: now.Add(-time.Hour), Until: c.until},
				Incidents: []incident.Incident{{ID: incidentID, Project: "odilo", Opened: now}},
				Flag: incident.FlagView{State: incident.FlagThere, Identity: flag,
					Info: incident.FlagInfo{Project: "odilo", Written: now, Pause: incident.Pause{ID: id}}},
				Known: func(id string) bool { return id == incidentID },
			}
			var got []plan.Kind
			for _, a := range plan.Next(o) {
				if a.Kind.Local() {
					got = append(got, a.Kind)
				}
			}
			require.Equal(t, c.want, got, "%s, fleet: %v", name, fleet)
		}
	}
}
