package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

var labRepo = tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "lab"}

func order(comment int64, project string) incident.Command {
	return incident.Command{Comment: comment, Project: project, Incident: "i", By: tracker.Account{ID: 5, Login: "alex"}, At: noon,
		Issue: tracker.IssueRef{Repo: labRepo, ID: 70, Number: 7, URL: labRepo.Server + "/terraphim/lab/issues/7"},
		Steps: []incident.Step{{Line: incident.CommandLine{Verb: incident.PauseVerb, Written: "pause"}}}}
}

// written are these comments, all of the time that [order] gives them.
func written(ids ...int64) map[int64]time.Time {
	out := map[int64]time.Time{}
	for _, id := range ids {
		out[id] = noon
	}
	return out
}

func TestOperatorsAreKeptInTheirOrder(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	want := []incident.Operator{{Login: "kim", ID: 6, Asked: noon}, {Login: "alex", Problem: "nobody has this login"}}
	require.NoError(t, s.SetOperators(ctx, labRepo.Server, want))
	require.NoError(t, s.SetOperators(ctx, "https://other", []incident.Operator{{Login: "eve", ID: 9}}))
	got, err := s.Operators(ctx, labRepo.Server)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, s.SetOperators(ctx, labRepo.Server, want[:1]))
	got, err = s.Operators(ctx, labRepo.Server)
	require.NoError(t, err)
	require.Equal(t, want[:1], got)
}

func TestWithoutOperatorsItIsForgottenUpToWhenCommentsWereRead(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	require.NoError(t, s.SetCommentsRead(ctx, labRepo, noon))
	require.NoError(t, s.SetCommentsRead(ctx, labRepo, noon.Add(time.Hour)))
	at, err := s.CommentsRead(ctx, labRepo)
	require.NoError(t, err)
	require.True(t, at.Equal(noon.Add(time.Hour)))
	require.NoError(t, s.SetOperators(ctx, labRepo.Server, nil))
	at, err = s.CommentsRead(ctx, labRepo)
	require.NoError(t, err)
	require.True(t, at.IsZero())
}

func TestAnOrderIsAcceptedOnceAndOutstandingUntilItIsDone(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	require.NoError(t, s.AcceptCommand(ctx, order(2, "odilo")))
	require.NoError(t, s.AcceptCommand(ctx, order(1, "twins")))
	again := order(2, "odilo")
	again.By.Login = "somebody else"
	require.NoError(t, s.AcceptCommand(ctx, again))
	fresh, err := s.NewComments(ctx, labRepo.Server, written(1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, []int64{3}, fresh)
	fresh, err = s.NewComments(ctx, "https://other", written(1, 2))
	require.NoError(t, err)
	require.Equal(t, []int64{1, 2}, fresh, "another server's comments")
	all, err := s.PendingCommands(ctx, labRepo.Server, "")
	require.NoError(t, err)
	require.Equal(t, []incident.Command{order(1, "twins"), order(2, "odilo")}, all)

	done, err := s.ChangeCommand(ctx, all[1], nil, func(o *incident.Command) { o.Done = true })
	require.NoError(t, err)
	require.True(t, done.Done)
	all, err = s.PendingCommands(ctx, labRepo.Server, "odilo")
	require.NoError(t, err)
	require.Empty(t, all)
	fresh, err = s.NewComments(ctx, labRepo.Server, written(2))
	require.NoError(t, err)
	require.Empty(t, fresh, "it stays known")
	_, err = s.ChangeCommand(ctx, order(99, "odilo"), nil, func(*incident.Command) {})
	require.ErrorContains(t, err, "order of comment 99")
}

func TestAnIDThatGiteaGivesASecondTimeIsANewOrders(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	old := order(1, "odilo")
	old.Done = true
	require.NoError(t, s.AcceptCommand(ctx, old))
	zone := time.FixedZone("of a server that was set to another one", 3600)
	fresh, err := s.NewComments(ctx, labRepo.Server, map[int64]time.Time{1: noon.In(zone)})
	require.NoError(t, err)
	require.Empty(t, fresh)
	later := order(1, "twins")
	later.At = noon.Add(time.Hour)
	fresh, err = s.NewComments(ctx, labRepo.Server, map[int64]time.Time{1: later.At})
	require.NoError(t, err)
	require.Equal(t, []int64{1}, fresh)
	require.NoError(t, s.AcceptCommand(ctx, later))
	all, err := s.PendingCommands(ctx, labRepo.Server, "")
	require.NoError(t, err)
	require.Equal(t, []incident.Command{later}, all)
}

func TestAHoldAndTheMarkOfItsOrderAreOneTransaction(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	require.NoError(t, s.AcceptCommand(ctx, order(1, "odilo")))
	h := incident.Hold{Project: "odilo", Note: "n", Since: noon}
	_, err := s.ChangeCommand(ctx, order(1, "odilo"), &h, func(o *incident.Command) { o.Steps[0].Begun = true })
	require.NoError(t, err)
	got, err := s.Hold(ctx, "odilo")
	require.NoError(t, err)
	require.Equal(t, &h, got)

	h.Project = "twins"
	_, err = s.ChangeCommand(ctx, order(77, "twins"), &h, func(*incident.Command) {})
	require.Error(t, err)
	got, err = s.Hold(ctx, "twins")
	require.NoError(t, err)
	require.Nil(t, got, "without its order there is no hold")
}

func TestOldOrdersThatAreDoneAreForgotten(t *testing.T) {
	s, c := newStore(t)
	ctx := context.Background()
	done := order(1, "odilo")
	done.Done = true
	require.NoError(t, s.AcceptCommand(ctx, done))
	require.NoError(t, s.AcceptCommand(ctx, order(2, "odilo")))
	c.pass(89 * 24 * time.Hour)
	require.NoError(t, s.AcceptCommand(ctx, order(3, "odilo")))
	fresh, err := s.NewComments(ctx, labRepo.Server, written(1, 2))
	require.NoError(t, err)
	require.Empty(t, fresh)
	c.pass(2 * 24 * time.Hour)
	require.NoError(t, s.AcceptCommand(ctx, order(4, "odilo")))
	fresh, err = s.NewComments(ctx, labRepo.Server, written(1, 2))
	require.NoError(t, err)
	require.Equal(t, []int64{1}, fresh, "what is outstanding is kept")
}

func TestAMovedServerTakesItsOrdersAlong(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	const to = "https://new.example.org"
	require.NoError(t, s.SetOperators(ctx, labRepo.Server, []incident.Operator{{Login: "alex", ID: 5}}))
	require.NoError(t, s.SetCommentsRead(ctx, labRepo, noon))
	require.NoError(t, s.AcceptCommand(ctx, order(1, "odilo")))
	require.NoError(t, s.MoveServer(ctx, labRepo.Server, to))
	ops, err := s.Operators(ctx, to)
	require.NoError(t, err)
	require.Len(t, ops, 1)
	moved := labRepo
	moved.Server = to
	at, err := s.CommentsRead(ctx, moved)
	require.NoError(t, err)
	require.True(t, at.Equal(noon))
	list, err := s.PendingCommands(ctx, to, "")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, to+"/terraphim/lab/issues/7", list[0].Issue.URL)
	require.Equal(t, moved, list[0].Issue.Repo)
	_, err = s.ChangeCommand(ctx, list[0], nil, func(o *incident.Command) { o.Done = true })
	require.NoError(t, err)
}

func TestAStateOfTheFirstVersionIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	i := trip(t, s, "odilo")
	known := evidence(t, s, i.ID)
	require.Len(t, known.Runs, 3)
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`UPDATE incident SET doc = json_set(doc, '$.Evidence', json((SELECT evidence.doc FROM evidence WHERE incident = incident.id)));
		DROP TABLE evidence; DROP TABLE operator; DROP TABLE scan; DROP TABLE command; PRAGMA user_version = 1`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	require.Equal(t, i, theIncident(t, s, i.ID))
	require.Equal(t, known, evidence(t, s, i.ID))
	require.NoError(t, s.AcceptCommand(context.Background(), order(1, "odilo")))
}
