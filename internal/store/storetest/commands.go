package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// CommandState is what the group of commands needs.
type CommandState interface {
	incident.CommandState
	incident.HoldStore
}

// RunCommands tests operators, commands and up to when comments were read.
func RunCommands(t *testing.T, newState func(t testing.TB, now func() time.Time) CommandState) {
	at := noon
	runTests(t, func(t testing.TB) CommandState {
		at = noon
		return newState(t, func() time.Time { return at })
	}, []test[CommandState]{
		{"operators keep their order", testOperators},
		{"without operators no comments were read", testNoOperators},
		{"accepted once, pending until done", testCommand},
		{"an id that was given again", testCommandIDAgain},
		{"a hold is stored with its command", testCommandHold},
		{"old ones are forgotten", func(t *testing.T, s CommandState) {
			testOldCommands(t, s, func(d time.Duration) { at = at.Add(d) })
		}},
	})
}

func command(comment int64, project string) incident.Command {
	return incident.Command{
		Comment: comment, Project: project, Incident: "i", By: tracker.Account{ID: 5, Login: "alex"}, At: noon, Issue: issue(server, 7),
		Steps: []incident.Step{{Line: incident.CommandLine{Verb: incident.PauseVerb, Written: "pause"}}},
	}
}

// newComments returns which of the comments are new, if all were written at noon.
func newComments(t *testing.T, s CommandState, server string, ids ...int64) []int64 {
	t.Helper()
	written := map[int64]time.Time{}
	for _, id := range ids {
		written[id] = noon
	}
	return must(s.NewComments(t.Context(), server, written))(t)
}

func testOperators(t *testing.T, s CommandState) {
	want := []incident.Operator{{Login: "kim", ID: 6, Asked: noon}, {Login: "alex", Problem: "nobody has this login"}}
	require.NoError(t, s.SetOperators(t.Context(), server, want))
	require.NoError(t, s.SetOperators(t.Context(), "https://other", []incident.Operator{{Login: "eve", ID: 9}}))
	require.Equal(t, want, must(s.Operators(t.Context(), server))(t))
	require.NoError(t, s.SetOperators(t.Context(), server, want[:1]))
	require.Equal(t, want[:1], must(s.Operators(t.Context(), server))(t))
}

func testNoOperators(t *testing.T, s CommandState) {
	require.True(t, must(s.CommentsRead(t.Context(), repo))(t).IsZero())
	require.NoError(t, s.SetCommentsRead(t.Context(), repo, noon))
	require.NoError(t, s.SetCommentsRead(t.Context(), repo, noon.Add(time.Hour)))
	require.True(t, must(s.CommentsRead(t.Context(), repo))(t).Equal(noon.Add(time.Hour)))
	require.NoError(t, s.SetOperators(t.Context(), server, nil))
	require.True(t, must(s.CommentsRead(t.Context(), repo))(t).IsZero())
}

func testCommand(t *testing.T, s CommandState) {
	require.NoError(t, s.AcceptCommand(t.Context(), command(2, "odilo")))
	require.NoError(t, s.AcceptCommand(t.Context(), command(1, "twins")))
	again := command(2, "odilo")
	again.By.Login = "somebody else"
	require.NoError(t, s.AcceptCommand(t.Context(), again))
	require.Equal(t, []int64{3}, newComments(t, s, server, 1, 2, 3))
	require.Equal(t, []int64{1, 2}, newComments(t, s, "https://other", 1, 2), "another server's comments")
	require.Empty(t, newComments(t, s, server))
	pending := must(s.PendingCommands(t.Context(), server, ""))(t)
	require.Equal(t, []incident.Command{command(1, "twins"), command(2, "odilo")}, pending)

	done := must(s.ChangeCommand(t.Context(), pending[1], nil, func(c *incident.Command) error { c.Done = true; return nil }))(t)
	require.True(t, done.Done)
	require.Empty(t, must(s.PendingCommands(t.Context(), server, "odilo"))(t))
	require.Empty(t, newComments(t, s, server, 2), "it stays known")
	_, err := s.ChangeCommand(t.Context(), command(99, "odilo"), nil, func(*incident.Command) error { return nil })
	require.ErrorContains(t, err, "comment 99")
}

func testCommandIDAgain(t *testing.T, s CommandState) {
	old := command(1, "odilo")
	old.Done = true
	require.NoError(t, s.AcceptCommand(t.Context(), old))
	zone := time.FixedZone("of a server that moved", 3600)
	require.Empty(t, must(s.NewComments(t.Context(), server, map[int64]time.Time{1: noon.In(zone)}))(t))
	later := command(1, "twins")
	later.At = noon.Add(time.Hour)
	require.Equal(t, []int64{1}, must(s.NewComments(t.Context(), server, map[int64]time.Time{1: later.At}))(t))
	require.NoError(t, s.AcceptCommand(t.Context(), later))
	require.Equal(t, []incident.Command{later}, must(s.PendingCommands(t.Context(), server, ""))(t))
}

func testCommandHold(t *testing.T, s CommandState) {
	require.NoError(t, s.AcceptCommand(t.Context(), command(1, "odilo")))
	h := newHold("odilo")
	h.Note = "n"
	begun := func(c *incident.Command) error { c.Steps[0].Begun = true; return nil }
	_, err := s.ChangeCommand(t.Context(), command(1, "odilo"), &h, begun)
	require.NoError(t, err)
	require.Equal(t, &h, must(s.Hold(t.Context(), "odilo"))(t))
	again := h
	again.Note = "another"
	_, err = s.ChangeCommand(t.Context(), command(1, "odilo"), &again, begun)
	require.NoError(t, err)
	require.Equal(t, &h, must(s.Hold(t.Context(), "odilo"))(t), "a hold that is there stays as it is")

	no := errors.New("not any more")
	none := newHold("twins")
	_, err = s.ChangeCommand(t.Context(), command(1, "odilo"), &none, func(c *incident.Command) error { c.Done = true; return no })
	require.ErrorIs(t, err, no)
	require.Nil(t, must(s.Hold(t.Context(), "twins"))(t), "a refused change stores nothing")
	require.Len(t, must(s.PendingCommands(t.Context(), server, "odilo"))(t), 1)

	h.Project = "twins"
	_, err = s.ChangeCommand(t.Context(), command(77, "twins"), &h, begun)
	require.Error(t, err)
	require.Nil(t, must(s.Hold(t.Context(), "twins"))(t), "there is no hold without its command")
}

func testOldCommands(t *testing.T, s CommandState, pass func(time.Duration)) {
	done := command(1, "odilo")
	done.Done = true
	require.NoError(t, s.AcceptCommand(t.Context(), done))
	require.NoError(t, s.AcceptCommand(t.Context(), command(2, "odilo")))
	pass(89 * 24 * time.Hour)
	require.NoError(t, s.AcceptCommand(t.Context(), command(3, "odilo")))
	require.Empty(t, newComments(t, s, server, 1, 2))
	pass(2 * 24 * time.Hour)
	require.NoError(t, s.AcceptCommand(t.Context(), command(4, "odilo")))
	require.Equal(t, []int64{1}, newComments(t, s, server, 1, 2), "what is pending is kept")
}
