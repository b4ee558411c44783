package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// IncidentState is what the groups of incidents and holds need.
type IncidentState interface {
	incident.IncidentReader
	incident.IncidentWriter
	incident.HoldStore
	incident.StopStore
	incident.FlagStore
}

// RunIncidents tests how incidents are stored, read, changed and ended.
func RunIncidents(t *testing.T, newState func(testing.TB) IncidentState) {
	runTests(t, newState, []test[IncidentState]{
		{"inserted", testInsert},
		{"numbers", testInsertNumbers},
		{"one is open at most", testOneOpen},
		{"evidence", testEvidence},
		{"changed", testChange},
		{"unsettled", testUnsettled},
		{"found by many ids", testManyIDs},
		{"ended once", testResumeIncident},
		{"another one is not ended", testResumeOther},
		{"state of a project", testProjectState},
		{"joins another one", testJoin},
		{"joins nothing", testJoinNothing},
		{"joins one only", testJoinAtOnce},
	})
}

func newIncident(project string, seq int) incident.Incident {
	return incident.Incident{ID: pause.NewRandomID(), Project: project, Seq: seq, Agent: "project-meta", Opened: noon, Failures: 3, Threshold: 3}
}

// insert stores a new incident and returns it as it was stored.
func insert(t *testing.T, s IncidentState, i incident.Incident) incident.Incident {
	t.Helper()
	return must(s.Insert(t.Context(), i))(t)
}

func end(t *testing.T, s IncidentState, i incident.Incident) {
	t.Helper()
	require.True(t, must(s.Resume(t.Context(), incident.Resumption{Project: i.Project, Pause: i.ID, How: "for the test", At: noon}))(t))
}

func ids(list []incident.Incident) (out []string) {
	for _, i := range list {
		out = append(out, i.ID)
	}
	return out
}

func testInsert(t *testing.T, s IncidentState) {
	i := newIncident("odilo", 7)
	i.Rebuilt, i.FlagWritten = true, noon
	require.Equal(t, i, insert(t, s, i))
	require.Equal(t, i, oneIncident(t, s, i.ID))
	again := i
	again.Agent = "another"
	require.Equal(t, i, insert(t, s, again), "one that exists stays as it is")
}

func testInsertNumbers(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 7))
	require.Equal(t, 7, i.Seq)
	ended := newIncident("odilo", 7)
	ended.Ended = noon
	require.Equal(t, 8, insert(t, s, ended).Seq, "the number is taken")
	ended = newIncident("odilo", 0)
	ended.Ended = noon
	require.Equal(t, 9, insert(t, s, ended).Seq, "it has no number")
	require.Equal(t, 1, insert(t, s, newIncident("atlas", 0)).Seq, "each project has its own numbers")
}

func testOneOpen(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	_, err := s.Insert(t.Context(), newIncident("odilo", 2))
	require.ErrorIs(t, err, incident.ErrOpenIncident)
	require.Equal(t, []string{i.ID}, ids(must(s.Unsettled(t.Context(), "odilo"))(t)))
	end(t, s, i)
	insert(t, s, newIncident("odilo", 2))
}

func testEvidence(t *testing.T, s IncidentState) {
	i := newIncident("odilo", 1)
	i.Evidence = incident.Evidence{
		Runs:    []incident.Run{{Outcome: "failure", Started: noon, Finished: noon.Add(time.Minute), ExitCode: 137, Signal: "SIGKILL", RunID: "r"}},
		Output:  "out of memory\n",
		Earlier: []incident.EarlierIncident{{Seq: 1, Opened: noon, Ended: noon, Issue: issue(server, 3)}},
	}
	insert(t, s, i)
	require.Empty(t, oneIncident(t, s, i.ID).Evidence, "it is not read with the incident")
	_, err := s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Evidence.Output, i.LastErr = "forged", "Gitea is down" })
	require.NoError(t, err)
	end(t, s, i)
	require.Equal(t, i.Evidence, must(s.Evidence(t.Context(), i.ID))(t))
	require.Empty(t, must(s.Evidence(t.Context(), pause.NewRandomID()))(t))
}

func testChange(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	changed, err := s.Change(t.Context(), i.ID, func(i *incident.Incident) {
		i.Issue = issue(server, 3)
		i.Create = incident.Attempt{At: noon, Up: incident.Uptime{Boot: "b", For: time.Hour}}
		i.Comments = map[string]incident.Comment{"k": {Attempted: noon, Done: true}}
		i.Reopens = []time.Time{noon}
		i.Lost = []tracker.IssueRef{issue(server, 2)}
		i.Ack = &incident.Ack{By: tracker.Account{ID: 1, Login: "kim"}, At: noon}
	})
	require.NoError(t, err)
	require.Equal(t, int64(3), changed.Issue.Number)
	require.Equal(t, changed, oneIncident(t, s, i.ID))
	_, err = s.Change(t.Context(), pause.NewRandomID(), func(*incident.Incident) {})
	require.Error(t, err, "an incident that does not exist")
}

func testUnsettled(t *testing.T, s IncidentState) {
	one := insert(t, s, newIncident("odilo", 1))
	end(t, s, one)
	two := insert(t, s, newIncident("odilo", 2))
	other := insert(t, s, newIncident("atlas", 1))
	unsettled := func(project string) []string { return ids(must(s.Unsettled(t.Context(), project))(t)) }
	require.Equal(t, []string{one.ID, two.ID}, unsettled("odilo"))
	require.Equal(t, []string{other.ID, one.ID, two.ID}, unsettled(""))
	_, err := s.Change(t.Context(), one.ID, func(i *incident.Incident) { i.Settled = true })
	require.NoError(t, err)
	require.Equal(t, []string{two.ID}, unsettled("odilo"))
	require.Empty(t, unsettled("nobody"))
}

func testManyIDs(t *testing.T, s IncidentState) {
	i, j := insert(t, s, newIncident("odilo", 1)), insert(t, s, newIncident("atlas", 1))
	ids := []string{i.ID}
	for range 1200 {
		ids = append(ids, pause.NewRandomID())
	}
	require.ElementsMatch(t, []incident.Incident{i, j}, must(s.Incidents(t.Context(), append(ids, j.ID)...))(t))
	require.Empty(t, must(s.Incidents(t.Context()))(t))
}

func testResumeIncident(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	_, err := s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.NextTry, i.Tries = noon.Add(time.Hour), 3 })
	require.NoError(t, err)
	at := noon.Add(time.Minute)
	resume := func(at time.Time) bool {
		return must(s.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: i.ID, How: "flag removed", At: at}))(t)
	}
	require.True(t, resume(at))
	ended := oneIncident(t, s, i.ID)
	require.Equal(t, at, ended.Ended)
	require.Equal(t, "flag removed", ended.EndedHow)
	require.False(t, ended.Settled)
	require.Zero(t, ended.NextTry, "its issue is closed at once")
	require.False(t, resume(at.Add(time.Hour)), "it has ended")
	require.Equal(t, ended, oneIncident(t, s, i.ID))
}

func testResumeOther(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	hold(t, s, "odilo")
	require.False(t, resume(t, s, pause.NewRandomID()))
	require.False(t, resume(t, s, ""))
	require.False(t, must(s.Resume(t.Context(), incident.Resumption{Project: "atlas", Pause: i.ID, At: noon}))(t))
	require.Equal(t, i, oneIncident(t, s, i.ID))
	require.NotNil(t, must(s.Hold(t.Context(), "odilo"))(t))
}

func testProjectState(t *testing.T, s IncidentState) {
	end(t, s, insert(t, s, newIncident("odilo", 1)))
	open := insert(t, s, newIncident("odilo", 2))
	atlas := insert(t, s, newIncident("atlas", 1))
	hold(t, s, "odilo")
	h := hold(t, s, "twins")
	require.True(t, must(s.Confirm(t.Context(), "twins", incident.Confirmation{Pause: h.ID, Identity: botFlag}, noon))(t))
	all := must(s.ProjectStates(t.Context()))(t)
	require.Len(t, all, 3)
	for project, want := range map[string]incident.Pause{
		"odilo": {ID: open.ID, Generation: 1}, "atlas": {ID: atlas.ID}, "twins": {ID: h.ID}, "nobody": {},
	} {
		state := must(s.ProjectState(t.Context(), project))(t)
		require.Equal(t, must(s.Unsettled(t.Context(), project))(t), state.Unsettled, project)
		require.Equal(t, must(s.Hold(t.Context(), project))(t), state.Hold, project)
		require.Equal(t, want, state.Pause(), project)
		require.Equal(t, state, all[project], project)
	}
	require.Equal(t, incident.Confirmation{Pause: h.ID, Identity: botFlag}, all["twins"].Confirmed)
}

// first chooses the first of the others that leads or is alone.
func first(i incident.Incident, unsettled []incident.Incident) (join incident.Joining) {
	for _, u := range unsettled {
		if u.ID != i.ID && u.Lead == "" {
			return incident.Joining{Lead: u.ID}
		}
	}
	return join
}

func testJoin(t *testing.T, s IncidentState) {
	lead, i := insert(t, s, newIncident("atlas", 1)), newIncident("odilo", 1)
	i.Opened = noon.Add(time.Minute)
	i = insert(t, s, i)
	settled := newIncident("zeta", 1)
	settled.Ended, settled.Settled = noon, true
	insert(t, s, settled)
	var seen []string
	joined := must(s.Join(t.Context(), i.ID, func(of incident.Incident, unsettled []incident.Incident) incident.Joining {
		require.Equal(t, i.ID, of.ID)
		seen = ids(unsettled)
		return first(of, unsettled)
	}))(t)
	require.Equal(t, []string{lead.ID, i.ID}, seen)
	require.Equal(t, lead.ID, joined.Lead)
	require.Equal(t, joined, oneIncident(t, s, i.ID))
	lead = oneIncident(t, s, lead.ID)
	require.Equal(t, []string{lead.ID, i.ID}, lead.MemberIDs())
	require.Equal(t, i.Opened, lead.Joined.UTC())
	for _, id := range []string{lead.ID, i.ID} { // decided once
		again := must(s.Join(t.Context(), id, func(incident.Incident, []incident.Incident) incident.Joining {
			require.Fail(t, "nothing is left to choose")
			return incident.Joining{}
		}))(t)
		require.Equal(t, oneIncident(t, s, id), again)
	}
}

func testJoinNothing(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	got := must(s.Join(t.Context(), i.ID, first))(t)
	i.OwnIssue = true
	require.Equal(t, i, got, "that is decided")
	undecided := insert(t, s, newIncident("bravo", 1))
	i = insert(t, s, newIncident("atlas", 1))
	got = must(s.Join(t.Context(), i.ID, func(incident.Incident, []incident.Incident) incident.Joining {
		return incident.Joining{Continues: "full"}
	}))(t)
	require.Equal(t, "full", got.Continues)
	require.Equal(t, got, oneIncident(t, s, i.ID))
	next := insert(t, s, newIncident("zeta", 1))
	must(s.Join(t.Context(), next.ID, func(incident.Incident, []incident.Incident) incident.Joining {
		return incident.Joining{Lead: undecided.ID, Continues: "full"}
	}))(t)
	require.Equal(t, "full", oneIncident(t, s, undecided.ID).Continues, "that one would have had the same choice")
	_, err := s.Join(t.Context(), pause.NewRandomID(), first)
	require.Error(t, err)
}

// However many decide at once, one leads and the others have joined it.
func testJoinAtOnce(t *testing.T, s IncidentState) {
	const n = 20
	var all []incident.Incident
	for p := range n {
		all = append(all, insert(t, s, newIncident(fmt.Sprintf("p%02d", p), 1)))
	}
	var g errgroup.Group
	for _, i := range all {
		g.Go(func() error {
			_, err := s.Join(t.Context(), i.ID, func(i incident.Incident, unsettled []incident.Incident) (join incident.Joining) {
				for _, u := range unsettled {
					if u.Leads() {
						return incident.Joining{Lead: u.ID}
					}
				}
				return first(i, unsettled)
			})
			return err
		})
	}
	require.NoError(t, g.Wait())
	leads := map[string]int{}
	for _, i := range all {
		i = oneIncident(t, s, i.ID)
		if i.Leads() {
			require.Len(t, i.Members, n)
		}
		leads[i.Lead]++
	}
	require.Len(t, leads, 2)
	require.Equal(t, 1, leads[""])
}
