package sqlite_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

var ctx = context.Background()

func TestIncidentsOfAProjectAreNumberedFromOne(t *testing.T) {
	s, _ := newStore(t)
	for n := range 3 {
		i := trip(t, s, "odilo")
		require.Equal(t, n+1, i.Seq)
		require.True(t, resume(t, s, "odilo", i.ID, noon))
	}
	require.Equal(t, 1, trip(t, s, "atlas").Seq)
}

func TestAnIncidentTellsWhatWasKnownAtTheTrip(t *testing.T) {
	s, c := newStore(t)
	for n := range 14 {
		r := result(store.Success)
		r.RunID, r.Host, r.Output = fmt.Sprint("ok-", n), "host-b", "all went well"
		record(t, s, r)
	}
	noise := result(store.Failure)
	noise.Agent, noise.Output = "developer", "noise"
	for range 12 {
		record(t, s, noise)
	}
	for n := range 3 {
		c.pass(time.Minute)
		r := result(store.Failure)
		r.RunID, r.Output = fmt.Sprint("bad-", n), fmt.Sprint("output ", n)
		r.ExitCode, r.Started, r.Finished = 40+n, c.at.Add(-time.Second), c.at
		if n == 2 {
			r.Host = "host-c"
		}
		record(t, s, r)
	}
	list, err := s.IncidentsOf(ctx, "odilo", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	i := list[0]
	require.Len(t, i.ID, 32)
	require.Equal(t, c.at, i.Opened)
	require.Equal(t, 3, i.Failures)
	require.Equal(t, 3, i.Threshold)
	require.Equal(t, "project-meta", i.Agent)
	require.Equal(t, "host-c", i.Host)
	require.Equal(t, "bigbox", i.Instance)
	require.Len(t, i.Evidence.Runs, 10, "agents that don't count take no place")
	var ids []string
	for _, r := range i.Evidence.Runs {
		ids = append(ids, r.RunID)
	}
	require.Equal(t, "bad-2 bad-1 bad-0 ok-13 ok-12 ok-11 ok-10 ok-9 ok-8 ok-7", strings.Join(ids, " "))
	require.Equal(t, 42, i.Evidence.Runs[0].ExitCode)
	require.Equal(t, c.at, i.Evidence.Runs[0].Finished)
	require.Equal(t, "output 2", i.Evidence.Output)
	require.Empty(t, i.Evidence.Earlier)
}

func TestTheEvidenceStaysAsItWasAtTheTrip(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.Empty(t, i.Evidence, "it is not read with the incident")
	before := evidence(t, s, i.ID)
	require.Len(t, before.Runs, 3)
	_, err := s.Change(ctx, i.ID, func(i *incident.Incident) { i.Evidence.Output, i.LastErr = "forged", "Gitea is down" })
	require.NoError(t, err)
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	require.Equal(t, before, evidence(t, s, i.ID))
	none, err := s.Evidence(ctx, pause.NewRandomID())
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestTheHostOfAnIncidentIsOursWhereTheResultNamesNone(t *testing.T) {
	s, _ := newStore(t)
	require.Equal(t, "host-a", trip(t, s, "odilo").Host)
}

func TestAnIncidentTellsOfTheProjectsEarlierOnes(t *testing.T) {
	s, c := newStore(t)
	other := trip(t, s, "atlas")
	require.True(t, resume(t, s, "atlas", other.ID, c.at))
	for n := range 7 {
		i := trip(t, s, "odilo")
		_, err := s.Change(ctx, i.ID, func(i *incident.Incident) { i.Issue.Number = int64(100 + n) })
		require.NoError(t, err)
		c.pass(time.Hour)
		require.True(t, resume(t, s, "odilo", i.ID, c.at))
	}
	e := evidence(t, s, trip(t, s, "odilo").ID).Earlier
	require.Len(t, e, 5)
	require.Equal(t, 7, e[0].Seq)
	require.Equal(t, int64(106), e[0].Issue.Number)
	require.Equal(t, c.at, e[0].Ended)
	require.Equal(t, c.at.Add(-time.Hour), e[0].Opened)
	require.Equal(t, 3, e[4].Seq)
}

// outputs are all outputs that the history holds.
func TestOnlyAFailuresOutputIsKept(t *testing.T) {
	s, _ := newStore(t)
	for _, outcome := range []string{store.Success, store.Ignored, store.Failure} {
		r := result(outcome)
		r.Output = "output of a " + outcome
		record(t, s, r)
	}
	require.Equal(t, []string{"output of a failure"}, s.Outputs())
}

func TestAResumeEndsTheIncidentAndBeginsTheNextGeneration(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	_, err := s.Change(ctx, i.ID, func(i *incident.Incident) { i.NextTry, i.Tries = noon.Add(time.Hour), 3 })
	require.NoError(t, err)
	record(t, s, result(store.Failure))
	at := noon.Add(time.Hour)
	require.True(t, resume(t, s, "odilo", i.ID, at))

	i = theIncident(t, s, i.ID)
	require.Equal(t, at, i.Ended)
	require.Equal(t, "for the test", i.EndedHow)
	require.True(t, i.NextTry.IsZero(), "its issue is closed at once, whatever its creation had to wait for")
	p := project(t, s, "odilo")
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: at}, p)
	require.Equal(t, breaker.State{}, p.Breaker)

	require.False(t, resume(t, s, "odilo", i.ID, at.Add(time.Hour)), "it was ended already")
	require.Equal(t, at, theIncident(t, s, i.ID).Ended)
	require.Equal(t, p, project(t, s, "odilo"))
}

func TestAResumeOfAnotherIncidentChangesNothing(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon}))
	before := project(t, s, "odilo")
	require.False(t, resume(t, s, "odilo", pause.NewRandomID(), noon))
	require.False(t, resume(t, s, "atlas", i.ID, noon))
	require.Equal(t, before, project(t, s, "odilo"))
	require.True(t, theIncident(t, s, i.ID).IsOpen())
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.NotNil(t, h)
}

func TestAResumeOfAHoldEndsItAndIsAResumeToo(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Note: "why", Since: noon, FlagWritten: noon}))
	require.True(t, resume(t, s, "odilo", "", noon))
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: noon}, project(t, s, "odilo"))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Nil(t, h)
	require.False(t, resume(t, s, "odilo", "", noon))
	require.Equal(t, int64(1), project(t, s, "odilo").Generation, "there was nothing to end")
}

func TestTheEndOfAHoldDoesNotEndAnIncident(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon}))
	require.False(t, resume(t, s, "odilo", "", noon))
	require.True(t, theIncident(t, s, i.ID).IsOpen())
	require.Zero(t, project(t, s, "odilo").Generation)
}

func TestAnIncidentsEndEndsItsHoldToo(t *testing.T) {
	s, _ := newStore(t)
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon}))
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Nil(t, h)
}

func TestAHoldThatIsDroppedIsNoResume(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon}))
	before := project(t, s, "odilo")
	require.NoError(t, s.DropHold(ctx, "odilo"))
	require.Equal(t, before, project(t, s, "odilo"))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Nil(t, h)
}

func TestHoldsAreReadAsTheyWereWritten(t *testing.T) {
	s, _ := newStore(t)
	one := incident.Hold{Project: "odilo", Note: "why\nso", Since: noon}
	two := incident.Hold{Project: "atlas", Since: noon.Add(time.Millisecond), FlagWritten: noon.Add(time.Second)}
	require.NoError(t, s.SetHold(ctx, one))
	require.NoError(t, s.SetHold(ctx, two))
	list, err := s.Holds(ctx)
	require.NoError(t, err)
	require.Equal(t, []incident.Hold{two, one}, list)
	later := one
	later.Since, later.FlagWritten = noon.Add(time.Hour), noon.Add(time.Hour)
	require.NoError(t, s.SetHold(ctx, later))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Equal(t, noon, h.Since, "it began when it began")
	require.Equal(t, later.FlagWritten, h.FlagWritten)
}

func TestAFlagThatWasEverWrittenIsRemembered(t *testing.T) {
	for what, write := range map[string]func(s *sqlite.Store){
		"by an incident": func(s *sqlite.Store) {
			i := trip(t, s, "odilo")
			_, err := s.Change(ctx, i.ID, func(i *incident.Incident) { i.FlagWritten = noon })
			require.NoError(t, err)
			require.True(t, resume(t, s, "odilo", i.ID, noon))
		},
		"by a hold": func(s *sqlite.Store) {
			require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Since: noon, FlagWritten: noon}))
			require.True(t, resume(t, s, "odilo", "", noon))
		},
	} {
		t.Run(what, func(t *testing.T) {
			s, _ := newStore(t)
			trip(t, s, "atlas")
			require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "atlas", Since: noon}))
			written, err := s.FlagsWritten(ctx)
			require.NoError(t, err)
			require.False(t, written)
			write(s)
			written, err = s.FlagsWritten(ctx)
			require.NoError(t, err)
			require.True(t, written)
		})
	}
}
