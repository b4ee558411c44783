package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func failureOf(class string) store.Result {
	r := result(store.Failure)
	r.Class = class
	return r
}

func testClassKept(t *testing.T, s *state) {
	r := failureOf("quota")
	r.RunID, r.ExitCode, r.Output, r.Host = "run-1", 75, "compiling\nusage limit of odilo reached, resets in 5 hours\n", "bigbox"
	a := s.recordWith(r, store.Limits{Threshold: 1, Resume: 1})
	require.Equal(t, "quota", a.Class)
	require.Equal(t, "quota", s.record(r).Class, "the first answer")
	s.record(result(store.Success))
	s.reopen()
	var classes []string
	for _, run := range s.runs("odilo") {
		classes = append(classes, run.Class)
	}
	require.Equal(t, []string{"", "quota"}, classes)
	require.Equal(t, "quota", must(s.Overview(t.Context(), "odilo", 10))(t)["odilo"].Runs[1].Class)
	i := s.incident(a.Incident)
	require.Equal(t, "quota", i.Class)
	require.Equal(t, "usage limit reached resets", i.Fingerprint)
	require.Equal(t, "quota", must(s.Evidence(t.Context(), i.ID))(t).Runs[0].Class)
}

func testClassTrips(t *testing.T, s *state) {
	s.record(failureOf("unknown"))
	r := failureOf("licence")
	r.Trips = true
	a := s.record(r)
	require.True(t, a.Tripped)
	require.Equal(t, 2, a.Failures, "the count is the real one")
	require.Equal(t, 3, a.Threshold)
	require.Equal(t, 2, s.incident(a.Incident).Failures)
	require.Equal(t, 3, s.incident(a.Incident).Threshold)
	require.False(t, s.record(r).Tripped, "it is paused")
	require.Len(t, s.incidentsOf("odilo", 10), 1)

	require.True(t, s.resume("odilo", a.Incident, noon))
	other := r
	other.Agent = "developer"
	require.False(t, s.record(other).Tripped, "of an agent that does not count")
	old := int64(0)
	before := r
	before.Generation = &old
	require.False(t, s.record(before).Tripped, "from before the resume")
	require.True(t, s.record(r).Tripped)
}

func testClassIgnores(t *testing.T, s *state) {
	r := failureOf("maintenance")
	r.Outcome, r.RunID, r.Output = store.Ignored, "run-1", "read-only"
	a := s.record(r)
	require.False(t, a.Counted)
	require.Equal(t, store.Ignored, a.Outcome)
	require.Equal(t, "failures of the class maintenance are ignored", a.Why)
	require.Equal(t, 1, s.project("odilo").Ignored)
	require.Empty(t, must(s.History(t.Context(), "odilo", 1))(t)[0].Output)

	// What a class makes of a failure may change between two reports of it.
	counts := failureOf("unknown")
	counts.RunID = "run-1"
	again := s.record(counts)
	require.True(t, again.Known)
	require.Equal(t, store.Ignored, again.Outcome)
	require.Equal(t, a.Why, again.Why)
	for _, outcome := range []string{store.Success, store.Ignored} {
		r := result(outcome)
		r.RunID = "run-1"
		_, err := s.Record(t.Context(), r, limits)
		require.ErrorIs(t, err, store.ErrConflict)
		require.ErrorContains(t, err, "is recorded as failure")
	}
}

func testClassesCounted(t *testing.T, s *state) {
	for _, class := range []string{"quota", "unknown", "quota"} {
		s.record(failureOf(class))
	}
	s.record(result(store.Success))
	counts, _, err := s.CountSince(t.Context(), 0, 100)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.OutcomeCount{
		{Project: "odilo", Outcome: store.Failure, Class: "quota", Results: 2, Trips: 1},
		{Project: "odilo", Outcome: store.Failure, Class: "unknown", Results: 1},
		{Project: "odilo", Outcome: store.Success, Results: 1},
	}, counts)
}

// A failure that trips at any count does so late, too, unless the project has succeeded since.
func testLateClassTrips(t *testing.T, s *lateState) {
	trips := func(age time.Duration) store.Answer {
		r := failureOf("licence")
		r.Trips, r.Age = true, age
		return must(s.hosts[0].Record(t.Context(), r, limits))(t)
	}
	s.record(t, store.Failure, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Success, 0)
	s.at = s.at.Add(time.Minute)
	s.record(t, store.Failure, 0)
	a := trips(90 * time.Second)
	require.True(t, a.Counted)
	require.False(t, a.Tripped, "a success came after it")
	require.Equal(t, 1, a.Failures)
	s.at = s.at.Add(time.Minute)
	a = trips(50 * time.Second)
	require.True(t, a.Tripped)
	require.Equal(t, 2, a.Failures)
}
