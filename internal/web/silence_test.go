package web

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestSilentProject(t *testing.T) {
	t.Parallel()
	s := newStation(t, "  - id: quiet\n", "  - id: quiet\n    expect: {every: 1h}\n").described()
	s.result(`{"project":"odilo","exit_code":0}`)
	state, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	since := time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)
	i, opened, err := state.OpenSilent(t.Context(), incident.Incident{
		ID: strings.Repeat("5", 32), Kind: incident.Silent, Project: "quiet", Agent: "project-meta", Since: since, Opened: since.Add(75 * time.Minute),
		Began: since.Add(time.Hour), Host: "edge-7",
	})
	require.NoError(t, err)
	require.True(t, opened)
	require.NoError(t, state.Close())

	p := s.project("quiet")
	require.Equal(t, "no", p.Paused)
	require.Nil(t, p.Incident)
	require.Equal(t, "quiet#silent-1", p.Silence.Name)
	require.True(t, since.Equal(p.Silence.Since))
	require.Equal(t, "every 1h, with 15m of grace", p.Expect)
	require.Contains(t, p.Warnings[0], "has not reported since ")
	require.Contains(t, p.Warnings[0], "a run that began")
	require.Equal(t, []string{"quiet#silent-1: issue to be opened"}, p.Pending)
	require.NotNil(t, s.project("odilo").LastResult)
	require.Nil(t, s.project("odilo").Silence)

	list := s.get("/api/v1/incidents?project=quiet", as(adminToken)).body
	require.Contains(t, list, `"name":"quiet#silent-1"`)
	require.Contains(t, list, `"kind":"silent"`)
	require.Contains(t, list, i.ID)
	require.Contains(t, list, `"answered_after_seconds":null`)

	s.spec = nil
	metrics := s.get("/metrics").body
	require.Contains(t, metrics, "adfbot_project_silent{project=\"quiet\"} 1\n")
	require.Contains(t, metrics, "adfbot_project_silent{project=\"odilo\"} 0\n")
	require.Contains(t, metrics, "adfbot_project_last_result_timestamp_seconds{project=\"odilo\"} 1")
	require.NotContains(t, metrics, "adfbot_project_last_result_timestamp_seconds{project=\"quiet\"}")
	require.Contains(t, metrics, "adfbot_pending_incidents 1\n")
	page := s.get("/").body
	require.Contains(t, page, `class="banner warn">`)
	require.Contains(t, page, "quiet has not reported in time.")
}
