package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/pause"
)

// RunFlags tests which flags are known to have been on disk.
func RunFlags(t *testing.T, newState func(testing.TB) IncidentState) {
	runTests(t, newState, []test[IncidentState]{
		{"of an incident", testConfirmIncident},
		{"of a hold", testConfirmHold},
		{"of another pause", testConfirmOther},
		{"of an incident beside a hold", testConfirmBoth},
		{"a flag was removed", testRemovedFlag},
		{"a removed flag of an earlier pause", testRemovedEarlierFlag},
		{"resumed by a command", testUnconfirmedByResume},
		{"unconfirmed", testUnconfirm},
		{"inserted with its flag", testInsertWithFlag},
		{"a person's flag", testAddHold},
		{"a person's flag of a paused project", testAddHoldPaused},
		{"generations", testRaisedGeneration},
	})
}

var (
	botFlag    = incident.FlagIdentity{Kind: incident.BotFlag, Mtime: noon.UnixNano(), Size: 345}
	personFlag = incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: noon.UnixNano() + 1, Size: 0}
)

func confirmed(t *testing.T, s IncidentState) incident.Confirmation {
	t.Helper()
	return must(s.ProjectState(t.Context(), "odilo"))(t).Confirmed
}

func confirm(t *testing.T, s IncidentState, pause string, flag incident.FlagIdentity, at time.Time) bool {
	t.Helper()
	return must(s.Confirm(t.Context(), "odilo", incident.Confirmation{Pause: pause, Identity: flag}, at))(t)
}

func testConfirmIncident(t *testing.T, s IncidentState) {
	i := newIncident("odilo", 1)
	i.FlagError = "no room"
	insert(t, s, i)
	require.Zero(t, confirmed(t, s))
	require.True(t, confirm(t, s, i.ID, botFlag, noon))
	require.Equal(t, incident.Confirmation{Pause: i.ID, Identity: botFlag}, confirmed(t, s))
	i.FlagError, i.FlagWritten = "", noon
	require.Equal(t, i, oneIncident(t, s, i.ID))
	require.True(t, confirm(t, s, i.ID, personFlag, noon.Add(time.Hour)), "somebody touched it")
	require.Equal(t, personFlag, confirmed(t, s).Identity)
	require.Equal(t, i, oneIncident(t, s, i.ID), "it was written when it was written first")
}

func testConfirmHold(t *testing.T, s IncidentState) {
	h := hold(t, s, "odilo")
	require.True(t, confirm(t, s, h.ID, botFlag, noon))
	require.Equal(t, incident.Confirmation{Pause: h.ID, Identity: botFlag}, confirmed(t, s))
	require.Equal(t, &h, must(s.Hold(t.Context(), "odilo"))(t))
}

func testConfirmOther(t *testing.T, s IncidentState) {
	require.False(t, confirm(t, s, "", botFlag, noon), "nothing pauses it")
	first := insert(t, s, newIncident("odilo", 1))
	require.True(t, confirm(t, s, first.ID, botFlag, noon))
	end(t, s, first)
	require.False(t, confirm(t, s, first.ID, botFlag, noon), "the pause is over")
	second := insert(t, s, newIncident("odilo", 2))
	require.False(t, confirm(t, s, first.ID, botFlag, noon), "another pauses it")
	require.Zero(t, confirmed(t, s))
	require.True(t, oneIncident(t, s, second.ID).FlagWritten.IsZero())
}

func testConfirmBoth(t *testing.T, s IncidentState) {
	h, i := hold(t, s, "odilo"), insert(t, s, newIncident("odilo", 1))
	require.False(t, confirm(t, s, h.ID, botFlag, noon), "the incident pauses the project, whichever came first")
	require.True(t, confirm(t, s, i.ID, botFlag, noon))
}

func removed(t *testing.T, s IncidentState, pause string) bool {
	t.Helper()
	return must(s.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: pause, How: "flag removed", At: noon, FlagRemoved: true}))(t)
}

func testRemovedFlag(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	confirm(t, s, i.ID, botFlag, noon)
	require.True(t, removed(t, s, i.ID))
	c := confirmed(t, s)
	require.Equal(t, incident.Confirmation{Pause: i.ID, Identity: incident.FlagIdentity{Kind: incident.RemovedFlag}}, c)
	require.False(t, c.Stands())
	require.False(t, removed(t, s, i.ID), "it has ended")
}

func testRemovedEarlierFlag(t *testing.T, s IncidentState) {
	first := insert(t, s, newIncident("odilo", 1))
	confirm(t, s, first.ID, botFlag, noon)
	_, err := s.Change(t.Context(), first.ID, func(i *incident.Incident) { i.Ended, i.Replaced = noon, true })
	require.NoError(t, err)
	second := insert(t, s, newIncident("odilo", 2))
	require.False(t, removed(t, s, first.ID), "that ends no later pause")
	require.True(t, oneIncident(t, s, second.ID).IsOpen())
	require.Zero(t, confirmed(t, s), "and the flag is known to be gone")
	require.Zero(t, must(s.ProjectState(t.Context(), "odilo"))(t).Generation)
}

func testUnconfirmedByResume(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	confirm(t, s, i.ID, botFlag, noon)
	end(t, s, i)
	require.Zero(t, confirmed(t, s))
}

func testUnconfirm(t *testing.T, s IncidentState) {
	h := hold(t, s, "odilo")
	confirm(t, s, h.ID, botFlag, noon)
	require.NoError(t, s.Unconfirm(t.Context(), "odilo", pause.NewRandomID()))
	require.NotZero(t, confirmed(t, s))
	require.NoError(t, s.Unconfirm(t.Context(), "odilo", h.ID))
	require.Zero(t, confirmed(t, s))
	require.NotNil(t, must(s.Hold(t.Context(), "odilo"))(t))
}

func testInsertWithFlag(t *testing.T, s IncidentState) {
	i := newIncident("odilo", 1)
	i.FlagWritten = noon
	insert(t, s, i)
	c := confirmed(t, s)
	require.Equal(t, incident.Confirmation{Pause: i.ID}, c)
	require.True(t, c.Stands(), "if the flag is missing, it was removed")
	ended := newIncident("odilo", 2)
	ended.FlagWritten, ended.Ended = noon, noon
	insert(t, s, ended)
	require.Equal(t, c, confirmed(t, s))
}

func testAddHold(t *testing.T, s IncidentState) {
	h := newHold("odilo")
	require.True(t, must(s.AddHold(t.Context(), h, personFlag, 0))(t))
	state := must(s.ProjectState(t.Context(), "odilo"))(t)
	require.Equal(t, incident.ProjectState{Hold: &h, Confirmed: incident.Confirmation{Pause: h.ID, Identity: personFlag}}, state)
}

func testAddHoldPaused(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	require.False(t, must(s.AddHold(t.Context(), newHold("odilo"), personFlag, 7))(t))
	state := must(s.ProjectState(t.Context(), "odilo"))(t)
	require.Equal(t, incident.ProjectState{Unsettled: []incident.Incident{i}}, state)
	h := hold(t, s, "atlas")
	require.False(t, must(s.AddHold(t.Context(), newHold("atlas"), personFlag, 0))(t))
	require.Equal(t, &h, must(s.Hold(t.Context(), "atlas"))(t))
}

func testRaisedGeneration(t *testing.T, s IncidentState) {
	generation := func() int64 { return must(s.ProjectState(t.Context(), "odilo"))(t).Generation }
	i := newIncident("odilo", 1)
	i.Generation = 5
	require.Zero(t, insert(t, s, i).Generation, "it is the project's")
	require.EqualValues(t, 5, generation())
	end(t, s, i)
	require.EqualValues(t, 6, generation())
	j := newIncident("odilo", 2)
	j.Generation = 3
	insert(t, s, j)
	require.EqualValues(t, 6, generation(), "it never falls")
	end(t, s, j)
	require.True(t, must(s.AddHold(t.Context(), newHold("odilo"), personFlag, 9))(t))
	require.EqualValues(t, 9, generation())
}
