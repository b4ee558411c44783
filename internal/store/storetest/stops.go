package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/pause"
)

// RunStops tests pauses of many projects at once, and holds that end by themselves.
func RunStops(t *testing.T, newState func(testing.TB) IncidentState) {
	runTests(t, newState, []test[IncidentState]{
		{"stored once", testAddStop},
		{"of those that were ended, the last one is told", testLastStop},
		{"pauses what nothing else pauses, once", testCover},
		{"many projects", testCoverMany},
		{"once it was ended it covers nothing", testCoverEnded},
		{"a project that was resumed is left alone", testCoverResumed},
		{"its end ends its holds", testEndStop},
		{"what a lost stop has held is ended", testEndLostStop},
		{"a hold that ends resumes its project", testEndHold},
		{"another one does not", testEndOtherHold},
		{"a hold that ends beside an incident is dropped", testEndHoldBesideIncident},
		{"a hold that ends is passed on to a stop", testPassOn},
		{"but not after a resume", testPassOnResumed},
		{"a hold by hand outlasts one that ends", testPausedAgain},
		{"a stop that was lost is not shortened", testPausedAgainDuringLostStop},
		{"a person's flag outlasts it too", testFlagOutlasts},
		{"its flag stays confirmed", testEndHoldFlag},
	})
}

// stop stores a stop of all projects.
func stop(t *testing.T, s incident.StopStore) incident.Stop {
	t.Helper()
	st := incident.Stop{ID: pause.NewRandomID(), Patterns: []string{incident.EveryProject}, Reason: "provider is down", By: "kim", Since: noon}
	require.NoError(t, s.AddStop(t.Context(), st))
	return st
}

func holdOf(st incident.Stop) func(string) incident.Hold {
	return func(project string) incident.Hold {
		return incident.Hold{ID: pause.NewRandomID(), Project: project, Note: "stopped\n", Since: noon, Until: st.Until, Stop: st.ID}
	}
}

func cover(t *testing.T, s incident.StopStore, st incident.Stop, projects ...string) []string {
	t.Helper()
	return must(s.Cover(t.Context(), st.ID, projects, holdOf(st)))(t)
}

func theHold(t *testing.T, s incident.HoldStore, project string) incident.Hold {
	t.Helper()
	h := must(s.Hold(t.Context(), project))(t)
	require.NotNil(t, h)
	return *h
}

// endHold ends a hold an hour after noon, and returns the stops that it was offered to. The first one takes it.
func endHold(t *testing.T, s incident.StopStore, h incident.Hold) (end incident.HoldEnd, offered []string) {
	t.Helper()
	end, err := s.EndHold(t.Context(), incident.Resumption{Project: h.Project, Pause: h.ID, How: "its time is over", At: noon.Add(time.Hour)},
		func(stops []incident.Stop) *incident.Hold {
			for _, st := range stops {
				offered = append(offered, st.ID)
			}
			if len(stops) == 0 {
				return nil
			}
			h := holdOf(stops[0])(h.Project)
			return &h
		})
	require.NoError(t, err)
	return end, offered
}

func testAddStop(t *testing.T, s IncidentState) {
	require.Empty(t, must(s.Stops(t.Context()))(t))
	st := stop(t, s)
	again := st
	again.Reason = "another one"
	require.NoError(t, s.AddStop(t.Context(), again))
	require.Equal(t, []incident.Stop{st}, must(s.Stops(t.Context()))(t))
	require.Empty(t, must(s.Covered(t.Context(), st.ID))(t))
}

func testLastStop(t *testing.T, s IncidentState) {
	first, last, now := stop(t, s), stop(t, s), stop(t, s)
	require.True(t, must(s.EndStop(t.Context(), first.ID, "resumed by kim", noon.Add(time.Minute)))(t))
	require.True(t, must(s.EndStop(t.Context(), last.ID, "resumed by lee", noon.Add(time.Hour)))(t))
	require.False(t, must(s.EndStop(t.Context(), last.ID, "resumed by kim", noon.Add(2*time.Hour)))(t))
	require.False(t, must(s.EndStop(t.Context(), pause.NewRandomID(), "resumed by kim", noon))(t))
	last.Ended, last.EndedHow = noon.Add(time.Hour), "resumed by lee"
	require.ElementsMatch(t, []incident.Stop{last, now}, must(s.Stops(t.Context()))(t))
}

func testCover(t *testing.T, s IncidentState) {
	i, by := insert(t, s, newIncident("incident", 1)), hold(t, s, "held")
	st := stop(t, s)
	require.Equal(t, []string{"odilo"}, cover(t, s, st, "odilo", "incident", "odilo", "held"))
	require.Equal(t, st.ID, theHold(t, s, "odilo").Stop)
	require.Equal(t, by, theHold(t, s, "held"))
	require.Nil(t, must(s.Hold(t.Context(), "incident"))(t))
	require.Equal(t, []string{"held", "incident", "odilo"}, must(s.Covered(t.Context(), st.ID))(t))
	end(t, s, i)
	require.Equal(t, []string{"new"}, cover(t, s, st, "incident", "new"), "each is covered once")
	states := must(s.ProjectStates(t.Context()))(t)
	require.Equal(t, st.ID, states["new"].Hold.Stop)
	require.Equal(t, states["new"], must(s.ProjectState(t.Context(), "new"))(t))
}

func testCoverMany(t *testing.T, s IncidentState) {
	var ids []string
	for n := range 700 {
		ids = append(ids, fmt.Sprintf("p%03d", n))
	}
	st := stop(t, s)
	require.Equal(t, ids, cover(t, s, st, ids...))
	require.Len(t, must(s.Covered(t.Context(), st.ID))(t), 700)
	require.Empty(t, cover(t, s, st, ids...))
}

func testCoverEnded(t *testing.T, s IncidentState) {
	st := stop(t, s)
	must(s.EndStop(t.Context(), st.ID, "resumed by kim", noon))(t)
	require.Empty(t, cover(t, s, st, "odilo"))
	require.Empty(t, must(s.Holds(t.Context()))(t))
}

func testCoverResumed(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo")
	require.True(t, resume(t, s, theHold(t, s, "odilo").ID))
	require.Empty(t, cover(t, s, st, "odilo"))
	require.Empty(t, must(s.Holds(t.Context()))(t))
}

func testEndStop(t *testing.T, s IncidentState) {
	one, other := stop(t, s), stop(t, s)
	by := hold(t, s, "held")
	cover(t, s, one, "odilo", "held")
	cover(t, s, other, "odilo", "atlas")
	was := theHold(t, s, "odilo")
	must(s.EndStop(t.Context(), one.ID, "resumed by kim", noon))(t)
	was.Until = incident.AtOnce
	require.Equal(t, was, theHold(t, s, "odilo"))
	require.True(t, was.Over(time.Time{}.AddDate(1969, 0, 1)), "whatever the clock says")
	require.False(t, theHold(t, s, "atlas").Over(noon.AddDate(10, 0, 0)))
	require.Equal(t, by, theHold(t, s, "held"))
	require.Empty(t, must(s.Covered(t.Context(), one.ID))(t))
}

func testEndLostStop(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo")
	lost := incident.Hold{ID: pause.NewRandomID(), Project: "lost", Since: noon, Stop: pause.NewRandomID()}
	require.NoError(t, s.SetHold(t.Context(), lost))
	by := hold(t, s, "held")
	must(s.EndStop(t.Context(), "", "resumed by kim", noon))(t)
	require.Equal(t, incident.AtOnce, theHold(t, s, "lost").Until)
	require.Zero(t, theHold(t, s, "odilo").Until)
	require.Equal(t, by, theHold(t, s, "held"))
}

func testEndHold(t *testing.T, s IncidentState) {
	h := newHold("odilo")
	h.Until = noon.Add(time.Hour)
	require.NoError(t, s.SetHold(t.Context(), h))
	require.Equal(t, h, theHold(t, s, "odilo"))
	require.Equal(t, &h, must(s.ProjectState(t.Context(), "odilo"))(t).Hold)
	how, offered := endHold(t, s, h)
	require.Equal(t, incident.HoldResumed, how)
	require.Empty(t, offered)
	state := must(s.ProjectState(t.Context(), "odilo"))(t)
	require.Nil(t, state.Hold)
	require.Equal(t, int64(1), state.Generation)
	how, _ = endHold(t, s, h)
	require.Equal(t, incident.HoldNotEnded, how)
	require.Equal(t, int64(1), must(s.ProjectState(t.Context(), "odilo"))(t).Generation, "once")
}

func testEndOtherHold(t *testing.T, s IncidentState) {
	by := hold(t, s, "odilo")
	how, _ := endHold(t, s, newHold("odilo"))
	require.Equal(t, incident.HoldNotEnded, how)
	require.Equal(t, by, theHold(t, s, "odilo"))
}

func testEndHoldBesideIncident(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo")
	i := insert(t, s, newIncident("odilo", 1))
	how, offered := endHold(t, s, theHold(t, s, "odilo"))
	require.Equal(t, incident.HoldDropped, how)
	require.Empty(t, offered)
	state := must(s.ProjectState(t.Context(), "odilo"))(t)
	require.Equal(t, i.ID, state.Pause().ID)
	require.Nil(t, state.Hold)
	require.Zero(t, state.Generation)
}

func testPassOn(t *testing.T, s IncidentState) {
	h := newHold("odilo")
	h.Until = noon.Add(time.Hour)
	require.NoError(t, s.SetHold(t.Context(), h))
	over, ended, st := stop(t, s), stop(t, s), stop(t, s)
	must(s.EndStop(t.Context(), ended.ID, "resumed by kim", noon))(t)
	must(s.EndStop(t.Context(), over.ID, "resumed by kim", noon))(t)
	how, offered := endHold(t, s, h)
	require.Equal(t, incident.HoldPassedOn, how)
	require.Equal(t, []string{st.ID}, offered)
	require.Equal(t, st.ID, theHold(t, s, "odilo").Stop)
	require.Zero(t, must(s.ProjectState(t.Context(), "odilo"))(t).Generation, "it was paused all the time")
	require.Equal(t, []string{"odilo"}, must(s.Covered(t.Context(), st.ID))(t))
}

func testPassOnResumed(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo")
	require.True(t, resume(t, s, theHold(t, s, "odilo").ID))
	h := newHold("odilo")
	h.Until = noon.Add(time.Hour)
	require.NoError(t, s.SetHold(t.Context(), h))
	how, offered := endHold(t, s, h)
	require.Equal(t, incident.HoldResumed, how)
	require.Empty(t, offered)
}

func testPausedAgain(t *testing.T, s IncidentState) {
	hour, day := newHold("odilo"), newHold("odilo")
	hour.Until, day.Until = noon.Add(time.Hour), noon.Add(24*time.Hour)
	for _, h := range []incident.Hold{hour, day} {
		require.NoError(t, s.SetHold(t.Context(), h))
		require.Equal(t, h, theHold(t, s, "odilo"), "the one that ends later")
	}
	require.NoError(t, s.SetHold(t.Context(), hour))
	require.Equal(t, day, theHold(t, s, "odilo"))
	always := newHold("odilo")
	require.NoError(t, s.SetHold(t.Context(), always))
	require.NoError(t, s.SetHold(t.Context(), day))
	require.Equal(t, always, theHold(t, s, "odilo"))

	st := stop(t, s)
	cover(t, s, st, "atlas")
	by := newHold("atlas")
	by.Until = noon.Add(time.Hour)
	require.NoError(t, s.SetHold(t.Context(), by))
	require.Equal(t, by, theHold(t, s, "atlas"), "whoever pauses a project that a stop holds has paused it themselves")
}

// After the end of a shorter pause, no stop that the state has lost goes on with its project.
func testPausedAgainDuringLostStop(t *testing.T, s IncidentState) {
	byHand := func(project string, until time.Time) incident.Hold {
		h := newHold(project)
		h.Until = until
		require.NoError(t, s.SetHold(t.Context(), h))
		return h
	}
	for project, until := range map[string]time.Time{"odilo": {}, "atlas": noon.Add(2 * time.Hour)} {
		h := incident.Hold{ID: pause.NewRandomID(), Project: project, Since: noon, Until: until, Stop: pause.NewRandomID()}
		require.NoError(t, s.SetHold(t.Context(), h))
		byHand(project, noon.Add(time.Hour))
		h.Stop = ""
		require.Equal(t, h, theHold(t, s, project), "somebody has paused it themselves, and that is not shorter than the stop")
		longer := byHand(project, noon.Add(3*time.Hour))
		if until.IsZero() {
			longer = h
		}
		require.Equal(t, longer, theHold(t, s, project))
	}
	lost := incident.Hold{ID: pause.NewRandomID(), Project: "carol", Since: noon, Stop: pause.NewRandomID()}
	require.NoError(t, s.SetHold(t.Context(), lost))
	require.Equal(t, byHand("carol", time.Time{}), theHold(t, s, "carol"))
}

func testFlagOutlasts(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo", "atlas")
	insert(t, s, newIncident("atlas", 1))
	flag := incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: 1}
	for _, project := range []string{"odilo", "atlas"} {
		added := must(s.AddHold(t.Context(), newHold(project), flag, 0))(t)
		require.Equal(t, project == "odilo", added)
	}
	require.Empty(t, theHold(t, s, "odilo").Stop)
	require.False(t, must(s.AddHold(t.Context(), newHold("odilo"), flag, 0))(t), "it is a pause of its own now")
}

func testEndHoldFlag(t *testing.T, s IncidentState) {
	st := stop(t, s)
	cover(t, s, st, "odilo")
	h := theHold(t, s, "odilo")
	c := incident.Confirmation{Pause: h.ID, Identity: incident.FlagIdentity{Kind: incident.BotFlag, Mtime: 7}}
	require.True(t, must(s.Confirm(t.Context(), "odilo", c, noon))(t))
	must(s.EndStop(t.Context(), st.ID, "resumed by kim", noon))(t)
	how, _ := endHold(t, s, h)
	require.Equal(t, incident.HoldResumed, how)
	require.Equal(t, c, must(s.ProjectState(t.Context(), "odilo"))(t).Confirmed, "the flag is still there")
}
