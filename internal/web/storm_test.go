package web

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// Two projects whose failures have one cause share an issue: API, page and metrics of both tell of it, and an event about it reaches both.
func TestSharedIssue(t *testing.T) {
	t.Parallel()
	s := newStation(t, "escalation:\n", "operators: [alex]\nescalation:\n  storm_window: 15m\n",
		"http:\n", "http:\n  webhook_secret_file: DIR/hook-secret\n").described()
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte(hookSecret), 0o600))
	s.gitea.AddUser("alex", giteatest.UserOptions{})
	s.gitea.SetPermission("terraphim", "adf-fleet", "alex", giteatest.Write)
	for range 3 {
		s.result(`{"project":"odilo","exit_code":1,"output":"You've hit your usage limit."}`)
	}
	s.result(`{"project":"digital-twins","exit_code":1,"output":"You've hit your usage limit. It resets at 17:00."}`)
	lead, joined := s.project("odilo"), s.project("digital-twins")
	require.NotEmpty(t, lead.Incident.Issue)
	require.Equal(t, lead.Incident.Issue, joined.Incident.Issue)
	require.Equal(t, "odilo#1", joined.Incident.Lead)
	require.Equal(t, 1, lead.Incident.Carries)

	incidents := s.get("/api/v1/incidents", as(adminToken)).body
	require.Contains(t, incidents, `"lead":"`+lead.Incident.ID+`"`)
	require.Contains(t, incidents, `"members":["`+lead.Incident.ID+`","`+joined.Incident.ID+`"]`)
	s.spec = nil // metrics and page are not part of the API
	require.Contains(t, s.get("/metrics").body, "adfbot_joined_incidents 1\n")
	page := s.get("/projects/digital-twins").body
	require.Contains(t, page, "that of odilo#1")
	require.Contains(t, page, lead.Incident.Issue)

	s.gitea.As("alex").Comment("terraphim/adf-fleet", 1, "/adf resume digital-twins it has its own quota")
	require.Equal(t, 202, s.delivered("issue_comment", "created", "alex", 1).StatusCode)
	s.settled()
	require.Nil(t, s.project("digital-twins").Incident)
	require.NotNil(t, s.project("odilo").Incident)
	require.Contains(t, s.get("/metrics").body, "adfbot_joined_incidents 0\n")
}
