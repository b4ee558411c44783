package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// RunTrips tests the incident that a result opens.
func RunTrips(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"numbered from one", testNumbers},
		{"what was known at the trip", testTripEvidence},
		{"the evidence stays", testEvidenceStays},
		{"host", testTripHost},
		{"earlier incidents", testEarlier},
		{"no second one while one is open", testNoSecondIncident},
		{"stored with the result", testOpened},
		{"impossible times", testImpossibleTimes},
		{"a pause before the result was stored", testPausedBefore},
	})
}

func testNumbers(t *testing.T, s *state) {
	for n := range 3 {
		i := s.trip("odilo")
		require.Equal(t, n+1, i.Seq)
		require.True(t, s.resume("odilo", i.ID, noon))
	}
	require.Equal(t, 1, s.trip("atlas").Seq)
}

func testTripEvidence(t *testing.T, s *state) {
	for n := range 14 {
		r := result(store.Success)
		r.RunID, r.Host, r.Output = fmt.Sprint("ok-", n), "host-b", "all went well"
		s.record(r)
	}
	noise := result(store.Failure)
	noise.Agent, noise.Output = "developer", "noise"
	for range 12 {
		s.record(noise)
	}
	for n := range 3 {
		s.pass(time.Minute)
		r := result(store.Failure)
		r.RunID, r.Output = fmt.Sprint("bad-", n), fmt.Sprint("output ", n)
		r.ExitCode, r.Started, r.Finished = 40+n, s.at.Add(-time.Second), s.at
		if n == 2 {
			r.Host = "host-c"
		}
		s.record(r)
	}
	list := s.incidentsOf("odilo", 10)
	require.Len(t, list, 1)
	i := list[0]
	require.Len(t, i.ID, 32)
	require.Equal(t, s.at, i.Opened)
	require.Equal(t, 3, i.Failures)
	require.Equal(t, 3, i.Threshold)
	require.Equal(t, "project-meta", i.Agent)
	require.Equal(t, "host-c", i.Host)
	require.Equal(t, "bigbox", i.Instance)
	var ids []string
	for _, r := range i.Evidence.Runs {
		ids = append(ids, r.RunID)
	}
	require.Equal(t, "bad-2 bad-1 bad-0 ok-13 ok-12 ok-11 ok-10 ok-9 ok-8 ok-7", strings.Join(ids, " "), "agents that do not count take no place")
	require.Equal(t, 42, i.Evidence.Runs[0].ExitCode)
	require.Equal(t, s.at, i.Evidence.Runs[0].Finished)
	require.Equal(t, "output 2", i.Evidence.Output)
	require.Empty(t, i.Evidence.Earlier)
}

func testEvidenceStays(t *testing.T, s *state) {
	i := s.trip("odilo")
	require.Empty(t, i.Evidence, "it is not read with the incident")
	before := must(s.Evidence(t.Context(), i.ID))(t)
	require.Len(t, before.Runs, 3)
	require.True(t, s.resume("odilo", i.ID, noon))
	s.pass(time.Hour)
	must(s.Prune(t.Context(), s.at, 100))(t)
	require.Empty(t, s.runs("odilo"))
	require.Equal(t, before, must(s.Evidence(t.Context(), i.ID))(t))
	i = s.incident(i.ID)
	i.Evidence = before
	require.Equal(t, []incident.Incident{i}, s.incidentsOf("odilo", 9))
}

func testTripHost(t *testing.T, s *state) {
	require.Equal(t, "host-a", s.trip("odilo").Host, "of this process, since the result names none")
}

func testEarlier(t *testing.T, s *state) {
	s.resumed("atlas")
	for n := range 7 {
		i := s.trip("odilo")
		must(s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Issue.Number = int64(100 + n) }))(t)
		s.pass(time.Hour)
		require.True(t, s.resume("odilo", i.ID, s.at))
	}
	e := must(s.Evidence(t.Context(), s.trip("odilo").ID))(t).Earlier
	require.Len(t, e, 5)
	require.Equal(t, 7, e[0].Seq)
	require.Equal(t, int64(106), e[0].Issue.Number)
	require.Equal(t, s.at, e[0].Ended)
	require.Equal(t, s.at.Add(-time.Hour), e[0].Opened)
	require.Equal(t, 3, e[4].Seq)
}

func testNoSecondIncident(t *testing.T, s *state) {
	i := s.trip("odilo")
	s.record(result(store.Success)) // the breaker closes, the incident goes on
	for range 4 {
		a := s.record(result(store.Failure))
		require.False(t, a.Tripped)
		require.Equal(t, i.ID, a.Incident)
		require.Nil(t, a.Opened)
	}
	require.Len(t, s.incidentsOf("odilo", 10), 1)
	ended := newIncident("odilo", 0)
	ended.Ended = noon
	must(s.Insert(t.Context(), ended))(t)
	_, err := s.Change(t.Context(), ended.ID, func(i *incident.Incident) { i.Ended = time.Time{} })
	require.Error(t, err, "an ended one does not come back to life beside it")
}

func testOpened(t *testing.T, s *state) {
	s.record(result(store.Failure))
	s.record(result(store.Failure))
	a := s.record(result(store.Failure))
	require.NotNil(t, a.Opened)
	require.Equal(t, a.Incident, a.Opened.ID)
	stored := s.incident(a.Incident)
	stored.Evidence = must(s.Evidence(t.Context(), a.Incident))(t)
	require.Equal(t, stored, *a.Opened)
}

// RunResumes tests what a resume does to the breaker.
func RunResumes(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"of an incident", testResumedIncident},
		{"of a hold", testResumedHold},
		{"of neither", testNotResumed},
		{"a dropped hold is none", testDroppedHold},
		{"of a pause that is not known", testBeginCount},
		{"of a pause that is not known, before a success", testBeginCountBeforeASuccess},
	})
}

func testResumedIncident(t *testing.T, s *state) {
	i := s.trip("odilo")
	s.record(result(store.Failure))
	at := noon.Add(time.Minute)
	require.True(t, s.resume("odilo", i.ID, at))
	p := s.project("odilo")
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: at}, p)
	require.False(t, s.resume("odilo", i.ID, at.Add(time.Hour)), "it has ended")
	require.Equal(t, p, s.project("odilo"))
}

func testResumedHold(t *testing.T, s *state) {
	s.record(result(store.Failure))
	h := hold(t, s, "odilo")
	require.True(t, s.resume("odilo", h.ID, noon))
	p := s.project("odilo")
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: noon}, p)
	require.False(t, s.resume("odilo", h.ID, noon))
	require.Equal(t, p, s.project("odilo"), "there is nothing to end")
}

func testNotResumed(t *testing.T, s *state) {
	i := s.trip("odilo")
	h := hold(t, s, "odilo")
	before := s.project("odilo")
	require.Equal(t, breaker.State{Failures: 3, Tripped: true}, before.Breaker)
	require.False(t, s.resume("odilo", "another", noon))
	require.False(t, s.resume("atlas", i.ID, noon))
	require.False(t, s.resume("odilo", h.ID, noon), "the end of a hold does not end an incident")
	require.Equal(t, before, s.project("odilo"))
}

func testDroppedHold(t *testing.T, s *state) {
	s.record(result(store.Failure))
	hold(t, s, "odilo")
	before := s.project("odilo")
	require.NoError(t, s.DropHold(t.Context(), "odilo"))
	require.Equal(t, before, s.project("odilo"))
}

func testBeginCount(t *testing.T, s *state) {
	begin := func(at time.Time) bool { return must(s.BeginCount(t.Context(), "odilo", at))(t) }
	s.record(result(store.Success))
	s.record(result(store.Failure))
	s.record(result(store.Failure))
	at := noon.Add(time.Minute)
	s.pass(time.Hour)
	require.True(t, begin(at.Add(time.Microsecond)))
	p := s.project("odilo")
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: at}, p)
	require.False(t, begin(at.Add(2*time.Microsecond)), "it has begun then")
	require.False(t, begin(noon), "it has begun later")
	require.Equal(t, p, s.project("odilo"))
	hold(t, s, "odilo")
	require.False(t, begin(s.at), "the project is paused")
	require.NoError(t, s.DropHold(t.Context(), "odilo"))
	i := s.trip("odilo")
	require.False(t, begin(s.at), "the project is paused")
	require.True(t, s.incident(i.ID).IsOpen())
	require.Equal(t, 3, s.project("odilo").Breaker.Failures)
}

func testBeginCountBeforeASuccess(t *testing.T, s *state) {
	for _, finished := range []time.Time{noon.Add(time.Hour), {}} {
		r := result(store.Success)
		r.Project, r.Finished = fmt.Sprint("finished ", finished.Unix()), finished
		s.at = noon.Add(time.Hour)
		s.record(r)
		r.Outcome = store.Failure
		s.record(r)
		before := s.project(r.Project)
		require.False(t, must(s.BeginCount(t.Context(), r.Project, noon))(t))
		require.Equal(t, before, s.project(r.Project))
		require.True(t, must(s.BeginCount(t.Context(), r.Project, s.at))(t), "it counts from then on")
	}
}

// A result may come from an earlier version, which took any time. It trips all the same, and everything can be shown as JSON.
func testImpossibleTimes(t *testing.T, s *state) {
	for _, at := range []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 14*60*60)), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		r := result(store.Failure)
		r.Project = fmt.Sprint("year-", at.Year())
		r.Started, r.Finished = at, at
		s.recordWith(r, limits)
		s.recordWith(r, limits)
		a := s.recordWith(r, limits)
		require.True(t, a.Tripped)
		list := s.incidentsOf(r.Project, 10)
		require.Len(t, list, 1)
		require.Len(t, list[0].Evidence.Runs, 3)
		runs := must(s.Runs(t.Context(), r.Project, 10))(t)
		_, err := json.Marshal(map[string]any{"incident": list, "opened": a.Opened, "runs": runs})
		require.NoError(t, err)
		for _, run := range runs {
			require.True(t, run.Started.IsZero(), "such a time is unknown")
		}
	}
}

// A result from the spool may have paused its project before it could be stored.
func testPausedBefore(t *testing.T, s *state) {
	paused := s.at.Add(-time.Hour)
	fromSpool := store.Limits{Threshold: 5, Resume: 4, Paused: true, Spooled: 3, FlagWritten: paused}
	success := s.recordWith(result(store.Success), fromSpool)
	require.Equal(t, 5, success.Threshold, "only a failure that counts trips the breaker")
	a := s.recordWith(result(store.Failure), fromSpool)
	require.True(t, a.Tripped)
	require.Equal(t, 5, a.Threshold)
	require.Equal(t, 1, a.Failures)
	i := s.incident(a.Incident)
	require.Equal(t, 3, i.Failures, "those that paused it")
	require.Equal(t, 3, i.Threshold, "it has been raised since")
	require.True(t, i.Unstored)
	require.Equal(t, paused, a.Opened.Opened)
	require.Equal(t, paused, s.incident(a.Incident).Opened)
	require.Equal(t, paused, a.Opened.FlagWritten)
	require.True(t, s.resume("odilo", a.Incident, paused))
	stale := result(store.Failure)
	stale.Finished = paused
	b := s.recordWith(stale, fromSpool)
	require.False(t, b.Counted)
	require.Equal(t, 4, b.Threshold, "only a failure that counts trips the breaker")
}
