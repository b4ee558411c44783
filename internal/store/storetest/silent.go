package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// RunSilent tests [incident.SilentStore], and what tells whether a project is silent.
func RunSilent(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"a silent incident pauses nothing", testSilentPausesNothing},
		{"one is open at a time", testOneSilent},
		{"none opens against what is known by then", testNotSilent},
		{"a rebuilt one stands beside an open one as ended", testRebuiltSilent},
		{"ending", testEndSilent},
		{"lists of all kinds", testListsOfAllKinds},
		{"its server moves", testSilentMoves},
		{"the trend of failures", testTrend},
		{"reports", testReports},
	})
}

func silent(n string) incident.Incident {
	return incident.Incident{ID: strings.Repeat(n, 32), Kind: incident.Silent, Project: "odilo", Opened: noon, Since: noon.Add(-time.Hour)}
}

func (s *state) openSilent(i incident.Incident) (incident.Incident, bool) {
	s.t.Helper()
	i, opened, err := s.OpenSilent(s.t.Context(), i)
	require.NoError(s.t, err)
	return i, opened
}

func testSilentPausesNothing(t *testing.T, s *state) {
	i, opened := s.openSilent(silent("a"))
	require.True(t, opened)
	require.Equal(t, "odilo#silent-1", i.Name())
	s.reopen()

	state := must(s.ProjectState(t.Context(), "odilo"))(t)
	require.Empty(t, state.Unsettled)
	require.Empty(t, state.Pause().ID)
	require.Equal(t, []incident.Incident{i}, state.Silent)
	require.Equal(t, state, must(s.ProjectStates(t.Context()))(t)["odilo"])
	require.Empty(t, must(s.Unsettled(t.Context(), ""))(t))
	require.Equal(t, []incident.Incident{i}, must(s.Silent(t.Context(), ""))(t))
	require.Equal(t, []incident.Incident{i}, must(s.Silent(t.Context(), "odilo"))(t))
	require.Empty(t, must(s.Silent(t.Context(), "twins"))(t))
	require.Equal(t, i, s.incident(i.ID))
	require.EqualValues(t, 0, s.project("odilo").Generation)

	_, err := s.BeginRun(t.Context(), store.Run{ID: "r", Project: "odilo", Started: noon})
	require.NoError(t, err, "it may run")
	failure := s.trip("odilo")
	require.Equal(t, "odilo#1", failure.Name(), "each kind has numbers of its own")
	require.Equal(t, failure.ID, must(s.ProjectState(t.Context(), "odilo"))(t).Pause().ID)
	require.Len(t, must(s.Silent(t.Context(), ""))(t), 1)
}

func testOneSilent(t *testing.T, s *state) {
	first, _ := s.openSilent(silent("a"))
	_, opened := s.openSilent(silent("b"))
	require.False(t, opened)
	_, opened = s.openSilent(first)
	require.False(t, opened, "it is known")

	_, ended, err := s.EndSilent(t.Context(), first.ID, "it reported", noon)
	require.NoError(t, err)
	require.True(t, ended)
	second, opened := s.openSilent(silent("b"))
	require.True(t, opened)
	require.Equal(t, 2, second.Seq)
}

func testNotSilent(t *testing.T, s *state) {
	i := silent("a")
	s.record(result(store.Success))
	_, opened := s.openSilent(i)
	require.False(t, opened, "a result was recorded since")
	i.LastResult = must(s.Reports(t.Context(), "odilo"))(t)["odilo"].Recorded
	s.record(result(store.Ignored))
	require.NoError(t, s.SetHold(t.Context(), incident.Hold{ID: strings.Repeat("b", 32), Project: "odilo", Since: noon}))
	_, opened = s.openSilent(i)
	require.False(t, opened, "it is held")
	require.True(t, s.resume("odilo", strings.Repeat("b", 32), noon))
	_, opened = s.openSilent(i)
	require.True(t, opened, "an ignored result does not count")
}

func testRebuiltSilent(t *testing.T, s *state) {
	s.record(result(store.Success))
	first := silent("a")
	first.Seq, first.Rebuilt = 4, true
	first, opened := s.openSilent(first)
	require.True(t, opened)
	require.Equal(t, 4, first.Seq)
	require.Equal(t, noon, first.LastResult.UTC(), "the results that the state has are no news")
	second := silent("b")
	second.Rebuilt = true
	second, opened = s.openSilent(second)
	require.True(t, opened)
	require.False(t, second.IsOpen())
	require.True(t, second.Replaced)
	require.Len(t, must(s.Silent(t.Context(), "odilo"))(t), 2, "its issue has to be closed")
}

func testEndSilent(t *testing.T, s *state) {
	i, _ := s.openSilent(silent("a"))
	_, err := s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Issue = issue(server, 7) })
	require.NoError(t, err)
	i, ended, err := s.EndSilent(t.Context(), i.ID, "it reported", noon.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, ended)
	require.Equal(t, "it reported", i.EndedHow)
	require.Equal(t, i, s.incident(i.ID))
	require.Len(t, must(s.Silent(t.Context(), ""))(t), 1, "its issue is left to be closed")
	_, ended, err = s.EndSilent(t.Context(), i.ID, "it was paused", noon.Add(time.Hour))
	require.NoError(t, err)
	require.False(t, ended)
	_, err = s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Settled = true })
	require.NoError(t, err)
	require.Empty(t, must(s.Silent(t.Context(), ""))(t))

	j, _ := s.openSilent(silent("b"))
	j, _, err = s.EndSilent(t.Context(), j.ID, "it reported", noon)
	require.NoError(t, err)
	require.True(t, j.Settled, "it never had an issue")
}

func testListsOfAllKinds(t *testing.T, s *state) {
	names := func(list []incident.Incident, err error) (out []string) {
		require.NoError(t, err)
		for _, i := range list {
			out = append(out, i.Name())
		}
		return out
	}
	first := silent("a")
	first.Evidence.Runs = []incident.Run{{Outcome: store.Success}}
	first, _ = s.openSilent(first)
	s.pass(time.Minute)
	s.resumed("odilo")
	s.pass(time.Minute)
	second := silent("b")
	second.Project, second.Opened = "twins", s.at
	second, _ = s.openSilent(second)
	s.pass(time.Minute)
	s.trip("twins")

	all := []string{"twins#1", "twins#silent-1", "odilo#1", "odilo#silent-1"}
	require.Equal(t, all, names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 10, Evidence: true})))
	require.Equal(t, all[:3], names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 3, Evidence: true})))
	odilo := s.incidentsOf("odilo", 10)
	require.Equal(t, all[2:], names(odilo, nil))
	require.Equal(t, store.Success, odilo[1].Evidence.Runs[0].Outcome)
	require.Equal(t, first.ID, odilo[1].ID)
	require.Equal(t, all, names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 10})))
	require.Equal(t, all[:2], names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 2})))
	require.Equal(t, all[2:], names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 10, After: second.ID})))
	require.Equal(t, []string{"twins#1", "twins#silent-1", "odilo#silent-1"}, names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 10, State: store.OpenIncidents})))
	require.Equal(t, []string{"odilo#1"}, names(s.IncidentPage(t.Context(), store.IncidentFilter{Limit: 10, State: store.EndedIncidents})))
}

func testSilentMoves(t *testing.T, s *state) {
	i, _ := s.openSilent(silent("a"))
	_, err := s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Issue = issue(server, 7) })
	require.NoError(t, err)
	require.NoError(t, s.MoveServer(t.Context(), server, "https://new.example.org"))
	require.Equal(t, issue("https://new.example.org", 7), s.incident(i.ID).Issue)
}

func testReports(t *testing.T, s *state) {
	require.Empty(t, must(s.Reports(t.Context()))(t))
	require.Zero(t, must(s.Reports(t.Context(), "odilo"))(t)["odilo"])

	s.record(result(store.Success))
	s.pass(time.Minute)
	s.record(result(store.Ignored))
	other := result(store.Failure)
	other.Project = "twins"
	s.record(other)
	r := must(s.Reports(t.Context(), "odilo", "unknown"))(t)
	require.NotContains(t, r, "twins")
	require.Equal(t, noon, r["odilo"].Recorded.UTC(), "the ignored one does not count")
	require.Equal(t, noon, r["odilo"].Finished.UTC())

	for n, began := range []time.Duration{2 * time.Minute, time.Minute} {
		_, err := s.BeginRun(t.Context(), store.Run{ID: string(rune('a' + n)), Project: "odilo", Host: "host-" + string(rune('a'+n)), Started: noon.Add(began)})
		require.NoError(t, err)
	}
	i, _ := s.openSilent(incident.Incident{ID: strings.Repeat("a", 32), Kind: incident.Silent, Project: "odilo", Opened: noon, LastResult: r["odilo"].Recorded})
	_, _, err := s.EndSilent(t.Context(), i.ID, "it reported", noon.Add(time.Minute))
	require.NoError(t, err)
	require.NoError(t, s.SetHold(t.Context(), incident.Hold{ID: strings.Repeat("b", 32), Project: "odilo", Since: noon}))
	odilo := must(s.Reports(t.Context(), "odilo"))(t)["odilo"]
	require.True(t, odilo.Paused)
	require.Equal(t, noon.Add(time.Minute), odilo.SilenceEnded.UTC())
	require.Equal(t, noon.Add(time.Minute), odilo.Began.UTC(), "that of the oldest run")
	require.Equal(t, "host-b", odilo.Host)

	require.True(t, s.resume("odilo", strings.Repeat("b", 32), noon.Add(time.Hour)))
	odilo = must(s.Reports(t.Context(), "odilo"))(t)["odilo"]
	require.False(t, odilo.Paused)
	require.Equal(t, noon.Add(time.Hour), odilo.Resumed.UTC())
	s.trip("odilo")
	require.True(t, must(s.Reports(t.Context(), "odilo"))(t)["odilo"].Paused)
}

// A trip knows the earlier ones; silence is none.
func testTrend(t *testing.T, s *state) {
	fill := func() incident.Incident {
		r := result(store.Failure)
		r.Output = "there is no space left on the device"
		a := s.recordWith(r, store.Limits{Threshold: 1, Resume: 1})
		require.True(t, a.Tripped)
		require.True(t, s.resume("odilo", a.Incident, s.at))
		s.pass(time.Hour)
		return s.incident(a.Incident)
	}
	require.Equal(t, incident.Trend{Nth: 1}, fill().Trend)
	i := silent("a")
	i.LastResult = must(s.Reports(t.Context(), "odilo"))(t)["odilo"].Recorded
	_, opened := s.openSilent(i)
	require.True(t, opened)
	require.Equal(t, incident.Trend{Nth: 2, Same: 1, As: "odilo#1"}, fill().Trend)
	require.Equal(t, incident.Trend{Nth: 3, Same: 2, As: "odilo#1"}, fill().Trend)
}
