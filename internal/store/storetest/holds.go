package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// RunHolds tests holds.
func RunHolds(t *testing.T, newState func(testing.TB) IncidentState) {
	runTests(t, newState, []test[IncidentState]{
		{"read as written", testHolds},
		{"dropped", testDropHold},
		{"ended", testResumeHold},
		{"its end does not end an incident", testResumeHoldOnly},
		{"the end of an incident ends it too", testResumeBoth},
	})
}

// newHold returns a hold of a project, made at noon.
func newHold(project string) incident.Hold {
	return incident.Hold{ID: pause.NewRandomID(), Project: project, Since: noon}
}

// hold stores a new hold.
func hold(t *testing.T, s incident.HoldStore, project string) incident.Hold {
	t.Helper()
	h := newHold(project)
	require.NoError(t, s.SetHold(t.Context(), h))
	return h
}

func testHolds(t *testing.T, s IncidentState) {
	one, two := newHold("odilo"), newHold("atlas")
	one.Note, two.Since = "why\nso", noon.Add(time.Millisecond)
	require.NoError(t, s.SetHold(t.Context(), one))
	require.NoError(t, s.SetHold(t.Context(), two))
	require.Equal(t, []incident.Hold{two, one}, must(s.Holds(t.Context()))(t))
	hold(t, s, "odilo")
	require.Equal(t, &one, must(s.Hold(t.Context(), "odilo"))(t), "a project has one hold")
	again, early := newHold("odilo"), newHold("odilo")
	again.Since, early.Since = one.Since.Add(time.Minute), one.Since.Add(-time.Minute)
	require.NoError(t, s.SetHold(t.Context(), again))
	require.NoError(t, s.SetHold(t.Context(), early))
	one.Since = again.Since
	require.Equal(t, &one, must(s.Hold(t.Context(), "odilo"))(t), "which is as late as the last one was given")
	require.Nil(t, must(s.Hold(t.Context(), "nobody"))(t))
}

func testDropHold(t *testing.T, s IncidentState) {
	hold(t, s, "odilo")
	require.NoError(t, s.DropHold(t.Context(), "odilo"))
	require.NoError(t, s.DropHold(t.Context(), "nobody"))
	require.Empty(t, must(s.Holds(t.Context()))(t))
}

// resume ends a pause of odilo.
func resume(t *testing.T, s incident.IncidentWriter, pause string) bool {
	t.Helper()
	return must(s.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: pause, How: "for the test", At: noon}))(t)
}

func testResumeHold(t *testing.T, s IncidentState) {
	h := hold(t, s, "odilo")
	require.False(t, resume(t, s, pause.NewRandomID()), "it ends another one")
	require.NotNil(t, must(s.Hold(t.Context(), "odilo"))(t))
	require.True(t, resume(t, s, h.ID))
	require.Nil(t, must(s.Hold(t.Context(), "odilo"))(t))
	require.False(t, resume(t, s, h.ID), "there is nothing to end")
}

func testResumeHoldOnly(t *testing.T, s IncidentState) {
	i := insert(t, s, newIncident("odilo", 1))
	require.False(t, resume(t, s, hold(t, s, "odilo").ID))
	require.True(t, oneIncident(t, s, i.ID).IsOpen())
}

func testResumeBoth(t *testing.T, s IncidentState) {
	hold(t, s, "odilo")
	end(t, s, insert(t, s, newIncident("odilo", 1)))
	require.Nil(t, must(s.Hold(t.Context(), "odilo"))(t))
}

// RunCache tests what is kept of the server.
func RunCache(t *testing.T, newState func(testing.TB) incident.TrackerCache) {
	runTests(t, newState, []test[incident.TrackerCache]{
		{"labels", testLabels},
		{"accounts", testAccounts},
	})
}

func testLabels(t *testing.T, s incident.TrackerCache) {
	other := repo
	other.Server = "https://other.example.org"
	require.NoError(t, s.SetLabels(t.Context(), repo, map[string]int64{"adf": 1, "x": 2}))
	require.NoError(t, s.SetLabels(t.Context(), other, map[string]int64{"adf": 9}))
	require.NoError(t, s.SetLabels(t.Context(), repo, map[string]int64{"adf": 3}))
	require.Equal(t, map[string]int64{"adf": 3}, must(s.Labels(t.Context(), repo))(t), "they are replaced as a whole")
	require.NoError(t, s.SetLabels(t.Context(), repo, nil))
	require.Empty(t, must(s.Labels(t.Context(), repo))(t))
	require.Equal(t, map[string]int64{"adf": 9}, must(s.Labels(t.Context(), other))(t))
}

func testAccounts(t *testing.T, s incident.TrackerCache) {
	one, two := tracker.Account{ID: 1, Login: "bot"}, tracker.Account{ID: 2, Login: "bot2"}
	renamed := tracker.Account{ID: 1, Login: "robot"}
	for _, a := range []tracker.Account{one, two, renamed} {
		require.NoError(t, s.AddAccount(t.Context(), server, a))
	}
	require.NoError(t, s.AddAccount(t.Context(), "https://other.example.org", one))
	require.Equal(t, []tracker.Account{two, renamed}, must(s.Accounts(t.Context(), server))(t), "the one that wrote last comes last")
}
