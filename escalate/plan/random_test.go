package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// randomObservation returns any observation of one project, sensible or not.
func randomObservation(r *rand.Rand) plan.Observation {
	flip := func() bool { return r.IntN(2) == 0 }
	when := func() time.Time {
		if flip() {
			return time.Time{}
		}
		return now.Add(time.Duration(r.IntN(300)-240) * time.Minute)
	}
	ids := []string{idA, idB, fmt.Sprintf("%032x", 0xc), fmt.Sprintf("%032x", 0xd)}
	s := seen{flag: incident.FlagState(r.IntN(3)), force: flip()}
	if flip() {
		s.note = ids[r.IntN(len(ids))]
	}
	if flip() {
		s.hold = aHold
	}
	opened := false
	for n, id := range ids[:r.IntN(len(ids))] {
		i := incident.Incident{ID: id, Project: project, Seq: n + 1, Opened: ago(5 * time.Hour), FlagWritten: when(),
			NextTry: when(), HeadedNotPaused: flip(), Incomplete: flip(), ReopenPending: flip(), ReopenQuiet: flip(), Ended: ago(time.Minute)}
		if !opened && flip() {
			i.Ended, opened = time.Time{}, true
		} else {
			i.Settled = flip()
		}
		if flip() {
			i.Issue = ref(int64(n + 1))
		}
		i.Create.At = when()
		for range r.IntN(5) {
			i.Reopens = append(i.Reopens, when())
		}
		if flip() {
			i.Comments = map[string]incident.Comment{fmt.Sprintf("%s/duplicate/%d/closed", id, 1+r.IntN(8)): {Done: true}}
		}
		s.incidents = append(s.incidents, i)
	}
	for n := range int64(8) {
		if r.IntN(3) == 0 {
			s.open = append(s.open, theirs(ids[r.IntN(len(ids))], n+1))
		}
	}
	o := s.observation()
	o.Generation = r.Int64N(3)
	if kinds := []incident.FlagKind{incident.BotFlag, incident.PersonFlag}; s.flag == incident.FlagThere {
		o.Flag.Identity.Kind = kinds[r.IntN(2)]
	}
	if s.note != "" && flip() {
		o.Flag.Info.Written, o.Flag.Info.Pause.Generation = now, r.Int64N(3)
	}
	if s.note == "" && flip() {
		o.Flag.Info.Written, o.Flag.Info.Pause = now, incident.Pause{ID: aHold.ID, Generation: r.Int64N(3)}
	}
	if o.Confirmed = (incident.Confirmation{}); flip() {
		o.Confirmed = incident.Confirmation{Pause: append(ids, aHold.ID)[r.IntN(5)], Identity: o.Flag.Identity}
		switch r.IntN(4) {
		case 0:
			o.Confirmed.Identity.Kind = incident.RemovedFlag
		case 1:
			o.Confirmed.Identity.Mtime--
		}
	}
	for _, i := range s.incidents {
		o.Issues[i.ID] = plan.IssueState(r.IntN(4))
		if o.Issues[i.ID] == plan.IssueOpen && !i.Issue.IsZero() &&
			!slices.ContainsFunc(s.open, func(d tracker.Issue) bool { return d.Number == i.Issue.Number }) {
			s.open = append(s.open, tracker.Issue{IssueRef: i.Issue, Open: true, Marker: tracker.Marker{Project: project, Incident: i.ID}})
		}
	}
	o.Open = s.open
	return o
}

func TestNextOfRandomObservations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 20000 {
		o := randomObservation(r)
		actions := plan.Next(o)
		require.Equal(t, actions, plan.Next(o), "a plan is a pure function")
		incidents := map[string]incident.Incident{}
		for _, i := range o.Incidents {
			incidents[i.ID] = i
		}
		local, remote := false, false
		done := map[string]bool{}
		for _, a := range actions {
			i, known := incidents[a.Incident]
			say := fmt.Sprintf("observation %d: %s of %s in %v", n, a.Kind, a.Incident, steps(actions))
			require.NotEmpty(t, a.Why, say)
			require.Equal(t, project, a.Project, say)
			key := fmt.Sprint(a.Kind, a.Incident, a.Issue.Number)
			require.False(t, done[key], "nothing is planned twice: %s", say)
			done[key] = true

			if a.Kind.Local() {
				require.False(t, remote, "local steps come first: %s", say)
				local = local || a.Kind != plan.WriteFlag && a.Kind != plan.Settle
			} else {
				remote = true
				require.False(t, local, "a local step ends the plan: %s", say)
			}
			if o.Flag.State == incident.FlagUnknown {
				require.Contains(t, []plan.Kind{plan.Create, plan.Adopt}, a.Kind, say)
				require.True(t, i.IsOpen(), say)
			}
			switch a.Kind {
			case plan.Close:
				require.True(t, known && !i.IsOpen(), "only an ended incident's issue is closed: %s", say)
			case plan.CloseDuplicate:
				require.NotEqual(t, i.Issue.Number, a.Issue.Number, say)
				if i.IsOpen() {
					require.Equal(t, plan.IssueOpen, o.Issues[i.ID], "another issue of it is open: %s", say)
				}
			case plan.Create, plan.Reopen, plan.Replace:
				require.True(t, known && i.IsOpen(), say)
				require.False(t, o.Flag.State == incident.FlagGone && o.Confirmed.Stands() && o.Confirmed.Pause == i.ID, "no issue is opened for a running project: %s", say)
			case plan.Resume:
				require.True(t, i.IsOpen(), say)
				require.True(t, o.Confirmed.Pause == i.ID && o.Confirmed.Stands() || o.Flag.State == incident.FlagThere, "it had its flag: %s", say)
			case plan.RemoveFlag:
				require.Nil(t, o.Hold, "nothing pauses the project: %s", say)
				require.False(t, slices.ContainsFunc(o.Incidents, incident.Incident.IsOpen), say)
				require.True(t, o.Flag.Identity.Kind == incident.BotFlag || o.Flag.Identity == o.Confirmed.Identity, "nobody touched it: %s", say)
			case plan.RecordHold:
				require.False(t, o.Flag.Identity.Kind == incident.BotFlag && o.Confirmed.Pause == o.Flag.Info.Pause.ID && o.Confirmed.Stands(), say)
			case plan.Rebuild, plan.RebuildDone:
				require.False(t, known, say)
			}
		}
	}
}

func TestNextIgnoresTheOrderOfIssues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		o := randomObservation(r)
		want := steps(plan.Next(o))
		r.Shuffle(len(o.Open), func(a, b int) { o.Open[a], o.Open[b] = o.Open[b], o.Open[a] })
		require.ElementsMatch(t, want, steps(plan.Next(o)))
	}
}

func TestPlansChangeNoObservation(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		o := randomObservation(r)
		before := fmt.Sprintf("%+v %+v %+v", o.Incidents, o.Open, o.Issues)
		plan.Next(o)
		plan.DryRun(o)
		require.Equal(t, before, fmt.Sprintf("%+v %+v %+v", o.Incidents, o.Open, o.Issues))
	}
}
