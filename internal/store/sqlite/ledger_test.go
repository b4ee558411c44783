package sqlite_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

func TestAChangeIsStoredAndReturned(t *testing.T) {
	s, c := newStore(t)
	i := trip(t, s, "odilo")
	repo := tracker.Repo{Server: "https://git.example", Owner: "terraphim", Name: "adf-fleet"}
	changed, err := s.Change(ctx, i.ID, func(i *incident.Incident) {
		i.Issue = tracker.IssueRef{Repo: repo, ID: 7, Number: 3, URL: "https://git.example/terraphim/adf-fleet/issues/3"}
		i.Create.At = c.at
		i.Comments = map[string]incident.Comment{"k": {Attempted: c.at, Done: true}}
		i.Reopens = []time.Time{c.at}
	})
	require.NoError(t, err)
	require.Equal(t, changed, theIncident(t, s, i.ID))
	require.Equal(t, int64(3), changed.Issue.Number)
	_, err = s.Change(ctx, pause.NewRandomID(), func(*incident.Incident) {})
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
	_, err := s.Change(ctx, one.ID, func(i *incident.Incident) { i.Settled = true })
	require.NoError(t, err)
	require.Equal(t, []string{two.ID}, ids("odilo"))
	require.Empty(t, ids("nobody"))
}

func TestStandingIsWhatUnsettledAndHoldAreTogether(t *testing.T) {
	s, _ := newStore(t)
	one := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", one.ID, noon))
	trip(t, s, "odilo")
	trip(t, s, "atlas")
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "odilo", Note: "why", Since: noon}))
	require.NoError(t, s.SetHold(ctx, incident.Hold{Project: "twins", Since: noon, FlagWritten: noon.Add(time.Second)}))
	for _, project := range []string{"odilo", "atlas", "twins", "nobody"} {
		incidents, err := s.Unsettled(ctx, project)
		require.NoError(t, err)
		hold, err := s.Hold(ctx, project)
		require.NoError(t, err)
		gotIncidents, gotHold, err := s.ProjectState(ctx, project)
		require.NoError(t, err)
		require.Equal(t, incidents, gotIncidents, project)
		require.Equal(t, hold, gotHold, project)
	}
}

func TestARebuiltIncidentKeepsItsIdentityAndItsNumberIfThatIsFree(t *testing.T) {
	s, _ := newStore(t)
	i := incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Seq: 7, Agent: "project-meta", Opened: noon, Rebuilt: true, FlagWritten: noon}
	got, err := s.Insert(ctx, i)
	require.NoError(t, err)
	require.Equal(t, i, got)
	require.Equal(t, i, theIncident(t, s, i.ID))

	again := i
	again.Agent = "another"
	got, err = s.Insert(ctx, again)
	require.NoError(t, err)
	require.Equal(t, i, got, "one that exists stays as it is")

	over := incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Seq: 7, Opened: noon, Ended: noon}
	got, err = s.Insert(ctx, over)
	require.NoError(t, err)
	require.Equal(t, 8, got.Seq, "its number is taken")
	over = incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Opened: noon, Ended: noon}
	got, err = s.Insert(ctx, over)
	require.NoError(t, err)
	require.Equal(t, 9, got.Seq, "it has no number")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	require.Equal(t, 10, trip(t, s, "odilo").Seq)
}

func TestAProjectHasOneOpenIncidentAtMost(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	_, err := s.Insert(ctx, incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Seq: 9, Opened: noon})
	require.ErrorIs(t, err, incident.ErrOpenIncident)
	list, err := s.IncidentsOf(ctx, "odilo", 9)
	require.NoError(t, err)
	i.Evidence = evidence(t, s, i.ID)
	require.Equal(t, []incident.Incident{i}, list)
	// Neither may an ended one come back to life beside it.
	over := incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Opened: noon, Ended: noon}
	_, err = s.Insert(ctx, over)
	require.NoError(t, err)
	_, err = s.Change(ctx, over.ID, func(i *incident.Incident) { i.Ended = time.Time{} })
	require.Error(t, err)
}

func TestIncidentsAreFoundByAnyNumberOfIDs(t *testing.T) {
	s, _ := newStore(t)
	i, j := trip(t, s, "odilo"), trip(t, s, "atlas")
	ids := []string{i.ID}
	for range 1200 {
		ids = append(ids, pause.NewRandomID())
	}
	list, err := s.Incidents(ctx, append(ids, j.ID)...)
	require.NoError(t, err)
	require.ElementsMatch(t, []incident.Incident{i, j}, list)
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
	repo := tracker.Repo{Server: "https://a", Owner: "o", Name: "r"}
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
	one, two := tracker.Account{ID: 1, Login: "bot"}, tracker.Account{ID: 2, Login: "bot2"}
	for _, a := range []tracker.Account{one, two, {ID: 1, Login: "robot"}} {
		require.NoError(t, s.AddAccount(ctx, "https://a", a))
	}
	require.NoError(t, s.AddAccount(ctx, "https://b", one))
	got, err := s.Accounts(ctx, "https://a")
	require.NoError(t, err)
	require.Equal(t, []tracker.Account{two, {ID: 1, Login: "robot"}}, got)
}

func TestEverythingThatIsKnownOfAServerMovesWithIt(t *testing.T) {
	s, _ := newStore(t)
	const from, to = "https://old.example", "https://new.example/git"
	repo := tracker.Repo{Server: from, Owner: "o", Name: "r"}
	ref := func(server string, n int64) tracker.IssueRef {
		r := repo
		r.Server = server
		return tracker.IssueRef{Repo: r, ID: n, Number: n, URL: fmt.Sprintf("%s/o/r/issues/%d", server, n)}
	}
	first := trip(t, s, "odilo")
	_, err := s.Change(ctx, first.ID, func(i *incident.Incident) { i.Issue = ref(from, 1) })
	require.NoError(t, err)
	require.True(t, resume(t, s, "odilo", first.ID, noon))
	i := trip(t, s, "odilo")
	_, err = s.Change(ctx, i.ID, func(i *incident.Incident) {
		i.Issue, i.Target, i.Lost = ref(from, 3), repo, []tracker.IssueRef{ref(from, 2)}
	})
	require.NoError(t, err)
	elsewhere := trip(t, s, "atlas")
	_, err = s.Change(ctx, elsewhere.ID, func(i *incident.Incident) { i.Issue = ref("https://third.example", 5) })
	require.NoError(t, err)
	require.NoError(t, s.SetLabels(ctx, repo, map[string]int64{"adf": 1}))
	require.NoError(t, s.AddAccount(ctx, from, tracker.Account{ID: 1, Login: "bot"}))

	require.NoError(t, s.MoveServer(ctx, from, to))
	got := theIncident(t, s, i.ID)
	require.Equal(t, ref(to, 3), got.Issue)
	require.Equal(t, to, got.Target.Server)
	require.Equal(t, []tracker.IssueRef{ref(to, 2)}, got.Lost)
	require.Equal(t, ref(to, 1), evidence(t, s, i.ID).Earlier[0].Issue)
	require.Equal(t, ref(to, 1), theIncident(t, s, first.ID).Issue, "ended ones too: their issues may be reopened")
	require.Equal(t, ref("https://third.example", 5), theIncident(t, s, elsewhere.ID).Issue)
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
	c.pass(10 * time.Hour)
	n, err := s.Prune(ctx, noon.Add(-time.Hour), 3)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.Prune(ctx, noon.Add(-time.Hour), 5)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestPruningPassesOverWhatAClockThatRanAheadHasRecorded(t *testing.T) {
	const day = 24 * time.Hour
	s, c := newStore(t)
	at := func(d time.Duration, project string, times int) {
		c.at = noon.Add(d)
		for n := range times {
			r := result(store.Success)
			r.Project, r.RunID = project, fmt.Sprint(project, n)
			record(t, s, r)
		}
	}
	prune := func(most int) int {
		n, err := s.Prune(ctx, c.at.Add(-30*day), most)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, prune(100), "there is nothing at all")
	at(365*day, "ahead", 40)
	at(0, "odilo", 20)
	c.pass(-time.Minute)
	require.Zero(t, prune(10), "all is ahead now")
	at(60*day, "atlas", 5)
	c.pass(40 * day)
	require.Equal(t, 10, prune(10))
	require.Equal(t, 10, prune(10))
	require.Equal(t, 5, prune(10))
	require.Zero(t, prune(10))
	at(100*day, "odilo", 7)
	runs, err := s.Runs(ctx, "ahead", 100)
	require.NoError(t, err)
	require.Len(t, runs, 40, "they stay until their time has come")
	c.at = noon.Add(396 * day)
	require.Equal(t, 47, prune(100))
}
