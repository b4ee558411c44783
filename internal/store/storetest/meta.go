package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// RunMeta tests what the installation keeps about itself, and that a state which nobody disturbs is in good health.
func RunMeta(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"values", testMeta},
		{"installation", testInstallation},
		{"a flag of an incident was written", testIncidentFlagWritten},
		{"a flag of a hold was written", testHoldFlagWritten},
		{"health", testHealth},
	})
}

func testMeta(t *testing.T, s *state) {
	require.Empty(t, must(s.Meta(t.Context(), "k"))(t))
	require.NoError(t, s.SetMeta(t.Context(), "k", "1"))
	require.NoError(t, s.SetMeta(t.Context(), "k", "2"))
	s.reopen()
	require.Equal(t, "2", must(s.Meta(t.Context(), "k"))(t))
}

func testInstallation(t *testing.T, s *state) {
	id := s.Installation()
	require.True(t, pause.IsRandomID(id), id)
	s.reopen()
	require.Equal(t, id, s.Installation())
	require.NotEqual(t, id, newState(t, s.open).Installation())
}

func (s *state) flagsWritten() bool {
	s.t.Helper()
	return must(s.FlagsWritten(s.t.Context()))(s.t)
}

func testIncidentFlagWritten(t *testing.T, s *state) {
	i := s.trip("odilo")
	require.False(t, s.flagsWritten())
	require.True(t, confirm(t, s, i.ID, botFlag, noon))
	require.True(t, s.flagsWritten())
	require.True(t, s.resume("odilo", i.ID, noon))
	require.True(t, s.flagsWritten(), "it is never forgotten")
}

func testHoldFlagWritten(t *testing.T, s *state) {
	h := hold(t, s, "odilo")
	require.False(t, s.flagsWritten())
	require.True(t, confirm(t, s, h.ID, botFlag, noon))
	require.True(t, s.flagsWritten())
	require.True(t, s.resume("odilo", h.ID, noon))
	require.True(t, s.flagsWritten(), "it is never forgotten")
}

func testHealth(t *testing.T, s *state) {
	s.trip("odilo")
	for range 2 { // what Writable takes, it gives back
		require.NoError(t, s.Writable(t.Context()))
		require.NoError(t, s.Check(t.Context()))
		require.NoError(t, s.Moved())
	}
	require.NoError(t, s.Close())
	require.Error(t, s.Writable(t.Context()))
}

// RunMoves tests a server that gets another address.
func RunMoves(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"incidents and cache", testMoveIncidents},
		{"commands", testMoveCommands},
		{"unfinished incidents alone", testMoveUnfinished},
	})
}

const newServer = "https://new.example.org/git"

func testMoveIncidents(t *testing.T, s *state) {
	first := s.trip("odilo")
	must(s.Change(t.Context(), first.ID, func(i *incident.Incident) { i.Issue = issue(server, 1) }))(t)
	require.True(t, s.resume("odilo", first.ID, noon))
	i := s.trip("odilo")
	must(s.Change(t.Context(), i.ID, func(i *incident.Incident) {
		i.Issue, i.Target, i.Repo, i.Lost = issue(server, 3), repo, repo, []tracker.IssueRef{issue(server, 2)}
	}))(t)
	elsewhere := s.trip("atlas")
	must(s.Change(t.Context(), elsewhere.ID, func(i *incident.Incident) { i.Issue = issue("https://third.example.org", 5) }))(t)
	require.NoError(t, s.SetLabels(t.Context(), repo, map[string]int64{"adf": 1}))
	require.NoError(t, s.AddAccount(t.Context(), server, tracker.Account{ID: 1, Login: "bot"}))

	require.NoError(t, s.MoveServer(t.Context(), server, newServer))
	got := s.incident(i.ID)
	require.Equal(t, issue(newServer, 3), got.Issue)
	require.Equal(t, newServer, got.Target.Server)
	require.Equal(t, newServer, got.Repo.Server)
	require.Equal(t, []tracker.IssueRef{issue(newServer, 2)}, got.Lost)
	require.Equal(t, issue(newServer, 1), must(s.Evidence(t.Context(), i.ID))(t).Earlier[0].Issue)
	require.Equal(t, issue(newServer, 1), s.incident(first.ID).Issue, "ended ones too: their issues may be reopened")
	require.Equal(t, issue("https://third.example.org", 5), s.incident(elsewhere.ID).Issue)
	require.Equal(t, map[string]int64{"adf": 1}, must(s.Labels(t.Context(), issue(newServer, 1).Repo))(t))
	require.Len(t, must(s.Accounts(t.Context(), newServer))(t), 1)
	require.Empty(t, must(s.Accounts(t.Context(), server))(t))
}

func testMoveUnfinished(t *testing.T, s *state) {
	first := s.trip("odilo")
	must(s.Change(t.Context(), first.ID, func(i *incident.Incident) { i.Issue, i.Settled = issue(server, 1), true }))(t)
	require.True(t, s.resume("odilo", first.ID, noon))
	i := s.trip("odilo")
	must(s.Change(t.Context(), i.ID, func(i *incident.Incident) { i.Issue, i.Target = issue(server, 3), repo }))(t)
	quiet := silent("a")
	quiet.Project = "twins"
	quiet, _ = s.openSilent(quiet)
	must(s.Change(t.Context(), quiet.ID, func(i *incident.Incident) { i.Issue = issue(server, 7) }))(t)
	require.NoError(t, s.SetOperators(t.Context(), server, []incident.Operator{{Login: "alex", ID: 5}}))

	require.NoError(t, s.MoveUnfinished(t.Context(), server, newServer))
	require.Equal(t, issue(newServer, 3), s.incident(i.ID).Issue)
	require.Equal(t, newServer, s.incident(i.ID).Target.Server)
	require.Equal(t, issue(newServer, 7), s.incident(quiet.ID).Issue)
	require.Equal(t, issue(server, 1), must(s.Evidence(t.Context(), i.ID))(t).Earlier[0].Issue)
	require.Equal(t, issue(server, 1), s.incident(first.ID).Issue)
	require.Empty(t, must(s.Operators(t.Context(), newServer))(t))
}

func testMoveCommands(t *testing.T, s *state) {
	require.NoError(t, s.SetOperators(t.Context(), server, []incident.Operator{{Login: "alex", ID: 5}}))
	require.NoError(t, s.SetCommentsRead(t.Context(), repo, noon))
	require.NoError(t, s.AcceptCommand(t.Context(), command(1, "odilo")))
	require.NoError(t, s.MoveServer(t.Context(), server, newServer))
	require.Len(t, must(s.Operators(t.Context(), newServer))(t), 1)
	require.True(t, must(s.CommentsRead(t.Context(), issue(newServer, 7).Repo))(t).Equal(noon))
	pending := must(s.PendingCommands(t.Context(), newServer, ""))(t)
	require.Len(t, pending, 1)
	require.Equal(t, issue(newServer, 7), pending[0].Issue)
	must(s.ChangeCommand(t.Context(), pending[0], nil, func(c *incident.Command) error { c.Done = true; return nil }))(t)
}
