package storetest

import (
	"strconv"
	"testing"
	"time"

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
		{"the result of a run that was taken for lost", testFound},
		{"the result of a run that was taken for lost twice", testFoundOfTwo},
		{"reported to begin", testReportedRun},
		{"reported to begin without a run id", testReportedWithoutID},
		{"reported to begin while a result waits", testReportedMeanwhile},
		{"reported to begin after its result", testReportedLate},
		{"reported to have failed and to have succeeded", testReportedTwice},
		{"the same across a resume", testReportedTwiceAcrossAResume},
		{"too many reported to begin", testReportedTooMany},
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

// Its result was kept where whoever has looked could not see it.
func testFound(t *testing.T, s *state) {
	for _, detail := range []string{store.DetailKilled, store.DetailUnknown, store.DetailHostGone} {
		for _, lost := range []string{store.Failure, store.Ignored} {
			r := s.begin(detail + lost)
			_, _, err := s.Lost(t.Context(), r, store.Result{
				Project: r.Project, Agent: r.Agent, RunID: r.RunID, Outcome: lost, Detail: detail, Generation: &r.Generation, Run: r.ID,
			}, limits)
			require.NoError(t, err)
			before := s.project("odilo").Breaker.Failures
			found := result(store.Failure)
			found.RunID, found.Generation = r.RunID, &r.Generation
			a := s.record(found)
			if lost == store.Failure {
				require.True(t, a.Known, "one run is one failure")
				require.Equal(t, before, s.project("odilo").Breaker.Failures)
				found.Outcome = store.Success
				a = s.record(found)
			}
			require.False(t, a.Known)
			require.True(t, a.Counted)
			require.True(t, s.record(found).Known)
			if lost == store.Failure {
				require.Zero(t, s.project("odilo").Breaker.Failures)
				found.Outcome = store.Ignored
			} else {
				require.Equal(t, before+1, s.project("odilo").Breaker.Failures)
				found.Outcome = store.Success
			}
			_, err = s.Record(t.Context(), found, limits)
			require.ErrorIs(t, err, store.ErrConflict)
			s.record(result(store.Success))
		}
	}
}

// A guess takes nothing from the result.
func testFoundOfTwo(t *testing.T, s *state) {
	for _, guess := range []store.Result{{Outcome: store.Failure, Detail: store.DetailKilled}, {Outcome: store.Ignored, Detail: store.DetailHostGone}} {
		r := s.begin("again")
		guess.Project, guess.Agent, guess.RunID, guess.Generation, guess.Run = r.Project, r.Agent, r.RunID, &r.Generation, r.ID
		_, _, err := s.Lost(t.Context(), r, guess, limits)
		require.NoError(t, err)
	}
	found := result(store.Success)
	found.RunID = "again"
	require.True(t, s.record(found).Counted)
	require.Zero(t, s.project("odilo").Breaker.Failures)
	require.Len(t, s.runs("odilo"), 2)
}

// begun stores a run of odilo that was reported to begin; suffix tells runs without a run id apart.
func (s *state) begun(runID, suffix string) store.Run {
	s.t.Helper()
	r := store.Run{
		ID: store.ReportedRunID("odilo", "project-meta", runID) + suffix, Project: "odilo", Agent: "project-meta", RunID: runID, Host: "laptop", Started: s.at,
	}
	require.NoError(s.t, s.BeginReported(s.t.Context(), r))
	r.Generation = s.project("odilo").Generation
	return r
}

func (s *state) reported(project string) []store.Run {
	s.t.Helper()
	return must(s.ReportedRuns(s.t.Context(), project))(s.t)
}

func testReportedRun(t *testing.T, s *state) {
	s.resumed("odilo")
	one := s.begun("run-1", "")
	require.Equal(t, int64(1), one.Generation)
	s.pass(time.Minute)
	s.begun("run-1", "") // sent again: the start stays that of the first
	other := s.begun("run-2", "")
	require.Equal(t, []store.Run{one, other}, s.reported("odilo"))
	require.Equal(t, []store.Run{one, other}, s.reported(""))
	require.Empty(t, s.reported("atlas"))
	require.Empty(t, s.running(), "no process of this host")
	require.Equal(t, 2, must(s.Overview(t.Context(), "odilo", 0))(t)["odilo"].Running)
	report := must(s.Reports(t.Context(), "odilo"))(t)["odilo"]
	require.Equal(t, noon, report.Began)
	require.Equal(t, "laptop", report.Host)

	res := result(store.Failure)
	res.RunID, res.Run, res.Generation = "run-1", one.ID, &one.Generation
	require.True(t, s.record(res).Counted)
	require.Equal(t, []store.Run{other}, s.reported("odilo"))
	_, recorded := s.lost(other)
	require.True(t, recorded)
	require.Empty(t, s.reported("odilo"))
	_, recorded = s.lost(other)
	require.False(t, recorded, "another host was faster")
	require.Equal(t, 2, s.project("odilo").Breaker.Failures)

	s.trip("digital-twins") // a report cannot be refused because of a pause
	require.NoError(t, s.BeginReported(t.Context(), store.Run{ID: "paused", Project: "digital-twins", Agent: "project-meta", Started: noon}))
}

// Nothing tells which run a result without a run id ends, so it ends all that began without one.
func testReportedWithoutID(t *testing.T, s *state) {
	s.begun("", "1")
	s.begun("", "2")
	with := s.begun("run-1", "")
	require.NoError(t, s.BeginReported(t.Context(), store.Run{
		ID: store.ReportedRunID("odilo", "project-meta-b", "") + "1", Project: "odilo", Agent: "project-meta-b", Started: noon,
	}))
	res := result(store.Success)
	res.Run = store.ReportedRunID("odilo", "project-meta", "")
	s.record(res)
	left := s.reported("odilo")
	require.Len(t, left, 2)
	require.Contains(t, left, with)
}

// A result that waited in a spool ends none that began meanwhile.
func testReportedMeanwhile(t *testing.T, s *state) {
	s.begun("", "1")
	res := result(store.Failure)
	res.Run, res.Finished, res.Kept = store.ReportedRunID("odilo", "project-meta", ""), s.at, &store.Moment{Time: s.at}
	s.pass(time.Millisecond)
	meanwhile := s.begun("", "2")
	s.record(res)
	require.Equal(t, []store.Run{meanwhile}, s.reported("odilo"))
}

func testReportedLate(t *testing.T, s *state) {
	res := result(store.Success)
	res.RunID = "run-1"
	s.record(res)
	err := s.BeginReported(t.Context(), store.Run{
		ID: store.ReportedRunID("odilo", "project-meta", "run-1"), Project: "odilo", Agent: "project-meta", RunID: "run-1", Started: noon,
	})
	require.ErrorIs(t, err, store.ErrConflict)
	require.Empty(t, s.reported(""))
}

// A run that was reported may be said to have failed, and then to have succeeded.
func testReportedTwice(t *testing.T, s *state) {
	res := result(store.Failure)
	res.RunID, res.Run = "run-1", store.ReportedRunID("odilo", "project-meta", "run-1")
	s.record(res)
	res.Outcome, res.ExitCode = store.Success, 0
	require.True(t, s.record(res).Counted)
	require.Zero(t, s.project("odilo").Breaker.Failures)
	require.True(t, s.record(res).Known)
	require.Len(t, s.runs("odilo"), 2)
}

// The success of a run that began before a resume does not count after it, although the run's beginning ended with its first result.
func testReportedTwiceAcrossAResume(t *testing.T, s *state) {
	for _, detail := range []string{"", "no result was reported within hung_after: 1h"} {
		s.pass(time.Hour)
		runID := "run-" + detail
		run := s.begun(runID, "")
		s.pass(time.Minute)
		s.resumed("odilo")
		s.pass(time.Minute)
		require.Equal(t, 1, s.record(result(store.Failure)).Failures)
		res := result(store.Failure)
		res.RunID, res.Run, res.Detail, res.Started, res.Finished, res.Generation = runID, run.ID, detail, run.Started, s.at, &run.Generation
		require.False(t, s.record(res).Counted)
		s.pass(time.Minute)
		res.Outcome, res.Detail, res.Started, res.Finished, res.Generation = store.Success, "", time.Time{}, s.at, nil
		a := s.record(res)
		require.False(t, a.Counted, detail)
		require.Equal(t, 1, a.Failures)
	}
}

func testReportedTooMany(t *testing.T, s *state) {
	for n := range store.MaxReportedRuns {
		s.begun("", strconv.Itoa(n))
	}
	more := store.Run{ID: "more", Project: "odilo", Agent: "project-meta", Started: noon}
	require.ErrorIs(t, s.BeginReported(t.Context(), more), store.ErrTooManyRuns)
	s.begun("", "1")
	more.Project = "atlas"
	require.NoError(t, s.BeginReported(t.Context(), more))
}
