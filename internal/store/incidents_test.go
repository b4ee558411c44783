package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/store"
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
		_, err := s.Change(ctx, i.ID, func(i *escalate.Incident) { i.Issue.Number = int64(100 + n) })
		require.NoError(t, err)
		c.pass(time.Hour)
		require.True(t, resume(t, s, "odilo", i.ID, c.at))
	}
	e := trip(t, s, "odilo").Evidence.Earlier
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
	_, err := s.Change(ctx, i.ID, func(i *escalate.Incident) { i.NextTry, i.Tries = noon.Add(time.Hour), 3 })
	require.NoError(t, err)
	record(t, s, result(store.Failure))
	at := noon.Add(time.Hour)
	require.True(t, resume(t, s, "odilo", i.ID, at))

	i = incident(t, s, i.ID)
	require.Equal(t, at, i.Ended)
	require.Equal(t, "for the test", i.EndedHow)
	require.True(t, i.NextTry.IsZero(), "its issue is closed at once, whatever its creation had to wait for")
	p := project(t, s, "odilo")
	require.Equal(t, store.Project{ID: "odilo", Generation: 1, HalfOpen: true, Resumed: at}, p)
	require.Equal(t, breaker.State{}, p.Breaker)

	require.False(t, resume(t, s, "odilo", i.ID, at.Add(time.Hour)), "it was ended already")
	require.Equal(t, at, incident(t, s, i.ID).Ended)
	require.Equal(t, p, project(t, s, "odilo"))
}

func TestAResumeOfAnotherIncidentChangesNothing(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Since: noon}))
	before := project(t, s, "odilo")
	require.False(t, resume(t, s, "odilo", store.NewID(), noon))
	require.False(t, resume(t, s, "atlas", i.ID, noon))
	require.Equal(t, before, project(t, s, "odilo"))
	require.True(t, incident(t, s, i.ID).IsOpen())
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.NotNil(t, h)
}

func TestAResumeOfAHoldEndsItAndIsAResumeToo(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Note: "why", Since: noon, FlagWritten: noon}))
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
	require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Since: noon}))
	require.False(t, resume(t, s, "odilo", "", noon))
	require.True(t, incident(t, s, i.ID).IsOpen())
	require.Zero(t, project(t, s, "odilo").Generation)
}

func TestAnIncidentsEndEndsItsHoldToo(t *testing.T) {
	s, _ := newStore(t)
	require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Since: noon}))
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Nil(t, h)
}

func TestAHoldThatIsDroppedIsNoResume(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Since: noon}))
	before := project(t, s, "odilo")
	require.NoError(t, s.DropHold(ctx, "odilo"))
	require.Equal(t, before, project(t, s, "odilo"))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Nil(t, h)
}

func TestHoldsAreReadAsTheyWereWritten(t *testing.T) {
	s, _ := newStore(t)
	one := escalate.Hold{Project: "odilo", Note: "why\nso", Since: noon}
	two := escalate.Hold{Project: "atlas", Since: noon.Add(time.Millisecond), FlagWritten: noon.Add(time.Second)}
	require.NoError(t, s.SetHold(ctx, one))
	require.NoError(t, s.SetHold(ctx, two))
	list, err := s.Holds(ctx)
	require.NoError(t, err)
	require.Equal(t, []escalate.Hold{two, one}, list)
	later := one
	later.Since, later.FlagWritten = noon.Add(time.Hour), noon.Add(time.Hour)
	require.NoError(t, s.SetHold(ctx, later))
	h, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Equal(t, noon, h.Since, "it began when it began")
	require.Equal(t, later.FlagWritten, h.FlagWritten)
}

func TestAFlagThatWasEverWrittenIsRemembered(t *testing.T) {
	for what, write := range map[string]func(s *store.Store){
		"by an incident": func(s *store.Store) {
			i := trip(t, s, "odilo")
			_, err := s.Change(ctx, i.ID, func(i *escalate.Incident) { i.FlagWritten = noon })
			require.NoError(t, err)
			require.True(t, resume(t, s, "odilo", i.ID, noon))
		},
		"by a hold": func(s *store.Store) {
			require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "odilo", Since: noon, FlagWritten: noon}))
			require.True(t, resume(t, s, "odilo", "", noon))
		},
	} {
		t.Run(what, func(t *testing.T) {
			s, _ := newStore(t)
			trip(t, s, "atlas")
			require.NoError(t, s.SetHold(ctx, escalate.Hold{Project: "atlas", Since: noon}))
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

func TestAChangeIsStoredAndReturned(t *testing.T) {
	s, c := newStore(t)
	i := trip(t, s, "odilo")
	repo := escalate.Repo{Server: "https://git.example", Owner: "terraphim", Name: "adf-fleet"}
	changed, err := s.Change(ctx, i.ID, func(i *escalate.Incident) {
		i.Issue = escalate.IssueRef{Repo: repo, ID: 7, Number: 3, URL: "https://git.example/terraphim/adf-fleet/issues/3"}
		i.Create.At = c.at
		i.Comments = map[string]escalate.Comment{"k": {Attempted: c.at, Done: true}}
		i.Reopens = []time.Time{c.at}
	})
	require.NoError(t, err)
	require.Equal(t, changed, incident(t, s, i.ID))
	require.Equal(t, int64(3), changed.Issue.Number)
	_, err = s.Change(ctx, store.NewID(), func(*escalate.Incident) {})
	require.Error(t, err, "an incident that is not there")
}

func TestUnsettledAreThoseInWhichSomethingIsLeftToDo(t *testing.T) {
	s, _ := newStore(t)
	one := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", one.ID, noon))
	two := trip(t, s, "odilo")
	three := trip(t, s, "atlas")
	ids := func(project string) (out []string) {
		list, err := s.Unsettled(ctx, project)
		require.NoError(t, err)
		for _, i := range list {
			out = append(out, i.ID)
		}
		return out
	}
	require.Equal(t, []string{one.ID, two.ID}, ids("odilo"))
	require.Equal(t, []string{three.ID, one.ID, two.ID}, ids(""))
	_, err := s.Change(ctx, one.ID, func(i *escalate.Incident) { i.Settled = true })
	require.NoError(t, err)
	require.Equal(t, []string{two.ID}, ids("odilo"))
	require.Empty(t, ids("nobody"))
}

func TestARebuiltIncidentKeepsItsIdentityAndItsNumberIfThatIsFree(t *testing.T) {
	s, _ := newStore(t)
	i := escalate.Incident{ID: store.NewID(), Project: "odilo", Seq: 7, Agent: "project-meta", Opened: noon, Rebuilt: true, FlagWritten: noon}
	got, err := s.Insert(ctx, i)
	require.NoError(t, err)
	require.Equal(t, i, got)
	require.Equal(t, i, incident(t, s, i.ID))

	again := i
	again.Agent = "another"
	got, err = s.Insert(ctx, again)
	require.NoError(t, err)
	require.Equal(t, i, got, "one that exists stays as it is")

	over := escalate.Incident{ID: store.NewID(), Project: "odilo", Seq: 7, Opened: noon, Ended: noon}
	got, err = s.Insert(ctx, over)
	require.NoError(t, err)
	require.Equal(t, 8, got.Seq, "its number is taken")
	over = escalate.Incident{ID: store.NewID(), Project: "odilo", Opened: noon, Ended: noon}
	got, err = s.Insert(ctx, over)
	require.NoError(t, err)
	require.Equal(t, 9, got.Seq, "it has no number")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	require.Equal(t, 10, trip(t, s, "odilo").Seq)
}

func TestAProjectHasOneOpenIncidentAtMost(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	_, err := s.Insert(ctx, escalate.Incident{ID: store.NewID(), Project: "odilo", Seq: 9, Opened: noon})
	require.ErrorIs(t, err, escalate.ErrOpenIncident)
	list, err := s.IncidentsOf(ctx, "odilo", 9)
	require.NoError(t, err)
	require.Equal(t, []escalate.Incident{i}, list)
	// Neither may an ended one come back to life beside it.
	over := escalate.Incident{ID: store.NewID(), Project: "odilo", Opened: noon, Ended: noon}
	_, err = s.Insert(ctx, over)
	require.NoError(t, err)
	_, err = s.Change(ctx, over.ID, func(i *escalate.Incident) { i.Ended = time.Time{} })
	require.Error(t, err)
}

func TestIncidentsAreFoundByAnyNumberOfIDs(t *testing.T) {
	s, _ := newStore(t)
	i, j := trip(t, s, "odilo"), trip(t, s, "atlas")
	ids := []string{i.ID}
	for range 1200 {
		ids = append(ids, store.NewID())
	}
	list, err := s.Incidents(ctx, append(ids, j.ID)...)
	require.NoError(t, err)
	require.Equal(t, []escalate.Incident{i, j}, list)
	list, err = s.Incidents(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestIncidentsAreListedNewestFirst(t *testing.T) {
	s, c := newStore(t)
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	c.pass(time.Minute)
	a := trip(t, s, "atlas")
	c.pass(time.Minute)
	j := trip(t, s, "odilo")
	names := func(project string, most int) (out []string) {
		list, err := s.IncidentsOf(ctx, project, most)
		require.NoError(t, err)
		for _, i := range list {
			out = append(out, i.ID)
		}
		return out
	}
	require.Equal(t, []string{j.ID, i.ID}, names("odilo", 10))
	require.Equal(t, []string{j.ID, a.ID, i.ID}, names("", 10))
	require.Equal(t, []string{j.ID}, names("", 1))
}

func TestLabelsAreKeptByRepositoryAndReplacedAsAWhole(t *testing.T) {
	s, _ := newStore(t)
	repo := escalate.Repo{Server: "https://a", Owner: "o", Name: "r"}
	other := repo
	other.Server = "https://b"
	require.NoError(t, s.SetLabels(ctx, repo, map[string]int64{"adf": 1, "x": 2}))
	require.NoError(t, s.SetLabels(ctx, other, map[string]int64{"adf": 9}))
	require.NoError(t, s.SetLabels(ctx, repo, map[string]int64{"adf": 3}))
	got, err := s.Labels(ctx, repo)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"adf": 3}, got)
	require.NoError(t, s.SetLabels(ctx, repo, nil))
	got, err = s.Labels(ctx, repo)
	require.NoError(t, err)
	require.Empty(t, got)
	got, err = s.Labels(ctx, other)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"adf": 9}, got)
}

func TestTheAccountThatWroteLastComesLast(t *testing.T) {
	s, _ := newStore(t)
	one, two := escalate.Account{ID: 1, Login: "bot"}, escalate.Account{ID: 2, Login: "bot2"}
	for _, a := range []escalate.Account{one, two, {ID: 1, Login: "robot"}} {
		require.NoError(t, s.AddAccount(ctx, "https://a", a))
	}
	require.NoError(t, s.AddAccount(ctx, "https://b", one))
	got, err := s.Accounts(ctx, "https://a")
	require.NoError(t, err)
	require.Equal(t, []escalate.Account{two, {ID: 1, Login: "robot"}}, got)
}

func TestEverythingThatIsKnownOfAServerMovesWithIt(t *testing.T) {
	s, _ := newStore(t)
	const from, to = "https://old.example", "https://new.example/git"
	repo := escalate.Repo{Server: from, Owner: "o", Name: "r"}
	ref := func(server string, n int64) escalate.IssueRef {
		r := repo
		r.Server = server
		return escalate.IssueRef{Repo: r, ID: n, Number: n, URL: fmt.Sprintf("%s/o/r/issues/%d", server, n)}
	}
	first := trip(t, s, "odilo")
	_, err := s.Change(ctx, first.ID, func(i *escalate.Incident) { i.Issue = ref(from, 1) })
	require.NoError(t, err)
	require.True(t, resume(t, s, "odilo", first.ID, noon))
	i := trip(t, s, "odilo")
	_, err = s.Change(ctx, i.ID, func(i *escalate.Incident) {
		i.Issue, i.Target, i.Lost = ref(from, 3), repo, []escalate.IssueRef{ref(from, 2)}
	})
	require.NoError(t, err)
	elsewhere := trip(t, s, "atlas")
	_, err = s.Change(ctx, elsewhere.ID, func(i *escalate.Incident) { i.Issue = ref("https://third.example", 5) })
	require.NoError(t, err)
	require.NoError(t, s.SetLabels(ctx, repo, map[string]int64{"adf": 1}))
	require.NoError(t, s.AddAccount(ctx, from, escalate.Account{ID: 1, Login: "bot"}))

	require.NoError(t, s.MoveServer(ctx, from, to))
	got := incident(t, s, i.ID)
	require.Equal(t, ref(to, 3), got.Issue)
	require.Equal(t, to, got.Target.Server)
	require.Equal(t, []escalate.IssueRef{ref(to, 2)}, got.Lost)
	require.Equal(t, ref(to, 1), got.Evidence.Earlier[0].Issue)
	require.Equal(t, ref(to, 1), incident(t, s, first.ID).Issue, "ended ones too: their issues may be reopened")
	require.Equal(t, ref("https://third.example", 5), incident(t, s, elsewhere.ID).Issue)
	repo.Server = to
	labels, err := s.Labels(ctx, repo)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"adf": 1}, labels)
	accounts, err := s.Accounts(ctx, to)
	require.NoError(t, err)
	require.Len(t, accounts, 1)
	accounts, err = s.Accounts(ctx, from)
	require.NoError(t, err)
	require.Empty(t, accounts)
}

func TestMetaIsKept(t *testing.T) {
	s, c := newStore(t)
	v, err := s.Meta(ctx, "k")
	require.NoError(t, err)
	require.Empty(t, v)
	require.NoError(t, s.SetMeta(ctx, "k", "1"))
	require.NoError(t, s.SetMeta(ctx, "k", "2"))
	require.NoError(t, s.Close())
	v, err = openAgain(t, s, c).Meta(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "2", v)
}

func TestPruningTakesTheOldestResultsAndNoOthers(t *testing.T) {
	s, c := newStore(t)
	for n := range 10 {
		r := result(store.Success)
		r.RunID = fmt.Sprint(n)
		record(t, s, r)
		c.pass(time.Hour)
	}
	left := func() (out []string) {
		runs, err := s.Runs(ctx, "odilo", 100)
		require.NoError(t, err)
		for _, r := range runs {
			out = append(out, r.RunID)
		}
		return out
	}
	n, err := s.Prune(ctx, noon.Add(5*time.Hour), 3)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []string{"9", "8", "7", "6", "5", "4", "3"}, left())
	n, err = s.Prune(ctx, noon.Add(5*time.Hour), 1000)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"9", "8", "7", "6", "5"}, left())
	n, err = s.Prune(ctx, noon.Add(5*time.Hour), 1000)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, project(t, s, "odilo").Breaker.Failures)
}

// It must cost the same however long the history is, because every sweep does it. So it never gets to rows that lie behind
// the first ones, even where those, by a clock that was wrong, are to stay.
func TestPruningLooksAtTheOldestRowsOnly(t *testing.T) {
	s, c := newStore(t)
	for range 3 {
		record(t, s, result(store.Success))
	}
	c.pass(-10 * time.Hour)
	for range 3 {
		record(t, s, result(store.Success))
	}
	n, err := s.Prune(ctx, noon.Add(-time.Hour), 3)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.Prune(ctx, noon.Add(-time.Hour), 5)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}
