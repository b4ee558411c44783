// Package storetest is the contract of a state as tests. [Run] has all of them; the other functions have those of one group,
// which need only a part of a state.
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t testing.TB, dir string, now func() time.Time) store.State {
//			s, err := sqlite.Open(t.Context(), filepath.Join(dir, "adfbot.db"), sqlite.Options{Now: now})
//			require.NoError(t, err)
//			return s
//		})
//	}
package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
)

// Open opens the state of a directory with a clock: a new one for a new directory, and the same one again for the same. The
// tests close it.
type Open func(t testing.TB, dir string, now func() time.Time) store.State

// Run runs all groups.
func Run(t *testing.T, open Open) {
	t.Run("incidents", func(t *testing.T) {
		RunIncidents(t, func(t testing.TB) IncidentState { return newState(t, open) })
	})
	t.Run("holds", func(t *testing.T) {
		RunHolds(t, func(t testing.TB) IncidentState { return newState(t, open) })
	})
	t.Run("stops", func(t *testing.T) {
		RunStops(t, func(t testing.TB) IncidentState { return newState(t, open) })
	})
	t.Run("flags", func(t *testing.T) {
		RunFlags(t, func(t testing.TB) IncidentState { return newState(t, open) })
	})
	t.Run("tracker cache", func(t *testing.T) {
		RunCache(t, func(t testing.TB) incident.TrackerCache { return newState(t, open) })
	})
	t.Run("commands", func(t *testing.T) {
		RunCommands(t, func(t testing.TB, now func() time.Time) CommandState { return opened(t, open, t.TempDir(), now) })
	})
	for _, group := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"results", RunResults}, {"trips", RunTrips}, {"resumes", RunResumes}, {"runs", RunRuns}, {"known", RunKnown}, {"history", RunHistory}, {"meta", RunMeta},
		{"moves", RunMoves}, {"silent", RunSilent},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, open) })
	}
}

// noon is when the tests begin.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const server = "https://git.example.org"

var repo = tracker.Repo{Server: server, Owner: "terraphim", Name: "lab"}

func issue(server string, number int64) tracker.IssueRef {
	r := repo
	r.Server = server
	return tracker.IssueRef{Repo: r, ID: 10 * number, Number: number, URL: server + "/terraphim/lab/issues/7"}
}

// state is a state under test, with a clock that the test sets.
type state struct {
	store.State
	t    testing.TB
	open Open
	dir  string
	at   time.Time
}

func newState(t testing.TB, open Open) *state {
	s := &state{t: t, open: open, dir: t.TempDir(), at: noon}
	s.State = opened(t, open, s.dir, s.now)
	return s
}

func opened(t testing.TB, open Open, dir string, now func() time.Time) store.State {
	s := open(t, dir, now)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *state) now() time.Time { return s.at }

func (s *state) pass(d time.Duration) { s.at = s.at.Add(d) }

// reopen opens the state again, as a new process would.
func (s *state) reopen() {
	s.t.Helper()
	require.NoError(s.t, s.Close())
	s.State = opened(s.t, s.open, s.dir, s.now)
}

// test is a test of a group.
type test[S any] struct {
	name string
	test func(t *testing.T, s S)
}

func runTests[S any](t *testing.T, newState func(testing.TB) S, tests []test[S]) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { c.test(t, newState(t)) })
	}
}

func runOnStates(t *testing.T, open Open, tests []test[*state]) {
	runTests(t, func(t testing.TB) *state { return newState(t, open) }, tests)
}

var limits = store.Limits{Threshold: 3, Resume: 3, Instance: "bigbox", Host: "host-a"}

func result(outcome string) store.Result {
	return store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome}
}

func (s *state) record(r store.Result) store.Answer {
	s.t.Helper()
	return s.recordWith(r, limits)
}

func (s *state) recordWith(r store.Result, l store.Limits) store.Answer {
	s.t.Helper()
	a, err := s.Record(s.t.Context(), r, l)
	require.NoError(s.t, err)
	return a
}

// trip records failures until the breaker trips, and returns the incident as it is stored.
func (s *state) trip(project string) incident.Incident {
	s.t.Helper()
	for range 10 {
		r := result(store.Failure)
		r.Project = project
		if a := s.record(r); a.Tripped {
			return s.incident(a.Incident)
		}
	}
	require.Fail(s.t, "it did not trip")
	return incident.Incident{}
}

// resumed trips a project and resumes it.
func (s *state) resumed(project string) {
	s.t.Helper()
	require.True(s.t, s.resume(project, s.trip(project).ID, s.at))
}

func (s *state) incident(id string) incident.Incident { return oneIncident(s.t, s, id) }

// incidentsOf returns the newest incidents of a project, with their evidence.
func (s *state) incidentsOf(project string, limit int) []incident.Incident {
	return must(s.IncidentPage(s.t.Context(), store.IncidentFilter{Projects: []string{project}, Limit: limit, Evidence: true}))(s.t)
}

func oneIncident(t testing.TB, s incident.IncidentReader, id string) incident.Incident {
	t.Helper()
	list := must(s.Incidents(t.Context(), id))(t)
	require.Len(t, list, 1)
	return list[0]
}

func (s *state) project(id string) store.Project {
	s.t.Helper()
	return must(s.Project(s.t.Context(), id))(s.t)
}

func (s *state) runs(project string) []store.HistoryRun {
	s.t.Helper()
	return must(s.Runs(s.t.Context(), project, 1000))(s.t)
}

func (s *state) resume(project, pause string, at time.Time) bool {
	s.t.Helper()
	return must(s.Resume(s.t.Context(), incident.Resumption{Project: project, Pause: pause, How: "for the test", At: at}))(s.t)
}

// must returns the value of a call that must not fail.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}
