package escalate_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// A check of the rights leaves no trace.
func TestContractProbes(t *testing.T) {
	contract(t, func(s *side) {
		labels, err := s.gitea.Labels(s.Context(), s.repo)
		require.NoError(s, err)
		issues, err := s.gitea.List(s.Context(), s.repo, "", true)
		require.NoError(s, err)
		require.NoError(s, s.gitea.MayOpenIssues(s.Context(), s.repo))
		require.NoError(s, s.gitea.MayWriteIssues(s.Context(), s.repo))
		now, err := s.gitea.Labels(s.Context(), s.repo)
		require.NoError(s, err)
		require.Equal(s, labels, now)
		nowIssues, err := s.gitea.List(s.Context(), s.repo, "", true)
		require.NoError(s, err)
		require.Len(s, nowIssues, len(issues))

		missing := s.repo
		missing.Name = "adfbot-contract-missing"
		s.refused(s.gitea.MayOpenIssues(s.Context(), missing), 404)
	})
}

// The text of an issue is edited, and nothing else.
func TestContractEditBody(t *testing.T) {
	contract(t, func(s *side) {
		made := s.open(tracker.NewIssue{Body: "rm /old/odilo ✔\n\n<!-- kept -->", Labels: []int64{s.label("adf")}})
		for range 2 {
			err := s.gitea.EditBody(s.Context(), made.IssueRef, func(string) string { return "rm /new/odilo ✔\n\n<!-- kept -->" })
			require.NoError(s, err)
		}
		var text struct{ Body string }
		require.Equal(s, 200, s.raw("GET", fmt.Sprintf("/issues/%d", made.Number), &text))
		require.Equal(s, "rm /new/odilo ✔\n\n<!-- kept -->", text.Body)
		got, err := s.gitea.Get(s.Context(), s.repo, made.Number)
		require.NoError(s, err)
		require.Equal(s, made.Title, got.Title)
		require.Equal(s, []string{"adf"}, got.Labels)
		require.True(s, got.Open)
	})
}
