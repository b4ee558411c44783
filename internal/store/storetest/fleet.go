package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// FleetState is a state that several hosts share.
type FleetState interface {
	store.State
	store.Fleet
}

// Fleet is a new state. It returns it as the host with an id uses it, each time as another process.
type Fleet func(host string) FleetState

const hostA, hostB, hostC = "a0000000000000000000000000000000", "b0000000000000000000000000000000", "c0000000000000000000000000000000"

// RunFleet tests what hosts that share a state know of each other. newFleet returns a new state, with the state's own clock.
func RunFleet(t *testing.T, newFleet func(testing.TB) Fleet) {
	runTests(t, newFleet, []test[Fleet]{
		{"mark of a directory", testMark},
		{"void", testVoid},
		{"states of flags", testHostFlags},
		{"states of given projects", testGivenFlags},
		{"many are confirmed", testConfirmAll},
		{"of another pause", testConfirmAllOther},
		{"many are unconfirmed", testUnconfirmAll},
		{"confirmed beside others", testConfirmAllTwice},
		{"a flag that could not be written", testFlagFailed},
		{"failed after the pause is over", testFlagFailedLate},
		{"a pause ends on another host", testEndedElsewhere},
		{"clock", testClock},
		{"hosts", testFleetHosts},
		{"two machines with one id", testSharedID},
		{"retired", testRetire},
		{"runs of a retired host", testRetireRuns},
		{"runs of no host", testReportedAnywhere},
		{"missing flags", testMissingFlags},
		{"woken", testListen},
	})
}

func mark(t *testing.T, s FleetState) incident.DirMark {
	t.Helper()
	return must(s.HostFlags(t.Context()))(t).Mark
}

func testMark(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	require.Zero(t, mark(t, a), "it was never marked")
	require.ErrorIs(t, a.SetMark(t.Context(), incident.DirMark{Seq: 3}), incident.ErrOtherEpoch)
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "a"}))
	require.Zero(t, mark(t, a))
	require.ErrorIs(t, a.SetMark(t.Context(), incident.DirMark{Seq: 3}), incident.ErrOtherEpoch, "a directory has an epoch")
	require.NoError(t, a.SetMark(t.Context(), incident.DirMark{Epoch: "e0", Seq: 1}), "the first mark")
	require.Equal(t, incident.DirMark{Epoch: "e0", Seq: 1}, mark(t, a))
	require.NoError(t, a.Void(t.Context(), incident.DirMark{Epoch: "e1", Seq: 7}))
	require.Equal(t, incident.DirMark{Epoch: "e1", Seq: 7}, mark(t, a))
	require.NoError(t, a.SetMark(t.Context(), incident.DirMark{Epoch: "e1", Seq: 9}))
	require.NoError(t, fleet(hostA).SetMark(t.Context(), incident.DirMark{Epoch: "e1", Seq: 8}), "another process was slower")
	require.Equal(t, incident.DirMark{Epoch: "e1", Seq: 9}, mark(t, a), "it never falls")
	require.ErrorIs(t, a.SetMark(t.Context(), incident.DirMark{Epoch: "e2", Seq: 99}), incident.ErrOtherEpoch)
	require.Equal(t, incident.DirMark{Epoch: "e1", Seq: 9}, mark(t, a))
	require.Zero(t, mark(t, b), "each host has its own")
	require.NoError(t, a.Void(t.Context(), incident.DirMark{Epoch: "e2", Seq: 4}))
	require.Equal(t, incident.DirMark{Epoch: "e2", Seq: 4}, mark(t, a))
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "a"}))
	require.Equal(t, incident.DirMark{Epoch: "e2", Seq: 4}, mark(t, a), "a report leaves it")
}

func testVoid(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	i := insert(t, a, newIncident("odilo", 1))
	confirm(t, a, i.ID, botFlag, noon)
	confirm(t, b, i.ID, botFlag, noon)
	require.NoError(t, a.Void(t.Context(), incident.DirMark{Epoch: "e1", Seq: 1}))
	require.Zero(t, confirmed(t, a))
	require.Equal(t, i.ID, confirmed(t, b).Pause)
	require.True(t, oneIncident(t, a, i.ID).IsOpen())
}

func flags(t *testing.T, s FleetState, projects ...string) map[string]incident.ProjectState {
	t.Helper()
	found := must(s.HostFlags(t.Context(), projects...))(t)
	states := found.States
	for _, c := range found.Confirmed { // which are left out
		require.NotContains(t, states, c.Project)
		state := must(s.HostFlags(t.Context(), c.Project))(t).States[c.Project]
		require.Equal(t, c.Confirmation, state.Confirmed)
		require.Equal(t, c.Pause, state.Pause().ID)
		states[c.Project] = state
	}
	for project, state := range states {
		require.Equal(t, must(s.ProjectState(t.Context(), project))(t), state)
	}
	return states
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func testHostFlags(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	require.Empty(t, flags(t, a))
	for _, project := range []string{"idle", "resumed"} {
		must(a.Record(t.Context(), store.Result{Project: project, Agent: "project-meta", Outcome: store.Failure}, limits))(t)
	}
	i := insert(t, a, newIncident("odilo", 1))
	h := hold(t, a, "atlas")
	both := insert(t, a, newIncident("both", 1))
	hold(t, a, "both")
	resumed := hold(t, a, "resumed")
	removedHere := hold(t, a, "removed")
	require.NoError(t, a.ConfirmAll(t.Context(), noon, []incident.FlagConfirmation{
		{Project: "atlas", Confirmation: incident.Confirmation{Pause: h.ID, Identity: personFlag}},
		{Project: "resumed", Confirmation: incident.Confirmation{Pause: resumed.ID, Identity: botFlag}},
		{Project: "removed", Confirmation: incident.Confirmation{Pause: removedHere.ID, Identity: botFlag}},
	}))
	require.True(t, must(b.Resume(t.Context(), incident.Resumption{Project: "resumed", Pause: resumed.ID, How: "h", At: noon}))(t))
	require.True(t, must(a.Resume(t.Context(), incident.Resumption{Project: "removed", Pause: removedHere.ID, How: "h", At: noon, FlagRemoved: true}))(t))

	states := flags(t, a)
	require.ElementsMatch(t, []string{"odilo", "atlas", "both", "resumed"}, keys(states))
	require.Equal(t, i.ID, states["odilo"].Pause().ID)
	require.Equal(t, both.ID, states["both"].Pause().ID)
	require.Equal(t, incident.Confirmation{Pause: h.ID, Identity: personFlag}, states["atlas"].Confirmed)
	require.Equal(t, incident.ProjectState{Generation: 1, Confirmed: incident.Confirmation{Pause: resumed.ID, Identity: botFlag}}, states["resumed"],
		"its flag has to be removed")
	require.ElementsMatch(t, []string{"odilo", "atlas", "both"}, keys(flags(t, b)))
	require.Zero(t, flags(t, b)["atlas"].Confirmed)
}

func testGivenFlags(t *testing.T, fleet Fleet) {
	a := fleet(hostA)
	insert(t, a, newIncident("odilo", 1))
	h := hold(t, a, "atlas")
	must(a.Record(t.Context(), store.Result{Project: "idle", Agent: "project-meta", Outcome: store.Failure}, limits))(t)
	must(a.Confirm(t.Context(), "atlas", incident.Confirmation{Pause: h.ID, Identity: botFlag}, noon))(t)
	must(a.Resume(t.Context(), incident.Resumption{Project: "atlas", Pause: h.ID, How: "h", At: noon, FlagRemoved: true}))(t)
	quiet := silent("a")
	quiet.Project = "quiet"
	_, opened, err := a.OpenSilent(t.Context(), quiet)
	require.NoError(t, err)
	require.True(t, opened)
	states := flags(t, a, "atlas", "idle", "quiet", "nobody", "idle", "it's \"so\"", "\x00\xff")
	require.ElementsMatch(t, []string{"atlas", "idle", "quiet"}, keys(states))
	require.Equal(t, incident.RemovedFlag, states["atlas"].Confirmed.Identity.Kind)
	require.Len(t, states["quiet"].Silent, 1)
	require.Len(t, flags(t, a, "odilo", "odilo")["odilo"].Unsettled, 1)
}

// paused inserts an incident for each of many projects.
func paused(t *testing.T, s FleetState, n int) (list []incident.FlagConfirmation) {
	t.Helper()
	for k := range n {
		i := newIncident(fmt.Sprint("p", k), 1)
		i.FlagError, i.LastErr = "no room", "any text: \x00 \" \\u0000"
		insert(t, s, i)
		list = append(list, incident.FlagConfirmation{Project: i.Project, Confirmation: incident.Confirmation{Pause: i.ID, Identity: botFlag}})
	}
	return list
}

func testConfirmAll(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	require.False(t, must(a.FlagsWritten(t.Context()))(t))
	require.NoError(t, a.ConfirmAll(t.Context(), noon, nil))
	list := paused(t, a, 30)
	require.NoError(t, a.ConfirmAll(t.Context(), noon, list))
	require.True(t, must(a.FlagsWritten(t.Context()))(t))
	states := flags(t, a)
	for _, c := range list {
		require.Equal(t, c.Confirmation, states[c.Project].Confirmed)
		i := states[c.Project].Open()
		require.Equal(t, noon, i.FlagWritten)
		require.Empty(t, i.FlagError)
		require.Equal(t, "any text: \x00 \" \\u0000", i.LastErr)
	}
	require.NoError(t, b.ConfirmAll(t.Context(), noon.Add(time.Hour), list))
	require.Equal(t, states, flags(t, b), "it was written when it was written first")
}

func testUnconfirmAll(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	list := paused(t, a, 30)
	require.NoError(t, a.ConfirmAll(t.Context(), noon, list))
	require.NoError(t, b.ConfirmAll(t.Context(), noon, list))
	require.NoError(t, a.UnconfirmAll(t.Context(), nil))
	gone := slices.Clone(list[:20])
	gone[0].Pause = pause.NewRandomID() // another one has been confirmed since
	require.NoError(t, a.UnconfirmAll(t.Context(), gone))
	mine, theirs := flags(t, a), flags(t, b)
	for n, c := range list {
		require.Equal(t, n == 0 || n >= 20, mine[c.Project].Confirmed.Stands(), c.Project)
		require.True(t, theirs[c.Project].Confirmed.Stands(), c.Project)
	}
}

func testConfirmAllOther(t *testing.T, fleet Fleet) {
	a := fleet(hostA)
	first := insert(t, a, newIncident("odilo", 1))
	end(t, a, first)
	second := insert(t, a, newIncident("odilo", 2))
	beside := insert(t, a, newIncident("both", 1))
	h, only := hold(t, a, "both"), hold(t, a, "atlas")
	of := func(project, pause string) incident.FlagConfirmation {
		return incident.FlagConfirmation{Project: project, Confirmation: incident.Confirmation{Pause: pause, Identity: botFlag}}
	}
	require.NoError(t, a.ConfirmAll(t.Context(), noon, []incident.FlagConfirmation{
		of("odilo", first.ID), of("nobody", first.ID), of("both", h.ID), of("atlas", ""), of("idle", ""),
	}))
	for project, state := range flags(t, a, "odilo", "nobody", "both", "atlas", "idle") {
		require.Zero(t, state.Confirmed, project)
	}
	require.True(t, oneIncident(t, a, second.ID).FlagWritten.IsZero())
	require.NoError(t, a.ConfirmAll(t.Context(), noon, []incident.FlagConfirmation{of("odilo", first.ID), of("odilo", second.ID), of("both", beside.ID), of("atlas", only.ID)}))
	states := flags(t, a)
	require.Equal(t, second.ID, states["odilo"].Confirmed.Pause, "of several ones the last one counts")
	require.Equal(t, beside.ID, states["both"].Confirmed.Pause)
	require.Equal(t, only.ID, states["atlas"].Confirmed.Pause)
	require.Equal(t, noon, states["odilo"].Open().FlagWritten)
}

func testConfirmAllTwice(t *testing.T, fleet Fleet) {
	list := paused(t, fleet(hostA), 40)
	var wg sync.WaitGroup
	for n, host := range []string{hostA, hostB, hostC} {
		s := fleet(host)
		mine := append([]incident.FlagConfirmation(nil), list...)
		for k := range mine { // each in another order
			mine[k], mine[k*(n+2)%len(mine)] = mine[k*(n+2)%len(mine)], mine[k]
		}
		wg.Go(func() {
			for range 5 {
				require.NoError(t, s.ConfirmAll(t.Context(), noon, mine))
			}
		})
	}
	wg.Wait()
	for _, host := range []string{hostA, hostB, hostC} {
		for _, state := range flags(t, fleet(host)) {
			require.True(t, state.Confirmed.Stands())
		}
	}
}

func testFlagFailed(t *testing.T, fleet Fleet) {
	a := fleet(hostA)
	i := insert(t, a, newIncident("odilo", 1))
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", pause.NewRandomID(), "another pause"))
	require.Zero(t, confirmed(t, a))
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", i.ID, "no room"))
	c := confirmed(t, a)
	require.Equal(t, incident.Confirmation{Pause: i.ID, Identity: incident.FlagIdentity{Kind: incident.FailedFlag}}, c)
	require.False(t, c.Stands())
	require.Equal(t, c, flags(t, a)["odilo"].Confirmed)
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", i.ID, "mounted read-only"))
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", i.ID, "mounted read-only"))
	require.NoError(t, a.ConfirmAll(t.Context(), noon, []incident.FlagConfirmation{{Project: "odilo", Confirmation: incident.Confirmation{Pause: i.ID, Identity: botFlag}}}))
	require.Equal(t, botFlag, confirmed(t, a).Identity)
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", i.ID, "it was on disk"))
	require.Equal(t, botFlag, confirmed(t, a).Identity, "its removal resumes the project")

	h := hold(t, a, "atlas")
	require.NoError(t, a.FlagFailed(t.Context(), "atlas", h.ID, "no room"))
	require.True(t, must(a.Confirm(t.Context(), "atlas", incident.Confirmation{Pause: h.ID, Identity: personFlag}, noon))(t))
	require.Equal(t, personFlag, flags(t, a)["atlas"].Confirmed.Identity)
}

func testFlagFailedLate(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	first := insert(t, a, newIncident("odilo", 1))
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", first.ID, "no room"))
	require.True(t, must(b.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: first.ID, How: "h", At: noon}))(t))
	require.Zero(t, confirmed(t, a), "it is over")
	require.Empty(t, flags(t, a))
	require.Zero(t, flags(t, a, "odilo")["odilo"].Confirmed)
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", first.ID, "no room"))
	second := insert(t, a, newIncident("odilo", 2))
	require.Zero(t, flags(t, a)["odilo"].Confirmed)
	require.NoError(t, a.FlagFailed(t.Context(), "odilo", second.ID, "no room"))
	require.Equal(t, second.ID, flags(t, a)["odilo"].Confirmed.Pause)
}

func testEndedElsewhere(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	i := insert(t, a, newIncident("odilo", 1))
	confirm(t, a, i.ID, botFlag, noon)
	confirm(t, b, i.ID, personFlag, noon)
	require.True(t, removed(t, a, i.ID))
	require.Equal(t, incident.RemovedFlag, confirmed(t, a).Identity.Kind)
	require.Equal(t, incident.Confirmation{Pause: i.ID, Identity: personFlag}, confirmed(t, b), "its flag is still on its disk")
	require.False(t, removed(t, b, i.ID), "it has ended")
	require.Zero(t, confirmed(t, b), "and the flag is known to be gone")
	require.Equal(t, incident.RemovedFlag, confirmed(t, a).Identity.Kind)
}

func testClock(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	one, two := a.Now(), b.Now()
	require.WithinDuration(t, one, two, 5*time.Second)
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "a"}))
	seen := must(a.Hosts(t.Context()))(t)[0].Seen
	now := a.Now()
	require.False(t, now.Before(seen))
	require.WithinDuration(t, seen, now, 5*time.Second)
}

func testFleetHosts(t *testing.T, fleet Fleet) {
	a, b, c := fleet(hostA), fleet(hostB), fleet(hostC)
	require.Empty(t, must(a.Hosts(t.Context()))(t))
	full := store.Host{
		Name: "edge-7", Boot: "boot", Version: "1.2", Config: "c0ffee", Offset: -1500 * time.Millisecond, Spooled: 3, DirError: "no room", CanIssue: true,
	}
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "other"}))
	require.NoError(t, a.Beat(t.Context(), full))
	require.NoError(t, b.Beat(t.Context(), store.Host{Name: "alpha"}))
	require.NoError(t, c.Void(t.Context(), incident.DirMark{Epoch: "e", Seq: 1}))
	hosts := must(b.Hosts(t.Context()))(t)
	require.Len(t, hosts, 3)
	require.Equal(t, []string{hostC, hostB, hostA}, []string{hosts[0].ID, hosts[1].ID, hosts[2].ID}, "by name")
	require.Zero(t, hosts[0].Seen, "it has never reported")
	require.NotZero(t, hosts[2].Seen)
	full.ID, full.Seen = hostA, hosts[2].Seen
	require.Equal(t, full, hosts[2])
}

func testSharedID(t *testing.T, fleet Fleet) {
	before, a, other := fleet(hostA), fleet(hostA), fleet(hostB)
	beat := func(s FleetState, boot string) time.Time {
		t.Helper()
		require.NoError(t, s.Beat(t.Context(), store.Host{Boot: boot}))
		hosts := must(other.Hosts(t.Context()))(t)
		require.Len(t, hosts, 1)
		return hosts[0].IDShared
	}
	require.Zero(t, beat(before, "boot 1"))
	require.Zero(t, beat(before, ""), "another process need not know it")
	require.Zero(t, beat(a, "boot 2"), "the machine has rebooted")
	require.Zero(t, beat(a, "boot 2"))
	require.Zero(t, beat(fleet(hostA), "boot 2"), "another process there")
	copied := fleet(hostA)
	require.Zero(t, beat(copied, "boot 3"))
	found := beat(a, "boot 2")
	require.NotZero(t, found)
	require.Equal(t, must(other.Hosts(t.Context()))(t)[0].Seen.UnixMilli(), found.UnixMilli())
	require.NotZero(t, beat(copied, "boot 3"))
	last := beat(a, "boot 2")
	require.Equal(t, last, beat(a, "boot 2"), "the copy is off")
}

func testRetire(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	i := insert(t, a, newIncident("odilo", 1))
	for n, s := range []FleetState{a, b} {
		require.NoError(t, s.Void(t.Context(), incident.DirMark{Epoch: "e", Seq: 1}))
		require.NoError(t, s.Beat(t.Context(), store.Host{Name: fmt.Sprint("h", n)}))
		confirm(t, s, i.ID, botFlag, noon)
	}
	require.False(t, must(b.Retire(t.Context(), hostC))(t), "there is no such host")
	require.True(t, must(b.Retire(t.Context(), hostA))(t))
	require.False(t, must(b.Retire(t.Context(), hostA))(t))
	hosts := must(b.Hosts(t.Context()))(t)
	require.Equal(t, []string{"h1", "h0"}, []string{hosts[0].Name, hosts[1].Name}, "they come last")
	require.Zero(t, hosts[0].Retired)
	require.NotZero(t, hosts[1].Retired)
	require.Zero(t, must(a.ProjectState(t.Context(), "odilo"))(t).Confirmed)
	require.True(t, confirmed(t, b).Stands())

	_, record := a.Record(t.Context(), result(store.Failure), limits)
	_, begin := a.BeginRun(t.Context(), store.Run{ID: pause.NewRandomID(), Project: "atlas", Started: noon})
	_, resume := a.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: i.ID, How: "h", At: noon})
	_, hold := a.AddHold(t.Context(), newHold("atlas"), personFlag, 0)
	_, confirmOne := a.Confirm(t.Context(), "odilo", incident.Confirmation{Pause: i.ID}, noon)
	_, read := a.HostFlags(t.Context())
	for what, err := range map[string]error{
		"record": record, "begin": begin, "resume": resume, "hold": hold, "confirm": confirmOne, "read": read,
		"beat": a.Beat(t.Context(), store.Host{}), "mark": a.SetMark(t.Context(), incident.DirMark{Epoch: "e", Seq: 2}),
		"void": a.Void(t.Context(), incident.DirMark{Epoch: "f", Seq: 2}), "failed": a.FlagFailed(t.Context(), "odilo", i.ID, "w"),
		"confirm all": a.ConfirmAll(t.Context(), noon, []incident.FlagConfirmation{{Project: "odilo", Confirmation: incident.Confirmation{Pause: i.ID}}}),
	} {
		require.ErrorIs(t, err, store.ErrRetired, what)
		require.ErrorIs(t, err, store.ErrUnusable, what)
	}
	require.Empty(t, must(b.Runs(t.Context(), "odilo", 9))(t))
	require.True(t, oneIncident(t, b, i.ID).IsOpen())
	must(b.Record(t.Context(), result(store.Failure), limits))(t)
}

func testRetireRuns(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "edge-7"}))
	begin := func(s FleetState, project, runID string) store.Run {
		return must(s.BeginRun(t.Context(), store.Run{
			ID: pause.NewRandomID(), Project: project, Agent: "project-meta", RunID: runID, Host: "edge-7", Started: noon,
		}))(t)
	}
	for _, project := range []string{"twins", "atlas", "odilo", "atlas"} {
		begin(a, project, "")
	}
	begin(a, "known", "run-1")
	must(a.Record(t.Context(), store.Result{Project: "known", Agent: "project-meta", RunID: "run-1", Outcome: store.Failure}, limits))(t)
	other := begin(b, "odilo", "")
	require.True(t, must(b.Retire(t.Context(), hostA))(t))
	require.Empty(t, must(a.Running(t.Context()))(t))
	require.Equal(t, other.ID, must(b.Running(t.Context()))(t)[0].ID)
	runs := must(b.Runs(t.Context(), "atlas", 9))(t)
	require.Len(t, runs, 2)
	require.Equal(t, store.Ignored, runs[0].Outcome)
	require.Equal(t, "host gone", runs[0].Detail)
	require.Equal(t, "edge-7", runs[0].Host)
	require.False(t, runs[0].Counted)
	known := must(b.Runs(t.Context(), "known", 9))(t)
	require.Len(t, known, 1, "it has a result")
	require.Equal(t, store.Failure, known[0].Outcome)
}

// A run that was reported to one host goes on without it, and another host may record how it ended.
func testReportedAnywhere(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	require.NoError(t, a.Beat(t.Context(), store.Host{Name: "edge-7"}))
	run := store.Run{ID: store.ReportedRunID("odilo", "project-meta", "run-1"), Project: "odilo", Agent: "project-meta", RunID: "run-1", Started: noon}
	require.NoError(t, a.BeginReported(t.Context(), run))
	require.True(t, must(b.Retire(t.Context(), hostA))(t))
	require.Equal(t, []store.Run{run}, must(b.ReportedRuns(t.Context(), "odilo"))(t))
	res := store.Result{Project: "odilo", Agent: "project-meta", RunID: "run-1", Outcome: store.Failure, Run: run.ID, Generation: &run.Generation}
	_, recorded, err := b.Lost(t.Context(), run, res, limits)
	require.NoError(t, err)
	require.True(t, recorded)
	require.Empty(t, must(a.ReportedRuns(t.Context(), ""))(t))
}

func testMissingFlags(t *testing.T, fleet Fleet) {
	a, b, c := fleet(hostA), fleet(hostB), fleet(hostC)
	missing := func() []store.MissingFlag { return must(a.MissingFlags(t.Context()))(t) }
	i := insert(t, a, newIncident("odilo", 1))
	require.Empty(t, missing(), "there is no host")
	for n, s := range []FleetState{a, b, c} {
		require.NoError(t, s.Beat(t.Context(), store.Host{Name: fmt.Sprint("h", n)}))
	}
	require.True(t, must(a.Retire(t.Context(), hostC))(t))
	of := func(host, why string) store.MissingFlag {
		return store.MissingFlag{Host: host, Project: "odilo", Pause: i.ID, Since: noon, Error: why}
	}
	require.Equal(t, []store.MissingFlag{of(hostA, ""), of(hostB, "")}, missing())
	confirm(t, a, i.ID, botFlag, noon)
	require.NoError(t, b.FlagFailed(t.Context(), "odilo", i.ID, "no room"))
	require.Equal(t, []store.MissingFlag{of(hostB, "no room")}, missing())
	hold(t, a, "odilo")
	require.Equal(t, []store.MissingFlag{of(hostB, "no room")}, missing(), "the incident pauses it")
	confirm(t, b, i.ID, personFlag, noon)
	require.Empty(t, missing())
	end(t, a, i)
	j := insert(t, a, newIncident("odilo", 2))
	require.Len(t, missing(), 2)
	require.Equal(t, j.ID, missing()[0].Pause)
	require.Empty(t, missing()[1].Error)
	h := newHold("atlas")
	h.Since = noon.Add(time.Hour)
	require.NoError(t, a.SetHold(t.Context(), h))
	require.Equal(t, store.MissingFlag{Host: hostA, Project: "atlas", Pause: h.ID, Since: h.Since}, missing()[0])
}

func testListen(t *testing.T, fleet Fleet) {
	a, b := fleet(hostA), fleet(hostB)
	ctx, cancel := context.WithCancel(t.Context())
	woken, done := make(chan struct{}, 100), make(chan error, 1)
	go func() { done <- b.Listen(ctx, func() { woken <- struct{}{} }) }()
	wakes := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(20 * time.Second):
			require.Fail(t, "nobody was woken", what)
		}
	}
	wakes("it listens")
	fail := func() { must(a.Record(t.Context(), result(store.Failure), limits))(t) }
	fail()
	fail()
	require.Empty(t, woken, "that paused nothing")
	fail()
	wakes("a trip")
	i := must(a.ProjectState(t.Context(), "odilo"))(t).Open()
	end(t, a, *i)
	wakes("a resume")
	j := insert(t, a, newIncident("odilo", 0))
	wakes("an incident")
	_, err := a.Change(t.Context(), j.ID, func(i *incident.Incident) { i.Tries++ })
	require.NoError(t, err)
	_, err = a.Change(t.Context(), j.ID, func(i *incident.Incident) { i.Ended = noon })
	require.NoError(t, err)
	wakes("an end")
	hold(t, a, "odilo")
	wakes("a hold")
	must(a.AddHold(t.Context(), newHold("atlas"), personFlag, 0))(t)
	wakes("a person's flag")
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Empty(t, woken)
}

func resumption(project, pause string, at time.Time) incident.Resumption {
	return incident.Resumption{Project: project, Pause: pause, How: "for the test", At: at}
}
