package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// RunHistory tests reading, counting and pruning results, and the lists of incidents.
func RunHistory(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"everything of a run", testWholeRun},
		{"outputs of failures only", testOutputs},
		{"the last outputs only", testOutputsKept},
		{"an overview", testOverview},
		{"counted once", testCountSince},
		{"counted by class", testClassesCounted},
		{"counted again after pruning", testCountPruned},
		{"pruning takes the oldest", testPrune},
		{"pruning looks at the oldest only", testPruneLimit},
		{"pruning skips a future time", testPruneFuture},
		{"pruning skips the last result before one that is not due yet", testPruneExpected},
		{"pages of incidents", testIncidentPage},
		{"pages of runs", testRunPage},
		{"pages of some runs", testRunFilter},
		{"a page of runs looks at some only", testRunPageLook},
		{"ends of the last outputs", testLastOutputs},
		{"results by hour", testHourly},
	})
}

func testWholeRun(t *testing.T, s *state) {
	r := store.Result{Project: "odilo", Agent: "project-meta-a", RunID: "r", Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL",
		Detail: "killed", Host: "host-b", Started: noon.Add(-time.Hour).Add(123 * time.Millisecond), Finished: noon.Add(-time.Minute), Output: "o\n"}
	s.record(r)
	s.record(result(store.Success))
	runs := must(s.History(t.Context(), "odilo", 10))(t)
	require.Equal(t, []store.HistoryRun{
		{Run: incident.Run{Outcome: store.Success}, Agent: "project-meta", Counted: true, Recorded: noon},
		{Run: incident.Run{Outcome: store.Failure, Started: r.Started, Finished: r.Finished, ExitCode: 137, Signal: "SIGKILL", Detail: "killed",
			Host: "host-b", RunID: "r"}, Agent: "project-meta-a", Counted: true, Recorded: noon, Output: "o\n"},
	}, runs)
	runs[1].Output = ""
	require.Equal(t, runs, s.runs("odilo"), "the list of runs leaves the outputs out")
	require.Equal(t, runs[:1], must(s.Runs(t.Context(), "odilo", 1))(t))
}

func testOutputs(t *testing.T, s *state) {
	for _, outcome := range []string{store.Success, store.Ignored, store.Failure} {
		r := result(outcome)
		r.Output = "output of a " + outcome
		s.record(r)
	}
	var outputs []string
	for _, r := range must(s.History(t.Context(), "odilo", 10))(t) {
		outputs = append(outputs, r.Output)
	}
	require.Equal(t, []string{"output of a failure", "", ""}, outputs)
}

// The outputs are by far the largest part: whoever reports without end must not fill the disk with them.
func testOutputsKept(t *testing.T, s *state) {
	fail := func(project string, n int) {
		r := result(store.Failure)
		r.Project, r.Agent, r.Output = project, "developer", fmt.Sprint("output ", n)
		s.record(r)
	}
	fail("atlas", 0)
	for n := range 50 {
		fail("odilo", n)
	}
	runs := must(s.History(t.Context(), "odilo", 50))(t)
	require.Len(t, runs, 50, "the runs stay")
	for n, r := range runs {
		want := ""
		if n < store.KeptOutputs {
			want = fmt.Sprint("output ", 49-n)
		}
		require.Equal(t, want, r.Output)
	}
	require.Equal(t, "output 0", must(s.History(t.Context(), "atlas", 1))(t)[0].Output)
	for range store.KeptOutputs {
		r := result(store.Success)
		r.Project = "atlas"
		s.record(r)
	}
	runs = must(s.History(t.Context(), "atlas", 50))(t)
	require.Equal(t, "output 0", runs[store.KeptOutputs].Output, "it is the only one")
}

func testOverview(t *testing.T, s *state) {
	overview := func(project string, runs int) map[string]store.Overview {
		return must(s.Overview(t.Context(), project, runs))(t)
	}
	require.Empty(t, overview("", 10))
	for n := range 5 {
		r := result(store.Failure)
		r.Project, r.RunID, r.Output = "atlas", fmt.Sprint(n), "o"
		s.record(r)
	}
	s.resumed("odilo")
	s.record(result(store.Ignored))
	run := s.begin("r")
	all := overview("", 3)
	require.Len(t, all, 2)
	for _, id := range []string{"atlas", "odilo"} {
		require.Equal(t, store.Overview{
			Project: must(s.Project(t.Context(), id))(t), Running: map[string]int{"odilo": 1}[id], Runs: must(s.Runs(t.Context(), id, 3))(t),
		}, all[id])
		require.Equal(t, map[string]store.Overview{id: all[id]}, overview(id, 3))
	}
	require.Len(t, all["atlas"].Runs, 3)
	require.Equal(t, "4", all["atlas"].Runs[0].RunID, "the newest first")
	require.True(t, all["odilo"].HalfOpen)
	require.NoError(t, s.EndRun(t.Context(), run))
	require.Zero(t, overview("", 3)["odilo"].Running)
	require.Empty(t, overview("", 0)["atlas"].Runs)
	require.Empty(t, overview("nobody", 3))
}

func testCountSince(t *testing.T, s *state) {
	count := func(after int64, limit int) ([]store.OutcomeCount, int64) {
		counts, upTo, err := s.CountSince(t.Context(), after, limit)
		require.NoError(t, err)
		return counts, upTo
	}
	last := must(s.LastResult(t.Context()))(t)
	require.Zero(t, last)
	counts, upTo := count(last, 100)
	require.Empty(t, counts)
	require.Zero(t, upTo)

	s.record(result(store.Success))
	s.trip("odilo")
	counts, upTo = count(last, 100)
	require.ElementsMatch(t, []store.OutcomeCount{
		{Project: "odilo", Outcome: store.Success, Results: 1}, {Project: "odilo", Outcome: store.Failure, Results: 3, Trips: 1},
	}, counts)
	require.Equal(t, must(s.LastResult(t.Context()))(t), upTo)
	counts, again := count(upTo, 100)
	require.Empty(t, counts)
	require.Equal(t, upTo, again)

	total := 0
	for at := int64(0); ; {
		counts, next := count(at, 1)
		if len(counts) == 0 {
			break
		}
		require.Greater(t, next, at)
		total, at = total+counts[0].Results, next
	}
	require.Equal(t, 4, total, "in pieces it is the same")
}

func testCountPruned(t *testing.T, s *state) {
	for range 5 {
		s.record(result(store.Success))
	}
	upTo := must(s.LastResult(t.Context()))(t)
	s.pass(time.Hour)
	must(s.Prune(t.Context(), s.at, 100))(t)
	s.record(result(store.Failure))
	counts, _, err := s.CountSince(t.Context(), upTo, 100)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{{Project: "odilo", Outcome: store.Failure, Results: 1}}, counts)
}

func testPrune(t *testing.T, s *state) {
	for n := range 10 {
		r := result(store.Success)
		r.RunID = fmt.Sprint(n)
		s.record(r)
		s.pass(time.Hour)
	}
	left := func() (out []string) {
		for _, r := range s.runs("odilo") {
			out = append(out, r.RunID)
		}
		return out
	}
	prune := func(limit int) int { return must(s.Prune(t.Context(), noon.Add(5*time.Hour), limit))(t) }
	require.Equal(t, 3, prune(3))
	require.Equal(t, []string{"9", "8", "7", "6", "5", "4", "3"}, left())
	require.Equal(t, 2, prune(1000))
	require.Equal(t, []string{"9", "8", "7", "6", "5"}, left())
	require.Zero(t, prune(1000))
}

// Every sweep prunes, so it must cost the same however long the history is. It never gets to results behind the first ones,
// even if those, by a clock that was wrong, are to stay.
func testPruneLimit(t *testing.T, s *state) {
	for range 3 {
		s.record(result(store.Success))
	}
	s.pass(-10 * time.Hour)
	for range 3 {
		s.record(result(store.Success))
	}
	s.pass(10 * time.Hour)
	require.Zero(t, must(s.Prune(t.Context(), noon.Add(-time.Hour), 3))(t))
	require.Equal(t, 2, must(s.Prune(t.Context(), noon.Add(-time.Hour), 5))(t))
}

func testPruneExpected(t *testing.T, s *state) {
	ids := []string{"birch", "cedar", "odilo"}
	for range 2 {
		for _, id := range ids {
			r := result(store.Failure)
			r.Project = id
			s.record(r)
			r.Outcome = store.Ignored // which is not the one that was waited for
			s.record(r)
		}
	}
	prune := func(expected ...string) int {
		return must(s.Prune(t.Context(), s.at.Add(time.Hour), 2, expected...))(t)
	}
	for prune("birch", "odilo") > 0 {
	}
	require.Len(t, s.runs("birch"), 1)
	require.Equal(t, store.Failure, s.runs("birch")[0].Outcome)
	require.Empty(t, s.runs("cedar"))
	require.Len(t, s.runs("odilo"), 1)
	require.Equal(t, 1, prune("odilo"))
	require.Len(t, s.runs("odilo"), 1)
}

func testPruneFuture(t *testing.T, s *state) {
	const day = 24 * time.Hour
	at := func(d time.Duration, project string, times int) {
		s.at = noon.Add(d)
		for n := range times {
			r := result(store.Success)
			r.Project, r.RunID = project, fmt.Sprint(project, n)
			s.record(r)
		}
	}
	prune := func(limit int) int { return must(s.Prune(t.Context(), s.at.Add(-30*day), limit))(t) }
	require.Zero(t, prune(100), "there is nothing at all")
	at(365*day, "ahead", 40)
	at(0, "odilo", 20)
	s.pass(-time.Minute)
	require.Zero(t, prune(10), "all is in the future now")
	at(60*day, "atlas", 5)
	s.pass(40 * day)
	require.Equal(t, 10, prune(10))
	require.Equal(t, 10, prune(10))
	require.Equal(t, 5, prune(10))
	require.Zero(t, prune(10))
	at(100*day, "odilo", 7)
	require.Len(t, s.runs("ahead"), 40, "they stay until their time has come")
	s.at = noon.Add(396 * day)
	require.Equal(t, 47, prune(100))
}

func testIncidentPage(t *testing.T, s *state) {
	i := s.trip("odilo")
	require.True(t, s.resume("odilo", i.ID, noon))
	s.pass(time.Minute)
	a := s.trip("atlas")
	s.pass(time.Minute)
	j := s.trip("odilo")
	page := func(f store.IncidentFilter) []string {
		if f.Limit == 0 {
			f.Limit = 10
		}
		return ids(must(s.IncidentPage(t.Context(), f))(t))
	}
	require.Equal(t, []string{j.ID, a.ID, i.ID}, page(store.IncidentFilter{}))
	require.Equal(t, []string{j.ID, a.ID}, page(store.IncidentFilter{State: store.OpenIncidents}))
	require.Equal(t, []string{i.ID}, page(store.IncidentFilter{State: store.EndedIncidents}))
	require.Equal(t, []string{a.ID}, page(store.IncidentFilter{Projects: []string{"atlas", "nobody"}}))
	require.Empty(t, page(store.IncidentFilter{Projects: []string{}}))
	require.Equal(t, []string{j.ID}, page(store.IncidentFilter{Limit: 1}))
	s.pass(time.Minute)
	s.trip("twins") // opened meanwhile
	require.Equal(t, []string{a.ID}, page(store.IncidentFilter{After: j.ID, Limit: 1}))
	require.Equal(t, []string{i.ID}, page(store.IncidentFilter{After: a.ID}))
	for _, evidence := range []bool{false, true} {
		list := must(s.IncidentPage(t.Context(), store.IncidentFilter{Projects: []string{"odilo"}, Limit: 1, Evidence: evidence}))(t)
		require.Len(t, list, 1)
		require.Equal(t, evidence, len(list[0].Evidence.Runs) > 0)
	}
	_, err := s.IncidentPage(t.Context(), store.IncidentFilter{After: pause.NewRandomID(), Limit: 1})
	require.ErrorIs(t, err, store.ErrNoIncident)
}

func testRunPage(t *testing.T, s *state) {
	for n := range 5 {
		r := result(store.Failure)
		r.RunID, r.Output, r.Agent = fmt.Sprint(n), fmt.Sprint("output ", n), "developer"
		s.record(r)
		r.Project = "atlas"
		s.record(r)
	}
	pages := func(f store.RunFilter) (ids [][]string) {
		for {
			runs, next, err := s.RunPage(t.Context(), f)
			require.NoError(t, err)
			var page []string
			for _, r := range runs {
				page = append(page, r.Project+r.RunID+r.Output)
			}
			ids = append(ids, page)
			if next == 0 {
				return ids
			}
			f.Before = next
		}
	}
	odilo := []string{"odilo"}
	require.Equal(t, [][]string{{"odilo4", "odilo3"}, {"odilo2", "odilo1"}, {"odilo0"}}, pages(store.RunFilter{Projects: odilo, Limit: 2}))
	require.Equal(t, [][]string{{"odilo4", "odilo3", "odilo2", "odilo1", "odilo0"}}, pages(store.RunFilter{Projects: odilo, Limit: 5}), "no empty page at the end")
	require.Equal(t, [][]string{{"atlas4output 4", "odilo4output 4"}, {"atlas3output 3", "odilo3output 3"}},
		pages(store.RunFilter{Limit: 2, Output: true})[:2], "all projects")
	require.Equal(t, [][]string{{"atlas4", "odilo4", "atlas3"}}, pages(store.RunFilter{Projects: []string{"odilo", "atlas", "nobody"}, Limit: 3})[:1])
	require.Equal(t, [][]string{nil}, pages(store.RunFilter{Projects: []string{"nobody"}, Limit: 3}))
	require.Equal(t, [][]string{nil}, pages(store.RunFilter{Projects: []string{}, Limit: 3}))

	first, next, err := s.RunPage(t.Context(), store.RunFilter{Projects: odilo, Limit: 2, Output: true})
	require.NoError(t, err)
	require.Equal(t, first[1].Position, next)
	want := must(s.History(t.Context(), "odilo", 2))(t)
	for n := range want {
		want[n].Project, want[n].Position = "odilo", first[n].Position
	}
	require.Equal(t, want, first, "everything of a run")
	s.record(result(store.Success))
	second, _, err := s.RunPage(t.Context(), store.RunFilter{Projects: odilo, Limit: 2, Before: next})
	require.NoError(t, err)
	require.Equal(t, "2", second[0].RunID, "what was recorded meanwhile moves no page")
}

func testRunFilter(t *testing.T, s *state) {
	for n, r := range []store.Result{
		{Outcome: store.Success}, {Outcome: store.Failure, Class: "quota"}, {Outcome: store.Failure}, {Outcome: store.Ignored, Class: "quota"}, {Outcome: store.Ignored},
	} {
		r.Project, r.Agent, r.RunID = "odilo", "project-meta", fmt.Sprint(n)
		if n%2 == 1 {
			r.Agent = "developer"
		}
		s.record(r)
		s.pass(time.Hour)
	}
	ids := func(f store.RunFilter) (ids string) {
		f.Projects, f.Limit = []string{"odilo"}, 10
		runs, next, err := s.RunPage(t.Context(), f)
		require.NoError(t, err)
		require.Zero(t, next)
		for _, r := range runs {
			ids += r.RunID
		}
		return ids
	}
	require.Equal(t, "43210", ids(store.RunFilter{}))
	require.Equal(t, "0", ids(store.RunFilter{Outcome: store.Success}))
	require.Equal(t, "21", ids(store.RunFilter{Outcome: store.Failure}))
	require.Equal(t, "43", ids(store.RunFilter{Outcome: store.Ignored}))
	require.Equal(t, "31", ids(store.RunFilter{Class: "quota"}))
	require.Equal(t, "1", ids(store.RunFilter{Class: "quota", Outcome: store.Failure}))
	require.Equal(t, "31", ids(store.RunFilter{Agent: "developer"}))
	require.Equal(t, "432", ids(store.RunFilter{Since: noon.Add(2 * time.Hour)}), "recorded then or later")
	require.Equal(t, "10", ids(store.RunFilter{Until: noon.Add(2 * time.Hour)}), "recorded before")
}

// What a filter leaves out must not make a page cost more than another.
func testRunPageLook(t *testing.T, s *state) {
	for n := range 6 {
		r := result(store.Ignored)
		if r.RunID = fmt.Sprint(n); n == 0 {
			r.Outcome = store.Failure
		}
		s.record(r)
	}
	f := store.RunFilter{Projects: []string{"odilo"}, Outcome: store.Failure, Limit: 2, Look: 3}
	runs, next, err := s.RunPage(t.Context(), f)
	require.NoError(t, err)
	require.Empty(t, runs)
	require.NotZero(t, next, "there is more to look at")
	f.Before = next
	runs, next, err = s.RunPage(t.Context(), f)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Zero(t, next)
}

func testLastOutputs(t *testing.T, s *state) {
	fail := func(project, output string) {
		r := result(store.Failure)
		r.Project, r.Agent, r.Output = project, "developer", output
		s.record(r)
	}
	ends := func(projects ...string) map[string]string { return must(s.LastOutputs(t.Context(), projects...))(t) }
	require.Empty(t, ends())
	require.Empty(t, ends("odilo"))
	fail("odilo", "first")
	fail("odilo", "the last")
	fail("atlas", strings.Repeat("é", store.OutputEnd)+"end")
	fail("quick", "before a success")
	r := result(store.Success)
	r.Project, r.Agent = "quick", "developer"
	s.record(r)
	want := map[string]string{"odilo": "the last", "atlas": strings.Repeat("é", store.OutputEnd-3) + "end"}
	require.Equal(t, want, ends("odilo", "atlas", "quick", "nobody", "odilo"), "of the newest run, if that failed")
	delete(want, "atlas")
	require.Equal(t, want, ends("odilo"))
}

func testHourly(t *testing.T, s *state) {
	hour := noon.Truncate(time.Hour)
	at := func(when time.Time, project, outcome, agent string, times int) {
		s.at = when
		for range times {
			s.record(store.Result{Project: project, Agent: agent, Outcome: outcome})
		}
	}
	at(hour.Add(-48*time.Hour), "odilo", store.Failure, "project-meta", 2)
	at(hour.Add(-time.Millisecond), "odilo", store.Success, "project-meta", 1)
	at(hour, "odilo", store.Success, "project-meta", 2)
	at(hour, "atlas", store.Success, "project-meta", 9)
	at(hour.Add(time.Hour-time.Millisecond), "odilo", store.Failure, "developer", 3)
	all := []store.HourCount{
		{Hour: hour.Add(-48 * time.Hour), Outcome: store.Failure, Counted: true, Results: 2},
		{Hour: hour.Add(-time.Hour), Outcome: store.Success, Counted: true, Results: 1},
		{Hour: hour, Outcome: store.Failure, Counted: false, Results: 3},
		{Hour: hour, Outcome: store.Success, Counted: true, Results: 2},
	}
	positions := map[int]int64{}
	count := func(since time.Time, after int64, limit int) []store.HourCount {
		list := must(s.Hourly(t.Context(), "odilo", since, after, limit))(t)
		for n := range list {
			require.NotZero(t, list[n].Last)
			if positions[n] == 0 {
				positions[n] = list[n].Last
			}
			list[n].Last = 0
		}
		return list
	}
	long := hour.Add(-1000 * time.Hour)
	require.Equal(t, all, count(long, 0, 1000))
	require.Less(t, positions[0], positions[1])
	require.Less(t, positions[1], positions[3])
	require.Equal(t, must(s.LastResult(t.Context()))(t), positions[2])
	require.Equal(t, all, count(hour.Add(-48*time.Hour), 0, 1000), "from that time on")
	require.Equal(t, all[1:], count(hour.Add(-48*time.Hour+time.Millisecond), 0, 1000))
	require.Equal(t, all[2:], count(long, 0, 5), "it looks at some only")
	require.Equal(t, all[2:], count(long, positions[1], 1000), "after what was counted before")
	require.Empty(t, count(long, positions[2], 1000))
	require.Empty(t, must(s.Hourly(t.Context(), "nobody", long, 0, 1000))(t))
}
