package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// RunRuns tests the runs that have no result yet.
func RunRuns(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"stored with its generation", testBeginRun},
		{"none begins while an incident is open", testBeginPaused},
		{"its command", testSetChild},
		{"ended by its result", testRunResult},
		{"ended without a result", testEndRun},
		{"lost once", testLost},
		{"a run with a result is not lost", testNotLost},
	})
}

func (s *state) begin(runID string) store.Run {
	s.t.Helper()
	return must(s.BeginRun(s.t.Context(), store.Run{
		ID: pause.NewRandomID(), Project: "odilo", Agent: "project-meta", RunID: runID, Host: "host-a", Started: noon,
	}))(s.t)
}

func (s *state) running() []store.Run {
	s.t.Helper()
	return must(s.Running(s.t.Context()))(s.t)
}

func testBeginRun(t *testing.T, s *state) {
	s.resumed("odilo")
	r := s.begin("run-1")
	require.Equal(t, int64(1), r.Generation)
	require.Equal(t, []store.Run{r}, s.running())
	require.Equal(t, "run-1", r.RunID)
}

func testBeginPaused(t *testing.T, s *state) {
	s.trip("odilo")
	_, err := s.BeginRun(t.Context(), store.Run{ID: pause.NewRandomID(), Project: "odilo", Started: noon})
	require.ErrorIs(t, err, store.ErrPaused)
	require.Empty(t, s.running())
}

func testSetChild(t *testing.T, s *state) {
	r := s.begin("run-1")
	r.ChildPID, r.ChildStart = 4711, "boot/42"
	require.NoError(t, s.SetChild(t.Context(), r))
	require.Equal(t, []store.Run{r}, s.running())
}

func testRunResult(t *testing.T, s *state) {
	res := result(store.Success)
	res.RunID, res.Run = "run-1", s.begin("run-1").ID
	s.record(res)
	require.Empty(t, s.running())

	res.Run = s.begin("run-1").ID // the same run id once more: its result is known
	require.True(t, s.record(res).Known)
	require.Empty(t, s.running())
}

func testEndRun(t *testing.T, s *state) {
	other := s.begin("run-1")
	require.NoError(t, s.EndRun(t.Context(), s.begin("run-2")))
	require.Equal(t, []store.Run{other}, s.running())
}

func (s *state) lost(r store.Run) (store.Answer, bool) {
	s.t.Helper()
	a, recorded, err := s.Lost(s.t.Context(), r, store.Result{Project: r.Project, Agent: r.Agent, RunID: r.RunID, Outcome: store.Failure,
		Generation: &r.Generation, Run: r.ID}, limits)
	require.NoError(s.t, err)
	return a, recorded
}

func testLost(t *testing.T, s *state) {
	r := s.begin("run-1")
	a, recorded := s.lost(r)
	require.True(t, recorded)
	require.True(t, a.Counted)
	require.Equal(t, 1, a.Failures)
	require.Empty(t, s.running())
	_, recorded = s.lost(r)
	require.False(t, recorded, "another process was faster")
	require.Equal(t, 1, s.project("odilo").Breaker.Failures)
}

func testNotLost(t *testing.T, s *state) {
	for _, outcome := range []string{store.Success, store.Failure} {
		r := s.begin(outcome)
		res := result(outcome) // for instance from the spool, without Run
		res.RunID = r.RunID
		s.record(res)
		before := s.project("odilo")
		_, recorded := s.lost(r)
		require.False(t, recorded, "as a %s", outcome)
		require.Equal(t, before, s.project("odilo"))
		require.Empty(t, s.running())
	}
}
