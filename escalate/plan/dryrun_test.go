package plan_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func TestDryRun(t *testing.T) {
	const gone, there = incident.FlagGone, incident.FlagThere
	for _, c := range []struct {
		name string
		seen seen
		want []string
	}{
		{"a trip that was killed", seen{flag: gone, incidents: []incident.Incident{openIncident(noIssue, neverWritten)}}, []string{"write-flag", "create"}},
		{"a flag that is gone", seen{flag: gone, incidents: []incident.Incident{openIncident()}, state: plan.IssueOpen}, []string{"resume #1", "close #1"}},
		{"a flag that is gone before there was an issue", seen{flag: gone, incidents: []incident.Incident{openIncident(noIssue)}}, []string{"resume", "settle"}},
		{"a later incident that only its flag names", seen{flag: there, note: idB, incidents: []incident.Incident{openIncident()}, state: plan.IssueOpen}, []string{"resume #1", "rebuild b", "create b", "close #1"}},
		{"the flag of a lost incident", seen{flag: there, note: idB, incidents: []incident.Incident{openIncident(neverWritten)}, state: plan.IssueOpen}, []string{"supersede #1", "rebuild b", "create b", "close #1"}},
		{"an unknown incident that has ended", seen{flag: gone, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild-done #7 b", "close #7 b"}},
		{"an unknown incident that goes on", seen{flag: there, note: idB, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild #7 b"}},
		{"a person's flag", seen{flag: there}, []string{"note-hold"}},
		{"a person's flag that is gone", seen{flag: gone, hold: aHold, holdWritten: true}, []string{"release-hold"}},
		{"a hold without its flag", seen{flag: gone, hold: aHold}, []string{"write-flag"}},
		{"nothing", seen{flag: gone}, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, steps(plan.DryRun(c.seen.observation())))
		})
	}
}

func TestDryRunOfRandomObservations(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		o := randomObservation(r)
		all := steps(plan.DryRun(o))
		require.Less(t, len(all), 40)
		for _, a := range plan.Next(o) {
			if a.Kind.Local() {
				require.Contains(t, all, steps([]plan.Action{a})[0])
			}
		}
	}
}
